//! Destinations that were seen, and which of them one line may stand for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{EACH_MAX, Evidence, Once};
use crate::purpose::Towards;
use crate::purpose::pattern::literal;

/// So many addresses of one network, names of one domain, or ports of one host make one line. One address seen again and
/// again stays one address.
const MANY: usize = 16;
/// Networks that addresses are put together to.
const PREFIX_V4: u8 = 24;
const PREFIX_V6: u8 = 64;

/// One destination, as it counts for a declaration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    host: Host,
    /// `None` where the host is all of it.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Host {
    Name(String),
    Address(IpAddr),
    /// Written as it is.
    Other(String),
}

impl Place {
    /// The believed name rather than the address, which may be another tomorrow.
    pub(super) fn of(to: Towards<'_>) -> Option<Self> {
        let other = |text| Some(Place { host: Host::Other(text), port: None });
        match to {
            Towards::Nowhere => None,
            Towards::Inet { ip, port, .. } => {
                let name = to.names().next();
                let host = name.map_or(Host::Address(ip.to_canonical()), |name| Host::Name(name.to_owned()));
                Some(Place { host, port: Some(port) })
            }
            Towards::Vsock { cid, port } => other(format!("vsock:{cid}:{port}")),
            Towards::Unix(path) => {
                let path = std::str::from_utf8(path).ok().filter(|path| !path.contains('\\'));
                other(format!("unix:{}", path.and_then(literal)?))
            }
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports: Vec<(u16, u16)> = self.port.iter().map(|port| (*port, *port)).collect();
        f.write_str(&spelt(&self.host, &ports))
    }
}

fn spelt(host: &Host, ports: &[(u16, u16)]) -> String {
    let ports: Vec<String> = ports
        .iter()
        .map(|(from, to)| if from == to { from.to_string() } else { format!("{from}-{to}") })
        .collect();
    match (host, ports.as_slice()) {
        (Host::Other(text) | Host::Name(text), []) => text.clone(),
        (Host::Address(ip), []) => ip.to_string(),
        (Host::Address(IpAddr::V6(ip)), ports) => format!("[{ip}]:{}", ports.join(",")),
        (Host::Address(ip), ports) => format!("{ip}:{}", ports.join(",")),
        (Host::Other(text) | Host::Name(text), ports) => format!("{text}:{}", ports.join(",")),
    }
}

/// A line of a proposal.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) evidence: Evidence,
    /// What it allows beyond what was seen.
    pub(super) wider: Option<String>,
}

/// All that were seen of an actor.
#[derive(Clone, Debug, Default)]
pub(super) struct Destinations {
    seen: BTreeMap<Place, Evidence>,
}

/// Ports of a host, or of hosts that are put together.
#[derive(Clone, Debug, Default)]
struct Ports {
    ports: BTreeSet<u16>,
    evidence: Evidence,
}

impl Destinations {
    /// Tells whether there was room.
    pub(super) fn saw(&mut self, place: Place, once: Once<'_>) -> bool {
        if !self.seen.contains_key(&place) && self.seen.len() >= EACH_MAX {
            return false;
        }
        self.seen.entry(place).or_default().saw(once);
        true
    }

    /// Lines that allow all of them, and as little else as can be.
    pub(super) fn lines(&self) -> Vec<Line> {
        let mut hosts: BTreeMap<&Host, Ports> = BTreeMap::new();
        for (place, evidence) in &self.seen {
            let ports = hosts.entry(&place.host).or_default();
            ports.ports.extend(place.port);
            ports.evidence.add(evidence);
        }
        let mut groups: BTreeMap<String, Vec<&Host>> = BTreeMap::new();
        for host in hosts.keys() {
            if let Some(group) = group(host) {
                groups.entry(group).or_default().push(host);
            }
        }
        groups.retain(|_, hosts| hosts.len() >= MANY);
        let mut lines = Vec::new();
        for (group, members) in &groups {
            let mut all = Ports::default();
            for ports in members.iter().filter_map(|host| hosts.remove(host)) {
                all.ports.extend(ports.ports);
                all.evidence.add(&ports.evidence);
            }
            let what =
                if group.starts_with("*.") { "names of this domain" } else { "addresses of this network" };
            let wider = format!(
                "{} {what} were seen, and this allows all of them, each with each port",
                members.len()
            );
            // A network of IPv6 has brackets where ports follow.
            let (host, ports) = (Host::Other(bracketed(group)), all);
            lines.push(line(&host, ports, Some(wider)));
        }
        lines.extend(hosts.into_iter().map(|(host, ports)| line(host, ports, None)));
        lines
    }
}

fn bracketed(group: &str) -> String {
    if group.contains(':') { format!("[{group}]") } else { group.to_owned() }
}

fn line(host: &Host, ports: Ports, wider: Option<String>) -> Line {
    let many = ports.ports.len() >= MANY;
    let spans: Vec<(u16, u16)> = match (ports.ports.first(), ports.ports.last()) {
        (Some(first), Some(last)) if many => vec![(*first, *last)],
        _ => ports.ports.iter().map(|port| (*port, *port)).collect(),
    };
    let ranged =
        many.then(|| format!("{} ports were seen, and this allows all between them", ports.ports.len()));
    let wider: Vec<String> = wider.into_iter().chain(ranged).collect();
    Line {
        text: spelt(host, &spans),
        evidence: ports.evidence,
        wider: (!wider.is_empty()).then(|| wider.join("; ")),
    }
}

/// What a host may be put together with others to: a network, or the names beside it.
fn group(host: &Host) -> Option<String> {
    match host {
        Host::Address(IpAddr::V4(ip)) => {
            let net = Ipv4Addr::from(u32::from(*ip) & (u32::MAX << (32 - u32::from(PREFIX_V4))));
            Some(format!("{net}/{PREFIX_V4}"))
        }
        Host::Address(IpAddr::V6(ip)) => {
            let net = Ipv6Addr::from(u128::from(*ip) & (u128::MAX << (128 - u32::from(PREFIX_V6))));
            Some(format!("{net}/{PREFIX_V6}"))
        }
        // Of a domain with two labels at least: `*.com` is nobody's.
        Host::Name(name) => {
            let (_, domain) = name.split_once('.')?;
            domain.contains('.').then(|| format!("*.{domain}"))
        }
        Host::Other(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn lines(seen: &[(&str, u16, Option<&str>)]) -> Vec<(String, Option<String>)> {
        let mut all = Destinations::default();
        for (ip, port, name) in seen {
            let heard: Vec<Arc<str>> = name.iter().map(|name| Arc::from(*name)).collect();
            let to = Towards::Inet { ip: ip.parse().unwrap(), port: *port, heard: &heard, said: None };
            all.saw(Place::of(to).unwrap(), Once { wall_ns: 1, times: 1, chain: &Arc::from("C") });
        }
        all.lines().into_iter().map(|line| (line.text, line.wider)).collect()
    }

    #[test]
    fn one_address_again_and_again_is_one_address() {
        let seen = vec![("10.0.0.9", 443, None); 200];
        assert_eq!(lines(&seen), [("10.0.0.9:443".to_owned(), None)]);
    }

    #[test]
    fn many_addresses_of_a_network_are_that_network_and_fewer_are_not() {
        let ips: Vec<String> = (0..16).map(|n| format!("10.0.0.{n}")).collect();
        let seen: Vec<_> = ips.iter().map(|ip| (ip.as_str(), 443, None)).collect();
        let few = lines(&seen[1..]);
        assert_eq!(few.len(), 15);
        assert!(few.iter().all(|(_, wider)| wider.is_none()));
        let all = lines(&seen);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].0, "10.0.0.0/24:443");
        assert!(all[0].1.as_ref().unwrap().starts_with("16 addresses of this network"));
        let ips: Vec<String> = (0..16).map(|n| format!("fd00::{n}")).collect();
        let seen: Vec<_> = ips.iter().map(|ip| (ip.as_str(), 443, None)).collect();
        assert_eq!(lines(&seen)[0].0, "[fd00::/64]:443");
    }

    #[test]
    fn names_come_before_addresses_and_domains_are_said() {
        let seen = [("10.0.0.1", 443, Some("a.example.com")), ("10.0.0.2", 443, Some("a.example.com"))];
        assert_eq!(lines(&seen), [("a.example.com:443".to_owned(), None)]);
        let names: Vec<String> = (0..16).map(|n| format!("b{n}.example.com")).collect();
        let seen: Vec<_> = names.iter().map(|name| ("10.0.0.1", 443, Some(name.as_str()))).collect();
        let all = lines(&seen);
        assert_eq!((all.len(), all[0].0.as_str()), (1, "*.example.com:443"));
        let names: Vec<String> = (0..16).map(|n| format!("b{n}.com")).collect();
        let seen: Vec<_> = names.iter().map(|name| ("10.0.0.1", 443, Some(name.as_str()))).collect();
        assert_eq!(lines(&seen).len(), 16, "nobody owns a domain of one label");
    }

    #[test]
    fn ports_are_listed_until_there_are_many() {
        let seen = [("10.0.0.1", 80, None), ("10.0.0.1", 443, None)];
        assert_eq!(lines(&seen)[0].0, "10.0.0.1:80,443");
        let seen: Vec<_> = (0..16).map(|n| ("10.0.0.1", 2000 + 2 * n, None)).collect();
        let all = lines(&seen);
        assert_eq!(all[0].0, "10.0.0.1:2000-2030");
        assert!(all[0].1.as_ref().unwrap().contains("16 ports"));
    }
}
