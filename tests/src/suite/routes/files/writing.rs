//! Ways to write a credential without reading it.

use anyhow::{Result, ensure};

use super::super::evidence::Evidence;
use super::super::ground::{Ground, Ran};
use super::super::{Route, Verdict, nothing};
use super::both;
use super::names::{layers, overlay};
use crate::records::{at, text};

pub(super) const ONLY: Route =
    Route { id: "write-only", act: |g| both(g, &["write-with", "only", "{file}"]), ..WRITE };
pub(super) const APPEND: Route =
    Route { id: "write-append", act: |g| both(g, &["write-with", "append", "{file}"]), ..WRITE };
pub(super) const TRUNCATE: Route =
    Route { id: "write-truncate", act: |g| both(g, &["write-with", "truncate", "{file}"]), ..WRITE };
pub(super) const MADE: Route = Route {
    id: "write-made",
    act: |g| both(g, &["write-with", "make", "{dir}/made"]),
    judge: |g, e| wrote(g, e, "/made"),
    ..WRITE
};
pub(super) const CREAT: Route =
    Route { id: "write-creat", act: |g| both(g, &["write-with", "creat", "{file}"]), ..WRITE };
pub(super) const OPENAT2: Route =
    Route { id: "write-openat2", act: |g| both(g, &["write-with", "openat2", "{file}"]), ..WRITE };
pub(super) const URING: Route =
    Route { id: "write-uring", act: |g| both(g, &["write-with", "uring", "{file}"]), ..WRITE };
/// The file beneath is opened to be written as well, and is the same act.
pub(super) const OVERLAY: Route = Route {
    id: "write-overlay",
    prepare: layers,
    act: |g| overlay(g, "overlay-copyup-open"),
    judge: |g, e| written(g, e, "/.pgpass", "write"),
};

/// As careful programs write.
pub(super) const RENAMED: Route =
    Route { id: "write-renamed", act: replace, judge: |g, e| written(g, e, "/token", "rename"), ..WRITE };

const WRITE: Route =
    Route { id: "", prepare: nothing, act: |_| Ok(Ran::Done), judge: |g, e| wrote(g, e, "/token") };

fn replace(ground: &Ground<'_>) -> Result<Ran> {
    let beside = ground.plain().join("beside").display().to_string();
    ground.both(&["replace", &beside, &ground.secret()], &["replace", &beside, &ground.innocent()])
}

/// One writing is told, by kind and place, and nothing that says that the program has the credential now.
fn wrote(ground: &Ground<'_>, evidence: &Evidence<'_>, end: &str) -> Result<Verdict> {
    for held in ["secret.open", "secret.read", "secret.receive"] {
        let found = evidence.actions(ground, "", held);
        ensure!(found.is_empty(), "who wrote is told to hold it: {found:?}");
    }
    written(ground, evidence, end, "write")
}

/// What was written there has no version. What was renamed to its place has one where the kernel was done with it before the agent
/// looked: the probe is asked before the renaming.
fn written(ground: &Ground<'_>, evidence: &Evidence<'_>, end: &str, access: &str) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    Evidence::one(&evidence.actions(ground, "", "secret.write"), |write| {
        let (path, credential) = (text(write, "file.path"), &at(write, "credential")[0]);
        if !path.ends_with(end) || text(credential, "path") != path {
            return Some(format!("the path is told as {path}"));
        }
        let versioned = !text(credential, "version").is_empty();
        let what = (text(write, "file.access") != access).then_some("another access");
        let what = what.or((versioned && access != "rename").then_some("a version"));
        let what = what.or((!at(write, "link").is_null()).then_some("a link"));
        what.map(|what| format!("{what} is told: {write}"))
    })
}
