//! How many entries the tables of the kernel's BPF programs have.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::libc;

use super::bpf::{self, Kind};

/// `BPF_MAP_GET_NEXT_ID`, `BPF_MAP_GET_FD_BY_ID`
const TABLES: Kind = Kind { next_id: 12, by_id: 14 };
const GET_NEXT_KEY: libc::c_long = 4;
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
    for id in bpf::ids(TABLES) {
        // One that is gone meanwhile has no entries.
        all.extend(table(id?)?);
    }
    Ok(all)
}

fn table(id: u32) -> Result<Option<(String, Fill)>> {
    let Some(fd) = bpf::open(TABLES, id)? else { return Ok(None) };
    let info = bpf::info::<INFO>(&fd)?;
    let word = |at: usize| info.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_ne_bytes);
    let (kind, key, most) = (word(0), word(8).unwrap_or(0), word(16).unwrap_or(0));
    let lru = kind == Some(LRU_HASH);
    if kind != Some(HASH) && !lru {
        return Ok(None);
    }
    let entries = count(&fd, usize::try_from(key)?, most)?;
    Ok(Some((bpf::name(info.get(24..).unwrap_or_default()), Fill { entries, most, lru })))
}

/// Walks the keys. Where one is removed meanwhile, the walk begins anew; so it ends where there cannot be more.
fn count(fd: &OwnedFd, key: usize, most: u32) -> Result<u32> {
    let (mut here, mut next) = (vec![0u8; key], vec![0u8; key]);
    let mut entries = 0;
    while entries < most {
        let mut attributes = bpf::about(fd)?;
        if entries > 0 {
            bpf::put(&mut attributes, 2, here.as_mut_ptr().addr());
        }
        bpf::put(&mut attributes, 4, next.as_mut_ptr().addr());
        match bpf::call(GET_NEXT_KEY, &mut attributes) {
            Err(Errno::ENOENT) => break,
            answer => answer.context("keys of a map")?,
        };
        entries += 1;
        std::mem::swap(&mut here, &mut next);
    }
    Ok(entries)
}
