//! Entries out of the records that told them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::actor::{Actor, ActorKind};
use crate::credential::{Credential, Human, Lifetime};
use crate::inventory::{Account, Few, Holding, Place, Reach, Recent, Span, What};
use crate::record::{View, nanoseconds};

/// The entry an inventory record told. [`None`] where it is of another type, or says too little.
///
/// What was left out for want of room stays left out, and its count begins anew. Names that had to be escaped are not
/// taken back: they are learnt again.
#[must_use]
pub fn recall(view: &View) -> Option<What> {
    if view.kind() != "inventory" {
        return None;
    }
    match view.text("of")? {
        "actor" => Some(What::Actor(Box::new(account(view)?))),
        "credential" => Some(What::Credential(Box::new(holding(view)?))),
        _ => None,
    }
}

/// The actor of a record, by what does not change from one process of it to the next.
pub(in crate::record) fn actor(view: &View) -> Option<Arc<Actor>> {
    let kind = view.text("actor.kind")?;
    let text = |path| view.text(path).unwrap_or_default().to_owned();
    Some(Arc::new(Actor {
        id: view.text("actor.id")?.to_owned(),
        kind: ActorKind::ALL.into_iter().find(|known| known.name() == kind)?,
        origin: text("actor.origin"),
        user: text("actor.user"),
        user_source: None,
        human: None,
        human_unknown: None,
        pod: None,
        spiffe_id: None,
    }))
}

fn account(view: &View) -> Option<Account> {
    Some(Account {
        actor: actor(view)?,
        span: span(view.value())?,
        runs: Recent::of(view.number("runs").unwrap_or(0), Vec::new()),
        program: plain(view.text("last_program")),
        programs: programs(view)?,
        credentials: spans(view, "credentials"),
        people: spans(view, "people"),
        destinations: hosts(view),
    })
}

fn holding(view: &View) -> Option<Holding> {
    let told = view.list("credential").first()?;
    let text = |name: &str| told.get(name).and_then(Value::as_str);
    let version = text("version").map(str::to_owned);
    let pairs = told.get("identifiers").and_then(Value::as_object).into_iter().flatten();
    let identifiers = pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    let prints = told.get("fingerprints").and_then(Value::as_array).into_iter().flatten();
    let lifetimes = [Lifetime::LongLived, Lifetime::ShortLived, Lifetime::Rotated];
    let credential = Credential {
        id: text("id")?.to_owned(),
        kind: text("kind")?.to_owned(),
        path: plain(text("path")),
        identifiers: identifiers.collect(),
        fingerprints: prints.filter_map(Value::as_str).map(str::to_owned).collect(),
        version: version.clone(),
        written: text("written").and_then(seconds),
        expires: text("expires").and_then(seconds),
        issuer: text("issuer").unwrap_or_default().to_owned(),
        lifetime: lifetimes.into_iter().find(|known| Some(known.name()) == text("lifetime")),
        max_age: told.get("max_age_s").and_then(Value::as_u64).map(Duration::from_secs),
        human: if text("human_use") == Some(Human::Finding.name()) {
            Human::Finding
        } else {
            Human::Expected
        },
        ..Credential::default()
    };
    let mut files = Few::default();
    for file in view.list("files") {
        let path = plain(file.get("path").and_then(Value::as_str));
        if let (false, Some(place)) = (path.is_empty(), place(file)) {
            files.put(path, place);
        }
    }
    Some(Holding {
        credential: Arc::new(credential),
        known_ns: view.text("known").and_then(nanoseconds)?,
        used: span(view.value()),
        runs: Recent::of(view.number("runs").unwrap_or(0), Vec::new()),
        versions: Recent::of(view.number("versions").unwrap_or(0), version.into_iter().collect()),
        files,
        program: plain(view.text("last_program")),
        programs: programs(view)?,
        actors: spans(view, "actors"),
        people: spans(view, "people"),
        destinations: hosts(view),
    })
}

/// Bytes of a name that was not escaped; else none.
fn plain(text: Option<&str>) -> Vec<u8> {
    text.filter(|text| !text.contains('\\')).unwrap_or_default().as_bytes().to_vec()
}

fn seconds(time: &str) -> Option<i64> {
    Some(nanoseconds(time)? / 1_000_000_000)
}

fn span(value: &Value) -> Option<Span> {
    let time = |name| value.get(name).and_then(Value::as_str).and_then(nanoseconds);
    Some(Span { first_ns: time("first")?, last_ns: time("last")? })
}

fn place(file: &Value) -> Option<Place> {
    Some(Place {
        owner: file.get("owner").and_then(Value::as_u64).and_then(|owner| u32::try_from(owner).ok())?,
        mode: u32::from_str_radix(file.get("mode").and_then(Value::as_str)?, 8).ok()?,
        written: file.get("written").and_then(Value::as_str).and_then(seconds),
    })
}

fn programs(view: &View) -> Option<Few<Vec<u8>, i64>> {
    let last = view.text("last").or(view.text("time")).and_then(nanoseconds)?;
    let mut known = Few::default();
    for program in view.list("programs").iter().map(|program| plain(program.as_str())) {
        if !program.is_empty() {
            known.put(program, last);
        }
    }
    Some(known)
}

fn spans(view: &View, name: &str) -> Few<Arc<str>, Span> {
    let mut known = Few::default();
    for one in view.list(name) {
        if let (Some(id), Some(span)) = (one.get("id").and_then(Value::as_str), span(one)) {
            known.put(Arc::from(id), span);
        }
    }
    known
}

fn hosts(view: &View) -> Few<String, Reach> {
    let mut known = Few::default();
    for one in view.list("destinations") {
        let Some((to, span)) = one.get("to").and_then(Value::as_str).zip(span(one)) else { continue };
        let port = one.get("port").and_then(Value::as_u64).and_then(|port| u32::try_from(port).ok());
        let reached = one.get("reached").and_then(Value::as_bool).unwrap_or(false);
        known.put(to.to_owned(), Reach::of(span, port.unwrap_or(0), reached));
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Inventory, Limits, Told};
    use crate::record::testing::{CLOCK, NARROW, T0, backup, builder, census, edges, forgotten, roads};

    /// An agent that starts anew goes on as if it had not stopped: what was news before is none again.
    #[test]
    fn what_was_told_is_known_again() {
        let mut inventory = Inventory::new(NARROW, CLOCK.0, CLOCK.0);
        for record in census(false).iter().rev() {
            let view = View::parse(&record.body).unwrap();
            recall(&view).into_iter().for_each(|what| inventory.recall(what));
        }
        inventory.recalled();
        let mut told: Vec<Told> = Vec::new();
        for note in [backup(), edges(), roads()].concat() {
            inventory.note(&note, &mut told);
        }
        inventory.found(&forgotten(), T0, &mut told);
        let again: Vec<String> =
            told.iter().map(|told| String::from_utf8(builder(1).inventory(told).body).unwrap()).collect();
        // Where more was seen than an entry has room for, what was refused is refused again.
        assert_eq!(again, [""; 0]);
    }

    #[test]
    fn a_credential_whose_last_file_is_gone_is_not_known_again() {
        let records = census(false);
        let gone = records.last().map(|record| View::parse(&record.body).unwrap()).unwrap();
        assert_eq!((gone.list("why")[0].as_str(), gone.list("files").len()), (Some("gone"), 0));
        let mut inventory = Inventory::new(Limits::default(), CLOCK.0, CLOCK.0);
        recall(&gone).into_iter().for_each(|what| inventory.recall(what));
        assert_eq!(inventory.sizes(), (0, 1));
        inventory.recalled();
        assert_eq!(inventory.sizes(), (0, 0));
    }

    /// Every field may be missing, or be something else: that is another version's word, and no reason to fall over.
    #[test]
    fn a_record_with_anything_in_it_is_taken_or_passed_over() {
        fn spoilt(value: &Value, with: &Value, out: &mut Vec<Value>) {
            let mut put = |key: &dyn Fn(&mut Value) -> Option<&mut Value>, inner: &Value| {
                let mut inside = Vec::new();
                spoilt(inner, with, &mut inside);
                for new in inside {
                    let mut whole = value.clone();
                    if let Some(place) = key(&mut whole) {
                        *place = new;
                        out.push(whole);
                    }
                }
            };
            match value {
                Value::Object(map) => map.iter().for_each(|(name, inner)| {
                    put(&|whole: &mut Value| whole.get_mut(name.as_str()), inner);
                }),
                Value::Array(items) => items.iter().enumerate().for_each(|(at, inner)| {
                    put(&|whole: &mut Value| whole.get_mut(at), inner);
                }),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
            out.push(with.clone());
        }
        let record = census(false).into_iter().rev().nth(3).unwrap();
        let whole: Value = serde_json::from_slice(&record.body).unwrap();
        let (mut taken, mut passed_over) = (0, 0);
        for with in [Value::Null, Value::from(-1), Value::from("\\x"), Value::from(vec![1])] {
            let mut all = Vec::new();
            spoilt(&whole, &with, &mut all);
            for record in all {
                if let Ok(view) = View::parse(record.to_string().as_bytes()) {
                    *if recall(&view).is_some() { &mut taken } else { &mut passed_over } += 1;
                }
            }
        }
        assert!(taken > 50 && passed_over > 5, "{taken} taken, {passed_over} passed over");
    }

    #[test]
    fn what_is_no_entry_recalls_nothing() {
        for text in [
            r#""type":"heartbeat""#,
            r#""type":"inventory""#,
            r#""type":"inventory","of":"host""#,
            r#""type":"inventory","of":"omen""#,
            r#""type":"inventory","of":"actor","actor":{"id":"a","kind":"ghost"}"#,
            r#""type":"inventory","of":"credential","credential":[{"id":7}]"#,
            r#""type":"inventory","of":"credential","credential":[]"#,
        ] {
            let body = format!(r#"{{"seq":1,"time":"2026-01-02T03:00:00Z",{text}}}"#);
            assert_eq!(recall(&View::parse(body.as_bytes()).unwrap()), None, "{text}");
        }
    }
}
