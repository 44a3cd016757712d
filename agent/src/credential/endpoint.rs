//! Addresses at which whoever asks is given a credential: metadata services of clouds, and their like.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::Credential;
use super::catalogue::Catalogue;
use super::kind::Kind;

/// An address and a port of it, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// As IPv4 where it is one.
    pub address: IpAddr,
    /// [`None`]: any.
    pub port: Option<u16>,
}

impl Endpoint {
    /// Reads `169.254.169.254:80`, `[fd00:ec2::254]:80`, `192.0.2.1:*`.
    pub(super) fn parse(text: &str) -> Result<Endpoint, &'static str> {
        const FORM: &str = "is neither `ADDRESS:PORT` nor `[ADDRESS]:PORT`, with numbers or `*` as port";
        let any = text.strip_suffix(":*");
        let socket = any.map(|address| format!("{address}:0").parse()).unwrap_or_else(|| text.parse());
        let socket: SocketAddr = socket.map_err(|_| FORM)?;
        if any.is_none() && socket.port() == 0 {
            return Err("has 0 as port; `*` is any");
        }
        if matches!(socket, SocketAddr::V6(v6) if v6.scope_id() != 0) {
            return Err("has an interface in it, which connections do not tell");
        }
        let address = socket.ip().to_canonical();
        if address.is_unspecified() || address.is_multicast() {
            return Err("is the address of no host");
        }
        Ok(Endpoint { address, port: any.is_none().then_some(socket.port()) })
    }
}

/// Whose they are. Where two kinds claim one, the first has it.
pub(super) fn owners(kinds: &[Kind]) -> HashMap<Endpoint, usize> {
    let mut owners = HashMap::new();
    for (index, kind) in kinds.iter().enumerate() {
        for endpoint in &kind.endpoints {
            owners.entry(*endpoint).or_insert(index);
        }
    }
    owners
}

impl Catalogue {
    /// The credential that a host hands out there, if it does. One that names the port comes before one for all ports.
    #[must_use]
    pub fn endpoint(&self, address: IpAddr, port: u16) -> Option<Arc<Credential>> {
        let address = address.to_canonical();
        let owner = |port| self.endpoints.get(&Endpoint { address, port });
        let kind = self.kinds.get(*owner(Some(port)).or_else(|| owner(None))?)?;
        let shown = SocketAddr::new(address, port).to_string();
        let credential = kind.credential(&shown);
        Some(Arc::new(Credential { identifiers: vec![("endpoint".to_owned(), shown)], ..credential }))
    }

    /// All of them, each once, always in the same order.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let mut endpoints: Vec<_> = self.endpoints.keys().copied().collect();
        endpoints.sort_unstable();
        endpoints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_an_endpoint_is() {
        let parsed = |text| Endpoint::parse(text).map(|endpoint| (endpoint.address, endpoint.port));
        assert_eq!(parsed("169.254.169.254:80"), Ok((ip("169.254.169.254"), Some(80))));
        assert_eq!(parsed("[fd00:ec2::254]:80"), Ok((ip("fd00:ec2::254"), Some(80))));
        assert_eq!(parsed("192.0.2.1:*"), Ok((ip("192.0.2.1"), None)));
        assert_eq!(parsed("[2001:db8::1]:*"), Ok((ip("2001:db8::1"), None)));
        assert_eq!(parsed("[::ffff:192.0.2.1]:1"), Ok((ip("192.0.2.1"), Some(1))));
        for bad in [
            "",
            ":",
            "*:80",
            ":*",
            "*",
            "192.0.2.1",
            "192.0.2.1:",
            "192.0.2.1:0",
            "192.0.2.1:65536",
            "192.0.2.1:80:*",
            "192.0.2.1:80 ",
            "192.0.2:80",
            "192.0.2.0/24:80",
            "2001:db8::1:*",
            "[2001:db8::1]",
            "[fe80::1%2]:80",
            "metadata.example:80",
            "0.0.0.0:80",
            "[::]:*",
            "[ff02::1]:80",
            "224.0.0.1:80",
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn metadata_services_are_known() {
        let catalogue = Catalogue::builtin();
        for (address, port, id) in [
            ("169.254.169.254", 80, "cloud-metadata:169.254.169.254:80"),
            ("::ffff:169.254.169.254", 80, "cloud-metadata:169.254.169.254:80"),
            ("fd00:ec2::254", 80, "cloud-metadata:[fd00:ec2::254]:80"),
            ("169.254.170.2", 80, "ecs-task-credentials:169.254.170.2:80"),
            ("169.254.170.23", 80, "eks-pod-identity:169.254.170.23:80"),
            ("fd00:ec2::23", 80, "eks-pod-identity:[fd00:ec2::23]:80"),
            ("168.63.129.16", 32526, "azure-wireserver:168.63.129.16:32526"),
        ] {
            let found = catalogue.endpoint(ip(address), port).unwrap();
            assert_eq!(found.id, id);
            assert_eq!(found.id, format!("{}:{}", found.kind, found.identifiers[0].1));
            assert_eq!(found.identifiers[0].0, "endpoint");
            assert!(found.path.is_empty() && found.expects.is_empty() && found.identifiers.len() == 1);
        }
        // Name and time servers live at the same addresses.
        for (address, port) in [
            ("169.254.169.254", 53),
            ("168.63.129.16", 53),
            ("169.254.169.123", 123),
            ("169.254.169.253", 53),
            ("127.0.0.1", 80),
            ("192.0.2.1", 80),
        ] {
            assert_eq!(catalogue.endpoint(ip(address), port), None, "{address}:{port}");
        }
    }

    #[test]
    fn all_endpoints() {
        let endpoints = Catalogue::builtin().endpoints();
        assert_eq!(endpoints, Catalogue::builtin().endpoints());
        assert!(endpoints.len() > 10 && endpoints.is_sorted());
        let mut claimed = 0;
        for kind in Catalogue::builtin().kinds() {
            claimed += kind.endpoints.len();
        }
        assert_eq!(claimed, endpoints.len(), "no two kinds claim the same");
    }

    proptest::proptest! {
        #[test]
        fn any_text(text in "[0-9a-f:.*\\[\\]%]{0,24}") {
            let _ = Endpoint::parse(&text);
        }
    }
}
