//! Purposes of a running agent: verdicts, broken files, and what holds after a reload.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{act, home, is_action, is_chain, of_chain, one, path};
use crate::Place;
use crate::agent::Agent;
use crate::records::{Records, at, last_heartbeat, seq, text};

/// How long a job may run again and again until the digest of its program is known: it is taken when nothing else is to do.
const DIGEST_WITHIN: Duration = Duration::from_mins(1);

/// A job is outside what was declared, which is found once; a broken file changes nothing and is told; a good one holds at once.
pub(super) fn purposes(place: &Place) -> Result<()> {
    let directory = place.directory("purposes")?;
    let program = directory.join("declared");
    place.program(&program)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    home(&directory, port)?;
    let declared = directory.join("purposes.d");
    fs::create_dir_all(&declared)?;
    let file = declared.join("job.toml");
    let exe = program.display().to_string();
    let write = |programs: &str, ports: u16| {
        let text = format!(
            "[[purpose]]\nname = \"job\"\nactor = \"user:*:{exe}\"\nowner = \"tests\"\nprograms = [\"{programs}\"]\n\
             credentials = [\"kind:pgpass\"]\ndestinations = [\"127.0.0.1:{ports}\"]\n"
        );
        fs::write(&file, text)
    };
    write(&exe, 1)?;
    let mut agent = Agent::start(place, "purposes", &format!("[purposes]\npath = {declared:?}\n"))?;
    let first = agent.records.wait("the coverage record", |r| text(r, "type") == "coverage")?;
    ensure!(
        at(&first, "purposes.count") == 1 && at(&first, "purposes.refused").is_null(),
        "in force: {first}"
    );
    let set = text(&first, "purposes.set").to_owned();

    let of = job(place, &mut agent, &directory, &listener)?;
    ensure!(verdict(one(&refs(&of), "secret.open", |_| true)?) == "within", "opening: {of:#?}");
    let connect = one(&refs(&of), "connect", |_| true)?.clone();
    ensure!(verdict(&connect) == "outside" && text(&connect, "purpose.name") == "job", "connect: {connect}");
    let reason = format!("destination 127.0.0.1:{port} is not among its destinations");
    ensure!(text(&connect, "purpose.reason") == reason, "reason: {connect}");
    let end = of.iter().find(|r| is_chain(r, "closed")).context("no end")?;
    ensure!(at(end, "summary.purpose.outside") == 1, "sums: {end}");
    let id = found(&outside(&agent.records), &of, &connect)?;

    // Broken: what was in force stays, and it is said.
    fs::write(declared.join("broken.toml"), "[[purpose]]\nname = \"x\"\n")?;
    let coverage = agent.reload()?;
    ensure!(text(&coverage, "purposes.set") == set, "another set is in force: {coverage}");
    let refused = at(&coverage, "purposes.refused").to_string();
    ensure!(refused.contains("broken.toml:1:1") && refused.contains("`owner`"), "refused: {refused}");
    ensure!(agent.log().contains("NOT taken over"), "it did not say so:\n{}", agent.log());
    let of = job(place, &mut agent, &directory, &listener)?;
    ensure!(verdict(one(&refs(&of), "connect", |_| true)?) == "outside", "the old set: {of:#?}");
    // The same is no finding anew.
    let again = |r: &Value| text(r, "finding_id") == id && text(r, "told") == "again";
    let again = agent.records.wait("the finding, again", again)?;
    let chain = of.first().map(|record| text(record, "chain"));
    ensure!(at(&again, "count") == 2 && Some(text(&again, "chain")) == chain, "again: {again}");

    // Repaired, with another port, and the program's digest.
    fs::remove_file(declared.join("broken.toml"))?;
    write(&format!("{exe} sha256:{}", digest(&program)?), port)?;
    let coverage = agent.reload()?;
    ensure!(
        text(&coverage, "purposes.set") != set && at(&coverage, "purposes.refused").is_null(),
        "{coverage}"
    );
    until_known(|| job(place, &mut agent, &directory, &listener))?;
    let store = agent.directory.join("store");
    let (status, records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    let last = last_heartbeat(&records.all).context("no heartbeat")?;
    let told = outside(&records);
    ensure!(told.len() == 2, "what is within or undeclared was found: {told:#?}");
    let counted = (at(last, "counters.purposes_taken"), at(last, "counters.purposes_refused"));
    ensure!(counted.0 == 2 && counted.1 == 1, "counted {counted:?}");
    learnt(place, &directory, &store)
}

/// Runs a job until it is within, which it is not before the digest of its program is known.
fn until_known(mut job: impl FnMut() -> Result<Vec<Value>>) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < DIGEST_WITHIN {
        let of = job()?;
        let connect = one(&refs(&of), "connect", |_| true)?.clone();
        if verdict(&connect) == "within" {
            return Ok(());
        }
        ensure!(text(&connect, "purpose.reason").contains("digest"), "neither known nor unknown: {connect}");
    }
    bail!("the digest of its program was never known")
}

/// Findings that something is outside its purpose, in the order they were told.
fn outside(records: &Records) -> Vec<Value> {
    let all = records.all.iter().filter(|record| text(record, "kind") == "outside-purpose");
    all.cloned().collect()
}

/// There is one, of this chain, and it leads to the connection and to the opening before it. Gives its id.
fn found(told: &[Value], of: &[Value], connect: &Value) -> Result<String> {
    let [finding] = told else { bail!("{} findings where one should be: {told:#?}", told.len()) };
    let opening = one(&refs(of), "secret.open", |_| true)?;
    ensure!(text(finding, "type") == "finding" && text(finding, "told") == "first", "{finding}");
    ensure!(text(finding, "chain") == text(connect, "chain"), "of another chain: {finding}");
    let actions: Vec<u64> =
        at(finding, "actions").as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    ensure!(actions == [seq(connect), seq(opening)], "{actions:?} are not its actions: {of:#?}");
    let reason = text(connect, "purpose.reason");
    let facts =
        (text(finding, "facts.purpose"), text(finding, "facts.misfit"), text(finding, "facts.expired"));
    ensure!(facts == ("job", reason, "no"), "facts: {finding}");
    ensure!(text(finding, "reason").ends_with(reason), "it does not say why: {finding}");
    // The credential names the place: of this link nobody doubts.
    ensure!(text(finding, "severity") == "high" && at(finding, "count") == 1, "{finding}");
    Ok(text(finding, "finding_id").to_owned())
}

/// What is proposed is taken by the check, and allows all that was recorded.
fn learnt(place: &Place, directory: &Path, store: &Path) -> Result<()> {
    let spoor = |arguments: &[&str]| -> Result<String> {
        let output = Command::new(&place.spoor).args(arguments).arg("--store").arg(store).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{arguments:?} ended with {}: {said}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    };
    let proposed = spoor(&["learn", "--since", "1d"])?;
    let file = path(directory, "learned.toml");
    fs::write(&file, &proposed)?;
    spoor(&["check", &file])?;
    let said = spoor(&["check", &file, "--since", "1d", "--json"])?;
    let lines: Vec<Value> = said.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let actors: Vec<&Value> = lines.iter().filter(|line| at(line, "within").is_u64()).collect();
    ensure!(actors.iter().any(|line| text(line, "actor").ends_with("/declared")), "whose? {said}");
    let all_within = actors.iter().all(|line| at(line, "outside") == 0 && at(line, "undeclared") == 0);
    ensure!(all_within, "learnt and not within: {said}\nof:\n{proposed}");
    let changed =
        lines.iter().any(|line| text(line, "recorded") == "outside" && text(line, "verdict") == "within");
    ensure!(changed, "it does not say what would be other than it was: {said}");
    Ok(())
}

/// Runs the job once. Gives the records of its chain.
fn job(place: &Place, agent: &mut Agent, directory: &Path, listener: &TcpListener) -> Result<Vec<Value>> {
    let port = listener.local_addr()?.port();
    let program = path(directory, "declared");
    let (secret, to) = (path(directory, ".pgpass"), format!("127.0.0.1:{port}"));
    let after = agent.last()?;
    // The job lives until its connection is told: of one that is gone nobody can say what it ran.
    let done = path(directory, "done");
    let mut child =
        act(place, &["become", &program, "[", "read", &secret, "connect", &to, "wait-for", &done, "]"])?;
    let told = agent.records.wait("the connection of the job", |r| seq(r) > after && is_action(r, "connect"));
    fs::write(&done, "")?;
    let status = child.wait()?;
    fs::remove_file(&done)?;
    told?;
    ensure!(status.success(), "the job ended with {status}");
    // Else the queue of the listener is full one day, and the job waits. It has connected, so this does not.
    drop(listener.accept()?);
    let end = agent.records.wait("the end of the job", |r| {
        seq(r) > after && is_chain(r, "closed") && text(r, "actor.id").ends_with("/declared")
    })?;
    Ok(of_chain(&agent.records, text(&end, "chain")).into_iter().cloned().collect())
}

fn refs(of: &[Value]) -> Vec<&Value> {
    of.iter().collect()
}

fn verdict(record: &Value) -> &str {
    text(record, "purpose.verdict")
}

/// SHA-256 of a file, as people write it.
fn digest(program: &Path) -> Result<String> {
    let digest = Sha256::digest(fs::read(program)?);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
