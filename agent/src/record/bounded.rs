//! A map that forgets what it learnt first.

use std::collections::VecDeque;
use std::hash::Hash;

use foldhash::HashMap;

/// A map of at most so many entries. The first in is the first out, whether or not it is still asked for: what it maps
/// are numbers of records, and an entry that is gone is said to be gone.
#[derive(Debug)]
pub(super) struct Bounded<K, V> {
    entries: HashMap<K, V>,
    order: VecDeque<K>,
    max: usize,
}

impl<K: Copy + Eq + Hash, V> Bounded<K, V> {
    pub(super) fn new(max: usize) -> Self {
        Self { entries: HashMap::default(), order: VecDeque::new(), max }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key, value).is_some() {
            return;
        }
        self.order.push_back(key);
        while self.order.len() > self.max {
            if let Some(first) = self.order.pop_front() {
                self.entries.remove(&first);
            }
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_first_and_keeps_the_rest() {
        let mut map = Bounded::new(2);
        map.insert(1, 'a');
        map.insert(2, 'b');
        map.insert(1, 'c');
        assert_eq!(map.get(&1), Some(&'c'));
        map.insert(3, 'd');
        assert_eq!((map.get(&1), map.get(&2), map.get(&3)), (None, Some(&'b'), Some(&'d')));
    }
}
