//! A day of processes that come and go, compressed: what the agent takes, what is in its tables and the kernel's, and whether
//! what it counts drifts from what was made. `cargo xtask bench soak` boots the guest, and judges what is printed here.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{load, maps, say};
use crate::agent::{Agent, Samples};
use crate::records::{at, text};
use crate::{PATIENCE, Place};

const DIRECTORY: &str = "/srv/load";
/// Between two rows.
const EVERY: Duration = Duration::from_secs(15);
/// Numbers of processes: all are used again after so many.
const NUMBERS: &str = "2048";

/// Soaks for so many minutes, and prints a row now and then and one at the end.
///
/// # Errors
/// Where the agent cannot be started, asked or stopped, or the work fails.
pub fn soak(place: &Place, minutes: u64) -> Result<()> {
    load::make_ready(place)?;
    for one in fs::read_dir(load::SECRETS)? {
        fs::remove_file(one?.path())?;
    }
    fs::write("/proc/sys/kernel/pid_max", NUMBERS).context("fewer numbers of processes")?;
    // A canary is made of processes, too, which nobody counts here.
    let config = format!("[credentials]\npaths = [\"{}/**\"]\n[canary]\nevery = \"24h\"\n", load::SECRETS);
    let mut agent = Agent::start(place, "soak", &config)?;
    let before = agent.samples()?;
    let started = Instant::now();
    let mut churn = Churn::start(place)?;
    let mut next = EVERY;
    while started.elapsed() < Duration::from_secs(minutes * 60) {
        std::thread::park_timeout(next.saturating_sub(started.elapsed()));
        let made = churn.made()?;
        say(&row(&agent, started, &made)?);
        next += EVERY;
    }
    let made = churn.end()?;
    // The work's own process was made, too.
    let forks = at(&made, "processes").as_u64().context("processes")? + 1;
    let told = settled(&agent, &before, forks)?;
    let end = row(&agent, started, &made)?;
    let processes = processes()?;
    say(&end);
    let status = agent.end()?;
    ensure!(status.success(), "the agent ended with {status}:\n{}", agent.log());
    let verified = Command::new(&place.spoor)
        .args(["verify", "--store"])
        .arg(agent.directory.join("store"))
        .output()
        .context("spoor verify")?;
    let (actions, records, holes) = recorded(&agent.directory.join("records.jsonl"))?;
    say(&json!({
        "soaked": made, "told": told, "there": processes, "actions": actions, "records": records, "holes": holes,
        "verified": verified.status.success(),
    }));
    Ok(())
}

/// What the agent is now.
fn row(agent: &Agent, started: Instant, made: &Value) -> Result<Value> {
    let status = agent.status()?;
    let of_proc = fs::read_to_string(format!("/proc/{}/status", agent.pid()))?;
    let kib = |name: &str| -> Option<u64> {
        let line = of_proc.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse().ok()
    };
    let counters =
        ["samples_read", "samples_dropped", "state_evicted", "marks_refused", "rules_refused", "rescans"];
    let counters: serde_json::Map<String, Value> =
        counters.iter().map(|name| ((*name).to_owned(), at(&status, "counters")[*name].clone())).collect();
    Ok(json!({
        "soak_seconds": started.elapsed().as_secs(), "made": made,
        "resident_kib": kib("VmRSS"), "own_kib": kib("RssAnon"),
        "descriptors": at(&status, "own.descriptors"), "threads": at(&status, "own.threads"),
        "processes": at(&status, "processes"), "chains": at(&status, "chains_open"),
        "store_bytes": at(&status, "store.bytes"), "counters": counters, "maps": maps::fill()?,
    }))
}

/// Waits until as many forks are told, or counted as lost, as were made; what was told since then, by kind.
fn settled(agent: &Agent, before: &std::collections::BTreeMap<String, Samples>, forks: u64) -> Result<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = agent.samples()?;
        let since = |kind: &str| Some(now.get(kind)?.since(*before.get(kind)?));
        let [made, ended] = ["fork", "exit"].map(|kind| since(kind).map_or(0, Samples::all));
        if (made >= forks && ended >= forks) || Instant::now() > deadline {
            let told = now.keys().filter_map(|kind| {
                let all = since(kind)?;
                Some((kind.clone(), json!({ "read": all.read, "dropped": all.dropped })))
            });
            return Ok(told.collect());
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Processes that have a program: the kernel's own threads have none.
fn processes() -> Result<usize> {
    let entries = fs::read_dir("/proc")?.flatten();
    Ok(entries.filter(|entry| fs::read_link(entry.path().join("exe")).is_ok()).count())
}

/// Openings and connections in the file of records, records, and numbers that are missing in it.
fn recorded(file: &Path) -> Result<(Value, u64, u64)> {
    let (mut opened, mut connected, mut records, mut holes, mut last) = (0u64, 0u64, 0u64, 0u64, None);
    for line in BufReader::new(fs::File::open(file)?).lines() {
        let record: Value = serde_json::from_str(&line?)?;
        let seq = at(&record, "seq").as_u64().context("a record without a number")?;
        holes += u64::from(last.is_some_and(|last: u64| seq != last + 1));
        last = Some(seq);
        records += 1;
        match text(&record, "action") {
            "secret.open" => opened += 1,
            "connect" => connected += 1,
            _ => {}
        }
    }
    Ok((json!({ "opened": opened, "connected": connected }), records, holes))
}

/// The work.
struct Churn {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Churn {
    fn start(place: &Place) -> Result<Self> {
        let mut child = Command::new(load::program(place))
            .args(["churn", "0", DIRECTORY])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = BufReader::new(child.stdout.take().context("standard output was asked for")?);
        Ok(Churn { child, said })
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("it said {line:?}"))
    }

    /// What it has made so far.
    fn made(&mut self) -> Result<Value> {
        self.child.stdin.as_mut().context("standard input was asked for")?.write_all(b"\n")?;
        self.line()
    }

    fn end(mut self) -> Result<Value> {
        drop(self.child.stdin.take());
        let made = self.line()?;
        let ended = self.child.wait()?;
        ensure!(ended.success(), "it ended with {ended}");
        Ok(made)
    }
}
