//! The acts that go through io_uring: the kernel does them without the system call that has their name.

#![expect(unsafe_code, reason = "an entry of the ring points into this process's memory")]

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{DestinationSlot, Fd, Fixed};
use io_uring::{IoUring, Probe, opcode};
use nix::errno::Errno;
use nix::libc;

use crate::{NotThere, await_input, there};

const SLOT: u32 = 1;

/// Which of the kernel's hands does the act.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hand {
    /// The caller's own, in the system call that submits; a worker's where the kernel wants that.
    Caller,
    /// A worker's, always.
    Worker,
    /// The thread that looks for submissions by itself.
    Poller,
}

/// A ring, for one act after the other.
pub(crate) struct Ring {
    ring: IoUring,
    hand: Hand,
}

impl Ring {
    pub(crate) fn new(hand: Hand, codes: &[u8]) -> Result<Self> {
        let mut builder = IoUring::builder();
        if hand == Hand::Poller {
            builder.setup_sqpoll(100);
        }
        let ring = builder.build(4).map_err(|error| match error.raw_os_error() {
            // By sysctl, by a filter of system calls, or by the kernel's build.
            Some(libc::ENOSYS | libc::EPERM) => NotThere(format!("io_uring: {error}")).into(),
            _ => anyhow::Error::from(error).context("io_uring"),
        })?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe).context("ask what io_uring knows")?;
        for code in codes {
            if !probe.is_supported(*code) {
                return Err(NotThere(format!("io_uring has no operation {code}")).into());
            }
        }
        Ok(Self { ring, hand })
    }

    /// Submits one entry and waits for what comes of it.
    ///
    /// # Safety
    /// What the entry points to is valid until this returns.
    unsafe fn perform(&mut self, what: &str, entry: Entry) -> Result<nix::Result<i32>> {
        let flags = if self.hand == Hand::Worker { Flags::ASYNC } else { Flags::empty() };
        // SAFETY: the caller's promise; and nothing leaves this function before its completion except by an error,
        // which ends the program.
        unsafe { self.ring.submission().push(&entry.flags(flags)) }.context("the ring is full")?;
        self.ring.submit().with_context(|| format!("submit {what}"))?;
        // SAFETY: the ring outlives the borrow.
        let ring = unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) };
        loop {
            if let Some(done) = self.ring.completion().next() {
                let result = done.result();
                return Ok(if result < 0 { Err(Errno::from_raw(-result)) } else { Ok(result) });
            }
            await_input(what, &ring)?;
        }
    }

    pub(crate) fn open(&mut self, path: &str) -> Result<OwnedFd> {
        self.open_with(path, libc::O_RDONLY | libc::O_CLOEXEC)
    }

    pub(crate) fn open_with(&mut self, path: &str, flags: i32) -> Result<OwnedFd> {
        let path = CString::new(path)?;
        let entry = opcode::OpenAt::new(Fd(libc::AT_FDCWD), path.as_ptr());
        let entry = entry.flags(flags).build();
        // SAFETY: the path lives.
        let opened = unsafe { self.perform("openat by io_uring", entry) }?;
        if self.hand == Hand::Poller && opened == Err(Errno::EINVAL) {
            // Until 5.11 the poller has no files of the caller's.
            return Err(NotThere("io_uring's poller opens no files".to_owned()).into());
        }
        let fd = there("openat by io_uring", opened)?;
        // SAFETY: the kernel has just made it for us.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// A slot, which is a descriptor that only the ring has.
    fn slot(&mut self) -> Result<DestinationSlot> {
        self.ring.submitter().register_files(&[-1, -1]).context("slots for files")?;
        DestinationSlot::try_from_slot_target(SLOT).map_err(|_| anyhow::anyhow!("no slot {SLOT}"))
    }

    /// Opens into a slot of the ring, so that there is never a descriptor, and reads from there.
    pub(crate) fn open_into_slot(&mut self, path: &str) -> Result<()> {
        let path = CString::new(path)?;
        let slot = self.slot()?;
        let entry = opcode::OpenAt::new(Fd(libc::AT_FDCWD), path.as_ptr());
        let entry = entry.file_index(Some(slot)).flags(libc::O_RDONLY).build();
        // SAFETY: the path lives.
        match unsafe { self.perform("openat into a slot", entry) }? {
            Ok(0) => {}
            // Before 5.15 the slot is not looked at, and a descriptor comes of it, or a complaint about the field.
            Ok(_) | Err(Errno::EINVAL) => {
                return Err(NotThere("io_uring opens into no slots".to_owned()).into());
            }
            Err(errno) => return there("openat into a slot", Err(errno)),
        }
        let mut byte = [0];
        let entry = opcode::Read::new(Fixed(SLOT), byte.as_mut_ptr(), 1).build();
        // SAFETY: the byte lives.
        let read = there("read from a slot", unsafe { self.perform("read from a slot", entry) }?)?;
        ensure!(read == 1, "there was nothing to read");
        Ok(())
    }

    pub(crate) fn read(&mut self, file: &impl AsRawFd) -> Result<usize> {
        let mut byte = [0];
        let entry = opcode::Read::new(Fd(file.as_raw_fd()), byte.as_mut_ptr(), 1).build();
        // SAFETY: the byte lives.
        let read = there("read by io_uring", unsafe { self.perform("read by io_uring", entry) }?)?;
        Ok(usize::try_from(read)?)
    }

    /// Takes a descriptor that somebody passes.
    pub(crate) fn receive_descriptor(&mut self, peer: &impl AsRawFd) -> Result<OwnedFd> {
        let mut byte = 0_u8;
        let mut bytes = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        let mut space = [0_u64; 8];
        // SAFETY: zeros are a message: one without anything.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut bytes;
        message.msg_iovlen = 1;
        message.msg_control = space.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&space);
        let entry = opcode::RecvMsg::new(Fd(peer.as_raw_fd()), &raw mut message);
        let entry = entry.flags(libc::MSG_CMSG_CLOEXEC.cast_unsigned()).build();
        // SAFETY: the message lives, and all that it points to.
        there("recvmsg by io_uring", unsafe { self.perform("recvmsg by io_uring", entry) }?)?;
        // SAFETY: the kernel has filled the message.
        let control = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
        // SAFETY: it is null, or it points into `space`.
        let control = unsafe { control.as_ref() };
        let control = control.context("no descriptor came")?;
        ensure!(control.cmsg_type == libc::SCM_RIGHTS, "something else than a descriptor came");
        // SAFETY: such a message has a descriptor at least.
        let first = unsafe { libc::CMSG_DATA(control) }.cast::<i32>();
        // SAFETY: as above.
        let fd = unsafe { first.read_unaligned() };
        // SAFETY: the kernel has just made it for us.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    pub(crate) fn connect(&mut self, socket: &impl AsRawFd, address: &[u8]) -> Result<nix::Result<i32>> {
        let length = u32::try_from(address.len())?;
        let entry = opcode::Connect::new(Fd(socket.as_raw_fd()), address.as_ptr().cast(), length).build();
        // SAFETY: the address lives.
        unsafe { self.perform("connect by io_uring", entry) }
    }

    /// Connects a socket that is in a slot of the ring and nowhere else.
    pub(crate) fn connect_in_slot(&mut self, family: i32, address: &[u8]) -> Result<nix::Result<i32>> {
        let slot = self.slot()?;
        let entry = opcode::Socket::new(family, libc::SOCK_STREAM, 0).file_index(Some(slot)).build();
        // SAFETY: numbers only.
        there("a socket by io_uring", unsafe { self.perform("a socket by io_uring", entry) }?)?;
        let length = u32::try_from(address.len())?;
        let entry = opcode::Connect::new(Fixed(SLOT), address.as_ptr().cast(), length).build();
        // SAFETY: the address lives.
        unsafe { self.perform("connect in a slot", entry) }
    }

    pub(crate) fn accept(&mut self, listener: &impl AsRawFd) -> Result<OwnedFd> {
        let nobody = std::ptr::null_mut();
        let entry = opcode::Accept::new(Fd(listener.as_raw_fd()), nobody, nobody.cast());
        let entry = entry.flags(libc::SOCK_CLOEXEC).build();
        // SAFETY: it points to nothing.
        let fd = there("accept by io_uring", unsafe { self.perform("accept by io_uring", entry) }?)?;
        // SAFETY: the kernel has just made it for us.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    pub(crate) fn send_to(
        &mut self,
        socket: &impl AsRawFd,
        address: &[u8],
        text: &[u8],
    ) -> Result<nix::Result<i32>> {
        let mut bytes = libc::iovec { iov_base: text.as_ptr().cast_mut().cast(), iov_len: text.len() };
        // SAFETY: zeros are a message: one without anything.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_name = address.as_ptr().cast_mut().cast();
        message.msg_namelen = u32::try_from(address.len())?;
        message.msg_iov = &raw mut bytes;
        message.msg_iovlen = 1;
        let entry = opcode::SendMsg::new(Fd(socket.as_raw_fd()), &raw const message).build();
        // SAFETY: the message lives, and all that it points to; the kernel only reads there.
        unsafe { self.perform("sendmsg by io_uring", entry) }
    }
}
