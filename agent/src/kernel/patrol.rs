//! The canary, again and again: a probe that was proven at start may fall silent (somebody detaches it, switches kprobes
//! off, loads a module that replaces what it sat on).

use std::collections::BTreeSet;

use super::canary::Canary;
use super::control::Control;
use super::coverage::{Evidence, Proof};
use crate::event::Event;

/// How long the deeds of one are waited for, ns.
const PATIENCE_NS: u64 = 10_000_000_000;
/// A probe is silent when so many canaries in a row did not show: one may have been lost in a flood.
const MISSES_MAX: u32 = 2;

/// What a flight showed that is not what was shown before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Landed {
    /// What does not show any more; told once.
    Silent(BTreeSet<Proof>),
    /// What was silent shows again.
    Again(BTreeSet<Proof>),
}

/// Sends canaries out, and remembers what they must show.
pub struct Patrol {
    every_ns: u64,
    next_ns: u64,
    wanted: BTreeSet<Proof>,
    silent: BTreeSet<Proof>,
    missed: u32,
    /// When the last one showed everything.
    well_ns: u64,
    out: Option<Flight>,
}

struct Flight {
    canary: Canary,
    evidence: Evidence,
    until_ns: u64,
}

impl Patrol {
    /// Of what was proven at `now_ns`.
    #[must_use]
    pub fn new(wanted: BTreeSet<Proof>, every_ns: u64, now_ns: u64) -> Self {
        let next_ns = now_ns.saturating_add(every_ns);
        Patrol { every_ns, next_ns, wanted, silent: BTreeSet::new(), missed: 0, well_ns: now_ns, out: None }
    }

    /// From when on what is silent may have been.
    #[must_use]
    pub fn since_ns(&self) -> u64 {
        self.well_ns
    }

    /// Shows it an event. What is the canary's is dropped elsewhere.
    pub fn see(&mut self, event: &Event) {
        if let Some(flight) = &mut self.out {
            flight.evidence.take(event);
        }
    }

    /// Sends one out or takes one back, if it is time.
    pub fn look(&mut self, now_ns: u64, control: &mut Control) -> Option<Landed> {
        if let Some(flight) = &self.out {
            // Events come in the order of the acts: once its end is seen, what has not shown will not.
            let back = flight.evidence.exited || self.wanted.is_subset(&flight.evidence.shown);
            if !back && now_ns < flight.until_ns {
                return None;
            }
            return self.land(now_ns, control);
        }
        if now_ns < self.next_ns {
            return None;
        }
        self.next_ns = now_ns.saturating_add(self.every_ns);
        match Canary::fly(control) {
            Ok(canary) => {
                let evidence = Evidence::new(canary.tgid, canary.open_port, canary.closed_port);
                let until_ns = now_ns.saturating_add(PATIENCE_NS);
                self.out = Some(Flight { canary, evidence, until_ns });
            }
            // A host without room for a process has other troubles; the next one is tried in time.
            Err(error) => tracing::warn!("a canary could not be sent out: {error}"),
        }
        None
    }

    fn land(&mut self, now_ns: u64, control: &mut Control) -> Option<Landed> {
        let Flight { canary, evidence, .. } = self.out.take()?;
        if let Some(failure) = canary.land(control) {
            // What it could not do, nobody could see.
            tracing::warn!("a canary could not act: {failure}");
            return None;
        }
        let missing: BTreeSet<Proof> = self.wanted.difference(&evidence.shown).copied().collect();
        let again: BTreeSet<Proof> = self.silent.difference(&missing).copied().collect();
        if !again.is_empty() {
            self.silent.retain(|proof| missing.contains(proof));
            return Some(Landed::Again(again));
        }
        if missing.is_subset(&self.silent) {
            self.missed = 0;
            if missing.is_empty() {
                self.well_ns = now_ns;
            }
            return None;
        }
        self.missed += 1;
        if self.missed < MISSES_MAX {
            self.next_ns = now_ns;
            return None;
        }
        self.missed = 0;
        let new = missing.difference(&self.silent).copied().collect();
        self.silent = missing;
        Some(Landed::Silent(new))
    }
}
