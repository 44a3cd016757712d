//! Common Event Format and Log Event Extended Format: a header, then names and values in a line. What they have no name for
//! stands in one value, `spoor`, as JSON.

use std::io::Write as _;

use super::fields::{Field, field};
use super::source::Source;
use super::{PRODUCT, base, id, label, message, severity};
use crate::record::{Node, Tree as _, View, below, beyond_ascii, equal, has, rfc3339};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A field and its names.
pub(super) struct Name {
    field: Field,
    pub(super) cef: &'static str,
    pub(super) leef: &'static str,
}

impl Name {
    pub(super) fn path(&self) -> &'static str {
        self.field.path()
    }
}

const fn name(path: &str, cef: &'static str, leef: &'static str) -> Name {
    Name { field: Field::of(path), cef, leef }
}

pub(super) const NAMES: &[Name] = &[
    name("host.id", "deviceExternalId", "spoorHostId"),
    name("host.name", "dvchost", "identHostName"),
    name("type", "cat", "cat"),
    name("action", "act", "spoorAction"),
    name("outcome", "outcome", "spoorOutcome"),
    name("reason", "reason", "reason"),
    name("errno", "cn1", "spoorErrno"),
    name("chain", "cs3", "spoorChain"),
    name("count", "cnt", "spoorCount"),
    name("actor.id", "cs4", "accountName"),
    name("actor.origin", "cs5", "spoorOrigin"),
    name("actor.user", "suser", "usrName"),
    name("process.euid", "suid", "spoorEuid"),
    name("process.pid", "spid", "spoorPid"),
    name("process.exe", "sproc", "spoorExe"),
    name("source.ip", "src", "src"),
    name("source.port", "spt", "srcPort"),
    name("destination.ip", "dst", "dst"),
    name("destination.port", "dpt", "dstPort"),
    name("destination.name", "dhost", "spoorDhost"),
    name("destination.transport", "proto", "proto"),
    name("file.path", "filePath", "resource"),
    name("file.mode", "filePermission", "spoorFileMode"),
];

/// Labels of the fields that CEF leaves to us, in order.
const LABELS: &[(&str, &str)] = &[
    ("cn1", "errno"),
    ("cs1", "credentialId"),
    ("cs2", "credentialKind"),
    ("cs3", "chainId"),
    ("cs4", "actorId"),
    ("cs5", "actorOrigin"),
];

pub(super) fn cef(view: &View<Node<'_>>, out: &mut Vec<u8>) {
    let source = Source::new(view);
    let (label, message, severity) = (label(&source), message(&source), ten(&source));
    // Writing to memory does not fail.
    let _ = write!(out, "CEF:0|{PRODUCT}|{PRODUCT}|{VERSION}|");
    header(&label, out);
    out.push(b'|');
    header(&message, out);
    let _ = write!(out, "|{severity}|rt={} externalId=", view.time_ns() / 1_000_000);
    extension(&id(&source), out);
    let mut labelled = [false; LABELS.len()];
    let mut pair = |name: &'static str, value: &str| {
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        extension(value, out);
        for (is, (label, _)) in labelled.iter_mut().zip(LABELS) {
            *is |= *label == name;
        }
    };
    pair("msg", &message);
    fields(&source, |name| name.cef, ["cs1", "cs2", "fname"], &mut pair);
    for (_, (label, name)) in labelled.into_iter().zip(LABELS).filter(|(is, _)| *is) {
        let _ = write!(out, " {label}Label={name}");
    }
}

pub(super) fn leef(view: &View<Node<'_>>, out: &mut Vec<u8>) {
    let source = Source::new(view);
    // Writing to memory does not fail.
    let _ = write!(out, "LEEF:2.0|{PRODUCT}|{PRODUCT}|{VERSION}|");
    header(&label(&source), out);
    let time = rfc3339(view.time_ns());
    let time = time.get(..23).map_or(time.clone(), |time| format!("{time}+0000"));
    let _ = write!(out, "|x09|devTime={time}\tdevTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ");
    let _ = write!(out, "\tsev={}", ten(&source).max(1));
    let mut pair = |name: &'static str, value: &str| {
        out.push(b'\t');
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        clean(value, b"", false, out);
    };
    pair("spoorId", &id(&source));
    let own = ["spoorCredentialId", "spoorCredentialKind", "spoorFileName"];
    fields(&source, |name| name.leef, own, &mut pair);
}

/// Names and values; `own` are the names for the first credential's id and kind, and for the name of the file.
fn fields(
    source: &Source<'_>,
    called: impl Fn(&Name) -> &'static str,
    own: [&'static str; 3],
    pair: &mut impl FnMut(&'static str, &str),
) {
    let mut json = Vec::new();
    for name in NAMES {
        match source.take(name.field) {
            None => {}
            // Without the quotes of JSON.
            Some(Node::Text(text)) => pair(called(name), text),
            Some(value) => {
                json.clear();
                value.write(&mut json);
                pair(called(name), std::str::from_utf8(&json).unwrap_or_default());
            }
        }
    }
    let [credential, kind, file] = own;
    let first = |name: &str| source.peek_list(field!("credential")).first()?.member(name)?.text();
    if let Some(id) = first("id") {
        pair(credential, id);
    }
    if let Some(name) = first("kind") {
        pair(kind, name);
    }
    if let Some(path) = source.peek_text(field!("file.path")) {
        pair(file, base(path));
    }
    // The number, and the time with all its digits, stay in the rest: an id is no place to read them from.
    json.clear();
    source.write_rest(&[], &mut json);
    pair("spoor", std::str::from_utf8(&json).unwrap_or_default());
}

/// Their severity, from 0 to 10.
fn ten(source: &Source<'_>) -> u8 {
    [1, 3, 5, 8, 10].get(severity(source) as usize).copied().unwrap_or(1)
}

/// A field of the header.
fn header(text: &str, out: &mut Vec<u8>) {
    clean(text, br"\|", false, out);
}

/// A value of CEF.
fn extension(text: &str, out: &mut Vec<u8>) {
    clean(text, br"\=", true, out);
}

/// A text without control characters. What is special has a backslash before it; ends of lines are named where `lines` says so.
fn clean<const N: usize>(text: &str, special: &[u8; N], lines: bool, out: &mut Vec<u8>) {
    let mut rest = text;
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(rest.floor_char_boundary(64));
        rest = behind;
        // Mostly nothing is to be done, and that is seen at once.
        let odd = |word| {
            let control = below(word, b' ') | equal(word, 0x7f) | beyond_ascii(word);
            special.iter().fold(control, |found, byte| found | equal(word, *byte))
        };
        if !has(part, odd) {
            out.extend_from_slice(part.as_bytes());
            continue;
        }
        for c in part.chars() {
            match (c, u8::try_from(c)) {
                ('\n', _) if lines => out.extend_from_slice(b"\\n"),
                ('\r', _) if lines => out.extend_from_slice(b"\\r"),
                (' '..='~', Ok(byte)) if special.contains(&byte) => out.extend_from_slice(&[b'\\', byte]),
                _ if c.is_control() => out.push(b' '),
                _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }
}
