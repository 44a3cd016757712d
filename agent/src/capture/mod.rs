//! A stream that is kept in a file, so that it can be replayed elsewhere: everything that enters the stages from outside,
//! in the order in which it did.
//!
//! That is more than what probes saw. It is what the stages asked of the host and were told ([`Asked`]), what a scan
//! found, which purposes came into force, what an earlier life of the agent knew, and when the agent said what it says of itself. It
//! is taken behind the reader, not at the rings: there, samples hold arguments and packets as they were, and what is not
//! written cannot leak (`plain`). docs/REPLAY.md has the format, docs/adr/0018 the reasons.

mod asked;
mod code;
mod file;
mod plain;
mod shapes;
mod told;

use std::borrow::Cow;
use std::sync::Arc;

pub(crate) use asked::Of;
pub use asked::{Asked, Taped};
pub use code::Broken;
pub use file::{CaptureError, End, Frames, Tail, Tape, TapeError, checksum};
pub use plain::plain;
pub use told::Told;

use crate::chain::GapKind;
use crate::event::Event;
use crate::finding::Settings;
use crate::inventory::Scanned;
use crate::purpose::Purposes;
use crate::record::{Coverage, Hash, Host, Signed};

/// Version of the format. Whoever reads a later one refuses it.
pub const FORMAT: u8 = 4;

/// The oldest that is read: 4 has one kind of events more.
pub const FORMAT_READ: u8 = 3;

/// What holds from the first event to the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Version of the agent that made it.
    pub agent_version: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Which boot, as ids of processes and chains have it.
    pub boot_id: [u8; 16],
    /// Which host, as records have it.
    pub host: Host,
    /// Wall time less boot time, ns.
    pub wall_offset_ns: i64,
    /// Number of the first record.
    pub first_seq: u64,
    /// Hash of the record before that.
    pub before: Hash,
    /// Bounds and times of the stages.
    pub scales: Scales,
    /// What is found.
    pub findings: Settings,
    /// Since when the host is watched, ns since 1970.
    pub watched_since: i64,
}

/// Bounds and times of the stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scales {
    /// A chain without an action for so long ends, ns.
    pub quiet_ns: u64,
    /// A connection without an outcome for so long is told without one, ns.
    pub pending_ns: u64,
    /// Most actions recorded of one chain.
    pub max_actions: u64,
    /// Most chains open at once.
    pub max_open: usize,
    /// Most connections waiting for their outcome.
    pub max_pending: usize,
    /// Most processes remembered.
    pub processes_max: usize,
    /// When the whole inventory is told for the first time, ns after the start.
    pub inventory_first_ns: u64,
    /// How long after that it is told again, ns.
    pub inventory_every_ns: u64,
}

/// One thing that enters the stages from outside. Live or replayed, they take it the same way.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A record of a finding, of an earlier life; the newest first.
    RecalledFinding(Vec<u8>),
    /// A record of the inventory, of an earlier life; the newest first.
    Recalled(Vec<u8>),
    /// That was all of an earlier life.
    RecalledAll,
    /// Something happened.
    Event {
        /// What.
        event: Cow<'a, Event>,
        /// The credentials that lie here are listed by now.
        listed: bool,
    },
    /// A scan for credentials at rest found something.
    Scan {
        /// When, ns of `CLOCK_BOOTTIME`.
        time_ns: u64,
        /// What.
        scanned: Scanned,
    },
    /// Actions are judged by these from now on.
    Purposes {
        /// Names of their files, and what these say.
        texts: Arc<[(String, String)]>,
        /// What comes of that.
        set: Arc<Purposes>,
    },
    /// Findings go by this from now on.
    Findings(Settings),
    /// What the probes can see is told.
    Coverage {
        /// When, ns of `CLOCK_BOOTTIME`.
        time_ns: u64,
        /// What.
        coverage: Cow<'a, Coverage>,
    },
    /// A gap that the stages cannot know of.
    Gap {
        /// When it was noticed, ns of `CLOCK_BOOTTIME`.
        time_ns: u64,
        /// From when on something may be missing.
        since_ns: u64,
        /// What.
        kind: GapKind,
    },
    /// The agent says that it is there, or stops.
    Beat {
        /// When, ns of `CLOCK_BOOTTIME`.
        time_ns: u64,
        /// It stops.
        stopped: bool,
        /// What it counted.
        counters: Vec<(String, u64)>,
    },
    /// The chain of records was signed.
    Head {
        /// When, ns of `CLOCK_BOOTTIME`.
        time_ns: u64,
        /// What was signed.
        head: Signed,
    },
    /// Every chain ends: the agent stops.
    Closed {
        /// When, ns of `CLOCK_BOOTTIME`.
        time_ns: u64,
    },
}
