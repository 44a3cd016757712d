//! Who may import whom inside the agent. Data goes one way through it, and imports with it.

use super::lexer::{line_of, words};
use super::{Source, Violation};

/// The floors: a module, and the modules below it that it may use. `config`, `hex`, `keyfile`, `telemetry` and `varint` lie on the
/// ground: everybody may use them, they use nobody. A new module needs a row here.
const FLOORS: &[(&str, &[&str])] = &[
    ("config", &[]),
    ("hex", &[]),
    ("keyfile", &[]),
    ("telemetry", &[]),
    ("varint", &[]),
    ("status", &[]), // plain numbers: whoever fills them in stands above
    ("event", &[]),
    ("kernel", &["event"]),
    ("lineage", &["event"]),
    ("names", &["event"]),
    ("actor", &["event", "lineage"]),
    ("credential", &["event", "lineage"]),
    ("action", &["names", "event", "lineage", "actor", "credential"]),
    ("purpose", &["names", "event", "lineage", "actor", "credential", "action"]),
    ("chain", &["names", "event", "lineage", "actor", "credential", "action", "purpose"]),
    ("inventory", &["names", "event", "lineage", "actor", "credential", "action", "purpose", "chain"]),
    (
        "finding",
        &["names", "event", "lineage", "actor", "credential", "action", "purpose", "chain", "inventory"],
    ),
    (
        "record",
        &[
            "names",
            "event",
            "lineage",
            "actor",
            "credential",
            "action",
            "purpose",
            "chain",
            "inventory",
            "finding",
        ],
    ),
    (
        "capture",
        &[
            "names",
            "event",
            "lineage",
            "actor",
            "credential",
            "action",
            "purpose",
            "chain",
            "inventory",
            "finding",
            "record",
        ],
    ),
    ("schema", &["record"]), // the stored record, and nothing that made it
    ("evidence", &["record"]),
    ("store", &["chain", "record", "evidence"]),
    ("forward", &["record", "schema", "store"]), // never an event: what is stored is what is forwarded
    (
        "report",
        &[
            "status",
            "credential",
            "action",
            "purpose",
            "chain",
            "finding",
            "record",
            "schema",
            "evidence",
            "store",
        ],
    ),
    (
        "pipeline",
        &[
            "kernel",
            "names",
            "event",
            "lineage",
            "actor",
            "credential",
            "action",
            "purpose",
            "chain",
            "inventory",
            "finding",
            "record",
            "capture",
            "evidence",
            "store",
        ],
    ),
    ("cli", ANY),
    ("app", ANY),
    ("main", ANY),
    ("lib", ANY),
];
const ANY: &[&str] = &["*"];
const GROUND: &[&str] = &["config", "hex", "keyfile", "telemetry", "varint"];

/// Modules that do no I/O and read no clock, so that a recorded stream replays to the same chains.
const PURE: &[&str] = &["event", "lineage", "names", "action", "purpose", "chain", "inventory", "finding"];
/// Addresses are data, so `std::net` as a whole is not here.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::process",
    "std::env",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "SystemTime",
    "Instant::now",
    "tokio",
];

const AGENT: &str = "agent/src/";

/// Imports go down the floors only.
pub(super) fn directions(source: &Source) -> Vec<Violation> {
    let Some((module, depth)) = place(&source.path) else {
        return Vec::new();
    };
    let Some((_, may)) = FLOORS.iter().find(|(name, _)| *name == module) else {
        let text = format!("module `{module}` has no floor: give it a row in xtask/src/tidy/imports.rs");
        return vec![Violation::new("imports", source, 1, text)];
    };
    let allowed = |name: &str| {
        name == module
            || *may == ANY
            || may.contains(&name)
            || (GROUND.contains(&name) && !GROUND.contains(&module))
    };
    let code = &source.code.shipped;
    let bad = imports(code, depth).into_iter().filter(|(_, name)| is_module(name) && !allowed(name));
    let text = |name: &str| format!("`{module}` may not use `{name}`: it is not on a floor below");
    bad.map(|(at, name)| Violation::new("imports", source, line_of(code, at), text(&name))).collect()
}

/// aya lives in one module, so that its next generation is one module's work.
pub(super) fn aya(source: &Source) -> Vec<Violation> {
    let home = source.path.starts_with("agent/src/kernel");
    if home || !(source.path.starts_with("agent/") || source.path.starts_with("tests/")) {
        return Vec::new();
    }
    let code = &source.code.all;
    let found = ["aya", "aya_log", "aya_obj"].into_iter().flat_map(|name| words(code, name));
    found
        .map(|at| Violation::new("aya", source, line_of(code, at), "aya is used in agent/src/kernel only"))
        .collect()
}

/// No clock and no I/O where chains are made.
pub(super) fn pure(source: &Source) -> Vec<Violation> {
    let Some((module, _)) = place(&source.path) else {
        return Vec::new();
    };
    if !PURE.contains(&module) {
        return Vec::new();
    }
    let code = &source.code.shipped;
    let mut found = Vec::new();
    for name in IMPURE {
        let text = || format!("`{module}` does no I/O and reads no clock, and this is `{name}`");
        found.extend(words(code, name).map(|at| Violation::new("pure", source, line_of(code, at), text())));
    }
    found
}

/// The agent's module that a file belongs to, and how deep in the module tree the file is.
fn place(path: &str) -> Option<(&str, usize)> {
    let inner = path.strip_prefix(AGENT)?.strip_suffix(".rs")?;
    let inner = inner.strip_suffix("/mod").unwrap_or(inner);
    let module = inner.split('/').next()?;
    Some((module, if matches!(module, "main" | "lib") { 0 } else { inner.split('/').count() }))
}

fn is_module(name: &str) -> bool {
    FLOORS.iter().any(|(module, _)| *module == name)
}

/// Names reached from the crate's root, through `crate::` or through enough `super::`, and where.
fn imports(code: &str, depth: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in words(code, "crate::") {
        found.extend(heads(&code[at + "crate::".len()..]).map(|name| (at, name)));
    }
    for at in words(code, "super::").filter(|at| !code[..*at].ends_with("super::")) {
        let mut rest = &code[at..];
        let mut ups = 0;
        while let Some(after) = rest.strip_prefix("super::") {
            rest = after;
            ups += 1;
        }
        if ups >= depth {
            found.extend(heads(rest).map(|name| (at, name)));
        }
    }
    found
}

/// The first names of a path's rest: one, or several in braces.
fn heads(rest: &str) -> impl Iterator<Item = String> {
    let mut names = Vec::new();
    if let Some(group) = rest.strip_prefix('{') {
        let (mut depth, mut start) = (0_i32, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                '}' | ',' if depth == 0 => {
                    names.push(ident(group[start..at].trim_start()));
                    start = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
    } else {
        names.push(ident(rest));
    }
    names.into_iter().filter(|name| !name.is_empty())
}

fn ident(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rule: fn(&Source) -> Vec<Violation>, path: &str, text: &str) -> Vec<usize> {
        rule(&Source::new(path, text)).into_iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn imports_go_down_only() {
        let red = |path: &str, text: &str| lines(directions, path, text);
        assert_eq!(
            red("agent/src/chain/mod.rs", "use crate::action::Action;\nuse crate::record::Record;"),
            [2]
        );
        assert_eq!(red("agent/src/lineage/table.rs", "use crate::{event::{self, Event}, chain::Run};"), [1]);
        assert_eq!(red("agent/src/forward/file/sink.rs", "fn f(e: &crate::event::Event) {}"), [1]);
        assert_eq!(red("agent/src/config/raw.rs", "use crate::telemetry::Ledger;"), [1]);
        assert_eq!(
            red("agent/src/chain/mod.rs", "use crate::{\n    config::Chains,\n    action::Action,\n};"),
            [0; 0]
        );
        assert_eq!(red("agent/src/chain/run.rs", "use crate::chain::Run; // not crate::store"), [0; 0]);
        assert_eq!(red("agent/src/app.rs", "use crate::{kernel, forward, report};"), [0; 0]);
        assert_eq!(
            red("agent/src/event/mod.rs", "#[cfg(test)]\nmod tests { use crate::chain::Run; }"),
            [0; 0]
        );
    }

    #[test]
    fn the_way_through_super_is_seen_too() {
        assert_eq!(lines(directions, "agent/src/event/convert.rs", "use super::super::chain::Run;"), [1]);
        assert_eq!(lines(directions, "agent/src/event/mod.rs", "use super::chain::Run;"), [1]);
        assert_eq!(
            lines(directions, "agent/src/kernel/ring.rs", "use super::lineage;"),
            [0; 0],
            "kernel's own"
        );
    }

    #[test]
    fn a_module_without_a_floor_is_red() {
        assert_eq!(lines(directions, "agent/src/misc.rs", ""), [1]);
        assert_eq!(lines(directions, "xtask/src/misc.rs", ""), [0; 0]);
    }

    #[test]
    fn aya_has_one_home() {
        let text = "\nuse aya::maps::RingBuf; // aya\nlet payaya = 1;";
        assert_eq!(lines(aya, "agent/src/event/mod.rs", text), [2]);
        assert_eq!(lines(aya, "agent/src/kernel/ring.rs", text), [0; 0]);
        assert_eq!(lines(aya, "agent-ebpf/src/main.rs", text), [0; 0]);
    }

    #[test]
    fn pure_modules_have_no_clock() {
        let text = "use std::fs;\nlet now = Instant::now(); use std::net::IpAddr;\n#[cfg(test)]\nmod tests { use std::fs; }";
        assert_eq!(lines(pure, "agent/src/chain/mod.rs", text), [1, 2]);
        assert_eq!(lines(pure, "agent/src/store/mod.rs", text), [0; 0]);
    }

    #[test]
    fn the_floors_have_no_cycle() {
        let position = |name: &str| FLOORS.iter().position(|(module, _)| *module == name).unwrap();
        for (module, may) in FLOORS.iter().filter(|(_, may)| *may != ANY) {
            for below in *may {
                assert!(position(below) < position(module), "{module} over {below}");
            }
        }
    }
}
