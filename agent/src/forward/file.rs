//! Lines to a file that may be rotated at any time.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use super::sink::{Taken, lines};
use crate::store::Stored;

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
    open: Option<Open>,
}

impl FileTarget {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    /// Writes a batch: all of it, or as far as it went.
    pub(super) fn write(&mut self, records: &[Stored]) -> Taken {
        let open = match self.current() {
            Ok(open) => open,
            Err(error) => return Taken::failed(0, error),
        };
        let before = open.file.metadata().map(|metadata| metadata.len());
        let mut bytes = lines(records);
        if open.torn {
            // What a crash left of a line stays as it is; ours begins anew.
            bytes.insert(0, b'\n');
        }
        match open.file.write_all(&bytes) {
            Ok(()) => {
                open.torn = false;
                Taken::all(records)
            }
            Err(error) => {
                // A full disk takes part of a batch. Taken back, no line is torn and none comes twice.
                let undone = open.regular && before.is_ok_and(|length| open.file.set_len(length).is_ok());
                open.torn |= !undone;
                Taken::failed(0, error)
            }
        }
    }

    /// What was written is on the disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        match &self.open {
            Some(open) if open.regular => open.file.sync_all(),
            _ => Ok(()),
        }
    }

    /// The file of that name, opened anew if it is no longer the one that was opened.
    fn current(&mut self) -> io::Result<&mut Open> {
        let there = std::fs::metadata(&self.path).ok();
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
