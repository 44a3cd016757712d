//! Containers of pods: real runtimes put them into the cgroups that a kubelet names, in both drivers' layouts, while one in
//! a kubelet's place tells of pods.
//!
//! Each acts twice: at once, when perhaps nobody knows its pod yet, and again when its chain says what there is to know.
//! Beside them stand twins: a pod that nobody can name, a pod in whose volume another's token lies, and the same program
//! by the same runtime outside of any pod, with a pod's token in its hands.

mod cases;

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use self::cases::{Account, CASES, Case, Listed, NOTES, REPORTER, Told};
use super::kubelet::{Kubelet, NODE, TOKEN};
use super::{PUBLIC, SECRETS};
use crate::Place;
use crate::records::{Records, at, seq, text};
use crate::suite::house::shell;
use crate::suite::{SECRET, is_action, port_is, verdict};

const GO: &str = "/srv/go";
/// What is done before systemd is there: what they read.
pub(super) fn before_boot() -> Result<()> {
    fs::create_dir_all(GO)?;
    for case in CASES {
        for file in [format!("pod-{}", case.name), format!("pod-{}-again", case.name)] {
            for directory in [SECRETS, PUBLIC] {
                fs::write(Path::new(directory).join(&file), format!("{SECRET}\n"))?;
            }
        }
    }
    let mut hosts = fs::File::options().create(true).append(true).open("/etc/hosts")?;
    Ok(writeln!(hosts, "127.0.0.1 {NODE}")?)
}

/// All of them. One verdict each.
///
/// # Errors
/// Where there are no images or no volumes.
pub(super) fn pods(place: &Place, kubelet: &Kubelet, port: u16, records: &mut Records) -> Result<()> {
    shell("ctr --namespace k8s.io images import /tmp/house.tar")?;
    let started = Instant::now();
    for case in CASES {
        let outcome = take(case, kubelet, port, records).with_context(|| format!("pod {}", case.name));
        // One that failed may wait still.
        fs::write(go(case), "")?;
        verdict(place, &format!("pod-{}", case.name), outcome);
    }
    verdict(place, "pod-list", asked(kubelet, started));
    let shown = records.shown();
    for secret in [TOKEN, SIGNATURE] {
        ensure!(!shown.contains(secret), "a token left its file");
    }
    Ok(())
}

/// The kubelet was asked, as it wants to be asked, and not without end.
fn asked(kubelet: &Kubelet, started: Instant) -> Result<()> {
    let told = kubelet.told()?;
    let most = started.elapsed().as_secs() + 2;
    ensure!((2..=most).contains(&told), "it told its list {told} times in {:?}", started.elapsed());
    Ok(())
}

fn go(case: &Case) -> PathBuf {
    Path::new(GO).join(format!("{}-go", case.name))
}

/// A number of the form that runtimes give.
fn container_id(case: &Case) -> String {
    let bytes = case.name.bytes().chain(*b"-of-the-pods").cycle().take(32);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

fn take(case: &Case, kubelet: &Kubelet, port: u16, records: &mut Records) -> Result<()> {
    let id = container_id(case);
    if case.listed == Listed::Before {
        kubelet.learns(listed(case, &format!("containerd://{id}"))?);
    }
    records.refresh()?;
    // Twins open what another opened before.
    let before = records.all.last().map_or(0, seq);
    let mut running = start(case, &id, port)?;
    let first = records.wait("its first act", |record| {
        seq(record) > before
            && is_action(record, "secret.open")
            && text(record, "file.path").ends_with(&credential(case).1)
            && text(record, "process.exe").ends_with("/act")
    })?;
    if case.listed == Listed::Later {
        ensure!(is_bare(case, &first), "nobody could know its pod: {first}");
        let id = fs::read_to_string("/run/cid/pod-late")?;
        kubelet.learns(listed(case, &format!("cri-o://{}", id.trim()))?);
        // It does nothing meanwhile, and yet its chain learns who it is.
        let completed = records.wait("that its chain is told anew", |record| {
            text(record, "chain") == text(&first, "chain") && text(record, "status") == "completed"
        })?;
        is_told(case, &completed)?;
    } else {
        ensure!(is_bare(case, &first) || is_told(case, &first).is_ok(), "neither bare nor whole: {first}");
        await_name(case, &first, records)?;
    }
    let path = format!("{SECRETS}/pod-{}-again", case.name);
    if case.executed {
        executed(case, &id, &first, &path, records)?;
    }
    fs::write(go(case), "")?;
    let process = text(&first, "process.id").to_owned();
    let is_ours = |record: &Value| text(record, "process.id") == process;
    let opened = records.wait(&format!("the opening of {path}"), |record| {
        is_action(record, "secret.open") && text(record, "file.path") == path && is_ours(record)
    })?;
    let connected = records.wait("the connection", |record| {
        is_action(record, "connect") && is_ours(record) && port_is(port)(record)
    })?;
    is_told(case, &opened)?;
    is_told(case, &connected)?;
    let one =
        text(&first, "chain") == text(&opened, "chain") && text(&first, "chain") == text(&connected, "chain");
    ensure!(one, "not in one chain: {first} {opened} {connected}");
    let status = running.wait()?;
    ensure!(status.success(), "its container ended with {status}: {}", fs::read_to_string(log(case))?);
    unlike_others(case, &first, records)
}

/// What is brought into it, as `kubectl exec` does: the pod's, by another way, in a run of its own.
fn executed(case: &Case, id: &str, first: &Value, path: &str, records: &mut Records) -> Result<()> {
    shell(&format!("ctr --namespace k8s.io task exec --exec-id by-hand {id} /act read {path}"))?;
    let opened = records.wait("the opening by what is executed in it", |record| {
        is_action(record, "secret.open") && text(record, "file.path") == path
    })?;
    for (field, expected) in [
        ("actor.id", case.told.id),
        ("actor.origin", "exec:containerd"),
        ("actor.pod.name", case.told.name.unwrap_or_default()),
        ("actor.pod.container", case.told.container.unwrap_or_default()),
    ] {
        ensure!(text(&opened, field) == expected, "{field} is not {expected}: {opened}");
    }
    ensure!(text(&opened, "run") != text(first, "run"), "it is one run with what was there: {opened}");
    Ok(())
}

/// What a chain that was begun without names says once they are known: at once, or in a record of its own. Of a twin, in
/// which nothing is to be known, nothing can be waited for.
fn await_name(case: &Case, first: &Value, records: &mut Records) -> Result<()> {
    if case.told.account.is_some() && is_bare(case, first) {
        let chain = text(first, "chain");
        let completed =
            |record: &Value| text(record, "chain") == chain && text(record, "status") == "completed";
        is_told(case, &records.wait("that its chain is told anew", completed)?)?;
    }
    Ok(())
}

/// With the uid that its cgroup has, and no more.
fn is_bare(case: &Case, record: &Value) -> bool {
    let pod = at(record, "actor.pod");
    let alone = pod.as_object().is_some_and(|pod| pod.len() == 1);
    text(record, "actor.kind") == "container" && alone && text(pod, "uid") == case.uid
}

/// Everything that is to be known, and nothing else.
fn is_told(case: &Case, record: &Value) -> Result<()> {
    let Told { id, origin, namespace, name, workload, account, container } = case.told;
    let uid = Some(case.uid).filter(|uid| !uid.is_empty());
    let node = account.map(|_| NODE);
    let spiffe = namespace
        .zip(account)
        .map(|(namespace, account)| format!("spiffe://house.test/ns/{namespace}/sa/{account}"));
    for (field, expected) in [
        ("actor.pod.uid", uid),
        ("actor.pod.namespace", namespace),
        ("actor.pod.name", name),
        ("actor.pod.workload", workload),
        ("actor.pod.node", node),
        ("actor.pod.container", container),
        ("actor.spiffe_id", spiffe.as_deref()),
    ] {
        ensure!(at(record, field).as_str() == expected, "{field} is not {expected:?}: {record}");
    }
    let kind = if account.is_some() { "kubernetes-service-account" } else { "container" };
    ensure!(text(record, "actor.kind") == kind, "not a {kind}: {record}");
    let (found, came) = (text(record, "actor.id"), text(record, "actor.origin"));
    let whole = account.is_some();
    ensure!(found == id || !whole && found.starts_with(id), "the actor is not {id}: {record}");
    ensure!(came == origin || !whole && came.starts_with(origin), "it did not come by {origin}: {record}");
    Ok(())
}

/// No record of its chain names it after anybody else.
fn unlike_others(case: &Case, first: &Value, records: &Records) -> Result<()> {
    let chain = text(first, "chain");
    for record in
        records.all.iter().filter(|record| text(record, "chain") == chain && seq(record) >= seq(first))
    {
        let named = text(record, "actor.pod.namespace");
        let own = case.told.namespace.unwrap_or_default();
        ensure!(named.is_empty() || named == own, "named after another: {record}");
    }
    Ok(())
}

/// Where its own credential is on the host, and the end of the path by which the program opens it.
fn credential(case: &Case) -> (String, String) {
    match case.token {
        Some(_) => (volume(case).display().to_string(), "/..first/token".to_owned()),
        None => {
            let path = format!("{SECRETS}/pod-{}", case.name);
            (path.clone(), path)
        }
    }
}

fn log(case: &Case) -> String {
    format!("/run/suite-pod-{}.log", case.name)
}

fn start(case: &Case, id: &str, port: u16) -> Result<Child> {
    const TOKENS: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    let Case { name, uid, .. } = case;
    let again = format!("{SECRETS}/pod-{name}-again");
    let public = format!("{PUBLIC}/pod-{name}");
    let (from, _) = credential(case);
    let (inside, reads) = if let Some(account) = case.token {
        project(case, account)?;
        (TOKENS, format!("{TOKENS}/token"))
    } else {
        (from.as_str(), from.clone())
    };
    let go = go(case);
    let act = format!(
        "/act read {public} read {reads} wait-long {} read {again} connect 127.0.0.1:{port}",
        go.display()
    );
    let mounts = [(from.as_str(), inside), (&again, &again), (&public, &public), (GO, GO)];
    let each = |form: fn(&str, &str) -> String| mounts.map(|(from, to)| form(from, to)).join(" ");
    let start = case
        .start
        .replace("NOTES", &NOTES.replace("UID", REPORTER.uid))
        .replace(
            "MOUNTS",
            &each(|from, to| format!("--mount type=bind,src={from},dst={to},options=rbind:ro")),
        )
        .replace("VOLUMES", &each(|from, to| format!("--volume {from}:{to}:ro")))
        .replace("SLICE", &uid.replace('-', "_"))
        .replace("UID", uid)
        .replace("ACT", &act)
        .replace("ID", id);
    let out = fs::File::create(log(case))?;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &start]).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
    command.spawn().context("a shell cannot be started")
}

/// What nobody but its owner may see of a token.
const SIGNATURE: &str = "pLanTed-SiGnature-4f1b77ab";

/// Where a kubelet lays down the token of a pod. What is in no pod has the volume of one that is not.
fn volume(case: &Case) -> PathBuf {
    let of = if case.uid.is_empty() { REPORTER.uid } else { case.uid };
    Path::new("/var/lib/kubelet/pods").join(of).join("volumes/kubernetes.io~projected/kube-api-access-x8k2p")
}

/// A volume as a kubelet makes it: in memory, and one link that changes with each renewal.
fn project(case: &Case, account: Account) -> Result<()> {
    let folder = volume(case);
    if folder.exists() {
        return Ok(());
    }
    let Account { uid, namespace, name, pod } = account;
    let claims = json!({
        "aud": ["https://kubernetes.default.svc"], "exp": 4_102_444_800_u64, "iat": 1_700_000_000_u64,
        "iss": "https://kubernetes.default.svc", "sub": format!("system:serviceaccount:{namespace}:{name}"),
        "kubernetes.io": {
            "namespace": namespace, "node": {"name": NODE}, "pod": {"name": pod, "uid": uid},
            "serviceaccount": {"name": name, "uid": "8d1f"},
        },
    });
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let header = part(json!({"alg": "RS256", "kid": "house"}).to_string());
    let token = format!("{header}.{}.{SIGNATURE}", part(claims.to_string()));
    fs::create_dir_all(&folder)?;
    shell(&format!("mount -t tmpfs -o size=64k tmpfs '{}'", folder.display()))?;
    fs::create_dir(folder.join("..first"))?;
    fs::write(folder.join("..first/token"), token)?;
    symlink("..first", folder.join("..data"))?;
    Ok(symlink("..data/token", folder.join("token"))?)
}

/// As a kubelet's list has it.
fn listed(case: &Case, container: &str) -> Result<Value> {
    let Told { namespace, name, workload, account, container: named, .. } = case.told;
    let (kind, owner) = workload.and_then(|made| made.split_once('/')).context("a pod without a workload")?;
    let (namespace, name) = namespace.zip(name).context("a pod without a name")?;
    let hash = name.strip_prefix("cart-").and_then(|rest| rest.split_once('-')).map(|(hash, _)| hash);
    // What made it is not what made that.
    let (kind, owner, labels) = match kind {
        "Deployment" => (
            "ReplicaSet",
            format!("{owner}-{}", hash.unwrap_or_default()),
            json!({"pod-template-hash": hash}),
        ),
        "CronJob" => ("Job", format!("{owner}-29384756"), json!({})),
        kind => (kind, owner.to_owned(), json!({})),
    };
    Ok(json!({
        "metadata": {
            "name": name, "namespace": namespace, "uid": case.uid, "labels": labels,
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": kind, "name": owner, "uid": "a", "controller": true}],
        },
        "spec": {"serviceAccountName": account, "nodeName": NODE, "containers": [{"name": named, "image": "house"}]},
        "status": {"phase": "Running", "containerStatuses": [{"name": named, "containerID": container, "ready": true}]},
    }))
}
