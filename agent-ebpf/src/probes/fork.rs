//! A process is made.
//!
//! Kernel contract: `trace_sched_process_fork(struct task_struct *parent, struct task_struct *child)`, in `kernel_clone`
//! before `wake_up_new_task`: the child has not run, so what it inherits here it has from its first instruction on.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use spoor_wire::control::{MARK_CANARY, Mark};
use spoor_wire::{Fault, Fork, Kind, Source};

use crate::again::Twins;
use crate::count::fault;
use crate::emit::{Head, Wake, by_current};
use crate::gate::{in_scope, is_agent, marks, muted};
use crate::maps::{ARMED, MARKS};
use crate::read::{Plain, Read, Unreadable, off};
use crate::task::{cgroup_id_of, is_kernels, ns_pid, start_of};

/// `tp_btf/sched_process_fork`
#[btf_tracepoint(function = "sched_process_fork")]
pub fn tp_fork(ctx: BtfTracePointContext) -> i32 {
    let (maker, child) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1));
    Twins::Fork.begin();
    forked(maker, child);
    Twins::Fork.end(child, 0);
    0
}

/// `tp_btf/sched_process_fork`
#[btf_tracepoint(function = "sched_process_fork")]
pub fn tp_fork_again(ctx: BtfTracePointContext) -> i32 {
    let (maker, child) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1));
    if Twins::Fork.was_passed_by(child, 0) {
        forked(maker, child);
    }
    0
}

#[inline(always)]
fn forked(maker: u64, child: u64) {
    if !muted("sched_process_fork") && try_fork(maker, child).is_err() {
        fault(Source::TpFork, Fault::Task);
    }
}

#[inline(always)]
fn try_fork(maker: u64, child: u64) -> Result<(), Unreadable> {
    let maker_tgid = Plain::get::<u32>(maker, off!(task__tgid))?;
    let tgid = Plain::get::<u32>(child, off!(task__tgid))?;
    // A thread is no process; kernel threads are nobody's deed.
    if tgid == maker_tgid || is_kernels::<Plain>(child) {
        return Ok(());
    }
    // The agent itself is never marked: while it has armed its canary, its children are.
    let agent = is_agent(maker_tgid);
    let inherited = if !agent {
        marks(maker_tgid)
    } else if ARMED.get(0).is_some_and(|armed| *armed != 0) {
        MARK_CANARY
    } else {
        return Ok(());
    };
    let canary = inherited & MARK_CANARY != 0;
    let child_start_ns = start_of::<Plain>(child);
    if inherited != 0
        && MARKS.insert(tgid, Mark { start_ns: child_start_ns, flags: inherited, pad: 0 }, 0).is_err()
    {
        fault(Source::TpFork, Fault::MarkFull);
    }
    if !in_scope() && !canary {
        return Ok(());
    }
    let parent = Plain::get::<u64>(child, off!(task__real_parent))?;
    let (child_ns_tgid, child_pid_ns) = ns_pid::<Plain>(child)?;
    let body = Fork {
        child_start_ns,
        parent_start_ns: start_of::<Plain>(parent),
        child_cgroup_id: cgroup_id_of::<Plain>(child).unwrap_or(0),
        child_tgid: tgid,
        child_ns_tgid,
        child_pid_ns,
        parent_tgid: Plain::get(parent, off!(task__tgid))?,
        child_marks: inherited,
        pad: 0,
    };
    by_current(Head { kind: Kind::Fork, source: Source::TpFork, marks: inherited }, Wake::Later, body);
    Ok(())
}
