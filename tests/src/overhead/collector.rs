//! Who watches meanwhile: nobody, programs that do nothing on the hooks of an opening and a reading, spoor, auditd, or auditd that
//! hands on to laurel; or a spoor that was built without one of its techniques.

use std::fs;
use std::path::PathBuf;
use std::process::Child;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::hooks::Hooks;
use super::load::{DISK_SECRETS, SECRETS};
use crate::agent::{Agent, Samples};
use crate::records::{last_heartbeat, stored_bytes};
use crate::{Place, auditd};

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
            Self::Hooks => Running::Hooks(Hooks::attach(&place.forced)?),
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
    auditd::ctl(&["-e", "1"])?;
    audit_off()
}

fn audit_off() -> Result<()> {
    auditd::ctl(&["-D"])?;
    auditd::ctl(&["-a", "task,never"])?;
    auditd::ctl(&["-e", "0"]).map(drop)
}

/// Executions, connections, and readings of the credentials.
fn audit(collector: &Collector) -> Result<Child> {
    let rules = format!("{}-w {SECRETS} -p r -k secret\n-w {DISK_SECRETS} -p r -k secret\n", auditd::RULES);
    auditd::start(&rules, *collector == Collector::Laurel)
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
            Self::Audit(..) => Ok(json!({ "dropped": { "lost": auditd::lost()? } })),
        }
    }

    /// The difference to what it had told then.
    pub(super) fn told_since(&self, before: &Value) -> Result<Value> {
        let now = self.told()?;
        let mut since = serde_json::Map::new();
        for part in ["read", "dropped", "repeated"] {
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
                counters["bytes"] = stored_bytes(&directory.join("store"))?.into();
                fs::remove_dir_all(directory)?;
                Ok(counters)
            }
            Self::Audit(_, child) => {
                audit_off()?;
                let told = auditd::end(child)?;
                for log in [auditd::LOG, "/var/log/laurel/audit.log"] {
                    drop(fs::remove_file(log)); // who watches writes one of them
                }
                Ok(told)
            }
        }
    }
}

/// What the agent says of its samples at its socket.
fn status(agent: &Agent) -> Result<Value> {
    let samples = agent.samples()?;
    let part = |of: fn(&Samples) -> u64| -> Value {
        samples.iter().map(|(kind, samples)| (kind.clone(), json!(of(samples)))).collect()
    };
    Ok(json!({
        "read": part(|samples| samples.read),
        "dropped": part(|samples| samples.dropped),
        "repeated": part(|samples| samples.repeated),
    }))
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
