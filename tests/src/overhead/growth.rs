//! What the agent costs as what it watches grows: the same few pieces of work beside ever more credentials, and beside ever more
//! processes. `cargo xtask bench growth` boots the guest and draws what is printed here.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::collector::{Collector, Running};
use super::load::{self, LOADS, Load, SECRETS};
use super::{block, machine, say};
use crate::Place;
use crate::agent::Agent;

/// How many credentials there are beside those that are opened.
const CREDENTIALS: [u32; 4] = [10, 100, 1_000, 10_000];
/// How many processes there are beside the machine's own.
const PROCESSES: [u32; 3] = [100, 1_000, 10_000];
/// The work that is done beside them.
const WORK: [&str; 4] = ["open-plain", "open-secret", "exec", "connect-held"];

/// Measures, and prints.
///
/// # Errors
/// Where work fails, the agent cannot be started or stopped, or the machine does not come to rest.
pub fn growth(place: &Place) -> Result<()> {
    load::make_ready(place)?;
    let mut visit = 0;
    for many in CREDENTIALS {
        let directory = format!("/srv/load/many-{many}");
        fs::create_dir_all(&directory)?;
        for one in 0..many {
            fs::write(format!("{directory}/{one}.key"), "no secret\n")?;
        }
        // Each by its own name: a directory with all that is below would be one rule.
        beside(place, ("credentials", many), &format!("\"{directory}/*.key\", "), &mut visit)?;
        fs::remove_dir_all(&directory)?;
    }
    for many in PROCESSES {
        let crowd = Crowd::of(place, many)?;
        beside(place, ("processes", many), "", &mut visit)?;
        crowd.end()?;
    }
    Ok(())
}

/// All work without the agent, with it, and without it again.
fn beside(place: &Place, (what, many): (&str, u32), paths: &str, visit: &mut usize) -> Result<()> {
    let work = || LOADS.iter().filter(|load| WORK.contains(&load.name));
    let each = |visit: usize, running: &Running| -> Result<()> {
        work().try_for_each(|load: &Load| {
            block(place, load, visit, running).with_context(|| format!("{} beside {many} {what}", load.name))
        })
    };
    each(*visit, &Running::Nobody)?;
    let config = format!("[credentials]\npaths = [{paths}\"{SECRETS}/**\"]\n");
    let agent = Agent::start(place, &format!("visit-{visit}"), &config)
        .with_context(|| format!("start beside {many} {what}"))?;
    // All it did until it was ready, which no waiting is in.
    let start = machine::used(agent.pid())?;
    let running = Running::Agent(Collector::Spoor, Box::new(agent));
    each(*visit + 1, &running)?;
    if let Running::Agent(_, agent) = &running {
        let resident = resident(agent.pid())?;
        say(
            &json!({ "growth": what, "many": many, "visit": *visit + 1, "start_ns": start, "resident": resident }),
        );
    }
    running.stop()?;
    each(*visit + 2, &Running::Nobody)?;
    // Visits that are compared stand at odd places.
    *visit += 4;
    Ok(())
}

fn resident(pid: u32) -> Result<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages: u64 = statm.split(' ').nth(1).context("a second field of statm")?.parse()?;
    Ok(pages * 4_096)
}

/// Processes that sleep.
struct Crowd(Child);

impl Crowd {
    fn of(place: &Place, many: u32) -> Result<Self> {
        let mut child = Command::new(load::program(place))
            .args(["crowd", &many.to_string(), "/"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        let out = child.stdout.as_mut().context("standard output was asked for")?;
        BufReader::new(out).read_line(&mut said)?;
        ensure!(said.trim() == "ready", "it said {said:?}");
        Ok(Self(child))
    }

    fn end(mut self) -> Result<()> {
        drop(self.0.stdin.take());
        let mut rest = String::new();
        self.0.stdout.take().context("standard output was asked for")?.read_to_string(&mut rest)?;
        ensure!(self.0.wait()?.success(), "the crowd did not end well: {rest}");
        Ok(())
    }
}
