//! Sinks, as the config names them: where records go, in which schema, and which of them.

mod filter;
mod kafka;
mod keys;
mod otlp;
mod read;

use std::path::PathBuf;

pub use kafka::{Compression, Kafka, Mechanism, PartitionBy, Sasl};
pub(super) use keys::KEYS;
pub(super) use read::sink;

/// One way out for records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkConfig {
    /// Unique; names the sink's cursor in the store.
    pub name: String,
    /// Where to.
    pub kind: SinkKind,
    /// In which schema.
    pub format: Format,
    /// Which records.
    pub filter: Filter,
}

impl SinkConfig {
    /// A sink of all records, as they are.
    #[must_use]
    pub fn plain(name: &str, kind: SinkKind) -> Self {
        Self { name: name.to_owned(), kind, format: Format::Native, filter: Filter::default() }
    }
}

/// Where a sink writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkKind {
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File {
        /// Absolute.
        path: PathBuf,
        /// Whether we rotate it.
        rotate: Option<Rotate>,
    },
    /// A syslog receiver.
    Syslog(Syslog),
    /// Lines posted to a URL.
    Webhook(Http),
    /// The bulk interface of Elasticsearch and OpenSearch.
    Elasticsearch {
        /// Where.
        http: Http,
        /// Index or data stream.
        index: String,
    },
    /// Splunk's HTTP Event Collector.
    Splunk {
        /// Where.
        http: Http,
        /// Index, if not the token's own.
        index: Option<String>,
        /// Wait for the indexers.
        acknowledge: bool,
    },
    /// An OpenTelemetry collector.
    Otlp(Otlp),
    /// A topic of Kafka.
    Kafka(Kafka),
}

/// When a file is rotated, and what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotate {
    /// It does not grow beyond this, but for a single longer record.
    pub bytes: u64,
    /// Rotated files that are kept.
    pub keep: u32,
}

/// A syslog receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syslog {
    /// Where.
    pub to: SyslogTo,
    /// Number of the facility.
    pub facility: u8,
    /// Longest message.
    pub max_record: usize,
}

/// Where a syslog receiver listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogTo {
    /// `host:port`
    Tcp(String),
    /// `host:port`, and whom to trust there.
    Tls(String, TlsFiles),
    /// `host:port`
    Udp(String),
    /// A socket of this host.
    Local(PathBuf),
}

/// Files of TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Authorities; without, those of the web.
    pub ca: Option<PathBuf>,
    /// Our own certificate and its key.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// An HTTP receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Where; holds no secret.
    pub url: String,
    /// Whom to trust, and who we are.
    pub tls: TlsFiles,
    /// How the secret is sent.
    pub auth: Auth,
    /// Where the secret is.
    pub secret: Option<Secret>,
    /// Requests are compressed.
    pub gzip: bool,
}

/// An OpenTelemetry collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    /// Where.
    pub http: Http,
    /// How it is spoken to.
    pub protocol: OtlpProtocol,
    /// Longest request, before compression.
    pub max_request: usize,
}

/// The three ways of OTLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// `grpc`
    Grpc,
    /// `http/protobuf`
    #[default]
    HttpProtobuf,
    /// `http/json`
    HttpJson,
}

impl OtlpProtocol {
    /// How records are encoded for it.
    #[must_use]
    pub fn format(self) -> Format {
        match self {
            OtlpProtocol::Grpc | OtlpProtocol::HttpProtobuf => Format::OtelProtobuf,
            OtlpProtocol::HttpJson => Format::Otel,
        }
    }
}

/// Where a secret is read. The secret itself is in no config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// In a file.
    File(PathBuf),
    /// In a file of that name among systemd's credentials.
    Credential(String),
}

/// How a secret is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Bearer`
    Bearer,
    /// `Basic`, out of `user:password`.
    Basic,
    /// `ApiKey`
    ApiKey,
    /// `Splunk`
    Splunk,
}

/// Schema of a sink's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// spoor's own records.
    #[default]
    Native,
    /// Open Cybersecurity Schema Framework.
    Ocsf(OcsfVersion),
    /// Elastic Common Schema.
    Ecs,
    /// Log records of OpenTelemetry, in its JSON.
    Otel,
    /// The same as its protocol's messages, which only `otlp` carries.
    OtelProtobuf,
    /// Common Event Format.
    Cef,
    /// Log Event Extended Format.
    Leef,
}

impl Format {
    /// Whether a record is one JSON object.
    #[must_use]
    pub fn is_json(self) -> bool {
        match self {
            Format::Native | Format::Ocsf(_) | Format::Ecs | Format::Otel => true,
            Format::OtelProtobuf | Format::Cef | Format::Leef => false,
        }
    }

    /// As the config spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::Native => "native",
            Format::Ocsf(_) => "ocsf",
            Format::Ecs => "ecs",
            Format::Otel | Format::OtelProtobuf => "otel",
            Format::Cef => "cef",
            Format::Leef => "leef",
        }
    }
}

/// Versions of OCSF we can write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OcsfVersion {
    /// 1.1.0
    V1_1,
    /// 1.3.0
    V1_3,
    /// 1.8.0
    #[default]
    V1_8,
}

/// How severe a record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// As things should be, or good to know.
    #[default]
    Informational,
    /// Something may be missing or odd: for the next time that somebody looks.
    Low,
    /// Worth a look.
    Medium,
    /// Worth a look today.
    High,
    /// Worth a look now, by everybody.
    Critical,
}

impl Severity {
    /// By its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }

    /// Every severity, the least first.
    pub const ALL: [Severity; 5] =
        [Severity::Informational, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// As the config and records spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Informational => "informational",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// Which records a sink gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Types; empty: all.
    pub types: Vec<String>,
    /// Actions, of the records of actions; empty: all.
    pub actions: Vec<String>,
    /// Patterns of actors, of the records with one; empty: all.
    pub actors: Vec<String>,
    /// Least severity.
    pub min_severity: Severity,
}
