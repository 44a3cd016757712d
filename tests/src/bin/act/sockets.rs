//! The ways to a peer. A refusal, or no answer within seconds, is no failure: what comes of it is the agent's to tell.
//!
//! TCP: `connect-often ADDR TIMES`, `fastopen ADDR` (data goes with the first packet; no `connect`), `mptcp-connect ADDR`, `uring-connect ADDR`,
//! `uring-connect-direct ADDR` (the socket is in a slot and never has a descriptor), `compat-connect ADDR` and
//! `compat-socketcall ADDR` (32-bit), `netns-connect ADDR` (in a network of our own, where we have that address and listen),
//! `accept-one PORTFILE` and `uring-accept-one PORTFILE` (listen on 127.0.0.1, write the port, accept one, close).
//!
//! UDP: `udp-connect ADDR`, `udp-send-connected ADDR`, `udp-send ADDR`, `udp-sendmsg ADDR`, `udp-sendmmsg ADDR` (two at
//! once), `udp-uring-send ADDR`.
//!
//! Others: `unix-connect PATH`, `unix-connect-abstract NAME`, `vsock-connect CID PORT`, `vsock-listen PORT READYFILE`
//! (accepts one), `raw-send ADDR` (an ICMP echo request), `ping-send ADDR` (the same by a socket for nothing else, in a
//! network of our own, where we may).

#![expect(unsafe_code, reason = "sockets and addresses that no safe function makes")]

use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result};
use io_uring::opcode;
use nix::errno::Errno;
use nix::libc;
use nix::sched::CloneFlags;
use nix::sys::socket::{
    Backlog, MsgFlags, MultiHeaders, SockaddrIn, SockaddrLike, SockaddrStorage, UnixAddr, VsockAddr, bind,
    connect, listen, sendmmsg, sendmsg, sendto, setsockopt, sockopt,
};
use nix::sys::time::TimeVal;

use crate::uring::{Hand, Ring};
use crate::{Steps, await_input, compat, place, there};

const TEXT: &[u8] = b"spoor-act\n";

pub(crate) fn step(step: &str, steps: &mut Steps<'_>) -> Result<bool> {
    Ok(tcp(step, steps)? || udp(step, steps)? || other(step, steps)?)
}

fn tcp(step: &str, steps: &mut Steps<'_>) -> Result<bool> {
    match step {
        "connect-often" => {
            let address: SocketAddr = steps.number()?;
            for _ in 0..steps.number::<u32>()? {
                drop(TcpStream::connect(address));
            }
        }
        "fastopen" => {
            let (address, socket) = stream(steps)?;
            heard(
                step,
                sendto(socket.as_raw_fd(), TEXT, &address, MsgFlags::from_bits_retain(libc::MSG_FASTOPEN)),
            )?;
        }
        "mptcp-connect" => {
            let address = address(steps)?;
            let socket = socket(family(&address), libc::SOCK_STREAM, libc::IPPROTO_MPTCP)?;
            heard(step, connect(socket.as_raw_fd(), &address))?;
        }
        "uring-connect" => {
            let (address, socket) = stream(steps)?;
            let mut ring = Ring::new(Hand::Caller, &[opcode::Connect::CODE])?;
            heard(step, ring.connect(&socket, bytes(&address))?)?;
        }
        "uring-connect-direct" => {
            let address = address(steps)?;
            let mut ring = Ring::new(Hand::Caller, &[opcode::Connect::CODE, opcode::Socket::CODE])?;
            heard(step, ring.connect_in_slot(family(&address), bytes(&address))?)?;
        }
        "compat-connect" => {
            let (address, socket) = stream(steps)?;
            heard(step, compat::connect(&socket, bytes(&address), compat::CONNECT)?)?;
        }
        "compat-socketcall" => {
            let (address, socket) = stream(steps)?;
            heard(step, compat::connect(&socket, bytes(&address), compat::SOCKETCALL)?)?;
        }
        "netns-connect" => {
            let at = address(steps)?;
            in_own_network(at.as_sockaddr_in().map(SockaddrIn::ip))?;
            let listener = socket(family(&at), libc::SOCK_STREAM, 0)?;
            bind(listener.as_raw_fd(), &at)?;
            listen(&listener, Backlog::new(1)?)?;
            let socket = socket(family(&at), libc::SOCK_STREAM, 0)?;
            connect(socket.as_raw_fd(), &at)?;
        }
        "accept-one" => drop(listening(steps.next()?)?.accept()?),
        "uring-accept-one" => {
            let mut ring = Ring::new(Hand::Caller, &[opcode::Accept::CODE])?;
            let listener = listening_soon(steps.next()?)?;
            drop(ring.accept(&listener)?);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn udp(step: &str, steps: &mut Steps<'_>) -> Result<bool> {
    let mut peer = || {
        let address = address(steps)?;
        let socket = socket(family(&address), libc::SOCK_DGRAM, 0)?;
        Ok::<_, anyhow::Error>((address, socket))
    };
    let nothing = MsgFlags::empty();
    match step {
        "udp-connect" => {
            let (address, socket) = peer()?;
            heard(step, connect(socket.as_raw_fd(), &address))?;
        }
        "udp-send-connected" => {
            let (address, socket) = peer()?;
            heard(step, connect(socket.as_raw_fd(), &address))?;
            heard(step, nix::sys::socket::send(socket.as_raw_fd(), TEXT, nothing))?;
        }
        "udp-send" => {
            let (address, socket) = peer()?;
            heard(step, sendto(socket.as_raw_fd(), TEXT, &address, nothing))?;
        }
        "udp-sendmsg" => {
            let (address, socket) = peer()?;
            let text = [IoSlice::new(TEXT)];
            heard(step, sendmsg(socket.as_raw_fd(), &text, &[], nothing, Some(&address)))?;
        }
        "udp-sendmmsg" => {
            let (address, socket) = peer()?;
            let text = [[IoSlice::new(TEXT)], [IoSlice::new(TEXT)]];
            let to = [Some(address), Some(address)];
            let mut headers = MultiHeaders::preallocate(text.len(), None);
            let sent = sendmmsg(socket.as_raw_fd(), &mut headers, &text, to, [], nothing);
            heard(step, sent.map(drop))?;
        }
        "udp-uring-send" => {
            let (address, socket) = peer()?;
            let mut ring = Ring::new(Hand::Caller, &[opcode::SendMsg::CODE])?;
            heard(step, ring.send_to(&socket, bytes(&address), TEXT)?)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn other(step: &str, steps: &mut Steps<'_>) -> Result<bool> {
    match step {
        "unix-connect" => {
            let socket = socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
            heard(step, connect(socket.as_raw_fd(), &UnixAddr::new(steps.next()?)?))?;
        }
        "unix-connect-abstract" => {
            let socket = socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
            let address = UnixAddr::new_abstract(steps.next()?.as_bytes())?;
            heard(step, connect(socket.as_raw_fd(), &address))?;
        }
        "vsock-connect" => {
            let address = VsockAddr::new(steps.number()?, steps.number()?);
            let socket = socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)?;
            heard(step, connect(socket.as_raw_fd(), &address))?;
        }
        "vsock-listen" => {
            let address = VsockAddr::new(libc::VMADDR_CID_ANY, steps.number()?);
            let socket = socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)?;
            there("vsock", bind(socket.as_raw_fd(), &address))?;
            there("vsock", listen(&socket, Backlog::new(1)?))?;
            place(steps.next()?, "")?;
            await_input("a peer", &socket)?;
            nix::unistd::close(nix::sys::socket::accept(socket.as_raw_fd())?)?;
        }
        "raw-send" => echo(step, steps, libc::SOCK_RAW)?,
        "ping-send" => {
            in_own_network(None)?;
            // Which groups may do so; nobody, by the kernel's default.
            std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 0").context("ping_group_range")?;
            echo(step, steps, libc::SOCK_DGRAM)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Type 8 is an echo request; the rest is an identity, a number, and the checksum of it all.
fn echo(step: &str, steps: &mut Steps<'_>, kind: i32) -> Result<()> {
    let request = [8, 0, 0xf7, 0xfd, 0, 1, 0, 1];
    let to = SockaddrStorage::from(SocketAddr::V4(SocketAddrV4::new(steps.number()?, 0)));
    let socket = socket(libc::AF_INET, kind, libc::IPPROTO_ICMP)?;
    heard(step, sendto(socket.as_raw_fd(), &request, &to, MsgFlags::empty()))
}

/// What a peer, or its absence, may answer.
fn heard<T>(what: &str, outcome: nix::Result<T>) -> Result<()> {
    let outcome = outcome.map(drop);
    match outcome {
        Err(
            Errno::ECONNREFUSED
            | Errno::ECONNRESET
            | Errno::EHOSTUNREACH
            | Errno::EINPROGRESS
            | Errno::ENETUNREACH
            | Errno::ETIMEDOUT,
        ) => Ok(()),
        other => there(what, other),
    }
}

fn socket(family: i32, kind: i32, protocol: i32) -> Result<OwnedFd> {
    // SAFETY: numbers only.
    let made = Errno::result(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) });
    // SAFETY: the kernel has just made it for us.
    let socket = unsafe { OwnedFd::from_raw_fd(there("socket", made)?) };
    // A connect is sending, too.
    setsockopt(&socket, sockopt::SendTimeout, &TimeVal::new(5, 0))?;
    Ok(socket)
}

fn stream(steps: &mut Steps<'_>) -> Result<(SockaddrStorage, OwnedFd)> {
    let address = address(steps)?;
    let socket = socket(family(&address), libc::SOCK_STREAM, 0)?;
    Ok((address, socket))
}

fn address(steps: &mut Steps<'_>) -> Result<SockaddrStorage> {
    Ok(steps.number::<SocketAddr>()?.into())
}

fn family(address: &SockaddrStorage) -> i32 {
    if address.as_sockaddr_in6().is_some() { libc::AF_INET6 } else { libc::AF_INET }
}

/// An address as the kernel reads it.
fn bytes(address: &SockaddrStorage) -> &[u8] {
    let length = usize::try_from(address.len()).unwrap_or_default();
    // SAFETY: an address has the length that it says it has.
    unsafe { std::slice::from_raw_parts(address.as_ptr().cast(), length) }
}

/// A listener whose port others can read.
pub(crate) fn listening_soon(port_file: &str) -> Result<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    place(port_file, &listener.local_addr()?.port().to_string())?;
    Ok(listener)
}

/// The same, when somebody has come.
fn listening(port_file: &str) -> Result<TcpListener> {
    let listener = listening_soon(port_file)?;
    await_input("a peer", &listener)?;
    Ok(listener)
}

/// A network of our own, with a loopback that works, and has the address that is asked for.
fn in_own_network(own: Option<Ipv4Addr>) -> Result<()> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNET).context("a network of our own")?;
    let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    // SAFETY: zeros are a request: for the flags of a device without a name.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    if let Some(own) = own.filter(|own| !own.is_loopback()) {
        // SAFETY: zeros are an address.
        let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
        address.sin_family = libc::sa_family_t::try_from(libc::AF_INET)?;
        address.sin_addr.s_addr = u32::from_ne_bytes(own.octets());
        // SAFETY: two structs of one size, made for that.
        request.ifr_ifru.ifru_addr =
            unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(address) };
        // SAFETY: the request lives.
        let set = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFADDR, &raw const request) };
        Errno::result(set).context("an address of lo")?;
    }
    // SAFETY: the request lives.
    let got = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) };
    Errno::result(got).context("the flags of lo")?;
    // SAFETY: the kernel has just written this member.
    unsafe { request.ifr_ifru.ifru_flags |= i16::try_from(libc::IFF_UP)? };
    // SAFETY: the request lives.
    let set = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    Errno::result(set).map(drop).context("lo up")
}
