//! The one loop: events in, through the stages, into the store, and word to the sinks. Runs on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::watch;

use super::Stages;
use crate::actor::Host;
use crate::chain::{Gap, GapKind, MarkWish, Note};
use crate::credential::{Catalogue, Describe};
use crate::event::{Event, Fault, Kind, ProcessKey, What};
use crate::kernel::{
    Cgroups, Control, Counters, Landed, MountWatch, Passed, Patrol, ScopeWatch, boot_ns, seed,
};
use crate::record::{Builder, Coverage, Record};
use crate::store::{Store, StoreError};
use crate::telemetry::Ledger;

/// How often credentials are looked for anew although no mount has changed, ns.
const RESCAN_NS: u64 = 10_000_000_000;
/// How often the agent says that it is there, and retention is applied, ns.
const HEARTBEAT_NS: u64 = 60_000_000_000;
/// How long after a loss `/proc` is read again, ns: what was on its way has arrived by then.
const RECONCILE_NS: u64 = 1_000_000_000;
/// Pause before a store without room is tried again. Meanwhile nothing is read: the rings fill, and what they refuse is
/// counted, and becomes a gap.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How often a store without room is tried again when the agent is to stop.
const STORE_LAST_TRIES: u32 = 3;

/// Is shown records that were stored.
pub type Show = Box<dyn FnMut(&Record) + Send>;

/// What the loop writes to and asks, beside the stages.
pub struct Surroundings {
    /// Makes records.
    pub builder: Builder,
    /// Keeps them.
    pub store: Store,
    /// Tells sinks how far the store is.
    pub stored: watch::Sender<u64>,
    /// The kernel's control maps.
    pub control: Control,
    /// The kernel's counters.
    pub counters: Arc<Counters>,
    /// Where credentials are.
    pub catalogue: Arc<Catalogue>,
    /// Notices new mounts.
    pub mounts: MountWatch,
    /// Finds the cgroups of the scope again when they are made anew; `None` for the whole host.
    pub scope: Option<ScopeWatch>,
    /// Sends canaries out while the agent runs.
    pub patrol: Patrol,
    /// Events that passed the probes by.
    pub passed: Passed,
    /// The v2 hierarchy, for reading `/proc` again after a loss.
    pub cgroups: Option<Cgroups>,
    /// What is watched; empty for the whole host.
    pub watched: Vec<String>,
    /// What was found at start; told again when it changes.
    pub coverage: Coverage,
    /// The account.
    pub ledger: Arc<Ledger>,
    /// Wall time less boot time, ns.
    pub wall_offset_ns: i64,
    /// Set when the agent is to stop: then a store without room is not waited for.
    pub stopping: Arc<AtomicBool>,
    /// Is shown every record that was stored.
    pub show: Option<Show>,
}

/// The loop.
pub struct Worker<D, H> {
    stages: Stages<D, H>,
    around: Surroundings,
    next_rescan_ns: u64,
    next_heartbeat_ns: u64,
    /// When `/proc` is to be read again, after a loss.
    reconcile_ns: Option<u64>,
    /// Marks and connections for which the kernel had no room, so far, and when that was last looked at.
    crowded: (u64, u64),
}

impl<D: Describe, H: Host> Worker<D, H> {
    /// A loop that has seen nothing yet.
    #[must_use]
    pub fn new(stages: Stages<D, H>, around: Surroundings) -> Self {
        let now = boot_ns();
        Worker {
            stages,
            around,
            next_rescan_ns: now + RESCAN_NS,
            next_heartbeat_ns: now + HEARTBEAT_NS,
            reconcile_ns: None,
            crowded: (0, now),
        }
    }

    /// Stores what the agent has to say before anything happened, then what was found and seen while it started.
    ///
    /// # Errors
    /// [`StoreError`] where not even that can be stored.
    pub fn open(
        &mut self,
        first: impl FnOnce(&mut Builder) -> Record,
        early: &[Event],
    ) -> Result<(), StoreError> {
        let first = first(&mut self.around.builder);
        self.store(&[first])?;
        let records = self.digest(early);
        self.store(&records)
    }

    /// Works until the reader ends; then closes what is open.
    ///
    /// # Errors
    /// [`StoreError`] where the store is broken, or has no room at the end.
    pub fn run(mut self, feed: &Receiver<Vec<Event>>) -> Result<(), StoreError> {
        loop {
            match feed.recv_timeout(Duration::from_secs(1)) {
                Ok(batch) => {
                    let mut records = self.digest(&batch);
                    if batch.iter().any(|event| event.what == What::Tick) {
                        self.upkeep(&mut records)?;
                    }
                    self.store_or_wait(&records)?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.close(),
            }
        }
    }

    fn close(mut self) -> Result<(), StoreError> {
        let mut notes = Vec::new();
        let now = boot_ns();
        self.stages.stop(now, &mut notes);
        let mut records: Vec<Record> = notes.iter().map(|note| self.around.builder.note(note)).collect();
        let counters = self.counters();
        records.push(self.around.builder.stopped(now, &counters));
        self.store_or_wait(&records)
    }

    /// Events to records, and marks into the kernel.
    fn digest(&mut self, batch: &[Event]) -> Vec<Record> {
        let (mut notes, mut wishes) = (Vec::new(), Vec::new());
        for event in batch {
            self.around.patrol.see(event);
            if let What::Lost(loss) = &event.what
                && loss.counts.iter().any(|(kind, _)| matches!(kind, Kind::Fork | Kind::Exec | Kind::Exit))
            {
                self.reconcile_ns = Some(event.time_ns.saturating_add(RECONCILE_NS));
            }
            self.stages.step(event, &mut notes, &mut wishes);
        }
        for MarkWish { key, flags } in wishes {
            if self.around.control.mark(key, flags).is_err() {
                self.around.ledger.marks_refused.one();
            }
        }
        notes.iter().map(|note| self.around.builder.note(note)).collect()
    }

    /// What is due from time to time.
    fn upkeep(&mut self, records: &mut Vec<Record>) -> Result<(), StoreError> {
        let now = boot_ns();
        if let Some(scope) = &mut self.around.scope {
            scope.refresh(&mut self.around.control);
        }
        self.crowding(now, records);
        if self.reconcile_ns.is_some_and(|at| now >= at) {
            self.reconcile_ns = None;
            records.extend(self.reconcile(now));
        }
        // Probes go one after the other when the agent stops: a canary that is sent out then is half seen.
        let stopping = self.around.stopping.load(Ordering::Relaxed);
        if !stopping && let Some(landed) = self.around.patrol.look(now, &mut self.around.control) {
            records.extend(self.landed(now, landed));
        }
        if self.around.mounts.changed() || now >= self.next_rescan_ns {
            self.rescan();
            self.next_rescan_ns = now + RESCAN_NS;
        }
        if now >= self.next_heartbeat_ns {
            self.next_heartbeat_ns = now + HEARTBEAT_NS;
            let counters = self.counters();
            records.push(self.around.builder.heartbeat(now, &counters));
            self.retain(now, records)?;
        }
        Ok(())
    }

    /// After a loss of forks, executions or exits: `/proc` tells who is there.
    fn reconcile(&mut self, now: u64) -> Vec<Record> {
        let scan = match seed(self.around.cgroups.as_ref(), &self.around.watched, &|_| None) {
            Ok(scan) => scan,
            Err(error) => {
                tracing::warn!("/proc cannot be read again after a loss: {error}");
                return Vec::new();
            }
        };
        self.around.ledger.rescans.one();
        let mut events = scan.events;
        let mut present: Vec<ProcessKey> = Vec::new();
        for event in &mut events {
            if let What::Seeded(seeded) = &mut event.what {
                seeded.again = true;
                present.push(seeded.process.key);
            }
        }
        // A row that could not be read is of a process that ended, or is hidden: then nobody is taken for gone.
        if scan.unread == 0 {
            events.push(Event { time_ns: now, what: What::Present(present) });
        }
        self.digest(&events)
    }

    /// A canary showed other than what was shown before.
    fn landed(&mut self, now: u64, landed: Landed) -> Vec<Record> {
        let (proofs, silent) = match landed {
            Landed::Silent(proofs) => (proofs, true),
            Landed::Again(proofs) => (proofs, false),
        };
        for (signal, source) in &proofs {
            let Some(known) =
                self.around.coverage.signals.iter_mut().find(|known| known.signal == signal.name())
            else {
                continue;
            };
            known.proven = !silent;
            if silent {
                tracing::error!("{}: {} does not fire any more", signal.name(), source.name());
            } else {
                tracing::info!("{}: {} fires again", signal.name(), source.name());
            }
        }
        let mut records = vec![self.around.builder.coverage(now, &self.around.coverage)];
        if silent {
            let since_ns = self.around.patrol.since_ns();
            records.extend(self.digest(&[Event { time_ns: now, what: What::Silent { since_ns } }]));
        }
        records
    }

    /// A table of the kernel that is full is a gap: marks that are missing hide what comes after.
    fn crowding(&mut self, now: u64, records: &mut Vec<Record>) {
        let full = |fault: Fault| matches!(fault, Fault::MarkFull | Fault::ConnFull);
        let faults = self.around.counters.faults();
        let count = faults.iter().filter(|(_, fault, _)| full(*fault)).map(|(.., count)| count).sum();
        let (before, since_ns) = std::mem::replace(&mut self.crowded, (count, now));
        if count > before {
            let (counts, cpus, chains) = (Vec::new(), Vec::new(), Vec::new());
            let gap = Gap { time_ns: now, since_ns, kind: GapKind::StateFull, counts, cpus, chains };
            records.push(self.around.builder.note(&Note::Gap(gap)));
        }
    }

    fn rescan(&mut self) {
        let scan = self.around.catalogue.scan();
        for problem in &scan.problems {
            tracing::debug!("{problem}");
        }
        let refused = self.around.control.set_watch(&scan.inodes, &scan.entries, &scan.dirs);
        if refused != 0 {
            tracing::warn!("{refused} files or directories are not watched: the kernel's tables are full");
        }
        self.around.ledger.rules_refused.add(refused);
    }

    fn retain(&mut self, now: u64, records: &mut Vec<Record>) -> Result<(), StoreError> {
        let wall = i64::try_from(now).unwrap_or(i64::MAX).saturating_add(self.around.wall_offset_ns);
        for dropped in self.around.store.retain(wall)? {
            tracing::info!("dropped {} with records {} to {}", dropped.file, dropped.first, dropped.last);
            // Of an earlier boot there is no boot time: then the gap reaches back to this one's beginning.
            let since = dropped.since_ns.saturating_sub(self.around.wall_offset_ns);
            let gap = Gap {
                time_ns: now,
                since_ns: u64::try_from(since).unwrap_or(0),
                kind: GapKind::Dropped,
                counts: Vec::new(),
                cpus: Vec::new(),
                chains: Vec::new(),
            };
            records.push(self.around.builder.note(&Note::Gap(gap)));
        }
        Ok(())
    }

    /// Name and value of everything that is counted, the kernel's side first.
    fn counters(&self) -> Vec<(String, u64)> {
        let Surroundings { counters, ledger, passed, .. } = &self.around;
        let faults = counters.faults();
        let mut all = vec![
            ("samples_produced".to_owned(), counters.produced()),
            ("probe_faults".to_owned(), faults.iter().map(|(.., count)| count).sum()),
        ];
        let named = |(source, fault, count): &(crate::event::Source, Fault, u64)| {
            (format!("probe_faults:{}:{}", source.name(), fault.name()), *count)
        };
        all.extend(faults.iter().map(named));
        let passed = passed.counts().into_iter();
        all.extend(passed.map(|(program, count)| (format!("probe_passed:{program}"), count)));
        all.extend(ledger.snapshot().into_iter().map(|(name, count)| (name.to_owned(), count)));
        all
    }

    /// Stores; while there is no room, waits for it.
    fn store_or_wait(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let mut failed = 0;
        loop {
            match self.store(records) {
                Err(error @ StoreError::Full { .. }) => {
                    failed += 1;
                    if failed >= STORE_LAST_TRIES && self.around.stopping.load(Ordering::Relaxed) {
                        return Err(error);
                    }
                    if failed == 1 {
                        tracing::error!(
                            "{error}: make room, or lower `store.max_bytes`; until then the kernel's rings hold what \
                             happens, and what they cannot hold is counted"
                        );
                    }
                    self.around.ledger.store_retries.one();
                    std::thread::sleep(STORE_PAUSE);
                }
                other => return other,
            }
        }
    }

    fn store(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let Some(last) = records.last() else { return Ok(()) };
        let Surroundings { store, stored, ledger, show, .. } = &mut self.around;
        store.append(records)?;
        ledger.records_stored.add(u64::try_from(records.len()).unwrap_or(u64::MAX));
        // Without sinks nobody listens.
        let _ = stored.send(last.seq);
        if let Some(show) = show {
            records.iter().for_each(show);
        }
        Ok(())
    }
}
