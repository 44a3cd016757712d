//! Clients that ask for their credential when the server wants it: `ssh`, `git` by its store. They have connected by then.
//!
//! That a process is connected says little of what it opens: most of what a service opens has nothing to do with it. So
//! there is a link only where the credential names that destination, or is of a kind that is expected there.

use crate::action::ActionId;
use crate::credential::Credential;
use crate::event::Endpoint;

use super::holds::{Here, Towards, fit};
use super::weigh::Fit;
use super::{Basis, Link, LinkFact, Relation};

/// Connections a process asked for lately, or whoever made it, the latest last.
#[derive(Clone, Debug, Default)]
pub(super) struct Reaching(Vec<Asked>);

#[derive(Clone, Debug)]
struct Asked {
    action: ActionId,
    to: Endpoint,
    towards: Towards,
    time_ns: u64,
    hops: u32,
}

impl Reaching {
    const MOST: usize = 4;
    /// A server asks within seconds, and a person types a passphrase in less.
    const WITHIN_NS: u64 = 60_000_000_000;
    const NAMED: u8 = 85;
    const EXPECTED: u8 = 55;

    pub(super) fn asked(&mut self, action: ActionId, (to, towards): (Endpoint, Towards), time_ns: u64) {
        if self.0.len() >= Self::MOST {
            self.0.remove(0);
        }
        self.0.push(Asked { action, to, towards, time_ns, hops: 0 });
    }

    /// It came to nothing.
    pub(super) fn failed(&mut self, action: ActionId) {
        self.0.retain(|asked| asked.action != action);
    }

    /// What a child has that is made now: a helper opens what its maker needs.
    pub(super) fn inherited(&self, time_ns: u64) -> Option<Self> {
        let recent = self.0.iter().filter(|asked| time_ns.saturating_sub(asked.time_ns) <= Self::WITHIN_NS);
        let all: Vec<Asked> = recent.cloned().map(|asked| Asked { hops: asked.hops + 1, ..asked }).collect();
        (!all.is_empty()).then_some(Self(all))
    }

    /// The link of an opening, and with which destination.
    pub(super) fn link(&self, credential: &Credential, here: Here) -> Option<(Endpoint, Link)> {
        let since = |asked: &Asked| here.time_ns.saturating_sub(asked.time_ns);
        let recent = self.0.iter().rev().filter(|asked| since(asked) <= Self::WITHIN_NS);
        let mut best: Option<(&Asked, u8, LinkFact)> = None;
        for asked in recent {
            let (worth, fact) = match fit(credential, &asked.towards) {
                Fit::Named => (Self::NAMED, LinkFact::DestinationNamed),
                Fit::Expected => (Self::EXPECTED, LinkFact::DestinationExpected),
                Fit::Open | Fit::Differs => continue,
            };
            if best.is_none_or(|(_, known, _)| worth > known) {
                best = Some((asked, worth, fact));
            }
        }
        let (asked, confidence, fact) = best?;
        let link = Link {
            relation: Relation::OpenedWhileConnected,
            of: vec![asked.action],
            basis: if asked.hops == 0 { Basis::SameProcess } else { Basis::Inherited },
            delay_ns: since(asked),
            hops: asked.hops,
            facts: vec![fact],
            confidence,
            each: vec![(credential.id.clone(), confidence)],
        };
        Some((asked.to, link))
    }
}
