//! A second chance. The kernel runs a tracing program once on a CPU at a time: where it can be preempted (tracepoints from
//! Linux 7 on, functions wherever tasks in the kernel are preempted), one that is interrupted at work is passed by for every
//! other task of that CPU until it goes on, and everywhere for the packets that an interrupt brings meanwhile. So programs have
//! a twin on the same tracepoint or function, which does the work where the first is at work for another.
//!
//! Those on tracepoints are always there, since they tell who is there and which connections end. Those on functions are loaded
//! only where tasks are preempted ([`Settings::preempted`](spoor_wire::Settings)); of security modules' hooks, the kernel runs
//! any number of programs at a time.

use core::sync::atomic::{Ordering, compiler_fence};

use crate::gate::preempted;
use crate::maps::AT_WORK;

/// Who has twins.
#[derive(Clone, Copy)]
pub enum Twins {
    Fork,
    Exec,
    Exit,
    State,
    Open,
    Rename,
    Receive,
    Read,
    Map,
    Ptrace,
    Unix,
    Execve,
    Execveat,
    Execve32,
    Execveat32,
    Creds,
    Namespaces,
    EndNamespaces,
    Connect,
    Connected,
    Send,
    Send6,
    Raw,
    Raw6,
    Ping,
    Ping6,
    Accept,
    Keyctl,
    AddKey,
    RequestKey,
    Keyctl32,
    AddKey32,
    RequestKey32,
    /// How many there are.
    Count,
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
    pub const COUNT: u32 = Twins::Count as u32;

    /// The first begins.
    #[inline(always)]
    pub fn begin(self) {
        self.set_busy(1);
        compiler_fence(Ordering::SeqCst);
    }

    /// The first has done the work for the kernel object, and which of its events: by these one is told from another. Two
    /// words, since verifiers let nobody calculate with the kernel's pointers.
    #[inline(always)]
    pub fn end(self, about: u64, which: u32) {
        compiler_fence(Ordering::SeqCst);
        if let Some(at) = AT_WORK.get_ptr_mut(self as u32) {
            // SAFETY: a map value of this CPU, where the first runs once at a time.
            unsafe { (&raw mut (*at).done).write_volatile(about) };
            // SAFETY: as above.
            unsafe { (&raw mut (*at).which).write_volatile(which.into()) };
            // SAFETY: as above.
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

    /// The first of two on a function begins.
    #[inline(always)]
    pub fn enter(self) {
        if preempted() {
            self.begin();
        }
    }

    /// It has done its work.
    #[inline(always)]
    pub fn leave(self) {
        compiler_fence(Ordering::SeqCst);
        if preempted() {
            self.set_busy(0);
        }
    }

    /// Whether the first of two on a function is at work for another. Not which was done last: functions are called so often
    /// with the same object that it would be taken for the one before. Should the other have begun after the first had done
    /// this one, it is told twice, which is better than never.
    #[inline(always)]
    pub fn is_busy(self) -> bool {
        // SAFETY: a map value of this CPU; the first writes one word.
        AT_WORK
            .get_ptr_mut(self as u32)
            .is_some_and(|at| unsafe { (&raw const (*at).busy).read_volatile() } != 0)
    }

    #[inline(always)]
    fn set_busy(self, busy: u64) {
        if let Some(at) = AT_WORK.get_ptr_mut(self as u32) {
            // SAFETY: a map value of this CPU, where the first runs once at a time.
            unsafe { (&raw mut (*at).busy).write_volatile(busy) };
        }
    }
}

/// A program on a function and its twin, of which each does the same: `KIND of FUNCTION: NAME, AGAIN by TWINS; |CTX: CONTEXT|
/// {…}`, unless `again {…}` stands behind it for the second.
macro_rules! twins {
    (
        $(#[$doc:meta])*
        $kind:ident of $function:literal: $name:ident, $again:ident by $twins:expr;
        |$ctx:ident: $context:ty| $work:block
    ) => {
        crate::again::twins! {
            $(#[$doc])*
            $kind of $function: $name, $again by $twins;
            |$ctx: $context| $work
            again $work
        }
    };
    (
        $(#[$doc:meta])*
        $kind:ident of $function:literal: $name:ident, $again:ident by $twins:expr;
        |$ctx:ident: $context:ty| $work:block
        again $same:block
    ) => {
        $(#[$doc])*
        #[$kind(function = $function)]
        pub fn $name($ctx: $context) -> i32 {
            $twins.enter();
            $work;
            $twins.leave();
            0
        }

        #[doc = concat!("`", stringify!($name), "` again")]
        #[$kind(function = $function)]
        pub fn $again($ctx: $context) -> i32 {
            if $twins.is_busy() $same
            0
        }
    };
}
pub(crate) use twins;
