//! `schema`: the same record in the schemas that others read. One encoder each, from the stored record, so that no schema
//! knows more or less than another.
//!
//! An encoder takes fields to where its schema has a place for them. What it did not take, because there is no such place or because
//! the field is younger than the encoder, goes along under a name of ours: nothing of a record is ever left out.
//! `docs/SCHEMAS.md` is printed from the table of where each field goes.

mod cef;
mod ecs;
mod fields;
mod ocsf;
mod otel;
mod prov;
mod reference;
mod source;
pub(crate) mod table;
mod target;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::config::{Format, Severity};
use crate::record::{Node, Tree as _, View, equal, has};

use fields::{Fields, field};

pub use otel::{request_json as otel_json, request_protobuf as otel_protobuf};
pub use prov::prov;
pub use reference::reference;

/// Who made the records, as schemas ask for it.
pub(crate) const PRODUCT: &str = "spoor";

/// A record in a schema, without a newline.
#[must_use]
pub fn encode(format: Format, view: &View<Node<'_>>, body: &[u8]) -> Vec<u8> {
    // Schemas say some things twice, and have longer names.
    let mut out = Vec::with_capacity(body.len() * 2 + 1024);
    match format {
        Format::Native => return body.to_vec(),
        Format::Ocsf(version) => ocsf::encode(view, version, &mut out),
        Format::Ecs => ecs::encode(view, &mut out),
        Format::Otel => otel::json(view, &mut out),
        Format::OtelProtobuf => otel::protobuf(view, &mut out),
        Format::Cef => cef::cef(view, &mut out),
        Format::Leef => cef::leef(view, &mut out),
    }
    out
}

/// The action, or the type with the status or state behind it: `connect`, `chain.opened`.
pub(crate) fn label(record: &impl Fields) -> Cow<'_, str> {
    if let Some(action) = record.text_at(field!("action")) {
        return action.into();
    }
    let kind = record.text_at(field!("type")).unwrap_or_default();
    match record.text_at(field!("status")).or_else(|| record.text_at(field!("state"))) {
        Some(status) => format!("{kind}.{status}").into(),
        None => kind.into(),
    }
}

/// How severe a record is. Ordinary use is evidence, not an alarm.
pub(crate) fn severity(record: &impl Fields) -> Severity {
    if let Some(named) = record.text_at(field!("severity")).and_then(Severity::from_name) {
        return named;
    }
    let signals = record.at(field!("signals")).and_then(|signals| signals.items()).unwrap_or_default();
    let uncovered = signals.iter().any(|signal| signal.member("tier").is_none());
    let gap = record.text_at(field!("type")) == Some("gap");
    if gap || uncovered { Severity::Low } else { Severity::Informational }
}

/// What names the record everywhere and for ever.
fn id(record: &impl Fields) -> String {
    format!("{}-{}", record.text_at(field!("host.id")).unwrap_or_default(), record.seq())
}

/// One line for people: who did what to what, and what became of it.
fn message(record: &impl Fields) -> String {
    let mut line = record.text_at(field!("actor.id")).unwrap_or("spoor").to_owned();
    line.reserve(128);
    line.push(' ');
    line.push_str(&label(record));
    object(record, &mut line);
    let outcome = [field!("outcome"), field!("kind"), field!("reason")];
    if let Some(outcome) = outcome.into_iter().find_map(|field| record.text_at(field)) {
        line.push(' ');
        line.push_str(outcome);
    }
    if let (Some(count), Some("action")) = (record.number_at(field!("count")), record.text_at(field!("type")))
    {
        // Writing to a String does not fail.
        let _ = write!(line, " {count} times");
    }
    line
}

/// What it was done to, behind a space.
fn object(record: &impl Fields, line: &mut String) {
    let mut put = |text: &str| {
        line.push(' ');
        line.push_str(text);
    };
    let host =
        || record.text_at(field!("destination.name")).or_else(|| record.text_at(field!("destination.ip")));
    if let Some(path) = record.text_at(field!("file.path")) {
        put(path);
    } else if let Some(host) = host() {
        let port = record.number_at(field!("destination.port"));
        // Writing to a String does not fail.
        let _ = match port {
            Some(port) if host.contains(':') => write!(line, " [{host}]:{port}"),
            Some(port) => write!(line, " {host}:{port}"),
            None => write!(line, " {host}"),
        };
    } else if let Some(program) =
        record.text_at(field!("program")).or_else(|| record.text_at(field!("process.exe")))
    {
        put(program);
    }
}

/// The last name of a path.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Arguments as one line, as people would type it: schemas have no list for them.
fn command_line(argv: &[Node<'_>]) -> Option<String> {
    let mut line = String::with_capacity(64);
    for arg in argv.iter().map(|arg| arg.text().unwrap_or_default()) {
        if !line.is_empty() {
            line.push(' ');
        }
        let quoted = |word| {
            [b' ', b'\t', b'\n', b'"', b'\'', b'\\'].iter().fold(0, |found, byte| found | equal(word, *byte))
        };
        if !arg.is_empty() && !has(arg, quoted) {
            line.push_str(arg);
            continue;
        }
        line.push('\'');
        for (number, part) in arg.split('\'').enumerate() {
            line.push_str(if number > 0 { "'\\''" } else { "" });
            line.push_str(part);
        }
        line.push('\'');
    }
    (!argv.is_empty()).then_some(line)
}
