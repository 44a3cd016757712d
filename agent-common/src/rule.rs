//! Keys of the credential match, and the name hash that probes and agent share.
//!
//! A file matches by (device, inode), by its name in a marked directory, by any marked directory above it, or by the
//! names of its path counted from the leaf. Name rules are looked up by a hash rolled from the leaf upwards, so that one
//! walk up the tree asks for every depth; a rule that names the whole path is *anchored*: it holds only where the walk
//! has reached the root of the file system.

use core::mem::size_of;

/// Bytes of a name that are hashed; of a longer name, these and its length.
pub const NAME_HASHED: usize = 63;
/// Most names a rule can have, and most levels walked up.
pub const DEPTH_MAX: u32 = 12;
/// Most rules of each sort but names: files, names in directories, directories.
pub const RULES_MAX: u32 = 16_384;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// Where a rolled hash starts.
pub const HASH_START: u64 = FNV_OFFSET;

/// Rolls one name into the hash (FNV-1a, then its length, so that `ab`,`c` and `a`,`bc` differ). `len` is the full
/// length of the name; only the first [`NAME_HASHED`] bytes of `name` count.
#[inline(always)]
#[must_use]
pub fn hash_name(mut hash: u64, name: &[u8; NAME_HASHED + 1], len: u32) -> u64 {
    for (index, byte) in (0u32..).zip(name.iter().take(NAME_HASHED)) {
        if index >= len {
            break;
        }
        hash = (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
    }
    (hash ^ (0x100 | u64::from(len))).wrapping_mul(FNV_PRIME)
}

/// The same for a name of any length, on the host.
#[must_use]
pub fn hash_bytes(hash: u64, name: &[u8]) -> u64 {
    let mut buffer = [0; NAME_HASHED + 1];
    for (to, from) in buffer.iter_mut().zip(name) {
        *to = *from;
    }
    hash_name(hash, &buffer, u32::try_from(name.len()).unwrap_or(u32::MAX))
}

/// A file or directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct InodeKey {
    /// Inode number.
    pub ino: u64,
    /// The kernel's `s_dev`: `major << 20 | minor`.
    pub dev: u32,
    /// `i_generation`, which tells two lives of an inode number apart; 0 for any of them.
    pub generation: u32,
}

/// A name in a directory: holds through rename-over and re-creation, where an inode would not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct EntryKey {
    /// Inode number of the directory.
    pub dir_ino: u64,
    /// Hash of the name, from [`HASH_START`].
    pub name: u64,
    /// The kernel's `s_dev`.
    pub dev: u32,
    /// 0
    pub pad: u32,
}

/// The last `depth` names of a path, rolled from the leaf up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct NameKey {
    /// Rolled hash.
    pub hash: u64,
    /// Number of names rolled in, from 1 to [`DEPTH_MAX`].
    pub depth: u32,
    /// Where the names have to end: [`ANYWHERE`], [`ANCHORED`] or [`MOUNTED`]; or that the name is no file's:
    /// [`KEY_TYPE`].
    pub anchored: u32,
}

/// The names may end anywhere.
pub const ANYWHERE: u32 = 0;
/// The path starts at the root of its file system.
pub const ANCHORED: u32 = 1;
/// The names are no part of the path: the one of depth 1 is that of the directory whose child the file system is mounted
/// on. Holds for file systems in memory only.
pub const MOUNTED: u32 = 2;
/// The name, of depth 1, is that of a type of keys in the kernel's key rings. Of depth 2, a type's and then a description's:
/// the rule is [`NO_RULE`].
pub const KEY_TYPE: u32 = 3;
/// What fits is no credential, whatever else it fits.
pub const NO_RULE: u32 = u32::MAX - 1;

const _: () = assert!(size_of::<InodeKey>() == 16);
const _: () = assert!(size_of::<EntryKey>() == 24);
const _: () = assert!(size_of::<NameKey>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_their_order_matter() {
        let aws = hash_bytes(hash_bytes(HASH_START, b"credentials"), b".aws");
        assert_eq!(aws, hash_bytes(hash_bytes(HASH_START, b"credentials"), b".aws"));
        assert_ne!(aws, hash_bytes(hash_bytes(HASH_START, b".aws"), b"credentials"));
        assert_ne!(
            hash_bytes(hash_bytes(HASH_START, b"ab"), b"c"),
            hash_bytes(hash_bytes(HASH_START, b"a"), b"bc")
        );
    }

    #[test]
    fn a_long_name_differs_by_its_length() {
        let long = [b'x'; 200];
        assert_ne!(hash_bytes(HASH_START, &long[..100]), hash_bytes(HASH_START, &long[..101]));
        assert_ne!(hash_bytes(HASH_START, &long[..62]), hash_bytes(HASH_START, &long[..63]));
    }
}
