//! What becomes of a connection.
//!
//! Kernel contract: `trace_inet_sock_set_state(const struct sock *sk, int oldstate, int newstate)`. To `TCP_SYN_SENT` in
//! the caller's context; from there to `TCP_ESTABLISHED` or, with `sk_err` set, to `TCP_CLOSE`, mostly in an interrupt,
//! where the current task is anybody: the socket says whose connection it was. A call that fails before a packet was
//! sent (no route, no port) changes no state, or changes it back with `sk_err` unset: there the call's own result tells,
//! `int __sys_connect_file(struct file *, struct sockaddr_storage *, int, int)`, which the call and io_uring go through
//! (5.5). So it does for datagrams and vsock, which have no such states.
//!
//! A connection that was accepted is over for whoever serves it when its socket leaves the established states by `close` or
//! `shutdown`: to `TCP_FIN_WAIT1`, to `TCP_LAST_ACK` after the other side had closed, or to `TCP_CLOSE`.
//!
//! Of MPTCP the state of the socket that was asked says too little: its first subflow, a TCP socket that the kernel
//! connects within the same call, takes its place.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::{btf_tracepoint, fexit, kretprobe};
use aya_ebpf::programs::{BtfTracePointContext, FExitContext, RetProbeContext};
use spoor_wire::body::ERRNO_NONE;
use spoor_wire::{AcceptEnd, ConnectEnd, Fault, Kind, Source};

use super::connect::{
    AF_UNIX, AF_VSOCK, IPPROTO_MPTCP, IPPROTO_SCTP, IPPROTO_TCP, address, asked_of, begin, destination_of,
    gate, manner, remember_call,
};
use crate::again::{Twins, twins};
use crate::count::fault;
use crate::emit::{Head, Wake, about};
use crate::gate::{current_tgid, muted};
use crate::maps::{
    CALLS, DATAGRAM, Ends, HELLOS, IN_CALL, LATER, MULTIPATH, PENDING, Pending, SENT, SERVED, SYSCALLS,
    UNTRACED,
};
use crate::read::{Guarded, Plain, Read, Unreadable, bytes16, cleared, field, off, user};
use crate::syscall::{self, Syscall, file_of, sk_of, syscall};

const TCP_ESTABLISHED: u32 = 1;
const TCP_SYN_SENT: u32 = 2;
const TCP_FIN_WAIT1: u32 = 4;
const TCP_CLOSE: u32 = 7;
const TCP_LAST_ACK: u32 = 9;
const EPERM: i32 = 1;
const EACCES: i32 = 13;
const EISCONN: i32 = 106;
const EALREADY: i32 = 114;

/// `tp_btf/inet_sock_set_state`
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn tp_state(ctx: BtfTracePointContext) -> i32 {
    let change = (ctx.arg::<u64>(0), ctx.arg::<u64>(1) as u32, ctx.arg::<u64>(2) as u32);
    Twins::State.begin();
    changed(change);
    Twins::State.end(change.0, change.2);
    0
}

/// `tp_btf/inet_sock_set_state`
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn tp_state_again(ctx: BtfTracePointContext) -> i32 {
    let change = (ctx.arg::<u64>(0), ctx.arg::<u64>(1) as u32, ctx.arg::<u64>(2) as u32);
    if Twins::State.was_passed_by(change.0, change.2) {
        changed(change);
    }
    0
}

#[inline(always)]
fn changed((sk, old, new): (u64, u32, u32)) {
    if !muted("inet_sock_set_state") && try_state(sk, old, new).is_err() {
        fault(Source::TpState, Fault::Socket);
    }
}

#[inline(always)]
fn try_state(sk: u64, old: u32, new: u32) -> Result<(), Unreadable> {
    if new == TCP_SYN_SENT {
        return sent(sk);
    }
    if new == TCP_FIN_WAIT1 || new == TCP_LAST_ACK || new == TCP_CLOSE {
        served(sk);
    }
    if new != TCP_ESTABLISHED && new != TCP_CLOSE {
        return Ok(());
    }
    let Some(pending) = awaited(sk)? else { return Ok(()) };
    if new == TCP_ESTABLISHED {
        await_hello(sk, &pending);
        end::<Plain>(sk, &pending, 0, Source::TpState);
        return Ok(());
    }
    let error = Plain::get::<u32>(sk, off!(sock__sk_err))?;
    if error != 0 {
        end::<Plain>(sk, &pending, error, Source::TpState);
    } else if old == TCP_SYN_SENT && !(pending.state & IN_CALL != 0 && pending.tgid == current_tgid()) {
        end::<Plain>(sk, &pending, ERRNO_NONE, Source::TpState);
    }
    Ok(())
}

/// Whoever serves a connection has closed it, or it broke. Told once: what comes after finds nothing.
#[inline(always)]
fn served(sk: u64) {
    // SAFETY: copied at once; an entry is of one accepted socket.
    let Some(served) = (unsafe { SERVED.get(sk) }).copied() else { return };
    if SERVED.remove(sk).is_err() {
        return;
    }
    about(
        Head { kind: Kind::AcceptEnd, source: Source::TpState, marks: 0 },
        (served.tgid, served.start_ns),
        Wake::Later,
        AcceptEnd { conn_id: served.conn_id },
    );
}

/// The first packet is about to leave: the call that asked was seen, or this is the first that is known of it.
#[inline(always)]
fn sent(sk: u64) -> Result<(), Unreadable> {
    // Whoever sends it is who asked, and he alone: of most processes that is all.
    let Some(marked) = gate(current_tgid()) else { return Ok(()) };
    if let Some(known) = pending(sk)
        && known.state & SENT == 0
        && known.tgid == current_tgid()
    {
        let _ = PENDING.insert(sk, Pending { state: known.state | SENT, ..known }, 0);
        return Ok(());
    }
    let thread = bpf_get_current_pid_tgid();
    let mut protocol = Plain::get::<u16>(sk, off!(sock__sk_protocol))?;
    if protocol == IPPROTO_MPTCP {
        // Not known, so in the tier that sees no entry: the subflow comes next, and tells where to.
        remember_call(thread, sk, Source::TpState);
        return Ok(());
    }
    if protocol != IPPROTO_TCP {
        return Ok(());
    }
    if let Some(parent) = called(thread)
        && parent != sk
        && field::<u16>(parent, off!(sock__sk_protocol)).unwrap_or(0) == IPPROTO_MPTCP
    {
        protocol = IPPROTO_MPTCP;
        if let Some(known) = pending(parent)
            && known.state & MULTIPATH != 0
        {
            let _ = PENDING.remove(parent);
            remember_call(thread, sk, Source::TpState);
            if PENDING.insert(sk, Pending { state: known.state | SENT, ..known }, 0).is_err() {
                fault(Source::TpState, Fault::ConnFull);
            }
            return Ok(());
        }
    }
    if !muted("socket_connect") {
        begin(
            Plain::number(sk),
            destination_of::<Plain>(sk, protocol)?,
            IN_CALL | SENT,
            marked,
            Source::TpState,
        );
    }
    Ok(())
}

twins! {
    /// `fexit/__sys_connect_file`
    fexit of "__sys_connect_file": fexit_connect, fexit_connect_again by Twins::Connected;
    |ctx: FExitContext| {
        // The result lies behind the four arguments. (`bpf_get_func_ret` would ask for 5.17.)
        let (file, address, ret) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1), ctx.arg::<i32>(4));
        if !muted("connect_return") && try_return(file, address, ret).is_err() {
            fault(Source::FexitConnect, Fault::Socket);
        }
    }
}

#[inline(always)]
fn try_return(file: u64, address: u64, ret: i32) -> Result<(), Unreadable> {
    let source = Source::FexitConnect;
    let thread = bpf_get_current_pid_tgid();
    let refused = ret == -EPERM || ret == -EACCES;
    let asked = called(thread);
    if asked.is_some() {
        let _ = CALLS.remove(thread);
    } else if gate((thread >> 32) as u32).is_none() {
        // Nothing began in this call, and what an earlier one began is awaited of whoever made that.
        return Ok(());
    }
    let address = Plain::number(address);
    let Some(sk) = sk_of::<Plain>(file)? else { return Ok(()) };
    if returned(in_place_of(sk, asked), ret, source) {
        return Ok(());
    }
    // A security module that comes before ours has refused it: then ours was not asked.
    if refused && asked_of::<Guarded>(sk, |at| field(address, at), |at| field(address, at), source)? {
        let _ = CALLS.remove(thread);
        returned(sk, ret, source);
    }
    Ok(())
}

/// The socket that stands for the one that was asked: of MPTCP its subflow.
#[inline(always)]
fn in_place_of(sk: u64, asked: Option<u64>) -> u64 {
    match asked {
        Some(other) if field::<u16>(sk, off!(sock__sk_protocol)).unwrap_or(0) == IPPROTO_MPTCP => other,
        _ => sk,
    }
}

/// `kretprobe/__sys_connect_file`: which socket it was, the entry probe has left behind.
#[kretprobe(function = "__sys_connect_file")]
pub fn kretprobe_connect(ctx: RetProbeContext) -> u32 {
    if muted("connect_return") {
        return 0;
    }
    let thread = bpf_get_current_pid_tgid();
    if let Some(sk) = called(thread) {
        let _ = CALLS.remove(thread);
        returned(sk, ctx.ret::<i32>(), Source::KretprobeConnect);
    }
    0
}

/// `tp_btf/sys_exit`: in the tier that does not see the call's entry.
#[btf_tracepoint(function = "sys_exit")]
pub fn tp_connect(ctx: BtfTracePointContext) -> i32 {
    let (regs, ret) = (ctx.arg::<u64>(0), ctx.arg::<i64>(1) as i32);
    let Some(call) = syscall(regs) else { return 0 };
    match try_call(call, regs, ret) {
        Ok(true) => {
            // SAFETY: the programs in there are of this type and for this attach point.
            unsafe { SYSCALLS.tail_call(&ctx, syscall::UNIX) };
        }
        Ok(false) => {}
        Err(Unreadable) => fault(Source::TpConnect, Fault::Socket),
    }
    0
}

/// True where the call is that of a unix socket, which another program looks after.
#[inline(always)]
fn try_call(call: Syscall, regs: u64, ret: i32) -> Result<bool, Unreadable> {
    const EBADF: i32 = 9;
    const ENOTSOCK: i32 = 88;
    let thread = bpf_get_current_pid_tgid();
    let asked = called(thread);
    if asked.is_some() {
        let _ = CALLS.remove(thread);
    }
    if ret == -EBADF || ret == -ENOTSOCK {
        return Ok(false);
    }
    let file = file_of(call.argument(regs, 0)?)?;
    if file == 0 {
        fault(Source::TpConnect, Fault::DescriptorGone);
        return Ok(false);
    }
    let Some(sk) = sk_of::<Guarded>(file)? else { return Ok(false) };
    if field::<u16>(sk, off!(sock__skc_family))? == AF_UNIX {
        return Ok(true);
    }
    let there = in_place_of(sk, asked);
    // What the tracepoint saw begin in this call, has ended there if it is not awaited any more.
    if muted("connect_return") || returned(there, ret, Source::TpConnect) || asked == Some(there) {
        return Ok(false);
    }
    let traced = manner::<Guarded>(sk)?.is_some_and(|manner| manner.state & (DATAGRAM | UNTRACED) == 0);
    if ret == -EALREADY || ret == -EISCONN || traced && (ret >= 0 || undecided(ret) || asks(ret)) {
        return Ok(false);
    }
    // No packet was sent, or none that a tracepoint tells of. The address is still there.
    let at = call.argument(regs, 1)?;
    let there = |offset: u32| at.wrapping_add(u64::from(offset));
    let source = Source::TpConnect;
    if asked_of::<Guarded>(sk, |offset| user(there(offset)), |offset| user(there(offset)), source)? {
        let _ = CALLS.remove(thread);
        returned(sk, ret, source);
    }
    Ok(false)
}

/// An answer of the other side, or none in time: had this call begun the connection, a packet would have been seen. It
/// only asks how a connection goes which another call had begun.
#[inline(always)]
fn asks(ret: i32) -> bool {
    // aborted, reset, timed out, refused
    matches!(-ret, 103 | 104 | 110 | 111)
}

/// A result that leaves the connection going on: in progress, already, is connected, interrupted, to be restarted.
#[inline(always)]
fn undecided(ret: i32) -> bool {
    matches!(-ret, 115 | EALREADY | EISCONN | 4 | 512 | 513 | 514 | 516)
}

/// A call has returned. False where it is of a connection that is not awaited.
#[inline(always)]
fn returned(sk: u64, ret: i32, source: Source) -> bool {
    let known = match pending(sk) {
        Some(known) => known,
        None => match later(sk) {
            Some(known) if known.tgid == current_tgid() => known,
            _ => return false,
        },
    };
    let there = ret == 0 || ret == -EISCONN;
    if known.state & (DATAGRAM | UNTRACED) != 0 && there {
        end::<Guarded>(sk, &known, 0, source);
    } else if ret < 0 && (known.state & DATAGRAM != 0 || !undecided(ret)) {
        end::<Guarded>(sk, &known, ret.unsigned_abs(), source);
    } else if known.state & UNTRACED != 0 {
        let _ = PENDING.remove(sk);
        let _ = LATER.insert(sk, Pending { state: known.state & !IN_CALL, ..known }, 0);
    } else {
        let _ = PENDING.insert(sk, Pending { state: known.state & !IN_CALL, ..known }, 0);
    }
    true
}

/// The connection of a socket whose state has changed.
#[inline(always)]
fn awaited(sk: u64) -> Result<Option<Pending>, Unreadable> {
    match pending(sk) {
        None if Plain::get::<u16>(sk, off!(sock__sk_protocol))? == IPPROTO_SCTP => Ok(later(sk)),
        known => Ok(known),
    }
}

#[inline(always)]
fn pending(sk: u64) -> Option<Pending> {
    // SAFETY: copied at once; an entry is replaced only by the same socket's next state.
    unsafe { PENDING.get(sk) }.copied()
}

#[inline(always)]
fn later(sk: u64) -> Option<Pending> {
    // SAFETY: as above.
    unsafe { LATER.get(sk) }.copied()
}

/// The socket that a thread is connecting.
#[inline(always)]
fn called(thread: u64) -> Option<u64> {
    // SAFETY: a number, copied at once.
    unsafe { CALLS.get(thread) }.copied()
}

/// Remembers an established connection until its client speaks.
#[inline(always)]
fn await_hello(sk: u64, pending: &Pending) {
    match ends(sk) {
        Ok(ends) => {
            // The oldest makes room, so that there is always some.
            let _ = HELLOS.insert(ends, pending.conn_id, 0);
        }
        Err(Unreadable) => fault(Source::TpState, Fault::Socket),
    }
}

#[inline(always)]
fn ends(sk: u64) -> Result<Ends, Unreadable> {
    let family = Plain::get::<u16>(sk, off!(sock__skc_family))?;
    Ok(Ends {
        saddr: address::<Plain>(sk, family, off!(sock__skc_rcv_saddr), off!(sock__skc_v6_rcv_saddr))?,
        daddr: address::<Plain>(sk, family, off!(sock__skc_daddr), off!(sock__skc_v6_daddr))?,
        sport: u32::from(Plain::get::<u16>(sk, off!(sock__skc_num))?),
        dport: u32::from(u16::from_be(Plain::get(sk, off!(sock__skc_dport))?)),
        family: u64::from(family),
    })
}

/// Emits the outcome. The socket is told from the table first: whoever comes second finds nothing.
#[inline(always)]
fn end<R: Read>(sk: u64, pending: &Pending, errno: u32, source: Source) {
    let number = R::number(sk);
    if PENDING.remove(number).is_err() && LATER.remove(number).is_err() {
        return;
    }
    let family = R::get::<u16>(sk, off!(sock__skc_family)).unwrap_or(0);
    let (saddr, sport) = if family == AF_VSOCK {
        (cleared(), 0)
    } else {
        (
            address::<R>(sk, family, off!(sock__skc_rcv_saddr), off!(sock__skc_v6_rcv_saddr))
                .unwrap_or(cleared()),
            R::get(sk, off!(sock__skc_num)).unwrap_or(0),
        )
    };
    let body = ConnectEnd { conn_id: pending.conn_id, errno, sport, family, saddr: bytes16(saddr) };
    about(
        Head { kind: Kind::ConnectEnd, source, marks: 0 },
        (pending.tgid, pending.start_ns),
        Wake::Now,
        body,
    );
}
