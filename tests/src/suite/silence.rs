//! A probe that falls silent while the agent runs.

use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::libc;

use crate::Place;
use crate::agent::Agent;
use crate::records::{at, text};

/// `BPF_LINK_DETACH`
const LINK_DETACH: libc::c_int = 34;

/// Somebody takes a probe away. The next canaries notice: a gap, and a coverage record that does not claim it any more.
pub(super) fn silence(place: &Place) -> Result<()> {
    let mut agent = Agent::start(place, "silence", "[canary]\nevery = \"1s\"\n")?;
    detach(agent.pid()).context("take the agent's program away")?;
    let gap =
        agent.records.wait("the gap", |r| text(r, "type") == "gap" && text(r, "kind") == "probe-silent")?;
    ensure!(!text(&gap, "since").is_empty(), "since when? {gap}");
    let again = agent.records.wait("another coverage record", |r| {
        let signals = at(r, "signals").as_array().into_iter().flatten();
        let mut names = signals.filter(|signal| text(signal, "signal") == "names");
        text(r, "type") == "coverage" && names.any(|signal| at(signal, "proven") == false)
    })?;
    let others = at(&again, "signals").as_array().into_iter().flatten();
    let silent = others.filter(|signal| at(signal, "proven") == false).count();
    ensure!(silent == 1, "{silent} signals are told to be silent: {again}");
    let (status, records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    let noise = records.all.iter().find(|r| text(r, "type") == "action" || text(r, "type") == "chain");
    ensure!(noise.is_none(), "a canary left a record: {noise:?}");
    Ok(())
}

/// Detaches the agent's own program that sees what sockets send: of its links, the one to a cgroup, by its descriptor.
#[expect(unsafe_code, reason = "two calls that no safe function makes")]
fn detach(agent: u32) -> Result<()> {
    // SAFETY: a number in, a descriptor out.
    let pidfd = unsafe { libc::syscall(libc::SYS_pidfd_open, agent, 0) };
    // SAFETY: made a line above.
    let pidfd = unsafe { OwnedFd::from_raw_fd(i32::try_from(Errno::result(pidfd)?)?) };
    let mut detached = 0;
    for entry in fs::read_dir(format!("/proc/{agent}/fdinfo"))? {
        let entry = entry?;
        let info = fs::read_to_string(entry.path()).unwrap_or_default();
        if !info.lines().any(|line| line.starts_with("link_type:") && line.ends_with("cgroup")) {
            continue;
        }
        let number: i32 = entry.file_name().to_str().context("a number")?.parse()?;
        // SAFETY: two descriptors in, one out.
        let taken = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) };
        // SAFETY: as above.
        let link = unsafe { OwnedFd::from_raw_fd(i32::try_from(Errno::result(taken)?)?) };
        let attribute = u64::from(link.as_raw_fd().unsigned_abs());
        // SAFETY: the kernel reads as many bytes as it is told, of a value that lives until it returns.
        let done = unsafe {
            libc::syscall(libc::SYS_bpf, LINK_DETACH, &raw const attribute, size_of_val(&attribute))
        };
        Errno::result(done)?;
        detached += 1;
    }
    if detached == 0 { bail!("it has no link to a cgroup") } else { Ok(()) }
}
