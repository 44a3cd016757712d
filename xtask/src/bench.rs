//! `bench`: what the agent costs, measured by the test crate's own program.

use std::process::ExitCode;

use anyhow::Result;

use crate::sh::{Cmd, step};
use crate::{build, paths, probes};

pub(crate) const ABOUT: &str = "Runs the measurements (program `bench` of the test crate; root)\n\n\
    Arguments are handed on to it.";

pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    let object = probes::ensure()?;
    let binary = build::agent_with(&object, &paths::static_target())?;
    step!("bench: spoor-tests");
    Cmd::cargo()
        .args(["run", "--release", "-p", "spoor-tests", "--features", "live", "--bin", "bench", "--"])
        .args(args)
        .env(build::PROBES_ENV, object)
        .env(build::BINARY_ENV, binary)
        .advice("the measurements need root and a kernel that spoor supports")
        .run()?;
    Ok(ExitCode::SUCCESS)
}
