//! The rate of the stages from an event to the notes of a chain, on one core, and the memory of a process they know.
//! `cargo xtask bench stages` prints it as a table; nothing is asserted.
//!
//! Memory is what the process has more than before, by `/proc/self/statm`: what an allocator keeps for itself is in it.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spoor::actor::{Files, Resolver};
use spoor::chain::{self, Machine};
use spoor::credential::{Credential, Describe};
use spoor::event::{
    Deed, Endpoint, Event, Facts, Marks, Matched, OpenedFile, ProcessKey, SampleId, Seen, Source, Text, What,
};
use spoor::lineage::{self, Table};
use spoor::pipeline::Stages;
use spoor::telemetry::Ledger;

const PROCESSES: u32 = 50_000;
const MS: u64 = 1_000_000;
const BOOT: [u8; 16] = [7; 16];

/// Every file is one credential.
struct One(Arc<Credential>);

impl Describe for One {
    fn describe(&mut self, _file: &OpenedFile, _by: ProcessKey) -> Option<Arc<Credential>> {
        Some(Arc::clone(&self.0))
    }
}

fn text(bytes: &str) -> Text {
    Text { bytes: bytes.as_bytes().to_vec(), truncated: false }
}

fn key(number: u32) -> ProcessKey {
    ProcessKey { tgid: 1_000 + number, start_ns: u64::from(number) * 20 * MS + 1 }
}

/// One of fifty services, containers among them, as a host of some size has them.
fn cgroup(number: u32) -> String {
    match number % 50 {
        unit @ 0..40 => format!("/system.slice/worker-{unit}.service"),
        container => format!("/system.slice/docker-{container:064x}.scope"),
    }
}

fn facts(number: u32, parent: Option<ProcessKey>) -> Facts {
    let key = key(number);
    Facts {
        key,
        tid: key.tgid,
        parent,
        uid: 990,
        euid: 990,
        gid: 990,
        login_uid: None,
        session: None,
        cgroup_id: u64::from(number % 50) + 10,
        ns_tgid: key.tgid,
        pid_ns: 4_026_531_836,
        mnt_ns: 4_026_531_840,
        kthread: false,
        comm: b"worker".to_vec(),
    }
}

/// Events one after another, numbered.
struct Stream {
    events: Vec<Event>,
    now_ns: u64,
}

impl Stream {
    fn push(&mut self, process: Facts, source: Source, deed: Deed) {
        self.now_ns += 1_000;
        let id = SampleId { cpu: 0, seq: self.events.len() as u64 + 1 };
        let seen = Seen { id, source, marks: Marks::default(), process, deed };
        self.events.push(Event { time_ns: self.now_ns, what: What::Seen(Box::new(seen)) });
    }
}

/// Each process is made by a supervisor and takes its program.
fn born(stream: &mut Stream) {
    let supervisor = facts(0, None);
    for number in 1..=PROCESSES {
        let child = key(number);
        let deed = Deed::Fork {
            child,
            parent: supervisor.key,
            cgroup_id: supervisor.cgroup_id,
            ns_tgid: child.tgid,
            pid_ns: supervisor.pid_ns,
            marks: Marks::default(),
        };
        stream.push(supervisor.clone(), Source::TpFork, deed);
        let deed = Deed::Exec {
            exe: text("/usr/bin/worker"),
            filename: text("/usr/bin/worker"),
            dev: 1,
            ino: 1,
            argv: vec![b"worker".to_vec(), b"--queue".to_vec(), b"orders".to_vec()],
            argv_truncated: false,
            cgroup: text(&cgroup(number)),
            nameless: false,
        };
        stream.push(facts(number, Some(supervisor.key)), Source::TpExec, deed);
    }
}

/// One in ten opens a credential and connects.
fn at_work(stream: &mut Stream) {
    for number in (1..=PROCESSES).step_by(10) {
        let who = facts(number, Some(key(0)));
        let file = OpenedFile {
            path: text("/etc/worker/token"),
            dev: 1,
            ino: 2,
            generation: 3,
            rule: 4,
            matched: Matched::Name,
            flags: 0,
            mode: 0o100_600,
            owner: 990,
            links: 1,
            backing: false,
        };
        stream.push(who.clone(), Source::LsmOpen, Deed::Open(file));
        let of = SampleId { cpu: 0, seq: stream.events.len() as u64 + 1 };
        let to = Endpoint::tcp([10, 0, 0, 9].into(), 443);
        stream.push(who.clone(), Source::LsmConnect, Deed::Connect { to });
        stream.push(who, Source::TpState, Deed::ConnectEnd { of, outcome: Ok(()), from: None });
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

/// From events to the notes of chains.
fn stages(root: &Path) {
    let mut stream = Stream { events: Vec::new(), now_ns: MS };
    born(&mut stream);
    let births = stream.events.len();
    at_work(&mut stream);
    let token =
        Credential { id: "token:/etc/worker/token".into(), kind: "token".into(), ..Credential::default() };
    let mut stages = Stages::new(
        Table::new(lineage::Limits { processes_max: PROCESSES as usize + 1_000 }, BOOT),
        Resolver::new(Files::new(root)),
        One(Arc::new(token)),
        Machine::new(chain::Limits::default(), BOOT, 0),
        Arc::new(Ledger::default()),
    );
    let (mut notes, mut wishes) = (Vec::new(), Vec::new());
    let (births, work) = stream.events.split_at(births);
    let before = resident();
    let mut play = |events: &[Event]| {
        let started = Instant::now();
        for event in events {
            stages.step(event, &mut notes, &mut wishes);
            notes.clear();
            wishes.clear();
        }
        started.elapsed()
    };
    let born = play(births);
    let bytes = resident().saturating_sub(before);
    let worked = play(work);
    row("all stages, forks and executions", &rate(born, births.len()));
    row("all stages, openings and connections", &rate(worked, work.len()));
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
    println!("| what | figure |\n|---|---|");
    stages(root.path());
    Ok(())
}
