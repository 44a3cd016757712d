//! Runs, chains and links: a pure state machine over actions. No I/O, no clock.

mod attempts;
mod connections;
mod gaps;
mod holds;
mod ids;
mod link;
mod machine;
mod reaching;
mod run;
mod serving;
mod together;
mod weigh;

use std::fmt;
use std::sync::Arc;

use crate::action::{Action, ActionId, ConnectOutcome};
use crate::actor::Actor;
use crate::credential::Credential;
use crate::event::{Endpoint, Kind, ProcessKey, Text};
use crate::lineage::Process;
use crate::names::Named;
use crate::purpose::{Judged, Verdict};

pub use attempts::{Attempt, RunAttempt};
pub use gaps::GapKind;
pub use link::{Basis, Link, LinkFact, Relation};
pub use machine::{Counts, Limits, Machine, Observed, Subject};
pub use weigh::{FAIR, STRONG};

/// A 128-bit id, written as a ULID: sortable by time, and the same whenever the same stream is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ulid(pub u128);

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl Ulid {
    /// Back from what it is written as.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let digit = |letter: u8| ALPHABET.iter().position(|known| *known == letter);
        let add = |number: u128, letter| Some(number << 5 | u128::try_from(digit(letter)?).ok()?);
        (text.len() == 26).then(|| text.bytes().try_fold(0, add)).flatten().map(Ulid)
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [b'0'; 26];
        for (digit, place) in text.iter_mut().rev().enumerate() {
            let index = usize::try_from((self.0 >> (digit * 5)) & 31).unwrap_or(0);
            *place = *ALPHABET.get(index).unwrap_or(&b'0');
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
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
    /// An action of a chain. It is shared with what remembers a connection.
    Acted(Arc<Acted>),
    /// More is known of the actor of a chain than when it was told. Comes while it is open, or soon after.
    Completed(Box<Completed>),
    /// A chain ends. Nothing of it comes after this, but for connections it had reported as pending and names of its actor.
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
    /// Which attempt of the same job this run is, where earlier ones failed.
    pub attempt: Option<RunAttempt>,
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
    /// Of a connection or an execution: which attempt it is, where earlier ones failed.
    pub attempt: Option<Attempt>,
    /// What purposes say of it. `None` where nobody has declared any, and of the end of a process.
    pub judged: Option<Judged>,
    /// The accepted connection it was done for, where that can be seen.
    pub request: Option<ActionId>,
    /// Those it stands for, where there are several that nothing tells apart; it is the last of them.
    pub together: Option<Box<Together>>,
}

impl Acted {
    /// How many actions it stands for.
    #[must_use]
    pub fn count(&self) -> u64 {
        let several = self.together.as_ref().map(|together| together.ids.len());
        several.map_or(1, |count| u64::try_from(count).unwrap_or(u64::MAX))
    }
}

/// Actions that are told in one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Together {
    /// When the first of them was, ns of `CLOCK_BOOTTIME`.
    pub since_ns: u64,
    /// All of them, in order.
    pub ids: Vec<ActionId>,
    /// Of connections, the port of each one's client, in the same order, where it is known.
    pub ports: Vec<u16>,
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
    /// Which attempt of the same job the run was, where earlier ones failed.
    pub attempt: Option<RunAttempt>,
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
    /// It had as many records as a chain may have, and was open for so long that what comes next is told in another.
    Full,
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
            CloseReason::Full => "full",
            CloseReason::Evicted => "evicted",
            CloseReason::AgentStopped => "agent-stopped",
        }
    }
}

/// What a chain held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Actions recorded, those that are told together one by one.
    pub actions: u64,
    /// Actions beyond the bound of a chain: counted, not recorded.
    pub folded: u64,
    /// Credentials opened, inherited or held, each version of them, in the order of first use.
    pub credentials: Vec<Arc<Credential>>,
    /// Credentials that were opened only to be written, or that files were renamed to be, each once, in the order of the first time.
    pub written: Vec<Arc<Credential>>,
    /// Destinations, in the order of first attempt.
    pub destinations: Vec<Reached>,
    /// Of each credential, what was reached after it: those with a link that is at least [`FAIR`].
    pub fan_out: Vec<FanOut>,
    /// Programs started.
    pub programs: u64,
    /// Which, and how often, in the order of their first start.
    pub executed: Vec<Executed>,
    /// Connections that were tried again after they failed.
    pub retries: u64,
    /// Processes of the run that acted.
    pub processes: u64,
    /// What may be missing.
    pub gaps: Vec<GapKind>,
    /// Actions by verdict; `None` where none was judged.
    pub verdicts: Option<Box<Verdicts>>,
}

/// How the actions of a chain were judged. An action that is recorded again, to complete it, counts once, with its last
/// verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// Within.
    pub within: u64,
    /// Outside.
    pub outside: u64,
    /// Undeclared.
    pub undeclared: u64,
    /// Purposes that allowed one or came nearest to it, in the order of their first action.
    pub purposes: Vec<Arc<str>>,
}

impl Verdicts {
    /// How many of a verdict.
    pub fn count(&mut self, verdict: Verdict) -> &mut u64 {
        match verdict {
            Verdict::Within => &mut self.within,
            Verdict::Outside => &mut self.outside,
            Verdict::Undeclared => &mut self.undeclared,
        }
    }
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
    /// What became of the last.
    pub outcome: Option<ConnectOutcome>,
}

/// One credential and the systems that were reached after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FanOut {
    /// Its id.
    pub credential: String,
    /// Places in [`Summary::destinations`], in the order of the first connection.
    pub destinations: Vec<usize>,
}

/// A program that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Its path.
    pub exe: Text,
    /// How often.
    pub count: u64,
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

/// Which processes the pipeline should mark in the kernel, as the chain machine or the actors found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkWish {
    /// The process.
    pub key: ProcessKey,
    /// Flags to set.
    pub flags: u32,
}
