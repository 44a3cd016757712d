//! One noisy process, and beside it a service that does its work: the service's chains are whole, whatever the noise.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{BACKUP, act, act_well, home, is_action, is_chain, of_chain, one, path, port_is, refusing_port};
use crate::agent::{Agent, Samples};
use crate::records::{at, last_heartbeat, seq, text};
use crate::{PATIENCE, Place};

/// Runs of the service beside each noise, and how far they are apart.
const RUNS: u64 = 10;
const PACE: Duration = Duration::from_millis(100);

/// What a noise is made of, beside the service: acts of one process.
struct Noise {
    name: &'static str,
    /// At most so many times, and at least so many in the time that the service's runs take.
    most: u64,
    least: u64,
    /// Samples of each time, by kind.
    told: &'static [(&'static str, u64)],
}

/// Files that are no credential; connections by one that holds a credential; openings of a credential it may read; children that
/// do so each.
const NOISES: [Noise; 4] = [
    Noise { name: "files", most: 200_000, least: 1_000, told: &[] },
    Noise { name: "connections", most: 40_000, least: 1_000, told: &[("connect", 1), ("connect.end", 1)] },
    Noise { name: "openings", most: 40_000, least: 1_000, told: &[("secret.open", 1)] },
    Noise {
        name: "children",
        most: 8_000,
        least: 100,
        told: &[("secret.open", 1), ("fork", 1), ("exit", 1)],
    },
];

/// Where everything lies, and where it goes to.
struct Ground {
    directory: PathBuf,
    /// A cgroup for each of the two, as units have.
    groups: [PathBuf; 2],
    service: String,
    noisy: String,
    port: u16,
}

impl Ground {
    fn make(place: &Place, port: u16) -> Result<Self> {
        let directory = place.directory("noisy")?;
        let above = place.scope.as_ref().map_or(Path::new("/sys/fs/cgroup"), |scope| &scope.directory);
        let groups = ["service", "noise"].map(|name| above.join(format!("spoor-{name}")));
        groups.iter().try_for_each(fs::create_dir)?;
        let [service, noisy] = ["service", "noisy"].map(|name| directory.join(name));
        place.program(&service)?;
        place.program(&noisy)?;
        home(&directory.join("own"), port)?;
        home(&directory.join("theirs"), 1)?;
        let [service, noisy] = [service, noisy].map(|program| program.display().to_string());
        Ok(Ground { directory, groups, service, noisy, port })
    }

    fn file(&self, name: &str) -> String {
        path(&self.directory, name)
    }

    fn group(&self, of: usize) -> String {
        self.groups[of].display().to_string()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // Refused only while a process is in it, and then the case has failed already.
        self.groups.iter().for_each(|group| drop(fs::remove_dir(group)));
    }
}

/// The service's chains are whole beside each noise, and each sample is read or counted.
pub(super) fn noisy(place: &Place) -> Result<()> {
    let (_refuser, port) = refusing_port()?;
    let ground = Ground::make(place, port)?;
    let mut agent = Agent::start(place, "noisy", "")?;
    let mut wrong = Vec::new();
    for noise in &NOISES {
        let outcome = beside(place, &mut agent, &ground, noise);
        wrong.extend(outcome.err().map(|error| format!("beside {}: {error:#}", noise.name)));
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    let (status, records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    let last = last_heartbeat(&records.all).context("no last heartbeat")?;
    let count = |name: &str| at(last, &format!("counters.{name}")).as_u64().unwrap_or(u64::MAX);
    let produced = count("samples_produced");
    let parts = ["samples_read", "samples_dropped", "samples_repeated"].map(count);
    ensure!(
        produced == parts.iter().sum::<u64>(),
        "produced {produced}, read, dropped and repeated {parts:?}"
    );
    Ok(())
}

fn beside(place: &Place, agent: &mut Agent, ground: &Ground, noise: &Noise) -> Result<()> {
    let (before, after) = (agent.samples()?, agent.last()?);
    let (stop, count) = (ground.file(&format!("{}.stop", noise.name)), ground.file(noise.name));
    let (open, to) = (ground.file("theirs/.pgpass"), format!("127.0.0.1:{}", ground.port));
    // Of a time before, where the case is repeated.
    drop(fs::remove_file(&stop));
    let most = noise.most.to_string();
    let group = ground.group(1);
    let mut steps = vec!["cgroup", &group, "become", &ground.noisy, "["];
    let plain = ground.file("theirs/notes.txt");
    let turn: &[&str] = match noise.name {
        "files" => &["open", &plain],
        "connections" => &["connect", &to],
        "openings" => &["open", &open],
        _ => &["fork", "[", "open", &open, "exit", "0", "]"],
    };
    // It holds a credential, so that its connections are watched.
    steps.extend(["open", &open, "until", &stop, &most, &count, "["]);
    steps.extend(turn);
    steps.extend(["]", "]"]);
    let mut noisy = act(place, &steps)?;
    let ran = (0..RUNS).try_for_each(|_| {
        std::thread::park_timeout(PACE);
        run(place, ground)
    });
    fs::write(&stop, "")?;
    let ended = noisy.wait()?;
    ran?;
    ensure!(ended.success(), "the noisy process ended with {ended}");
    let turns: u64 = fs::read_to_string(&count)?.parse()?;
    ensure!(turns >= noise.least, "no noise: {turns} times");
    let made = made(noise, turns, place.scope.is_some());
    let told = accounted(agent, &before, &made)?;
    for (kind, Samples { read, dropped, repeated }) in &told {
        println!("{} {turns} times: {kind} read {read}, dropped {dropped}, repeated {repeated}", noise.name);
    }
    whole(agent, ground, after)?;
    // Of what one thread does again and again, nothing but how often is missing.
    let again = told.get("secret.open").filter(|samples| noise.name == "openings" && samples.dropped > 0);
    ensure!(again.is_none(), "openings were lost: {again:?}");
    let noise_of = |kind: &str| noise.told.iter().any(|(told, _)| *told == kind);
    let others =
        told.iter().find(|(kind, samples)| !noise_of(kind) && samples.dropped + samples.repeated > 0);
    ensure!(others.is_none(), "lost, and not of what the noise is made of: {others:?}");
    Ok(())
}

/// The service runs once: it opens a credential, and starts what opens another one and connects.
fn run(place: &Place, ground: &Ground) -> Result<()> {
    let (user, to) = (BACKUP.to_string(), format!("127.0.0.1:{}", ground.port));
    let (aws, pgpass) = (ground.file("own/.aws/credentials"), ground.file("own/.pgpass"));
    let (group, service) = (ground.group(0), ground.service.as_str());
    let inner = ["spawn", service, "[", "open", &pgpass, "connect", &to, "]"];
    let outer = ["cgroup", &group, "user", &user, "become", service, "[", "open", &aws];
    act_well(place, &[&outer[..], &inner, &["]"]].concat())
}

/// Samples of all of it, by kind. In a scope, what was done before the cgroup was entered is not seen.
fn made(noise: &Noise, turns: u64, scoped: bool) -> BTreeMap<&'static str, u64> {
    let outside = u64::from(!scoped);
    let mut made = BTreeMap::from([
        ("secret.open", 2 * RUNS + 1),
        ("connect", RUNS),
        ("connect.end", RUNS),
        ("fork", (1 + outside) * RUNS + outside),
        ("exec", (2 + outside) * RUNS + 1 + outside),
        ("exit", 2 * RUNS + 1),
    ]);
    for (kind, each) in noise.told {
        *made.entry(kind).or_default() += each * turns;
    }
    made
}

/// Waits until every sample that was made is read or counted as lost; it may be no more than that either.
fn accounted(
    agent: &Agent,
    before: &BTreeMap<String, Samples>,
    made: &BTreeMap<&'static str, u64>,
) -> Result<BTreeMap<String, Samples>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = agent.samples()?;
        let since = |kind: &str| -> Option<Samples> { Some(now.get(kind)?.since(*before.get(kind)?)) };
        let told: BTreeMap<String, Samples> =
            made.keys().filter_map(|kind| Some(((*kind).to_owned(), since(kind)?))).collect();
        let is = |kind: &str| told.get(kind).copied().map(Samples::all);
        if made.iter().all(|(kind, count)| is(kind) == Some(*count)) {
            return Ok(told);
        }
        ensure!(Instant::now() < deadline, "made were {made:?}, told are {told:?}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Every run of the service since that record has its chain, and all of it is there.
fn whole(agent: &mut Agent, ground: &Ground, after: u64) -> Result<()> {
    let of_it =
        |r: &Value| seq(r) > after && is_chain(r, "closed") && text(r, "actor.id").ends_with("/service");
    let mut met = 0;
    let last = |r: &Value| {
        met += u64::from(of_it(r));
        met == RUNS
    };
    agent.records.wait("the service's last chain", last)?;
    // Of what passes an interrupted probe by on some kernels, a gap of another kind tells.
    let lost = |gap: &str| ["lost", "repeated"].contains(&gap);
    let gaps = |r: &Value| text(r, "type") == "gap" && lost(text(r, "kind")) && seq(r) > after;
    let records = &agent.records;
    for chain in records.all.iter().filter(|r| of_it(r)) {
        let id = text(chain, "chain");
        let of = of_chain(records, id);
        let shown = || of.iter().map(|r| format!("  {r}\n")).collect::<String>();
        let executed = one(&of, "exec", |r| text(r, "process.exe").ends_with("/service"))?;
        one(&of, "secret.open", |r| text(r, "file.path") == ground.file("own/.aws/credentials"))?;
        let opened = one(&of, "secret.open", |r| text(r, "file.path") == ground.file("own/.pgpass"))?;
        // On a busy host it may be told as pending before.
        let is_it = |r: &Value| port_is(ground.port)(r) && text(r, "outcome") != "pending";
        let connect = one(&of, "connect", is_it)?;
        let [by, connected] = [opened, connect].map(|r| text(r, "process.id"));
        ensure!(text(executed, "process.id") == by && by == connected, "by others:\n{}", shown());
        let credential = &at(opened, "credential")[0];
        ensure!(text(credential, "id").contains("orders"), "which credential? {opened}");
        ensure!(text(connect, "outcome") == "refused", "outcome: {connect}");
        ensure!(text(connect, "link.basis") == "same-process", "link: {connect}");
        ensure!(at(connect, "link.facts").to_string().contains("destination-named"), "facts: {connect}");
        ensure!(of.iter().filter(|r| is_action(r, "exit")).count() == 2, "ends:\n{}", shown());
        let gaps_of = at(chain, "summary.gaps").as_array().into_iter().flatten();
        ensure!(
            !gaps_of.filter_map(Value::as_str).any(lost),
            "a loss is told of the service's chain: {chain}"
        );
        let named = records.all.iter().filter(|r| gaps(r)).find(|gap| {
            at(gap, "chains").as_array().is_some_and(|chains| chains.iter().any(|chain| chain == id))
        });
        ensure!(named.is_none(), "a gap names the service's chain: {named:?}");
    }
    Ok(())
}
