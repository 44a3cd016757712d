//! So many of something, the most recently active ones, found by their ids.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Rows by id, bounded: where one too many comes, the one that was active longest ago is let go and counted.
#[derive(Debug)]
pub(super) struct Ring<T> {
    rows: HashMap<Arc<str>, (i64, T)>,
    order: BTreeSet<(i64, Arc<str>)>,
    most: usize,
    let_go: u64,
}

impl<T: Default> Ring<T> {
    pub(super) fn new(most: usize) -> Self {
        Ring { rows: HashMap::new(), order: BTreeSet::new(), most, let_go: 0 }
    }

    /// The row of an id, which was active at that time. [`None`] where all others were active later, and there is no room.
    pub(super) fn active(&mut self, id: &str, time_ns: i64) -> Option<&mut T> {
        if let Some((key, (last, _))) = self.rows.get_key_value(id) {
            if time_ns > *last {
                let (key, last) = (Arc::clone(key), *last);
                self.order.remove(&(last, Arc::clone(&key)));
                self.order.insert((time_ns, key));
            }
        } else {
            let key: Arc<str> = Arc::from(id);
            self.order.insert((time_ns, Arc::clone(&key)));
            self.rows.insert(key, (time_ns, T::default()));
            if self.rows.len() > self.most
                && let Some((_, oldest)) = self.order.pop_first()
            {
                self.rows.remove(&oldest);
                self.let_go += 1;
            }
        }
        let (last, row) = self.rows.get_mut(id)?;
        *last = time_ns.max(*last);
        Some(row)
    }

    pub(super) fn get(&self, id: &str) -> Option<&T> {
        self.rows.get(id).map(|(_, row)| row)
    }

    /// When a row was active last.
    pub(super) fn time(&self, id: &str) -> Option<i64> {
        self.rows.get(id).map(|(time_ns, _)| *time_ns)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.rows.get_mut(id).map(|(_, row)| row)
    }

    /// All of them, the most recently active one first, with when that was.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = (&Arc<str>, i64, &T)> {
        self.order.iter().rev().filter_map(|(time_ns, id)| Some((id, *time_ns, self.get(id)?)))
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many were let go so far.
    pub(super) fn let_go(&self) -> u64 {
        self.let_go
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_was_quiet_longest_is_let_go() {
        let mut ring: Ring<u8> = Ring::new(2);
        for (id, time) in [("a", 1), ("b", 2), ("a", 3), ("c", 4)] {
            *ring.active(id, time).unwrap() += 1;
        }
        let all: Vec<(&str, i64, u8)> =
            ring.newest_first().map(|(id, time, row)| (id.as_ref(), time, *row)).collect();
        assert_eq!((all, ring.let_go()), (vec![("c", 4, 1), ("a", 3, 2)], 1));
        // One that was active before all others finds no room, and an earlier time moves nothing back.
        assert!(ring.active("d", 0).is_none());
        assert_eq!(ring.let_go(), 2);
        ring.active("c", 1).unwrap();
        assert_eq!(ring.newest_first().next().map(|(id, time, _)| (id.as_ref(), time)), Some(("c", 4)));
        assert_eq!((ring.len(), ring.order.len()), (2, 2));
    }
}
