//! `test`: one door to every tier.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::build::{BINARY_ENV, HOST_CRATES, PROBES_ENV};
use crate::sh::{Cmd, is_root, status_text, step};
use crate::summary::Counts;
use crate::{build, pages, paths, probes, receivers, vm};

pub(crate) const ABOUT: &str = "Runs the tests: unit, pages, live (on this kernel, as root) and vm; all by default\n\n\
    unit  the crates' own tests, their documentation's, and what the test crate does without root\n\
    pages the pages and images of the goldens in a real browser, see `cargo xtask help pages`\n\
    live  scenarios on the running kernel; needs root\n\
    vm    the kernel matrix, see `cargo xtask help vm`\n\
    --no-live leaves out what needs root. Every tier runs, then all failures are reported; the last line is\n\
    `N passed, N failed`, a cell of the matrix counting as one test.";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tier {
    Unit,
    Pages,
    Live,
    Vm,
}

/// In the order in which they run.
const ALL: [Tier; 4] = [Tier::Unit, Tier::Pages, Tier::Live, Tier::Vm];

impl Tier {
    fn name(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Pages => "pages",
            Self::Live => "live",
            Self::Vm => "vm",
        }
    }
}

/// The tiers that the command line asks for.
fn tiers(args: &[String]) -> Result<Vec<Tier>> {
    let mut tiers = Vec::new();
    let mut no_live = false;
    for arg in args {
        match arg.as_str() {
            "unit" => tiers.push(Tier::Unit),
            "pages" => tiers.push(Tier::Pages),
            "live" => tiers.push(Tier::Live),
            "vm" => tiers.push(Tier::Vm),
            "all" => tiers.extend(ALL),
            "--no-live" => no_live = true,
            _ => bail!("`test` knows no tier `{arg}`; see `cargo xtask help test`"),
        }
    }
    if tiers.is_empty() {
        tiers.extend(ALL);
    }
    tiers.dedup();
    tiers.retain(|tier| !(no_live && *tier == Tier::Live));
    Ok(tiers)
}

pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    let tiers = tiers(args)?;
    let object = probes::ensure()?;
    let results: Vec<_> = tiers.into_iter().map(|tier| (tier, run(tier, &object))).collect();
    let mut total = Counts::default();
    let mut lines = Vec::new();
    for (tier, result) in results {
        let (counts, note) = settle(result);
        total.add(counts);
        lines.push(format!("{:<5} {} passed, {} failed{note}", tier.name(), counts.passed, counts.failed));
    }
    // The tiers' own output went to standard error; nothing may come after the last line.
    println!();
    for line in lines {
        println!("{line}");
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(if total.green() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A tier that could not run, or in which nothing ran, counts as a failure: the last line must not look green.
fn settle(result: Result<Counts>) -> (Counts, String) {
    match result {
        Ok(counts) if counts == Counts::default() => {
            (Counts { passed: 0, failed: 1 }, " (no test ran)".to_owned())
        }
        Ok(counts) => (counts, String::new()),
        Err(error) => (Counts { passed: 0, failed: 1 }, format!(" (could not run: {error:#})")),
    }
}

fn run(tier: Tier, object: &Path) -> Result<Counts> {
    step!("test: {}", tier.name());
    match tier {
        Tier::Unit => unit(object),
        Tier::Pages => pages::look(),
        Tier::Live => live(object),
        Tier::Vm => vm::all(),
    }
}

fn unit(object: &Path) -> Result<Counts> {
    // What the command-line tests run: the host's debug build, which shares what the tests are built of.
    Cmd::cargo().args(["build", "-p", "spoor"]).env(PROBES_ENV, object).run()?;
    let binary = paths::target().join("debug/spoor");
    let receivers = receivers::ensure()?;
    let (python, collector) = receivers::python()?;
    let tests = cargo_test(object, &binary).env(receivers::ENV, receivers);
    let tests = tests.env(receivers::PYTHON_ENV, python).env(receivers::COLLECTOR_ENV, collector);
    count(tests.packages(HOST_CRATES))
}

fn live(object: &Path) -> Result<Counts> {
    if !is_root() {
        bail!(
            "live tests load probes; as root: sudo -E env PATH=\"$PATH\" cargo xtask test live (or leave out: --no-live)"
        );
    }
    // What ships is what is tested.
    let binary = build::agent_with(object, &paths::static_target())?;
    let cmd = cargo_test(object, &binary).args(["-p", "spoor-tests", "--features", "live", "--test", "live"]);
    count(cmd.args(["--", "--test-threads=1"]))
}

/// `cargo test` over everything that is asked for, whatever fails.
fn cargo_test(object: &Path, binary: &Path) -> Cmd {
    Cmd::cargo().args(["test", "--no-fail-fast"]).env(PROBES_ENV, object).env(BINARY_ENV, binary)
}

/// Runs a `cargo test` and counts.
fn count(cmd: Cmd) -> Result<Counts> {
    let mut counts = Counts::default();
    let text = cmd.text();
    let status = cmd.tee(|line| counts.take(line))?;
    if !status.success() && counts.failed == 0 {
        // It did not compile, or a test binary died before it could count.
        bail!("`{text}` failed ({}), see above", status_text(status));
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_the_default_and_live_can_be_left_out() {
        let parse = |args: &[&str]| tiers(&args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>());
        assert_eq!(parse(&[]).unwrap(), ALL);
        assert_eq!(parse(&["all", "--no-live"]).unwrap(), [Tier::Unit, Tier::Pages, Tier::Vm]);
        assert_eq!(parse(&["vm"]).unwrap(), [Tier::Vm]);
        assert!(parse(&["liev"]).is_err());
    }

    #[test]
    fn a_tier_that_did_not_run_is_a_failure() {
        assert!(!settle(Ok(Counts::default())).0.green());
        assert!(!settle(Err(anyhow::anyhow!("no compiler"))).0.green());
        assert!(settle(Ok(Counts { passed: 2, failed: 0 })).0.green());
    }
}
