//! `tidy`: the house rules that no other tool knows. Each has a test that shows it red and green.

mod code;
mod imports;
mod lexer;
mod links;
mod text;

use std::fmt;
use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::paths;
use crate::sh::{Cmd, step};
use lexer::Code;

pub(crate) const ABOUT: &str = "Our own rules: file sizes, import directions, where unsafe and aya may stand, links\n\n\
    The rules and their lists of exceptions are in xtask/src/tidy.";

/// A rule that was broken, and where.
#[derive(Debug)]
struct Violation {
    rule: &'static str,
    path: String,
    line: usize,
    text: String,
}

impl Violation {
    fn new(rule: &'static str, source: &Source, line: usize, text: impl Into<String>) -> Self {
        Self { rule, path: source.path.clone(), line, text: text.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, path, line, text } = self;
        write!(out, "{path}:{line}: {rule}: {text}")
    }
}

/// A Rust file.
struct Source {
    path: String,
    text: String,
    code: Code,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: Code::new(text) }
    }
}

const SOURCE_RULES: &[fn(&Source) -> Vec<Violation>] =
    &[code::size, code::unsafe_code, code::sleeps, imports::directions, imports::aya, imports::pure];

const TEXT_RULES: &[fn(&str, &str) -> Vec<Violation>] = &[text::unfinished, text::machine, text::hosts];

pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    crate::no_arguments("tidy", args)?;
    check()?;
    println!("tidy: nothing to complain of");
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn check() -> Result<()> {
    let files = files()?;
    step!("tidy: {} files", files.len());
    let violations = judge(&files);
    if violations.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = violations.iter().map(|violation| format!("  {violation}")).collect();
    bail!("{} rules are broken:\n{}", lines.len(), lines.join("\n"));
}

/// Path and text of every file that git tracks or would track. Of what is no text, as a picture, the text is empty: links may
/// lead there.
fn files() -> Result<Vec<(String, String)>> {
    // A checkout may belong to another user than the one who builds it (CI as root).
    let list = Cmd::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .read()
        .context("tidy looks at the files that git knows")?;
    let mut files = Vec::new();
    for path in list.split_terminator('\0') {
        let full = paths::root().join(path);
        if !full.is_file() {
            continue; // deleted but not yet committed
        }
        let bytes = fs::read(&full).with_context(|| format!("cannot read {path}"))?;
        files.push((path.to_owned(), String::from_utf8(bytes).unwrap_or_default()));
    }
    ensure!(!files.is_empty(), "git lists no files: is this a checkout?");
    Ok(files)
}

fn judge(files: &[(String, String)]) -> Vec<Violation> {
    let mut found = Vec::new();
    for (path, text) in files {
        found.extend(TEXT_RULES.iter().flat_map(|rule| rule(path, text)));
        if path.ends_with(".rs") {
            let source = Source::new(path, text);
            found.extend(SOURCE_RULES.iter().flat_map(|rule| rule(&source)));
        }
        if path.ends_with("Cargo.toml") {
            found.extend(code::lints(path, text));
        }
    }
    let text_of = |wanted: &str| files.iter().find(|(path, _)| path == wanted).map(|(_, text)| text.as_str());
    let (readme, map) = (text_of("README.md"), text_of(text::MAP));
    if readme.is_some() || map.is_some() {
        let pages: Vec<&str> =
            files.iter().map(|(path, _)| path.as_str()).filter(|path| path.starts_with("docs/")).collect();
        // A picture is reached by the page that shows it.
        let shown = |path: &str| {
            let link = format!("({})", path.strip_prefix("docs/").unwrap_or(path));
            path.ends_with(".svg")
                && files.iter().any(|(page, text)| links::is_page(page) && text.contains(&link))
        };
        // Of pages the book is asked, and of the book itself the front door.
        let asked = |path: &str| path == links::BOOK || !(links::is_page(path) || shown(path));
        let pages: Vec<&str> = pages.into_iter().filter(|path| asked(path)).collect();
        found.extend(text::linked(&pages, readme, map));
    } else {
        step!("tidy: no README.md and no {} yet, so links are not looked at", text::MAP);
    }
    found.extend(links::resolve(files));
    found.extend(links::bound(files));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_rule_is_shown_with_its_place() {
        let files = [("agent/src/event/mod.rs".to_owned(), "fn f() {}\nuse crate::chain::Run;\n".to_owned())];
        let shown: Vec<String> = judge(&files).iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["agent/src/event/mod.rs:2: imports: `event` may not use `chain`: it is not on a floor below"]
        );
    }

    #[test]
    fn a_picture_is_there_and_has_no_text() {
        let files = files().unwrap();
        let picture = files.iter().find(|(path, _)| path == "docs/look.png");
        assert_eq!(picture.map(|(_, text)| text.as_str()), Some(""));
    }

    #[test]
    fn a_plot_that_no_page_shows_is_red() {
        let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let judged = |page: &str| {
            let files = [
                file(text::MAP, "[a](PERFORMANCE.md)"),
                file("docs/PERFORMANCE.md", page),
                file("docs/performance/a.svg", "<svg/>"),
            ];
            judge(&files).iter().filter(|found| found.path.ends_with(".svg")).count()
        };
        assert_eq!(judged("![a](performance/a.svg)\n"), 0);
        assert_eq!(judged("![a](performance/b.svg)\n"), 1);
    }

    #[test]
    fn a_clean_file_is_green() {
        assert!(
            judge(&[("agent/src/chain/mod.rs".to_owned(), "use crate::action::Action;\n".to_owned())])
                .is_empty()
        );
    }
}
