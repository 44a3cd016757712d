//! INI files: only keys that are known to be harmless.

use super::{Facts, is_aws_key_id};

/// Keys of which the value is no secret, in any program's file.
const HARMLESS: &[&str] = &[
    "access_key",
    "access_key_id",
    "account",
    "accountname",
    "api_server",
    "application_credential_id",
    "auth_url",
    "aws_access_key_id",
    "database",
    "dbname",
    "endpoint",
    "extra-index-url",
    "fingerprint",
    "gs_access_key_id",
    "host",
    "host_base",
    "hostname",
    "identity",
    "index-url",
    "project_name",
    "region",
    "registry",
    "repository",
    "server",
    "ssid",
    "tenancy",
    "type",
    "url",
    "user",
    "username",
    "uuid",
];
/// Of these, the host is told and no more: who likes to writes a login into a URL.
const HOSTS: &[&str] = &[
    "api_server",
    "auth_url",
    "endpoint",
    "extra-index-url",
    "host",
    "host_base",
    "hostname",
    "index-url",
    "registry",
    "repository",
    "server",
    "url",
];

/// One line that says something.
pub(super) enum Line<'a> {
    Section(&'a str),
    Pair(&'a str, &'a str),
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            return None;
        }
        if let Some(section) = line.strip_prefix('[') {
            return section.split_once(']').map(|(name, _)| Line::Section(name.trim()));
        }
        let (key, value) = line.split_once('=')?;
        Some(Line::Pair(key.trim(), unquote(value.trim())))
    })
}

pub(super) fn unquote(value: &str) -> &str {
    let inner = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

pub(super) fn aws(text: &str, facts: &mut Facts) {
    let mut profile = "default";
    for line in lines(text) {
        match line {
            Line::Section(name) => profile = name,
            Line::Pair(key, value) if key.eq_ignore_ascii_case("aws_access_key_id") => {
                if is_aws_key_id(value) {
                    facts.push("key_id", value);
                    facts.push("account_id", &account(value));
                    facts.push("profile", profile);
                }
            }
            Line::Pair(key, value) => facts.secret_if_named(key, value),
        }
    }
}

/// The account is in the key id, bits 7 to 46 of its first six bytes in base 32.
pub(super) fn account(key_id: &str) -> String {
    let mut bits: u64 = 0;
    for byte in key_id.bytes().skip(4).take(10) {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => 0,
        };
        bits = bits << 5 | u64::from(digit);
    }
    // Ten digits are 50 bits, six bytes 48.
    let first_six_bytes = bits >> 2;
    format!("{:012}", (first_six_bytes & 0x7fff_ffff_ff80) >> 7)
}

pub(super) fn my_cnf(text: &str, facts: &mut Facts) {
    let mut ours = false;
    let (mut host, mut port) = (None, Some(3306));
    for line in lines(text) {
        match line {
            Line::Section(name) => ours = name.starts_with("client") || name.starts_with("mysql"),
            Line::Pair("user", user) if ours => facts.push("user", user),
            Line::Pair("host", name) if ours => {
                facts.push("host", name);
                host.get_or_insert(name);
            }
            Line::Pair("port", number) if ours => port = number.parse().ok(),
            Line::Pair("database", name) if ours => facts.push("database", name),
            Line::Pair(key, value) => facts.secret_if_named(key, value),
        }
    }
    if let Some(host) = host {
        facts.expect(host, port);
    }
}

/// `[Peer]` names the other side by its public key and its address.
pub(super) fn wireguard(text: &str, facts: &mut Facts) {
    for line in lines(text) {
        match line {
            Line::Pair("PublicKey", key) => facts.push("peer", key),
            Line::Pair("Endpoint", peer) => {
                facts.expect_url(peer);
            }
            Line::Pair(key, value) => facts.secret_if_named(key, value),
            Line::Section(_) => {}
        }
    }
}

pub(super) fn generic(text: &str, facts: &mut Facts) {
    for line in lines(text) {
        match line {
            Line::Section(name) => facts.push("section", name),
            Line::Pair(key, value) => pair(key, value, facts),
        }
    }
}

/// A field of any program's file.
pub(super) fn pair(key: &str, value: &str, facts: &mut Facts) {
    // As long as a name may be that is known to be harmless.
    let lower = if key.len() <= 32 { key.to_ascii_lowercase() } else { String::new() };
    // A key id has a form of its own; whatever else stands there is in the wrong place.
    let misplaced = lower == "aws_access_key_id" && !is_aws_key_id(value);
    if misplaced || !HARMLESS.contains(&lower.as_str()) {
        return facts.secret_if_named(key, value);
    }
    if !HOSTS.contains(&lower.as_str()) {
        return facts.push(&lower, value);
    }
    if let Some(host) = facts.expect_url(value) {
        facts.push("host", &host);
    }
    if let Some(password) = super::password_of(value) {
        facts.secret(password);
    }
}
