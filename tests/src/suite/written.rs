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
/// what is no secret, and looks at what is one.
pub(super) fn written(place: &Place) -> Result<()> {
    let directory = place.directory("written")?;
    for program in ["renewer", "keygen", "clerk"] {
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

    let clerk = path(&directory, "clerk");
    let of_clerk = agent.records.all.iter().filter(|record| text(record, "process.exe") == clerk);
    let told: Vec<_> = of_clerk.filter(|record| text(record, "action").starts_with("secret.")).collect();
    ensure!(told.is_empty(), "neither opened nor written: {told:#?}");
    // Also not where a program that opens one would be, since it lies where everybody may write.
    let of_keygen = |record: &&Value| text(record, "chain") == text(&chain, "chain");
    let found = agent.records.all.iter().filter(of_keygen).find(|record| text(record, "type") == "finding");
    ensure!(found.is_none(), "to write a credential is no finding: {found:?}");
    let shown = agent.ask(place, &["show", text(&chain, "chain")])?;
    ensure!(shown.contains("  wrote ") && !shown.contains("  opened "), "as it is shown:\n{shown}");
    drop(agent.stop()?);
    Ok(())
}
