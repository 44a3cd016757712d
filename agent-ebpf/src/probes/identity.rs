//! A process changes its users, capabilities or namespaces.
//!
//! Kernel contract: `int commit_creds(struct cred *new)`, by which every change of users, groups, capabilities and the user
//! namespace takes effect, those of a set-user-id program included, with the old ones still those of the current task; and
//! `void switch_task_namespaces(struct task_struct *p, struct nsproxy *new)`, by which `setns` and `unshare` take effect
//! (and, with a null pointer, the end of a task). Some builds of a kernel carry a copy of it inside the end of a task, which
//! is `void exit_task_namespaces(struct task_struct *p)`, since 6.19 `exit_nsproxy_namespaces`: there the canary, which may
//! do nothing but end, shows by a probe on that one, and for the other calls the function is still called. Tracepoint: the return of the calls, when what was before is gone.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::{btf_tracepoint, fentry, kprobe};
use aya_ebpf::programs::{BtfTracePointContext, FEntryContext, ProbeContext};
use spoor_wire::body::{ABSENT_ID, TOLD_CAPABILITIES};
use spoor_wire::control::MARK_CANARY;
use spoor_wire::{Fault, Identity, Ids, Kind, Source};

use super::connect;
use crate::again::{Twins, twins};
use crate::count::{dropped, fault, number};
use crate::emit::{Head, Sample, Wake, filled, head, may_add, ring, wake_flags};
use crate::gate::{current_tgid, marks, muted};
use crate::read::{Unreadable, field, off};
use crate::share::Adding;
use crate::syscall::syscall;
use crate::task;

twins! {
    /// `fentry/commit_creds`
    fentry of "commit_creds": fentry_creds, fentry_creds_again by Twins::Creds;
    |ctx: FEntryContext| {
        creds(ctx.arg::<u64>(0), Source::FentryCreds);
    }
}

/// `kprobe/commit_creds`
#[kprobe(function = "commit_creds")]
pub fn kprobe_creds(ctx: ProbeContext) -> u32 {
    if let Some(new) = ctx.arg::<u64>(0) {
        creds(new, Source::KprobeCreds);
    }
    0
}

twins! {
    /// `fentry/switch_task_namespaces`
    fentry of "switch_task_namespaces": fentry_namespaces, fentry_namespaces_again by Twins::Namespaces;
    |ctx: FEntryContext| {
        namespaces(ctx.arg::<u64>(0), ctx.arg::<u64>(1), Source::FentryNamespaces);
    }
}

/// `kprobe/switch_task_namespaces`
#[kprobe(function = "switch_task_namespaces")]
pub fn kprobe_namespaces(ctx: ProbeContext) -> u32 {
    if let (Some(task), Some(new)) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1)) {
        namespaces(task, new, Source::KprobeNamespaces);
    }
    0
}

twins! {
    /// `fentry/exit_task_namespaces`, or what it is called on this kernel
    fentry of "exit_task_namespaces": fentry_end_namespaces, fentry_end_namespaces_again by Twins::EndNamespaces;
    |ctx: FEntryContext| {
        namespaces(ctx.arg::<u64>(0), 0, Source::FentryEndNamespaces);
    }
}

/// `kprobe/exit_task_namespaces`, or what it is called on this kernel
#[kprobe(function = "exit_task_namespaces")]
pub fn kprobe_end_namespaces(ctx: ProbeContext) -> u32 {
    if let Some(task) = ctx.arg::<u64>(0) {
        namespaces(task, 0, Source::KprobeEndNamespaces);
    }
    0
}

/// `tp_btf/sys_exit`, of the calls that change them
#[btf_tracepoint(function = "sys_exit")]
pub fn tp_creds(ctx: BtfTracePointContext) -> i32 {
    if ctx.arg::<i64>(1) < 0 || muted("commit_creds") {
        return 0;
    }
    let Some(call) = syscall(ctx.arg::<u64>(0)) else { return 0 };
    let Some(told) = gate(Source::TpCreds) else { return 0 };
    // What was before is not known any more: userspace compares with what it was told last, and that is users only. So of
    // the rest only what the call was about is told.
    let part = match (call.number, call.compat) {
        (126, false) | (185, true) => Part::Capabilities,
        (272 | 308, false) | (310 | 346, true) => Part::Namespaces,
        _ => Part::Users,
    };
    let task = task::current();
    let cred = field::<u64>(task, off!(task__cred)).unwrap_or(0);
    let proxy = field::<u64>(task, off!(task__nsproxy)).unwrap_or(0);
    emit(told, (0, 0, Part::All), (cred, proxy, part));
    0
}

/// What of credentials and namespaces is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    Users,
    Capabilities,
    Namespaces,
}

/// Whether the current task's changes leave the kernel, which they do where its connections do.
#[inline(always)]
fn gate(source: Source) -> Option<Head> {
    let marks = connect::gate(current_tgid())?;
    Some(Head { kind: Kind::Identity, source, marks })
}

#[inline(always)]
fn creds(new: u64, source: Source) {
    if muted("commit_creds") {
        return;
    }
    let Some(told) = gate(source) else { return };
    let Ok(old) = field::<u64>(task::current(), off!(task__cred)) else {
        return fault(source, Fault::Task);
    };
    match differ(old, new) {
        Ok(false) => {}
        Ok(true) => emit(told, (old, 0, Part::All), (new, 0, Part::All)),
        Err(Unreadable) => fault(source, Fault::Task),
    }
}

/// Most calls change nothing: `setuid` to what one is, capabilities that are there already.
#[inline(always)]
fn differ(old: u64, new: u64) -> Result<bool, Unreadable> {
    // Eight identifiers in a row: uid, gid, suid, sgid, euid, egid, and those of file access.
    let ids = |cred: u64| field::<[u64; 3]>(cred, off!(cred__uid));
    let (a, b) = (ids(old)?, ids(new)?);
    if a[0] != b[0] || a[1] != b[1] || a[2] != b[2] {
        return Ok(true);
    }
    let both = |offset: u32| -> Result<bool, Unreadable> {
        Ok(field::<u64>(old, offset)? != field::<u64>(new, offset)?)
    };
    Ok(both(off!(cred__cap_effective))? || both(off!(cred__cap_permitted))? || both(off!(cred__user_ns))?)
}

#[inline(always)]
fn namespaces(task: u64, new: u64, source: Source) {
    if task != task::current() || muted("commit_creds") {
        return;
    }
    // A task that ends gives its namespaces up. Only the canary's is told: it proves that this fires, and ending takes no
    // privilege.
    if new == 0 {
        let marks = marks(current_tgid());
        if marks & MARK_CANARY != 0 {
            emit(Head { kind: Kind::Identity, source, marks }, (0, 0, Part::All), (0, 0, Part::All));
        }
        return;
    }
    let Some(told) = gate(source) else { return };
    let old = field::<u64>(task, off!(task__nsproxy)).unwrap_or(0);
    if old == 0 {
        return;
    }
    let both = |offset: u32| field::<u64>(old, offset).unwrap_or(0) != field::<u64>(new, offset).unwrap_or(0);
    if both(off!(nsproxy__mnt_ns)) || both(off!(nsproxy__net_ns)) || both(off!(nsproxy__pid_ns_for_children))
    {
        emit(told, (0, old, Part::All), (0, new, Part::All));
    }
}

/// Tells of credentials and namespaces before and after; of those that are 0, nothing.
#[inline(always)]
fn emit(told: Head, from: (u64, u64, Part), to: (u64, u64, Part)) {
    let seq = number(Kind::Identity);
    let (ring, limit) = ring(Kind::Identity.lane());
    let len = size_of::<Sample<Identity>>() as u32;
    if !may_add(filled(ring), limit, Adding::of(Kind::Identity, len)) {
        return dropped(Kind::Identity);
    }
    let Some(mut entry) = ring.reserve::<Sample<Identity>>(0) else {
        return dropped(Kind::Identity);
    };
    let sample = entry.as_mut_ptr();
    // SAFETY: the reservation is a whole sample; each part is written before it is submitted.
    unsafe { head(&raw mut (*sample).header, told, seq, size_of::<Sample<Identity>>() as u32) };
    // SAFETY: as above; `fill` writes every field and reads none.
    task::fill(unsafe { &mut (*sample).header.task }, bpf_get_current_pid_tgid(), told.source);
    // SAFETY: as above.
    ids(unsafe { &mut (*sample).body.from }, from);
    // SAFETY: as above.
    ids(unsafe { &mut (*sample).body.to }, to);
    entry.submit(wake_flags(ring, limit, Wake::Later));
}

#[inline(always)]
fn ids(to: &mut Ids, (cred, proxy, part): (u64, u64, Part)) {
    let users = cred != 0 && matches!(part, Part::All | Part::Users);
    let capabilities = cred != 0 && matches!(part, Part::All | Part::Capabilities);
    let spaces = matches!(part, Part::All | Part::Namespaces);
    let id = |offset: u32| {
        if users { field::<u32>(cred, offset).unwrap_or(ABSENT_ID) } else { ABSENT_ID }
    };
    to.uid = id(off!(cred__uid));
    to.euid = id(off!(cred__euid));
    // Of these userspace does not know what was before.
    let saved = |offset: u32| if part == Part::All { id(offset) } else { ABSENT_ID };
    to.suid = saved(off!(cred__suid));
    to.gid = id(off!(cred__gid));
    to.egid = saved(off!(cred__egid));
    to.effective = field(cred, off!(cred__cap_effective)).unwrap_or(0);
    to.permitted = field(cred, off!(cred__cap_permitted)).unwrap_or(0);
    to.told = if capabilities { TOLD_CAPABILITIES } else { 0 };
    let (cred, proxy) = if spaces { (cred, proxy) } else { (0, 0) };
    let space = field::<u64>(cred, off!(cred__user_ns)).unwrap_or(0);
    to.user_ns = field(space, off!(user_namespace__ns_inum)).unwrap_or(ABSENT_ID);
    let inum = |slot: u32, offset: u32| {
        let space = field::<u64>(proxy, slot).unwrap_or(0);
        field::<u32>(space, offset).unwrap_or(ABSENT_ID)
    };
    to.mnt_ns = inum(off!(nsproxy__mnt_ns), off!(mnt_namespace__ns_inum));
    to.net_ns = inum(off!(nsproxy__net_ns), off!(net__ns_inum));
    to.pid_ns = inum(off!(nsproxy__pid_ns_for_children), off!(pid_namespace__ns_inum));
}
