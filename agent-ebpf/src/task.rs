//! Who acts: the fields of a task, read at the moment of the act.

use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_task, bpf_get_current_task_btf,
};
use spoor_wire::control::ABSENT;
use spoor_wire::header::{TASK_KTHREAD, TASK_PARTIAL};
use spoor_wire::{Source, Task, fault::Fault};

use crate::count::fault;
use crate::read::{Guarded, Plain, Read, Unreadable, bytes16, clear, cleared, field, off};

/// `PF_KTHREAD`
const PF_KTHREAD: u32 = 0x0020_0000;

/// The task the kernel is running.
#[inline(always)]
pub fn current() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_get_current_task() }
}

/// Whether the kernel gives the current task as a typed pointer too.
#[inline(always)]
fn is_typed() -> bool {
    off!(task__bpf_storage) != ABSENT
}

/// The same task as a typed pointer.
#[inline(always)]
fn typed() -> u64 {
    // SAFETY: no arguments; asked only where the kernel has it.
    unsafe { bpf_get_current_task_btf() as u64 }
}

/// Start of the current task's thread group, ns of `CLOCK_BOOTTIME`; 0 where it cannot be read.
#[inline(always)]
pub fn started() -> u64 {
    if is_typed() { start_of::<Plain>(typed()) } else { start_of::<Guarded>(current()) }
}

/// Start of a task's thread group.
#[inline(always)]
pub fn start_of<R: Read>(task: u64) -> u64 {
    R::get::<u64>(task, off!(task__group_leader))
        .and_then(|leader| R::get(leader, off!(task__start_boottime)))
        .unwrap_or(0)
}

/// `thread_info.status` of the current task; 0 where it cannot be read.
#[inline(always)]
pub fn thread_status() -> u32 {
    let status = off!(task__thread_info_status);
    let read = if is_typed() { Plain::get(typed(), status) } else { Guarded::get(current(), status) };
    read.unwrap_or(0)
}

/// Whether the current task is a thread of the kernel's own.
#[inline(always)]
pub fn is_kthread() -> bool {
    if is_typed() { is_kernels::<Plain>(typed()) } else { is_kernels::<Guarded>(current()) }
}

/// Whether a task is a thread of the kernel's own.
#[inline(always)]
pub fn is_kernels<R: Read>(task: u64) -> bool {
    R::get::<u32>(task, off!(task__flags)).unwrap_or(0) & PF_KTHREAD != 0
}

/// Whether nobody logged in to start the current task. A kernel that keeps no login uids cannot tell: then everybody is
/// watched.
#[inline(always)]
pub fn is_service() -> bool {
    let login = off!(task__loginuid);
    let uid = if is_typed() { Plain::get(typed(), login) } else { Guarded::get(current(), login) };
    uid.unwrap_or(u32::MAX) == u32::MAX
}

/// Node of a task's cgroup in the default hierarchy.
#[inline(always)]
pub fn cgroup_node<R: Read>(task: u64) -> Result<u64, Unreadable> {
    let set = R::get::<u64>(task, off!(task__cgroups))?;
    let cgroup = R::get::<u64>(set, off!(css_set__dfl_cgrp))?;
    R::get(cgroup, off!(cgroup__kn))
}

/// Id of a task's cgroup in the default hierarchy.
#[inline(always)]
pub fn cgroup_id_of<R: Read>(task: u64) -> Result<u64, Unreadable> {
    R::get(cgroup_node::<R>(task)?, off!(kernfs_node__id))
}

/// Number of a task's thread group in its own pid namespace, and that namespace, where it is the first one: of that the place
/// is known. Else the `struct pid` that knows more, as a number.
#[inline(always)]
fn first_pid<R: Read>(leader: u64) -> Result<Result<(u32, u32), u64>, Unreadable> {
    let pid = R::get::<u64>(leader, off!(task__thread_pid))?;
    if R::IS_PLAIN && R::get::<u32>(pid, off!(pid__level))? == 0 {
        let numbers = off!(pid__numbers);
        let number = R::get(pid, numbers.wrapping_add(off!(upid__nr)))?;
        let space = R::get::<u64>(pid, numbers.wrapping_add(off!(upid__ns)))?;
        return Ok(Ok((number, R::get(space, off!(pid_namespace__ns_inum))?)));
    }
    Ok(Err(R::number(pid)))
}

/// The same of the innermost namespace of a `struct pid`.
#[inline(always)]
fn last_pid(pid: u64) -> Result<(u32, u32), Unreadable> {
    let level = field::<u32>(pid, off!(pid__level))?;
    let upid = pid
        .wrapping_add(u64::from(off!(pid__numbers)))
        .wrapping_add(u64::from(level & 31).wrapping_mul(u64::from(off!(upid__size))));
    let number = field::<u32>(upid, off!(upid__nr))?;
    let space = field::<u64>(upid, off!(upid__ns))?;
    Ok((number, field(space, off!(pid_namespace__ns_inum))?))
}

/// Number of a task's thread group in its own pid namespace, and that namespace.
#[inline(always)]
pub fn ns_pid<R: Read>(leader: u64) -> Result<(u32, u32), Unreadable> {
    match first_pid::<R>(leader)? {
        Ok(first) => Ok(first),
        Err(pid) => last_pid(pid),
    }
}

/// Fills in the current task as far as it can be read. `pid_tgid` is the helper's word for it.
#[inline(always)]
pub fn fill(to: &mut Task, pid_tgid: u64, source: Source) {
    to.tgid = (pid_tgid >> 32) as u32;
    to.tid = pid_tgid as u32;
    // SAFETY: no arguments.
    to.cgroup_id = unsafe { bpf_get_current_cgroup_id() };
    let pid = if is_typed() { fill_from::<Plain>(to, typed()) } else { fill_from::<Guarded>(to, current()) };
    if pid != 0 {
        (to.ns_tgid, to.pid_ns) = last_pid(pid).unwrap_or((u32::MAX, u32::MAX));
    }
    // No user has that number, and no namespace.
    if again(&raw const to.euid) == u32::MAX || again(&raw const to.pid_ns) == u32::MAX {
        to.flags = again(&raw const to.flags) | TASK_PARTIAL;
        fault(source, Fault::Task);
    }
}

/// Gives the `struct pid` of a process whose number in its namespace is still to be found, else 0.
///
/// Each field is written as soon as it is read, and what is asked about one later is asked of the memory: of what stays in a
/// register a verifier knows two things, one for each way to it, and walks all that follows once for each.
#[inline(always)]
fn fill_from<R: Read>(to: &mut Task, task: u64) -> u64 {
    to.start_ns = start_of::<R>(task);
    to.login_uid = R::get(task, off!(task__loginuid)).unwrap_or(u32::MAX);
    to.session_id = R::get(task, off!(task__sessionid)).unwrap_or(u32::MAX);
    to.comm = bytes16(R::pair(task, off!(task__comm)).unwrap_or(cleared()));
    let parent = R::get::<u64>(task, off!(task__real_parent)).unwrap_or(0);
    to.ppid = R::get(parent, off!(task__tgid)).unwrap_or(0);
    to.parent_start_ns = start_of::<R>(parent);
    let cred = R::get::<u64>(task, off!(task__cred)).unwrap_or(0);
    to.uid = R::get(cred, off!(cred__uid)).unwrap_or(u32::MAX);
    to.euid = R::get(cred, off!(cred__euid)).unwrap_or(u32::MAX);
    to.gid = R::get(cred, off!(cred__gid)).unwrap_or(u32::MAX);
    let leader = R::get::<u64>(task, off!(task__group_leader)).unwrap_or(0);
    (to.ns_tgid, to.pid_ns) = (u32::MAX, u32::MAX);
    let pid = match first_pid::<R>(leader) {
        Ok(Ok(first)) => {
            (to.ns_tgid, to.pid_ns) = first;
            0
        }
        Ok(Err(pid)) => pid,
        Err(Unreadable) => 0,
    };
    // A task that is ending has given its namespaces up already: then there is nothing to tell, and nothing is wrong.
    let proxy = R::get::<u64>(task, off!(task__nsproxy)).unwrap_or(0);
    let mount = R::get::<u64>(proxy, off!(nsproxy__mnt_ns)).unwrap_or(0);
    to.mnt_ns = R::get(mount, off!(mnt_namespace__ns_inum)).unwrap_or(0);
    to.flags = if is_kernels::<R>(task) { TASK_KTHREAD } else { 0 };
    pid
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
