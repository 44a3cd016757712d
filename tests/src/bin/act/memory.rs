//! The ways into another process's memory.
//!
//! PID is a number, or a file that begins with one (as `hold` writes it; it is waited for). `ptrace-attach PID` and
//! `ptrace-seize PID` (and let go again), `vm-read PID ADDR` (`process_vm_readv` of a byte; ADDR in hexadecimal, or
//! `stack`), `mem-read PID` (a byte of its stack through /proc/PID/mem), `environ-read PID`, and the innocent
//! `cmdline-read PID`.

use std::io::{IoSliceMut, Read};
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, ensure};
use nix::sys::ptrace;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::{Steps, open, there, wait_for};

pub(crate) fn step(step: &str, steps: &mut Steps<'_>) -> Result<bool> {
    match step {
        "ptrace-attach" => {
            let pid = process(steps.next()?)?;
            ptrace::attach(pid)?;
            waitpid(pid, None)?;
            ptrace::detach(pid, None)?;
        }
        "ptrace-seize" => {
            let pid = process(steps.next()?)?;
            ptrace::seize(pid, ptrace::Options::empty())?;
            // Only one that stands still can be let go.
            ptrace::interrupt(pid)?;
            waitpid(pid, None)?;
            ptrace::detach(pid, None)?;
        }
        "vm-read" => {
            let pid = process(steps.next()?)?;
            let base = match steps.next()? {
                "stack" => stack(pid)?,
                text => usize::from_str_radix(text.trim_start_matches("0x"), 16)?,
            };
            let mut byte = [0];
            let outcome =
                process_vm_readv(pid, &mut [IoSliceMut::new(&mut byte)], &[RemoteIoVec { base, len: 1 }]);
            ensure!(there("process_vm_readv", outcome)? == 1, "there was nothing to read");
        }
        "mem-read" => {
            let pid = process(steps.next()?)?;
            let place = u64::try_from(stack(pid)?)?;
            open(&format!("/proc/{pid}/mem"))?.read_exact_at(&mut [0], place)?;
        }
        "environ-read" => read(steps.next()?, "environ")?,
        "cmdline-read" => read(steps.next()?, "cmdline")?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn process(text: &str) -> Result<Pid> {
    if let Ok(pid) = text.parse() {
        return Ok(Pid::from_raw(pid));
    }
    wait_for(text)?;
    let content = std::fs::read_to_string(text)?;
    let first = content.split_whitespace().next().context("a file without a PID")?;
    Ok(Pid::from_raw(first.parse()?))
}

/// An address at which a process surely has memory: the last bytes of its stack.
fn stack(pid: Pid) -> Result<usize> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let line = maps.lines().find(|line| line.ends_with("[stack]")).context("a process without a stack")?;
    let (_, after) = line.split_once('-').context("a map without an end")?;
    let end = after.split(' ').next().unwrap_or_default();
    Ok(usize::from_str_radix(end, 16)? - 8)
}

fn read(pid: &str, what: &str) -> Result<()> {
    let pid = process(pid)?;
    open(&format!("/proc/{pid}/{what}"))?.read_to_end(&mut Vec::new())?;
    Ok(())
}
