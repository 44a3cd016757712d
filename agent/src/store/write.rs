//! The one writer.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::OpenFlags;

use super::aside::Aside;
use super::condense::Condensing;
use super::error::At as _;
use super::life::Life;
use super::lock::{self, Lock};
use super::mend::{self, Damage};
use super::packing::Packing;
use super::period::{self, Name, Period};
use super::{Cursors, Reader, Retention, StoreError};
use crate::evidence::{Mark, SignedHead, Signer, Signing};
use crate::record::{Record, View};

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
    /// What damage had cost when it was opened.
    damages: Vec<Damage>,
    life: Life,
    pub(super) packing: Packing,
    pub(super) condensing: Condensing,
    pub(super) aside: Aside,
    /// Numbers up to here may have been given to records that a power cut took.
    above: u64,
    _lock: Lock,
}

impl Store {
    /// Opens the store of a directory, making it where there is none. Drops nothing: see [`Store::retain`].
    ///
    /// # Errors
    /// [`StoreError::Locked`] where another daemon writes here; else whatever is wrong with the files.
    pub fn open(dir: &Path, retention: Retention) -> Result<Self, StoreError> {
        let path = Path::new("/proc/sys/kernel/random/boot_id");
        let boot = fs::read_to_string(path).at(path)?;
        Self::open_in(boot.trim(), dir, retention)
    }

    /// As [`Store::open`], in that boot.
    pub(super) fn open_in(boot: &str, dir: &Path, retention: Retention) -> Result<Self, StoreError> {
        make_directory(dir)?;
        let lock = lock::take(dir)?;
        sweep(dir)?;
        let cursors = Cursors::open(dir)?;
        let damages = mend::mend(dir)?;
        let names = period::list(dir)?;
        let current = match names.last() {
            Some(name) => Some(Period::open(dir, *name)?),
            None => None,
        };
        let last = match &current {
            Some(period) => period.end()?,
            None => cursors.newest_anchor()?.unwrap_or(Mark::NONE),
        };
        let (packing, loose) = Packing::begin(dir, &names, current.as_ref())?;
        let (condensing, aside) = (Condensing::of(loose), Aside::default());
        let (life, above) = Life::begin(&cursors, boot, last.seq)?;
        let dir = dir.to_path_buf();
        Ok(Self {
            dir,
            retention,
            cursors,
            current,
            last,
            failed_after: 0,
            damages,
            life,
            packing,
            condensing,
            aside,
            above,
            _lock: lock,
        })
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
        if let Some(last) = records.last() {
            self.life.reserve(&self.cursors, last.seq)?;
        }
        let period = match &mut self.current {
            Some(period) if period.name == name => period,
            current => {
                let period = Period::create(&self.dir, name, self.last)?;
                if let Some(finished) = current.replace(period) {
                    self.packing.next_file(finished.name);
                    self.condensing.packed();
                }
                let Some(period) = current else { return Ok(()) };
                period
            }
        };
        let appended = period.append(records, self.last, &mut self.packing.seals);
        if let Err(StoreError::Corrupt { path, .. }) = &appended {
            mend::suspect(path);
        }
        self.last = appended?;
        self.packing.stored(records.len());
        self.aside.wrote(records.len());
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

    /// How much is kept.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.retention
    }

    /// Keeps more or less from now on: the next [`Store::retain`] goes by it.
    pub fn keep(&mut self, retention: Retention) {
        self.retention = retention;
    }

    /// Number for the next record. Above every number that a sink has seen, that is seen behind a damage, or that may have been
    /// used before a power cut.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn next_seq(&self) -> Result<u64, StoreError> {
        let seen = self.damages.iter().map(|damage| damage.seen).max().unwrap_or(0);
        Ok(self.last.seq.max(self.cursors.farthest()?).max(seen).max(self.above) + 1)
    }

    /// Nothing more will be appended. Without it, numbers are passed over after the next boot.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub fn seal(&mut self) -> Result<(), StoreError> {
        self.life.seal(&self.cursors, self.last.seq)
    }

    /// What damage had cost when the store was opened.
    #[must_use]
    pub fn damages(&self) -> &[Damage] {
        &self.damages
    }

    /// Number of the last record; 0 where there is none.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.last.seq
    }

    /// Where the chain of records stands.
    #[must_use]
    pub fn end(&self) -> Mark {
        self.last
    }

    /// Takes signing up where the last run left it: what the last head signed for, else what was before the first record that is
    /// kept, and how many records came after that.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn sign_with(&self, signer: Signer) -> Result<Signing, StoreError> {
        let reader = Reader::open(&self.dir)?;
        let view = reader.last("head")?.and_then(|stored| View::parse(&stored.body).ok());
        let head = view.as_ref().and_then(|view| SignedHead::parse(view.text("head.note")?));
        let since = match &head {
            Some(signed) => signed.head.end,
            None => self.begin()?,
        };
        Ok(Signing::new(signer, since, reader.count_after(since.seq)?, head.is_some()))
    }

    /// What was before the first record that is kept.
    fn begin(&self) -> Result<Mark, StoreError> {
        match period::list(&self.dir)?.first() {
            Some(name) => {
                let path = self.dir.join(name.to_string());
                period::start(&period::open(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?, &path)
            }
            None => Ok(self.last),
        }
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

/// Makes the directory of a store, which is its owner's only.
///
/// # Errors
/// [`StoreError::Io`]
pub fn make_directory(dir: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).at(dir)?;
    fs::set_permissions(dir, Permissions::from_mode(0o700)).at(dir)
}

/// Whether somebody writes to a store now.
///
/// # Errors
/// [`StoreError::Io`]
pub fn is_open(dir: &Path) -> Result<bool, StoreError> {
    match lock::take(dir) {
        Ok(_) => Ok(false),
        Err(StoreError::Locked { .. }) => Ok(true),
        Err(error) => Err(error),
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
