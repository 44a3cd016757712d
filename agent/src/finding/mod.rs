//! Findings: deviations worth a person's time, each with the chain that shows it. A pure state machine: no I/O, no clock.
//!
//! It is fed with the notes of chains, each before the inventory learns from it, so that what is new can be told from what
//! is habit. What needs a habit is judged only once that habit is known for long enough. Ordinary use is no finding: see
//! docs/FINDINGS.md for each rule, what innocent causes were thought of, and what is left out for their sake.

mod case;
mod family;
mod kind;
mod machine;
mod open;
mod rules;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::action::ActionId;
use crate::actor::Actor;
use crate::chain::{ChainId, RunId, Ulid};
use crate::credential::Credential;

pub use crate::config::Severity;
pub use kind::{Kind, Tags};
pub use machine::{Counts, Findings};

/// What is found, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long something must be known before what differs from it is a finding, ns.
    pub learn_ns: i64,
    /// Kinds that are not looked for.
    pub off: Vec<Kind>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { learn_ns: 7 * DAY_NS, off: Vec::new() }
    }
}

const HOUR_NS: i64 = 3_600_000_000_000;
const DAY_NS: i64 = 24 * HOUR_NS;

/// A deviation.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The same in all that is told of it.
    pub id: Ulid,
    /// It was told before, and goes on.
    pub again: bool,
    /// What.
    pub kind: Kind,
    /// How far from what is usual.
    pub severity: Severity,
    /// When it was noticed last, ns of `CLOCK_BOOTTIME`.
    pub time_ns: u64,
    /// The chain that shows it; of one that goes on, the latest.
    pub chain: ChainId,
    /// Its run.
    pub run: RunId,
    /// Who acted.
    pub actor: Arc<Actor>,
    /// By which program; of a script, the script.
    pub program: Vec<u8>,
    /// The credential it is about, where it is about one.
    pub credential: Option<Arc<Credential>>,
    /// What else tells it from others of its kind: a person, a program, another credential.
    pub subject: String,
    /// The actions that show it, of the credential's openings before it, some.
    pub actions: Vec<ActionId>,
    /// One sentence.
    pub reason: String,
    /// What it rests on, by name.
    pub facts: Vec<(String, String)>,
    /// When it was noticed first, ns since 1970.
    pub first_ns: i64,
    /// When last.
    pub last_ns: i64,
    /// How often.
    pub count: u64,
    /// Others of the same kind and actor that are only counted here.
    pub folded: u64,
}

impl Finding {
    /// Most actions named.
    pub const ACTIONS_MAX: usize = 16;
}
