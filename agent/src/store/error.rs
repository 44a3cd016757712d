//! What can be wrong with a store.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::pack::Flaw;

/// Why the store did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another daemon writes here.
    #[error("{path}: in use by another spoor{}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default(), path = path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Its pid, where it told.
        pid: Option<u32>,
    },
    /// No room on the disk. Nothing of the batch is lost to the caller: appending it again goes on where it stopped.
    #[error("{}: no room on the disk", path.display())]
    Full {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// A file that is damaged.
    #[error("{}: damaged", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What `SQLite` says, or what is wrong with which pack.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A file that is not ours.
    #[error("{}: not a file of spoor's store", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A file that another version of spoor wrote.
    #[error("{}: of version {found}, this spoor knows version {known}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A record whose number is not above that of the one before it.
    #[error("record {seq} after record {last}: numbers must grow")]
    Sequence {
        /// Its number.
        seq: u64,
        /// The number before it.
        last: u64,
    },
    /// Any other error of the database.
    #[error("{}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What `SQLite` says.
        #[source]
        source: rusqlite::Error,
    },
    /// An error of the file system.
    #[error("{}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl StoreError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        if source.kind() == io::ErrorKind::StorageFull {
            StoreError::Full { path }
        } else {
            StoreError::Io { path, source }
        }
    }

    /// The database's error, told apart where the caller can do something about it.
    pub(super) fn database(path: &Path, source: rusqlite::Error) -> Self {
        /// `SQLITE_IOERR_SHMSIZE`: no room for the index of the WAL.
        const NO_ROOM_FOR_INDEX: i32 = 4874;
        let path = path.to_path_buf();
        let Some(error) = source.sqlite_error() else {
            return StoreError::Database { path, source };
        };
        if error.code == ErrorCode::DiskFull || error.extended_code == NO_ROOM_FOR_INDEX {
            return StoreError::Full { path };
        }
        if error.code == ErrorCode::DatabaseCorrupt || error.code == ErrorCode::NotADatabase {
            let source = Some(source.into());
            return StoreError::Corrupt { path, source };
        }
        StoreError::Database { path, source }
    }
}

/// A pack that cannot be unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pack of records up to {last}: {flaw}")]
pub struct PackError {
    /// Number of its last record.
    pub last: u64,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// Errors of a file's database, with the file's name.
pub(super) trait At<T> {
    fn at(self, path: &Path) -> Result<T, StoreError>;
}

impl<T> At<T> for Result<T, rusqlite::Error> {
    fn at(self, path: &Path) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::database(path, source))
    }
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::io(path, source))
    }
}
