//! A credential is opened: for reading, or only to be written.
//!
//! Who reads holds it from now on. Who only writes does not, and nobody learns from the kernel what was written: that is told
//! by the file when it is read next. The flags of the file say which it is.
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
use spoor_wire::body::HOW_BACKING;
use spoor_wire::control::MARK_HOLDS;
use spoor_wire::rule::InodeKey;
use spoor_wire::{Fault, Kind, Lane, Open, Source, Span};

use super::memory;
use crate::again::{Twins, twins};
use crate::count::{dropped, fault, number, refused};
use crate::emit::{Head, Sample, Wake, filled, head, may_add, ring, wake_flags};
use crate::file::{FMODE_READ, FMODE_WRITE, PROC_SUPER_MAGIC, is_regular};
use crate::gate::{add_marks, current_tgid, marks, muted, watched};
use crate::maps::KNOWN;
use crate::matcher::{self, Hit, Inode, find_sifted};
use crate::names::{Out, path_of, place_of};
use crate::read::{Guarded, Plain, Read, Unreadable, field, off};
use crate::share::{Adding, Touch};
use crate::sieve::{self, Sifted};
use crate::syscall::file_of;
use crate::task::{self, started};
use crate::touch::touch;

/// `O_ACCMODE`
const ACCESS: u32 = 3;
/// `FMODE_NOACCOUNT`, which files have that overlayfs opens for itself. `FMODE_BACKING` would say it plainer, but it came
/// in 6.5 only and moved in 6.14, where its bit is that of a file without `fsnotify` events: any file.
const FMODE_NOACCOUNT: u32 = 1 << 29;

/// `lsm/file_open(struct file *file)`
#[lsm(hook = "file_open")]
pub fn lsm_open(ctx: LsmContext) -> i32 {
    opened_typed(&ctx, ctx.arg::<u64>(0), Source::LsmOpen);
    // Observe only: what earlier programs decided stands.
    ctx.arg::<i32>(1)
}

twins! {
    /// `fentry/security_file_open`
    fentry of "security_file_open": fentry_open, fentry_open_again by Twins::Open;
    |ctx: FEntryContext| {
        opened_typed(&ctx, ctx.arg::<u64>(0), Source::FentryOpen);
    }
    // The same, without a word to the log: of what writes there, programs that share it make a call.
    again {
        if try_typed(ctx.arg::<u64>(0), Source::FentryOpen).is_err() {
            fault(Source::FentryOpen, Fault::File);
        }
    }
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
fn opened_typed<C: EbpfContext>(ctx: &C, file: u64, source: Source) {
    told_of(ctx, try_typed(file, source), source);
}

/// The same of a typed pointer, without a word to the log.
#[inline(always)]
fn try_typed(file: u64, source: Source) -> Result<Option<u32>, Unreadable> {
    let may = sieve::sift(file);
    if may.is_nothing() || muted("file_open") {
        return Ok(None);
    }
    try_open::<Plain>(file, may, source)
}

#[inline(always)]
fn opened<C: EbpfContext>(ctx: &C, file: u64, source: Source) {
    if muted("file_open") {
        return;
    }
    let may = sieve::sift_number(file);
    if !may.is_nothing() {
        told_of(ctx, try_open::<Guarded>(file, may, source), source);
    }
}

#[inline(always)]
fn told_of<C: EbpfContext>(ctx: &C, told: Result<Option<u32>, Unreadable>, source: Source) {
    match told {
        Ok(None) => {}
        Ok(Some(rule)) => debug!(ctx, "credential opened, rule {}", rule),
        Err(Unreadable) => {
            fault(source, Fault::File);
            debug!(ctx, "a file that was opened could not be read");
        }
    }
}

#[inline(always)]
fn try_open<R: Read>(file: u64, may: Sifted, source: Source) -> Result<Option<u32>, Unreadable> {
    let mode = R::get::<u32>(file, off!(file__f_mode))?;
    if mode & (FMODE_READ | FMODE_WRITE) == 0 {
        return Ok(None);
    }
    let reads = mode & FMODE_READ != 0;
    let at = R::get::<u64>(file, off!(file__f_inode))?;
    if !is_regular::<R>(at)? {
        return Ok(None);
    }
    let tgid = current_tgid();
    if !watched(tgid) {
        return Ok(None);
    }
    if is_of_proc::<R>(at)? {
        if reads {
            memory::opened(R::number(file), R::number(at), source)?;
        }
        return Ok(None);
    }
    let inode = matcher::inode::<R>(at)?;
    // What is no typed pointer has no plain loads: all rules are asked.
    let hit = if R::IS_PLAIN { find_sifted(file, &inode, may)? } else { matcher::find(file, &inode)? };
    // A rule of whose files the agent asks the path.
    #[cfg(feature = "without-filter")]
    let hit = hit.or(Some(Hit { rule: 0, matched: spoor_wire::body::MATCH_NAME }));
    let Some(hit) = hit else { return Ok(None) };
    let marked = if reads { hold(tgid, &inode, &hit, source) } else { marks(tgid) };
    let flags = R::get(file, off!(file__f_flags)).unwrap_or(0);
    let told = Told { kind: Kind::Open, source, how: backing(mode), flags };
    emit(place_of::<R>(file)?, &inode, &hit, marked, told);
    Ok(Some(hit.rule))
}

/// Whether an inode is of `/proc`.
#[inline(always)]
fn is_of_proc<R: Read>(inode: u64) -> Result<bool, Unreadable> {
    let block = R::get::<u64>(inode, off!(inode__i_sb))?;
    Ok(R::get::<u64>(block, off!(super_block__s_magic))? == PROC_SUPER_MAGIC)
}

/// The bit of a file that a stacked file system opened for itself, on top of which another was opened by the process.
#[inline(always)]
pub fn backing(mode: u32) -> u32 {
    if mode & FMODE_NOACCOUNT != 0 { HOW_BACKING } else { 0 }
}

/// The current process has a credential from now on: its connections are of interest, and its reading of that file. Gives
/// its marks.
#[inline(always)]
pub fn hold(tgid: u32, inode: &Inode, hit: &Hit, source: Source) -> u32 {
    let marked = match add_marks(tgid, started(), MARK_HOLDS) {
        Ok(marked) => marked,
        Err(_) => {
            fault(source, Fault::MarkFull);
            marks(tgid)
        }
    };
    let generation = field(inode.at, off!(inode__i_generation)).unwrap_or(0);
    let key = InodeKey { ino: inode.ino, dev: inode.dev, generation };
    // An LRU: what it pushes out is read without that being told, and opened as before. To ask is cheaper than to write.
    // SAFETY: a number, copied at once.
    if unsafe { KNOWN.get(key) }.copied() != Some(hit.rule) {
        // First: who finds it known does not do this again, and may read it at once.
        sieve::found(inode.ino);
        let _ = KNOWN.insert(key, hit.rule, 0);
    }
    marked
}

/// What a sample with a file's body tells, and by whom it was seen.
#[derive(Clone, Copy)]
pub struct Told {
    pub kind: Kind,
    pub source: Source,
    pub how: u32,
    /// Those of the file, and others.
    pub flags: u32,
}

const TAIL: usize = size_of::<Sample<Open>>();
const _: () = {
    let lanes = [Kind::Open.lane(), Kind::Receive.lane(), Kind::Unix.lane()];
    assert!(matches!(lanes, [Lane::Vital, Lane::Vital, Lane::Vital]), "one lane");
};
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

/// Emits a sample with a file's body: of the file at a place, which is (directory entry, mount), by a process with
/// these marks.
#[inline(always)]
pub fn emit(place: (u64, u64), inode: &Inode, hit: &Hit, marked: u32, tell: Told) {
    let Told { kind, source, how, flags } = tell;
    let marked = u64::from(marked as u8) << 56;
    let matched = u64::from(hit.matched as u8) << 32;
    let who = u64::from(kind as u8) << 40 | u64::from(source as u8) << 48;
    let rule = u64::from(hit.rule) | u64::from(how) << 32;
    spoor_emit_file(place.0, place.1, inode.at, rule, u64::from(flags) | matched | who | marked);
}

/// The same, taken apart into five numbers, which is what such a function may take. `rule` is the rule and, above it, how;
/// `told` is flags, then a byte each of how the rule was met, kind, source and marks.
///
/// The answer is of no use; verifiers demand that there is one.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn spoor_emit_file(dentry: u64, vfsmount: u64, at: u64, rule: u64, told: u64) -> u64 {
    // SAFETY: `emit` made it of a kind.
    let kind = unsafe { core::mem::transmute::<u8, Kind>((told >> 40) as u8) };
    // SAFETY: `emit` made it of a source.
    let source = unsafe { core::mem::transmute::<u8, Source>((told >> 48) as u8) };
    let Ok(file) = matcher::told(at) else {
        fault(source, Fault::File);
        return 0;
    };
    let hit = Hit { rule: rule as u32, matched: u32::from((told >> 32) as u8) };
    submit(
        (dentry, vfsmount),
        &file,
        &hit,
        u32::from((told >> 56) as u8),
        Told { kind, source, how: (rule >> 32) as u32, flags: told as u32 },
    );
    0
}

#[inline(always)]
fn submit(place: (u64, u64), file: &matcher::Told, hit: &Hit, marked: u32, tell: Told) {
    let Told { kind, source, how, flags } = tell;
    let inode = &file.inode;
    // Kinds with a file's body are of one lane. Which of them it is, and the marks, are written into the head afterwards, so
    // that no verifier walks all that follows once for each.
    let told = Head { kind: Kind::Open, source, marks: 0 };
    let seq = number(told.kind);
    let (ring, limit) = ring(told.kind.lane());
    let generation = field::<u32>(inode.at, off!(inode__i_generation)).unwrap_or(0);
    let filled = filled(ring);
    let which = u64::from(inode.dev) | u64::from(generation) << 32;
    let touch = touch((kind, flags & ACCESS), inode.ino, which, filled);
    // The kinds of a file's body have one share.
    let adding = Adding { touch, ..Adding::of(Kind::Open, size_of::<Room>() as u32) };
    if !may_add(filled, limit, adding) {
        return refused(kind, touch == Touch::Again);
    }
    let Some(mut entry) = ring.reserve::<Room>(0) else {
        return dropped(kind);
    };
    let room = entry.as_mut_ptr();
    // SAFETY: the reservation starts with a whole sample; each part is written before it is submitted.
    unsafe { head(&raw mut (*room).sample.header, told, seq, 0) };
    // SAFETY: as above.
    let header = unsafe { &mut (*room).sample.header };
    header.kind = kind as u8;
    header.marks = marked;
    task::fill(&mut header.task, bpf_get_current_pid_tgid(), source);
    // SAFETY: as above; every field is written, as soon as it is read, as in `fill`.
    let body = unsafe { &mut (*room).sample.body };
    (body.ino, body.dev, body.rule, body.matched) = (inode.ino, inode.dev, hit.rule, hit.matched);
    (body.flags, body.how, body.pad) = (flags, how, 0);
    body.generation = generation;
    (body.mode, body.owner, body.links) = (file.mode.into(), file.owner, file.links);
    // The path last: verifiers walk what comes behind a loop once for each way out of it.
    // SAFETY: the reservation has `MASK + 257` bytes.
    let mut names = unsafe { Out::<MASK>::new(room.cast(), &raw mut (*room).at, TAIL as u32, ROOM) };
    path_of(&mut names, place.0, place.1);
    let end = names.end();
    body.path = Span { offset: TAIL as u32, len: (end - TAIL as u32) as u16, flags: names.flags };
    // SAFETY: a field of the sample, which is written.
    unsafe { (*room).sample.header.len = end };
    entry.submit(wake_flags(ring, limit, Wake::Now));
    if names.flags != 0 {
        fault(source, Fault::PathDepth);
    }
}
