//! Who watches meanwhile: nobody, programs that do nothing on the hooks of an opening and a reading, spoor, auditd, or auditd that
//! hands on to laurel; or a spoor that was built without one of its techniques.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::hooks::Hooks;
use super::load::{DISK_SECRETS, SECRETS};
use crate::agent::{Agent, Samples};
use crate::records::last_heartbeat;
use crate::{PATIENCE, Place};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Collector {
    Nobody,
    Hooks,
    Spoor,
    Auditd,
    Laurel,
    /// The agent without a technique: the whole name.
    Without(String),
}

/// One that is at it.
pub(super) enum Running {
    Nobody,
    Hooks(Hooks),
    Agent(Collector, Box<Agent>),
    Audit(Collector, Child),
}

const AUDIT_LOG: &str = "/var/log/audit/audit.log";
/// Executions, connections and the credentials: what spoor is asked for. Buffers and patience are Debian's.
const RULES: &str = "-D\n-b 8192\n--backlog_wait_time 60000\n-f 1\n\
    -a always,exit -F arch=b64 -S execve,execveat -k exec\n-a always,exit -F arch=b64 -S connect -k connect\n";

impl Collector {
    const ALL: [Self; 5] = [Self::Nobody, Self::Hooks, Self::Spoor, Self::Auditd, Self::Laurel];

    /// Those of that name, with commas between them, or else all; and behind them an agent without each of those techniques.
    pub(super) fn all_of(names: Option<&str>, without: Option<&str>) -> Result<Vec<Self>> {
        let named = |name: &str| {
            let known = Self::ALL.into_iter().find(|one| one.name() == name);
            known.with_context(|| format!("there is no collector {name:?}"))
        };
        let mut all = match names {
            Some(names) => names.split(',').map(named).collect::<Result<Vec<_>>>()?,
            None => Self::ALL.to_vec(),
        };
        let without = without.into_iter().flat_map(|names| names.split(','));
        all.extend(without.map(|technique| Self::Without(format!("without-{technique}"))));
        Ok(all)
    }

    /// Each comes once a round, in an order that changes with the round.
    pub(super) fn in_turn(all: &[Self], round: usize) -> impl Iterator<Item = &Self> {
        let count = all.len();
        (0..count).filter_map(move |turn| {
            let place = if round.is_multiple_of(2) { turn } else { count - 1 - turn };
            all.get((place + round / 2) % count)
        })
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Nobody => "nobody",
            Self::Hooks => "hooks",
            Self::Spoor => "spoor",
            Self::Auditd => "auditd",
            Self::Laurel => "laurel",
            Self::Without(name) => name,
        }
    }

    pub(super) fn start(&self, place: &Place, visit: usize) -> Result<Running> {
        Ok(match self {
            Self::Nobody => Running::Nobody,
            Self::Hooks => Running::Hooks(Hooks::attach()?),
            Self::Spoor | Self::Without(_) => {
                let config = format!("[credentials]\npaths = [\"{SECRETS}/**\", \"{DISK_SECRETS}/**\"]\n");
                let place = Place { spoor: self.program(place), ..place.clone() };
                let agent = Agent::start(&place, &format!("visit-{visit}"), &config)?;
                Running::Agent(self.clone(), Box::new(agent))
            }
            Self::Auditd | Self::Laurel => Running::Audit(self.clone(), audit(self)?),
        })
    }

    /// The agent's binary: one without a technique lies beside it.
    fn program(&self, place: &Place) -> PathBuf {
        if let Self::Without(name) = self {
            return place.spoor.with_file_name(format!("spoor-{name}"));
        }
        place.spoor.clone()
    }
}

/// Audit was on once, in every block: what was made before it ever was is never looked at again, and a block of nobody's would
/// differ from the next. Now it is off, and no process has anything of it.
pub(super) fn make_ready() -> Result<()> {
    auditctl(&["-e", "1"])?;
    audit_off()
}

fn audit_off() -> Result<()> {
    auditctl(&["-D"])?;
    auditctl(&["-a", "task,never"])?;
    auditctl(&["-e", "0"]).map(drop)
}

fn auditctl(arguments: &[&str]) -> Result<String> {
    let output = Command::new("/sbin/auditctl").args(arguments).output().context("auditctl")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "auditctl {arguments:?}: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(said)
}

/// Starts auditd as Debian has it, but for its log, which is neither turned over nor enriched: the least that it can do. Where
/// it hands on to laurel it writes none at all.
fn audit(collector: &Collector) -> Result<Child> {
    let laurel = *collector == Collector::Laurel;
    let conf = fs::read_to_string("/etc/audit/auditd.conf")?;
    let ours = |name: &str| match name {
        "log_format" => Some("RAW"),
        "write_logs" => Some(if laurel { "no" } else { "yes" }),
        "max_log_file_action" | "space_left_action" | "admin_space_left_action" => Some("IGNORE"),
        _ => None,
    };
    let lines = conf.lines().map(|line| match line.split_once(" = ") {
        Some((name, value)) => format!("{name} = {}\n", ours(name).unwrap_or(value)),
        None => format!("{line}\n"),
    });
    fs::write("/etc/audit/auditd.conf", lines.collect::<String>())?;
    let plugin = fs::read_to_string("/etc/audit/plugins.d/laurel.conf")?;
    let (from, to) = if laurel { ("active = no", "active = yes") } else { ("active = yes", "active = no") };
    fs::write("/etc/audit/plugins.d/laurel.conf", plugin.replace(from, to))?;
    let child = Command::new("/sbin/auditd").arg("-n").stdout(Stdio::null()).spawn().context("auditd")?;
    let deadline = Instant::now() + PATIENCE;
    let there = |program: &str| {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries
            .filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok())
            .any(|comm| comm.trim() == program)
    };
    let pid = format!("pid {}\n", child.id());
    while !auditctl(&["-s"])?.contains(&pid) || (laurel && !there("laurel")) {
        ensure!(Instant::now() < deadline, "auditd does not get ready");
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let rules = format!("{RULES}-w {SECRETS} -p r -k secret\n-w {DISK_SECRETS} -p r -k secret\n");
    fs::write("/run/audit.rules", rules)?;
    auditctl(&["-R", "/run/audit.rules"])?;
    auditctl(&["-e", "1"])?;
    Ok(child)
}

impl Running {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Nobody => Collector::Nobody.name(),
            Self::Hooks(_) => Collector::Hooks.name(),
            Self::Agent(collector, _) | Self::Audit(collector, _) => collector.name(),
        }
    }

    /// What it has told so far, as it says itself.
    pub(super) fn told(&self) -> Result<Value> {
        match self {
            Self::Nobody | Self::Hooks(_) => Ok(json!({})),
            Self::Agent(_, agent) => status(agent),
            Self::Audit(..) => {
                let status = auditctl(&["-s"])?;
                let lost =
                    status.lines().find_map(|line| line.strip_prefix("lost ")).context("auditctl -s")?;
                Ok(json!({ "dropped": { "lost": lost.trim().parse::<u64>()? } }))
            }
        }
    }

    /// The difference to what it had told then.
    pub(super) fn told_since(&self, before: &Value) -> Result<Value> {
        let now = self.told()?;
        let mut since = serde_json::Map::new();
        for part in ["read", "dropped"] {
            let mut counts = serde_json::Map::new();
            for (name, count) in now.get(part).and_then(Value::as_object).into_iter().flatten() {
                let was = before.get(part).and_then(|counts| counts.get(name)).and_then(Value::as_u64);
                let more = count.as_u64().unwrap_or(0) - was.unwrap_or(0);
                if more > 0 {
                    counts.insert(name.clone(), json!(more));
                }
            }
            since.insert(part.to_owned(), counts.into());
        }
        Ok(since.into())
    }

    /// Ends it; what it tells at its end.
    pub(super) fn stop(self) -> Result<Value> {
        match self {
            Self::Nobody => Ok(json!({})),
            Self::Hooks(hooks) => {
                drop(hooks);
                Ok(json!({}))
            }
            Self::Agent(_, agent) => {
                let (directory, log) = (agent.directory.clone(), agent.log());
                let (status, records) = agent.stop()?;
                ensure!(status.success(), "the agent ended with {status}:\n{log}");
                let last = last_heartbeat(&records.all);
                let mut counters =
                    last.and_then(|last| last.get("counters")).context("no last heartbeat")?.clone();
                counters["bytes"] = stored(&directory.join("store"))?.into();
                fs::remove_dir_all(directory)?;
                Ok(counters)
            }
            Self::Audit(_, mut child) => {
                audit_off()?;
                kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
                let ended = child.wait()?;
                ensure!(ended.success(), "auditd ended with {ended}");
                let log = fs::read_to_string(AUDIT_LOG).unwrap_or_default();
                let told = |key: &str| {
                    log.lines().filter(|line| line.starts_with("type=SYSCALL") && line.contains(key)).count()
                };
                let told = json!({
                    "bytes": log.len(), "exec": told("key=\"exec\""), "connect": told("key=\"connect\""),
                    "secret": told("key=\"secret\""),
                });
                for log in [AUDIT_LOG, "/var/log/laurel/audit.log"] {
                    drop(fs::remove_file(log)); // who watches writes one of them
                }
                Ok(told)
            }
        }
    }
}

/// Bytes of the files with records.
fn stored(store: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(store)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("records-") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// What the agent says of its samples at its socket.
fn status(agent: &Agent) -> Result<Value> {
    let samples = agent.samples()?;
    let part = |of: fn(&Samples) -> u64| -> Value {
        samples.iter().map(|(kind, samples)| (kind.clone(), json!(of(samples)))).collect()
    };
    Ok(json!({ "read": part(|samples| samples.read), "dropped": part(|samples| samples.dropped) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_comes_once_a_round_and_each_may_be_the_first() {
        for all in [
            Collector::all_of(None, None).unwrap(),
            Collector::all_of(Some("nobody,spoor"), Some("sieve,lanes")).unwrap(),
        ] {
            let rounds: Vec<Vec<&Collector>> =
                (0..2 * all.len()).map(|round| Collector::in_turn(&all, round).collect()).collect();
            for collector in &all {
                let times = |round: &Vec<&Collector>| round.iter().filter(|one| **one == collector).count();
                assert!(rounds.iter().all(|round| times(round) == 1), "{rounds:?}");
                for place in 0..all.len() {
                    assert_eq!(
                        rounds.iter().filter(|round| round[place] == collector).count(),
                        2,
                        "{rounds:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn those_without_a_technique_come_behind_the_others() {
        let names = |names, without| -> Result<Vec<String>> {
            Ok(Collector::all_of(names, without)?.iter().map(|one| one.name().to_owned()).collect())
        };
        assert_eq!(names(None, None).unwrap(), ["nobody", "hooks", "spoor", "auditd", "laurel"]);
        assert_eq!(
            names(Some("nobody,spoor"), Some("sieve,told-once")).unwrap(),
            ["nobody", "spoor", "without-sieve", "without-told-once"]
        );
        assert!(names(Some("nobody,auditt"), None).is_err());
        assert!(names(Some(""), None).is_err());
    }
}
