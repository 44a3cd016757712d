//! What the agent costs the programs it watches, beside nothing and beside auditd: blocks of fixed work, in a guest whose
//! clock counts instructions. `cargo xtask bench overhead` boots it and reads what is printed here, one line of JSON each.
//!
//! Before and after each visit of a collector all work is done without any, so that a visit is compared with its
//! neighbours only; one of the collectors is nobody at all, which says what such a comparison is worth.

mod bpf;
mod collector;
mod growth;
mod hooks;
mod load;
mod machine;
mod maps;
mod programs;
mod soak;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::Place;
use collector::{Collector, Running};
pub use growth::growth;
use load::Load;
pub use machine::used;
pub use soak::soak;

/// Visits of each collector, where nothing else is asked for.
const VISITS: usize = 3;

/// What is measured, where not what always is: names, with commas between them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// Who watches, where not everybody does.
    pub collectors: Option<&'a str>,
    /// Techniques without which an agent lies beside the one.
    pub without: Option<&'a str>,
    /// The work, where not all is done.
    pub work: Option<&'a str>,
    /// How often each comes, where not three times.
    pub visits: Option<usize>,
}

/// Measures, and prints.
///
/// # Errors
/// Where something is asked for that is not there, work fails, a collector cannot be started or stopped, or the machine does
/// not come to rest.
pub fn overhead(place: &Place, asked: Asked<'_>) -> Result<()> {
    let collectors = Collector::all_of(asked.collectors, asked.without)?;
    let loads = load::named(asked.work)?;
    load::make_ready(place)?;
    load::make_disk_ready().context("make the disk ready")?;
    collector::make_ready().context("make audit ready")?;
    let mut visit = 0;
    let mut pass = |collector: &Collector| -> Result<()> {
        let running = collector.start(place, visit).with_context(|| format!("start {collector:?}"))?;
        for load in &loads {
            block(place, load, visit, &running).with_context(|| format!("{} of {collector:?}", load.name))?;
        }
        let told = running.stop().with_context(|| format!("stop {collector:?}"))?;
        say(&json!({ "visit": visit, "collector": collector.name(), "told": told }));
        visit += 1;
        Ok(())
    };
    for round in 0..asked.visits.unwrap_or(VISITS) {
        for collector in Collector::in_turn(&collectors, round) {
            pass(&Collector::Nobody)?;
            pass(collector)?;
        }
    }
    pass(&Collector::Nobody)?;
    each_program(place, &loads).context("what each program costs")
}

/// One piece of work: what it cost itself, and what everybody else on the machine had to do until all was quiet again.
fn block(place: &Place, load: &Load, visit: usize, running: &Running) -> Result<()> {
    let mut at_work = load.start(place)?;
    machine::rest(at_work.pid())?;
    let told_before = running.told()?;
    let rest = machine::rest(at_work.pid())?;
    let before = machine::look(at_work.pid())?;
    let own = at_work.go()?;
    machine::rest(at_work.pid())?;
    let others = before.beyond(&machine::look(at_work.pid())?, rest);
    let told = running.told_since(&told_before)?;
    at_work.end()?;
    say(&json!({
        "visit": visit, "collector": running.name(), "load": load.name, "times": load.times,
        "elapsed_ns": own.elapsed_ns, "own_ns": own.own_ns, "others_ns": others,
        "rest": rest.0,
        "made": load.made(), "told": told,
    }));
    Ok(())
}

/// The kernel's own account of each of the agent's programs. It reads the clock twice a run, so nothing else is measured here.
fn each_program(place: &Place, loads: &[&Load]) -> Result<()> {
    let running = Collector::Spoor.start(place, usize::MAX)?;
    programs::account(true)?;
    for load in loads {
        let mut at_work = load.start(place)?;
        machine::rest(at_work.pid())?;
        let before = programs::all()?;
        at_work.go()?;
        let after = programs::all()?;
        at_work.end()?;
        for program in after {
            let was = before.iter().find(|one| one.id == program.id);
            let runs = program.runs - was.map_or(0, |one| one.runs);
            let ns = program.ns - was.map_or(0, |one| one.ns);
            if runs > 0 {
                say(
                    &json!({ "load": load.name, "times": load.times, "program": program.name, "runs": runs, "ns": ns }),
                );
            }
        }
    }
    programs::account(false)?;
    ensure!(running.stop()?.is_object(), "no account of the agent's end");
    Ok(())
}

fn say(value: &serde_json::Value) {
    println!("spoor-bench: {value}");
}
