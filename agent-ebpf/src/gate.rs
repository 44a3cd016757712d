//! The cheap refusals, before anything is read or made.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use spoor_wire::control::{MARK_CANARY, MARK_TICK_NS, Mark, SCOPE_DEPTH_MAX};

use crate::maps::{MARKS, SCOPE, SETTINGS};
use crate::read::{Guarded, Unreadable, field, off};
use crate::task::{self, cgroup_node, start_of, started};

/// The probe this object was built to mute, for the tests that show that the tests notice.
const MUTED: Option<&str> = option_env!("SPOOR_MUTE");

/// Whether the probe of that name is muted. Known when compiled: a probe that is not, is as if this were not there.
pub const fn muted(name: &str) -> bool {
    let Some(muted) = MUTED else { return false };
    let (a, b) = (muted.as_bytes(), name.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[inline(always)]
fn agent() -> u32 {
    // SAFETY: a static of plain integers; volatile, since the loader fills it in.
    unsafe { core::ptr::read_volatile(&raw const SETTINGS.agent_tgid) }
}

/// Thread group of the current task.
#[inline(always)]
pub fn current_tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// Whether that is the agent itself.
#[inline(always)]
pub fn is_agent(tgid: u32) -> bool {
    tgid == agent()
}

/// Whether the current task is watched: the host is, or one of its cgroups is in the scope, or it is the canary.
#[inline(always)]
pub fn watched(tgid: u32) -> bool {
    !is_agent(tgid) && (in_scope() || marks(tgid) & MARK_CANARY != 0)
}

/// Whether only some cgroups are watched.
#[inline(always)]
pub fn scoped() -> bool {
    // SAFETY: as in `agent`.
    unsafe { core::ptr::read_volatile(&raw const SETTINGS.scoped) != 0 }
}

/// Whether tasks in the kernel are preempted, and programs with them.
#[inline(always)]
pub fn preempted() -> bool {
    // SAFETY: as in `agent`.
    unsafe { core::ptr::read_volatile(&raw const SETTINGS.preempted) != 0 }
}

/// Whether the current task's cgroup, or one above it, is in the scope.
#[inline(always)]
pub fn in_scope() -> bool {
    if !scoped() {
        return true;
    }
    below_scope(task::current()).unwrap_or(false)
}

/// Walks up from a task's cgroup. (`bpf_get_current_ancestor_cgroup_id` would ask for 5.11.)
#[inline(always)]
fn below_scope(task: u64) -> Result<bool, Unreadable> {
    let mut node = cgroup_node::<Guarded>(task)?;
    for _ in 0..SCOPE_DEPTH_MAX {
        let id = field::<u64>(node, off!(kernfs_node__id))?;
        // SAFETY: a number, copied at once.
        if unsafe { SCOPE.get(id) }.is_some() {
            return Ok(true);
        }
        node = field(node, off!(kernfs_node__parent))?;
        if node == 0 {
            return Ok(false);
        }
    }
    Ok(false)
}

/// The marks of the current process, 0 where it has none, or where its number's mark is that of a former holder.
#[inline(always)]
pub fn marks(tgid: u32) -> u32 {
    marks_since(tgid, started)
}

/// The same of the process of a task.
#[inline(always)]
pub fn marks_of(task: u64, tgid: u32) -> u32 {
    marks_since(tgid, || start_of::<Guarded>(task))
}

#[inline(always)]
fn marks_since(tgid: u32, start: impl Fn() -> u64) -> u32 {
    let Some(mark) = mark_of(tgid) else { return 0 };
    if mark.flags == 0 || mark.start_ns / MARK_TICK_NS != start() / MARK_TICK_NS {
        return 0;
    }
    mark.flags
}

/// Start and marks of whoever has that number, as far as the table knows.
#[inline(always)]
pub fn marks_of_number(tgid: u32) -> Option<(u64, u32)> {
    mark_of(tgid).map(|mark| (mark.start_ns, mark.flags))
}

#[inline(always)]
fn mark_of(tgid: u32) -> Option<Mark> {
    // SAFETY: the map is preallocated and never shrinks; a value that is replaced while it is copied fails the check of
    // its start time, or carries flags of the same process.
    unsafe { MARKS.get(tgid) }.copied()
}

/// Adds flags to a process's mark, and gives what it has now. Fails where the table is full.
#[inline(always)]
pub fn add_marks(tgid: u32, start_ns: u64, flags: u32) -> Result<u32, i32> {
    let had = match mark_of(tgid) {
        Some(mark) if mark.start_ns / MARK_TICK_NS == start_ns / MARK_TICK_NS => mark.flags,
        _ => 0,
    };
    if had & flags == flags {
        return Ok(had);
    }
    MARKS.insert(tgid, Mark { start_ns, flags: had | flags, pad: 0 }, 0)?;
    Ok(had | flags)
}
