//! Open Cybersecurity Schema Framework. Written as of 1.8.0; what an older version does not know moves to `unmapped`, as
//! does what no version has a place for.

use nix::errno::Errno;
use serde_json::{Map, Value, json};

use super::source::{Source, Target};
use super::{PRODUCT, base, command_line, id, label, message, severity};
use crate::config::{OcsfVersion, Severity};
use crate::record::View;

/// A class, with an activity of it.
struct Class {
    uid: u32,
    name: &'static str,
    category: &'static str,
    activity: u32,
    /// Where the activity is 99.
    activity_name: Option<&'static str>,
}

pub(super) fn encode(view: &View, version: OcsfVersion) -> Value {
    let source = Source::new(view);
    let mut out = Target::default();
    let class = class(view);
    // The label says it.
    let _ = source.text("action");
    head(&source, &class, version, &mut out);
    device(&source, &mut out);
    match class.uid {
        1001 => file(&source, &mut out),
        1007 => process_activity(&source, &mut out),
        4001 => network(&source, &mut out),
        2004 => finding(&source, &mut out),
        6002 => {
            out.put("app.name", PRODUCT);
            out.put("app.vendor_name", PRODUCT);
            out.put_some("app.version", source.text("agent_version"));
        }
        _ => {}
    }
    if !matches!(class.uid, 6002 | 1007) {
        actor(&source, "process", &mut out);
    }
    status(&source, &mut out);
    out.put_rest("unmapped", &source);
    let mut event = out.build();
    downgrade(&mut event, version);
    event
}

/// Which class a record is of.
fn class(view: &View) -> Class {
    let of = |uid, activity, activity_name| {
        let (name, category) = match uid {
            1001 => ("File System Activity", "System Activity"),
            1007 => ("Process Activity", "System Activity"),
            2004 => ("Detection Finding", "Findings"),
            4001 => ("Network Activity", "Network Activity"),
            6002 => ("Application Lifecycle", "Application Activity"),
            _ => ("Base Event", "Uncategorized"),
        };
        Class { uid, name, category, activity, activity_name }
    };
    match (view.text("action"), view.kind()) {
        (Some("secret.open"), _) => of(1001, 14, None),
        (Some("secret.read"), _) => of(1001, 2, None),
        (Some("secret.write"), _) => of(1001, 3, None),
        (Some("secret.receive"), _) => of(1001, 99, Some("Receive")),
        (Some("memory.access"), _) => of(1007, 3, None),
        (Some("exec" | "exec.failed"), _) => of(1007, 1, None),
        (Some("exit"), _) => of(1007, 2, None),
        (Some("cred.change"), _) => of(1007, 5, None),
        (Some("connect"), _) => match view.text("outcome") {
            Some("established") => of(4001, 1, None),
            Some("refused") => of(4001, 5, None),
            Some("associated") => of(4001, 99, Some("Associate")),
            Some("pending") => of(4001, 99, Some("Attempt")),
            _ => of(4001, 4, None),
        },
        (Some("send"), _) => of(4001, 6, None),
        (Some("accept"), _) => of(4001, 1, None),
        (_, "finding") if first_told(view) => of(2004, 1, None),
        (_, "finding") => of(2004, 2, None),
        (_, "heartbeat") if view.text("state") == Some("stopped") => of(6002, 4, None),
        (_, "heartbeat") => of(6002, 99, Some("Heartbeat")),
        (_, "coverage") => of(6002, 99, Some("Coverage")),
        (_, "gap") => of(6002, 99, Some("Gap")),
        _ => of(0, 99, Some("Record")),
    }
}

fn head(source: &Source<'_>, class: &Class, version: OcsfVersion, out: &mut Target) {
    let view = source.view;
    out.put("class_uid", class.uid);
    out.put("class_name", class.name);
    out.put("category_uid", class.uid / 1000);
    out.put("category_name", class.category);
    out.put("activity_id", class.activity);
    out.put_some("activity_name", class.activity_name);
    out.put("type_uid", class.uid * 100 + class.activity);
    let (number, name) = match severity(view) {
        Severity::Informational => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    };
    if view.text("severity").and_then(Severity::from_name).is_some() {
        source.take("severity");
    }
    out.put("severity_id", number);
    out.put("severity", name);
    // Milliseconds; the record's own text has all digits.
    out.put("time", view.time_ns().div_euclid(1_000_000));
    out.put_some("metadata.original_time", source.text("time"));
    out.put("message", message(view));
    out.put("metadata.version", name_of(version));
    out.put("metadata.product", json!({"name": PRODUCT, "vendor_name": PRODUCT}));
    out.put("metadata.uid", id(view));
    out.put_some("metadata.sequence", source.number("seq"));
    out.put_some("metadata.correlation_uid", source.text("chain"));
    out.put_some("metadata.log_version", source.number("v").map(|version| version.to_string()));
    out.put("metadata.event_code", label(view));
    source.take("type");
    out.put("metadata.log_name", view.kind());
    out.put("metadata.profiles", json!(["host"]));
}

fn device(source: &Source<'_>, out: &mut Target) {
    out.put("device.type_id", 0);
    out.put_some("device.uid", source.text("host.id"));
    out.put_some("device.hostname", source.text("host.name"));
    out.put_some("device.boot_uid", source.text("host.boot_id"));
    out.put("device.os", json!({"name": "Linux", "type_id": 200}));
    out.put_some("device.os.kernel_release", source.text("kernel"));
}

/// Who acts; `process` names the object of the record that is the acting process.
fn actor(source: &Source<'_>, process: &str, out: &mut Target) {
    let view = source.view;
    if process == "process" {
        put_process(source, "actor.process", out);
    }
    out.put_some("actor.app_name", source.text("actor.id"));
    let user = source.text("actor.user");
    out.put_some("actor.user.name", user);
    out.put_some("actor.user.uid", source.number("process.euid").map(|uid| uid.to_string()));
    if user.is_some() {
        let person = view.text("actor.kind") == Some("human-session");
        out.put("actor.user.type_id", if person { 1 } else { 4 });
    }
    // Whole credentials stay in `unmapped`; this is what others look for.
    let held: Vec<Value> = view
        .held()
        .iter()
        .filter_map(|held| {
            Some(json!({"uid": held.get("id")?.as_str()?, "type": held.get("kind")?.as_str()?}))
        })
        .collect();
    if !held.is_empty() && user.is_some() {
        out.put("actor.user.programmatic_credentials", held);
    }
    out.put_some("actor.session.uid", source.number("process.session").map(|session| session.to_string()));
}

/// The process of the record, at a path.
fn put_process(source: &Source<'_>, path: &str, out: &mut Target) {
    if source.view.at("process").is_none() {
        return;
    }
    let mut put = |name: &str, value: Option<Value>| out.put_some(&format!("{path}.{name}"), value);
    let id = source.text("process.id");
    put("uid", id.map(Value::from));
    put("cpid", id.map(Value::from));
    put("pid", source.number("process.pid").map(Value::from));
    let exe = source.text("process.exe");
    let name = exe.map(base).or_else(|| source.text("process.comm"));
    put("name", name.map(Value::from));
    put("file", exe.map(program));
    put("cmd_line", command_line(source.view.list("process.argv")).map(Value::from));
    let parent: Map<String, Value> = [
        ("uid", source.text("process.parent.id").map(Value::from)),
        ("pid", source.number("process.parent.pid").map(Value::from)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect();
    put("parent_process", (!parent.is_empty()).then_some(Value::Object(parent)));
}

fn program(path: &str) -> Value {
    json!({"name": base(path), "path": path, "type_id": 1})
}

fn file(source: &Source<'_>, out: &mut Target) {
    let path = source.text("file.path");
    out.put("file.name", path.map_or("unknown", base));
    out.put_some("file.path", path);
    out.put("file.type_id", if path.is_some() { 1 } else { 0 });
    let inode = source.number("file.ino");
    let device = source.text("file.dev");
    out.put_some("file.uid", inode.map(|inode| format!("{}:{inode}", device.unwrap_or_default())));
    out.put_some("file.owner.uid", source.number("file.owner").map(|owner| owner.to_string()));
}

fn process_activity(source: &Source<'_>, out: &mut Target) {
    let view = source.view;
    match view.text("action") {
        Some("exec") => {
            // The program that was started is the process of the record; who started it, its parent.
            put_process(source, "process", out);
            out.put("launch_type_id", 3);
            if let Some(starter) = view.at("process.parent").or_else(|| view.at("process")) {
                out.put_some("actor.process.uid", starter.get("id").cloned());
                out.put_some("actor.process.pid", starter.get("pid").cloned());
            }
            actor(source, "", out);
        }
        Some("exec.failed") => {
            actor(source, "process", out);
            let program = source.text("program").unwrap_or("unknown");
            out.put("process.name", base(program));
            out.put_some("process.pid", view.number("process.pid"));
            out.put_some("process.uid", view.text("process.id"));
            out.put("process.file", self::program(program));
            out.put("launch_type_id", 3);
        }
        Some("memory.access") => {
            actor(source, "process", out);
            out.put_some("process.pid", source.number("target.pid"));
            let target = source.text("target.id");
            out.put_some("process.uid", target);
            out.put_some("process.cpid", target);
            let exe = source.text("target.exe");
            out.put_some("process.name", exe.map(base));
            out.put_some("process.file", exe.map(program));
            if view.at("target.pid").is_none() && target.is_none() {
                out.put("process.uid", "unknown");
            }
        }
        _ => {
            // It acts upon itself.
            actor(source, "process", out);
            put_process(source, "process", out);
            out.put_some("exit_code", source.number("exit.code"));
        }
    }
}

fn network(source: &Source<'_>, out: &mut Target) {
    let view = source.view;
    let ip = source.text("destination.ip");
    let path = source.text("destination.path");
    out.put_some("dst_endpoint.ip", ip);
    out.put_some("dst_endpoint.hostname", source.text("destination.name"));
    out.put_some("dst_endpoint.name", path);
    out.put_some("dst_endpoint.uid", source.number("destination.cid").map(|cid| format!("vsock:{cid}")));
    out.put_some("dst_endpoint.port", source.number("destination.port"));
    out.put_some("src_endpoint.ip", source.text("source.ip"));
    out.put_some("src_endpoint.port", source.number("source.port"));
    if view.text("action") != Some("accept") {
        // Where a connection comes from is this host, whatever its address.
        out.put_some("src_endpoint.hostname", view.text("host.name"));
    }
    let nowhere = ["destination.ip", "destination.path", "destination.cid", "destination.name", "source.ip"]
        .into_iter()
        .all(|path| view.at(path).is_none());
    if nowhere {
        out.put("dst_endpoint.name", "unknown");
    }
    let inbound = view.text("action") == Some("accept");
    let local = path.is_some() || view.at("destination.cid").is_some();
    let (direction, name) = match (inbound, local) {
        (true, _) => (1, "Inbound"),
        (false, true) => (99, "Local"),
        (false, false) => (2, "Outbound"),
    };
    out.put("connection_info.direction_id", direction);
    out.put("connection_info.direction", name);
    let transport = source.text("destination.transport");
    out.put_some("connection_info.protocol_name", transport);
    let number = match transport {
        Some("tcp" | "mptcp") => Some(6),
        Some("udp") => Some(17),
        Some("icmp") => Some(1),
        Some("icmpv6") => Some(58),
        Some("sctp") => Some(132),
        Some("udplite") => Some(136),
        _ => None,
    };
    out.put_some("connection_info.protocol_num", number);
    out.put_some("connection_info.protocol_ver_id", ip.map(|ip| if ip.contains(':') { 6 } else { 4 }));
}

/// Whether a finding is told for the first time; later records of the same one update it.
fn first_told(view: &View) -> bool {
    view.text("told").is_none_or(|told| told == "first")
}

/// A finding. Its rule, facts and tags are in `unmapped`, in their own shape.
fn finding(source: &Source<'_>, out: &mut Target) {
    let view = source.view;
    let own = source.text("finding_id").map(str::to_owned);
    out.put("finding_info.uid", own.unwrap_or_else(|| id(view)));
    out.put("finding_info.title", view.text("reason").or_else(|| view.text("kind")).unwrap_or("finding"));
    // An alert once, however often the finding is told.
    out.put("is_alert", first_told(view));
}

fn status(source: &Source<'_>, out: &mut Target) {
    let view = source.view;
    let outcome = source.text("outcome");
    let status = match (view.text("action"), outcome) {
        (Some("exec.failed"), _) => Some(2),
        (_, Some("pending" | "abandoned")) => Some(0),
        (_, Some(outcome)) if !matches!(outcome, "established" | "associated" | "sent") => Some(2),
        (None, None) => None,
        (_, _) => Some(1),
    };
    out.put_some("status_id", status);
    out.put_some("status_detail", outcome);
    let errno = view.number("errno").and_then(|errno| i32::try_from(errno).ok());
    out.put_some("status_code", errno.map(|errno| format!("{:?}", Errno::from_raw(errno))));
    // Whole milliseconds there; with its decimals it stays in `unmapped`.
    let took = view.at("took_ms").and_then(Value::as_f64).map(f64::round);
    out.put_some("duration", took.and_then(|took| format!("{took:.0}").parse::<u64>().ok()));
}

fn name_of(version: OcsfVersion) -> &'static str {
    match version {
        OcsfVersion::V1_1 => "1.1.0",
        OcsfVersion::V1_3 => "1.3.0",
        OcsfVersion::V1_8 => "1.8.0",
    }
}

/// Attributes that came after 1.1.0: of which class (0: of the Base Event only; `None`: of any), where they are, and the first of our
/// versions that knows them.
const SINCE: &[(Option<u64>, &str, OcsfVersion)] = &[
    (Some(0), "actor", OcsfVersion::V1_8),
    (Some(0), "device", OcsfVersion::V1_8),
    (None, "actor.app_name", OcsfVersion::V1_3),
    (None, "actor.process.cpid", OcsfVersion::V1_8),
    (None, "actor.user.programmatic_credentials", OcsfVersion::V1_8),
    (None, "device.boot_uid", OcsfVersion::V1_8),
    (None, "device.os.kernel_release", OcsfVersion::V1_8),
    (None, "is_alert", OcsfVersion::V1_8),
    (None, "launch_type_id", OcsfVersion::V1_8),
    (None, "process.cpid", OcsfVersion::V1_8),
];

/// Moves what a version does not know to `unmapped`, under its own path.
fn downgrade(event: &mut Value, version: OcsfVersion) {
    let class = event.get("class_uid").and_then(Value::as_u64);
    for (of, path, since) in SINCE {
        if version >= *since || (of.is_some() && *of != class) {
            continue;
        }
        let Some(value) = cut(event, path) else { continue };
        let Value::Object(map) = &mut *event else { return };
        let unmapped = map.entry("unmapped").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(unmapped) = unmapped {
            unmapped.insert(format!("ocsf.{path}"), value);
        }
    }
    let service = event.pointer("/actor/user/type_id").and_then(Value::as_u64) == Some(4);
    if service
        && version < OcsfVersion::V1_8
        && let Some(Value::Object(user)) = event.pointer_mut("/actor/user")
    {
        user.insert("type_id".to_owned(), json!(99));
        user.insert("type".to_owned(), json!("Service"));
    }
}

/// Takes out what is at a path.
fn cut(value: &mut Value, path: &str) -> Option<Value> {
    match path.split_once('.') {
        None => value.as_object_mut()?.remove(path),
        Some((name, rest)) => cut(value.get_mut(name)?, rest),
    }
}
