//! `spoor doctor`: what this kernel and host allow, what stands in the way, and how to mend it.

mod holes;
mod text;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::wiring::{coverage, load, prove};
use super::{Failure, spared};
use crate::kernel::probes::Tier;
use crate::kernel::{CAPABILITIES, Covered, Facts, Host, Options, Others, inspect};
use crate::telemetry::Ledger;

/// What was found.
#[derive(Debug)]
pub struct Findings {
    facts: Facts,
    others: Others,
    tried: Result<Tried, Failure>,
}

/// What came of loading the probes.
#[derive(Debug)]
struct Tried {
    host: Host,
    covered: Covered,
    verified: Vec<(String, u32)>,
}

/// Looks at the host, then loads the probes for a moment, watching nothing but the canary. Where that cannot be done, what
/// was seen by looking is there all the same. An agent that runs on `store` does not record what is tried.
#[must_use]
pub fn examine(tiers: &[Tier], store: Option<&Path>) -> Findings {
    let root = Path::new("/");
    let _spared = store.and_then(spared::ask);
    // Before our own programs are there.
    Findings { facts: Facts::gather(root), others: Others::ask(root), tried: attempt(tiers) }
}

fn attempt(tiers: &[Tier]) -> Result<Tried, Failure> {
    let host = inspect()?;
    // A scope of no cgroup: only the canary is seen, nobody else's deeds.
    let (mut kernel, mut control, counters) = load(&host, Options { scoped: true, log_level: 0 })?;
    let ledger = Arc::new(Ledger::default());
    let (reader, feed, covered) = prove(&mut kernel, &mut control, &counters, &ledger, tiers)?;
    let verified = kernel.verified();
    kernel.detach_all();
    drop(feed);
    reader.stop();
    Ok(Tried { host, covered, verified })
}

impl Findings {
    /// For people: one screen.
    #[must_use]
    pub fn text(&self) -> String {
        text::page(self)
    }

    /// For programs: everything.
    #[must_use]
    pub fn json(&self) -> Value {
        let facts = &self.facts;
        let mut all = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "kernel": facts.release,
            "btf_bytes": facts.btf_bytes,
            "lockdown": facts.lockdown.map(crate::kernel::Lockdown::name),
            "lsm": facts.lsms,
            "lsm_with_bpf": facts.lsm_with_bpf(),
            "built": facts.built,
            "cgroups": facts.cgroups.name(),
            "capabilities": {
                "effective": format!("{:016x}", facts.capabilities),
                "has": CAPABILITIES.iter().filter(|one| facts.has(one.number)).map(|one| one.name).collect::<Vec<_>>(),
                "missing": facts.missing().iter().map(|one| one.name).collect::<Vec<_>>(),
            },
            "memlock_bytes": facts.memlock,
            "switches": self.switches(),
            "other_programs": self.other_programs(),
            "other_programs_unknown": self.others.unknown,
            "audit_sockets": facts.audit.iter().map(|one| json!({"port": one.port, "process": one.process})).collect::<Vec<_>>(),
            "holes": self.holes().iter().map(holes::Hole::json).collect::<Vec<_>>(),
        });
        match &self.tried {
            Ok(tried) => {
                all["signals"] = tried.signals();
                all["limits"] = json!(holes::limits(&tried.covered.signals));
                all["verified_instructions"] =
                    tried.verified.iter().map(|(name, count)| (name.clone(), Value::from(*count))).collect();
            }
            Err(failure) => {
                all["refused"] = json!({"why": failure.to_string(), "exit_code": failure.code()});
            }
        }
        all
    }

    /// The exit code: 0 where every signal is covered, 1 where not.
    ///
    /// # Errors
    /// Why the probes could not be tried.
    pub fn verdict(self) -> Result<u8, Failure> {
        self.tried.map(|tried| u8::from(!tried.covered.uncovered().is_empty()))
    }

    fn holes(&self) -> Vec<holes::Hole> {
        holes::of(&self.facts, self.tried.as_ref().ok().map(|tried| &tried.covered))
    }

    fn switches(&self) -> Value {
        let switches = &self.facts.switches;
        json!({
            "kernel.unprivileged_bpf_disabled": switches.unprivileged_bpf_disabled,
            "kernel.perf_event_paranoid": switches.perf_event_paranoid,
            "kernel.kptr_restrict": switches.kptr_restrict,
            "net.core.bpf_jit_enable": switches.bpf_jit_enable,
            "kernel.ftrace_enabled": switches.ftrace_enabled,
            "kprobes.enabled": switches.kprobes_enabled,
            "tracing_on": switches.tracing_on,
        })
    }

    fn other_programs(&self) -> Vec<Value> {
        let one = |program: &crate::kernel::OtherProgram| {
            let holders = program.holders.iter().map(|(pid, name)| json!({"pid": pid, "process": name}));
            let pins = program.pins.iter().map(|path| path.display().to_string());
            json!({
                "id": program.id, "type": program.kind, "name": program.name,
                "pinned": pins.collect::<Vec<_>>(), "held_by": holders.collect::<Vec<_>>(),
            })
        };
        self.others.programs.iter().map(one).collect()
    }
}

impl Tried {
    fn signals(&self) -> Value {
        let coverage = coverage(&self.host, &self.covered, &[]);
        let one = |signal: &crate::record::SignalCoverage| {
            let refused: Vec<_> =
                signal.refused.iter().map(|(tier, why)| json!({"tier": tier, "why": why})).collect();
            json!({
                "signal": signal.signal, "tier": signal.tier, "attach": signal.attach, "proven": signal.proven,
                "blind": signal.blind, "refused": refused,
            })
        };
        coverage.signals.iter().map(one).collect()
    }
}
