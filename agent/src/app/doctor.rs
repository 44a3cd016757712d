//! `spoor doctor`: what this kernel and host allow, and what stands in the way.

use std::fmt::Write;
use std::sync::Arc;

use super::Failure;
use super::wiring::{coverage, load, prove};
use crate::kernel::probes::Tier;
use crate::kernel::{Covered, Host, Options, inspect};
use crate::telemetry::Ledger;

/// What was found.
#[derive(Debug)]
pub struct Findings {
    host: Host,
    covered: Covered,
    verified: Vec<(String, u32)>,
}

/// Loads the probes for a moment, watching nothing but the canary.
///
/// # Errors
/// [`Failure`] where the host cannot run spoor at all; the message says what to do.
pub fn examine(tiers: &[Tier]) -> Result<Findings, Failure> {
    let host = inspect()?;
    // A scope of no cgroup: only the canary is seen, nobody else's deeds.
    let (mut kernel, mut control, counters) = load(&host, Options { scoped: true, log_level: 0 })?;
    let ledger = Arc::new(Ledger::default());
    let (reader, feed, covered) = prove(&mut kernel, &mut control, &counters, &ledger, tiers)?;
    let verified = kernel.verified();
    kernel.detach_all();
    drop(feed);
    reader.stop();
    Ok(Findings { host, covered, verified })
}

impl Findings {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let Findings { host, covered, verified } = self;
        let mut out = String::new();
        let lsms = host
            .lsms
            .as_ref()
            .map_or("unknown (securityfs is not mounted)".to_owned(), |list| list.join(", "));
        // Writing to a string cannot fail.
        let _ = writeln!(out, "kernel    {}", host.release);
        let _ = writeln!(out, "btf       {} KiB", host.btf.len() / 1024);
        let _ = writeln!(out, "lockdown  {}", host.lockdown.name());
        let _ = writeln!(out, "lsm       {lsms}");
        for signal in &covered.signals {
            let tier = signal.tier.map_or("NOT COVERED", Tier::name);
            let _ = writeln!(out, "\n{:<16}{tier:<12}{}", signal.signal.name(), signal.attach.join(", "));
            for blind in &signal.blind {
                let _ = writeln!(out, "    does not see: {blind}");
            }
            for refused in &signal.refused {
                let _ = writeln!(out, "    {}: {}", refused.tier.name(), refused.why);
            }
        }
        for advice in self.advice() {
            let _ = writeln!(out, "\n{advice}");
        }
        if !verified.is_empty() {
            let most = verified.iter().max_by_key(|(_, count)| *count);
            let _ = writeln!(
                out,
                "\nverifier  {} programs, {} instructions in all{}",
                verified.len(),
                verified.iter().map(|(_, count)| u64::from(*count)).sum::<u64>(),
                most.map(|(name, count)| format!(", most in {name} ({count})")).unwrap_or_default()
            );
        }
        out
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let coverage = coverage(&self.host, &self.covered, &[]);
        let signals: Vec<_> = coverage
            .signals
            .iter()
            .map(|signal| {
                let refused: Vec<_> =
                    signal.refused.iter().map(|(tier, why)| serde_json::json!({"tier": tier, "why": why})).collect();
                serde_json::json!({
                    "signal": signal.signal, "tier": signal.tier, "attach": signal.attach, "proven": signal.proven,
                    "blind": signal.blind, "refused": refused,
                })
            })
            .collect();
        let verified: serde_json::Map<_, _> =
            self.verified.iter().map(|(name, count)| (name.clone(), (*count).into())).collect();
        serde_json::json!({
            "version": coverage.agent_version, "kernel": coverage.kernel, "lockdown": self.host.lockdown.name(),
            "lsm": self.host.lsms, "signals": signals, "verified_instructions": verified,
        })
    }

    /// Whether every signal is covered.
    #[must_use]
    pub fn whole(&self) -> bool {
        self.covered.uncovered().is_empty()
    }

    fn advice(&self) -> Vec<String> {
        let mut advice = Vec::new();
        if let Some(failure) = &self.covered.canary_failure {
            advice.push(format!(
                "The canary, which is to prove what is covered, could not act ({failure}). Mend that first; is the \
                 loopback device up?"
            ));
            return advice;
        }
        let without_bpf = self.host.lsms.as_ref().is_some_and(|list| !list.iter().any(|lsm| lsm == "bpf"));
        if without_bpf {
            advice.push(
                "To use the LSM tier, add `bpf` to the kernel's `lsm=` parameter. The others see the same here; LSM \
                 hooks are the ones the kernel keeps stable."
                    .into(),
            );
        }
        if self
            .covered
            .signals
            .iter()
            .any(|signal| signal.tier == Some(Tier::Tracepoint) && signal.refused.len() > 2)
        {
            advice.push(
                "This kernel allows neither trampolines nor kprobes, so calls are watched at their return. To close the \
                 holes named above, use a kernel built with CONFIG_KPROBES and CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS."
                    .into(),
            );
        }
        advice
    }
}
