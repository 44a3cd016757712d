//! A second chance for what tells who is there. The kernel runs a program once on a CPU at a time: where tracepoints are
//! preemptible (Linux 7), one that is interrupted at work is passed by for every other task of that CPU until it goes on. So
//! these have a twin on the same tracepoint, which does the work where the first was at work for another.

use core::sync::atomic::{Ordering, compiler_fence};

use crate::maps::AT_WORK;

/// Who has twins.
#[derive(Clone, Copy)]
pub enum Twins {
    Fork = 0,
    Exec = 1,
    Exit = 2,
}

impl Twins {
    pub const COUNT: u32 = 3;
}

/// What the first is at, on a CPU.
#[repr(C)]
pub struct AtWork {
    /// Not 0 while it is.
    pub busy: u64,
    /// What it last did the work for: the twin leaves that alone, also where the first is at work for another by now.
    pub done: u64,
}

/// The first: `about` is the kernel object by which one event is told from another.
#[inline(always)]
pub fn first(twins: Twins, about: u64, work: impl FnOnce()) {
    let Some(at) = AT_WORK.get_ptr_mut(twins as u32) else { return };
    // SAFETY: a map value of this CPU, where this program runs once at a time.
    unsafe { (&raw mut (*at).busy).write_volatile(1) };
    compiler_fence(Ordering::SeqCst);
    work();
    compiler_fence(Ordering::SeqCst);
    // SAFETY: as above.
    unsafe { (&raw mut (*at).done).write_volatile(about) };
    // SAFETY: as above.
    unsafe { (&raw mut (*at).busy).write_volatile(0) };
}

/// Its twin, which comes after it.
#[inline(always)]
pub fn second(twins: Twins, about: u64, work: impl FnOnce()) {
    let Some(at) = AT_WORK.get_ptr_mut(twins as u32) else { return };
    // SAFETY: a map value of this CPU; what the first writes meanwhile is one word at a time.
    let (busy, done) =
        unsafe { ((&raw const (*at).busy).read_volatile(), (&raw const (*at).done).read_volatile()) };
    if busy != 0 && done != about {
        work();
    }
}
