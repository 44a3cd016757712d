//! Who acts: the fields of a task, read at the moment of the act.

use aya_ebpf::helpers::generated::{bpf_get_current_cgroup_id, bpf_get_current_task};
use spoor_wire::header::{TASK_KTHREAD, TASK_PARTIAL};
use spoor_wire::{Source, Task, fault::Fault};

use crate::count::fault;
use crate::read::{Unreadable, bytes16, clear, cleared, field, off};

/// `PF_KTHREAD`
const PF_KTHREAD: u32 = 0x0020_0000;

/// The task the kernel is running.
#[inline(always)]
pub fn current() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_get_current_task() }
}

/// Start of a task's thread group, ns of `CLOCK_BOOTTIME`; 0 where it cannot be read.
#[inline(always)]
pub fn start_of(task: u64) -> u64 {
    let leader = field::<u64>(task, off!(task__group_leader)).unwrap_or(0);
    field(leader, off!(task__start_boottime)).unwrap_or(0)
}

/// Whether a task is a thread of the kernel's own.
#[inline(always)]
pub fn is_kthread(task: u64) -> bool {
    field::<u32>(task, off!(task__flags)).unwrap_or(0) & PF_KTHREAD != 0
}

/// Whether nobody logged in to start this. A kernel that keeps no login uids cannot tell: then everybody is watched.
#[inline(always)]
pub fn is_service(task: u64) -> bool {
    field::<u32>(task, off!(task__loginuid)).unwrap_or(u32::MAX) == u32::MAX
}

/// Node of a task's cgroup in the default hierarchy.
#[inline(always)]
pub fn cgroup_node(task: u64) -> Result<u64, Unreadable> {
    let set = field::<u64>(task, off!(task__cgroups))?;
    let cgroup = field::<u64>(set, off!(css_set__dfl_cgrp))?;
    field(cgroup, off!(cgroup__kn))
}

/// Id of a task's cgroup in the default hierarchy.
#[inline(always)]
pub fn cgroup_id_of(task: u64) -> Result<u64, Unreadable> {
    field(cgroup_node(task)?, off!(kernfs_node__id))
}

/// Number of a task's thread group in its own pid namespace, and that namespace.
#[inline(always)]
pub fn ns_pid(leader: u64) -> Result<(u32, u32), Unreadable> {
    let pid = field::<u64>(leader, off!(task__thread_pid))?;
    let level = field::<u32>(pid, off!(pid__level))?;
    let upid = pid
        .wrapping_add(u64::from(off!(pid__numbers)))
        .wrapping_add(u64::from(level & 31).wrapping_mul(u64::from(off!(upid__size))));
    let number = field::<u32>(upid, off!(upid__nr))?;
    let space = field::<u64>(upid, off!(upid__ns))?;
    Ok((number, field(space, off!(pid_namespace__ns_inum))?))
}

/// Fills in a task as far as it can be read. `tgid` and `tid` are the helpers' word for the current task.
///
/// Each field is written as soon as it is read, and what is asked about one later is asked of the memory: of what stays in a
/// register a verifier knows two things, one for each way to it, and walks all that follows once for each.
#[inline(always)]
pub fn fill(to: &mut Task, task: u64, pid_tgid: u64, source: Source) {
    to.tgid = (pid_tgid >> 32) as u32;
    to.tid = pid_tgid as u32;
    to.start_ns = start_of(task);
    // SAFETY: no arguments.
    to.cgroup_id = unsafe { bpf_get_current_cgroup_id() };
    to.login_uid = field(task, off!(task__loginuid)).unwrap_or(u32::MAX);
    to.session_id = field(task, off!(task__sessionid)).unwrap_or(u32::MAX);
    to.comm = bytes16(field(task, off!(task__comm)).unwrap_or(cleared()));
    let parent = field::<u64>(task, off!(task__real_parent)).unwrap_or(0);
    to.ppid = field(parent, off!(task__tgid)).unwrap_or(0);
    to.parent_start_ns = start_of(parent);
    let cred = field::<u64>(task, off!(task__cred)).unwrap_or(0);
    to.uid = field(cred, off!(cred__uid)).unwrap_or(u32::MAX);
    to.euid = field(cred, off!(cred__euid)).unwrap_or(u32::MAX);
    to.gid = field(cred, off!(cred__gid)).unwrap_or(u32::MAX);
    let leader = field::<u64>(task, off!(task__group_leader)).unwrap_or(0);
    (to.ns_tgid, to.pid_ns) = ns_pid(leader).unwrap_or((u32::MAX, u32::MAX));
    // A task that is ending has given its namespaces up already: then there is nothing to tell, and nothing is wrong.
    let proxy = field::<u64>(task, off!(task__nsproxy)).unwrap_or(0);
    let mount = field::<u64>(proxy, off!(nsproxy__mnt_ns)).unwrap_or(0);
    to.mnt_ns = field(mount, off!(mnt_namespace__ns_inum)).unwrap_or(0);
    to.flags = if is_kthread(task) { TASK_KTHREAD } else { 0 };
    // No user has that number, and no namespace.
    if again(&raw const to.euid) == u32::MAX || again(&raw const to.pid_ns) == u32::MAX {
        to.flags = again(&raw const to.flags) | TASK_PARTIAL;
        fault(source, Fault::Task);
    }
}

/// What was written there, read back.
#[inline(always)]
fn again(at: *const u32) -> u32 {
    // SAFETY: a field of the caller's task, which is written.
    unsafe { at.read_volatile() }
}

/// Fills in a task of which no more is known than who it is.
#[inline(always)]
pub fn fill_key(to: *mut Task, tgid: u32, start_ns: u64) {
    // SAFETY: the caller's task, which is a whole number of words.
    unsafe { clear::<{ size_of::<Task>() / 8 }>(to.cast()) };
    // SAFETY: the caller's task, all of it written.
    let to = unsafe { &mut *to };
    to.tgid = tgid;
    to.start_ns = start_ns;
    to.login_uid = u32::MAX;
    to.session_id = u32::MAX;
}
