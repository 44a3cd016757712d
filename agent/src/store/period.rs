//! One file of records.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};

use super::error::At as _;
use super::seals::{self, Seals};
use super::{StoreError, packs};
use crate::evidence::Mark;
use crate::hex;
use crate::record::{Record, stamp};

/// `spor`: what `file` and we know our files by.
const APPLICATION: i64 = 0x7370_6f72;
/// Version of the schemas; files of records with packs have [`packs::VERSION`].
const VERSION: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE start (seq INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
CREATE TABLE records (
  seq INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, type TEXT NOT NULL, chain TEXT,
  body BLOB NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE TABLE gaps (chain TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (chain, seq)) STRICT, WITHOUT ROWID;
";

/// Which file: the day, and the how-manieth of that day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) day: Date,
    pub(super) part: u32,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            1 => write!(f, "records-{}.sqlite", self.day),
            part => write!(f, "records-{}.{part}.sqlite", self.day),
        }
    }
}

impl Name {
    fn parse(text: &str) -> Option<Self> {
        let stem = text.strip_prefix("records-")?.strip_suffix(".sqlite")?;
        let (day, part) = match stem.split_once('.') {
            None => (stem, 1),
            Some((day, part)) => (day, part.parse().ok().filter(|part| *part > 1)?),
        };
        let name = Name { day: day.parse().ok()?, part };
        // Only the one spelling that we write: two names for one period must not be.
        (name.to_string() == text).then_some(name)
    }

    /// The end of its day, ns since 1970.
    pub(super) fn end_ns(self) -> i64 {
        let end = self.day.tomorrow().and_then(|day| day.to_zoned(TimeZone::UTC));
        end.ok().and_then(|end| i64::try_from(end.timestamp().as_nanosecond()).ok()).unwrap_or(i64::MAX)
    }
}

/// The UTC day of a time.
pub(super) fn day(time_ns: i64) -> Date {
    jiff::Timestamp::from_nanosecond(i128::from(time_ns))
        .map(|time| time.to_zoned(TimeZone::UTC).date())
        .unwrap_or(Date::MIN)
}

/// The files of a directory, oldest first.
pub(super) fn list(dir: &Path) -> Result<Vec<Name>, StoreError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).at(dir)? {
        let entry = entry.at(dir)?;
        names.extend(entry.file_name().to_str().and_then(Name::parse));
    }
    names.sort_unstable();
    Ok(names)
}

/// The files a database consists of.
pub(super) fn files(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| beside(path, suffix))
}

/// A path with something behind its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

fn initial(schema: &str) -> String {
    format!(
        "PRAGMA journal_mode=WAL;\nBEGIN;\nPRAGMA application_id={APPLICATION};\n\
         PRAGMA user_version={VERSION};\n{schema}\nCOMMIT;"
    )
}

/// Pages that packing has freed can be given back at the end of the file only where it was made so.
const GIVES_BACK: &str = "PRAGMA auto_vacuum=INCREMENTAL;\n";

/// What makes a file of records that goes on after `start`.
pub(super) fn script(start: Mark) -> String {
    let (seq, hash, version) = (signed(start.seq), hex::encode(&start.hash), packs::VERSION);
    let tables = format!("{SCHEMA}{}PRAGMA user_version={version};", packs::schema());
    format!("{GIVES_BACK}{}", initial(&format!("{tables}INSERT INTO start VALUES ({seq}, x'{hash}');")))
}

/// Makes a database of a schema that is not of records.
pub(super) fn create(path: &Path, schema: &str) -> Result<(), StoreError> {
    create_by(path, &initial(schema))
}

/// Makes a database that is whole from the first moment it has its name.
fn create_by(path: &Path, script: &str) -> Result<(), StoreError> {
    let fresh = path.with_extension("new");
    remove(&fresh)?;
    let made = (|| {
        let connection = Connection::open(&fresh).at(path)?;
        connection.execute_batch(script).at(path)?;
        connection.close().map_err(|(_, error)| StoreError::database(path, error))?;
        fs::rename(&fresh, path).at(path)?;
        let dir = path.parent().unwrap_or(Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).at(dir)
    })();
    if made.is_err() {
        // The first error is the one to tell.
        let _ = remove(&fresh);
    }
    made
}

/// Removes a database, its own file first: what is left after a crash are helpers without a database, never a database
/// without what it has not yet taken over from them.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    for file in files(path) {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io(&file, error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Opens a database of ours.
pub(super) fn open(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX).at(path)?;
    connection.busy_timeout(Duration::from_secs(5)).at(path)?;
    // A plan is made once: else a question for other numbers is prepared anew, which costs more than its answer.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).at(path)?;
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).at(path);
    let (application, found) = (number("application_id")?, number("user_version")?);
    if application != APPLICATION {
        let path = path.to_path_buf();
        return Err(StoreError::Foreign { path });
    }
    if !(VERSION..=packs::VERSION).contains(&found) {
        let (path, known) = (path.to_path_buf(), packs::VERSION);
        return Err(StoreError::Version { path, found, known });
    }
    if flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) {
        // What is written ahead goes into its file by somebody else ([`super::aside`]); by who writes only where that fails.
        let settings =
            "PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit=16777216; PRAGMA wal_autocheckpoint=4000;";
        connection.execute_batch(settings).at(path)?;
    }
    Ok(connection)
}

/// A record's place in the chain, out of its number and hash.
pub(super) fn mark(row: &Row<'_>) -> rusqlite::Result<Mark> {
    Ok(Mark { seq: number(row.get(0)?), hash: row.get(1)? })
}

/// `SQLite` has no unsigned numbers. Ours start at 1 and grow by one; a negative one is a tampered one and becomes 0.
pub(super) fn number(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A file of records that is written to.
#[derive(Debug)]
pub(super) struct Period {
    pub(super) name: Name,
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
}

impl Period {
    /// Makes a file that goes on after `start`.
    pub(super) fn create(dir: &Path, name: Name, start: Mark) -> Result<Self, StoreError> {
        let path = dir.join(name.to_string());
        create_by(&path, &script(start))?;
        Self::open(dir, name)
    }

    pub(super) fn open(dir: &Path, name: Name) -> Result<Self, StoreError> {
        let path = dir.join(name.to_string());
        let connection = open(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        packs::upgrade(&connection).at(&path)?;
        Ok(Self { name, path, connection })
    }

    pub(super) fn end(&self) -> Result<Mark, StoreError> {
        end(&self.connection, &self.path)
    }

    /// Appends records after `after`, all or none. Each is stamped with the hash before it.
    pub(super) fn append(
        &mut self,
        records: &[Record],
        after: Mark,
        seals: &mut Seals,
    ) -> Result<Mark, StoreError> {
        let (path, mut sealed) = (&self.path, Vec::with_capacity(records.len()));
        let transaction = self.connection.transaction().at(path)?;
        let mut last = after;
        {
            // Kept with the connection: to prepare them costs as much as to store some records.
            let records_in = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)";
            let gaps_in = "INSERT OR IGNORE INTO gaps VALUES (?, ?)";
            let mut insert = transaction.prepare_cached(records_in).at(path)?;
            let mut gap = transaction.prepare_cached(gaps_in).at(path)?;
            for record in records {
                let body = stamp(&record.body, &last.hash);
                last = last.then(record.seq, &body);
                let (seq, kind) = (signed(record.seq), record.kind.name());
                insert.execute(params![seq, record.time_ns, kind, record.chain, body, last.hash]).at(path)?;
                let (time_ns, chain, body) = (record.time_ns, record.chain.as_deref(), body.as_slice());
                sealed.push(seals.of(&seals::Row { mark: last, time_ns, kind, chain, body }));
                for chain in &record.gap_chains {
                    gap.execute(params![chain, seq]).at(path)?;
                }
            }
        }
        transaction.commit().at(path)?;
        seals.stored(sealed);
        Ok(last)
    }
}

/// Where a file begins.
pub(super) fn start(connection: &Connection, path: &Path) -> Result<Mark, StoreError> {
    let row = connection.query_row("SELECT seq, hash FROM start", [], mark).optional();
    row.at(path)?.ok_or_else(|| StoreError::Corrupt { path: path.to_path_buf(), source: None })
}

/// The last record of a file; where it begins if it has none.
pub(super) fn end(connection: &Connection, path: &Path) -> Result<Mark, StoreError> {
    let newest = |select: &str| connection.query_row(select, [], mark).optional().at(path);
    if let Some(mark) = newest("SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1")? {
        return Ok(mark);
    }
    match packs::end(connection).at(path)? {
        Some(mark) => Ok(mark),
        None => start(connection, path),
    }
}
