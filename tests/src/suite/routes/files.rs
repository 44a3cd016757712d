//! Ways to open a credential, by every name it has, and to write it.

mod names;
mod reading;
mod receiving;
mod writing;

use anyhow::Result;
use serde_json::Value;

use super::evidence::{Evidence, opened};
use super::ground::{Ground, Ran};
use super::{Route, Verdict, nothing};
use crate::records::at;

pub(super) const ROUTES: &[Route] = &[
    Route { id: "open", act: |g| both(g, &["read", "{file}"]), ..OPEN },
    Route { id: "open-relative", act: |g| both(g, &["open-relative", "{dir}", "token"]), ..OPEN },
    Route { id: "open-at", act: |g| both(g, &["open-at", "{dir}", "token"]), ..OPEN },
    Route { id: "open-openat2", act: |g| both(g, &["open2", "{file}"]), ..OPEN },
    Route { id: "open-read-write", act: |g| both(g, &["open-read-write", "{file}"]), ..OPEN },
    Route { id: "open-handle", act: |g| both(g, &["open-handle", "{file}"]), ..OPEN },
    Route { id: "open-reopened", act: |g| both(g, &["reopen", "{file}"]), ..OPEN },
    Route { id: "open-thread", act: |g| both(g, &["thread-open", "{file}"]), ..OPEN },
    Route { id: "open-vfork", act: |g| both(g, &["open-vfork", "{file}"]), ..OPEN },
    Route { id: "open-brief", act: |g| both(g, &["open-brief", "{file}"]), ..OPEN },
    Route { id: "open-chroot", act: |g| both(g, &["open-chroot", "{dir}", "/token"]), ..OPEN },
    Route { id: "open-uring", act: |g| both(g, &["uring-open", "{file}"]), ..OPEN },
    Route { id: "open-uring-worker", act: |g| both(g, &["uring-open-worker", "{file}"]), ..OPEN },
    Route { id: "open-uring-poller", act: |g| both(g, &["uring-open-poller", "{file}"]), ..OPEN },
    Route { id: "open-uring-slot", act: |g| both(g, &["uring-open-direct", "{file}"]), ..OPEN },
    Route { id: "open-32", act: |g| both(g, &["compat-open", "{file}"]), ..OPEN },
    Route { id: "openat-32", act: |g| both(g, &["compat-openat", "{file}"]), ..OPEN },
    Route { id: "open-just-made", act: |g| both(g, &["creat-then-open", "{file}", "new"]), ..OPEN },
    names::SYMLINK,
    names::HARD_LINK,
    names::BIND_MOUNT,
    names::DATA_SWAP,
    names::DIRECTORY_RENAMED,
    names::LONG_PATH,
    names::NOT_UTF8,
    names::OVERLAY,
    names::OVERLAY_COPIED_UP,
    receiving::OVER_SOCKET,
    receiving::OVER_SOCKET_ONCE,
    receiving::OVER_SOCKET_URING,
    receiving::TAKEN,
    receiving::LINK_IN_PROC,
    receiving::INHERITED,
    receiving::HELD_BEFORE,
    reading::NOT_READ,
    reading::READ,
    reading::PREAD,
    reading::READV,
    reading::PREADV2,
    reading::MMAP,
    reading::SENDFILE,
    reading::SPLICE,
    reading::COPY_FILE_RANGE,
    reading::URING,
    writing::ONLY,
    writing::APPEND,
    writing::TRUNCATE,
    writing::MADE,
    writing::CREAT,
    writing::OPENAT2,
    writing::URING,
    writing::OVERLAY,
    writing::RENAMED,
];

/// What the ways to open have in common.
const OPEN: Route = Route { id: "", prepare: nothing, act: |_| Ok(Ran::Done), judge: opened };

/// The route's program does the steps to the credential, its twin to what is none.
fn both(ground: &Ground<'_>, steps: &[&str]) -> Result<Ran> {
    let of = |file: String, directory: std::path::PathBuf| -> Vec<String> {
        let directory = directory.display().to_string();
        steps.iter().map(|step| step.replace("{file}", &file).replace("{dir}", &directory)).collect()
    };
    let all = [of(ground.secret(), ground.secrets()), of(ground.innocent(), ground.plain())];
    let [real, twin] = all.each_ref().map(|steps| steps.iter().map(String::as_str).collect::<Vec<_>>());
    ground.both(&real, &twin)
}

/// Opened once, whatever the path is told as: the inode is the credential's.
fn opened_inode(ground: &Ground<'_>, evidence: &Evidence<'_>, ino: u64) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    Evidence::one(&evidence.actions(ground, "", "secret.open"), |open: &Value| {
        let told = at(open, "file.ino").as_u64();
        (told != Some(ino)).then(|| format!("another inode is told: {told:?}"))
    })
}
