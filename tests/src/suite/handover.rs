//! One agent takes over from another while work goes on: each opening is in the records once, and nothing else is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Result, anyhow, ensure};
use serde_json::Value;

use super::killed::verified;
use super::{act_well, home, is_action, path};
use crate::Place;
use crate::agent::Agent;
use crate::records::{Records, at, seq, text};

/// So many take over, one after the other.
const SUCCESSORS: usize = 3;
/// Openings between two of them.
const BETWEEN: u64 = 30;

pub(super) fn handover(place: &Place) -> Result<()> {
    let directory = place.directory("handover")?;
    home(&directory, 1)?;
    let secret = path(&directory, ".pgpass");
    let program = directory.join("worker");
    place.program(&program)?;
    let program = program.display().to_string();
    let mut agent = Agent::start(place, "handover", "[chain]\nmax_actions = 1000000\n")?;
    let enough = AtomicBool::new(false);
    let count = thread::scope(|threads| -> Result<u64> {
        let work = threads.spawn(|| work(place, &[&program, &secret], &enough));
        let relieved = (|| {
            for _ in 0..SUCCESSORS {
                more(&mut agent.records)?;
                agent.succeed(place)?;
            }
            more(&mut agent.records)
        })();
        enough.store(true, Ordering::Relaxed);
        let count = work.join().map_err(|_| anyhow!("the work panicked"))??;
        relieved.map(|()| count)
    })?;
    // What is opened last is seen last.
    act_well(place, &["open", &path(&directory, ".aws/credentials")])?;
    agent.records.wait("the sentinel", |record| {
        is_action(record, "secret.open") && text(record, "file.path").ends_with("/.aws/credentials")
    })?;
    let store = agent.directory.join("store");
    let (status, mut records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    // A disk that takes a second for a line has it told by the next agent again: the same record, by its number.
    records.all.sort_by_key(seq);
    records.all.dedup();

    let opened = opened(&records);
    let wrong: Vec<_> = (1..=count).filter(|number| opened.get(number) != Some(&1)).collect();
    ensure!(wrong.is_empty(), "of {count} openings these are missing or there twice: {wrong:?}");
    let stops = records.all.iter().filter(|record| text(record, "state") == "stopped").count();
    ensure!(stops == SUCCESSORS + 1, "{stops} agents said that they stop");
    let gaps: Vec<_> = records.all.iter().filter(|record| text(record, "type") == "gap").collect();
    ensure!(gaps.is_empty(), "there are gaps: {gaps:?}");
    let own = records.all.iter().find(|record| text(record, "process.exe").ends_with("/spoor"));
    ensure!(own.is_none(), "an agent is in the records: {own:?}");
    verified(place, &store).map(drop)
}

/// Opens again and again, each time in a process of its own, which lives for a moment. Tells how often.
fn work(place: &Place, [program, secret]: &[&str; 2], enough: &AtomicBool) -> Result<u64> {
    let mut count = 0;
    while !enough.load(Ordering::Relaxed) {
        count += 1;
        act_well(place, &["become", program, "[", "nothing", &count.to_string(), "open", secret, "]"])?;
    }
    Ok(count)
}

/// Waits for some more work.
fn more(records: &mut Records) -> Result<()> {
    records.refresh()?;
    let after = opened(records).last_key_value().map_or(0, |(last, _)| *last) + BETWEEN;
    records.wait("more work", |record| number(record) >= Some(after)).map(drop)
}

/// The number of a piece of work, which is among its arguments.
fn number(opening: &Value) -> Option<u64> {
    let arguments = at(opening, "process.argv").as_array().filter(|_| is_action(opening, "secret.open"))?;
    let at = arguments.iter().position(|argument| argument == "nothing")?;
    arguments.get(at + 1)?.as_str()?.parse().ok()
}

/// How often each piece of work, by its number among the arguments, was seen.
fn opened(records: &Records) -> BTreeMap<u64, usize> {
    let mut found = BTreeMap::new();
    for number in records.all.iter().filter_map(number) {
        *found.entry(number).or_default() += 1;
    }
    found
}
