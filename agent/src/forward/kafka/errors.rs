//! Errors of Kafka's protocol: what they are called, and what they mean for a record.

/// An answer that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) &'static str);

/// What an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The records. No other attempt would end otherwise.
    Records,
    /// Who leads what: to be asked anew before the next attempt.
    Leaders,
    /// The broker, the way there, what we may do. It has to wait.
    Rest,
}

/// An error with the words of the protocol, and what a person can do about it, if anything but waiting helps.
struct Known(i16, &'static str, About, &'static str);

use About::{Leaders, Records, Rest};

const KNOWN: &[Known] = &[
    Known(-1, "UNKNOWN_SERVER_ERROR", Rest, ""),
    Known(2, "CORRUPT_MESSAGE", Rest, ""),
    Known(3, "UNKNOWN_TOPIC_OR_PARTITION", Leaders, "does the topic exist? spoor creates none"),
    Known(5, "LEADER_NOT_AVAILABLE", Leaders, ""),
    Known(6, "NOT_LEADER_OR_FOLLOWER", Leaders, ""),
    Known(7, "REQUEST_TIMED_OUT", Rest, ""),
    Known(8, "BROKER_NOT_AVAILABLE", Leaders, ""),
    Known(9, "REPLICA_NOT_AVAILABLE", Leaders, ""),
    Known(10, "MESSAGE_TOO_LARGE", Records, ""),
    Known(13, "NETWORK_EXCEPTION", Leaders, ""),
    Known(14, "COORDINATOR_LOAD_IN_PROGRESS", Rest, ""),
    Known(15, "COORDINATOR_NOT_AVAILABLE", Rest, ""),
    Known(16, "NOT_COORDINATOR", Rest, ""),
    Known(17, "INVALID_TOPIC_EXCEPTION", Rest, "the broker does not allow this name of a topic"),
    Known(18, "RECORD_LIST_TOO_LARGE", Records, ""),
    Known(19, "NOT_ENOUGH_REPLICAS", Rest, ""),
    Known(20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", Rest, ""),
    Known(29, "TOPIC_AUTHORIZATION_FAILED", Rest, "this user may not write to the topic"),
    Known(31, "CLUSTER_AUTHORIZATION_FAILED", Rest, "this user may not do that"),
    Known(32, "INVALID_TIMESTAMP", Records, ""),
    Known(33, "UNSUPPORTED_SASL_MECHANISM", Rest, "the broker has other mechanisms"),
    Known(34, "ILLEGAL_SASL_STATE", Rest, "does this port of the broker ask for SASL?"),
    Known(35, "UNSUPPORTED_VERSION", Rest, ""),
    Known(42, "INVALID_REQUEST", Rest, ""),
    Known(
        43,
        "UNSUPPORTED_FOR_MESSAGE_FORMAT",
        Rest,
        "the topic's `message.format.version` is older than headers",
    ),
    Known(44, "POLICY_VIOLATION", Rest, "a policy of the broker is against it"),
    Known(54, "SECURITY_DISABLED", Rest, ""),
    Known(56, "KAFKA_STORAGE_ERROR", Leaders, ""),
    Known(58, "SASL_AUTHENTICATION_FAILED", Rest, "are user and secret right?"),
    Known(72, "LISTENER_NOT_FOUND", Leaders, ""),
    Known(74, "FENCED_LEADER_EPOCH", Leaders, ""),
    Known(75, "UNKNOWN_LEADER_EPOCH", Leaders, ""),
    Known(76, "UNSUPPORTED_COMPRESSION_TYPE", Rest, "the topic does not take this `compression`"),
    Known(87, "INVALID_RECORD", Records, ""),
    Known(89, "THROTTLING_QUOTA_EXCEEDED", Rest, ""),
    Known(100, "UNKNOWN_TOPIC_ID", Leaders, ""),
];

fn known(code: i16) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.0 == code)
}

/// What an error is about. Of one that nobody knows here, nothing is believed that could cost a record.
pub(super) fn about(code: i16) -> About {
    known(code).map_or(Rest, |known| known.2)
}

/// An error for people: its name and number, what the broker says, and what may help.
pub(super) fn describe(code: i16, text: &str) -> String {
    let (name, help) = known(code).map_or(("an error", ""), |known| (known.1, known.3));
    let said =
        [text, help].into_iter().filter(|part| !part.is_empty()).fold(String::new(), |mut all, part| {
            all.push_str(if all.is_empty() { ": " } else { "; " });
            all.push_str(part);
            all
        });
    format!("{name} ({code}){said}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::ResponseError;

    #[test]
    fn an_error_says_what_helps() {
        let text = describe(29, "");
        assert_eq!(text, "TOPIC_AUTHORIZATION_FAILED (29): this user may not write to the topic");
        assert_eq!(describe(7, "slow"), "REQUEST_TIMED_OUT (7): slow");
        assert_eq!(describe(999, ""), "an error (999)");
        assert_eq!(describe(58, "no"), "SASL_AUTHENTICATION_FAILED (58): no; are user and secret right?");
    }

    /// Another hand's list of the protocol's errors: the same names, and nothing that it would try again costs a record.
    #[test]
    fn the_list_is_the_protocols() {
        let flat = |text: &str| text.replace('_', "").to_lowercase();
        for Known(code, name, about, _) in KNOWN {
            let theirs = ResponseError::try_from_code(*code).unwrap();
            assert_eq!(flat(name), flat(&theirs.to_string()));
            assert!(*about != Records || !theirs.is_retriable(), "{name}");
        }
        for code in -1..200 {
            assert!(about(code) != Records || known(code).is_some());
        }
    }
}
