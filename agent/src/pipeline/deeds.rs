//! What each deed asks of the stages.

use std::sync::Arc;

use spoor_wire::control::MARK_HOLDS;

use super::{Cast, Stages};
use crate::actor::Host;
use crate::chain::{MarkWish, Note, Subject};
use crate::credential::{Credential, Describe};
use crate::event::{Deed, Endpoint, Event, Seen};
use crate::lineage::Process;

impl<D: Describe, H: Host> Stages<D, H> {
    pub(super) fn deed(
        &mut self,
        event: &Event,
        seen: &Seen,
        (process, child): (&Arc<Process>, Option<&Arc<Process>>),
        notes: &mut Vec<Note>,
        wishes: &mut Vec<MarkWish>,
    ) {
        match &seen.deed {
            Deed::Fork { marks, .. } => {
                let by = self.subject(event, process, &seen.process);
                let Some(child) = child else {
                    return;
                };
                let child = Subject {
                    process: Arc::clone(child),
                    facts: Arc::clone(&by.facts),
                    standing: self.resolver.forked(&self.table, &seen.process, child, event.time_ns),
                };
                let cast = Cast { by: Some(&by), child: Some(&child), ..Cast::default() };
                self.observe(event, cast, notes);
                let key = child.process.key;
                if self.machine.holds(key) && !marks.holds() {
                    wishes.push(MarkWish { key, flags: MARK_HOLDS });
                }
            }
            Deed::Open(file) | Deed::Receive(file) | Deed::Read { file, .. } => {
                if !matches!(seen.deed, Deed::Read { .. }) {
                    self.known.learn(file);
                }
                if self.merge.is_beneath(event.time_ns, seen, file) {
                    self.ledger.opens_merged.one();
                    return;
                }
                let found = self.describe(file, process.key);
                self.secret(event, seen, (process, found), notes);
            }
            Deed::Unix { file, .. } => {
                let found = self.socket(file, process.key);
                self.secret(event, seen, (process, found), notes);
            }
            Deed::Connect { to } => self.connect(event, seen, (process, *to), notes, wishes),
            Deed::Send { to, .. } => {
                let by = self.settled(event, process, &seen.process);
                let name = self.name_of(*to, event.time_ns);
                self.observe(event, Cast { by: Some(&by), name: name.as_ref(), ..Cast::default() }, notes);
            }
            Deed::Memory { .. } => {
                let by = self.settled(event, process, &seen.process);
                self.observe(event, Cast { by: Some(&by), ..Cast::default() }, notes);
                if !seen.marks.holds() {
                    wishes.push(MarkWish { key: process.key, flags: MARK_HOLDS });
                }
            }
            Deed::Accept { .. } => {
                let by = self.settled(event, process, &seen.process);
                self.observe(event, Cast { by: Some(&by), ..Cast::default() }, notes);
            }
            Deed::Exec { .. } => {
                let by = self.subject(event, process, &seen.process);
                self.observe(event, Cast { by: Some(&by), ..Cast::default() }, notes);
                self.wish_service(&by, seen.marks.service(), wishes);
            }
            Deed::ExecFailed { .. } => {
                let by = self.subject(event, process, &seen.process);
                self.observe(event, Cast { by: Some(&by), ..Cast::default() }, notes);
            }
            // Whoever changes is who it was; some attach points tell who it is then.
            Deed::Identity(_) | Deed::Exit(_) => {
                let by = self.last_subject(event, process, &seen.process);
                self.observe(event, Cast { by: Some(&by), ..Cast::default() }, notes);
            }
            Deed::ConnectEnd { .. } | Deed::Hello { .. } => {}
        }
    }

    /// A deed with a file, which the credential stage confirmed or not.
    fn secret(
        &mut self,
        event: &Event,
        seen: &Seen,
        (process, found): (&Arc<Process>, Option<Arc<Credential>>),
        notes: &mut Vec<Note>,
    ) {
        let Some(credential) = found else {
            return;
        };
        let by = self.settled(event, process, &seen.process);
        let credentials = [credential];
        self.observe(event, Cast { by: Some(&by), credentials: &credentials, ..Cast::default() }, notes);
    }

    fn connect(
        &mut self,
        event: &Event,
        seen: &Seen,
        (process, to): (&Arc<Process>, Endpoint),
        notes: &mut Vec<Note>,
        wishes: &mut Vec<MarkWish>,
    ) {
        let by = self.settled(event, process, &seen.process);
        let name = self.name_of(to, event.time_ns);
        let handed = to.inet().and_then(|(ip, port)| self.describer.endpoint(ip, port));
        let credentials: Vec<Arc<Credential>> = handed.into_iter().collect();
        if !credentials.is_empty() && !seen.marks.holds() {
            wishes.push(MarkWish { key: process.key, flags: MARK_HOLDS });
        }
        let cast = Cast { by: Some(&by), credentials: &credentials, name: name.as_ref(), child: None };
        self.observe(event, cast, notes);
    }
}
