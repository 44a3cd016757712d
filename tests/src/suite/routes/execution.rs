//! Ways to run a program.

use anyhow::Result;

use super::Route;
use super::Verdict;
use super::evidence::Evidence;
use super::ground::{Ground, Ran};
use crate::records::text;

pub(super) const ROUTES: &[Route] = &[Route { id: "exec", prepare: children, act: exec, judge: executed }];

/// What the route's program and its twin are to run.
fn children(ground: &Ground<'_>) -> Result<()> {
    ground.program("-child")?;
    ground.program("-twin-child")?;
    Ok(())
}

fn exec(ground: &Ground<'_>) -> Result<Ran> {
    let (child, twin) = (ground.exe("-child"), ground.exe("-twin-child"));
    ground.both(
        &["read", &ground.secret(), "spawn", &child, "[", "]"],
        &["read", &ground.innocent(), "spawn", &twin, "[", "]"],
    )
}

/// The child's execution is in the chain of the one that held the credential; the twin's child is nowhere.
fn executed(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    evidence.silent(ground, "-twin-child")?;
    Evidence::one(&evidence.actions(ground, "-child", "exec"), |exec| {
        let basis = text(exec, "link.basis");
        (basis != "inherited").then(|| format!("its link is {basis:?}"))
    })
}
