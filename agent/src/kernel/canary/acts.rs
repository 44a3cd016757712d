//! What the canary does: every watched act once, for real. It runs as a child of the agent and ends.
#![expect(unsafe_code, reason = "a file is mapped, which is one of the watched acts")]

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair,
};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use super::{CANARY_ARGUMENT, NOWHERE};
use crate::kernel::{keys, privileges};

const DISCARD_PORT: u16 = 9;
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// A thread that was joined is gone at once; on a host with other things to do, a little later.
const THREAD_GONE: Duration = Duration::from_secs(2);
/// First of the second canary's arguments: it gets at the memory of the first.
const MEMORY_ARGUMENT: &str = "memory";
/// How a TLS connection begins: a record that holds the first message of a client. What follows does not matter.
const HELLO: [u8; 9] = [0x16, 3, 1, 0, 4, 1, 0, 0, 0];

type Act<'a> = (&'static str, &'a dyn Fn() -> io::Result<()>);

/// Does everything, whatever fails before.
///
/// # Errors
/// Names the acts that failed: the host cannot do them (say, the loopback device is down).
pub fn child(arguments: &[String]) -> Result<(), String> {
    match arguments {
        [first, pid, address, path] if first == MEMORY_ARGUMENT => second(pid, address, path),
        [path, open_port, closed_port, socket, from, to] => {
            first(path, [open_port, closed_port], socket, [from, to])
        }
        _ => Err("the canary's arguments are the agent's business".into()),
    }
}

fn all(acts: &[Act<'_>]) -> Result<(), String> {
    let failed: Vec<String> =
        acts.iter().filter_map(|(name, act)| act().err().map(|error| format!("{name}: {error}"))).collect();
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

fn first(path: &str, ports: [&String; 2], socket: &str, [from, to]: [&String; 2]) -> Result<(), String> {
    let port = |text: &str| text.parse::<u16>().map_err(|error| format!("port {text}: {error}"));
    let [open, closed] = [port(ports[0])?, port(ports[1])?];
    let file = File::open(path).map_err(|error| format!("open {path}: {error}"))?;
    all(&[
        ("read", &|| (&file).read_exact(&mut [0; 1])),
        ("hand over a descriptor", &|| hand_over(&file)),
        ("connect to a socket", &|| {
            if socket.is_empty() { Ok(()) } else { UnixStream::connect(socket).map(drop) }
        }),
        ("rename a file", &|| if from.is_empty() { Ok(()) } else { std::fs::rename(from, to) }),
        ("connect", &|| connect(open)),
        ("be refused", &|| refused(closed)),
        ("get nowhere", &nowhere),
        ("use a key", &keys::all_ways),
        ("send", &send),
        ("accept", &accept),
        ("fail to execute", &exec_a_folder),
        ("have its memory read", &|| be_read(path)),
        ("end a thread", &end_a_thread),
        ("give up its capabilities", &privileges::give_up_all),
    ])
}

/// Passes an open file to itself, through a socket.
fn hand_over(file: &File) -> io::Result<()> {
    let (here, there): (OwnedFd, OwnedFd) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
    let descriptors = [file.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&descriptors)];
    sendmsg::<()>(here.as_raw_fd(), &[IoSlice::new(b".")], &message, MsgFlags::empty(), None)?;
    let mut byte = [0; 1];
    let mut room = nix::cmsg_space!(std::os::fd::RawFd);
    // What arrives is closed by this process's end.
    recvmsg::<()>(there.as_raw_fd(), &mut [IoSliceMut::new(&mut byte)], Some(&mut room), MsgFlags::empty())?;
    Ok(())
}

fn connect(port: u16) -> io::Result<()> {
    let there = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&there, CONNECT_TIMEOUT)?.write_all(&HELLO)
}

fn refused(port: u16) -> io::Result<()> {
    let there = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpStream::connect_timeout(&there, CONNECT_TIMEOUT) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::other("it was accepted")),
    }
}

fn nowhere() -> io::Result<()> {
    match TcpStream::connect((NOWHERE, DISCARD_PORT)) {
        Err(_) => Ok(()),
        Ok(_) => Err(io::Error::other("the broadcast address accepted")),
    }
}

/// A datagram to a port of this host where nobody listens, or somebody who discards it.
fn send() -> io::Result<()> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.send_to(b".", (Ipv4Addr::LOCALHOST, DISCARD_PORT)).map(drop)
}

fn accept() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let caller = TcpStream::connect_timeout(&listener.local_addr()?, CONNECT_TIMEOUT)?;
    listener.accept()?;
    drop(caller);
    Ok(())
}

fn exec_a_folder() -> io::Result<()> {
    // It comes back only where it failed.
    drop(Command::new("/").exec());
    Ok(())
}

/// A task that ends gives its namespaces up, by the function that changes them. Changing them takes privileges that an
/// agent under way has no more.
fn end_a_thread() -> io::Result<()> {
    let thread = std::thread::spawn(nix::unistd::gettid);
    let number = thread.join().map_err(|_| io::Error::other("it panicked"))?;
    // Joined is not gone: it gives its namespaces up after it has woken who joins it. Were this process to end before that,
    // its mark would be gone, and the thread's end would be nobody's.
    let row = format!("/proc/self/task/{number}");
    let deadline = Instant::now() + THREAD_GONE;
    while Path::new(&row).exists() {
        if Instant::now() > deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it does not go"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Makes another process that looks into this one.
fn be_read(path: &str) -> io::Result<()> {
    let there = [0u8; 8];
    let status = Command::new("/proc/self/exe")
        .args([CANARY_ARGUMENT, MEMORY_ARGUMENT, &std::process::id().to_string()])
        .args([(there.as_ptr() as usize).to_string(), path.to_owned()])
        .stdin(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("the second canary failed")) }
}

/// Looks into the memory and the environment of the first canary, and maps the file that one has read.
fn second(pid: &str, address: &str, path: &str) -> Result<(), String> {
    let number = |text: &str| text.parse::<usize>().map_err(|error| format!("{text}: {error}"));
    let (target, base) = (number(pid)?, number(address)?);
    let target = Pid::from_raw(i32::try_from(target).map_err(|error| error.to_string())?);
    all(&[
        ("read another's memory", &|| {
            let mut byte = [0; 1];
            let from = [RemoteIoVec { base, len: 1 }];
            process_vm_readv(target, &mut [IoSliceMut::new(&mut byte)], &from)?;
            Ok(())
        }),
        ("open another's environment", &|| File::open(format!("/proc/{target}/environ")).map(drop)),
        ("map", &|| map(&File::open(path)?)),
    ])
}

fn map(file: &File) -> io::Result<()> {
    let len = NonZeroUsize::MIN;
    // SAFETY: a new mapping at a place of the kernel's choice; nothing is read from it.
    let at = unsafe { mmap(None, len, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE, file, 0) }?;
    // SAFETY: made a line above, and used by nobody.
    unsafe { munmap(at, len.get()) }?;
    Ok(())
}
