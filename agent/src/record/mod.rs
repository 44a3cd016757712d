//! `record`: what leaves the machine. The only serde of records; inner types know nothing of JSON.
//!
//! [`Builder`] turns the notes of the chain machine into [`Record`]s: one JSON object each, without a newline, its keys in
//! declared order, so that the same notes give the same bytes. Those bytes are what the store hashes and what every sink
//! sends. [`View`] reads them again, also those of later versions, into a tree of its own or one that borrows ([`Node`]).
//! [`reference()`] is `docs/RECORDS.md`.

mod bounded;
mod build;
mod coverage;
mod deeds;
mod finding;
mod hash;
mod identifiers;
mod inventory;
mod kept;
mod members;
mod node;
mod parts;
mod process_id;
mod read;
mod reference;
mod room;
mod shape;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod time;
mod view;
mod words;

pub use build::{Builder, ClockOffset, Host, Redaction, Signed};
pub use coverage::{ConfigInForce, Coverage, Own, OwnSink, PurposesInForce, SignalCoverage};
pub use finding::recall_finding;
pub use hash::{Hash, NONE};
pub(crate) use hash::{next_hash, put_stamp, stamp, stamped, unhex, without_stamp};
pub use inventory::recall;
pub(crate) use members::{Members, Strange, Value};
pub use node::{Member, Name, Node, Text, Tree};
pub(crate) use node::{comma, first_bytes, write, write_list, write_read, write_text};
pub(crate) use process_id::process_id;
pub(crate) use read::string as string_in_front;
#[cfg(test)]
pub(crate) use reference::field_paths;
pub use reference::reference;
pub use room::Room;
pub use time::{nanoseconds, now_ns, rfc3339};
pub use view::{View, ViewError};
pub(crate) use words::{below, beyond_ascii, equal, has};

/// Version of the records' shape. Fields may be added under it; one that is renamed or removed makes a new version.
pub const VERSION: u64 = 1;

/// What a record tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordType {
    /// One thing seen.
    Action,
    /// A chain begins or ends.
    Chain,
    /// Something may be missing.
    Gap,
    /// What the probes can see here.
    Coverage,
    /// The agent is there, or stops; with its counters.
    Heartbeat,
    /// A service account or a credential of this host, and what it has had to do with.
    Inventory,
    /// A deviation worth a person's time.
    Finding,
    /// Where the chain of records stands, signed.
    Head,
}

impl RecordType {
    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            RecordType::Action => "action",
            RecordType::Chain => "chain",
            RecordType::Gap => "gap",
            RecordType::Coverage => "coverage",
            RecordType::Heartbeat => "heartbeat",
            RecordType::Inventory => "inventory",
            RecordType::Finding => "finding",
            RecordType::Head => "head",
        }
    }
}

/// A record: its bytes, and what of them the store finds it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Number of the record, growing over the whole life of the store.
    pub seq: u64,
    /// When, ns since 1970.
    pub time_ns: i64,
    /// What it tells of.
    pub kind: RecordType,
    /// The chain it belongs to.
    pub chain: Option<String>,
    /// Of a gap, the chains it concerns.
    pub gap_chains: Vec<String>,
    /// One JSON object, without a newline.
    pub body: Vec<u8>,
}
