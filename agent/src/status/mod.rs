//! `status`: what a running agent says of itself, and the two doors at which it says it: a socket in the state directory
//! ([`socket`], for `spoor status`) and, where the config asks for it, HTTP ([`http`], for Prometheus and probes).
//!
//! Both only read, take no more than a few bytes of a question, serve a few askers at a time, and wait for none of them
//! longer than [`PATIENCE`]. Nothing that watches waits for them.

mod answers;
mod door;
pub mod http;
mod metrics;
pub mod socket;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use metrics::{MetricsError, metrics};

use crate::telemetry::Own;

/// Longest time that one asker is served.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Version of the form of [`Status`].
pub const VERSION: u64 = 1;

/// Makes the answer. It may wait for the disk, so it is called where waiting is allowed.
pub type Ask = Arc<dyn Fn() -> Arc<Status> + Send + Sync>;

/// What the agent says of itself. The same for people, for programs and for metrics.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of this form. It grows when something is taken away or means something else.
    pub v: u64,
    /// Why something may be missing, or is about to be; empty where all is well.
    pub degraded: Vec<String>,
    /// Why the agent is not ready: not attached, or the pipeline does not move.
    pub not_ready: Vec<String>,
    /// Which agent.
    pub agent: Agent,
    /// What it takes of the host.
    pub own: Own,
    /// What is watched; empty: the whole host.
    pub scope: Vec<String>,
    /// How each signal is seen.
    pub signals: Vec<Signal>,
    /// Samples by kind. Kinds that were never seen are here too.
    pub samples: Vec<Sample>,
    /// Failures inside the probes; those that never happened are left out.
    pub faults: Vec<ProbeFault>,
    /// Everything that is counted, by the names of heartbeats.
    pub counters: BTreeMap<String, u64>,
    /// Chains that are open.
    pub chains_open: u64,
    /// Processes that are known.
    pub processes: u64,
    /// The evidence on this host.
    pub store: Store,
    /// Every sink of the config.
    pub sinks: Vec<Sink>,
    /// Purposes in force; absent where nobody has declared any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purposes: Option<Purposes>,
    /// What became of the config when it was read again; absent where it never was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Config>,
}

/// Which agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started, RFC 3339.
    pub started: String,
    /// The same, seconds since 1970.
    pub started_seconds: u64,
    /// How long ago.
    pub uptime_ms: u64,
    /// Name of the host.
    pub host: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Its config; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// Where it answers over HTTP; absent where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<String>,
}

/// How one signal is seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Its name.
    pub signal: String,
    /// The tier in use; absent where nothing sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Whether the last canary was seen through it.
    pub proven: bool,
}

/// Samples of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Which.
    pub kind: String,
    /// Decoded.
    pub read: u64,
    /// Refused by a full ring.
    pub dropped: u64,
    /// Refused, where another tells the same.
    #[serde(default)]
    pub repeated: u64,
}

/// A failure inside a probe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProbeFault {
    /// The attach point.
    pub source: String,
    /// What failed.
    pub fault: String,
    /// How often.
    pub count: u64,
}

/// The evidence on this host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Store {
    /// Its directory.
    pub path: String,
    /// Bytes of all records' files.
    pub bytes: u64,
    /// How many they may be.
    pub max_bytes: u64,
    /// How long records are kept.
    pub keep_seconds: u64,
    /// Number of the last record.
    pub last_seq: u64,
    /// Time of the first record, ns since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_ns: Option<i64>,
    /// Time of the last record, ns since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_ns: Option<i64>,
    /// Why the store could not be looked at just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A sink.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sink {
    /// Its name.
    pub name: String,
    /// Records it has not settled yet.
    pub lag_records: u64,
    /// Time from the first of them to the newest record.
    pub lag_ms: u64,
    /// Records taken since there is this sink.
    pub taken: u64,
    /// Attempts that failed and were tried again.
    pub retries: u64,
    /// Records refused for good.
    pub set_aside: u64,
    /// What went wrong last; absent where it went well since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When that was, ns since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_ns: Option<i64>,
}

/// Purposes in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Purposes {
    /// How many.
    pub count: usize,
    /// Id of the set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// Mistakes for which newer ones were refused.
    pub refused: Vec<String>,
}

/// What became of the config when it was read again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Keys that changed and hold, last time.
    pub changed: Vec<String>,
    /// Keys that changed and hold after a restart only.
    pub waiting: Vec<String>,
    /// Mistakes for which it was refused last time.
    pub refused: Vec<String>,
}
