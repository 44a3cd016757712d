//! A real docker: what runs in a container of its own accord, what a person executes there, and who that was.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{PUBLIC, SECRETS};
use crate::records::{Records, at, text};
use crate::suite::house::shell;
use crate::suite::{SECRET, is_action, port_is};

const GO: &str = "/srv/docker";
/// Of the container that is entered.
const NAME: &str = "entered";

/// What is done before systemd is there. There is no bridge: cloud kernels of guests have none of its modules.
pub(super) fn before_boot() -> Result<()> {
    const DAEMON: &str = r#"{"bridge": "none", "iptables": false, "ip6tables": false}"#;
    for directory in ["/etc/docker", GO] {
        fs::create_dir_all(directory)?;
    }
    fs::write("/etc/docker/daemon.json", DAEMON)?;
    for file in ["docker-own", "docker-exec", "docker-again", "docker-service", "docker-health"] {
        fs::write(format!("{SECRETS}/{file}"), format!("{SECRET}\n"))?;
        fs::write(format!("{PUBLIC}/{file}"), format!("{SECRET}\n"))?;
    }
    shell("usermod --append --groups docker alice")
}

/// Starts the daemon and makes its image.
pub(super) fn image() -> Result<()> {
    let started = Instant::now();
    shell("systemctl start docker.service").or_else(|error| {
        // What it says of itself is the reason.
        let said = shell("journalctl --no-pager --lines=40 --unit=docker.service; false");
        said.context(error)
    })?;
    // A check that is nobody's, every few seconds, as long as a container of that image runs.
    let check =
        format!(r#"HEALTHCHECK --interval=3s --timeout=60s CMD ["/act", "read", "{SECRETS}/docker-health"]"#);
    shell("tar -C /srv/image -c . | docker import - house")?;
    shell(&format!("tar -C /srv/image -c . | docker import --change '{check}' - house-checked"))?;
    println!("docker was there after {:.0?}", started.elapsed());
    Ok(())
}

/// A container's own program acts, and docker's check of it; a person, who came by ssh, executes a program in it, and beside
/// that person, at the same time, a service does. Then the person does once more, by the id.
pub(super) fn entered(port: u16, records: &mut Records) -> Result<()> {
    let act = |name: &str| format!("/act read {PUBLIC}/{name} read {SECRETS}/{name}");
    let folders = [SECRETS, PUBLIC, GO].map(|one| format!("--volume={one}:{one}:ro")).join(" ");
    shell(&format!(
        "docker run --detach --network=host --name={NAME} --cidfile=/run/cid/docker-own {folders} house-checked {} \
        wait-long {GO}/end",
        act("docker-own")
    ))?;
    let opened = |records: &mut Records, name: &str| {
        let path = format!("{SECRETS}/{name}");
        records.wait(&format!("the opening of {path}"), |record| {
            is_action(record, "secret.open") && text(record, "file.path") == path
        })
    };
    let own = opened(records, "docker-own")?;
    shell(&format!(
        "/srv/bin/alice \"docker exec {NAME} {} connect 127.0.0.1:{port}\" & alice=$!; \
        systemd-run --quiet --wait --unit=asking docker exec --user=0 {NAME} {}; service=$?; \
        wait $alice && exit $service",
        act("docker-exec"),
        act("docker-service")
    ))?;
    let exec = opened(records, "docker-exec")?;
    let connected = records.wait("the connection", |record| {
        is_action(record, "connect")
            && text(record, "process.id") == text(&exec, "process.id")
            && port_is(port)(record)
    })?;
    // Who asked the daemon is another program, in the person's session, with the socket for a credential.
    let asked = records.wait("the use of docker's socket", |record| {
        is_action(record, "connect")
            && at(record, "credential").to_string().contains("docker-socket")
            && text(record, "actor.kind") == "human-session"
    })?;
    let service = opened(records, "docker-service")?;
    shell(&format!(
        "/srv/bin/alice \"docker exec -i $(cut -c 1-8 /run/cid/docker-own) {}\"",
        act("docker-again")
    ))?;
    let again = opened(records, "docker-again")?;
    let check = opened(records, "docker-health")?;
    fs::write(format!("{GO}/end"), "")?;
    shell("docker wait $(cat /run/cid/docker-own) && docker rm $(cat /run/cid/docker-own)")?;
    told(&own, &[&exec, &connected, &again, &service, &check])?;
    let runs = (text(&own, "run"), text(&exec, "run"), text(&connected, "run"));
    ensure!(runs.0 != runs.1 && runs.1 == runs.2, "the container and what was executed in it: {runs:?}");
    let person = (text(&asked, "actor.human.user"), text(&asked, "actor.human.from"));
    ensure!(person == ("alice", "127.0.0.1"), "the person is {person:?}: {asked}");
    ensure!(text(&asked, "process.exe").ends_with("/docker"), "{asked}");
    behind(&[&exec, &connected, &again], &asked)?;
    nobody(records, &["docker-own", "docker-service", "docker-health"])
}

/// What was executed is the container's, and says that it was brought in.
fn told(own: &Value, brought: &[&Value]) -> Result<()> {
    let whole = fs::read_to_string("/run/cid/docker-own")?;
    let id = format!("container:docker:{}", whole.get(..12).context("an id of a container is longer")?);
    let brought = brought.iter().map(|record| (*record, "exec:docker"));
    for (record, origin) in std::iter::once((own, "container:docker")).chain(brought) {
        let found = (text(record, "actor.id"), text(record, "actor.origin"));
        ensure!(found == (&id, origin), "{found:?}, not {id} by {origin}: {record}");
    }
    Ok(())
}

/// The person is named, by which client, and never as if the login were the process's own.
fn behind(brought: &[&Value], asked: &Value) -> Result<()> {
    for record in brought {
        let human = ["user", "from", "basis"].map(|field| text(record, &format!("actor.human.{field}")));
        ensure!(human == ["alice", "127.0.0.1", "client"], "behind it is {human:?}: {record}");
        ensure!(at(record, "actor.human_unknown").is_null(), "{record}");
        ensure!(at(record, "process.auid").is_null(), "a login of its own: {record}");
    }
    let (exec, basis) =
        (brought.first().context("nothing was brought in")?, text(asked, "actor.human.basis"));
    ensure!(basis == "login", "the client's own login is told as {basis}: {asked}");
    for (here, there) in
        [("actor.human.session", "actor.human.session"), ("actor.human.client", "process.id")]
    {
        ensure!(text(exec, here) == text(asked, there), "{here} is not the client's {there}: {exec} {asked}");
    }
    Ok(())
}

/// Whoever opened these files is no person, and nothing hints at one.
fn nobody(records: &Records, files: &[&str]) -> Result<()> {
    for record in &records.all {
        let path = text(record, "file.path");
        let is_one = files.iter().any(|file| path == format!("{SECRETS}/{file}"));
        let person = [at(record, "actor.human"), at(record, "actor.human_unknown")];
        ensure!(!is_one || person.iter().all(|found| found.is_null()), "a person behind {path}: {record}");
    }
    Ok(())
}
