//! Throughput of each encoder and each sink on one core, beside rsyslog and syslog-ng, which forward the same records from a
//! file over TCP. `cargo xtask bench sinks` prints it as a table; nothing is asserted about time.
//!
//! Whoever is measured runs in a process of its own, bound to one CPU; the receivers, which only count, run on the others.
//! The figure is taken from the process's own CPU time, user and system, so that what else the machine does matters little.
//! All take turns, round after round; the median is told, and the least and the most beside it.

mod broker;
mod collector;
mod others;
mod receive;
mod send;

use std::fs;
use std::io::{Error, Result, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use spoor::record::{Record, RecordType};
use spoor::store::{Retention, Store};

const ROUNDS: usize = 5;
const RECORDS: usize = 50_000;
/// A look whether it works.
const QUICK: (usize, usize) = (1, 500);
/// Records of every kind, as the agent makes them.
const GOLDENS: &[&str] = &["backup", "edges", "roads", "keyless", "findings", "inventory"];
const KEEP: Retention = Retention { keep: Duration::from_hours(24), max_bytes: 4 << 30 };
/// Where rsyslog and syslog-ng were unpacked.
const RECEIVERS: &str = "SPOOR_RECEIVERS";

/// What one run of one contender took.
#[derive(Clone, Copy, Debug)]
struct Took {
    cpu: Duration,
    wall: Duration,
    /// The most memory the process had, in KiB; 0 where it is not asked for.
    memory_kib: u64,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => measure(ROUNDS, RECORDS),
        ["quick"] => measure(QUICK.0, QUICK.1),
        ["encode", store, format] => send::encode(Path::new(store), format),
        ["send", dir, kind, port] => send::send(Path::new(dir), kind, port),
        _ => Err(Error::other("usage: sinks [quick]")),
    }
}

/// Records in a store, and the same as lines of a file.
struct Material {
    dir: tempfile::TempDir,
    records: usize,
    bytes: u64,
}

impl Material {
    fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    fn lines(&self) -> PathBuf {
        self.dir.path().join("lines")
    }
}

/// A golden record anew, under another number.
fn renumbered(line: &str, seq: u64) -> Result<Record> {
    let value: serde_json::Value = serde_json::from_str(line)?;
    let old = format!("\"seq\":{},", value["seq"]);
    // The store says anew what came before it.
    let line = line
        .rfind(",\"prev\":\"")
        .map_or(line.to_owned(), |at| format!("{}}}", line.get(..at).unwrap_or(line)));
    let body = line.replacen(&old, &format!("\"seq\":{seq},"), 1).into_bytes();
    let chain = value["chain"].as_str().map(str::to_owned);
    let time_ns = spoor::record::nanoseconds(value["time"].as_str().unwrap_or_default()).unwrap_or(0);
    // The type is an index of the store; no sink reads it.
    Ok(Record { seq, time_ns, kind: RecordType::Action, chain, gap_chains: Vec::new(), body })
}

fn material(records: usize) -> Result<Material> {
    let dir = tempfile::Builder::new().prefix("spoor-bench-").tempdir()?;
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/records");
    let mut text = String::new();
    for name in GOLDENS {
        text += &fs::read_to_string(goldens.join(format!("{name}.jsonl")))?;
    }
    let mut material = Material { dir, records, bytes: 0 };
    let mut store = Store::open(&material.store(), KEEP).map_err(Error::other)?;
    let mut lines = std::io::BufWriter::new(fs::File::create(material.lines())?);
    let numbered: Vec<(u64, &str)> = (1..).zip(text.lines().cycle()).take(records).collect();
    for batch in numbered.chunks(1_000) {
        let records = batch.iter().map(|(seq, line)| renumbered(line, *seq)).collect::<Result<Vec<_>>>()?;
        for record in &records {
            lines.write_all(&record.body)?;
            lines.write_all(b"\n")?;
            material.bytes += record.body.len() as u64 + 1;
        }
        store.append(&records).map_err(Error::other)?;
    }
    lines.flush()?;
    Ok(material)
}

/// The CPU of whoever is measured, and those of all others.
fn cpus() -> Result<(CpuSet, CpuSet)> {
    let mine = sched_getaffinity(Pid::from_raw(0))?;
    let all: Vec<usize> = (0..CpuSet::count()).filter(|cpu| mine.is_set(*cpu).unwrap_or(false)).collect();
    let (mut one, mut rest) = (CpuSet::new(), CpuSet::new());
    let (first, others) = all.split_first().ok_or_else(|| Error::other("no CPU"))?;
    one.set(*first)?;
    for cpu in if others.is_empty() { std::slice::from_ref(first) } else { others } {
        rest.set(*cpu)?;
    }
    Ok((one, rest))
}

fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model =
        info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    let cpus = info.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!("{}, {cpus} CPUs, kernel {}, load {load}", model.unwrap_or("unknown CPU"), kernel.trim())
}

fn measure(rounds: usize, records: usize) -> Result<()> {
    let (one, rest) = cpus()?;
    sched_setaffinity(Pid::from_raw(0), &rest)?;
    println!("{}; {records} records, {rounds} rounds in turns\n", machine());
    let material = material(records)?;
    let mut contenders = send::contenders();
    match std::env::var_os(RECEIVERS).map(PathBuf::from) {
        Some(root) => contenders.extend(others::contenders(&root)),
        None => println!("{RECEIVERS} is not set: without rsyslog and syslog-ng\n"),
    }
    let mut took: Vec<Vec<Took>> = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for (contender, took) in contenders.iter().zip(&mut took) {
            took.push((contender.run)(&material, &one)?);
        }
    }
    println!(
        "| what | records/s of one core | least to most | MB/s | µs CPU a record | wall, records/s | memory |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (contender, took) in contenders.iter().zip(took) {
        row(&contender.name, &material, took);
    }
    Ok(())
}

/// Measures once, on one CPU.
type Run = Box<dyn Fn(&Material, &CpuSet) -> Result<Took>>;

/// Someone who is measured.
struct Contender {
    name: String,
    run: Run,
}

fn row(name: &str, material: &Material, mut took: Vec<Took>) {
    let rate = |time: Duration| material.records as f64 / time.as_secs_f64().max(1e-9);
    took.sort_by_key(|took| took.wall);
    let wall = rate(took[took.len() / 2].wall);
    took.sort_by_key(|took| took.cpu);
    let median = took[took.len() / 2].cpu;
    let (most, least) = (rate(took[0].cpu), rate(took[took.len() - 1].cpu));
    let megabytes = material.bytes as f64 / median.as_secs_f64().max(1e-9) / 1e6;
    let each = median.as_secs_f64() * 1e6 / material.records as f64;
    let memory = took.iter().map(|took| took.memory_kib).max().unwrap_or(0) / 1024;
    if median.is_zero() {
        println!("| {name} | below the clock's 10 ms | | | | {wall:.0} | {memory} MiB |");
        return;
    }
    let memory = if memory == 0 { "-".to_owned() } else { format!("{memory} MiB") };
    println!(
        "| {name} | {:.0} | {least:.0} to {most:.0} | {megabytes:.0} | {each:.1} | {wall:.0} | {memory} |",
        rate(median)
    );
}
