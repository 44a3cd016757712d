//! Reading, beside the writer, also from another process.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OpenFlags, Params, Row};

use super::StoreError;
use super::error::At as _;
use super::filter::{ChainHead, ChainsFilter};
use super::period::{self, Name, number, signed};
use crate::evidence::Mark;
use crate::record::View;

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its number.
    pub seq: u64,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// Reads a store. Sees what is committed, at the moment of each call.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    open: RefCell<BTreeMap<Name, Connection>>,
    /// When the directory had changed last, as it was listed.
    listed: Cell<Option<SystemTime>>,
}

/// As long as a directory has changed within this time, one more change may show the same time as the last.
const SETTLED: Duration = Duration::from_secs(2);

const OF_CHAIN: &str = "SELECT seq, body FROM records WHERE chain = ?1
    UNION ALL SELECT r.seq, r.body FROM gaps g JOIN records r ON r.seq = g.seq WHERE g.chain = ?1 ORDER BY 1";

impl Reader {
    /// Opens the store of a directory for reading.
    ///
    /// # Errors
    /// [`StoreError`] where the directory cannot be read.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let reader = Self { dir: dir.to_path_buf(), open: RefCell::default(), listed: Cell::default() };
        reader.refresh()?;
        Ok(reader)
    }

    /// The records after `seq`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn after(&self, seq: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.refresh()?;
        let mut found = Vec::new();
        for (name, connection) in &*self.open.borrow() {
            let left = limit - found.len();
            if left == 0 {
                break;
            }
            let select = "SELECT seq, body FROM records WHERE seq > ? ORDER BY seq LIMIT ?";
            let left = i64::try_from(left).unwrap_or(i64::MAX);
            found.extend(self.rows(*name, connection, select, (signed(seq), left), stored)?);
        }
        Ok(found)
    }

    /// Ids of the chains that begin like this, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn matching(&self, prefix: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        self.refresh()?;
        let from = prefix.to_ascii_uppercase();
        // `~` sorts behind every letter of an id.
        let to = format!("{from}~");
        let mut found = Vec::new();
        for (name, connection) in &*self.open.borrow() {
            let select =
                "SELECT DISTINCT chain FROM records WHERE chain >= ? AND chain < ? ORDER BY chain LIMIT ?";
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let ids: Vec<String> =
                self.rows(*name, connection, select, (&from, &to, limit), |row| row.get(0))?;
            found.extend(ids);
        }
        found.sort_unstable();
        found.dedup();
        found.truncate(limit);
        Ok(found)
    }

    /// Every record of the chain of exactly this id, gaps that concern it among them, in their order.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn chain(&self, id: &str) -> Result<Vec<Stored>, StoreError> {
        self.refresh()?;
        let mut found = Vec::new();
        for (name, connection) in &*self.open.borrow() {
            found.extend(self.rows(*name, connection, OF_CHAIN, [id], stored)?);
        }
        Ok(found)
    }

    /// Chains, newest first.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn chains(&self, filter: &ChainsFilter) -> Result<Vec<ChainHead>, StoreError> {
        Ok(self.chains_among(filter, usize::MAX)?.0)
    }

    /// The same, as long as no more than so many records were read; and how many chains of all were not looked at.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn chains_among(
        &self,
        filter: &ChainsFilter,
        records_max: usize,
    ) -> Result<(Vec<ChainHead>, usize), StoreError> {
        let mut heads = Vec::new();
        let ids = self.ids_newest_first()?;
        let (mut left, mut read) = (ids.len(), 0);
        for id in ids {
            if read > records_max || filter.limit != 0 && heads.len() == filter.limit {
                break;
            }
            left -= 1;
            let records: Vec<View> =
                self.chain(&id)?.iter().filter_map(|stored| View::parse(&stored.body).ok()).collect();
            read += records.len();
            let head = ChainHead { id, records };
            if head.matches(filter) {
                heads.push(head);
            }
        }
        Ok((heads, left))
    }

    fn ids_newest_first(&self) -> Result<Vec<String>, StoreError> {
        self.refresh()?;
        let mut ids: Vec<String> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for (name, connection) in self.open.borrow().iter().rev() {
            let select =
                "SELECT chain FROM records WHERE chain IS NOT NULL GROUP BY chain ORDER BY min(seq) DESC";
            let found: Vec<String> = self.rows(*name, connection, select, [], |row| row.get(0))?;
            ids.extend(found.into_iter().filter(|id| known.insert(id.clone())));
        }
        Ok(ids)
    }

    /// The newest record of a type.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn last(&self, kind: &str) -> Result<Option<Stored>, StoreError> {
        self.refresh()?;
        for (name, connection) in self.open.borrow().iter().rev() {
            let select = "SELECT seq, body FROM records WHERE type = ? ORDER BY seq DESC LIMIT 1";
            if let Some(found) = self.rows(*name, connection, select, [kind], stored)?.pop() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Records of a type before `seq`, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn before(&self, kind: &str, seq: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.refresh()?;
        let mut found = Vec::new();
        for (name, connection) in self.open.borrow().iter().rev() {
            let left = i64::try_from(limit - found.len()).unwrap_or(i64::MAX);
            if left == 0 {
                break;
            }
            let select = "SELECT seq, body FROM records WHERE type = ? AND seq < ? ORDER BY seq DESC LIMIT ?";
            found.extend(self.rows(*name, connection, select, (kind, signed(seq), left), stored)?);
        }
        Ok(found)
    }

    /// Records of a type and of a span of time, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn between(
        &self,
        kind: &str,
        (from_ns, until_ns): (i64, i64),
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.refresh()?;
        let mut found = Vec::new();
        for (name, connection) in &*self.open.borrow() {
            let left = i64::try_from(limit - found.len()).unwrap_or(i64::MAX);
            if left == 0 {
                break;
            }
            let select = "SELECT seq, body FROM records
                WHERE type = ? AND time_ns >= ? AND time_ns < ? ORDER BY time_ns, seq LIMIT ?";
            found.extend(self.rows(*name, connection, select, (kind, from_ns, until_ns, left), stored)?);
        }
        Ok(found)
    }

    /// Ids of the chains of which something is told in a span of time, in the order in which they are first told of, at most
    /// `limit`.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn chains_between(
        &self,
        (from_ns, until_ns): (i64, i64),
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        self.refresh()?;
        let (mut ids, mut known) = (Vec::new(), std::collections::HashSet::new());
        for (name, connection) in &*self.open.borrow() {
            let select =
                "SELECT chain FROM records WHERE type IN ('action', 'chain') AND time_ns >= ? AND time_ns < ?
                AND chain IS NOT NULL GROUP BY chain ORDER BY min(seq) LIMIT ?";
            let most = i64::try_from(limit).unwrap_or(i64::MAX);
            let found: Vec<String> =
                self.rows(*name, connection, select, (from_ns, until_ns, most), |row| row.get(0))?;
            ids.extend(found.into_iter().filter(|id| known.insert(id.clone())));
        }
        ids.truncate(limit);
        Ok(ids)
    }

    /// The days of which there are files of records, oldest first, as `2026-01-02`.
    ///
    /// # Errors
    /// [`StoreError`] where the directory cannot be read.
    pub fn days(&self) -> Result<Vec<String>, StoreError> {
        self.refresh()?;
        let mut days: Vec<String> = self.open.borrow().keys().map(|name| name.day.to_string()).collect();
        days.dedup();
        Ok(days)
    }

    /// The bytes of one record.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn at(&self, seq: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.one("SELECT body FROM records WHERE seq = ?", seq, |row| row.get(0))
    }

    /// Where the chain of records stood after one of them.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn mark(&self, seq: u64) -> Result<Option<Mark>, StoreError> {
        self.one("SELECT seq, hash FROM records WHERE seq = ?", seq, period::mark)
    }

    fn one<T>(
        &self,
        select: &str,
        seq: u64,
        map: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        for (name, connection) in self.open.borrow().iter().rev() {
            if let Some(found) = self.rows(*name, connection, select, [signed(seq)], &map)?.pop() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// How many records there are after `seq`.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn count_after(&self, seq: u64) -> Result<u64, StoreError> {
        self.refresh()?;
        let mut count = 0;
        for (name, connection) in &*self.open.borrow() {
            let select = "SELECT count(*) FROM records WHERE seq > ?";
            let rows = self.rows(*name, connection, select, [signed(seq)], |row| row.get(0).map(number))?;
            count += rows.first().copied().unwrap_or_default();
        }
        Ok(count)
    }

    /// The newest record.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn newest(&self) -> Result<Option<Stored>, StoreError> {
        self.refresh()?;
        for (name, connection) in self.open.borrow().iter().rev() {
            let select = "SELECT seq, body FROM records ORDER BY seq DESC LIMIT 1";
            if let Some(found) = self.rows(*name, connection, select, [], stored)?.pop() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn rows<T>(
        &self,
        name: Name,
        connection: &Connection,
        select: &str,
        params: impl Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let read = || {
            let mut statement = connection.prepare_cached(select)?;
            statement.query_map(params, map)?.collect::<Result<_, _>>()
        };
        read().at(&self.dir.join(name.to_string()))
    }

    /// Opens what is new, lets go of what retention has dropped.
    fn refresh(&self) -> Result<(), StoreError> {
        let now = SystemTime::now();
        let changed = fs::metadata(&self.dir).and_then(|meta| meta.modified()).at(&self.dir)?;
        if self.listed.get() == Some(changed) {
            return Ok(());
        }
        self.listed.set(None);
        let names = period::list(&self.dir)?;
        let mut open = self.open.borrow_mut();
        open.retain(|name, _| names.contains(name));
        for name in names {
            if open.contains_key(&name) {
                continue;
            }
            let path = self.dir.join(name.to_string());
            match period::open(&path, OpenFlags::SQLITE_OPEN_READ_ONLY) {
                Ok(connection) => {
                    open.insert(name, connection);
                }
                // Dropped between the listing and here.
                Err(_) if !path.exists() => {}
                Err(error) => return Err(error),
            }
        }
        let settled = now.duration_since(changed).is_ok_and(|age| age > SETTLED);
        self.listed.set(settled.then_some(changed));
        Ok(())
    }
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored { seq: number(row.get(0)?), body: row.get(1)? })
}
