//! Threads, forks and ends of processes.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{act, act_well, closed, home, is_action, is_chain, of_chain, one, path};
use crate::Place;
use crate::agent::Agent;
use crate::records::{at, last_heartbeat, text};

/// One thread opens, another connects: one process.
pub(super) fn threads(place: &Place) -> Result<()> {
    let directory = place.directory("threads")?;
    let program = directory.join("threaded");
    place.program(&program)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    home(&directory, port)?;
    let mut agent = Agent::start(place, "threads", "")?;
    let steps = ["thread-open", &path(&directory, ".pgpass"), "connect", &format!("127.0.0.1:{port}")];
    act_well(place, &[&["become", &program.display().to_string(), "["], &steps[..], &["]"]].concat())?;
    let chain = closed(&mut agent.records, "/threaded")?;
    let of = of_chain(&agent.records, text(&chain, "chain"));
    let connect = one(&of, "connect", |_| true)?;
    ensure!(text(connect, "link.basis") == "same-process", "link: {connect}");
    ensure!(at(connect, "link.facts").to_string().contains("destination-named"), "facts: {connect}");
    drop(agent.stop()?);
    Ok(())
}

/// A double fork does not lose the chain.
pub(super) fn daemon(place: &Place) -> Result<()> {
    let directory = place.directory("daemon")?;
    let program = directory.join("forker");
    place.program(&program)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    home(&directory, port)?;
    let mut agent = Agent::start(place, "daemon", "")?;
    let (secret, to) = (path(&directory, ".pgpass"), format!("127.0.0.1:{port}"));
    let steps = ["read", &secret, "daemon", "[", "connect", &to, "]", "exit", "0"];
    act_well(place, &[&["become", &program.display().to_string(), "["], &steps[..], &["]"]].concat())?;
    let chain = closed(&mut agent.records, "/forker")?;
    let of = of_chain(&agent.records, text(&chain, "chain"));
    let connect = one(&of, "connect", |_| true)?;
    ensure!(text(connect, "link.basis") == "inherited", "link: {connect}");
    ensure!(at(connect, "link.hops").as_u64() == Some(2), "hops: {connect}");
    drop(agent.stop()?);
    Ok(())
}

/// So many processes end at once that some are interrupted while a probe sees them, and others end on that CPU meanwhile: what
/// passes a probe by is told, and each run ends all the same.
pub(super) fn crowd(place: &Place) -> Result<()> {
    const RUNS: u64 = 24;
    let is_gap = |record: &Value| text(record, "type") == "gap" && text(record, "kind") == "missed";
    let directory = place.directory("crowd")?;
    let program = directory.join("crowded");
    place.program(&program)?;
    home(&directory, 1)?;
    let mut agent = Agent::start(place, "crowd", "")?;
    let secret = path(&directory, ".pgpass");
    let steps =
        ["read", &secret, "fork", "[", "exit", "0", "]", "daemon", "[", "exit", "0", "]", "exit", "0"];
    let program = program.display().to_string();
    let run = [&["become", &program, "["], &steps[..], &["]"]].concat();
    let all: Vec<_> = (0..RUNS).map(|_| act(place, &run)).collect::<Result<_>>()?;
    for mut one in all {
        ensure!(one.wait()?.success(), "a run failed");
    }
    // Each has opened its credential, or that passed by and is told; and each run of those that did has ended.
    let (mut open, mut opened, mut missed) = (BTreeSet::new(), 0, 0);
    let ended = agent.records.wait("the end of each run", |record| {
        let chain = text(record, "chain");
        if is_action(record, "secret.open") && text(record, "file.path") == secret {
            opened += u64::from(open.insert(chain.to_owned()));
        } else if is_chain(record, "closed") {
            open.remove(chain);
        } else if is_gap(record) {
            missed += at(record, "counts").get("secret.open").and_then(Value::as_u64).unwrap_or(0);
        }
        open.is_empty() && opened + missed >= RUNS
    });
    ended.with_context(|| format!("{opened} of {RUNS} opened, {missed} missed, open still: {open:?}"))?;
    let (status, records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    let last = last_heartbeat(&records.all).context("a heartbeat")?;
    let told = |kind: &str| {
        let gaps = records.all.iter().filter(|record| is_gap(record));
        gaps.filter_map(|gap| at(gap, "counts").get(kind)?.as_u64()).sum::<u64>()
    };
    let passed = at(last, "counters").as_object().into_iter().flatten();
    let passed: Vec<String> = passed
        .filter(|(name, _)| name.starts_with("probe_passed:"))
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    println!("crowd: {opened} of {RUNS} opened, {missed} missed; {}", passed.join(", "));
    for (kind, program) in [("fork", "tp_fork_again"), ("exec", "tp_exec_again"), ("exit", "tp_exit_again")] {
        let counted = at(last, "counters").get(format!("probe_passed:{program}")).and_then(Value::as_u64);
        let (told, counted) = (told(kind), counted.unwrap_or(0));
        ensure!(told <= counted, "{told} are told to have passed {program} by, and {counted} did");
    }
    Ok(())
}

/// Death by signal is told as such.
pub(super) fn signal(place: &Place) -> Result<()> {
    let directory = place.directory("signal")?;
    let program = directory.join("victim");
    place.program(&program)?;
    home(&directory, 1)?;
    let mut agent = Agent::start(place, "signal", "")?;
    let steps = ["read", &path(&directory, ".pgpass"), "raise", "9"];
    act(place, &[&["become", &program.display().to_string(), "["], &steps[..], &["]"]].concat())?.wait()?;
    let chain = closed(&mut agent.records, "/victim")?;
    let of = of_chain(&agent.records, text(&chain, "chain"));
    let exit = one(&of, "exit", |_| true)?;
    ensure!(at(exit, "exit.signal").as_u64() == Some(9), "exit: {exit}");
    drop(agent.stop()?);
    Ok(())
}

/// A script is called by its own name, not by its interpreter's.
pub(super) fn script(place: &Place) -> Result<()> {
    let directory = place.directory("script")?;
    let interpreter = directory.join("interpreter");
    place.program(&interpreter)?;
    home(&directory, 1)?;
    let job = directory.join("job.act");
    // The interpreter gets the script's name as its first step, which exists and is read.
    std::fs::write(&job, format!("#!{} read\n", interpreter.display()))?;
    std::fs::set_permissions(&job, std::fs::Permissions::from_mode(0o755))?;
    let mut agent = Agent::start(place, "script", "")?;
    act_well(place, &["become", &job.display().to_string(), "[", "read", &path(&directory, ".pgpass"), "]"])?;
    let chain = closed(&mut agent.records, "/job.act")?;
    let of = of_chain(&agent.records, text(&chain, "chain"));
    let open = one(&of, "secret.open", |_| true)?;
    ensure!(text(open, "process.script") == job.display().to_string(), "script: {open}");
    ensure!(text(open, "process.exe") == interpreter.display().to_string(), "interpreter: {open}");
    drop(agent.stop()?);
    Ok(())
}
