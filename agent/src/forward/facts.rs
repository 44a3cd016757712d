//! What envelopes and filters need to know of a record.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::config::Severity;
use crate::record::{View, nanoseconds};
use crate::schema;

/// What envelopes and filters need to know of a record.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) time_ns: i64,
    pub(super) host_id: String,
    pub(super) host_name: String,
    pub(super) kind: String,
    pub(super) action: Option<String>,
    /// The action, or the type with the status behind it.
    pub(super) label: String,
    pub(super) chain: Option<String>,
    pub(super) actor: Option<String>,
    pub(super) pid: Option<u64>,
    pub(super) severity: Severity,
}

impl Facts {
    pub(super) fn of(view: &View) -> Self {
        let text = |path| view.text(path).map(str::to_owned);
        Self {
            time_ns: view.time_ns(),
            host_id: text("host.id").unwrap_or_default(),
            host_name: text("host.name").unwrap_or_default(),
            kind: view.kind().to_owned(),
            action: text("action"),
            label: schema::label(view),
            chain: text("chain"),
            actor: text("actor.id"),
            pid: view.number("process.pid"),
            severity: schema::severity(view),
        }
    }

    /// The same of a record's bytes, without a tree of all that is in it. `None` where only a [`View`] can tell: what is no
    /// record, and the few records that are not as the others.
    pub(super) fn at_a_glance(body: &[u8]) -> Option<Self> {
        let seen: Glance<'_> = serde_json::from_str(std::str::from_utf8(body).ok()?).ok()?;
        let Glance { seq: _, time, kind, action, status, state, chain, host, actor, process, .. } = seen;
        if seen.signals.is_some() || seen.severity.is_some() || kind == "gap" {
            return None;
        }
        let host = host.unwrap_or_default();
        let label = match (action, status.or(state)) {
            (Some(action), _) => action.to_owned(),
            (None, Some(status)) => format!("{kind}.{status}"),
            (None, None) => kind.to_owned(),
        };
        Some(Self {
            time_ns: nanoseconds(time)?,
            host_id: host.id.unwrap_or_default().to_owned(),
            host_name: host.name.unwrap_or_default().to_owned(),
            kind: kind.to_owned(),
            action: action.map(str::to_owned),
            label,
            chain: chain.map(str::to_owned),
            actor: actor.and_then(|actor| actor.id).map(str::to_owned),
            pid: process.and_then(|process| process.pid),
            severity: Severity::Informational,
        })
    }

    /// What names the record everywhere and for ever.
    pub(super) fn id(&self, seq: u64) -> String {
        format!("{}-{seq}", self.host_id)
    }
}

/// The fields of a record that facts are made of. All else is read over.
#[derive(Deserialize)]
struct Glance<'a> {
    #[expect(dead_code, reason = "what has no number is no record")]
    seq: u64,
    time: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    action: Option<&'a str>,
    status: Option<&'a str>,
    state: Option<&'a str>,
    chain: Option<&'a str>,
    #[serde(borrow)]
    host: Option<Named<'a>>,
    #[serde(borrow)]
    actor: Option<Named<'a>>,
    process: Option<Numbered>,
    severity: Option<IgnoredAny>,
    signals: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
struct Named<'a> {
    id: Option<&'a str>,
    name: Option<&'a str>,
}

#[derive(Deserialize)]
struct Numbered {
    pid: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glance_shows_what_a_view_does() {
        let (mut seen, mut all) = (0, 0);
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/records");
        for entry in std::fs::read_dir(golden).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            for line in text.lines().filter(|line| line.starts_with('{')) {
                let Ok(view) = View::parse(line.as_bytes()) else { continue };
                all += 1;
                if let Some(facts) = Facts::at_a_glance(line.as_bytes()) {
                    assert_eq!(facts, Facts::of(&view), "{line}");
                    seen += 1;
                }
            }
        }
        assert!(seen > 20 && seen * 2 > all, "{seen} of {all}");
    }

    #[test]
    fn what_is_not_as_other_records_is_left_to_the_view() {
        let of = |body: &str| Facts::at_a_glance(body.as_bytes());
        let plain = r#"{"host":{"id":"h"},"seq":1,"time":"2026-01-02T00:00:00Z","type":"action"}"#;
        assert_eq!(of(plain).map(|facts| (facts.host_id, facts.label)), Some(("h".into(), "action".into())));
        for other in [
            "",
            "{",
            r#"{"time":"2026-01-02T00:00:00Z","type":"action"}"#,
            r#"{"seq":1,"time":"soon","type":"action"}"#,
            r#"{"seq":1,"time":"2026-01-02T00:00:00Z","type":7}"#,
            r#"{"seq":1,"time":"2026-01-02T00:00:00Z","type":"action","actor":["x"]}"#,
            r#"{"seq":1,"time":"2026-01-02T00:00:00Z","type":"action","chain":"\u0041"}"#,
            r#"{"seq":1,"time":"2026-01-02T00:00:00Z","type":"gap"}"#,
            r#"{"seq":1,"time":"2026-01-02T00:00:00Z","type":"finding","severity":"high"}"#,
            r#"{"seq":1,"time":"2026-01-02T00:00:00Z","type":"coverage","signals":[]}"#,
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
