//! Rules about Rust sources and manifests.

use super::lexer::{line_of, words};
use super::{Source, Violation};

/// Lines a file may have beside its tests.
const LINES_MAX: usize = 400;

/// Files that may be longer: path, how long, and why. The limit is a ratchet: it goes down only.
const LONG: &[(&str, usize, &str)] = &[];

/// Where `unsafe` may stand: a file's path begins with one of these.
const UNSAFE: &[&str] = &[
    "agent-ebpf/src/",                 // reads the kernel's memory
    "agent/src/kernel/pod",            // writes the probes' maps
    "agent/src/kernel/canary/acts",    // maps a file, as what is watched does
    "agent/src/kernel/positions",      // looks where the rings' ends are
    "agent/src/kernel/keys",           // calls that no safe function makes
    "agent/src/app/terminal",          // asks how wide the terminal is
    "agent/src/app/trim",              // has the allocator give back what is free
    "agent/src/credential/generation", // asks for an inode's generation
    "agent/tests/wiped",               // looks into memory that is given back
    "tests/",                          // acts that no safe function performs
];

/// Files stay short enough to be read in one go.
pub(super) fn size(source: &Source) -> Vec<Violation> {
    size_with(source, LONG)
}

fn size_with(source: &Source, long: &[(&str, usize, &str)]) -> Vec<Violation> {
    if source.path.ends_with("/tests.rs") || source.path.contains("/tests/") {
        return Vec::new(); // a test module in its own file, or an integration test
    }
    let lines = source.text.lines().count().saturating_sub(source.code.test_lines);
    let excuse = long.iter().find(|(path, _, _)| *path == source.path);
    let max = excuse.map_or(LINES_MAX, |(_, max, _)| *max);
    let red = |text: String| vec![Violation::new("size", source, 1, text)];
    if lines > max {
        return red(format!("{lines} lines beside tests, and {max} are allowed: split it by idea"));
    }
    if excuse.is_some() && lines <= LINES_MAX {
        return red("is short again: take it out of the list in xtask/src/tidy/code.rs".to_owned());
    }
    Vec::new()
}

/// Unsafe has an address.
pub(super) fn unsafe_code(source: &Source) -> Vec<Violation> {
    if UNSAFE.iter().any(|home| source.path.starts_with(home)) {
        return Vec::new();
    }
    let code = &source.code.all;
    let text = "`unsafe` stands only where xtask/src/tidy/code.rs lists it";
    words(code, "unsafe").map(|at| Violation::new("unsafe", source, line_of(code, at), text)).collect()
}

/// Tests wait for what they want to see, with a deadline; a pause is either too short or too long.
pub(super) fn sleeps(source: &Source) -> Vec<Violation> {
    if !source.path.starts_with("tests/") {
        return Vec::new();
    }
    let code = &source.code.all;
    let found = ["thread::sleep", "time::sleep"].into_iter().flat_map(|call| words(code, call));
    let text = "tests wait for an event or a deadline, they do not sleep";
    found.map(|at| Violation::new("sleep", source, line_of(code, at), text)).collect()
}

/// Every crate inherits the workspace's lints.
pub(super) fn lints(path: &str, manifest: &str) -> Vec<Violation> {
    let red = |text: String| vec![Violation { rule: "lints", path: path.to_owned(), line: 1, text }];
    let parsed: toml::Table = match manifest.parse() {
        Ok(table) => table,
        Err(error) => return red(format!("is not TOML: {error}")),
    };
    if !parsed.contains_key("package") {
        return Vec::new();
    }
    let inherits =
        parsed.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
    if inherits == Some(true) {
        Vec::new()
    } else {
        red("needs `[lints]` with `workspace = true`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rule: fn(&Source) -> Vec<Violation>, path: &str, text: &str) -> Vec<usize> {
        rule(&Source::new(path, text)).into_iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn long_files_are_red_and_their_tests_do_not_count() {
        let body = "fn f() {}\n".repeat(LINES_MAX);
        assert_eq!(lines(size, "a/src/lib.rs", &body), [0; 0]);
        assert_eq!(lines(size, "a/src/lib.rs", &format!("{body}fn g() {{}}\n")), [1]);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{body}}}\n");
        assert_eq!(lines(size, "a/src/lib.rs", &format!("{body}{tests}")), [0; 0]);
    }

    #[test]
    fn an_excuse_has_a_limit_and_an_end() {
        let judge = |lines: usize| {
            let source = Source::new("a/src/table.rs", &"x\n".repeat(lines));
            size_with(&source, &[("a/src/table.rs", 500, "a table")]).len()
        };
        assert_eq!([judge(450), judge(501), judge(300)], [0, 1, 1]);
    }

    #[test]
    fn unsafe_has_an_address() {
        let text = "#![deny(unsafe_code)]\n// unsafe\nunsafe fn f() {}\n";
        assert_eq!(lines(unsafe_code, "agent/src/event/mod.rs", text), [3]);
        assert_eq!(lines(unsafe_code, "agent/src/kernel/pod.rs", text), [0; 0]);
    }

    #[test]
    fn tests_do_not_sleep() {
        let text =
            "use std::thread;\nthread::sleep(SECOND);\n// thread::sleep\ntokio::time::sleep(SECOND);\n";
        assert_eq!(lines(sleeps, "tests/tests/live.rs", text), [2, 4]);
        assert_eq!(lines(sleeps, "xtask/src/vm/boot.rs", text), [0; 0]);
    }

    #[test]
    fn every_crate_inherits_the_lints() {
        let package = "[package]\nname = 'a'\n";
        assert_eq!(lints("a/Cargo.toml", package).len(), 1);
        assert_eq!(lints("a/Cargo.toml", &format!("{package}[lints]\nworkspace = false\n")).len(), 1);
        assert!(lints("a/Cargo.toml", &format!("{package}[lints]\nworkspace = true\n")).is_empty());
        assert!(lints("Cargo.toml", "[workspace]\n").is_empty());
    }
}
