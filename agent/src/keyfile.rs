//! Files that hold a key: only their owner may read them, and they are whole or not there.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// No file of a key is longer, bytes.
const LONGEST: u64 = 4096;

/// Why a file of a key could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The system refused it.
    #[error("cannot {what} the key {}: {io}", path.display())]
    File {
        /// `read`, `make`
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        io: io::Error,
    },
    /// Others may read it: then it keeps nothing from them.
    #[error("the key {} has mode {mode:04o}: only its owner may read it (chmod 600)", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

/// Reads a file that only its owner may read.
///
/// # Errors
/// [`KeyFileError`]
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let failed = |io| KeyFileError::File { what: "read", path: path.to_owned(), io };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Open { path: path.to_owned(), mode });
    }
    // As much room as it may take: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(LONGEST + 1).unwrap_or(usize::MAX)));
    file.take(LONGEST).read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}

/// Writes a file that only its owner may read: whole or not at all, also when the host stops in between.
///
/// # Errors
/// [`KeyFileError::File`]
pub fn write(path: &Path, text: &[u8]) -> Result<(), KeyFileError> {
    let failed = |io| KeyFileError::File { what: "make", path: path.to_owned(), io };
    let part = path.with_extension("part");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&part).map_err(failed)?;
    let written = file
        .set_permissions(Permissions::from_mode(0o600))
        .and_then(|()| file.write_all(text))
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&part, path))
        .and_then(|()| sync_directory(path));
    written.map_err(failed)
}

/// A name that was given or taken stays so after a power cut.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

/// Bytes that nobody can guess.
///
/// # Errors
/// [`KeyFileError::File`], told of the file that is to hold them.
pub fn random<const N: usize>(path: &Path) -> Result<Zeroizing<[u8; N]>, KeyFileError> {
    let mut bytes = Zeroizing::new([0; N]);
    let read = File::open("/dev/urandom").and_then(|mut random| random.read_exact(bytes.as_mut()));
    read.map_err(|io| KeyFileError::File { what: "make", path: path.to_owned(), io })?;
    Ok(bytes)
}
