//! What deviates, by real programs; and the same done as it should be, of which nothing is said.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::{BACKUP, SECRET, act_well, closed, is_action, of_chain, path};
use crate::Place;
use crate::agent::Agent;
use crate::records::{at, text};

/// A program where everybody may put one. Gone with this.
struct Implant(PathBuf);

impl Drop for Implant {
    fn drop(&mut self) {
        // It may be gone by itself.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program out of `/dev/shm` opens a credential and starts another with a password among its arguments; one in its
/// place opens the same.
pub(super) fn findings(place: &Place) -> Result<()> {
    let directory = place.directory("findings")?;
    let token = directory.join("token");
    fs::write(&token, SECRET)?;
    chown(&token, Some(BACKUP), Some(BACKUP))?;
    let implant = Implant(Path::new("/dev/shm").join(format!("spoor-findings-{}", std::process::id())));
    fs::create_dir_all(&implant.0)?;
    let (program, other) = (implant.0.join("implant"), implant.0.join("other"));
    place.program(&program)?;
    place.program(&other)?;
    let config = format!("[credentials]\npaths = [{token:?}]\n");
    let mut agent = Agent::start(place, "findings", &config)?;

    let (user, token) = (BACKUP.to_string(), path(&directory, "token"));
    act_well(place, &["user", &user, "read", &token])?;
    let arguments = "--password=hunter2-in-sight";
    let (program, other) = (program.display().to_string(), other.display().to_string());
    let steps = ["read", &token, "become", &other, "[", "nothing", arguments, "]"];
    act_well(place, &[["user", &user, "become", &program, "["].as_slice(), &steps, &["]"]].concat())?;
    let chain = text(&closed(&mut agent.records, "/implant")?, "chain").to_owned();

    let found: Vec<_> = agent.records.all.iter().filter(|record| text(record, "type") == "finding").collect();
    let mut kinds: Vec<&str> = found.iter().map(|record| text(record, "kind")).collect();
    kinds.sort_unstable();
    kinds.dedup();
    ensure!(kinds == ["secret-in-arguments", "untrusted-program"], "found: {found:#?}");
    ensure!(found.iter().all(|record| text(record, "chain") == chain), "one of another chain: {found:#?}");
    let untrusted = found.iter().find(|record| text(record, "kind") == "untrusted-program");
    let untrusted = untrusted.context("no finding of the program")?;
    let own = of_chain(&agent.records, &chain);
    let opened = own.iter().find(|record| is_action(record, "secret.open")).context("no opening")?;
    ensure!(at(untrusted, "actions").to_string().contains(&at(opened, "seq").to_string()), "{untrusted}");

    let told = agent.ask(place, &["findings"])?;
    for word in ["untrusted-program", "secret-in-arguments", "spoor show"] {
        ensure!(told.contains(word), "`spoor findings` does not say {word}:\n{told}");
    }
    let grave = agent.ask(place, &["findings", "--severity", "medium", "--json"])?;
    ensure!(grave.lines().count() == 1 && grave.contains("untrusted-program"), "the graver one:\n{grave}");
    let shown = agent.ask(place, &["show", &chain])?;
    ensure!(shown.contains("! finding"), "the chain is not marked:\n{shown}");
    let chains = agent.ask(place, &["chains", "--findings"])?;
    ensure!(chains.contains("/implant") && !chains.contains("spoor-act"), "chains with findings:\n{chains}");
    let everything = [agent.records.shown(), agent.log(), told].concat();
    ensure!(
        !everything.contains(SECRET) && !everything.contains("hunter2"),
        "a secret got out:\n{everything}"
    );
    let (status, _) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    Ok(())
}
