//! Whether something is told already, by a sample that waits to be read: then a ring that fills need not have it again, and what
//! was not told yet goes before it (docs/adr/0043).

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use spoor_wire::Kind;

use crate::maps::{DONE, Doing};
use crate::read::{kernel_bytes, off};
use crate::share::{Filled, Touch};
use crate::task::current;

/// What a thread does with something, which two words say, and how: whether that is told by what waits to be read. Where it is
/// not, and there is room, it is from now on. Asked only where a ring fills.
#[inline(always)]
pub fn touch((kind, how): (Kind, u32), what: u64, which: u64, filled: Filled) -> Touch {
    if !filled.is_filling() {
        return Touch::Any;
    }
    let way = u64::from(kind as u8) | u64::from(how) << 8;
    match spoor_touch(what, which, way, filled.read, filled.begun) {
        FIRST => Touch::First,
        AGAIN => Touch::Again,
        _ => Touch::Any,
    }
}

/// What the next one answers.
const FIRST: u64 = 1;
const AGAIN: u64 = 2;

/// The same in numbers, which is what such a function may take. `way` is the kind and, above it, how.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn spoor_touch(what: u64, which: u64, way: u64, read: u64, begun: u64) -> u64 {
    let mut doing = Doing { pid_tgid: bpf_get_current_pid_tgid(), mm: 0, what, which, way };
    let memory = current().wrapping_add(u64::from(off!(task__mm)));
    // Straight to its place: whoever calls this has used most of the stack already. Where it cannot be read it is 0.
    // SAFETY: a field of a local value, and its size.
    let _ = unsafe { kernel_bytes((&raw mut doing.mm).cast(), 8, memory) };
    let doing: &Doing = &doing;
    // SAFETY: a number, copied at once.
    let told = unsafe { DONE.get(doing) }.copied();
    // One more than the place at which that is or behind which it is, so that no ring's beginning is taken for it.
    if told.is_some_and(|at| at > read) {
        return AGAIN;
    }
    if (Filled { read, begun }).first() != Touch::First {
        return 0;
    }
    let place: &u64 = &begun.wrapping_add(1);
    let _ = DONE.insert(doing, place, 0);
    FIRST
}
