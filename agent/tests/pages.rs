//! What pages claim, held against what there is: fields in recipes, exit codes, kinds of gaps.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use spoor::app::EXIT_CODES;
use spoor::chain::GapKind;
use spoor::config;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A block of code: what is written behind the fence, and what is in it.
struct Block {
    kind: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(kind), None) => open = Some(Block { kind: kind.to_owned(), text: String::new() }),
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block without an end");
    found
}

/// A path without the marks of lists, which every language has its own of.
fn plain(path: &str) -> String {
    path.replace("[]", "").replace("{}", "").replace("[0]", "").trim_end_matches('.').to_owned()
}

/// Every field of native records, by the reference.
fn native() -> BTreeSet<String> {
    let page = read("docs/RECORDS.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let fields: BTreeSet<String> = rows.map(|(path, _)| plain(path)).collect();
    assert!(fields.len() > 100 && fields.contains("credential.id"), "the reference has another form now");
    fields
}

/// Every path of a value, objects and lists among them.
fn paths(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                found.insert(path.clone());
                paths(value, &path, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| paths(value, at, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Every field of the golden records in ECS.
fn ecs() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in read("tests/golden/schemas/ecs.jsonl").lines() {
        paths(&serde_json::from_str(line).unwrap(), "", &mut found);
    }
    found
}

/// Columns of Microsoft's table, and the key of CEF that lands in each; empty: of the head, or the receiver's own.
const CEF_COLUMNS: &[(&str, &str)] = &[
    ("TimeGenerated", "rt"),
    ("Computer", ""),
    ("DeviceVendor", ""),
    ("DeviceEventClassID", ""),
    ("Activity", ""),
    ("LogSeverity", ""),
    ("DeviceExternalID", "deviceExternalId"),
    ("DestinationIP", "dst"),
    ("DeviceCustomString1", "cs1"),
    ("DeviceCustomString3", "cs3"),
    ("DeviceCustomString4", "cs4"),
    ("Reason", "reason"),
];

/// Columns of the table that the page itself declares.
const TABLE: &[&str] = &[
    "TimeGenerated",
    "HostId",
    "HostName",
    "Number",
    "RecordType",
    "ActorId",
    "ChainId",
    "Record",
    "RawData",
];

const SPL: &[&str] = &[
    "index",
    "sourcetype",
    "spath",
    "output",
    "path",
    "input",
    "mvexpand",
    "eval",
    "mvcount",
    "stats",
    "max",
    "AS",
    "dc",
    "BY",
    "where",
    "OR",
    "NOT",
    "IN",
    "coalesce",
    "mvindex",
    "values",
    "sort",
    "latest",
    "count",
    "search",
    "table",
    "_time",
    "rename",
    "dedup",
    "isnull",
    "tstats",
    "WHERE",
    "earliest",
    "d",
    "m",
    "host",
    "relative_time",
    "now",
    "tostring",
    "spoor",
];
const ESQL: &[&str] = &[
    "FROM",
    "logs",
    "spoor",
    "WHERE",
    "AND",
    "IS",
    "NULL",
    "EVAL",
    "CONCAT",
    "COALESCE",
    "TO_STRING",
    "MV_FIRST",
    "STATS",
    "COUNT_DISTINCT",
    "BY",
    "SORT",
    "DESC",
    "IN",
    "MAX",
    "COUNT",
    "VALUES",
    "MV_EXPAND",
    "NOW",
    "days",
    "minutes",
    "and",
    "or",
];
const KQL: &[&str] = &[
    "Spoor_CL",
    "CommonSecurityLog",
    "source",
    "where",
    "ago",
    "d",
    "m",
    "and",
    "isnull",
    "toint",
    "tostring",
    "extend",
    "strcat",
    "coalesce",
    "summarize",
    "dcount",
    "make_set",
    "by",
    "in",
    "arg_max",
    "tolong",
    "project",
    "count",
    "has",
    "mv",
    "expand",
    "isempty",
    "max",
    "todatetime",
    "parse_json",
    "startswith",
];

/// Words that may stand for fields: those outside of texts in double quotes.
fn words(text: &str) -> Vec<String> {
    let outside: String = text.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
    let split = outside.split(|c: char| !(c.is_alphanumeric() || "_.{}[]@".contains(c)));
    let words =
        split.map(|word| word.trim_matches(['.', '[', ']']).trim_start_matches(|c: char| c.is_ascii_digit()));
    words
        .filter(|word| word.starts_with(|c: char| c.is_alphabetic() || "_@".contains(c)))
        .map(plain)
        .collect()
}

/// Words that the query itself gives a meaning.
fn made(text: &str) -> BTreeSet<String> {
    let flat = text.replace('\n', " ");
    let named = flat.split(" AS ").skip(1).filter_map(|rest| rest.split([' ', ',']).next());
    let output = flat.split("output=").skip(1).filter_map(|rest| rest.split(' ').next());
    let set = flat.match_indices('=').filter_map(|(at, _)| {
        let (before, after) = (&flat[..at], &flat[at + 1..]);
        let compares = after.starts_with('=') || before.ends_with(['=', '<', '>', '!']);
        let word = before.trim_end().rsplit([' ', ',', '(']).next()?;
        (!compares).then_some(word)
    });
    let defining: BTreeSet<&str> = named.chain(output).collect();
    // In SPL, `=` compares but for behind `eval`.
    let spl = text.starts_with("index=") || text.starts_with("| tstats");
    let set = set.filter(|word| !spl || flat.contains(&format!("eval {word}=")));
    defining.into_iter().chain(set).map(plain).collect()
}

/// What in a query is neither a word of its language, nor made in it, nor a field.
fn unknown(text: &str, language: &[&str], fields: &BTreeSet<String>) -> Vec<String> {
    let made = made(text);
    let part = |word: &str| {
        text.contains("spath") && fields.iter().any(|field| field.ends_with(&format!(".{word}")))
    };
    let known = |word: &String| {
        language.contains(&word.as_str()) || made.contains(word) || fields.contains(word) || part(word)
    };
    words(text).into_iter().filter(|word| !known(word)).collect()
}

/// Fields of records in Microsoft's language: behind `Record`, the row of a list, or the parsed line.
fn dynamic(text: &str) -> Vec<String> {
    let text = text.replace("[\"", ".").replace("\"]", "");
    let fields = words(&text).into_iter().filter_map(|word| {
        let (first, rest) = word.split_once('.')?;
        match first {
            "Record" | "r" => Some(rest.to_owned()),
            "Signal" => Some(format!("signals.{rest}")),
            _ => Some(word),
        }
    });
    fields.collect()
}

/// Fields that a search names.
fn searched(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                match (name.as_str(), value) {
                    ("field", Value::String(field)) => drop(found.insert(field.clone())),
                    ("_source", Value::Array(list)) => {
                        found.extend(list.iter().filter_map(|field| field.as_str().map(str::to_owned)));
                    }
                    ("term" | "range", Value::Object(inner)) => found.extend(inner.keys().cloned()),
                    _ => searched(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| searched(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Fields that a mapping names.
fn mapped(properties: &Value, at: &str, found: &mut BTreeSet<String>) {
    for (name, value) in properties.as_object().into_iter().flatten() {
        let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        found.insert(path.clone());
        mapped(value.get("properties").unwrap_or(&Value::Null), &path, found);
    }
}

/// What is wrong in a block.
fn wrong(block: &Block, native: &BTreeSet<String>, ecs: &BTreeSet<String>) -> Vec<String> {
    let Block { kind, text } = block;
    let strange = |fields: BTreeSet<String>, known: &BTreeSet<String>| -> Vec<String> {
        assert!(!fields.is_empty(), "no field in {text}");
        fields.into_iter().filter(|field| !known.contains(field)).collect()
    };
    let columns = |all: &[&str]| -> BTreeSet<String> { all.iter().map(|&name| name.to_owned()).collect() };
    match kind.as_str() {
        "toml" => config::parse("SIEM.md", text).err().map(|error| error.to_string()).into_iter().collect(),
        "spl native" => unknown(text, SPL, native),
        "ini props" => {
            let aliases = text.lines().filter_map(|line| line.strip_prefix("FIELDALIAS-")?.split_once(" = "));
            let pairs = aliases.flat_map(|(_, pairs)| pairs.split(' ').collect::<Vec<_>>());
            let fields = pairs
                .collect::<Vec<_>>()
                .chunks(3)
                .filter_map(|pair| pair.first().map(|&word| word.to_owned()))
                .collect();
            strange(fields, native)
        }
        "esql ecs" | "kuery ecs" => unknown(text, ESQL, ecs),
        "kql table" | "kql transform" => {
            let rest = unknown(text, KQL, &columns(TABLE));
            // Members of a record are judged by the reference.
            let rest = rest
                .into_iter()
                .filter(|word| !["Record", "r", "Signal"].contains(&word.split('.').next().unwrap_or("")));
            let members = dynamic(text).into_iter().filter(|field| !native.contains(field));
            rest.chain(members).collect()
        }
        "kql cef" => {
            unknown(text, KQL, &columns(&CEF_COLUMNS.iter().map(|(column, _)| *column).collect::<Vec<_>>()))
        }
        "json template" => {
            let value: Value = serde_json::from_str(text).unwrap();
            let mut found = BTreeSet::new();
            mapped(&value["template"]["mappings"]["properties"], "", &mut found);
            strange(found, ecs)
        }
        "json search" => {
            let mut found = BTreeSet::new();
            searched(&serde_json::from_str(text).unwrap(), &mut found);
            strange(found, ecs)
        }
        other => vec![format!("nobody knows how to check `{other}`")],
    }
}

#[test]
fn every_field_of_a_siem_recipe_exists() {
    let (native, ecs) = (native(), ecs());
    let blocks = blocks(&read("docs/SIEM.md"));
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for block in &blocks {
        *kinds.entry(&block.kind).or_default() += 1;
        found.extend(
            wrong(block, &native, &ecs)
                .into_iter()
                .map(|word| format!("{word} in {}:\n{}", block.kind, block.text)),
        );
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(kinds.len() == 10, "{kinds:?}");
}

#[test]
fn a_recipe_with_a_field_that_is_not_there_is_red() {
    let (native, ecs) = (native(), ecs());
    let red = |kind: &str, text: &str| wrong(&Block { kind: kind.into(), text: text.into() }, &native, &ecs);
    assert_eq!(
        red("spl native", "index=spoor type=action | stats dc(actor.name) BY host.id"),
        ["actor.name"]
    );
    assert_eq!(red("spl native", "index=spoor | eval a=mvindex('credential{}.uid', 0)"), ["credential.uid"]);
    assert_eq!(red("esql ecs", "FROM logs-spoor-*\n| WHERE spoor.verdict == \"outside\""), ["spoor.verdict"]);
    assert_eq!(red("kuery ecs", "event.actions : \"connect\""), ["event.actions"]);
    assert_eq!(
        red("kql table", "Spoor_CL\n| where tostring(Record.credential[0].uid) == \"x\""),
        ["credential.uid"]
    );
    assert_eq!(red("kql table", "Spoor_CL\n| where Hostname == \"x\""), ["Hostname"]);
    assert_eq!(
        red("kql cef", "CommonSecurityLog\n| where DeviceCustomString9 == \"x\""),
        ["DeviceCustomString9"]
    );
    assert_eq!(red("json search", r#"{"query": {"exists": {"field": "spoor.nothing"}}}"#), ["spoor.nothing"]);
    assert_eq!(red("ini props", "FIELDALIAS-x = destination.host AS dest"), ["destination.host"]);
    assert_eq!(red("toml", "[[sink]]\nname = \"x\"\n").len(), 1);
    assert_eq!(red("yaml", "a: b").len(), 1);
}

#[test]
fn columns_of_the_cef_table_are_keys_that_are_sent() {
    let golden = read("tests/golden/schemas/cef.txt");
    for (column, key) in CEF_COLUMNS {
        assert!(
            key.is_empty() || golden.contains(&format!(" {key}=")) || golden.contains(&format!("|{key}=")),
            "{column}"
        );
    }
}

#[test]
fn troubleshooting_has_every_exit_code_and_every_gap() {
    let page = read("docs/TROUBLESHOOTING.md");
    let codes = EXIT_CODES.lines().filter_map(|line| line.split_whitespace().next()?.parse::<u8>().ok());
    let codes: Vec<u8> = codes.collect();
    assert!(codes.len() > 15, "{codes:?}");
    for code in codes.into_iter().filter(|code| *code != 0) {
        assert!(page.contains(&format!("\n| {code} | ")), "no row for exit code {code}");
    }
    let reference = read("docs/RECORDS.md");
    for kind in GapKind::ALL {
        assert!(page.contains(&format!("\n| `{}` | ", kind.name())), "no row for gap {}", kind.name());
        assert!(reference.contains(&format!("`{}`", kind.name())), "{}", kind.name());
    }
}

#[test]
fn what_pages_quote_is_golden() {
    let concepts = read("docs/CONCEPTS.md");
    assert!(
        concepts.contains(read("tests/golden/report/show-backup.txt").trim_end()),
        "the chain of CONCEPTS"
    );
    let records = read("tests/golden/records/backup.jsonl");
    let quoted = blocks(&concepts).into_iter().filter(|block| block.kind == "json");
    assert_eq!(quoted.filter(|block| records.lines().any(|line| line == block.text.trim_end())).count(), 1);
    assert!(
        read("docs/START.md").contains(read("tests/golden/doctor/best.txt").trim_end()),
        "the doctor of START"
    );
}

#[test]
fn privacy_names_every_field() {
    let page = read("docs/PRIVACY.md");
    let top: BTreeSet<String> =
        native().into_iter().map(|field| field.split('.').next().unwrap_or_default().to_owned()).collect();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let told = |field: &String| rows.iter().any(|row| row.contains(&format!("`{field}`")));
    let missing: Vec<&String> = top.iter().filter(|field| !told(field)).collect();
    assert!(top.len() > 60 && missing.is_empty(), "{missing:?} of {}", top.len());
}
