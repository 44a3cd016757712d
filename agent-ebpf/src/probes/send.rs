//! Something is sent without a connection.
//!
//! Kernel contract, fexit: `int udp_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)` and its like for IPv6,
//! raw sockets and ping sockets, whatever way the message came; `msg_name` is the kernel's copy of the destination, or nothing where the
//! socket has one. Kprobe: `security_socket_sendmsg(struct socket *sock, struct msghdr *msg, int size)`, before anything
//! is sent. Tracepoint: `trace_sys_exit(struct pt_regs *regs, long ret)`; the destination is in the caller's memory yet.
//!
//! Told is the first to each destination, and the first that failed: there may be any number.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::{btf_tracepoint, fexit, kprobe};
use aya_ebpf::programs::{BtfTracePointContext, FExitContext, ProbeContext};
use spoor_wire::body::ERRNO_NONE;
use spoor_wire::control::MARK_TICK_NS;
use spoor_wire::{Connect, Fault, Kind, Send, Source};

use super::connect::{AF_INET, AF_INET6, destination, gate, manner};
use crate::again::{Twins, twins};
use crate::count::fault;
use crate::emit::{Head, Wake, by_current};
use crate::gate::muted;
use crate::maps::{DATAGRAM, SENT_TO, SentKey};
use crate::read::{Guarded, Unreadable, bytes16, field, off, user};
use crate::syscall::{Syscall, file_of, sk_of, syscall};
use crate::task::started;

const IPPROTO_UDP: u32 = 17;
const IPPROTO_UDPLITE: u32 = 136;

/// Programs at the end of a sending: `NAME (AGAIN by TWINS): FUNCTION, SOURCE;…`.
macro_rules! sends {
    ($($(#[$doc:meta])* $name:ident ($again:ident by $twins:expr): $function:literal, $source:expr;)+) => { $(
        twins! {
            $(#[$doc])*
            fexit of $function: $name, $again by $twins;
            |ctx: FExitContext| {
                returned(&ctx, $source);
            }
        }
    )+ };
}

sends! {
    /// `fexit/udp_sendmsg`
    fexit_send (fexit_send_again by Twins::Send): "udp_sendmsg", Source::FexitSend;
    /// `fexit/udpv6_sendmsg`: to an IPv4 address in IPv6's clothes it calls the one for IPv4, which then has told of it.
    fexit_send6 (fexit_send6_again by Twins::Send6): "udpv6_sendmsg", Source::FexitSend6;
    /// `fexit/raw_sendmsg`
    fexit_raw (fexit_raw_again by Twins::Raw): "raw_sendmsg", Source::FexitRaw;
    /// `fexit/rawv6_sendmsg`
    fexit_raw6 (fexit_raw6_again by Twins::Raw6): "rawv6_sendmsg", Source::FexitRaw6;
    /// `fexit/ping_v4_sendmsg`: sockets that send echo requests and nothing else, and want no privilege for it.
    fexit_ping (fexit_ping_again by Twins::Ping): "ping_v4_sendmsg", Source::FexitPing;
    /// `fexit/ping_v6_sendmsg`
    fexit_ping6 (fexit_ping6_again by Twins::Ping6): "ping_v6_sendmsg", Source::FexitPing6;
}

#[inline(always)]
fn returned(ctx: &FExitContext, source: Source) {
    // The result lies behind the three arguments. (`bpf_get_func_ret` would ask for 5.17.)
    let (sk, msg, ret) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1), ctx.arg::<i32>(3));
    if !muted("sendmsg") && try_message(sk, msg, errno(ret), source).is_err() {
        fault(source, Fault::Socket);
    }
}

/// `kprobe/security_socket_sendmsg`
#[kprobe(function = "security_socket_sendmsg")]
pub fn kprobe_send(ctx: ProbeContext) -> u32 {
    if muted("sendmsg") {
        return 0;
    }
    if let (Some(socket), Some(msg)) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1)) {
        let told = match field::<u64>(socket, off!(socket__sk)) {
            Ok(sk) => try_message(sk, msg, Some(ERRNO_NONE), Source::KprobeSend),
            Err(unreadable) => Err(unreadable),
        };
        if told.is_err() {
            fault(Source::KprobeSend, Fault::Socket);
        }
    }
    0
}

/// `tp_btf/sys_exit`
#[btf_tracepoint(function = "sys_exit")]
pub fn tp_send(ctx: BtfTracePointContext) -> i32 {
    if muted("sendmsg") {
        return 0;
    }
    let (regs, ret) = (ctx.arg::<u64>(0), ctx.arg::<i64>(1) as i32);
    let Some(call) = syscall(regs) else { return 0 };
    if try_call(call, regs, ret).is_err() {
        fault(Source::TpSend, Fault::Socket);
    }
    0
}

/// What a result says; `None` where nothing was sent yet and the caller will try anew.
#[inline(always)]
fn errno(ret: i32) -> Option<u32> {
    match ret {
        0.. => Some(0),
        // would block, interrupted, to be restarted
        -11 | -4 | -512 | -513 | -514 | -516 => None,
        _ => Some(ret.unsigned_abs()),
    }
}

#[inline(always)]
fn try_message(sk: u64, msg: u64, errno: Option<u32>, source: Source) -> Result<(), Unreadable> {
    let name = field::<u64>(msg, off!(msghdr__msg_name))?;
    let Some(errno) = errno else { return Ok(()) };
    if name == 0 {
        return Ok(());
    }
    tell(sk, |at| field(name, at), |at| field(name, at), errno, source)
}

#[inline(always)]
fn try_call(call: Syscall, regs: u64, ret: i32) -> Result<(), Unreadable> {
    const SENDTO: u32 = 44;
    const SENDTO_COMPAT: u32 = 369;
    const EFAULT: i32 = 14;
    const EBADF: i32 = 9;
    const ENOTSOCK: i32 = 88;
    if ret == -EFAULT || ret == -EBADF || ret == -ENOTSOCK {
        return Ok(());
    }
    let Some(errno) = errno(ret) else { return Ok(()) };
    let name = if call.number == SENDTO || call.number == SENDTO_COMPAT {
        call.argument(regs, 4)?
    } else {
        // Of `sendmmsg`, the first message's header starts the first entry.
        let header = call.argument(regs, 1)?;
        if call.compat { u64::from(user::<u32>(header)?) } else { user::<u64>(header)? }
    };
    if name == 0 {
        return Ok(());
    }
    let file = file_of(call.argument(regs, 0)?)?;
    if file == 0 {
        fault(Source::TpSend, Fault::DescriptorGone);
        return Ok(());
    }
    let Some(sk) = sk_of::<Guarded>(file)? else { return Ok(()) };
    let there = |at: u32| name.wrapping_add(u64::from(at));
    tell(sk, |at| user(there(at)), |at| user(there(at)), errno, Source::TpSend)
}

#[inline(always)]
fn tell(
    sk: u64,
    short: impl Fn(u32) -> Result<u16, Unreadable>,
    word: impl Fn(u32) -> Result<u32, Unreadable>,
    errno: u32,
    source: Source,
) -> Result<(), Unreadable> {
    let pid_tgid = bpf_get_current_pid_tgid();
    let tgid = (pid_tgid >> 32) as u32;
    let Some(marks) = gate(tgid) else { return Ok(()) };
    let Some(manner) = manner::<Guarded>(sk)? else { return Ok(()) };
    if manner.state & DATAGRAM == 0 {
        return Ok(());
    }
    let Some(to) = destination(&manner, short, word)? else { return Ok(()) };
    let to = unmapped(to);
    let has_ports = to.protocol == IPPROTO_UDP || to.protocol == IPPROTO_UDPLITE;
    let dport = if has_ports { to.dport } else { 0 };
    let key = SentKey {
        start_tick: started() / MARK_TICK_NS,
        daddr: to.daddr,
        tgid,
        family: to.family,
        dport,
        protocol: to.protocol,
        failed: u32::from(errno != 0),
    };
    // SAFETY: only whether it is there.
    #[cfg(not(feature = "without-told-once"))]
    if unsafe { SENT_TO.get(key) }.is_some() {
        return Ok(());
    }
    // The oldest makes room, so that there is always some.
    let _ = SENT_TO.insert(key, 1, 0);
    let Connect { daddr, family, protocol, .. } = to;
    let told = by_current(
        Head { kind: Kind::Send, source, marks },
        Wake::Now,
        Send { daddr, family, dport, protocol, errno, pad: 0 },
    );
    if !told {
        // The next one is, if there is room then.
        let _ = SENT_TO.remove(key);
    }
    Ok(())
}

/// An IPv4 address in IPv6's clothes, as what it is.
#[inline(always)]
fn unmapped(to: Connect) -> Connect {
    // SAFETY: two arrays of plain integers of one size.
    let [high, low] = unsafe { core::mem::transmute::<[u8; 16], [u64; 2]>(to.daddr) };
    if to.family == AF_INET6 && high == 0 && low as u32 == 0xffff_0000 {
        return Connect { daddr: bytes16([low >> 32, 0]), family: AF_INET, ..to };
    }
    to
}
