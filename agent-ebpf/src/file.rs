//! What the kernel's numbers say of a file.

use crate::read::{Read, Unreadable, off};

/// `FMODE_READ`
pub const FMODE_READ: u32 = 1;
/// `FMODE_WRITE`
pub const FMODE_WRITE: u32 = 2;
/// `PROC_SUPER_MAGIC`
pub const PROC_SUPER_MAGIC: u64 = 0x9fa0;
/// `TMPFS_MAGIC`
pub const TMPFS_MAGIC: u64 = 0x0102_1994;
/// `RAMFS_MAGIC`
pub const RAMFS_MAGIC: u64 = 0x8584_58f6;
/// `S_IFMT`
pub const FILE_TYPE: u16 = 0o170_000;
/// `S_IFREG`
pub const REGULAR: u16 = 0o100_000;

/// Whether an inode is that of a regular file.
#[inline(always)]
pub fn is_regular<R: Read>(inode: u64) -> Result<bool, Unreadable> {
    Ok(R::get::<u16>(inode, off!(inode__i_mode))? & FILE_TYPE == REGULAR)
}
