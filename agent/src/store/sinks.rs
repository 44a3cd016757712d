//! What is remembered of each sink beside its cursor: how much it has taken, what was refused for good, what went wrong.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, ToSql, params};

use super::error::At as _;
use super::period::{self, number, signed};
use super::{Cursors, StoreError, state};

/// Beside the tables that were there from the first day; made where they are missing.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS sinks (
  sink TEXT PRIMARY KEY, taken INTEGER NOT NULL DEFAULT 0, set_aside INTEGER NOT NULL DEFAULT 0,
  retries INTEGER NOT NULL DEFAULT 0, error TEXT, error_ns INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS set_aside (
  sink TEXT NOT NULL, seq INTEGER NOT NULL, time_ns INTEGER NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (sink, seq)
) STRICT, WITHOUT ROWID;
";
/// Most records of one sink that are listed as set aside. Older ones stay counted.
const LISTED_MAX: i64 = 1_000;

/// A record that a receiver refused for good, or that it can never take. The record itself stays in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Its number.
    pub seq: u64,
    /// When it was set aside, ns since 1970.
    pub time_ns: i64,
    /// Why, in the receiver's words where it had any.
    pub reason: String,
}

/// How far a sink came with a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Everything up to here is settled: taken, set aside, or not for this sink.
    pub seq: u64,
    /// Records taken.
    pub taken: u64,
    /// Records set aside.
    pub set_aside: Vec<SetAside>,
}

/// A sink, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkState {
    /// Its name.
    pub name: String,
    /// Everything up to here is settled.
    pub cursor: u64,
    /// Records taken since there is this sink.
    pub taken: u64,
    /// Records set aside since there is this sink.
    pub set_aside: u64,
    /// Attempts that failed and were tried again.
    pub retries: u64,
    /// What went wrong last, and when; nothing, where it went well since.
    pub error: Option<(String, i64)>,
    /// The newest records that were set aside.
    pub listed: Vec<SetAside>,
}

pub(super) fn create(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    connection.execute_batch(SCHEMA).at(path)
}

impl Cursors {
    /// A batch went so far. All of it is remembered, or nothing; the cursor never goes back.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn settle(&self, sink: &str, progress: &Progress) -> Result<(), StoreError> {
        let work = || {
            let transaction = self.connection.unchecked_transaction()?;
            // Kept with the connection: a sink that keeps pace does this for each batch.
            let run = |sql, values: &[&dyn ToSql]| transaction.prepare_cached(sql)?.execute(values);
            run(state::ADVANCE, params![sink, signed(progress.seq)])?;
            let mut new = 0;
            for record in &progress.set_aside {
                let insert = "INSERT OR IGNORE INTO set_aside VALUES (?, ?, ?, ?)";
                new += run(insert, params![sink, signed(record.seq), record.time_ns, record.reason])?;
            }
            if new > 0 {
                let trim = "DELETE FROM set_aside WHERE sink = ?1 AND seq NOT IN
                    (SELECT seq FROM set_aside WHERE sink = ?1 ORDER BY seq DESC LIMIT ?2)";
                run(trim, params![sink, LISTED_MAX])?;
            }
            let new = i64::try_from(new).unwrap_or(i64::MAX);
            let count = "INSERT INTO sinks (sink, taken, set_aside) VALUES (?1, ?2, ?3) ON CONFLICT (sink)
                DO UPDATE SET taken = taken + ?2, set_aside = set_aside + ?3, error = NULL, error_ns = NULL";
            run(count, params![sink, signed(progress.taken), new])?;
            transaction.commit()
        };
        work().at(&self.path)
    }

    /// An attempt failed and will be tried again.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn failed(&self, sink: &str, error: &str, time_ns: i64) -> Result<(), StoreError> {
        let count = "INSERT INTO sinks (sink, retries, error, error_ns) VALUES (?1, 1, ?2, ?3)
            ON CONFLICT (sink) DO UPDATE SET retries = retries + 1, error = ?2, error_ns = ?3";
        self.connection.execute(count, params![sink, error, time_ns]).at(&self.path)?;
        Ok(())
    }
}

/// Every sink that ever ran on a store, by name.
///
/// # Errors
/// [`StoreError`] of the database.
pub fn sinks(dir: &Path) -> Result<Vec<SinkState>, StoreError> {
    let path: PathBuf = dir.join(state::FILE);
    let connection = period::open(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    read(&connection).at(&path)
}

fn read(connection: &Connection) -> rusqlite::Result<Vec<SinkState>> {
    let known = "SELECT count(*) FROM sqlite_master WHERE name IN ('sinks', 'set_aside')";
    let known: i64 = connection.query_row(known, [], |row| row.get(0))?;
    // A store of an older agent has cursors only.
    let select = if known == 2 {
        "SELECT c.sink, c.seq, coalesce(s.taken, 0), coalesce(s.set_aside, 0), coalesce(s.retries, 0), s.error, s.error_ns
         FROM (SELECT sink, seq FROM cursors UNION SELECT sink, 0 FROM sinks WHERE sink NOT IN (SELECT sink FROM cursors)) c
         LEFT JOIN sinks s ON s.sink = c.sink ORDER BY c.sink"
    } else {
        "SELECT sink, seq, 0, 0, 0, NULL, NULL FROM cursors ORDER BY sink"
    };
    let mut statement = connection.prepare(select)?;
    let rows = statement.query_map([], |row| {
        let error: Option<String> = row.get(5)?;
        Ok(SinkState {
            name: row.get(0)?,
            cursor: number(row.get(1)?),
            taken: number(row.get(2)?),
            set_aside: number(row.get(3)?),
            retries: number(row.get(4)?),
            error: error.zip(row.get(6)?),
            listed: Vec::new(),
        })
    })?;
    let mut sinks = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    if known == 2 {
        let select = "SELECT seq, time_ns, reason FROM set_aside WHERE sink = ? ORDER BY seq DESC";
        let mut statement = connection.prepare(select)?;
        for sink in &mut sinks {
            let rows = statement.query_map([&sink.name], |row| {
                Ok(SetAside { seq: number(row.get(0)?), time_ns: row.get(1)?, reason: row.get(2)? })
            })?;
            sink.listed = rows.collect::<rusqlite::Result<_>>()?;
        }
    }
    Ok(sinks)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::{Retention, Store};

    fn set_aside(seq: u64) -> SetAside {
        SetAside { seq, time_ns: 7, reason: "too long".to_owned() }
    }

    #[test]
    fn what_is_settled_is_remembered_at_once_and_counted_once() {
        let dir = tempfile::TempDir::new().unwrap();
        let keep = Retention { keep: Duration::from_hours(1), max_bytes: 1 << 30 };
        let store = Store::open(dir.path(), keep).unwrap();
        let cursors = store.cursors().unwrap();
        cursors.failed("a", "nobody there", 5).unwrap();
        let state = sinks(dir.path()).unwrap();
        assert_eq!((state[0].cursor, &state[0].error), (0, &Some(("nobody there".to_owned(), 5))));
        let progress = Progress { seq: 9, taken: 8, set_aside: vec![set_aside(4)] };
        cursors.settle("a", &progress).unwrap();
        // The same again, as after a crash: the record is set aside once.
        cursors.settle("a", &Progress { taken: 0, ..progress }).unwrap();
        cursors.settle("b", &Progress { seq: 3, ..Progress::default() }).unwrap();
        let state = sinks(dir.path()).unwrap();
        assert_eq!(state.len(), 2);
        let a = &state[0];
        assert_eq!((a.cursor, a.taken, a.set_aside, a.retries, &a.error), (9, 8, 1, 1, &None));
        assert_eq!(a.listed, [set_aside(4)]);
        assert_eq!(cursors.cursor("a").unwrap(), 9);
        cursors.settle("a", &Progress::default()).unwrap();
        assert_eq!(cursors.cursor("a").unwrap(), 9, "never goes back");
    }

    #[test]
    fn the_list_is_bounded_and_the_count_is_not() {
        let dir = tempfile::TempDir::new().unwrap();
        let keep = Retention { keep: Duration::from_hours(1), max_bytes: 1 << 30 };
        let cursors = Store::open(dir.path(), keep).unwrap().cursors().unwrap();
        let many = (1..=1_500).map(set_aside).collect();
        cursors.settle("a", &Progress { seq: 1_500, taken: 0, set_aside: many }).unwrap();
        let state = sinks(dir.path()).unwrap();
        assert_eq!(
            (state[0].set_aside, state[0].listed.len(), state[0].listed[0].seq),
            (1_500, 1_000, 1_500)
        );
    }

    #[test]
    fn a_store_of_an_older_agent_shows_its_cursors() {
        let dir = tempfile::TempDir::new().unwrap();
        let keep = Retention { keep: Duration::from_hours(1), max_bytes: 1 << 30 };
        let store = Store::open(dir.path(), keep).unwrap();
        store.advance("a", 3).unwrap();
        store.cursors().unwrap().connection.execute_batch("DROP TABLE sinks; DROP TABLE set_aside").unwrap();
        assert_eq!(sinks(dir.path()).unwrap()[0].cursor, 3);
    }
}
