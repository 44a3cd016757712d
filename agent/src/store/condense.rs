//! Packs are condensed, the oldest first: two of them become one, in the form that takes less room and more time.
//!
//! It takes some fifty milliseconds of a core for a thousand records, ten times as long as to pack them. So it is done on a
//! thread of its own, one at a time, and after each there is a rest of two hundred times as long: it never has more than half
//! a hundredth of a core. Where records come faster than that, the newer ones stay as they are, which is as good.
//!
//! Of the file that is written to, the thread has copies and gives bytes back, and who writes is who always does. A file that
//! is finished it has for itself. A pack that does not have the records it had is left as it is, for `spoor verify` to name.

use std::collections::VecDeque;
use std::path::Path;
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
    at_work: Option<AtWork>,
    /// Until then nothing is begun.
    rests_until: Option<Instant>,
}

impl Condensing {
    /// Finished files have some.
    pub(super) fn of(files: Vec<Name>) -> Self {
        Self { files: files.into(), ..Self::default() }
    }

    /// A finished file may have packs that are to be condensed.
    pub(super) fn file(&mut self, name: Name) {
        self.files.push_back(name);
    }

    /// More was packed, or another file is written to.
    pub(super) fn packed(&mut self) {
        self.waits = false;
    }

    /// A finished file was looked at.
    fn looked(&mut self, name: Name, more: &Result<bool, StoreError>) {
        // What will be otherwise is tried again. Else it is the file, which is looked at when the store is opened next.
        let again = more.as_ref().map_or_else(passes, |more| *more);
        if !again && self.files.front() == Some(&name) {
            self.files.pop_front();
        }
    }

    fn rest(&mut self, how_long: Duration) {
        self.rests_until = Instant::now().checked_add(how_long);
    }
}

/// Who is at it.
#[derive(Debug)]
enum AtWork {
    /// In the file that is written to.
    Current(Task, JoinHandle<Done>),
    /// In a finished one.
    Finished(Name, JoinHandle<Finished>),
}

impl AtWork {
    fn is_finished(&self) -> bool {
        match self {
            Self::Current(_, thread) => thread.is_finished(),
            Self::Finished(_, thread) => thread.is_finished(),
        }
    }
}

/// What came of a finished file.
#[derive(Debug)]
struct Finished {
    /// Whether there may be more to do.
    more: Result<bool, StoreError>,
    took: Duration,
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
        let condensing = &mut self.condensing;
        if let Some(at_work) = condensing.at_work.take_if(|at_work| at_work.is_finished()) {
            return self.take(at_work);
        }
        let rests = condensing.rests_until.is_some_and(|until| Instant::now() < until);
        if rests || condensing.at_work.is_some() {
            return Ok(());
        }
        let thread = Builder::new().name("spoor-condense".to_owned());
        let begun = if let Some(name) = condensing.files.front().copied() {
            let dir = self.dir.clone();
            let begun = thread.spawn(move || in_finished(&dir, name));
            begun.map(|thread| AtWork::Finished(name, thread))
        } else {
            let Some(task) = self.in_current(false)? else { return Ok(()) };
            let of = task.clone();
            thread.spawn(move || condense(&of)).map(|thread| AtWork::Current(task, thread))
        };
        let condensing = &mut self.condensing;
        match begun {
            Ok(at_work) => condensing.at_work = Some(at_work),
            Err(error) => {
                tracing::warn!("records take more room than they need: no thread to condense them: {error}");
                condensing.rest(NO_THREAD);
            }
        }
        Ok(())
    }

    /// Takes what is done; waits for it where it is not.
    fn take(&mut self, at_work: AtWork) -> Result<(), StoreError> {
        let condensing = &mut self.condensing;
        // Who panicked is not there any more, nor is this one.
        match at_work {
            AtWork::Current(task, thread) => {
                let Ok(done) = thread.join() else { return Ok(()) };
                condensing.rest(done.took.saturating_mul(REST));
                self.settle(&task, done)
            }
            AtWork::Finished(name, thread) => {
                let Ok(Finished { more, took }) = thread.join() else { return Ok(()) };
                condensing.rest(took.saturating_mul(REST));
                condensing.looked(name, &more);
                more.map(drop)
            }
        }
    }

    /// Condenses everything, for a store that nothing more comes to.
    pub(super) fn condense_all(&mut self) -> Result<(), StoreError> {
        if let Some(at_work) = self.condensing.at_work.take() {
            self.take(at_work)?;
        }
        self.condensing.packed();
        while self.condense_next()? {}
        Ok(())
    }

    /// Condenses what is next, at once. Whether there may be more.
    fn condense_next(&mut self) -> Result<bool, StoreError> {
        if let Some(name) = self.condensing.files.front().copied() {
            let Finished { more, .. } = in_finished(&self.dir, name);
            self.condensing.looked(name, &more);
            return more.map(|_| true);
        }
        let Some(task) = self.in_current(true)? else { return Ok(false) };
        let done = condense(&task);
        self.settle(&task, done).map(|()| true)
    }

    /// Somebody is at it.
    #[cfg(test)]
    pub(super) fn is_condensing(&self) -> bool {
        self.condensing.at_work.is_some()
    }

    /// Condenses what is next, at once.
    #[cfg(test)]
    pub(super) fn condense_some(&mut self) {
        self.condensing.packed();
        self.condense_next().unwrap();
    }

    /// Whether somebody has that file for himself.
    pub(super) fn is_condensed_now(&self, name: Name) -> bool {
        matches!(&self.condensing.at_work, Some(AtWork::Finished(of, _)) if *of == name)
    }

    /// What is to do next in the file that is written to. `last`: what is packed there is all that there will be.
    fn in_current(&mut self, last: bool) -> Result<Option<Task>, StoreError> {
        if self.condensing.waits {
            return Ok(None);
        }
        let Some(period) = &self.current else { return Ok(None) };
        let parts = parts(&period.connection).at(&period.path)?;
        let enough = last || parts.len() > 1 || parts.iter().any(|part| part.meta.records > RECORDS / 2);
        if parts.is_empty() || !enough {
            self.condensing.waits = true;
            return Ok(None);
        }
        Ok(Some(Task { name: period.name, parts }))
    }

    /// Puts what is condensed in the place of what it was made of.
    fn settle(&mut self, task: &Task, done: Done) -> Result<(), StoreError> {
        match &mut self.current {
            Some(period) if period.name == task.name => replace(period, task, done),
            // Another file is written to meanwhile: this one is condensed as those are that are finished.
            _ => Ok(()),
        }
    }
}

/// The next packs of a finished file. Where there are none its free pages are given back.
fn in_finished(dir: &Path, name: Name) -> Finished {
    let began = Instant::now();
    let next = || {
        // Else dropped by retention, meanwhile.
        if !dir.join(name.to_string()).exists() {
            return Ok(false);
        }
        let mut period = Period::open(dir, name)?;
        let parts = parts(&period.connection).at(&period.path)?;
        if parts.is_empty() {
            give_back(&period.connection, ALL).at(&period.path)?;
            return Ok(false);
        }
        let task = Task { name, parts };
        let done = condense(&task);
        replace(&mut period, &task, done)?;
        give_back(&period.connection, PAGES).at(&period.path)?;
        Ok(true)
    };
    let more = next();
    Finished { more, took: began.elapsed() }
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
    if put(&transaction, task, done).at(path)? {
        transaction.commit().at(path)?;
    }
    Ok(())
}

/// `false`: a pack is not there any more, and what is left is not touched.
fn put(connection: &Connection, task: &Task, done: Done) -> rusqlite::Result<bool> {
    let mut known = connection.prepare_cached("DELETE FROM loose WHERE pack = ?")?;
    let Some(Condensed { meta, before, bytes, index, indexes }) = done.condensed else {
        // What stands behind it is tried without it.
        for first in task.parts.iter().take(1) {
            known.execute([signed(first.meta.end.seq)])?;
        }
        return Ok(true);
    };
    for (part, index) in task.parts.iter().zip(&indexes) {
        known.execute([signed(part.meta.end.seq)])?;
        if !packs::remove(connection, part.meta.end.seq, index)? {
            return Ok(false);
        }
    }
    packs::put(connection, &meta, before, &bytes, &index)?;
    Ok(true)
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
