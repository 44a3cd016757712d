//! What an agent has signed is proven by a look at its store, and at what a sink received.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{act_well, home, path};
use crate::Place;
use crate::agent::Agent;
use crate::records::text;

/// The key is changed under a running agent; what it stored and what its sink received verify, each alone and against each
/// other, without the host's help; an edit of what was received is named.
pub(super) fn evidence(place: &Place) -> Result<()> {
    let directory = place.directory("evidence")?;
    home(&directory, 1)?;
    let mut agent = Agent::start(place, "evidence", "")?;
    let first = agent.records.wait("the first head", |r| text(r, "type") == "head")?;
    act_well(place, &["open", &path(&directory, ".pgpass")])?;
    let rotated = agent.ask(place, &["keys", "rotate"])?;
    let key = agent.ask(place, &["keys", "show"])?;
    ensure!(rotated.ends_with(&format!("signed for\n{key}")), "rotate said {rotated}, show {key}");
    ensure!(text(&first, "head.key") != key.trim(), "the key is still {key}");
    let known = agent.directory.clone();
    let (status, records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    let last = records.all.last().context("no records")?;
    ensure!(text(last, "type") == "head", "an orderly end is signed, and the last record is {last}");

    let verify = |arguments: &[&str]| -> Result<(i32, String)> {
        let mut command = Command::new(&place.spoor);
        let output = command.arg("verify").args(arguments).stdin(Stdio::null()).output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.code().unwrap_or(-1), String::from_utf8(said)?))
    };
    let (store, received) = (known.join("store"), known.join("records.jsonl"));
    let (store, received) = (store.display().to_string(), received.display().to_string());
    let (store, received) = (store.as_str(), received.as_str());
    let pinned = text(&first, "head.key");
    let count = records.all.len();
    let looks: [(&[&str], &str); 3] = [
        (&["--store", store, "--key", pinned], "  unsigned  0 records"),
        (&["--received", received, "--key", pinned], "  unsigned  0 records"),
        (&["--store", store, "--received", received], "store and receiver agree"),
    ];
    for (arguments, expected) in looks {
        let (code, said) = verify(arguments)?;
        ensure!(code == 0 && said.contains(expected), "{arguments:?} ended with {code}: {said}");
        ensure!(said.contains(&format!("  records   {count}")), "{count} records: {said}");
    }
    let whole = std::fs::read_to_string(received)?;
    let opened = records.all.iter().find(|r| text(r, "action") == "secret.open").context("no opening")?;
    let seq = opened.get("seq").map(ToString::to_string).context("no number")?;
    let line =
        whole.lines().find(|line| line.contains(&format!("\"seq\":{seq},"))).context("not received")?;
    std::fs::write(received, whole.replace(line, &line.replace(".pgpass", ".pgpast")))?;
    let (code, said) = verify(&["--received", received])?;
    ensure!(
        code == 1 && said.contains(&format!("record {seq}:")),
        "an edit of {seq} ended with {code}: {said}"
    );
    Ok(())
}
