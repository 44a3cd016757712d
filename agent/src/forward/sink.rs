//! The loop of a sink: from the cursor to the newest record, then wait for the next.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::deliver::{Deliver, DeliverError, Failure, Fate, Outcome, StepError, reason};
use super::encodings::{Encodings, Filters, Item, Passing};
use super::stop::{Stop, passed, stopped, until};
use super::ways::output;
use crate::config::{Format, SinkConfig};
use crate::record::now_ns;
use crate::store::{self, Cursors, Progress, Reader, SetAside, Store, StoreError};
use crate::telemetry::Ledger;

/// Most records a sink takes at once.
const BATCH_MAX: usize = 256;
/// After the first failure; doubled with each that follows.
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// Longest time between two attempts.
const RETRY_LONGEST: Duration = Duration::from_secs(30);
/// How often a sink with nothing to do looks after what it handed over, where that may be lost.
const LOOK: Duration = Duration::from_secs(1);
/// Longest time that a receiver may ask for.
const ASKED_LONGEST: Duration = Duration::from_secs(15 * 60);

/// Why there is no sink.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The store.
    #[error("cannot read the store")]
    Store(#[from] StoreError),
    /// There is no standard output.
    #[error("cannot write")]
    Write(#[from] io::Error),
}

/// How a sink ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkEnd {
    /// Everything stored is handed over.
    Drained,
    /// What was under way is; the rest is the next agent's.
    Left,
    /// Time was up before that. The cursor tells how far it came; the next start goes on there.
    Deadline,
    /// Whoever read its output is gone for good. The daemon goes on without it.
    Closed,
    /// The thread that wrote for it died. Its cursor tells how far it came.
    Failed,
}

/// What works in threads where waiting is allowed.
struct Worker {
    name: String,
    reader: Reader,
    cursors: Cursors,
    output: Box<dyn Deliver>,
    format: Format,
    passing: Passing,
    encodings: Arc<Encodings>,
    ledger: Arc<Ledger>,
    /// Read from the store and not settled yet, in their order.
    window: VecDeque<Arc<Item>>,
    /// Up to here the store was read.
    read: u64,
    /// Up to here the cursor is written down.
    written: u64,
    /// Up to here something was stored, when this step began.
    newest: u64,
    /// Set aside, and not yet known to the store.
    aside: Vec<SetAside>,
    /// Taken, and not yet known to the store.
    taken: u64,
    /// The store says that something is wrong.
    failing: bool,
}

impl Worker {
    /// Hands over one batch. `false`: there was none, or nothing is left to do.
    fn step(&mut self) -> Result<bool, StepError> {
        if self.window.is_empty() {
            if !self.fill()? {
                return self.check().map(|()| false);
            }
            if self.window.is_empty() {
                return self.handed_over();
            }
        }
        let Outcome { fates, failure } = self.output.deliver(self.window.make_contiguous());
        self.settle(fates);
        match failure {
            Some(failure) => {
                self.ledger.forward_retries.one();
                // What went before the failure is settled; what went wrong is told after it.
                if self.taken > 0 || !self.aside.is_empty() {
                    self.remember()?;
                }
                self.failed(&failure.why)?;
                Err(StepError::Deliver(failure))
            }
            None => self.handed_over(),
        }
    }

    /// A batch is done. Where it was the last, nobody has to come back and ask the store for more.
    fn handed_over(&mut self) -> Result<bool, StepError> {
        self.remember()?;
        Ok(!self.window.is_empty() || self.read < self.newest || self.output.watches())
    }

    /// With nothing to hand over, looks after what was.
    fn check(&mut self) -> Result<(), StepError> {
        let Err(why) = self.output.check() else {
            return if self.failing { self.remember() } else { Ok(()) };
        };
        self.ledger.forward_retries.one();
        self.failed(&why)?;
        Err(StepError::Deliver(Failure { why, after: None, closed: false }))
    }

    fn failed(&mut self, why: &DeliverError) -> Result<(), StepError> {
        self.failing = true;
        Ok(self.cursors.failed(&self.name, &reason(&why.to_string()), now_ns())?)
    }

    /// Reads the next records. `false`: there are none.
    fn fill(&mut self) -> Result<bool, StepError> {
        self.passing.refresh();
        for stored in self.reader.after(self.read, BATCH_MAX)? {
            let seq = stored.seq;
            match self.encodings.item(self.format, stored, &self.passing) {
                Ok(Some(item)) => self.window.push_back(item),
                Ok(None) => self.ledger.records_filtered.one(),
                Err(error) => self.set_aside(seq, error.to_string()),
            }
            self.read = seq;
        }
        // Also where none is for this sink, the cursor has to move.
        Ok(!self.window.is_empty() || self.read > self.written)
    }

    fn settle(&mut self, fates: Vec<Fate>) {
        let rest = self.window.split_off(fates.len().min(self.window.len()));
        let tried = std::mem::replace(&mut self.window, rest);
        let mut again = VecDeque::new();
        for (item, fate) in tried.into_iter().zip(fates) {
            match fate {
                Fate::Taken => {
                    self.taken += 1;
                    self.ledger.records_forwarded.one();
                }
                Fate::Refused(why) => self.set_aside(item.seq, why),
                Fate::Again => again.push_back(item),
            }
        }
        again.append(&mut self.window);
        self.window = again;
    }

    fn set_aside(&mut self, seq: u64, why: String) {
        warn!(sink = self.name, seq, why, "a record was refused for good and is set aside");
        self.ledger.records_set_aside.one();
        self.aside.push(SetAside { seq, time_ns: now_ns(), reason: why });
    }

    /// Writes down how far it came. Where that fails, what is not written down is told with the next batch.
    fn remember(&mut self) -> Result<(), StepError> {
        // Behind the first that is not settled, others may be: after a crash these come twice.
        let seq = self.window.front().map_or(self.read, |first| first.seq.saturating_sub(1));
        let progress = Progress { seq, taken: self.taken, set_aside: std::mem::take(&mut self.aside) };
        if let Err(error) = self.cursors.settle(&self.name, &progress) {
            self.aside = progress.set_aside;
            return Err(error.into());
        }
        self.taken = 0;
        self.written = seq;
        self.failing = false;
        Ok(())
    }

    /// The cursor as it is, and what was written on the disk.
    fn finish(&mut self) -> Result<(), StepError> {
        let failure = |error| Failure { why: DeliverError::io("finish")(error), after: None, closed: false };
        self.output.finish().map_err(|error| StepError::Deliver(failure(error)))?;
        self.remember()
    }
}

/// What all sinks share with the daemon.
#[derive(Clone)]
pub struct Around {
    /// The number of the last record stored.
    pub stored: watch::Receiver<u64>,
    /// How sinks are to stop, once they are.
    pub stop: watch::Receiver<Option<Stop>>,
    /// The counters.
    pub ledger: Arc<Ledger>,
    /// What was encoded lately.
    pub encodings: Arc<Encodings>,
    /// Filters that are newer than those of the config.
    pub filters: watch::Receiver<Filters>,
}

/// A sink, ready to run.
pub struct Sink {
    worker: Worker,
    stored: watch::Receiver<u64>,
    stop: watch::Receiver<Option<Stop>>,
}

impl Sink {
    /// A sink on a store. `stored` tells the number of the last record stored, `stop` how it is to stop, once it is;
    /// `stored` must have its last value before that.
    ///
    /// # Errors
    /// [`SinkError`] where the store cannot be read, or there is no standard output.
    pub fn new(config: SinkConfig, store: &Store, reader: Reader, around: Around) -> Result<Self, SinkError> {
        let SinkConfig { name, kind, format, filter } = config;
        let output = output(kind, format)?;
        let cursors = store.cursors()?;
        let read = cursors.cursor(&name)?;
        let Around { stored, stop, ledger, encodings, filters } = around;
        let worker = Worker {
            passing: Passing::new(filter).following(&name, filters),
            name,
            reader,
            cursors,
            output,
            format,
            encodings,
            ledger,
            window: VecDeque::new(),
            read,
            written: read,
            newest: 0,
            aside: Vec::new(),
            taken: 0,
            failing: true, // until it is shown not to be: the last run may have ended so
        };
        Ok(Self { worker, stored, stop })
    }

    /// For tests: the same, handing over to something else.
    #[cfg(test)]
    pub(super) fn with_output(mut self, output: Box<dyn Deliver>) -> Self {
        self.worker.output = output;
        self
    }

    /// Runs until told to stop. Fails never: what goes wrong is tried again, counted and logged.
    pub async fn run(self) -> SinkEnd {
        let Sink { mut worker, mut stored, mut stop } = self;
        let name = worker.name.clone();
        let mut pause = RETRY_FIRST;
        let look = worker.output.watches().then_some(LOOK);
        let end = loop {
            // Looked at before the step: what comes during it shows as a change, and makes for one more.
            // The order first: behind it, nothing is stored any more.
            let order = *stop.borrow_and_update();
            worker.newest = *stored.borrow_and_update();
            if order.is_some_and(|order| order.leaves) {
                break SinkEnd::Left;
            }
            let result = match blocking(worker, &mut stop, Worker::step).await {
                Ok((back, result)) => {
                    worker = back;
                    result
                }
                Err(end) => return ended(&name, end),
            };
            match result {
                Ok(true) => pause = RETRY_FIRST,
                Ok(false) if order.is_some() => break SinkEnd::Drained,
                Ok(false) => {
                    pause = RETRY_FIRST;
                    wait(&mut stored, &mut stop, look).await;
                }
                Err(StepError::Deliver(Failure { closed: true, .. })) => {
                    warn!(sink = name, "nobody reads its output any more; it stays where it is");
                    return SinkEnd::Closed;
                }
                Err(error) => {
                    if pause == RETRY_FIRST {
                        warn!(sink = name, %error, "trying again, ever more slowly");
                    }
                    let asked = match &error {
                        StepError::Deliver(failure) => failure.after.map(|after| after.min(ASKED_LONGEST)),
                        StepError::Store(StoreError::Corrupt { path, .. }) => {
                            // Set aside when the store is opened next; until then this sink stays where it is.
                            store::suspect(path);
                            None
                        }
                        StepError::Store(_) => None,
                    };
                    let wait = asked.map_or(jittered(pause), |asked| asked.max(jittered(pause)));
                    if !paused(wait, &mut stop).await {
                        return ended(&name, SinkEnd::Deadline);
                    }
                    pause = (pause * 2).min(RETRY_LONGEST);
                }
            }
        };
        match blocking(worker, &mut stop, Worker::finish).await {
            Ok((_, Ok(()))) => ended(&name, end),
            Ok((_, Err(error))) => {
                warn!(sink = name, %error, "handed over, but not known to be on the disk");
                end
            }
            Err(end) => ended(&name, end),
        }
    }
}

fn ended(name: &str, end: SinkEnd) -> SinkEnd {
    info!(sink = name, ?end, "sink ended");
    end
}

/// Between half of a pause and all of it, so that a fleet does not come back in one moment.
fn jittered(pause: Duration) -> Duration {
    // Each of these is seeded by the system.
    let random = RandomState::new().build_hasher().finish() % 1_000;
    pause.mul_f64(0.5 + random as f64 / 2_000.0)
}

/// Runs a step of the worker where it may block, and takes it back. Past the deadline it is given up.
async fn blocking<T: Send + 'static>(
    mut worker: Worker,
    stop: &mut watch::Receiver<Option<Stop>>,
    work: fn(&mut Worker) -> Result<T, StepError>,
) -> Result<(Worker, Result<T, StepError>), SinkEnd> {
    let mut step = spawn_blocking(move || {
        let result = work(&mut worker);
        (worker, result)
    });
    loop {
        let deadline = until(*stop.borrow_and_update());
        tokio::select! {
            joined = &mut step => return joined.map_err(|_| SinkEnd::Failed),
            () = passed(deadline) => return Err(SinkEnd::Deadline),
            () = stopped(stop) => {}
        }
    }
}

/// Waits before the next attempt; `false` where the deadline comes first. The order to stop cuts it short.
async fn paused(pause: Duration, stop: &mut watch::Receiver<Option<Stop>>) -> bool {
    let deadline = until(*stop.borrow_and_update());
    tokio::select! {
        () = passed(deadline) => false,
        () = sleep(pause) => true,
        () = stopped(stop) => true,
    }
}

/// Until there is something new, or something to look after, or it is to stop.
async fn wait(
    stored: &mut watch::Receiver<u64>,
    stop: &mut watch::Receiver<Option<Stop>>,
    look: Option<Duration>,
) {
    // Seen during the step before: nothing would change any more.
    if stop.borrow().is_some() {
        return;
    }
    tokio::select! {
        changed = stored.changed() => {
            if changed.is_err() {
                // The writer is gone; all that can still come is the order to stop.
                stopped(stop).await;
            }
        }
        () = passed(look.map(|look| Instant::now() + look)) => {}
        () = stopped(stop) => {}
    }
}
