//! What nobody has to wait for: the oldest rows are packed, and what was written ahead goes into its file, each on a thread of
//! its own. Both take up to ten milliseconds, which an opened credential would wait for to be stored.
//!
//! The thread that packs has copies of rows and gives a pack back; who takes the rows out and puts the pack in is who
//! always writes, in one transaction. A file that is finished a thread has for itself. The one for what was written ahead writes
//! nothing that is not committed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use rusqlite::OpenFlags;

use super::error::At as _;
use super::packing::{self, BEHIND_MAX, KEEP, PACK, Step, finish, packed_until, take};
use super::packs::Index;
use super::period::{self, Name, Period};
use super::{Store, StoreError};
use crate::evidence::Mark;

/// Where that many rows are there, the thread does not keep pace, and is waited for.
const FAR_BEHIND: u64 = BEHIND_MAX + 2 * PACK as u64;
/// After so many pages, about, what was written ahead goes into its file.
const PAGES: usize = 1_000;
/// Pages that a batch touches beside those of its records.
const EACH: usize = 2;

/// Who is at work.
#[derive(Debug, Default)]
pub(super) struct Aside {
    packs: Option<(Task, JoinHandle<io::Result<Vec<u8>>>)>,
    finished: Option<(Name, JoinHandle<Result<bool, StoreError>>)>,
    checkpoint: Option<JoinHandle<()>>,
    /// Pages, about, that were written ahead since the last one began.
    ahead: usize,
}

/// Rows that become a pack.
#[derive(Debug)]
struct Task {
    name: Name,
    before: Mark,
    rows: Arc<Vec<(Mark, Vec<u8>)>>,
    index: Index,
}

impl Aside {
    /// So many records were written.
    pub(super) fn wrote(&mut self, records: usize) {
        self.ahead = self.ahead.saturating_add(records + EACH);
    }
}

impl Store {
    /// As [`Store::pack`], on a thread of its own: takes what is done, and begins with the next. What is due from time to time is
    /// done where there is time.
    ///
    /// # Errors
    /// [`StoreError`] of a file. What was packed until then is packed, and nothing is lost.
    pub fn pack_aside(&mut self, idle: bool) -> Result<(), StoreError> {
        let far = self.packing.rows >= FAR_BEHIND;
        let done = self.aside.packs.take_if(|(_, thread)| far || thread.is_finished());
        if let Some((task, thread)) = done {
            // Who panicked is not there any more, nor is this one.
            if let Ok(bytes) = thread.join() {
                self.put_pack(&task, bytes)?;
            }
        }
        let bound = if idle { KEEP + PACK as u64 } else { BEHIND_MAX };
        if self.aside.packs.is_none() && self.packing.rows >= bound && !self.packing.stuck {
            self.begin_pack()?;
        }
        if idle {
            self.begin_checkpoint();
            return self.finish_aside();
        }
        Ok(())
    }

    /// All that is left of a finished file.
    fn finish_aside(&mut self) -> Result<(), StoreError> {
        if let Some((name, thread)) = self.aside.finished.take_if(|(_, thread)| thread.is_finished()) {
            let Ok(packed) = thread.join() else { return Ok(()) };
            return self.looked(name, packed);
        }
        let next = self.packing.finished.front().copied();
        let Some(name) = next.filter(|_| self.aside.finished.is_none()) else { return Ok(()) };
        let dir = self.dir.clone();
        let all = move || {
            while !finish(&dir, name)? {}
            Ok(true)
        };
        // Without a thread it waits for the next time.
        let thread = Builder::new().name("spoor-pack".to_owned()).spawn(all);
        self.aside.finished = thread.ok().map(|thread| (name, thread));
        Ok(())
    }

    /// Whether somebody has that file for himself.
    pub(super) fn is_packed_now(&self, name: Name) -> bool {
        self.aside.finished.as_ref().is_some_and(|(of, _)| *of == name)
    }

    fn begin_pack(&mut self) -> Result<(), StoreError> {
        let Some(period) = &self.current else { return Ok(()) };
        let name = period.name;
        let task = match self.rows_of(period) {
            Ok((task, _)) if !task.rows.is_empty() => task,
            Ok((_, stuck)) => return self.stepped(name, Ok(stuck.map_or(Step::Done, Step::Stuck))),
            Err(error) => return self.stepped(name, Err(error)),
        };
        let (before, rows) = (task.before, Arc::clone(&task.rows));
        let make = move || packing::bytes(before, &rows);
        match Builder::new().name("spoor-pack".to_owned()).spawn(make) {
            Ok(thread) => self.aside.packs = Some((task, thread)),
            // Then here.
            Err(_) => self.pack_current(KEEP)?,
        }
        Ok(())
    }

    /// Rows for a pack, if there are any, and the record that is not as it was stored.
    fn rows_of(&self, period: &Period) -> Result<(Task, Option<u64>), StoreError> {
        let path = &period.path;
        let before = packed_until(&period.connection, path)?;
        let (rows, index, stuck) =
            take(&period.connection, before, (KEEP, PACK), &self.packing.seals).at(path)?;
        Ok((Task { name: period.name, before, rows: Arc::new(rows), index }, stuck))
    }

    /// Puts a pack in the place of its rows.
    fn put_pack(&mut self, task: &Task, bytes: io::Result<Vec<u8>>) -> Result<(), StoreError> {
        // Another file is written to meanwhile: this one is packed as those are that are finished.
        let Some(period) = self.current.as_mut().filter(|period| period.name == task.name) else {
            return Ok(());
        };
        let put = match put(period, task, bytes) {
            // Somebody took rows out meanwhile: they are looked at one by one.
            Ok(false) => return self.pack_current(KEEP),
            Ok(true) => Ok(Step::Packed(task.rows.len() as u64)),
            Err(error) => Err(error),
        };
        if let (Ok(_), Some((last, _))) = (&put, task.rows.last()) {
            self.packing.seals.packed(last.seq);
            self.aside.wrote(task.rows.len());
        }
        self.stepped(task.name, put)
    }

    /// Somebody packs.
    #[cfg(test)]
    pub(super) fn is_packing(&self) -> bool {
        self.aside.packs.is_some()
    }

    /// What was written ahead goes into its file, where it is enough to be worth it.
    fn begin_checkpoint(&mut self) {
        let aside = &mut self.aside;
        let busy = aside.checkpoint.as_ref().is_some_and(|thread| !thread.is_finished());
        let Some(period) = self.current.as_ref().filter(|_| !busy && aside.ahead >= PAGES) else { return };
        let path: PathBuf = period.path.clone();
        // Without a thread, who writes does it, after some thousand pages.
        aside.checkpoint =
            Builder::new().name("spoor-store".to_owned()).spawn(move || checkpoint(&path)).ok();
        aside.ahead = 0;
    }
}

/// As [`packing::put`].
fn put(period: &mut Period, task: &Task, bytes: io::Result<Vec<u8>>) -> Result<bool, StoreError> {
    let path = &period.path;
    let bytes = bytes.map_err(|error| StoreError::io(path, error))?;
    let transaction = period.connection.transaction().at(path)?;
    packing::put(transaction, task.before, &task.rows, &bytes, &task.index).at(path)
}

/// Of what can be taken in now: nobody is waited for, and nobody waits.
fn checkpoint(path: &Path) {
    let run = || {
        let connection = period::open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).at(path)
    };
    // Whoever writes next meets the same, and says so.
    if let Err(error) = run() {
        tracing::debug!("what was written ahead stays so: {error}");
    }
}
