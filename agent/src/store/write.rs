//! The one writer.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::error::At as _;
use super::lock::{self, Lock};
use super::period::{self, Mark, Name, Period};
use super::{Cursors, Hash, Retention, StoreError};
use crate::record::Record;

/// No file is smaller than this for the sake of retention: an empty one has its weight too.
const PART_BYTES_MIN: u64 = 1 << 20;

/// The store, open for writing. There is at most one for a directory.
#[derive(Debug)]
pub struct Store {
    pub(super) dir: PathBuf,
    pub(super) retention: Retention,
    pub(super) cursors: Cursors,
    /// The file that is written to; `None` before the first record.
    pub(super) current: Option<Period>,
    last: Mark,
    /// Up to here a batch got that then failed: where it is appended again, this much of it is there already.
    failed_after: u64,
    _lock: Lock,
}

impl Store {
    /// Opens the store of a directory, making it where there is none. Drops nothing: see [`Store::retain`].
    ///
    /// # Errors
    /// [`StoreError::Locked`] where another daemon writes here; else whatever is wrong with the files.
    pub fn open(dir: &Path, retention: Retention) -> Result<Self, StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).at(dir)?;
        fs::set_permissions(dir, Permissions::from_mode(0o700)).at(dir)?;
        let lock = lock::take(dir)?;
        sweep(dir)?;
        let cursors = Cursors::open(dir)?;
        let current = match period::list(dir)?.last() {
            Some(name) => Some(Period::open(dir, *name)?),
            None => None,
        };
        let last = match &current {
            Some(period) => period.end()?,
            None => cursors.newest_anchor()?.unwrap_or(Mark::NONE),
        };
        Ok(Self { dir: dir.to_path_buf(), retention, cursors, current, last, failed_after: 0, _lock: lock })
    }

    /// Appends records, whose numbers must grow. A batch is one transaction, or one a day where it goes over midnight.
    ///
    /// # Errors
    /// [`StoreError::Full`] where there is no room: the store is whole, and the same batch may be appended again later.
    pub fn append(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let mut rest = records;
        // Of a batch that failed over midnight, the part before midnight is there.
        while let [first, tail @ ..] = rest
            && first.seq <= self.failed_after
        {
            rest = tail;
        }
        let mut last = self.last.seq;
        for record in rest {
            if record.seq <= last {
                return Err(StoreError::Sequence { seq: record.seq, last });
            }
            last = record.seq;
        }
        while let Some(first) = rest.first() {
            let name = self.name_for(first)?;
            let count = rest.iter().take_while(|record| period::day(record.time_ns) <= name.day).count();
            // The first one made the name, so it is in it.
            let (part, tail) = rest.split_at(count.max(1));
            if let Err(error) = self.append_to(name, part) {
                self.failed_after = self.last.seq;
                return Err(error);
            }
            rest = tail;
        }
        self.failed_after = 0;
        Ok(())
    }

    fn append_to(&mut self, name: Name, records: &[Record]) -> Result<(), StoreError> {
        let period = match &mut self.current {
            Some(period) if period.name == name => period,
            current => current.insert(Period::create(&self.dir, name, self.last)?),
        };
        self.last = period.append(records, self.last)?;
        Ok(())
    }

    /// The file a record goes to. Never an earlier one than before, whatever the clock says.
    fn name_for(&self, record: &Record) -> Result<Name, StoreError> {
        let day = period::day(record.time_ns);
        let Some(current) = &self.current else {
            return Ok(Name { day, part: 1 });
        };
        let name = current.name;
        if day > name.day {
            return Ok(Name { day, part: 1 });
        }
        // Its own size, without what the WAL still holds: that is bounded by itself.
        let bytes = fs::metadata(&current.path).at(&current.path)?.len();
        if bytes > (self.retention.max_bytes / 8).max(PART_BYTES_MIN) {
            let part = name.part + 1;
            return Ok(Name { part, ..name });
        }
        Ok(name)
    }

    /// Number for the next record. Above every number a sink has seen, also after a power cut that took the last ones.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn next_seq(&self) -> Result<u64, StoreError> {
        Ok(self.last.seq.max(self.cursors.farthest()?) + 1)
    }

    /// Number of the last record; 0 where there is none.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.last.seq
    }

    /// Hash of the last record, and with it of all before it.
    #[must_use]
    pub fn last_hash(&self) -> Hash {
        self.last.hash
    }

    /// A sink's cursor, see [`Cursors::cursor`].
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn cursor(&self, sink: &str) -> Result<u64, StoreError> {
        self.cursors.cursor(sink)
    }

    /// Advances a sink's cursor, see [`Cursors::advance`].
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn advance(&self, sink: &str, seq: u64) -> Result<(), StoreError> {
        self.cursors.advance(sink, seq)
    }

    /// Cursors for a sink that runs beside the writer.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn cursors(&self) -> Result<Cursors, StoreError> {
        Cursors::open(&self.dir)
    }
}

/// Bytes on the disk of a file and its helpers.
pub(super) fn size(path: &Path) -> Result<u64, StoreError> {
    let mut bytes = 0;
    for file in period::files(path) {
        match fs::metadata(&file) {
            Ok(metadata) => bytes += metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io(&file, error)),
        }
    }
    Ok(bytes)
}

/// Removes what a crash left half made or half removed.
fn sweep(dir: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(dir).at(dir)? {
        let path = entry.at(dir)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let main = name.strip_suffix("-wal").or(name.strip_suffix("-shm"));
        let orphan = main.is_some_and(|main| main.ends_with(".sqlite") && !dir.join(main).exists());
        if orphan || main.unwrap_or(name).ends_with(".new") {
            fs::remove_file(&path).at(&path)?;
        }
    }
    Ok(())
}
