//! Rows become packs, the oldest first.
//!
//! The newest stay rows: sinks that keep pace read those. What does not follow from the record before it, or is found by
//! another value than it has, was changed by somebody: it stays as it is, with all that comes after it in its file, so that
//! `spoor verify` finds it where it is.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, Transaction, params};

use super::error::At as _;
use super::packs::{self, Found, Index};
use super::period::{self, Name, Period, number, signed};
use super::seals::{self, Seals};
use super::{Store, StoreError, mend};
use crate::evidence::Mark;

/// Records in a pack.
pub(super) const PACK: usize = 512;
/// Bytes of records after which a pack ends before that.
const PACK_BYTES: usize = 4 << 20;
/// The newest so many stay rows.
pub(super) const KEEP: u64 = 128;
/// Of so many rows some are packed at once, whatever else is to do.
pub(super) const BEHIND_MAX: u64 = 4 * PACK as u64;
/// Packs that are made at once when there is time.
const AT_ONCE: usize = 8;

/// What is to be packed yet.
#[derive(Debug, Default)]
pub(super) struct Packing {
    /// Rows of the file that is written to.
    pub(super) rows: u64,
    /// One of its rows is not as it was stored.
    pub(super) stuck: bool,
    /// By which they are known.
    pub(super) seals: Seals,
    /// Finished files with rows.
    pub(super) finished: VecDeque<Name>,
}

/// What came of one attempt.
pub(super) enum Step {
    /// So many rows are packed.
    Packed(u64),
    /// There are none.
    Done,
    /// The next is not as it was stored.
    Stuck(u64),
}

impl Packing {
    /// What an agent before this one left; and the finished files that are packed, and not condensed.
    pub(super) fn begin(
        dir: &Path,
        names: &[Name],
        current: Option<&Period>,
    ) -> Result<(Self, Vec<Name>), StoreError> {
        let (mut packing, mut loose) = (Self::default(), Vec::new());
        if let Some(period) = current {
            let count = "SELECT count(*) FROM records";
            let rows = period.connection.query_row(count, [], |row| row.get(0).map(number));
            packing.rows = rows.at(&period.path)?;
        }
        for name in names.iter().filter(|name| current.is_none_or(|current| current.name != **name)) {
            let path = dir.join(name.to_string());
            let connection = period::open(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            let any = "SELECT EXISTS (SELECT 1 FROM records)";
            if connection.query_row(any, [], |row| row.get(0)).at(&path)? {
                packing.finished.push_back(*name);
            } else if packs::are_loose(&connection).at(&path)? {
                loose.push(*name);
            }
        }
        Ok((packing, loose))
    }

    /// So many more were stored.
    pub(super) fn stored(&mut self, rows: usize) {
        self.rows += rows as u64;
    }

    /// Another file is written to from now on.
    pub(super) fn next_file(&mut self, finished: Name) {
        self.finished.push_back(finished);
        (self.rows, self.stuck) = (0, false);
        self.seals.clear();
    }
}

impl Store {
    /// Packs what is due: a few packs where there is time, else only where much lies unpacked. The rows of files that are
    /// finished have time.
    ///
    /// # Errors
    /// [`StoreError`] of a file. What was packed until then is packed, and nothing is lost.
    pub fn pack(&mut self, idle: bool) -> Result<(), StoreError> {
        let (bound, packs) = if idle { (KEEP + PACK as u64, AT_ONCE) } else { (BEHIND_MAX, 1) };
        for _ in 0..packs {
            if self.packing.rows < bound || self.packing.stuck {
                break;
            }
            self.pack_current(KEEP)?;
        }
        if idle {
            self.pack_finished()?;
        }
        Ok(())
    }

    /// Packs everything, for a store that nothing more comes to.
    ///
    /// # Errors
    /// As [`Store::pack`].
    pub fn pack_all(&mut self) -> Result<(), StoreError> {
        while self.packing.rows > 0 && !self.packing.stuck {
            self.pack_current(0)?;
        }
        while !self.packing.finished.is_empty() {
            self.pack_finished()?;
        }
        self.condense_all()?;
        if let Some(period) = &self.current {
            give_back(&period.connection, ALL).at(&period.path)?;
        }
        Ok(())
    }

    pub(super) fn pack_current(&mut self, keep: u64) -> Result<(), StoreError> {
        let Some(period) = &mut self.current else { return Ok(()) };
        let name = period.name;
        let stepped = step(period, keep, PACK, &mut self.packing.seals);
        self.stepped(name, stepped)
    }

    /// What came of an attempt in the file that is written to.
    pub(super) fn stepped(
        &mut self,
        name: Name,
        stepped: Result<Step, StoreError>,
    ) -> Result<(), StoreError> {
        match stepped {
            Ok(Step::Packed(rows)) => {
                self.packing.rows = self.packing.rows.saturating_sub(rows);
                self.condensing.packed();
            }
            Ok(Step::Done) => self.packing.rows = 0,
            Ok(Step::Stuck(seq)) => {
                self.packing.stuck = true;
                tell(name, seq);
            }
            Err(error) => {
                self.packing.stuck = !passes(&error);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Makes one pack of so many records of the file that is written to.
    #[cfg(test)]
    pub(super) fn pack_some(&mut self, records: usize) {
        if let Some(period) = &mut self.current
            && let Step::Packed(rows) = step(period, 0, records, &mut self.packing.seals).unwrap()
        {
            self.packing.rows -= rows;
        }
    }

    /// One pack of the oldest finished file that has rows, or its end.
    fn pack_finished(&mut self) -> Result<(), StoreError> {
        let Some(name) = self.packing.finished.front().copied() else { return Ok(()) };
        let packed = finish(&self.dir, name);
        self.looked(name, packed)
    }

    /// A finished file was packed, or some of it.
    pub(super) fn looked(&mut self, name: Name, packed: Result<bool, StoreError>) -> Result<(), StoreError> {
        // What will be otherwise is tried again.
        let again = packed.as_ref().map_or_else(passes, |done| !done);
        if !again && self.packing.finished.front() == Some(&name) {
            self.packing.finished.pop_front();
            self.condensing.file(name);
        }
        packed.map(drop)
    }
}

/// One pack of a finished file. Whether there is nothing more to do.
pub(super) fn finish(dir: &Path, name: Name) -> Result<bool, StoreError> {
    // Else dropped by retention, meanwhile.
    if !dir.join(name.to_string()).exists() {
        return Ok(true);
    }
    let mut period = Period::open(dir, name)?;
    match step(&mut period, 0, PACK, &mut Seals::default())? {
        Step::Packed(_) => return Ok(false),
        Step::Done => give_back(&period.connection, ALL).at(&period.path)?,
        Step::Stuck(seq) => tell(name, seq),
    }
    Ok(true)
}

/// What will be otherwise when it is tried again. Else it is the file, which is looked at when the store is opened next.
pub(super) fn passes(error: &StoreError) -> bool {
    if let StoreError::Corrupt { path, .. } = error {
        mend::suspect(path);
    }
    matches!(error, StoreError::Full { .. })
}

fn tell(name: Name, seq: u64) {
    tracing::error!(
        "{name}: record {seq} is not as it was stored; `spoor verify` says more, and it and what comes after it is not packed"
    );
}

/// The record that the rows of a file come after.
pub(super) fn packed_until(connection: &Connection, path: &Path) -> Result<Mark, StoreError> {
    match packs::end(connection).at(path)? {
        Some(end) => Ok(end),
        None => period::start(connection, path),
    }
}

/// One pack of at most so many of the oldest rows, where more than `keep` are left.
fn step(period: &mut Period, keep: u64, most: usize, seals: &mut Seals) -> Result<Step, StoreError> {
    let path = &period.path;
    let transaction = period.connection.transaction().at(path)?;
    let before = packed_until(&transaction, path)?;
    let (taken, index, stuck) = take(&transaction, before, (keep, most), seals).at(path)?;
    let Some((last, _)) = taken.last() else { return Ok(stuck.map_or(Step::Done, Step::Stuck)) };
    let bytes = bytes(before, &taken).map_err(|error| StoreError::io(path, error))?;
    put(transaction, before, &taken, &bytes, &index).at(path)?;
    seals.packed(last.seq);
    Ok(Step::Packed(taken.len() as u64))
}

/// The pack of rows that follow `before`.
pub(super) fn bytes(before: Mark, rows: &[(Mark, Vec<u8>)]) -> io::Result<Vec<u8>> {
    let records: Vec<(Mark, &[u8])> = rows.iter().map(|(mark, body)| (*mark, body.as_slice())).collect();
    packs::pack(before, &records)
}

/// Puts a pack in the place of its rows, and commits. `false`: some of them are not there any more, and all stays as it is.
pub(super) fn put(
    transaction: Transaction<'_>,
    before: Mark,
    rows: &[(Mark, Vec<u8>)],
    bytes: &[u8],
    index: &Index,
) -> rusqlite::Result<bool> {
    let marks: Vec<Mark> = rows.iter().map(|(mark, _)| *mark).collect();
    let (Some(first), Some(last)) = (marks.first(), marks.last()) else { return Ok(false) };
    packs::insert_packed(&transaction, before, &marks, bytes, index)?;
    let delete = "DELETE FROM records WHERE seq BETWEEN ? AND ?";
    let deleted = transaction.execute(delete, params![signed(first.seq), signed(last.seq)])?;
    if deleted == marks.len() {
        transaction.commit()?;
    }
    Ok(deleted == marks.len())
}

pub(super) type Taken = (Vec<(Mark, Vec<u8>)>, Index, Option<u64>);

/// The oldest rows, as long as each is as it was stored; and which is not.
pub(super) fn take(
    connection: &Connection,
    before: Mark,
    (keep, most): (u64, usize),
    seals: &Seals,
) -> rusqlite::Result<Taken> {
    let until = "SELECT seq FROM records ORDER BY seq DESC LIMIT 1 OFFSET ?";
    let until: Option<i64> = connection.query_row(until, [signed(keep)], |row| row.get(0)).optional()?;
    let select =
        "SELECT seq, hash, time_ns, type, chain, body FROM records WHERE seq <= ? ORDER BY seq LIMIT ?";
    let mut select = connection.prepare_cached(select)?;
    let mut rows = select.query(params![until, i64::try_from(most).unwrap_or(i64::MAX)])?;
    let (mut taken, mut last, mut index, mut size) = (Vec::new(), before, Index::default(), 0);
    while let Some(row) = rows.next()? {
        let body = row.get_ref(5)?.as_blob()?;
        size += body.len();
        if size > PACK_BYTES && !taken.is_empty() {
            break;
        }
        let mark = period::mark(row)?;
        let Some(known) = known(row, (mark, body), last, seals, taken.len()) else {
            return Ok((taken, index, Some(mark.seq)));
        };
        index.add(mark.seq, known);
        taken.push((mark, body.to_vec()));
        last = mark;
    }
    Ok((taken, index, None))
}

/// What a row is found by, where it is as it was stored: by its seal, or since it follows from the one before it and is found by
/// what it says itself. `place` is how many are not packed before it.
fn known(
    row: &Row<'_>,
    (mark, body): (Mark, &[u8]),
    before: Mark,
    seals: &Seals,
    place: usize,
) -> Option<Found> {
    if mark.seq <= before.seq || body.len() > super::pack::TEXT_MAX {
        return None;
    }
    // Of another type than it was stored with, it is another.
    let time_ns = row.get(2).ok()?;
    let kind = row.get_ref(3).ok()?.as_str().ok()?;
    let chain = row.get_ref(4).ok()?.as_str_or_null().ok()?;
    let found = Found { time_ns, kind: kind.to_owned(), chain: chain.map(str::to_owned) };
    if seals.know(place, &seals::Row { mark, time_ns, kind, chain, body }) {
        return Some(found);
    }
    let follows = before.then(mark.seq, body) == mark;
    Some(found).filter(|found| follows && Found::at_a_glance(mark.seq, body).as_ref() == Some(found))
}

/// All free pages of a file.
pub(super) const ALL: u32 = 0;

/// Gives pages that packing has freed back to the file system, at most so many.
pub(super) fn give_back(connection: &Connection, pages: u32) -> rusqlite::Result<()> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    if number("freelist_count")? == 0 {
        return Ok(());
    }
    // A file of an older agent has no map of its pages, and is written anew: it is small by now.
    let how = match (number("auto_vacuum")?, pages) {
        (0, ALL) => "VACUUM".to_owned(),
        (0, _) => return Ok(()),
        _ => format!("PRAGMA incremental_vacuum({pages})"),
    };
    let mut give = connection.prepare(&how)?;
    let mut rows = give.query([])?;
    // It goes one page a step.
    while rows.next()?.is_some() {}
    drop(rows);
    // Readers are not waited for: where one reads what was, the file becomes smaller with a later one.
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
