//! One file of records as it is at one moment: the oldest in packs, the newest in rows, and each in one of the two.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memchr::memmem::Finder;
use rusqlite::{Connection, OpenFlags, Params, Row, Transaction};

use super::StoreError;
use super::error::At as _;
use super::pack::{Pack, Packed};
use super::packs::{self, Found, META, Meta, meta};
use super::period::{self, number, signed};
use super::reader::Stored;
use crate::evidence::Mark;

/// Most bytes of unpacked packs that are kept for the next question; the last one is kept in any case.
const CACHE_MAX: usize = 8 << 20;

/// What was unpacked last, newest first.
#[derive(Debug, Default)]
pub(super) struct Cache(VecDeque<(PathBuf, u64, Arc<Pack>)>);

impl Cache {
    fn find(&mut self, path: &Path, last: u64, first: u64) -> Option<Arc<Pack>> {
        let is = |pack: &Pack| pack.records().next().is_some_and(|record| record.mark.seq == first);
        // A pack that was condensed since may begin earlier.
        let at = self.0.iter().position(|(of, end, pack)| *end == last && of == path && is(pack))?;
        let found = self.0.remove(at)?;
        let pack = Arc::clone(&found.2);
        self.0.push_front(found);
        Some(pack)
    }

    fn add(&mut self, path: &Path, last: u64, pack: &Arc<Pack>) {
        self.0.push_front((path.to_path_buf(), last, Arc::clone(pack)));
        while self.0.len() > 1 && self.0.iter().map(|(.., pack)| pack.len()).sum::<usize>() > CACHE_MAX {
            self.0.pop_back();
        }
    }

    /// Whoever reads one after the other does not come back to those before.
    fn keep_newest(&mut self) {
        self.0.truncate(1);
    }
}

/// A file that is open for reading.
#[derive(Debug)]
pub(super) struct File {
    path: PathBuf,
    connection: Connection,
    /// It has tables for packs. It gets them when a newer agent opens it for writing.
    packed: Cell<bool>,
    /// The number it ends with, where a newer file was begun and nothing comes to this one any more.
    ends: Cell<Option<u64>>,
}

impl File {
    pub(super) fn open(path: PathBuf) -> Result<Self, StoreError> {
        let connection = period::open(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(Self { path, connection, packed: Cell::default(), ends: Cell::default() })
    }

    /// Whether a finished file has nothing after that number. It is asked for that once.
    pub(super) fn ends_before(&self, seq: u64) -> Result<bool, StoreError> {
        if self.ends.get().is_none() {
            let transaction = self.connection.unchecked_transaction().at(&self.path)?;
            self.ends.set(Some(period::end(&transaction, &self.path)?.seq));
        }
        Ok(self.ends.get().is_some_and(|end| end <= seq))
    }

    /// What is committed now.
    pub(super) fn snapshot<'a>(&'a self, cache: &'a RefCell<Cache>) -> Result<Snapshot<'a>, StoreError> {
        let transaction = self.connection.unchecked_transaction().at(&self.path)?;
        if !self.packed.get() {
            self.packed.set(packs::are_in(&transaction).at(&self.path)?);
        }
        Ok(Snapshot { transaction, path: &self.path, packed: self.packed.get(), cache })
    }
}

/// A file at one moment.
pub(super) struct Snapshot<'a> {
    transaction: Transaction<'a>,
    path: &'a Path,
    packed: bool,
    cache: &'a RefCell<Cache>,
}

const OF_CHAIN: &str = "SELECT seq, body FROM records WHERE chain = ?1
    UNION ALL SELECT r.seq, r.body FROM gaps g JOIN records r ON r.seq = g.seq WHERE g.chain = ?1 ORDER BY 1";

impl Snapshot<'_> {
    /// As [`super::Reader::after`].
    pub(super) fn after(&self, seq: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let (mut found, mut at) = (Vec::new(), seq);
        while found.len() < limit
            && let Some(next) = self.metas("WHERE last > ? ORDER BY last LIMIT 1", [signed(at)])?.pop()
        {
            let pack = self.pack(next.end.seq)?;
            let later = pack.records().filter(|record| record.mark.seq > seq);
            found.extend(later.take(limit - found.len()).map(stored));
            self.cache.borrow_mut().keep_newest();
            at = next.end.seq;
        }
        let select = "SELECT seq, body FROM records WHERE seq > ? ORDER BY seq LIMIT ?";
        found.extend(self.rows(select, (signed(seq), most(limit - found.len())), row)?);
        Ok(found)
    }

    /// As [`super::Reader::matching`], in the order of the alphabet.
    pub(super) fn matching(&self, from: &str, to: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        let select = if self.packed {
            "SELECT chain FROM records WHERE chain >= ?1 AND chain < ?2
             UNION SELECT chain FROM pack_chains WHERE chain >= ?1 AND chain < ?2 ORDER BY 1 LIMIT ?3"
        } else {
            "SELECT DISTINCT chain FROM records WHERE chain >= ? AND chain < ? ORDER BY chain LIMIT ?"
        };
        self.rows(select, (from, to, most(limit)), |row| row.get(0))
    }

    /// As [`super::Reader::chain`].
    pub(super) fn chain(&self, id: &str) -> Result<Vec<Stored>, StoreError> {
        let mut found = Vec::new();
        if self.packed {
            let gaps = "SELECT seq FROM gaps WHERE chain = ? ORDER BY seq";
            let gaps: BTreeSet<u64> =
                self.rows(gaps, [id], |row| row.get(0).map(number))?.into_iter().collect();
            let select = "SELECT pack FROM pack_chains WHERE chain = ?1
                UNION SELECT (SELECT last FROM packs WHERE last >= g.seq ORDER BY last LIMIT 1) FROM gaps g WHERE chain = ?1
                ORDER BY 1";
            let ends = self.rows(select, [id], |row| row.get::<_, Option<i64>>(0))?;
            let finder = Finder::new(id);
            for end in ends.into_iter().flatten() {
                let pack = self.pack(number(end))?;
                let of_it = |record: &Packed<'_>| {
                    gaps.contains(&record.mark.seq)
                        || found_in(&finder, record).is_some_and(|found| found.chain.as_deref() == Some(id))
                };
                found.extend(pack.records().filter(of_it).map(stored));
            }
        }
        found.extend(self.rows(OF_CHAIN, [id], row)?);
        Ok(found)
    }

    /// All chains, those that began last first.
    pub(super) fn ids_newest_first(&self) -> Result<Vec<String>, StoreError> {
        let select = if self.packed {
            "SELECT chain FROM (SELECT chain, seq FROM records WHERE chain IS NOT NULL
                UNION ALL SELECT chain, first FROM pack_chains) GROUP BY chain ORDER BY min(seq) DESC"
        } else {
            "SELECT chain FROM records WHERE chain IS NOT NULL GROUP BY chain ORDER BY min(seq) DESC"
        };
        self.rows(select, [], |row| row.get(0))
    }

    /// As [`super::Reader::before`].
    pub(super) fn before(&self, kind: &str, seq: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let select = "SELECT seq, body FROM records WHERE type = ? AND seq < ? ORDER BY seq DESC LIMIT ?";
        let mut found = self.rows(select, (kind, signed(seq), most(limit)), row)?;
        if !self.packed || found.len() == limit {
            return Ok(found);
        }
        let select = "SELECT last FROM pack_types t JOIN packs ON last = t.pack WHERE type = ? AND first < ? ORDER BY last DESC";
        let finder = Finder::new(kind);
        for end in self.rows(select, (kind, signed(seq)), |row| row.get(0).map(number))? {
            let pack = self.pack(end)?;
            let earlier = pack.records().rev().filter(|record| record.mark.seq < seq);
            let of_kind =
                earlier.filter(|record| found_in(&finder, record).is_some_and(|found| found.kind == kind));
            found.extend(of_kind.take(limit - found.len()).map(stored));
            if found.len() == limit {
                break;
            }
        }
        Ok(found)
    }

    /// As [`super::Reader::between`].
    pub(super) fn between(
        &self,
        kind: &str,
        (from_ns, until_ns): (i64, i64),
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut found: Vec<(i64, Stored)> = Vec::new();
        // Clocks are set: packs follow each other by number and not by time.
        let keep_first = |found: &mut Vec<(i64, Stored)>| {
            found.sort_by_key(|(time_ns, stored)| (*time_ns, stored.seq));
            found.truncate(limit);
        };
        if self.packed {
            let finder = Finder::new(kind);
            let tail = "WHERE until_ns >= ? AND from_ns < ? AND last IN (SELECT pack FROM pack_types WHERE type = ?)";
            for meta in self.metas(tail, (from_ns, until_ns, kind))? {
                for record in self.pack(meta.end.seq)?.records() {
                    let of_it = found_in(&finder, &record).filter(|found| found.kind == kind);
                    let time =
                        of_it.map(|found| found.time_ns).filter(|time| (from_ns..until_ns).contains(time));
                    found.extend(time.map(|time| (time, stored(record))));
                }
                keep_first(&mut found);
            }
        }
        let select = "SELECT seq, body, time_ns FROM records
            WHERE type = ? AND time_ns >= ? AND time_ns < ? ORDER BY time_ns, seq LIMIT ?";
        found.extend(
            self.rows(select, (kind, from_ns, until_ns, most(limit)), |of| Ok((of.get(2)?, row(of)?)))?,
        );
        keep_first(&mut found);
        Ok(found.into_iter().map(|(_, stored)| stored).collect())
    }

    /// As [`super::Reader::chains_between`].
    pub(super) fn chains_between(
        &self,
        (from_ns, until_ns): (i64, i64),
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let mut first: HashMap<String, u64> = HashMap::new();
        let mut add = |chain: String, seq: u64| {
            let known = first.entry(chain).or_insert(seq);
            *known = seq.min(*known);
        };
        let span = from_ns..until_ns;
        for meta in self.metas("WHERE until_ns >= ? AND from_ns < ?", (from_ns, until_ns))? {
            let Meta { end, from_ns, until_ns, .. } = meta;
            if span.contains(&from_ns) && span.contains(&until_ns) {
                let select = "SELECT chain, first, told FROM pack_chains WHERE pack = ? AND told IS NOT NULL";
                let told = |row: &Row<'_>| Ok((row.get(0)?, packs::told(row.get(1)?, row.get(2)?)));
                let all: Vec<(String, packs::Told)> = self.rows(select, [signed(end.seq)], told)?;
                all.into_iter().for_each(|(chain, told)| add(chain, told.told.unwrap_or(told.first)));
                continue;
            }
            for record in self.pack(end.seq)?.records() {
                let found = Found::at_a_glance(record.mark.seq, record.body);
                let found = found.filter(|found| found.tells() && span.contains(&found.time_ns));
                found.and_then(|found| found.chain).into_iter().for_each(|chain| add(chain, record.mark.seq));
            }
        }
        let select = "SELECT chain, min(seq) FROM records WHERE type IN ('action', 'chain') AND time_ns >= ? AND time_ns < ?
            AND chain IS NOT NULL GROUP BY chain ORDER BY min(seq) LIMIT ?";
        let rows = |row: &Row<'_>| Ok((row.get(0)?, number(row.get(1)?)));
        let rows: Vec<(String, u64)> = self.rows(select, (from_ns, until_ns, most(limit)), rows)?;
        rows.into_iter().for_each(|(chain, seq)| add(chain, seq));
        let mut ids: Vec<(u64, String)> = first.into_iter().map(|(chain, seq)| (seq, chain)).collect();
        ids.sort_unstable();
        ids.truncate(limit);
        Ok(ids.into_iter().map(|(_, chain)| chain).collect())
    }

    /// As [`super::Reader::at`].
    pub(super) fn at(&self, seq: u64) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(pack) = self.pack_with(seq)? {
            return Ok(pack.record(seq).map(|record| record.body.to_vec()));
        }
        Ok(self.rows("SELECT body FROM records WHERE seq = ?", [signed(seq)], |row| row.get(0))?.pop())
    }

    /// As [`super::Reader::mark`].
    pub(super) fn mark(&self, seq: u64) -> Result<Option<Mark>, StoreError> {
        if let Some(pack) = self.pack_with(seq)? {
            return Ok(pack.record(seq).map(|record| record.mark));
        }
        Ok(self.rows("SELECT seq, hash FROM records WHERE seq = ?", [signed(seq)], period::mark)?.pop())
    }

    /// As [`super::Reader::count_after`].
    pub(super) fn count_after(&self, seq: u64) -> Result<u64, StoreError> {
        let mut count = 0;
        for meta in self.metas("WHERE last > ?", [signed(seq)])? {
            count += if meta.first > seq {
                meta.records
            } else {
                self.pack(meta.end.seq)?.records().filter(|record| record.mark.seq > seq).count() as u64
            };
        }
        let select = "SELECT count(*) FROM records WHERE seq > ?";
        let rows = self.rows(select, [signed(seq)], |row| row.get(0).map(number))?;
        Ok(count + rows.first().copied().unwrap_or_default())
    }

    /// As [`super::Reader::newest`].
    pub(super) fn newest(&self) -> Result<Option<Stored>, StoreError> {
        if let Some(found) =
            self.rows("SELECT seq, body FROM records ORDER BY seq DESC LIMIT 1", [], row)?.pop()
        {
            return Ok(Some(found));
        }
        let Some(meta) = self.metas("ORDER BY last DESC LIMIT 1", [])?.pop() else { return Ok(None) };
        Ok(self.pack(meta.end.seq)?.records().next_back().map(stored))
    }

    fn metas(&self, tail: &str, params: impl Params) -> Result<Vec<Meta>, StoreError> {
        if !self.packed {
            return Ok(Vec::new());
        }
        self.rows(&format!("SELECT {META} FROM packs {tail}"), params, meta)
    }

    fn pack_with(&self, seq: u64) -> Result<Option<Arc<Pack>>, StoreError> {
        let meta = self.metas("WHERE last >= ? ORDER BY last LIMIT 1", [signed(seq)])?.pop();
        meta.filter(|meta| meta.first <= seq).map(|meta| self.pack(meta.end.seq)).transpose()
    }

    fn pack(&self, last: u64) -> Result<Arc<Pack>, StoreError> {
        let mut cache = self.cache.borrow_mut();
        // An index may name a pack that is not there.
        let missing = || packs::damaged(self.path, last, super::pack::Flaw::Cut);
        let first = "SELECT first FROM packs WHERE last = ?";
        let first: Option<u64> = self.rows(first, [signed(last)], |row| row.get(0).map(number))?.pop();
        if let Some(pack) = cache.find(self.path, last, first.ok_or_else(missing)?) {
            return Ok(pack);
        }
        let pack = Arc::new(packs::read(&self.transaction, self.path, last)?.ok_or_else(missing)?);
        cache.add(self.path, last, &pack);
        Ok(pack)
    }

    fn rows<T>(
        &self,
        select: &str,
        params: impl Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let read = || {
            let mut statement = self.transaction.prepare_cached(select)?;
            statement.query_map(params, map)?.collect::<Result<_, _>>()
        };
        read().at(self.path)
    }
}

/// What a record is found by, where its bytes have that text in them.
fn found_in(text: &Finder<'_>, record: &Packed<'_>) -> Option<Found> {
    text.find(record.body)?;
    Found::at_a_glance(record.mark.seq, record.body)
}

fn stored(record: Packed<'_>) -> Stored {
    Stored { seq: record.mark.seq, body: record.body.to_vec() }
}

fn row(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored { seq: number(row.get(0)?), body: row.get(1)? })
}

fn most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
