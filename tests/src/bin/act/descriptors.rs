//! Descriptors that go from hand to hand.
//!
//! `send-fd SOCKET PATH` listens at SOCKET, opens PATH and passes it to the one who comes; `recv-fd SOCKET` and
//! `recv-fd-uring SOCKET` come, take it and read a byte. `send-fd-then-byte SOCKET PATH` and `recv-fd-then-byte SOCKET` pass
//! a message without a descriptor after it, which is received into the same room. `send-plain SOCKET` and `recv-plain SOCKET` do the same with
//! a byte and no descriptor. `hold PATH PIDFILE UNTIL` (also `become-holder`) opens PATH, writes "PID FD" into PIDFILE
//! and stays until UNTIL exists; `steal-fd PIDFILE` takes that descriptor by `pidfd_getfd`, `open-held PIDFILE` opens
//! its link in /proc; both read a byte. `inherit PATH PROGRAM [ STEP… ]` opens PATH so that it survives an exec, and
//! runs PROGRAM with it; `{fd}` in the steps stands for the descriptor's number, as in `read-fd {fd}`.

#![expect(unsafe_code, reason = "a descriptor of which only the number is known")]

use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, sendmsg};
use nix::sys::stat::Mode;

use crate::uring::{Hand, Ring};
use crate::{PATIENCE, Steps, await_input, open, place, spawn, taste, there, wait_for, wait_until};

pub(crate) fn step(step: &str, steps: &mut Steps<'_>) -> Result<bool> {
    match step {
        "send-fd" => {
            let peer = accept(steps.next()?)?;
            send(&peer, &open(steps.next()?)?)?;
            until_gone(peer)?;
        }
        "recv-fd" => taste(&receive(&come(steps.next()?)?)?)?,
        "recv-fd-uring" => {
            let peer = come(steps.next()?)?;
            let mut ring = Ring::new(Hand::Caller, &[io_uring::opcode::RecvMsg::CODE])?;
            taste(&ring.receive_descriptor(&peer)?)?;
        }
        "send-fd-then-byte" => {
            let mut peer = accept(steps.next()?)?;
            send(&peer, &open(steps.next()?)?)?;
            // Two messages, and not one of two bytes: no message goes beyond descriptors.
            peer.write_all(b"y")?;
            until_gone(peer)?;
        }
        "recv-fd-then-byte" => {
            let peer = come(steps.next()?)?;
            let mut space = nix::cmsg_space!([RawFd; 1]);
            let taken = receive_into(&peer, &mut space)?.context("no descriptor came")?;
            ensure!(receive_into(&peer, &mut space)?.is_none(), "a second descriptor came");
            taste(&taken)?;
        }
        "send-plain" => {
            let mut peer = accept(steps.next()?)?;
            peer.write_all(b"x")?;
            until_gone(peer)?;
        }
        "recv-plain" => come(steps.next()?)?.read_exact(&mut [0])?,
        "hold" | "become-holder" => {
            let file = open(steps.next()?)?;
            place(steps.next()?, &format!("{} {}\n", std::process::id(), file.as_raw_fd()))?;
            wait_for(steps.next()?)?;
        }
        "steal-fd" => taste(&steal(steps.next()?)?)?,
        "open-held" => {
            let (pid, fd) = held(steps.next()?)?;
            taste(&open(&format!("/proc/{pid}/fd/{fd}"))?)?;
        }
        "inherit" => inherit(steps.next()?, steps.next()?, steps.block()?)?,
        // SAFETY: open or not is the kernel's to say; nobody here closes it.
        "read-fd" => taste(&unsafe { BorrowedFd::borrow_raw(steps.number()?) })?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// The one who comes to a socket of ours.
pub(crate) fn accept(socket: &str) -> Result<UnixStream> {
    let listener = UnixListener::bind(socket).with_context(|| format!("listen at {socket}"))?;
    await_input("a receiver", &listener)?;
    Ok(listener.accept()?.0)
}

/// Comes to a socket, as soon as someone listens.
pub(crate) fn come(socket: &str) -> Result<UnixStream> {
    let mut stream = None;
    wait_until(&format!("nobody listens at {socket}"), || {
        stream = UnixStream::connect(socket).ok();
        Ok(stream.is_some())
    })?;
    let stream = stream.context("no stream")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn send(peer: &UnixStream, file: &impl AsRawFd) -> Result<()> {
    let descriptors = [file.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&descriptors)];
    let bytes = [IoSlice::new(b"x")];
    sendmsg::<UnixAddr>(peer.as_raw_fd(), &bytes, &message, MsgFlags::empty(), None)?;
    Ok(())
}

pub(crate) fn receive(peer: &UnixStream) -> Result<OwnedFd> {
    receive_into(peer, &mut nix::cmsg_space!([RawFd; 1]))?.context("no descriptor came")
}

/// A message, and the descriptor that came with it; into a room that may hold those of one before.
fn receive_into(peer: &UnixStream, space: &mut [u8]) -> Result<Option<OwnedFd>> {
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<UnixAddr>(peer.as_raw_fd(), &mut bytes, Some(space), flags)?;
    ensure!(message.bytes == 1, "nothing came");
    let fd = message.cmsgs()?.find_map(|message| {
        let ControlMessageOwned::ScmRights(descriptors) = message else { return None };
        descriptors.first().copied()
    });
    // SAFETY: the kernel has just made it for us.
    Ok(fd.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// So that the receiver is not the last who has the file.
pub(crate) fn until_gone(mut peer: UnixStream) -> Result<()> {
    peer.set_read_timeout(Some(PATIENCE))?;
    let rest = peer.read(&mut [0]);
    ensure!(matches!(rest, Ok(0)), "the receiver does not go: {rest:?}");
    Ok(())
}

fn held(pid_file: &str) -> Result<(i32, RawFd)> {
    wait_for(pid_file)?;
    let text = std::fs::read_to_string(pid_file)?;
    let (pid, fd) = text.trim().split_once(' ').context("PIDFILE has no PID FD")?;
    Ok((pid.parse()?, fd.parse()?))
}

fn steal(pid_file: &str) -> Result<OwnedFd> {
    let (pid, fd) = held(pid_file)?;
    // SAFETY: numbers only.
    let process = there("pidfd_open", Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }))?;
    // SAFETY: the kernel has just made it for us.
    let process = unsafe { OwnedFd::from_raw_fd(i32::try_from(process)?) };
    // SAFETY: numbers only.
    let taken = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) };
    let taken = there("pidfd_getfd", Errno::result(taken))?;
    // SAFETY: as above.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(taken)?) })
}

fn inherit(path: &str, program: &str, steps: &[String]) -> Result<()> {
    let file = nix::fcntl::open(path, OFlag::O_RDONLY, Mode::empty())?;
    let number = file.as_raw_fd().to_string();
    let steps: Vec<String> = steps.iter().map(|step| step.replace("{fd}", &number)).collect();
    spawn(program, &steps)
}
