//! Reads identifiers that are no secrets out of credentials.
//!
//! The bytes are chosen by whoever owns the file: every parser is total and bounded, and takes only what it knows to be
//! harmless. What is taken is checked once more against the forms of known tokens, for people put secrets everywhere.

mod ini;
mod json;
mod lines;
mod ssh;
#[cfg(test)]
mod tests;
mod yaml;

use serde::Deserialize;

use super::redact;

/// Longest value.
const VALUE_MAX: usize = 256;
/// Most identifiers, and most expected hosts, of one file.
const COUNT_MAX: usize = 48;

/// How identifiers are read out of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is named for the format it reads")]
pub enum Parser {
    /// There is nothing to tell.
    None,
    /// Any of those that can be told by their looks.
    Guess,
    Age,
    AwsIni,
    DockerCfg,
    GcpJson,
    GhHosts,
    GitCredentials,
    Ini,
    Json,
    Jwt,
    Keytab,
    Kubeconfig,
    MyCnf,
    Netrc,
    Npmrc,
    Pgpass,
    SshKey,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) identifiers: Vec<(String, String)>,
    pub(super) expects: Vec<(String, Option<u16>)>,
}

impl Facts {
    /// Keeps a value, unless it looks like a secret.
    fn push(&mut self, name: &str, value: &str) {
        let value = clean(value);
        let entry = (name.to_owned(), value);
        let harmless = redact::scrub(entry.1.as_bytes()) == entry.1.as_bytes();
        let fits = self.identifiers.len() < COUNT_MAX && !entry.1.is_empty();
        if harmless && fits && !self.identifiers.contains(&entry) {
            self.identifiers.push(entry);
        }
    }

    /// Keeps a host the credential is for.
    fn expect(&mut self, host: &str, port: Option<u16>) {
        if !is_host(host) || self.expects.len() >= COUNT_MAX {
            return;
        }
        let entry = (host.to_ascii_lowercase(), port);
        let harmless = redact::scrub(entry.0.as_bytes()) == entry.0.as_bytes();
        if harmless && !self.expects.contains(&entry) {
            self.expects.push(entry);
        }
    }

    /// The same for a URL; tells the host.
    fn expect_url(&mut self, url: &str) -> Option<String> {
        let (host, port) = host_of(url)?;
        self.expect(&host, port);
        Some(host)
    }
}

/// Reads a file.
pub(super) fn parse(parser: Parser, bytes: &[u8]) -> Facts {
    let mut facts = Facts::default();
    // Text formats are ASCII where it matters; a file that is none has nothing for them.
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    match parser {
        Parser::None => {}
        Parser::Guess => return parse(guess(text), bytes),
        Parser::Age => lines::age(text, &mut facts),
        Parser::AwsIni => ini::aws(text, &mut facts),
        Parser::DockerCfg => json::docker(text, &mut facts),
        Parser::GcpJson => json::gcp(text, &mut facts),
        Parser::GhHosts => yaml::gh_hosts(text, &mut facts),
        Parser::GitCredentials => lines::git_credentials(text, &mut facts),
        Parser::Ini => ini::generic(text, &mut facts),
        Parser::Json => json::generic(text, &mut facts),
        Parser::Jwt => json::jwt(text, &mut facts),
        Parser::Keytab => ssh::keytab(bytes, &mut facts),
        Parser::Kubeconfig => yaml::kubeconfig(text, &mut facts),
        Parser::MyCnf => ini::my_cnf(text, &mut facts),
        Parser::Netrc => lines::netrc(text, &mut facts),
        Parser::Npmrc => lines::npmrc(text, &mut facts),
        Parser::Pgpass => lines::pgpass(text, &mut facts),
        Parser::SshKey => ssh::key(text, &mut facts),
    }
    facts
}

/// The format of a file whose name says nothing.
fn guess(text: &str) -> Parser {
    let text = text.trim_start();
    if text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----") {
        Parser::SshKey
    } else if text.starts_with("eyJ") && text.bytes().filter(|byte| *byte == b'.').count() == 2 {
        Parser::Jwt
    } else if text.starts_with('{') && text.contains("\"auths\"") {
        Parser::DockerCfg
    } else if text.starts_with('{') && text.contains("\"private_key_id\"") {
        Parser::GcpJson
    } else if text.contains("aws_access_key_id") {
        Parser::AwsIni
    } else if text.contains("\nkind: Config") && text.contains("clusters:") {
        Parser::Kubeconfig
    } else {
        Parser::None
    }
}

/// An AWS access key id: it names a key and opens nothing.
pub(super) fn is_aws_key_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    let known = match bytes.get(..4) {
        Some([b'A', b'3', b'T', last]) => last.is_ascii_uppercase() || last.is_ascii_digit(),
        Some(prefix) => [b"AKIA", b"ASIA", b"ABIA", b"ACCA"].iter().any(|known| prefix == known.as_slice()),
        None => false,
    };
    let rest = bytes.get(4..).unwrap_or_default();
    known && rest.len() == 16 && rest.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'))
}

/// At most 256 bytes, without characters a terminal obeys.
fn clean(value: &str) -> String {
    let mut out = String::new();
    for c in value.trim().chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > VALUE_MAX {
            break;
        }
        out.push(c);
    }
    out
}

fn is_host(host: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    !host.is_empty() && host.len() <= 253 && host.bytes().all(fits)
}

/// Host and port of a URL, or of `host:port/path`. The port of `http` and `https` is known.
fn host_of(url: &str) -> Option<(String, Option<u16>)> {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        None => ("", url.strip_prefix("//").unwrap_or(url)),
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    let (host, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, after.strip_prefix(':'))
        }
        None => match host.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (host, None),
        },
    };
    let known = match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    };
    let port = match port {
        Some(port) => Some(port.parse().ok()?),
        None => known,
    };
    is_host(host).then(|| (host.to_ascii_lowercase(), port))
}
