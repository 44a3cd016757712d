//! Reading, beside the writer, also from another process.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::StoreError;
use super::error::At as _;
use super::filter::{ChainHead, ChainsFilter};
use super::period::{self, Name};
use super::snapshot::{Cache, File, Snapshot};
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
    open: RefCell<BTreeMap<Name, File>>,
    unpacked: RefCell<Cache>,
    /// When the directory had changed last, as it was listed.
    listed: Cell<Option<SystemTime>>,
}

/// As long as a directory has changed within this time, one more change may show the same time as the last.
const SETTLED: Duration = Duration::from_secs(2);

impl Reader {
    /// Opens the store of a directory for reading.
    ///
    /// # Errors
    /// [`StoreError`] where the directory cannot be read.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let (open, unpacked, listed) = (RefCell::default(), RefCell::default(), Cell::default());
        let reader = Self { dir: dir.to_path_buf(), open, unpacked, listed };
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
        let open = self.open.borrow();
        let newest = open.last_key_value().map(|(name, _)| *name);
        for (name, file) in &*open {
            let left = limit - found.len();
            if left == 0 {
                break;
            }
            if newest != Some(*name) && file.ends_before(seq)? {
                continue;
            }
            found.extend(file.snapshot(&self.unpacked)?.after(seq, left)?);
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
        for file in self.open.borrow().values() {
            found.extend(file.snapshot(&self.unpacked)?.matching(&from, &to, limit)?);
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
        for file in self.open.borrow().values() {
            found.extend(file.snapshot(&self.unpacked)?.chain(id)?);
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
        for file in self.open.borrow().values().rev() {
            let found = file.snapshot(&self.unpacked)?.ids_newest_first()?;
            ids.extend(found.into_iter().filter(|id| known.insert(id.clone())));
        }
        Ok(ids)
    }

    /// The newest record of a type.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn last(&self, kind: &str) -> Result<Option<Stored>, StoreError> {
        Ok(self.before(kind, u64::MAX, 1)?.pop())
    }

    /// Records of a type before `seq`, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn before(&self, kind: &str, seq: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.refresh()?;
        let mut found = Vec::new();
        for file in self.open.borrow().values().rev() {
            let left = limit - found.len();
            if left == 0 {
                break;
            }
            found.extend(file.snapshot(&self.unpacked)?.before(kind, seq, left)?);
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
        for file in self.open.borrow().values() {
            let left = limit - found.len();
            if left == 0 {
                break;
            }
            found.extend(file.snapshot(&self.unpacked)?.between(kind, (from_ns, until_ns), left)?);
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
        for file in self.open.borrow().values() {
            let found = file.snapshot(&self.unpacked)?.chains_between((from_ns, until_ns), limit)?;
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
        self.one(|file| file.at(seq))
    }

    /// Where the chain of records stood after one of them.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn mark(&self, seq: u64) -> Result<Option<Mark>, StoreError> {
        self.one(|file| file.mark(seq))
    }

    /// The first answer, of the newest files first.
    fn one<T>(
        &self,
        ask: impl Fn(&Snapshot<'_>) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        for file in self.open.borrow().values().rev() {
            if let Some(found) = ask(&file.snapshot(&self.unpacked)?)? {
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
        for file in self.open.borrow().values() {
            count += file.snapshot(&self.unpacked)?.count_after(seq)?;
        }
        Ok(count)
    }

    /// The newest record.
    ///
    /// # Errors
    /// [`StoreError`] of a file.
    pub fn newest(&self) -> Result<Option<Stored>, StoreError> {
        self.refresh()?;
        for file in self.open.borrow().values().rev() {
            if let Some(found) = file.snapshot(&self.unpacked)?.newest()? {
                return Ok(Some(found));
            }
        }
        Ok(None)
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
            match File::open(path.clone()) {
                Ok(file) => {
                    open.insert(name, file);
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
