//! What is told of credentials that lie here: also of those that nobody uses.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{BACKUP, SECRET, act_well, closed, path};
use crate::Place;
use crate::agent::Agent;
use crate::records::{at, text};

/// A credential that is used and one that is not, one that everybody may read and one that comes and goes.
pub(super) fn inventory(place: &Place) -> Result<()> {
    let directory = place.directory("inventory")?;
    let held = directory.join("held");
    fs::create_dir_all(&held)?;
    for (name, mode) in [("never", 0o600), ("once", 0o600), ("open", 0o644)] {
        put(&held, name, mode, SECRET)?;
    }
    fs::write(directory.join("plain.txt"), SECRET)?;
    let job = path(&directory, "job");
    place.program(&directory.join("job"))?;
    let config = format!(
        "[credentials]\npaths = [{:?}]\n[inventory]\nfirst = \"1s\"\nevery = \"1h\"\n",
        held.join("**")
    );
    let mut agent = Agent::start(place, "inventory", &config)?;
    agent.records.wait("a whole set of the inventory", |record| text(record, "of") == "host")?;
    let never = entry(&agent, &held, "never");
    ensure!(never.len() == 1 && at(never[0], "last").is_null(), "what nobody used: {never:?}");
    let open = entry(&agent, &held, "open");
    let mode = open.first().map(|record| at(record, "files").to_string()).unwrap_or_default();
    ensure!(mode.contains("\"0644\""), "who may read it: {open:?}");

    for _ in 0..2 {
        let once = path(&held, "once");
        act_well(place, &["user", &BACKUP.to_string(), "become", &job, "[", "read", &once, "]"])?;
        closed(&mut agent.records, "/job")?;
    }
    put(&held, "late", 0o600, SECRET)?;
    let is = |why: &'static str, name: &'static str| {
        let wanted = path(&held, name);
        move |record: &Value| {
            text(record, "type") == "inventory"
                && at(record, "why").to_string().contains(why)
                && at(record, "credential").to_string().contains(&wanted)
        }
    };
    agent.records.wait("the new credential", is("new", "late"))?;
    fs::remove_file(held.join("late"))?;
    agent.records.wait("that it is gone", is("gone", "late"))?;
    // Twice used, and told once; of the unused twin, not at all.
    let told = agent.records.all.iter().filter(|record| is("new-actor", "once")(record)).count();
    ensure!(told == 1, "the first use was told {told} times");
    ensure!(!agent.records.all.iter().any(is("new-actor", "never")), "nobody used it");
    ensure!(!agent.records.shown().contains("plain.txt"), "a file that is no credential is in the inventory");
    people_read_it(place, &agent, &held)?;
    let everything = [agent.records.shown(), agent.log()].concat();
    ensure!(!everything.contains(SECRET), "the secret left its file:\n{everything}");
    let (status, _) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    Ok(())
}

fn put(directory: &Path, name: &str, mode: u32, secret: &str) -> Result<()> {
    let path = directory.join(name);
    fs::write(&path, format!("{secret}-{name}\n"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    chown(&path, Some(BACKUP), Some(BACKUP))?;
    Ok(())
}

/// Inventory records of a credential.
fn entry<'a>(agent: &'a Agent, directory: &Path, name: &str) -> Vec<&'a Value> {
    let wanted = path(directory, name);
    let is = |record: &&Value| {
        text(record, "type") == "inventory" && at(record, "credential").to_string().contains(&wanted)
    };
    agent.records.all.iter().filter(is).collect()
}

/// `spoor credentials` and `spoor report` tell it to a person.
fn people_read_it(place: &Place, agent: &Agent, held: &Path) -> Result<()> {
    let ask = |arguments: &[&str]| agent.ask(place, arguments);
    let [never, once] = ["never", "once"].map(|name| path(held, name));
    let unused = ask(&["credentials", "--unused"])?;
    ensure!(unused.contains(&never) && !unused.contains(&once), "what nobody used:\n{unused}");
    let open = ask(&["credentials", "--remark", "NHI2"])?;
    ensure!(open.contains("/open") && !open.contains("/never"), "what everybody may read:\n{open}");
    let one = ask(&["credentials", &format!("declared:{once}")])?;
    ensure!(one.contains("user:backup:") && one.contains("Actors that held it"), "one in full:\n{one}");
    let page = ask(&["report"])?;
    for word in ["<!DOCTYPE html>", "NHI2:2025", "never used since", &never, &once, "secret.open"] {
        ensure!(page.contains(word), "the report does not say {word}:\n{page}");
    }
    Ok(())
}
