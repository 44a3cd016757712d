//! A process gets at the memory of another that holds a credential.
//!
//! Kernel contract: `security_ptrace_access_check(struct task_struct *child, unsigned int mode)`, asked before one task may
//! look into another, by `ptrace`, `process_vm_readv`, `/proc/PID/mem`, `pidfd_getfd` and much that is innocent; the mode
//! tells the right to attach from the right to look. `/proc/PID/environ` asks for the latter only, like much else: it is
//! told by its opening. Tracepoint: the return of the calls; the process is found by its number.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::{btf_tracepoint, fentry, kprobe, lsm};
use aya_ebpf::programs::{BtfTracePointContext, FEntryContext, LsmContext, ProbeContext};
use spoor_wire::body::{MEMORY_ATTACH, MEMORY_ENVIRON, MEMORY_FILE};
use spoor_wire::control::MARK_HOLDS;
use spoor_wire::{Fault, Kind, Memory, Source};

use crate::again::{Twins, twins};
use crate::count::fault;
use crate::emit::{Head, Wake, filled, if_there_is_room, ring};
use crate::gate::{marks, marks_of, marks_of_number, muted, watched};
use crate::read::{Guarded, Unreadable, field, off};
use crate::syscall::syscall;
use crate::task::start_of;
use crate::touch::touch;

/// `PTRACE_MODE_ATTACH`
const ATTACH: u32 = 2;
/// `PTRACE_ATTACH` and `PTRACE_SEIZE`
const REQUEST_ATTACH: u64 = 16;
const REQUEST_SEIZE: u64 = 0x4206;

/// `lsm/ptrace_access_check(struct task_struct *child, unsigned int mode)`
#[lsm(hook = "ptrace_access_check")]
pub fn lsm_ptrace(ctx: LsmContext) -> i32 {
    asked(ctx.arg::<u64>(0), ctx.arg::<u64>(1) as u32, Source::LsmPtrace);
    // Observe only: what earlier programs decided stands.
    ctx.arg::<i32>(2)
}

twins! {
    /// `fentry/security_ptrace_access_check`
    fentry of "security_ptrace_access_check": fentry_ptrace, fentry_ptrace_again by Twins::Ptrace;
    |ctx: FEntryContext| {
        asked(ctx.arg::<u64>(0), ctx.arg::<u64>(1) as u32, Source::FentryPtrace);
    }
}

/// `kprobe/security_ptrace_access_check`
#[kprobe(function = "security_ptrace_access_check")]
pub fn kprobe_ptrace(ctx: ProbeContext) -> u32 {
    if let (Some(child), Some(mode)) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1)) {
        asked(child, mode as u32, Source::KprobePtrace);
    }
    0
}

/// `tp_btf/sys_exit`, of the calls that look into others
#[btf_tracepoint(function = "sys_exit")]
pub fn tp_ptrace(ctx: BtfTracePointContext) -> i32 {
    let (regs, ret) = (ctx.arg::<u64>(0), ctx.arg::<i64>(1));
    if try_call(regs, ret).is_err() {
        fault(Source::TpPtrace, Fault::Task);
    }
    0
}

#[inline(always)]
fn try_call(regs: u64, ret: i64) -> Result<(), Unreadable> {
    let Some(call) = syscall(regs) else { return Ok(()) };
    let traces = call.number == if call.compat { 26 } else { 101 };
    let (target, well) = if traces {
        let request = call.argument(regs, 0)?;
        (call.argument(regs, 1)?, ret == 0 && (request == REQUEST_ATTACH || request == REQUEST_SEIZE))
    } else {
        (call.argument(regs, 0)?, ret >= 0)
    };
    let pid_tgid = bpf_get_current_pid_tgid();
    let (tgid, target) = ((pid_tgid >> 32) as u32, target as u32);
    if !well || target == tgid || muted("ptrace_access_check") || !watched(tgid) {
        return Ok(());
    }
    let Some((start_ns, marked)) = marks_of_number(target) else { return Ok(()) };
    if marked & MARK_HOLDS != 0 {
        tell((target, start_ns), MEMORY_ATTACH, Source::TpPtrace);
    }
    Ok(())
}

#[inline(always)]
fn asked(child: u64, mode: u32, source: Source) {
    if mode & ATTACH == 0 || muted("ptrace_access_check") {
        return;
    }
    if try_asked(child, MEMORY_ATTACH, source).is_err() {
        fault(source, Fault::Task);
    }
}

/// Tells of a process that holds a credential, unless it is the current one.
#[inline(always)]
fn try_asked(child: u64, how: u32, source: Source) -> Result<(), Unreadable> {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let target = field::<u32>(child, off!(task__tgid))?;
    if target == tgid || marks_of(child, target) & MARK_HOLDS == 0 || !watched(tgid) {
        return Ok(());
    }
    tell((target, start_of::<Guarded>(child)), how, source);
    Ok(())
}

#[inline(always)]
fn tell((target_tgid, target_start_ns): (u32, u64), how: u32, source: Source) {
    let marked = marks((bpf_get_current_pid_tgid() >> 32) as u32);
    let told = Head { kind: Kind::Memory, source, marks: marked };
    let touch =
        touch((Kind::Memory, how), target_start_ns, target_tgid.into(), filled(ring(told.kind.lane()).0));
    if_there_is_room(told, (Wake::Now, touch), Memory { target_start_ns, target_tgid, how });
}

/// A regular file of `/proc` is opened for reading: told where it is another process's memory or environment.
#[inline(always)]
pub fn opened(file: u64, inode: u64, source: Source) -> Result<(), Unreadable> {
    let dentry = field::<u64>(file, off!(file__f_path_dentry))?;
    let len = field::<u32>(dentry, off!(dentry__d_name_len))?;
    let name = field::<u64>(dentry, off!(dentry__d_name_name))?;
    // `environ` and its NUL are eight bytes; names shorter than that are stored in a room of more.
    let how = match (len, field::<u64>(name, 0)?) {
        (7, word) if word == u64::from_le_bytes(*b"environ\0") => MEMORY_ENVIRON,
        // Where the kernel is watched as it asks for the right to attach, that tells.
        (3, word)
            if matches!(source, Source::TpOpen)
                && word & 0xff_ffff == u64::from_le_bytes(*b"mem\0\0\0\0\0") =>
        {
            MEMORY_FILE
        }
        _ => return Ok(()),
    };
    let of_proc = inode.wrapping_sub(u64::from(off!(proc_inode__vfs_inode)));
    let pid = field::<u64>(of_proc, off!(proc_inode__pid))?;
    let first = field::<u64>(pid, off!(pid__tasks))?;
    if first == 0 {
        return Ok(());
    }
    try_asked(first.wrapping_sub(u64::from(off!(task__pid_links))), how, source)
}
