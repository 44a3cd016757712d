//! What behavioural provenance is for, played by real programs, each as `spoor show` prints it: a job that takes a token,
//! fetches, builds and deploys; a service that reads through a gateway and writes to a store, as declared and beyond it;
//! one secret that fans out into five systems; a privileged job that fails and is tried
//! again by its orchestrator, and the same command from elsewhere, which is no retry.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::{
    BACKUP, SECRET, act_well, closed, home, is_action, is_chain, of_chain, one, path, port_is, refusing_port,
};
use crate::Place;
use crate::agent::Agent;
use crate::records::{at, seq, text};

/// Ports of the loopback device that answer.
fn systems(count: usize) -> Result<(Vec<TcpListener>, Vec<u16>)> {
    let mut listeners = Vec::new();
    let mut ports = Vec::new();
    for _ in 0..count {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        ports.push(listener.local_addr()?.port());
        listeners.push(listener);
    }
    Ok((listeners, ports))
}

fn to(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// A file that only the service account may read.
fn secret(file: &Path) -> Result<()> {
    fs::write(file, format!("{SECRET}\n"))?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o400))?;
    Ok(chown(file, Some(BACKUP), Some(BACKUP))?)
}

/// Two credentials, and what one service is for.
fn config(directory: &Path, [gateway, store, _]: [u16; 3]) -> Result<String> {
    let (token, orders) = (directory.join("token"), directory.join("orders-token"));
    secret(&token)?;
    secret(&orders)?;
    let declared = directory.join("purposes.d");
    fs::create_dir_all(&declared)?;
    let reader = path(directory, "reader");
    let purpose = format!(
        "[[purpose]]\nname = \"analytics\"\nactor = \"user:*:{reader}\"\nowner = \"data team\"\n\
         programs = [\"{reader}\"]\ncredentials = [{orders:?}]\n\
         destinations = [\"127.0.0.1:{gateway}\", \"127.0.0.1:{store}\"]\n"
    );
    fs::write(declared.join("analytics.toml"), purpose)?;
    Ok(format!("[credentials]\npaths = [{token:?}, {orders:?}]\n[purposes]\npath = {declared:?}\n"))
}

const PROGRAMS: [&str; 9] =
    ["ci-job", "npm", "make", "deploy", "reader", "rotator", "orchestrator", "migrate", "intruder"];

/// Every story, one agent.
pub(super) fn uses(place: &Place) -> Result<()> {
    let directory = place.directory("uses")?;
    for program in PROGRAMS {
        place.program(&directory.join(program))?;
    }
    let (_listeners, ports) = systems(3)?;
    let [gateway, store, third] = ports.as_slice() else { unreachable!("three were asked for") };
    let services = [*gateway, *store, *third];
    let config = config(&directory, services)?;
    let mut agent = Agent::start(place, "uses", &config)?;
    fetches_builds_and_deploys(place, &directory, &mut agent)?;
    reads_and_writes(place, &directory, &mut agent, services)?;
    fans_out(place, &directory, &mut agent)?;
    is_tried_again(place, &directory, &mut agent)?;
    let everything = [agent.records.shown(), agent.log()].concat();
    ensure!(!everything.contains(SECRET), "the secret left its file:\n{everything}");
    let (status, _) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    Ok(())
}

/// As the service account, a program of this test with these steps; the command must end well.
fn job(place: &Place, directory: &Path, program: &str, steps: &[&str]) -> Result<()> {
    let (user, program) = (BACKUP.to_string(), path(directory, program));
    // By one that the agent sees: of who comes from outside the scope, the making is not known.
    let maker = place.act.display().to_string();
    let made = ["spawn", &maker, "[", "user", &user, "become", &program, "["];
    act_well(place, &[&made, steps, &["]", "]"]].concat())
}

/// A job takes a token, fetches a package, builds something of it, and deploys that. What arrives is what was built.
fn fetches_builds_and_deploys(place: &Place, directory: &Path, agent: &mut Agent) -> Result<()> {
    let (mut listeners, ports) = systems(2)?;
    let [registry, production] = ports.as_slice() else { unreachable!("two were asked for") };
    let (deployed, packages) = (listeners.pop().context("two")?, listeners.pop().context("two")?);
    let token = path(directory, "token");
    let [npm, make, deploy] = ["npm", "make", "deploy"].map(|program| path(directory, program));
    let work = workplace(directory, "build")?;
    let (package, built) = (path(&work, "package"), path(&work, "built"));
    let (registry_at, production_at) = (to(*registry), to(*production));
    let steps = ["read", &token, "spawn", &npm, "[", "fetch", &registry_at, &package, "]"];
    let steps = [&steps[..], &["spawn", &make, "[", "build", &package, &built, "]"]].concat();
    let steps = [&steps[..], &["spawn", &deploy, "[", "put", &built, &production_at, "]"]].concat();
    // It gives to whoever comes: nobody else does, and one who does not come fails the job.
    std::thread::spawn(move || packages.accept().and_then(|(mut peer, _)| peer.write_all(b"orders 1.0")));
    job(place, directory, "ci-job", &steps)?;
    ensure!(received(&deployed)? == "built of orders 1.0", "something else was deployed");
    let chain = closed(&mut agent.records, "/ci-job")?;
    let of = of_chain(&agent.records, text(&chain, "chain"));
    one(&of, "secret.open", |record| text(record, "file.path") == token)?;
    for (program, port) in [(&npm, Some(registry)), (&make, None), (&deploy, Some(production))] {
        one(&of, "exec", |record| text(record, "process.exe") == program)?;
        let mut reached = of.iter().filter(|r| is_action(r, "connect") && text(r, "process.exe") == program);
        let Some(port) = port else {
            ensure!(reached.next().is_none(), "{program} reached something");
            continue;
        };
        let connect = reached.next().with_context(|| format!("{program} reached nothing"))?;
        ensure!(port_is(*port)(connect) && text(connect, "outcome") == "established", "{connect}");
        ensure!(text(connect, "link.basis") == "inherited", "{connect}");
        let facts = at(connect, "link.facts").to_string();
        ensure!(facts.contains("only-credential"), "{connect}");
        ensure!(at(connect, "link.confidence").as_u64() >= Some(30), "a fair link: {connect}");
    }
    let opened = of.iter().filter(|record| is_action(record, "secret.open"));
    ensure!(opened.count() == 1, "what was fetched and built is no credential: {of:?}");
    let executed = at(&chain, "summary.executed").to_string();
    for program in [&npm, &make, &deploy] {
        ensure!(executed.contains(program.as_str()), "{program} is not in {executed}");
    }
    show(agent, place, &chain, &["npm", "make", "deploy", "established"])
}

/// Where the service account may write.
fn workplace(directory: &Path, name: &str) -> Result<PathBuf> {
    let work = directory.join(name);
    fs::create_dir_all(&work)?;
    chown(&work, Some(BACKUP), Some(BACKUP))?;
    Ok(work)
}

/// What the first who connected had sent, before it ended.
fn received(listener: &TcpListener) -> Result<String> {
    // It was here and is gone: if not, that is the answer, and no wait for it.
    listener.set_nonblocking(true)?;
    let (mut peer, _) = listener.accept().context("nobody came")?;
    peer.set_nonblocking(false)?;
    let mut text = String::new();
    peer.read_to_string(&mut text)?;
    Ok(text)
}

/// A service reads through a gateway and writes to a store, which is what it is for. Then it goes on to a third system.
fn reads_and_writes(place: &Place, directory: &Path, agent: &mut Agent, ports: [u16; 3]) -> Result<()> {
    let token = path(directory, "orders-token");
    let [gateway, store, third] = ports.map(to);
    let steps = ["read", &token, "connect", &gateway, "connect", &store];
    let [known @ .., further] = ports;

    let within = run_of_reader(place, directory, agent, &steps)?;
    is_judged(agent, &within, &known.map(|port| (port, "within")))?;
    let found = findings_of_reader(agent);
    ensure!(found.is_empty(), "found in what is declared: {found:?}");
    let shown = agent.ask(place, &["show", text(&within, "chain")])?;
    ensure!(!shown.contains('✗') && !shown.contains("! finding"), "marked as outside:\n{shown}");
    let count = at(&within, "summary.purpose.within");
    show(agent, place, &within, &[&format!("analytics  {count} within\n")])?;

    let beyond = run_of_reader(place, directory, agent, &[&steps[..], &["connect", &third]].concat())?;
    let [gateway, store] = known.map(|port| (port, "within"));
    is_judged(agent, &beyond, &[gateway, store, (further, "outside")])?;
    let of = of_chain(&agent.records, text(&beyond, "chain"));
    let connect = one(&of, "connect", port_is(further))?;
    let reason = format!("destination {third} is not among its destinations");
    ensure!(text(connect, "purpose.reason") == reason, "{connect}");
    ensure!(*at(connect, "purpose.misfits") == json!(["destination"]), "{connect}");
    let found = findings_of_reader(agent);
    let [finding] = found.as_slice() else { bail!("one finding should be: {found:?}") };
    ensure!(text(finding, "kind") == "outside-purpose" && at(finding, "count") == 1, "{finding}");
    ensure!(text(finding, "chain") == text(&beyond, "chain"), "{finding}");
    let opening = one(&of, "secret.open", |_| true)?;
    let actions = json!([seq(connect), seq(opening)]);
    ensure!(*at(finding, "actions") == actions, "not {actions}: {finding}");
    ensure!(text(finding, "reason").ends_with(&reason), "{finding}");
    // What was within before is so again.
    let (sums, mark) = (format!("analytics  {count} within  1 outside\n"), format!("✗ analytics: {reason}"));
    show(agent, place, &beyond, &[&sums, "✗connect", &mark, "! finding"])
}

/// Runs it to its end; gives the end of its chain.
fn run_of_reader(place: &Place, directory: &Path, agent: &mut Agent, steps: &[&str]) -> Result<Value> {
    let after = agent.last()?;
    job(place, directory, "reader", steps)?;
    agent.records.wait("the closed chain of the reader", |record| {
        seq(record) > after && is_chain(record, "closed") && text(record, "actor.id").ends_with("/reader")
    })
}

/// One opening, within; these connections in this order, established, after that opening, each with its verdict; nothing
/// else is judged but the reading, where this tier sees it, and nothing is a retry.
fn is_judged(agent: &Agent, chain: &Value, wanted: &[(u16, &str)]) -> Result<()> {
    let of = of_chain(&agent.records, text(chain, "chain"));
    let opening = one(&of, "secret.open", |_| true)?;
    let read: Vec<&&Value> = of.iter().filter(|record| is_action(record, "secret.read")).collect();
    ensure!(read.len() <= 1, "told twice: {read:?}");
    let own = read.iter().copied().chain([&opening]);
    ensure!(own.into_iter().all(|own| text(own, "purpose.verdict") == "within"), "{of:?}");
    let connects: Vec<&&Value> = of.iter().filter(|record| is_action(record, "connect")).collect();
    let ports = connects.iter().map(|connect| at(connect, "destination.port").as_u64());
    let verdicts = ports.zip(connects.iter().map(|connect| text(connect, "purpose.verdict")));
    let expected = wanted.iter().map(|(port, verdict)| (Some(u64::from(*port)), *verdict));
    ensure!(verdicts.eq(expected), "not {wanted:?}: {of:?}");
    for connect in connects {
        ensure!(text(connect, "outcome") == "established", "{connect}");
        ensure!(*at(connect, "link.of") == json!([seq(opening)]), "{connect}");
        ensure!(text(connect, "link.basis") == "same-process", "{connect}");
    }
    ensure!(of.iter().all(|record| at(record, "attempt").is_null()), "a retry: {of:?}");
    let outside = wanted.iter().filter(|(_, verdict)| *verdict == "outside").count();
    let sums = ["within", "outside", "undeclared"]
        .map(|verdict| at(chain, &format!("summary.purpose.{verdict}")).as_u64());
    let expected =
        [1 + read.len() + wanted.len() - outside, outside, 0].map(|count| u64::try_from(count).ok());
    ensure!(sums == expected, "sums: {chain}");
    ensure!(*at(chain, "summary.purpose.names") == json!(["analytics"]), "{chain}");
    Ok(())
}

fn findings_of_reader(agent: &Agent) -> Vec<&Value> {
    let all = agent.records.all.iter().filter(|record| text(record, "type") == "finding");
    all.filter(|record| text(record, "actor.id").ends_with("/reader")).collect()
}

/// One secret, five systems, one of which refuses; a second credential, one.
fn fans_out(place: &Place, directory: &Path, agent: &mut Agent) -> Result<()> {
    let (_listeners, ports) = systems(5)?;
    let (_refuser, refused) = refusing_port()?;
    let (database, rest) = ports.split_first().context("five were asked for")?;
    home(directory, *database)?;
    let (token, pgpass) = (path(directory, "token"), path(directory, ".pgpass"));
    let systems: Vec<u16> = rest.iter().copied().chain([refused]).collect();
    let mut steps: Vec<String> = vec!["read".into(), token.clone()];
    steps.extend(systems.iter().flat_map(|port| ["connect".to_owned(), to(*port)]));
    steps.extend(["read".into(), pgpass, "connect".into(), to(*database)]);
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    job(place, directory, "rotator", &steps)?;
    let chain = closed(&mut agent.records, "/rotator")?;
    let destinations = at(&chain, "summary.destinations").as_array().context("no destinations")?;
    let outcome = |port: u16| {
        let mut found = destinations.iter().filter(|to| at(to, "port").as_u64() == Some(port.into()));
        found.next().map(|to| text(to, "outcome").to_owned())
    };
    ensure!(outcome(refused).as_deref() == Some("refused"), "{destinations:?}");
    let fan_out = at(&chain, "summary.fan_out").as_array().context("no fan-out")?;
    let reached = |id: &str| -> Vec<u64> {
        let of = fan_out.iter().find(|one| text(one, "credential").contains(id));
        let places = of.and_then(|of| at(of, "destinations").as_array()).into_iter().flatten();
        let places = places.filter_map(|place| usize::try_from(place.as_u64()?).ok());
        places.filter_map(|place| at(destinations.get(place)?, "port").as_u64()).collect()
    };
    let wanted: Vec<u64> = systems.iter().map(|port| u64::from(*port)).collect();
    ensure!(reached("token") == wanted, "of the token, in their order {wanted:?}: {fan_out:?}");
    ensure!(reached("pgpass") == [u64::from(*database)], "of the pgpass {database}: {fan_out:?}");
    show(agent, place, &chain, &["fan-out", "5 systems", &format!("5  {}", to(refused)), "refused"])
}

/// An orchestrator has a job done until it succeeds. Somebody else runs the same command after it had failed.
fn is_tried_again(place: &Place, directory: &Path, agent: &mut Agent) -> Result<()> {
    let (_listeners, ports) = systems(1)?;
    let port = *ports.first().context("one was asked for")?;
    let (_refuser, refused) = refusing_port()?;
    let (token, migrate) = (path(directory, "token"), path(directory, "migrate"));
    let (answers, refuses) = (to(port), to(refused));
    // The same command each time: whether it fails is up to what it finds.
    let work = workplace(directory, "work")?;
    let done = path(&work, "done");
    let attempt = ["attempt", &migrate, "[", "read", &token, "connect", &refuses, "connect", &refuses];
    let attempt = [&attempt[..], &["connect", &answers, "must-exist", &done, "]"]].concat();
    let steps = [&attempt[..], &attempt, &["write", &done, "done"], &attempt].concat();
    job(place, directory, "orchestrator", &steps)?;
    let chain = closed(&mut agent.records, "/orchestrator")?;
    fs::remove_file(&done)?;
    job(place, directory, "intruder", &attempt)?;
    let elsewhere = closed(&mut agent.records, "/intruder")?;
    let of = of_chain(&agent.records, text(&chain, "chain"));
    let numbers = |action: &str, of: &[&Value]| -> Vec<Option<u64>> {
        let acted = of.iter().filter(|r| is_action(r, action) && text(r, "process.exe") == migrate);
        acted.map(|record| at(record, "attempt.number").as_u64()).collect()
    };
    // The first execution comes before the chain, which begins with the first credential.
    ensure!(numbers("exec", &of) == [Some(2), Some(3)], "executions: {of:?}");
    let connects = of.iter().filter(|r| is_action(r, "connect"));
    let connects: Vec<(bool, Option<u64>)> =
        connects.map(|r| (port_is(refused)(r), at(r, "attempt.number").as_u64())).collect();
    let to_refuser: Vec<Option<u64>> =
        connects.iter().filter(|(refuser, _)| *refuser).map(|(_, number)| *number).collect();
    ensure!(to_refuser == [None, Some(2), Some(3), Some(4), Some(5), Some(6)], "{connects:?}");
    let to_other = connects.iter().filter(|(refuser, _)| !refuser);
    ensure!(to_other.clone().count() == 3 && to_other.clone().all(|(_, n)| n.is_none()), "{connects:?}");
    let of = of_chain(&agent.records, text(&elsewhere, "chain"));
    ensure!(numbers("exec", &of).iter().all(Option::is_none), "from elsewhere it is no retry: {of:?}");
    ensure!(of.iter().all(|record| !is_chain(record, "opened") || at(record, "attempt").is_null()), "{of:?}");
    show(agent, place, &chain, &["try 2", "try 3", "refused"])
}

/// `spoor show` says it to a person.
fn show(agent: &Agent, place: &Place, chain: &Value, words: &[&str]) -> Result<()> {
    let shown = agent.ask(place, &["show", text(chain, "chain")])?;
    for word in words {
        ensure!(shown.contains(word), "show does not say {word}:\n{shown}");
    }
    println!("{shown}");
    Ok(())
}
