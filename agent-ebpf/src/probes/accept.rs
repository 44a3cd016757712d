//! A connection from outside is accepted.
//!
//! Kernel contract, LSM, fentry and kprobe: `void security_sock_graft(struct sock *sk, struct socket *parent)`, called
//! when the socket of an accepted connection gets its file, in the context of whoever accepts (the call and io_uring
//! alike), with locks held. Sockets that come to be otherwise pass here too, of other families or without a peer.
//! Tracepoint: `trace_sys_exit(struct pt_regs *regs, long ret)`; the new socket is behind the descriptor returned.

use aya_ebpf::macros::{btf_tracepoint, fentry, kprobe, lsm};
use aya_ebpf::programs::{BtfTracePointContext, FEntryContext, LsmContext, ProbeContext};
use spoor_wire::{Accept, Fault, Kind, Source};

use super::connect::{AF_INET, AF_INET6, address, connection_number, gate};
use crate::again::{Twins, twins};
use crate::count::fault;
use crate::emit::{Head, Wake, by_current};
use crate::gate::{current_tgid, muted};
use crate::maps::{SERVED, Served};
use crate::read::{Guarded, Plain, Read, Unreadable, bytes16, off};
use crate::syscall::{file_of, sk_of};
use crate::task::started;

/// `lsm/sock_graft(struct sock *sk, struct socket *parent)`
#[lsm(hook = "sock_graft")]
pub fn lsm_accept(ctx: LsmContext) -> i32 {
    accepted::<Plain>(ctx.arg::<u64>(0), Source::LsmAccept);
    // The hook decides nothing, and so hands no decision on.
    0
}

twins! {
    /// `fentry/security_sock_graft`
    fentry of "security_sock_graft": fentry_accept, fentry_accept_again by Twins::Accept;
    |ctx: FEntryContext| {
        accepted::<Plain>(ctx.arg::<u64>(0), Source::FentryAccept);
    }
}

/// `kprobe/security_sock_graft`
#[kprobe(function = "security_sock_graft")]
pub fn kprobe_accept(ctx: ProbeContext) -> u32 {
    if let Some(sk) = ctx.arg::<u64>(0) {
        accepted::<Guarded>(sk, Source::KprobeAccept);
    }
    0
}

/// `tp_btf/sys_exit`
#[btf_tracepoint(function = "sys_exit")]
pub fn tp_accept(ctx: BtfTracePointContext) -> i32 {
    let ret = ctx.arg::<i64>(1);
    if ret < 0 {
        return 0;
    }
    match file_of(ret.cast_unsigned()) {
        Ok(0) | Err(Unreadable) => fault(Source::TpAccept, Fault::DescriptorGone),
        Ok(file) => match sk_of::<Guarded>(file) {
            Ok(Some(sk)) => accepted::<Guarded>(sk, Source::TpAccept),
            // Another thread has put something else in its place.
            Ok(None) | Err(Unreadable) => fault(Source::TpAccept, Fault::DescriptorGone),
        },
    }
    0
}

#[inline(always)]
fn accepted<R: Read>(sk: u64, source: Source) {
    if muted("sock_graft") {
        return;
    }
    if try_accept::<R>(sk, source).is_err() {
        fault(source, Fault::Socket);
    }
}

#[inline(always)]
fn try_accept<R: Read>(sk: u64, source: Source) -> Result<(), Unreadable> {
    let Some(marks) = gate(current_tgid()) else { return Ok(()) };
    let family = R::get::<u16>(sk, off!(sock__skc_family))?;
    if family != AF_INET && family != AF_INET6 {
        return Ok(());
    }
    let rport = u16::from_be(R::get(sk, off!(sock__skc_dport))?);
    if rport == 0 {
        return Ok(());
    }
    let raddr = address::<R>(sk, family, off!(sock__skc_daddr), off!(sock__skc_v6_daddr))?;
    let laddr = address::<R>(sk, family, off!(sock__skc_rcv_saddr), off!(sock__skc_v6_rcv_saddr))?;
    let body = Accept {
        raddr: bytes16(raddr),
        laddr: bytes16(laddr),
        rport,
        lport: R::get(sk, off!(sock__skc_num))?,
        family,
        pad: 0,
        protocol: u32::from(R::get::<u16>(sk, off!(sock__sk_protocol))?),
        pad2: 0,
        conn_id: connection_number(),
    };
    let served = Served { conn_id: body.conn_id, start_ns: started(), tgid: current_tgid(), pad: 0 };
    // The oldest makes room, so that there is always some; the table may be locked.
    if SERVED.insert(R::number(sk), served, 0).is_err() {
        fault(source, Fault::ConnFull);
    }
    by_current(Head { kind: Kind::Accept, source, marks }, Wake::Now, body);
    Ok(())
}
