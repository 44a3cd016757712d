//! An open credential is read, or mapped into memory: told the first time a process does it.
//!
//! Kernel contract: `security_file_permission(struct file *file, int mask)`, asked by everything that copies bytes out of a
//! file (the family of `read`, `sendfile`, `splice`, `copy_file_range`, asynchronous reads, io_uring), each time; and
//! `security_mmap_file(struct file *file, unsigned long prot, unsigned long flags)`, whose file may be null. Hot as nothing
//! else is, so the first question is whether the file was ever found to be a credential, where that is known by two loads, and
//! the second whether the process holds one at all. Tracepoint: the return of the calls.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::{btf_tracepoint, fentry, kprobe, lsm};
use aya_ebpf::programs::{BtfTracePointContext, FEntryContext, LsmContext, ProbeContext};
use spoor_wire::body::{MATCH_INODE, READ_CALL, READ_MAP};
use spoor_wire::control::{MARK_HOLDS, MARK_TICK_NS};
use spoor_wire::rule::InodeKey;
use spoor_wire::{Fault, Kind, Open, Source};

use super::open::backing;
use crate::again::{Twins, twins};
use crate::count::{dropped, fault, number};
use crate::emit::{Head, Sample, Wake, filled, head, may_add, ring, wake_flags};
use crate::file::is_regular;
use crate::gate::{marks_of_number, muted, watched};
use crate::maps::{KNOWN, READS, Reading};
use crate::matcher;
use crate::read::{Guarded, Plain, Read, Unreadable, clear, field, off, user};
use crate::share::Adding;
use crate::sieve;
use crate::syscall::{Syscall, file_of, syscall};
use crate::task::{self, started};

/// `mmap` of 32-bit programs, before `mmap2`.
const OLD_MMAP: u32 = 90;
/// `MAY_READ`
const MAY_READ: u64 = 4;

/// `lsm/file_permission(struct file *file, int mask)`
#[lsm(hook = "file_permission")]
pub fn lsm_read(ctx: LsmContext) -> i32 {
    if ctx.arg::<u64>(1) & MAY_READ != 0 {
        read::<Plain>(ctx.arg::<u64>(0), READ_CALL, Source::LsmRead);
    }
    // Observe only: what earlier programs decided stands.
    ctx.arg::<i32>(2)
}

twins! {
    /// `fentry/security_file_permission`
    fentry of "security_file_permission": fentry_read, fentry_read_again by Twins::Read;
    |ctx: FEntryContext| {
        if ctx.arg::<u64>(1) & MAY_READ != 0 {
            read::<Plain>(ctx.arg::<u64>(0), READ_CALL, Source::FentryRead);
        }
    }
}

/// `kprobe/security_file_permission`
#[kprobe(function = "security_file_permission")]
pub fn kprobe_read(ctx: ProbeContext) -> u32 {
    if let (Some(file), Some(mask)) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1))
        && mask & MAY_READ != 0
    {
        read::<Guarded>(file, READ_CALL, Source::KprobeRead);
    }
    0
}

/// `lsm/mmap_file(struct file *file, unsigned long reqprot, unsigned long prot, unsigned long flags)`
#[lsm(hook = "mmap_file")]
pub fn lsm_map(ctx: LsmContext) -> i32 {
    read::<Plain>(ctx.arg::<u64>(0), READ_MAP, Source::LsmMap);
    // Observe only: what earlier programs decided stands.
    ctx.arg::<i32>(4)
}

twins! {
    /// `fentry/security_mmap_file`
    fentry of "security_mmap_file": fentry_map, fentry_map_again by Twins::Map;
    |ctx: FEntryContext| {
        read::<Plain>(ctx.arg::<u64>(0), READ_MAP, Source::FentryMap);
    }
}

/// `kprobe/security_mmap_file`
#[kprobe(function = "security_mmap_file")]
pub fn kprobe_map(ctx: ProbeContext) -> u32 {
    if let Some(file) = ctx.arg::<u64>(0) {
        read::<Guarded>(file, READ_MAP, Source::KprobeMap);
    }
    0
}

/// `tp_btf/sys_exit`, of the calls that read
#[btf_tracepoint(function = "sys_exit")]
pub fn tp_read(ctx: BtfTracePointContext) -> i32 {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    // Before anything else: of most processes that is all.
    if marks_of_number(tgid).is_none_or(|(_, flags)| flags & MARK_HOLDS == 0) {
        return 0;
    }
    let (regs, ret) = (ctx.arg::<u64>(0), ctx.arg::<i64>(1));
    let Some(call) = syscall(regs) else { return 0 };
    let (place, how) = descriptor(call);
    // It failed, or nothing was read: the file is at its end. (No map begins at 0.)
    if ret <= 0 {
        return 0;
    }
    let argument = call.argument(regs, place);
    let named = match argument {
        // The oldest call to map has its arguments in a table: the descriptor is the fifth.
        Ok(table) if call.compat && call.number == OLD_MMAP => {
            user::<u32>(table.wrapping_add(16)).map(u64::from)
        }
        other => other,
    };
    let Ok(descriptor) = named else { return 0 };
    match file_of(descriptor & 0xffff_ffff) {
        // Mapped is also what is no file, and closed what was read.
        Ok(0) | Err(Unreadable) => {}
        Ok(file) => read::<Guarded>(file, how, Source::TpRead),
    }
    0
}

/// Which argument of a call is the descriptor, and how it reads.
#[inline(always)]
fn descriptor(call: Syscall) -> (u32, u32) {
    let Syscall { number, compat, .. } = call;
    if compat {
        return match number {
            OLD_MMAP => (0, READ_MAP),
            192 => (4, READ_MAP),
            187 | 239 => (1, READ_CALL),
            _ => (0, READ_CALL),
        };
    }
    match number {
        9 => (4, READ_MAP),
        40 => (1, READ_CALL),
        _ => (0, READ_CALL),
    }
}

#[inline(always)]
fn read<R: Read>(file: u64, how: u32, source: Source) {
    if file == 0 || (R::IS_PLAIN && !sieve::may_be_found(file)) || muted("file_permission") {
        return;
    }
    if try_read::<R>(file, how, source).is_err() {
        fault(source, Fault::File);
    }
}

#[inline(always)]
fn try_read<R: Read>(file: u64, how: u32, source: Source) -> Result<(), Unreadable> {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let Some((since_ns, flags)) = marks_of_number(tgid) else { return Ok(()) };
    if flags & MARK_HOLDS == 0 {
        return Ok(());
    }
    let at = R::get::<u64>(file, off!(file__f_inode))?;
    if !is_regular::<R>(at)? {
        return Ok(());
    }
    let inode = matcher::inode::<R>(at)?;
    let generation = R::get(at, off!(inode__i_generation))?;
    let key = InodeKey { ino: inode.ino, dev: inode.dev, generation };
    // Userspace, which tells of what was open before, does not know the generation.
    let any = InodeKey { generation: 0, ..key };
    // SAFETY: numbers, copied at once.
    let Some(rule) = unsafe { KNOWN.get(key).or_else(|| KNOWN.get(any)) }.copied() else { return Ok(()) };
    // The mark may be that of who had the number before.
    let tick = started() / MARK_TICK_NS;
    if since_ns / MARK_TICK_NS != tick || !watched(tgid) {
        return Ok(());
    }
    let tick = tick as u32;
    let reading = Reading { ino: inode.ino, dev: inode.dev, generation, tgid, tick, how, pad: 0 };
    // SAFETY: a number, and only whether it is there.
    #[cfg(not(feature = "without-told-once"))]
    if unsafe { READS.get(reading) }.is_some() {
        return Ok(());
    }
    let _ = READS.insert(reading, 1u32, 0);
    let mode = R::get::<u32>(file, off!(file__f_mode))?;
    if !emit((R::number(file), inode.at, mode), reading, rule, flags, source) {
        // The next one is told, if there is room then.
        let _ = READS.remove(reading);
    }
    Ok(())
}

/// Whether there was room. No path: userspace knows the file from its opening. Walking it would be most of what these programs
/// do.
#[inline(always)]
fn emit((file, at, mode): (u64, u64, u32), reading: Reading, rule: u32, marks: u32, source: Source) -> bool {
    let told = Head { kind: Kind::Read, source, marks };
    let seq = number(Kind::Read);
    let (ring, limit) = ring(Kind::Read.lane());
    let len = size_of::<Sample<Open>>() as u32;
    let filled = filled(ring);
    let adding = Adding { touch: filled.first(), ..Adding::of(Kind::Read, len) };
    let room = if may_add(filled, limit, adding) { ring.reserve::<Sample<Open>>(0) } else { None };
    let Some(mut entry) = room else {
        dropped(Kind::Read);
        return false;
    };
    let sample = entry.as_mut_ptr();
    // SAFETY: the reservation is a whole sample; each part is written before it is submitted.
    unsafe { head(&raw mut (*sample).header, told, seq, size_of::<Sample<Open>>() as u32) };
    // SAFETY: as above; `fill` writes every field and reads none.
    task::fill(unsafe { &mut (*sample).header.task }, bpf_get_current_pid_tgid(), source);
    // SAFETY: as above. Field by field: of a copy the compiler makes a call.
    let body = unsafe { &mut (*sample).body };
    body.ino = reading.ino;
    body.dev = reading.dev;
    body.generation = reading.generation;
    body.rule = rule;
    body.matched = MATCH_INODE;
    body.flags = field(file, off!(file__f_flags)).unwrap_or(0);
    body.mode = field::<u16>(at, off!(inode__i_mode)).unwrap_or(0).into();
    body.owner = field(at, off!(inode__i_uid)).unwrap_or(u32::MAX);
    body.links = field(at, off!(inode__i_nlink)).unwrap_or(0);
    body.how = reading.how | backing(mode);
    body.pad = 0;
    // SAFETY: a span is one word.
    unsafe { clear::<1>((&raw mut body.path).cast()) };
    entry.submit(wake_flags(ring, limit, Wake::Now));
    true
}
