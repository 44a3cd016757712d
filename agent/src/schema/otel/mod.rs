//! Log records of OpenTelemetry: made once, written as its protocol's messages or as its JSON. Attributes have the names of its
//! conventions where there are such, and begin with `spoor.` where there are none.

mod messages;
mod request;

use std::borrow::Cow;

pub use self::request::{json as request_json, protobuf as request_protobuf};

use self::messages::{Attributes, Form, Json, Kind, LogRecord, Protobuf};
use super::fields::{Field, field};
use super::source::Source;
use super::{base, command_line, id, label, message, severity};
use crate::config::Severity;
use crate::record::{Node, Text, View};

/// A chain's id is a ULID: 26 letters of 5 bits, of which 128 are the trace id.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// In the JSON of the protocol.
pub(super) fn json(view: &View<Node<'_>>, out: &mut Vec<u8>) {
    encode::<Json>(view, out);
}

/// In its binary form.
pub(super) fn protobuf(view: &View<Node<'_>>, out: &mut Vec<u8>) {
    encode::<Protobuf>(view, out);
}

fn encode<F: Form>(view: &View<Node<'_>>, out: &mut Vec<u8>) {
    let source = Source::new(view);
    let (severity_number, severity_text) = match severity(&source) {
        Severity::Informational => (9, "INFO"),
        Severity::Low => (11, "INFO3"),
        Severity::Medium => (13, "WARN"),
        Severity::High => (17, "ERROR"),
        Severity::Critical => (19, "ERROR3"),
    };
    let record = LogRecord {
        time_unix_nano: u64::try_from(view.time_ns()).unwrap_or_default(),
        severity_number,
        severity_text,
        body: message(&source),
        trace_id: view.chain().and_then(trace),
        span_id: view.seq().to_be_bytes(),
        event_name: format!("spoor.{}", label(&source)),
    };
    F::record(&record, &source, out);
}

impl<'a> Attributes<'a> for Source<'a> {
    fn tell(&self, put: &mut impl FnMut(Text<'_>, Kind<'a>)) {
        put(Text::plain("log.record.uid"), Kind::Text(id(self).into()));
        for (field, name) in DIRECT {
            if let Some(value) = self.take(*field) {
                put(Text::plain(name), Kind::of(value));
            }
        }
        let exe = self.peek_text(field!("process.exe"));
        let line = command_line(self.peek_list(field!("process.argv")));
        let file = self.peek_text(field!("file.path"));
        let made = [
            ("process.executable.name", exe.map(|exe| Cow::Borrowed(base(exe)))),
            ("process.command_line", line.map(Cow::Owned)),
            ("file.name", file.map(|path| Cow::Borrowed(base(path)))),
        ];
        for (name, text) in made {
            if let Some(text) = text {
                put(Text::plain(name), Kind::Text(text));
            }
        }
        self.rest_leaves("spoor", &mut |name, value| put(name, Kind::of(value)));
    }
}

/// Fields that its conventions have a name for.
const DIRECT: &[(Field, &str)] = &[
    (Field::of("process.pid"), "process.pid"),
    (Field::of("process.ns_pid"), "process.vpid"),
    (Field::of("process.exe"), "process.executable.path"),
    (Field::of("process.argv"), "process.command_args"),
    (Field::of("process.cgroup"), "process.linux.cgroup"),
    (Field::of("process.parent.pid"), "process.parent_pid"),
    (Field::of("process.uid"), "process.real_user.id"),
    (Field::of("process.euid"), "process.user.id"),
    (Field::of("actor.user"), "user.name"),
    (Field::of("actor.pod.uid"), "k8s.pod.uid"),
    (Field::of("actor.pod.name"), "k8s.pod.name"),
    (Field::of("actor.pod.namespace"), "k8s.namespace.name"),
    (Field::of("actor.pod.node"), "k8s.node.name"),
    (Field::of("actor.pod.container"), "k8s.container.name"),
    (Field::of("file.path"), "file.path"),
    (Field::of("file.mode"), "file.mode"),
    (Field::of("destination.transport"), "network.transport"),
    (Field::of("destination.ip"), "network.peer.address"),
    (Field::of("destination.port"), "network.peer.port"),
    (Field::of("destination.name"), "server.address"),
    (Field::of("source.ip"), "network.local.address"),
    (Field::of("source.port"), "network.local.port"),
    (Field::of("exit.code"), "process.exit.code"),
];

/// The 128 bits of a ULID.
fn trace(ulid: &str) -> Option<[u8; 16]> {
    if ulid.len() != 26 {
        return None;
    }
    let bits = ulid.bytes().try_fold(0_u128, |bits, letter| {
        let value = CROCKFORD.iter().position(|known| *known == letter)?;
        bits.checked_mul(32)?.checked_add(u128::try_from(value).ok()?)
    })?;
    (bits != 0).then(|| bits.to_be_bytes())
}
