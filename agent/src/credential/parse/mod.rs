//! Reads identifiers that are no secrets out of credentials.
//!
//! The bytes are chosen by whoever owns the file: every parser is total and bounded, and takes only what it knows to be
//! harmless. What is taken is checked once more against the forms of known tokens, for people put secrets everywhere.

mod decode;
mod ini;
mod json;
mod jwt;
mod kerberos;
#[cfg(test)]
mod key_tests;
mod lines;
mod node;
mod pem;
mod place;
#[cfg(test)]
mod secrecy_tests;
mod secrets;
mod settings;
mod ssh;
#[cfg(test)]
mod tests;
mod token;
mod x509;
mod yaml;

pub(super) use self::place::tell as tell_place;
pub(super) use self::secrets::Secrets;
use zeroize::Zeroize as _;

use super::redact;

/// Longest value.
const VALUE_MAX: usize = 256;
/// Most identifiers, and most expected hosts, of one file.
const COUNT_MAX: usize = 48;

/// How identifiers are read out of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named for the format it reads")]
pub enum Parser {
    /// There is nothing to tell.
    None,
    /// Any of those that can be told by their looks.
    #[default]
    Guess,
    Age,
    AwsIni,
    Ccache,
    Colon,
    Csv,
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
    Pem,
    Pgpass,
    Settings,
    SshKey,
    Token,
    Wireguard,
    Xml,
}

impl Parser {
    /// By the name that the catalogue writes.
    pub const ALL: [(&str, Parser); 26] = [
        ("none", Parser::None),
        ("guess", Parser::Guess),
        ("age", Parser::Age),
        ("aws_ini", Parser::AwsIni),
        ("ccache", Parser::Ccache),
        ("colon", Parser::Colon),
        ("csv", Parser::Csv),
        ("docker_cfg", Parser::DockerCfg),
        ("gcp_json", Parser::GcpJson),
        ("gh_hosts", Parser::GhHosts),
        ("git_credentials", Parser::GitCredentials),
        ("ini", Parser::Ini),
        ("json", Parser::Json),
        ("jwt", Parser::Jwt),
        ("keytab", Parser::Keytab),
        ("kubeconfig", Parser::Kubeconfig),
        ("my_cnf", Parser::MyCnf),
        ("netrc", Parser::Netrc),
        ("npmrc", Parser::Npmrc),
        ("pem", Parser::Pem),
        ("pgpass", Parser::Pgpass),
        ("settings", Parser::Settings),
        ("ssh_key", Parser::SshKey),
        ("token", Parser::Token),
        ("wireguard", Parser::Wireguard),
        ("xml", Parser::Xml),
    ];
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) identifiers: Vec<(String, String)>,
    pub(super) expects: Vec<(String, Option<u16>)>,
    /// When it ends, seconds since 1970: of several, the first.
    pub(super) expires: Option<i64>,
    /// Of these, fingerprints are taken.
    pub(super) secrets: Secrets,
    /// There is no secret in it: certificates, public keys.
    pub(super) public: bool,
}

impl Facts {
    /// Keeps a value, unless it looks like a secret.
    fn push(&mut self, name: &str, value: &str) {
        self.insert(self.identifiers.len(), name, value);
    }

    /// Keeps a value before all others: the first is what names a credential.
    fn first(&mut self, name: &str, value: &str) {
        self.insert(0, name, value);
    }

    fn insert(&mut self, at: usize, name: &str, value: &str) {
        if self.identifiers.len() >= COUNT_MAX {
            return;
        }
        let mut value = clean(value);
        let harmless = redact::scrub(value.as_bytes()) == value.as_bytes();
        let known = || self.identifiers.iter().any(|(other, known)| other == name && *known == value);
        if harmless && !value.is_empty() && !known() {
            self.identifiers.insert(at, (name.to_owned(), value));
        } else {
            value.zeroize();
        }
    }

    /// What names it: the first identifier that is more than its form, and not another one after each rotation.
    pub(super) fn name(&self) -> Option<&str> {
        const FORM: [&str; 5] = ["encrypted", "format", "not_before", "spki", "type"];
        let names = self.identifiers.iter().find(|(name, _)| !FORM.contains(&name.as_str()));
        names.map(|(_, value)| value.as_str())
    }

    /// Keeps an end.
    fn ends(&mut self, seconds: i64) {
        self.expires = Some(self.expires.map_or(seconds, |known| known.min(seconds)));
    }

    /// Keeps a secret, until its fingerprint is taken.
    fn secret(&mut self, value: &str) {
        self.secrets.push(value.as_bytes());
    }

    /// Keeps the value of a field whose name says that it is secret.
    fn secret_if_named(&mut self, name: &str, value: &str) {
        if redact::is_secret_name(name) {
            self.secret(value);
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

/// Reads a file. Where no part of it is known to be the secret, all of it is.
pub(super) fn parse(parser: Parser, bytes: &[u8]) -> Facts {
    let mut facts = Facts::default();
    read(parser, bytes, &mut facts);
    if facts.secrets.is_empty() && !facts.public {
        facts.secrets.push(bytes);
    }
    facts
}

fn read(parser: Parser, bytes: &[u8], facts: &mut Facts) {
    // Text formats are ASCII where it matters; a file that is none has nothing for them.
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    match parser {
        Parser::None => {}
        Parser::Guess => {
            read(guess(bytes, text), bytes, facts);
        }
        Parser::Age => lines::age(text, facts),
        Parser::AwsIni => ini::aws(text, facts),
        Parser::Ccache => kerberos::ccache(bytes, facts),
        Parser::Colon => lines::colon(text, facts),
        Parser::Csv => lines::csv(text, facts),
        Parser::DockerCfg => json::docker(text, facts),
        Parser::GcpJson => json::gcp(text, facts),
        Parser::GhHosts => yaml::gh_hosts(text, facts),
        Parser::GitCredentials => lines::git_credentials(text, facts),
        Parser::Ini => ini::generic(text, facts),
        Parser::Json => json::generic(text, facts),
        Parser::Jwt => {
            facts.secret(text);
            jwt::read(text, facts);
        }
        Parser::Keytab => kerberos::keytab(bytes, facts),
        Parser::Kubeconfig => yaml::kubeconfig(text, facts),
        Parser::MyCnf => ini::my_cnf(text, facts),
        Parser::Netrc => lines::netrc(text, facts),
        Parser::Npmrc => lines::npmrc(text, facts),
        Parser::Pem => pem::read(bytes, text, false, facts),
        Parser::Pgpass => lines::pgpass(text, facts),
        Parser::Settings => settings::read(bytes, text, facts),
        Parser::SshKey => pem::read(bytes, text, true, facts),
        Parser::Token => token::read(text, facts),
        Parser::Wireguard => ini::wireguard(text, facts),
        Parser::Xml => lines::xml(text, facts),
    }
}

/// The format of a file whose name says nothing; never [`Parser::Guess`] itself.
fn guess(bytes: &[u8], text: &str) -> Parser {
    let start = text.trim_start();
    if start.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----") {
        Parser::SshKey
    } else if pem::is_all(start) {
        Parser::Pem
    } else if jwt::is_one(start) {
        Parser::Jwt
    } else if bytes.starts_with(&[5, 2]) {
        Parser::Keytab
    } else if bytes.starts_with(&[5, 4]) {
        Parser::Ccache
    } else if start.starts_with('{') && start.contains("\"auths\"") {
        Parser::DockerCfg
    } else if start.starts_with('{') && start.contains("\"private_key_id\"") {
        Parser::GcpJson
    } else if start.contains("aws_access_key_id") {
        Parser::AwsIni
    } else if start.contains("\nkind: Config") && start.contains("clusters:") {
        Parser::Kubeconfig
    } else if start.contains("AGE-SECRET-KEY-") {
        Parser::Age
    } else if !start.is_empty() && !start.trim_end().contains(char::is_whitespace) {
        Parser::Token
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

/// The password in a URL with a login.
fn password_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit_once('@')?.0.split_once(':').map(|(_, password)| password)
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
