//! Where a purpose lets its actor go.

use std::net::IpAddr;

use super::ANY;
use super::path::PathPattern;
use crate::credential::redact::printable;
use crate::names::NAME_MAX;
use crate::purpose::{Fault, Towards};

/// A destination.
#[derive(Clone, Debug)]
pub(in crate::purpose) struct DestinationPattern {
    host: Host,
    /// Empty: every port.
    ports: Vec<(u16, u16)>,
    text: String,
}

#[derive(Clone, Debug)]
enum Host {
    Any,
    Net(IpAddr, u8),
    /// Labels from the last to the first.
    Name(Vec<Label>),
    Unix(PathPattern),
    Vsock(u32, Option<u32>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Label {
    /// Exactly this.
    Is(String),
    /// `*`: exactly one label.
    One,
    /// `**`: one or more; the first of a name only.
    Some,
}

/// Most ports and ranges of one destination.
const PORTS_MAX: usize = 64;

impl DestinationPattern {
    pub(in crate::purpose) fn parse(text: &str) -> Result<Self, Fault> {
        let whole = |host| Ok(DestinationPattern { host, ports: Vec::new(), text: text.to_owned() });
        if let Some(path) = text.strip_prefix("unix:") {
            return PathPattern::parse(path).map(Host::Unix).and_then(whole);
        }
        if let Some(rest) = text.strip_prefix("vsock:") {
            return vsock(rest).ok_or_else(|| "is no `vsock:CID` or `vsock:CID:PORT`".into()).and_then(whole);
        }
        if let Some(net) = net(text) {
            return net.and_then(whole);
        }
        let (host, ports) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or("has a `[` without a `]`")?;
                let ports = after.strip_prefix(':').filter(|ports| !ports.is_empty());
                if ports.is_none() && !after.is_empty() {
                    return Err("has something other than a port behind the `]`".into());
                }
                let host = net(host).ok_or("has no address between `[` and `]`")??;
                (host, ports)
            }
            None => {
                let (host, ports) =
                    text.split_once(':').map_or((text, None), |(host, ports)| (host, Some(ports)));
                (named(host)?, ports)
            }
        };
        let ports = ports.map(self::ports).transpose()?.unwrap_or_default();
        Ok(DestinationPattern { host, ports, text: text.to_owned() })
    }

    pub(in crate::purpose) fn text(&self) -> &str {
        &self.text
    }

    pub(in crate::purpose) fn matches(&self, to: Towards<'_>) -> bool {
        match (&self.host, to) {
            (Host::Any, Towards::Inet { port, .. }) => self.port(port),
            (Host::Any, Towards::Vsock { .. } | Towards::Unix(_)) => self.ports.is_empty(),
            (Host::Net(net, prefix), Towards::Inet { ip, port, .. }) => {
                self.port(port) && within(*net, *prefix, ip.to_canonical())
            }
            (Host::Name(labels), Towards::Inet { port, .. }) => {
                self.port(port) && to.names().any(|name| fits(labels, name))
            }
            (Host::Unix(pattern), Towards::Unix(path)) => pattern.matches(path),
            (Host::Vsock(cid, port), Towards::Vsock { cid: to, port: at }) => {
                *cid == to && port.is_none_or(|port| port == at)
            }
            (Host::Any | Host::Net(..) | Host::Name(_) | Host::Unix(_) | Host::Vsock(..), _) => false,
        }
    }

    fn port(&self, port: u16) -> bool {
        self.ports.is_empty() || self.ports.iter().any(|(from, to)| (*from..=*to).contains(&port))
    }
}

fn vsock(text: &str) -> Option<Host> {
    let (cid, port) = match text.split_once(':') {
        Some((cid, port)) => (cid, Some(port.parse().ok()?)),
        None => (text, None),
    };
    Some(Host::Vsock(cid.parse().ok()?, port))
}

/// An address, or a network of them. `None` where it is neither, by its looks.
fn net(text: &str) -> Option<Result<Host, Fault>> {
    let (ip, prefix) = text.split_once('/').map_or((text, None), |(ip, prefix)| (ip, Some(prefix)));
    let ip: IpAddr = ip.parse().ok()?;
    // A port follows: it is for whoever reads ports.
    if prefix.is_some_and(|prefix| prefix.contains(':')) {
        return None;
    }
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => most,
        Some(prefix) => match prefix.parse::<u8>() {
            Ok(prefix) if prefix <= most && !text.ends_with("/0") => prefix,
            Ok(0) => return Some(Err("is every address: write `any`".into())),
            _ => return Some(Err(Fault(format!("has no prefix from 1 to {most}")))),
        },
    };
    let first = masked(ip, prefix);
    if first != ip {
        return Some(Err(Fault(format!(
            "has bits set behind its prefix: that network is `{first}/{prefix}`"
        ))));
    }
    // `::ffff:10.0.0.1` and `10.0.0.1` are one address.
    Some(Ok(match ip.to_canonical() {
        v4 @ IpAddr::V4(_) if !ip.is_ipv4() && prefix >= 96 => Host::Net(v4, prefix - 96),
        IpAddr::V4(_) | IpAddr::V6(_) => Host::Net(ip, prefix),
    }))
}

fn masked(ip: IpAddr, prefix: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((u32::from(ip) & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((u128::from(ip) & mask).into())
        }
    }
}

fn within(net: IpAddr, prefix: u8, ip: IpAddr) -> bool {
    net.is_ipv4() == ip.is_ipv4() && masked(ip, prefix) == net
}

/// What stands before the port: `any`, an address or network of IPv4, or a name.
fn named(text: &str) -> Result<Host, Fault> {
    if text == ANY {
        return Ok(Host::Any);
    }
    if let Some(net) = net(text) {
        return net;
    }
    if text.is_empty() || text.len() > NAME_MAX {
        return Err("has no name of a host, or one that is too long".into());
    }
    let mut labels = Vec::new();
    for (at, label) in text.split('.').enumerate() {
        let plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        labels.push(match label {
            "*" => Label::One,
            "**" if at == 0 => Label::Some,
            "**" => return Err("has `**` behind its first label".into()),
            "" => return Err("has an empty label".into()),
            _ if label.contains('*') => return Err("has `*` beside other letters of a label".into()),
            _ if label.bytes().all(plain) => Label::Is(label.to_owned()),
            _ => return Err("is neither an address nor a name in small letters".into()),
        });
    }
    labels.reverse();
    match labels.first() {
        Some(Label::Is(last)) if last.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err("is no address".into())
        }
        Some(Label::Is(_)) => Ok(Host::Name(labels)),
        _ => Err("is too wide: the last label must be plain (`any` is every destination)".into()),
    }
}

fn fits(labels: &[Label], name: &str) -> bool {
    let mut rest = name.rsplit('.');
    for label in labels {
        match (label, rest.next()) {
            (Label::Some, Some(_)) => return true,
            (Label::One, Some(_)) => {}
            (Label::Is(label), Some(there)) if label == there => {}
            _ => return false,
        }
    }
    rest.next().is_none()
}

fn ports(text: &str) -> Result<Vec<(u16, u16)>, Fault> {
    let mut ports = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let port =
            |text: &str| text.parse::<u16>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        match (port(from), port(to)) {
            (Some(from), Some(to)) if from <= to => ports.push((from, to)),
            _ => {
                return Err(Fault(format!("has `{part}` where a port (443) or a range (8000-8099) belongs")));
            }
        }
    }
    if ports.len() > PORTS_MAX { Err("has too many ports: at most 64".into()) } else { Ok(ports) }
}

/// A destination as reasons tell it.
pub(in crate::purpose) fn show_destination(to: Towards<'_>) -> String {
    match to {
        Towards::Nowhere => "nowhere".to_owned(),
        Towards::Inet { ip, port, heard, said } => {
            let ip = ip.to_canonical();
            let at = if ip.is_ipv6() { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
            match said.or(heard.first().map(|name| &**name)) {
                Some(name) => format!("{at} {}", printable(name.as_bytes())),
                None => at,
            }
        }
        Towards::Vsock { cid, port } => format!("vsock:{cid}:{port}"),
        Towards::Unix(path) => format!("unix:{}", crate::purpose::judge::shown(path)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Whether a pattern lets through `ip:port` under names that were heard and one that was said.
    fn lets(pattern: &str, ip: &str, port: u16, heard: &[&str], said: Option<&str>) -> bool {
        let heard: Vec<Arc<str>> = heard.iter().map(|name| Arc::from(*name)).collect();
        let to = Towards::Inet { ip: ip.parse().unwrap(), port, heard: &heard, said };
        DestinationPattern::parse(pattern).unwrap().matches(to)
    }

    #[test]
    fn addresses_and_ports() {
        for (pattern, ip, port, is) in [
            ("10.0.0.9", "10.0.0.9", 1, true),
            ("10.0.0.9", "::ffff:10.0.0.9", 1, true),
            ("::ffff:10.0.0.9", "10.0.0.9", 1, true),
            ("::ffff:10.0.0.0/120", "10.0.0.9", 1, true),
            ("10.0.0.9:443", "10.0.0.9", 443, true),
            ("10.0.0.9:443", "10.0.0.9", 444, false),
            ("10.0.0.8/30:443,8000-8099", "10.0.0.11", 8099, true),
            ("10.0.0.8/30:443,8000-8099", "10.0.0.12", 8099, false),
            ("10.0.0.8/30:443,8000-8099", "10.0.0.11", 8100, false),
            ("fd00::/8", "fd12::1", 9, true),
            ("fd00::/8", "fe80::1", 9, false),
            ("[fd00::/8]:443", "fd12::1", 443, true),
            ("[fd00::/8]:443", "fd12::1", 80, false),
            ("[::1]:443", "::1", 443, true),
            ("10.0.0.0/8", "fd00::1", 1, false),
            ("any", "203.0.113.1", 1, true),
            ("any:443", "203.0.113.1", 443, true),
            ("any:443", "203.0.113.1", 80, false),
        ] {
            assert_eq!(lets(pattern, ip, port, &[], None), is, "{pattern} {ip}:{port}");
        }
    }

    #[test]
    fn names_and_who_says_them() {
        let heard = &["db.example.com"][..];
        let at = |pattern: &str, heard: &[&str], said| lets(pattern, "10.0.0.9", 5432, heard, said);
        assert!(at("db.example.com", heard, None) && at("db.example.com:5432", heard, None));
        assert!(!at("db.example.com:5433", heard, None) && !at("example.com", heard, None));
        assert!(at("*.example.com", heard, None));
        assert!(!at("*.example.com", &["example.com"], None), "a label is not none");
        assert!(!at("*.example.com", &["a.b.example.com"], None), "and not two");
        assert!(
            at("**.example.com", &["a.b.example.com"], None) && !at("**.example.com", &["example.com"], None)
        );
        assert!(
            at("a.*.example.com", &["a.b.example.com"], None)
                && !at("a.*.example.com", &["x.b.example.com"], None)
        );
        assert!(!at("*.example.com", &["db.example.com.evil.example"], None));
        // Of several names of an address, one is enough, until the client says which it means.
        let shared = &["db.example.com", "evil.example"][..];
        assert!(at("db.example.com", shared, None) && at("db.example.com", shared, Some("db.example.com")));
        assert!(!at("db.example.com", shared, Some("evil.example")));
        assert!(!at("db.example.com", &[], Some("db.example.com")), "the client's word alone is nothing");
        assert!(!at("db.example.com", &["evil.example"], Some("db.example.com")));
        assert!(at("10.0.0.9", &[], Some("evil.example")), "the address is what the kernel saw");
    }

    #[test]
    fn other_families() {
        let lets = |pattern: &str, to| DestinationPattern::parse(pattern).unwrap().matches(to);
        assert!(lets("unix:/run/docker.sock", Towards::Unix(b"/run/docker.sock")));
        assert!(
            lets("unix:/run/*/x", Towards::Unix(b"/run/a/x"))
                && !lets("unix:/run/*", Towards::Unix(b"/run/a/x"))
        );
        assert!(
            lets("vsock:2", Towards::Vsock { cid: 2, port: 7 })
                && !lets("vsock:2:8", Towards::Vsock { cid: 2, port: 7 })
        );
        assert!(lets("any", Towards::Unix(b"/x")) && !lets("any:443", Towards::Unix(b"/x")));
        assert!(
            !lets("10.0.0.1", Towards::Unix(b"/x")) && !lets("unix:/x", Towards::Vsock { cid: 2, port: 7 })
        );
    }

    #[test]
    fn mistakes() {
        let why = |text: &str| DestinationPattern::parse(text).unwrap_err().to_string();
        assert!(why("10.1.2.3/16").contains("10.1.0.0/16"));
        assert!(why("0.0.0.0/0").contains("any") && why("::/0").contains("any"));
        assert!(why("10.0.0.1:443,x").contains("`x`"));
        for bad in [
            "",
            ":443",
            "*",
            "**",
            "*.",
            "**.*",
            "a.**",
            "db*.example.com",
            "Db.example.com",
            "10.0.0.1/33",
            "10.0.0.1/",
            "10.0.0.1/a",
            "10.0.0",
            "1.2.3.4.5",
            "[::1",
            "[::1]443",
            "[db.example.com]:1",
            "a:",
            "a:0-",
            "a:2-1",
            "a:65536",
            "a:+1",
            "unix:x",
            "unix:",
            "vsock:x",
            "vsock:1:x",
            "a..b",
            "a b",
            "10.0.0.300",
            "http://x",
        ] {
            assert!(DestinationPattern::parse(bad).is_err(), "{bad}");
        }
    }
}
