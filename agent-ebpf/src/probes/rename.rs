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

use super::open::{Told, emit};
use crate::again::{Twins, twins};
use crate::count::fault;
use crate::file::is_regular;
use crate::gate::{marks, muted, watched};
use crate::matcher;
use crate::read::{Guarded, Unreadable, field, number_of, off};

twins! {
    /// `fentry/security_path_rename`
    fentry of "security_path_rename": fentry_rename, fentry_rename_again by Twins::Rename;
    |ctx: FEntryContext| {
        if let (Ok(from), Ok(dir), Ok(name)) = (number_of(&ctx, 1), number_of(&ctx, 2), number_of(&ctx, 3)) {
            renamed(from, (dir, name), Source::FentryRename);
        }
    }
}

/// `kprobe/security_path_rename`
#[kprobe(function = "security_path_rename")]
pub fn kprobe_rename(ctx: ProbeContext) -> u32 {
    if let (Some(from), Some(dir), Some(name)) = (ctx.arg(1), ctx.arg(2), ctx.arg(3)) {
        renamed(from, (dir, name), Source::KprobeRename);
    }
    0
}

#[inline(always)]
fn renamed(from: u64, to: (u64, u64), source: Source) {
    if !muted("path_rename") && try_renamed(from, to, source).is_err() {
        fault(source, Fault::File);
    }
}

/// The file of an entry gets another name, which is (directory, entry). Of two that are exchanged only the one that gets the
/// second name is asked about: verifiers walk all of this once more for the other.
#[inline(always)]
fn try_renamed(from: u64, (dir, name): (u64, u64), source: Source) -> Result<(), Unreadable> {
    let at = field::<u64>(from, off!(dentry__d_inode))?;
    // Two names of one file: the kernel does nothing then.
    if !is_regular::<Guarded>(at)? || field::<u64>(name, off!(dentry__d_inode))? == at {
        return Ok(());
    }
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    if !watched(tgid) {
        return Ok(());
    }
    let inode = matcher::inode::<Guarded>(at)?;
    let place = (name, field(dir, off!(path__mnt))?);
    let Some(hit) = matcher::find_named(place, &inode)? else { return Ok(()) };
    emit(place, &inode, &hit, marks(tgid), Told { kind: Kind::Open, source, how: 0, flags: FLAG_RENAMED });
    Ok(())
}
