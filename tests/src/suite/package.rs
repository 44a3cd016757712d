//! The package on a Debian under systemd, as an administrator has it: installed by apt, upgraded while work goes on, taken
//! back, stopped, removed, purged. In between, what the unit grants and what it does not.

mod life;
mod redhat;
mod unit;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

use super::house::shell;
use super::{BACKUP, home, verdict};
use crate::records::{Records, at, text};
use crate::{PATIENCE, Place};

/// Two builds of one version, as the guest finds them.
const OLD: &str = "/spoor/spoor_1.deb";
const NEW: &str = "/spoor/spoor_2.deb";
const RECORDS: &str = "/var/log/spoor/records.jsonl";
const CONFIG: &str = "/etc/spoor/spoor.toml";
const SECRETS: &str = "/srv/secret";
/// Where jobs leave word.
const WORD: &str = "/run/suite";
/// What an administrator adds to the shipped config.
const ADDED: &str = "\n[[sink]]\nname = \"local\"\ntype = \"file\"\n\
    path = \"/var/log/spoor/records.jsonl\"\n[[sink]]\nname = \"journal\"\ntype = \"syslog\"\ntransport = \"local\"\n";
const APT: &str = "DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Options::=--force-unsafe-io";

/// What is done before systemd is there.
///
/// # Errors
/// Where a file cannot be made.
pub fn before_boot() -> Result<()> {
    fs::write("/etc/hostname", "package\n")?;
    fs::create_dir_all(SECRETS)?;
    fs::create_dir_all("/srv/bin")?;
    fs::copy("/spoor/spoor-act", "/srv/bin/tool")?;
    home(Path::new("/var/backups"), 9)?;
    // Where apt keeps its lists, of which there are none.
    fs::create_dir_all("/var/lib/apt/lists/partial")?;
    fs::create_dir_all("/var/cache/apt/archives/partial")?;
    Ok(())
}

/// All of it, in the order of a package's life. One verdict each; what comes after a failed installation says little.
///
/// # Errors
/// Where the package cannot be installed.
pub fn package(place: &Place) -> Result<()> {
    fs::create_dir_all(WORD)?;
    fs::set_permissions(WORD, fs::Permissions::from_mode(0o1777))?;
    let begun = Instant::now();
    life::install().context("install")?;
    place.say("PASS package-install");
    verdict(place, "package-newcomer", life::newcomer(begun));
    let mut records = Records::of(Path::new(RECORDS));
    verdict(place, "package-unit", unit::granted(place));
    verdict(place, "package-chain", life::chain(&mut records));
    verdict(place, "package-capabilities", unit::each_is_needed(&mut records));
    verdict(place, "package-reload", unit::reload(&mut records));
    // In these the agent has its part, and no release of a distribution another.
    let once = place.cell.as_deref() == Some("6.1-package");
    if once {
        verdict(place, "package-watchdog", unit::watchdog());
    }
    verdict(place, "package-upgrade", with_the_managers_word(life::upgrade(&mut records)));
    if once {
        verdict(place, "package-downgrade", life::downgrade());
    }
    verdict(place, "package-switched-off", life::switched_off_stays_off());
    verdict(place, "package-remove", life::remove());
    verdict(place, "package-purge", life::purge());
    if once {
        verdict(place, "package-rpm", with_the_managers_word(redhat::life()));
    }
    Ok(())
}

/// What a command prints; it must succeed.
fn said(command: &str) -> Result<String> {
    let done = Command::new("/bin/sh").args(["-c", command]).output().context("a shell cannot be started")?;
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    ensure!(done.status.success(), "`{command}` ended with {}: {out}{err}", done.status);
    Ok(out.trim().to_owned())
}

/// A property of the unit.
fn property(name: &str) -> Result<String> {
    said(&format!("systemctl show --value --property={name} spoor.service"))
}

fn pid() -> Result<u32> {
    property("MainPID")?.parse().context("the number of the agent's process")
}

/// The agent that runs, before something happens to it.
struct Before {
    pid: u32,
    invocation: String,
    /// Units that have failed already, whose ever they are.
    failed: BTreeSet<String>,
}

impl Before {
    fn look() -> Result<Self> {
        Ok(Before { pid: pid()?, invocation: property("InvocationID")?, failed: failed()? })
    }

    /// Another one has taken over from it, and the service never ended.
    fn is_relieved(&self) -> Result<()> {
        let old = self.pid;
        ensure!(property("ActiveState")? == "active" && pid()? != old, "the new agent does not run");
        ensure!(!Path::new(&format!("/proc/{old}")).exists(), "the old agent is still there");
        ensure!(property("InvocationID")? == self.invocation, "the service was restarted");
        Ok(())
    }

    /// It has ended, its program and its unit are gone, and no unit has failed by that.
    fn is_removed(&self) -> Result<()> {
        ensure!(!Path::new(&format!("/proc/{}", self.pid)).exists(), "the agent still runs");
        ensure!(!Path::new("/usr/bin/spoor").exists(), "the program is still there");
        ensure!(property("LoadState")? == "not-found", "the unit is still there");
        let failed = failed()?;
        let new: Vec<_> =
            failed.iter().filter(|unit| !self.failed.contains(*unit) || unit.contains("spoor")).collect();
        ensure!(new.is_empty(), "units failed: {new:?}");
        Ok(())
    }
}

/// Units that have failed.
fn failed() -> Result<BTreeSet<String>> {
    Ok(said("systemctl list-units --failed --plain --no-legend")?.lines().map(str::to_owned).collect())
}

/// Waits until something holds.
fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE * 3;
    while !holds()? {
        ensure!(Instant::now() < deadline, "{what}: not within {:?}; {}", PATIENCE * 3, journal());
        std::thread::park_timeout(Duration::from_millis(50));
    }
    Ok(())
}

/// The end of what the agent logged, for whoever reads a failure.
fn journal() -> String {
    said("journalctl --no-pager --output=cat --lines=25 _SYSTEMD_UNIT=spoor.service _TRANSPORT=stdout")
        .unwrap_or_default()
}

/// With the end of what systemd and the agent say of the service, where it failed.
fn with_the_managers_word(result: Result<()>) -> Result<()> {
    let words = "journalctl --no-pager --output=short-monotonic --lines=25 \
        UNIT=spoor.service + _SYSTEMD_UNIT=spoor.service _TRANSPORT=stdout";
    result.map_err(|error| anyhow!("{error:#}\n{}", said(words).unwrap_or_default()))
}

/// Restarts the agent, and waits until it is ready: `Type=notify` says when.
fn restart() -> Result<()> {
    shell("systemctl reset-failed spoor.service; systemctl restart spoor.service")
        .with_context(|| format!("the agent said: {}", journal()))
}

/// Runs the acting program as a service of its own, as the user `backup`; waits for its end where that is asked for.
fn service(name: &str, wait: bool, steps: &str) -> Result<()> {
    let wait = if wait { "--wait" } else { "" };
    shell(&format!("systemd-run --quiet {wait} --unit={name} --property=User=backup /srv/bin/tool {steps}"))
}

/// A credential that only the service account may read.
fn secret(name: &str) -> Result<String> {
    let path = Path::new(SECRETS).join(name);
    fs::write(&path, format!("{}\n", super::SECRET))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400))?;
    chown(&path, Some(BACKUP), Some(BACKUP))?;
    Ok(path.display().to_string())
}

fn of_unit<'a>(name: &'a str, action: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |record| {
        super::is_action(record, action) && text(record, "actor.id") == format!("systemd:{name}.service")
    }
}

/// The newest coverage record.
fn coverage(records: &mut Records) -> Result<Value> {
    records.refresh()?;
    let newest = records.all.iter().rev().find(|record| text(record, "type") == "coverage");
    newest.cloned().context("no coverage record")
}

/// Whether a signal is proven in a coverage record.
fn proven(coverage: &Value, signal: &str) -> bool {
    let signals = at(coverage, "signals").as_array().into_iter().flatten();
    signals.filter(|one| text(one, "signal") == signal).any(|one| at(one, "proven") == true)
}
