//! The stages in order: lineage, actor, credential, chain. One event at a time; no I/O of its own, no clock. The loop
//! around them, which reads, stores and keeps the watch up to date, is in [`worker`].

mod deeds;
mod desk;
mod digests;
mod known;
mod merge;
pub mod replay;
mod resting;
#[cfg(test)]
pub(crate) mod scenario;
#[cfg(test)]
mod tests;
pub mod worker;

pub use desk::{Desk, Outside};
pub use digests::{Digests, TakeDigests};

use std::sync::Arc;

use foldhash::HashSet;

use spoor_wire::control::{MARK_HOLDS, MARK_SERVICE};

use crate::actor::{Host, Resolver};
use crate::chain::{Counts, GapKind, Machine, MarkWish, Note, Observed, Subject};
use crate::credential::{Credential, Describe};
use crate::event::{
    Deed, Endpoint, Event, Facts, IdentityChange, OpenedFile, ProcessKey, Seeded, Seen, What,
};
use crate::lineage::{Applied, Process, Slot, Table};
use crate::names::{NameSource, Named, Names, TlsError, answers, server_name};
use crate::purpose::{Digest, Purposes};
use crate::telemetry::Ledger;
use known::Known;
use merge::Merge;

/// All stages, with their state.
#[derive(Debug)]
pub struct Stages<D, H> {
    table: Table,
    resolver: Resolver<H>,
    describer: D,
    machine: Machine,
    ledger: Arc<Ledger>,
    counted: Counts,
    canaries: HashSet<Slot>,
    /// Processes whose mark as a service was wished for.
    wished: HashSet<Slot>,
    names: Names,
    merge: Merge,
    known: Known,
    /// Digests of programs, where somebody takes them.
    digests: Option<Box<dyn TakeDigests>>,
}

/// Who and what an event is about, as far as the stages found out.
#[derive(Clone, Copy, Default)]
struct Cast<'a> {
    by: Option<&'a Subject>,
    child: Option<&'a Subject>,
    credentials: &'a [Arc<Credential>],
    name: Option<&'a Named>,
    heard: &'a [Arc<str>],
}

impl<D: Describe, H: Host> Stages<D, H> {
    /// Most canaries at one time; there is one.
    const CANARIES_MAX: usize = 1024;

    /// Stages that have seen nothing yet.
    pub fn new(
        table: Table,
        resolver: Resolver<H>,
        describer: D,
        machine: Machine,
        ledger: Arc<Ledger>,
    ) -> Self {
        Self {
            table,
            resolver,
            describer,
            machine,
            ledger,
            counted: Counts::default(),
            canaries: HashSet::default(),
            wished: HashSet::default(),
            names: Names::default(),
            merge: Merge::default(),
            known: Known::default(),
            digests: None,
        }
    }

    /// Asks this for the digests of programs; without it they are not known.
    #[must_use]
    pub fn with_digests(self, digests: impl TakeDigests + 'static) -> Self {
        Self { digests: Some(Box::new(digests)), ..self }
    }

    /// Takes one event through all stages.
    pub fn step(&mut self, event: &Event, notes: &mut Vec<Note>, wishes: &mut Vec<MarkWish>) {
        self.ledger.events_in.one();
        match &event.what {
            What::Present(_) => {
                let applied = self.table.apply(event);
                self.follow(event, &applied, notes);
                self.forget(&applied);
            }
            What::Lost(_) | What::Refused { .. } | What::Missed(_) | What::Silent { .. } => {
                self.resolver.lost(event.time_ns);
                self.observe(event, Cast::default(), notes);
            }
            What::Repeated { .. } => self.observe(event, Cast::default(), notes),
            What::Tick => {
                self.observe(event, Cast::default(), notes);
                self.complete(event.time_ns, notes);
            }
            What::Answer(bytes) => match answers(bytes) {
                Ok(answers) => self.names.learn(&answers, event.time_ns),
                // Many good answers hold no address: they are of no interest, and no failure.
                Err(error) if error.is_malformed() => self.ledger.answers_unread.one(),
                Err(_) => {}
            },
            What::Seeded(seeded) => self.seeded(event, seeded, notes, wishes),
            What::Seen(seen) => self.seen(event, seen, notes, wishes),
        }
        self.count();
    }

    /// Ends every chain: the agent stops.
    pub fn stop(&mut self, time_ns: u64, notes: &mut Vec<Note>) {
        self.machine.stop(time_ns, notes);
        self.count();
    }

    /// The process table.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The credential stage, whose catalogue is the owner's to look after.
    pub fn describer(&mut self) -> &mut D {
        &mut self.describer
    }

    /// Names of pods that became known meanwhile, for chains that were told without them.
    fn complete(&mut self, time_ns: u64, notes: &mut Vec<Note>) {
        for (chain, actor, process) in self.machine.awaiting(time_ns) {
            if let Some(actor) = self.resolver.named_by_now(&actor, &process, time_ns) {
                self.machine.complete(chain, actor, time_ns, notes);
            }
        }
    }

    fn seeded(&mut self, event: &Event, seeded: &Seeded, notes: &mut Vec<Note>, wishes: &mut Vec<MarkWish>) {
        if seeded.process.kthread {
            return;
        }
        let applied = self.table.apply(event);
        self.follow(event, &applied, notes);
        let Some(process) = &applied.process else {
            return;
        };
        seeded.open.iter().for_each(|file| self.known.learn(file));
        let mut credentials: Vec<Arc<Credential>> =
            seeded.open.iter().filter_map(|file| self.describe(file, process.key)).collect();
        let by = self.subject(event, process, &seeded.process);
        self.resolver.found(process, event.time_ns);
        credentials.extend(self.environment(&by));
        self.observe(event, Cast { by: Some(&by), credentials: &credentials, ..Cast::default() }, notes);
        if !credentials.is_empty() {
            let key = process.key;
            wishes.push(MarkWish { key, flags: MARK_HOLDS });
        }
        self.wish_service(&by, false, wishes);
    }

    fn seen(&mut self, event: &Event, seen: &Seen, notes: &mut Vec<Note>, wishes: &mut Vec<MarkWish>) {
        if self.is_canary(seen) {
            self.ledger.samples_canary.one();
            return;
        }
        if seen.process.kthread {
            return;
        }
        // What an attach point leaves out because it is known here.
        let deed = if let Deed::Read { file, mapped } = &seen.deed
            && file.path.bytes.is_empty()
        {
            Deed::Read { file: self.known.with_path(file), mapped: *mapped }
        } else if let Deed::Identity(change) = &seen.deed {
            let Some(change) = self.changed(seen, *change.as_ref()) else {
                return;
            };
            Deed::Identity(Box::new(change))
        } else {
            self.apply(event, seen, notes, wishes);
            return;
        };
        let seen = Seen { deed, ..seen.clone() };
        let event = Event { time_ns: event.time_ns, what: What::Seen(Box::new(seen.clone())) };
        self.apply(&event, &seen, notes, wishes);
    }

    /// A change of identity with what was before, where the attach point did not tell that; `None` where nothing changed.
    fn changed(&self, seen: &Seen, mut change: IdentityChange) -> Option<IdentityChange> {
        if let Some(known) = self.table.get(seen.process.key) {
            let (uid, euid, gid) = known.ids;
            change.since(uid, euid, gid);
        }
        (!change.is_none()).then_some(change)
    }

    fn apply(&mut self, event: &Event, seen: &Seen, notes: &mut Vec<Note>, wishes: &mut Vec<MarkWish>) {
        let applied = self.table.apply(event);
        self.follow(event, &applied, notes);
        if let Deed::ConnectEnd { .. } | Deed::AcceptEnd { .. } = seen.deed {
            self.observe(event, Cast::default(), notes);
            return;
        }
        if let Deed::Hello { bytes, .. } = &seen.deed {
            self.hello(event, bytes, notes);
            return;
        }
        let Some(process) = applied.process.as_ref() else { return };
        if applied.late {
            return self.came_late(event, seen, notes);
        }
        self.deed(event, seen, (process, applied.child.as_ref()), notes, wishes);
        self.forget(&applied);
    }

    /// A client said the name of whom it speaks to.
    fn hello(&mut self, event: &Event, bytes: &[u8], notes: &mut Vec<Note>) {
        match server_name(bytes) {
            Ok(Some(name)) => {
                let named = Named { name, source: NameSource::Tls };
                self.observe(event, Cast { name: Some(&named), ..Cast::default() }, notes);
            }
            // It says none; or a server speaks first, or it is no TLS at all.
            Ok(None) | Err(TlsError::Other) => {}
            Err(_) => self.ledger.hellos_unread.one(),
        }
    }

    /// The names of a destination, as the host was told them: the one learned last, and all.
    fn names_of(&self, to: Endpoint, time_ns: u64) -> (Option<Named>, Vec<Arc<str>>) {
        let heard = to.inet().map(|(ip, _)| self.names.names_of(ip, time_ns)).unwrap_or_default();
        let first = heard.first().map(|name| Named { name: name.to_string(), source: NameSource::Dns });
        (first, heard)
    }

    /// What actions are judged by from the next event on.
    pub fn purposes(&mut self, purposes: Arc<Purposes>) {
        if let Some(digests) = &mut self.digests {
            digests.expect(&purposes);
        }
        self.machine.purposes(purposes);
    }

    /// What no tier shows from now on.
    pub fn uncovered(&mut self, gaps: Vec<GapKind>) {
        self.machine.uncovered(gaps);
    }

    /// The canary's own acts, and those of whatever it made.
    fn is_canary(&mut self, seen: &Seen) -> bool {
        let slot = Slot::from(seen.process.key);
        if !seen.marks.canary() && !self.canaries.contains(&slot) {
            return false;
        }
        if let Deed::Fork { child, .. } = seen.deed
            && self.canaries.len() < Self::CANARIES_MAX
        {
            self.canaries.insert(child.into());
        }
        if let Deed::Exit(_) = seen.deed {
            self.canaries.remove(&slot);
        }
        true
    }

    /// Tells the later stages of processes that the table gave up, or found to have ended.
    fn follow(&mut self, event: &Event, applied: &Applied, notes: &mut Vec<Note>) {
        self.ledger.state_evicted.add(u64::try_from(applied.evicted.len()).unwrap_or(u64::MAX));
        for key in &applied.replaced {
            self.resolver.ended(*key);
            self.machine.forget(*key, GapKind::Lost, event.time_ns, notes);
        }
        for key in &applied.evicted {
            self.machine.forget(*key, GapKind::StateFull, event.time_ns, notes);
        }
        let actor = applied.process.as_ref().map(|process| process.key);
        for key in applied.gone.iter().filter(|key| Some(**key) != actor) {
            self.drop_process(*key);
        }
    }

    /// The acting process itself may be gone after its exit; its last standing was needed until now. A former holder of its
    /// number is another, and long dropped.
    fn forget(&mut self, applied: &Applied) {
        let actor = applied.process.as_ref().map(|process| process.key);
        for key in applied.gone.iter().filter(|key| Some(**key) == actor) {
            self.drop_process(*key);
        }
    }

    fn drop_process(&mut self, key: ProcessKey) {
        self.resolver.forget(key);
        self.wished.remove(&key.into());
    }

    fn subject(&mut self, event: &Event, process: &Arc<Process>, facts: &Facts) -> Subject {
        Subject {
            process: Arc::clone(process),
            facts: *facts,
            standing: self.resolver.resolve(&self.table, process, facts, event.time_ns),
            digest: self.digest(process),
        }
    }

    /// SHA-256 of what a process runs, where a verdict may hang on it and it is known by now.
    fn digest(&mut self, process: &Process) -> Option<Digest> {
        let digests = self.digests.as_mut()?;
        self.machine
            .in_force()
            .wants_digest(&process.program.exe.bytes)
            .then(|| digests.of(process))
            .flatten()
    }

    /// Of a process that opens or connects: the name of its run stays from now on.
    fn settled(&mut self, event: &Event, process: &Arc<Process>, facts: &Facts) -> Subject {
        let by = self.subject(event, process, facts);
        self.resolver.settle(process.key);
        by
    }

    /// Of a process that ends: as it stood before the kernel took it apart.
    fn last_subject(&mut self, event: &Event, process: &Arc<Process>, facts: &Facts) -> Subject {
        let Some(standing) = self.resolver.standing(process.key) else {
            return self.subject(event, process, facts);
        };
        let digest = self.digest(process);
        Subject { process: Arc::clone(process), facts: *facts, standing, digest }
    }

    fn describe(&mut self, file: &OpenedFile, by: ProcessKey) -> Option<Arc<Credential>> {
        let found = self.describer.describe(file, by);
        self.confirmed(found)
    }

    fn socket(&mut self, file: &OpenedFile, by: ProcessKey) -> Option<Arc<Credential>> {
        let found = self.describer.socket(file, by);
        self.confirmed(found)
    }

    /// Counts what the kernel matched and the catalogue does not confirm.
    fn confirmed(&self, found: Option<Arc<Credential>>) -> Option<Arc<Credential>> {
        if found.is_none() {
            self.ledger.opens_unconfirmed.one();
        }
        found
    }

    fn observe(&mut self, event: &Event, cast: Cast<'_>, notes: &mut Vec<Note>) {
        let Cast { by, child, credentials, name, heard } = cast;
        let observed = Observed { event, table: &self.table, by, child, credentials, name, heard };
        self.machine.apply(&observed, notes);
        for subject in by.into_iter().chain(child) {
            if let Some(held) = self.machine.holds(subject.process.key) {
                self.table.keep(subject.process.key, held);
            }
        }
    }

    /// A service with a login uid, as cron jobs are, must be told to the kernel: by itself it forwards only connections
    /// of processes without one.
    fn wish_service(&mut self, by: &Subject, marked: bool, wishes: &mut Vec<MarkWish>) {
        let service = by.standing.actor.kind.is_service() && by.facts.login_uid.is_some();
        if service && !marked && self.wished.insert(by.process.key.into()) {
            wishes.push(MarkWish { key: by.process.key, flags: MARK_SERVICE });
        }
    }

    fn count(&mut self) {
        let now = self.machine.counts();
        let before = std::mem::replace(&mut self.counted, now);
        self.ledger.actions_chained.add(now.chained - before.chained);
        self.ledger.actions_together.add(now.together - before.together);
        self.ledger.actions_unchained.add(now.unchained - before.unchained);
        self.ledger.actions_folded.add(now.folded - before.folded);
        self.ledger.state_evicted.add(now.evicted - before.evicted);
    }
}
