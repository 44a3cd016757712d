//! Ways to come by a descriptor that is open already.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::super::evidence::{Evidence, opened};
use super::super::execution::children;
use super::super::ground::{Ground, Ran, finish};
use super::super::{Route, Verdict};
use crate::records::text;

pub(super) const OVER_SOCKET: Route =
    Route { id: "receive-socket", prepare: senders, act: |g| pass(g, "recv-fd"), judge: received };
pub(super) const OVER_SOCKET_ONCE: Route =
    Route { id: "receive-socket-once", prepare: senders, act: pass_then_byte, judge: received };
pub(super) const OVER_SOCKET_URING: Route = Route {
    id: "receive-socket-uring",
    prepare: senders,
    act: |g| pass(g, "recv-fd-uring"),
    judge: received,
};
pub(super) const TAKEN: Route =
    Route { id: "receive-pidfd", prepare: senders, act: |g| from_holder(g, "steal-fd"), judge: received };
pub(super) const LINK_IN_PROC: Route =
    Route { id: "open-proc-link", prepare: senders, act: |g| from_holder(g, "open-held"), judge: opened };
pub(super) const INHERITED: Route =
    Route { id: "inherit", prepare: children, act: inherit, judge: |g, e| read_by_child(g, e, "inherited") };
pub(super) const HELD_BEFORE: Route =
    Route { id: "held-before", prepare: hold, act: let_read, judge: |g, e| read_by_child(g, e, "held") };

/// The other ends.
fn senders(ground: &Ground<'_>) -> Result<()> {
    ground.program("-sender")?;
    ground.program("-twin-sender").map(drop)
}

/// A sender opens the credential, and the route's program gets the descriptor; its twin gets a byte.
fn pass(ground: &Ground<'_>, step: &str) -> Result<Ran> {
    pass_by(ground, "send-fd", step)
}

/// After the descriptor comes a message without one, into the room in which the first still stands: that is no second.
fn pass_then_byte(ground: &Ground<'_>) -> Result<Ran> {
    pass_by(ground, "send-fd-then-byte", "recv-fd-then-byte")
}

fn pass_by(ground: &Ground<'_>, send: &str, step: &str) -> Result<Ran> {
    let socket = |name: &str| ground.plain().join(name).display().to_string();
    let (real, twin) = (socket("socket"), socket("twin-socket"));
    let mut sender = ground.start("-sender", &[send, &real, &ground.secret()])?;
    let ran = ground.run("", &[step, &real]);
    if !matches!(ran, Ok(Ran::Done)) {
        sender.kill()?;
    }
    finish(&mut sender)?;
    let Ran::Done = ran? else { return ground.run("", &[step, &real]) };
    let mut sender = ground.start("-twin-sender", &["send-plain", &twin])?;
    let ran = ground.run("-twin", &["recv-plain", &twin]);
    finish(&mut sender)?;
    ran
}

fn from_holder(ground: &Ground<'_>, step: &str) -> Result<Ran> {
    ground.while_held("-sender", |numbers| ground.both(&[step, numbers], &["cmdline-read", numbers]))
}

fn received(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    Evidence::one(&evidence.actions(ground, "", "secret.receive"), |record| {
        let path = text(record, "file.path");
        (path != ground.secret()).then(|| format!("the path is told as {path}"))
    })
}

fn inherit(ground: &Ground<'_>) -> Result<Ran> {
    let steps = |file: &str, child: &str| -> Vec<String> {
        ["inherit", file, child, "[", "read-fd", "{fd}", "]"].map(str::to_owned).to_vec()
    };
    let all = [
        steps(&ground.secret(), &ground.exe("-child")),
        steps(&ground.innocent(), &ground.exe("-twin-child")),
    ];
    let [real, twin] = all.each_ref().map(|steps| steps.iter().map(String::as_str).collect::<Vec<_>>());
    ground.both(&real, &twin)
}

/// Children that hold a descriptor since before the agent starts, and read it when they are told to.
fn hold(ground: &Ground<'_>) -> Result<()> {
    children(ground)?;
    let go = ground.plain().join("go").display().to_string();
    for (suffix, file, child) in
        [("", ground.secret(), "-child"), ("-twin", ground.innocent(), "-twin-child")]
    {
        let there = ground.plain().join(format!("there{suffix}"));
        let (child, told) = (ground.exe(child), there.display().to_string());
        let steps = ["inherit", &file, &child, "[", "touch", &told, "wait-long", &go, "read-fd", "{fd}", "]"];
        ground.leave(suffix, &steps)?;
        super::super::ground::until(|| Ok(there.exists()))?;
    }
    Ok(())
}

fn let_read(ground: &Ground<'_>) -> Result<Ran> {
    fs::write(ground.plain().join("go"), "")?;
    for suffix in ["", "-twin"] {
        let mut left = ground.left(suffix).with_context(|| format!("nothing was left by {suffix:?}"))?;
        ensure!(finish(&mut left)?.success(), "a holder failed");
    }
    Ok(Ran::Done)
}

fn read_by_child(ground: &Ground<'_>, evidence: &Evidence<'_>, expected: &str) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    evidence.silent(ground, "-twin-child")?;
    Evidence::one(&evidence.actions(ground, "-child", "secret.read"), |read| {
        let basis = text(read, "link.basis");
        (basis != expected).then(|| format!("its link is {basis:?}"))
    })
}
