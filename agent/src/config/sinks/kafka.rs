//! A sink of type `kafka`: its keys, and what they are checked for.

use std::ops::Range;

use super::keys::{KAFKA_COMPRESSIONS, MECHANISMS, PARTITION_BYS};
use super::read::{is_address, is_local, known_word, missing, secret, tls};
use super::{Secret, TlsFiles};
use crate::config::diagnostic::{Code, Report};
use crate::config::raw::Table;
use crate::config::validate::{list, size};

/// Most brokers of one sink: any of them tells of the others.
const BROKERS_MAX: usize = 64;
/// Longest name of a topic.
const TOPIC_MAX: usize = 249;
/// Longest name of a user.
const USER_MAX: usize = 255;
/// What brokers take as long as nobody says otherwise is 1 MiB and 12 bytes for a batch with all that belongs to it.
const RECORD_USUAL: u64 = 1_000_000;

/// A topic of Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kafka {
    /// `host:port` of each that is asked for the others.
    pub brokers: Vec<String>,
    /// Where the records go.
    pub topic: String,
    /// What keeps records in one partition.
    pub partition_by: PartitionBy,
    /// How batches are compressed.
    pub compression: Compression,
    /// Whom to trust, and who we are; nothing: in the clear.
    pub tls: Option<TlsFiles>,
    /// How we prove who we are, if we do.
    pub sasl: Option<Sasl>,
    /// Longest record.
    pub max_record: usize,
}

/// What keeps records in one partition, and so in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionBy {
    /// Their chain; records without one by their host.
    Chain,
    /// Their host.
    Host,
}

/// How batches are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not.
    None,
    /// gzip
    Gzip,
    /// LZ4
    Lz4,
}

/// A user, and how it is proven to be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sasl {
    /// How.
    pub mechanism: Mechanism,
    /// Who.
    pub user: String,
    /// Where the password is.
    pub password: Secret,
}

/// Mechanisms of SASL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// The password itself.
    Plain,
    /// A proof of it, with SHA-256.
    ScramSha256,
    /// A proof of it, with SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// As the protocol spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

pub(super) fn kafka(table: &Table, report: &mut Report) -> Option<Kafka> {
    let brokers = brokers(table, report);
    let topic = topic(table, report);
    let partition_by = match known_word(table, "partition_by", PARTITION_BYS, report) {
        Some("host") => PartitionBy::Host,
        _ => PartitionBy::Chain,
    };
    let compression = match known_word(table, "compression", KAFKA_COMPRESSIONS, report) {
        Some("gzip") => Compression::Gzip,
        Some("lz4") => Compression::Lz4,
        _ => Compression::None,
    };
    let files = tls(table, report);
    let secure = table.flag("tls").unwrap_or(true);
    let named = ["ca", "certificate", "key"].into_iter().find_map(|key| table.mentions(key));
    if let Some(at) = named.filter(|_| !secure) {
        report.add(Code::NotForThisType, at, "this says nothing with `tls = false`");
    }
    let sasl = sasl(table, report);
    let clear = !secure && sasl.as_ref().is_some_and(|sasl| sasl.mechanism == Mechanism::Plain);
    if let Some(at) =
        table.mentions("sasl").filter(|_| clear && !brokers.iter().all(|broker| is_local(broker)))
    {
        let help = "leave out `tls = false`, or use SCRAM";
        report.add_help(Code::BadAddress, at, "`plain` would send the secret in the clear", help);
    }
    let max_record = size(table, "max_record", 480..=(16 << 20), report).unwrap_or(RECORD_USUAL);
    let max_record = usize::try_from(max_record).unwrap_or(usize::MAX);
    let tls = secure.then_some(files);
    (!brokers.is_empty()).then_some(())?;
    Some(Kafka { brokers, topic: topic?, partition_by, compression, tls, sasl, max_record })
}

fn brokers(table: &Table, report: &mut Report) -> Vec<String> {
    let items = table.list("brokers");
    if items.is_empty() {
        match table.mentions("brokers") {
            None => missing(table, "brokers", report),
            Some(at) => report.add(Code::BadAddress, at, "at least one broker has to be named"),
        }
    }
    if let Some(first) = items.get(BROKERS_MAX) {
        report.add(Code::TooMany, first.span.clone(), format!("at most {BROKERS_MAX} may stand here"));
    }
    let check = |text: &str| {
        (!is_address(text))
            .then_some((Code::BadAddress, "is not a host and a port, as in \"kafka.example.com:9093\""))
    };
    list(items, check, report)
}

fn topic(table: &Table, report: &mut Report) -> Option<String> {
    let Some((name, span)) = table.text("topic") else {
        missing(table, "topic", report);
        return None;
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > TOPIC_MAX || [".", ".."].contains(&name) || !name.chars().all(fits) {
        let message = format!("`{name}` is not a name for a topic");
        report.add_help(Code::BadName, span, message, "1 to 249 of a-z, A-Z, 0-9, -, _ and .");
        return None;
    }
    Some(name.to_owned())
}

fn sasl(table: &Table, report: &mut Report) -> Option<Sasl> {
    let mechanism = match known_word(table, "sasl", MECHANISMS, report) {
        Some("plain") => Some(Mechanism::Plain),
        Some("scram-sha-256") => Some(Mechanism::ScramSha256),
        Some("scram-sha-512") => Some(Mechanism::ScramSha512),
        _ => None,
    };
    let password = secret(table, report);
    let user = user(table, report);
    if table.mentions("sasl").is_none() {
        let keys = ["user", "token_file", "token_credential"];
        if let Some((key, at)) = keys.into_iter().find_map(|key| Some((key, table.mentions(key)?))) {
            report.add(Code::MissingKey, at, format!("`{key}` says nothing without `sasl`"));
        }
        return None;
    }
    if table.mentions("user").is_none() {
        missing(table, "user", report);
    }
    if table.mentions("token_file").is_none() && table.mentions("token_credential").is_none() {
        missing(table, "token_file", report);
    }
    Some(Sasl { mechanism: mechanism?, user: user?, password: password? })
}

fn user(table: &Table, report: &mut Report) -> Option<String> {
    let (name, span): (&str, Range<usize>) = table.text("user")?;
    if name.is_empty() || name.len() > USER_MAX || name.chars().any(char::is_control) {
        report.add(Code::BadName, span, "this `user` is empty, too long or has control characters in it");
        return None;
    }
    Some(name.to_owned())
}
