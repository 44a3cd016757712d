//! Which credentials a process may have, how it came by them, and what follows for an action of it.

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use super::serving::Unit;
use super::weigh::{Evidence, Fit, weigh};
use super::{Attempt, Basis, ChainId, Link, LinkFact, Relation};
use crate::action::ActionId;
use crate::credential::Credential;
use crate::event::SampleId;
use crate::lineage::Held;
use crate::purpose::Judged;

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
    /// The thread that came by it, where it was one of this process.
    pub(super) tid: Option<u32>,
    /// The connection it served when it came by it.
    pub(super) unit: Option<SampleId>,
    /// Another process has it, that was started together with this one.
    pub(super) beside: bool,
    /// The run (by its number) and chain in which it was opened; `None` where it was held before the agent.
    pub(super) place: Option<(u64, ChainId)>,
    /// Connections the run had asked for by then.
    pub(super) connections: u64,
}

impl Use {
    /// Whether it is one of that credential: of the same version, as a rule, which one look tells.
    fn is_of(&self, credential: &Arc<Credential>) -> bool {
        Arc::ptr_eq(&self.credential, credential) || self.credential.id == credential.id
    }
}

/// All credentials a process may have, in the order in which it came by them.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds {
    uses: Vec<Use>,
    /// Some had to be forgotten.
    pub(super) overflowed: bool,
}

/// So many are not on the heap: most processes hold no more.
pub(super) type Few<T> = SmallVec<[T; 8]>;

/// What an action is linked with.
#[derive(Clone, Debug, Default)]
pub(super) struct Linked {
    pub(super) attempt: Option<Attempt>,
    pub(super) request: Option<ActionId>,
    pub(super) link: Option<Link>,
    pub(super) credentials: Vec<Arc<Credential>>,
    /// It brought one of them.
    pub(super) handed_out: bool,
    /// What purposes say of it.
    pub(super) judged: Option<Judged>,
}

/// Where the acting process acts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here {
    pub(super) time_ns: u64,
    pub(super) run: u64,
    pub(super) chain: ChainId,
    /// Connections the run had asked for before this action.
    pub(super) connections: u64,
    /// The thread that acts.
    pub(super) tid: u32,
    /// The connection it serves.
    pub(super) unit: Option<Unit>,
}

impl Holds {
    const USES_MAX: usize = 32;
    const CREDENTIALS_MAX: usize = 16;

    /// Nothing.
    pub(super) const NONE: Self = Self { uses: Vec::new(), overflowed: false };

    pub(super) fn is_empty(&self) -> bool {
        self.uses.is_empty()
    }

    /// How they are held: as its own, if any of them is.
    pub(super) fn held(&self) -> Option<Held> {
        self.uses.iter().map(|held| if held.hops == 0 { Held::Own } else { Held::Inherited }).max()
    }

    pub(super) fn has(&self, credential: &Credential) -> bool {
        self.uses.iter().any(|held| held.credential.id == credential.id)
    }

    /// What processes have that were started together with one that has nothing itself.
    pub(super) fn beside(uses: Vec<Use>) -> Self {
        Self { uses, overflowed: false }
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
            held.tid = None;
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

    /// The link of a connection as things were `then`, with what has become known of where it goes.
    pub(super) fn link_then(&self, then: Here, to: &Towards) -> Linked {
        self.link_of(then, Some(to), |held| held.time_ns <= then.time_ns)
    }

    /// The link of reading a credential: with how the process came by that one.
    pub(super) fn link_to(&self, here: Here, credential: &Credential) -> Linked {
        self.link_of(here, None, |held| held.credential.id == credential.id)
    }

    fn link_of(&self, here: Here, to: Option<&Towards>, wanted: impl Fn(&Use) -> bool) -> Linked {
        // Sorting is stable: of two at one time, the later known comes first.
        let mut uses: Few<&Use> = self.uses.iter().rev().filter(|held| wanted(held)).collect();
        uses.sort_by_key(|held| std::cmp::Reverse(held.time_ns));
        // Each credential by its newest use.
        let mut newest = Few::<&Use>::new();
        for held in &uses {
            if !newest.iter().any(|known| known.is_of(&held.credential)) {
                newest.push(held);
            }
        }
        let only = newest.len() == 1 && !self.overflowed;
        let evidence: Few<Evidence> = newest.iter().map(|held| evidence(held, here, to, only)).collect();
        let mut weighed = weigh(&evidence);
        weighed.truncate(Self::CREDENTIALS_MAX);
        let first = weighed
            .first()
            .and_then(|(place, worth)| Some((*newest.get(*place)?, evidence.get(*place)?, *worth)));
        let Some((best, known, confidence)) = first else {
            return Linked::default();
        };
        let each = || weighed.iter().filter_map(|(place, worth)| Some((*newest.get(*place)?, *worth)));
        let of = each().flat_map(|(one, _)| {
            uses.iter().filter(|held| held.is_of(&one.credential)).filter_map(|held| held.action)
        });
        let link = Link {
            relation: Relation::ObservedAfter,
            of: of.take(Link::OF_MAX).collect(),
            basis: basis(best, here),
            delay_ns: here.time_ns.saturating_sub(best.time_ns),
            hops: best.hops,
            facts: facts(known),
            confidence,
            each: each().map(|(held, worth)| (held.credential.id.clone(), worth)).collect(),
        };
        let credentials = each().map(|(held, _)| Arc::clone(&held.credential)).collect();
        Linked { link: Some(link), credentials, ..Linked::default() }
    }
}

fn evidence(held: &Use, here: Here, to: Option<&Towards>, only: bool) -> Evidence {
    let same_run = held.place.is_some_and(|(run, _)| run == here.run);
    Evidence {
        fit: to.map_or(Fit::Open, |to| fit(&held.credential, to)),
        hops: held.hops,
        age_ns: here.time_ns.saturating_sub(held.time_ns),
        only,
        first: to.is_some() && same_run && held.connections == here.connections,
        same_thread: held.tid == Some(here.tid),
        same_request: held.unit.zip(here.unit).map(|(then, now)| then == now.connection),
        beside: held.beside,
    }
}

fn facts(known: &Evidence) -> Vec<LinkFact> {
    let facts = [
        (known.fit == Fit::Named, LinkFact::DestinationNamed),
        (known.fit == Fit::Expected, LinkFact::DestinationExpected),
        (known.fit == Fit::Differs, LinkFact::DestinationDiffers),
        (known.first, LinkFact::FirstConnection),
        (known.only, LinkFact::OnlyCredential),
        (known.same_thread, LinkFact::SameThread),
        (known.same_request == Some(true), LinkFact::SameRequest),
        (known.same_request == Some(false), LinkFact::OtherRequest),
    ];
    facts.into_iter().filter_map(|(holds, fact)| holds.then_some(fact)).collect()
}

fn basis(held: &Use, here: Here) -> Basis {
    match held.place {
        Some(_) if held.beside => Basis::Beside,
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
/// are not resolved here, and an address may have more names than the host has heard: that another is known says nothing.
pub(super) fn fit(credential: &Credential, to: &Towards) -> Fit {
    let ip = to.ip.to_canonical();
    let fits = credential.expects.iter().map(|(host, expected)| {
        if expected.is_some_and(|expected| expected != to.port) {
            return Fit::Differs;
        }
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let same = |name: &String| name.eq_ignore_ascii_case(host.trim_end_matches('.'));
        if to.name.as_ref().is_some_and(same) {
            return Fit::Named;
        }
        let address = host.parse::<IpAddr>().map(|named| named.to_canonical() == ip);
        match address {
            Ok(true) => Fit::Named,
            Err(_) if !host.eq_ignore_ascii_case("localhost") => Fit::Open,
            Err(_) if ip.is_loopback() => Fit::Named,
            Ok(false) | Err(_) => Fit::Differs,
        }
    });
    let fits: Few<Fit> = fits.collect();
    if fits.contains(&Fit::Named) {
        Fit::Named
    } else if fits.is_empty() || fits.contains(&Fit::Open) {
        if expects(credential, to) { Fit::Expected } else { Fit::Open }
    } else {
        Fit::Differs
    }
}

/// Whether credentials of that kind are expected to be used there, whatever this one says.
fn expects(credential: &Credential, to: &Towards) -> bool {
    credential.destinations.iter().any(|expected| expected.is(to.ip, to.port, to.name.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::{Fit, Towards, fit};
    use crate::credential::{Credential, Destination};

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
            ..Credential::default()
        };
        for (ip, port, expected) in [
            ("10.0.0.9", 5432, Fit::Named),
            ("::ffff:10.0.0.9", 5432, Fit::Named),
            // It may be db.example.com, by any port.
            ("10.0.0.9", 5433, Fit::Open),
            ("10.0.0.8", 5432, Fit::Open),
            ("127.0.0.1", 1, Fit::Named),
            ("::1", 1, Fit::Named),
            ("fd00::1", 443, Fit::Named),
        ] {
            let to = Towards { ip: ip.parse().unwrap(), port, name: None };
            assert_eq!(fit(&credential, &to), expected, "{ip} {port}");
        }
        let named =
            |name: &str| Towards { ip: "10.9.9.9".parse().unwrap(), port: 443, name: Some(name.to_owned()) };
        assert_eq!(fit(&credential, &named("DB.example.com")), Fit::Named);
        assert_eq!(fit(&credential, &named("xdb.example.com")), Fit::Open);
    }

    #[test]
    fn destinations_that_are_others() {
        let to = |ip: &str, port| Towards { ip: ip.parse().unwrap(), port, name: None };
        for (host, port, ip, to_port, expected) in [
            ("10.0.0.9", Some(5432), "10.0.0.8", 5432, Fit::Differs),
            ("10.0.0.9", None, "10.0.0.8", 5432, Fit::Differs),
            ("db.example.com", Some(5432), "10.0.0.8", 443, Fit::Differs),
            ("db.example.com", Some(5432), "10.0.0.8", 5432, Fit::Open),
            ("localhost", None, "10.0.0.8", 5432, Fit::Differs),
        ] {
            let expects = vec![(host.to_owned(), port)];
            let credential = Credential { expects, ..Credential::default() };
            assert_eq!(fit(&credential, &to(ip, to_port)), expected, "{host} {port:?} {ip} {to_port}");
        }
        assert_eq!(fit(&Credential::default(), &to("10.0.0.8", 1)), Fit::Open);
    }

    #[test]
    fn destinations_expected() {
        let credential = Credential {
            destinations: Destination::all(&["*.example.com:443", "*:5432"]),
            ..Credential::default()
        };
        let to = |port, name: Option<&str>| Towards {
            ip: "10.9.9.9".parse().unwrap(),
            port,
            name: name.map(str::to_owned),
        };
        assert_eq!(fit(&credential, &to(443, Some("db.example.com"))), Fit::Expected);
        assert_eq!(fit(&credential, &to(5432, None)), Fit::Expected);
        assert_eq!(fit(&credential, &to(443, None)), Fit::Open, "a kind may be used elsewhere");
        let expects = vec![("10.0.0.9".to_owned(), None)];
        let named = Credential { expects, ..credential.clone() };
        assert_eq!(fit(&named, &to(5432, None)), Fit::Differs, "what it names itself counts for more");
    }
}
