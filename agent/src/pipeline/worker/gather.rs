//! How many records are stored at once: those that are made while one batch is stored and forwarded are stored and forwarded
//! together. To store one record, to write a sink's cursor down and to wake whoever does it take as long as to store twenty,
//! so that a host that makes many pays for the batches only.
//!
//! Only storing waits. What is read of files and processes, and what is told to the kernel, is read and told at once.

use std::time::Duration;

use crate::record::Record;

/// Least time between two batches, ns. The first after some rest is stored at once.
const GATHER_NS: u64 = 5_000_000;
/// Most records that wait for that.
const GATHER_MAX: usize = 1_024;

/// Records that wait for others.
#[derive(Debug, Default)]
pub(super) struct Gather {
    waiting: Vec<Record>,
    /// When the next batch may be stored.
    next_ns: u64,
}

impl Gather {
    /// These are made.
    pub(super) fn add(&mut self, mut records: Vec<Record>) {
        self.waiting.append(&mut records);
    }

    /// What is to be stored now.
    pub(super) fn due(&mut self, now_ns: u64) -> Vec<Record> {
        let goes = now_ns >= self.next_ns || self.waiting.len() >= GATHER_MAX;
        if self.waiting.is_empty() || !goes {
            return Vec::new();
        }
        self.next_ns = now_ns.saturating_add(GATHER_NS);
        std::mem::take(&mut self.waiting)
    }

    /// All that waits.
    pub(super) fn rest(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.waiting)
    }

    /// How long until what waits is due; `None` where nothing does.
    pub(super) fn left(&self, now_ns: u64) -> Option<Duration> {
        (!self.waiting.is_empty()).then(|| Duration::from_nanos(self.next_ns.saturating_sub(now_ns)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::testing::{backup, builder};

    fn records(count: usize) -> Vec<Record> {
        let mut builder = builder(1);
        let notes = backup();
        notes.iter().cycle().take(count).map(|note| builder.note(note)).collect()
    }

    fn numbers(records: &[Record]) -> Vec<u64> {
        records.iter().map(|record| record.seq).collect()
    }

    #[test]
    fn the_first_is_stored_at_once_and_the_next_wait_for_each_other() {
        let (mut gather, now) = (Gather::default(), 100 * GATHER_NS);
        let mut made = records(4).into_iter();
        let mut add = |gather: &mut Gather| gather.add(made.next().into_iter().collect());
        assert_eq!((gather.due(now).len(), gather.left(now)), (0, None), "nothing is no batch");
        add(&mut gather);
        assert_eq!(numbers(&gather.due(now)), [1]);
        assert_eq!(gather.left(now), None);
        add(&mut gather);
        assert!(gather.due(now + 1).is_empty());
        add(&mut gather);
        assert!(gather.due(now + GATHER_NS - 1).is_empty());
        assert_eq!(gather.left(now + GATHER_NS - 1), Some(Duration::from_nanos(1)));
        assert_eq!(numbers(&gather.due(now + GATHER_NS)), [2, 3]);
        add(&mut gather);
        assert_eq!(numbers(&gather.due(now + 2 * GATHER_NS)), [4]);
    }

    #[test]
    fn a_flood_does_not_wait_and_the_end_leaves_nothing() {
        let (mut gather, now) = (Gather::default(), 100 * GATHER_NS);
        let mut made = records(GATHER_MAX + 3);
        gather.add(made.drain(..1).collect());
        assert_eq!(gather.due(now).len(), 1);
        gather.add(made.drain(..GATHER_MAX - 1).collect());
        assert!(gather.due(now).is_empty());
        gather.add(made.drain(..1).collect());
        assert_eq!(gather.due(now).len(), GATHER_MAX);
        gather.add(made);
        assert!(gather.due(now).is_empty());
        assert_eq!((gather.rest().len(), gather.left(now)), (2, None));
    }
}
