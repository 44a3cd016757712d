//! Which credentials a process may have, how it came by them, and what follows for an action of it.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Basis, ChainId, Link, LinkFact};
use crate::action::ActionId;
use crate::credential::Credential;

/// A credential as a process has it.
#[derive(Clone, Debug)]
pub(super) struct Use {
    /// The opening; `None` where that left no record: before the agent, or beyond the bound of its chain.
    pub(super) action: Option<ActionId>,
    pub(super) credential: Arc<Credential>,
    /// When it was opened, or first known to be held.
    pub(super) time_ns: u64,
    /// Forks since.
    pub(super) hops: u32,
    /// It was handed over, or taken from another process.
    pub(super) received: bool,
    /// The run (by its number) and chain in which it was opened; `None` where it was held before the agent.
    pub(super) place: Option<(u64, ChainId)>,
    /// Connections the run had asked for by then.
    pub(super) connections: u64,
}

/// All credentials a process may have, in the order in which it came by them.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds {
    uses: Vec<Use>,
    /// Some had to be forgotten.
    pub(super) overflowed: bool,
}

/// What an action is linked with.
#[derive(Clone, Debug, Default)]
pub(super) struct Linked {
    pub(super) link: Option<Link>,
    pub(super) credentials: Vec<Arc<Credential>>,
}

/// Where the acting process acts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here {
    pub(super) time_ns: u64,
    pub(super) run: u64,
    pub(super) chain: ChainId,
    /// Connections the run had asked for before this action.
    pub(super) connections: u64,
}

impl Holds {
    const USES_MAX: usize = 32;
    const CREDENTIALS_MAX: usize = 16;

    pub(super) fn is_empty(&self) -> bool {
        self.uses.is_empty()
    }

    pub(super) fn has(&self, credential: &Credential) -> bool {
        self.uses.iter().any(|held| held.credential.id == credential.id)
    }

    /// Adds one. When there are too many, the oldest goes whose credential is held by another opening as well.
    pub(super) fn add(&mut self, new: Use) {
        if self.uses.len() >= Self::USES_MAX {
            let repeated = |held: &Use| {
                let others = self.uses.iter().chain([&new]);
                others.filter(|other| other.credential.id == held.credential.id).count() > 1
            };
            let victim = self.uses.iter().position(repeated);
            self.overflowed |= victim.is_none();
            self.uses.remove(victim.unwrap_or(0));
        }
        self.uses.push(new);
    }

    /// What a child has that is made now.
    pub(super) fn inherited(&self) -> Self {
        let mut inherited = self.clone();
        for held in &mut inherited.uses {
            held.hops = held.hops.saturating_add(1);
        }
        inherited
    }

    /// All credentials, each once, in the order in which it came by them.
    pub(super) fn credentials(&self) -> Vec<Arc<Credential>> {
        let mut found: Vec<Arc<Credential>> = Vec::new();
        for held in &self.uses {
            if found.len() < Self::CREDENTIALS_MAX
                && !found.iter().any(|known| known.id == held.credential.id)
            {
                found.push(Arc::clone(&held.credential));
            }
        }
        found
    }

    /// The link of an action; `to` is where a connection goes.
    pub(super) fn link(&self, here: Here, to: Option<&Towards>) -> Linked {
        self.link_of(here, to, |_| true)
    }

    /// The link of reading a credential: with how the process came by that one.
    pub(super) fn link_to(&self, here: Here, credential: &Credential) -> Linked {
        self.link_of(here, None, |held| held.credential.id == credential.id)
    }

    fn link_of(&self, here: Here, to: Option<&Towards>, wanted: impl Fn(&Use) -> bool) -> Linked {
        // Sorting is stable: of two at one time, the later known comes first.
        let mut newest_first: Vec<&Use> = self.uses.iter().rev().filter(|held| wanted(held)).collect();
        newest_first.sort_by_key(|held| std::cmp::Reverse(held.time_ns));
        let Some(newest) = newest_first.first() else {
            return Linked::default();
        };
        let mut credentials: Vec<Arc<Credential>> = Vec::new();
        for held in &newest_first {
            let known = credentials.iter().any(|known| known.id == held.credential.id);
            if !known && credentials.len() < Self::CREDENTIALS_MAX {
                credentials.push(Arc::clone(&held.credential));
            }
        }
        let mut facts = Vec::new();
        if let Some(to) = to {
            if credentials.iter().any(|credential| names(credential, to)) {
                facts.push(LinkFact::DestinationNamed);
            }
            let same_run = newest.place.is_some_and(|(run, _)| run == here.run);
            if same_run && newest.connections == here.connections {
                facts.push(LinkFact::FirstConnection);
            }
        }
        if credentials.len() == 1 && !self.overflowed {
            facts.push(LinkFact::OnlyCredential);
        }
        let link = Link {
            of: newest_first.iter().filter_map(|held| held.action).take(Link::OF_MAX).collect(),
            basis: basis(newest, here),
            delay_ns: here.time_ns.saturating_sub(newest.time_ns),
            hops: newest.hops,
            facts,
        };
        Linked { link: Some(link), credentials }
    }
}

fn basis(held: &Use, here: Here) -> Basis {
    match held.place {
        None => Basis::Held,
        // An earlier episode of this very run.
        Some((run, chain)) if run == here.run && chain != here.chain => Basis::Held,
        Some(_) if held.hops > 0 => Basis::Inherited,
        Some(_) if held.received => Basis::Received,
        Some(_) => Basis::SameProcess,
    }
}

/// Where a connection goes.
#[derive(Clone, Debug)]
pub(super) struct Towards {
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    /// Its name, where the host was told one.
    pub(super) name: Option<String>,
}

/// Whether a credential names a destination: by its address, or by the name under which the host came to know it. Names
/// are not resolved here.
fn names(credential: &Credential, to: &Towards) -> bool {
    let ip = to.ip.to_canonical();
    credential.expects.iter().any(|(host, expected)| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let named =
            to.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(host.trim_end_matches('.')));
        let here = named
            || host.parse::<IpAddr>().map_or_else(
                |_| host.eq_ignore_ascii_case("localhost") && ip.is_loopback(),
                |named| named.to_canonical() == ip,
            );
        here && expected.is_none_or(|expected| expected == to.port)
    })
}

#[cfg(test)]
mod tests {
    use super::{Towards, names};
    use crate::credential::Credential;

    #[test]
    fn destinations_named() {
        let credential = Credential {
            id: "pgpass:x".to_owned(),
            kind: "pgpass".to_owned(),
            path: Vec::new(),
            identifiers: Vec::new(),
            expects: vec![
                ("10.0.0.9".to_owned(), Some(5432)),
                ("localhost".to_owned(), None),
                ("[fd00::1]".to_owned(), Some(443)),
                ("db.example.com".to_owned(), None),
            ],
        };
        for (ip, port, expected) in [
            ("10.0.0.9", 5432, true),
            ("::ffff:10.0.0.9", 5432, true),
            ("10.0.0.9", 5433, false),
            ("10.0.0.8", 5432, false),
            ("127.0.0.1", 1, true),
            ("::1", 1, true),
            ("fd00::1", 443, true),
        ] {
            let to = Towards { ip: ip.parse().unwrap(), port, name: None };
            assert_eq!(names(&credential, &to), expected, "{ip} {port}");
        }
        let named =
            |name: &str| Towards { ip: "10.9.9.9".parse().unwrap(), port: 443, name: Some(name.to_owned()) };
        assert!(names(&credential, &named("DB.example.com")));
        assert!(!names(&credential, &named("xdb.example.com")));
    }
}
