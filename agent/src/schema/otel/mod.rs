//! Log records of OpenTelemetry: made once, written as its protocol's messages or as its JSON. Attributes have the names of its
//! conventions where there are such, and begin with `spoor.` where there are none.

mod messages;
mod request;

use serde_json::{Value, json};

pub use self::request::{json as request_json, protobuf as request_protobuf};

pub(super) use self::messages::json as to_json;
use self::messages::{AnyValue, KeyValue, Kind, LogRecord, Pairs, Values};
use super::source::Source;
use super::{base, command_line, id, label, message, severity};
use crate::config::Severity;
use crate::record::View;

/// A chain's id is a ULID: 26 letters of 5 bits, of which 128 are the trace id.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

pub(super) fn encode(view: &View) -> LogRecord {
    let source = Source::new(view);
    let (number, text) = match severity(view) {
        Severity::Informational => (9, "INFO"),
        Severity::Low => (11, "INFO3"),
        Severity::Medium => (13, "WARN"),
        Severity::High => (17, "ERROR"),
        Severity::Critical => (19, "ERROR3"),
    };
    let time = u64::try_from(view.time_ns()).unwrap_or_default();
    let trace = view.chain().and_then(trace);
    LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: time,
        severity_number: number,
        severity_text: text.to_owned(),
        body: Some(AnyValue::from(Kind::Text(message(view)))),
        attributes: attributes(&source),
        trace_id: trace.map(Vec::from).unwrap_or_default(),
        span_id: trace.map(|_| view.seq().to_be_bytes().to_vec()).unwrap_or_default(),
        event_name: format!("spoor.{}", label(view)),
    }
}

fn attributes(source: &Source<'_>) -> Vec<KeyValue> {
    let mut out = Vec::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.push(KeyValue::new(name, any(&value)));
        }
    };
    let view = source.view;
    put("log.record.uid", Some(json!(id(view))));
    for (path, name) in DIRECT {
        put(name, source.take(path).cloned());
    }
    let exe = view.text("process.exe");
    put("process.executable.name", exe.map(base).map(Value::from));
    put("process.command_line", command_line(view.list("process.argv")).map(Value::from));
    put("file.name", view.text("file.path").map(base).map(Value::from));
    let mut rest = Vec::new();
    flatten("spoor", &Value::Object(source.rest()), &mut rest);
    for (name, value) in rest {
        put(&name, Some(value));
    }
    out
}

/// Fields that its conventions have a name for.
const DIRECT: &[(&str, &str)] = &[
    ("process.pid", "process.pid"),
    ("process.ns_pid", "process.vpid"),
    ("process.exe", "process.executable.path"),
    ("process.argv", "process.command_args"),
    ("process.cgroup", "process.linux.cgroup"),
    ("process.parent.pid", "process.parent_pid"),
    ("process.uid", "process.real_user.id"),
    ("process.euid", "process.user.id"),
    ("actor.user", "user.name"),
    ("actor.pod.uid", "k8s.pod.uid"),
    ("actor.pod.name", "k8s.pod.name"),
    ("actor.pod.namespace", "k8s.namespace.name"),
    ("actor.pod.node", "k8s.node.name"),
    ("actor.pod.container", "k8s.container.name"),
    ("file.path", "file.path"),
    ("file.mode", "file.mode"),
    ("destination.transport", "network.transport"),
    ("destination.ip", "network.peer.address"),
    ("destination.port", "network.peer.port"),
    ("destination.name", "server.address"),
    ("source.ip", "network.local.address"),
    ("source.port", "network.local.port"),
    ("exit.code", "process.exit.code"),
];

/// Leaves with their names; lists stay lists.
fn flatten(name: &str, value: &Value, out: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                flatten(&format!("{name}.{key}"), value, out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            out.push((name.to_owned(), value.clone()));
        }
    }
}

/// A value of its kind.
fn any(value: &Value) -> AnyValue {
    let text = |text: &str| Kind::Text(text.to_owned());
    AnyValue::from(match value {
        // A value of no kind is allowed, and real collectors refuse it: an empty text stands for it.
        Value::Null => text(""),
        Value::Bool(flag) => Kind::Flag(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Kind::Whole(whole),
            (None, Some(real)) if number.is_f64() => Kind::Real(real),
            // Beyond 63 bits there is no number there.
            (None, _) => Kind::Text(number.to_string()),
        },
        Value::String(string) => text(string),
        Value::Array(items) => Kind::List(Values { values: items.iter().map(any).collect() }),
        Value::Object(map) => {
            let values = map.iter().map(|(key, value)| KeyValue::new(key, any(value))).collect();
            Kind::Map(Pairs { values })
        }
    })
}

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
