//! Whether a file is a credential. Cheapest questions first; nothing is emitted and no path is made before the answer.

use core::mem::MaybeUninit;

use spoor_wire::body::{MATCH_DIR, MATCH_ENTRY, MATCH_INODE, MATCH_NAME};
use spoor_wire::control::{ABSENT, INODE_HEAD};
use spoor_wire::rule::{
    ANCHORED, ANYWHERE, DEPTH_MAX, EntryKey, HASH_START, InodeKey, MOUNTED, NAME_HASHED, NAME_WORDS, NameKey,
    hash_name,
};

use crate::file::{RAMFS_MAGIC, TMPFS_MAGIC};
use crate::maps::{RULE_DIR, RULE_ENTRY, RULE_INODE, RULE_NAME};
use crate::read::{
    Entry, Guarded, Plain, Read, Unreadable, clear, entry, field, kernel, kernel_bytes, load, masked, off,
    some,
};
use crate::sieve::{self, BY_DIR, BY_FILE, BY_MOUNT, BY_NAME, Sifted};

/// A rule, and how it was met.
pub struct Hit {
    pub rule: u32,
    pub matched: u32,
}

/// Identity of an inode.
pub struct Inode {
    pub at: u64,
    pub ino: u64,
    pub dev: u32,
}

/// Reads an inode's identity.
#[inline(always)]
pub fn inode<R: Read>(at: u64) -> Result<Inode, Unreadable> {
    let block = R::get::<u64>(at, off!(inode__i_sb))?;
    Ok(Inode {
        at: R::number(at),
        ino: R::get(at, off!(inode__i_ino))?,
        dev: R::get(block, off!(super_block__s_dev))?,
    })
}

/// What is told of a file by its inode.
pub struct Told {
    pub inode: Inode,
    pub mode: u16,
    pub owner: u32,
    pub links: u32,
}

/// Reads what is told of a file, at once where the kernel keeps it together.
#[inline(always)]
pub fn told(at: u64) -> Result<Told, Unreadable> {
    if off!(inode__head) == ABSENT {
        return Ok(Told {
            inode: inode::<Guarded>(at)?,
            mode: field(at, off!(inode__i_mode)).unwrap_or(0),
            owner: field(at, off!(inode__i_uid)).unwrap_or(u32::MAX),
            links: field(at, off!(inode__i_nlink)).unwrap_or(0),
        });
    }
    let head = kernel::<[u64; INODE_HEAD as usize / 8]>(at)?;
    // Of what lies there, fields as of what a typed pointer points to.
    let head = head.as_ptr() as u64;
    let block = load::<u64>(head, off!(inode__i_sb));
    Ok(Told {
        inode: Inode {
            at,
            ino: load(head, off!(inode__i_ino)),
            dev: field(block, off!(super_block__s_dev))?,
        },
        mode: load(head, off!(inode__i_mode)),
        owner: load(head, off!(inode__i_uid)),
        links: load(head, off!(inode__i_nlink)),
    })
}

/// Matches a file by itself, then by every name and directory above it, up to the root of its own file system.
#[inline(always)]
pub fn find(file: u64, inode: &Inode) -> Result<Option<Hit>, Unreadable> {
    if let Some(hit) = find_at(field(file, off!(file__f_path_dentry))?, inode)? {
        return Ok(Some(hit));
    }
    mounted(field(file, off!(file__f_path_mnt))?, inode)
}

/// The same for a typed pointer, where the sieve has said by what it may match: in the same order, and without the questions
/// to which it has said no.
#[inline(always)]
pub fn find_sifted(file: u64, inode: &Inode, may: Sifted) -> Result<Option<Hit>, Unreadable> {
    let dentry = Plain::get::<u64>(file, off!(file__f_path_dentry))?;
    if may.be(BY_FILE)
        && let Some(hit) = by_inode(inode)?
    {
        return Ok(Some(hit));
    }
    let above = if may.be(BY_NAME) {
        spoor_by_names(Plain::number(dentry), u64::from(inode.dev))
    } else if may.be(BY_DIR) {
        below(dentry, inode.dev)
    } else {
        0
    };
    match answered(above)? {
        None if may.be(BY_MOUNT) => mounted(Plain::number(Plain::get(file, off!(file__f_path_mnt))?), inode),
        hit => Ok(hit),
    }
}

/// Matches by the directories above alone, by those that the sieve knows.
#[inline(always)]
fn below(mut dentry: u64, dev: u32) -> u64 {
    let Some(table) = sieve::Table::get() else { return u64::MAX };
    for _ in 0..DEPTH_MAX {
        let parent = load::<u64>(dentry, off!(dentry__d_parent));
        if parent == dentry {
            return 0;
        }
        let ino = load(load(parent, off!(dentry__d_inode)), off!(inode__i_ino));
        if table.is_dir(ino)
            // SAFETY: as in `find_at`.
            && let Some(rule) = unsafe { RULE_DIR.get(InodeKey { ino, dev, generation: 0 }) }
        {
            return answer(Ok(Some(Hit { rule: *rule, matched: MATCH_DIR })));
        }
        dentry = parent;
    }
    0
}

/// Matches a place, which is (directory entry, mount), by names and directories alone: of a file that gets a name. What is
/// known of its inode was found under another.
#[inline(always)]
pub fn find_named((dentry, vfsmount): (u64, u64), inode: &Inode) -> Result<Option<Hit>, Unreadable> {
    if let Some(hit) = by_names(dentry, inode.dev)? {
        return Ok(Some(hit));
    }
    mounted(vfsmount, inode)
}

/// Matches by the directory that holds the mount point of the file's own file system, where that is in memory. Such mounts
/// are made a moment before the program runs that reads them: no scan of mounts comes in time.
#[inline(always)]
fn mounted(vfsmount: u64, inode: &Inode) -> Result<Option<Hit>, Unreadable> {
    let block = field::<u64>(inode.at, off!(inode__i_sb))?;
    let magic = field::<u64>(block, off!(super_block__s_magic))?;
    if magic != TMPFS_MAGIC && magic != RAMFS_MAGIC {
        return Ok(None);
    }
    let hash = above_mount(vfsmount)?;
    // SAFETY: as in `find_at`.
    let rule = unsafe { RULE_NAME.get(NameKey { hash, depth: 1, anchored: MOUNTED }) };
    Ok(rule.map(|rule| Hit { rule: *rule, matched: MATCH_DIR }))
}

/// The hash of the name of the directory whose child a file system is mounted on.
#[inline(always)]
pub fn above_mount(vfsmount: u64) -> Result<u64, Unreadable> {
    let mount = vfsmount.wrapping_sub(u64::from(off!(mount__mnt)));
    let point = field::<u64>(mount, off!(mount__mnt_mountpoint))?;
    let Entry { len, name, .. } = entry(field(point, off!(dentry__d_parent))?)?;
    roll(HASH_START, name, len)
}

/// The same for a directory entry, which is of that inode.
#[inline(always)]
pub fn find_at(dentry: u64, inode: &Inode) -> Result<Option<Hit>, Unreadable> {
    if let Some(hit) = by_inode(inode)? {
        return Ok(Some(hit));
    }
    by_names(dentry, inode.dev)
}

#[inline(always)]
fn by_inode(inode: &Inode) -> Result<Option<Hit>, Unreadable> {
    let dev = inode.dev;
    for generation in [field(inode.at, off!(inode__i_generation))?, 0] {
        // SAFETY: rule maps are preallocated; a rule that is replaced meanwhile is a rule all the same.
        if let Some(rule) = unsafe { RULE_INODE.get(InodeKey { ino: inode.ino, dev, generation }) } {
            return Ok(Some(Hit { rule: *rule, matched: MATCH_INODE }));
        }
    }
    Ok(None)
}

/// What a function that is verified by itself answers: 0 for nothing, all ones for what could not be read, else how it was met
/// and by which rule.
#[inline(always)]
fn answer(result: Result<Option<Hit>, Unreadable>) -> u64 {
    match result {
        Ok(None) => 0,
        Ok(Some(hit)) => u64::from(hit.matched) << 32 | u64::from(hit.rule),
        Err(Unreadable) => u64::MAX,
    }
}

/// The same, read back.
#[inline(always)]
fn answered(answer: u64) -> Result<Option<Hit>, Unreadable> {
    match answer {
        0 => Ok(None),
        u64::MAX => Err(Unreadable),
        hit => Ok(Some(Hit { rule: hit as u32, matched: (hit >> 32) as u32 })),
    }
}

#[inline(always)]
fn by_names(dentry: u64, dev: u32) -> Result<Option<Hit>, Unreadable> {
    answered(spoor_by_names(dentry, u64::from(dev)))
}

/// Matches by every name and directory of an entry and above it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn spoor_by_names(dentry: u64, dev: u64) -> u64 {
    answer(walk(dentry, dev as u32))
}

#[inline(always)]
fn walk(mut dentry: u64, dev: u32) -> Result<Option<Hit>, Unreadable> {
    let mut hash = HASH_START;
    for depth in 1..=DEPTH_MAX {
        let Entry { parent, len, name } = entry(dentry)?;
        if parent == dentry {
            return Ok(anchored(hash, depth - 1));
        }
        hash = roll(hash, name, len)?;
        let above = field::<u64>(parent, off!(dentry__d_inode))?;
        let dir_ino = field::<u64>(above, off!(inode__i_ino))?;
        if depth == 1 {
            // SAFETY: as in `find_at`.
            if let Some(rule) = unsafe { RULE_ENTRY.get(EntryKey { dir_ino, name: hash, dev, pad: 0 }) } {
                return Ok(Some(Hit { rule: *rule, matched: MATCH_ENTRY }));
            }
        }
        // SAFETY: as in `find_at`.
        if let Some(rule) = unsafe { RULE_NAME.get(NameKey { hash, depth, anchored: ANYWHERE }) } {
            return Ok(Some(Hit { rule: *rule, matched: MATCH_NAME }));
        }
        // SAFETY: as in `find_at`.
        if let Some(rule) = unsafe { RULE_DIR.get(InodeKey { ino: dir_ino, dev, generation: 0 }) } {
            return Ok(Some(Hit { rule: *rule, matched: MATCH_DIR }));
        }
        dentry = parent;
    }
    Ok(None)
}

#[inline(always)]
fn anchored(hash: u64, depth: u32) -> Option<Hit> {
    // SAFETY: as in `find_at`.
    let rule = unsafe { RULE_NAME.get(NameKey { hash, depth, anchored: ANCHORED }) }?;
    Some(Hit { rule: *rule, matched: MATCH_NAME })
}

#[inline(always)]
fn roll(hash: u64, name: u64, len: u32) -> Result<u64, Unreadable> {
    some(spoor_roll(hash, name, u64::from(len)))
}

/// The hash of a name behind that of the names below it; 0 where it cannot be read.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn spoor_roll(hash: u64, name: u64, len: u64) -> u64 {
    hashed(hash, name, len as u32).unwrap_or(0)
}

/// The hash of a name of that length behind another's.
#[inline(always)]
pub fn hashed(hash: u64, name: u64, len: u32) -> Result<u64, Unreadable> {
    // In place, and not by value: a copy of cleared words is a `memset` again.
    let mut words = MaybeUninit::<[u64; NAME_WORDS]>::uninit();
    let bytes = words.as_mut_ptr().cast::<u8>();
    // SAFETY: the whole buffer.
    unsafe { clear::<NAME_WORDS>(bytes.cast()) };
    let read = if len > NAME_HASHED as u32 { NAME_HASHED as u32 } else { len };
    // SAFETY: at most 63 bytes into a buffer of 64.
    unsafe { kernel_bytes(bytes, masked::<{ NAME_HASHED as u32 }>(read), name) }?;
    // SAFETY: all of it is written.
    Ok(hash_name(hash, unsafe { words.assume_init_ref() }, len))
}
