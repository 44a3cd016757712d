//! The 32-bit system calls, made by this 64-bit program: the interrupt 0x80 that the kernel keeps for old programs.

#![expect(unsafe_code, reason = "an interrupt that only assembly raises, and memory below 4 GiB for it")]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::libc;

use crate::{NotThere, there};

const PAGE: usize = 4096;

/// Numbers of 32-bit x86.
pub(crate) const OPEN: u32 = 5;
pub(crate) const SOCKETCALL: u32 = 102;
pub(crate) const OPENAT: u32 = 295;
pub(crate) const CONNECT: u32 = 362;
const GETPID: u32 = 20;

/// A page that 32 bits can point to.
pub(crate) struct Low(*mut u8);

impl Low {
    pub(crate) fn new() -> Result<Self> {
        #[cfg(target_arch = "x86_64")]
        {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
            // SAFETY: new memory, where nothing is.
            let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, protection, flags, -1, 0) };
            ensure!(page != libc::MAP_FAILED, "memory below 4 GiB: {}", Errno::last());
            Ok(Self(page.cast()))
        }
        #[cfg(not(target_arch = "x86_64"))]
        Err(NotThere("32-bit system calls of x86".to_owned()).into())
    }

    /// Puts bytes there; what comes back is their address.
    pub(crate) fn put(&self, at: usize, bytes: &[u8]) -> Result<u32> {
        ensure!(at + bytes.len() <= PAGE, "more than a page");
        // SAFETY: within the page, as has just been seen.
        let place = unsafe { self.0.add(at) };
        // SAFETY: as above; and a slice of ours does not overlap the page.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len()) };
        u32::try_from(place as usize).context("memory below 4 GiB is above")
    }
}

impl Drop for Low {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and nobody else knows it.
        unsafe { libc::munmap(self.0.cast(), PAGE) };
    }
}

/// Opens a file by `open` or by `openat`.
pub(crate) fn open(path: &str, number: u32) -> Result<OwnedFd> {
    let low = Low::new()?;
    let mut bytes = path.as_bytes().to_vec();
    bytes.push(0);
    let path = low.put(0, &bytes)?;
    let flags = libc::O_RDONLY.cast_unsigned();
    let arguments = match number {
        OPENAT => [libc::AT_FDCWD.cast_unsigned(), path, flags, 0],
        _ => [path, flags, 0, 0],
    };
    // SAFETY: the path lives in `low`.
    let fd = there("a 32-bit open", unsafe { call(number, arguments) }?)?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Connects by `connect` or by the one call that once stood for all of them.
pub(crate) fn connect(socket: &impl AsRawFd, address: &[u8], number: u32) -> Result<nix::Result<i32>> {
    /// Which of them.
    const SOCKETCALL_CONNECT: u32 = 3;
    let low = Low::new()?;
    let fd = socket.as_raw_fd().cast_unsigned();
    let length = u32::try_from(address.len())?;
    let address = low.put(0, address)?;
    let arguments = if number == SOCKETCALL {
        let arguments = [fd, address, length].map(u32::to_ne_bytes).concat();
        [SOCKETCALL_CONNECT, low.put(PAGE / 2, &arguments)?, 0, 0]
    } else {
        [fd, address, length, 0]
    };
    // SAFETY: the address lives in `low`, and so do the arguments.
    unsafe { call(number, arguments) }
}

/// One system call, after a harmless one has shown that there are any.
///
/// # Safety
/// What the arguments point to is valid for what the call does with it.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn call(number: u32, arguments: [u32; 4]) -> Result<nix::Result<i32>> {
    // SAFETY: the caller's promise.
    unsafe { call5(number, arguments, 0) }
}

/// The same with a fifth argument.
///
/// # Safety
/// As [`call`].
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn call5(number: u32, arguments: [u32; 4], fifth: i32) -> Result<nix::Result<i32>> {
    let gone = libc::sigaction {
        sa_sigaction: gone as *const () as usize,
        sa_flags: 0,
        sa_restorer: None,
        // SAFETY: an empty set is zeros.
        sa_mask: unsafe { std::mem::zeroed() },
    };
    // SAFETY: as above; overwritten by the call below.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the handler does nothing that a handler may not.
    Errno::result(unsafe { libc::sigaction(libc::SIGSEGV, &raw const gone, &raw mut before) })?;
    // SAFETY: no memory is pointed to.
    let own = unsafe { interrupt(GETPID, [0; 4], 0) };
    // SAFETY: back to what it was.
    Errno::result(unsafe { libc::sigaction(libc::SIGSEGV, &raw const before, std::ptr::null_mut()) })?;
    if own < 0 {
        return Err(NotThere(format!("32-bit system calls: {}", Errno::from_raw(-own))).into());
    }
    // SAFETY: the caller's promise.
    let result = unsafe { interrupt(number, arguments, fifth) };
    Ok(if result < 0 { Err(Errno::from_raw(-result)) } else { Ok(result) })
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) unsafe fn call(_: u32, _: [u32; 4]) -> Result<nix::Result<i32>> {
    Err(NotThere("32-bit system calls of x86".to_owned()).into())
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) unsafe fn call5(_: u32, _: [u32; 4], _: i32) -> Result<nix::Result<i32>> {
    Err(NotThere("32-bit system calls of x86".to_owned()).into())
}

/// Where 32-bit programs are switched off, the interrupt is a protection fault.
#[cfg(target_arch = "x86_64")]
extern "C" fn gone(_: i32) {
    let line = b"spoor-act: not there: 32-bit system calls (the interrupt is a fault)\n";
    // SAFETY: the bytes are there, and `write` is allowed in a handler.
    unsafe { libc::write(2, line.as_ptr().cast(), line.len()) };
    // SAFETY: allowed in a handler.
    unsafe { libc::_exit(crate::NOT_THERE) };
}

#[cfg(target_arch = "x86_64")]
unsafe fn interrupt(number: u32, arguments: [u32; 4], fifth: i32) -> i32 {
    let [first, second, third, fourth] = arguments;
    let result: i32;
    // SAFETY: the caller's promise about the arguments. The compiler keeps rbx for itself, so it is exchanged and
    // exchanged back; kernels before 4.17 do not keep r8 to r11.
    unsafe {
        std::arch::asm!(
            "xchg {first:r}, rbx",
            "int 0x80",
            "xchg {first:r}, rbx",
            first = inout(reg) u64::from(first) => _,
            inlateout("eax") number => result,
            in("ecx") second,
            in("edx") third,
            in("esi") fourth,
            in("edi") fifth,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
        );
    }
    result
}
