//! A file takes the name of a credential: written beside it and renamed over it, as careful programs do.
//!
//! Told as an opening that writes, of the file that gets the name: it is whole by then. Who renames holds nothing by it.
//!
//! Kernel contract, fentry and kprobe: `security_path_rename(const struct path *old_dir, struct dentry *old_dentry, const
//! struct path *new_dir, struct dentry *new_dentry, unsigned int flags)`, asked by every call that renames, with the new
//! name's entry looked up below its directory, whether a file has that name or none. It is there where the kernel has
//! `CONFIG_SECURITY_PATH`. What the file system refuses after it is told as well. Return of the calls: names lie in the
//! caller's memory by then, and are not looked up again.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::macros::{fentry, kprobe};
use aya_ebpf::programs::{FEntryContext, ProbeContext};
use spoor_wire::body::FLAG_RENAMED;
use spoor_wire::{Fault, Kind, Source};

use super::open::{Told, emit, is_regular};
use crate::count::fault;
use crate::gate::{muted, watched};
use crate::matcher;
use crate::read::{Unreadable, field, off};
use crate::task;

/// `RENAME_EXCHANGE`: the file that had the new name gets the old one.
const EXCHANGE: u64 = 2;

/// A directory (`struct path`) and an entry in it.
#[derive(Clone, Copy)]
struct Name {
    dir: u64,
    dentry: u64,
}

/// `fentry/security_path_rename`
#[fentry(function = "security_path_rename")]
pub fn fentry_rename(ctx: FEntryContext) -> i32 {
    let old = Name { dir: ctx.arg(0), dentry: ctx.arg(1) };
    let new = Name { dir: ctx.arg(2), dentry: ctx.arg(3) };
    renamed(old, new, ctx.arg(4), Source::FentryRename);
    0
}

/// `kprobe/security_path_rename`
#[kprobe(function = "security_path_rename")]
pub fn kprobe_rename(ctx: ProbeContext) -> u32 {
    if let (Some(old_dir), Some(old), Some(new_dir), Some(new), Some(flags)) =
        (ctx.arg(0), ctx.arg(1), ctx.arg(2), ctx.arg(3), ctx.arg(4))
    {
        let (old, new) = (Name { dir: old_dir, dentry: old }, Name { dir: new_dir, dentry: new });
        renamed(old, new, flags, Source::KprobeRename);
    }
    0
}

#[inline(always)]
fn renamed(old: Name, new: Name, flags: u64, source: Source) {
    if muted("path_rename") {
        return;
    }
    if try_renamed(old.dentry, new, source).is_err() {
        fault(source, Fault::File);
    }
    if flags & EXCHANGE != 0 && try_renamed(new.dentry, old, source).is_err() {
        fault(source, Fault::File);
    }
}

/// The file of an entry gets a name.
#[inline(always)]
fn try_renamed(from: u64, name: Name, source: Source) -> Result<(), Unreadable> {
    let at = field::<u64>(from, off!(dentry__d_inode))?;
    // Two names of one file: the kernel does nothing then.
    if !is_regular(at)? || field::<u64>(name.dentry, off!(dentry__d_inode))? == at {
        return Ok(());
    }
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    if !watched(task::current(), tgid) {
        return Ok(());
    }
    let inode = matcher::inode(at)?;
    let place = (name.dentry, field(name.dir, off!(path__mnt))?);
    let Some(hit) = matcher::find_named(place, &inode)? else { return Ok(()) };
    emit(place, 0, &inode, &hit, Told { kind: Kind::Open, source, how: 0, flags: FLAG_RENAMED });
    Ok(())
}
