//! `state.sqlite`: how far each sink has come, and what dropped files have left.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use super::error::At as _;
use super::period::{self, mark, number, signed};
use super::{StoreError, sinks};
use crate::evidence::Mark;

const SCHEMA: &str = "
CREATE TABLE cursors (sink TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE anchors (seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, file TEXT NOT NULL) STRICT;
";

pub(super) const ADVANCE: &str = "INSERT INTO cursors VALUES (?, ?)
    ON CONFLICT (sink) DO UPDATE SET seq = max(seq, excluded.seq)";

/// The file that makes a directory a store.
pub const FILE: &str = "state.sqlite";

/// The cursors of the sinks. Each sink has one of these to itself; they do not wait for the writer of records.
#[derive(Debug)]
pub struct Cursors {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

impl Cursors {
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        if !path.exists() {
            period::create(&path, SCHEMA)?;
        }
        let connection = period::open(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        sinks::create(&connection, &path)?;
        Ok(Self { connection, path })
    }

    /// Number of the last record a sink has taken; 0 for one that has taken none.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn cursor(&self, sink: &str) -> Result<u64, StoreError> {
        let select = "SELECT seq FROM cursors WHERE sink = ?";
        let read = || self.connection.prepare_cached(select)?.query_row([sink], |row| row.get(0)).optional();
        Ok(read().at(&self.path)?.map_or(0, number))
    }

    /// A sink has taken everything up to `seq`. Never goes back.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn advance(&self, sink: &str, seq: u64) -> Result<(), StoreError> {
        self.connection.execute(ADVANCE, params![sink, signed(seq)]).at(&self.path)?;
        Ok(())
    }

    /// The farthest of all sinks.
    pub(super) fn farthest(&self) -> Result<u64, StoreError> {
        let select = "SELECT coalesce(max(seq), 0) FROM cursors";
        self.connection.query_row(select, [], |row| row.get(0)).map(number).at(&self.path)
    }

    /// What is dropped leaves its end here, before it is dropped.
    pub(super) fn anchor(&self, file: &str, end: Mark) -> Result<(), StoreError> {
        let insert = "INSERT OR REPLACE INTO anchors VALUES (?, ?, ?)";
        let values = params![signed(end.seq), end.hash, file];
        self.connection.execute(insert, values).at(&self.path)?;
        Ok(())
    }

    /// The end of the newest dropped file.
    pub(super) fn newest_anchor(&self) -> Result<Option<Mark>, StoreError> {
        let select = "SELECT seq, hash FROM anchors ORDER BY seq DESC LIMIT 1";
        self.connection.query_row(select, [], mark).optional().at(&self.path)
    }
}

/// The ends of all dropped files, read by whoever verifies.
pub(super) fn anchors(dir: &Path) -> Result<Vec<Mark>, StoreError> {
    let path = dir.join(FILE);
    let connection = period::open(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut select = connection.prepare("SELECT seq, hash FROM anchors ORDER BY seq").at(&path)?;
    let rows = select.query_map([], mark).at(&path)?;
    rows.collect::<Result<_, _>>().at(&path)
}

/// The farthest that any sink has come, read by whoever verifies.
pub(super) fn farthest(dir: &Path) -> Result<u64, StoreError> {
    let path = dir.join(FILE);
    let connection = period::open(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let select = "SELECT coalesce(max(seq), 0) FROM cursors";
    connection.query_row(select, [], |row| row.get(0)).map(number).at(&path)
}
