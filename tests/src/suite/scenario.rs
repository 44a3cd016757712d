//! The scenario of the README.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    BACKUP, KEY_ID, SECRET, act, closed, home, is_action, is_chain, of_chain, one, path, port_is,
    refusing_port,
};
use crate::Place;
use crate::agent::Agent;
use crate::records::{Records, at, text};

/// The scenario of the README: two credentials, a second program, a refusal, a connection; and neighbours.
pub(super) fn scenario(place: &Place) -> Result<()> {
    let directory = place.directory("scenario")?;
    let (_refuser, refused) = refusing_port()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let accepted = listener.local_addr()?.port();
    home(&directory, accepted)?;
    for program in ["job", "uploader", "neighbour", "reader"] {
        place.program(&directory.join(program))?;
    }
    let mut agent = Agent::start(place, "scenario", "")?;
    let (job, uploader) = (path(&directory, "job"), path(&directory, "uploader"));
    let to = |port: u16| format!("127.0.0.1:{port}");
    let user = BACKUP.to_string();
    let go = path(&directory, "go");
    let start = |program: &str, steps: &[&str]| {
        let program = path(&directory, program);
        let mut all = vec!["user", &user, "become", &program, "["];
        all.extend(["wait-for", &go]);
        all.extend(steps);
        all.push("]");
        act(place, &all)
    };
    let mut children = [
        start("neighbour", &["connect", &to(accepted)])?,
        start("reader", &["read", &path(&directory, "notes.txt")])?,
        start(
            "job",
            &[
                "read",
                &path(&directory, ".aws/credentials"),
                "read",
                &path(&directory, ".pgpass"),
                "spawn",
                &uploader,
                "[",
                "connect",
                &to(refused),
                "connect",
                &to(accepted),
                "]",
                "exit",
                "0",
            ],
        )?,
    ];
    fs::write(&go, "")?;
    for child in &mut children {
        ensure!(child.wait()?.success(), "an acting program failed");
    }
    let chain = closed(&mut agent.records, "/job")?;
    closed(&mut agent.records, "/neighbour")?;
    one_chain_says_so(&agent.records, &chain, &job, &uploader, (refused, accepted))?;
    neighbours_are_not_in_it(&agent.records, text(&chain, "chain"), accepted)?;
    shown(place, &agent, text(&chain, "chain"))?;
    let everything = [agent.records.shown(), agent.log()].concat();
    ensure!(!everything.contains(SECRET), "the secret left its file:\n{everything}");
    let (status, _) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    Ok(())
}

fn one_chain_says_so(
    records: &Records,
    closed: &Value,
    job: &str,
    uploader: &str,
    (refused, accepted): (u16, u16),
) -> Result<()> {
    let of = of_chain(records, text(closed, "chain"));
    let opened = of.iter().find(|record| is_chain(record, "opened")).context("the chain was not opened")?;
    ensure!(text(opened, "actor.id") == format!("user:backup:{job}"), "actor: {}", at(opened, "actor"));
    ensure!(text(opened, "actor.kind") == "system-user", "actor: {}", at(opened, "actor"));
    ensure!(!text(opened, "actor.origin").is_empty(), "no origin: {opened}");
    let aws = one(&of, "secret.open", |r| text(r, "file.path").ends_with("/.aws/credentials"))?;
    ensure!(at(aws, "credential").to_string().contains(KEY_ID), "no key id: {aws}");
    let pgpass = one(&of, "secret.open", |r| text(r, "file.path").ends_with("/.pgpass"))?;
    ensure!(at(pgpass, "credential").to_string().contains("orders"), "no database: {pgpass}");
    ensure!(at(pgpass, "process.euid").as_u64() == Some(BACKUP.into()), "identity: {pgpass}");
    let exec = one(&of, "exec", |r| text(r, "process.exe") == uploader)?;
    ensure!(text(exec, "link.basis") == "inherited", "link of the exec: {exec}");
    for (port, outcome) in [(refused, "refused"), (accepted, "established")] {
        let connect = one(&of, "connect", port_is(port))?;
        ensure!(text(connect, "outcome") == outcome, "outcome: {connect}");
        ensure!(text(connect, "link.relation") == "observed_after", "link: {connect}");
        ensure!(text(connect, "link.basis") == "inherited", "link: {connect}");
        ensure!(at(connect, "link.hops").as_u64() == Some(1), "hops: {connect}");
        ensure!(at(connect, "link.delay_ms").is_number(), "delay: {connect}");
        let after: Vec<u64> =
            at(connect, "link.of").as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        let seq = |open: &Value| at(open, "seq").as_u64().context("a record without seq");
        // The .pgpass names the port that accepts: it comes first there, and has no part in the other.
        let wanted = if port == accepted { vec![seq(pgpass)?, seq(aws)?] } else { vec![seq(aws)?] };
        ensure!(after == wanted, "after {wanted:?}: {connect}");
        let named = at(connect, "link.facts").to_string().contains("destination-named");
        ensure!(named == (port == accepted), "facts: {connect}");
    }
    one(&of, "exit", |r| text(r, "process.exe") == job && at(r, "exit.code").as_u64() == Some(0))?;
    ensure!(text(closed, "reason") == "run-ended", "reason: {closed}");
    Ok(())
}

fn neighbours_are_not_in_it(records: &Records, chain: &str, accepted: u16) -> Result<()> {
    for record in of_chain(records, chain) {
        let exe = text(record, "process.exe");
        ensure!(
            !exe.ends_with("/neighbour") && !exe.ends_with("/reader"),
            "a neighbour is in the chain: {record}"
        );
    }
    let apart = |r: &&Value| text(r, "process.exe").ends_with("/neighbour") && is_action(r, "connect");
    let own = records.all.iter().find(apart).context("the neighbour's own connection was not seen")?;
    ensure!(port_is(accepted)(own) && at(own, "link").is_null(), "the neighbour holds nothing: {own}");
    let trace =
        records.all.iter().find(|r| r.to_string().contains("notes.txt") && text(r, "type") == "action");
    ensure!(trace.is_none(), "a file that is no credential left a record: {trace:?}");
    Ok(())
}

/// `spoor show` and `spoor chains` tell it to a person.
fn shown(place: &Place, agent: &Agent, chain: &str) -> Result<()> {
    let show = agent.ask(place, &["show", chain])?;
    for word in ["backup", KEY_ID, ".pgpass", "refused", "established", "uploader", "inherited"] {
        ensure!(show.contains(word), "show does not say {word}:\n{show}");
    }
    ensure!(!show.contains("neighbour"), "show names a neighbour:\n{show}");
    println!("{show}");
    let chains = agent.ask(place, &["chains"])?;
    ensure!(chains.contains(chain.get(..10).unwrap_or(chain)), "chains does not list {chain}:\n{chains}");
    Ok(())
}
