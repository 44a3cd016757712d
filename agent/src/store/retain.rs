//! Forgetting, whole files at a time, oldest first.

use std::time::Duration;

use rusqlite::OpenFlags;

use super::error::At as _;
use super::period::{self, number};
use super::write::size;
use super::{Store, StoreError, packs};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// For how long.
    pub keep: Duration,
    /// How much at most. The file that is written to is never dropped; it is at most about an eighth of this.
    pub max_bytes: u64,
}

/// A file that was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its name.
    pub file: String,
    /// Records in it.
    pub records: u64,
    /// Number of the first; 0 where it was empty.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// Time of the first, ns since 1970.
    pub since_ns: i64,
    /// Bytes on the disk.
    pub bytes: u64,
}

impl Store {
    /// Drops whole files, oldest first, that are too old or too much. What was dropped is told, so that the caller can
    /// record it; each leaves its anchor, so that what remains verifies.
    ///
    /// # Errors
    /// [`StoreError`]; what was dropped until then is dropped.
    pub fn retain(&mut self, now_ns: i64) -> Result<Vec<Dropped>, StoreError> {
        let keep_ns = i64::try_from(self.retention.keep.as_nanos()).unwrap_or(i64::MAX);
        let oldest_ns = now_ns.saturating_sub(keep_ns);
        let names = period::list(&self.dir)?;
        let mut sizes = Vec::new();
        for name in &names {
            sizes.push(size(&self.dir.join(name.to_string()))?);
        }
        let mut total: u64 = sizes.iter().sum();
        let mut dropped = Vec::new();
        for (name, bytes) in names.iter().zip(sizes) {
            let current = self.current.as_ref().is_some_and(|current| current.name == *name);
            // What somebody has for himself is dropped the next time.
            let busy = current || self.is_packed_now(*name) || self.is_condensed_now(*name);
            if busy || (name.end_ns() > oldest_ns && total <= self.retention.max_bytes) {
                break;
            }
            dropped.push(self.drop_file(*name, bytes)?);
            total -= bytes;
        }
        Ok(dropped)
    }

    fn drop_file(&self, name: period::Name, bytes: u64) -> Result<Dropped, StoreError> {
        let path = self.dir.join(name.to_string());
        let file = name.to_string();
        let connection = period::open(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let end = period::end(&connection, &path)?;
        let rows = "SELECT count(*) AS records, min(seq) AS first, min(time_ns) AS from_ns FROM records";
        let packs = "SELECT coalesce(sum(records), 0), min(first), min(from_ns) FROM packs";
        let from = if packs::are_in(&connection).at(&path)? {
            format!("{rows} UNION ALL {packs}")
        } else {
            rows.to_owned()
        };
        let select =
            format!("SELECT sum(records), coalesce(min(first), 0), coalesce(min(from_ns), 0) FROM ({from})");
        let (records, first, since_ns) = connection
            .query_row(&select, [], |row| Ok((number(row.get(0)?), number(row.get(1)?), row.get(2)?)))
            .at(&path)?;
        drop(connection);
        self.cursors.anchor(&file, end)?;
        period::remove(&path)?;
        Ok(Dropped { file, records, first, last: end.seq, since_ns, bytes })
    }
}
