//! Findings out of the records that told them.

use std::sync::Arc;

use serde_json::Value;

use crate::chain::Ulid;
use crate::credential::Credential;
use crate::finding::{Finding, Kind, Severity};
use crate::record::inventory::recalled_actor as actor;
use crate::record::{View, nanoseconds};

/// The finding a record told. [`None`] where it is of another type, or says too little. Its actions are not known again.
#[must_use]
pub fn recall(view: &View) -> Option<Finding> {
    if view.kind() != "finding" {
        return None;
    }
    let text = |path| view.text(path).unwrap_or_default().to_owned();
    let time = |path| view.text(path).and_then(nanoseconds);
    let ulid = |path| view.text(path).and_then(Ulid::from_text);
    let credential = view.list("credential").first();
    let of = |name: &str| credential.and_then(|known| known.get(name)).and_then(Value::as_str);
    let known = of("id").map(|id| {
        Arc::new(Credential {
            id: id.to_owned(),
            kind: of("kind").unwrap_or_default().to_owned(),
            path: of("path").unwrap_or_default().as_bytes().to_vec(),
            ..Credential::default()
        })
    });
    let facts = view.at("facts").and_then(Value::as_object).into_iter().flatten();
    Some(Finding {
        id: ulid("finding_id")?,
        again: true,
        kind: Kind::from_name(view.text("kind")?)?,
        severity: Severity::from_name(view.text("severity")?)?,
        time_ns: 0,
        chain: ulid("chain")?,
        run: ulid("run")?,
        actor: actor(view)?,
        program: text("last_program").into_bytes(),
        credential: known,
        subject: text("subject"),
        actions: Vec::new(),
        reason: text("reason"),
        facts: facts.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect(),
        first_ns: time("first")?,
        last_ns: time("last")?,
        count: view.number("count").unwrap_or(1),
        folded: view.number("folded").unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::testing::{alarm, census};

    #[test]
    fn what_was_told_is_known_again() {
        for record in alarm(false) {
            let view = View::parse(&record.body).unwrap();
            let known = recall(&view).unwrap();
            assert_eq!(Some(known.id.to_string().as_str()), view.text("finding_id"));
            assert_eq!(Some(known.chain.to_string().as_str()), view.chain());
            assert_eq!(Some(known.kind.name()), view.text("kind"));
            assert_eq!(Some(known.severity.name()), view.text("severity"));
            assert_eq!(Some(known.count), view.number("count"));
            let credential = view.list("credential").first().and_then(|known| known.get("id"));
            assert_eq!(
                known.credential.map(|known| known.id.clone()).as_deref(),
                credential.and_then(Value::as_str)
            );
        }
    }

    #[test]
    fn what_is_no_finding_recalls_nothing() {
        let others = census(false).into_iter().map(|record| String::from_utf8(record.body).unwrap());
        let odd = [
            r#"{"seq":1,"time":"2026-01-02T03:00:00Z","type":"finding"}"#,
            r#"{"seq":1,"time":"2026-01-02T03:00:00Z","type":"finding","actor":{"kind":"cron"},"finding_id":"x"}"#,
        ];
        for body in others.chain(odd.map(str::to_owned)) {
            assert_eq!(recall(&View::parse(body.as_bytes()).unwrap()), None, "{body}");
        }
    }
}
