//! What spoor says where it cannot run: each refusal has its exit code, and says what to do.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::Place;

/// Runs the agent behind some steps of the acting program. Gives its exit code and what it said, on whichever stream.
fn refused(place: &Place, steps: &[&str], arguments: &[&str]) -> Result<(Option<i32>, String)> {
    let spoor = place.spoor.display().to_string();
    let mut command = Command::new(&place.act);
    command.args(steps).arg("become").arg(spoor).arg("[").args(arguments).arg("]");
    let output = command.output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
}

fn demand(found: &(Option<i32>, String), code: i32, words: &[&str]) -> Result<()> {
    let (status, said) = found;
    ensure!(*status == Some(code), "ended with {status:?}, not {code}, saying: {said}");
    for word in words {
        ensure!(said.contains(word), "does not say {word:?}: {said}");
    }
    Ok(())
}

/// Without privileges, without BTF, under lockdown, in a pid namespace.
pub(super) fn hosts(place: &Place) -> Result<()> {
    let doctor = ["doctor"];
    demand(&refused(place, &["user", "65534"], &doctor)?, 10, &["CAP_BPF", "root", "0 of 5 capabilities"])?;
    let no_btf = ["unshare", "mounts", "cover", "/sys/kernel/btf", "64k"];
    demand(&refused(place, &no_btf, &doctor)?, 12, &["CONFIG_DEBUG_INFO_BTF"])?;
    let security = "/sys/kernel/security";
    let lockdown = format!("{security}/lockdown");
    let locked = [
        "unshare",
        "mounts",
        "cover",
        security,
        "64k",
        "write",
        &lockdown,
        "none integrity [confidentiality]\n",
    ];
    demand(&refused(place, &locked, &doctor)?, 13, &["lockdown=integrity", "lockdown    confidentiality"])?;
    // The namespace holds the children of whoever asked for it.
    let spoor = place.spoor.display().to_string();
    let inside =
        Command::new(&place.act).args(["unshare", "pids", "spawn", &spoor, "[", "doctor", "]"]).output()?;
    let said = String::from_utf8_lossy(&inside.stderr).into_owned();
    ensure!(said.contains("pid namespace") && said.contains("exit status: 17"), "in a pid namespace: {said}");
    Ok(())
}

/// A config with mistakes, one that is not there, a chain that is not there.
pub(super) fn words(place: &Place) -> Result<()> {
    let directory = place.directory("words")?;
    let config = directory.join("spoor.toml");
    fs::write(&config, "[stroe]\npath = \"/x\"\n[store]\nkeep = \"soon\"\n")?;
    let config = config.display().to_string();
    demand(&refused(place, &[], &["check", &config])?, 1, &[":1:", ":4:", "store", "soon"])?;
    demand(&refused(place, &[], &["run", "--config", &config])?, 3, &[":1:", ":4:"])?;
    let absent = directory.join("absent.toml").display().to_string();
    demand(&refused(place, &[], &["run", "--config", &absent])?, 3, &["absent.toml"])?;
    demand(&refused(place, &[], &["run", "--tiers", "magic"])?, 2, &["kprobe"])?;
    Ok(())
}

/// A disk without room for the first record.
pub(super) fn full_disk(place: &Place) -> Result<()> {
    let directory = place.directory("full-disk")?;
    let store = directory.join("store");
    fs::create_dir_all(&store)?;
    let config = directory.join("spoor.toml");
    let scope = place
        .scope
        .as_ref()
        .map_or(String::new(), |scope| format!("[scope]\ncgroups = [{:?}]\n", scope.path));
    fs::write(&config, format!("{scope}[store]\npath = {store:?}\n"))?;
    let (store, config) = (store.display().to_string(), config.display().to_string());
    let small = ["unshare", "mounts", "cover", &store, "16k"];
    demand(&refused(place, &small, &["run", "--config", &config])?, 15, &["room", "store.path"])
}
