//! Common Event Format and Log Event Extended Format: a header, then names and values in a line. What they have no name for
//! stands in one value, `spoor`, as JSON.

use std::fmt::Write as _;

use serde_json::Value;

use super::source::Source;
use super::{PRODUCT, base, id, label, message, severity};
use crate::record::{View, rfc3339};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Native field, name in CEF, name in LEEF. An empty name: the field stays in the rest.
pub(super) const NAMES: &[(&str, &str, &str)] = &[
    ("host.id", "deviceExternalId", "spoorHostId"),
    ("host.name", "dvchost", "identHostName"),
    ("type", "cat", "cat"),
    ("action", "act", "spoorAction"),
    ("outcome", "outcome", "spoorOutcome"),
    ("reason", "reason", "reason"),
    ("errno", "cn1", "spoorErrno"),
    ("chain", "cs3", "spoorChain"),
    ("actor.id", "cs4", "accountName"),
    ("actor.origin", "cs5", "spoorOrigin"),
    ("actor.user", "suser", "usrName"),
    ("process.euid", "suid", "spoorEuid"),
    ("process.pid", "spid", "spoorPid"),
    ("process.exe", "sproc", "spoorExe"),
    ("source.ip", "src", "src"),
    ("source.port", "spt", "srcPort"),
    ("destination.ip", "dst", "dst"),
    ("destination.port", "dpt", "dstPort"),
    ("destination.name", "dhost", "spoorDhost"),
    ("destination.transport", "proto", "proto"),
    ("file.path", "filePath", "resource"),
    ("file.mode", "filePermission", "spoorFileMode"),
];

/// Labels of the fields that CEF leaves to us.
const LABELS: &[(&str, &str)] = &[
    ("cn1Label", "errno"),
    ("cs1Label", "credentialId"),
    ("cs2Label", "credentialKind"),
    ("cs3Label", "chainId"),
    ("cs4Label", "actorId"),
    ("cs5Label", "actorOrigin"),
];

pub(super) fn cef(view: &View) -> String {
    let mut out = format!(
        "CEF:0|{PRODUCT}|{PRODUCT}|{VERSION}|{}|{}|{}|",
        header(&label(view)),
        header(&message(view)),
        ten(view)
    );
    let mut pairs = vec![
        ("rt".to_owned(), (view.time_ns() / 1_000_000).to_string()),
        ("externalId".to_owned(), id(view)),
        ("msg".to_owned(), message(view)),
    ];
    let names = NAMES.iter().map(|(path, name, _)| (*path, *name));
    pairs.extend(fields(view, names, ["cs1", "cs2", "fname"]));
    let labels: Vec<_> = LABELS
        .iter()
        .filter(|(label, _)| pairs.iter().any(|(name, _)| label.strip_suffix("Label") == Some(name)))
        .map(|(label, name)| ((*label).to_owned(), (*name).to_owned()))
        .collect();
    pairs.extend(labels);
    for (number, (name, value)) in pairs.iter().enumerate() {
        let space = if number == 0 { "" } else { " " };
        // Writing to a String does not fail.
        let _ = write!(out, "{space}{name}={}", extension(value));
    }
    out
}

pub(super) fn leef(view: &View) -> String {
    let mut out = format!("LEEF:2.0|{PRODUCT}|{PRODUCT}|{VERSION}|{}|x09|", header(&label(view)));
    let time = rfc3339(view.time_ns());
    let mut pairs = vec![
        ("devTime".to_owned(), time.get(..23).map_or(time.clone(), |time| format!("{time}+0000"))),
        ("devTimeFormat".to_owned(), "yyyy-MM-dd'T'HH:mm:ss.SSSZ".to_owned()),
        ("sev".to_owned(), ten(view).max(1).to_string()),
        ("spoorId".to_owned(), id(view)),
    ];
    let names = NAMES.iter().map(|(path, _, name)| (*path, *name));
    pairs.extend(fields(view, names, ["spoorCredentialId", "spoorCredentialKind", "spoorFileName"]));
    for (number, (name, value)) in pairs.iter().enumerate() {
        let tab = if number == 0 { "" } else { "\t" };
        let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let _ = write!(out, "{tab}{name}={value}");
    }
    out
}

/// Names and values; `own` are the names for the first credential's id and kind, and for the name of the file.
fn fields(
    view: &View,
    names: impl Iterator<Item = (&'static str, &'static str)>,
    own: [&str; 3],
) -> Vec<(String, String)> {
    let source = Source::new(view);
    let mut pairs = Vec::new();
    for (path, name) in names {
        if let Some(value) = source.take(path) {
            pairs.push((name.to_owned(), plain(value)));
        }
    }
    let [credential, kind, file] = own;
    let first = |name: &str| view.list("credential").first()?.get(name)?.as_str().map(str::to_owned);
    pairs.extend(first("id").map(|id| (credential.to_owned(), id)));
    pairs.extend(first("kind").map(|name| (kind.to_owned(), name)));
    pairs.extend(view.text("file.path").map(|path| (file.to_owned(), base(path).to_owned())));
    // The number, and the time with all its digits, stay in the rest: an id is no place to read them from.
    let rest = source.rest();
    pairs.push(("spoor".to_owned(), Value::Object(rest).to_string()));
    pairs
}

/// A value without the quotes of JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Their severity, from 0 to 10.
fn ten(view: &View) -> u8 {
    [1, 3, 5, 8, 10].get(severity(view) as usize).copied().unwrap_or(1)
}

/// A field of the header.
fn header(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' | '|' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A value of CEF.
fn extension(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' | '=' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
