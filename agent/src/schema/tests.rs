use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::table::{Row, TABLE, Where};
use super::*;
use crate::config::OcsfVersion;
use crate::record::Room;
use crate::record::testing::{golden, goldens};

mod definitions;
mod messages;
mod rest;

const VERSIONS: [(&str, OcsfVersion); 3] =
    [("1.1.0", OcsfVersion::V1_1), ("1.3.0", OcsfVersion::V1_3), ("1.8.0", OcsfVersion::V1_8)];

const FORMATS: [Format; 7] = [
    Format::Ocsf(OcsfVersion::V1_8),
    Format::Ocsf(OcsfVersion::V1_3),
    Format::Ocsf(OcsfVersion::V1_1),
    Format::Ecs,
    Format::Otel,
    Format::Cef,
    Format::Leef,
];

/// Every golden record, and some of types that are not there yet.
fn bodies() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> =
        goldens().into_iter().flat_map(|(_, records)| records).map(|record| record.body).collect();
    let host = r#""host":{"id":"6f1d","name":"db7","boot_id":"2899dae4-4fa4-4eef-95b6-6bc95325f61a"}"#;
    for more in [
        r#""type":"finding","finding_id":"01KDYABKWCNKHVEWGFPD89VGQN","told":"first","kind":"new-actor","severity":"medium","reason":"a sentence","count":1,"facts":{"what":"password"},"tags":{"attack":["T1552"]},"score":0.5"#,
        r#""type":"finding","finding_id":"01KDYABKWCNKHVEWGFPD89VGQN","told":"again","kind":"new-actor","severity":"high","reason":"a sentence","count":9"#,
        r#""type":"omen","new":{"deep":[1,{"x":null}],"large":18446744073709551615,"bar|eq=\\":"a=b\nc|d"}"#,
    ] {
        bodies.push(
            format!(r#"{{"v":1,"seq":7,"time":"2026-01-02T03:04:05.678901234Z",{more},{host}}}"#).into(),
        );
    }
    bodies
}

fn views() -> Vec<View> {
    bodies().iter().map(|body| View::parse(body).unwrap()).collect()
}

fn of_body(format: Format, body: &[u8]) -> Vec<u8> {
    encode(format, &View::borrow(body, &mut Room::new()).unwrap(), body)
}

fn encoded(format: Format, view: &View) -> String {
    String::from_utf8(of_body(format, view.value().to_string().as_bytes())).unwrap()
}

fn event(format: Format, view: &View) -> Value {
    serde_json::from_str(&encoded(format, view)).unwrap()
}

#[test]
fn the_same_records_in_every_schema_are_the_golden_ones() {
    let mut made = BTreeMap::new();
    for format in FORMATS {
        let name = match format {
            Format::Ocsf(OcsfVersion::V1_1) => "ocsf-1.1.0",
            Format::Ocsf(OcsfVersion::V1_3) => "ocsf-1.3.0",
            Format::Ocsf(OcsfVersion::V1_8)
            | Format::Native
            | Format::Ecs
            | Format::Otel
            | Format::OtelProtobuf
            | Format::Cef
            | Format::Leef => format.name(),
        };
        let lines: Vec<u8> =
            bodies().iter().flat_map(|body| [of_body(format, body), b"\n".to_vec()].concat()).collect();
        let kind = if format.is_json() { "jsonl" } else { "txt" };
        made.insert(format!("{name}.{kind}"), lines);
    }
    for (name, records) in goldens() {
        let views: Vec<View> = records.iter().map(|record| View::parse(&record.body).unwrap()).collect();
        made.insert(format!("prov-{name}.json"), format!("{:#}\n", prov(&views)).into_bytes());
    }
    golden(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/schemas"), &made);
}

/// Reads every document, writes it, reads that, and demands the same twice, in PROV-N too; counts what it found.
const ROUND_TRIP: &str = "
import glob, sys
from prov.model import ProvDocument, ProvActivity, ProvAgent, ProvEntity
for path in sorted(glob.glob(sys.argv[1] + '/prov-*.json')):
    one = ProvDocument.deserialize(path, format='json')
    two = ProvDocument.deserialize(content=one.serialize(format='json'), format='json')
    assert one == two, path
    assert one.get_provn() == two.get_provn(), path
    print(path.rsplit('/', 1)[1], *[len(list(one.get_records(kind))) for kind in (ProvAgent, ProvActivity, ProvEntity)])
";

/// A Python that has this package: runs it, and gives what it said. Without it the test says so and does nothing, unless
/// it must not.
fn python(package: &str) -> Option<impl Fn(&[&str]) -> String> {
    let python = std::env::var_os("SPOOR_PYTHON").unwrap_or_else(|| "python3".into());
    let run = move |arguments: &[&str]| std::process::Command::new(&python).args(arguments).output();
    if !run(&["-c", &format!("import {package}")]).is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("SPOOR_PYTHON").is_none(), "SPOOR_PYTHON has no package `{package}`");
        eprintln!("SKIP: python3 has no package `{package}`; `cargo xtask test unit` gets one");
        return None;
    }
    Some(move |arguments: &[&str]| {
        let output = run(arguments).unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    })
}

#[test]
fn provenance_is_read_and_written_by_another_hand_without_a_change() {
    let Some(run) = python("prov") else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/schemas");
    let said = run(&["-c", ROUND_TRIP, folder.to_str().unwrap()]);
    let count =
        |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim().to_owned();
    let document: Value =
        serde_json::from_slice(&std::fs::read(folder.join("prov-backup.json")).unwrap()).unwrap();
    let ours =
        ["agent", "activity", "entity"].map(|kind| document[kind].as_object().unwrap().len().to_string());
    assert_eq!(count("prov-backup.json"), ours.join(" "));
}

/// Every value of a record, with its path; lists, and maps of any names, as they are.
fn leaves(path: &str, value: &Value, out: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(map) if !["counts", "cpus", "counters", "new"].contains(&path) => {
            for (key, value) in map {
                let dot = if path.is_empty() { "" } else { "." };
                leaves(&format!("{path}{dot}{key}"), value, out);
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => out.push((path.to_owned(), value.clone())),
    }
}

#[test]
fn nothing_of_a_record_is_left_out_of_any_schema() {
    for view in views() {
        let mut all = Vec::new();
        leaves("", view.value(), &mut all);
        for format in FORMATS {
            let text = encoded(format, &view);
            // What stands in the line of names and values as JSON, or in attributes, is read as itself again.
            let plain = text.clone() + &text.replace("\\\\", "\\").replace("\\=", "=").replace("\\\"", "\"");
            for (path, value) in &all {
                let as_text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let inner = value.to_string();
                // The first are named by class or label, not by themselves.
                let found = ["type", "status", "state", "v", "severity"].contains(&path.as_str())
                    || plain.contains(&as_text)
                    || plain.contains(&inner)
                    || holds(&plain, value);
                assert!(
                    found,
                    "`{path}` of {} is not in its {}: {value}\n{text}",
                    label(&view),
                    format.name()
                );
            }
        }
    }
}

/// Whether every text and number of a value is in a text.
fn holds(text: &str, value: &Value) -> bool {
    match value {
        Value::Object(map) => map.values().all(|value| holds(text, value)),
        Value::Array(items) => items.iter().all(|item| holds(text, item)),
        Value::String(word) => {
            let escaped = value.to_string();
            text.contains(word.as_str()) || text.contains(escaped.trim_matches('"'))
        }
        // An integral float may lose its point on the way.
        Value::Number(number) => {
            let word = number.to_string();
            text.contains(&word) || text.contains(word.trim_end_matches(".0"))
        }
        Value::Bool(_) | Value::Null => true,
    }
}

/// The row for a field: its own, or that of what it is in.
fn row(path: &str) -> Option<&'static Row> {
    let mut path = path;
    loop {
        if let Some(row) = TABLE.iter().find(|row| row.path == path) {
            return Some(row);
        }
        path = path.strip_suffix("[]").or_else(|| Some(path.rsplit_once('.')?.0))?;
    }
}

#[test]
fn every_field_of_the_reference_is_in_the_table() {
    let known: BTreeSet<&str> = crate::record::field_paths().collect();
    let lacking: Vec<_> = known.iter().filter(|path| row(path).is_none()).collect();
    assert!(lacking.is_empty(), "no schema says where these go: {lacking:?}");
    let listed: BTreeSet<&str> = TABLE.iter().map(|row| row.path).collect();
    assert_eq!(listed.len(), TABLE.len(), "a field is listed twice");
    // `target` has the fields of a process.
    let unknown: Vec<_> =
        listed.iter().filter(|path| !known.contains(**path) && !path.starts_with("target.")).collect();
    assert!(unknown.is_empty(), "no record has these: {unknown:?}");
}

#[test]
fn the_table_tells_where_each_field_really_is() {
    // Which rows were ever seen to be true.
    let mut proven: BTreeSet<(&str, &str)> = BTreeSet::new();
    for view in views() {
        let mut all = Vec::new();
        leaves("", view.value(), &mut all);
        let ocsf = event(Format::Ocsf(OcsfVersion::V1_8), &view);
        let ecs = event(Format::Ecs, &view);
        let otel: Value = event(Format::Otel, &view);
        let attribute = |name: &str| {
            let attributes = otel["attributes"].as_array().unwrap();
            let below = format!("{name}.");
            attributes
                .iter()
                .filter_map(|one| one["key"].as_str())
                .any(|key| key == name || key.starts_with(&below))
        };
        for (path, _) in &all {
            let Some(Row { path: named, ocsf: in_ocsf, ecs: in_ecs, otel: in_otel }) = row(path) else {
                continue;
            };
            let check = |schema: &'static str, place: &Where, there: &dyn Fn(&str) -> bool, rest: &str| {
                let rest = format!("{rest}.{path}");
                let good = match place {
                    Where::At(places) => places.iter().any(|place| there(place)) || there(&rest),
                    Where::Rest => there(&rest),
                };
                assert!(good, "{schema}: `{path}` of {} is not where the table says", label(&view));
                if let Where::At(places) = place
                    && places.iter().any(|place| there(place))
                {
                    return true;
                }
                matches!(place, Where::Rest)
            };
            let at = |value: &Value, place: &str| -> bool {
                place.split('.').try_fold(value, |value, name| value.get(name)).is_some()
            };
            if check("ocsf", in_ocsf, &|place| at(&ocsf, place), "unmapped") {
                proven.insert((*named, "ocsf"));
            }
            if check("ecs", in_ecs, &|place| at(&ecs, place), "spoor") {
                proven.insert((*named, "ecs"));
            }
            let in_otel_there = |place: &str| attribute(place) || at(&otel, place);
            if check("otel", in_otel, &in_otel_there, "spoor") {
                proven.insert((*named, "otel"));
            }
        }
    }
    for row in TABLE {
        for (schema, place) in [("ocsf", &row.ocsf), ("ecs", &row.ecs), ("otel", &row.otel)] {
            if matches!(place, Where::At(_)) {
                assert!(
                    proven.contains(&(row.path, schema)),
                    "{schema}: nothing shows where `{}` goes",
                    row.path
                );
            }
        }
    }
}

#[test]
fn ocsf_is_what_its_own_definitions_say() {
    let mut all = Vec::new();
    for (name, version) in VERSIONS {
        let definitions = definitions::Definitions::read(name);
        for view in views() {
            let event = event(Format::Ocsf(version), &view);
            let mistakes = definitions.mistakes(&event);
            all.extend(mistakes.into_iter().map(|mistake| format!("{name}, {}: {mistake}", label(&view))));
        }
    }
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn the_definitions_would_notice() {
    let definitions = definitions::Definitions::read("1.8.0");
    let view = views().into_iter().find(|view| view.text("action") == Some("secret.open")).unwrap();
    let good = event(Format::Ocsf(OcsfVersion::V1_8), &view);
    type Spoil = fn(&mut Value);
    let spoils: [Spoil; 6] = [
        |event| event["file"] = json!({"path": "/x", "type_id": 1}),
        |event| event["severity_id"] = json!(42),
        |event| event["time"] = json!("noon"),
        |event| event["omen"] = json!(1),
        |event| event["actor"] = json!({}),
        |event| event["type_uid"] = json!(100_101),
    ];
    for (number, spoil) in spoils.into_iter().enumerate() {
        let mut event = good.clone();
        spoil(&mut event);
        assert!(!definitions.mistakes(&event).is_empty(), "spoil {number}");
    }
}

#[test]
fn lines_of_names_and_values_can_be_read_back() {
    for view in views() {
        let line = encoded(Format::Cef, &view);
        assert!(!line.contains('\n'));
        // Eight fields of header, split at bars that are not escaped.
        let mut bars = 0;
        let mut escaped = false;
        let mut rest = "";
        for (at, c) in line.char_indices() {
            match c {
                '\\' if !escaped => escaped = true,
                '|' if !escaped => {
                    bars += 1;
                    if bars == 7 {
                        rest = &line[at + 1..];
                        break;
                    }
                }
                _ => escaped = false,
            }
        }
        assert_eq!(bars, 7, "{line}");
        // The last value is what was not mapped, and JSON again once it is no longer escaped.
        let (_, json) = rest.split_once(" spoor=").unwrap();
        let json = json.split(" cs").next().unwrap().split(" cn1Label").next().unwrap();
        let json = json.replace("\\\\", "\u{1}").replace("\\=", "=").replace('\u{1}', "\\");
        let value: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
        assert_eq!(value["seq"], view.seq());
        let line = encoded(Format::Leef, &view);
        assert!(line.starts_with("LEEF:2.0|spoor|spoor|") && !line.contains('\n'));
        let (_, pairs) = line.split_once("|x09|").unwrap();
        let pairs: Vec<_> = pairs.split('\t').map(|pair| pair.split_once('=').expect("a pair")).collect();
        let names: BTreeSet<_> = pairs.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), pairs.len(), "a name twice");
        let (_, rest) = pairs.iter().find(|(name, _)| *name == "spoor").unwrap();
        assert!(serde_json::from_str::<Value>(rest).is_ok());
    }
}

#[test]
fn the_page_has_a_row_for_every_field() {
    let page = reference();
    for row in TABLE {
        assert_eq!(page.matches(&format!("\n| `{}` |", row.path)).count(), 1, "{}", row.path);
    }
}

/// Any record there may ever be: known names with values of any kind, and unknown names.
fn any_record() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("a|b=c\\d\n\te")),
    ];
    let names = prop::sample::select(
        TABLE
            .iter()
            .flat_map(|row| row.path.split('.'))
            .chain(["omen", "a.b", "é", "severity", "finding"])
            .collect::<Vec<_>>(),
    );
    let value = leaf.prop_recursive(4, 24, 4, move |inner| {
        let names = names.clone();
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names, inner), 0..5).prop_map(|pairs| {
                Value::Object(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    });
    let tops = prop::sample::select(
        TABLE
            .iter()
            .map(|row| row.path.split('.').next().unwrap_or_default())
            .chain(["omen"])
            .collect::<Vec<_>>(),
    );
    (prop::collection::vec((tops, value), 0..12), any::<u32>()).prop_map(|(pairs, seq)| {
        let mut record: serde_json::Map<_, _> =
            pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        record.insert("seq".to_owned(), json!(seq));
        record.insert("time".to_owned(), json!("2026-01-02T03:04:05.678901234Z"));
        record.entry("type").or_insert(json!("action"));
        Value::Object(record)
    })
}

proptest::proptest! {
    #[test]
    fn any_record_goes_into_every_schema_and_none_of_its_texts_is_lost(record in any_record()) {
        let Ok(view) = View::parse(record.to_string().as_bytes()) else { return Ok(()) };
        let _ = prov(std::slice::from_ref(&view));
        let mut all = Vec::new();
        leaves("", view.value(), &mut all);
        for format in FORMATS {
            let text = encoded(format, &view);
            proptest::prop_assert!(!text.contains('\n'), "{}", text);
            if !format.is_json() {
                continue;
            }
            let parsed: Value = serde_json::from_str(&text).unwrap();
            let mut texts = BTreeSet::new();
            strings(&parsed, &mut texts);
            for (path, value) in &all {
                if ["type", "status", "state", "severity"].contains(&path.as_str()) {
                    continue;
                }
                let mut own = BTreeSet::new();
                strings(value, &mut own);
                for own in own {
                    let found = texts.iter().any(|text| text.contains(&own));
                    proptest::prop_assert!(found, "`{}` {:?} is not in {}", path, own, text);
                }
            }
        }
    }
}

fn strings(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            out.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| strings(item, out)),
        Value::Object(map) => map.values().for_each(|value| strings(value, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
