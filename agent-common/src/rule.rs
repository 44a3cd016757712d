//! Keys of the credential match, and the name hash that probes and agent share.
//!
//! A file matches by (device, inode), by its name in a marked directory, by any marked directory above it, or by the
//! names of its path counted from the leaf. Name rules are looked up by a hash rolled from the leaf upwards, so that one
//! walk up the tree asks for every depth; a rule that names the whole path is *anchored*: it holds only where the walk
//! has reached the root of the file system.

use core::mem::size_of;

/// Bytes of a name that are hashed; of a longer name, these and its length.
pub const NAME_HASHED: usize = 63;
/// Words that hold them, and a NUL.
pub const NAME_WORDS: usize = (NAME_HASHED + 1) / 8;
/// Most names a rule can have, and most levels walked up.
pub const DEPTH_MAX: u32 = 12;
/// Most rules of each sort but names: files, names in directories, directories.
pub const RULES_MAX: u32 = 16_384;

/// Odd, and its bits without a pattern: the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where a rolled hash starts.
pub const HASH_START: u64 = 0xcbf2_9ce4_8422_2325;

/// Rolls one name into the hash, eight bytes at a time, and then its length, so that `ab`,`c` and `a`,`bc` differ. `len` is
/// the full length of the name; only the first [`NAME_HASHED`] bytes of it count, and behind its end `name` must be zero.
#[inline(always)]
#[must_use]
pub fn hash_name(mut hash: u64, name: &[u64; NAME_WORDS], len: u32) -> u64 {
    for (start, word) in (0u32..).step_by(8).zip(name) {
        if start >= len {
            break;
        }
        hash = hash_word(hash, *word);
    }
    hash_end(hash, len)
}

/// Rolls eight bytes of a name into the hash, the first of them lowest.
#[inline(always)]
#[must_use]
pub fn hash_word(hash: u64, word: u64) -> u64 {
    mixed(hash ^ word)
}

/// Rolls in the length of a name whose bytes are in the hash.
#[inline(always)]
#[must_use]
pub fn hash_end(hash: u64, len: u32) -> u64 {
    mixed(hash ^ (0x100 | u64::from(len)))
}

/// A word of a name of which so many bytes are left, without those behind its end.
#[inline(always)]
#[must_use]
pub fn word_of_name(word: u64, left: u32) -> u64 {
    if left < 8 { word & ((1 << (left * 8)) - 1) } else { word }
}

/// Carries each bit up by the product, and down by the shift.
#[inline(always)]
fn mixed(hash: u64) -> u64 {
    let hash = hash.wrapping_mul(SPREAD);
    hash ^ (hash >> 29)
}

/// The same for a name of any length, on the host.
#[must_use]
pub fn hash_bytes(hash: u64, name: &[u8]) -> u64 {
    let mut words = [0; NAME_WORDS];
    let hashed = name.get(..NAME_HASHED).unwrap_or(name);
    for (word, bytes) in words.iter_mut().zip(hashed.chunks(8)) {
        let mut buffer = [0; 8];
        for (to, from) in buffer.iter_mut().zip(bytes) {
            *to = *from;
        }
        *word = u64::from_le_bytes(buffer);
    }
    hash_name(hash, &words, u32::try_from(name.len()).unwrap_or(u32::MAX))
}

/// Words of the sieve, in which every rule of a file has a bit: what has none there is no credential, and most files are
/// known for that by a few of them.
pub const SIEVE_WORDS: u32 = 1 << (SIEVE_BITS - 6);
/// Bits of a bit's number in it.
const SIEVE_BITS: u32 = 17;

/// The word and the bit of a leaf's name, by its hash from [`HASH_START`].
#[inline(always)]
#[must_use]
pub fn sieve_leaf(name: u64) -> (u32, u64) {
    sieve(name)
}

/// Those of a file.
#[inline(always)]
#[must_use]
pub fn sieve_file(ino: u64) -> (u32, u64) {
    sieve(ino)
}

/// Those of a directory.
#[inline(always)]
#[must_use]
pub fn sieve_dir(ino: u64) -> (u32, u64) {
    sieve(!ino)
}

/// Those of the directory whose child a file system in memory is mounted on, by the hash of its name.
#[inline(always)]
#[must_use]
pub fn sieve_mounted(name: u64) -> (u32, u64) {
    sieve(!name)
}

/// Places for files that were found to be credentials: what has no mark there was never found to be one.
pub const FOUND_SLOTS: u32 = 1 << FOUND_BITS;
/// Bits of a place's number.
const FOUND_BITS: u32 = 14;

/// The place of a file.
#[inline(always)]
#[must_use]
pub fn found_slot(ino: u64) -> u32 {
    (ino.wrapping_mul(SPREAD) >> (64 - FOUND_BITS)) as u32
}

#[inline(always)]
fn sieve(of: u64) -> (u32, u64) {
    // The product's upper bits hang on all of the number.
    let bit = of.wrapping_mul(SPREAD) >> (64 - SIEVE_BITS);
    ((bit >> 6) as u32, 1 << (bit & 63))
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
    fn bits_of_the_sieve_are_in_it_and_spread() {
        let mut words = [0u64; SIEVE_WORDS as usize];
        for ino in 0..1_000 {
            for (word, bit) in
                [sieve_file(ino), sieve_dir(ino), sieve_leaf(hash_bytes(HASH_START, &ino.to_le_bytes()))]
            {
                assert!(bit.is_power_of_two());
                words[word as usize] |= bit;
            }
        }
        let set: u32 = words.iter().map(|word| word.count_ones()).sum();
        assert!(set > 2_900, "{set} of 3,000 are apart");
    }

    #[test]
    fn a_name_is_hashed_as_the_probes_read_it() {
        // Little-endian words, zero behind the end.
        let mut words = [0; NAME_WORDS];
        words[0] = u64::from_le_bytes(*b"credenti");
        words[1] = u64::from_le_bytes(*b"als\0\0\0\0\0");
        assert_eq!(hash_name(HASH_START, &words, 11), hash_bytes(HASH_START, b"credentials"));
        assert_ne!(hash_bytes(HASH_START, b"credentials"), hash_bytes(HASH_START, b"credentialS"));
        assert_ne!(hash_bytes(HASH_START, b"a"), hash_bytes(HASH_START, b"a\0"));
    }

    #[test]
    fn a_short_name_is_hashed_as_it_lies_among_what_was_there_before() {
        for len in 1..=31 {
            let mut name = [b'x'; 32];
            name[..len].copy_from_slice(&b"abcdefghijklmnopqrstuvwxyz01234"[..len]);
            let mut hash = HASH_START;
            for (start, bytes) in (0..).step_by(8).zip(name.chunks(8)).take_while(|(start, _)| *start < len) {
                let word = u64::from_le_bytes(bytes.try_into().unwrap());
                hash = hash_word(hash, word_of_name(word, u32::try_from(len - start).unwrap()));
            }
            let len_u32 = u32::try_from(len).unwrap();
            assert_eq!(hash_end(hash, len_u32), hash_bytes(HASH_START, &name[..len]), "{len} bytes");
        }
    }

    #[test]
    fn files_have_places_that_are_apart() {
        let mut taken = [false; FOUND_SLOTS as usize];
        for ino in (0..1_000).chain([u64::MAX, 1 << 63]) {
            taken[found_slot(ino) as usize] = true;
        }
        let apart = taken.iter().filter(|taken| **taken).count();
        assert!(apart > 990, "{apart} of 1,002 are apart");
    }

    #[test]
    fn a_long_name_differs_by_its_length() {
        let long = [b'x'; 200];
        assert_ne!(hash_bytes(HASH_START, &long[..100]), hash_bytes(HASH_START, &long[..101]));
        assert_ne!(hash_bytes(HASH_START, &long[..62]), hash_bytes(HASH_START, &long[..63]));
    }
}
