//! What the agent costs on the running kernel, as a table: start to ready, event to stored record, rest, memory, size.
//!
//! `cargo xtask bench` runs it against a release build (root). It asserts nothing about time: machines differ. Everything
//! happens in a cgroup of its own, as in the live tests. As `bench cgroup DIRECTORY open PATH` the same binary is the
//! process that acts, since `cargo run` builds no other.

mod flood;

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use spoor_tests::agent::Agent;
use spoor_tests::overhead::used;
use spoor_tests::records::{Records, at, text};
use spoor_tests::{PATIENCE, Place, Scope, suite, tier_of_this_kernel};

const STARTS: usize = 10;
const ACTS: usize = 200;
/// Between two acts, so that each finds the agent at rest.
const PACE: Duration = Duration::from_millis(100);
/// Between two looks at the sink: what a latency is exact to.
const LOOK: Duration = Duration::from_micros(200);
/// Acts in a row, how often that is done, and files that are opened in turns.
const BUSY_TIMES: u32 = 2_000;
const BUSY_ROUNDS: usize = 5;
/// How far acts are apart beyond what they take themselves: a flood, and a host that has something to do.
const APART_US: [u32; 2] = [0, 200];
const SECRETS: u32 = 256;
/// How long an agent is looked at that has nothing to do, and how long it may settle before.
const REST: Duration = Duration::from_secs(60);
const SETTLE: Duration = Duration::from_secs(5);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => measure(&[&starts, &acts, &busy, &rest]),
        ["cgroup", group, "open", path] => {
            fs::write(Path::new(group).join("cgroup.procs"), "0")?;
            drop(fs::File::open(path)?);
            Ok(())
        }
        ["latency"] => measure(&[&acts]),
        ["busy"] => measure(&[&acts, &busy]),
        ["flood", acts @ ..] => measure(&[&|place| flood::flood(place, acts)]),
        ["cgroup", group, "flood", act, pace, made, directory] => {
            fs::write(Path::new(group).join("cgroup.procs"), "0")?;
            flood::work_off(act, pace.parse()?, made.parse()?, Path::new(directory))
        }
        ["cgroup", group, work, apart_us, directory] => {
            fs::write(Path::new(group).join("cgroup.procs"), "0")?;
            work_off(work, Duration::from_micros(apart_us.parse()?), Path::new(directory))
        }
        _ => bail!("usage: bench [latency | busy | flood [ACTS...]]"),
    }
}

/// A cgroup that goes when the measurement does.
struct OwnCgroup(PathBuf);

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        // Refused only while a process is in it, and then it must stay.
        drop(fs::remove_dir(&self.0));
    }
}

fn hierarchy() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "));
    let place = line.and_then(|line| line.split(' ').nth(4)).context("no cgroup v2 hierarchy is mounted")?;
    Ok(place.into())
}

/// Something that is measured.
type Part<'a> = &'a dyn Fn(&Place) -> Result<()>;

fn measure(parts: &[Part<'_>]) -> Result<()> {
    let work = tempfile::Builder::new().prefix("spoor-bench-").tempdir()?;
    let path = format!("/spoor-bench-{}", std::process::id());
    let group = OwnCgroup(hierarchy()?.join(path.trim_start_matches('/')));
    fs::create_dir(&group.0).context("a cgroup cannot be made: bench runs as root")?;
    let tier = tier_of_this_kernel().to_owned();
    let place = Place {
        spoor: std::env::var_os("SPOOR_BIN").map_or_else(default_binary, PathBuf::from),
        act: std::env::current_exe()?,
        work: work.path().into(),
        cell: None,
        scope: Some(Scope { directory: group.0.clone(), path }),
        tiers: (tier.clone(), tier),
        forced: Vec::new(),
    };
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let cpus = std::thread::available_parallelism()?;
    say(format_args!(
        "cargo xtask bench    (kernel {}, {cpus} CPUs, {} tier)\n",
        kernel.trim(),
        place.tiers.0
    ))?;
    row("binary", "size", &mebibytes(fs::metadata(&place.spoor)?.len()))?;
    parts.iter().try_for_each(|part| part(&place))
}

fn default_binary() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release/spoor")
}

fn row(what: &str, figure: &str, value: &str) -> Result<()> {
    say(format_args!("{what:<36} {figure:<8} {value:>14}"))
}

/// A line. Where nobody reads them any more (`bench | head`), that is an error and no abort, which would leave the agent behind.
fn say(line: fmt::Arguments<'_>) -> Result<()> {
    writeln!(io::stdout(), "{line}").context("nobody reads this")
}

fn mebibytes(bytes: u64) -> String {
    // Tenths, in whole numbers.
    let tenths = bytes.saturating_mul(10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

/// The value that so many percent do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn distribution(what: &str, mut times: Vec<Duration>, percents: &[usize]) -> Result<()> {
    times.sort_unstable();
    for percent in percents {
        let figure = match percent {
            50 => "median".to_owned(),
            100 => "max".to_owned(),
            percent => format!("p{percent}"),
        };
        row(what, &figure, &milliseconds(percentile(&times, *percent)))?;
    }
    Ok(())
}

/// From spawn to ready file.
fn starts(place: &Place) -> Result<()> {
    let mut times = Vec::with_capacity(STARTS);
    for index in 0..STARTS {
        let agent = Agent::start(place, &format!("start-{index}"), "")?;
        times.push(agent.ready_after);
        // Killed: its end is not measured, and how it ends is for the tests to judge.
        drop(agent);
    }
    distribution(&format!("start to ready, {STARTS} starts"), times, &[50, 100])
}

/// From an open of a declared credential to its record in the file sink; and memory before and after.
fn acts(place: &Place) -> Result<()> {
    let directory = place.directory("acts")?;
    let secret = directory.join("token");
    fs::write(&secret, "no secret\n")?;
    let mut agent = Agent::start(place, "acts", &format!("[credentials]\npaths = [{secret:?}]\n"))?;
    memory(agent.pid(), "after start")?;
    let secret = secret.display().to_string();
    let mut times = Vec::with_capacity(ACTS);
    for _ in 0..ACTS {
        let start = Instant::now();
        let mut child = suite::act(place, &["open", &secret])?;
        times.push(visible(&mut agent.records, &secret, &mut child)?);
        std::thread::park_timeout(PACE.saturating_sub(start.elapsed()));
    }
    memory(agent.pid(), &format!("after {ACTS} acts"))?;
    distribution(&format!("open to record in the file, {ACTS} acts"), times, &[50, 99, 100])?;
    let (status, _) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    Ok(())
}

/// The work of `busy`, by a process that is watched.
fn work_off(work: &str, apart: Duration, directory: &Path) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let to = listener.local_addr()?;
    // It holds a credential when it connects.
    drop(fs::File::open(directory.join("0"))?);
    for turn in 0..BUSY_TIMES {
        match work {
            "openings" => drop(fs::File::open(directory.join("0"))?),
            "turns" => drop(fs::File::open(directory.join((turn % SECRETS).to_string()))?),
            "connections" => {
                let there = TcpStream::connect(to)?;
                let here = listener.accept()?;
                drop((there, here));
            }
            _ => bail!("no such work: {work}"),
        }
        if !apart.is_zero() {
            pass(apart);
        }
    }
    Ok(())
}

/// Waits until a process has nothing to do but what it does at rest.
fn quiet(pid: u32) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut windows = 0;
    while windows < 4 {
        let before = used(pid)?;
        pass(Duration::from_millis(50));
        let busy = Duration::from_nanos(used(pid)?.saturating_sub(before));
        windows = if busy < Duration::from_millis(2) { windows + 1 } else { 0 };
        ensure!(Instant::now() < deadline, "the agent does not come to rest");
    }
    Ok(())
}

/// What the agent takes of a core for each act, where one follows the other: all of its threads, until all is in the file.
fn busy(place: &Place) -> Result<()> {
    let directory = place.directory("busy")?;
    for one in 0..SECRETS {
        fs::write(directory.join(one.to_string()), "no secret\n")?;
    }
    let directory = directory.display().to_string();
    // Else the later ones are counted only, and make no records.
    let config = format!("[credentials]\npaths = [\"{directory}/*\"]\n[chain]\nmax_actions = 100000\n");
    let agent = Agent::start(place, "busy-agent", &config)?;
    pass(SETTLE);
    for (work, apart_us) in
        ["openings", "turns", "connections"].into_iter().flat_map(|work| APART_US.map(|us| (work, us)))
    {
        let mut took = Vec::with_capacity(BUSY_ROUNDS);
        // The first makes warm.
        for _ in 0..=BUSY_ROUNDS {
            let before = used(agent.pid())?;
            suite::act_well(place, &[work, &apart_us.to_string(), &directory])?;
            quiet(agent.pid())?;
            took.push(Duration::from_nanos(used(agent.pid())? - before) / BUSY_TIMES);
        }
        let mut took = took.split_off(1);
        took.sort_unstable();
        for (figure, percent) in [("least", 1), ("median", 50), ("most", 100)] {
            let each = percentile(&took, percent).as_secs_f64() * 1e6;
            row(&format!("processor, {work} {apart_us} µs apart"), figure, &format!("{each:.1} µs each"))?;
        }
    }
    let (status, records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    let end = records.all.iter().rfind(|record| text(record, "state") == "stopped");
    for counter in ["samples_read", "samples_dropped", "records_stored"] {
        let count = end.map(|end| at(end, &format!("counters.{counter}")).to_string());
        row("all of that", counter, &count.unwrap_or_default())?;
    }
    Ok(())
}

/// What it takes of a core, and how often it runs, where nothing happens: looks at mounts, scans, canaries, heartbeats.
fn rest(place: &Place) -> Result<()> {
    let agent = Agent::start(place, "rest", "")?;
    pass(SETTLE);
    let (before, start) = (Rested::of(agent.pid())?, Instant::now());
    pass(REST);
    let (after, seconds) = (Rested::of(agent.pid())?, start.elapsed().as_secs_f64());
    let what = format!("at rest for {} s", REST.as_secs());
    let Rested { ran_ns, switches } = after.since(&before).context("one of its threads has ended")?;
    let busy = Duration::from_nanos(ran_ns).as_secs_f64();
    row(&what, "core", &format!("{:.3} %", 100.0 * busy / seconds))?;
    row(&what, "wakeups", &format!("{:.1} /s", f64::from(u32::try_from(switches)?) / seconds))?;
    drop(agent);
    Ok(())
}

fn pass(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

/// Of all threads of a process since each began. The agent ends none while it is at rest.
struct Rested {
    ran_ns: u64,
    switches: u64,
}

impl Rested {
    fn of(pid: u32) -> Result<Self> {
        let mut switches = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let status = fs::read_to_string(task?.path().join("status"))?;
            for (_, count) in status.lines().filter_map(|line| line.split_once("_ctxt_switches:")) {
                switches += count.trim().parse::<u64>()?;
            }
        }
        Ok(Rested { ran_ns: used(pid)?, switches })
    }

    fn since(&self, before: &Rested) -> Option<Self> {
        let ran_ns = self.ran_ns.checked_sub(before.ran_ns)?;
        Some(Rested { ran_ns, switches: self.switches.checked_sub(before.switches)? })
    }
}

/// Waits for the next record of an open; gives its age at that moment, by the one clock both are told in.
fn visible(records: &mut Records, secret: &str, child: &mut Child) -> Result<Duration> {
    let deadline = Instant::now() + PATIENCE;
    let mut looked = records.all.len();
    let found = loop {
        records.refresh()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let new = records.all.iter().skip(looked).find(|record| is_open(record, secret));
        if let Some(record) = new {
            break age(record, now)?;
        }
        looked = records.all.len();
        ensure!(Instant::now() < deadline, "no record of the open; there are:\n{}", records.shown());
        std::thread::park_timeout(LOOK);
    };
    let status = child.wait()?;
    ensure!(status.success(), "the acting process ended with {status}");
    Ok(found)
}

fn is_open(record: &Value, secret: &str) -> bool {
    text(record, "action") == "secret.open" && at(record, "file.path") == secret
}

/// Between a record's `time` and now. Both taken modulo a day, which asks for no calendar.
fn age(record: &Value, now: Duration) -> Result<Duration> {
    let time = time_of_day(text(record, "time")).with_context(|| format!("no time in {record}"))?;
    let today =
        Duration::from_secs(now.as_secs() % DAY.as_secs()) + Duration::from_nanos(now.subsec_nanos().into());
    Ok(today.checked_sub(time).unwrap_or_else(|| today + DAY - time))
}

/// Of `2026-01-02T03:04:05.123456789Z`.
fn time_of_day(time: &str) -> Option<Duration> {
    let (seconds, nanos) = time.split_once('T')?.1.strip_suffix('Z')?.split_once('.')?;
    let whole = seconds.split(':').try_fold(0, |sum, part| Some(60 * sum + part.parse::<u64>().ok()?))?;
    let nanos = format!("{nanos:0<9}").parse().ok()?;
    Some(Duration::new(whole, nanos))
}

/// What of the agent is in memory, as the kernel counts it.
fn memory(pid: u32, when: &str) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    for name in ["VmRSS", "RssAnon", "RssFile", "RssShmem"] {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no such line")?;
        row(&format!("memory {when}"), name, &mebibytes(kibibytes.parse::<u64>()? * 1024))?;
    }
    Ok(())
}
