//! One life of the daemon: start, be ready, wait, stop. What stops first is what makes work for the others.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::live::{Live, style};
use super::wiring::{Hands, Shared, Watching, early, watch_host, worker};
use super::{Failure, RunOptions};
use crate::config::{Config, SinkKind};
use crate::credential::Catalogue;
use crate::forward::{Sink, SinkEnd, SinkError, SinkSpec, Target};
use crate::kernel::{Covered, Host, Kernel};
use crate::store::{Reader, Store, StoreError};
use crate::telemetry::Ledger;

/// How long sinks may still hand over what is stored when the agent stops.
const DRAIN: Duration = Duration::from_secs(5);

/// How often the probes' messages are looked for, where they are on.
const PROBE_LOG_PAUSE: Duration = Duration::from_millis(100);

type Ended = oneshot::Receiver<Result<(), StoreError>>;

/// From start to stop.
pub(super) async fn run(
    options: &RunOptions,
    host: &mut Host,
    catalogue: &Arc<Catalogue>,
    store: Store,
    stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let ledger = Arc::new(Ledger::default());
    let config = &options.config;
    // Before anything is told to be ready: a signal that comes at that moment must find somebody listening.
    let signals = Signals::listen()?;
    let mut watching = watch_host(options, host, catalogue, &ledger)?;
    tell(&watching.covered)?;
    watching.kernel.forget_btf();
    host.btf = Vec::new();
    let early = early(options, host, catalogue, &mut watching, &ledger)?;
    let Watching { mut kernel, control, counters, reader, feed, scope, mounts, since_ns, covered, cgroups } =
        watching;

    let (stored, stored_rx) = watch::channel(store.last_seq());
    let mut sinks = Sinks::start(config, &store, &stored_rx, &ledger)?;
    let live = options.live.then(Live::start).transpose().map_err(Failure::system("start the live view"))?;
    let show = live.as_ref().map(|live| live.shower(style(), Arc::clone(&ledger)));
    let stopping = Arc::new(AtomicBool::new(false));
    let shared = Shared { ledger: Arc::clone(&ledger), stopping: Arc::clone(&stopping), stored, show };
    let (proofs, passed, coverage) = (covered.proofs, kernel.passed(), early.coverage.clone());
    let hands = Hands { control, counters, scope, mounts, proofs, passed, cgroups, coverage };
    let mut worker = worker(config, host, catalogue, store, hands, shared)?;
    worker.open(|builder| builder.coverage(since_ns, &early.coverage), &early.events)?;
    let (told, mut ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("spoor-pipeline".into())
        .spawn(move || {
            // Nobody waits for the word any more only when the daemon is gone.
            let _ = told.send(worker.run(&feed));
        })
        .map_err(Failure::system("start the pipeline"))?;
    let probe_log = config.log.probes.map(|_| probe_log(&mut kernel));
    ready(options.ready_file.as_deref())?;

    let early_end = until_stop(signals, stop, &mut ended, &ledger).await?;
    notify(&[NotifyState::Stopping]);
    stopping.store(true, Ordering::Relaxed);
    kernel.detach_all();
    reader.stop();
    let outcome = match early_end {
        Some(outcome) => outcome,
        None => ended.await.map_err(|_| died("the pipeline"))?,
    };
    sinks.drain().await;
    drop(probe_log);
    if let Some(live) = live {
        live.finish();
    }
    outcome.map_err(Failure::from)
}

fn died(what: &str) -> Failure {
    Failure::System { what: what.into(), error: std::io::Error::other("its thread died") }
}

/// Says in the log what is covered and what is not. Without any signal there is nothing to run for.
fn tell(covered: &Covered) -> Result<(), Failure> {
    let uncovered = covered.uncovered();
    for signal in &covered.signals {
        match signal.tier {
            Some(tier) => {
                tracing::info!("{}: {} ({})", signal.signal.name(), tier.name(), signal.attach.join(", "));
            }
            None => tracing::error!("{}: NOT COVERED; `spoor doctor` tells why", signal.signal.name()),
        }
    }
    if let Some(failure) = &covered.canary_failure {
        tracing::error!("the canary, which is to prove what is covered, could not act: {failure}");
    }
    if uncovered.len() == covered.signals.len() { Err(Failure::Uncovered) } else { Ok(()) }
}

/// Makes the ready file and tells systemd.
fn ready(file: Option<&Path>) -> Result<(), Failure> {
    if let Some(path) = file {
        File::create(path).map_err(Failure::system(format!("make the ready file {}", path.display())))?;
    }
    notify(&[NotifyState::Ready]);
    tracing::info!("ready");
    Ok(())
}

fn notify(states: &[NotifyState<'_>]) {
    // Without systemd there is nobody to tell, and that is no failure.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd was not told: {error}");
    }
}

/// The signals that tell the daemon to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let wanted = |kind| signal(kind).map_err(Failure::system("listen to signals"));
        Ok(Signals {
            terminate: wanted(SignalKind::terminate())?,
            interrupt: wanted(SignalKind::interrupt())?,
        })
    }
}

/// Waits for a signal, for `stop`, or for the pipeline's end. Tells the watchdog that the pipeline moves.
async fn until_stop(
    mut signals: Signals,
    mut stop: watch::Receiver<bool>,
    ended: &mut Ended,
    ledger: &Ledger,
) -> Result<Option<Result<(), StoreError>>, Failure> {
    let watchdog = sd_notify::watchdog_enabled();
    let mut beat = tokio::time::interval(watchdog.unwrap_or(Duration::from_secs(3_600)) / 3);
    let mut moved = 0;
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return Ok(None),
            _ = signals.interrupt.recv() => return Ok(None),
            // An error means that nobody can tell to stop but by signal.
            Ok(()) = stop.changed() => return Ok(None),
            outcome = &mut *ended => return outcome.map(Some).map_err(|_| died("the pipeline")),
            _ = beat.tick() => {
                // Ticks come twice a second, so a pipeline that works takes events; one that waits for room on the disk
                // tries again.
                let now = ledger.events_in.get() + ledger.store_retries.get();
                if watchdog.is_some() && now != moved {
                    notify(&[NotifyState::Watchdog]);
                }
                moved = now;
            }
        }
    }
}

/// The running sinks.
struct Sinks {
    running: JoinSet<SinkEnd>,
    stop: watch::Sender<Option<Instant>>,
}

impl Sinks {
    fn start(
        config: &Config,
        store: &Store,
        stored: &watch::Receiver<u64>,
        ledger: &Arc<Ledger>,
    ) -> Result<Self, Failure> {
        let (stop, stopped) = watch::channel(None);
        let mut running = JoinSet::new();
        for sink in &config.sinks {
            let target = match &sink.kind {
                SinkKind::Stdout => Target::Stdout,
                SinkKind::File { path } => Target::File { path: path.clone() },
            };
            let spec = SinkSpec { name: sink.name.clone(), target };
            let reader = Reader::open(&config.store.path)?;
            let sink = Sink::new(spec, store, reader, stored.clone(), stopped.clone(), Arc::clone(ledger))
                .map_err(|error| match error {
                    SinkError::Store(error) => Failure::Store(error),
                    other => Failure::System {
                        what: format!("sink {}", sink.name),
                        error: std::io::Error::other(other),
                    },
                })?;
            running.spawn(sink.run());
        }
        Ok(Sinks { running, stop })
    }

    /// Gives them time to hand over what is stored.
    async fn drain(&mut self) {
        // Without sinks nobody listens.
        let _ = self.stop.send(Some(Instant::now() + DRAIN));
        while let Some(end) = self.running.join_next().await {
            match end {
                Ok(SinkEnd::Drained) => {}
                Ok(end) => tracing::warn!(
                    "a sink has not handed over everything ({end:?}); it goes on at the next start"
                ),
                Err(error) => tracing::error!("a sink died: {error}"),
            }
        }
    }
}

/// Carries the probes' messages into the log, for as long as what it gives is kept.
fn probe_log(kernel: &mut Kernel) -> JoinSet<()> {
    let mut task = JoinSet::new();
    let Some(mut logger) = kernel.logger() else {
        tracing::warn!("the probes' messages cannot be read");
        return task;
    };
    task.spawn(async move {
        let mut pause = tokio::time::interval(PROBE_LOG_PAUSE);
        loop {
            pause.tick().await;
            logger.flush();
        }
    });
    task
}
