//! What an operator asks of a running agent: its status, its metrics, and that it takes over a changed config.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{act_well, home, is_action, of_chain, one, path};
use crate::agent::Agent;
use crate::records::{at, last_heartbeat, seq, text};
use crate::{PATIENCE, Place};

/// Openings whose samples must be counted.
const OPENINGS: usize = 50;

/// Status and metrics tell the same, and what the last heartbeat tells; nobody answers once the agent is gone.
pub(super) fn status(place: &Place) -> Result<()> {
    let directory = place.directory("status")?;
    home(&directory, 1)?;
    let metrics = directory.join("metrics.sock");
    let mut agent = Agent::start(place, "status", &format!("[telemetry]\nlisten = {metrics:?}\n"))?;
    let store = agent.directory.join("store");
    let mode = fs::metadata(store.join("status.sock"))?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "the socket has mode {mode:o}");

    // Somebody who asks nothing and reads nothing is there all the time.
    let mute = UnixStream::connect(store.join("status.sock"))?;
    let secret = path(&directory, ".pgpass");
    act_well(place, &["open", &secret].repeat(OPENINGS))?;
    let sentinel = path(&directory, ".aws/credentials");
    act_well(place, &["open", &sentinel])?;
    agent.records.wait("the sentinel", |r| {
        is_action(r, "secret.open") && text(r, "file.path").ends_with("/.aws/credentials")
    })?;

    let (code, status) = settled(place, &store)?;
    ensure!(code == 0 && at(&status, "degraded").as_array().is_some_and(Vec::is_empty), "{code}: {status}");
    ensure!(at(&status, "agent.pid").as_u64() == Some(agent.pid().into()), "whose? {status}");
    ensure!(at(&status, "own.memory_bytes").as_u64() > Some(1 << 20), "its memory: {status}");
    let signals = at(&status, "signals").as_array().context("no signals")?;
    ensure!(signals.len() == 16 && signals.iter().all(|s| at(s, "proven") == true), "signals: {status}");
    let samples = at(&status, "samples").as_array().context("no samples")?;
    let opens = samples.iter().find(|sample| text(sample, "kind") == "secret.open").context("no kind")?;
    ensure!(at(opens, "read").as_u64() > Some(OPENINGS as u64), "openings: {opens}");
    ensure!(sum(&status, "dropped") == 0, "dropped: {status}");
    let sink = &at(&status, "sinks")[0];
    ensure!(text(sink, "name") == "test" && at(sink, "error").is_null(), "the sink: {sink}");

    let scraped = get(&metrics, "/metrics")?;
    let metric = |name: &str| -> Option<f64> {
        scraped.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    };
    // Asked later, so not less.
    for (name, key) in [
        ("spoor_samples_total{kind=\"secret.open\"}", at(opens, "read")),
        ("spoor_samples_read_total", at(&status, "counters.samples_read")),
        ("spoor_records_stored_total", at(&status, "counters.records_stored")),
        ("spoor_store_last_record", at(&status, "store.last_seq")),
    ] {
        let (now, before) = (metric(name).context(name)?, key.as_f64().context(name)?);
        ensure!(now >= before && now < before + 10_000.0, "{name} is {now}, and was {before}:\n{scraped}");
    }
    ensure!(metric("spoor_ready") == Some(1.0) && metric("spoor_degraded") == Some(0.0), "{scraped}");
    ensure!(
        get(&metrics, "/readyz")?.ends_with("\r\n\r\nready\n")
            && get(&metrics, "/healthz")?.ends_with("alive\n")
    );
    drop(mute);

    let (ended, records) = agent.stop()?;
    ensure!(ended.success(), "the agent ended with {ended}");
    let last = last_heartbeat(&records.all).context("no heartbeat")?;
    for name in ["samples_read", "records_stored", "samples_dropped", "askers_refused"] {
        let (asked, told) = (
            at(&status, &format!("counters.{name}")).as_u64(),
            at(last, &format!("counters.{name}")).as_u64(),
        );
        ensure!(asked.is_some() && asked <= told, "{name} was {asked:?}, and is {told:?} at the end");
    }
    ensure!(!metrics.exists() && !store.join("status.sock").exists(), "its sockets are left behind");
    let (code, said) = ask(place, &store)?;
    ensure!(code == 5 && said.contains("no agent runs"), "nobody is there: {code} {said}");
    Ok(())
}

/// The status, once its counters are of one moment: nobody who watches is stopped for whoever asks, so samples may come in
/// between two of them.
fn settled(place: &Place, store: &Path) -> Result<(i32, Value)> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (code, said) = ask(place, store)?;
        let status: Value = serde_json::from_str(&said).with_context(|| format!("no JSON: {said}"))?;
        if Some(sum(&status, "read")) == at(&status, "counters.samples_read").as_u64() {
            return Ok((code, status));
        }
        ensure!(Instant::now() < deadline, "kinds and their sum: {status}");
        std::thread::park_timeout(Duration::from_millis(300));
    }
}

/// What the kinds of samples add up to.
fn sum(status: &Value, key: &str) -> u64 {
    let samples = at(status, "samples").as_array().into_iter().flatten();
    samples.filter_map(|sample| at(sample, key).as_u64()).sum()
}

/// A changed config: what can hold at once does, what cannot is named, and one with a mistake changes nothing.
pub(super) fn reload(place: &Place) -> Result<()> {
    let directory = place.directory("reload")?;
    let program = directory.join("reloaded");
    place.program(&program)?;
    let (secret, other) = (directory.join("app.token"), directory.join("notes.token"));
    for file in [&secret, &other] {
        fs::write(file, "hush\n")?;
    }
    let mut agent = Agent::start(place, "reload", "")?;
    let config = agent.directory.join("spoor.toml");
    let before = fs::read_to_string(&config)?;
    let [exe, secret, other] = [&program, &secret, &other].map(|file| file.display().to_string());
    // A credential that nobody has declared is none; the one of the sentinel is of the catalogue.
    home(&directory, 1)?;
    let known = path(&directory, ".pgpass");
    let job = |agent: &mut Agent| -> Result<Vec<Value>> {
        let after = agent.last()?;
        act_well(place, &["become", &exe, "[", "read", &secret, "read", &known, "]"])?;
        let end = agent.records.wait("the end of the job", |r| {
            seq(r) > after && text(r, "status") == "closed" && text(r, "actor.id").ends_with("/reloaded")
        })?;
        Ok(of_chain(&agent.records, text(&end, "chain")).into_iter().cloned().collect())
    };
    let opened = |of: &[Value], file: &str| {
        of.iter().filter(|r| is_action(r, "secret.open") && text(r, "file.path") == file).count()
    };
    let of = job(&mut agent)?;
    ensure!(opened(&of, &secret) == 0 && opened(&of, &known) == 1, "before: {of:#?}");

    // A mistake: nothing of it holds, not even the good part.
    let declared = format!("{before}[credentials]\npaths = [{secret:?}]\n");
    fs::write(&config, format!("{declared}[store]\n"))?;
    let coverage = agent.reload()?;
    let refused = at(&coverage, "config.refused").to_string();
    ensure!(refused.contains("spoor.toml:") && refused.contains("C002"), "refused: {coverage}");
    ensure!(agent.log().contains("config: NOT taken over"), "it did not say so:\n{}", agent.log());
    let store = agent.directory.join("store");
    let (code, said) = ask(place, &store)?;
    ensure!(code == 1 && said.contains("the newer config was refused"), "degraded: {code} {said}");
    let of = job(&mut agent)?;
    ensure!(opened(&of, &secret) == 0, "refused, and yet in force: {of:#?}");

    // Good: the path holds at once, the kernel's scope after a restart.
    fs::write(&config, format!("{declared}[chain]\nquiet = \"1h\"\n[log]\nlevel = \"debug\"\n"))?;
    let coverage = agent.reload()?;
    let list = |key: &str| at(&coverage, key).to_string();
    ensure!(list("config.changed") == "[\"credentials.paths\",\"log.level\"]", "changed: {coverage}");
    ensure!(list("config.waiting") == "[\"chain\"]", "waiting: {coverage}");
    ensure!(at(&coverage, "config.refused").is_null(), "still refused: {coverage}");
    ensure!(agent.log().contains("after a RESTART only: chain"), "it did not say so:\n{}", agent.log());
    let of = job(&mut agent)?;
    ensure!(opened(&of, &secret) == 1 && opened(&of, &other) == 0, "declared: {of:#?}");
    let open =
        one(&of.iter().collect::<Vec<_>>(), "secret.open", |r| text(r, "file.path") == secret)?.clone();
    ensure!(text(&at(&open, "credential")[0], "kind") == "declared", "what: {open}");

    // Taken away again.
    fs::write(&config, &before)?;
    let coverage = agent.reload()?;
    ensure!(at(&coverage, "config.waiting").is_null(), "nothing waits any more: {coverage}");
    let of = job(&mut agent)?;
    ensure!(opened(&of, &secret) == 0 && opened(&of, &known) == 1, "taken away: {of:#?}");
    let (ended, records) = agent.stop()?;
    ensure!(ended.success(), "the agent ended with {ended}");
    let last = last_heartbeat(&records.all).context("no heartbeat")?;
    let counted = (at(last, "counters.configs_taken"), at(last, "counters.configs_refused"));
    ensure!(counted.0 == 2 && counted.1 == 1, "counted {counted:?}");
    Ok(())
}

/// What `spoor status` says, and its exit code.
fn ask(place: &Place, store: &Path) -> Result<(i32, String)> {
    let output = Command::new(&place.spoor).args(["status", "--json", "--store"]).arg(store).output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code().context("it was killed")?, String::from_utf8(said)?))
}

/// Asks over HTTP, as a scraper does.
fn get(socket: &Path, what: &str) -> Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {what} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    ensure!(said.starts_with("HTTP/1.1 200 "), "{what}: {said}");
    Ok(said)
}
