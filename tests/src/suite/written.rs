//! Credentials that are written: who wrote one, and what that one held by then.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{act_well, closed, is_action, of_chain, one, path};
use crate::Place;
use crate::agent::Agent;
use crate::records::{at, seq, text};

/// One program reads an old token, asks its issuer, and writes a new one; one writes a token and never read any; one writes
/// what is no secret, and looks at what is one. One writes beside and renames, and one does so with what is no secret.
pub(super) fn written(place: &Place) -> Result<()> {
    let directory = place.directory("written")?;
    for program in ["renewer", "keygen", "clerk", "careful", "neat"] {
        place.program(&directory.join(program))?;
    }
    let tokens = directory.join("tokens");
    fs::create_dir(&tokens)?;
    fs::write(tokens.join("old"), "a secret, for the test\n")?;
    let of = |name: &str| path(&tokens, name);
    let public = path(&directory, "public");
    let issuer = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let issuer = issuer.local_addr()?.to_string();
    let config = format!("[credentials]\npaths = [\"{}/*\"]\n", tokens.display());
    let mut agent = Agent::start(place, "written", &config)?;
    let act = |program: &str, steps: &[&str]| {
        let program = path(&directory, program);
        act_well(place, &[&["become", &program, "["], steps, &["]"]].concat())
    };
    act("clerk", &["write", &public, "no secret", "look-at", &of("old"), "connect", &issuer])?;
    act("keygen", &["write-with", "make", &of("made"), "connect", &issuer])?;
    act(
        "renewer",
        &["read", &of("old"), "connect", &issuer, "write", &of("new"), "a secret, for the test\n"],
    )?;

    // Beside, but where a credential is none.
    let beside = path(&directory, "beside");
    fs::write(&public, "no secret")?;
    act("neat", &["replace", &beside, &public, "look-at", &of("old")])?;
    act("careful", &["read", &of("old"), "replace", &beside, &of("new"), "connect", &issuer])?;

    let chain = closed(&mut agent.records, "/renewer")?;
    let of_renewer = of_chain(&agent.records, text(&chain, "chain"));
    let opened = one(&of_renewer, "secret.open", |_| true)?;
    let write = one(&of_renewer, "secret.write", |_| true)?;
    ensure!(text(write, "file.path") == of("new") && text(write, "file.access") == "write", "{write}");
    let credentials: Vec<&str> =
        at(write, "credential").as_array().into_iter().flatten().map(|one| text(one, "path")).collect();
    ensure!(credentials == [of("new"), of("old")], "what was written, then what was held: {write}");
    ensure!(
        text(&at(write, "credential")[0], "version").is_empty(),
        "a version of what was not read: {write}"
    );
    ensure!(text(write, "link.relation") == "written_after", "{write}");
    ensure!(at(write, "link.of")[0].as_u64() == Some(seq(opened)), "not after the opening: {write}");
    let worth = at(write, "link.confidence").as_u64().context("no confidence")?;
    ensure!((30..75).contains(&worth), "a fair link, as no fact tells what it was made of: {write}");
    let summary = at(&chain, "summary.written").as_array().context("no list of what was written")?;
    ensure!(summary.len() == 1 && text(&summary[0], "path") == of("new"), "{chain}");

    let chain = closed(&mut agent.records, "/keygen")?;
    let of_keygen = of_chain(&agent.records, text(&chain, "chain"));
    let write = one(&of_keygen, "secret.write", |_| true)?;
    ensure!(text(write, "file.path") == of("made") && at(write, "link").is_null(), "{write}");
    let connect = of_keygen.iter().find(|record| is_action(record, "connect"));
    ensure!(connect.is_none_or(|connect| at(connect, "link").is_null()), "who wrote holds it: {connect:?}");
    ensure!(at(&chain, "summary.credentials").as_array().is_some_and(Vec::is_empty), "{chain}");

    renamed(&mut agent, &of, &place.tiers.0)?;
    for innocent in ["clerk", "neat"] {
        let program = path(&directory, innocent);
        let of_it = agent.records.all.iter().filter(|record| text(record, "process.exe") == program);
        let told: Vec<_> = of_it.filter(|record| text(record, "action").starts_with("secret.")).collect();
        ensure!(told.is_empty(), "neither opened nor written: {told:#?}");
    }
    // Also not where a program that opens one would be, since it lies where everybody may write.
    let of_keygen = |record: &&Value| text(record, "chain") == text(&chain, "chain");
    let found = agent.records.all.iter().filter(of_keygen).find(|record| text(record, "type") == "finding");
    ensure!(found.is_none(), "to write a credential is no finding: {found:?}");
    let shown = agent.ask(place, &["show", text(&chain, "chain")])?;
    ensure!(shown.contains("  wrote ") && !shown.contains("  opened "), "as it is shown:\n{shown}");
    drop(agent.stop()?);
    Ok(())
}

/// What was renamed to its place is told with its own version, and as what came after the old one. In the tier that has no names
/// at hand, nothing is.
fn renamed(agent: &mut Agent, of: &dyn Fn(&str) -> String, tier: &str) -> Result<()> {
    let chain = closed(&mut agent.records, "/careful")?;
    let of_careful = of_chain(&agent.records, text(&chain, "chain"));
    let writes: Vec<_> = of_careful.iter().filter(|record| is_action(record, "secret.write")).collect();
    if tier == "tracepoint" {
        ensure!(writes.is_empty(), "seen by what is not attached: {writes:?}");
        return Ok(());
    }
    let [write] = writes.as_slice() else { anyhow::bail!("one writing, told as {writes:#?}") };
    ensure!(text(write, "file.path") == of("new") && text(write, "file.access") == "rename", "{write}");
    ensure!(text(write, "seen_by").ends_with("/security_path_rename"), "{write}");
    let credentials = at(write, "credential").as_array().context("no credentials")?;
    let paths: Vec<&str> = credentials.iter().map(|one| text(one, "path")).collect();
    ensure!(paths == [of("new"), of("old")], "what was written, then what was held: {write}");
    let versions: Vec<&str> = credentials.iter().map(|one| text(one, "version")).collect();
    // None where the kernel, emulated, was not done with it before the agent looked; never that of the old one.
    ensure!(versions[0] != versions[1], "whose version it is: {write}");
    ensure!(text(write, "link.relation") == "written_after", "{write}");
    let connect = one(&of_careful, "connect", |_| true)?;
    let held = at(connect, "credential").as_array().context("no credentials")?;
    ensure!(held.len() == 1 && text(&held[0], "path") == of("old"), "who renames holds it: {connect}");
    let summary = at(&chain, "summary.written").as_array().context("no list of what was written")?;
    ensure!(summary.len() == 1 && text(&summary[0], "version") == versions[0], "{chain}");
    Ok(())
}
