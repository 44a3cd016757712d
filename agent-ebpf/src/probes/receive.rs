//! An open credential is handed over as a descriptor.
//!
//! Kernel contract: `security_file_receive(struct file *file)`, asked for each descriptor that comes out of a socket
//! (`SCM_RIGHTS`), is taken from another process (`pidfd_getfd`) or put into one (seccomp). Tracepoint: the return of the
//! calls; a message's control data lies in the receiver's memory.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::{btf_tracepoint, fentry, kprobe, lsm};
use aya_ebpf::programs::{BtfTracePointContext, FEntryContext, LsmContext, ProbeContext};
use spoor_wire::{Fault, Kind, Source};

use super::open::{Told, emit, hold};
use crate::again::{Twins, twins};
use crate::count::fault;
use crate::file::{FMODE_READ, is_regular};
use crate::gate::{muted, watched};
use crate::matcher;
use crate::names::place_of;
use crate::read::{Guarded, Unreadable, field, off, user};
use crate::syscall::{Syscall, file_of, syscall};

/// `SOL_SOCKET` and `SCM_RIGHTS`, as they stand beside one another in a control message.
const RIGHTS: u64 = 1 | 1 << 32;
/// Least length of one that carries a descriptor: its head, and a number.
const RIGHTS_LEN: u64 = 16 + 4;
/// The same of 32-bit programs.
const RIGHTS_LEN_32: u32 = 12 + 4;

/// `lsm/file_receive(struct file *file)`
#[lsm(hook = "file_receive")]
pub fn lsm_receive(ctx: LsmContext) -> i32 {
    received(ctx.arg::<u64>(0), Source::LsmReceive);
    // Observe only: what earlier programs decided stands.
    ctx.arg::<i32>(1)
}

twins! {
    /// `fentry/security_file_receive`
    fentry of "security_file_receive": fentry_receive, fentry_receive_again by Twins::Receive;
    |ctx: FEntryContext| {
        received(ctx.arg::<u64>(0), Source::FentryReceive);
    }
}

/// `kprobe/security_file_receive`
#[kprobe(function = "security_file_receive")]
pub fn kprobe_receive(ctx: ProbeContext) -> u32 {
    if let Some(file) = ctx.arg::<u64>(0) {
        received(file, Source::KprobeReceive);
    }
    0
}

/// `tp_btf/sys_exit`, of the calls by which descriptors come
#[btf_tracepoint(function = "sys_exit")]
pub fn tp_receive(ctx: BtfTracePointContext) -> i32 {
    let (regs, ret) = (ctx.arg::<u64>(0), ctx.arg::<i64>(1));
    if ret < 0 {
        return 0;
    }
    let Some(call) = syscall(regs) else { return 0 };
    // Most messages carry no descriptor, and some no control data: that is no failure.
    let Ok(descriptor) = descriptor(call, regs, ret) else { return 0 };
    match file_of(descriptor) {
        Ok(0) | Err(Unreadable) => {}
        Ok(file) => received(file, Source::TpReceive),
    }
    0
}

/// The descriptor that came: of a message, its first.
#[inline(always)]
fn descriptor(call: Syscall, regs: u64, ret: i64) -> Result<u64, Unreadable> {
    // `pidfd_getfd`
    if call.number == 438 {
        return Ok(ret.cast_unsigned());
    }
    let message = call.argument(regs, 1)?;
    // How much control data came stands in the message: the room itself may still hold that of one before.
    if call.compat {
        if user::<u32>(message.wrapping_add(20))? < RIGHTS_LEN_32 {
            return Err(Unreadable);
        }
        let control = u64::from(user::<u32>(message.wrapping_add(16))?);
        if user::<u64>(control.wrapping_add(4))? != RIGHTS {
            return Err(Unreadable);
        }
        return Ok(u64::from(user::<u32>(control.wrapping_add(12))?));
    }
    if user::<u64>(message.wrapping_add(40))? < RIGHTS_LEN {
        return Err(Unreadable);
    }
    let control = user::<u64>(message.wrapping_add(32))?;
    if user::<u64>(control.wrapping_add(8))? != RIGHTS {
        return Err(Unreadable);
    }
    Ok(u64::from(user::<u32>(control.wrapping_add(16))?))
}

#[inline(always)]
fn received(file: u64, source: Source) {
    if muted("file_receive") {
        return;
    }
    if try_received(file, source).is_err() {
        fault(source, Fault::File);
    }
}

#[inline(always)]
fn try_received(file: u64, source: Source) -> Result<(), Unreadable> {
    let at = field::<u64>(file, off!(file__f_inode))?;
    if field::<u32>(file, off!(file__f_mode))? & FMODE_READ == 0 || !is_regular::<Guarded>(at)? {
        return Ok(());
    }
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    if !watched(tgid) {
        return Ok(());
    }
    let inode = matcher::inode::<Guarded>(at)?;
    let Some(hit) = matcher::find(file, &inode)? else { return Ok(()) };
    let marked = hold(tgid, &inode, &hit, source);
    let flags = field(file, off!(file__f_flags)).unwrap_or(0);
    emit(
        place_of::<Guarded>(file)?,
        &inode,
        &hit,
        marked,
        Told { kind: Kind::Receive, source, how: 0, flags },
    );
    Ok(())
}
