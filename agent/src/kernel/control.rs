//! The control maps: rules, marks and scope go in.

use std::collections::BTreeMap;

use aya::maps::{Array, HashMap, MapData, MapError};
use spoor_wire::control::{MARK_CANARY, Mark, names};
use spoor_wire::rule::{
    EntryKey, InodeKey, MOUNTED, NameKey, RULES_MAX, found_slot, sieve_dir, sieve_file, sieve_leaf,
    sieve_mounted,
};

use super::lapse::Lapses;
use super::load_error::LoadError;
use super::loader::Kernel;
use super::pod::AsPod;
use super::sieve::{Bit, Sieve};
use crate::event::ProcessKey;

type Rules<K> = HashMap<MapData, AsPod<K>, u32>;

/// Handles on the control maps.
pub struct Control {
    marks: HashMap<MapData, u32, AsPod<Mark>>,
    armed: Array<MapData, u32>,
    scope: HashMap<MapData, u64, u32>,
    inodes: Rules<InodeKey>,
    entries: Rules<EntryKey>,
    dirs: Rules<InodeKey>,
    names: Rules<NameKey>,
    known: Rules<InodeKey>,
    found: Array<MapData, u32>,
    sieve: Sieve,
    /// What is in the rule maps now, so that a rescan writes only what changed.
    written: Written,
    lapsed: Lapsed,
    /// Other names are watched than at the last scan: what that found may be nothing now.
    renamed: bool,
}

type InodeIndex = (u32, u64, u32);
type EntryIndex = (u32, u64, u64);

#[derive(Default)]
struct Written {
    names: BTreeMap<(u64, u32, u32), u32>,
    /// Bits of the names.
    named: Vec<Bit>,
    inodes: BTreeMap<InodeIndex, u32>,
    entries: BTreeMap<EntryIndex, u32>,
    dirs: BTreeMap<InodeIndex, u32>,
    /// Bits of what is watched beside all of these.
    beside: Vec<Bit>,
}

impl Written {
    /// The bits of all rules of files.
    fn bits(&self) -> impl Iterator<Item = Bit> + '_ {
        let found = bits(&self.inodes, &self.entries, &self.dirs);
        self.named.iter().chain(&self.beside).copied().chain(found)
    }
}

/// Those of what a scan found.
fn bits<'a>(
    inodes: &'a BTreeMap<InodeIndex, u32>,
    entries: &'a BTreeMap<EntryIndex, u32>,
    dirs: &'a BTreeMap<InodeIndex, u32>,
) -> impl Iterator<Item = Bit> + 'a {
    let files = inodes.keys().map(|(_, ino, _)| sieve_file(*ino));
    let leaves = entries.keys().map(|(.., name)| sieve_leaf(*name));
    files.chain(leaves).chain(dirs.keys().map(|(_, ino, _)| sieve_dir(*ino)))
}

#[derive(Default)]
struct Lapsed {
    inodes: Lapses<InodeIndex>,
    entries: Lapses<EntryIndex>,
    dirs: Lapses<InodeIndex>,
}

fn inode_key((dev, ino, generation): (u32, u64, u32)) -> InodeKey {
    InodeKey { ino, dev, generation }
}

fn entry_key((dev, dir_ino, name): (u32, u64, u64)) -> EntryKey {
    EntryKey { dir_ino, name, dev, pad: 0 }
}

/// Brings a rule map to what is wanted. Rules that are refused because the map is full are counted.
fn update<I: Copy + Ord, K: Copy + 'static>(
    map: &mut Rules<K>,
    written: &mut BTreeMap<I, u32>,
    wanted: &BTreeMap<I, u32>,
    key: impl Fn(I) -> K,
) -> u64 {
    let stale: Vec<I> = written.keys().filter(|index| !wanted.contains_key(index)).copied().collect();
    for index in stale {
        // Gone already is what is wanted.
        drop(map.remove(&AsPod(key(index))));
        written.remove(&index);
    }
    let mut refused = 0;
    for (index, rule) in wanted {
        if written.get(index) == Some(rule) {
            continue;
        }
        match map.insert(AsPod(key(*index)), rule, 0) {
            Ok(()) => drop(written.insert(*index, *rule)),
            Err(_) => refused += 1,
        }
    }
    refused
}

impl Control {
    /// Takes the control maps out of the object.
    ///
    /// # Errors
    /// [`LoadError`] where the object is not of this version.
    pub fn take(kernel: &mut Kernel) -> Result<Self, LoadError> {
        Ok(Control {
            marks: kernel.take(names::MARKS)?,
            armed: kernel.take(names::ARMED)?,
            scope: kernel.take(names::SCOPE)?,
            inodes: kernel.take(names::RULE_INODE)?,
            entries: kernel.take(names::RULE_ENTRY)?,
            dirs: kernel.take(names::RULE_DIR)?,
            names: kernel.take(names::RULE_NAME)?,
            known: kernel.take(names::KNOWN)?,
            found: kernel.take(names::FOUND)?,
            sieve: Sieve::new(kernel.take(names::SIEVE)?),
            written: Written::default(),
            lapsed: Lapsed::default(),
            renamed: false,
        })
    }

    /// Watches files by the names of their paths, given with the hash of the last of them; names that are not named any more
    /// are forgotten. Gives the number of rules for which there was no room.
    pub fn set_names(&mut self, rules: impl IntoIterator<Item = (NameKey, Option<u64>, u32)>) -> u64 {
        let mut wanted = BTreeMap::new();
        let mut named = Vec::new();
        for (key, leaf, rule) in rules {
            wanted.insert((key.hash, key.depth, key.anchored), rule);
            named.extend(leaf.map(sieve_leaf));
            named.extend((key.anchored == MOUNTED).then(|| sieve_mounted(key.hash)));
        }
        let mut refused = self.sieve.raise(named.iter().copied());
        let key = |(hash, depth, anchored)| NameKey { hash, depth, anchored };
        self.renamed = true;
        refused += update(&mut self.names, &mut self.written.names, &wanted, key);
        self.written.named = named;
        refused + self.sieve.settle(self.written.bits())
    }

    /// Makes files, names in directories, and directories be watched; what is not found any more holds for a while, and
    /// is forgotten. Gives the number of rules for which there was no room.
    pub fn set_watch(
        &mut self,
        inodes: &[(InodeKey, u32)],
        entries: &[(EntryKey, u32)],
        dirs: &[(InodeKey, u32)],
        now_ns: u64,
    ) -> u64 {
        let by_inode = |rules: &[(InodeKey, u32)]| -> BTreeMap<InodeIndex, u32> {
            rules.iter().map(|(k, r)| ((k.dev, k.ino, k.generation), *r)).collect()
        };
        let (mut inodes, mut dirs) = (by_inode(inodes), by_inode(dirs));
        let mut entries = entries.iter().map(|(k, r)| ((k.dev, k.dir_ino, k.name), *r)).collect();
        let Control { written: had, lapsed, .. } = self;
        if std::mem::take(&mut self.renamed) {
            *lapsed = Lapsed::default();
        } else {
            let room = RULES_MAX as usize;
            lapsed.inodes.hold(&had.inodes, &mut inodes, room, now_ns, |(.., generation)| generation != 0);
            lapsed.entries.hold(&had.entries, &mut entries, room, now_ns, |_| false);
            lapsed.dirs.hold(&had.dirs, &mut dirs, room, now_ns, |_| false);
        }
        let raised = self.sieve.raise(bits(&inodes, &entries, &dirs));
        let refused = update(&mut self.inodes, &mut had.inodes, &inodes, inode_key)
            + update(&mut self.entries, &mut had.entries, &entries, entry_key)
            + update(&mut self.dirs, &mut had.dirs, &dirs, inode_key);
        raised + refused + self.sieve.settle(self.written.bits())
    }

    /// Watches one file, beside [`Self::set_watch`].
    pub(super) fn watch_file(&mut self, key: InodeKey, rule: u32) -> Result<(), MapError> {
        self.beside(sieve_file(key.ino));
        self.inodes.insert(AsPod(key), rule, 0)
    }

    /// Its bit; one that cannot be set makes a file that is not seen, which who watches it beside the others finds out.
    fn beside(&mut self, bit: Bit) {
        self.written.beside.push(bit);
        self.sieve.raise([bit]);
    }

    fn no_longer_beside(&mut self, bit: Bit) {
        // The bit itself goes with the next scan.
        if let Some(index) = self.written.beside.iter().position(|other| *other == bit) {
            self.written.beside.swap_remove(index);
        }
    }

    /// Stops watching it.
    pub(super) fn forget_file(&mut self, key: InodeKey) {
        drop(self.inodes.remove(&AsPod(key)));
        self.no_longer_beside(sieve_file(key.ino));
    }

    /// Watches one name in a directory, beside [`Self::set_watch`].
    pub(super) fn watch_entry(&mut self, key: EntryKey, rule: u32) -> Result<(), MapError> {
        self.beside(sieve_leaf(key.name));
        self.entries.insert(AsPod(key), rule, 0)
    }

    /// Stops watching it.
    pub(super) fn forget_entry(&mut self, key: EntryKey) {
        drop(self.entries.remove(&AsPod(key)));
        self.no_longer_beside(sieve_leaf(key.name));
    }

    /// A file that a process held open before: reading it is told from now on.
    ///
    /// # Errors
    /// [`MapError`]
    pub fn know(&mut self, key: InodeKey, rule: u32) -> Result<(), MapError> {
        self.found.set(found_slot(key.ino), 1, 0)?;
        self.known.insert(AsPod(key), rule, 0)
    }

    /// Adds flags to a process's mark.
    ///
    /// # Errors
    /// [`MapError`] where the table is full.
    pub fn mark(&mut self, process: ProcessKey, flags: u32) -> Result<(), MapError> {
        let had = match self.marks.get(&process.tgid, 0) {
            Ok(AsPod(mark)) if process.same(ProcessKey { tgid: process.tgid, start_ns: mark.start_ns }) => {
                mark.flags
            }
            Ok(_) | Err(_) => 0,
        };
        let mark = Mark { start_ns: process.start_ns, flags: had | flags, pad: 0 };
        self.marks.insert(process.tgid, AsPod(mark), 0)
    }

    /// Takes what a process and its children do for a canary's, or no longer.
    ///
    /// # Errors
    /// [`MapError`]
    pub fn spare(&mut self, process: ProcessKey, spared: bool) -> Result<(), MapError> {
        if spared {
            return self.mark(process, MARK_CANARY);
        }
        match self.marks.get(&process.tgid, 0) {
            Ok(AsPod(Mark { start_ns, flags, .. })) => {
                let mark = Mark { start_ns, flags: flags & !MARK_CANARY, pad: 0 };
                self.marks.insert(process.tgid, AsPod(mark), 0)
            }
            // It has ended.
            Err(MapError::KeyNotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The agent's next children are its canary, or no longer.
    pub(super) fn arm(&mut self, armed: bool) -> Result<(), MapError> {
        self.armed.set(0, u32::from(armed), 0)
    }

    /// The cgroups that are watched where not the whole host is; others are forgotten.
    ///
    /// # Errors
    /// [`MapError`]
    pub fn set_scope(&mut self, cgroup_ids: &[u64]) -> Result<(), MapError> {
        let had: Vec<u64> = self.scope.keys().collect::<Result<_, _>>()?;
        for id in had.iter().filter(|id| !cgroup_ids.contains(id)) {
            self.scope.remove(id)?;
        }
        for id in cgroup_ids.iter().filter(|id| !had.contains(id)) {
            self.scope.insert(*id, 1, 0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_rule_has_its_bit() {
        let written = Written {
            named: vec![sieve_leaf(1), sieve_mounted(2)],
            inodes: BTreeMap::from([((8, 3, 0), 1)]),
            entries: BTreeMap::from([((8, 4, 5), 1)]),
            dirs: BTreeMap::from([((8, 6, 0), 1)]),
            beside: vec![sieve_file(7)],
            ..Written::default()
        };
        let all =
            [sieve_leaf(1), sieve_mounted(2), sieve_file(3), sieve_leaf(5), sieve_dir(6), sieve_file(7)];
        assert_eq!(written.bits().collect::<BTreeSet<_>>(), BTreeSet::from(all));
    }
}
