//! `schema`: the same record in the schemas that others read. One encoder each, from the stored record, so that no schema
//! knows more or less than another.
//!
//! An encoder takes fields to where its schema has a place for them. What it did not take, because there is no such place or because
//! the field is younger than the encoder, goes along under a name of ours: nothing of a record is ever left out.
//! `docs/SCHEMAS.md` is printed from the table of where each field goes.

mod cef;
mod ecs;
mod ocsf;
mod otel;
mod prov;
mod reference;
mod source;
pub(crate) mod table;
#[cfg(test)]
mod tests;

use prost::Message as _;

use crate::config::{Format, Severity};
use crate::record::View;

pub use otel::{request_json as otel_json, request_protobuf as otel_protobuf};
pub use prov::prov;
pub use reference::reference;

/// Who made the records, as schemas ask for it.
pub(crate) const PRODUCT: &str = "spoor";

/// A record in a schema, without a newline.
#[must_use]
pub fn encode(format: Format, view: &View, body: &[u8]) -> Vec<u8> {
    match format {
        Format::Native => body.to_vec(),
        Format::Ocsf(version) => ocsf::encode(view, version).to_string().into_bytes(),
        Format::Ecs => ecs::encode(view).to_string().into_bytes(),
        Format::Otel => otel::to_json(&otel::encode(view)),
        Format::OtelProtobuf => otel::encode(view).encode_to_vec(),
        Format::Cef => cef::cef(view).into_bytes(),
        Format::Leef => cef::leef(view).into_bytes(),
    }
}

/// The action, or the type with the status or state behind it: `connect`, `chain.opened`.
#[must_use]
pub fn label(view: &View) -> String {
    if let Some(action) = view.text("action") {
        return action.to_owned();
    }
    match view.text("status").or_else(|| view.text("state")) {
        Some(status) => format!("{}.{status}", view.kind()),
        None => view.kind().to_owned(),
    }
}

/// How severe a record is. Ordinary use is evidence, not an alarm.
#[must_use]
pub fn severity(view: &View) -> Severity {
    if let Some(named) = view.text("severity").and_then(Severity::from_name) {
        return named;
    }
    let uncovered = view.list("signals").iter().any(|signal| signal.get("tier").is_none());
    if view.kind() == "gap" || uncovered { Severity::Low } else { Severity::Informational }
}

/// What names the record everywhere and for ever.
fn id(view: &View) -> String {
    format!("{}-{}", view.text("host.id").unwrap_or_default(), view.seq())
}

/// One line for people: who did what to what, and what became of it.
fn message(view: &View) -> String {
    let mut words = vec![view.text("actor.id").unwrap_or("spoor").to_owned(), label(view)];
    if let Some(object) = object(view) {
        words.push(object);
    }
    words.extend(
        ["outcome", "kind", "reason"].into_iter().find_map(|path| view.text(path)).map(str::to_owned),
    );
    words.join(" ")
}

/// What it was done to.
fn object(view: &View) -> Option<String> {
    let own = |path| view.text(path).map(str::to_owned);
    let address = || {
        let host = view.text("destination.name").or_else(|| view.text("destination.ip"))?;
        Some(match view.number("destination.port") {
            Some(port) if host.contains(':') => format!("[{host}]:{port}"),
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        })
    };
    own("file.path").or_else(address).or_else(|| own("program")).or_else(|| own("process.exe"))
}

/// The last name of a path.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Arguments as one line, as people would type it: schemas have no list for them.
fn command_line(argv: &[serde_json::Value]) -> Option<String> {
    let quoted = |arg: &serde_json::Value| {
        let arg = arg.as_str().unwrap_or_default();
        let plain = !arg.is_empty() && !arg.contains([' ', '\t', '\n', '"', '\'', '\\']);
        if plain { arg.to_owned() } else { format!("'{}'", arg.replace('\'', "'\\''")) }
    };
    (!argv.is_empty()).then(|| argv.iter().map(quoted).collect::<Vec<_>>().join(" "))
}
