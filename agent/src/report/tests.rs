mod audit;
mod pages;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::action::ConnectOutcome;
use crate::chain::{FanOut, Note};
use crate::credential::Credential;
use crate::record::View;
use crate::record::testing::{
    alarm, backup, builder, edges, golden, goldens, judged, keyless, records, renewal, roads,
};
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

/// A store of the nights as they are where owners have declared what they are for. The last is still open.
fn declared(open: bool) -> (TempDir, Reader) {
    let mut notes = judged([edges(), roads(), backup()].concat());
    if open {
        notes.pop();
    }
    alone(&notes)
}

/// A store of nothing else.
fn alone(notes: &[Note]) -> (TempDir, Reader) {
    let dir = TempDir::new().unwrap();
    let retention = Retention { keep: Duration::from_hours(24), max_bytes: 1 << 30 };
    Store::open(dir.path(), retention).unwrap().append(&records(notes)).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    (dir, reader)
}

/// The run of edges, as one that went on with its credential from system to system.
fn fanned_out(destinations: Vec<usize>) -> Vec<Note> {
    let mut notes = edges();
    let Some(Note::Closed(closed)) = notes.last_mut() else { panic!("a run ends") };
    let credential = closed.summary.credentials[0].id.clone();
    let outcomes = [ConnectOutcome::Established, ConnectOutcome::Error(13), ConnectOutcome::TimedOut];
    for (reached, outcome) in closed.summary.destinations.iter_mut().zip(outcomes) {
        reached.outcome = Some(outcome);
    }
    closed.summary.fan_out = vec![FanOut { credential, destinations }];
    notes
}

/// What an owner declares later: another port, and the credential that was missing.
const CHANGED: &str = r#"
[[purpose]]
name = "nightly-backup"
actor = "systemd:backup.service"
owner = "storage team"
programs = ["any"]
credentials = ["any"]
destinations = ["10.0.0.0/24:444"]
"#;

fn ids(reader: &Reader) -> (String, String) {
    let heads = reader.chains(&ChainsFilter::default()).unwrap();
    (heads[0].id.clone(), heads[1].id.clone())
}

/// A store of a host that was broken into, and still learns.
fn alarmed() -> (TempDir, Reader) {
    let dir = TempDir::new().unwrap();
    let retention = Retention { keep: Duration::from_hours(24), max_bytes: 1 << 30 };
    let mut store = Store::open(dir.path(), retention).unwrap();
    let records = alarm(true);
    store.append(&records).unwrap();
    let mut builder = builder(1840 + u64::try_from(records.len()).unwrap());
    builder.learning(Some(1_767_927_600_000_000_000));
    store.append(&[builder.heartbeat(3_700_000_000_000, &[])]).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    (dir, reader)
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
    let (_roads_dir, taken) = alone(&roads());
    let (_keyless_dir, fileless) = alone(&keyless());
    let (_renewal_dir, renewed) = alone(&renewal());
    let renews = renewed.chains(&ChainsFilter::default()).unwrap()[0].id.clone();
    let keys = fileless.chains(&ChainsFilter::default()).unwrap()[0].id.clone();
    let roads = taken.chains(&ChainsFilter::default()).unwrap()[0].id.clone();
    let (_alarm_dir, alarmed) = alarmed();
    let only = ChainsFilter { findings: true, limit: 1, ..ChainsFilter::default() };
    let broken_into = alarmed.chains(&only).unwrap()[0].id.clone();
    let found = |style: &Style| findings(&alarmed, &FindingsFilter::default(), style).unwrap();
    let (_declared_dir, judged) = declared(false);
    let (_fanned_dir, fanned) = alone(&fanned_out(vec![0, 1, 2]));
    let fan = fanned.chains(&ChainsFilter::default()).unwrap()[0].id.clone();
    let of = |reader: &Reader, id: &str, style: &Style| super::show(reader, id, Format::Text, style).unwrap();
    let texts = [
        ("show-purposes.txt", of(&judged, &ids(&judged).0, &PLAIN)),
        ("show-purposes-colour.txt", of(&judged, &ids(&judged).0, &COLOUR)),
        ("show-fan-out.txt", of(&fanned, &fan, &PLAIN)),
        ("show-fan-out-colour.txt", of(&fanned, &fan, &COLOUR)),
        ("chains-purposes.txt", chains(&declared(false).1, &filter, &PLAIN).unwrap()),
        ("rejudged.txt", {
            let purposes = crate::purpose::read(&[("p", CHANGED)]).unwrap().purposes;
            rejudge(&declared(false).1, Window::default(), &purposes, Some(&PLAIN)).unwrap()
        }),
        ("findings.txt", found(&PLAIN)),
        ("findings-colour.txt", found(&COLOUR)),
        (
            "findings-chains.txt",
            chains(&alarmed, &ChainsFilter { findings: true, ..filter.clone() }, &PLAIN).unwrap(),
        ),
        ("findings-show.txt", of(&alarmed, &broken_into, &PLAIN)),
        ("findings-show-colour.txt", of(&alarmed, &broken_into, &COLOUR)),
        ("show-roads.txt", of(&taken, &roads, &PLAIN)),
        ("show-keyless.txt", of(&fileless, &keys, &PLAIN)),
        ("show-renewal.txt", of(&renewed, &renews, &PLAIN)),
        ("show-renewal.dot", super::show(&renewed, &renews, Format::Dot, &PLAIN).unwrap()),
        ("show-renewal.svg", super::show(&renewed, &renews, Format::Svg, &PLAIN).unwrap()),
        ("show-backup.txt", show(&backup, &PLAIN)),
        ("show-backup-colour.txt", show(&backup, &COLOUR)),
        ("show-edges.txt", show(&edges, &PLAIN)),
        ("show-edges-colour.txt", show(&edges, &COLOUR)),
        ("show-open.txt", of(&open, &ids(&open).0, &PLAIN)),
        ("actors.txt", inventory(&taken, &Query::all(Of::Actors), &PLAIN).unwrap()),
        ("actors.jsonl", inventory_json(&reader, &Query::all(Of::Actors)).unwrap()),
        ("credentials.txt", inventory(&reader, &Query::all(Of::Credentials), &PLAIN).unwrap()),
        ("credentials-colour.txt", inventory(&reader, &Query::all(Of::Credentials), &COLOUR).unwrap()),
        ("credentials.jsonl", inventory_json(&reader, &Query::all(Of::Credentials)).unwrap()),
        ("report.html", audit::told(AuditFormat::Html, &PLAIN)),
        ("report.txt", audit::told(AuditFormat::Text, &PLAIN)),
        ("report-colour.txt", audit::told(AuditFormat::Text, &COLOUR)),
        ("inventory.txt", audit::listed(&Query::all(Of::Credentials), &PLAIN)),
        ("inventory-one.txt", audit::listed(&audit::one("aws:shared"), &PLAIN)),
        ("chains.txt", chains(&reader, &filter, &PLAIN).unwrap()),
        ("chains-colour.txt", chains(&reader, &filter, &COLOUR).unwrap()),
        ("chains-120.txt", chains(&open, &filter, &Style { width: 120, ..PLAIN }).unwrap()),
        ("live.txt", live(&PLAIN)),
        ("live-colour.txt", live(&COLOUR)),
    ];
    let pages = pages::all(&alarmed, &broken_into);
    texts.into_iter().chain(pages).map(|(name, text)| (name.to_owned(), text.into_bytes())).collect()
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
    let coloured = all.keys().filter_map(|name| name.strip_suffix("-colour.txt"));
    let coloured: Vec<&str> = coloured.collect();
    assert_eq!(
        coloured,
        [
            "chains",
            "credentials",
            "findings",
            "findings-show",
            "live",
            "report",
            "show-backup",
            "show-edges",
            "show-fan-out",
            "show-purposes"
        ]
    );
    for name in coloured {
        let text = |suffix: &str| String::from_utf8(all[&format!("{name}{suffix}.txt")].clone()).unwrap();
        assert_eq!(bare(&text("-colour")), text(""), "{name}");
    }
    // Why something is outside, or was found, is told to its end.
    for (name, end) in [
        ("show-purposes", "is not among its credentials"),
        ("findings-show", "which holds aws-access-key AKIAIOSFODNN7EXAMPLE"),
    ] {
        let text = String::from_utf8(all[&format!("{name}.txt")].clone()).unwrap();
        let words: Vec<&str> = text.split_whitespace().collect();
        assert!(words.join(" ").contains(end), "{name}: {text}");
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
            r#""action":"secret.open","file":{{"path":"/a","owner":0,"mode":"{mode}"}},"credential":[{{"id":"k:a","kind":"k","path":"/a"}}]"#
        )
    };
    let reach = r#""action":"connect","outcome":"established","link":{"of":[1]},"destination":{"ip":"10.0.0.1","port":443}"#;
    let idle = r#""action":"connect","outcome":"refused","destination":{"ip":"10.0.0.2","port":443}"#;
    let told = |records: &[String]| -> Vec<serde_json::Value> {
        let views = records.iter().map(|record| View::parse(record.as_bytes()).unwrap());
        let lines = inventory::told_of(views, &Query::all(Of::Credentials));
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
    let remarks: Vec<&str> =
        one["remarks"].as_array().unwrap().iter().filter_map(|remark| remark["text"].as_str()).collect();
    assert_eq!(
        remarks,
        ["used by 2 service accounts", "used by a person: alice", "its group may read /a (0640)"]
    );
    let actors: Vec<&str> =
        one["actors"].as_array().unwrap().iter().filter_map(|actor| actor["id"].as_str()).collect();
    assert_eq!(actors, ["systemd:a.service", "user:svc:/x"]);
}

/// What is proposed for what was recorded allows it, but for what a program without a name did.
#[test]
fn what_is_learnt_from_a_store_allows_what_is_in_it() {
    let (_dir, reader) = declared(false);
    let text = learn(&reader, Window::default()).unwrap();
    let purposes = crate::purpose::read(&[("learned", &text)])
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
        .purposes;
    let lines = rejudge(&reader, Window::default(), &purposes, None).unwrap();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let actors: Vec<_> = lines.iter().filter(|line| line["within"].is_u64()).collect();
    assert_eq!(actors.len(), 3, "{lines:#?}");
    for line in lines.iter().filter(|line| line["verdict"] == "outside") {
        assert!(line["what"].as_str().unwrap().ends_with("by /memfd:job"), "{line}");
        assert_eq!(
            line["reason"].as_str().unwrap().split(" is not among").next(),
            Some("program /memfd:job (its path is not sure)")
        );
    }
    let one = Window { actor: Some("container:docker:0123456789ab"), ..Window::default() };
    assert_eq!(learn(&reader, one).unwrap().matches("[[purpose]]").count(), 1);
    let later = Window { since_ns: Some(i64::MAX), ..Window::default() };
    assert!(learn(&reader, later).unwrap().contains("Nothing was seen"));
}

#[test]
fn the_same_purposes_say_the_same_of_what_was_recorded() {
    let (_dir, reader) = declared(false);
    let lines = rejudge(&reader, Window::default(), &crate::record::testing::declared(), None).unwrap();
    for line in lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()) {
        assert_eq!(line["recorded"], line["verdict"], "{line}");
    }
    assert!(lines.contains("\"within\":"), "{lines}");
}

#[test]
fn chains_with_something_outside() {
    let outside = ChainsFilter { outside: true, ..ChainsFilter::default() };
    for open in [false, true] {
        let (_dir, reader) = declared(open);
        let ids: Vec<String> = reader.chains(&outside).unwrap().into_iter().map(|head| head.id).collect();
        let all: Vec<String> =
            reader.chains(&ChainsFilter::default()).unwrap().into_iter().map(|head| head.id).collect();
        assert_eq!((ids.len(), all.len()), (2, 3));
        assert_eq!((&ids[0], &ids[1]), (&all[0], &all[1]), "not the one that is undeclared");
        let text = show(&reader, &all[0], Format::Text, &PLAIN).unwrap();
        assert!(text.contains("purpose     nightly-backup  4 within  1 outside\n"), "{text}");
    }
    let (_dir, reader) = store(false);
    assert_eq!(reader.chains(&outside).unwrap(), [], "where nobody has declared anything");
}

/// A place is one among the destinations, of which another credential may have had those before.
#[test]
fn fan_out_is_in_the_order_of_the_credential() {
    let shown = |destinations: &[usize]| {
        let (_dir, reader) = alone(&fanned_out(destinations.to_vec()));
        let id = reader.chains(&ChainsFilter::default()).unwrap()[0].id.clone();
        show(&reader, &id, Format::Text, &PLAIN).unwrap()
    };
    let two = "  2 systems\n              1  [2001:db8::9]:8443  timed-out\n              2  10.0.0.20:6443      established\n\n";
    assert!(shown(&[2, 0]).contains(two), "{}", shown(&[2, 0]));
    assert!(!shown(&[1]).contains("fan-out"), "one system is no fan-out");
    assert!(shown(&[7, 0]).contains("1  ?               ?\n"), "a place that is none: {}", shown(&[7, 0]));
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
fn a_finding_that_was_told_is_not_told_in_full_again() {
    let told = |told: &str| {
        let body = format!(
            r#"{{"seq":1,"time":"2026-01-02T03:00:00.000000000Z","type":"finding","told":"{told}","severity":"low",
            "kind":"untrusted-program","count":3,"reason":"a long sentence"}}"#
        );
        live_line(body.as_bytes(), &PLAIN).unwrap()
    };
    assert!(told("first").ends_with("low untrusted-program: a long sentence"), "{}", told("first"));
    assert!(told("again").ends_with("low untrusted-program again: 3 in all"), "{}", told("again"));
}

#[test]
fn what_a_terminal_would_obey_is_spelt_out() {
    let body = br#"{"seq":1,"time":"2026-01-02T03:00:00.000000000Z","type":"action","action":"secret.open",
        "file":{"path":"/a\u001b[2Jb\u202ec"},"process":{"pid":1,"exe":"/x\ny"}}"#;
    let line = live_line(body, &PLAIN).unwrap();
    assert!(line.contains("\\u{1b}[2Jb\\u{202e}c") && line.contains("x\\ny"), "{line}");
    assert_eq!(live_line(b"no record", &PLAIN), None);
}

#[test]
fn findings_are_told_newest_first_each_once_and_as_a_filter_wants() {
    let dir = TempDir::new().unwrap();
    let retention = Retention { keep: Duration::from_hours(24), max_bytes: 1 << 30 };
    Store::open(dir.path(), retention).unwrap().append(&alarm(true)).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let told = |filter: &FindingsFilter| -> Vec<(String, bool)> {
        let lines = findings_json(&reader, filter).unwrap();
        let views = lines.lines().map(|line| View::parse(line.as_bytes()).unwrap());
        views
            .map(|view| (view.text("kind").unwrap().to_owned(), view.text("told") == Some("again")))
            .collect()
    };
    let all = told(&FindingsFilter::default());
    let expected = [
        ("untrusted-program", true),
        ("memory-theft", false),
        ("new-actor", false),
        ("secret-in-arguments", false),
    ];
    assert_eq!(all, expected.map(|(kind, again)| (kind.to_owned(), again)));
    let filter = |filter: FindingsFilter| told(&filter).len();
    use crate::finding::{Kind, Severity};
    assert_eq!(filter(FindingsFilter { severity: Some(Severity::Critical), ..FindingsFilter::default() }), 1);
    assert_eq!(filter(FindingsFilter { kind: Some(Kind::NewActor), ..FindingsFilter::default() }), 1);
    assert_eq!(filter(FindingsFilter { since_ns: Some(i64::MAX), ..FindingsFilter::default() }), 0);
    assert_eq!(filter(FindingsFilter { limit: 2, ..FindingsFilter::default() }), 2);
    let none = FindingsFilter { since_ns: Some(i64::MAX), ..FindingsFilter::default() };
    assert_eq!(findings(&reader, &none, &PLAIN).unwrap(), "no findings\n");
}

/// One credential, rotated while the run went on and read from two files: it is one, and that is told.
#[test]
fn a_credential_is_listed_once_with_its_places_and_versions() {
    let mut notes = edges();
    let Some(Note::Closed(closed)) = notes.last_mut() else { panic!("a run ends") };
    let first = (*closed.summary.credentials[0]).clone();
    let rotated = Credential { version: Some("cv1:later".to_owned()), ..first.clone() };
    let copies =
        (0..7).map(|copy| Credential { path: format!("/srv/copy-{copy}").into(), ..rotated.clone() });
    let all = [first.clone(), rotated.clone()].into_iter().chain(copies).map(Arc::new);
    closed.summary.credentials.splice(0..1, all);
    let (_dir, reader) = alone(&notes);
    let id = reader.chains(&ChainsFilter::default()).unwrap()[0].id.clone();
    let shown = show(&reader, &id, Format::Text, &PLAIN).unwrap();
    let head: Vec<&str> = shown.lines().take_while(|line| !line.starts_with("Processes")).collect();
    let is_opened = |line: &&&str| line.contains("kubernetes-token tok") && !line.contains("fan-out");
    let rows: Vec<&&str> = head.iter().filter(is_opened).collect();
    assert_eq!(rows.len(), 1, "{shown}");
    assert!(rows[0].contains("  2 versions  "), "{shown}");
    assert!(shown.contains("  also /srv/copy-3\n") && !shown.contains("/srv/copy-4"), "{shown}");
    assert!(shown.contains("  and 3 places more\n"), "{shown}");
    let page = show(&reader, &id, Format::Html(Place::File), &PLAIN).unwrap();
    assert!(page.contains("(2 versions)") && page.contains("/srv/copy-6"), "{page}");
}
