//! Names of destinations: what a name server told the host, and what a client asked a TLS server for. Never a reverse
//! lookup: the owner of an address says there whatever they like, and asking would tell them that somebody looks.
//!
//! Bytes come from strangers. No I/O, no clock: times are nanoseconds since boot, and come in.

mod cache;
mod dns;
mod plain;
mod reader;
mod tls;

pub use cache::{Counts, Names};
pub use dns::{Answers, DnsError, answers};
pub use plain::{plain_answer, plain_hello};
pub use tls::{TlsError, server_name};

/// Longest name, in characters.
pub const NAME_MAX: usize = 253;
/// Longest label of a name.
const LABEL_MAX: usize = 63;

/// The name of a destination, and who says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Named {
    /// In lower case, without the dot at the end.
    pub name: String,
    /// Who says so.
    pub source: NameSource,
}

/// Who says that a destination has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NameSource {
    /// A name server told the host that the name has this address. Another process may have asked.
    Dns,
    /// The client asked for the name in its TLS hello, on this connection.
    Tls,
}

impl NameSource {
    /// As records name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            NameSource::Dns => "dns",
            NameSource::Tls => "tls",
        }
    }
}

/// Why some bytes are not the name of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// Nothing, or nothing between two dots.
    #[error("a label is empty")]
    Empty,
    /// More than 253 characters, or more than 63 in one label.
    #[error("it is too long")]
    Long,
    /// Something other than letters, digits, `-` and `_`.
    #[error("it has the byte {0:#04x} in it")]
    Byte(u8),
    /// Its last label is a number, so that it could pass for an address.
    #[error("it looks like an address")]
    Address,
}

/// A host's name out of its labels. What a resolver may hand out is wider than what a host is called: names that a
/// terminal would obey, or that pass for something else, are refused, not repaired.
fn host<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Result<String, NameFault> {
    let mut name = String::new();
    let mut number = false;
    for label in labels {
        if label.is_empty() {
            return Err(NameFault::Empty);
        }
        if !name.is_empty() {
            name.push('.');
        }
        if label.len() > LABEL_MAX || name.len() + label.len() > NAME_MAX {
            return Err(NameFault::Long);
        }
        for byte in label {
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
                return Err(NameFault::Byte(*byte));
            }
            name.push(char::from(byte.to_ascii_lowercase()));
        }
        number = is_number(label);
    }
    match (name.is_empty(), number) {
        (true, _) => Err(NameFault::Empty),
        (false, true) => Err(NameFault::Address),
        (false, false) => Ok(name),
    }
}

/// What some programs read as (the end of) an address: `1`, `0x7f`.
fn is_number(label: &[u8]) -> bool {
    match label {
        [b'0', b'x' | b'X', hex @ ..] => hex.iter().all(u8::is_ascii_hexdigit),
        digits => digits.iter().all(u8::is_ascii_digit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sources() {
        assert_eq!([NameSource::Dns.name(), NameSource::Tls.name()], ["dns", "tls"]);
    }

    #[test]
    fn what_a_host_is_called() {
        let host = |text: &str| host(text.as_bytes().split(|byte| *byte == b'.'));
        for good in
            ["localhost", "db7", "_ldap._tcp.example.org", "r3---sn-x.example", "xn--bcher-kva.example", "1a"]
        {
            assert_eq!(host(good).as_deref(), Ok(good));
        }
        assert_eq!(host("ExAmple.ORG").unwrap(), "example.org");
        let labels = |of: usize| vec!["a".repeat(of); 4].join(".");
        assert_eq!(host(&labels(62)).unwrap().len(), 251);
        assert_eq!(host(&labels(63)), Err(NameFault::Long));
        assert_eq!(host(&"a".repeat(64)), Err(NameFault::Long));
        assert_eq!(host(""), Err(NameFault::Empty));
        assert_eq!(host("a..b"), Err(NameFault::Empty));
        for bad in ["a b", "a\u{1b}[2J", "é", "a/b", "*.example.org", "a:80", "a\0"] {
            assert!(matches!(host(bad), Err(NameFault::Byte(_))), "{bad}");
        }
        for bad in ["169.254.169.254", "1", "example.0x7f", "a.0x", "10.1"] {
            assert_eq!(host(bad), Err(NameFault::Address), "{bad}");
        }
        assert_eq!(NameFault::Byte(0x1b).to_string(), "it has the byte 0x1b in it");
    }
}
