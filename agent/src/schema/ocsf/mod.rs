//! Open Cybersecurity Schema Framework. Written as of 1.8.0; what an older version does not know moves to `unmapped`, as
//! does what no version has a place for.

mod places;

use nix::errno::Errno;

use self::places::{ACTOR_PROCESS, Event, PLACES, PROCESS, Process, Program, place};
use super::fields::field;
use super::source::Source;
use super::target::{Out, Target};
use super::{PRODUCT, base, command_line, id, label, message, severity};
use crate::config::{OcsfVersion, Severity};
use crate::record::{Node, Tree as _, View, nanoseconds};

/// A class, with an activity of it.
struct Class {
    uid: u32,
    name: &'static str,
    category: &'static str,
    activity: u32,
    /// Where the activity is 99.
    activity_name: Option<&'static str>,
}

pub(super) fn encode(view: &View<Node<'_>>, version: OcsfVersion, json: &mut Vec<u8>) {
    let source = Source::new(view);
    let mut out = Target::new(&PLACES);
    let class = class(&source);
    // The label says it.
    let _ = source.text(field!("action"));
    head(&source, &class, version, &mut out);
    device(&source, &mut out);
    match class.uid {
        1001 => file(&source, &mut out),
        1007 => process_activity(&source, &mut out),
        4001 => network(&source, &mut out),
        2004 => finding(&source, &mut out),
        6002 => {
            out.put(place!("app.name"), PRODUCT);
            out.put(place!("app.vendor_name"), PRODUCT);
            out.put_some(place!("app.version"), source.text(field!("agent_version")));
        }
        _ => {}
    }
    if !matches!(class.uid, 6002 | 1007) {
        put_process(&source, &ACTOR_PROCESS, &mut out);
        actor(&source, &mut out);
    }
    status(&source, &mut out);
    out.put(place!("unmapped"), Out::Rest);
    downgrade(&class, version, &mut out);
    out.write(&source, json);
}

/// Which class a record is of.
fn class(source: &Source<'_>) -> Class {
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
    match (source.peek_text(field!("action")), source.view.kind()) {
        (Some("secret.open"), _) => of(1001, 14, None),
        (Some("secret.read"), _) => of(1001, 2, None),
        (Some("secret.write"), _) => of(1001, 3, None),
        (Some("secret.receive"), _) => of(1001, 99, Some("Receive")),
        (Some("memory.access"), _) => of(1007, 3, None),
        (Some("exec" | "exec.failed"), _) => of(1007, 1, None),
        (Some("exit"), _) => of(1007, 2, None),
        (Some("cred.change"), _) => of(1007, 5, None),
        (Some("connect"), _) => match source.peek_text(field!("outcome")) {
            Some("established") => of(4001, 1, None),
            Some("refused") => of(4001, 5, None),
            Some("associated") => of(4001, 99, Some("Associate")),
            Some("pending") => of(4001, 99, Some("Attempt")),
            _ => of(4001, 4, None),
        },
        (Some("send"), _) => of(4001, 6, None),
        (Some("accept"), _) => of(4001, 1, None),
        (_, "finding") if first_told(source) => of(2004, 1, None),
        (_, "finding") => of(2004, 2, None),
        (_, "heartbeat") if source.peek_text(field!("state")) == Some("stopped") => of(6002, 4, None),
        (_, "heartbeat") => of(6002, 99, Some("Heartbeat")),
        (_, "coverage") => of(6002, 99, Some("Coverage")),
        (_, "gap") => of(6002, 99, Some("Gap")),
        _ => of(0, 99, Some("Record")),
    }
}

fn head<'a>(source: &Source<'a>, class: &Class, version: OcsfVersion, out: &mut Event<'a>) {
    out.put(place!("class_uid"), class.uid);
    out.put(place!("class_name"), class.name);
    out.put(place!("category_uid"), class.uid / 1000);
    out.put(place!("category_name"), class.category);
    out.put(place!("activity_id"), class.activity);
    out.put_some(place!("activity_name"), class.activity_name);
    out.put(place!("type_uid"), class.uid * 100 + class.activity);
    let (number, name) = match severity(source) {
        Severity::Informational => (1_u64, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    };
    if source.peek_text(field!("severity")).and_then(Severity::from_name).is_some() {
        source.take(field!("severity"));
    }
    out.put(place!("severity_id"), number);
    out.put(place!("severity"), name);
    // Milliseconds; the record's own text has all digits.
    out.put(place!("time"), source.view.time_ns().div_euclid(1_000_000));
    out.put_some(place!("metadata.original_time"), source.text(field!("time")));
    out.put(place!("message"), message(source));
    if let Some(count) = source.number(field!("count")) {
        out.put(place!("count"), count);
        if let Some(since) = source.peek_text(field!("since")).and_then(nanoseconds) {
            out.put(place!("start_time"), since.div_euclid(1_000_000));
            out.put(place!("end_time"), source.view.time_ns().div_euclid(1_000_000));
        }
    }
    out.put(place!("metadata.version"), name_of(version));
    out.put(place!("metadata.product.name"), PRODUCT);
    out.put(place!("metadata.product.vendor_name"), PRODUCT);
    out.put(place!("metadata.uid"), id(source));
    out.put_some(place!("metadata.sequence"), source.number(field!("seq")));
    out.put_some(place!("metadata.correlation_uid"), source.text(field!("chain")));
    out.put_some(
        place!("metadata.log_version"),
        source.number(field!("v")).map(|version| version.to_string()),
    );
    out.put(place!("metadata.event_code"), label(source).into_owned());
    source.take(field!("type"));
    out.put(place!("metadata.log_name"), source.view.kind());
    out.put(place!("metadata.profiles"), &["host"] as &'static [&'static str]);
}

fn device<'a>(source: &Source<'a>, out: &mut Event<'a>) {
    out.put(place!("device.type_id"), 0_u64);
    out.put_some(place!("device.uid"), source.text(field!("host.id")));
    out.put_some(place!("device.hostname"), source.text(field!("host.name")));
    out.put_some(place!("device.boot_uid"), source.text(field!("host.boot_id")));
    out.put(place!("device.os.name"), "Linux");
    out.put(place!("device.os.type_id"), 200_u64);
    out.put_some(place!("device.os.kernel_release"), source.text(field!("kernel")));
}

/// Who acts, but for the acting process.
fn actor<'a>(source: &Source<'a>, out: &mut Event<'a>) {
    out.put_some(place!("actor.app_name"), source.text(field!("actor.id")));
    let user = source.text(field!("actor.user"));
    out.put_some(place!("actor.user.name"), user);
    let uid = source.number(field!("process.euid"));
    out.put_some(place!("actor.user.uid"), uid.map(|uid| uid.to_string()));
    if user.is_some() {
        let person = source.peek_text(field!("actor.kind")) == Some("human-session");
        out.put(place!("actor.user.type_id"), if person { 1_u64 } else { SERVICE });
    }
    // Whole credentials stay in `unmapped`; this is what others look for.
    let held: Vec<_> = source
        .view
        .held()
        .iter()
        .filter_map(|held| {
            Some([("type", held.member("kind")?.text()?), ("uid", held.member("id")?.text()?)])
        })
        .collect();
    if !held.is_empty() && user.is_some() {
        out.put(place!("actor.user.programmatic_credentials"), held);
    }
    let session = source.number(field!("process.session"));
    out.put_some(place!("actor.session.uid"), session.map(|session| session.to_string()));
}

/// The process of the record.
fn put_process<'a>(source: &Source<'a>, at: &Process, out: &mut Event<'a>) {
    if source.peek(field!("process")).is_none() {
        return;
    }
    let id = source.text(field!("process.id"));
    out.put_some(at.uid, id);
    out.put_some(at.cpid, id);
    out.put_some(at.pid, source.number(field!("process.pid")));
    let exe = source.text(field!("process.exe"));
    out.put_some(at.name, exe.map(base).or_else(|| source.text(field!("process.comm"))));
    put_program(exe, &at.program, out);
    out.put_some(at.cmd_line, command_line(source.peek_list(field!("process.argv"))));
    out.put_some(at.parent_uid, source.text(field!("process.parent.id")));
    out.put_some(at.parent_pid, source.number(field!("process.parent.pid")));
}

fn put_program<'a>(path: Option<&'a str>, at: &Program, out: &mut Event<'a>) {
    if let Some(path) = path {
        out.put(at.name, base(path));
        out.put(at.path, path);
        out.put(at.type_id, 1_u64);
    }
}

fn file<'a>(source: &Source<'a>, out: &mut Event<'a>) {
    let path = source.text(field!("file.path"));
    out.put(place!("file.name"), path.map_or("unknown", base));
    out.put_some(place!("file.path"), path);
    out.put(place!("file.type_id"), u64::from(path.is_some()));
    let inode = source.number(field!("file.ino"));
    let device = source.text(field!("file.dev"));
    out.put_some(place!("file.uid"), inode.map(|inode| format!("{}:{inode}", device.unwrap_or_default())));
    out.put_some(
        place!("file.owner.uid"),
        source.number(field!("file.owner")).map(|owner| owner.to_string()),
    );
}

fn process_activity<'a>(source: &Source<'a>, out: &mut Event<'a>) {
    let action = source.peek_text(field!("action"));
    if action == Some("exec") {
        // The program that was started is the process of the record; who started it, its parent.
        put_process(source, &PROCESS, out);
        out.put(place!("launch_type_id"), 3_u64);
        let starter = source.peek(field!("process.parent")).or_else(|| source.peek(field!("process")));
        out.put_some(ACTOR_PROCESS.uid, starter.and_then(|starter| starter.member("id")));
        out.put_some(ACTOR_PROCESS.pid, starter.and_then(|starter| starter.member("pid")));
    } else {
        put_process(source, &ACTOR_PROCESS, out);
    }
    actor(source, out);
    match action {
        Some("exec") => {}
        Some("exec.failed") => {
            let program = source.text(field!("program")).unwrap_or("unknown");
            out.put(PROCESS.name, base(program));
            out.put_some(PROCESS.pid, source.peek(field!("process.pid")).and_then(Node::whole));
            out.put_some(PROCESS.uid, source.peek_text(field!("process.id")));
            put_program(Some(program), &PROCESS.program, out);
            out.put(place!("launch_type_id"), 3_u64);
        }
        Some("memory.access") => {
            out.put_some(PROCESS.pid, source.number(field!("target.pid")));
            let target = source.text(field!("target.id"));
            out.put_some(PROCESS.uid, target);
            out.put_some(PROCESS.cpid, target);
            let exe = source.text(field!("target.exe"));
            out.put_some(PROCESS.name, exe.map(base));
            put_program(exe, &PROCESS.program, out);
            if source.peek(field!("target.pid")).is_none() && target.is_none() {
                out.put(PROCESS.uid, "unknown");
            }
        }
        _ => {
            // It acts upon itself.
            put_process(source, &PROCESS, out);
            out.put_some(place!("exit_code"), source.number(field!("exit.code")));
        }
    }
}

fn network<'a>(source: &Source<'a>, out: &mut Event<'a>) {
    let ip = source.text(field!("destination.ip"));
    let path = source.text(field!("destination.path"));
    out.put_some(place!("dst_endpoint.ip"), ip);
    out.put_some(place!("dst_endpoint.hostname"), source.text(field!("destination.name")));
    out.put_some(place!("dst_endpoint.name"), path);
    out.put_some(
        place!("dst_endpoint.uid"),
        source.number(field!("destination.cid")).map(|cid| format!("vsock:{cid}")),
    );
    out.put_some(place!("dst_endpoint.port"), source.number(field!("destination.port")));
    out.put_some(place!("src_endpoint.ip"), source.text(field!("source.ip")));
    out.put_some(place!("src_endpoint.port"), source.number(field!("source.port")));
    if source.peek_text(field!("action")) != Some("accept") {
        // Where a connection comes from is this host, whatever its address.
        out.put_some(place!("src_endpoint.hostname"), source.peek_text(field!("host.name")));
    }
    let nowhere = [
        field!("destination.ip"),
        field!("destination.path"),
        field!("destination.cid"),
        field!("destination.name"),
        field!("source.ip"),
    ]
    .into_iter()
    .all(|field| source.peek(field).is_none());
    if nowhere {
        out.put(place!("dst_endpoint.name"), "unknown");
    }
    let inbound = source.peek_text(field!("action")) == Some("accept");
    let local = path.is_some() || source.peek(field!("destination.cid")).is_some();
    let (direction, name) = match (inbound, local) {
        (true, _) => (1_u64, "Inbound"),
        (false, true) => (99, "Local"),
        (false, false) => (2, "Outbound"),
    };
    out.put(place!("connection_info.direction_id"), direction);
    out.put(place!("connection_info.direction"), name);
    let transport = source.text(field!("destination.transport"));
    out.put_some(place!("connection_info.protocol_name"), transport);
    let number = match transport {
        Some("tcp" | "mptcp") => Some(6_u64),
        Some("udp") => Some(17),
        Some("icmp") => Some(1),
        Some("icmpv6") => Some(58),
        Some("sctp") => Some(132),
        Some("udplite") => Some(136),
        _ => None,
    };
    out.put_some(place!("connection_info.protocol_num"), number);
    out.put_some(
        place!("connection_info.protocol_ver_id"),
        ip.map(|ip| if ip.contains(':') { 6_u64 } else { 4 }),
    );
}

/// Whether a finding is told for the first time; later records of the same one update it.
fn first_told(source: &Source<'_>) -> bool {
    source.peek_text(field!("told")).is_none_or(|told| told == "first")
}

/// A finding. Its rule, facts and tags are in `unmapped`, in their own shape.
fn finding<'a>(source: &Source<'a>, out: &mut Event<'a>) {
    out.put(place!("finding_info.uid"), id(source));
    out.put_some(place!("finding_info.uid"), source.text(field!("finding_id")));
    out.put(
        place!("finding_info.title"),
        source.peek_text(field!("reason")).or_else(|| source.peek_text(field!("kind"))).unwrap_or("finding"),
    );
    // An alert once, however often the finding is told.
    out.put(place!("is_alert"), first_told(source));
}

fn status<'a>(source: &Source<'a>, out: &mut Event<'a>) {
    let outcome = source.text(field!("outcome"));
    let status = match (source.peek_text(field!("action")), outcome) {
        (Some("exec.failed"), _) => Some(2_u64),
        (_, Some("pending" | "abandoned")) => Some(0),
        (_, Some(outcome)) if !matches!(outcome, "established" | "associated" | "sent") => Some(2),
        (None, None) => None,
        (_, _) => Some(1),
    };
    out.put_some(place!("status_id"), status);
    out.put_some(place!("status_detail"), outcome);
    let errno =
        source.peek(field!("errno")).and_then(Node::whole).and_then(|errno| i32::try_from(errno).ok());
    out.put_some(place!("status_code"), errno.map(|errno| format!("{:?}", Errno::from_raw(errno))));
    // Whole milliseconds there; with its decimals it stays in `unmapped`.
    let took = source.peek(field!("took_ms")).and_then(Node::real).map(f64::round);
    out.put_some(place!("duration"), took.and_then(|took| format!("{took:.0}").parse::<u64>().ok()));
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
const SINCE: &[(Option<u32>, &str, OcsfVersion)] = &[
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

/// The type of a user that is a service, which came with 1.8.0.
const SERVICE: u64 = 4;

/// Moves what a version does not know to `unmapped`, under its own path.
fn downgrade(class: &Class, version: OcsfVersion, out: &mut Event<'_>) {
    for (of, path, since) in SINCE {
        if version < *since && of.is_none_or(|of| of == class.uid) {
            out.move_to_rest(path, format!("ocsf.{path}"));
        }
    }
    let service = matches!(out.at(place!("actor.user.type_id")), Out::Whole(SERVICE));
    if service && version < OcsfVersion::V1_8 {
        out.put(place!("actor.user.type_id"), 99_u64);
        out.put(place!("actor.user.type"), "Service");
    }
}
