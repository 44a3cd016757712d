//! The loop of a sink: from the cursor to the newest record, then wait for the next.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::file::FileTarget;
use super::stdout::StreamTarget;
use super::{SinkSpec, Target};
use crate::store::{Cursors, Reader, Store, StoreError, Stored};
use crate::telemetry::Ledger;

/// Most records a sink takes at once.
const BATCH_MAX: usize = 256;
/// After the first failure; doubled with each that follows.
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// Longest time between two attempts.
const RETRY_LONGEST: Duration = Duration::from_secs(30);

/// Why a sink could not go on at the moment.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The store.
    #[error("cannot read the store")]
    Store(#[from] StoreError),
    /// Where the records go.
    #[error("cannot write")]
    Write(#[from] io::Error),
}

impl SinkError {
    /// Nobody will ever read there again.
    fn closed(&self) -> bool {
        matches!(self, SinkError::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// How a sink ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkEnd {
    /// Everything stored is handed over.
    Drained,
    /// Time was up before that. The cursor tells how far it came; the next start goes on there.
    Deadline,
    /// Whoever read its output is gone for good. The daemon goes on without it.
    Closed,
    /// The thread that wrote for it died. Its cursor tells how far it came.
    Failed,
}

/// How much of a batch was taken.
#[derive(Debug)]
pub(super) struct Taken {
    /// Records, from the first on.
    pub(super) count: usize,
    /// Why it was not all.
    pub(super) error: Option<io::Error>,
}

impl Taken {
    pub(super) fn all(records: &[Stored]) -> Self {
        Self { count: records.len(), error: None }
    }

    pub(super) fn failed(count: usize, error: io::Error) -> Self {
        Self { count, error: Some(error) }
    }
}

/// Records as lines.
pub(super) fn lines(records: &[Stored]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(records.iter().map(|record| record.body.len() + 1).sum());
    for record in records {
        bytes.extend_from_slice(&record.body);
        bytes.push(b'\n');
    }
    bytes
}

enum Output {
    File(FileTarget),
    Stream(StreamTarget),
}

/// What works in threads where waiting is allowed.
struct Worker {
    name: String,
    reader: Reader,
    cursors: Cursors,
    output: Output,
    ledger: Arc<Ledger>,
    /// Up to here everything is taken; the stored cursor may be behind it after an error.
    at: u64,
}

impl Worker {
    /// Hands over one batch. `false`: there was none.
    fn step(&mut self) -> Result<bool, SinkError> {
        let records = self.reader.after(self.at, BATCH_MAX)?;
        if records.is_empty() {
            return Ok(false);
        }
        let taken = match &mut self.output {
            Output::File(file) => file.write(&records),
            Output::Stream(stream) => stream.write(&records),
        };
        if let Some(last) = taken.count.checked_sub(1).and_then(|last| records.get(last)) {
            self.at = last.seq;
            self.ledger.records_forwarded.add(u64::try_from(taken.count).unwrap_or(u64::MAX));
        }
        self.cursors.advance(&self.name, self.at)?;
        match taken.error {
            Some(error) => Err(SinkError::Write(error)),
            None => Ok(true),
        }
    }

    /// The cursor as it is, and what was written on the disk.
    fn finish(&mut self) -> Result<(), SinkError> {
        if let Output::File(file) = &mut self.output {
            file.sync()?;
        }
        self.cursors.advance(&self.name, self.at)?;
        Ok(())
    }
}

/// A sink, ready to run.
pub struct Sink {
    worker: Worker,
    stored: watch::Receiver<u64>,
    stop: watch::Receiver<Option<Instant>>,
}

impl Sink {
    /// A sink on a store. `stored` tells the number of the last record stored, `stop` until when it may still hand over
    /// what is stored, once it is to stop; `stored` must have its last value before that.
    ///
    /// # Errors
    /// [`SinkError`] where the store cannot be read, or there is no standard output.
    pub fn new(
        spec: SinkSpec,
        store: &Store,
        reader: Reader,
        stored: watch::Receiver<u64>,
        stop: watch::Receiver<Option<Instant>>,
        ledger: Arc<Ledger>,
    ) -> Result<Self, SinkError> {
        let output = match spec.target {
            Target::Stdout => Output::Stream(StreamTarget::stdout()?),
            Target::File { path } => Output::File(FileTarget::new(path)),
        };
        let cursors = store.cursors()?;
        let at = cursors.cursor(&spec.name)?;
        Ok(Self { worker: Worker { name: spec.name, reader, cursors, output, ledger, at }, stored, stop })
    }

    /// For tests: the same, with another stream in the place of standard output.
    #[cfg(test)]
    pub(super) fn with_stream(mut self, stream: Box<dyn io::Write + Send>) -> Self {
        self.worker.output = Output::Stream(StreamTarget::new(stream));
        self
    }

    /// Runs until told to stop. Fails never: what goes wrong is tried again, counted and logged.
    pub async fn run(self) -> SinkEnd {
        let Sink { mut worker, mut stored, mut stop } = self;
        let name = worker.name.clone();
        let mut pause = RETRY_FIRST;
        loop {
            // Looked at before the step: what comes during it shows as a change, and makes for one more.
            stored.borrow_and_update();
            let stopping = stop.borrow_and_update().is_some();
            let result = match blocking(worker, &mut stop, Worker::step).await {
                Ok((back, result)) => {
                    worker = back;
                    result
                }
                Err(end) => return ended(&name, end),
            };
            match result {
                Ok(true) => pause = RETRY_FIRST,
                Ok(false) if stopping => break,
                Ok(false) => wait(&mut stored, &mut stop).await,
                Err(error) if error.closed() => {
                    warn!(sink = name, "nobody reads its output any more; it stays where it is");
                    return SinkEnd::Closed;
                }
                Err(error) => {
                    worker.ledger.forward_retries.one();
                    if pause == RETRY_FIRST {
                        let why = std::error::Error::source(&error).map(ToString::to_string);
                        warn!(sink = name, %error, why, "trying again, ever more slowly");
                    }
                    if !paused(pause, &mut stop).await {
                        return ended(&name, SinkEnd::Deadline);
                    }
                    pause = (pause * 2).min(RETRY_LONGEST);
                }
            }
        }
        match blocking(worker, &mut stop, Worker::finish).await {
            Ok((_, Ok(()))) => ended(&name, SinkEnd::Drained),
            Ok((_, Err(error))) => {
                warn!(sink = name, %error, "handed over, but not known to be on the disk");
                SinkEnd::Drained
            }
            Err(end) => ended(&name, end),
        }
    }
}

fn ended(name: &str, end: SinkEnd) -> SinkEnd {
    info!(sink = name, ?end, "sink ended");
    end
}

/// Runs a step of the worker where it may block, and takes it back. Past the deadline it is given up.
async fn blocking<T: Send + 'static>(
    mut worker: Worker,
    stop: &mut watch::Receiver<Option<Instant>>,
    work: fn(&mut Worker) -> Result<T, SinkError>,
) -> Result<(Worker, Result<T, SinkError>), SinkEnd> {
    let mut step = spawn_blocking(move || {
        let result = work(&mut worker);
        (worker, result)
    });
    loop {
        let deadline = *stop.borrow_and_update();
        tokio::select! {
            joined = &mut step => return joined.map_err(|_| SinkEnd::Failed),
            () = passed(deadline) => return Err(SinkEnd::Deadline),
            () = stopped(stop) => {}
        }
    }
}

/// Waits before the next attempt; `false` where the deadline comes first. The order to stop cuts it short.
async fn paused(pause: Duration, stop: &mut watch::Receiver<Option<Instant>>) -> bool {
    let deadline = *stop.borrow_and_update();
    tokio::select! {
        () = passed(deadline) => false,
        () = sleep(pause) => true,
        () = stopped(stop) => true,
    }
}

/// Until a deadline, if there is one.
async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Until there is something new, or it is to stop.
async fn wait(stored: &mut watch::Receiver<u64>, stop: &mut watch::Receiver<Option<Instant>>) {
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
        () = stopped(stop) => {}
    }
}

/// Until the order to stop changes. Who could give one and is gone has not given any: then never.
async fn stopped(stop: &mut watch::Receiver<Option<Instant>>) {
    if stop.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
