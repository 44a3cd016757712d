//! Ways to the bytes of a credential.

use std::os::unix::fs::symlink;

use anyhow::Result;

use super::evidence::opened;
use super::ground::{Ground, Ran};
use super::{Route, nothing};

pub(super) const ROUTES: &[Route] = &[
    Route { id: "open", prepare: nothing, act: open, judge: opened },
    Route { id: "open-symlink", prepare: symlinks, act: open_symlink, judge: opened },
];

fn open(ground: &Ground<'_>) -> Result<Ran> {
    ground.both(&["read", &ground.secret()], &["read", &ground.innocent()])
}

fn symlinks(ground: &Ground<'_>) -> Result<()> {
    // Both links lie where nothing is a credential.
    symlink(ground.secret(), ground.plain().join("to-secret"))?;
    symlink(ground.innocent(), ground.plain().join("to-plain"))?;
    Ok(())
}

fn open_symlink(ground: &Ground<'_>) -> Result<Ran> {
    let link = |name: &str| ground.plain().join(name).display().to_string();
    ground.both(&["read", &link("to-secret")], &["read", &link("to-plain")])
}
