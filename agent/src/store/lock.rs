//! One writer a directory.

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::StoreError;
use super::error::At as _;

/// Held as long as the store is open; the kernel lets go of it however the daemon ends.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held, not read")] Flock<std::fs::File>);

/// Takes the directory's lock and leaves our pid in it.
pub(super) fn take(dir: &Path) -> Result<Lock, StoreError> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .at(&path)?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            lock.set_len(0).at(&path)?;
            lock.rewind().at(&path)?;
            // The pid only helps whoever reads the message: a full disk must not keep the daemon from its store.
            let _ = write!(lock, "{}", std::process::id());
            Ok(Lock(lock))
        }
        Err((mut file, Errno::EWOULDBLOCK)) => {
            let mut pid = String::new();
            let pid = file.read_to_string(&mut pid).ok().and_then(|_| pid.trim().parse().ok());
            let path = dir.to_path_buf();
            Err(StoreError::Locked { path, pid })
        }
        Err((_, errno)) => Err(StoreError::io(&path, errno.into())),
    }
}
