//! What is sent without a connection, and names that become known after the connection.

use super::{Machine, Subject};
use crate::action::ActionDeed;
use crate::chain::Note;
use crate::chain::holds::Towards;
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
        (to, name, outcome): (Endpoint, Option<&Named>, SendOutcome),
        (time_ns, seen_by): (u64, Source),
        out: &mut Vec<Note>,
    ) {
        let Some(here) = self.here(number, time_ns) else {
            return;
        };
        let linked = self.link(by.process.key, here, towards(to, name).as_ref());
        self.count_process(number, by);
        self.touch(number, time_ns);
        let deed = ActionDeed::Send { to, name: name.cloned(), outcome };
        let action = self.action(by, time_ns, deed, seen_by);
        if let Some(chain) = self.chain_mut(number) {
            chain.attempt(to, name);
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
        let Some(mut asked) = self.connections.spoke(of) else {
            return;
        };
        let first = asked.action.id;
        let ActionDeed::Connect { to, name: known, completes, .. } = &mut asked.action.deed else {
            return;
        };
        if known.as_ref() == Some(name) {
            return;
        }
        *known = Some(name.clone());
        *completes = Some(first);
        let to = *to;
        asked.action.time_ns = time_ns;
        asked.action.seen_by = seen_by;
        if let Some(chain) = self.chain_mut(asked.run).filter(|chain| chain.id == asked.chain) {
            chain.named(to, name);
        }
        self.answered_late(asked, out);
    }
}
