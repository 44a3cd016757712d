//! Lines to a file that may be rotated at any time.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::deliver::{Deliver, DeliverError, Outcome};
use super::encodings::Item;
use crate::config::Rotate;

/// Records as lines.
pub(super) fn lines(batch: &[Arc<Item>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(batch.iter().map(|item| item.bytes.len() + 1).sum());
    for item in batch {
        bytes.extend_from_slice(&item.bytes);
        bytes.push(b'\n');
    }
    bytes
}

/// The file, and whether it ends within a line.
#[derive(Debug)]
struct Open {
    file: File,
    regular: bool,
    torn: bool,
}

/// Appends to the file of that name, whichever file that is at the moment.
#[derive(Debug)]
pub(super) struct FileTarget {
    path: PathBuf,
    rotate: Option<Rotate>,
    open: Option<Open>,
}

impl Deliver for FileTarget {
    fn deliver(&mut self, batch: &[Arc<Item>]) -> Outcome {
        match self.write(batch) {
            Ok(count) => Outcome::taken(count),
            Err(error) => {
                let what = format!("cannot write {}", self.path.display());
                Outcome::failed(0, DeliverError::Io { what, error })
            }
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.sync()
    }
}

impl FileTarget {
    pub(super) fn new(path: PathBuf, rotate: Option<Rotate>) -> Self {
        Self { path, rotate, open: None }
    }

    /// Writes as many records as the file has room for, at least one; all of these or none.
    fn write(&mut self, batch: &[Arc<Item>]) -> io::Result<usize> {
        let first = batch.first().map_or(0, |item| item.bytes.len() + 1);
        let mut room = usize::MAX;
        if let Some(Rotate { bytes, keep }) = self.rotate {
            let length = |open: &Open| open.file.metadata().map(|metadata| metadata.len());
            let mut there = length(self.current()?)?;
            if there > 0 && there.saturating_add(u64::try_from(first).unwrap_or(u64::MAX)) > bytes {
                self.sync()?;
                self.open = None;
                shift(&self.path, keep)?;
                there = length(self.current()?)?;
            }
            room = usize::try_from(bytes.saturating_sub(there)).unwrap_or(usize::MAX);
        }
        let mut used = 0_usize;
        let fits = batch.iter().take_while(|item| {
            used = used.saturating_add(item.bytes.len() + 1);
            used <= room
        });
        let count = fits.count().max(1).min(batch.len());
        let mut bytes = lines(batch.get(..count).unwrap_or(batch));
        let open = self.current()?;
        let before = open.file.metadata().map(|metadata| metadata.len());
        if open.torn {
            // What a crash left of a line stays as it is; ours begins anew.
            bytes.insert(0, b'\n');
        }
        match open.file.write_all(&bytes) {
            Ok(()) => {
                open.torn = false;
                Ok(count)
            }
            Err(error) => {
                // A full disk takes part of a batch. Taken back, no line is torn and none comes twice.
                let undone = open.regular && before.is_ok_and(|length| open.file.set_len(length).is_ok());
                open.torn |= !undone;
                Err(error)
            }
        }
    }

    /// What was written is on the disk.
    fn sync(&mut self) -> io::Result<()> {
        match &self.open {
            Some(open) if open.regular => open.file.sync_all(),
            _ => Ok(()),
        }
    }

    /// The file of that name, opened anew if it is no longer the one that was opened.
    fn current(&mut self) -> io::Result<&mut Open> {
        let there = fs::metadata(&self.path).ok();
        let same = match (&self.open, &there) {
            (Some(open), Some(there)) => same(&open.file.metadata()?, there),
            _ => false,
        };
        if !same {
            // The old one may still be read by whoever rotated it: it should be whole on the disk.
            self.sync()?;
            self.open = None;
        }
        match &mut self.open {
            Some(open) => Ok(open),
            none => {
                let mut file = OpenOptions::new()
                    .read(there.as_ref().is_some_and(Metadata::is_file))
                    .append(true)
                    .create(true)
                    .mode(0o600)
                    .open(&self.path)?;
                let regular = file.metadata()?.is_file();
                let torn = regular && there.is_some() && torn(&mut file)?;
                Ok(none.insert(Open { file, regular, torn }))
            }
        }
    }
}

/// Makes room for a new file: `….1` is the newest of the old ones, those beyond `keep` go.
fn shift(path: &Path, keep: u32) -> io::Result<()> {
    let old = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    for number in (1..keep).rev() {
        match fs::rename(old(number), old(number + 1)) {
            Err(error) if !missing(&error) => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, old(1))
}

fn same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Whether the last line of a file has no end.
fn torn(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}
