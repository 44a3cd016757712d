//! Elastic Common Schema. What it has no field for stands below `spoor`.

use super::fields::{Field, field};
use super::source::Source;
use super::target::{Out, Places, Target};
use super::{base, command_line, id, label, message, severity};
use crate::record::{Node, View};

/// The version whose fields these are.
pub(super) const VERSION: &str = "9.4.0";

/// Where it has values, in order.
const COUNT: usize = 63;
static PLACES: Places<COUNT> = Places::new([
    "@timestamp",
    "agent.type",
    "agent.version",
    "destination.address",
    "destination.domain",
    "destination.ip",
    "destination.port",
    "ecs.version",
    "event.action",
    "event.category",
    "event.dataset",
    "event.duration",
    "event.id",
    "event.kind",
    "event.module",
    "event.outcome",
    "event.provider",
    "event.reason",
    "event.sequence",
    "event.severity",
    "event.type",
    "file.device",
    "file.directory",
    "file.inode",
    "file.mode",
    "file.name",
    "file.path",
    "file.uid",
    "host.boot.id",
    "host.id",
    "host.name",
    "host.os.kernel",
    "host.os.type",
    "message",
    "network.direction",
    "network.transport",
    "network.type",
    "orchestrator.namespace",
    "orchestrator.resource.id",
    "orchestrator.resource.name",
    "orchestrator.resource.type",
    "orchestrator.type",
    "process.args",
    "process.args_count",
    "process.command_line",
    "process.entity_id",
    "process.executable",
    "process.exit_code",
    "process.name",
    "process.parent.entity_id",
    "process.parent.pid",
    "process.pid",
    "process.real_user.id",
    "process.user.id",
    "process.vpid",
    "related.hosts",
    "related.ip",
    "related.user",
    "source.ip",
    "source.port",
    "spoor",
    "trace.id",
    "user.name",
]);

macro_rules! place {
    ($path:expr) => {
        const { PLACES.spot($path) }
    };
}

/// Words of the schema.
type Words = &'static [&'static str];

type Event<'a> = Target<'a, COUNT>;

pub(super) fn encode(view: &View<Node<'_>>, json: &mut Vec<u8>) {
    let source = Source::new(view);
    let mut out = Target::new(&PLACES);
    out.put_some(place!("@timestamp"), source.text(field!("time")));
    out.put(place!("message"), message(&source));
    out.put(place!("ecs.version"), VERSION);
    event(&source, &mut out);
    out.put(place!("agent.type"), super::PRODUCT);
    out.put_some(place!("agent.version"), source.text(field!("agent_version")));
    out.put_some(place!("host.id"), source.text(field!("host.id")));
    out.put_some(place!("host.name"), source.text(field!("host.name")));
    out.put_some(place!("host.boot.id"), source.text(field!("host.boot_id")));
    out.put(place!("host.os.type"), "linux");
    out.put_some(place!("host.os.kernel"), source.text(field!("kernel")));
    // A service account is the user of a record; `spoor.actor` tells the rest of it.
    out.put_some(place!("user.name"), source.text(field!("actor.user")));
    process(&source, &mut out);
    file(&source, &mut out);
    network(&source, &mut out);
    orchestrator(&source, &mut out);
    related(&source, &mut out);
    out.put(place!("spoor"), Out::Rest);
    out.write(&source, json);
}

fn event<'a>(source: &Source<'a>, out: &mut Event<'a>) {
    out.put(place!("event.id"), id(source));
    out.put_some(place!("event.sequence"), source.number(field!("seq")));
    let kind = source.text(field!("type")).unwrap_or_default();
    out.put(place!("event.module"), super::PRODUCT);
    out.put(place!("event.dataset"), format!("spoor.{kind}"));
    out.put(place!("event.provider"), super::PRODUCT);
    let action = label(source);
    // The first of these is what the label says.
    let _ = source
        .text(field!("action"))
        .or_else(|| source.text(field!("status")))
        .or_else(|| source.text(field!("state")));
    out.put(place!("event.severity"), severity(source) as u8);
    let (category, types): (Words, Words) = match &*action {
        "secret.open" | "secret.read" | "secret.receive" => (&["file"], &["access"]),
        "secret.write" => (&["file"], &["change"]),
        "memory.access" => (&["process"], &["access"]),
        "exec" => (&["process"], &["start"]),
        "exec.failed" => (&["process"], &["info"]),
        "exit" => (&["process"], &["end"]),
        "cred.change" => (&["process", "iam"], &["change"]),
        "connect" => match source.peek_text(field!("outcome")) {
            Some("established" | "associated") => (&["network"], &["connection", "start"]),
            Some("refused") => (&["network"], &["connection", "denied"]),
            _ => (&["network"], &["connection"]),
        },
        "accept" => (&["network"], &["connection", "start"]),
        "send" => (&["network"], &["connection"]),
        _ if kind == "finding" => (&["intrusion_detection"], &["info"]),
        _ => (&["host"], &["info"]),
    };
    out.put(
        place!("event.kind"),
        match kind {
            "finding" => "alert",
            "heartbeat" => "metric",
            "coverage" => "state",
            "inventory" => "asset",
            _ => "event",
        },
    );
    out.put(place!("event.category"), category);
    out.put(place!("event.type"), types);
    let outcome = match (&*action, source.peek_text(field!("outcome"))) {
        ("exec.failed", _) => Some("failure"),
        (_, Some("established" | "associated" | "sent")) | ("exec" | "accept" | "memory.access", None) => {
            Some("success")
        }
        (_, Some("pending" | "abandoned")) => Some("unknown"),
        (_, Some(_)) => Some("failure"),
        (secret, None) if secret.starts_with("secret.") => Some("success"),
        _ => None,
    };
    out.put_some(place!("event.outcome"), outcome);
    out.put(place!("event.action"), action.into_owned());
    // ns, as the schema has it.
    let took = source.peek(field!("took_ms")).and_then(Node::real);
    out.put_some(
        place!("event.duration"),
        took.map(|ms| (ms * 1e6).round()).filter(|ns| ns.is_finite()).map(whole),
    );
    out.put_some(place!("event.reason"), source.text(field!("reason")));
    // Kibana follows this one from record to record.
    out.put_some(place!("trace.id"), source.peek_text(field!("chain")));
}

/// A float that is a whole number, as one.
fn whole<'a>(number: f64) -> Out<'a> {
    format!("{number:.0}").parse::<u64>().map_or(Out::Null, Out::from)
}

fn process<'a>(source: &Source<'a>, out: &mut Event<'a>) {
    out.put_some(place!("process.entity_id"), source.text(field!("process.id")));
    out.put_some(place!("process.pid"), source.number(field!("process.pid")));
    out.put_some(place!("process.vpid"), source.number(field!("process.ns_pid")));
    out.put_some(place!("process.executable"), source.text(field!("process.exe")));
    let name = source
        .peek_text(field!("process.exe"))
        .map(base)
        .or_else(|| source.peek_text(field!("process.comm")));
    out.put_some(place!("process.name"), name);
    let argv = source.list(field!("process.argv")).unwrap_or_default();
    if !argv.is_empty() {
        out.put(place!("process.args"), argv);
        out.put(place!("process.args_count"), argv.len() as u64);
    }
    out.put_some(place!("process.command_line"), command_line(argv));
    out.put_some(place!("process.parent.entity_id"), source.text(field!("process.parent.id")));
    out.put_some(place!("process.parent.pid"), source.number(field!("process.parent.pid")));
    // Ids of users are texts there.
    let id = |field| source.number(field).map(|id| id.to_string());
    out.put_some(place!("process.real_user.id"), id(field!("process.uid")));
    out.put_some(place!("process.user.id"), id(field!("process.euid")));
    if source.peek_text(field!("action")) == Some("exit") {
        out.put_some(place!("process.exit_code"), source.number(field!("exit.code")));
    }
}

fn file<'a>(source: &Source<'a>, out: &mut Event<'a>) {
    if let Some(path) = source.text(field!("file.path")) {
        out.put(place!("file.path"), path);
        out.put(place!("file.name"), base(path));
        let directory = path.rsplit_once('/').map(|(directory, _)| directory);
        out.put_some(place!("file.directory"), directory.filter(|directory| !directory.is_empty()));
    }
    out.put_some(place!("file.device"), source.text(field!("file.dev")));
    out.put_some(place!("file.inode"), source.number(field!("file.ino")).map(|inode| inode.to_string()));
    out.put_some(place!("file.uid"), source.number(field!("file.owner")).map(|owner| owner.to_string()));
    out.put_some(place!("file.mode"), source.text(field!("file.mode")));
}

fn network<'a>(source: &Source<'a>, out: &mut Event<'a>) {
    if source.peek(field!("destination")).is_none() {
        return;
    }
    let ip = source.text(field!("destination.ip"));
    let name = source.text(field!("destination.name"));
    out.put_some(place!("destination.ip"), ip);
    out.put_some(place!("destination.domain"), name);
    out.put_some(
        place!("destination.address"),
        name.or(ip).or_else(|| source.text(field!("destination.path"))),
    );
    out.put_some(place!("destination.port"), source.number(field!("destination.port")));
    out.put_some(place!("source.ip"), source.text(field!("source.ip")));
    out.put_some(place!("source.port"), source.number(field!("source.port")));
    out.put_some(place!("network.transport"), source.text(field!("destination.transport")));
    out.put_some(place!("network.type"), ip.map(|ip| if ip.contains(':') { "ipv6" } else { "ipv4" }));
    let inbound = source.peek_text(field!("action")) == Some("accept");
    out.put(place!("network.direction"), if inbound { "ingress" } else { "egress" });
}

fn orchestrator<'a>(source: &Source<'a>, out: &mut Event<'a>) {
    if source.peek(field!("actor.pod")).is_none() {
        return;
    }
    out.put(place!("orchestrator.type"), "kubernetes");
    out.put(place!("orchestrator.resource.type"), "pod");
    out.put_some(place!("orchestrator.namespace"), source.text(field!("actor.pod.namespace")));
    out.put_some(place!("orchestrator.resource.name"), source.text(field!("actor.pod.name")));
    out.put_some(place!("orchestrator.resource.id"), source.text(field!("actor.pod.uid")));
}

fn related<'a>(source: &Source<'a>, out: &mut Event<'a>) {
    let list = |fields: &[Field]| -> Vec<&'a str> {
        fields.iter().filter_map(|field| source.peek_text(*field)).collect()
    };
    let mut put = |place, found: Vec<&'a str>| {
        if !found.is_empty() {
            out.put(place, found);
        }
    };
    put(place!("related.ip"), list(&[field!("destination.ip"), field!("source.ip")]));
    put(place!("related.user"), list(&[field!("actor.user")]));
    put(place!("related.hosts"), list(&[field!("host.name"), field!("destination.name")]));
}
