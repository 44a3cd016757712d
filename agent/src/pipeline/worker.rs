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
use crate::event::{Event, Fault, What};
use crate::kernel::{Control, Counters, MountWatch, ScopeWatch, boot_ns};
use crate::record::{Builder, Record};
use crate::store::{Store, StoreError};
use crate::telemetry::Ledger;

/// How often credentials are looked for anew although no mount has changed, ns.
const RESCAN_NS: u64 = 10_000_000_000;
/// How often the agent says that it is there, and retention is applied, ns.
const HEARTBEAT_NS: u64 = 60_000_000_000;
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

    /// A table of the kernel that is full is a gap: marks that are missing hide what comes after.
    fn crowding(&mut self, now: u64, records: &mut Vec<Record>) {
        let full = |fault: Fault| matches!(fault, Fault::MarkFull | Fault::ConnFull);
        let faults = self.around.counters.faults();
        let count = faults.iter().filter(|(_, fault, _)| full(*fault)).map(|(.., count)| count).sum();
        let (before, since_ns) = std::mem::replace(&mut self.crowded, (count, now));
        if count > before {
            let (counts, chains) = (Vec::new(), Vec::new());
            let gap = Gap { time_ns: now, since_ns, kind: GapKind::StateFull, counts, chains };
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
                chains: Vec::new(),
            };
            records.push(self.around.builder.note(&Note::Gap(gap)));
        }
        Ok(())
    }

    /// Name and value of everything that is counted, the kernel's side first.
    fn counters(&self) -> Vec<(&'static str, u64)> {
        let Surroundings { counters, ledger, .. } = &self.around;
        let faults = counters.faults();
        for (source, fault, count) in &faults {
            tracing::debug!("{}: {} {count}", source.name(), fault.name());
        }
        let mut all = vec![
            ("samples_produced", counters.produced()),
            ("probe_faults", faults.iter().map(|(.., count)| count).sum()),
        ];
        all.extend(ledger.snapshot());
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
