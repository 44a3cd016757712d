//! The config file: `raw` is what it may say, `validate` turns that into the [`Config`] the build consumes.
//!
//! Every mistake is reported at once, each with its line and column. `keys` is the one table of keys: the reader, the
//! reference page and the tests of the shipped file all stand on it.

mod changes;
mod diagnostic;
mod folder;
pub(crate) mod keys;
pub(crate) mod pattern;
pub(crate) mod raw;
mod reference;
mod sinks;
mod telemetry;
#[cfg(test)]
mod tests;
mod unit;
mod validate;

pub(crate) use validate::{is_name, path_fault};

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use changes::Change;
pub(crate) use diagnostic::Report;
pub use diagnostic::{Code, Diagnostic, Diagnostics};
pub use folder::{Refused, Source, Sources, sources};
#[cfg(test)]
pub(crate) use keys::FINDINGS;
pub(crate) use raw::{closest, shape, tree};
pub use reference::reference;
pub(crate) use reference::tables;
pub use sinks::{
    Auth, Compression, Filter, Format, Http, Kafka, Mechanism, OcsfVersion, Otlp, OtlpProtocol, PartitionBy,
    Rotate, Sasl, Secret, Severity, SinkConfig, SinkKind, Syslog, SyslogTo, TlsFiles,
};
pub use telemetry::{Listen, TelemetryConfig, is_loopback};
pub(crate) use unit::{duration, size};

/// Longest config that is read; a longer one is not a config.
pub(crate) const TEXT_MAX: u64 = 1 << 20;

/// What the agent is built from. Everything in it has been checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// What is watched.
    pub scope: Scope,
    /// Where credentials lie, beside the built-in catalogue.
    pub credentials: Credentials,
    /// How pods are named.
    pub kubernetes: Kubernetes,
    /// The evidence on this host.
    pub store: StoreConfig,
    /// How runs are cut into chains.
    pub chain: ChainConfig,
    /// What deviates.
    pub findings: FindingsConfig,
    /// How often the probes are proven while the agent runs.
    pub canary: CanaryConfig,
    /// How often the inventory is told.
    pub inventory: InventoryConfig,
    /// What service accounts are for.
    pub purposes: PurposesConfig,
    /// Where records go; without any they stay in the store.
    pub sinks: Vec<SinkConfig>,
    /// Metrics and health over HTTP.
    pub telemetry: TelemetryConfig,
    /// The agent's own log.
    pub log: LogConfig,
}

/// Limits what is watched, in the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Absolute cgroup paths; each with everything below it. Empty: the whole host.
    pub cgroups: Vec<String>,
}

/// Credentials beside the built-in catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Absolute paths or globs.
    pub paths: Vec<String>,
    /// A catalogue of one's own, in the format of the built-in one and beside it.
    pub catalogue: Option<PathBuf>,
    /// The key of fingerprints; without it the state directory has one of this host.
    pub fingerprint_key: Option<PathBuf>,
    /// Whether the names of secrets in the environments of services are looked for.
    pub environment: bool,
}

impl Default for Credentials {
    fn default() -> Self {
        Credentials { paths: Vec::new(), catalogue: None, fingerprint_key: None, environment: true }
    }
}

/// How pods are named, beside what lies on the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kubernetes {
    /// Where the list of this node's pods is.
    pub pods: Option<PodsSource>,
    /// A file with the token that the kubelet asks for.
    pub token: Option<PathBuf>,
    /// A file with the authorities that may sign the kubelet's certificate.
    pub ca: Option<PathBuf>,
    /// The SPIFFE trust domain in which this cluster's service accounts have their IDs.
    pub trust_domain: Option<String>,
}

/// Where a list of pods is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PodsSource {
    /// A file, absolute.
    File(PathBuf),
    /// `http://` or `https://`
    Url(String),
}

/// The local evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// State directory.
    pub path: PathBuf,
    /// How long records are kept.
    pub keep: Duration,
    /// How much room they may take; the oldest go first.
    pub max_bytes: u64,
}

/// How runs are cut into chains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainConfig {
    /// A run that has been quiet this long starts a new chain with its next action.
    pub quiet: Duration,
    /// Most actions of one chain.
    pub max_actions: u32,
    /// Most chains open at a time.
    pub max_open: u32,
}

/// What deviates from what is usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingsConfig {
    /// How long something must be known before what differs from it is a finding.
    pub learn: Duration,
    /// Kinds that are not looked for, by name.
    pub off: Vec<String>,
}

/// The canary that proves while the agent runs that probes fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanaryConfig {
    /// How often one is sent out.
    pub every: Duration,
}

/// The inventory of accounts and credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryConfig {
    /// How long after the start all of it is told.
    pub first: Duration,
    /// How long after that it is told again.
    pub every: Duration,
}

/// Where the declarations of purposes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurposesConfig {
    /// A file, or a directory of files.
    pub path: PathBuf,
}

/// The agent's own log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Least severity that is written.
    pub level: Level,
    /// The same for messages of the probes; [`None`] leaves them out.
    pub probes: Option<Level>,
}

/// Severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something is lost or broken.
    Error,
    /// Something may be.
    Warn,
    /// What an operator wants to know on a good day.
    Info,
    /// For those who look for a mistake.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// As the config and `tracing` spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }
}

impl Default for StoreConfig {
    fn default() -> Self {
        StoreConfig {
            path: PathBuf::from("/var/lib/spoor"),
            keep: Duration::from_secs(14 * 24 * 60 * 60),
            max_bytes: 2 << 30,
        }
    }
}

impl Default for ChainConfig {
    fn default() -> Self {
        ChainConfig { quiet: Duration::from_secs(15 * 60), max_actions: 4096, max_open: 4096 }
    }
}

impl Default for FindingsConfig {
    fn default() -> Self {
        FindingsConfig { learn: Duration::from_secs(7 * 24 * 60 * 60), off: Vec::new() }
    }
}

impl Default for CanaryConfig {
    fn default() -> Self {
        CanaryConfig { every: Duration::from_secs(5 * 60) }
    }
}

impl Default for InventoryConfig {
    fn default() -> Self {
        InventoryConfig { first: Duration::from_secs(3 * 60), every: Duration::from_secs(24 * 60 * 60) }
    }
}

impl Default for PurposesConfig {
    fn default() -> Self {
        PurposesConfig { path: PathBuf::from("/etc/spoor/purposes.d") }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig { level: Level::Info, probes: None }
    }
}

/// Why there is no config.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {}: {io}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        io: std::io::Error,
    },
    /// It was read and is wrong.
    #[error("{0}")]
    Invalid(Diagnostics),
}

/// Reads and checks a config file.
///
/// # Errors
/// Where the file cannot be read, or has any mistake; all of them are told.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let (name, text) = text(path, TEXT_MAX)?;
    parse(&name, &text).map_err(ConfigError::Invalid)
}

/// The name of a file in diagnostics, and its text: at most one byte more than `most`, which then is a mistake.
pub(crate) fn text(path: &Path, most: u64) -> Result<(String, String), ConfigError> {
    let unreadable = |io| ConfigError::Unreadable { path: path.to_owned(), io };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    // One byte more than allowed, so that who reads it sees that there was more.
    file.take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let name = path.display().to_string();
    let text = decode(&name, bytes).map_err(ConfigError::Invalid)?;
    Ok((name, text))
}

/// Bytes of a file as text.
///
/// # Errors
/// Where they are not UTF-8; the place is told.
pub fn decode(name: &str, bytes: Vec<u8>) -> Result<String, Diagnostics> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes());
        let mut report = Report::default();
        report.add(Code::NotUtf8, at..at + 1, "the file is not UTF-8 from here on");
        report.finish(name, &text)
    })
}

/// Checks the text of a config file; `name` is what the diagnostics call it.
///
/// # Errors
/// Where the text has any mistake; all of them are told.
pub fn parse(name: &str, text: &str) -> Result<Config, Diagnostics> {
    let mut report = Report::default();
    if text.len() as u64 > TEXT_MAX {
        report.add(Code::TooLong, 0..0, "the file is longer than 1 MiB");
        return Err(report.finish(name, text));
    }
    let raw = raw::read(text, keys::SECTIONS, &keys::KEYS, &mut report);
    let config = validate::validate(&raw, &mut report);
    if report.is_empty() { Ok(config) } else { Err(report.finish(name, text)) }
}
