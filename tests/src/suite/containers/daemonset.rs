//! The image, run by podman with what the manifest of the DaemonSet grants and nothing else, beside the host's services and
//! containers: what they do is seen as it is by an agent of the host. And each thing that is granted, left out once.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::pod::Pod;
use super::running::{IMAGE, Running, filter};
use super::{PUBLIC, SECRETS, WAYS, take};
use crate::records::{Records, at, last_heartbeat, seq, text};
use crate::suite::house::shell;
use crate::suite::{KEY_ID, SECRET, is_action, port_is, verdict};
use crate::{PATIENCE, Place};

const MANIFEST: &str = "/spoor/deployed/spoor.yaml";
const CONTAINERFILE: &str = "/spoor/deployed/Containerfile";
/// On the node, where the agent in the pod has it too.
const RECORDS: &str = "/var/lib/spoor/records.jsonl";
/// Mounted after the agent has started.
const LATE: &str = "/srv/late";
const ALICE: u32 = 1000;
/// What an agent under way has left: CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_BPF.
const KEPT: u64 = 1 << 2 | 1 << 19 | 1 << 39;
/// Numbers of the capabilities that the manifest may grant.
const CAPABILITIES: [(&str, u32); 6] = [
    ("CAP_DAC_READ_SEARCH", 2),
    ("CAP_NET_ADMIN", 12),
    ("CAP_SYS_CHROOT", 18),
    ("CAP_SYS_PTRACE", 19),
    ("CAP_PERFMON", 38),
    ("CAP_BPF", 39),
];

/// All of it. One verdict each.
///
/// # Errors
/// Where the image or the manifest cannot be read.
pub(super) fn daemonset(place: &Place, port: u16) -> Result<()> {
    shell(&format!("podman load --quiet --input {IMAGE}")).context("load the image")?;
    let mut pod = Pod::of(Path::new(MANIFEST))?;
    pod.config += &format!(
        "\n[credentials]\npaths = [\"{SECRETS}/*\", \"{LATE}/*\"]\n[[sink]]\nname = \"local\"\ntype = \"file\"\npath = \"{RECORDS}\"\n"
    );
    filter(&pod)?;
    pod.put("config", "one", &[("spoor.toml", &pod.config)])?;
    verdict(place, "daemonset-containerfile", same_image());
    prepare()?;
    let mut records = Records::of(Path::new(RECORDS));
    verdict(place, "daemonset", whole(place, &pod, port, &mut records));
    verdict(place, "daemonset-least", each_is_needed(&pod, port, &mut records));
    records.refresh()?;
    let public = records.all.iter().find(|record| text(record, "file.path").starts_with(PUBLIC));
    ensure!(public.is_none(), "a public file left a record: {public:?}");
    ensure!(!records.shown().contains(SECRET), "the secret left its file");
    Ok(())
}

/// What the Containerfile makes of the same files, without a network, is the same image.
fn same_image() -> Result<()> {
    shell(&format!(
        "mkdir -p /srv/context && podman create --quiet --name=spoor-files spoor:0.1.0 >/dev/null && \
        podman export spoor-files | tar -C /srv/context --extract --exclude=dev --exclude=proc --exclude=sys --exclude=run && \
        podman rm spoor-files >/dev/null && \
        podman build --quiet --network=none --tag=built --file={CONTAINERFILE} /srv/context >/dev/null"
    ))?;
    let about = |image: &str| -> Result<String> {
        let format = "--format={{.Config.Entrypoint}} {{.Config.Cmd}} {{.Config.User}} {{range $name, $is := .Config.Labels}}\
            {{if ne $name \"io.buildah.version\"}}{{$name}}={{$is}};{{end}}{{end}}";
        let said = Command::new("podman").args(["image", "inspect", format, image]).output()?;
        ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        Ok(String::from_utf8(said.stdout)?)
    };
    let (ours, built) = (about("spoor:0.1.0")?, about("built")?);
    ensure!(ours.contains("/usr/bin/spoor") && ours == built, "ours: {ours}; built: {built}");
    shell(
        "podman run --rm --network=none built --version && podman rmi --force built >/dev/null; rm -rf /srv/context",
    )
}

/// Credentials of a user of the host.
fn prepare() -> Result<()> {
    let home = Path::new("/home/alice/.aws");
    fs::create_dir_all(home)?;
    let keys = format!("[default]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n");
    let file = home.join("credentials");
    fs::write(&file, keys)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o400))?;
    for path in [home, &file] {
        chown(path, Some(ALICE), Some(ALICE))?;
    }
    shell("rm -f /run/cid/*")
}

/// A service of the host's, which opens a credential and waits before it connects.
fn holder(name: &str, port: u16) -> Result<(String, String)> {
    let (there, go) = (format!("/tmp/{name}"), format!("/tmp/{name}-go"));
    let steps = format!("touch {there} wait-long {go} connect 127.0.0.1:{port}");
    shell(&format!(
        "systemd-run --quiet --unit={name} --property=User=alice /act inherit /home/alice/.aws/credentials /act [ {steps} ]"
    ))?;
    let deadline = Instant::now() + PATIENCE;
    while !Path::new(&there).exists() {
        ensure!(Instant::now() < deadline, "{name} does not start");
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    Ok((go, format!("systemd:{name}.service")))
}

/// As granted: everything is seen, and named as the host names it.
fn whole(place: &Place, pod: &Pod, port: u16, records: &mut Records) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let (go, held_by) = holder("ds-held", port)?;
    let running = Running::well(pod, "whole")?;
    granted(pod, running.pid()?)?;
    let coverage = records.wait("the coverage record", |record| text(record, "type") == "coverage")?;
    let signals = at(&coverage, "signals").as_array().context("no signals")?;
    ensure!(unproven(&coverage).is_empty(), "not proven: {:?}: {coverage}", unproven(&coverage));
    let open = signals.iter().find(|one| text(one, "signal") == "secret.open").map(|one| text(one, "tier"));
    ensure!(open == Some(place.tiers.0.as_str()), "openings are seen by {open:?}");

    // What was there before: by whom, in the host's cgroups, with what it holds.
    fs::write(&go, "")?;
    let connected = records.wait("the holder's connection", |record| {
        is_action(record, "connect") && text(record, "actor.id") == held_by
    })?;
    ensure!(connected.to_string().contains("/home/alice/.aws/credentials"), "nothing is held: {connected}");
    ensure!(text(&connected, "actor.user") == "alice", "the host's users are not known: {connected}");
    let cgroup = text(&connected, "process.cgroup");
    ensure!(cgroup == "/system.slice/ds-held.service", "its cgroup is {cgroup}: {connected}");

    // A service and a container that come later.
    for way in WAYS.iter().filter(|way| ["twin-unit", "podman", "podman-own"].contains(&way.name)) {
        take(way, port, records).with_context(|| way.name)?;
    }
    ensure!(late(port, "ds-late", records)?, "what is mounted later is not seen");
    reload(pod, records)?;
    running.stop()?;
    records.refresh()?;
    let last = last_heartbeat(&records.all);
    ensure!(last.is_some_and(|last| last.to_string().contains("stopped")), "the last heartbeat: {last:?}");
    let after = fs::read_to_string("/proc/self/mountinfo")?;
    let of_pods = |table: &str| {
        table.lines().filter(|line| line.contains("/run/spoor") || line.contains("/host")).count()
    };
    ensure!(of_pods(&after) == of_pods(&mounts), "mounts of the pod are left on the host:\n{after}");
    Ok(())
}

/// Signals that the canary did not show.
fn unproven(coverage: &Value) -> Vec<&str> {
    let signals = at(coverage, "signals").as_array().into_iter().flatten();
    signals.filter(|one| at(one, "proven") != true).map(|one| text(one, "signal")).collect()
}

/// The agent has what the manifest grants and nothing else, and under way less.
fn granted(pod: &Pod, pid: u32) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.map(str::trim).map(str::to_owned).with_context(|| format!("no {name}"))
    };
    let granted = pod.capabilities()?;
    let number =
        |name: &String| CAPABILITIES.iter().find(|(known, _)| known == name).map(|(_, number)| *number);
    let bits: Option<u64> = granted.iter().map(|name| number(name).map(|number| 1 << number)).sum();
    let bits = bits.with_context(|| format!("a capability that is not known here: {granted:?}"))?;
    let cgroups = |of: &str| fs::read_link(format!("/proc/{of}/ns/cgroup"));
    ensure!(cgroups(&pid.to_string())? != cgroups("1")?, "its cgroup namespace is the host's");
    for (set, expected) in [("CapBnd:", bits), ("CapPrm:", KEPT), ("CapEff:", KEPT), ("CapAmb:", 0)] {
        let has = u64::from_str_radix(&field(set)?, 16)?;
        ensure!(has == expected, "{set} {has:x}, not {expected:x}");
    }
    let filter = if pod.is_filtered()? { "2" } else { "0" };
    ensure!(field("NoNewPrivs:")? == "1" && field("Seccomp:")? == filter, "not as granted: {status}");
    Ok(())
}

/// Whether a credential is seen on a file system that the host mounts after the agent has started.
fn late(port: u16, unit: &str, records: &mut Records) -> Result<bool> {
    let sentinel = format!("{SECRETS}/{}", WAYS.first().context("no way")?.name);
    records.refresh()?;
    let before = records.all.last().map_or(0, seq);
    shell(&format!("mkdir -p {LATE} && mount -t tmpfs late {LATE} && echo {SECRET} > {LATE}/token"))?;
    // The agent looks for what is new when mounts change, and every ten seconds; the program is run until it is seen, or
    // would have been.
    let deadline = Instant::now() + std::time::Duration::from_secs(15);
    let mut found = false;
    while !found && Instant::now() < deadline {
        let act = format!("/act read {LATE}/token read {sentinel} connect 127.0.0.1:{port}");
        shell(&format!("systemd-run --quiet --wait --collect --unit={unit} {act}"))?;
        let after = records.all.last().map_or(before, seq);
        let of = |record: &Value| {
            seq(record) > after && text(record, "actor.id") == format!("systemd:{unit}.service")
        };
        records.wait("the connection", |record| of(record) && is_action(record, "connect"))?;
        found = records.all.iter().any(|record| of(record) && text(record, "file.path").starts_with(LATE));
    }
    shell(&format!("umount {LATE}"))?;
    Ok(found)
}

/// Purposes that come by a newer ConfigMap are in force when somebody in the pod says so.
fn reload(pod: &Pod, records: &mut Records) -> Result<()> {
    const PURPOSE: &str = "[[purpose]]\nname = \"nightly\"\nactor = \"systemd:nightly.service\"\n\
        owner = \"team\"\nprograms = [\"/srv/bin/tool\"]\n";
    pod.put("purposes", "two", &[("nightly.toml", PURPOSE)])?;
    shell("podman exec spoor /usr/bin/spoor reload --store /host/var/lib/spoor")?;
    let in_force = |record: &Value| text(record, "type") == "coverage" && at(record, "purposes.count") == 1;
    records.wait("the coverage record with purposes", in_force).map(drop)
}

/// What shows that something is granted.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    /// Names of destinations: programs at cgroups.
    names: bool,
    /// A descriptor that another user's process had before the agent started is known.
    held: bool,
    /// What identifies another user's credential is read.
    identified: bool,
}

const ALL: Shown = Shown { names: true, held: true, identified: true };

/// Without a part of what is granted, what it is for is missing.
fn each_is_needed(pod: &Pod, port: u16, records: &mut Records) -> Result<()> {
    // What stops it from starting, with the exit code that says so.
    let refused = [
        ("SYS_CHROOT", pod.without("SYS_CHROOT")?, 19),
        ("BPF", pod.without("BPF")?, 10),
        ("PERFMON", pod.without("PERFMON")?, 10),
        ("hostPID", pod.with_own_pids(), 17),
    ];
    for (what, less, code) in refused {
        match Running::start(&less, what)? {
            Err(status) => ensure!(status.code() == Some(code), "without {what} it ends with {status}"),
            Ok(running) => {
                running.stop()?;
                bail!("without {what} it starts");
            }
        }
    }
    let cases = [
        ("NET_ADMIN", Shown { names: false, ..ALL }),
        ("SYS_PTRACE", Shown { held: false, ..ALL }),
        // The list of a process's descriptors is its user's, too.
        ("DAC_READ_SEARCH", Shown { held: false, identified: false, ..ALL }),
    ];
    for (what, expected) in cases {
        let found =
            shown(&pod.without(what)?, what, port, records).with_context(|| format!("without {what}"))?;
        ensure!(found == expected, "without {what}: {found:?}");
    }
    records.refresh()?;
    let after = records.all.last().map_or(0, seq);
    let running = Running::well(&pod.filtered()?, "filter")?;
    let coverage = records
        .wait("the coverage record", |record| seq(record) > after && text(record, "type") == "coverage")?;
    running.stop()?;
    ensure!(unproven(&coverage) == ["secret.key"], "under the runtime's filter: {coverage}");
    let running = Running::well(&pod.without_propagation()?, "propagation")?;
    let seen = late(port, "ds-unseen", records);
    running.stop()?;
    ensure!(!seen?, "without propagation, what is mounted later is seen");
    Ok(())
}

fn shown(pod: &Pod, what: &str, port: u16, records: &mut Records) -> Result<Shown> {
    let name = what.to_lowercase().replace('_', "-");
    let (go, _) = holder(&format!("ds-held-{name}"), port)?;
    records.refresh()?;
    let after = records.all.last().map_or(0, seq);
    let running = Running::well(pod, what)?;
    fs::write(&go, "")?;
    let new = |record: &Value| seq(record) > after;
    // By its port: who is behind a process that was there before, may be what is not known.
    let is_holder = port_is(port);
    let connected = records.wait("the holder's connection", |record| {
        new(record) && is_action(record, "connect") && is_holder(record)
    })?;
    let unit = format!("ds-read-{name}");
    shell(&format!(
        "systemd-run --quiet --wait --unit={unit} --property=User=alice /act read /home/alice/.aws/credentials"
    ))?;
    let id = format!("systemd:{unit}.service");
    let opened = records
        .wait("the opening", |record| is_action(record, "secret.open") && text(record, "actor.id") == id)?;
    let coverage = records.all.iter().find(|record| new(record) && text(record, "type") == "coverage");
    let signals =
        coverage.and_then(|record| at(record, "signals").as_array()).context("no coverage record")?;
    let names = signals.iter().any(|one| text(one, "signal") == "names" && at(one, "proven") == true);
    running.stop()?;
    Ok(Shown {
        names,
        held: connected.to_string().contains("/home/alice/.aws/credentials"),
        identified: opened.to_string().contains(KEY_ID),
    })
}
