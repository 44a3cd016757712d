//! `check`: everything that can be said about the code without running it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::build::{HOST_CRATES, PROBES_ENV};
use crate::sh::{Cmd, is_root, step};
use crate::{apt, deployed, docs, licences, paths, probes, tidy, toolchain};

pub(crate) const ABOUT: &str = "Formatting, lints (host and BPF), documentation, licences, generated pages, tidy, what is deployed\n\n\
    Every step runs; all that failed are named at the end.";

type Step = (&'static str, fn(&Path) -> Result<()>);

const STEPS: &[Step] = &[
    ("tidy", |_| tidy::check()),
    ("fmt", fmt),
    ("licences", |_| licences::check()),
    ("clippy", clippy),
    ("clippy for BPF", |_| clippy_bpf()),
    ("doc", doc),
    ("docs", |_| docs::check()),
    ("deployed", |_| deployed::check()),
];

pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    crate::no_arguments("check", args)?;
    let object = probes::ensure()?;
    let mut failed = Vec::new();
    for (name, step) in STEPS {
        step!("check: {name}");
        if let Err(error) = step(&object) {
            eprintln!("{error:#}");
            failed.push(format!("  {name}: {}", format!("{error:#}").lines().next().unwrap_or_default()));
        }
    }
    if failed.is_empty() {
        println!("check: all {} steps passed", STEPS.len());
        return Ok(ExitCode::SUCCESS);
    }
    println!("check: {} of {} steps failed\n{}", failed.len(), STEPS.len(), failed.join("\n"));
    Ok(ExitCode::FAILURE)
}

fn fmt(_: &Path) -> Result<()> {
    Cmd::cargo().args(["fmt", "--all", "--check"]).advice("run: cargo fmt --all").run()
}

/// The host's crates and the probes are linted apart: together, features would be unified, and `std` would come to the
/// probes. Warnings are errors here, not in the source, so that a new compiler breaks no build.
fn clippy(object: &Path) -> Result<()> {
    let lint = |cmd: Cmd| cmd.args(["--all-targets", "--", "-D", "warnings"]).env(PROBES_ENV, object).run();
    lint(Cmd::cargo().arg("clippy").packages(HOST_CRATES))?;
    lint(Cmd::cargo().args(["clippy", "-p", "spoor-tests", "--features", "live"]))
}

/// clippy-driver works only with its exact compiler, and a machine may have that compiler without it (nobody may install
/// it; rustup's nightly lacks the component). The compiler's own lints are then all there is to ask.
fn clippy_bpf() -> Result<()> {
    let toolchain = toolchain::ensure()?;
    if let Some(package) = toolchain.clippy_package()
        && toolchain.clippy().is_none()
        && is_root()
    {
        apt::install(&[package], "linting the probes")?;
    }
    let target = paths::target().join("bpf-clippy");
    if let Some(clippy) = toolchain.clippy() {
        return probes::package(clippy, &target, "").args(["--", "-D", "warnings"]).run();
    }
    step!("check: no clippy here fits the BPF compiler; compiling with its own warnings as errors instead");
    probes::package(toolchain.cargo("check"), &target, " -D warnings").run()
}

fn doc(object: &Path) -> Result<()> {
    Cmd::cargo()
        .args(["doc", "--no-deps", "--document-private-items"])
        .packages(HOST_CRATES)
        .env("RUSTDOCFLAGS", "-D warnings")
        .env(PROBES_ENV, object)
        .run()
}
