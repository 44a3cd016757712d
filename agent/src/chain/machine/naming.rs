//! What is sent without a connection, and names that become known after the connection.

use std::sync::Arc;

use super::{Machine, Subject};
use crate::action::ActionDeed;
use crate::chain::connections::Asked;
use crate::chain::holds::{Linked, Towards};
use crate::chain::{LinkFact, Note};
use crate::event::{Endpoint, SampleId, SendOutcome, Source};
use crate::names::Named;

/// Where to, as links see it; `None` where that is no address of a network.
pub(super) fn towards(to: Endpoint, name: Option<&Named>) -> Option<Towards> {
    let (ip, port) = to.inet()?;
    Some(Towards { ip, port, name: name.map(|named| named.name.clone()) })
}

impl Machine {
    /// Something was sent, for the first time to this destination by this process.
    pub(super) fn sent(
        &mut self,
        number: u64,
        by: &Subject,
        (to, name, heard, outcome): (Endpoint, Option<&Named>, &[Arc<str>], SendOutcome),
        (time_ns, seen_by): (u64, Source),
        out: &mut Vec<Note>,
    ) {
        let Some(here) = self.here(number, by, time_ns) else {
            return;
        };
        let request = here.unit.and_then(|unit| unit.action);
        let mut linked = self.link(&by.process, here, towards(to, name).as_ref());
        linked.request = request;
        self.count_process(number, by);
        self.touch(number, time_ns);
        let deed = ActionDeed::Send { to, name: name.cloned(), outcome };
        let action = self.action(by, time_ns, deed, seen_by);
        linked.judged = self.judge(&action, (&[], &linked), heard, by.digest);
        if let Some(chain) = self.chain_mut(number) {
            chain.attempt(to, name);
            chain.fan_out(to, linked.link.as_ref());
        }
        self.record(number, action, linked, out);
    }

    /// The client of a connection said the name of whom it speaks to. That is told by one more record, which completes
    /// the first: the connection is not held back for it.
    pub(super) fn spoke(
        &mut self,
        of: SampleId,
        name: &Named,
        (time_ns, seen_by): (u64, Source),
        out: &mut Vec<Note>,
    ) {
        let Some((mut asked, waited)) = self.connections.spoke(of) else {
            return;
        };
        let first = asked.action.id;
        let ActionDeed::Connect { to, name: known, .. } = &asked.action.deed else {
            return;
        };
        let to = *to;
        if known.as_ref() == Some(name) || (waited && self.is_called(&asked, to, name)) {
            return;
        }
        let ActionDeed::Connect { name: known, completes, .. } = &mut asked.action.deed else {
            return;
        };
        *known = Some(name.clone());
        *completes = Some(first);
        // Still as of the time at which it was asked for.
        self.judge_again(&mut asked);
        asked.action.time_ns = time_ns;
        asked.action.seen_by = seen_by;
        if let Some(linked) = self.named_by(&asked, to, name) {
            (asked.linked.link, asked.linked.credentials) = (linked.link, linked.credentials);
        }
        if let Some(chain) = self.chain_mut(asked.run).filter(|chain| chain.id == asked.chain) {
            chain.named(to, name);
            chain.fan_out(to, asked.linked.link.as_ref());
        }
        if waited {
            self.tell_waiting(asked.run, Some(first), out);
        }
        self.answered_late(asked, out);
    }

    /// Whether its chain has a destination under that name already.
    fn is_called(&self, asked: &Asked, to: Endpoint, name: &Named) -> bool {
        let chain = self.runs.get(&asked.run).and_then(|run| run.chain.as_ref());
        let known = chain.filter(|chain| chain.id == asked.chain).map(|chain| &chain.summary.destinations);
        known.into_iter().flatten().any(|known| known.to == to && known.name.as_ref() == Some(name))
    }

    /// The link anew, where a credential the process held at the connection names the name that is known now.
    fn named_by(&self, asked: &Asked, to: Endpoint, name: &Named) -> Option<Linked> {
        let member = self.members.get(&asked.action.process.key.into())?;
        let linked = member.more().holds.link_then(asked.here, &towards(to, Some(name))?);
        let told =
            |fact: &LinkFact| matches!(fact, LinkFact::DestinationNamed | LinkFact::DestinationExpected);
        let named = linked.link.as_ref()?.facts.iter().any(told);
        (named && asked.endpoint.is_none()).then_some(linked)
    }
}
