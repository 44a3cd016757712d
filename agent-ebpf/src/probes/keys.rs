//! A key of the kernel's key rings is found, read, or put there.
//!
//! Kernel contract: the entry points of the calls, `long __x64_sys_keyctl(const struct pt_regs *regs)`, its two siblings
//! and those of 32-bit programs, at their return; in the tracepoint tier `trace_sys_exit(struct pt_regs *regs, long ret)`.
//! `security_key_permission` would be nearer, and is not used: it is asked before the outcome, also by whoever wants to know
//! a payload's length only, and does not tell a key that is made. The call tells the key's number; the key is found by it,
//! from any key of the process (ADR 13). Its payload is not looked at.

use core::mem::MaybeUninit;

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::{btf_tracepoint, fexit, kprobe, kretprobe};
use aya_ebpf::programs::{BtfTracePointContext, FExitContext, ProbeContext, RetProbeContext};
use spoor_wire::body::{
    KEY_ADD, KEY_DESCRIPTION_MAX, KEY_FIND, KEY_READ, KEY_TYPE_MAX, KEY_UPDATE, SPAN_TRUNCATED,
    SPAN_UNREADABLE,
};
use spoor_wire::control::{MARK_CANARY, MARK_HOLDS, MARK_TICK_NS};
use spoor_wire::rule::{HASH_START, KEY_TYPE, NAME_HASHED, NAME_WORDS, NameKey, hash_name};
use spoor_wire::{Fault, Key, Kind, Source, Span};

use super::returns::{begins, ends};
use crate::again::Twins;
use crate::count::{dropped, fault, number, refused};
use crate::emit::{Head, Sample, Wake, filled, head, may_add, ring, wake_flags};
use crate::gate::{add_marks, marks, muted, watched};
use crate::maps::{ENTRIES, READS, RULE_NAME, Reading};
use crate::read::{Unreadable, clear, field, kernel_str, masked, off, some};
use crate::share::{Adding, Touch};
use crate::syscall::{Syscall, syscall};
use crate::task::{self, started};
use crate::touch::touch;

/// Numbers of the calls, as 64-bit programs make them.
const ADD_KEY: u32 = 248;
const REQUEST_KEY: u32 = 249;
const KEYCTL: u32 = 250;
/// From these to those of 32-bit programs.
const COMPAT: u32 = 38;
/// `KEYCTL_UPDATE` and its like.
const UPDATE: u32 = 2;
const SEARCH: u32 = 10;
const READ: u32 = 11;
const INSTANTIATE: u32 = 12;
const INSTANTIATE_IOV: u32 = 20;
/// Nodes from one key to another, by way of the tree's root: what a million keys need, each way.
const HEIGHT_MAX: u32 = 42;
/// User namespaces within one another that are looked at for a key ring; the kernel allows 32.
const NAMESPACES_MAX: u32 = 33;
/// Stands for the device of what has none.
const NO_DEVICE: u32 = u32::MAX;
/// The rule of the canary's own key.
const CANARY_RULE: u32 = u32::MAX;

const fn of_64(number: u32) -> Syscall {
    Syscall { number, compat: false, array: 0 }
}

/// By the number that 64-bit programs call it with.
const fn of_32(number: u32) -> Syscall {
    Syscall { number, compat: true, array: 0 }
}

begins! {
    kprobe_keyctl of "__x64_sys_keyctl";
    kprobe_add_key of "__x64_sys_add_key";
    kprobe_request_key of "__x64_sys_request_key";
    kprobe_keyctl32 of "__ia32_compat_sys_keyctl";
    kprobe_add_key32 of "__ia32_sys_add_key";
    kprobe_request_key32 of "__ia32_sys_request_key";
}

ends! { returned;
    fexit_keyctl (fexit_keyctl_again by Twins::Keyctl): fexit of "__x64_sys_keyctl", of_64(KEYCTL), Source::FexitKey;
    fexit_add_key (fexit_add_key_again by Twins::AddKey): fexit of "__x64_sys_add_key", of_64(ADD_KEY), Source::FexitKey;
    fexit_request_key (fexit_request_key_again by Twins::RequestKey): fexit of "__x64_sys_request_key", of_64(REQUEST_KEY), Source::FexitKey;
    fexit_keyctl32 (fexit_keyctl32_again by Twins::Keyctl32): fexit of "__ia32_compat_sys_keyctl", of_32(KEYCTL), Source::FexitKey;
    fexit_add_key32 (fexit_add_key32_again by Twins::AddKey32): fexit of "__ia32_sys_add_key", of_32(ADD_KEY), Source::FexitKey;
    fexit_request_key32 (fexit_request_key32_again by Twins::RequestKey32): fexit of "__ia32_sys_request_key", of_32(REQUEST_KEY), Source::FexitKey;
    kretprobe_keyctl: kretprobe of "__x64_sys_keyctl", of_64(KEYCTL), Source::KretprobeKey;
    kretprobe_add_key: kretprobe of "__x64_sys_add_key", of_64(ADD_KEY), Source::KretprobeKey;
    kretprobe_request_key: kretprobe of "__x64_sys_request_key", of_64(REQUEST_KEY), Source::KretprobeKey;
    kretprobe_keyctl32: kretprobe of "__ia32_compat_sys_keyctl", of_32(KEYCTL), Source::KretprobeKey;
    kretprobe_add_key32: kretprobe of "__ia32_sys_add_key", of_32(ADD_KEY), Source::KretprobeKey;
    kretprobe_request_key32: kretprobe of "__ia32_sys_request_key", of_32(REQUEST_KEY), Source::KretprobeKey;
}

/// `tp_btf/sys_exit`, of the three calls.
#[btf_tracepoint(function = "sys_exit")]
pub fn tp_key(ctx: BtfTracePointContext) -> i32 {
    let (regs, ret) = (ctx.arg::<u64>(0), ctx.arg::<i64>(1));
    if let Some(mut call) = syscall(regs) {
        if call.compat {
            call.number -= COMPAT;
        }
        returned(regs, ret, call, Source::TpKey);
    }
    0
}

#[inline(always)]
fn returned(regs: u64, ret: i64, call: Syscall, source: Source) {
    if ret < 0 || muted("keyctl") {
        return;
    }
    if try_returned(regs, ret, call, source).is_err() {
        fault(source, Fault::Key);
    }
}

#[inline(always)]
fn try_returned(regs: u64, ret: i64, call: Syscall, source: Source) -> Result<(), Unreadable> {
    let (serial, how) = match call.number {
        ADD_KEY => (ret.cast_unsigned() as u32, KEY_ADD),
        REQUEST_KEY => (ret.cast_unsigned() as u32, KEY_FIND),
        _ => called(regs, ret, call)?,
    };
    // What is not positive names a key ring of the process.
    if how == 0 || serial.cast_signed() <= 0 {
        return Ok(());
    }
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let task = task::current();
    if !watched(tgid) {
        return Ok(());
    }
    let key = key_of(task, serial)?;
    let marked = marks(tgid);
    let Some(rule) = rule(key, marked)? else { return Ok(()) };
    let once = how == KEY_READ;
    if once && is_told(tgid, serial) {
        return Ok(());
    }
    if add_marks(tgid, started(), MARK_HOLDS).is_err() {
        fault(source, Fault::MarkFull);
    }
    if !emit(key, (serial, how, rule), marked, source) && once {
        // The next one is told, if there is room then.
        let _ = READS.remove(reading(tgid, serial));
    }
    Ok(())
}

/// What a `keyctl` did with which key; 0 where it is nothing that is told.
#[inline(always)]
fn called(regs: u64, ret: i64, call: Syscall) -> Result<(u32, u32), Unreadable> {
    let named = call.argument(regs, 1)? as u32;
    Ok(match call.argument(regs, 0)? as u32 {
        SEARCH => (ret.cast_unsigned() as u32, KEY_FIND),
        UPDATE => (named, KEY_UPDATE),
        INSTANTIATE | INSTANTIATE_IOV => (named, KEY_ADD),
        READ => {
            let (buffer, room) = (call.argument(regs, 2)?, call.argument(regs, 3)?);
            // Of a payload for which there is no room, only the length is told.
            if ret > 0 && buffer != 0 && ret.cast_unsigned() <= room { (named, KEY_READ) } else { (0, 0) }
        }
        _ => (0, 0),
    })
}

/// Whether this process has been told to have read that key.
#[inline(always)]
fn is_told(tgid: u32, serial: u32) -> bool {
    let reading = reading(tgid, serial);
    // SAFETY: a number, and only whether it is there.
    #[cfg(not(feature = "without-told-once"))]
    if unsafe { READS.get(reading) }.is_some() {
        return true;
    }
    let _ = READS.insert(reading, 1u32, 0);
    false
}

/// That the current process reads a key.
#[inline(always)]
fn reading(tgid: u32, serial: u32) -> Reading {
    let tick = (started() / MARK_TICK_NS) as u32;
    Reading { ino: serial.into(), dev: NO_DEVICE, generation: 0, tgid, tick, how: KEY_READ, pad: 0 }
}

/// The key of that number.
#[inline(always)]
fn key_of(task: u64, serial: u32) -> Result<u64, Unreadable> {
    some(spoor_key_of(task, u64::from(serial)))
}

/// The key of that number; 0 where it cannot be found.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn spoor_key_of(task: u64, serial: u64) -> u64 {
    sought(task, serial as u32).unwrap_or(0)
}

/// All keys are in one tree, sorted by number: up from one that is known to the root, and down.
#[inline(always)]
fn sought(task: u64, serial: u32) -> Result<u64, Unreadable> {
    let mut node = known(task)?.wrapping_add(u64::from(off!(key__serial_node)));
    for _ in 0..HEIGHT_MAX {
        // The lowest bits are the node's colour.
        let above = field::<u64>(node, off!(rb_node__parent_color))? & !3;
        if above == 0 {
            break;
        }
        node = above;
    }
    for _ in 0..HEIGHT_MAX {
        let key = node.wrapping_sub(u64::from(off!(key__serial_node)));
        let here = field::<u32>(key, off!(key__serial))?;
        if here == serial {
            return Ok(key);
        }
        let below = if serial.cast_signed() < here.cast_signed() {
            field::<u64>(node, off!(rb_node__rb_left))?
        } else {
            field::<u64>(node, off!(rb_node__rb_right))?
        };
        if below == 0 {
            break;
        }
        node = below;
    }
    // Gone already, or the tree was turned about on the way.
    Err(Unreadable)
}

/// Some key: the process's session key ring, else the register of users' key rings, which the agent sees to that the
/// first user namespace has.
#[inline(always)]
fn known(task: u64) -> Result<u64, Unreadable> {
    let cred = field::<u64>(task, off!(task__cred))?;
    let session = field::<u64>(cred, off!(cred__session_keyring))?;
    if session != 0 {
        return Ok(session);
    }
    let mut space = field::<u64>(cred, off!(cred__user_ns))?;
    for _ in 0..NAMESPACES_MAX {
        let register = field::<u64>(space, off!(user_namespace__user_keyring_register))?;
        if register != 0 {
            return Ok(register);
        }
        space = field(space, off!(user_namespace__parent))?;
    }
    Err(Unreadable)
}

/// The rule of the key's type, unless its name is excepted.
#[inline(always)]
fn rule(key: u64, marked: u32) -> Result<Option<u32>, Unreadable> {
    if marked & MARK_CANARY != 0 {
        return Ok(Some(CANARY_RULE));
    }
    let of_type = roll(HASH_START, field(field(key, off!(key__type))?, off!(key_type__name))?)?;
    // SAFETY: as in `matcher`.
    let rule = unsafe { RULE_NAME.get(NameKey { hash: of_type, depth: 1, anchored: KEY_TYPE }) }.copied();
    let Some(rule) = rule else { return Ok(None) };
    let hash = roll(of_type, field(key, off!(key__description))?)?;
    // SAFETY: as above.
    let excepted = unsafe { RULE_NAME.get(NameKey { hash, depth: 2, anchored: KEY_TYPE }) }.is_some();
    Ok((!excepted).then_some(rule))
}

#[inline(always)]
fn roll(hash: u64, from: u64) -> Result<u64, Unreadable> {
    some(spoor_roll_text(hash, from))
}

/// The hash of a text behind another's; 0 where it cannot be read.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn spoor_roll_text(hash: u64, from: u64) -> u64 {
    hashed(hash, from).unwrap_or(0)
}

/// Rolls the first bytes of a text into the hash: of a longer one no more, since only userspace's own names are compared.
#[inline(always)]
fn hashed(hash: u64, from: u64) -> Result<u64, Unreadable> {
    // In place, and not by value, as in `matcher`.
    let mut words = MaybeUninit::<[u64; NAME_WORDS]>::uninit();
    let bytes = words.as_mut_ptr().cast::<u8>();
    // SAFETY: the whole buffer.
    unsafe { clear::<NAME_WORDS>(bytes.cast()) };
    // SAFETY: as many bytes.
    let len = unsafe { kernel_str(bytes, NAME_HASHED as u32 + 1, from) }?;
    // SAFETY: all of it is written.
    Ok(hash_name(hash, unsafe { words.assume_init_ref() }, masked::<{ NAME_HASHED as u32 }>(len)))
}

const TAIL: u32 = size_of::<Sample<Key>>() as u32;

/// Both texts are read straight into the ring.
#[repr(C)]
struct Room {
    sample: Sample<Key>,
    kind: [u8; KEY_TYPE_MAX as usize],
    description: [u8; KEY_DESCRIPTION_MAX as usize],
}

/// Whether there was room.
#[inline(always)]
fn emit(key: u64, (serial, how, rule): (u32, u32, u32), marked: u32, source: Source) -> bool {
    let (of, by) = (u64::from(serial) | u64::from(how) << 32, u64::from(rule) | u64::from(marked) << 32);
    spoor_emit_key(key, of, by, source as u64) != 0
}

/// Emits the sample: `of` is number and how, `by` rule and marks, the second of each in the upper half. 0 where there was
/// no room.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn spoor_emit_key(key: u64, of: u64, by: u64, source: u64) -> u64 {
    // SAFETY: `emit` made it of a source.
    let source = unsafe { core::mem::transmute::<u8, Source>(source as u8) };
    submit(key, (of as u32, (of >> 32) as u32, by as u32), (by >> 32) as u32, source).into()
}

#[inline(always)]
fn submit(key: u64, (serial, how, rule): (u32, u32, u32), marked: u32, source: Source) -> bool {
    let told = Head { kind: Kind::Key, source, marks: marked };
    let seq = number(Kind::Key);
    let (ring, limit) = ring(Kind::Key.lane());
    let len = size_of::<Room>() as u32;
    let filled = filled(ring);
    let touch = touch((Kind::Key, how), serial.into(), 0, filled);
    if !may_add(filled, limit, Adding { touch, ..Adding::of(Kind::Key, len) }) {
        refused(Kind::Key, touch == Touch::Again);
        return false;
    }
    let Some(mut entry) = ring.reserve::<Room>(0) else {
        dropped(Kind::Key);
        return false;
    };
    let room = entry.as_mut_ptr();
    let type_at = field::<u64>(key, off!(key__type)).unwrap_or(0);
    let type_name = field::<u64>(type_at, off!(key_type__name)).unwrap_or(0);
    let name = field::<u64>(key, off!(key__description)).unwrap_or(0);
    // SAFETY: a place in the reservation; nothing is read.
    let to = unsafe { &raw mut (*room).kind }.cast::<u8>();
    // SAFETY: so many bytes.
    let (kind_len, kind_flags) = unsafe { text::<KEY_TYPE_MAX>(to, type_name) };
    // SAFETY: as above.
    let to = unsafe { &raw mut (*room).description }.cast::<u8>();
    // SAFETY: as above.
    let (len, flags) = unsafe { text::<KEY_DESCRIPTION_MAX>(to, name) };
    let len = masked::<{ KEY_DESCRIPTION_MAX - 1 }>(len);
    // SAFETY: the reservation starts with a whole sample; each part is written before it is submitted.
    unsafe { head(&raw mut (*room).sample.header, told, seq, TAIL + KEY_TYPE_MAX + len) };
    // SAFETY: as above; `fill` writes every field and reads none.
    task::fill(unsafe { &mut (*room).sample.header.task }, bpf_get_current_pid_tgid(), source);
    // SAFETY: as above.
    let body = unsafe { &mut (*room).sample.body };
    body.serial = serial;
    body.owner = field(key, off!(key__uid)).unwrap_or(u32::MAX);
    body.rule = rule;
    body.how = how;
    body.kind = Span { offset: TAIL, len: kind_len as u16, flags: kind_flags };
    body.description = Span { offset: TAIL + KEY_TYPE_MAX, len: len as u16, flags };
    entry.submit(wake_flags(ring, limit, Wake::Now));
    true
}

/// Copies a text; gives its length and what is wrong with it.
///
/// # Safety
/// `to` must be good for `MAX` bytes, by bounds that the verifier can follow.
#[inline(always)]
unsafe fn text<const MAX: u32>(to: *mut u8, from: u64) -> (u32, u16) {
    // SAFETY: the caller's promise.
    match unsafe { kernel_str(to, MAX, from) } {
        Ok(len) if len == MAX - 1 => (len, SPAN_TRUNCATED),
        Ok(len) => (len, 0),
        Err(Unreadable) => (0, SPAN_UNREADABLE),
    }
}
