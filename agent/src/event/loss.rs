//! What did not arrive: how much of what, whose it was, and what it tells that nothing else does.

use super::{Kind, ProcessKey};

/// Whether events of a kind tell which processes there are: without one of them `/proc` has to.
#[must_use]
pub const fn tells_who_is_there(kind: Kind) -> bool {
    matches!(kind, Kind::Fork | Kind::Exec | Kind::Exit)
}

/// Whether events of a kind tell, or their probe does, that connections ended: without one of them a server seems to serve for
/// ever.
#[must_use]
pub const fn tells_of_ends(kind: Kind) -> bool {
    matches!(kind, Kind::ConnectEnd | Kind::AcceptEnd)
}

/// Whose samples were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// Of a process.
    Process(ProcessKey),
    /// Of processes in a cgroup, by its id in the default hierarchy.
    Cgroup(u64),
}

/// What did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// From when on, ns of `CLOCK_BOOTTIME`.
    pub since_ns: u64,
    /// How many of each kind.
    pub counts: Vec<(Kind, u64)>,
    /// How many on each CPU.
    pub cpus: Vec<(u32, u64)>,
}

impl Loss {
    /// Of all kinds.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// Of which nobody knows how much it was.
    #[must_use]
    pub fn uncounted(since_ns: u64) -> Self {
        Self { since_ns, counts: Vec::new(), cpus: Vec::new() }
    }
}
