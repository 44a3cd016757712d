//! The words for what records hold.

use std::time::Duration;

use crate::chain::{FAIR, STRONG};
use serde_json::Value;

use super::style::{Line, Paint, head};
use crate::record::View;

/// The text at a name of an object.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

/// The last part of a path.
pub(super) fn base(path: &str) -> &str {
    path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(path)
}

/// Name of a process, and its pid.
pub(super) fn process(process: &Value) -> String {
    let name = text(process, "exe").map(base).or_else(|| text(process, "comm")).unwrap_or("?");
    match process.get("pid").and_then(Value::as_u64) {
        Some(pid) => format!("{name} {pid}"),
        None => name.to_owned(),
    }
}

/// Arguments as one line, those with blanks in quotes.
pub(super) fn command(process: &Value) -> String {
    let argv = process.get("argv").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut words: Vec<String> = argv
        .iter()
        .filter_map(Value::as_str)
        .map(|word| if word.is_empty() || word.contains(' ') { format!("'{word}'") } else { word.to_owned() })
        .collect();
    if process.get("argv_truncated").is_some() {
        words.push("…".to_owned());
    }
    if words.is_empty() {
        words.extend(text(process, "exe").map(str::to_owned));
    }
    words.join(" ")
}

/// What tells a credential from others: its first identifier, else its file's name.
pub(super) fn credential(credential: &Value) -> String {
    let id = text(credential, "id").unwrap_or_default();
    let kind = text(credential, "kind").unwrap_or_default();
    let path = text(credential, "path").unwrap_or_default();
    // The id is `<kind>:<first identifier>`, or the path behind the kind.
    match id.strip_prefix(kind).and_then(|rest| rest.strip_prefix(':')) {
        Some(first) if first != path && !first.is_empty() => first.to_owned(),
        _ => base(path).to_owned(),
    }
}

/// The credential that fits best of those that an action came after.
pub(super) fn linked(view: &View) -> Option<&Value> {
    let best = view.list("link.each").first().and_then(|best| text(best, "credential"));
    let all = view.list("credential");
    all.iter().find(|one| best.is_some() && text(one, "id") == best).or(all.first())
}

/// Its kind and name, short enough for a remark. Key ids are long and told apart by their beginning.
pub(super) fn short(value: &Value) -> String {
    let kind = text(value, "kind").unwrap_or_default();
    head(&format!("{kind} {}", credential(value)), 28)
}

/// Where to, as people write it: the name, where there is one, beside the address.
pub(super) fn address(destination: &Value) -> String {
    let number = |name: &str| destination.get(name).and_then(Value::as_u64);
    let port = number("port").unwrap_or(0);
    if let Some(path) = text(destination, "path") {
        return path.to_owned();
    }
    if let Some(cid) = number("cid") {
        return format!("vsock {cid}:{port}");
    }
    let ip = text(destination, "ip").unwrap_or("?");
    let there = if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
    let there = match text(destination, "transport") {
        Some("tcp") | None => there,
        Some(other) => format!("{there}/{other}"),
    };
    match text(destination, "name") {
        Some(name) => format!("{there} {name}"),
        None => there,
    }
}

/// A distance in time, to three places at most.
pub(super) fn distance(ns: i64) -> String {
    let text = span(Duration::from_nanos(ns.unsigned_abs()));
    if ns < 0 { format!("-{text}") } else { text }
}

fn span(span: Duration) -> String {
    let us = span.as_micros();
    match us {
        0 => "0 ms".to_owned(),
        1..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{}.{} ms", us / 1_000, us / 100 % 10),
        10_000..1_000_000 => format!("{} ms", us / 1_000),
        1_000_000..60_000_000 => format!("{}.{:02} s", us / 1_000_000, us / 10_000 % 100),
        60_000_000..3_600_000_000 => format!("{}m {:02}s", us / 60_000_000, us / 1_000_000 % 60),
        _ => format!("{}h {:02}m", us / 3_600_000_000, us / 60_000_000 % 60),
    }
}

/// Day and time to the second.
pub(super) fn moment(time: &str) -> String {
    time.get(..19).unwrap_or(time).replace('T', " ")
}

/// How something ended: `exit 0`, `killed by SIGSEGV (core)`.
pub(super) fn exit(exit: &Value) -> (Paint, String) {
    if let Some(code) = exit.get("code").and_then(Value::as_u64) {
        let paint = if code == 0 { Paint::Good } else { Paint::Bad };
        return (paint, format!("exit code {code}"));
    }
    let number = exit.get("signal").and_then(Value::as_i64).unwrap_or(0);
    let name = i32::try_from(number)
        .ok()
        .and_then(|number| nix::sys::signal::Signal::try_from(number).ok())
        .map_or_else(|| format!("signal {number}"), |signal| signal.as_str().to_owned());
    let core = exit.get("core").and_then(Value::as_bool).unwrap_or(false);
    (Paint::Bad, format!("killed by {name}{}", if core { ", core left" } else { "" }))
}

/// How the outcome of a connection is painted.
pub(super) fn paint_of(outcome: &str) -> Paint {
    match outcome {
        "established" | "associated" | "sent" => Paint::Good,
        "pending" | "?" => Paint::Doubt,
        _ => Paint::Bad,
    }
}

pub(super) fn outcome(view: &View, line: Line, brief: bool) -> Line {
    let Some(word) = view.text("outcome") else { return line };
    let paint = paint_of(word);
    let line = match view.number("errno").and_then(|errno| i32::try_from(errno).ok()) {
        Some(errno) => line.put(paint, &format!("{word} {:?}", nix::errno::Errno::from_raw(errno))),
        None => line.put(paint, word),
    };
    match view.at("took_ms").and_then(Value::as_f64).filter(|_| !brief) {
        // A record has three places of a millisecond.
        Some(took) => {
            line.faint(&format!(" in {}", span(Duration::from_secs_f64(took.clamp(0.0, 1e9) / 1e3))))
        }
        None => line,
    }
}

/// What a gap says, without its time.
pub(super) fn gap(view: &View) -> String {
    let counts: Vec<String> = view
        .at("counts")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    let what = kind_of_gap(view.text("kind").unwrap_or("?"));
    if counts.is_empty() { what.to_owned() } else { format!("{what}: {}", counts.join(", ")) }
}

/// A kind of gap in a person's words; one that we do not know in its own.
pub(super) fn kind_of_gap(kind: &str) -> &str {
    match kind {
        "lost" => "events were lost",
        "older-than-agent" => "the run is older than the agent; what it did before is not known",
        "unknown-parent" => "a process acted whose making was not seen",
        "truncated" => "arguments or paths are cut",
        "state-full" => "tables were full; something was given up",
        "agent-stopped" => "the agent stopped meanwhile",
        "dropped" => "records were given up, for their age or size",
        "damaged" => "records were lost: a file of the store was damaged",
        "probe-silent" => "a probe does not fire any more",
        "repeated" => {
            "a ring filled, and did not take what would have been told again: the same with the same file"
        }
        "missed" => "probes were interrupted at work, and passed by meanwhile",
        "fork-not-covered" => {
            "nothing showed who made whom: whose processes these are, and what they inherited"
        }
        "exec-not-covered" => "nothing showed which programs ran",
        "exit-not-covered" => "nothing showed how processes ended, nor when",
        "open-not-covered" => "nothing showed which credentials were opened",
        "connect-not-covered" => "nothing showed where connections went",
        "outcome-not-covered" => "nothing showed what became of connections",
        other => other,
    }
}

/// Why nobody is named behind what was brought into a container.
pub(super) fn unnamed(why: &str) -> &str {
    match why {
        "several-fit" => "several could have asked for it",
        "arguments-unread" => "the arguments of the client that fits are not understood, or were cut",
        "not-connected" => "the client that fits was not seen to reach a daemon",
        "also-without-client" => "the same came without a client lately",
        "events-lost" => "another client may have gone unseen",
        other => other,
    }
}

/// What a link is worth, in a word before what it rests on. Records of before have no number.
pub(super) fn worth(confidence: Option<u64>) -> &'static str {
    match confidence {
        None => "",
        Some(confidence) if confidence >= u64::from(STRONG) => "strong: ",
        Some(confidence) if confidence >= u64::from(FAIR) => "fair: ",
        Some(_) => "weak: ",
    }
}
