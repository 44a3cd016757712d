//! Whether something is told already, by a sample that waits to be read: then a ring that fills need not have it again, and what
//! was not told yet goes before it (docs/adr/0043).

use aya_ebpf::cty::c_void;
use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use spoor_wire::Kind;

use crate::maps::{DONE, Doing};
use crate::matcher::Inode;
use crate::read::off;
use crate::share::{FREE_OF_FIRST, Filled, Touch};
use crate::task::current;

/// `O_ACCMODE`
const ACCESS: u32 = 3;

/// What a thread does with a file, told with these flags of it: whether that is told by what waits to be read. Where it is not,
/// and there is room, it is from now on. Asked only where a ring fills.
#[inline(always)]
pub fn touch(kind: Kind, inode: &Inode, generation: u32, flags: u32, filled: Filled) -> Touch {
    if !filled.is_filling() {
        return Touch::Any;
    }
    let file = u64::from(inode.dev) | u64::from(generation) << 32;
    let what = u64::from(kind as u8) | u64::from(flags & ACCESS) << 8;
    match spoor_touch(inode.ino, file, what, filled.read, filled.begun) {
        FIRST => Touch::First,
        AGAIN => Touch::Again,
        _ => Touch::Any,
    }
}

/// What the next one answers.
const FIRST: u64 = 1;
const AGAIN: u64 = 2;

/// The same in numbers, which is what such a function may take. `file` is a device and, above it, the generation; `what` a kind
/// and, above it, how the file was opened.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn spoor_touch(ino: u64, file: u64, what: u64, read: u64, begun: u64) -> u64 {
    let mut doing = Doing {
        pid_tgid: bpf_get_current_pid_tgid(),
        mm: 0,
        ino,
        dev: file as u32,
        generation: (file >> 32) as u32,
        what,
    };
    let memory = current().wrapping_add(u64::from(off!(task__mm)));
    // Straight to its place: whoever calls this has used most of the stack already. Where it cannot be read it is 0.
    // SAFETY: a field of a local value, and its size; the helper checks the address.
    unsafe { bpf_probe_read_kernel((&raw mut doing.mm).cast(), 8, memory as *const c_void) };
    let doing: &Doing = &doing;
    // SAFETY: a number, copied at once.
    let told = unsafe { DONE.get(doing) }.copied();
    // One more than the place at which that is or behind which it is, so that no ring's beginning is taken for it.
    if told.is_some_and(|at| at > read) {
        return AGAIN;
    }
    if (Filled { read, begun }).waiting() > FREE_OF_FIRST {
        return 0;
    }
    let place: &u64 = &begun.wrapping_add(1);
    let _ = DONE.insert(doing, place, 0);
    FIRST
}
