//! Pseudonyms in place of whoever and whatever a text names: stable within one bundle, and nobody can calculate them, since
//! the key is thrown away.
//!
//! What stays is what is known to say nothing: numbers, times, and words that stand in the reference pages of spoor itself. A word
//! that this host has for somebody is replaced although it may stand there.

use std::collections::HashSet;
use std::net::IpAddr;

use serde_json::Value;

use crate::hex;

/// Keys of JSON whose text is one of ours: names of probes and kinds, versions and states.
const OURS: [&str; 26] = [
    "action",
    "bpf_jit_enable",
    "os",
    "perf_event_paranoid",
    "unprivileged_bpf_disabled",
    "agent_version",
    "attach",
    "blind",
    "format",
    "hash",
    "kernel",
    "kind",
    "level",
    "lockdown",
    "lsm",
    "lsms",
    "newest",
    "oldest",
    "seen_by",
    "signal",
    "since",
    "state",
    "tier",
    "time",
    "type",
    "version",
];

/// Replaces what names somebody.
#[derive(Debug)]
pub(super) struct Mask {
    key: [u8; 32],
    words: HashSet<String>,
    named: HashSet<String>,
}

/// Words: runs of letters.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_ascii_alphabetic())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
}

/// What a token consists of; everything else separates tokens.
fn in_token(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | '@' | '\\' | ':' | '+' | '~' | '%' | '=')
}

impl Mask {
    /// With a key of its own. `names` is what this host calls its people, services, hosts and sinks.
    pub(super) fn new(key: [u8; 32], names: impl IntoIterator<Item = String>) -> Self {
        let pages = [
            crate::record::reference(),
            crate::config::reference(),
            crate::purpose::reference(),
            super::super::EXIT_CODES.to_owned(),
            super::ABOUT.to_owned(),
        ];
        // Of one or two letters nothing can be said, and every page has them.
        let named = names.into_iter().map(|name| name.to_lowercase()).filter(|name| name.len() > 1);
        Mask { key, words: pages.iter().flat_map(|page| words(page)).collect(), named: named.collect() }
    }

    fn pseudonym(&self, sort: &str, name: &str) -> String {
        let hash = blake3::keyed_hash(&self.key, name.as_bytes());
        format!("{sort}-{}", hex::encode(hash.as_bytes().get(..5).unwrap_or_default()))
    }

    /// Free text: token by token.
    pub(super) fn text(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let length = rest.find(|c| in_token(c) != in_token(first)).unwrap_or(rest.len());
            let (run, behind) = rest.split_at(length);
            if in_token(first) {
                out.push_str(&self.token(run));
            } else {
                out.push_str(run);
            }
            rest = behind;
        }
        out
    }

    fn token(&self, token: &str) -> String {
        // A sentence's end is no part of a name.
        let bare = token.trim_end_matches(['.', ':', '-', '=']);
        let end = token.get(bare.len()..).unwrap_or_default();
        let masked = if self.named.contains(&bare.to_lowercase()) {
            self.pseudonym("name", bare)
        } else if is_plain_number(bare) || is_time(bare) {
            bare.to_owned()
        } else if is_address(bare) {
            self.pseudonym("address", bare)
        } else if bare.contains(['/', '\\']) {
            self.pseudonym("path", bare)
        } else if let Some((before, after)) = bare.split_once(['=', ':', '@']) {
            // Both sides for themselves, so that a unit is the same with and without its kind before it.
            let at = before.len();
            let sign = bare.get(at..=at).unwrap_or_default();
            format!("{}{sign}{}", self.token(before), self.token(after))
        } else if self.known(bare) {
            bare.to_owned()
        } else {
            self.pseudonym("name", bare)
        };
        masked + end
    }

    /// Whether all of its words are ours, and none is somebody's.
    fn known(&self, token: &str) -> bool {
        let digits = token.chars().filter(char::is_ascii_digit).count();
        token.is_ascii()
            && digits <= 4
            && !token.contains('.')
            && words(token).all(|word| self.words.contains(&word) && !self.named.contains(&word))
    }

    /// JSON: keys stay, and what stands behind those that are ours.
    pub(super) fn json(&self, value: &Value, key: &str) -> Value {
        match value {
            Value::String(text) if OURS.contains(&key) && !self.named.contains(&text.to_lowercase()) => {
                Value::String(text.clone())
            }
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(list) => Value::Array(list.iter().map(|one| self.json(one, key)).collect()),
            Value::Object(object) => {
                let pairs = object.iter().map(|(key, value)| (key.clone(), self.json(value, key)));
                Value::Object(pairs.collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }
}

/// A number, with its unit or as a version. Not one that somebody is known by.
fn is_plain_number(token: &str) -> bool {
    let digits = token.bytes().take_while(u8::is_ascii_digit).count();
    let unit = token.get(digits..).unwrap_or_default();
    let is_version =
        token.split('.').count() <= 3 && token.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let units = ["", "s", "ms", "ns", "m", "h", "d", "w", "B", "KiB", "MiB", "GiB", "TiB", "%"];
    digits > 0 && (units.contains(&unit) || is_version)
}

/// `2026-01-02T03:04:05.678Z`, `03:04:05`.
fn is_time(token: &str) -> bool {
    let form: String = token.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let form = form.split_once('.').map_or(form.as_str(), |(form, _)| form).trim_end_matches('Z');
    let form = form.split_once('+').map_or(form, |(form, _)| form);
    ["0000-00-00T00:00:00", "0000-00-00", "00:00:00"].contains(&form)
}

fn is_address(token: &str) -> bool {
    let host = token.rsplit_once(':').map_or(token, |(host, _)| host);
    token.parse::<IpAddr>().is_ok() || host.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask() -> Mask {
        Mask::new([7; 32], ["db7", "alice", "backup"].map(str::to_owned))
    }

    #[test]
    fn what_names_somebody_is_replaced_and_the_rest_can_be_read() {
        let mask = mask();
        for (text, gone) in [
            ("the store /var/lib/spoor has no room", "var"),
            ("actor systemd:backup.service of alice", "backup"),
            ("connect to 10.0.0.9:443 refused", "10.0.0.9"),
            ("connect to [fd00::1]:443 refused", "fd00"),
            ("sink siem-frankfurt: x", "frankfurt"),
            ("resolve db7.example.org.", "example"),
            ("Backup of DB7", "DB7"),
            ("user Müller", "Müller"),
            (r"C:\Users\bob", "bob"),
            ("key AKIAIOSFODNN7EXAMPLE", "AKIA"),
        ] {
            let masked = mask.text(text);
            assert!(!masked.contains(gone), "{text}: {masked}");
        }
        let told = "2026-01-02T03:04:05Z record 1842 of the store: 12 MiB, 3 actions";
        assert_eq!(mask.text(told), told);
    }

    #[test]
    fn the_same_is_called_the_same_and_by_another_key_otherwise() {
        let (mask, other) = (mask(), Mask::new([8; 32], []));
        let one = mask.text("alice");
        assert_eq!(mask.text("user:alice"), format!("user:{one}"));
        assert_ne!(one, other.text("alice"));
        assert_ne!(mask.text("/etc/a"), mask.text("/etc/b"));
    }

    #[test]
    fn of_json_keys_stay_and_what_is_ours() {
        let value = serde_json::json!({"type":"gap","host":{"name":"db7"},"seq":4,"attach":["lsm/file_open"],"kind":"alice"});
        let masked = mask().json(&value, "");
        assert_eq!(masked["type"], "gap");
        assert_eq!(masked["seq"], 4);
        assert_eq!(masked["attach"][0], "lsm/file_open");
        assert!(!masked.to_string().contains("db7") && !masked.to_string().contains("alice"), "{masked}");
    }
}
