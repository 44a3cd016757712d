//! What was received, in its order, without repetitions: in a database of its own on the disk, since it may be more than
//! fits into memory.

use std::io::{self, BufRead};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::ReceivedError;
use super::lines::{Line, look, read_line};

const SCHEMA: &str = "
PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-16384;
CREATE TABLE records (host TEXT NOT NULL, seq INTEGER NOT NULL, head INTEGER NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY (host, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE notes (note TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
";

/// Lines between two commits.
const BATCH: u32 = 10_000;

/// What was received.
#[derive(Debug)]
pub(super) struct Sorted {
    connection: Connection,
    /// Records that came more than once, the same each time.
    pub(super) repeated: u64,
    /// Lines without anything that proves something.
    pub(super) others: u64,
    /// Two different records of one host and number.
    pub(super) conflict: Option<(String, u64)>,
}

impl Sorted {
    pub(super) fn new() -> Result<Self, ReceivedError> {
        // Without a name: a file that is gone with the connection.
        let connection = Connection::open("")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection, repeated: 0, others: 0, conflict: None })
    }

    pub(super) fn read(&mut self, path: &Path, input: &mut impl BufRead) -> Result<(), ReceivedError> {
        let failed = |io: io::Error| ReceivedError::File { path: path.to_owned(), io };
        let mut line = Vec::new();
        let mut lines = 0_u32;
        self.connection.execute_batch("BEGIN")?;
        while read_line(input, &mut line).map_err(failed)? {
            match look(&line) {
                Line::Record(body, view) => {
                    let host = view.text("host.id").unwrap_or_default();
                    self.record(host, view.seq(), view.kind() == "head", &body)?;
                }
                Line::Head(note) => {
                    self.connection.execute("INSERT OR IGNORE INTO notes VALUES (?)", [note])?;
                }
                Line::Other => self.others += u64::from(!line.trim_ascii().is_empty()),
            }
            lines += 1;
            if lines.is_multiple_of(BATCH) {
                self.connection.execute_batch("COMMIT; BEGIN")?;
            }
        }
        self.connection.execute_batch("COMMIT")?;
        Ok(())
    }

    fn record(&mut self, host: &str, seq: u64, head: bool, body: &[u8]) -> Result<(), ReceivedError> {
        let key = i64::try_from(seq).unwrap_or(i64::MAX);
        let mut insert =
            self.connection.prepare_cached("INSERT OR IGNORE INTO records VALUES (?, ?, ?, ?)")?;
        if insert.execute(params![host, key, head, body])? == 1 {
            return Ok(());
        }
        let mut select =
            self.connection.prepare_cached("SELECT body FROM records WHERE host = ? AND seq = ?")?;
        let there: Vec<u8> = select.query_row(params![host, key], |row| row.get(0))?;
        if there == body {
            self.repeated += 1;
        } else {
            self.conflict.get_or_insert_with(|| (host.to_owned(), seq));
        }
        Ok(())
    }

    pub(super) fn hosts(&self) -> Result<Vec<String>, ReceivedError> {
        let mut select = self.connection.prepare("SELECT DISTINCT host FROM records ORDER BY host")?;
        let rows = select.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(super) fn heads(&self, host: &str) -> Result<Vec<Vec<u8>>, ReceivedError> {
        let mut select =
            self.connection.prepare("SELECT body FROM records WHERE host = ? AND head = 1 ORDER BY seq")?;
        let rows = select.query_map([host], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Notes of heads that came in other schemas.
    pub(super) fn notes(&self) -> Result<Vec<String>, ReceivedError> {
        let mut select = self.connection.prepare("SELECT note FROM notes ORDER BY note")?;
        let rows = select.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// First and last number, and how many, of a host's records after `from` up to `to`.
    pub(super) fn count(
        &self,
        host: &str,
        from: u64,
        to: u64,
    ) -> Result<Option<(u64, u64, u64)>, ReceivedError> {
        let signed = |number| i64::try_from(number).unwrap_or(i64::MAX);
        let select = "SELECT min(seq), max(seq), count(*) FROM records WHERE host = ? AND seq > ? AND seq <= ? HAVING count(*) > 0";
        let mut select = self.connection.prepare_cached(select)?;
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        let row = select.query_row(params![host, signed(from), signed(to)], |row| {
            Ok((number(row.get(0)?), number(row.get(1)?), number(row.get(2)?)))
        });
        Ok(row.optional()?)
    }

    /// Shows a host's records after `from` up to `to` in their order, until somebody has seen enough.
    pub(super) fn each<E: From<ReceivedError>>(
        &self,
        host: &str,
        from: u64,
        to: u64,
        mut see: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let signed = |number| i64::try_from(number).unwrap_or(i64::MAX);
        let select = "SELECT seq, body FROM records WHERE host = ? AND seq > ? AND seq <= ? ORDER BY seq";
        let mut select = self.connection.prepare_cached(select).map_err(ReceivedError::from)?;
        let mut rows = select.query(params![host, signed(from), signed(to)]).map_err(ReceivedError::from)?;
        while let Some(row) = rows.next().map_err(ReceivedError::from)? {
            let seq: i64 = row.get(0).map_err(ReceivedError::from)?;
            let body = row.get_ref(1).map_err(ReceivedError::from)?.as_blob().unwrap_or_default();
            see(u64::try_from(seq).unwrap_or(0), body)?;
        }
        Ok(())
    }
}
