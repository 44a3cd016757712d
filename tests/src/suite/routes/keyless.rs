//! Ways to a credential that is no file: a key of the kernel's key rings, a variable of an environment.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::evidence::Evidence;
use super::ground::{Ground, Ran, finish, until};
use super::{Route, Verdict, nothing};
use crate::records::{at, text};

pub(super) const KEYS: &[Route] = &[
    Route { id: "key-add", act: |g| both(g, &["key-add", "user", "{name}", PLANTED]), ..KEY },
    Route {
        id: "key-add-logon",
        act: |g| both(g, &["key-add", "logon", "{name}:x", PLANTED, "key-refused"]),
        judge: |g, e| used(g, e, ("secret.open", "add"), "kernel-key:logon:{name}:x"),
        ..KEY
    },
    Route { id: "key-add-32", act: |g| both(g, &["key-add-32", "user", "{name}", PLANTED]), ..KEY },
    Route {
        id: "key-request",
        act: |g| both(g, &["key-add", "user", "{name}", PLANTED, "key-find", "user", "{name}"]),
        judge: |g, e| used(g, e, ("secret.open", "find"), OWN),
        ..KEY
    },
    Route {
        id: "key-search",
        act: |g| both(g, &["key-add", "user", "{name}", PLANTED, "key-search", "user", "{name}"]),
        judge: |g, e| used(g, e, ("secret.open", "find"), OWN),
        ..KEY
    },
    Route {
        id: "key-update",
        act: |g| both(g, &["key-add", "user", "{name}", "old", "key-update", PLANTED]),
        judge: |g, e| used(g, e, ("secret.open", "update"), OWN),
        ..KEY
    },
    // Told once, however often; and what comes after is linked with it.
    Route {
        id: "key-read",
        act: |g| {
            let to = ["key-read", "key-read", "connect", NOBODY];
            both(g, &[&["key-add", "user", "{name}", PLANTED][..], &to].concat())
        },
        judge: read_and_linked,
        ..KEY
    },
    Route {
        id: "key-read-32",
        act: |g| both(g, &["key-add", "user", "{name}", PLANTED, "key-read-32"]),
        judge: |g, e| used(g, e, ("secret.read", "copy"), OWN),
        ..KEY
    },
    Route {
        id: "key-read-userns",
        act: |g| both(g, &["unshare", "user", "key-add", "user", "{name}", PLANTED, "key-read"]),
        judge: |g, e| used(g, e, ("secret.read", "copy"), OWN),
        ..KEY
    },
    Route {
        id: "key-length",
        act: |g| both(g, &["key-add", "user", "{name}", PLANTED, "key-length"]),
        judge: not_read,
        ..KEY
    },
];

pub(super) const ENVIRONMENT: &[Route] = &[
    Route { id: "environment", prepare: nothing, act: start, judge: |g, e| handed(g, e, "same-process") },
    Route { id: "environment-child", prepare: nothing, act: start_child, judge: inherited },
    Route { id: "environment-held", prepare: hold, act: let_connect, judge: held },
];

/// What most of them should be told as.
const OWN: &str = "kernel-key:user:{name}";
/// A port where nobody listens: that it is asked for is what counts.
const NOBODY: &str = "127.0.0.1:1";
/// The acting program puts a value here that must never be seen again; in its arguments it would be.
const PLANTED: &str = "planted";
const VARIABLE: &str = "VAULT_TOKEN";
const HANDED: &str = "vault-token:env:VAULT_TOKEN";

const KEY: Route = Route {
    id: "",
    prepare: nothing,
    act: |_| Ok(Ran::Done),
    judge: |g, e| used(g, e, ("secret.open", "add"), OWN),
};

/// The key of a route is called as its program is.
fn name(ground: &Ground<'_>) -> String {
    ground.exe("").rsplit('/').next().unwrap_or_default().to_owned()
}

/// The route's program does the steps; its twin makes and reads key rings, which hold keys and are no secrets.
fn both(ground: &Ground<'_>, steps: &[&str]) -> Result<Ran> {
    let name = name(ground);
    let steps: Vec<String> = steps.iter().map(|step| step.replace("{name}", &name)).collect();
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    ground.both(&steps, &["keyring-add", &name, "keyring-read"])
}

fn used(
    ground: &Ground<'_>,
    evidence: &Evidence<'_>,
    (action, how): (&str, &str),
    id: &str,
) -> Result<Verdict> {
    evidence.twin_is_silent(ground)?;
    let found = evidence.actions(ground, "", action);
    let found: Vec<_> = found.into_iter().filter(|record| text(record, "how") == how).collect();
    let id = id.replace("{name}", &name(ground));
    Evidence::one(&found, |record| {
        let told = at(record, "credential").get(0).map(|credential| text(credential, "id").to_owned());
        let whole = told.as_deref() == Some(&id) && id.ends_with(text(record, "key.description"));
        (!whole || at(record, "key.serial").as_i64().is_none_or(|serial| serial <= 0))
            .then(|| format!("told as {told:?}"))
    })
}

fn read_and_linked(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    let verdict = used(ground, evidence, ("secret.read", "copy"), OWN)?;
    if matches!(verdict, Verdict::Seen) {
        let id = OWN.replace("{name}", &name(ground));
        let linked = evidence.actions(ground, "", "connect").iter().any(|record| {
            text(record, "link.basis") == "same-process" && at(record, "credential").to_string().contains(&id)
        });
        ensure!(linked, "the connection after it is not linked with {id}");
    }
    Ok(verdict)
}

/// Made, and nothing is said of reading.
fn not_read(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    let read = evidence.actions(ground, "", "secret.read");
    ensure!(read.is_empty(), "it was not read, and is told to have been: {read:?}");
    used(ground, evidence, ("secret.open", "add"), OWN)
}

/// Starts the route's program anew, with a secret in its environment; and its twin with what only looks like one. Both go on
/// until everything was judged: the names are read from a process that lives.
fn start_with(ground: &Ground<'_>, steps: &[&str]) -> Result<Ran> {
    let innocent = ["TOKENIZERS_PARALLELISM", "SSH_AUTH_SOCK", "DB_PASSWORD_FILE", "ALLOW_EMPTY_PASSWORD"];
    let values = ["false", "/run/agent.sock", "/run/secrets/db", "yes"];
    let end = ground.plain().join("until").display().to_string();
    let mut all = vec!["setenv", VARIABLE, PLANTED];
    let exe = ground.exe("");
    all.extend(["become", &exe, "["].iter().chain(steps).chain(&["wait-long", &end, "]"]));
    ground.leave("", &all)?;
    let (mut all, twin) = (Vec::new(), ground.exe("-twin"));
    for (name, value) in innocent.iter().zip(values) {
        all.extend(["setenv", name, value]);
    }
    all.extend(["become", &twin, "[", "wait-long", &end, "]"]);
    ground.leave("-twin", &all)?;
    Ok(Ran::Done)
}

fn start(ground: &Ground<'_>) -> Result<Ran> {
    let done = ground.plain().join("done").display().to_string();
    start_with(ground, &["connect", NOBODY, "touch", &done])?;
    until(|| Ok(ground.plain().join("done").exists()))?;
    Ok(Ran::Done)
}

fn start_child(ground: &Ground<'_>) -> Result<Ran> {
    let done = ground.plain().join("done").display().to_string();
    let child = ground.program("-child")?;
    start_with(ground, &["spawn", &child, "[", "connect", NOBODY, "]", "touch", &done])?;
    until(|| Ok(ground.plain().join("done").exists()))?;
    Ok(Ran::Done)
}

/// The same before the agent starts: a service that runs for months was started before.
fn hold(ground: &Ground<'_>) -> Result<()> {
    let [go, there] = ["go", "there"].map(|name| ground.plain().join(name).display().to_string());
    start_with(
        ground,
        &["touch", &there, "wait-long", &go, "connect", NOBODY, "touch", &format!("{go}.done")],
    )?;
    until(|| Ok(ground.plain().join("there").exists()))
}

fn let_connect(ground: &Ground<'_>) -> Result<Ran> {
    fs::write(ground.plain().join("go"), "")?;
    until(|| Ok(ground.plain().join("go.done").exists()))?;
    Ok(Ran::Done)
}

/// Lets both programs end, which have waited for it.
fn let_go(ground: &Ground<'_>) -> Result<()> {
    fs::write(ground.plain().join("until"), "")?;
    for suffix in ["", "-twin"] {
        let mut left = ground.left(suffix).with_context(|| format!("nothing was left by {suffix:?}"))?;
        ensure!(finish(&mut left)?.success(), "a program of the route failed");
    }
    Ok(())
}

/// Its start is told with the variable's name, and its connection is linked with that.
fn handed(ground: &Ground<'_>, evidence: &Evidence<'_>, basis: &str) -> Result<Verdict> {
    let_go(ground)?;
    evidence.twin_is_silent(ground)?;
    let started = evidence.actions(ground, "", "exec");
    let started: Vec<_> = started.into_iter().filter(|record| at(record, "environment").is_array()).collect();
    let verdict = Evidence::one(&started, |record| {
        let names = at(record, "environment").to_string();
        let own = at(record, "credential").get(0).map(|credential| text(credential, "id").to_owned());
        (names != format!("[{VARIABLE:?}]") || own.as_deref() != Some(HANDED))
            .then(|| format!("told with {names}, {own:?}"))
    })?;
    if matches!(verdict, Verdict::Seen) {
        let suffix = if basis == "inherited" { "-child" } else { "" };
        linked(ground, evidence, suffix, basis)?;
    }
    Ok(verdict)
}

fn inherited(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    handed(ground, evidence, "inherited")
}

fn held(ground: &Ground<'_>, evidence: &Evidence<'_>) -> Result<Verdict> {
    let_go(ground)?;
    evidence.twin_is_silent(ground)?;
    let connects = evidence.actions(ground, "", "connect");
    Evidence::one(&connects, |record| {
        let told = (text(record, "link.basis"), at(record, "credential").to_string());
        (told.0 != "held" || !told.1.contains(HANDED))
            .then(|| format!("linked by {:?} with {}", told.0, told.1))
    })
}

fn linked(ground: &Ground<'_>, evidence: &Evidence<'_>, suffix: &str, basis: &str) -> Result<()> {
    let connects = evidence.actions(ground, suffix, "connect");
    let well = |record: &&serde_json::Value| {
        text(record, "link.basis") == basis && at(record, "credential").to_string().contains(HANDED)
    };
    ensure!(connects.iter().any(well), "no connection is linked with it by {basis}: {connects:?}");
    Ok(())
}
