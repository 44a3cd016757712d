//! What a collector answers, in protobuf and in JSON.

use prost::Message;
use serde_json::Value;

/// `opentelemetry.proto.collector.logs.v1.ExportLogsServiceResponse`
#[derive(Clone, PartialEq, Message)]
pub(super) struct Response {
    #[prost(message, optional, tag = "1")]
    pub(super) partial: Option<PartialSuccess>,
}

/// `opentelemetry.proto.collector.logs.v1.ExportLogsPartialSuccess`
#[derive(Clone, PartialEq, Message)]
pub(super) struct PartialSuccess {
    #[prost(int64, tag = "1")]
    pub(super) rejected: i64,
    #[prost(string, tag = "2")]
    pub(super) text: String,
}

/// `google.rpc.Status`, the body of an error.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
}

/// How much of a success is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Partial {
    pub(super) rejected: u64,
    pub(super) text: String,
}

impl From<Response> for Partial {
    fn from(response: Response) -> Self {
        let PartialSuccess { rejected, text } = response.partial.unwrap_or_default();
        // Fewer than none is none.
        Self { rejected: u64::try_from(rejected).unwrap_or(0), text }
    }
}

impl Partial {
    pub(super) fn of_protobuf(body: &[u8]) -> Result<Self, String> {
        let response = Response::decode(body).map_err(|_| "what is no answer of a collector".to_owned())?;
        Ok(response.into())
    }

    pub(super) fn of_json(body: &[u8]) -> Result<Self, String> {
        // Some say nothing at all.
        if body.is_empty() {
            return Ok(Self::default());
        }
        let parsed: Value = serde_json::from_slice(body).map_err(|error| format!("no JSON: {error}"))?;
        // Anybody on the way can say 200. A collector's success is an object, and no error.
        if !parsed.is_object() || parsed.get("code").is_some() {
            return Err("what is no answer of a collector".to_owned());
        }
        let Some(partial) = parsed.get("partialSuccess") else {
            return Ok(Self::default());
        };
        // Whole numbers of 64 bits are texts in this JSON, and not with everybody.
        let count = partial.get("rejectedLogRecords");
        let count = count.and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()));
        let text = partial.get("errorMessage").and_then(Value::as_str).unwrap_or_default();
        Ok(Self { rejected: count.unwrap_or(0), text: text.to_owned() })
    }
}

/// The words in the body of an error.
pub(super) fn status_text(body: &[u8]) -> Option<String> {
    Status::decode(body).ok().map(|status| status.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_success_is_read_in_both_ways() {
        let rejected = |rejected, text: &str| Ok(Partial { rejected, text: text.to_owned() });
        let partial = Some(PartialSuccess { rejected: 3, text: "old".to_owned() });
        assert_eq!(Partial::of_protobuf(&Response { partial }.encode_to_vec()), rejected(3, "old"));
        assert_eq!(Partial::of_protobuf(b""), rejected(0, ""));
        let partial = Some(PartialSuccess { rejected: -1, text: String::new() });
        assert_eq!(Partial::of_protobuf(&Response { partial }.encode_to_vec()), rejected(0, ""));
        for count in ["3", "\"3\""] {
            let body =
                format!(r#"{{"partialSuccess":{{"rejectedLogRecords":{count},"errorMessage":"old"}}}}"#);
            assert_eq!(Partial::of_json(body.as_bytes()), rejected(3, "old"));
        }
        for nothing in ["", "{}", r#"{"partialSuccess":null}"#, r#"{"partialSuccess":{}}"#] {
            assert_eq!(Partial::of_json(nothing.as_bytes()), rejected(0, ""));
        }
    }

    #[test]
    fn a_page_of_somebody_else_is_no_answer() {
        for page in ["<html>welcome</html>", "OK", "success", "ok\n"] {
            assert!(Partial::of_protobuf(page.as_bytes()).is_err(), "{page}");
            assert!(Partial::of_json(page.as_bytes()).is_err(), "{page}");
        }
    }
}
