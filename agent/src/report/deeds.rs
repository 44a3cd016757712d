//! What an action did, as a line for people.

use serde_json::Value;

use super::style::{Line, Paint};
use super::words::{address, command, exit, outcome, process, text};
use crate::record::View;

/// What an action did, and to what, and with what outcome; in brief without what it took.
pub(super) fn deed(view: &View, brief: bool) -> Line {
    let action = view.text("action").unwrap_or_else(|| view.kind());
    // In front: a line may be cut at its end.
    let line = match view.text("purpose.verdict") {
        Some("outside") => Line::new().put(Paint::Bad, &format!("✗{}", verb(action))).to(9),
        _ => Line::new().put(Paint::Strong, verb(action)).to(9),
    };
    let line = match action {
        "secret.open" | "secret.write" | "secret.receive" | "secret.read" => file(view, line),
        "memory.access" => {
            let target = view.at("target").map_or_else(|| "?".to_owned(), process);
            let line = line.plain(&format!("{target} by {}", view.text("how").unwrap_or("?")));
            kind_of_credential(view, line)
        }
        "exec" => {
            // In front: a command may be cut.
            let line = attempt(view)
                .into_iter()
                .fold(line, |line, attempt| line.put(Paint::Doubt, &format!("{attempt}: ")));
            let line = line.plain(&view.at("process").map(command).unwrap_or_default());
            let handed: Vec<&str> = view.list("environment").iter().filter_map(Value::as_str).collect();
            if handed.is_empty() { line } else { line.faint(&format!("  with {}", handed.join(", "))) }
        }
        "exec.failed" => error(view, line.plain(view.text("program").unwrap_or("?")).plain("  ")),
        "exit" => {
            let (paint, text) = view.at("exit").map_or((Paint::Plain, String::new()), exit);
            line.put(paint, text.strip_prefix("exit ").unwrap_or(&text))
        }
        "cred.change" => line.plain(&change(view)),
        "connect" | "send" => {
            let line = line.plain(&view.at("destination").map(address).unwrap_or_default()).plain("  ");
            let line = outcome(view, line, brief);
            if view.at("file").is_some() { kind_of_credential(view, line) } else { line }
        }
        "accept" => {
            let from = view.at("source").map(address).unwrap_or_default();
            let at = view.at("destination").map(address).unwrap_or_default();
            line.plain(&format!("{from} at {at}"))
        }
        _ => line,
    };
    let line = match view.times() {
        1 => line,
        times => line.put(Paint::Strong, &format!("  {times} times")),
    };
    match attempt(view).filter(|_| action != "exec") {
        Some(attempt) => line.put(Paint::Doubt, &format!("  {attempt}")),
        None => line,
    }
}

fn attempt(view: &View) -> Option<String> {
    Some(format!("try {}", view.number("attempt.number")?))
}

/// The word for it; of an action that we do not know, its own.
fn verb(action: &str) -> &str {
    match action {
        "secret.open" => "open",
        "secret.write" => "write",
        "secret.receive" => "receive",
        "secret.read" => "read",
        "memory.access" => "memory",
        "exec.failed" => "no exec",
        "cred.change" => "become",
        other => other,
    }
}

/// A key of the kernel's key rings: what it is called, and what was done with it unless the verb says it.
fn key(view: &View, line: Line) -> Line {
    let part = |name| view.text(name).unwrap_or("?");
    let line = line.plain(&format!("{}:{}", part("key.type"), part("key.description")));
    let line = match view.text("how") {
        Some(how @ ("add" | "update")) => line.plain(&format!(" ({how})")),
        _ => line,
    };
    kind_of_credential(view, line)
}

fn file(view: &View, line: Line) -> Line {
    if view.at("key").is_some() {
        return key(view, line);
    }
    let line = line.plain(view.text("file.path").unwrap_or("?"));
    let line = match view.text("file.access") {
        Some("read") | None => line,
        // The verb says it.
        Some("write") if view.text("action") == Some("secret.write") => line,
        Some("rename") => line.plain(" (by rename)"),
        Some(access) => line.put(Paint::Bad, &format!(" ({access})")),
    };
    let line = if view.text("how") == Some("map") { line.plain(" (mapped)") } else { line };
    kind_of_credential(view, line)
}

fn kind_of_credential(view: &View, line: Line) -> Line {
    match view.list("credential").first() {
        Some(credential) => line.faint(&format!("  {}", text(credential, "kind").unwrap_or_default())),
        None => line,
    }
}

fn error(view: &View, line: Line) -> Line {
    match view.number("errno").and_then(|errno| i32::try_from(errno).ok()) {
        Some(errno) => line.put(Paint::Bad, &format!("{:?}", nix::errno::Errno::from_raw(errno))),
        None => line,
    }
}

const CHANGES: [&str; 11] = [
    "euid",
    "uid",
    "suid",
    "egid",
    "gid",
    "mnt_ns",
    "net_ns",
    "pid_ns",
    "user_ns",
    "cap_effective",
    "cap_permitted",
];

/// `euid 990 > 0, mnt_ns 4026531841 > 4026532200`
fn change(view: &View) -> String {
    let values = |name: &str| view.at(name).and_then(Value::as_object);
    let shown = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "?".to_owned(),
    };
    let from = values("from");
    let to = values("to");
    // What matters most comes first: a line is cut at its end.
    let changed = CHANGES.iter().filter_map(|name| {
        let to = to.and_then(|to| to.get(*name))?;
        Some(format!("{name} {} > {}", shown(from.and_then(|from| from.get(*name))), shown(Some(to))))
    });
    changed.collect::<Vec<_>>().join(", ")
}
