use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::record::View;
use crate::record::testing::{backup, builder, edges, golden, goldens, records, roads};
use crate::store::{ChainsFilter, Reader, Retention, Store};

const PLAIN: Style = Style { width: 80, colour: false };
const COLOUR: Style = Style { width: 80, colour: true };

/// A store of both nights. The second is still open in a second store.
fn store(open: bool) -> (TempDir, Reader) {
    let dir = TempDir::new().unwrap();
    let retention = Retention { keep: Duration::from_hours(24), max_bytes: 1 << 30 };
    let mut store = Store::open(dir.path(), retention).unwrap();
    let mut builder = builder(1840);
    let mut notes = [edges(), backup()].concat();
    if open {
        notes.pop();
    }
    let records: Vec<_> = notes.iter().map(|note| builder.note(note)).collect();
    store.append(&records).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    (dir, reader)
}

fn ids(reader: &Reader) -> (String, String) {
    let heads = reader.chains(&ChainsFilter::default()).unwrap();
    (heads[0].id.clone(), heads[1].id.clone())
}

fn all() -> BTreeMap<String, Vec<u8>> {
    let (_dir, reader) = store(false);
    let (backup, edges) = ids(&reader);
    let show = |id: &str, style: &Style| show(&reader, id, Format::Text, style).unwrap();
    let filter = ChainsFilter::default();
    let (_open_dir, open) = store(true);
    let live = |style: &Style| -> String {
        let records = goldens().into_iter().flat_map(|(_, records)| records);
        records.filter_map(|record| live_line(&record.body, style)).map(|line| line + "\n").collect()
    };
    let (_roads_dir, taken) = {
        let dir = TempDir::new().unwrap();
        let retention = Retention { keep: Duration::from_hours(24), max_bytes: 1 << 30 };
        Store::open(dir.path(), retention).unwrap().append(&records(&roads())).unwrap();
        let reader = Reader::open(dir.path()).unwrap();
        (dir, reader)
    };
    let roads = taken.chains(&ChainsFilter::default()).unwrap()[0].id.clone();
    let texts = [
        ("show-roads.txt", super::show(&taken, &roads, Format::Text, &PLAIN).unwrap()),
        ("show-backup.txt", show(&backup, &PLAIN)),
        ("show-backup-colour.txt", show(&backup, &COLOUR)),
        ("show-edges.txt", show(&edges, &PLAIN)),
        ("show-open.txt", super::show(&open, &ids(&open).0, Format::Text, &PLAIN).unwrap()),
        ("actors.txt", inventory(&taken, Of::Actors, None, &PLAIN).unwrap()),
        ("actors.jsonl", inventory_json(&reader, Of::Actors, None).unwrap()),
        ("credentials.txt", inventory(&reader, Of::Credentials, None, &PLAIN).unwrap()),
        ("credentials-colour.txt", inventory(&reader, Of::Credentials, None, &COLOUR).unwrap()),
        ("credentials.jsonl", inventory_json(&reader, Of::Credentials, None).unwrap()),
        ("chains.txt", chains(&reader, &filter, &PLAIN).unwrap()),
        ("chains-colour.txt", chains(&reader, &filter, &COLOUR).unwrap()),
        ("chains-120.txt", chains(&open, &filter, &Style { width: 120, ..PLAIN }).unwrap()),
        ("live.txt", live(&PLAIN)),
        ("live-colour.txt", live(&COLOUR)),
    ];
    texts.into_iter().map(|(name, text)| (name.to_owned(), text.into_bytes())).collect()
}

#[test]
fn reports_are_the_golden_ones() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/report");
    golden(&folder, &all());
}

/// What a terminal shows of a text: without colours.
fn bare(text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split('\x1b');
    out.extend(parts.next());
    for part in parts {
        out.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    out
}

#[test]
fn colour_changes_no_letter_and_no_line_is_too_long() {
    let all = all();
    for name in ["show-backup", "chains", "credentials", "live"] {
        let text = |suffix: &str| String::from_utf8(all[&format!("{name}{suffix}.txt")].clone()).unwrap();
        assert_eq!(bare(&text("-colour")), text(""), "{name}");
    }
    for (name, text) in all.iter().filter(|(name, _)| name.ends_with(".txt") && !name.contains("120")) {
        for line in bare(std::str::from_utf8(text).unwrap()).lines() {
            assert!(line.chars().count() <= 80, "{name}: {line}");
            assert!(!line.chars().any(char::is_control), "{name}: {line}");
        }
    }
}

/// One credential, two actors, one of them a person; and a connection that came after the other's access.
#[test]
fn an_inventory_says_what_an_auditor_would_ask() {
    let record = |seq: u64, actor: &str, kind: &str, origin: &str, rest: &str| {
        format!(
            r#"{{"v":1,"seq":{seq},"time":"2026-01-02T03:0{seq}:00.000000000Z","type":"action","run":"r{seq}",
            "actor":{{"id":"{actor}","kind":"{kind}","origin":"{origin}","user":"u"}},
            "process":{{"exe":"/usr/bin/x"}},{rest}}}"#
        )
    };
    let opened = |mode: &str| {
        format!(
            r#""action":"secret.open","file":{{"mode":"{mode}"}},"credential":[{{"id":"k:a","kind":"k","path":"/a"}}]"#
        )
    };
    let reach = r#""action":"connect","outcome":"established","link":{"of":[1]},"destination":{"ip":"10.0.0.1","port":443}"#;
    let idle = r#""action":"connect","outcome":"refused","destination":{"ip":"10.0.0.2","port":443}"#;
    let told = |records: &[String]| -> Vec<serde_json::Value> {
        let views = records.iter().map(|record| View::parse(record.as_bytes()).unwrap());
        let lines = inventory::told_of(views, Of::Credentials);
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let alone = [
        record(1, "systemd:a.service", "systemd-service", "init", &opened("0600")),
        record(2, "systemd:a.service", "systemd-service", "init", reach),
        record(3, "systemd:a.service", "systemd-service", "init", idle),
    ];
    let one = &told(&alone)[0];
    assert_eq!(one["remarks"], serde_json::json!([]));
    // Linked is reached after the credential; what is not linked is not the credential's.
    let to = serde_json::json!([{"to": "10.0.0.1:443", "tried": 1, "established": 1}]);
    assert_eq!(one["destinations"], to);
    let mut shared = alone.to_vec();
    shared.push(record(4, "user:svc:/x", "system-user", "human:alice", &opened("0640")));
    let one = &told(&shared)[0];
    let remarks = serde_json::json!([
        "used by several actors (NHI9:2025)",
        "used by a person (NHI10:2025)",
        "readable by others than its owner"
    ]);
    assert_eq!(one["remarks"], remarks);
    assert_eq!(one["actors"], serde_json::json!(["systemd:a.service", "user:svc:/x"]));
}

#[test]
fn narrow_and_endless_lines_do_no_harm() {
    let (_dir, reader) = store(false);
    let (backup, edges) = ids(&reader);
    for width in [0, 1, 7, 40, 300] {
        let style = Style { width, colour: true };
        for id in [&backup, &edges] {
            let text = show(&reader, id, Format::Text, &style).unwrap();
            assert!(width == 0 || bare(&text).lines().all(|line| line.chars().count() <= width), "{text}");
        }
        chains(&reader, &ChainsFilter::default(), &style).unwrap();
    }
}

#[test]
fn json_is_the_records_themselves() {
    let (_dir, reader) = store(false);
    let (backup, _) = ids(&reader);
    let json = show(&reader, &backup.to_lowercase(), Format::Json, &PLAIN).unwrap();
    let stored: String = reader
        .chain(&backup)
        .unwrap()
        .iter()
        .map(|stored| format!("{}\n", std::str::from_utf8(&stored.body).unwrap()))
        .collect();
    assert_eq!(json, stored);
    assert_eq!(json.lines().count(), 9);
}

#[test]
fn a_name_that_names_no_one_chain_says_what_to_do() {
    let (_dir, reader) = store(false);
    let (backup, edges) = ids(&reader);
    let why = |prefix: &str| show(&reader, prefix, Format::Text, &PLAIN).unwrap_err().to_string();
    assert_eq!(why("ZZZ"), "no chain begins with `ZZZ`; `spoor chains` lists those there are");
    let many = why("01KD");
    assert!(many.contains(&backup) && many.contains(&edges), "{many}");
    assert!(why("").contains("several chains"));
}

#[test]
fn what_a_terminal_would_obey_is_spelt_out() {
    let body = br#"{"seq":1,"time":"2026-01-02T03:00:00.000000000Z","type":"action","action":"secret.open",
        "file":{"path":"/a\u001b[2Jb\u202ec"},"process":{"pid":1,"exe":"/x\ny"}}"#;
    let line = live_line(body, &PLAIN).unwrap();
    assert!(line.contains("\\u{1b}[2Jb\\u{202e}c") && line.contains("x\\ny"), "{line}");
    assert_eq!(live_line(b"no record", &PLAIN), None);
}
