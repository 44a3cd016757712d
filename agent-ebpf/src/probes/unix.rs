//! A unix socket that stands for a credential is connected to.
//!
//! Kernel contract: `security_unix_stream_connect(struct sock *sock, struct sock *other, struct sock *newsk)`, asked when
//! the other end was found and is about to accept, whose own path tells which socket that is, whatever the caller named.
//! Tracepoint: the return of the call, when the socket has a peer; reached from the program that looks after `connect`.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::{btf_tracepoint, fexit, kprobe, lsm};
use aya_ebpf::programs::{BtfTracePointContext, FExitContext, LsmContext, ProbeContext};
use spoor_wire::{Fault, Kind, Source};

use super::open::{Told, emit, hold};
use crate::again::{Twins, twins};
use crate::count::fault;
use crate::gate::{marks, muted, watched};
use crate::matcher;
use crate::read::{Guarded, Unreadable, field, off};
use crate::syscall::{file_of, syscall};

/// `lsm/unix_stream_connect(struct sock *sock, struct sock *other, struct sock *newsk)`
#[lsm(hook = "unix_stream_connect")]
pub fn lsm_unix(ctx: LsmContext) -> i32 {
    // Observe only: what earlier programs decided stands.
    let verdict = ctx.arg::<i32>(3);
    reached(ctx.arg::<u64>(1), verdict, Source::LsmUnix);
    verdict
}

twins! {
    /// `fexit/security_unix_stream_connect`
    fexit of "security_unix_stream_connect": fexit_unix, fexit_unix_again by Twins::Unix;
    |ctx: FExitContext| {
        reached(ctx.arg::<u64>(1), ctx.arg::<i32>(3), Source::FexitUnix);
    }
}

/// `kprobe/security_unix_stream_connect`: what the other security modules say to it is not known here
#[kprobe(function = "security_unix_stream_connect")]
pub fn kprobe_unix(ctx: ProbeContext) -> u32 {
    if let Some(other) = ctx.arg::<u64>(1) {
        reached(other, 0, Source::KprobeUnix);
    }
    0
}

/// `tp_btf/sys_exit`, of a connect by a unix socket
#[btf_tracepoint(function = "sys_exit")]
pub fn tp_unix(ctx: BtfTracePointContext) -> i32 {
    let (regs, ret) = (ctx.arg::<u64>(0), ctx.arg::<i64>(1));
    if ret == 0
        && let Ok(peer) = peer(regs)
        && peer != 0
    {
        reached(peer, 0, Source::TpUnix);
    }
    0
}

#[inline(always)]
fn peer(regs: u64) -> Result<u64, Unreadable> {
    let Some(call) = syscall(regs) else { return Ok(0) };
    let file = file_of(call.argument(regs, 0)?)?;
    let socket = field::<u64>(file, off!(file__private_data))?;
    let sk = field::<u64>(socket, off!(socket__sk))?;
    field(sk, off!(unix_sock__peer))
}

#[inline(always)]
fn reached(other: u64, verdict: i32, source: Source) {
    if muted("unix_stream_connect") {
        return;
    }
    if try_reached(other, verdict, source).is_err() {
        fault(source, Fault::Socket);
    }
}

#[inline(always)]
fn try_reached(other: u64, verdict: i32, source: Source) -> Result<(), Unreadable> {
    let dentry = field::<u64>(other, off!(unix_sock__path_dentry))?;
    // A socket without a path stands for nothing that we know.
    if dentry == 0 {
        return Ok(());
    }
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    if !watched(tgid) {
        return Ok(());
    }
    let inode = matcher::inode::<Guarded>(field(dentry, off!(dentry__d_inode))?)?;
    let Some(hit) = matcher::find_at(dentry, &inode)? else { return Ok(()) };
    let marked = if verdict == 0 { hold(tgid, &inode, &hit, source) } else { marks(tgid) };
    let place = (dentry, field(other, off!(unix_sock__path_mnt))?);
    let told = Told { kind: Kind::Unix, source, how: verdict.unsigned_abs(), flags: 0 };
    emit(place, &inode, &hit, marked, told);
    Ok(())
}
