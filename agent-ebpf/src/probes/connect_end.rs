//! What becomes of a connection.
//!
//! Kernel contract: `trace_inet_sock_set_state(const struct sock *sk, int oldstate, int newstate)`. To `TCP_SYN_SENT` in
//! the caller's context; from there to `TCP_ESTABLISHED` or, with `sk_err` set, to `TCP_CLOSE`, mostly in an interrupt,
//! where the current task is anybody: the socket says whose connection it was. A call that fails before a packet was
//! sent (no route, no port) changes no state, or changes it back with `sk_err` unset: there the call's own result tells,
//! `int inet_stream_connect(struct socket *, struct sockaddr *, int, int)`.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::{btf_tracepoint, fexit, kretprobe};
use aya_ebpf::programs::{BtfTracePointContext, FExitContext, RetProbeContext};
use spoor_wire::body::ERRNO_NONE;
use spoor_wire::{ConnectEnd, Fault, Kind, Source};

use super::connect::{address, begin, destination, destination_of, is_tcp};
use crate::count::fault;
use crate::emit::{Head, Wake, about};
use crate::gate::{current_tgid, muted};
use crate::maps::{CALLS, IN_CALL, PENDING, Pending, SENT};
use crate::read::{Unreadable, bytes16, cleared, field, off, user};
use crate::syscall::{file_of, syscall};

const TCP_ESTABLISHED: u32 = 1;
const TCP_SYN_SENT: u32 = 2;
const TCP_CLOSE: u32 = 7;

/// `tp_btf/inet_sock_set_state`
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn tp_state(ctx: BtfTracePointContext) -> i32 {
    if muted("inet_sock_set_state") {
        return 0;
    }
    let (sk, old, new) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1) as u32, ctx.arg::<u64>(2) as u32);
    if try_state(sk, old, new).is_err() {
        fault(Source::TpState, Fault::Socket);
    }
    0
}

fn try_state(sk: u64, old: u32, new: u32) -> Result<(), Unreadable> {
    if new == TCP_SYN_SENT {
        return sent(sk);
    }
    if new != TCP_ESTABLISHED && new != TCP_CLOSE {
        return Ok(());
    }
    let Some(pending) = pending(sk) else { return Ok(()) };
    if new == TCP_ESTABLISHED {
        end(sk, &pending, 0, Source::TpState);
        return Ok(());
    }
    let error = field::<u32>(sk, off!(sock__sk_err))?;
    if error != 0 {
        end(sk, &pending, error, Source::TpState);
    } else if old == TCP_SYN_SENT && !(pending.state & IN_CALL != 0 && pending.tgid == current_tgid()) {
        end(sk, &pending, ERRNO_NONE, Source::TpState);
    }
    Ok(())
}

/// The first packet is about to leave: the call that asked was seen, or this is the first that is known of it.
#[inline(always)]
fn sent(sk: u64) -> Result<(), Unreadable> {
    if let Some(known) = pending(sk)
        && known.state & SENT == 0
        && known.tgid == current_tgid()
    {
        let _ = PENDING.insert(sk, Pending { state: known.state | SENT, ..known }, 0);
        return Ok(());
    }
    if !is_tcp(sk)? || muted("socket_connect") {
        return Ok(());
    }
    begin(sk, destination_of(sk)?, IN_CALL | SENT, Source::TpState);
    Ok(())
}

/// `fexit/inet_stream_connect`
#[fexit(function = "inet_stream_connect")]
pub fn fexit_connect(ctx: FExitContext) -> i32 {
    if muted("connect_return") {
        return 0;
    }
    // The result lies behind the four arguments. (`bpf_get_func_ret` would ask for 5.17.)
    let (socket, ret) = (ctx.arg::<u64>(0), ctx.arg::<i32>(4));
    let _ = CALLS.remove(bpf_get_current_pid_tgid());
    match field::<u64>(socket, off!(socket__sk)) {
        Ok(sk) => returned(sk, ret, Source::FexitConnect),
        Err(Unreadable) => fault(Source::FexitConnect, Fault::Socket),
    }
    0
}

/// `kretprobe/inet_stream_connect`: which socket it was, the entry probe has left behind.
#[kretprobe(function = "inet_stream_connect")]
pub fn kretprobe_connect(ctx: RetProbeContext) -> u32 {
    if muted("connect_return") {
        return 0;
    }
    let thread = bpf_get_current_pid_tgid();
    // SAFETY: a number, copied at once.
    if let Some(sk) = unsafe { CALLS.get(thread) }.copied() {
        let _ = CALLS.remove(thread);
        returned(sk, ctx.ret::<i32>(), Source::KretprobeConnect);
    }
    0
}

/// `tp_btf/sys_exit`: in the tier that does not see the call's entry.
#[btf_tracepoint(function = "sys_exit")]
pub fn tp_connect(ctx: BtfTracePointContext) -> i32 {
    if muted("connect_return") {
        return 0;
    }
    let (regs, ret) = (ctx.arg::<u64>(0), ctx.arg::<i64>(1));
    if try_call(regs, ret as i32).is_err() {
        fault(Source::TpConnect, Fault::Socket);
    }
    0
}

#[inline(always)]
fn try_call(regs: u64, ret: i32) -> Result<(), Unreadable> {
    let Some(call) = syscall(regs) else { return Ok(()) };
    let thread = bpf_get_current_pid_tgid();
    // SAFETY: a number, copied at once.
    if let Some(sk) = unsafe { CALLS.get(thread) }.copied() {
        let _ = CALLS.remove(thread);
        returned(sk, ret, Source::TpConnect);
        return Ok(());
    }
    // No packet was sent. Where the call failed, that is all there is to tell of it, and its address is still there.
    if ret >= 0 || undecided(ret) {
        return Ok(());
    }
    let (descriptor, at) = (call.argument(regs, 0)?, call.argument(regs, 1)?);
    let file = file_of(descriptor)?;
    let socket = field::<u64>(file, off!(file__private_data))?;
    let sk = field::<u64>(socket, off!(socket__sk))?;
    if file == 0 || !is_tcp(sk)? {
        return Ok(());
    }
    let there = |offset: u32| at.wrapping_add(u64::from(offset));
    let Some(to) = destination(|offset| user(there(offset)), |offset| user(there(offset)))? else {
        return Ok(());
    };
    if begin(sk, to, IN_CALL, Source::TpConnect).is_some() {
        let _ = CALLS.remove(thread);
        returned(sk, ret, Source::TpConnect);
    }
    Ok(())
}

/// A result that leaves the connection going on: in progress, already, is connected, interrupted, to be restarted.
#[inline(always)]
fn undecided(ret: i32) -> bool {
    matches!(-ret, 115 | 114 | 106 | 4 | 512 | 513 | 514 | 516)
}

#[inline(always)]
fn returned(sk: u64, ret: i32, source: Source) {
    let Some(known) = pending(sk) else { return };
    if ret < 0 && !undecided(ret) {
        end(sk, &known, ret.unsigned_abs(), source);
    } else {
        let _ = PENDING.insert(sk, Pending { state: known.state & !IN_CALL, ..known }, 0);
    }
}

#[inline(always)]
fn pending(sk: u64) -> Option<Pending> {
    // SAFETY: copied at once; an entry is replaced only by the same socket's next state.
    unsafe { PENDING.get(sk) }.copied()
}

/// Emits the outcome. The socket is told from the table first: whoever comes second finds nothing.
#[inline(always)]
fn end(sk: u64, pending: &Pending, errno: u32, source: Source) {
    if PENDING.remove(sk).is_err() {
        return;
    }
    let family = field::<u16>(sk, off!(sock__skc_family)).unwrap_or(0);
    let saddr =
        address(sk, family, off!(sock__skc_rcv_saddr), off!(sock__skc_v6_rcv_saddr)).unwrap_or(cleared());
    let body = ConnectEnd {
        conn_id: pending.conn_id,
        errno,
        sport: field(sk, off!(sock__skc_num)).unwrap_or(0),
        family,
        saddr: bytes16(saddr),
    };
    about(
        Head { kind: Kind::ConnectEnd, source, marks: 0 },
        (pending.tgid, pending.start_ns),
        Wake::Now,
        body,
    );
}
