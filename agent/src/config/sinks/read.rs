//! From the table of a sink to the sink.

use std::ops::Range;
use std::path::PathBuf;

use super::filter::filter;
use super::kafka::kafka;
use super::keys::{
    AUTHS, COMPRESSIONS, FACILITIES, FACILITY_NUMBERS, FORMATS, OCSF_VERSIONS, TRANSPORTS, TYPES,
};
use super::otlp::otlp;
use super::{
    Auth, Format, Http, OcsfVersion, Rotate, Secret, SinkConfig, SinkKind, Syslog, SyslogTo, TlsFiles,
};
use crate::config::diagnostic::{Code, Report};
use crate::config::raw::Table;
use crate::config::validate::{bad_word, path, size};

/// Longest datagram of UDP over IPv4.
const UDP_MAX: u64 = 65_507;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Reads one sink; a good one is put to the others.
pub(in crate::config) fn sink(table: &Table, sinks: &mut Vec<SinkConfig>, report: &mut Report) {
    let name = sink_name(table, sinks, report);
    if name.is_none() {
        missing(table, "name", report);
    }
    let kind = match table.text("type") {
        None => {
            missing(table, "type", report);
            None
        }
        Some((word, span)) => {
            let kind = kind(word, table, report);
            if TYPES.contains(&word) {
                foreign_keys(word, table, report);
            } else {
                bad_word(word, span, TYPES, report);
            }
            kind
        }
    };
    let named = format(table, report);
    let format = match &kind {
        Some(SinkKind::Otlp(otlp)) => otlp.protocol.format(),
        _ => named,
    };
    let filter = filter(table, report);
    // Two sinks may go to one receiver, in two schemas or with two filters; not to one file.
    let twice = |kind: &SinkKind| {
        let alone = matches!(kind, SinkKind::Stdout | SinkKind::File { .. });
        let same = |other: &&SinkConfig| same_place(&other.kind, kind);
        sinks.iter().filter(same).any(|other| alone || (other.format == format && other.filter == filter))
    };
    if kind.as_ref().is_some_and(twice) {
        let at =
            ["path", "url", "address", "brokers", "type"].into_iter().find_map(|key| table.mentions(key));
        let at = at.unwrap_or_else(|| table.span.clone());
        report.add(Code::DuplicateSink, at, "another sink writes there already");
    }
    if let (Some(name), Some(kind)) = (name, kind) {
        sinks.push(SinkConfig { name, kind, format, filter });
    }
}

fn same_place(one: &SinkKind, other: &SinkKind) -> bool {
    match (one, other) {
        (SinkKind::File { path: one, .. }, SinkKind::File { path: other, .. }) => one == other,
        _ => one == other,
    }
}

pub(super) fn missing(table: &Table, key: &str, report: &mut Report) {
    // After a syntax error the key may only have been lost on the way.
    if table.mentions(key).is_none() && !report.has(Code::Syntax) {
        let message = format!("this sink has no `{key}`");
        report.add(Code::MissingKey, table.span.clone(), message);
    }
}

/// Keys of a sink beside those that every one has, and the types that have them.
const ONLY_FOR: &[(&str, &[&str])] = &[
    ("path", &["file", "syslog"]),
    ("rotate_bytes", &["file"]),
    ("rotate_keep", &["file"]),
    ("transport", &["syslog"]),
    ("address", &["syslog"]),
    ("facility", &["syslog"]),
    ("max_record", &["syslog", "kafka"]),
    ("brokers", KAFKA),
    ("topic", KAFKA),
    ("partition_by", KAFKA),
    ("tls", KAFKA),
    ("sasl", KAFKA),
    ("user", KAFKA),
    ("url", HTTP),
    ("index", &["elasticsearch", "splunk"]),
    ("acknowledge", &["splunk"]),
    ("compression", WITH_SECRET),
    ("protocol", &["otlp"]),
    ("max_request", &["otlp"]),
    ("auth", HTTP),
    ("token_file", WITH_SECRET),
    ("token_credential", WITH_SECRET),
    ("ca", WITH_TLS),
    ("certificate", WITH_TLS),
    ("key", WITH_TLS),
];
const HTTP: &[&str] = &["webhook", "elasticsearch", "splunk", "otlp"];
const KAFKA: &[&str] = &["kafka"];
const WITH_SECRET: &[&str] = &["webhook", "elasticsearch", "splunk", "otlp", "kafka"];
const WITH_TLS: &[&str] = &["syslog", "webhook", "elasticsearch", "splunk", "otlp", "kafka"];

fn foreign_keys(word: &str, table: &Table, report: &mut Report) {
    for (key, types) in ONLY_FOR {
        if let Some(at) = table.mentions(key).filter(|_| !types.contains(&word)) {
            report.add(Code::NotForThisType, at, format!("a sink of type `{word}` has no `{key}`"));
        }
    }
}

fn kind(word: &str, table: &Table, report: &mut Report) -> Option<SinkKind> {
    match word {
        "stdout" => Some(SinkKind::Stdout),
        "file" => {
            let rotate = rotate(table, report);
            let path = path(table, "path", report);
            if path.is_none() {
                missing(table, "path", report);
            }
            path.map(|path| SinkKind::File { path, rotate })
        }
        "syslog" => syslog(table, report).map(SinkKind::Syslog),
        "webhook" => http(table, Auth::Bearer, report).map(SinkKind::Webhook),
        "elasticsearch" => {
            let index = index(table, report);
            if index.is_none() {
                missing(table, "index", report);
            }
            let http = http(table, Auth::ApiKey, report);
            Some(SinkKind::Elasticsearch { http: http?, index: index? })
        }
        "splunk" => {
            let index = index(table, report);
            let acknowledge = table.flag("acknowledge").unwrap_or(false);
            let http = http(table, Auth::Splunk, report)?;
            Some(SinkKind::Splunk { http, index, acknowledge })
        }
        "otlp" => otlp(table, report).map(SinkKind::Otlp),
        "kafka" => kafka(table, report).map(SinkKind::Kafka),
        _ => None,
    }
}

fn rotate(table: &Table, report: &mut Report) -> Option<Rotate> {
    let bytes = size(table, "rotate_bytes", 64 * KIB..=i64::MAX.unsigned_abs(), report);
    let keep = match table.count("rotate_keep") {
        None => 5,
        Some((count, span)) => {
            u32::try_from(count).ok().filter(|n| (1..=1000).contains(n)).unwrap_or_else(|| {
                report.add(Code::OutOfRange, span, "`rotate_keep` is from 1 to 1000");
                1
            })
        }
    };
    if let Some(at) = table.mentions("rotate_keep").filter(|_| table.mentions("rotate_bytes").is_none()) {
        report.add(Code::MissingKey, at, "`rotate_keep` says nothing without `rotate_bytes`");
    }
    bytes.map(|bytes| Rotate { bytes, keep })
}

fn syslog(table: &Table, report: &mut Report) -> Option<Syslog> {
    let transport = known_word(table, "transport", TRANSPORTS, report);
    if transport.is_none() {
        missing(table, "transport", report);
    }
    let most = if transport == Some("udp") { UDP_MAX } else { MIB };
    let max_record = size(table, "max_record", 480..=most, report).unwrap_or(8 * KIB);
    let facility = known_word(table, "facility", FACILITIES, report).unwrap_or("audit");
    let facility = FACILITIES.iter().zip(FACILITY_NUMBERS).find(|(name, _)| **name == facility);
    let socket = path(table, "path", report);
    let tls = tls(table, report);
    let to = match transport? {
        "local" => SyslogTo::Local(socket.unwrap_or_else(|| PathBuf::from("/dev/log"))),
        over => {
            if table.mentions("address").is_none() {
                missing(table, "address", report);
            }
            let address = address(table, report)?;
            match over {
                "tcp" => SyslogTo::Tcp(address),
                "udp" => SyslogTo::Udp(address),
                _ => SyslogTo::Tls(address, tls),
            }
        }
    };
    let max_record = usize::try_from(max_record).unwrap_or(usize::MAX);
    Some(Syslog { to, facility: facility.map_or(13, |(_, number)| *number), max_record })
}

/// `host:port`, an IPv6 address in brackets.
pub(super) fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let plain = !host.is_empty() && !host.contains(['/', '@', ' ', ':']);
        let bracketed = host.starts_with('[') && host.ends_with(']');
        (plain || bracketed) && port.parse::<u16>().is_ok_and(|port| port != 0)
    })
}

/// Whether `host:port` is on this host, so that what goes there goes over no network.
pub(super) fn is_local(address: &str) -> bool {
    let name = address.rsplit_once(':').map_or(address, |(name, _)| name);
    ["localhost", "127.0.0.1", "[::1]"].contains(&name)
}

fn address(table: &Table, report: &mut Report) -> Option<String> {
    let (text, span) = table.text("address")?;
    let good = is_address(text);
    if !good {
        let help = "as in \"logs.example.com:6514\" or \"[2001:db8::1]:6514\"";
        report.add_help(Code::BadAddress, span, format!("`{text}` is not a host and a port"), help);
    }
    good.then(|| text.to_owned())
}

pub(super) fn tls(table: &Table, report: &mut Report) -> TlsFiles {
    let ca = path(table, "ca", report);
    let pair = (path(table, "certificate", report), path(table, "key", report));
    let own = match pair {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            missing(table, "key", report);
            None
        }
        (None, Some(_)) => {
            missing(table, "certificate", report);
            None
        }
    };
    TlsFiles { ca, own }
}

pub(super) fn http(table: &Table, usual: Auth, report: &mut Report) -> Option<Http> {
    let tls = tls(table, report);
    let auth = match known_word(table, "auth", AUTHS, report) {
        Some("bearer") => Auth::Bearer,
        Some("basic") => Auth::Basic,
        Some("apikey") => Auth::ApiKey,
        Some("splunk") => Auth::Splunk,
        _ => usual,
    };
    let gzip = known_word(table, "compression", COMPRESSIONS, report) == Some("gzip");
    let secret = secret(table, report);
    let Some((url, span)) = table.text("url") else {
        missing(table, "url", report);
        return None;
    };
    let url = checked_url(url, span, secret.is_some(), report)?;
    Some(Http { url, tls, auth, secret, gzip })
}

/// A URL that is none, or has a secret in it, is not printed: it may be a secret altogether.
fn checked_url(url: &str, span: Range<usize>, secret: bool, report: &mut Report) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    let local = host.is_some_and(is_local);
    let fault = match host {
        None | Some("") => "is not an http:// or https:// URL",
        Some(host) if host.contains('@') => {
            "has a user or password in it; put them into `token_file` with `auth = \"basic\"`"
        }
        Some(_) if url.contains(|c: char| c.is_whitespace() || c.is_control()) => "has a space in it",
        Some(_) if secret && !local && url.starts_with("http://") => {
            "would send the secret in the clear; use https://"
        }
        Some(_) => return Some(url.trim_end_matches('/').to_owned()),
    };
    report.add(Code::BadAddress, span, format!("this `url` {fault}"));
    None
}

pub(super) fn secret(table: &Table, report: &mut Report) -> Option<Secret> {
    let file = path(table, "token_file", report).map(Secret::File);
    let Some((name, span)) = table.text("token_credential") else {
        return file;
    };
    if file.is_some() {
        report.add(Code::NotForThisType, span, "there is a `token_file` already");
        return file;
    }
    if name.is_empty() || name.len() > 255 || name.contains(['/', '\0']) || name.starts_with('.') {
        report.add(Code::BadName, span, format!("`{name}` is not the name of a credential"));
        return None;
    }
    Some(Secret::Credential(name.to_owned()))
}

fn index(table: &Table, report: &mut Report) -> Option<String> {
    let (name, span) = table.text("index")?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if name.is_empty() || name.len() > 255 || name.starts_with(['-', '_', '.']) || !name.chars().all(fits) {
        report.add_help(
            Code::BadName,
            span,
            format!("`{name}` is not a name for an index"),
            "a-z, 0-9, -, _ and .",
        );
        return None;
    }
    Some(name.to_owned())
}

pub(super) fn known_word(
    table: &Table,
    key: &str,
    words: &'static [&'static str],
    report: &mut Report,
) -> Option<&'static str> {
    let (word, span) = table.text(key)?;
    let known = words.iter().find(|known| **known == word).copied();
    if known.is_none() {
        bad_word(word, span, words, report);
    }
    known
}

fn format(table: &Table, report: &mut Report) -> Format {
    let kind = table.text("type").map_or("", |(word, _)| word);
    let usual = if kind == "otlp" { "otel" } else { "native" };
    let version = match known_word(table, "ocsf_version", OCSF_VERSIONS, report) {
        Some("1.1.0") => OcsfVersion::V1_1,
        Some("1.3.0") => OcsfVersion::V1_3,
        _ => OcsfVersion::V1_8,
    };
    let format = match known_word(table, "format", FORMATS, report).unwrap_or(usual) {
        "ocsf" => Format::Ocsf(version),
        "ecs" => Format::Ecs,
        "otel" => Format::Otel,
        "cef" => Format::Cef,
        "leef" => Format::Leef,
        _ => Format::Native,
    };
    let carried = match kind {
        "otlp" => format == Format::Otel,
        "elasticsearch" => format.is_json(),
        _ => true,
    };
    if let Some(at) = table.mentions("format").filter(|_| !carried) {
        report.add(
            Code::NotForThisType,
            at,
            format!("a sink of type `{kind}` does not carry `{}`", format.name()),
        );
    }
    if let Some(at) = table.mentions("ocsf_version").filter(|_| !matches!(format, Format::Ocsf(_))) {
        report.add(Code::NotForThisType, at, "only `format = \"ocsf\"` has an `ocsf_version`");
    }
    format
}

fn sink_name(table: &Table, sinks: &[SinkConfig], report: &mut Report) -> Option<String> {
    let (name, span) = table.text("name")?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        let message = format!("`{name}` is not a name for a sink");
        report.add_help(Code::BadName, span, message, "1 to 64 of a-z, 0-9 and -");
    } else if sinks.iter().any(|other| other.name == name) {
        let message = format!("another sink is called `{name}` already");
        report.add(Code::DuplicateSink, span, message);
    }
    Some(name.to_owned())
}
