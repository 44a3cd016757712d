//! Which life of its inode number a file is.
#![expect(unsafe_code, reason = "an ioctl that no wrapper has")]

use std::fs::OpenOptions;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc::{O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK, c_int, c_long};

// FS_IOC_GETVERSION. Its number speaks of a long; every file system writes an int.
nix::ioctl_read_bad!(get_version, nix::request_code_read!(b'v', 1, size_of::<c_long>()), c_int);

/// The generation of a file's inode; `None` where the file system tells none (tmpfs, overlayfs, network file systems), or
/// the file cannot be opened.
pub(super) fn generation_of(path: &Path) -> Option<u32> {
    let flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    // Room for a long, in case one is written after all.
    let mut room: [c_int; 2] = [0; 2];
    // SAFETY: the call writes an int, or at most a long, and that much room is here.
    unsafe { get_version(file.as_raw_fd(), room.as_mut_ptr()) }.ok()?;
    let generation = room.first()?.cast_unsigned();
    // 0 stands for any generation in a rule.
    (generation != 0).then_some(generation)
}
