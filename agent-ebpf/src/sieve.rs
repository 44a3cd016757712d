//! Whether a file that is opened may be a credential at all, and whether one that is read may be. Most are not, and every one of
//! them pays for the question: so it is asked by plain loads, which the verifier allows of the typed pointer that LSM and
//! fentry programs are given, and of tables of bits, before anything is read by a helper or looked up.
//!
//! Each rule of a file has a bit: by the name of its leaf, by its directory, or by its inode. A file none of whose bits is
//! set meets no rule. One that has some, and what lies in `/proc`, is asked about anew and in full.

use spoor_wire::control::{ABSENT, INODE_HEAD, NAME_SHORT};
use spoor_wire::rule::{
    DEPTH_MAX, HASH_START, SIEVE_WORDS, found_slot, hash_end, hash_word, sieve_dir, sieve_file, sieve_leaf,
    sieve_mounted, word_of_name,
};

use crate::file::{FILE_TYPE, PROC_SUPER_MAGIC, RAMFS_MAGIC, REGULAR, TMPFS_MAGIC};
use crate::maps::{FOUND, SIEVE};
use crate::matcher::{above_mount, hashed};
use crate::read::{Entry, Unreadable, entry, field, kernel, load, off};

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
        #[cfg(feature = "without-filter")]
        return false;
        self.0 == 0
    }

    #[inline(always)]
    pub fn be(self, by: u32) -> bool {
        self.0 & by != 0
    }
}

/// The bits.
#[derive(Clone, Copy)]
pub struct Table(&'static [u64; SIEVE_WORDS as usize]);

impl Table {
    /// `None` never, which verifiers do not know.
    #[inline(always)]
    pub fn get() -> Option<Self> {
        SIEVE.get(0).map(Self)
    }

    /// Whether a directory may be marked.
    #[inline(always)]
    pub fn is_dir(self, ino: u64) -> bool {
        self.of(sieve_dir(ino), BY_DIR) != 0
    }

    #[inline(always)]
    fn of(self, (word, bit): (u32, u64), by: u32) -> u32 {
        // A word that is not there says of nothing that it is none.
        if self.0.get(word as usize).is_none_or(|word| *word & bit != 0) { by } else { 0 }
    }
}

/// By what it may be one. `file` is the typed pointer, as the program was given it.
#[inline(always)]
pub fn sift(file: u64) -> Sifted {
    #[cfg(feature = "without-sieve")]
    return Sifted::ANYTHING;
    let inode = load::<u64>(file, off!(file__f_inode));
    if load::<u16>(inode, off!(inode__i_mode)) & FILE_TYPE != REGULAR {
        return Sifted::NOTHING;
    }
    let magic = load::<u64>(load(inode, off!(inode__i_sb)), off!(super_block__s_magic));
    if magic == PROC_SUPER_MAGIC {
        return Sifted::ANYTHING;
    }
    let dentry = load::<u64>(file, off!(file__f_path_dentry));
    // What cannot be read is asked about in full, and counted there.
    let (Some(table), Ok(leaf)) = (Table::get(), name_of(dentry)) else { return Sifted::ANYTHING };
    let mut by = table.of(sieve_file(load(inode, off!(inode__i_ino))), BY_FILE)
        | table.of(sieve_leaf(leaf), BY_NAME)
        | if is_below(dentry, table) { BY_DIR } else { 0 };
    if magic == TMPFS_MAGIC || magic == RAMFS_MAGIC {
        // Dear, and not to be known yet where it is asked about anyway.
        by |= if by == 0 {
            mounted(load(file, off!(file__f_path_mnt)), table).unwrap_or(BY_MOUNT)
        } else {
            BY_MOUNT
        };
    }
    Sifted(by)
}

/// The same of a file that is no typed pointer, by reads of what lies together. Still a fraction of what the rules would cost.
#[inline(always)]
pub fn sift_number(file: u64) -> Sifted {
    #[cfg(feature = "without-sieve")]
    return Sifted::ANYTHING;
    Sifted(spoor_sift(file) as u32)
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn spoor_sift(file: u64) -> u64 {
    // What cannot be read is asked about in full, and counted there.
    u64::from(sifted(file).unwrap_or(Sifted::ANYTHING).0)
}

#[inline(always)]
fn sifted(file: u64) -> Result<Sifted, Unreadable> {
    let (mode, block, ino) = inode(field(file, off!(file__f_inode))?)?;
    if mode & FILE_TYPE != REGULAR {
        return Ok(Sifted::NOTHING);
    }
    let magic = field::<u64>(block, off!(super_block__s_magic))?;
    if magic == PROC_SUPER_MAGIC {
        return Ok(Sifted::ANYTHING);
    }
    let dentry = field::<u64>(file, off!(file__f_path_dentry))?;
    let Entry { parent, len, name } = entry(dentry)?;
    let table = Table::get().ok_or(Unreadable)?;
    let mut by = table.of(sieve_file(ino), BY_FILE)
        | table.of(sieve_leaf(hashed(HASH_START, name, len)?), BY_NAME)
        | if is_there_below(dentry, parent, table)? { BY_DIR } else { 0 };
    if magic == TMPFS_MAGIC || magic == RAMFS_MAGIC {
        by |= if by == 0 { mounted(field(file, off!(file__f_path_mnt))?, table)? } else { BY_MOUNT };
    }
    Ok(Sifted(by))
}

/// Mode, file system and number of an inode, read at once where the kernel keeps them together.
#[inline(always)]
fn inode(at: u64) -> Result<(u16, u64, u64), Unreadable> {
    let (mode_at, block_at, ino_at) = (off!(inode__i_mode), off!(inode__i_sb), off!(inode__i_ino));
    if off!(inode__head) == ABSENT {
        return Ok((field(at, mode_at)?, field(at, block_at)?, field(at, ino_at)?));
    }
    let head = kernel::<[u64; INODE_HEAD as usize / 8]>(at)?;
    let head = head.as_ptr() as u64;
    Ok((load(head, mode_at), load(head, block_at), load(head, ino_at)))
}

/// Whether a directory above an entry, the first of which is `parent`, may be marked.
#[inline(always)]
fn is_there_below(mut dentry: u64, mut parent: u64, table: Table) -> Result<bool, Unreadable> {
    for _ in 0..DEPTH_MAX {
        if parent == dentry {
            return Ok(false);
        }
        let (above, inode) = above(parent)?;
        if table.is_dir(field(inode, off!(inode__i_ino))?) {
            return Ok(true);
        }
        (dentry, parent) = (parent, above);
    }
    Ok(false)
}

/// What is above a directory, and its inode: four words in a row where nobody shuffled them.
#[inline(always)]
fn above(dentry: u64) -> Result<(u64, u64), Unreadable> {
    let (together, inode_at) = (off!(dentry__together), off!(dentry__d_inode));
    if together != ABSENT && inode_at == together.wrapping_add(24) {
        let [parent, _, _, inode] = field::<[u64; 4]>(dentry, together)?;
        return Ok((parent, inode));
    }
    Ok((field(dentry, off!(dentry__d_parent))?, field(dentry, inode_at)?))
}

/// The hash of an entry's name. One that is short lies in the entry, where it is loaded; to have a helper copy another takes as
/// long as all the rest.
#[inline(always)]
fn name_of(dentry: u64) -> Result<u64, Unreadable> {
    let len = load::<u32>(dentry, off!(dentry__d_name_len));
    let at = off!(dentry__d_iname);
    if at == ABSENT || len > NAME_SHORT {
        return hashed(HASH_START, load::<u64>(dentry, off!(dentry__d_name_name)), len);
    }
    let mut hash = HASH_START;
    // Counted by words, and their last not among them: so it becomes four steps and no loop.
    for word in 0..NAME_SHORT.div_ceil(8) {
        let start = word * 8;
        if start >= len {
            break;
        }
        hash = hash_word(hash, word_of_name(load(dentry, at.wrapping_add(start)), len.wrapping_sub(start)));
    }
    Ok(hash_end(hash, len))
}

/// Whether the directory may be named whose child the file's own file system is mounted on. A mount lies in front of what
/// points to it: no plain load goes there.
#[inline(always)]
fn mounted(vfsmount: u64, table: Table) -> Result<u32, Unreadable> {
    Ok(table.of(sieve_mounted(above_mount(vfsmount)?), BY_MOUNT))
}

/// Whether a directory above an entry may be marked.
#[inline(always)]
fn is_below(mut dentry: u64, table: Table) -> bool {
    // Once for all levels: each is itself a load.
    let (parent_at, inode_at, ino_at) = (off!(dentry__d_parent), off!(dentry__d_inode), off!(inode__i_ino));
    for _ in 0..DEPTH_MAX {
        let parent = load::<u64>(dentry, parent_at);
        if parent == dentry {
            return false;
        }
        if table.is_dir(load(load(parent, inode_at), ino_at)) {
            return true;
        }
        dentry = parent;
    }
    false
}

/// Whether a file that is read may have been found to be a credential when it was opened. `file` is the typed pointer.
#[inline(always)]
pub fn may_be_found(file: u64) -> bool {
    #[cfg(feature = "without-sieve")]
    return true;
    let inode = load::<u64>(file, off!(file__f_inode));
    FOUND.get(found_slot(load(inode, off!(inode__i_ino)))).is_none_or(|found| *found != 0)
}

/// That it may be from now on.
#[inline(always)]
pub fn found(ino: u64) {
    if let Some(found) = FOUND.get_ptr_mut(found_slot(ino)) {
        // SAFETY: a number in a map, which is only ever set.
        unsafe { found.write_volatile(1) };
    }
}
