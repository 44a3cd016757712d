//! What envelopes and filters need to know of a record.

use crate::config::Severity;
use crate::record::{Members, Strange, Tree, Value, View, nanoseconds};
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
    pub(super) fn of<T: Tree>(view: &View<T>) -> Self {
        let text = |path| view.text(path).map(str::to_owned);
        Self {
            time_ns: view.time_ns(),
            host_id: text("host.id").unwrap_or_default(),
            host_name: text("host.name").unwrap_or_default(),
            kind: view.kind().to_owned(),
            action: text("action"),
            label: schema::label(view).into_owned(),
            chain: text("chain"),
            actor: text("actor.id"),
            pid: view.number("process.pid"),
            severity: schema::severity(view),
        }
    }

    /// The same of a record's bytes, without a tree of all that is in it. `None` where only a [`View`] can tell: what is no
    /// record, and the few records that are not as the others.
    pub(super) fn at_a_glance(body: &[u8]) -> Option<Self> {
        Self::as_written(body).ok().flatten()
    }

    fn as_written(body: &[u8]) -> Result<Option<Self>, Strange> {
        let Some(seen) = Glance::of(body)? else { return Ok(None) };
        let (Some(_), Some(time), Some(kind)) = (seen.seq, seen.time, seen.kind) else { return Ok(None) };
        if kind == "gap" {
            return Ok(None);
        }
        let label = match (seen.action, seen.status.or(seen.state)) {
            (Some(action), _) => action.to_owned(),
            (None, Some(status)) => format!("{kind}.{status}"),
            (None, None) => kind.to_owned(),
        };
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let facts = |time_ns| Self {
            time_ns,
            host_id: owned(seen.host_id).unwrap_or_default(),
            host_name: owned(seen.host_name).unwrap_or_default(),
            kind: kind.to_owned(),
            action: owned(seen.action),
            label,
            chain: owned(seen.chain),
            actor: owned(seen.actor),
            pid: seen.pid,
            severity: Severity::Informational,
        };
        Ok(nanoseconds(time).map(facts))
    }

    /// What names the record everywhere and for ever.
    pub(super) fn id(&self, seq: u64) -> String {
        format!("{}-{seq}", self.host_id)
    }
}

/// What facts are made of, as it stands in a record.
#[derive(Default)]
struct Glance<'a> {
    seq: Option<u64>,
    time: Option<&'a str>,
    kind: Option<&'a str>,
    action: Option<&'a str>,
    status: Option<&'a str>,
    state: Option<&'a str>,
    chain: Option<&'a str>,
    host_id: Option<&'a str>,
    host_name: Option<&'a str>,
    actor: Option<&'a str>,
    pid: Option<u64>,
}

impl<'a> Glance<'a> {
    /// Reads over all else. `None` where a record has what others have not.
    fn of(body: &'a [u8]) -> Result<Option<Self>, Strange> {
        let (mut seen, mut members) = (Self::default(), Members::of(body)?);
        while let Some((name, value)) = members.next()? {
            match name {
                b"seq" => seen.seq = Some(value.number()?),
                b"time" => seen.time = Some(value.text()?),
                b"type" => seen.kind = Some(value.text()?),
                b"action" => seen.action = Some(value.text()?),
                b"status" => seen.status = Some(value.text()?),
                b"state" => seen.state = Some(value.text()?),
                b"chain" => seen.chain = Some(value.text()?),
                b"host" => {
                    let mut host = value.members()?;
                    while let Some((name, value)) = host.next()? {
                        match name {
                            b"id" => seen.host_id = Some(value.text()?),
                            b"name" => seen.host_name = Some(value.text()?),
                            _ => {}
                        }
                    }
                }
                b"actor" => seen.actor = member(value.members()?, b"id")?.map(Value::text).transpose()?,
                b"process" => seen.pid = member(value.members()?, b"pid")?.map(Value::number).transpose()?,
                b"severity" | b"signals" => return Ok(None),
                _ => {}
            }
        }
        Ok(Some(seen))
    }
}

/// The value of a name.
fn member<'a>(mut members: Members<'a>, wanted: &[u8]) -> Result<Option<Value<'a>>, Strange> {
    while let Some((name, value)) = members.next()? {
        if name == wanted {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Room;

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
                    assert_eq!(
                        facts,
                        Facts::of(&View::borrow(line.as_bytes(), &mut Room::new()).unwrap()),
                        "{line}"
                    );
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
