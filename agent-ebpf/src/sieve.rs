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
use crate::read::{Unreadable, off};

/// Whether it may be one. `file` is the typed pointer, as the program was given it.
#[inline(always)]
pub fn may_match(file: u64) -> bool {
    if load::<u32>(file, off!(file__f_mode)) & (FMODE_READ | FMODE_WRITE) == 0 {
        return false;
    }
    let inode = load::<u64>(file, off!(file__f_inode));
    if load::<u16>(inode, off!(inode__i_mode)) & FILE_TYPE != REGULAR {
        return false;
    }
    let magic = load::<u64>(load(inode, off!(inode__i_sb)), off!(super_block__s_magic));
    if magic == PROC_SUPER_MAGIC || is_set(sieve_file(load(inode, off!(inode__i_ino)))) {
        return true;
    }
    let dentry = load::<u64>(file, off!(file__f_path_dentry));
    let (len, name) =
        (load::<u32>(dentry, off!(dentry__d_name_len)), load::<u64>(dentry, off!(dentry__d_name_name)));
    // What cannot be read is asked about in full, and counted there.
    let Ok(leaf) = hashed(HASH_START, name, len) else { return true };
    let in_memory = magic == TMPFS_MAGIC || magic == RAMFS_MAGIC;
    is_set(sieve_leaf(leaf))
        || is_below(dentry)
        || in_memory && is_mounted(load(file, off!(file__f_path_mnt))).unwrap_or(true)
}

/// Whether the directory may be named whose child the file's own file system is mounted on. A mount lies in front of what
/// points to it: no plain load goes there.
#[inline(always)]
fn is_mounted(vfsmount: u64) -> Result<bool, Unreadable> {
    Ok(is_set(sieve_mounted(above_mount(vfsmount)?)))
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
        if is_set(sieve_dir(load(dir, off!(inode__i_ino)))) {
            return true;
        }
        dentry = parent;
    }
    false
}

#[inline(always)]
fn is_set((word, bit): (u32, u64)) -> bool {
    // Every word is there; of one that were not, nothing would be known.
    SIEVE.get(word).is_none_or(|word| *word & bit != 0)
}

/// A field of what a typed pointer points to; 0 where it points to nothing.
#[inline(always)]
fn load<T: Copy>(base: u64, offset: u32) -> T {
    // SAFETY: the verifier lets this be a load of exactly that field, and a load that faults gives 0. Volatile, since two
    // loads that become one, wider, would be of no field.
    unsafe { (base.wrapping_add(u64::from(offset)) as *const T).read_volatile() }
}
