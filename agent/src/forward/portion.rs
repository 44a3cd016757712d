//! How much goes at once to a receiver that takes or refuses many records as one.

use std::sync::Arc;

use super::deliver::{Fate, Outcome};
use super::encodings::Item;

/// How many records go into one request: halved when a batch is refused, doubled when one is taken.
#[derive(Debug)]
pub(super) struct Portion {
    most: usize,
}

impl Portion {
    /// All that a sink takes at once.
    const WHOLE: usize = 256;

    pub(super) fn new() -> Self {
        Self { most: Self::WHOLE }
    }

    /// The first records that have no more than `bytes_max` bytes together; at least one.
    pub(super) fn of<'a>(&self, batch: &'a [Arc<Item>], bytes_max: usize) -> &'a [Arc<Item>] {
        let mut bytes = 0;
        let fits = batch.iter().take(self.most).take_while(|item| {
            bytes += item.bytes.len();
            bytes <= bytes_max
        });
        let count = fits.count().max(1).min(batch.len());
        batch.get(..count).unwrap_or(batch)
    }

    pub(super) fn grow(&mut self) {
        self.most = (self.most * 2).min(Self::WHOLE);
    }

    pub(super) fn shrink(&mut self) {
        self.most = (self.most / 16).max(1);
    }

    /// A batch was refused as a whole: one record is set aside, of several nobody knows which.
    pub(super) fn refused(&mut self, count: usize, why: String) -> Outcome {
        if count <= 1 {
            self.grow();
            return Outcome { fates: vec![Fate::Refused(why)], failure: None };
        }
        self.halve(count);
        Outcome::default()
    }

    /// Of so many records, nobody knows which is the bad one.
    pub(super) fn halve(&mut self, count: usize) {
        self.most = (count / 2).max(1);
    }
}
