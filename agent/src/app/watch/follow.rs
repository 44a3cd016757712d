//! The store, from a number on.

use std::path::Path;

use memchr::memmem;

use crate::report::watch::{Watch, Wish};
use crate::store::{Reader, StoreError};

/// With how many of the newest records it begins, and how far back a process is looked for.
const BACK: u64 = 20_000;
/// Farther behind than that, what lies between is passed over: nobody reads a screen of an hour ago.
const BEHIND_MAX: u64 = 100_000;
/// Records read at a time.
const BATCH: usize = 1_024;
/// Batches read before keys and the screen have their turn.
const BATCHES: usize = 2;

/// What follows a store.
#[derive(Debug)]
pub(super) struct Follow {
    reader: Reader,
    /// The last record that was shown.
    seen: u64,
    /// Records were held back when it was looked at last.
    held: bool,
}

impl Follow {
    /// Begins with the newest records of a store.
    pub(super) fn start(directory: &Path, watch: &mut Watch) -> Result<Self, StoreError> {
        let reader = Reader::open(directory)?;
        let newest = reader.newest()?.map_or(0, |record| record.seq);
        if let Some(coverage) = reader.last("coverage")? {
            watch.coverage(&coverage.body);
        }
        Ok(Follow { reader, seen: newest.saturating_sub(BACK), held: false })
    }

    /// Shows what is new. Whether there is more.
    pub(super) fn read(&mut self, watch: &mut Watch) -> bool {
        let outcome = self.step(watch);
        watch.failing(outcome.as_ref().err().map(why));
        // A store that cannot be read is looked at again when something changes, or soon.
        outcome.unwrap_or(false)
    }

    fn step(&mut self, watch: &mut Watch) -> Result<bool, StoreError> {
        self.held = watch.is_paused();
        if self.held {
            watch.behind(self.behind()?);
            return Ok(false);
        }
        if self.behind()? > BEHIND_MAX {
            self.seen += self.behind()?.saturating_sub(BACK);
            watch.skip_to(self.seen + 1);
        }
        for _ in 0..BATCHES {
            let records = self.reader.after(self.seen, BATCH)?;
            for record in &records {
                self.seen = self.seen.max(record.seq);
                watch.record(&record.body);
            }
            if records.len() < BATCH {
                watch.behind(0);
                return Ok(false);
            }
        }
        watch.behind(self.behind()?);
        Ok(true)
    }

    /// Numbers grow by one: no row is counted.
    fn behind(&self) -> Result<u64, StoreError> {
        let newest = self.reader.newest()?.map_or(0, |record| record.seq);
        Ok(newest.saturating_sub(self.seen))
    }

    /// Whether holding back began or ended since the store was looked at.
    pub(super) fn was_held(&self, watch: &Watch) -> bool {
        self.held != watch.is_paused()
    }

    /// Reads what is wished for.
    pub(super) fn grant(&self, wish: &Wish, watch: &mut Watch) {
        let outcome = match wish {
            Wish::Chain(id) => self.reader.chain(id).map(|records| {
                watch.chain(id, records.iter().map(|record| record.body.as_slice()));
            }),
            Wish::Process(id) => self.naming(id).map(|bodies| {
                watch.process(id, bodies.iter().map(Vec::as_slice));
            }),
            Wish::Quit => Ok(()),
        };
        watch.failing(outcome.as_ref().err().map(why));
    }

    /// The records that were shown and name a process, as far as one looks back.
    fn naming(&self, id: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        let name = memmem::Finder::new(id);
        let (mut found, mut after) = (Vec::new(), self.seen.saturating_sub(BACK));
        loop {
            let records = self.reader.after(after, BATCH)?;
            let read = records.len();
            for record in records {
                after = after.max(record.seq);
                // A gap may concern any process.
                let own = name.find(&record.body).is_some() || is_gap(&record.body);
                if record.seq <= self.seen && own {
                    found.push(record.body);
                }
            }
            if read < BATCH || after >= self.seen {
                return Ok(found);
            }
        }
    }
}

fn is_gap(body: &[u8]) -> bool {
    memmem::find(body, b"\"type\":\"gap\"").is_some()
}

/// What is wrong with the store, in one line.
fn why(error: &StoreError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
