//! The routes: every way to a credential, to an execution and to a peer, each taken by a real program.
//!
//! One agent sees them all, since its start is slow where kernels are emulated. A route is an entry of one of the
//! lists and of `tests/routes.toml`, which says what is expected of it and where. Beside the program that takes a route
//! its innocent twin does the same to what is no secret, and must leave no trace. What is judged is what the agent
//! wrote down until it was told to end: a sentinel, acted last, proves that it was listening.

mod evidence;
mod execution;
mod files;
mod ground;
mod identity;
mod keyless;
mod memory;
mod network;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::agent::Agent;
use crate::records::{at, text};
use crate::{PLANTED, Place};
use evidence::Evidence;
use ground::{Ground, Ran};
use table::{Row, Table};

/// A route, as its list has it.
struct Route {
    /// Its name here, in `tests/routes.toml` and as that of the program that takes it.
    id: &'static str,
    /// What must be there before the agent starts, beside the two files that every route has.
    prepare: fn(&Ground<'_>) -> Result<()>,
    /// Lets a program take the route, and its twin the innocent one.
    act: fn(&Ground<'_>) -> Result<Ran>,
    /// What the agent made of it. A trace of the twin that must not be is an error.
    judge: fn(&Ground<'_>, &Evidence<'_>) -> Result<Verdict>,
}

/// What a test found of a route.
enum Verdict {
    /// Everything there is to see was seen.
    Seen,
    /// Some of it.
    Partial(String),
    /// Nothing.
    NotSeen,
    /// This kernel has no such route.
    NotThere(String),
}

impl Verdict {
    fn word(&self) -> &'static str {
        match self {
            Verdict::Seen => "seen",
            Verdict::Partial(_) => "partial",
            Verdict::NotSeen => "not-seen",
            Verdict::NotThere(_) => "not-there",
        }
    }

    fn reason(&self) -> &str {
        match self {
            Verdict::Seen | Verdict::NotSeen => "",
            Verdict::Partial(reason) | Verdict::NotThere(reason) => reason,
        }
    }
}

/// For routes that need no more than every route has.
fn nothing(_: &Ground<'_>) -> Result<()> {
    Ok(())
}

/// Group, and the routes in it. The signal that decides which tier counts is that of the group, if a route says no other.
const GROUPS: [(&str, &str, &[Route]); 7] = [
    ("files", "secret.open", files::ROUTES),
    ("execution", "exec", execution::ROUTES),
    ("identity", "cred.change", identity::ROUTES),
    ("network", "connect", network::ROUTES),
    ("memory", "secret.open", memory::ROUTES),
    ("keys", "secret.key", keyless::KEYS),
    ("environment", "exec", keyless::ENVIRONMENT),
];

/// A program of ours that opens a credential plainly when everything else is done.
const SENTINEL: &str = "sentinel";

/// Takes every route, and compares what was seen with what is declared.
pub(super) fn routes(place: &Place) -> Result<()> {
    let table = Table::read()?;
    let listed = listed(&table)?;
    let root = place.directory("routes")?;
    ground::lay(place, &root)?;
    let mut grounds = Vec::new();
    for (route, row, signal) in &listed {
        let ground = Ground::new(place, &root, route.id)?;
        (route.prepare)(&ground).with_context(|| format!("prepare {}", route.id))?;
        grounds.push((*route, *row, *signal, ground));
    }
    let sentinel = Ground::new(place, &root, SENTINEL)?;
    let paths = [root.join("secrets/**"), root.join(ground::SINGLE), root.join(ground::WATCHED).join("**")];
    let config = format!("[credentials]\npaths = {paths:?}\n");
    let mut agent = Agent::start(place, "routes", &config)?;
    let coverage = agent.records.wait("the coverage record", |r| text(r, "type") == "coverage")?;
    let ran: Vec<Result<Ran>> = grounds.iter().map(|(route, _, _, ground)| (route.act)(ground)).collect();
    let Ran::Done = sentinel.real(&["open", &sentinel.secret()])? else { bail!("no plain opening") };
    agent.records.wait("the sentinel", |r| sentinel.is_program("", r))?;
    let log = fs::read_to_string(agent.directory.join("log"))?;
    let (status, records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}:\n{log}");
    let evidence = Evidence { records: &records.all };
    let mut wrong = Vec::new();
    for ((route, row, signal, ground), ran) in grounds.iter().zip(ran) {
        let tier = tier(&coverage, row.by.as_deref().unwrap_or(signal));
        let told = match ran {
            Ok(Ran::Done) => (route.judge)(ground, &evidence),
            Ok(Ran::NotThere(reason)) => Ok(Verdict::NotThere(reason)),
            Err(error) => Err(error.context("the act failed")),
        };
        if let Err(error) = told.and_then(|verdict| compare(place, row, &tier, &verdict)) {
            wrong.push(format!("{} ({tier}): {error:#}\n{}", route.id, evidence.left_by(ground)));
        }
    }
    no_value_left(&place.directory("routes")?.join("agent"))?;
    let own = place.spoor.display().to_string();
    let own = records.all.iter().find(|r| text(r, "type") == "action" && text(r, "process.exe") == own);
    ensure!(own.is_none(), "the agent's own reading left a record: {own:?}");
    ensure!(wrong.is_empty(), "{} of {} routes:\n{}", wrong.len(), grounds.len(), wrong.join("\n"));
    Ok(())
}

/// No file that the agent wrote holds the value that programs were given: not its store, its records or its log.
fn no_value_left(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            no_value_left(&path)?;
            continue;
        }
        let bytes = fs::read(&path)?;
        let value = PLANTED.as_bytes();
        ensure!(!bytes.windows(value.len()).any(|part| part == value), "a value is in {}", path.display());
    }
    Ok(())
}

/// Says a verdict, if it is the declared one.
fn compare(place: &Place, row: &Row, tier: &str, verdict: &Verdict) -> Result<()> {
    let (declared, why) = row.declared(&table::Here::of(place, tier));
    let stranger = matches!(verdict, Verdict::NotThere(_)) && place.cell.is_none();
    let (word, reason) = (verdict.word(), verdict.reason());
    // The running kernel need not be one of the matrix: what it lacks nobody can have declared.
    ensure!(
        word == declared || stranger,
        "{word} ({reason}), and tests/routes.toml declares {declared} ({why})"
    );
    let why = if word == declared { why } else { reason };
    let colon = if why.is_empty() { "" } else { ": " };
    place.say(&format!("ROUTE {} {word}{colon}{why}", row.id));
    Ok(())
}

/// Every route with its row, in the order of the table; an error where one is without the other.
fn listed(table: &Table) -> Result<Vec<(&'static Route, &Row, &'static str)>> {
    let mut all = Vec::new();
    let mut ids = BTreeSet::new();
    for row in &table.routes {
        let group = GROUPS.iter().find(|(group, _, _)| *group == row.group);
        let (_, signal, routes) = group.with_context(|| format!("{}: no group {}", row.id, row.group))?;
        let route = routes.iter().find(|route| route.id == row.id);
        let route = route.with_context(|| format!("{} is in tests/routes.toml only", row.id))?;
        ensure!(ids.insert(route.id), "{} stands twice in tests/routes.toml", row.id);
        all.push((route, row, *signal));
    }
    let tested = GROUPS.iter().flat_map(|(_, _, routes)| routes.iter());
    let untold: Vec<&str> = tested.map(|route| route.id).filter(|id| !ids.contains(id)).collect();
    ensure!(untold.is_empty(), "not in tests/routes.toml: {untold:?}");
    Ok(all)
}

/// The tier in which a signal is seen, as the agent's first record has it; the case `tiers` says whether that is true.
fn tier(coverage: &Value, signal: &str) -> String {
    let signals = at(coverage, "signals").as_array().into_iter().flatten();
    let mut tiers = signals.filter(|one| text(one, "signal") == signal).map(|one| text(one, "tier"));
    tiers.next().unwrap_or("none").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_has_its_row_and_every_row_its_route() {
        listed(&Table::read().unwrap()).unwrap();
    }
}
