//! Ways to become somebody else.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::evidence::Evidence;
use super::ground::{Ground, Ran};
use super::{Route, Verdict, nothing};
use crate::records::at;

pub(super) const ROUTES: &[Route] = &[
    Route {
        id: "setuid",
        prepare: same,
        act: |g| change(g, &["setuid", "34"]),
        judge: |g, e| changed(g, e, "euid"),
    },
    Route {
        id: "setresuid",
        prepare: same,
        act: |g| change(g, &["setresuid", "34", "34", "0"]),
        judge: |g, e| changed(g, e, "uid"),
    },
    Route {
        id: "setgid",
        prepare: same,
        act: |g| change(g, &["setgid", "34"]),
        judge: |g, e| changed(g, e, "gid"),
    },
    Route {
        id: "capset",
        prepare: same,
        act: |g| change(g, &["capset-drop", "admin"]),
        judge: |g, e| changed(g, e, "cap_effective"),
    },
    Route {
        id: "unshare-user",
        prepare: same,
        act: |g| change(g, &["unshare-user"]),
        judge: |g, e| changed(g, e, "user_ns"),
    },
    Route {
        id: "unshare-net",
        prepare: same,
        act: |g| change(g, &["unshare-net"]),
        judge: |g, e| changed(g, e, "net_ns"),
    },
    Route {
        id: "unshare-mounts",
        prepare: same,
        act: |g| change(g, &["unshare", "mounts"]),
        judge: |g, e| changed(g, e, "mnt_ns"),
    },
    Route { id: "setns", prepare: nothing, act: setns, judge: moved },
];

/// A third program: it holds the credential, too, and becomes what it is already.
fn same(ground: &Ground<'_>) -> Result<()> {
    ground.program("-same").map(drop)
}

fn change(ground: &Ground<'_>, steps: &[&str]) -> Result<Ran> {
    let (secret, innocent) = (ground.secret(), ground.innocent());
    let after = |file| [&["read", file], steps].concat();
    ground.run("-same", &["read", &secret, "setuid-same"])?;
    ground.both(&after(&secret), &after(&innocent))
}

fn setns(ground: &Ground<'_>) -> Result<Ran> {
    // Away from this network and back.
    let home = format!("/proc/{}/ns/net", std::process::id());
    let after = |file| ["read", file, "unshare-net", "setns-net", home.as_str()];
    ground.both(&after(&ground.secret()), &after(&ground.innocent()))
}

/// The one change of a program that concerns a field, and both its sides.
fn changed(ground: &Ground<'_>, evidence: &Evidence<'_>, field: &str) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    let idle = evidence.actions(ground, "-same", "cred.change");
    ensure!(idle.is_empty(), "nothing changed, and it is told: {idle:?}");
    Evidence::one(&concerning(ground, evidence, field), |record| both_sides(record, field))
}

fn concerning<'a>(ground: &Ground<'_>, evidence: &Evidence<'a>, field: &str) -> Vec<&'a Value> {
    let all = evidence.actions(ground, "", "cred.change").into_iter();
    all.filter(|record| !at(record, &format!("to.{field}")).is_null()).collect()
}

fn both_sides(record: &Value, field: &str) -> Option<String> {
    at(record, &format!("from.{field}")).is_null().then(|| "what was before is not told".to_owned())
}

/// Two changes of the network: away, and back to where it was.
fn moved(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    let found = concerning(ground, evidence, "net_ns");
    let [away, back] = found.as_slice() else { return Ok(Verdict::NotSeen) };
    if let Some(why) = both_sides(back, "net_ns") {
        return Ok(Verdict::Partial(why));
    }
    let (left, there) = (at(away, "from.net_ns"), at(back, "to.net_ns"));
    ensure!(left == there, "it left {left} and came back to {there}");
    Ok(Verdict::Seen)
}
