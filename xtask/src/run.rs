//! `run`: build the agent and run it, as root.

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::build;
use crate::sh::{Cmd, is_root, step, which};

pub(crate) const ABOUT: &str = "Builds the agent and runs `spoor run ARGS` as root\n\n\
    Not root: builds as the user, then goes through sudo. `run --demo` shows what spoor does on this machine.";

pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    let binary = build::agent()?;
    let mut cmd = if is_root() {
        Cmd::new(&binary)
    } else {
        if which("sudo").is_none() {
            bail!(
                "probes need root and there is no sudo here; as root run: {} run {}",
                binary.display(),
                args.join(" ")
            );
        }
        Cmd::new("sudo").arg(&binary)
    };
    cmd = cmd.arg("run").args(args);
    let text = cmd.text();
    step!("run: {text}");
    // The agent replaces us, so that signals and the exit code are its own.
    let error = cmd.clean().into_inner().exec();
    Err(error).with_context(|| format!("cannot start `{text}`"))
}
