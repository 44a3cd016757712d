//! What both forms of the report say in the same words.

use super::{Audit, HumanUse};
use crate::report::inventory::{Of, minute};

/// What is asked by a kind of remark, in a few words.
pub(super) fn question(name: &str) -> &'static str {
    match name {
        "reuse" => {
            "One credential, several identities: whose act was it, and who is cut off when it is revoked?"
        }
        "same-secret" => "The same secret lies in several credentials: revoking one leaves the others.",
        "long-lived" => {
            "Older than its kind allows, or valid for longer than a year: replace it, or let it expire."
        }
        "expired" => "Past its end: remove it, and find out why it is still used.",
        "expires-soon" => "Ends within two weeks: is the replacement under way?",
        "human-use" => "A person acted with a service's credential, or as a service: was that arranged?",
        "readable" => "Permissions let everybody on this host read the file.",
        "readable-by-group" => "Permissions let a group read the file: who is in it?",
        "unused" => "Nobody was seen to use it: is it still needed?",
        _ => "",
    }
}

/// The time that the report is about.
pub(super) fn period(audit: &Audit<'_>) -> (String, String) {
    let watched = audit.seen.watched_since_ns;
    let since = match (audit.seen.since_ns, watched) {
        (Some(asked), Some(watched)) => Some(asked.max(watched)),
        (asked, watched) => asked.or(watched),
    };
    (since.map(minute).unwrap_or_else(|| "?".to_owned()), minute(audit.seen.as_of_ns))
}

/// What a person used, in words.
pub(super) fn used(of: Of, used: &HumanUse<'_>) -> String {
    match of {
        Of::Actors => format!("started {}", used.id),
        Of::Credentials => used.id.to_owned(),
    }
}

/// What this report cannot tell, beside what was counted.
pub(super) const LIMITS: &[&str] = &[
    "An action stands after a credential was opened, never with it: the kernel does not show which secret went over a connection.",
    "Never used means: not seen to be used while this host was watched. What was used before, on another host, or in the times named above, is not known.",
    "Permissions are those of the file alone. Access control lists are not judged, nor the directories above it, which may let nobody through.",
    "Credentials at rest are those in the places the catalogue and the configuration name, on this host's own mounts. In images, archives, databases, environment variables and kernel keyrings none are looked for.",
    "Ages are what files say of themselves: whoever may write a file may set its time.",
    "A copy of the report proves nothing: spoor verify holds the records it was made of against their hash chain.",
];

/// What the report is evidence for, and how.
pub(super) const STANDARDS: &[(&str, &str)] = &[
    ("NIST CSF 2.0 DE.CM-01", "Connections of identities that held credentials are monitored."),
    ("NIST CSF 2.0 DE.CM-03", "Use of service credentials by people is monitored."),
    ("NIST CSF 2.0 DE.CM-09", "Programs, and the credentials they open, are monitored at run time."),
    ("NIST CSF 2.0 DE.AE-03", "Identity, credential, program and destination are told together."),
    ("NIST CSF 2.0 DE.AE-06", "This report is for authorised staff; the same as records, for their tools."),
    ("NIST CSF 2.0 PR.AA-05", "Who may read a credential, against who uses it: least privilege."),
    ("NIST CSF 2.0 PR.PS-04", "The records are kept on this host and handed to the sinks as they are made."),
    ("NIST CSF 2.0 RS.AN-07", "Records are chained by hashes, so that a change shows."),
    ("NIST SP 800-207, 2.1, tenet 4", "Observed behaviour of identities, as input to policy."),
    ("NIST SP 800-207, 2.1, tenet 5", "The credentials of this host, their age and who may read them."),
    (
        "NIST SP 800-207, 2.1, tenet 7",
        "The current state of identities and their communications is collected.",
    ),
];

/// What was counted as left out: name in the records, and what it means.
pub(super) const LEFT_OUT: &[(&str, &str)] = &[
    ("actors_forgotten", "identities were forgotten, those that acted longest ago: there were too many"),
    (
        "credentials_forgotten",
        "credentials were forgotten, those that were used longest ago: there were too many",
    ),
    ("files_refused", "files with credentials found no room in the inventory"),
    ("files_unlisted", "files with credentials were not listed: there are too many"),
    ("directories_unlisted", "directories of credentials were not looked into: too deep, or too much"),
];

/// What was counted as left out of this report.
pub(super) fn left_out(audit: &Audit<'_>) -> Vec<(u64, &'static str)> {
    let seen = audit.seen;
    let told = LEFT_OUT.iter().map(|(name, text)| (seen.left_out.get(*name).copied().unwrap_or(0), *text));
    let own = [
        (seen.rows_refused, "actions of further identities or credentials found no room in this report"),
        (seen.accesses_forgotten, "accesses are so long ago that connections after them are not told"),
        (seen.unreadable, "records cannot be read"),
    ];
    told.chain(own).filter(|(count, _)| *count != 0).collect()
}
