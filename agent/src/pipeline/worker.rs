//! The one loop: events in, through the stages, into the store, and word to the sinks. Runs on a thread of its own.

mod gather;
mod glance;
mod keep;
mod reload;
mod rescan;
mod roll;
mod sign;
mod turn;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::watch;

pub use glance::Glance;
pub use reload::{Fresh, Reload, Settings};
pub use turn::{Spare, Turn, catch_up};

use self::gather::Gather;
use self::rescan::Scans;
use self::roll::Roll;
use super::Desk;
use super::resting::Rest;
use crate::actor::Host;
use crate::capture::{End, Input, Tape, plain};
use crate::chain::{GapKind, MarkWish};
use crate::credential::{Catalogue, Describe, Resting};
use crate::event::{Event, Fault, Loss, ProcessKey, What, tells_who_is_there};
use crate::evidence::Signing;
use crate::kernel::{Cgroups, Control, Counters, Landed, MissWatch, MountWatch, Patrol, ScopeWatch, boot_ns};
use crate::record::{Coverage, Record};
use crate::store::{Store, StoreError};
use crate::telemetry::{Ledger, Own};

/// How often credentials are looked for anew although no mount has changed, ns.
const RESCAN_NS: u64 = 10_000_000_000;
/// How often the agent says that it is there, and retention is applied, ns.
const HEARTBEAT_NS: u64 = 60_000_000_000;
/// How often the kernel is asked whether its tables were full, ns: that is a hundred calls, and what it tells is of all
/// the time since the last.
const CROWDED_NS: u64 = 5_000_000_000;
/// How long after a loss `/proc` is read again, ns: what was on its way has arrived by then.
const RECONCILE_NS: u64 = 1_000_000_000;

/// Is shown records that were stored.
pub type Show = Box<dyn FnMut(&Record) + Send>;

/// What the loop writes to and asks, beside the desk.
pub struct Surroundings {
    /// Keeps what enters, for a replay.
    pub tape: Option<Tape>,
    /// Keeps records.
    pub store: Store,
    /// Signs for what is kept.
    pub signing: Signing,
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
    pub misses: MissWatch,
    /// The v2 hierarchy, for reading `/proc` again after a loss.
    pub cgroups: Option<Cgroups>,
    /// What is watched; empty for the whole host.
    pub watched: Vec<String>,
    /// What was found at start; told again when it changes.
    pub coverage: Coverage,
    /// What can change while the agent runs, as it is read.
    pub reloads: Receiver<Reload>,
    /// What is this agent's to record, beside one before and one after it.
    pub turn: Turn,
    /// The account.
    pub ledger: Arc<Ledger>,
    /// Wall time less boot time, ns.
    pub wall_offset_ns: i64,
    /// Set when the agent is to stop: then a store without room is not waited for.
    pub stopping: Arc<AtomicBool>,
    /// Is shown every record that was stored.
    pub show: Option<Show>,
    /// What the loop shows of itself.
    pub glance: watch::Sender<Glance>,
}

/// The loop.
pub struct Worker<D, H> {
    desk: Desk<D, H>,
    around: Surroundings,
    rest: Rest,
    /// Made, and not stored yet.
    gather: Gather,
    scans: Scans,
    next_rescan_ns: u64,
    next_heartbeat_ns: u64,
    /// When `/proc` is to be read again, after a loss.
    reconcile_ns: Option<u64>,
    roll: Roll,
    /// Marks and connections for which the kernel had no room, so far, and when that was last looked at.
    crowded: (u64, u64),
}

impl<D: Describe, H: Host> Worker<D, H> {
    /// A loop that has seen nothing yet.
    #[must_use]
    pub fn new(desk: Desk<D, H>, around: Surroundings) -> Self {
        let now = boot_ns();
        Worker {
            rest: Rest::of(&desk.inventory),
            gather: Gather::default(),
            desk,
            scans: Scans::of_host(!around.watched.is_empty()),
            around,
            // The scan of the start made rules; what lies here is listed by the next one.
            next_rescan_ns: now,
            next_heartbeat_ns: now + HEARTBEAT_NS,
            reconcile_ns: None,
            roll: Roll::default(),
            crowded: (0, now),
        }
    }

    /// Stores what the agent has to say before anything happened, then what was found and seen while it started.
    ///
    /// # Errors
    /// [`StoreError`] where not even that can be stored.
    pub fn open(&mut self, since_ns: u64, early: &[Event]) -> Result<(), StoreError> {
        self.take_over();
        let first = self.cover(since_ns);
        // It stays as it is until the next start.
        self.around.coverage.own = None;
        self.store(&first)?;
        self.show_itself();
        let mut records = self.damaged(boot_ns());
        early.iter().for_each(|event| self.see(event, &mut records));
        self.store(&records)?;
        self.sign_in_time(boot_ns())
    }

    /// Works until the reader ends; then closes what is open.
    ///
    /// # Errors
    /// [`StoreError`] where the store is broken, or has no room at the end.
    pub fn run(mut self, feed: &Receiver<Vec<Event>>) -> Result<(), StoreError> {
        loop {
            let now = boot_ns();
            let left = [self.gather.left(now), self.scans.left(now)].into_iter().flatten().min();
            match feed.recv_timeout(left.unwrap_or(Duration::from_secs(1))) {
                Ok(batch) => {
                    self.spare();
                    // Between two batches: all of one is judged by the same set.
                    let mut records = self.reload();
                    records.extend(self.read(&batch));
                    self.gather.add(records);
                    // What happened does not wait for what is due from time to time.
                    self.store_what_is_due()?;
                    self.take_scan();
                    let ticks = batch.iter().any(|event| event.what == What::Tick);
                    if ticks {
                        let mut records = Vec::new();
                        self.upkeep(&mut records)?;
                        self.show_itself();
                        self.gather.add(records);
                        // What is signed for is stored.
                        let records = self.gather.rest();
                        self.store_or_wait(&records)?;
                        self.sign_in_time(boot_ns())?;
                    }
                    self.pack(ticks);
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.store_what_is_due()?;
                    self.take_scan();
                }
                Err(RecvTimeoutError::Disconnected) => return self.close(),
            }
        }
    }

    fn close(mut self) -> Result<(), StoreError> {
        let now = boot_ns();
        let mut records = self.gather.rest();
        self.close_the_roll(&mut records);
        self.crowding(now, &mut records);
        let missed = self.around.misses.look_at_all(now);
        self.missed(now, missed, &mut records);
        self.enter(&Input::Closed { time_ns: now }, &mut records);
        let counters = self.counters();
        self.enter(&Input::Beat { time_ns: now, stopped: true, counters }, &mut records);
        self.store_or_wait(&records)?;
        // The last record of an orderly end: what is missing after it was cut off.
        self.sign(now)?;
        if let Some(tape) = &mut self.around.tape {
            tape.end(End::Stopped);
        }
        self.around.store.seal()
    }

    /// The only way into the desk: what enters is kept, where somebody captures.
    fn enter(&mut self, input: &Input<'_>, records: &mut Vec<Record>) {
        let mut wishes = Vec::new();
        match &mut self.around.tape {
            None => self.desk.take(input, &mut wishes, records),
            Some(tape) => {
                tape.begin();
                self.desk.take(input, &mut wishes, records);
                tape.put(input);
            }
        }
        for MarkWish { key, flags } in wishes {
            if self.around.control.mark(key, flags).is_err() {
                self.around.ledger.marks_refused.one();
            }
        }
    }

    /// Tells what the probes can see.
    fn cover(&mut self, now: u64) -> Vec<Record> {
        let mut records = Vec::new();
        let coverage = Cow::Owned(self.around.coverage.clone());
        self.enter(&Input::Coverage { time_ns: now, coverage }, &mut records);
        records
    }

    /// An event to records, and marks into the kernel.
    fn see(&mut self, event: &Event, records: &mut Vec<Record>) {
        self.around.patrol.see(event);
        if let What::Seen(_) = event.what {
            self.around.misses.seen();
        }
        if let What::Lost(loss) | What::Refused { loss, .. } | What::Missed(loss) = &event.what
            && (loss.counts.is_empty() || loss.counts.iter().any(|(kind, _)| tells_who_is_there(*kind)))
        {
            self.reconcile_ns = Some(event.time_ns.saturating_add(RECONCILE_NS));
        }
        if !self.around.turn.is_ours(event) {
            return;
        }
        // What is captured is what the stages get, so that a replay cannot differ.
        let event = if self.around.tape.is_some() { plain(event) } else { Cow::Borrowed(event) };
        self.enter(&Input::Event { event, listed: self.rest.listed() }, records);
    }

    /// What is due from time to time.
    fn upkeep(&mut self, records: &mut Vec<Record>) -> Result<(), StoreError> {
        let now = boot_ns();
        if let Some(scope) = &mut self.around.scope {
            scope.refresh(&mut self.around.control);
        }
        if now >= self.crowded.1.saturating_add(CROWDED_NS) {
            self.crowding(now, records);
        }
        let missed = self.around.misses.look(now);
        self.missed(now, missed, records);
        if self.reconcile_ns.is_some_and(|at| now >= at) {
            self.reconcile_ns = None;
            self.call_the_roll(now);
        }
        // Probes go one after the other when the agent stops: a canary that is sent out then is half seen.
        let stopping = self.around.stopping.load(Ordering::Relaxed);
        if !stopping && let Some(landed) = self.around.patrol.look(now, &mut self.around.control) {
            records.extend(self.landed(now, landed));
        }
        if self.around.mounts.changed() || now >= self.next_rescan_ns {
            self.ask_for_scan(now);
            self.next_rescan_ns = now + RESCAN_NS;
        }
        self.list_resting(now, records);
        if now >= self.next_heartbeat_ns {
            self.next_heartbeat_ns = now + HEARTBEAT_NS;
            // What it tells of them has its gaps before it.
            let missed = self.around.misses.look_at_all(now);
            self.missed(now, missed, records);
            let counters = self.counters();
            self.enter(&Input::Beat { time_ns: now, stopped: false, counters }, records);
            self.retain(now, records)?;
        }
        Ok(())
    }

    /// Events that passed the probes by.
    fn missed(&mut self, now: u64, missed: Vec<Loss>, records: &mut Vec<Record>) {
        for loss in missed {
            self.see(&Event { time_ns: now, what: What::Missed(loss) }, records);
        }
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
        let mut records = self.cover(now);
        if silent {
            let since_ns = self.around.patrol.since_ns();
            self.see(&Event { time_ns: now, what: What::Silent { since_ns } }, &mut records);
        }
        records
    }

    /// A table of the kernel that is full is a gap: marks that are missing hide what comes after.
    fn crowding(&mut self, now: u64, records: &mut Vec<Record>) {
        let count = self.around.counters.crowded();
        let (before, since_ns) = std::mem::replace(&mut self.crowded, (count, now));
        if count > before {
            self.enter(&Input::Gap { time_ns: now, since_ns, kind: GapKind::StateFull }, records);
        }
    }

    /// Some of the credentials that lie here and are not listed yet.
    fn list_resting(&mut self, now: u64, records: &mut Vec<Record>) {
        let (mut found, me) = (Vec::new(), ProcessKey { tgid: std::process::id(), start_ns: 0 });
        let describer = self.desk.stages.describer();
        let describe = |file: &Resting| describer.describe(&file.file, me);
        self.rest.work(describe, &mut found);
        for scanned in found {
            self.enter(&Input::Scan { time_ns: now, scanned }, records);
        }
    }

    /// Name and value of everything that is counted, the kernel's side first.
    fn counters(&self) -> Vec<(String, u64)> {
        let Surroundings { counters, ledger, misses, .. } = &self.around;
        let faults = counters.faults();
        let mut all = vec![
            ("samples_produced".to_owned(), counters.produced()),
            ("probe_faults".to_owned(), faults.iter().map(|(.., count)| count).sum()),
        ];
        let named = |(source, fault, count): &(crate::event::Source, Fault, u64)| {
            (format!("probe_faults:{}:{}", source.name(), fault.name()), *count)
        };
        all.extend(faults.iter().map(named));
        let ((user, system), own) = (Own::cpu_ms(), Own::now());
        all.push(("agent_cpu_ms".to_owned(), user.saturating_add(system)));
        all.push(("agent_memory_peak_bytes".to_owned(), own.memory_peak_bytes));
        let passed = misses.counts().into_iter();
        all.extend(passed.map(|(program, count)| (format!("probe_passed:{program}"), count)));
        all.extend(ledger.snapshot().into_iter().map(|(name, count)| (name.to_owned(), count)));
        all.extend(
            self.desk.findings.counts().named().into_iter().map(|(name, count)| (name.to_owned(), count)),
        );
        all
    }
}
