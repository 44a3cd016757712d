//! A second chance for what tells who is there and which connections end. The kernel runs a program once on a CPU at a time:
//! where tracepoints are preemptible (Linux 7), one that is interrupted at work is passed by for every other task of that CPU
//! until it goes on, and everywhere for the packets that an interrupt brings meanwhile. So these have a twin on the same
//! tracepoint, which does the work where the first was at work for another.

use core::sync::atomic::{Ordering, compiler_fence};

use crate::maps::AT_WORK;

/// Who has twins.
#[derive(Clone, Copy)]
pub enum Twins {
    Fork = 0,
    Exec = 1,
    Exit = 2,
    State = 3,
}

/// What the first is at, on a CPU.
#[repr(C)]
pub struct AtWork {
    /// Not 0 while it is.
    pub busy: u64,
    /// What it last did the work for: the twin leaves that alone, also where the first is at work for another by now.
    pub done: u64,
    /// Which of several events about that.
    pub which: u64,
}

impl Twins {
    pub const COUNT: u32 = 4;

    /// The first begins.
    #[inline(always)]
    pub fn begin(self) {
        if let Some(at) = AT_WORK.get_ptr_mut(self as u32) {
            // SAFETY: a map value of this CPU, where the first runs once at a time.
            unsafe { (&raw mut (*at).busy).write_volatile(1) };
        }
        compiler_fence(Ordering::SeqCst);
    }

    /// The first has done the work for the kernel object, and which of its events: by these one is told from another. Two
    /// words, since verifiers let nobody calculate with the kernel's pointers.
    #[inline(always)]
    pub fn end(self, about: u64, which: u32) {
        compiler_fence(Ordering::SeqCst);
        if let Some(at) = AT_WORK.get_ptr_mut(self as u32) {
            // SAFETY: as in `begin`.
            unsafe { (&raw mut (*at).done).write_volatile(about) };
            // SAFETY: as in `begin`.
            unsafe { (&raw mut (*at).which).write_volatile(which.into()) };
            // SAFETY: as in `begin`.
            unsafe { (&raw mut (*at).busy).write_volatile(0) };
        }
    }

    /// Whether the first was at work for another, so that its twin, which comes after it, is to do it.
    #[inline(always)]
    pub fn was_passed_by(self, about: u64, which: u32) -> bool {
        let Some(at) = AT_WORK.get_ptr_mut(self as u32) else { return false };
        // SAFETY: a map value of this CPU; what the first writes meanwhile is one word at a time.
        let busy = unsafe { (&raw const (*at).busy).read_volatile() };
        // SAFETY: as above.
        let done = unsafe { (&raw const (*at).done).read_volatile() };
        // SAFETY: as above.
        let last = unsafe { (&raw const (*at).which).read_volatile() };
        busy != 0 && (done != about || last != u64::from(which))
    }
}
