use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::reference::{SAME, fields};
use super::testing::{backup, builder, goldens, records};
use super::{View, reference};
use crate::chain::Note;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/records")
}

#[test]
fn records_are_the_golden_ones() {
    let made: BTreeMap<String, Vec<u8>> = goldens()
        .into_iter()
        .map(|(name, records)| {
            let lines = records.iter().flat_map(|record| [record.body.as_slice(), b"\n"].concat()).collect();
            (format!("{name}.jsonl"), lines)
        })
        .collect();
    crate::record::testing::golden(&folder(), &made);
}

#[test]
fn the_same_notes_give_the_same_bytes() {
    assert_eq!(records(&backup()), records(&backup()));
}

#[test]
fn what_the_store_finds_a_record_by_is_what_its_bytes_say() {
    for (name, records) in goldens() {
        for record in records {
            let view = View::parse(&record.body).unwrap();
            assert_eq!(view.seq(), record.seq, "{name}");
            assert_eq!(view.time_ns(), record.time_ns, "{name}");
            assert_eq!(view.kind(), record.kind.name(), "{name}");
            assert_eq!(view.chain(), record.chain.as_deref(), "{name}");
            let chains: Vec<_> = view.list("chains").iter().filter_map(Value::as_str).collect();
            assert_eq!(chains, record.gap_chains, "{name}");
            assert!(!record.body.contains(&b'\n'), "{name}");
        }
    }
}

#[test]
fn links_name_records_and_no_secret_passes() {
    let records = records(&backup());
    let all: Vec<u8> = records.iter().flat_map(|record| record.body.clone()).collect();
    let all = String::from_utf8(all).unwrap();
    assert!(!all.contains("hunter2") && all.contains("--password=[redacted]"));
    let views: Vec<View> = records.iter().map(|record| View::parse(&record.body).unwrap()).collect();
    let opens: Vec<u64> =
        views.iter().filter(|view| view.text("action") == Some("secret.open")).map(View::seq).collect();
    let connect = views.iter().find(|view| view.text("action") == Some("connect")).unwrap();
    let of: Vec<u64> = connect.list("link.of").iter().filter_map(Value::as_u64).rev().collect();
    assert_eq!(of, opens);
    assert_eq!(connect.at("link.of_unknown"), None);
    assert_eq!(connect.at("process.auid"), Some(&Value::Null));
}

#[test]
fn nothing_but_auid_is_null() {
    fn nulls(path: &str, value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Null => {
                found.insert(path.to_owned());
            }
            Value::Array(items) => items.iter().for_each(|item| nulls(path, item, found)),
            Value::Object(map) => {
                map.iter().for_each(|(key, value)| nulls(&format!("{path}.{key}"), value, found));
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = BTreeSet::new();
    for record in goldens().into_iter().flat_map(|(_, records)| records) {
        nulls("", View::parse(&record.body).unwrap().value(), &mut found);
    }
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [".process.auid"]);
}

#[test]
fn an_opening_that_is_forgotten_is_counted_not_invented() {
    let mut builder = builder(1);
    let notes = backup();
    let exec = notes.iter().rfind(|note| matches!(note, Note::Acted(acted) if acted.link.is_some())).unwrap();
    let view = View::parse(&builder.note(exec).body).unwrap();
    assert_eq!((view.list("link.of").len(), view.number("link.of_unknown")), (0, Some(2)));
}

/// Every path in a record, with the label of the record it is in. Paths below objects that occur at several places are
/// those of the place where they are described.
fn paths(view: &View) -> BTreeSet<(String, String)> {
    fn walk(path: &str, value: &Value, found: &mut BTreeSet<String>) {
        let path = SAME.iter().find(|(place, _)| *place == path).map_or(path, |(place, same)| {
            found.insert((*place).to_owned());
            same
        });
        if !path.is_empty() {
            found.insert(path.to_owned());
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| walk(&format!("{path}[]"), item, found)),
            Value::Object(map) => {
                let counts = ["counters", "counts", "cpus", "total", "left_out", "facts"];
                let any = counts.contains(&path) || path.ends_with("identifiers");
                for (key, value) in map {
                    let key = if any { "*" } else { key };
                    let dot = if path.is_empty() { "" } else { "." };
                    walk(&format!("{path}{dot}{key}"), value, found);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let label = match (view.text("action"), view.text("status")) {
        (Some(action), _) => format!("action/{action}"),
        (None, Some(status)) => format!("chain/{status}"),
        (None, None) => view.kind().to_owned(),
    };
    let mut found = BTreeSet::new();
    walk("", view.value(), &mut found);
    // A process object at `root` is no field `process` of that record.
    if view.kind() == "chain" {
        found.remove("process");
    }
    found.into_iter().map(|path| (path, label.clone())).collect()
}

#[test]
fn the_reference_and_the_records_agree() {
    let mut seen = BTreeSet::new();
    for record in goldens().into_iter().flat_map(|(_, records)| records) {
        seen.extend(paths(&View::parse(&record.body).unwrap()));
    }
    for (path, label) in &seen {
        let field = fields().find(|field| field.path == path);
        let field = field.unwrap_or_else(|| panic!("`{path}` of {label} is not in the reference"));
        assert!(
            field.records.contains(&label.as_str()),
            "`{path}` is in {label}, the reference does not say so"
        );
    }
    for field in fields() {
        let occurs = seen.iter().any(|(path, _)| path == field.path);
        assert!(occurs, "`{}` is in the reference and in no golden record", field.path);
    }
    let names: BTreeSet<&str> = fields().map(|field| field.path).collect();
    assert_eq!(names.len(), fields().count(), "a field is described twice");
}

#[test]
fn the_reference_has_a_row_for_every_field() {
    let text = reference();
    for field in fields() {
        assert_eq!(text.matches(&format!("| `{}` |", field.path)).count(), 1, "{}", field.path);
    }
}
