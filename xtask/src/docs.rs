//! `docs`: the references that the agent prints about itself.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::build::PROBES_ENV;
use crate::sh::{Cmd, step};
use crate::{paths, probes, vm};

pub(crate) const ABOUT: &str = "Writes docs/RECORDS.md, docs/CONFIG.md, docs/PURPOSES.md and docs/SCHEMAS.md, as the agent prints them, and docs/ROUTES.md\n\n\
    docs/ROUTES.md is made of tests/routes.toml, tests/kernels.toml and tests/golden/routes.json (`cargo xtask vm`).\n\
    --check writes nothing and fails when a page is not what it would be.";

/// What the agent is asked for, and the page it becomes.
const PAGES: &[(&str, &str)] = &[
    ("records", "docs/RECORDS.md"),
    ("config", "docs/CONFIG.md"),
    ("purposes", "docs/PURPOSES.md"),
    ("schemas", "docs/SCHEMAS.md"),
];

/// What the kernel matrix found.
const ROUTES: &str = "docs/ROUTES.md";

pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    let check = match args {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => bail!("`docs` takes --check or nothing; see `cargo xtask help docs`"),
    };
    if check { self::check() } else { write() }?;
    Ok(ExitCode::SUCCESS)
}

fn write() -> Result<()> {
    for (what, page) in PAGES {
        let changed = paths::write_if_changed(&paths::root().join(page), printed(what)?.as_bytes())?;
        step!("docs: {page} {}", if changed { "written" } else { "was up to date" });
    }
    routes()
}

/// Writes the one page that no agent prints.
pub(crate) fn routes() -> Result<()> {
    let changed = paths::write_if_changed(&paths::root().join(ROUTES), vm::page()?.as_bytes())?;
    step!("docs: {ROUTES} {}", if changed { "written" } else { "was up to date" });
    Ok(())
}

pub(crate) fn check() -> Result<()> {
    let mut stale = Vec::new();
    let mut compare = |page: &str, made: &str| {
        let written = fs::read_to_string(paths::root().join(page)).unwrap_or_default();
        stale.extend(first_difference(&written, made).map(|line| format!("{page} (line {line})")));
    };
    compare(ROUTES, &vm::page()?);
    for (what, page) in PAGES {
        compare(page, &printed(what)?);
    }
    if !stale.is_empty() {
        bail!("{} not what would be written; run: cargo xtask docs", stale.join(" and "));
    }
    Ok(())
}

fn printed(what: &str) -> Result<String> {
    step!("docs: asking the agent for its {what}");
    let object = probes::ensure()?;
    let text = Cmd::cargo()
        .args(["run", "--quiet", "-p", "spoor", "--", "docs", what])
        .env(PROBES_ENV, object)
        .read()
        .with_context(|| format!("the agent did not print its {what}"))?;
    ensure!(!text.trim().is_empty(), "`spoor docs {what}` printed nothing");
    Ok(text)
}

/// The first line, from 1, in which two texts differ.
fn first_difference(a: &str, b: &str) -> Option<usize> {
    if a == b {
        return None;
    }
    let same = a.lines().zip(b.lines()).take_while(|(a, b)| a == b).count();
    Some(same + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_has_a_line() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("", "a\n"), Some(1));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some(2));
    }
}
