//! What is recorded becomes a note: at once, or together with others like it.

use std::sync::Arc;

use super::Machine;
use crate::action::ActionId;
use crate::chain::together::{Offered, may_wait};
use crate::chain::{Acted, Note, Relation};
use crate::event::ProcessKey;
use crate::lineage::Slot;

/// An action that has a place in its chain.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) told: Arc<Acted>,
    /// It is told with others, later.
    pub(super) waits: bool,
}

impl Machine {
    /// Whether an action waits to be told with others.
    pub(super) fn waits(&mut self, number: u64, acted: &Arc<Acted>, out: &mut Vec<Note>) -> bool {
        if !may_wait(acted) {
            return false;
        }
        match self.moments.offer(number, acted, self.now_ns) {
            Offered::Alone => false,
            Offered::Waits => true,
            Offered::Full => {
                self.tell_waiting_of(number, acted, out);
                true
            }
        }
    }

    /// Tells an action, after what its process did before and still waits. One that hangs on what another process did
    /// comes after that.
    pub(super) fn tell(&mut self, number: u64, acted: Arc<Acted>, out: &mut Vec<Note>) {
        let asked = acted.link.as_ref().filter(|link| link.relation == Relation::OpenedWhileConnected);
        let named = acted.request.or_else(|| asked?.of.first().copied());
        if named.is_some() {
            self.tell_waiting(number, named, out);
        } else {
            self.tell_waiting_of(number, &acted, out);
        }
        self.told(number, acted, out);
    }

    /// Tells what waits of the process of an action.
    fn tell_waiting_of(&mut self, number: u64, acted: &Acted, out: &mut Vec<Note>) {
        let waited = self.moments.take((number, Slot::from(acted.action.process.key)));
        self.tell_all(number, waited, out);
    }

    /// Tells what waits of a run, and if it can be what is `named` by itself.
    pub(super) fn tell_waiting(&mut self, number: u64, named: Option<ActionId>, out: &mut Vec<Note>) {
        let waited = self.moments.take_of(number, named);
        self.tell_all(number, waited, out);
    }

    /// The same, where its chain is about to end.
    pub(super) fn tell_last(&mut self, number: u64, out: &mut Vec<Note>) {
        let waited = self.moments.end_of(number);
        self.tell_all(number, waited, out);
    }

    /// Tells what waits of a process that has ended.
    pub(super) fn tell_last_of(&mut self, number: u64, key: ProcessKey, out: &mut Vec<Note>) {
        let waited = self.moments.end((number, Slot::from(key)));
        self.tell_all(number, waited, out);
    }

    /// The moment that is to end first ends.
    pub(super) fn moment_ends(&mut self, out: &mut Vec<Note>) {
        if let Some((number, waited)) = self.moments.end_first() {
            self.tell_all(number, waited, out);
        }
    }

    fn tell_all(&mut self, number: u64, waited: Vec<Acted>, out: &mut Vec<Note>) {
        for acted in waited {
            self.told(number, Arc::new(acted), out);
        }
    }

    fn told(&mut self, number: u64, acted: Arc<Acted>, out: &mut Vec<Note>) {
        self.counts.together += acted.count() - 1;
        if let Some(chain) = self.chain_mut(number) {
            chain.records += 1;
        }
        out.push(Note::Acted(acted));
    }
}
