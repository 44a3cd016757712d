//! A process tries to take a new program, and does not get it.
//!
//! Kernel contract: the entry points of the calls, `long __x64_sys_execve(const struct pt_regs *regs)` and its three
//! siblings, at their return; in the tracepoint tier `trace_sys_exit(struct pt_regs *regs, long ret)`. A success returns
//! here, too, in the new program, and is told by another probe.

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::{btf_tracepoint, fexit, kprobe, kretprobe};
use aya_ebpf::programs::{BtfTracePointContext, FExitContext, ProbeContext, RetProbeContext};
use spoor_wire::body::{SPAN_TRUNCATED, SPAN_UNREADABLE};
use spoor_wire::control::{MARK_CANARY, MARK_HOLDS, MARK_SERVICE};
use spoor_wire::{ExecFailed, Fault, Kind, Source, Span};

use super::returns::{begins, ends};
use crate::again::Twins;
use crate::count::{dropped, fault, number};
use crate::emit::{Head, Sample, Wake, filled, head, may_add, ring, wake_flags};
use crate::gate::{marks, muted, watched};
use crate::maps::ENTRIES;
use crate::read::{Unreadable, field, masked, user_str};
use crate::share::Adding;
use crate::syscall::{Syscall, syscall};
use crate::task::{self, is_kthread};

/// Which of the calls, as far as its arguments differ.
#[derive(Clone, Copy)]
enum Call {
    Execve,
    Execveat,
}

begins! {
    kprobe_execve of "__x64_sys_execve";
    kprobe_execveat of "__x64_sys_execveat";
    kprobe_execve32 of "__ia32_compat_sys_execve";
    kprobe_execveat32 of "__ia32_compat_sys_execveat";
}

ends! { failed;
    fexit_execve (fexit_execve_again by Twins::Execve): fexit of "__x64_sys_execve", (Call::Execve, false), Source::FexitExec;
    fexit_execveat (fexit_execveat_again by Twins::Execveat): fexit of "__x64_sys_execveat", (Call::Execveat, false), Source::FexitExec;
    fexit_execve32 (fexit_execve32_again by Twins::Execve32): fexit of "__ia32_compat_sys_execve", (Call::Execve, true), Source::FexitExec;
    fexit_execveat32 (fexit_execveat32_again by Twins::Execveat32): fexit of "__ia32_compat_sys_execveat", (Call::Execveat, true), Source::FexitExec;
    kretprobe_execve: kretprobe of "__x64_sys_execve", (Call::Execve, false), Source::KretprobeExec;
    kretprobe_execveat: kretprobe of "__x64_sys_execveat", (Call::Execveat, false), Source::KretprobeExec;
    kretprobe_execve32: kretprobe of "__ia32_compat_sys_execve", (Call::Execve, true), Source::KretprobeExec;
    kretprobe_execveat32: kretprobe of "__ia32_compat_sys_execveat", (Call::Execveat, true), Source::KretprobeExec;
}

/// `tp_btf/sys_exit`, of both calls.
#[btf_tracepoint(function = "sys_exit")]
pub fn tp_exec_failed(ctx: BtfTracePointContext) -> i32 {
    let (regs, ret) = (ctx.arg::<u64>(0), ctx.arg::<i64>(1));
    let Some(Syscall { number, compat, .. }) = syscall(regs) else { return 0 };
    let at = number == if compat { 358 } else { 322 };
    failed(regs, ret, (if at { Call::Execveat } else { Call::Execve }, compat), Source::TpExecFailed);
    0
}

#[inline(always)]
fn failed(regs: u64, ret: i64, call: (Call, bool), source: Source) {
    // A call that is to be restarted has not failed.
    if ret >= 0 || ret <= -512 || muted("execve_return") {
        return;
    }
    let pid_tgid = bpf_get_current_pid_tgid();
    let tgid = (pid_tgid >> 32) as u32;
    if is_kthread() || !watched(tgid) {
        return;
    }
    let marked = marks(tgid);
    if marked & (MARK_HOLDS | MARK_SERVICE | MARK_CANARY) == 0 {
        return;
    }
    let (call, compat) = call;
    let place = match call {
        Call::Execve => 0,
        Call::Execveat => 1,
    };
    match (Syscall { number: 0, compat, array: 0 }).argument(regs, place) {
        Ok(name) => emit(name, ret.unsigned_abs() as u32, marked, pid_tgid, source),
        Err(Unreadable) => fault(source, Fault::Task),
    }
}

const TAIL: u32 = size_of::<Sample<ExecFailed>>() as u32;
/// Most bytes of the name that is told, its NUL among them.
const NAME_MAX: u32 = 512;

/// A name is read straight into the ring: a failing call is nobody's hot path.
#[repr(C)]
struct Room {
    sample: Sample<ExecFailed>,
    name: [u8; NAME_MAX as usize],
}

#[inline(always)]
fn emit(name: u64, errno: u32, marked: u32, pid_tgid: u64, source: Source) {
    let told = Head { kind: Kind::ExecFailed, source, marks: marked };
    let seq = number(Kind::ExecFailed);
    let (ring, limit) = ring(Kind::ExecFailed.lane());
    let len = size_of::<Room>() as u32;
    if !may_add(filled(ring), limit, Adding::of(Kind::ExecFailed, len)) {
        return dropped(Kind::ExecFailed);
    }
    let Some(mut entry) = ring.reserve::<Room>(0) else {
        return dropped(Kind::ExecFailed);
    };
    let room = entry.as_mut_ptr();
    // SAFETY: a place in the reservation; nothing is read.
    let to = unsafe { &raw mut (*room).name }.cast::<u8>();
    // SAFETY: `NAME_MAX` bytes.
    let (len, flags) = match unsafe { user_str(to, NAME_MAX, name) } {
        Ok(len) if len == NAME_MAX - 1 => (len, SPAN_TRUNCATED),
        Ok(len) => (len, 0),
        // Where the name itself was the mistake, there is none.
        Err(Unreadable) => (0, SPAN_UNREADABLE),
    };
    let len = masked::<{ NAME_MAX - 1 }>(len);
    let body = ExecFailed { errno, pad: 0, filename: Span { offset: TAIL, len: len as u16, flags } };
    // SAFETY: the reservation starts with a whole sample; each part is written before it is submitted.
    unsafe { head(&raw mut (*room).sample.header, told, seq, TAIL + len) };
    // SAFETY: as above; `fill` writes every field and reads none.
    task::fill(unsafe { &mut (*room).sample.header.task }, pid_tgid, source);
    // SAFETY: as above.
    unsafe { (&raw mut (*room).sample.body).write(body) };
    entry.submit(wake_flags(ring, limit, Wake::Later));
}
