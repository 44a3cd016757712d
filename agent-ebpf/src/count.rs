//! The kernel's side of the account: samples numbered, samples refused, failures.

use spoor_wire::{Fault, Kind, Source};

use crate::maps::{DROPPED, FAULTS, PRODUCED};
use crate::read::masked;

/// Counts a failure.
#[inline(always)]
pub fn fault(source: Source, fault: Fault) {
    if let Some(sources) = FAULTS.get_ptr_mut(fault as u32) {
        one_of(sources, masked::<{ Source::SLOTS - 1 }>(source as u32));
    }
}

/// Adds one to a place of a value that has as many as the mask lets through. The addition is atomic although the value is the
/// CPU's own: an LSM program on a preemptible kernel may be interrupted by itself.
#[inline(always)]
fn one_of<const PLACES: usize>(value: *mut [u64; PLACES], place: u32) {
    // SAFETY: a map value, and the place is masked to what it has.
    add(unsafe { value.cast::<u64>().add(place as usize) });
}

/// Adds one to a counter in a map: one atomic addition without its result, which is what kernels before 5.12 can do.
#[inline(always)]
pub fn add(slot: *mut u64) {
    // SAFETY: a map value, aligned, and alive as long as the program runs.
    unsafe {
        core::arch::asm!("lock *(u64 *)({slot} + 0) += {one}", slot = in(reg) slot, one = in(reg) 1u64);
    }
}

/// The next number in the lane of a kind.
#[inline(always)]
pub fn number(kind: Kind) -> u64 {
    let Some(slot) = PRODUCED.get_ptr_mut(kind.lane() as u32) else { return 0 };
    // SAFETY: the slot is a map value, aligned, and alive as long as the program runs.
    let before = unsafe { slot.read_volatile() };
    add(slot);
    before
}

/// Counts a refused sample.
#[inline(always)]
pub fn dropped(kind: Kind) {
    refused(kind, false);
}

/// The same of one that may be told already, by another that waits to be read.
#[inline(always)]
pub fn refused(kind: Kind, repeated: bool) {
    if let Some(kinds) = DROPPED.get_ptr_mut(0) {
        let place = kind as u32 + if repeated { Kind::SLOTS } else { 0 };
        one_of(kinds, masked::<{ 2 * Kind::SLOTS - 1 }>(place));
    }
}
