//! Packs are condensed, the oldest first: two of them become one, in the form that takes less room and more time.
//!
//! It takes some fifty milliseconds of a core for a thousand records, ten times as long as to pack them. So it is done on a
//! thread of its own, one at a time, and after each there is a rest of two hundred times as long: it never has more than half
//! a hundredth of a core. Where records come faster than that, the newer ones stay as they are, which is as good.
//!
//! The thread has copies and gives bytes back; who writes to the file is who always does. A pack that does not have the records
//! it had is left as it is, for `spoor verify` to name.

use std::collections::VecDeque;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::{Connection, Row};

use super::error::At as _;
use super::pack::{self, Pack};
use super::packing::{ALL, PACK, give_back, passes};
use super::packs::{self, Found, Index, META, Meta, meta};
use super::period::{Name, Period, signed};
use super::{Store, StoreError};
use crate::evidence::Mark;

/// Records in a condensed pack, at most, where it is made of more than one.
const RECORDS: u64 = 2 * PACK as u64;
/// Bytes of records in a condensed pack, at most. To condense takes some ten times that in memory.
const TEXT_MAX: usize = 2 << 20;
/// After each a rest of so many times as long.
const REST: u32 = 199;
/// Where no thread can be had it is tried again after that.
const NO_THREAD: Duration = Duration::from_mins(1);
/// Pages that are given back after each, more than it frees.
const PAGES: u32 = 64;

/// What is to be condensed yet.
#[derive(Debug, Default)]
pub(super) struct Condensing {
    /// Finished files with packs that were not looked at yet.
    files: VecDeque<Name>,
    /// There is nothing to do in the file that is written to, before more is packed.
    waits: bool,
    /// What it is about, and who is at it.
    at_work: Option<(Task, JoinHandle<Done>)>,
    /// Until then nothing is begun.
    rests_until: Option<Instant>,
}

impl Condensing {
    /// A finished file may have packs that are to be condensed.
    pub(super) fn file(&mut self, name: Name) {
        self.files.push_back(name);
    }

    /// More was packed, or another file is written to.
    pub(super) fn packed(&mut self) {
        self.waits = false;
    }

    fn rest(&mut self, how_long: Duration) {
        self.rests_until = Instant::now().checked_add(how_long);
    }
}

/// A pack as it lies in its file.
#[derive(Clone, Debug)]
struct Part {
    meta: Meta,
    before: Mark,
    bytes: Vec<u8>,
}

/// What is condensed: packs of a file that follow each other.
#[derive(Clone, Debug)]
struct Task {
    name: Name,
    parts: Vec<Part>,
}

/// What came of it.
#[derive(Debug)]
struct Done {
    /// `None`: the first part stays as it is.
    condensed: Option<Condensed>,
    took: Duration,
}

/// The first so many parts as one.
#[derive(Debug)]
struct Condensed {
    meta: Meta,
    before: Mark,
    bytes: Vec<u8>,
    index: Index,
    /// What each of them was found by.
    indexes: Vec<Index>,
}

impl Store {
    /// Condenses packs, some at a time: takes what is done, and begins with the next where there was rest enough.
    ///
    /// # Errors
    /// [`StoreError`] of a file. What is not condensed stays as it is, and nothing is lost.
    pub fn condense(&mut self) -> Result<(), StoreError> {
        let condensing = &mut self.packing.condensing;
        if let Some((task, thread)) = condensing.at_work.take() {
            if !thread.is_finished() {
                condensing.at_work = Some((task, thread));
                return Ok(());
            }
            // Who panicked is not there any more, nor is this one.
            let Ok(done) = thread.join() else { return Ok(()) };
            condensing.rest(done.took.saturating_mul(REST));
            return self.settle(&task, done);
        }
        if condensing.rests_until.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        let Some(task) = self.next_task(false)? else { return Ok(()) };
        let of = task.clone();
        let thread = Builder::new().name("spoor-condense".to_owned()).spawn(move || condense(&of));
        match thread {
            Ok(thread) => self.packing.condensing.at_work = Some((task, thread)),
            Err(error) => {
                tracing::warn!("records take more room than they need: no thread to condense them: {error}");
                self.packing.condensing.rest(NO_THREAD);
            }
        }
        Ok(())
    }

    /// Condenses everything, for a store that nothing more comes to.
    pub(super) fn condense_all(&mut self) -> Result<(), StoreError> {
        if let Some((task, thread)) = self.packing.condensing.at_work.take()
            && let Ok(done) = thread.join()
        {
            self.settle(&task, done)?;
        }
        self.packing.condensing.packed();
        while let Some(task) = self.next_task(true)? {
            let done = condense(&task);
            self.settle(&task, done)?;
        }
        Ok(())
    }

    /// Somebody is at it.
    #[cfg(test)]
    pub(super) fn is_condensing(&self) -> bool {
        self.packing.condensing.at_work.is_some()
    }

    /// Condenses what is next, at once.
    #[cfg(test)]
    pub(super) fn condense_some(&mut self) {
        self.packing.condensing.packed();
        if let Some(task) = self.next_task(true).unwrap() {
            let done = condense(&task);
            self.settle(&task, done).unwrap();
        }
    }

    /// What is to do next: in the oldest finished file that has something to do, else in the one that is written to. `last`:
    /// what is packed there is all that there will be.
    fn next_task(&mut self, last: bool) -> Result<Option<Task>, StoreError> {
        while let Some(name) = self.packing.condensing.files.front().copied() {
            let found = self.in_finished(name);
            match found {
                Ok(Some(task)) => return Ok(Some(task)),
                Err(error) if passes(&error) => return Err(error),
                // Nothing more is to do there, or it is the file, which is looked at when the store is opened next.
                other => {
                    self.packing.condensing.files.pop_front();
                    other?;
                }
            }
        }
        if self.packing.condensing.waits {
            return Ok(None);
        }
        let Some(period) = &self.current else { return Ok(None) };
        let parts = parts(&period.connection).at(&period.path)?;
        let enough = last || parts.len() > 1 || parts.iter().any(|part| part.meta.records > RECORDS / 2);
        if parts.is_empty() || !enough {
            self.packing.condensing.waits = true;
            return Ok(None);
        }
        Ok(Some(Task { name: period.name, parts }))
    }

    /// What is to do in a finished file. Where that is nothing its free pages are given back.
    fn in_finished(&self, name: Name) -> Result<Option<Task>, StoreError> {
        // Else dropped by retention, meanwhile.
        if !self.dir.join(name.to_string()).exists() {
            return Ok(None);
        }
        let period = Period::open(&self.dir, name)?;
        let parts = parts(&period.connection).at(&period.path)?;
        if parts.is_empty() {
            give_back(&period.connection, ALL).at(&period.path)?;
            return Ok(None);
        }
        Ok(Some(Task { name, parts }))
    }

    /// Puts what is condensed in the place of what it was made of.
    fn settle(&mut self, task: &Task, done: Done) -> Result<(), StoreError> {
        match &mut self.current {
            Some(period) if period.name == task.name => replace(period, task, done),
            _ if !self.dir.join(task.name.to_string()).exists() => Ok(()),
            _ => {
                let mut period = Period::open(&self.dir, task.name)?;
                replace(&mut period, task, done)?;
                give_back(&period.connection, PAGES).at(&period.path)
            }
        }
    }
}

/// The oldest packs of a file that were not condensed yet: one, or two that follow each other.
fn parts(connection: &Connection) -> rusqlite::Result<Vec<Part>> {
    let select = format!(
        "SELECT {META}, before, p.pack FROM loose l JOIN packs p ON last = l.pack ORDER BY last LIMIT 2"
    );
    let mut select = connection.prepare_cached(&select)?;
    let part = |row: &Row<'_>| {
        let meta = meta(row)?;
        let before = packs::near(Mark { seq: 0, hash: row.get(6)? }, meta.first);
        Ok(Part { meta, before, bytes: row.get(7)? })
    };
    let mut parts: Vec<Part> = select.query_map([], part)?.collect::<Result<_, _>>()?;
    if let [one, two] = parts.as_slice() {
        let follows = two.before.hash == one.meta.end.hash;
        let fits = one.meta.records.saturating_add(two.meta.records) <= RECORDS;
        parts.truncate(if follows && fits { 2 } else { 1 });
    }
    Ok(parts)
}

/// In one transaction.
fn replace(period: &mut Period, task: &Task, done: Done) -> Result<(), StoreError> {
    let path = &period.path;
    let transaction = period.connection.transaction().at(path)?;
    put(&transaction, task, done).at(path)?;
    transaction.commit().at(path)
}

fn put(connection: &Connection, task: &Task, done: Done) -> rusqlite::Result<()> {
    let mut known = connection.prepare_cached("DELETE FROM loose WHERE pack = ?")?;
    let Some(Condensed { meta, before, bytes, index, indexes }) = done.condensed else {
        // What stands behind it is tried without it.
        let first = task.parts.first().map(|part| part.meta.end.seq);
        return first.map_or(Ok(()), |first| known.execute([signed(first)]).map(drop));
    };
    for (part, index) in task.parts.iter().zip(&indexes) {
        known.execute([signed(part.meta.end.seq)])?;
        packs::remove(connection, part.meta.end.seq, index)?;
    }
    packs::put(connection, &meta, before, &bytes, &index)
}

fn condense(task: &Task) -> Done {
    let began = Instant::now();
    let condensed = together(&task.parts).or_else(|| together(task.parts.split_last()?.1));
    Done { condensed, took: began.elapsed() }
}

/// Parts as one. `None`: it is too much, does not take less room, or one has not the records it had.
fn together(parts: &[Part]) -> Option<Condensed> {
    let mut unpacked: Vec<(&Part, Pack)> = Vec::new();
    for part in parts {
        unpacked.push((part, pack::unpack(part.before, &part.bytes).ok()?));
    }
    let ((first, _), (last, _)) = (unpacked.first()?, unpacked.last()?);
    (unpacked.iter().map(|(_, pack)| pack.len()).sum::<usize>() <= TEXT_MAX).then_some(())?;
    let (mut whole, mut indexes, mut records) = (Index::default(), Vec::new(), Vec::new());
    for (part, pack) in &unpacked {
        let mut index = Index::default();
        for record in pack.records() {
            record.fits.then_some(())?;
            let found = Found::at_a_glance(record.mark.seq, record.body)?;
            index.add(record.mark.seq, found.clone());
            whole.add(record.mark.seq, found);
            records.push((record.mark, record.body));
        }
        (pack.end() == Some(part.meta.end)).then_some(())?;
        indexes.push(index);
    }
    let bytes = pack::condense(first.before, &records)?;
    let (from_ns, until_ns) = whole.span?;
    let (first, records) = (first, records.len() as u64);
    let meta = Meta { first: first.meta.first, end: last.meta.end, records, from_ns, until_ns };
    let smaller = bytes.len() < unpacked.iter().map(|(part, _)| part.bytes.len()).sum();
    smaller.then_some(Condensed { meta, before: first.before, bytes, index: whole, indexes })
}
