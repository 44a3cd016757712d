//! Bounded memory of a few things: what does not fit is counted.

use std::borrow::Borrow;
use std::collections::{BTreeMap, VecDeque};

/// Values by key, up to a bound. What comes once it is full is refused and counted, however often it comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Few<K, V> {
    known: BTreeMap<K, V>,
    refused: u64,
}

impl<K, V> Default for Few<K, V> {
    fn default() -> Self {
        Few { known: BTreeMap::new(), refused: 0 }
    }
}

impl<K: Ord, V> Few<K, V> {
    /// The value of a key, which is made where there is room; and whether it was.
    pub(super) fn entry(&mut self, key: K, max: usize, make: impl FnOnce() -> V) -> Option<(&mut V, bool)> {
        let new = !self.known.contains_key(&key);
        if new && self.known.len() >= max {
            self.refused += 1;
            return None;
        }
        Some((self.known.entry(key).or_insert_with(make), new))
    }

    /// A value that is known, put in without regard to a bound: by whoever kept to it before.
    pub fn put(&mut self, key: K, value: V) {
        self.known.insert(key, value);
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.known.get(key)
    }

    pub(super) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.known.get_mut(key)
    }

    pub(super) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.known.remove(key)
    }

    /// What is known, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.known.iter()
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How often something found no room.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

/// Counts different values, of which it remembers the latest few: one that comes back after that many others counts as
/// another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent<T> {
    latest: VecDeque<T>,
    count: u64,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Recent { latest: VecDeque::new(), count: 0 }
    }
}

impl<T> Recent<T> {
    const MAX: usize = 8;

    /// So many were counted already, of which these are the latest.
    #[must_use]
    pub fn of(count: u64, latest: Vec<T>) -> Self {
        Recent { latest: latest.into(), count }
    }

    /// Whether the value is another than the latest few.
    pub(super) fn saw(&mut self, value: &T) -> bool
    where
        T: Clone + PartialEq,
    {
        if self.latest.contains(value) {
            return false;
        }
        if self.latest.len() == Self::MAX {
            self.latest.pop_front();
        }
        self.latest.push_back(value.clone());
        self.count += 1;
        true
    }

    /// How many different ones.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The latest ones, oldest first.
    pub fn latest(&self) -> impl Iterator<Item = &T> {
        self.latest.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_counted() {
        let mut few: Few<u8, u8> = Few::default();
        assert!(few.entry(1, 1, || 7).is_some_and(|(value, new)| *value == 7 && new));
        assert!(few.entry(1, 1, || 8).is_some_and(|(value, new)| *value == 7 && !new));
        assert!(few.entry(2, 1, || 9).is_none() && few.entry(2, 1, || 9).is_none());
        assert_eq!((few.len(), few.refused()), (1, 2));
    }

    #[test]
    fn different_values_are_counted_once() {
        let mut recent: Recent<u32> = Recent::default();
        let saw: Vec<bool> = [1, 2, 1, 2].iter().map(|value| recent.saw(value)).collect();
        assert_eq!(saw, [true, true, false, false]);
        (10..110).for_each(|number| assert!(recent.saw(&number)));
        assert_eq!((recent.count(), recent.latest().count()), (102, Recent::<u32>::MAX));
    }
}
