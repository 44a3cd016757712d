//! The process table: who was made by whom, running what. Seeded from `/proc`, kept by fork, exec and exit; bounded. No
//! I/O, no clock.

mod cpid;
mod of_programs;
mod program;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use cpid::Cpid;
pub(crate) use of_programs::OfPrograms;
pub use program::Program;
pub(crate) use program::basename;
pub use table::{Applied, Held, Limits, Table};

use crate::event::{Comm, ProcessKey, Text};

/// A process key at the precision of `/proc`: equal exactly where [`ProcessKey::same`] holds, so that it can be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    /// Thread group.
    pub tgid: u32,
    /// Start in ticks of [`ProcessKey::PROC_TICK_NS`].
    pub tick: u64,
}

impl From<ProcessKey> for Slot {
    fn from(key: ProcessKey) -> Self {
        Self { tgid: key.tgid, tick: key.start_ns / ProcessKey::PROC_TICK_NS }
    }
}

/// A process as it is from one program to the next: shared by everything that tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// Who.
    pub key: ProcessKey,
    /// OCSF common process id.
    pub cpid: Cpid,
    /// Thread group in its own pid namespace.
    pub ns_tgid: u32,
    /// That namespace.
    pub pid_ns: u32,
    /// What it runs, shared with those that run the same.
    pub program: Arc<Program>,
    /// Real user, effective user and real group, as they were told last.
    pub ids: (u32, u32, u32),
    /// Short name.
    pub comm: Comm,
    /// Cgroup path, from the root of its hierarchy; empty where unknown.
    pub cgroup: Arc<Text>,
    /// Cgroup id in the default hierarchy.
    pub cgroup_id: u64,
    /// Its parent when it was made.
    pub parent: Option<ProcessKey>,
    /// How it is known.
    pub known_by: KnownBy,
}

/// How a process became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownBy {
    /// Its fork was seen.
    Fork,
    /// It was there before the probes.
    Proc,
    /// It acted, and its fork had not been seen: out of scope then, or lost.
    Act,
    /// It acted after it had been given up because the table was full: what was known of it is forgotten.
    Again,
}

/// Ancestors of a process, nearest first, itself not among them.
pub type Ancestry = Vec<Arc<Process>>;
