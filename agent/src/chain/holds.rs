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

    /// The link of an action; `to` is where a connection goes.
    pub(super) fn link(&self, here: Here, to: Option<(IpAddr, u16)>) -> Linked {
        // Sorting is stable: of two at one time, the later known comes first.
        let mut newest_first: Vec<&Use> = self.uses.iter().rev().collect();
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
        if let Some((ip, port)) = to {
            if credentials.iter().any(|credential| names(credential, ip, port)) {
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
        Some(_) => Basis::SameProcess,
    }
}

/// Whether a credential names a destination. Host names are not resolved: only literal addresses and the host itself.
fn names(credential: &Credential, ip: IpAddr, port: u16) -> bool {
    let ip = ip.to_canonical();
    credential.expects.iter().any(|(host, expected)| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let here = host.parse::<IpAddr>().map_or_else(
            |_| host.eq_ignore_ascii_case("localhost") && ip.is_loopback(),
            |named| named.to_canonical() == ip,
        );
        here && expected.is_none_or(|expected| expected == port)
    })
}

#[cfg(test)]
mod tests {
    use super::names;
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
            assert_eq!(names(&credential, ip.parse().unwrap(), port), expected, "{ip} {port}");
        }
    }
}
