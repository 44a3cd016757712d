//! A connection is asked for.
//!
//! Kernel contract, LSM, fentry and kprobe: `security_socket_connect(struct socket *sock, struct sockaddr *address, int
//! addrlen)`, called for every family, by the call and by io_uring; the address is the kernel's copy. Tracepoint:
//! `trace_inet_sock_set_state(const struct sock *sk, int oldstate, int newstate)` to `TCP_SYN_SENT`, which runs in the
//! caller's context; it also catches what the others do not, a connection made by a send (`MSG_FASTOPEN`). What is
//! connected without such a state (datagrams, vsock) is seen there when the call returns.

use aya_ebpf::helpers::{bpf_get_current_pid_tgid, generated::bpf_get_prandom_u32};
use aya_ebpf::macros::{fentry, kprobe, lsm};
use aya_ebpf::programs::{FEntryContext, LsmContext, ProbeContext};
use spoor_wire::control::{MARK_CANARY, MARK_HOLDS, MARK_SERVICE};
use spoor_wire::{Connect, Fault, Kind, Source};

use crate::again::{Twins, twins};
use crate::count::fault;
use crate::emit::{Head, Wake, by_current, now};
use crate::gate::{current_tgid, marks, muted, watched};
use crate::maps::{CALLS, DATAGRAM, IN_CALL, MULTIPATH, PENDING, Pending, UNTRACED};
use crate::read::{Guarded, Plain, Read, Unreadable, bytes16, field, off};
use crate::task::{is_kthread, is_service, started};

pub const AF_UNIX: u16 = 1;
pub const AF_INET: u16 = 2;
pub const AF_INET6: u16 = 10;
pub const AF_VSOCK: u16 = 40;
const SOCK_RAW: u16 = 3;
pub const IPPROTO_TCP: u16 = 6;
const IPPROTO_DCCP: u16 = 33;
pub const IPPROTO_SCTP: u16 = 132;
const IPPROTO_RAW: u16 = 255;
pub const IPPROTO_MPTCP: u16 = 262;
const TCP_CLOSE: u8 = 7;

/// `lsm/socket_connect(struct socket *sock, struct sockaddr *address, int addrlen)`
#[lsm(hook = "socket_connect")]
pub fn lsm_connect(ctx: LsmContext) -> i32 {
    asked::<Plain>(ctx.arg::<u64>(0), ctx.arg::<u64>(1), Source::LsmConnect);
    // Observe only: what earlier programs decided stands.
    ctx.arg::<i32>(3)
}

twins! {
    /// `fentry/security_socket_connect`
    fentry of "security_socket_connect": fentry_connect, fentry_connect_again by Twins::Connect;
    |ctx: FEntryContext| {
        asked::<Plain>(ctx.arg::<u64>(0), ctx.arg::<u64>(1), Source::FentryConnect);
    }
}

/// `kprobe/security_socket_connect`
#[kprobe(function = "security_socket_connect")]
pub fn kprobe_connect(ctx: ProbeContext) -> u32 {
    if let (Some(socket), Some(address)) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1)) {
        asked::<Guarded>(socket, address, Source::KprobeConnect);
    }
    0
}

#[inline(always)]
fn asked<R: Read>(socket: u64, address: u64, source: Source) {
    if muted("socket_connect") {
        return;
    }
    if try_asked::<R>(socket, address, source).is_err() {
        fault(source, Fault::Socket);
    }
}

#[inline(always)]
fn try_asked<R: Read>(socket: u64, address: u64, source: Source) -> Result<(), Unreadable> {
    let sk = R::get::<u64>(socket, off!(socket__sk))?;
    let address = R::number(address);
    asked_of::<R>(sk, |at| field(address, at), |at| field(address, at), source)?;
    Ok(())
}

/// Emits the asking, where the socket is one that connects, and is not connecting already. True where it was emitted.
#[inline(always)]
pub fn asked_of<R: Read>(
    sk: u64,
    short: impl Fn(u32) -> Result<u16, Unreadable>,
    word: impl Fn(u32) -> Result<u32, Unreadable>,
    source: Source,
) -> Result<bool, Unreadable> {
    // Of most processes that is all.
    let Some(marked) = gate(current_tgid()) else { return Ok(false) };
    let Some(manner) = manner::<R>(sk)? else { return Ok(false) };
    // A second call on a socket that is connecting only asks how it goes. Datagrams take a new destination at any time.
    if manner.state & DATAGRAM == 0 && R::get::<u8>(sk, off!(sock__skc_state))? != TCP_CLOSE {
        return Ok(false);
    }
    let Some(to) = destination(&manner, short, word)? else { return Ok(false) };
    begin(R::number(sk), to, IN_CALL | manner.state, marked, source);
    Ok(true)
}

/// How a socket connects.
pub struct Manner {
    pub family: u16,
    pub protocol: u16,
    /// The socket's packets are the sender's own from the header of IP on.
    pub raw: bool,
    /// As in [`Pending::state`].
    pub state: u32,
}

/// `None` of families that are nothing to us here.
#[inline(always)]
pub fn manner<R: Read>(sk: u64) -> Result<Option<Manner>, Unreadable> {
    let family = R::get::<u16>(sk, off!(sock__skc_family))?;
    if family == AF_VSOCK {
        return Ok(Some(Manner { family, protocol: 0, raw: false, state: UNTRACED }));
    }
    if family != AF_INET && family != AF_INET6 {
        return Ok(None);
    }
    let raw = R::get::<u16>(sk, off!(sock__sk_type))? == SOCK_RAW;
    let spoken = R::get::<u16>(sk, off!(sock__sk_protocol))?;
    let state = match spoken {
        IPPROTO_TCP | IPPROTO_DCCP => 0,
        IPPROTO_MPTCP => MULTIPATH,
        IPPROTO_SCTP => UNTRACED,
        _ => DATAGRAM,
    };
    // A raw socket of a protocol with connections makes none.
    let (protocol, state) = match raw {
        true if state != DATAGRAM => (IPPROTO_RAW, DATAGRAM),
        _ => (spoken, state),
    };
    Ok(Some(Manner { family, protocol, raw, state }))
}

/// Destination of a `struct sockaddr`, wherever its memory is; `None` where it is of another family than the socket takes
/// (`AF_UNSPEC` gives a connection up).
#[inline(always)]
pub fn destination(
    manner: &Manner,
    short: impl Fn(u32) -> Result<u16, Unreadable>,
    word: impl Fn(u32) -> Result<u32, Unreadable>,
) -> Result<Option<Connect>, Unreadable> {
    let family = short(0)?;
    if (family == AF_VSOCK) != (manner.family == AF_VSOCK) {
        return Ok(None);
    }
    let daddr = match family {
        AF_INET => [u64::from(word(4)?), 0],
        AF_INET6 => [pair(word(8)?, word(12)?), pair(word(16)?, word(20)?)],
        AF_VSOCK => [pair(word(8)?, word(4)?), 0],
        _ => return Ok(None),
    };
    let dport = if family == AF_VSOCK || manner.raw { 0 } else { u16::from_be(short(2)?) };
    let protocol = u32::from(manner.protocol);
    Ok(Some(Connect { conn_id: 0, daddr: bytes16(daddr), family, dport, protocol }))
}

/// Two words as they follow one another in memory.
#[inline(always)]
pub const fn pair(first: u32, second: u32) -> u64 {
    first as u64 | (second as u64) << 32
}

/// Destination of a socket that knows it already.
#[inline(always)]
pub fn destination_of<R: Read>(sk: u64, protocol: u16) -> Result<Connect, Unreadable> {
    let family = R::get::<u16>(sk, off!(sock__skc_family))?;
    let daddr = address::<R>(sk, family, off!(sock__skc_daddr), off!(sock__skc_v6_daddr))?;
    let dport = u16::from_be(R::get(sk, off!(sock__skc_dport))?);
    Ok(Connect { conn_id: 0, daddr: bytes16(daddr), family, dport, protocol: protocol.into() })
}

/// An address of a socket, as two words of memory.
#[inline(always)]
pub fn address<R: Read>(sk: u64, family: u16, v4: u32, v6: u32) -> Result<[u64; 2], Unreadable> {
    if family == AF_INET6 { field(R::number(sk), v6) } else { Ok([u64::from(R::get::<u32>(sk, v4)?), 0]) }
}

/// Whether the current task's connections leave the kernel, and its marks.
#[inline(always)]
pub fn gate(tgid: u32) -> Option<u32> {
    if is_kthread() || !watched(tgid) {
        return None;
    }
    let marked = marks(tgid);
    let wanted = marked & (MARK_HOLDS | MARK_SERVICE | MARK_CANARY) != 0 || is_service();
    wanted.then_some(marked)
}

/// Remembers the socket that a thread is connecting, for the return of its call.
#[inline(always)]
pub fn remember_call(thread: u64, sk: u64, source: Source) {
    if CALLS.insert(thread, sk, 0).is_err() {
        fault(source, Fault::ConnFull);
    }
}

/// A number for a connection, which no other has while anybody may speak of it.
#[inline(always)]
pub fn connection_number() -> u64 {
    // SAFETY: no arguments.
    let random = unsafe { bpf_get_prandom_u32() };
    now() ^ (u64::from(random) << 32)
}

/// Emits the asking by a process with these marks, and remembers the socket, so that the outcome finds back to it.
#[inline(always)]
pub fn begin(sk: u64, mut to: Connect, state: u32, marks: u32, source: Source) {
    let pid_tgid = bpf_get_current_pid_tgid();
    let tgid = (pid_tgid >> 32) as u32;
    to.conn_id = connection_number();
    let pending = Pending { conn_id: to.conn_id, start_ns: started(), tgid, state };
    if PENDING.insert(sk, pending, 0).is_err() {
        fault(source, Fault::ConnFull);
    }
    remember_call(pid_tgid, sk, source);
    by_current(Head { kind: Kind::Connect, source, marks }, Wake::Now, to);
}
