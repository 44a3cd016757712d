//! Rules whose file or directory is no longer where it was. A scan finds things by their names: what was renamed is as
//! much of a secret as before, and who renames it must not have to wait for a scan to be unseen.

use std::collections::BTreeMap;

/// How long a rule holds that tells two lives of an inode number apart, ns.
const KNOWN_LIFE_NS: u64 = 3_600_000_000_000;
/// The same of one that cannot: its number may be another's by now.
const ANY_LIFE_NS: u64 = 60_000_000_000;
/// Most that are held in one table.
const HELD_MAX: usize = 1_024;

/// When the rules of one table were first missed by a scan.
#[derive(Debug)]
pub(super) struct Lapses<I>(BTreeMap<I, u64>);

impl<I> Default for Lapses<I> {
    fn default() -> Self {
        Lapses(BTreeMap::new())
    }
}

impl<I: Copy + Ord> Lapses<I> {
    /// Adds to what is wanted now what was written before and holds yet. Of too many, and where a table of `room` rules has
    /// none to spare, the oldest go first. `same_life`: whether a rule fits one life of its inode only.
    pub(super) fn hold(
        &mut self,
        written: &BTreeMap<I, u32>,
        wanted: &mut BTreeMap<I, u32>,
        room: usize,
        now_ns: u64,
        same_life: impl Fn(I) -> bool,
    ) {
        self.0.retain(|index, _| written.contains_key(index) && !wanted.contains_key(index));
        for index in written.keys().filter(|index| !wanted.contains_key(index)) {
            self.0.entry(*index).or_insert(now_ns);
        }
        let life = |index: I| if same_life(index) { KNOWN_LIFE_NS } else { ANY_LIFE_NS };
        let mut held: Vec<(u64, I)> = self.0.iter().map(|(index, since)| (*since, *index)).collect();
        held.retain(|(since, index)| now_ns.saturating_sub(*since) < life(*index));
        held.sort_unstable_by(|one, other| other.cmp(one));
        held.truncate(HELD_MAX.min(room.saturating_sub(wanted.len())));
        for (_, index) in held {
            if let Some(rule) = written.get(&index) {
                wanted.insert(index, *rule);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 4_096;
    const SECOND: u64 = 1_000_000_000;

    /// One scan after the other over the same table: the time of each, and what it finds.
    fn after(scans: &[(u64, &[u32])], room: usize, same_life: bool) -> Vec<u32> {
        let (mut lapses, mut written) = (Lapses::default(), BTreeMap::new());
        for (now_s, found) in scans {
            let mut wanted: BTreeMap<u32, u32> = found.iter().map(|index| (*index, index + 100)).collect();
            lapses.hold(&written, &mut wanted, room, now_s * SECOND, |_| same_life);
            written = wanted;
        }
        assert!(written.iter().all(|(index, rule)| *rule == index + 100), "{written:?}");
        written.into_keys().collect()
    }

    #[test]
    fn what_a_scan_misses_holds_for_a_while() {
        assert_eq!(after(&[(0, &[1, 2]), (10, &[2])], ROOM, false), [1, 2]);
        assert_eq!(after(&[(0, &[1, 2]), (10, &[2]), (69, &[2])], ROOM, false), [1, 2]);
        assert_eq!(after(&[(0, &[1, 2]), (10, &[2]), (70, &[2])], ROOM, false), [2], "a minute is over");
        assert_eq!(after(&[(0, &[1, 2]), (10, &[2]), (70, &[2])], ROOM, true), [1, 2], "the same inode");
        assert_eq!(after(&[(0, &[1, 2]), (10, &[2]), (3_610, &[2])], ROOM, true), [2]);
    }

    #[test]
    fn what_came_back_starts_anew() {
        let scans: &[(u64, &[u32])] = &[(0, &[1]), (10, &[]), (60, &[1]), (70, &[]), (129, &[])];
        assert_eq!(after(scans, ROOM, false), [1]);
        assert_eq!(after(&[(0, &[1]), (10, &[]), (70, &[]), (80, &[])], ROOM, false), [0; 0], "gone is gone");
    }

    #[test]
    fn what_is_there_has_its_room() {
        assert_eq!(after(&[(0, &[1, 2]), (10, &[3, 4])], 3, true), [2, 3, 4]);
        assert_eq!(after(&[(0, &[1, 2]), (10, &[3, 4, 5])], 3, true), [3, 4, 5]);
        let all: Vec<u32> = (0..3_000).collect();
        assert_eq!(after(&[(0, &all), (10, &[])], ROOM, true).len(), HELD_MAX);
    }
}
