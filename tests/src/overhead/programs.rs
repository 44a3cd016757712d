//! The kernel's account of the BPF programs that are loaded: how often each ran, and for how long.

use std::fs;

use anyhow::{Context, Result};

use super::bpf::{self, Kind};

/// One program.
pub(super) struct Program {
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) runs: u64,
    pub(super) ns: u64,
}

/// `BPF_PROG_GET_NEXT_ID`, `BPF_PROG_GET_FD_BY_ID`
const PROGRAMS: Kind = Kind { next_id: 11, by_id: 13 };
/// Where `struct bpf_prog_info` has what we want, and how much of it that takes.
const NAME: std::ops::Range<usize> = 64..80;
const RUN_TIME: std::ops::Range<usize> = 192..200;
const RUN_COUNT: std::ops::Range<usize> = 200..208;
const INFO: usize = 208;

/// Has the kernel keep account, or not.
pub(super) fn account(kept: bool) -> Result<()> {
    fs::write("/proc/sys/kernel/bpf_stats_enabled", if kept { "1" } else { "0" }).context("bpf_stats_enabled")
}

/// All that are loaded.
pub(super) fn all() -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    for id in bpf::ids(PROGRAMS) {
        // One that is gone meanwhile has no account.
        programs.extend(program(id?)?);
    }
    Ok(programs)
}

fn program(id: u32) -> Result<Option<Program>> {
    let Some(fd) = bpf::open(PROGRAMS, id)? else { return Ok(None) };
    let info = bpf::info::<INFO>(&fd)?;
    let number = |at: std::ops::Range<usize>| -> Result<u64> {
        Ok(u64::from_ne_bytes(info.get(at).context("the info is shorter")?.try_into()?))
    };
    let name = bpf::name(info.get(NAME).unwrap_or_default());
    Ok(Some(Program { id, name, runs: number(RUN_COUNT)?, ns: number(RUN_TIME)? }))
}
