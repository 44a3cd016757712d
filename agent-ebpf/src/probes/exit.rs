//! The last thread of a process ends.
//!
//! Kernel contract: `trace_sched_process_exit(struct task_struct *task[, bool group_dead])` in `do_exit`, after
//! `signal->live` was counted down and the exit code was set. Two threads that end together may both find `live` at 0:
//! userspace takes the first.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use spoor_wire::control::MARK_CANARY;
use spoor_wire::{Exit, Fault, Kind, Source};

use crate::again::Twins;
use crate::count::fault;
use crate::emit::{Head, Wake, by_current};
use crate::gate::{in_scope, is_agent, marks, muted};
use crate::maps::MARKS;
use crate::read::{Plain, Read, Unreadable, off};
use crate::task::is_kernels;

/// `SIGNAL_GROUP_EXIT`
const GROUP_EXIT: u32 = 4;

/// `tp_btf/sched_process_exit`
#[btf_tracepoint(function = "sched_process_exit")]
pub fn tp_exit(ctx: BtfTracePointContext) -> i32 {
    let task = ctx.arg::<u64>(0);
    Twins::Exit.begin();
    exited(task);
    Twins::Exit.end(task, 0);
    0
}

/// `tp_btf/sched_process_exit`
#[btf_tracepoint(function = "sched_process_exit")]
pub fn tp_exit_again(ctx: BtfTracePointContext) -> i32 {
    let task = ctx.arg::<u64>(0);
    if Twins::Exit.was_passed_by(task, 0) {
        exited(task);
    }
    0
}

#[inline(always)]
fn exited(task: u64) {
    if !muted("sched_process_exit") && try_exit(task).is_err() {
        fault(Source::TpExit, Fault::Task);
    }
}

#[inline(always)]
fn try_exit(task: u64) -> Result<(), Unreadable> {
    let signal = Plain::get::<u64>(task, off!(task__signal))?;
    if Plain::get::<u32>(signal, off!(signal__live))? != 0 || is_kernels::<Plain>(task) {
        return Ok(());
    }
    let tgid = Plain::get::<u32>(task, off!(task__tgid))?;
    let marked = marks(tgid);
    // Whoever gets this number next starts without marks, in scope or not.
    let _ = MARKS.remove(tgid);
    if is_agent(tgid) || (!in_scope() && marked & MARK_CANARY == 0) {
        return Ok(());
    }
    // `exit_group` and fatal signals set the group's code; else the leader's own is what `wait` will tell.
    let status = if Plain::get::<u32>(signal, off!(signal__flags))? & GROUP_EXIT != 0 {
        Plain::get::<u32>(signal, off!(signal__group_exit_code))?
    } else {
        Plain::get::<u32>(Plain::get(task, off!(task__group_leader))?, off!(task__exit_code))?
    };
    let wake = if marked == 0 { Wake::Later } else { Wake::Now };
    by_current(
        Head { kind: Kind::Exit, source: Source::TpExit, marks: marked },
        wake,
        Exit { status, pad: 0 },
    );
    Ok(())
}
