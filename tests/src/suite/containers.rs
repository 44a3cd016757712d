//! Who acts in a container: real runtimes of Debian start them, on cgroup v2 and on v1.
//!
//! Each way into a container is a `Way`: the program in it reads a public file, which must leave no record, then a
//! credential of that way's own, and connects. Both records must name the container. Beside them stand twins: the same
//! program, started by the same means outside of any container, which must come out as what it is there.

mod daemonset;
mod docker;
mod kubelet;
mod pod;
mod pods;
mod running;

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use self::kubelet::Kubelet;
use super::house::{script, shell};
use super::{KEY_ID, SECRET, is_action, port_is, verdict};
use crate::Place;
use crate::agent::Agent;
use crate::records::{Records, at, text};

/// One way into a container, or beside it.
struct Way {
    /// Of the test, and of the files it reads.
    name: &'static str,
    /// What an administrator types. `ACT` is what the program is to do.
    start: &'static str,
    /// Where its own credential is, if not in [`SECRETS`]: the end of the path.
    path: Option<&'static str>,
    id: Id,
    kind: &'static str,
    /// `id`, `kind` and `origin` on cgroup v1, where that says other things of it.
    on_v1: Option<(Id, &'static str, &'static str)>,
    /// Not said of programs that are executed in a container that is there: how a person's or a daemon's doing differs
    /// from the container's own is another test's.
    origin: Option<&'static str>,
    /// Name on the host of the user, or the user's number where there is none.
    user: &'static str,
}

/// What is expected of `actor.id`.
#[derive(Clone, Copy)]
enum Id {
    Is(&'static str),
    /// What follows is a number that the host chose.
    Begins(&'static str),
    /// Of this runtime: the first twelve digits of the id that it wrote to the file of that name.
    Of(&'static str, &'static str),
}

const SECRETS: &str = "/srv/secret";
const PUBLIC: &str = "/srv/public";
const ALICE: &str = "ssh -i /root/.ssh/id -o StrictHostKeyChecking=no -o BatchMode=yes alice@127.0.0.1 ";

const WAYS: &[Way] = &[
    Way {
        name: "podman",
        start: "podman run --rm --network=host --cidfile=/run/cid/podman FILES house ACT",
        path: None,
        id: Id::Of("podman", "podman"),
        kind: "container",
        on_v1: None,
        origin: Some("container:podman"),
        user: "root",
    },
    // Its credential is in its own root, and belongs to nobody of the host.
    Way {
        name: "podman-own",
        start: "podman run --rm --network=none --user=1234 --cidfile=/run/cid/podman-own FILES house ACT",
        path: Some("/home/app/.aws/credentials"),
        id: Id::Of("podman", "podman-own"),
        kind: "container",
        on_v1: None,
        origin: Some("container:podman"),
        user: "1234",
    },
    Way {
        name: "podman-exec",
        start: "podman run --detach --network=host --cidfile=/run/cid/podman-exec FILES house /act wait-for /never && \
            podman exec $(cat /run/cid/podman-exec) ACT; e=$?; podman rm --force --time=0 $(cat /run/cid/podman-exec); exit $e",
        path: None,
        id: Id::Of("podman", "podman-exec"),
        kind: "container",
        on_v1: None,
        origin: Some("exec:podman"),
        user: "root",
    },
    // As Quadlet does it: the container lives in the cgroup of its unit, which is its true name.
    Way {
        name: "podman-unit",
        start: "systemd-run --quiet --wait --unit=podman-unit --property=Delegate=yes \
            podman run --rm --cgroups=split --network=none FILES house ACT",
        path: None,
        id: Id::Is("systemd:podman-unit.service"),
        kind: "systemd-service",
        on_v1: None,
        origin: Some("container:podman"),
        user: "root",
    },
    Way {
        name: "podman-alice",
        start: "/srv/bin/alice podman run --rm --network=none --cidfile=/run/cid/podman-alice FILES house ACT",
        path: None,
        id: Id::Of("podman", "podman-alice"),
        kind: "container",
        // There a user has no cgroups to give away: nothing but the session's scope is around the container.
        on_v1: Some((Id::Begins("session:alice:"), "human-session", "login")),
        origin: Some("human:alice"),
        user: "alice",
    },
    Way {
        name: "ctr",
        start: "ctr run --rm --net-host MOUNTS localhost/house:latest ctr-way ACT",
        path: None,
        id: Id::Is("container:containerd:ctr-way"),
        kind: "container",
        on_v1: None,
        origin: Some("container:containerd"),
        user: "root",
    },
    // With the driver of systemd on cgroup v2, with that of cgroupfs on v1: as docker chooses.
    Way {
        name: "docker",
        start: "docker run --rm --network=host --cidfile=/run/cid/docker FILES house ACT",
        path: None,
        id: Id::Of("docker", "docker"),
        kind: "container",
        on_v1: None,
        origin: Some("container:docker"),
        user: "root",
    },
    Way {
        name: "twin-unit",
        start: "systemd-run --quiet --wait --unit=twin-unit ACT",
        path: None,
        id: Id::Is("systemd:twin-unit.service"),
        kind: "systemd-service",
        on_v1: None,
        origin: Some("init"),
        user: "root",
    },
    Way {
        name: "twin-alice",
        start: "/srv/bin/alice ACT",
        path: None,
        id: Id::Begins("session:alice:"),
        kind: "human-session",
        on_v1: None,
        origin: Some("login"),
        user: "alice",
    },
];

/// What is done before systemd is there: users, files, what goes into the image.
///
/// # Errors
/// Where one cannot be made.
pub fn before_boot() -> Result<()> {
    fs::write("/etc/hostname", "house\n")?;
    shell("useradd --create-home --shell /bin/bash --uid 1000 alice")?;
    for file in ["/etc/subuid", "/etc/subgid"] {
        fs::write(file, "alice:100000:65536\n")?;
    }
    for directory in [SECRETS, PUBLIC, "/srv/bin", "/srv/image/home/app/.aws", "/srv/image/tmp", "/run/cid"] {
        fs::create_dir_all(directory)?;
    }
    shell("chmod 1777 /run/cid /srv/image/tmp")?;
    for way in WAYS {
        for directory in [SECRETS, PUBLIC] {
            fs::write(Path::new(directory).join(way.name), format!("{SECRET}\n"))?;
        }
    }
    for place in ["/act", "/srv/image/act"] {
        fs::copy("/spoor/spoor-act", place)?;
    }
    let keys = format!("[default]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n");
    fs::write("/srv/image/home/app/.aws/credentials", keys)?;
    script("/srv/bin/alice", &format!("#!/bin/sh\nexec {ALICE} \"$@\"\n"))?;
    shell("mkdir -p -m 700 /root/.ssh && ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id")?;
    shell(
        "install -d -m 700 -o alice /home/alice/.ssh && install -m 600 -o alice /root/.ssh/id.pub /home/alice/.ssh/authorized_keys",
    )?;
    // They are no part of this, and take long to start.
    shell(
        "systemctl --quiet disable postgresql.service containerd.service podman.service podman.socket \
        podman-restart.service podman-auto-update.timer docker.service docker.socket",
    )?;
    docker::before_boot()?;
    pods::before_boot()
}

/// Makes the images before the agent looks: making them is another story.
fn images() -> Result<()> {
    for podman in ["podman", "/srv/bin/alice podman"] {
        image(podman)?;
    }
    shell("systemctl start containerd.service")?;
    shell("podman save --quiet --output /tmp/house.tar house && ctr images import /tmp/house.tar")?;
    docker::image()
}

/// Imports the image into a store, and asks for it. Podman was seen to say of its first image after a boot that it does not
/// know the layer it had just written, and to say that the image is there and to know nothing of it afterwards.
fn image(podman: &str) -> Result<()> {
    const TRIES: usize = 3;
    let import =
        format!("tar -C /srv/image -c . | {podman} import --quiet - house && {podman} image exists house");
    for _ in 1..TRIES {
        match shell(&import) {
            Ok(()) => return Ok(()),
            Err(error) => println!("{podman} does not have what it imported: {error:#}"),
        }
    }
    shell(&import)
}

/// Goes each way and asks the records who acted. One verdict a way.
///
/// # Errors
/// Where the agent does not start.
pub fn containers(place: &Place) -> Result<()> {
    images().context("make the images")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let kubelet = Kubelet::start()?;
    let more = format!("[credentials]\npaths = [\"{SECRETS}/*\"]\n{}", Kubelet::config());
    let mut agent = Agent::start(place, "containers", &more)?;
    for way in WAYS {
        let started = Instant::now();
        verdict(place, &format!("container-{}", way.name), take(way, port, &mut agent.records));
        println!("that took {:.0?}", started.elapsed());
    }
    verdict(place, "container-docker-exec", docker::entered(port, &mut agent.records));
    let started = Instant::now();
    pods::pods(place, &kubelet, port, &mut agent.records)?;
    println!("the pods took {:.0?}", started.elapsed());
    let (status, records) = agent.stop()?;
    ensure!(status.success(), "the agent ended with {status}");
    let public = records.all.iter().find(|record| text(record, "file.path").starts_with(PUBLIC));
    ensure!(public.is_none(), "a public file left a record: {public:?}");
    ensure!(!records.shown().contains(SECRET), "the secret left its file");
    // Once: Kubernetes looks after cgroup v1 no more.
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        daemonset::daemonset(place, port)?;
    }
    Ok(())
}

fn take(way: &Way, port: u16, records: &mut Records) -> Result<()> {
    let name = way.name;
    let credential = way.path.map_or_else(|| format!("{SECRETS}/{name}"), str::to_owned);
    let act = format!("/act read {PUBLIC}/{name} read {credential} connect 127.0.0.1:{port}");
    let mount = |option: &str, form: fn(&str) -> String| {
        let of = |directory: &str| format!("{option} {}", form(&format!("{directory}/{name}")));
        [of(SECRETS), of(PUBLIC)].join(" ")
    };
    let start = way
        .start
        .replace("ACT", &act)
        .replace("FILES", &mount("--volume", |path| format!("{path}:{path}:ro")))
        .replace(
            "MOUNTS",
            &mount("--mount", |path| format!("type=bind,src={path},dst={path},options=rbind:ro")),
        );
    shell(&start)?;
    let ours = |record: &Value| text(record, "process.exe").ends_with("/act");
    let opened = records.wait(&format!("the opening of {credential}"), |record| {
        is_action(record, "secret.open") && text(record, "file.path").ends_with(&credential) && ours(record)
    })?;
    let process = text(&opened, "process.id").to_owned();
    let connected = records.wait("the connection", |record| {
        is_action(record, "connect") && text(record, "process.id") == process && port_is(port)(record)
    })?;
    for record in [&opened, &connected] {
        is_by(way, record)?;
    }
    ensure!(text(&connected, "link.basis") == "same-process", "the link: {connected}");
    let after = at(&connected, "link.of").as_array().cloned().unwrap_or_default();
    ensure!(after.contains(at(&opened, "seq")), "the connection is not linked with the opening: {connected}");
    Ok(())
}

fn is_by(way: &Way, record: &Value) -> Result<()> {
    let v1 = !Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let there = way.on_v1.filter(|_| v1).map(|(id, kind, origin)| (id, kind, Some(origin)));
    let (expected, kind, origin) = there.unwrap_or((way.id, way.kind, way.origin));
    let id = text(record, "actor.id");
    let is_right = match expected {
        Id::Is(expected) => id == expected,
        Id::Begins(expected) => id.strip_prefix(expected).is_some_and(|number| number.parse::<u32>().is_ok()),
        Id::Of(runtime, file) => {
            let whole = fs::read_to_string(Path::new("/run/cid").join(file))?;
            let short = whole.get(..12).context("an id of a container is longer")?;
            // Whether the id of a user's container carries the user is for the actors' own tests.
            id == format!("container:{runtime}:{short}")
                || id == format!("container:{runtime}:{}:{short}", way.user)
        }
    };
    ensure!(is_right, "the actor is {id}: {record}");
    let origin = origin.map(|origin| ("actor.origin", origin));
    for (field, expected) in [("actor.kind", kind), ("actor.user", way.user)].into_iter().chain(origin) {
        let found = text(record, field);
        ensure!(found == expected, "{field} is {found}, not {expected}: {record}");
    }
    ensure!(at(record, "actor.pod").is_null(), "it is in no pod: {record}");
    Ok(())
}
