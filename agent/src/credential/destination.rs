//! Where credentials of a kind are expected to be used.

use std::net::IpAddr;

/// Longest text of one: a name of the DNS, and a port.
const TEXT_MAX: usize = 260;

/// A pattern of hosts, and a port of them or all: `*.amazonaws.com:443`, `*:5432`, `192.0.2.1:*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    text: String,
    host: Host,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Host {
    Any,
    Address(IpAddr),
    /// In small letters.
    Name(String),
    /// Names that end so; begins with a dot.
    Below(String),
}

impl Destination {
    /// Reads `HOST:PORT`.
    pub(crate) fn parse(text: &str) -> Result<Destination, &'static str> {
        const FORM: &str = "is not `HOST:PORT`: a name, `*.NAME`, `*` or an address, and a number or `*`";
        let (host, port) = text.rsplit_once(':').filter(|_| text.len() <= TEXT_MAX).ok_or(FORM)?;
        let port = match port {
            "*" => None,
            number => Some(number.parse().ok().filter(|port| *port != 0).ok_or(FORM)?),
        };
        if host == "*" && port.is_none() {
            return Err("is every destination there is; leave it out");
        }
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match (bracketed, host.parse::<IpAddr>()) {
            (Some(host), _) => Host::Address(host.parse::<IpAddr>().map_err(|_| FORM)?.to_canonical()),
            (None, Ok(IpAddr::V4(address))) => Host::Address(address.into()),
            (None, _) if host == "*" => Host::Any,
            (None, _) => {
                let name = host.strip_prefix("*.").unwrap_or(host);
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
                let label = |label: &str| !label.is_empty() && label.bytes().all(fits);
                if !name.split('.').all(label) {
                    return Err(FORM);
                }
                let name = name.to_ascii_lowercase();
                if host.starts_with("*.") { Host::Below(format!(".{name}")) } else { Host::Name(name) }
            }
        };
        Ok(Destination { text: text.to_owned(), host, port })
    }

    /// Of texts that tests write.
    #[cfg(test)]
    pub(crate) fn all(texts: &[&str]) -> std::sync::Arc<[Destination]> {
        texts.iter().map(|text| Destination::parse(text).unwrap()).collect()
    }

    /// As the catalogue writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a connection goes there: to an address, whose name the host may have been told. Names are not resolved.
    #[must_use]
    pub fn is(&self, ip: IpAddr, port: u16, name: Option<&str>) -> bool {
        let name = || name.map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        let there = match &self.host {
            Host::Any => true,
            Host::Address(address) => *address == ip.to_canonical(),
            Host::Name(host) => name().is_some_and(|name| name == *host),
            Host::Below(host) => name().is_some_and(|name| name.len() > host.len() && name.ends_with(host)),
        };
        there && self.port.is_none_or(|expected| expected == port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_there() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (pattern, address, port, name, expected) in [
            ("*.amazonaws.com:443", "192.0.2.1", 443, Some("s3.eu-west-1.AmazonAWS.com."), true),
            ("*.amazonaws.com:443", "192.0.2.1", 443, Some("amazonaws.com"), false),
            ("*.amazonaws.com:443", "192.0.2.1", 443, Some("xamazonaws.com"), false),
            ("*.amazonaws.com:443", "192.0.2.1", 443, Some("s3.amazonaws.com.evil.example"), false),
            ("*.amazonaws.com:443", "192.0.2.1", 80, Some("s3.amazonaws.com"), false),
            ("*.amazonaws.com:443", "192.0.2.1", 443, None, false),
            ("github.com:443", "192.0.2.1", 443, Some("github.com"), true),
            ("github.com:443", "192.0.2.1", 443, Some("api.github.com"), false),
            ("*:5432", "192.0.2.1", 5432, None, true),
            ("*:5432", "192.0.2.1", 5433, None, false),
            ("168.63.129.16:*", "::ffff:168.63.129.16", 7, None, true),
            ("168.63.129.16:*", "168.63.129.17", 7, None, false),
            ("[fd00::1]:80", "fd00::1", 80, None, true),
        ] {
            let found = Destination::parse(pattern).unwrap();
            assert_eq!(found.as_str(), pattern);
            assert_eq!(found.is(ip(address), port, name), expected, "{pattern} {address}:{port} {name:?}");
        }
    }

    #[test]
    fn what_is_no_destination() {
        for text in [
            "",
            ":",
            "*:*",
            "a",
            "a:",
            "a:0",
            "a:65536",
            "a:x",
            ":80",
            "a..b:80",
            ".a:80",
            "a*.b:80",
            "*.:80",
            "*.*.a:80",
            "[a]:80",
            "fd00::1:80",
            "https://a:80",
            "a b:80",
        ] {
            assert!(Destination::parse(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text(text in "[a-z0-9.*:\\[\\]]{0,20}", name in "\\PC{0,20}") {
            if let Ok(found) = Destination::parse(&text) {
                let _ = found.is(IpAddr::from([192, 0, 2, 1]), 443, Some(&name));
            }
        }
    }
}
