//! Ways into the memory of a process that holds a credential.

use anyhow::Result;

use super::evidence::Evidence;
use super::ground::{Ground, Ran};
use super::{Route, Verdict};
use crate::records::{at, text};

pub(super) const ROUTES: &[Route] = &[
    Route { id: "memory-attach", act: |g| look(g, &["ptrace-attach"]), ..LOOK },
    Route { id: "memory-seize", act: |g| look(g, &["ptrace-seize"]), ..LOOK },
    Route { id: "memory-read", act: |g| look(g, &["vm-read"]), ..LOOK },
    Route { id: "memory-file", act: |g| look(g, &["mem-read"]), ..LOOK },
    Route { id: "memory-environ", act: |g| look(g, &["environ-read"]), ..LOOK },
];

const LOOK: Route =
    Route { id: "", prepare: |g| g.program("-holder").map(drop), act: |_| Ok(Ran::Done), judge: looked };

/// The route's program looks into one that holds the credential; its twin reads only how that one was started.
fn look(ground: &Ground<'_>, steps: &[&str]) -> Result<Ran> {
    ground.while_held("-holder", |numbers| {
        let mut all = [steps, &[numbers]].concat();
        if steps == ["vm-read"] {
            all.push("stack");
        }
        ground.both(&all, &["cmdline-read", numbers])
    })
}

fn looked(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    Evidence::one(&evidence.actions(ground, "", "memory.access"), |record| {
        let whose = text(record, "target.exe");
        let named = at(record, "credential").to_string().contains(&ground.secret());
        (whose != ground.exe("-holder") || !named).then(|| format!("told as of {whose:?}"))
    })
}
