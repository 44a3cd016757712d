//! A file of a deed.

use spoor_wire::body::FLAG_RENAMED;

use super::Text;

/// A file as the kernel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedFile {
    /// Absolute path, root first; `truncated` where its beginning is missing.
    pub path: Text,
    /// Device, the kernel's `s_dev`.
    pub dev: u32,
    /// Inode.
    pub ino: u64,
    /// Generation of the inode.
    pub generation: u32,
    /// The rule that matched.
    pub rule: u32,
    /// How it matched.
    pub matched: Matched,
    /// Flags of the open call, as the kernel keeps them, or that there was none ([`Self::renamed`]).
    pub flags: u32,
    /// Type and permissions.
    pub mode: u32,
    /// Owner.
    pub owner: u32,
    /// Hard links.
    pub links: u32,
    /// Opened by a stacked file system (overlayfs), in the course of an opening on top of it.
    pub backing: bool,
}

impl OpenedFile {
    /// Of the flags of the open call, what the file is opened for.
    pub const ACCESS: u32 = nix::libc::O_ACCMODE.cast_unsigned();

    /// Of its flags: it was renamed, and not opened.
    pub const RENAMED: u32 = FLAG_RENAMED;

    /// Whether whoever opened it may write to it, and not read it.
    #[must_use]
    pub fn only_written(&self) -> bool {
        !self.renamed() && self.flags & Self::ACCESS == nix::libc::O_WRONLY.cast_unsigned()
    }

    /// Whether it was not opened, and got the name it has here by a rename: it is whole by then.
    #[must_use]
    pub fn renamed(&self) -> bool {
        self.flags & Self::RENAMED != 0
    }
}

/// How a file was found to be a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matched {
    /// By device and inode.
    Inode,
    /// By its name in a directory.
    Entry,
    /// Below a marked directory.
    Directory,
    /// By the names of its path.
    Name,
}
