//! From installing to purging.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    ADDED, APT, Before, CONFIG, NEW, OLD, of_unit, pid, property, restart, said, secret, service, shell,
    until,
};
use crate::records::{Records, at, text};
use crate::suite::{SECRET, is_chain};

pub(super) const STORE: &str = "/var/lib/spoor";
/// Longest time from nothing to a first chain, apt included.
const NEWCOMER: Duration = Duration::from_secs(300);

/// By apt, out of a file, with no network: enabled, started, ready, and with nothing in its directories that others may read.
pub(super) fn install() -> Result<()> {
    shell(&format!("{APT} install -y {OLD}"))?;
    ensure!(state()? == ("active".to_owned(), "enabled".to_owned()), "after install: {:?}", state()?);
    let version = said("dpkg-query --show --showformat='${Version}' spoor")?;
    ensure!(said("spoor --version")? == format!("spoor {}", version.trim_end_matches("-1")), "{version}");
    for (path, mode) in
        [(STORE, 0o700), ("/var/log/spoor", 0o750), ("/usr/bin/spoor", 0o755), (CONFIG, 0o644)]
    {
        let meta = fs::metadata(path).with_context(|| path.to_owned())?;
        let found = (meta.uid(), meta.permissions().mode() & 0o7777);
        ensure!(found == (0, mode), "{path}: {found:?}");
    }
    for file in ["man/man1/spoor.1.gz", "man/man1/spoor-show.1.gz", "bash-completion/completions/spoor"] {
        ensure!(Path::new("/usr/share").join(file).exists(), "there is no {file}");
    }
    shell("spoor check /etc/spoor/spoor.toml && dpkg --verify spoor")?;
    let shipped = fs::read_to_string(CONFIG)?;
    let own = shipped.replacen("# paths = []", "paths = [\"/srv/secret/*\"] #", 1);
    // All the work of an upgrade is one chain.
    let own = own.replacen("# max_actions = 4096 ", "max_actions = 1000000 #", 1);
    ensure!(
        own.contains("\npaths") && own.contains("\nmax_actions"),
        "the shipped config has no place for them"
    );
    fs::write(CONFIG, format!("{own}{ADDED}"))?;
    shell("spoor check /etc/spoor/spoor.toml")?;
    restart()
}

/// Three commands to a first chain, as docs/START.md walks them; the first is done. The third runs beside the service.
pub(super) fn newcomer(begun: Instant) -> Result<()> {
    let installed = begun.elapsed();
    // Ends well where every signal is covered, whatever holes a tier has.
    said("spoor doctor")?;
    let asked = begun.elapsed();
    let demo = said("spoor run --demo")?;
    let all = begun.elapsed();
    for word in ["Chain ", "connect ", "established  after pgpass backup@127.0.0.1", "exit code 0"] {
        ensure!(demo.contains(word), "the demo does not say `{word}`: {demo}");
    }
    println!(
        "newcomer: installed after {installed:.1?}, doctor has spoken after {asked:.1?}, a first chain after {all:.1?}"
    );
    ensure!(all < NEWCOMER, "a first chain takes {all:?}");
    ensure!(
        property("ActiveState")? == "active" && property("NRestarts")? == "0",
        "the service minds the demo"
    );
    Ok(())
}

fn state() -> Result<(String, String)> {
    Ok((property("ActiveState")?, property("UnitFileState")?))
}

/// The chain of a real unit: in the sink's file, in what `spoor chains` says, and in the syslog of the host.
pub(super) fn chain(records: &mut Records) -> Result<()> {
    let token = secret("nightly")?;
    service("nightly", true, &format!("read {token} connect 127.0.0.1:9"))?;
    let closed = records.wait("the closed chain", |record| {
        is_chain(record, "closed") && text(record, "actor.id") == "systemd:nightly.service"
    })?;
    let chain = text(&closed, "chain").to_owned();
    let connected = of_unit("nightly", "connect");
    let connected = records.all.iter().find(|record| connected(record)).context("no connection")?;
    ensure!(text(connected, "link.relation") == "observed_after", "not linked: {connected}");
    let shown = said("spoor chains --actor systemd:nightly.service")?;
    ensure!(shown.contains("systemd:nightly.service"), "spoor chains says: {shown}");
    let syslog = Path::new("/var/log/syslog");
    until("the chain in rsyslog's file", || {
        let said = fs::read_to_string(syslog).unwrap_or_default();
        Ok(said.lines().any(|line| line.contains(&chain) && line.contains("\"status\":\"closed\"")))
    })?;
    ensure!(!fs::read_to_string(syslog)?.contains(SECRET), "the secret is in the syslog");
    Ok(())
}

/// While work goes on: nothing is missed, and nothing is told twice. The new agent is the service from then on, watchdog and
/// all.
pub(super) fn upgrade(records: &mut Records) -> Result<()> {
    let token = secret("load")?;
    // Not all that the host can do: beside that, an emulated one takes minutes to load a second agent's probes.
    let work = format!(
        "i=0; while [ ! -e /run/suite/enough ]; do i=$((i+1)); /srv/bin/tool nothing $i read {token} idle 100; done; \
         echo $i > /run/suite/done.new; mv /run/suite/done.new /run/suite/done"
    );
    shell(&format!("systemd-run --quiet --unit=load /bin/sh -c '{work}'"))?;
    records.wait("work", of_unit("load", "secret.open"))?;
    let (agent, before) = (Before::look()?, records.all.len());
    shell(&format!("{APT} install -y {NEW}"))?;
    agent.is_relieved()?;
    let heard = property("WatchdogTimestampMonotonic")?;
    // Some work that only the new one can have seen.
    records.refresh()?;
    let enough = opened(records).len() + 50;
    until("more work", || {
        records.refresh()?;
        Ok(opened(records).len() >= enough)
    })?;
    fs::write("/run/suite/enough", "")?;
    until("the end of the work", || Ok(Path::new("/run/suite/done").exists()))?;
    let done: u64 = fs::read_to_string("/run/suite/done")?.trim().parse().context("how many?")?;
    until("the last piece of work", || {
        records.refresh()?;
        Ok(opened(records).contains_key(&done))
    })?;
    let seen = opened(records);
    let wrong: Vec<u64> = (1..=done).filter(|number| seen.get(number) != Some(&1)).collect();
    ensure!(wrong.is_empty(), "of {done} openings these are missing or there twice: {wrong:?}");
    let since: Vec<&Value> = records.all.iter().skip(before).collect();
    let gaps: Vec<_> = since.iter().filter(|record| text(record, "type") == "gap").collect();
    ensure!(gaps.is_empty(), "gaps: {gaps:?}");
    let own: Vec<_> =
        since.iter().filter(|record| text(record, "actor.id").contains("spoor.service")).collect();
    ensure!(own.is_empty(), "the agents are in the records: {own:?}");
    until("the new agent's word to the watchdog", || Ok(property("WatchdogTimestampMonotonic")? != heard))?;
    ensure!(property("NRestarts")? == "0", "it was restarted");
    shell("spoor verify")?;
    ensure!(fs::read_to_string(CONFIG)?.ends_with(ADDED), "the administrator's config is gone");
    ensure!(!records.shown().contains(SECRET), "the secret left its file");
    Ok(())
}

/// How often each piece of work was seen, by its number, which is in its arguments.
fn opened(records: &Records) -> BTreeMap<u64, usize> {
    let of_load = of_unit("load", "secret.open");
    let mut found = BTreeMap::new();
    for record in records.all.iter().filter(|record| of_load(record)) {
        let number = at(record, "process.argv").get(2).and_then(|argument| argument.as_str()?.parse().ok());
        if let Some(number) = number {
            *found.entry(number).or_default() += 1;
        }
    }
    found
}

/// Back to the former build: it reads the store that the newer one wrote.
pub(super) fn downgrade() -> Result<()> {
    let old = pid()?;
    shell(&format!("{APT} install -y --allow-downgrades {OLD}"))?;
    ensure!(said("dpkg-query --show --showformat='${Version}' spoor")?.ends_with("-1"), "not the old one");
    ensure!(property("ActiveState")? == "active" && pid()? != old, "the old agent does not run");
    shell("spoor verify")?;
    let shown = said("spoor chains --actor systemd:nightly.service")?;
    ensure!(shown.contains("systemd:nightly.service"), "what was kept is gone: {shown}");
    Ok(())
}

/// An upgrade starts nothing that an administrator has switched off.
pub(super) fn switched_off_stays_off() -> Result<()> {
    shell("systemctl disable --now spoor.service")?;
    shell(&format!("{APT} install -y {NEW}"))?;
    let found = state()?;
    shell("systemctl enable --now spoor.service")?;
    ensure!(found == ("inactive".to_owned(), "disabled".to_owned()), "after an upgrade: {found:?}");
    Ok(())
}

/// What was made stays: config, evidence. What ran does not.
pub(super) fn remove() -> Result<()> {
    let agent = Before::look()?;
    shell(&format!("{APT} remove -y spoor"))?;
    agent.is_removed()?;
    ensure!(fs::read_to_string(CONFIG)?.ends_with(ADDED), "the config is gone");
    ensure!(Path::new(STORE).join("fingerprint.key").exists(), "the state is gone");
    // And it can be taken back.
    shell(&format!("{APT} install -y {NEW}"))?;
    ensure!(state()? == ("active".to_owned(), "enabled".to_owned()), "installed again: {:?}", state()?);
    shell("spoor verify")
}

/// Nothing is left.
pub(super) fn purge() -> Result<()> {
    shell(&format!("{APT} purge -y spoor"))?;
    // apt and dpkg keep a diary, and the rest is the test's own.
    let left = said(
        "find / -xdev -name '*spoor*' -not -path '/spoor*' -not -path '/proc/*' -not -path '/sys/*' \
         -not -path '/var/log/apt/*' -not -path '/run/systemd/transient/*'",
    )?;
    ensure!(left.is_empty(), "left behind: {left}");
    ensure!(property("LoadState")? == "not-found", "the unit is still there");
    Ok(())
}
