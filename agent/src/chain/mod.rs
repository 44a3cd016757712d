//! Runs, chains and links: a pure state machine over actions. No I/O, no clock.

mod connections;
mod holds;
mod ids;
mod machine;
mod run;

use std::fmt;
use std::sync::Arc;

use crate::action::{Action, ActionId};
use crate::actor::Actor;
use crate::credential::Credential;
use crate::event::{Endpoint, Kind, ProcessKey};
use crate::lineage::Process;
use crate::names::Named;

pub use machine::{Counts, Limits, Machine, Observed, Subject};

/// A 128-bit id, written as a ULID: sortable by time, and the same whenever the same stream is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ulid(pub u128);

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        for digit in (0..26).rev() {
            let index = usize::try_from((self.0 >> (digit * 5)) & 31).unwrap_or(0);
            write!(f, "{}", char::from(*ALPHABET.get(index).unwrap_or(&b'0')))?;
        }
        Ok(())
    }
}

/// One execution of an actor's job.
pub type RunId = Ulid;
/// The record of one run, or of one episode of a long run.
pub type ChainId = Ulid;

/// What the chain machine says, in the order in which records are to be made.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// A chain begins. Comes before the first of its actions.
    Opened(Box<Opened>),
    /// An action of a chain.
    Acted(Box<Acted>),
    /// More is known of the actor of a chain than when it was told.
    Completed(Box<Completed>),
    /// A chain ends. Nothing of it comes after this, but for connections it had reported as pending.
    Closed(Box<Closed>),
    /// Something may be missing.
    Gap(Gap),
}

/// A chain begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// Its id.
    pub chain: ChainId,
    /// The run it records.
    pub run: RunId,
    /// When the run is known to have begun, ns of `CLOCK_BOOTTIME`.
    pub run_since_ns: u64,
    /// When the chain begins, ns of `CLOCK_BOOTTIME`.
    pub time_ns: u64,
    /// Who acts.
    pub actor: Arc<Actor>,
    /// The run's first process.
    pub root: Arc<Process>,
    /// What led to it: from the root's parent up to init, nearest first.
    pub lineage: Vec<Arc<Process>>,
    /// Earlier chain of the same run, where this is a later episode.
    pub after: Option<ChainId>,
    /// What is not known from the start on, e.g. that the root is older than the agent.
    pub gaps: Vec<GapKind>,
}

/// More is known of who acts. Holds for all of the chain, also for what was told before.
#[derive(Clone, Debug, PartialEq)]
pub struct Completed {
    /// The chain.
    pub chain: ChainId,
    /// The run.
    pub run: RunId,
    /// When that was learnt, ns of `CLOCK_BOOTTIME`.
    pub time_ns: u64,
    /// Who acts.
    pub actor: Arc<Actor>,
    /// The run's first process.
    pub root: Arc<Process>,
}

/// An action of a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Acted {
    /// The chain.
    pub chain: ChainId,
    /// The run.
    pub run: RunId,
    /// What was done.
    pub action: Action,
    /// Credentials of the link, or of the action itself.
    pub credentials: Vec<Arc<Credential>>,
    /// Which credential openings it came after, and on what basis. `None` where there are none.
    pub link: Option<Link>,
}

/// Why an action stands with earlier ones. It says *observed after*, never *used for*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The credential openings it came after, at most [`Link::OF_MAX`], newest first.
    pub of: Vec<ActionId>,
    /// How the process came by what the newest of them opened.
    pub basis: Basis,
    /// Since the newest of them.
    pub delay_ns: u64,
    /// Forks between the process that opened it and the one that acts.
    pub hops: u32,
    /// Facts that make the link stronger, e.g. that the credential itself names the destination.
    pub facts: Vec<LinkFact>,
}

impl Link {
    /// Most openings a link names.
    pub const OF_MAX: usize = 16;
}

/// How a process came by a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// It opened it.
    SameProcess,
    /// A forebear opened it before the fork.
    Inherited,
    /// It was handed over as a descriptor.
    Received,
    /// It had it before the chain began.
    Held,
}

impl Basis {
    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Basis::SameProcess => "same-process",
            Basis::Inherited => "inherited",
            Basis::Received => "received",
            Basis::Held => "held",
        }
    }
}

/// A fact about a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFact {
    /// The credential names this destination.
    DestinationNamed,
    /// The process holds no other credential.
    OnlyCredential,
    /// No connection of the run lies between.
    FirstConnection,
}

impl LinkFact {
    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            LinkFact::DestinationNamed => "destination-named",
            LinkFact::OnlyCredential => "only-credential",
            LinkFact::FirstConnection => "first-connection",
        }
    }
}

/// A chain ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    /// The chain.
    pub chain: ChainId,
    /// The run.
    pub run: RunId,
    /// When, ns of `CLOCK_BOOTTIME`.
    pub time_ns: u64,
    /// When it had begun.
    pub since_ns: u64,
    /// Who acted.
    pub actor: Arc<Actor>,
    /// The run's first process.
    pub root: Arc<Process>,
    /// Why it ends.
    pub reason: CloseReason,
    /// How the run's first process ended, where it did.
    pub root_exit: Option<crate::event::ExitStatus>,
    /// What it held.
    pub summary: Summary,
}

/// Why a chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The last process of the run ended.
    RunEnded,
    /// Nothing happened for so long that what comes next is another episode.
    Quiet,
    /// Too many chains were open; this was the one untouched for longest.
    Evicted,
    /// The agent stops.
    AgentStopped,
}

impl CloseReason {
    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            CloseReason::RunEnded => "run-ended",
            CloseReason::Quiet => "quiet",
            CloseReason::Evicted => "evicted",
            CloseReason::AgentStopped => "agent-stopped",
        }
    }
}

/// What a chain held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Actions recorded.
    pub actions: u64,
    /// Actions beyond the bound of a chain: counted, not recorded.
    pub folded: u64,
    /// Credentials opened, inherited or held, in the order of first use.
    pub credentials: Vec<Arc<Credential>>,
    /// Destinations, in the order of first attempt.
    pub destinations: Vec<Reached>,
    /// Programs started.
    pub programs: u64,
    /// Processes of the run that acted.
    pub processes: u64,
    /// What may be missing.
    pub gaps: Vec<GapKind>,
}

/// A destination of a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Reached {
    /// Where.
    pub to: Endpoint,
    /// Its name, where one is known.
    pub name: Option<Named>,
    /// Connections asked for, and first datagrams.
    pub attempts: u64,
    /// Connections there were.
    pub established: u64,
}

/// Something may be missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Gap {
    /// When it was noticed, ns of `CLOCK_BOOTTIME`.
    pub time_ns: u64,
    /// From when on something may be missing.
    pub since_ns: u64,
    /// What.
    pub kind: GapKind,
    /// How many of each kind, where that is known.
    pub counts: Vec<(Kind, u64)>,
    /// How many on each CPU, where that is known.
    pub cpus: Vec<(u32, u64)>,
    /// The chains that were open then.
    pub chains: Vec<ChainId>,
}

/// What may be missing, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GapKind {
    /// A full ring refused samples.
    Lost,
    /// A process is older than the agent: what it did before is not known.
    OlderThanAgent,
    /// A process acted whose making was not seen.
    UnknownParent,
    /// Arguments or a path were cut.
    Truncated,
    /// Bounded state was full.
    StateFull,
    /// The agent stopped while the chain was open.
    AgentStopped,
    /// Records of the store were given up, for their age or their size.
    Dropped,
    /// A probe that was proven at start does not fire any more.
    ProbeSilent,
}

impl GapKind {
    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            GapKind::Lost => "lost",
            GapKind::OlderThanAgent => "older-than-agent",
            GapKind::UnknownParent => "unknown-parent",
            GapKind::Truncated => "truncated",
            GapKind::StateFull => "state-full",
            GapKind::AgentStopped => "agent-stopped",
            GapKind::Dropped => "dropped",
            GapKind::ProbeSilent => "probe-silent",
        }
    }
}

/// Which processes the pipeline should mark in the kernel, as the chain machine or the actors found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkWish {
    /// The process.
    pub key: ProcessKey,
    /// Flags to set.
    pub flags: u32,
}
