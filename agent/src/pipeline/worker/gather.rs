//! How many records are stored at once: those that are made while one batch is stored and forwarded are stored and forwarded
//! together. To store one record, to write a sink's cursor down and to wake whoever does it take as long as to store twenty,
//! so that a host that makes many pays for the batches only.
//!
//! Only storing waits. What is read of files and processes, and what is told to the kernel, is read and told at once.

use std::time::Duration;

use crate::kernel::Pace;
use crate::record::Record;

/// The pace of batches, ns. The first few after some rest are stored at once.
const GATHER_NS: u64 = 5_000_000;
/// Most records that wait for that.
const GATHER_MAX: usize = 1_024;

/// Records that wait for others.
#[derive(Debug)]
pub(super) struct Gather {
    waiting: Vec<Record>,
    pace: Pace,
}

impl Default for Gather {
    fn default() -> Self {
        Gather { waiting: Vec::new(), pace: Pace::new(GATHER_NS) }
    }
}

impl Gather {
    /// These are made.
    pub(super) fn add(&mut self, mut records: Vec<Record>) {
        self.waiting.append(&mut records);
    }

    /// What is to be stored now.
    pub(super) fn due(&mut self, now_ns: u64) -> Vec<Record> {
        let goes = now_ns >= self.pace.next_ns() || self.waiting.len() >= GATHER_MAX;
        if self.waiting.is_empty() || !goes {
            return Vec::new();
        }
        self.pace.done(now_ns);
        std::mem::take(&mut self.waiting)
    }

    /// All that waits.
    pub(super) fn rest(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.waiting)
    }

    /// How long until what waits is due; `None` where nothing does.
    pub(super) fn left(&self, now_ns: u64) -> Option<Duration> {
        (!self.waiting.is_empty()).then(|| Duration::from_nanos(self.pace.next_ns().saturating_sub(now_ns)))
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

    /// One that has stored as many batches as are stored at once, and how many that were.
    fn without_rest(now: u64, made: &mut impl Iterator<Item = Record>) -> (Gather, usize) {
        let mut gather = Gather::default();
        for stored in 0.. {
            gather.add(made.next().into_iter().collect());
            if gather.due(now).is_empty() {
                return (Gather { waiting: Vec::new(), ..gather }, stored);
            }
        }
        unreachable!()
    }

    #[test]
    fn the_first_are_stored_at_once_and_the_next_wait_for_each_other() {
        let now = 100 * GATHER_NS;
        let mut none = Gather::default();
        assert_eq!((none.due(now).len(), none.left(now)), (0, None), "nothing is no batch");
        let mut made = records(10).into_iter();
        let (mut gather, at_once) = without_rest(now, &mut made);
        assert_eq!(at_once, 4);
        let mut add = |gather: &mut Gather| gather.add(made.next().into_iter().collect());
        assert_eq!(gather.left(now), None);
        add(&mut gather);
        assert!(gather.due(now + 1).is_empty());
        add(&mut gather);
        assert!(gather.due(now + GATHER_NS - 1).is_empty());
        assert_eq!(gather.left(now + GATHER_NS - 1), Some(Duration::from_nanos(1)));
        assert_eq!(numbers(&gather.due(now + GATHER_NS)), [6, 7]);
        add(&mut gather);
        assert!(gather.due(now + 2 * GATHER_NS - 1).is_empty());
        assert_eq!(numbers(&gather.due(now + 2 * GATHER_NS)), [8]);
    }

    #[test]
    fn a_flood_does_not_wait_and_the_end_leaves_nothing() {
        let now = 100 * GATHER_NS;
        let (mut gather, _) = without_rest(now, &mut records(5).into_iter());
        let mut made = records(GATHER_MAX + 2);
        gather.add(made.drain(..GATHER_MAX - 1).collect());
        assert!(gather.due(now).is_empty());
        gather.add(made.drain(..1).collect());
        assert_eq!(gather.due(now).len(), GATHER_MAX);
        gather.add(made);
        assert!(gather.due(now).is_empty());
        assert_eq!((gather.rest().len(), gather.left(now)), (2, None));
    }
}
