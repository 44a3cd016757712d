//! Whether a file that is opened may be a credential at all. Most are not, and every one of them pays for the question: so it
//! is asked by plain loads, which the verifier allows of the typed pointer that LSM and fentry programs are given, and of a
//! table of bits, before anything is read by a helper or looked up.
//!
//! Each rule of a file has a bit: by the name of its leaf, by its directory, or by its inode. A file none of whose bits is
//! set meets no rule. One that has some, and what lies in `/proc`, is asked about anew and in full.

use spoor_wire::rule::{DEPTH_MAX, HASH_START, sieve_dir, sieve_file, sieve_leaf, sieve_mounted};

use crate::file::{FILE_TYPE, FMODE_READ, FMODE_WRITE, PROC_SUPER_MAGIC, RAMFS_MAGIC, REGULAR, TMPFS_MAGIC};
use crate::maps::SIEVE;
use crate::matcher::{above_mount, hashed};
use crate::read::{Unreadable, load, off};

/// By what a file may be a credential: `BY_` and so on.
#[derive(Clone, Copy)]
pub struct Sifted(u32);

/// Its inode.
pub const BY_FILE: u32 = 1;
/// Its name, with or without those above it.
pub const BY_NAME: u32 = 2;
/// A directory above it.
pub const BY_DIR: u32 = 4;
/// Where its file system is mounted.
pub const BY_MOUNT: u32 = 8;

impl Sifted {
    const NOTHING: Self = Sifted(0);
    pub const ANYTHING: Self = Sifted(BY_FILE | BY_NAME | BY_DIR | BY_MOUNT);

    #[inline(always)]
    pub fn is_nothing(self) -> bool {
        self.0 == 0
    }

    #[inline(always)]
    pub fn be(self, by: u32) -> bool {
        self.0 & by != 0
    }
}

/// By what it may be one. `file` is the typed pointer, as the program was given it.
#[inline(always)]
pub fn sift(file: u64) -> Sifted {
    if load::<u32>(file, off!(file__f_mode)) & (FMODE_READ | FMODE_WRITE) == 0 {
        return Sifted::NOTHING;
    }
    let inode = load::<u64>(file, off!(file__f_inode));
    if load::<u16>(inode, off!(inode__i_mode)) & FILE_TYPE != REGULAR {
        return Sifted::NOTHING;
    }
    let magic = load::<u64>(load(inode, off!(inode__i_sb)), off!(super_block__s_magic));
    if magic == PROC_SUPER_MAGIC {
        return Sifted::ANYTHING;
    }
    let dentry = load::<u64>(file, off!(file__f_path_dentry));
    let (len, name) =
        (load::<u32>(dentry, off!(dentry__d_name_len)), load::<u64>(dentry, off!(dentry__d_name_name)));
    // What cannot be read is asked about in full, and counted there.
    let Ok(leaf) = hashed(HASH_START, name, len) else { return Sifted::ANYTHING };
    let mut by = of(sieve_file(load(inode, off!(inode__i_ino))), BY_FILE)
        | of(sieve_leaf(leaf), BY_NAME)
        | if is_below(dentry) { BY_DIR } else { 0 };
    if magic == TMPFS_MAGIC || magic == RAMFS_MAGIC {
        // Dear, and not to be known yet where it is asked about anyway.
        by |=
            if by == 0 { mounted(load(file, off!(file__f_path_mnt))).unwrap_or(BY_MOUNT) } else { BY_MOUNT };
    }
    Sifted(by)
}

/// Whether the directory may be named whose child the file's own file system is mounted on. A mount lies in front of what
/// points to it: no plain load goes there.
#[inline(always)]
fn mounted(vfsmount: u64) -> Result<u32, Unreadable> {
    Ok(of(sieve_mounted(above_mount(vfsmount)?), BY_MOUNT))
}

/// Whether a directory above an entry may be marked.
#[inline(always)]
fn is_below(mut dentry: u64) -> bool {
    for _ in 0..DEPTH_MAX {
        let parent = load::<u64>(dentry, off!(dentry__d_parent));
        if parent == dentry {
            return false;
        }
        let dir = load::<u64>(parent, off!(dentry__d_inode));
        if is_dir(load(dir, off!(inode__i_ino))) {
            return true;
        }
        dentry = parent;
    }
    false
}

/// Whether a directory may be marked.
#[inline(always)]
pub fn is_dir(ino: u64) -> bool {
    of(sieve_dir(ino), BY_DIR) != 0
}

#[inline(always)]
fn of((word, bit): (u32, u64), by: u32) -> u32 {
    // Every word is there; of one that were not, nothing would be known.
    if SIEVE.get(word).is_none_or(|word| *word & bit != 0) { by } else { 0 }
}
