//! One record as a message of RFC 5424.

use crate::config::Severity;
use crate::forward::encodings::Item;
use crate::record::rfc3339;

/// How messages of a sink look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) facility: u8,
    /// Longest message, in bytes.
    pub(super) max: usize,
}

impl Form {
    /// The message, or why there is none: one that is too long is not cut.
    pub(super) fn message(&self, item: &Item) -> Result<Vec<u8>, String> {
        let facts = &item.facts;
        let priority = self.facility * 8 + level(facts.severity);
        // RFC 5424 knows microseconds; the record itself has all digits.
        let time = rfc3339(facts.time_ns);
        let time = time.get(..26).map_or("-".to_owned(), |time| format!("{time}Z"));
        let pid = facts.pid.map_or("-".to_owned(), |pid| pid.to_string());
        let mut data = format!("[spoor@32473 host=\"{}\" seq=\"{}\"", value(&facts.host_id), item.seq);
        for (name, text) in [("chain", &facts.chain), ("actor", &facts.actor)] {
            if let Some(text) = text {
                data.push_str(&format!(" {name}=\"{}\"", value(text)));
            }
        }
        let head = format!(
            "<{priority}>1 {time} {} spoor {pid} {} {data}] ",
            word(&facts.host_name, 255),
            word(&facts.label, 32)
        );
        let length = head.len() + item.bytes.len();
        if length > self.max {
            return Err(format!("the message has {length} bytes, and `max_record` is {}", self.max));
        }
        Ok([head.as_bytes(), &item.bytes].concat())
    }
}

/// The severity of syslog.
fn level(severity: Severity) -> u8 {
    match severity {
        Severity::Informational => 6,
        Severity::Low => 5,
        Severity::Medium => 4,
        Severity::High => 3,
        Severity::Critical => 2,
    }
}

/// A field of the header: printable ASCII without spaces, `-` where nothing is left.
fn word(text: &str, max: usize) -> String {
    let word: String = text.chars().filter(char::is_ascii_graphic).take(max).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}

/// A value of structured data.
fn value(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::facts::Facts;

    fn item(host: &str, actor: &str, bytes: &[u8]) -> Item {
        let facts = Facts {
            time_ns: 1_767_323_045_678_901_234,
            host_id: "6f1d".to_owned(),
            host_name: host.to_owned(),
            label: "secret.open".to_owned(),
            chain: Some("01J".to_owned()),
            actor: Some(actor.to_owned()),
            pid: Some(812),
            ..Facts::default()
        };
        Item { seq: 7, bytes: bytes.to_vec(), facts }
    }

    #[test]
    fn to_the_letter() {
        let form = Form { facility: 13, max: 480 };
        let message = form.message(&item("db 7\n", "cron:a\"]\\\n", b"{\"v\":1}")).unwrap();
        assert_eq!(
            String::from_utf8(message).unwrap(),
            "<110>1 2026-01-02T03:04:05.678901Z db7 spoor 812 secret.open \
             [spoor@32473 host=\"6f1d\" seq=\"7\" chain=\"01J\" actor=\"cron:a\\\"\\]\\\\ \"] {\"v\":1}"
        );
        let nameless = form.message(&item("é", "a", b"x")).unwrap();
        assert!(String::from_utf8(nameless).unwrap().contains("Z - spoor"));
    }

    #[test]
    fn too_long_is_said_and_not_cut() {
        let form = Form { facility: 13, max: 480 };
        let head = form.message(&item("db7", "a", b"")).unwrap().len();
        assert_eq!(form.message(&item("db7", "a", &vec![b'x'; 480 - head])).unwrap().len(), 480);
        let why = form.message(&item("db7", "a", &vec![b'x'; 481 - head])).unwrap_err();
        assert_eq!(why, "the message has 481 bytes, and `max_record` is 480");
    }

    proptest::proptest! {
        #[test]
        fn the_header_is_ascii_and_has_its_parts(host in "\\PC{0,300}", actor in "\\PC{0,40}") {
            let message = Form { facility: 23, max: 1 << 20 }.message(&item(&host, &actor, b"M")).unwrap();
            let text = String::from_utf8(message).unwrap();
            let head = text.split(" [spoor@32473 ").next().unwrap();
            assert!(head.is_ascii() && head.split(' ').count() == 6, "{head}");
            assert!(text.ends_with("] M"));
        }
    }
}
