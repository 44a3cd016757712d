//! A process takes a new program.
//!
//! Kernel contract: `trace_sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`, after
//! the point of no return: `mm` is the new one, arguments lie in it, only successes come here.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use spoor_wire::body::{ARGV_MAX, CGROUP_MAX, PATH_MAX, SPAN_TRUNCATED, SPAN_UNREADABLE};
use spoor_wire::{Exec, Fault, Header, Kind, Source, Span};

use crate::again::Twins;
use crate::count::{dropped, fault, number};
use crate::emit::{Head, Sample, Wake, filled, head, may_add, ring, wake_flags};
use crate::gate::{marks, muted, watched};
use crate::maps::{SCRATCH, SCRATCH_LEN, Scratch};
use crate::matcher::inode;
use crate::names::{Out, cgroup, path};
use crate::read::{Plain, Read, Unreadable, kernel_str, masked, off, user_bytes};
use crate::share::Adding;
use crate::task;

const TAIL: u32 = size_of::<Sample<Exec>>() as u32;
/// Most bytes of the name the caller gave.
const FILENAME_MAX: u32 = 1024;
/// Offsets into the scratch are masked to this; any one piece is at most `ARGV_MAX` long.
const MASK: u32 = 0x3fff;
const _: () = assert!(MASK as usize + ARGV_MAX as usize <= SCRATCH_LEN);
const _: () = assert!(TAIL + PATH_MAX + FILENAME_MAX + ARGV_MAX + CGROUP_MAX <= MASK);

/// `tp_btf/sched_process_exec`
#[btf_tracepoint(function = "sched_process_exec")]
pub fn tp_exec(ctx: BtfTracePointContext) -> i32 {
    Twins::Exec.begin();
    executed(&ctx, 0);
    Twins::Exec.end(ctx.arg(2), 0);
    0
}

/// `tp_btf/sched_process_exec`
#[btf_tracepoint(function = "sched_process_exec")]
pub fn tp_exec_again(ctx: BtfTracePointContext) -> i32 {
    if Twins::Exec.was_passed_by(ctx.arg(2), 0) {
        executed(&ctx, 1);
    }
    0
}

#[inline(always)]
fn executed(ctx: &BtfTracePointContext, scratch: u32) {
    let told = (ctx.arg::<u64>(0), ctx.arg::<u64>(1) as u32, ctx.arg::<u64>(2));
    if !muted("sched_process_exec") && try_exec(told, scratch).is_err() {
        fault(Source::TpExec, Fault::Task);
    }
}

#[inline(always)]
fn try_exec((task, old_tid, bprm): (u64, u32, u64), scratch: u32) -> Result<(), Unreadable> {
    let pid_tgid = bpf_get_current_pid_tgid();
    let tgid = (pid_tgid >> 32) as u32;
    if !watched(tgid) {
        return Ok(());
    }
    let marked = marks(tgid);
    let scratch = SCRATCH.get_ptr_mut(scratch).ok_or(Unreadable)?;
    let sample = scratch.cast::<Sample<Exec>>();
    // SAFETY: the scratch is this CPU's, aligned to 8, longer than the fixed part, and initialised as all map memory is.
    let Sample { header, body } = unsafe { &mut *sample };
    body.old_tid = old_tid;
    let len = fill_tail(scratch, body, task, bprm)?;
    let told = Head { kind: Kind::Exec, source: Source::TpExec, marks: marked };
    // SAFETY: as above.
    unsafe { head(header, told, number(Kind::Exec), len) };
    task::fill(&mut header.task, pid_tgid, Source::TpExec);
    send(scratch, len);
    Ok(())
}

/// Path, name, arguments and cgroup, packed one after the other. Gives the length of the whole sample.
#[inline(always)]
fn fill_tail(scratch: *mut Scratch, body: &mut Exec, task: u64, bprm: u64) -> Result<u32, Unreadable> {
    let base = scratch.cast::<u8>();
    let mm = Plain::get::<u64>(task, off!(task__mm))?;
    let exe = Plain::get::<u64>(mm, off!(mm__exe_file))?;
    let at = Plain::get(exe, off!(file__f_inode))?;
    let program = inode::<Plain>(at)?;
    (body.ino, body.dev) = (program.ino, program.dev);
    body.links = Plain::get(at, off!(inode__i_nlink)).unwrap_or(1);
    body.pad = 0;

    // SAFETY: a place in the scratch; nothing is read.
    let cursor = unsafe { &raw mut (*scratch).at };
    // SAFETY: the scratch has more than `MASK + 257` bytes.
    let mut names = unsafe { Out::<MASK>::new(base, cursor, TAIL, PATH_MAX) };
    path::<Plain, MASK>(&mut names, exe);
    let at = names.end();
    body.path = Span { offset: TAIL, len: (at - TAIL) as u16, flags: names.flags };

    body.filename = filename(base, at, bprm);
    let at = at + u32::from(body.filename.len);

    body.argv = arguments(base, at, mm)?;
    let at = at + u32::from(body.argv.len);

    // SAFETY: as above.
    let mut groups = unsafe { Out::<MASK>::new(base, cursor, at, CGROUP_MAX) };
    cgroup(&mut groups, task);
    let end = groups.end();
    body.cgroup = Span { offset: at, len: (end - at) as u16, flags: groups.flags };
    Ok(end)
}

#[inline(always)]
fn filename(base: *mut u8, at: u32, bprm: u64) -> Span {
    let to = base.wrapping_add(masked::<MASK>(at) as usize);
    let read = Plain::get::<u64>(bprm, off!(bprm__filename))
        // SAFETY: an offset up to `MASK`, and at most `FILENAME_MAX` bytes from there.
        .and_then(|name| unsafe { kernel_str(to, FILENAME_MAX, name) });
    match read {
        Ok(len) => {
            let len = masked::<{ FILENAME_MAX - 1 }>(len);
            let flags = if len == FILENAME_MAX - 1 { SPAN_TRUNCATED } else { 0 };
            Span { offset: at, len: len as u16, flags }
        }
        Err(Unreadable) => {
            fault(Source::TpExec, Fault::File);
            Span { offset: at, len: 0, flags: SPAN_UNREADABLE }
        }
    }
}

#[inline(always)]
fn arguments(base: *mut u8, at: u32, mm: u64) -> Result<Span, Unreadable> {
    let start = Plain::get::<u64>(mm, off!(mm__arg_start))?;
    let end = Plain::get::<u64>(mm, off!(mm__arg_end))?;
    let size = end.wrapping_sub(start);
    let (len, mut flags) =
        if size >= u64::from(ARGV_MAX) { (ARGV_MAX - 1, SPAN_TRUNCATED) } else { (size as u32, 0) };
    let len = masked::<{ ARGV_MAX - 1 }>(len);
    let to = base.wrapping_add(masked::<MASK>(at) as usize);
    // SAFETY: an offset up to `MASK`, and less than `ARGV_MAX` bytes from there.
    if unsafe { user_bytes(to, len, start) }.is_err() {
        // The pages were written by the kernel a moment ago; that they are gone is rare, and said.
        fault(Source::TpExec, Fault::Argv);
        flags |= SPAN_UNREADABLE;
        return Ok(Span { offset: at, len: 0, flags });
    }
    Ok(Span { offset: at, len: len as u16, flags })
}

#[inline(always)]
fn send(scratch: *mut Scratch, len: u32) {
    let (ring, limit) = ring(Kind::Exec.lane());
    let flags = wake_flags(ring, limit, Wake::Later);
    let len = masked::<MASK>(len);
    if !may_add(filled(ring), limit, Adding::of(Kind::Exec, len)) {
        return dropped(Kind::Exec);
    }
    // SAFETY: less than the scratch's length, all of which is initialised memory of a map.
    let bytes = unsafe { core::slice::from_raw_parts(scratch.cast::<u8>(), len as usize) };
    if len < size_of::<Header>() as u32 || ring.output::<[u8]>(bytes, flags).is_err() {
        dropped(Kind::Exec);
    }
}
