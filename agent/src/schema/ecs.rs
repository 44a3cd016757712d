//! Elastic Common Schema. What it has no field for stands below `spoor`.

use serde_json::{Value, json};

use super::source::{Source, Target};
use super::{base, command_line, id, label, message, severity};
use crate::record::View;

/// The version whose fields these are.
pub(super) const VERSION: &str = "9.4.0";

pub(super) fn encode(view: &View) -> Value {
    let source = Source::new(view);
    let mut out = Target::default();
    out.put_some("@timestamp", source.text("time"));
    out.put("message", message(view));
    out.put("ecs.version", VERSION);
    event(&source, &mut out);
    out.put("agent.type", super::PRODUCT);
    out.put_some("agent.version", source.text("agent_version"));
    out.put_some("host.id", source.text("host.id"));
    out.put_some("host.name", source.text("host.name"));
    out.put_some("host.boot.id", source.text("host.boot_id"));
    out.put("host.os.type", "linux");
    out.put_some("host.os.kernel", source.text("kernel"));
    // A service account is the user of a record; `spoor.actor` tells the rest of it.
    out.put_some("user.name", source.text("actor.user"));
    process(&source, &mut out);
    file(&source, &mut out);
    network(&source, &mut out);
    orchestrator(&source, &mut out);
    related(view, &mut out);
    out.put_rest("spoor", &source);
    out.build()
}

fn event(source: &Source<'_>, out: &mut Target) {
    let view = source.view;
    out.put("event.id", id(view));
    out.put_some("event.sequence", source.number("seq"));
    let kind = source.text("type").unwrap_or_default();
    out.put("event.module", super::PRODUCT);
    out.put("event.dataset", format!("spoor.{kind}"));
    out.put("event.provider", super::PRODUCT);
    let action = label(view);
    // The first of these is what the label says.
    let _ = source.text("action").or_else(|| source.text("status")).or_else(|| source.text("state"));
    out.put("event.action", action.as_str());
    out.put("event.severity", severity(view) as u8);
    let (category, types): (&[&str], &[&str]) = match action.as_str() {
        "secret.open" | "secret.read" | "secret.receive" => (&["file"], &["access"]),
        "secret.write" => (&["file"], &["change"]),
        "memory.access" => (&["process"], &["access"]),
        "exec" => (&["process"], &["start"]),
        "exec.failed" => (&["process"], &["info"]),
        "exit" => (&["process"], &["end"]),
        "cred.change" => (&["process", "iam"], &["change"]),
        "connect" => match view.text("outcome") {
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
        "event.kind",
        match kind {
            "finding" => "alert",
            "heartbeat" => "metric",
            "coverage" => "state",
            "inventory" => "asset",
            _ => "event",
        },
    );
    out.put("event.category", category);
    out.put("event.type", types);
    let outcome = match (action.as_str(), view.text("outcome")) {
        ("exec.failed", _) => Some("failure"),
        (_, Some("established" | "associated" | "sent")) | ("exec" | "accept" | "memory.access", None) => {
            Some("success")
        }
        (_, Some("pending" | "abandoned")) => Some("unknown"),
        (_, Some(_)) => Some("failure"),
        (secret, None) if secret.starts_with("secret.") => Some("success"),
        _ => None,
    };
    out.put_some("event.outcome", outcome);
    // ns, as the schema has it.
    let took = view.at("took_ms").and_then(Value::as_f64);
    out.put_some(
        "event.duration",
        took.map(|ms| json!((ms * 1e6).round())).and_then(|ns| ns.as_f64()).map(whole),
    );
    out.put_some("event.reason", source.text("reason"));
    // Kibana follows this one from record to record.
    out.put_some("trace.id", view.chain());
}

/// A float that is a whole number, as one.
fn whole(number: f64) -> Value {
    format!("{number:.0}").parse::<u64>().map_or(Value::Null, Value::from)
}

fn process(source: &Source<'_>, out: &mut Target) {
    let view = source.view;
    out.put_some("process.entity_id", source.text("process.id"));
    out.put_some("process.pid", source.number("process.pid"));
    out.put_some("process.vpid", source.number("process.ns_pid"));
    out.put_some("process.executable", source.text("process.exe"));
    let name = view.text("process.exe").map(base).or_else(|| view.text("process.comm"));
    out.put_some("process.name", name);
    let argv = source.list("process.argv");
    if !argv.is_empty() {
        out.put("process.args", argv);
        out.put("process.args_count", argv.len());
    }
    out.put_some("process.command_line", command_line(argv));
    out.put_some("process.parent.entity_id", source.text("process.parent.id"));
    out.put_some("process.parent.pid", source.number("process.parent.pid"));
    // Ids of users are texts there.
    let id = |path| source.number(path).map(|id| id.to_string());
    out.put_some("process.real_user.id", id("process.uid"));
    out.put_some("process.user.id", id("process.euid"));
    if view.text("action") == Some("exit") {
        out.put_some("process.exit_code", source.number("exit.code"));
    }
}

fn file(source: &Source<'_>, out: &mut Target) {
    if let Some(path) = source.text("file.path") {
        out.put("file.path", path);
        out.put("file.name", base(path));
        let directory = path.rsplit_once('/').map(|(directory, _)| directory);
        out.put_some("file.directory", directory.filter(|directory| !directory.is_empty()));
    }
    out.put_some("file.device", source.text("file.dev"));
    out.put_some("file.inode", source.number("file.ino").map(|inode| inode.to_string()));
    out.put_some("file.uid", source.number("file.owner").map(|owner| owner.to_string()));
    out.put_some("file.mode", source.text("file.mode"));
}

fn network(source: &Source<'_>, out: &mut Target) {
    let view = source.view;
    if view.at("destination").is_none() {
        return;
    }
    let ip = source.text("destination.ip");
    let name = source.text("destination.name");
    out.put_some("destination.ip", ip);
    out.put_some("destination.domain", name);
    out.put_some("destination.address", name.or(ip).or_else(|| source.text("destination.path")));
    out.put_some("destination.port", source.number("destination.port"));
    out.put_some("source.ip", source.text("source.ip"));
    out.put_some("source.port", source.number("source.port"));
    out.put_some("network.transport", source.text("destination.transport"));
    out.put_some("network.type", ip.map(|ip| if ip.contains(':') { "ipv6" } else { "ipv4" }));
    let inbound = view.text("action") == Some("accept");
    out.put("network.direction", if inbound { "ingress" } else { "egress" });
}

fn orchestrator(source: &Source<'_>, out: &mut Target) {
    if source.view.at("actor.pod").is_none() {
        return;
    }
    out.put("orchestrator.type", "kubernetes");
    out.put("orchestrator.resource.type", "pod");
    out.put_some("orchestrator.namespace", source.text("actor.pod.namespace"));
    out.put_some("orchestrator.resource.name", source.text("actor.pod.name"));
    out.put_some("orchestrator.resource.id", source.text("actor.pod.uid"));
}

fn related(view: &View, out: &mut Target) {
    let list = |paths: &[&str]| -> Vec<&str> { paths.iter().filter_map(|path| view.text(path)).collect() };
    for (path, found) in [
        ("related.ip", list(&["destination.ip", "source.ip"])),
        ("related.user", list(&["actor.user"])),
        ("related.hosts", list(&["host.name", "destination.name"])),
    ] {
        if !found.is_empty() {
            out.put(path, found);
        }
    }
}
