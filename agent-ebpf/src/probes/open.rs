//! A credential is opened for reading.
//!
//! Kernel contract, LSM, fentry and kprobe: `security_file_open(struct file *file)`, reached by every way to open but
//! `O_PATH`. Tracepoint: `trace_sys_exit(struct pt_regs *regs, long ret)`; the descriptor an open call returned is looked
//! up in the task's table, so that no path is taken from the caller's memory. What that tier cannot see (io_uring; a
//! descriptor that another thread closed meanwhile) is in the coverage report.

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::{btf_tracepoint, fentry, kprobe, lsm};
use aya_ebpf::programs::{BtfTracePointContext, FEntryContext, LsmContext, ProbeContext};
use aya_log_ebpf::debug;
use spoor_wire::control::MARK_HOLDS;
use spoor_wire::{Fault, Kind, Open, Source, Span};

use crate::count::{dropped, fault, number};
use crate::emit::{Head, Sample, Wake, head, ring, wake_flags};
use crate::gate::{add_marks, marks, muted, watched};
use crate::matcher::{self, Hit, Inode};
use crate::names::{Out, path};
use crate::read::{Unreadable, field, off};
use crate::syscall::file_of;
use crate::task::{self, start_of};

/// `FMODE_READ`
const FMODE_READ: u32 = 1;
/// `S_IFMT` and `S_IFREG`
const FILE_TYPE: u16 = 0o170_000;
const REGULAR: u16 = 0o100_000;

/// `lsm/file_open(struct file *file)`
#[lsm(hook = "file_open")]
pub fn lsm_open(ctx: LsmContext) -> i32 {
    opened(&ctx, ctx.arg::<u64>(0), Source::LsmOpen);
    // Observe only: what earlier programs decided stands.
    ctx.arg::<i32>(1)
}

/// `fentry/security_file_open`
#[fentry(function = "security_file_open")]
pub fn fentry_open(ctx: FEntryContext) -> i32 {
    opened(&ctx, ctx.arg::<u64>(0), Source::FentryOpen);
    0
}

/// `kprobe/security_file_open`
#[kprobe(function = "security_file_open")]
pub fn kprobe_open(ctx: ProbeContext) -> u32 {
    if let Some(file) = ctx.arg::<u64>(0) {
        opened(&ctx, file, Source::KprobeOpen);
    }
    0
}

/// `tp_btf/sys_exit`
#[btf_tracepoint(function = "sys_exit")]
pub fn tp_open(ctx: BtfTracePointContext) -> i32 {
    let ret = ctx.arg::<i64>(1);
    if ret < 0 {
        return 0;
    }
    match file_of(ret.cast_unsigned()) {
        Ok(0) | Err(Unreadable) => fault(Source::TpOpen, Fault::DescriptorGone),
        Ok(file) => opened(&ctx, file, Source::TpOpen),
    }
    0
}

#[inline(always)]
fn opened<C: EbpfContext>(ctx: &C, file: u64, source: Source) {
    if muted("file_open") {
        return;
    }
    match try_open(file, source) {
        Ok(None) => {}
        Ok(Some(rule)) => debug!(ctx, "credential opened, rule {}", rule),
        Err(Unreadable) => {
            fault(source, Fault::File);
            debug!(ctx, "a file that was opened could not be read");
        }
    }
}

#[inline(always)]
fn try_open(file: u64, source: Source) -> Result<Option<u32>, Unreadable> {
    if field::<u32>(file, off!(file__f_mode))? & FMODE_READ == 0 {
        return Ok(None);
    }
    let at = field::<u64>(file, off!(file__f_inode))?;
    if field::<u16>(at, off!(inode__i_mode))? & FILE_TYPE != REGULAR {
        return Ok(None);
    }
    let pid_tgid = bpf_get_current_pid_tgid();
    let tgid = (pid_tgid >> 32) as u32;
    let task = task::current();
    if !watched(task, tgid) {
        return Ok(None);
    }
    let inode = matcher::inode(at)?;
    let Some(hit) = matcher::find(file, &inode)? else { return Ok(None) };
    if add_marks(tgid, start_of(task), MARK_HOLDS).is_err() {
        fault(source, Fault::MarkFull);
    }
    emit(file, &inode, &hit, source, (task, pid_tgid));
    Ok(Some(hit.rule))
}

const TAIL: usize = size_of::<Sample<Open>>();
/// Offsets into the reservation are masked to this. A path of up to 1,880 bytes fits, and nine hundred openings into the
/// ring; of a longer path the end is told, and that it is not all. (Two sizes, the second where the first does not do,
/// are two walks: more than the verifiers of 5.10 and 6.1 follow to the end.)
const MASK: u32 = 0x7ff;
const ROOM: u32 = MASK + 1 - TAIL as u32;

/// Room is reserved before the path is known, and the path is written straight into it: an LSM program may be preempted
/// by itself on the same CPU, so it has no scratch of its own there.
#[repr(C)]
struct Room {
    sample: Sample<Open>,
    /// The last name may start where the mask ends.
    tail: [u8; MASK as usize + 264 - TAIL],
    at: u32,
    pad: u32,
}

#[inline(always)]
fn emit(file: u64, inode: &Inode, hit: &Hit, source: Source, who: (u64, u64)) {
    let (task, pid_tgid) = who;
    let told = Head { kind: Kind::Open, source, marks: marks(task, (pid_tgid >> 32) as u32) };
    let seq = number(Kind::Open);
    let (ring, limit) = ring(Kind::Open.lane());
    let Some(mut entry) = ring.reserve::<Room>(0) else {
        return dropped(Kind::Open);
    };
    let room = entry.as_mut_ptr();
    // SAFETY: the reservation has `MASK + 257` bytes.
    let mut names = unsafe { Out::<MASK>::new(room.cast(), &raw mut (*room).at, TAIL as u32, ROOM) };
    path(&mut names, file);
    let end = names.end();
    if names.flags != 0 {
        fault(source, Fault::PathDepth);
    }
    let body = Open {
        ino: inode.ino,
        dev: inode.dev,
        generation: field(inode.at, off!(inode__i_generation)).unwrap_or(0),
        rule: hit.rule,
        matched: hit.matched,
        flags: field(file, off!(file__f_flags)).unwrap_or(0),
        mode: field::<u16>(inode.at, off!(inode__i_mode)).unwrap_or(0).into(),
        owner: field(inode.at, off!(inode__i_uid)).unwrap_or(u32::MAX),
        links: field(inode.at, off!(inode__i_nlink)).unwrap_or(0),
        how: 0,
        pad: 0,
        path: Span { offset: TAIL as u32, len: (end - TAIL as u32) as u16, flags: names.flags },
    };
    // SAFETY: the reservation starts with a whole sample; each part is written before it is submitted.
    unsafe { head(&raw mut (*room).sample.header, told, seq, end) };
    // SAFETY: as above; `fill` writes every field and reads none.
    task::fill(unsafe { &mut (*room).sample.header.task }, task, pid_tgid, source);
    // SAFETY: as above.
    unsafe { (&raw mut (*room).sample.body).write(body) };
    entry.submit(wake_flags(ring, limit, Wake::Now));
}
