//! The kernel's side of the account: samples numbered, samples refused, failures.

use aya_ebpf::maps::PerCpuArray;
use spoor_wire::{Fault, Kind, Source};

use crate::maps::{DROPPED, FAULTS, PRODUCED};

/// Counts a failure.
#[inline(always)]
pub fn fault(source: Source, fault: Fault) {
    bump(&FAULTS, source as u32 * Fault::SLOTS + fault as u32);
}

/// Adds one to a slot of a per-CPU table and gives what was there. The addition is atomic although the slot is the
/// CPU's own: an LSM program on a preemptible kernel may be interrupted by itself.
#[inline(always)]
fn bump(table: &PerCpuArray<u64>, index: u32) -> u64 {
    let Some(slot) = table.get_ptr_mut(index) else { return 0 };
    // SAFETY: the slot is a map value, aligned, and alive as long as the program runs.
    let before = unsafe { slot.read_volatile() };
    add(slot);
    before
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
    bump(&PRODUCED, kind.lane() as u32)
}

/// Counts a refused sample.
#[inline(always)]
pub fn dropped(kind: Kind) {
    bump(&DROPPED, kind as u32);
}
