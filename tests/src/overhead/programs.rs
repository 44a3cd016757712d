//! The kernel's account of the BPF programs that are loaded: how often each ran, and for how long.

#![expect(unsafe_code, reason = "bpf(2), for which this crate has no library")]

use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::libc;

/// One program.
pub(super) struct Program {
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) runs: u64,
    pub(super) ns: u64,
}

const GET_NEXT_ID: libc::c_long = 11;
const PROG_GET_FD_BY_ID: libc::c_long = 13;
const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
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
    let mut id = 0;
    while let Some(next) = next(id)? {
        id = next;
        // One that is gone meanwhile has no account.
        if let Some(program) = program(id)? {
            programs.push(program);
        }
    }
    Ok(programs)
}

/// The id behind that one.
fn next(id: u32) -> Result<Option<u32>> {
    let mut attributes = [0u32; 32];
    attributes[0] = id;
    match bpf(GET_NEXT_ID, &mut attributes) {
        Ok(_) => Ok(attributes.get(1).copied()),
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error).context("ids of BPF programs"),
    }
}

fn program(id: u32) -> Result<Option<Program>> {
    let mut attributes = [0u32; 32];
    attributes[0] = id;
    let fd = match bpf(PROG_GET_FD_BY_ID, &mut attributes) {
        // SAFETY: the kernel has just made it, for us.
        Ok(fd) => unsafe { OwnedFd::from_raw_fd(i32::try_from(fd)?) },
        Err(Errno::ENOENT) => return Ok(None),
        Err(error) => return Err(error).context("a BPF program"),
    };
    let mut info = [0u8; INFO];
    let mut attributes = [0u32; 32];
    attributes[0] = u32::try_from(fd.as_raw_fd())?;
    attributes[1] = u32::try_from(INFO)?;
    let address = (info.as_mut_ptr() as u64).to_ne_bytes();
    attributes[2] = u32::from_ne_bytes([address[0], address[1], address[2], address[3]]);
    attributes[3] = u32::from_ne_bytes([address[4], address[5], address[6], address[7]]);
    bpf(OBJ_GET_INFO_BY_FD, &mut attributes).context("what a BPF program says of itself")?;
    let number = |at: std::ops::Range<usize>| -> Result<u64> {
        Ok(u64::from_ne_bytes(info.get(at).context("the info is shorter")?.try_into()?))
    };
    let name = info.get(NAME).unwrap_or_default();
    let name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
    Ok(Some(Program { id, name, runs: number(RUN_COUNT)?, ns: number(RUN_TIME)? }))
}

pub(super) fn bpf(command: libc::c_long, attributes: &mut [u32; 32]) -> nix::Result<libc::c_long> {
    // SAFETY: the attributes are as long as we say, and what they point to lives while the call goes on.
    Errno::result(unsafe {
        libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), size_of_val(attributes))
    })
}
