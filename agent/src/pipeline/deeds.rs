//! What each deed asks of the stages.

use std::sync::Arc;

use spoor_wire::control::MARK_HOLDS;

use super::{Cast, Stages};
use crate::actor::Host;
use crate::chain::{MarkWish, Note, Subject};
use crate::credential::{Credential, Describe};
use crate::event::{Deed, Endpoint, Event, Loss, OpenedFile, Seen, What};
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
                    facts: by.facts,
                    standing: self.resolver.forked(&self.table, &seen.process, child, event.time_ns),
                    digest: None,
                };
                let cast = Cast { by: Some(&by), child: Some(&child), ..Cast::default() };
                self.observe(event, cast, notes);
                let key = child.process.key;
                if self.machine.holds(key).is_some() && !marks.holds() {
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
            Deed::Unix { file, refused } => self.unix(event, seen, process, (file, *refused), notes),
            Deed::Key { key, .. } => {
                let found = self.describer.key(key);
                let found = self.confirmed(found);
                self.secret(event, seen, (process, found), notes);
            }
            Deed::Connect { to } => self.connect(event, seen, (process, *to), notes, wishes),
            Deed::Send { to, .. } => {
                let by = self.settled(event, process, &seen.process);
                let (name, heard) = self.names_of(*to, event.time_ns);
                let cast = Cast { by: Some(&by), name: name.as_ref(), heard: &heard, ..Cast::default() };
                self.observe(event, cast, notes);
            }
            Deed::Memory { .. } => {
                let by = self.settled(event, process, &seen.process);
                self.observe(event, Cast { by: Some(&by), ..Cast::default() }, notes);
                if !seen.marks.holds() {
                    wishes.push(MarkWish { key: process.key, flags: MARK_HOLDS });
                }
            }
            Deed::Accept { from, .. } => {
                let by = self.settled(event, process, &seen.process);
                self.resolver.accepted(process.key, from.0);
                self.observe(event, Cast { by: Some(&by), ..Cast::default() }, notes);
            }
            Deed::Exec { .. } => self.executed(event, seen, process, notes, wishes),
            Deed::ExecFailed { .. } => {
                let by = self.subject(event, process, &seen.process);
                self.observe(event, Cast { by: Some(&by), ..Cast::default() }, notes);
            }
            Deed::Identity(_) | Deed::Exit(_) => self.changed_or_ended(event, seen, process, notes),
            Deed::ConnectEnd { .. } | Deed::AcceptEnd { .. } | Deed::Hello { .. } => {}
        }
    }

    /// What a process did that is known to have ended: nobody knows any more in whose name, so it is not told, and that is a gap.
    /// (Of two threads that end together, each may be told as the last.)
    pub(super) fn came_late(&mut self, event: &Event, seen: &Seen, notes: &mut Vec<Note>) {
        if let Deed::Exit(_) = seen.deed {
            return;
        }
        self.ledger.acts_late.one();
        let lost = Event { time_ns: event.time_ns, what: What::Lost(Loss::uncounted(event.time_ns)) };
        self.observe(&lost, Cast::default(), notes);
    }

    /// Whoever changes is who it was; some attach points tell who it is then.
    fn changed_or_ended(
        &mut self,
        event: &Event,
        seen: &Seen,
        process: &Arc<Process>,
        notes: &mut Vec<Note>,
    ) {
        let by = self.last_subject(event, process, &seen.process);
        if let Deed::Exit(_) = seen.deed {
            self.resolver.ended(process.key);
        }
        self.observe(event, Cast { by: Some(&by), ..Cast::default() }, notes);
    }

    fn unix(
        &mut self,
        event: &Event,
        seen: &Seen,
        process: &Arc<Process>,
        (file, refused): (&OpenedFile, Option<i32>),
        notes: &mut Vec<Note>,
    ) {
        let found = self.socket(file, process.key);
        if let Some(socket) = found.as_ref().filter(|_| refused.is_none()) {
            self.resolver.reached(process.key, Some(&socket.kind));
        }
        self.secret(event, seen, (process, found), notes);
    }

    fn executed(
        &mut self,
        event: &Event,
        seen: &Seen,
        process: &Arc<Process>,
        notes: &mut Vec<Note>,
        wishes: &mut Vec<MarkWish>,
    ) {
        let by = self.subject(event, process, &seen.process);
        self.resolver.executed(process, event.time_ns);
        let credentials = self.environment(&by);
        if !credentials.is_empty() {
            self.resolver.settle(process.key);
            if !seen.marks.holds() {
                wishes.push(MarkWish { key: process.key, flags: MARK_HOLDS });
            }
        }
        self.observe(event, Cast { by: Some(&by), credentials: &credentials, ..Cast::default() }, notes);
        self.wish_service(&by, seen.marks.service(), wishes);
    }

    /// What a service was handed in its environment. That of a person's programs is the person's.
    pub(super) fn environment(&mut self, of: &Subject) -> Vec<Arc<Credential>> {
        if !of.standing.actor.kind.is_service() {
            return Vec::new();
        }
        let Some(handed) = self.describer.environment(of.process.key, &of.process.program.exe.bytes) else {
            self.ledger.environments_unread.one();
            return Vec::new();
        };
        if handed.cut {
            self.ledger.environments_cut.one();
        }
        handed.credentials
    }

    /// A deed with a file or a key, which the credential stage confirmed or not.
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
        self.resolver.reached(process.key, None);
        let (name, heard) = self.names_of(to, event.time_ns);
        let handed = to.inet().and_then(|(ip, port)| self.describer.endpoint(ip, port));
        let credentials: Vec<Arc<Credential>> = handed.into_iter().collect();
        if !credentials.is_empty() && !seen.marks.holds() {
            wishes.push(MarkWish { key: process.key, flags: MARK_HOLDS });
        }
        let name = name.as_ref();
        let cast = Cast { by: Some(&by), credentials: &credentials, name, heard: &heard, child: None };
        self.observe(event, cast, notes);
    }
}
