//! What leaves the table, and when.

use super::{Applied, Entry, Held, Table};
use crate::event::ProcessKey;
use crate::lineage::Slot;

/// The part of the table that is for those that hold a credential in one way: one in so many.
const KEPT_PART: usize = 4;

impl Table {
    /// A live process holds a credential: it is given up last, as long as there are not too many of its kind.
    pub fn keep(&mut self, key: ProcessKey, held: Held) {
        let slot = Slot::from(key);
        let room = self.kept[held as usize].len() < self.limits.processes_max / KEPT_PART;
        let Some(entry) = self.entries.get_mut(&slot).filter(|entry| entry.ended.is_none() && room) else {
            return;
        };
        if entry.kept.is_none_or(|known| known < held) {
            if let Some(before) = entry.kept.replace(held) {
                self.kept[before as usize].remove(&entry.serial);
            }
            self.kept[held as usize].insert(entry.serial, slot);
        }
    }

    /// It does not count among them any more.
    pub(super) fn release(&mut self, slot: Slot) {
        if let Some(entry) = self.entries.get_mut(&slot)
            && let Some(held) = entry.kept.take()
        {
            self.kept[held as usize].remove(&entry.serial);
        }
    }

    /// Drops a dead process without children, then its parent if that is one now, and so on.
    pub(super) fn prune(&mut self, slot: Slot, applied: &mut Applied) {
        let mut at = Some(slot);
        while let Some(slot) = at {
            let Some(entry) = self.entries.get(&slot) else {
                return;
            };
            if entry.ended.is_none() || self.children.contains_key(&slot) {
                return;
            }
            at = entry.parent();
            self.unlink(slot, applied);
        }
    }

    pub(super) fn remove(&mut self, slot: Slot, applied: &mut Applied) {
        let parent = self.entries.get(&slot).and_then(Entry::parent);
        self.unlink(slot, applied);
        if let Some(parent) = parent {
            self.prune(parent, applied);
        }
    }

    pub(super) fn unlink(&mut self, slot: Slot, applied: &mut Applied) {
        self.release(slot);
        let Some(entry) = self.entries.remove(&slot) else {
            return;
        };
        if self.holders.get(&slot.tgid) == Some(&slot) {
            self.holders.remove(&slot.tgid);
        }
        if let Some(parent) = entry.parent()
            && let Some(siblings) = self.children.get_mut(&parent)
        {
            siblings.remove(&slot);
            if siblings.is_empty() {
                self.children.remove(&parent);
            }
        }
        applied.gone.push(entry.process.key);
    }

    pub(super) fn evict(&mut self, keep: Option<Slot>, applied: &mut Applied) -> bool {
        while let Some((slot, serial)) = self.dead.pop_front() {
            if self.entries.get(&slot).is_some_and(|entry| entry.serial == serial) {
                self.remove(slot, applied);
                return true;
            }
        }
        // In the first round those are spared that acted lately, and the new one's parent.
        for pass in 0..self.live.len() * 2 + 1 {
            let Some((slot, serial)) = self.live.pop_front() else {
                break;
            };
            let has_children = self.children.contains_key(&slot);
            let Some(entry) = self.entries.get_mut(&slot).filter(|entry| entry.serial == serial) else {
                continue;
            };
            if entry.kept.is_some() {
                continue;
            }
            let first_round = pass <= self.live.len();
            let spared = first_round && (entry.touched || Some(slot) == keep);
            if has_children || spared {
                entry.touched = false;
                self.live.push_back((slot, serial));
                continue;
            }
            self.give_up(slot, applied);
            return true;
        }
        self.evict_kept(keep, applied)
    }

    /// All others have children. A process without children is always found: there is no loop, and the dead without
    /// children are gone.
    fn evict_kept(&mut self, keep: Option<Slot>, applied: &mut Applied) -> bool {
        let kept = || self.kept.iter().flat_map(|kept| kept.values().copied());
        let mut leaves = kept().filter(|slot| !self.children.contains_key(slot));
        let parent_last = leaves.clone().find(|slot| Some(*slot) != keep);
        let Some(slot) = parent_last.or_else(|| leaves.next()) else {
            return false;
        };
        self.give_up(slot, applied);
        true
    }

    fn give_up(&mut self, slot: Slot, applied: &mut Applied) {
        applied.evicted.extend(self.entries.get(&slot).map(|entry| entry.process.key));
        if self.given_up.insert(slot) {
            self.given_up_order.push_back(slot);
        }
        if self.given_up_order.len() > self.limits.processes_max
            && let Some(oldest) = self.given_up_order.pop_front()
        {
            self.given_up.remove(&oldest);
        }
        self.remove(slot, applied);
    }

    /// The queues may name what is gone; they stay within a small multiple of the table.
    pub(super) fn tidy(&mut self) {
        let most = self.entries.len() * 2 + 64;
        if self.live.len() > most {
            let entries = &self.entries;
            let alive = |entry: &Entry, serial| entry.serial == serial && entry.ended.is_none();
            self.live.retain(|(slot, serial)| entries.get(slot).is_some_and(|entry| alive(entry, *serial)));
        }
        if self.dead.len() > most {
            let entries = &self.entries;
            self.dead.retain(|(slot, serial)| entries.get(slot).is_some_and(|entry| entry.serial == *serial));
        }
    }

    /// Each of its collections: how many are in it, and how many there may be.
    #[cfg(test)]
    pub(crate) fn fill(&self) -> Vec<(&'static str, usize, usize)> {
        let most = self.limits.processes_max;
        let kept = |held: Held| (self.kept[held as usize].len(), most / KEPT_PART);
        vec![
            ("processes", self.entries.len(), most),
            ("parents", self.children.len(), most),
            ("numbers", self.holders.len(), most),
            ("dead", self.dead.len(), most * 2 + 64),
            ("live", self.live.len(), most * 2 + 64),
            ("kept, inherited", kept(Held::Inherited).0, kept(Held::Inherited).1),
            ("kept, own", kept(Held::Own).0, kept(Held::Own).1),
            ("tombstones", self.tombstones.len(), most),
            ("their order", self.tombstone_order.len(), most),
            ("given up", self.given_up.len().max(self.given_up_order.len()), most),
        ]
    }
}
