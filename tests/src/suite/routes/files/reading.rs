//! Ways to read what is open.

use anyhow::{Result, ensure};

use super::super::evidence::{Evidence, opened};
use super::super::ground::Ground;
use super::super::{Route, Verdict, nothing};
use super::both;
use crate::records::text;

pub(super) const NOT_READ: Route =
    Route { id: "not-read", prepare: nothing, act: |g| both(g, &["open-only", "{file}"]), judge: not_read };
pub(super) const READ: Route = Route {
    id: "read",
    prepare: nothing,
    act: |g| both(g, &["read-with", "read", "{file}"]),
    judge: |g, e| read(g, e, "copy"),
};
pub(super) const PREAD: Route = Route {
    id: "read-pread",
    prepare: nothing,
    act: |g| both(g, &["read-with", "pread", "{file}"]),
    judge: |g, e| read(g, e, "copy"),
};
pub(super) const READV: Route = Route {
    id: "read-readv",
    prepare: nothing,
    act: |g| both(g, &["read-with", "readv", "{file}"]),
    judge: |g, e| read(g, e, "copy"),
};
pub(super) const PREADV2: Route = Route {
    id: "read-preadv2",
    prepare: nothing,
    act: |g| both(g, &["read-with", "preadv2", "{file}"]),
    judge: |g, e| read(g, e, "copy"),
};
pub(super) const MMAP: Route = Route {
    id: "read-mmap",
    prepare: nothing,
    act: |g| both(g, &["read-with", "mmap", "{file}"]),
    judge: |g, e| read(g, e, "map"),
};
pub(super) const SENDFILE: Route = Route {
    id: "read-sendfile",
    prepare: nothing,
    act: |g| both(g, &["read-with", "sendfile", "{file}"]),
    judge: |g, e| read(g, e, "copy"),
};
pub(super) const SPLICE: Route = Route {
    id: "read-splice",
    prepare: nothing,
    act: |g| both(g, &["read-with", "splice", "{file}"]),
    judge: |g, e| read(g, e, "copy"),
};
pub(super) const COPY_FILE_RANGE: Route = Route {
    id: "read-copy-file-range",
    prepare: nothing,
    act: |g| both(g, &["read-with", "copy_file_range", "{file}"]),
    judge: |g, e| read(g, e, "copy"),
};
pub(super) const URING: Route = Route {
    id: "read-uring",
    prepare: nothing,
    act: |g| both(g, &["read-with", "uring-read", "{file}"]),
    judge: |g, e| read(g, e, "copy"),
};

/// Opened, and nothing is said of reading.
fn not_read(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    let read = evidence.actions(ground, "", "secret.read");
    ensure!(read.is_empty(), "it was not read, and is told to have been: {read:?}");
    opened(ground, evidence)
}

/// Told once, and in which way.
fn read(ground: &Ground<'_>, evidence: &Evidence<'_>, how: &str) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    Evidence::one(&evidence.actions(ground, "", "secret.read"), |read| {
        let told = text(read, "how");
        (told != how).then(|| format!("told as {told:?}"))
    })
}
