//! A disk that fills up while the agent works, and has room again.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};

use super::{act_well, home, is_action, path};
use crate::agent::Agent;
use crate::records::{at, text};
use crate::{PATIENCE, Place};

/// The store lies on a small disk of its own. When that is full nothing is read any more, the rings hold what happens, and
/// with room again all of it is there.
pub(super) fn fills(place: &Place) -> Result<()> {
    let directory = place.directory("disk-fills")?;
    home(&directory, 1)?;
    let (before, during) = (path(&directory, ".pgpass"), path(&directory, ".aws/credentials"));
    let store = directory.join("agent/store");
    fs::create_dir_all(&store)?;
    let store = store.display().to_string();
    let mut agent = Agent::start_behind(place, "disk-fills", &["unshare", "mounts", "cover", &store, "4m"])?;
    act_well(place, &["open", &before])?;
    agent.records.wait("an opening", |record| is_action(record, "secret.open"))?;

    let ballast = PathBuf::from(format!("/proc/{}/root{store}/ballast", agent.pid()));
    fill(&ballast)?;
    let deadline = Instant::now() + PATIENCE;
    while !agent.log().contains("make room") {
        ensure!(Instant::now() < deadline, "the disk is full, and the agent does not mind:\n{}", agent.log());
        act_well(place, &["open", &before])?;
    }
    act_well(place, &["open", &during])?;
    agent.records.refresh()?;
    let opened = |record: &serde_json::Value| {
        is_action(record, "secret.open") && text(record, "file.path").ends_with("/.aws/credentials")
    };
    ensure!(!agent.records.all.iter().any(opened), "it was stored on a full disk");
    fs::remove_file(&ballast)?;
    agent.records.wait("what was opened while the disk was full", opened)?;
    let (status, records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    // The disk is gone with the agent. What went into the store is what a receiver has.
    let received = directory.join("agent/records.jsonl");
    let verify = Command::new(&place.spoor).arg("verify").arg("--received").arg(received).output()?;
    ensure!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stdout));
    let gaps: Vec<_> = records.all.iter().filter(|record| text(record, "type") == "gap").collect();
    ensure!(gaps.is_empty(), "there are gaps: {gaps:?}");
    let last = records.all.iter().rfind(|record| text(record, "state") == "stopped");
    let retries = last.and_then(|beat| at(beat, "counters.store_retries").as_u64());
    ensure!(retries > Some(0), "{retries:?} retries in {last:?}");
    Ok(())
}

/// Writes until there is no room.
fn fill(path: &PathBuf) -> Result<()> {
    let mut file = File::create(path)?;
    for size in [65_536, 4_096, 1] {
        loop {
            match file.write(&vec![0; size]) {
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                written => ensure!(written? > 0, "nothing is written"),
            }
        }
    }
    Ok(())
}
