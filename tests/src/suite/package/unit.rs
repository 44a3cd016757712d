//! What the unit grants: enough for every signal, less for none, and nothing that is not needed any more.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::{coverage, of_unit, pid, property, proven, restart, said, secret, service, shell, until};
use crate::Place;
use crate::records::{Records, at, text};
use crate::suite::{KEY_ID, is_action, port_is};

/// How exposed `systemd-analyze security` may find the unit, in tenths: 0 is a closed box, 100 a root shell. What it has
/// against it: root, five capabilities, the network, processes and homes of others, which are the agent's work.
const EXPOSURE_MAX: u32 = 31;
/// What an agent under way has: CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE, CAP_BPF.
const KEPT: u64 = 1 << 2 | 1 << 19 | 1 << 39;
const DROP_IN: &str = "/etc/systemd/system/spoor.service.d";

/// The unit is sound and closed enough, each thread has given up what loading took, and every signal is proven under it.
pub(super) fn granted(place: &Place) -> Result<()> {
    let found = said("systemd-analyze verify --man=no /lib/systemd/system/spoor.service 2>&1")?;
    ensure!(found.is_empty(), "systemd-analyze verify: {found}");
    let rated =
        said(&format!("systemd-analyze security --no-pager --threshold={EXPOSURE_MAX} spoor.service"))?;
    println!("{}; memory {}", rated.lines().last().unwrap_or_default(), property("MemoryCurrent")?);
    for (limit, value) in [
        ("MemoryMax", "536870912"),
        ("MemoryHigh", "402653184"),
        ("TasksMax", "64"),
        ("CPUQuotaPerSecUSec", "1s"),
    ] {
        let found = property(limit)?;
        ensure!(found == value, "{limit} is {found}");
    }
    let mut threads = 0;
    for thread in fs::read_dir(format!("/proc/{}/task", pid()?))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim).map(str::to_owned).with_context(|| format!("no {name}"))
        };
        for set in ["CapPrm:", "CapEff:"] {
            let has = u64::from_str_radix(&field(set)?, 16)?;
            ensure!(has == KEPT, "{} has {has:x} of {set}", field("Name:")?);
        }
        let closed = (field("NoNewPrivs:")?, field("Seccomp:")?);
        ensure!(closed == ("1".to_owned(), "2".to_owned()), "{}: {closed:?}", field("Name:")?);
        threads += 1;
    }
    ensure!(threads >= 3, "{threads} threads");
    let mut records = Records::of(Path::new(super::RECORDS));
    let coverage = coverage(&mut records)?;
    let signals = at(&coverage, "signals").as_array().context("no signals")?;
    ensure!(signals.iter().all(|signal| at(signal, "proven") == true), "not proven: {coverage}");
    let tier = |name: &str| signals.iter().find(|signal| text(signal, "signal") == name);
    let open = tier("secret.open").map(|signal| text(signal, "tier"));
    ensure!(open == Some(place.tiers.0.as_str()), "openings are seen by {open:?}");
    Ok(())
}

/// What shows that a capability is there.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    /// Names of destinations are seen: programs at cgroups.
    names: bool,
    /// A descriptor that another user's process had before the agent started is known.
    held: bool,
    /// What identifies another user's credential is read.
    identified: bool,
}

const ALL: Shown = Shown { names: true, held: true, identified: true };

/// Without a capability, what it is for is missing, and nothing else.
pub(super) fn each_is_needed(records: &mut Records) -> Result<()> {
    let with_all = shown("all", 11, records)?;
    ensure!(with_all == ALL, "with all of them: {with_all:?}");
    let cases = [
        ("CAP_NET_ADMIN", Shown { names: false, ..ALL }),
        ("CAP_SYS_PTRACE", Shown { held: false, ..ALL }),
        // The list of a process's descriptors is its user's, too.
        ("CAP_DAC_READ_SEARCH", Shown { held: false, identified: false, ..ALL }),
    ];
    for ((capability, expected), port) in cases.into_iter().zip(12..) {
        drop_in(&format!("CapabilityBoundingSet=~{capability}"))?;
        let name = capability.to_lowercase().replace("cap_", "without-").replace('_', "-");
        let found = shown(&name, port, records);
        allow_all()?;
        let found = found.with_context(|| format!("without {capability}"))?;
        ensure!(found == expected, "without {capability}: {found:?}");
    }
    for capability in ["CAP_BPF", "CAP_PERFMON"] {
        drop_in(&format!("CapabilityBoundingSet=~{capability}"))?;
        let started = restart();
        let code = property("ExecMainStatus");
        allow_all()?;
        ensure!(started.is_err() && code? == "10", "without {capability} it starts");
    }
    restart()
}

fn shown(round: &str, port: u16, records: &mut Records) -> Result<Shown> {
    let (holder, reader) = (format!("held-{round}"), format!("read-{round}"));
    let held = secret(&holder)?;
    let (there, go) = (format!("/run/suite/{holder}"), format!("/run/suite/{holder}-go"));
    let steps = format!("touch {there} wait-long {go} connect 127.0.0.1:{port}");
    service(&holder, false, &format!("inherit {held} /srv/bin/tool [ {steps} ]"))?;
    until("the holder", || Ok(Path::new(&there).exists()))?;
    restart()?;
    fs::write(&go, "")?;
    // By its port: who is behind a process that was there before, may be what is not known.
    let of_holder = port_is(port);
    let connected = records
        .wait("the holder's connection", |record| is_action(record, "connect") && of_holder(record))?;
    service(&reader, true, "read /var/backups/.aws/credentials")?;
    let opened = records.wait("the opening", of_unit(&reader, "secret.open"))?;
    Ok(Shown {
        names: proven(&coverage(records)?, "names"),
        held: connected.to_string().contains(&held),
        identified: opened.to_string().contains(KEY_ID),
    })
}

/// Purposes that are put there come into force by `systemctl reload`.
pub(super) fn reload(records: &mut Records) -> Result<()> {
    const PURPOSE: &str = "[[purpose]]\nname = \"nightly\"\nactor = \"systemd:nightly.service\"\n\
        owner = \"team\"\nprograms = [\"/srv/bin/tool\"]\n";
    fs::create_dir_all("/etc/spoor/purposes.d")?;
    fs::write("/etc/spoor/purposes.d/nightly.toml", PURPOSE)?;
    shell("spoor check /etc/spoor/purposes.d/nightly.toml && systemctl reload spoor.service")?;
    let in_force = records.wait("the coverage record with purposes", |record| {
        text(record, "type") == "coverage" && at(record, "purposes.count") == 1
    });
    fs::remove_dir_all("/etc/spoor/purposes.d")?;
    in_force.map(drop)
}

/// A pipeline that is stuck, while everything else goes on, is started anew.
pub(super) fn watchdog() -> Result<()> {
    drop_in("WatchdogSec=6s")?;
    restart()?;
    let stuck = pid()?;
    let thread = thread(stuck, "spoor-pipeline")?;
    ptrace::seize(thread, ptrace::Options::empty())?;
    ptrace::interrupt(thread)?;
    let anew = until("another agent", || {
        // Who holds a thread has to take its death, or its process does not end.
        waitpid(thread, Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL)).ok();
        let now = pid()?;
        Ok(now != 0 && now != stuck && property("ActiveState")? == "active")
    });
    let restarts = property("NRestarts");
    allow_all()?;
    anew?;
    ensure!(restarts? == "1", "systemd started it anew some other number of times");
    restart()
}

fn thread(process: u32, name: &str) -> Result<Pid> {
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let thread = thread?;
        if fs::read_to_string(thread.path().join("comm"))?.trim() == name {
            let number = thread.file_name().to_string_lossy().parse()?;
            return Ok(Pid::from_raw(number));
        }
    }
    bail!("the agent has no thread {name}")
}

/// Changes the unit, as `systemctl edit` does.
fn drop_in(line: &str) -> Result<()> {
    fs::create_dir_all(DROP_IN)?;
    fs::write(Path::new(DROP_IN).join("test.conf"), format!("[Service]\n{line}\n"))?;
    shell("systemctl daemon-reload")
}

fn allow_all() -> Result<()> {
    fs::remove_dir_all(DROP_IN)?;
    shell("systemctl daemon-reload")
}
