//! A TCP connection is asked for.
//!
//! Kernel contract, LSM, fentry and kprobe: `security_socket_connect(struct socket *sock, struct sockaddr *address, int
//! addrlen)`; the address is the kernel's copy. Tracepoint: `trace_inet_sock_set_state(const struct sock *sk, int
//! oldstate, int newstate)` to `TCP_SYN_SENT`, which runs in the caller's context; it also catches what the others do
//! not, a connection made by a send (`MSG_FASTOPEN`).

use aya_ebpf::helpers::{bpf_get_current_pid_tgid, generated::bpf_get_prandom_u32};
use aya_ebpf::macros::{fentry, kprobe, lsm};
use aya_ebpf::programs::{FEntryContext, LsmContext, ProbeContext};
use spoor_wire::control::{MARK_CANARY, MARK_HOLDS, MARK_SERVICE};
use spoor_wire::{Connect, Fault, Kind, Source};

use crate::count::fault;
use crate::emit::{Head, Wake, by_current, now};
use crate::gate::{marks, muted, watched};
use crate::maps::{CALLS, IN_CALL, PENDING, Pending};
use crate::read::{Unreadable, bytes16, field, off};
use crate::task::{self, is_kthread, is_service, start_of};

pub const AF_INET: u16 = 2;
pub const AF_INET6: u16 = 10;
const IPPROTO_TCP: u16 = 6;
const TCP_CLOSE: u8 = 7;

/// `lsm/socket_connect(struct socket *sock, struct sockaddr *address, int addrlen)`
#[lsm(hook = "socket_connect")]
pub fn lsm_connect(ctx: LsmContext) -> i32 {
    asked(ctx.arg::<u64>(0), ctx.arg::<u64>(1), Source::LsmConnect);
    // Observe only: what earlier programs decided stands.
    ctx.arg::<i32>(3)
}

/// `fentry/security_socket_connect`
#[fentry(function = "security_socket_connect")]
pub fn fentry_connect(ctx: FEntryContext) -> i32 {
    asked(ctx.arg::<u64>(0), ctx.arg::<u64>(1), Source::FentryConnect);
    0
}

/// `kprobe/security_socket_connect`
#[kprobe(function = "security_socket_connect")]
pub fn kprobe_connect(ctx: ProbeContext) -> u32 {
    if let (Some(socket), Some(address)) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1)) {
        asked(socket, address, Source::KprobeConnect);
    }
    0
}

#[inline(always)]
fn asked(socket: u64, address: u64, source: Source) {
    if muted("socket_connect") {
        return;
    }
    if try_asked(socket, address, source).is_err() {
        fault(source, Fault::Socket);
    }
}

#[inline(always)]
fn try_asked(socket: u64, address: u64, source: Source) -> Result<(), Unreadable> {
    let sk = field::<u64>(socket, off!(socket__sk))?;
    // A second call on a socket that is connecting only asks how it goes.
    if !is_tcp(sk)? || field::<u8>(sk, off!(sock__skc_state))? != TCP_CLOSE {
        return Ok(());
    }
    let Some(to) = destination(|offset| field(address, offset), |offset| field(address, offset))? else {
        return Ok(());
    };
    begin(sk, to, IN_CALL, source);
    Ok(())
}

/// Whether a socket speaks TCP.
#[inline(always)]
pub fn is_tcp(sk: u64) -> Result<bool, Unreadable> {
    Ok(field::<u16>(sk, off!(sock__sk_protocol))? == IPPROTO_TCP)
}

/// Destination of a `struct sockaddr`, wherever its memory is; `None` where it is of another family.
#[inline(always)]
pub fn destination(
    short: impl Fn(u32) -> Result<u16, Unreadable>,
    word: impl Fn(u32) -> Result<u32, Unreadable>,
) -> Result<Option<Connect>, Unreadable> {
    let family = short(0)?;
    let pair =
        |at: u32| -> Result<u64, Unreadable> { Ok(u64::from(word(at)?) | u64::from(word(at + 4)?) << 32) };
    let daddr = match family {
        AF_INET => [u64::from(word(4)?), 0],
        AF_INET6 => [pair(8)?, pair(16)?],
        _ => return Ok(None),
    };
    let dport = u16::from_be(short(2)?);
    Ok(Some(Connect { conn_id: 0, daddr: bytes16(daddr), family, dport, protocol: u32::from(IPPROTO_TCP) }))
}

/// Destination of a socket that knows it already.
#[inline(always)]
pub fn destination_of(sk: u64) -> Result<Connect, Unreadable> {
    let family = field::<u16>(sk, off!(sock__skc_family))?;
    let daddr = address(sk, family, off!(sock__skc_daddr), off!(sock__skc_v6_daddr))?;
    let dport = u16::from_be(field(sk, off!(sock__skc_dport))?);
    Ok(Connect { conn_id: 0, daddr: bytes16(daddr), family, dport, protocol: u32::from(IPPROTO_TCP) })
}

/// An address of a socket, as two words of memory.
#[inline(always)]
pub fn address(sk: u64, family: u16, v4: u32, v6: u32) -> Result<[u64; 2], Unreadable> {
    if family == AF_INET6 { field(sk, v6) } else { Ok([u64::from(field::<u32>(sk, v4)?), 0]) }
}

/// Whether the current task's connections leave the kernel, and its marks.
#[inline(always)]
pub fn gate(task: u64, tgid: u32) -> Option<u32> {
    if is_kthread(task) || !watched(task, tgid) {
        return None;
    }
    let marked = marks(task, tgid);
    let wanted = marked & (MARK_HOLDS | MARK_SERVICE | MARK_CANARY) != 0 || is_service(task);
    wanted.then_some(marked)
}

/// Emits the asking and remembers the socket, so that the outcome finds back to it. Gives the connection's number.
#[inline(always)]
pub fn begin(sk: u64, mut to: Connect, state: u32, source: Source) -> Option<u64> {
    let pid_tgid = bpf_get_current_pid_tgid();
    let tgid = (pid_tgid >> 32) as u32;
    let task = task::current();
    let marked = gate(task, tgid)?;
    // SAFETY: no arguments.
    let random = unsafe { bpf_get_prandom_u32() };
    to.conn_id = now() ^ (u64::from(random) << 32);
    let pending = Pending { conn_id: to.conn_id, start_ns: start_of(task), tgid, state };
    if PENDING.insert(sk, pending, 0).is_err() {
        fault(source, Fault::ConnFull);
    }
    if CALLS.insert(pid_tgid, sk, 0).is_err() {
        fault(source, Fault::ConnFull);
    }
    by_current(Head { kind: Kind::Connect, source, marks: marked }, Wake::Now, to);
    Some(to.conn_id)
}
