//! Keys for the kernel while they are collected: each once, bounded.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use spoor_wire::rule::{EntryKey, InodeKey};

/// Most keys of each sort.
pub(super) const KEYS_MAX: usize = 16_384;

/// A key of one sort.
#[derive(Clone, Copy)]
pub(super) enum Key {
    Inode(InodeKey),
    Dir(InodeKey),
    Entry(EntryKey),
}

/// Keys with their rules.
#[derive(Default)]
pub(super) struct Marks {
    inodes: HashMap<InodeKey, u32>,
    dirs: HashMap<InodeKey, u32>,
    entries: HashMap<EntryKey, u32>,
}

/// Each sort of keys, in order.
type Sorted = (Vec<(InodeKey, u32)>, Vec<(InodeKey, u32)>, Vec<(EntryKey, u32)>);

impl Marks {
    /// Adds a key; tells whether there was room.
    pub(super) fn add(&mut self, key: Key, rule: u32) -> bool {
        match key {
            Key::Inode(key) => insert(&mut self.inodes, key, rule),
            Key::Dir(key) => insert(&mut self.dirs, key, rule),
            Key::Entry(key) => insert(&mut self.entries, key, rule),
        }
    }

    /// All of them.
    pub(super) fn sorted(self) -> Sorted {
        (
            sorted(self.inodes, |key| (key.dev, key.ino, 0)),
            sorted(self.dirs, |key| (key.dev, key.ino, 0)),
            sorted(self.entries, |key| (key.dev, key.dir_ino, key.name)),
        )
    }
}

/// The first rule stays, but one that is sure replaces one of the same kind that is not.
fn insert<K: Eq + Hash>(map: &mut HashMap<K, u32>, key: K, rule: u32) -> bool {
    let full = map.len() >= KEYS_MAX;
    match map.entry(key) {
        Entry::Occupied(mut old) => {
            if *old.get() / 2 == rule / 2 {
                *old.get_mut() |= rule % 2;
            }
            true
        }
        Entry::Vacant(_) if full => false,
        Entry::Vacant(new) => {
            new.insert(rule);
            true
        }
    }
}

fn sorted<K: Copy>(map: HashMap<K, u32>, order: impl Fn(&K) -> (u32, u64, u64)) -> Vec<(K, u32)> {
    let mut list = map.into_iter().collect::<Vec<_>>();
    list.sort_by_key(|(key, _)| order(key));
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_stays_and_may_become_sure() {
        let mut marks = Marks::default();
        let key = InodeKey::default();
        for rule in [4, 5, 4, 7] {
            assert!(marks.add(Key::Dir(key), rule));
        }
        assert_eq!(marks.sorted().1, [(key, 5)]);
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut marks = Marks::default();
        let key = |ino| Key::Inode(InodeKey { ino, dev: 0, generation: 0 });
        let most = u64::try_from(KEYS_MAX).unwrap();
        assert!((0..most).all(|ino| marks.add(key(ino), 0)));
        assert!(!marks.add(key(most), 0));
        assert!(marks.add(key(0), 1));
    }
}
