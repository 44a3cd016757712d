//! What the agent says of itself, and how it starts.

use std::fs;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{act_well, home, is_action, path};
use crate::Place;
use crate::agent::Agent;
use crate::records::{at, text};

/// The coverage record says which tier is in use, and every signal is proven.
pub(super) fn tiers(place: &Place) -> Result<()> {
    let mut agent = Agent::start(place, "tiers", "")?;
    let coverage = agent.records.wait("the coverage record", |r| text(r, "type") == "coverage")?;
    let first = agent.records.all.first().map(|r| text(r, "type").to_owned());
    ensure!(first.as_deref() == Some("coverage"), "the first record is {first:?}");
    let signals = at(&coverage, "signals").as_array().context("no signals")?;
    let tier = |name: &str| {
        let found = signals.iter().find(|signal| text(signal, "signal") == name);
        found.map(|signal| text(signal, "tier").to_owned()).unwrap_or_default()
    };
    let (open, connect) = (tier("secret.open"), tier("connect"));
    ensure!((&open, &connect) == (&place.tiers.0, &place.tiers.1), "tiers {open} and {connect}: {coverage}");
    ensure!(signals.len() == 15 && signals.iter().all(|s| at(s, "proven") == true), "not proven: {coverage}");
    println!("ready after {} ms", agent.ready_after.as_millis());
    let (status, _) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    Ok(())
}

/// Every sample the probes numbered was read or counted as dropped, and none was dropped.
pub(super) fn balance(place: &Place) -> Result<()> {
    let directory = place.directory("balance")?;
    home(&directory, 1)?;
    let agent = Agent::start(place, "balance", "")?;
    let secret = path(&directory, ".pgpass");
    let mut steps = Vec::new();
    for _ in 0..200 {
        steps.extend(["fork", "[", "open", &secret, "exit", "0", "]"]);
    }
    act_well(place, &steps)?;
    let (status, records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    let last =
        records.all.iter().rev().find(|r| text(r, "type") == "heartbeat").context("no last heartbeat")?;
    let count = |name: &str| at(last, &format!("counters.{name}")).as_u64();
    let (produced, read) = (count("samples_produced"), count("samples_read"));
    ensure!(produced.is_some() && produced == read, "produced {produced:?}, read {read:?}: {last}");
    ensure!(count("samples_dropped") == Some(0), "dropped: {last}");
    ensure!(
        count("samples_undecodable") == Some(0),
        "undecodable: {last}\n{}",
        fs::read_to_string(directory.join("agent/log"))?
    );
    ensure!(count("probe_faults") == Some(0), "faults: {last}");
    let opens = records.all.iter().filter(|r| is_action(r, "secret.open")).count();
    ensure!(opens == 200, "{opens} openings of 200");
    Ok(())
}

/// Two agents on one store would write over one another: the second says so and ends.
pub(super) fn second_instance(place: &Place) -> Result<()> {
    let agent = Agent::start(place, "second-instance", "")?;
    let second = place.directory("second-instance")?.join("second");
    fs::create_dir_all(&second)?;
    fs::copy(agent.directory.join("spoor.toml"), second.join("spoor.toml"))?;
    let status = crate::agent::command(place, &second)?.status()?;
    ensure!(status.code() == Some(14), "the second instance ended with {status}");
    let said = fs::read_to_string(second.join("log"))?;
    ensure!(said.contains("another"), "it said: {said}");
    drop(agent.stop()?);
    Ok(())
}

/// More than a ring holds, while nobody reads: what is lost is counted exactly, and is a gap that says so.
pub(super) fn flood(place: &Place) -> Result<()> {
    const OPENINGS: usize = 3_000;
    let directory = place.directory("flood")?;
    home(&directory, 1)?;
    let mut agent = Agent::start(place, "flood", "")?;
    let secret = path(&directory, ".pgpass");
    let pid = Pid::from_raw(i32::try_from(agent.pid())?);
    kill(pid, Signal::SIGSTOP)?;
    let flooded = act_well(place, &["open", &secret].repeat(OPENINGS));
    kill(pid, Signal::SIGCONT)?;
    flooded?;
    let gap = agent.records.wait("the gap", |r| text(r, "type") == "gap" && text(r, "kind") == "lost")?;
    ensure!(at(&gap, "chains").as_array().is_some_and(|chains| !chains.is_empty()), "whose gap? {gap}");
    let (status, records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    let last =
        records.all.iter().rev().find(|r| text(r, "type") == "heartbeat").context("no last heartbeat")?;
    let count = |name: &str| at(last, &format!("counters.{name}")).as_u64().unwrap_or(u64::MAX);
    let (produced, read, dropped) =
        (count("samples_produced"), count("samples_read"), count("samples_dropped"));
    ensure!(dropped > 0 && produced == read + dropped, "produced {produced}, read {read}, dropped {dropped}");
    let told: u64 = records.all.iter().filter(|r| text(r, "type") == "gap").map(losses).sum();
    ensure!(told == dropped, "gaps tell of {told}, dropped were {dropped}");
    Ok(())
}

/// What a gap record says was lost.
fn losses(gap: &Value) -> u64 {
    at(gap, "counts")
        .as_object()
        .into_iter()
        .flat_map(|counts| counts.values())
        .filter_map(Value::as_u64)
        .sum()
}
