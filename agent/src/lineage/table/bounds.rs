//! What leaves the table, and when.

use super::{Applied, Entry, Table};
use crate::lineage::Slot;

impl Table {
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
            at = entry.parent;
            self.unlink(slot, applied);
        }
    }

    pub(super) fn remove(&mut self, slot: Slot, applied: &mut Applied) {
        let parent = self.entries.get(&slot).and_then(|entry| entry.parent);
        self.unlink(slot, applied);
        if let Some(parent) = parent {
            self.prune(parent, applied);
        }
    }

    pub(super) fn unlink(&mut self, slot: Slot, applied: &mut Applied) {
        let Some(entry) = self.entries.remove(&slot) else {
            return;
        };
        if self.holders.get(&slot.tgid) == Some(&slot) {
            self.holders.remove(&slot.tgid);
        }
        if let Some(parent) = entry.parent
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
        // In the first round those are spared that acted lately, and the new one's parent. A process without children
        // is always found: there is no loop, and the dead without children are gone.
        for pass in 0..self.live.len() * 2 + 1 {
            let Some((slot, serial)) = self.live.pop_front() else {
                return false;
            };
            let has_children = self.children.contains_key(&slot);
            let Some(entry) = self.entries.get_mut(&slot).filter(|entry| entry.serial == serial) else {
                continue;
            };
            let first_round = pass <= self.live.len();
            let spared = first_round && (entry.touched || Some(slot) == keep);
            if has_children || spared {
                entry.touched = false;
                self.live.push_back((slot, serial));
                continue;
            }
            applied.evicted.push(entry.process.key);
            self.remove(slot, applied);
            return true;
        }
        false
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
}
