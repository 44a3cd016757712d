//! Names that lead to a credential, and are not its own.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use anyhow::Result;

use super::super::evidence::{Evidence, opened};
use super::super::ground::{Ground, Ran};
use super::super::{Route, Verdict, nothing};
use super::opened_inode;
use crate::records::text;

pub(super) const SYMLINK: Route = Route {
    id: "open-symlink",
    prepare: symlinks,
    act: |g| links(g, "to-secret", "to-plain"),
    judge: opened,
};
pub(super) const HARD_LINK: Route = Route {
    id: "open-hard-link",
    prepare: hard_links,
    act: |g| links(g, "to-secret", "to-plain"),
    judge: |g, e| opened_inode(g, e, fs::metadata(g.single())?.ino()),
};
pub(super) const BIND_MOUNT: Route = Route {
    id: "open-bind-mount",
    prepare: targets,
    act: bind,
    judge: |g, e| opened_inode(g, e, fs::metadata(g.secret())?.ino()),
};
pub(super) const DATA_SWAP: Route =
    Route { id: "open-data-swap", prepare: volumes, act: swap, judge: |g, e| opened_as(g, e, "..2/token") };
pub(super) const DIRECTORY_RENAMED: Route = Route {
    id: "open-directory-renamed",
    prepare: nothing,
    act: rename_directory,
    judge: |g, e| opened_as(g, e, "elsewhere/token"),
};
pub(super) const LONG_PATH: Route =
    Route { id: "open-long-path", prepare: deep, act: open_deep, judge: |g, e| opened_as(g, e, "/token") };
pub(super) const NOT_UTF8: Route = Route {
    id: "open-not-utf8",
    prepare: odd,
    act: |g| links(g, "to-secret", "to-plain"),
    judge: |g, e| opened_as(g, e, "\\xff\\xfe"),
};
pub(super) const OVERLAY: Route = Route {
    id: "open-overlay",
    prepare: layers,
    act: |g| overlay(g, "overlay-open"),
    judge: |g, e| opened_as(g, e, "/.pgpass"),
};
pub(super) const OVERLAY_COPIED_UP: Route = Route {
    id: "open-overlay-copied-up",
    prepare: layers,
    act: |g| overlay(g, "overlay-copyup-open"),
    judge: copied_up,
};

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Opens both by links that lie where nothing is a credential.
fn links(ground: &Ground<'_>, secret: &str, plain: &str) -> Result<Ran> {
    let link = |name: &str| shown(&ground.plain().join(name));
    ground.both(&["read", &link(secret)], &["read", &link(plain)])
}

fn opened_as(ground: &Ground<'_>, evidence: &Evidence<'_>, end: &str) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    Evidence::one(&evidence.actions(ground, "", "secret.open"), |open| {
        let path = text(open, "file.path");
        (!path.ends_with(end)).then(|| format!("the path is told as {path}"))
    })
}

fn symlinks(ground: &Ground<'_>) -> Result<()> {
    symlink(ground.secret(), ground.plain().join("to-secret"))?;
    Ok(symlink(ground.innocent(), ground.plain().join("to-plain"))?)
}

fn hard_links(ground: &Ground<'_>) -> Result<()> {
    fs::hard_link(ground.single(), ground.plain().join("to-secret"))?;
    Ok(fs::hard_link(ground.innocent(), ground.plain().join("to-plain"))?)
}

fn targets(ground: &Ground<'_>) -> Result<()> {
    Ok(fs::write(ground.plain().join("target"), "covered")?)
}

fn bind(ground: &Ground<'_>) -> Result<Ran> {
    let target = shown(&ground.plain().join("target"));
    ground.both(&["bind-open", &ground.secret(), &target], &["bind-open", &ground.innocent(), &target])
}

/// A directory as Kubernetes makes them: names are links through `..data`, which is a link to the present generation.
fn volumes(ground: &Ground<'_>) -> Result<()> {
    for place in [ground.secrets(), ground.plain()] {
        generation(&place, "..1")?;
        symlink("..data/token", place.join("name"))?;
    }
    Ok(())
}

fn generation(place: &Path, name: &str) -> Result<()> {
    fs::create_dir(place.join(name))?;
    fs::write(place.join(name).join("token"), name)?;
    let link = place.join("..data.new");
    symlink(name, &link)?;
    Ok(fs::rename(link, place.join("..data"))?)
}

fn swap(ground: &Ground<'_>) -> Result<Ran> {
    for place in [ground.secrets(), ground.plain()] {
        generation(&place, "..2")?;
    }
    let name = |place: &Path| shown(&place.join("name"));
    ground.both(&["read", &name(&ground.secrets())], &["read", &name(&ground.plain())])
}

fn rename_directory(ground: &Ground<'_>) -> Result<Ran> {
    let elsewhere = ground.watched().with_file_name("elsewhere");
    fs::rename(ground.watched(), &elsewhere)?;
    ground.both(&["read", &shown(&elsewhere.join("token"))], &["read", &ground.innocent()])
}

/// Seven directories of two hundred letters.
fn deep_below(place: &Path) -> std::path::PathBuf {
    (0..7).fold(place.to_owned(), |path, _| path.join("d".repeat(200)))
}

fn deep(ground: &Ground<'_>) -> Result<()> {
    for place in [ground.secrets(), ground.plain()] {
        let place = deep_below(&place);
        fs::create_dir_all(&place)?;
        fs::write(place.join("token"), "deep")?;
    }
    Ok(())
}

fn open_deep(ground: &Ground<'_>) -> Result<Ran> {
    let token = |place: &Path| shown(&deep_below(place).join("token"));
    ground.both(&["read", &token(&ground.secrets())], &["read", &token(&ground.plain())])
}

/// A name that is no text, and a link to it, since steps are text.
fn odd(ground: &Ground<'_>) -> Result<()> {
    let name = OsStr::from_bytes(b"\xff\xfe");
    for (place, link) in [(ground.secrets(), "to-secret"), (ground.plain(), "to-plain")] {
        fs::write(place.join(name), "odd")?;
        symlink(place.join(name), ground.plain().join(link))?;
    }
    Ok(())
}

/// A lower layer with a file that the catalogue knows by its name, and one that it does not.
pub(super) fn layers(ground: &Ground<'_>) -> Result<()> {
    let lower = ground.plain().join("lower");
    fs::create_dir(&lower)?;
    for scratch in ["scratch", "twin-scratch"] {
        fs::create_dir(ground.plain().join(scratch))?;
    }
    fs::write(lower.join("notes"), "no secret\n")?;
    Ok(fs::write(lower.join(".pgpass"), "*:*:*:somebody:a secret, for the test\n")?)
}

pub(super) fn overlay(ground: &Ground<'_>, step: &str) -> Result<Ran> {
    let below = |name: &str| shown(&ground.plain().join(name));
    let lower = below("lower");
    ground
        .both(&[step, &lower, ".pgpass", &below("scratch")], &[step, &lower, "notes", &below("twin-scratch")])
}

/// Making the copy opens the lower file in the name of the process: that is told, too.
fn copied_up(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    let found = evidence.actions(ground, "", "secret.open");
    Ok(if found.is_empty() { Verdict::NotSeen } else { Verdict::Seen })
}
