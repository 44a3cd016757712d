//! The scenarios. Each takes a [`Place`] and says what is wrong, if anything is.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Command};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};
use serde_json::Value;

use crate::Place;
use crate::agent::Agent;
use crate::records::{Records, at, text};

/// The user `backup` of Debian, which nobody logs in as.
pub const BACKUP: u32 = 34;
/// A key id of the vendor's documentation: it opens nothing.
pub const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
/// What must never be seen again outside the file it is in.
pub const SECRET: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";

/// One scenario.
pub type Case = fn(&Place) -> Result<()>;

/// All of them, by name.
pub const CASES: [(&str, Case); 12] = [
    ("scenario", scenario),
    ("tiers", tiers),
    ("outcomes", outcomes),
    ("rename-over", rename_over),
    ("threads", threads),
    ("daemon", daemon),
    ("signal", signal),
    ("balance", balance),
    ("second-instance", second_instance),
    ("refused-hosts", crate::refusals::hosts),
    ("refused-words", crate::refusals::words),
    ("full-disk", crate::refusals::full_disk),
];

/// Starts the acting program in the test's scope.
///
/// # Errors
/// Where it cannot be started.
pub fn act(place: &Place, steps: &[&str]) -> Result<Child> {
    let mut command = Command::new(&place.act);
    if let Some(scope) = &place.scope {
        command.arg("cgroup").arg(&scope.directory);
    }
    command.args(steps).spawn().context("the acting program cannot be started")
}

/// The same, and waits for its end, which must be a success.
///
/// # Errors
/// Where it fails.
pub fn act_well(place: &Place, steps: &[&str]) -> Result<()> {
    let status = act(place, steps)?.wait()?;
    ensure!(status.success(), "the acting program ended with {status}");
    Ok(())
}

/// A port of the loopback device that refuses: bound, and not listening.
///
/// # Errors
/// Where there is none.
pub fn refusing_port() -> Result<(OwnedFd, u16)> {
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    bind(fd.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
    let port = getsockname::<SockaddrIn>(fd.as_raw_fd())?.port();
    Ok((fd, port))
}

/// The home directory of a service account with two credentials in it, and a file that is none.
///
/// # Errors
/// Where it cannot be made.
pub fn home(directory: &Path, database_port: u16) -> Result<()> {
    fs::create_dir_all(directory.join(".aws"))?;
    let aws = format!("[default]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n");
    let pgpass = format!("127.0.0.1:{database_port}:orders:backup:{SECRET}\n");
    for (name, content) in
        [(".aws/credentials", &aws), (".pgpass", &pgpass), ("notes.txt", &"no secret\n".to_owned())]
    {
        let path = directory.join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400))?;
        chown(&path, Some(BACKUP), Some(BACKUP))?;
    }
    Ok(())
}

fn path(directory: &Path, name: &str) -> String {
    directory.join(name).display().to_string()
}

fn is_action(record: &Value, action: &str) -> bool {
    text(record, "type") == "action" && text(record, "action") == action
}

fn is_chain(record: &Value, status: &str) -> bool {
    text(record, "type") == "chain" && text(record, "status") == status
}

/// Waits for the end of the run of a program.
fn closed(records: &mut Records, program: &str) -> Result<Value> {
    records.wait(&format!("the closed chain of {program}"), |record| {
        is_chain(record, "closed") && text(record, "actor.id").ends_with(program)
    })
}

/// Records of one chain.
fn of_chain<'a>(records: &'a Records, chain: &str) -> Vec<&'a Value> {
    records.all.iter().filter(|record| text(record, "chain") == chain).collect()
}

/// The one action of a chain that fits.
fn one<'a>(of: &[&'a Value], action: &str, fits: impl Fn(&Value) -> bool) -> Result<&'a Value> {
    let found: Vec<&&Value> = of.iter().filter(|record| is_action(record, action) && fits(record)).collect();
    match found.as_slice() {
        [one] => Ok(one),
        found => {
            let shown: String = of.iter().map(|record| format!("  {record}\n")).collect();
            bail!("{} actions {action} where one should be, in:\n{shown}", found.len())
        }
    }
}

fn port_is(port: u16) -> impl Fn(&Value) -> bool {
    move |record| at(record, "destination.port").as_u64() == Some(port.into())
}

/// The scenario of the README: two credentials, a second program, a refusal, a connection; and neighbours.
fn scenario(place: &Place) -> Result<()> {
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
        for open in [aws, pgpass] {
            let seq = at(open, "seq").as_u64().context("a record without seq")?;
            ensure!(after.contains(&seq), "{connect} does not name {open}");
        }
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
    let ask = |arguments: &[&str]| -> Result<String> {
        let output = Command::new(&place.spoor)
            .args(arguments)
            .arg("--store")
            .arg(agent.directory.join("store"))
            .output()?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    let show = ask(&["show", chain])?;
    for word in ["backup", KEY_ID, ".pgpass", "refused", "established", "uploader", "inherited"] {
        ensure!(show.contains(word), "show does not say {word}:\n{show}");
    }
    ensure!(!show.contains("neighbour"), "show names a neighbour:\n{show}");
    println!("{show}");
    let chains = ask(&["chains"])?;
    ensure!(chains.contains(chain.get(..10).unwrap_or(chain)), "chains does not list {chain}:\n{chains}");
    Ok(())
}

/// The coverage record says which tier is in use, and every signal is proven.
fn tiers(place: &Place) -> Result<()> {
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
    ensure!(signals.len() == 6 && signals.iter().all(|s| at(s, "proven") == true), "not proven: {coverage}");
    println!("ready after {} ms", agent.ready_after.as_millis());
    let (status, _) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    Ok(())
}

/// Every outcome, IPv4 and IPv6, blocking and not.
fn outcomes(place: &Place) -> Result<()> {
    let directory = place.directory("outcomes")?;
    let program = directory.join("dialler");
    place.program(&program)?;
    let (_refuser, refused) = refusing_port()?;
    let four = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let six = TcpListener::bind((Ipv6Addr::LOCALHOST, 0))?;
    let (four, six) = (four.local_addr()?, six.local_addr()?);
    let refused4 = format!("127.0.0.1:{refused}");
    // The broadcast address is no host: a connection there fails before a packet is sent.
    let nowhere = "255.255.255.255:9";
    let mut agent = Agent::start(place, "outcomes", "")?;
    let mut steps = vec!["become".to_owned(), program.display().to_string(), "[".into()];
    for way in ["connect", "poll-connect"] {
        for to in [&four.to_string(), &six.to_string(), &refused4, nowhere] {
            steps.extend([way.to_owned(), to.to_owned()]);
        }
    }
    steps.push("]".into());
    act_well(place, &steps.iter().map(String::as_str).collect::<Vec<_>>())?;
    let chain = closed(&mut agent.records, "/dialler")?;
    let of = of_chain(&agent.records, text(&chain, "chain"));
    let told = |port: u16| -> Vec<&str> {
        of.iter()
            .filter(|r| is_action(r, "connect") && port_is(port)(r))
            .map(|r| text(r, "outcome"))
            .collect()
    };
    ensure!(told(four.port()) == ["established"; 2], "IPv4: {:?}", told(four.port()));
    ensure!(told(six.port()) == ["established"; 2], "IPv6: {:?}", told(six.port()));
    ensure!(told(refused) == ["refused"; 2], "refused: {:?}", told(refused));
    let unreachable = told(9);
    let fails = unreachable.len() == 2
        && unreachable.iter().all(|outcome| ["unreachable", "error"].contains(outcome));
    ensure!(fails, "nowhere: {unreachable:?}");
    drop(agent.stop()?);
    Ok(())
}

/// A declared file is replaced by another just before it is read, and is still the credential; its neighbour is not.
fn rename_over(place: &Place) -> Result<()> {
    let directory = place.directory("rename-over")?;
    let program = directory.join("reloader");
    place.program(&program)?;
    let (token, fresh) = (directory.join("token"), directory.join("token.new"));
    fs::write(&token, "old")?;
    let config = format!("[credentials]\npaths = [{token:?}]\n");
    let mut agent = Agent::start(place, "rename-over", &config)?;
    fs::write(&fresh, "new")?;
    fs::rename(&fresh, &token)?;
    fs::write(&fresh, "no credential")?;
    let program = program.display().to_string();
    act_well(
        place,
        &[
            "become",
            &program,
            "[",
            "read",
            &path(&directory, "token.new"),
            "read",
            &path(&directory, "token"),
            "]",
        ],
    )?;
    let chain = closed(&mut agent.records, "/reloader")?;
    let of = of_chain(&agent.records, text(&chain, "chain"));
    let open = one(&of, "secret.open", |_| true)?;
    ensure!(text(open, "file.path") == path(&directory, "token"), "opened: {open}");
    drop(agent.stop()?);
    Ok(())
}

/// One thread opens, another connects: one process.
fn threads(place: &Place) -> Result<()> {
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
fn daemon(place: &Place) -> Result<()> {
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

/// Death by signal is told as such.
fn signal(place: &Place) -> Result<()> {
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

/// Every sample the probes numbered was read or counted as dropped, and none was dropped.
fn balance(place: &Place) -> Result<()> {
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
    let last =
        records.all.iter().rev().find(|r| text(r, "type") == "heartbeat").context("no last heartbeat")?;
    let count = |name: &str| at(last, &format!("counters.{name}")).as_u64();
    let (produced, read) = (count("samples_produced"), count("samples_read"));
    ensure!(produced.is_some() && produced == read, "produced {produced:?}, read {read:?}: {last}");
    ensure!(count("samples_dropped") == Some(0), "dropped: {last}");
    ensure!(count("samples_undecodable") == Some(0), "undecodable: {last}\n{}", fs::read_to_string(directory.join("agent/log"))?);
    ensure!(count("probe_faults") == Some(0), "faults: {last}");
    let opens = records.all.iter().filter(|r| is_action(r, "secret.open")).count();
    ensure!(opens == 200, "{opens} openings of 200");
    Ok(())
}

/// Two agents on one store would write over one another: the second says so and ends.
fn second_instance(place: &Place) -> Result<()> {
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
