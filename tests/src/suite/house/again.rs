//! What systemd does again: a job that failed, which is a retry, and one whose time has come, which is none.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{SECRETS, shell};
use crate::Place;
use crate::agent::Agent;
use crate::records::{Records, at, seq, text};
use crate::suite::is_chain;

/// Each reads a credential of its name.
pub(super) const JOBS: [&str; 2] = ["restarted", "scheduled"];
/// How often they ran that fail by turns.
pub(super) const TURNS: &str = "/srv/turns";

/// A privileged job that fails twice, which systemd does again; and one that fails once, whose timer goes on.
pub(super) fn units(system: &Path) -> Result<()> {
    let job = |name: &str, turns: &str, more: &str| {
        let does = format!("/srv/bin/tool read {SECRETS}/{name} turns {TURNS}/{name} {turns}");
        format!("[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart={does}\n{more}")
    };
    let again = job("restarted", "ffo", "Restart=on-failure\nRestartSec=1\n");
    fs::write(system.join("restarted.service"), again)?;
    fs::write(system.join("scheduled.service"), job("scheduled", "ofo", ""))?;
    let timer = "[Timer]\nOnActiveSec=100ms\nOnUnitInactiveSec=5s\nAccuracySec=1ms\n";
    Ok(fs::write(system.join("scheduled.timer"), timer)?)
}

/// The chains of a unit, once so many have ended: their beginnings and their ends.
fn chains_of(records: &mut Records, unit: &str, count: usize) -> Result<Vec<(Value, Value)>> {
    let actor = format!("systemd:{unit}.service");
    let (mut chains, mut after) = (Vec::new(), 0);
    while chains.len() < count {
        let closed = records.wait(&format!("chain {} of {unit}", chains.len() + 1), |record| {
            seq(record) > after && is_chain(record, "closed") && text(record, "actor.id") == actor
        })?;
        after = seq(&closed);
        let of =
            |record: &&Value| is_chain(record, "opened") && text(record, "chain") == text(&closed, "chain");
        let opened = records.all.iter().find(of).context("a chain that never began")?;
        chains.push((opened.clone(), closed));
    }
    Ok(chains)
}

fn codes(chains: &[(Value, Value)]) -> Vec<Option<u64>> {
    chains.iter().map(|(_, closed)| at(closed, "exit.code").as_u64()).collect()
}

/// Three runs of one job, each tied to the first and to the one before; started by hand after that, it is none of them.
pub(super) fn restarted(place: &Place, agent: &mut Agent) -> Result<()> {
    shell("systemctl start --no-block restarted.service")?;
    let chains = chains_of(&mut agent.records, "restarted", 3)?;
    ensure!(codes(&chains) == [Some(1), Some(1), Some(0)], "they ended otherwise: {chains:#?}");
    let [(first, _), (second, _), (third, last)] = chains.as_slice() else { unreachable!("three") };
    ensure!(at(first, "attempt").is_null(), "the first is no retry: {first}");
    let (one, two) = (text(first, "chain"), text(second, "chain"));
    for (opened, number, after) in [(second, 2, one), (third, 3, two)] {
        ensure!(at(opened, "attempt.number") == number, "not attempt {number}: {opened}");
        let tied = (text(opened, "attempt.of"), text(opened, "attempt.after"));
        ensure!(tied == (one, after), "not tied to {one} and {after}: {opened}");
        ensure!(at(opened, "attempt.failed.code") == 1, "{opened}");
        ensure!(at(opened, "attempt.delay_ms").as_f64() >= Some(900.0), "RestartSec is a second: {opened}");
    }
    let shown = agent.ask(place, &["show", text(last, "chain")])?;
    for word in
        ["attempt     3 of the same job", &format!("the first: {one}"), &format!("the one before: {two}")]
    {
        ensure!(shown.contains(word), "show does not say {word}:\n{shown}");
    }
    println!("{shown}");
    shell("systemctl start restarted.service")?;
    let chains = chains_of(&mut agent.records, "restarted", 4)?;
    let by_hand = chains.last().context("four")?;
    ensure!(at(&by_hand.0, "attempt").is_null(), "after a success it is no retry: {by_hand:?}");
    ensure!(at(&by_hand.1, "exit.code") == 0, "{by_hand:?}");
    Ok(())
}

/// Its timer would have come after a success, too.
pub(super) fn scheduled(records: &mut Records) -> Result<()> {
    shell("systemctl start scheduled.timer")?;
    let chains = chains_of(records, "scheduled", 3);
    shell("systemctl stop scheduled.timer")?;
    let chains = chains?;
    ensure!(codes(&chains) == [Some(0), Some(1), Some(0)], "they ended otherwise: {chains:#?}");
    for (opened, _) in &chains {
        ensure!(at(opened, "attempt").is_null(), "by schedule it is no retry: {opened}");
        ensure!(text(opened, "actor.origin") == "timer:scheduled.timer", "{opened}");
    }
    Ok(())
}
