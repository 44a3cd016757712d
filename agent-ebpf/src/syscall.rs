//! The system call that is returning, for the tier that has nothing nearer to the act.
//!
//! Kernel contract: `trace_sys_exit(struct pt_regs *regs, long ret)`. One program is attached there; it looks at the
//! number of the call and goes on in the program that looks after it, so that a call nobody asks about costs one read and
//! one comparison however many probes there are.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::maps::SYSCALLS;
use crate::read::{Plain, Read, Unreadable, field, off, user};
use crate::task;

/// Slots of [`SYSCALLS`]; `agent/src/kernel/probes.rs` fills them.
pub const OPEN: u32 = 0;
pub const CONNECT: u32 = 1;
pub const UNIX: u32 = 2;
pub const RECEIVE: u32 = 3;
pub const READ: u32 = 4;
pub const PTRACE: u32 = 5;
pub const EXEC: u32 = 6;
pub const CREDS: u32 = 7;
pub const SEND: u32 = 8;
pub const ACCEPT: u32 = 9;
pub const KEY: u32 = 10;

/// A system call, by the number the kernel was called with; of `socketcall`, by that of the call it stands for.
#[derive(Clone, Copy)]
pub struct Syscall {
    pub number: u32,
    pub compat: bool,
    /// Of `socketcall`, where its arguments lie in the memory of the process; else 0.
    pub array: u64,
}

/// `TS_COMPAT`
const TS_COMPAT: u32 = 2;
/// How old 32-bit programs make all calls about sockets: which, and a table of its arguments.
const SOCKETCALL: u32 = 102;

/// The call that is returning; `None` where it is none (`orig_ax` of an interrupt). `regs` is the typed pointer: every call of the
/// host pays for this.
#[inline(always)]
pub fn syscall(regs: u64) -> Option<Syscall> {
    let number = Plain::get::<u64>(regs, off!(pt_regs__orig_ax)).unwrap_or(u64::MAX);
    // The table of numbers is below a thousand on both ABIs.
    if number > MOST || !is_looked_after(number as u32) {
        return None;
    }
    let compat = task::thread_status() & TS_COMPAT != 0;
    let call = Syscall { number: number as u32, compat, array: 0 };
    if call.compat && call.number == SOCKETCALL { unfolded(call, regs) } else { Some(call) }
}

/// The greatest number that any call has.
const MOST: u64 = 1_000;

/// A bit for each number that is somebody's business, of programs of either kind.
static LOOKED_AFTER: [u64; 16] = looked_after();

const fn looked_after() -> [u64; 16] {
    let mut bits = [0; 16];
    let mut number = 0;
    while number <= MOST as u32 {
        if slot(number).is_some() || slot_compat(number).is_some() || number == SOCKETCALL {
            bits[number as usize / 64] |= 1 << (number % 64);
        }
        number += 1;
    }
    bits
}

/// Whether a number is somebody's business at all: of most calls that is all that is asked.
#[inline(always)]
fn is_looked_after(number: u32) -> bool {
    LOOKED_AFTER.get(number as usize / 64).is_some_and(|word| word >> (number % 64) & 1 != 0)
}

/// The call that a `socketcall` stands for, where it is one that somebody looks after.
#[inline(always)]
fn unfolded(call: Syscall, regs: u64) -> Option<Syscall> {
    let number = match call.argument(regs, 0) {
        Ok(3) => 362,
        // accept, which has no number of its own, as accept4
        Ok(5 | 18) => 364,
        Ok(11) => 369,
        Ok(16) => 370,
        Ok(17) => 372,
        Ok(19) => 337,
        Ok(20) => 345,
        _ => return None,
    };
    Some(Syscall { number, array: call.argument(regs, 1).ok()?, ..call })
}

/// `tp_btf/sys_exit`: finds the program for the call.
#[btf_tracepoint(function = "sys_exit")]
pub fn sys_exit(ctx: BtfTracePointContext) -> i32 {
    if let Some(slot) = syscall(ctx.arg::<u64>(0)).and_then(Syscall::slot) {
        // SAFETY: the programs in there are of this type and for this attach point. An empty slot is no error: then
        // nobody looks after the call.
        unsafe { SYSCALLS.tail_call(&ctx, slot) };
    }
    0
}

impl Syscall {
    /// Whose business it is.
    #[inline(always)]
    fn slot(self) -> Option<u32> {
        if self.compat { slot_compat(self.number) } else { slot(self.number) }
    }

    /// An argument by its place, from 0.
    #[inline(always)]
    pub fn argument(self, regs: u64, place: u32) -> Result<u64, Unreadable> {
        if self.array != 0 {
            return Ok(u64::from(user::<u32>(self.array.wrapping_add(u64::from(place) * 4))?));
        }
        if self.compat {
            let offset = match place {
                0 => off!(pt_regs__bx),
                1 => off!(pt_regs__cx),
                2 => off!(pt_regs__dx),
                3 => off!(pt_regs__si),
                _ => off!(pt_regs__di),
            };
            return Ok(field::<u64>(regs, offset)? & 0xffff_ffff);
        }
        let offset = match place {
            0 => off!(pt_regs__di),
            1 => off!(pt_regs__si),
            2 => off!(pt_regs__dx),
            3 => off!(pt_regs__r10),
            _ => off!(pt_regs__r8),
        };
        field(regs, offset)
    }
}

/// Whose business a call of that number is.
#[inline(always)]
const fn slot(number: u32) -> Option<u32> {
    Some(match number {
        // open, creat, openat, open_by_handle_at, openat2
        2 | 85 | 257 | 304 | 437 => OPEN,
        // connect
        42 => CONNECT,
        // recvmsg, recvmmsg, pidfd_getfd
        47 | 299 | 438 => RECEIVE,
        // read, mmap, pread64, readv, sendfile, splice, preadv, copy_file_range, preadv2
        0 | 9 | 17 | 19 | 40 | 275 | 295 | 326 | 327 => READ,
        // ptrace, process_vm_readv, process_vm_writev
        101 | 310 | 311 => PTRACE,
        // execve, execveat
        59 | 322 => EXEC,
        // setuid, setgid, setreuid, setregid, setgroups, setresuid, setresgid, capset, unshare, setns
        105 | 106 | 113 | 114 | 116 | 117 | 119 | 126 | 272 | 308 => CREDS,
        // sendto, sendmsg, sendmmsg
        44 | 46 | 307 => SEND,
        // accept, accept4
        43 | 288 => ACCEPT,
        // add_key, request_key, keyctl
        248..=250 => KEY,
        _ => return None,
    })
}

/// The same for calls of 32-bit programs.
#[inline(always)]
const fn slot_compat(number: u32) -> Option<u32> {
    Some(match number {
        5 | 8 | 295 | 342 | 437 => OPEN,
        362 => CONNECT,
        337 | 372 | 438 => RECEIVE,
        3 | 90 | 145 | 180 | 187 | 192 | 239 | 313 | 333 | 377 | 378 => READ,
        26 | 347 | 348 => PTRACE,
        11 | 358 => EXEC,
        203 | 204 | 206 | 208 | 210 | 213 | 214 | 185 | 310 | 346 | 23 | 46 | 70 | 71 | 81 | 164 | 170 => {
            CREDS
        }
        369 | 370 | 345 => SEND,
        364 => ACCEPT,
        286..=288 => KEY,
        _ => return None,
    })
}

/// The file behind a descriptor of the current task; 0 where there is none.
#[inline(always)]
pub fn file_of(descriptor: u64) -> Result<u64, Unreadable> {
    let files = field::<u64>(task::current(), off!(task__files))?;
    let table = field::<u64>(files, off!(files_struct__fdt))?;
    if descriptor >= u64::from(field::<u32>(table, off!(fdtable__max_fds))?) {
        return Ok(0);
    }
    let slots = field::<u64>(table, off!(fdtable__fd))?;
    field(slots.wrapping_add(descriptor.wrapping_mul(8)), 0)
}

/// `S_IFMT` and `S_IFSOCK`
const FILE_TYPE: u16 = 0o170_000;
const SOCKET: u16 = 0o140_000;

/// The network's side of a socket, behind its file; `None` where the file is no socket.
#[inline(always)]
pub fn sk_of<R: Read>(file: u64) -> Result<Option<u64>, Unreadable> {
    let inode = R::get::<u64>(file, off!(file__f_inode))?;
    if R::get::<u16>(inode, off!(inode__i_mode))? & FILE_TYPE != SOCKET {
        return Ok(None);
    }
    let socket = R::get::<u64>(file, off!(file__private_data))?;
    Ok(Some(field(socket, off!(socket__sk))?))
}
