//! What the agent says of itself, and how it starts.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::{BACKUP, act_well, home, is_action, is_chain, of_chain, one, path, refusing_port};
use crate::Place;
use crate::agent::Agent;
use crate::records::{at, last_heartbeat, text};

/// The coverage record says which tier is in use, and every signal is proven.
pub(super) fn tiers(place: &Place) -> Result<()> {
    let mut agent = Agent::start(place, "tiers", "")?;
    let coverage = agent.records.wait("the coverage record", |r| text(r, "type") == "coverage")?;
    let first = agent.records.all.first().map(|r| text(r, "type").to_owned());
    ensure!(first.as_deref() == Some("coverage"), "the first record is {first:?}");
    let signals = at(&coverage, "signals").as_array().context("no signals")?;
    let tier = |name: &str| {
        let found = signals.iter().find(|signal| text(signal, "signal") == name);
        found.map(|signal| text(signal, "tier").to_owned()).unwrap_or_default()
    };
    let (open, connect) = (tier("secret.open"), tier("connect"));
    ensure!((&open, &connect) == (&place.tiers.0, &place.tiers.1), "tiers {open} and {connect}: {coverage}");
    ensure!(signals.len() == 16 && signals.iter().all(|s| at(s, "proven") == true), "not proven: {coverage}");
    let store = path(&agent.directory, "store");
    let own = at(&coverage, "own");
    ensure!(at(own, "pid").as_u64() == Some(agent.pid().into()), "own: {coverage}");
    ensure!(at(own, "start_ns").is_u64() && text(own, "exe").ends_with("/spoor"), "own: {own}");
    ensure!(text(own, "store") == store, "own: {own}");
    let file = json!([{ "name": "test", "type": "file", "to": [path(&agent.directory, "records.jsonl")] }]);
    ensure!(at(own, "sinks") == &file, "own: {own}");
    println!("ready after {} ms", agent.ready_after.as_millis());
    let (status, _) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    Ok(())
}

/// Every sample the probes numbered was read or counted as dropped, and none was dropped.
pub(super) fn balance(place: &Place) -> Result<()> {
    let directory = place.directory("balance")?;
    home(&directory, 1)?;
    let agent = Agent::start(place, "balance", "")?;
    let secret = path(&directory, ".pgpass");
    let mut steps = Vec::new();
    for _ in 0..200 {
        steps.extend(["fork", "[", "open", &secret, "exit", "0", "]"]);
    }
    act_well(place, &steps)?;
    let (status, records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    let last = last_heartbeat(&records.all).context("no last heartbeat")?;
    let count = |name: &str| at(last, &format!("counters.{name}")).as_u64();
    let (produced, read) = (count("samples_produced"), count("samples_read"));
    ensure!(produced.is_some() && produced == read, "produced {produced:?}, read {read:?}: {last}");
    ensure!(count("samples_dropped") == Some(0), "dropped: {last}");
    ensure!(
        count("samples_undecodable") == Some(0),
        "undecodable: {last}\n{}",
        fs::read_to_string(directory.join("agent/log"))?
    );
    ensure!(count("probe_faults") == Some(0), "faults: {last}");
    let opens = records.all.iter().filter(|r| is_action(r, "secret.open")).count();
    ensure!(opens == 200, "{opens} openings of 200");
    Ok(())
}

/// Two agents on one store would write over one another: the second says so and ends.
pub(super) fn second_instance(place: &Place) -> Result<()> {
    let agent = Agent::start(place, "second-instance", "")?;
    let second = place.directory("second-instance")?.join("second");
    fs::create_dir_all(&second)?;
    fs::copy(agent.directory.join("spoor.toml"), second.join("spoor.toml"))?;
    let status = crate::agent::command(place, &second)?.status()?;
    ensure!(status.code() == Some(14), "the second instance ended with {status}");
    let said = fs::read_to_string(second.join("log"))?;
    ensure!(said.contains("another"), "it said: {said}");
    drop(agent.stop()?);
    Ok(())
}

/// More openings of one credential than a ring holds, while nobody reads: what is not told is repetitions, counted exactly, and a
/// gap says so. Another credential that is opened once among them is told, and so is one that is read by an inherited descriptor.
pub(super) fn flood(place: &Place) -> Result<()> {
    const OPENINGS: usize = 3_000;
    let directory = place.directory("flood")?;
    home(&directory, 1)?;
    let mut agent = Agent::start(place, "flood", "")?;
    let other = directory.join("other");
    home(&other, 1)?;
    let secret = path(&directory, ".pgpass");
    let (rare, lent) = (path(&other, ".pgpass"), path(&other, ".aws/credentials"));
    let program = path(&directory, "noisy");
    place.program(Path::new(&program))?;
    let flood = ["open", &secret].repeat(OPENINGS);
    let begin = ["inherit", &lent, &program, "["];
    let steps = [&begin[..], &flood, &["open", &rare], &flood, &["read-fd", "{fd}", "]"]].concat();
    let pid = Pid::from_raw(i32::try_from(agent.pid())?);
    kill(pid, Signal::SIGSTOP)?;
    let flooded = act_well(place, &steps);
    kill(pid, Signal::SIGCONT)?;
    flooded?;
    let kind_is = |r: &Value, kind: &str| text(r, "type") == "gap" && text(r, "kind") == kind;
    let gap = agent.records.wait("the gap", |r| kind_is(r, "repeated"))?;
    ensure!(at(&gap, "chains").as_array().is_some_and(|chains| !chains.is_empty()), "whose gap? {gap}");
    let (status, records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    let all: Vec<&Value> = records.all.iter().collect();
    one(&all, "secret.open", |r| text(r, "file.path") == rare)?;
    one(&all, "secret.read", |r| text(r, "file.path") == lent)?;
    let last = last_heartbeat(&records.all).context("no last heartbeat")?;
    let count = |name: &str| at(last, &format!("counters.{name}")).as_u64().unwrap_or(u64::MAX);
    let (produced, read, dropped, repeated) = (
        count("samples_produced"),
        count("samples_read"),
        count("samples_dropped"),
        count("samples_repeated"),
    );
    ensure!(
        dropped == 0 && repeated > 0 && produced == read + repeated,
        "produced {produced}, read {read}, dropped {dropped}, repeated {repeated}"
    );
    let told: u64 = records.all.iter().filter(|r| kind_is(r, "repeated")).map(losses).sum();
    ensure!(told == repeated, "gaps tell of {told}, repeated were {repeated}");
    let lost = records.all.iter().find(|r| kind_is(r, "lost"));
    ensure!(lost.is_none(), "nothing is lost: {lost:?}");
    Ok(())
}

/// A doctor beside the agent: what it tries is in no record, and what others do meanwhile is.
pub(super) fn doctor(place: &Place) -> Result<()> {
    let directory = place.directory("doctor")?;
    home(&directory, 1)?;
    let mut agent = Agent::start(place, "doctor", "")?;
    let (spoor, store) = (place.spoor.display().to_string(), path(&agent.directory, "store"));
    let mut steps = vec!["attempt", &spoor, "[", "doctor", "--store", &store, "]"];
    let secret = path(&directory, ".pgpass");
    steps.extend(["open", &secret]);
    act_well(place, &steps)?;
    agent
        .records
        .wait("the opening after it", |r| is_action(r, "secret.open") && text(r, "file.path") == secret)?;
    let said = agent.log();
    let (status, records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    let of_it =
        |r: &&Value| text(r, "type") == "action" && text(r, "process.exe") == spoor && !is_action(r, "exec");
    let acted: Vec<&Value> = records.all.iter().filter(of_it).collect();
    ensure!(acted.is_empty(), "what the doctor did is recorded: {acted:#?}\n{said}");
    Ok(())
}

/// More connections than one's share of their ring holds, and more than a chain has, while nobody reads. What gives way is
/// connections, and it is told; who ran what, and which credentials were opened before and after, is all there.
pub(super) fn ceiling(place: &Place) -> Result<()> {
    const CONNECTIONS: u64 = 10_000;
    const PROGRAMS: usize = 20;
    let directory = place.directory("ceiling")?;
    let (_refuser, port) = refusing_port()?;
    home(&directory, port)?;
    // Some two thousand are a process's share.
    let mut agent = Agent::start(place, "ceiling", "[chain]\nmax_actions = 1024\n")?;
    let (aws, pgpass) = (path(&directory, ".aws/credentials"), path(&directory, ".pgpass"));
    let (to, times) = (format!("127.0.0.1:{port}"), CONNECTIONS.to_string());
    let (user, opener) = (BACKUP.to_string(), path(&directory, "opener"));
    place.program(Path::new(&opener))?;
    let mut steps = vec!["user", &user, "become", &opener, "["];
    steps.extend(["open", &aws, "connect-often", &to, &times]);
    steps.extend(["spawn", &opener, "[", "nothing", "x", "]"].repeat(PROGRAMS));
    steps.extend(["spawn", &opener, "[", "spawn", &opener, "[", "open", &pgpass, "]", "]", "]"]);
    let pid = Pid::from_raw(i32::try_from(agent.pid())?);
    kill(pid, Signal::SIGSTOP)?;
    let flooded = act_well(place, &steps);
    kill(pid, Signal::SIGCONT)?;
    flooded?;
    let gap = agent.records.wait("the gap", |r| text(r, "type") == "gap" && text(r, "kind") == "lost")?;
    let chain = agent.records.wait("the closed chain", |r| is_chain(r, "closed"))?;
    let (status, records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    let told: Vec<&Value> = records.all.iter().filter(|r| text(r, "type") == "gap").collect();
    let lost =
        |kind: &str| -> u64 { told.iter().filter_map(|gap| at(gap, "counts").get(kind)?.as_u64()).sum() };
    ensure!(lost("connect") > 0, "no connection was lost of {CONNECTIONS}: {gap}");
    let all: u64 = told.iter().copied().map(losses).sum();
    ensure!(all == lost("connect") + lost("connect.end"), "more is lost than connections: {told:?}");
    let last = last_heartbeat(&records.all).context("no last heartbeat")?;
    ensure!(at(last, "counters.samples_dropped").as_u64() == Some(all), "gaps tell of {all}: {last}");
    let id = text(&chain, "chain");
    ensure!(at(&gap, "chains").as_array().is_some_and(|of| of.iter().any(|of| of == id)), "whose gap? {gap}");
    spared(&of_chain(&records, id), &chain, (PROGRAMS, place.scope.is_some()))
}

/// A chain in which connections were lost, and nothing else.
fn spared(of: &[&Value], chain: &Value, (programs, scoped): (usize, bool)) -> Result<()> {
    // The loss itself is here only where the chain was still open when it was noticed: the gap's own record names it. And
    // in a scope, its first process came from outside.
    let gaps = at(chain, "summary.gaps");
    let known = |gap: &Value| gap == "lost" || scoped && gap == "unknown-parent";
    ensure!(gaps.as_array().is_some_and(|gaps| gaps.iter().all(known)), "other gaps: {gaps}");
    ensure!(at(chain, "summary.folded").as_u64().is_some_and(|folded| folded > 0), "nothing folded: {chain}");
    let count = |action: &str| of.iter().filter(|r| is_action(r, action)).count();
    // The last two: one that runs another one, which opens a credential.
    let (execs, exits) = (count("exec"), count("exit"));
    ensure!(execs == programs + 2, "{execs} executions of {}", programs + 2);
    ensure!(exits == execs + 1, "{exits} ends of {}", execs + 1);
    one(of, "secret.open", |r| text(r, "file.path").ends_with("/.aws/credentials"))?;
    let opening = one(of, "secret.open", |r| text(r, "file.path").ends_with("/.pgpass"))?;
    ensure!(text(opening, "actor.user") == "backup", "whose? {opening}");
    ensure!(at(opening, "actor") == at(chain, "actor"), "whose chain? {opening}\n{chain}");
    let makers = [text(opening, "process.parent.id"), text(chain, "root.id")];
    let made = one(of, "exec", |r| text(r, "process.id") == makers[0])?;
    ensure!(
        text(made, "process.parent.id") == makers[1] && !makers[1].is_empty(),
        "whose child? {made}\n{chain}"
    );
    let opened = of.iter().find(|r| is_chain(r, "opened")).context("no opening of the chain")?;
    ensure!(at(opened, "root") == at(chain, "root"), "whose run? {opened}");
    Ok(())
}

/// What a gap record says was lost.
fn losses(gap: &Value) -> u64 {
    at(gap, "counts")
        .as_object()
        .into_iter()
        .flat_map(|counts| counts.values())
        .filter_map(Value::as_u64)
        .sum()
}
