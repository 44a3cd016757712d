//! A program that does nothing on the hooks that every opening and every reading come to, or, in the tracepoint tier, where every
//! system call returns: what is paid for a program there, whatever it does.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result};
use nix::libc;

use super::bpf::{self, Attributes};

/// `BPF_PROG_LOAD`, `BPF_RAW_TRACEPOINT_OPEN`
const LOAD: libc::c_long = 5;
const ATTACH: libc::c_long = 17;
/// Two instructions: `r0 = 0`, `exit`.
const NOTHING: [u64; 2] = [0xb7, 0x95];
const LICENSE: &std::ffi::CStr = c"GPL";

/// `BTF_KIND_`
const TYPEDEF: u32 = 8;
const FUNCTION: u32 = 12;

/// How a program comes to a hook.
struct Way {
    /// `BPF_PROG_TYPE_`
    program: u32,
    /// `BPF_LSM_MAC`, `BPF_TRACE_FENTRY`, `BPF_TRACE_RAW_TP`
    attach: u32,
    /// What the hooks are among the kernel's types.
    kind: u32,
    hooks: &'static [&'static str],
}

const LSM: Way =
    Way { program: 29, attach: 27, kind: FUNCTION, hooks: &["bpf_lsm_file_open", "bpf_lsm_file_permission"] };
const FENTRY: Way = Way {
    program: 26,
    attach: 24,
    kind: FUNCTION,
    hooks: &["security_file_open", "security_file_permission"],
};
const TRACEPOINT: Way = Way { program: 26, attach: 23, kind: TYPEDEF, hooks: &["btf_trace_sys_exit"] };

/// The programs, as long as it is there.
pub(super) struct Hooks {
    _links: Vec<OwnedFd>,
}

impl Hooks {
    /// Attaches them as the agent attaches its own: as LSM programs where these fire, and at the return of calls where it may
    /// use no tier but that.
    pub(super) fn attach(forced: &[String]) -> Result<Self> {
        let words = fs::read_to_string("/proc/cmdline")?;
        let lsm = words.split_whitespace().find_map(|word| word.strip_prefix("lsm="));
        let fires = lsm.is_some_and(|names| names.split(',').any(|name| name == "bpf"));
        let way = match forced {
            [tier] if tier == "tracepoint" => TRACEPOINT,
            _ if fires => LSM,
            _ => FENTRY,
        };
        let btf = fs::read("/sys/kernel/btf/vmlinux").context("the kernel's BTF")?;
        let links = way.hooks.iter().map(|hook| {
            let id = id(&btf, way.kind, hook).with_context(|| format!("no {hook} in the kernel's BTF"))?;
            attached(&way, id).with_context(|| format!("an empty program on {hook}"))
        });
        Ok(Self { _links: links.collect::<Result<_>>()? })
    }
}

fn attached(way: &Way, hook: u32) -> Result<OwnedFd> {
    let mut attributes: Attributes = [0; 32];
    attributes[0] = way.program;
    attributes[1] = u32::try_from(NOTHING.len())?;
    bpf::put(&mut attributes, 2, NOTHING.as_ptr().addr());
    bpf::put(&mut attributes, 4, LICENSE.as_ptr().addr());
    attributes[17] = way.attach;
    attributes[27] = hook;
    let program = bpf::made(LOAD, &mut attributes)?;
    let mut attributes: Attributes = [0; 32];
    attributes[2] = u32::try_from(program.as_raw_fd())?;
    Ok(bpf::made(ATTACH, &mut attributes)?)
}

/// The number of what has that name among the kernel's types of a kind.
fn id(btf: &[u8], wanted_kind: u32, name: &str) -> Option<u32> {
    let word = |at: usize| Some(u32::from_ne_bytes(*btf.get(at..)?.first_chunk()?));
    let size = |at: usize| usize::try_from(word(at)?).ok();
    let header = size(4)?;
    let (mut at, end) = (header + size(8)?, header + size(8)? + size(12)?);
    let strings = header + size(16)?;
    let wanted = [name.as_bytes(), b"\0"].concat();
    let mut id = 0;
    while at < end {
        id += 1;
        let info = word(at + 4)?;
        let (kind, members) = ((info >> 24) & 0x1f, usize::try_from(info & 0xffff).ok()?);
        if kind == wanted_kind && btf.get(strings + size(at)?..)?.starts_with(&wanted) {
            return Some(id);
        }
        // What follows a type: of an integer, a variable, a tag; of an array; of members, values and parameters.
        at += 12
            + match kind {
                1 | 14 | 17 => 4,
                3 => 12,
                4 | 5 | 15 | 19 => 12 * members,
                6 | 13 => 8 * members,
                _ => 0,
            };
    }
    None
}
