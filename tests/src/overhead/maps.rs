//! How many entries the tables of the kernel's BPF programs have.

#![expect(unsafe_code, reason = "bpf(2), for which this crate has no library")]

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::libc;

use super::programs::bpf;

const GET_NEXT_KEY: libc::c_long = 4;
const GET_NEXT_ID: libc::c_long = 12;
const GET_FD_BY_ID: libc::c_long = 14;
const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
/// `BPF_MAP_TYPE_HASH`, `BPF_MAP_TYPE_LRU_HASH`
const HASH: u32 = 1;
const LRU_HASH: u32 = 9;
/// Beginning of `struct bpf_map_info`: type, id, key size, value size, most entries, flags, name.
const INFO: usize = 40;

/// A hash table: entries, and how many there may be; whether it makes room by itself.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(super) struct Fill {
    pub(super) entries: u32,
    pub(super) most: u32,
    pub(super) lru: bool,
}

/// All hash tables, by name.
pub(super) fn fill() -> Result<BTreeMap<String, Fill>> {
    let mut all = BTreeMap::new();
    let mut attributes = [0u32; 32];
    loop {
        match bpf(GET_NEXT_ID, &mut attributes) {
            Err(Errno::ENOENT) => return Ok(all),
            answer => answer.context("ids of BPF maps")?,
        };
        let id = attributes[1];
        // One that is gone meanwhile has no entries.
        if let Some((name, fill)) = table(id)? {
            all.insert(name, fill);
        }
        attributes = [0; 32];
        attributes[0] = id;
    }
}

fn table(id: u32) -> Result<Option<(String, Fill)>> {
    let mut attributes = [0u32; 32];
    attributes[0] = id;
    let fd = match bpf(GET_FD_BY_ID, &mut attributes) {
        Err(Errno::ENOENT) => return Ok(None),
        answer => i32::try_from(answer.context("a map by its id")?)?,
    };
    // SAFETY: made a line above, and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut info = [0u8; INFO];
    attributes = [0; 32];
    attributes[0] = u32::try_from(fd.as_raw_fd())?;
    attributes[1] = u32::try_from(INFO)?;
    put(&mut attributes, 2, info.as_mut_ptr().addr());
    bpf(OBJ_GET_INFO_BY_FD, &mut attributes).context("what a map says of itself")?;
    let word = |at: usize| info.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_ne_bytes);
    let (kind, key, most) = (word(0), word(8).unwrap_or(0), word(16).unwrap_or(0));
    let lru = kind == Some(LRU_HASH);
    if kind != Some(HASH) && !lru {
        return Ok(None);
    }
    let name = String::from_utf8_lossy(info.get(24..40).unwrap_or_default());
    let entries = count(&fd, usize::try_from(key)?, most)?;
    Ok(Some((name.trim_end_matches('\0').to_owned(), Fill { entries, most, lru })))
}

/// Walks the keys. Where one is removed meanwhile, the walk begins anew; so it ends where there cannot be more.
fn count(fd: &OwnedFd, key: usize, most: u32) -> Result<u32> {
    let (mut here, mut next) = (vec![0u8; key], vec![0u8; key]);
    let mut entries = 0;
    while entries < most {
        let mut attributes = [0u32; 32];
        attributes[0] = u32::try_from(fd.as_raw_fd())?;
        if entries > 0 {
            put(&mut attributes, 2, here.as_mut_ptr().addr());
        }
        put(&mut attributes, 4, next.as_mut_ptr().addr());
        match bpf(GET_NEXT_KEY, &mut attributes) {
            Err(Errno::ENOENT) => break,
            answer => answer.context("keys of a map")?,
        };
        entries += 1;
        std::mem::swap(&mut here, &mut next);
    }
    Ok(entries)
}

/// An address into two words.
fn put(attributes: &mut [u32; 32], at: usize, address: usize) {
    let bytes = address.to_ne_bytes();
    for (word, half) in attributes.iter_mut().skip(at).zip(bytes.chunks_exact(4)) {
        *word = half.try_into().map_or(0, u32::from_ne_bytes);
    }
}
