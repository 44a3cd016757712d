//! The rates of what happens to a sample on one core: its event is read out of it, the stages make notes of a chain of that,
//! and these become records. And the memory of a process that the stages know.
//! `cargo xtask bench stages` prints it as a table; nothing is asserted. `grown` is for `cargo xtask bench growth`.
//!
//! Memory is what the process has more than before, by `/proc/self/statm`: what an allocator keeps for itself is in it.

mod grown;
mod stream;
mod wire;

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spoor::actor::{Files, Resolver};
use spoor::chain::{self, Machine, Note};
use spoor::credential::{self, Credential, Describe};
use spoor::event::{Event, OpenedFile, ProcessKey};
use spoor::lineage::{self, Table};
use spoor::pipeline::Stages;
use spoor::record::{Builder, ClockOffset, Host, Redaction};
use spoor::telemetry::Ledger;

use stream::Stream;

const PROCESSES: u32 = 50_000;
const BOOT: [u8; 16] = [7; 16];

/// Every file is one credential.
struct One(Arc<Credential>);

impl Describe for One {
    fn describe(&mut self, _file: &OpenedFile, _by: ProcessKey) -> Option<Arc<Credential>> {
        Some(Arc::clone(&self.0))
    }
}

fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<u64> = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4_096
}

fn row(what: &str, figure: &str) {
    println!("| {what} | {figure} |");
}

fn rate(took: Duration, count: usize) -> String {
    format!("{:.2} M/s", count as f64 / took.as_secs_f64() / 1e6)
}

/// All stages, with room for so many processes.
fn made(root: &Path, processes: u32) -> Stages<One, Files> {
    let token =
        Credential { id: "token:/etc/worker/token".into(), kind: "token".into(), ..Credential::default() };
    Stages::new(
        Table::new(lineage::Limits { processes_max: processes as usize + 1_000 }, BOOT),
        Resolver::new(Files::new(root)),
        One(Arc::new(token)),
        Machine::new(chain::Limits::default(), BOOT, 0),
        Arc::new(Ledger::default()),
    )
}

/// How long the stages take for events, one after the other.
fn play(stages: &mut Stages<One, Files>, events: &[Event]) -> Duration {
    play_to(stages, events, |_| ())
}

/// The same, with what becomes of each note.
fn play_to(stages: &mut Stages<One, Files>, events: &[Event], mut to: impl FnMut(&Note)) -> Duration {
    let (mut notes, mut wishes) = (Vec::new(), Vec::new());
    let started = Instant::now();
    for event in events {
        stages.step(event, &mut notes, &mut wishes);
        notes.drain(..).for_each(|note| to(&note));
        wishes.clear();
    }
    started.elapsed()
}

/// Makes records as the agent does.
fn builder() -> Builder {
    let host = Host { id: "e1".into(), name: "bench".into(), boot_id: "b1".into() };
    let redaction = Redaction { argv: credential::redact::argv, printable: credential::redact::printable };
    Builder::new(host, ClockOffset(0), 1, redaction)
}

/// From samples to events.
fn decode(rounds: u32) -> Duration {
    let samples = wire::samples();
    let started = Instant::now();
    for _ in 0..rounds {
        for sample in &samples {
            black_box(wire::decoded(black_box(sample)));
        }
    }
    started.elapsed()
}

/// From events to the notes of chains.
fn stages(root: &Path) {
    let mut stream = Stream::new();
    stream::births(&mut stream, PROCESSES);
    let births = stream.events.len();
    stream::at_work(&mut stream, PROCESSES);
    let mut stages = made(root, PROCESSES);
    let (births, work) = stream.events.split_at(births);
    let before = resident();
    let born = play(&mut stages, births);
    let bytes = resident().saturating_sub(before);
    let worked = play(&mut stages, work);
    let mut told = Vec::new();
    let mut again = made(root, PROCESSES);
    play_to(&mut again, &stream.events, |note| told.push(note.clone()));
    let mut builder = builder();
    let started = Instant::now();
    told.iter().for_each(|note| drop(black_box(builder.note(note))));
    let encoded = started.elapsed();
    let rounds = 100_000;
    row("a sample to an event", &rate(decode(rounds), rounds as usize * wire::samples().len()));
    row("all stages, forks and executions", &rate(born, births.len()));
    row("all stages, openings and connections", &rate(worked, work.len()));
    row("a note to the bytes of a record", &rate(encoded, told.len()));
    row(
        "memory of 1,000 processes: all stages",
        &format!("{} KiB", bytes * 1_000 / u64::from(PROCESSES) / 1_024),
    );
}

fn main() -> std::io::Result<()> {
    let root = tempfile::tempdir()?;
    fs::create_dir_all(root.path().join("etc"))?;
    let users = "root:x:0:0::/root:/bin/sh\nworker:x:990:990::/:/usr/sbin/nologin\n";
    fs::write(root.path().join("etc/passwd"), users)?;
    // Cargo says itself that it is a benchmark.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [first, rest @ ..] = arguments.as_slice()
        && first == "grown"
    {
        return grown::grown(rest, root.path());
    }
    println!("| what | figure |\n|---|---|");
    stages(root.path());
    Ok(())
}
