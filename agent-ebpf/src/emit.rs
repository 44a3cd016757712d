//! The only writer of the rings: number the sample, ask for room, fill it in, submit it; or count the refusal.
//!
//! The clock is read when there is room, and not before (`head`): so the reader knows that what happened before a time has
//! its place in a ring by then (docs/adr/0040).

use aya_ebpf::bindings::{BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::helpers::generated::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns, bpf_ringbuf_query};
use aya_ebpf::maps::RingBuf;
use spoor_wire::header::WIRE_VERSION;
use spoor_wire::{Header, Kind, Lane, Source};

use crate::count::{dropped, number, refused};
use crate::maps::{RING_BULK, RING_VITAL, WOKEN};
use crate::share::{self, Adding, Filled, Touch};
use crate::task;

/// A sample of fixed size.
#[repr(C)]
pub struct Sample<B> {
    pub header: Header,
    pub body: B,
}

/// When the reader is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// At once, unless it was told of something that it has not read yet: then it comes anyhow.
    Now,
    /// When it looks next, unless the ring has filled up to a quarter: waking somebody costs the traced task more than
    /// all the rest of a probe.
    Later,
}

/// Bytes waiting in a ring beyond which the reader is woken after all.
const VITAL_WAKE_BYTES: u64 = 512 << 10;
const BULK_WAKE_BYTES: u64 = 512 << 10;
/// `BPF_RB_AVAIL_DATA`, `BPF_RB_CONS_POS`, `BPF_RB_PROD_POS`
const AVAILABLE: u64 = 0;
const READ: u64 = 2;
const BEGUN: u64 = 3;

/// Of a ring, what is asked when its reader may be woken.
#[derive(Clone, Copy)]
pub struct Waking {
    /// So many waiting bytes wake it in any case.
    limit: u64,
    /// Which ring: where in [`WOKEN`], and of which a share is.
    place: u32,
}

/// Nanoseconds of `CLOCK_BOOTTIME`.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// What a header says beside who acted.
#[derive(Clone, Copy)]
pub struct Head {
    pub kind: Kind,
    pub source: Source,
    pub marks: u32,
}

/// Fills in all of a header but the task.
///
/// # Safety
/// `to` must be good for a header.
#[inline(always)]
pub unsafe fn head(to: *mut Header, head: Head, seq: u64, len: u32) {
    // SAFETY: the caller's promise; every field of it is written, and none is read before.
    let to = unsafe { &mut *to };
    to.time_ns = now();
    to.seq = seq;
    to.len = len;
    // SAFETY: no arguments.
    to.cpu = unsafe { bpf_get_smp_processor_id() };
    to.version = WIRE_VERSION;
    to.kind = head.kind as u8;
    to.lane = head.kind.lane() as u8;
    to.source = head.source as u8;
    to.marks = head.marks;
}

/// The ring of a lane, and when its reader is woken.
#[inline(always)]
pub fn ring(lane: Lane) -> (&'static RingBuf, Waking) {
    #[cfg(feature = "without-lanes")]
    let (_, lane) = (lane, Lane::Vital);
    match lane {
        Lane::Vital => (&RING_VITAL, Waking { limit: VITAL_WAKE_BYTES, place: 0 }),
        Lane::Bulk | Lane::Softirq => (&RING_BULK, Waking { limit: BULK_WAKE_BYTES, place: 1 }),
    }
}

/// How far a ring is read, and begun.
#[inline(always)]
pub fn filled(ring: &RingBuf) -> Filled {
    Filled { read: ask(ring, READ), begun: ask(ring, BEGUN) }
}

/// Whether somebody may still add a sample to a ring that is filled so far, however full that is: his share may be used up.
#[inline(always)]
pub fn may_add(filled: Filled, waking: Waking, adding: Adding) -> bool {
    share::may(adding, waking.place, filled)
}

#[inline(always)]
fn ask(ring: &RingBuf, what: u64) -> u64 {
    // SAFETY: a ring buffer map and a known query.
    unsafe { bpf_ringbuf_query(core::ptr::from_ref(ring).cast_mut().cast(), what) }
}

/// Flags of a submission, when there is room for it already: whoever was woken and has not read as far as the ring was filled
/// then, will find this sample, or see that it was begun and look again (`ring.rs` of the agent).
#[inline(always)]
pub fn wake_flags(ring: &RingBuf, waking: Waking, wake: Wake) -> u64 {
    #[cfg(feature = "without-batching")]
    return u64::from(BPF_RB_FORCE_WAKEUP);
    let ask = |what| ask(ring, what);
    if wake == Wake::Later && ask(AVAILABLE) <= waking.limit {
        return u64::from(BPF_RB_NO_WAKEUP);
    }
    if let Some(woken) = WOKEN.get_ptr_mut(waking.place) {
        // SAFETY: one word of a map; of two CPUs at once either is right.
        if unsafe { woken.read_volatile() } > ask(READ) {
            return u64::from(BPF_RB_NO_WAKEUP);
        }
        // SAFETY: as above.
        unsafe { woken.write_volatile(ask(BEGUN)) };
    }
    u64::from(BPF_RB_FORCE_WAKEUP)
}

/// Emits a sample of fixed size by the current task. Whether there was room for it.
#[inline(always)]
pub fn by_current<B: Copy + 'static>(told: Head, wake: Wake, body: B) -> bool {
    if_there_is_room(told, (wake, Touch::Any), body)
}

/// The same of what others may tell as well.
#[inline(always)]
pub fn if_there_is_room<B: Copy + 'static>(told: Head, (wake, touch): (Wake, Touch), body: B) -> bool {
    let seq = number(told.kind);
    let (ring, limit) = ring(told.kind.lane());
    let adding = Adding { touch, ..Adding::of(told.kind, size_of::<Sample<B>>() as u32) };
    if !may_add(filled(ring), limit, adding) {
        refused(told.kind, touch == Touch::Again);
        return false;
    }
    let Some(mut entry) = ring.reserve::<Sample<B>>(0) else {
        dropped(told.kind);
        return false;
    };
    let sample = entry.as_mut_ptr();
    // SAFETY: the reservation is a whole sample; each part is written before it is submitted.
    unsafe { head(&raw mut (*sample).header, told, seq, size_of::<Sample<B>>() as u32) };
    // SAFETY: as above; `fill` writes every field and reads none.
    task::fill(unsafe { &mut (*sample).header.task }, bpf_get_current_pid_tgid(), told.source);
    // SAFETY: as above.
    unsafe { (&raw mut (*sample).body).write(body) };
    entry.submit(wake_flags(ring, limit, wake));
    true
}

/// Emits a sample of fixed size about a process that may not be the current task: only who it is, is known.
#[inline(always)]
pub fn about<B: Copy + 'static>(told: Head, process: (u32, u64), wake: Wake, body: B) {
    let seq = number(told.kind);
    let (ring, limit) = ring(told.kind.lane());
    let adding = Adding { process: Some(process), ..Adding::of(told.kind, size_of::<Sample<B>>() as u32) };
    if !may_add(filled(ring), limit, adding) {
        return dropped(told.kind);
    }
    let Some(mut entry) = ring.reserve::<Sample<B>>(0) else {
        return dropped(told.kind);
    };
    let sample = entry.as_mut_ptr();
    // SAFETY: the reservation is a whole sample; each part is written before it is submitted.
    unsafe { head(&raw mut (*sample).header, told, seq, size_of::<Sample<B>>() as u32) };
    // SAFETY: as above.
    task::fill_key(unsafe { &raw mut (*sample).header.task }, process.0, process.1);
    // SAFETY: as above.
    unsafe { (&raw mut (*sample).body).write(body) };
    entry.submit(wake_flags(ring, limit, wake));
}
