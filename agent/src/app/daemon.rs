//! One life of the daemon: start, be ready, wait, stop. What stops first is what makes work for the others.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::handover::{Post, Relief, Successor};
use super::live::{Live, style};
use super::reload::{InForce, Reloader, filters};
use super::status::{Doors, Moves, Source, Started};
use super::trim::trim;
use super::wiring::{Hands, Shared, Watching, early, watch_host, worker};
use super::{Failure, RunOptions, identity};
use crate::actor::Files;
use crate::capture::Taped;
use crate::config::Config;
use crate::credential::{Catalogue, Describer};
use crate::forward::{Around, Filters, Sink, SinkEnd, SinkError, Stop};
use crate::kernel::{Counters, Covered, Feed, Host, Kernel, ReaderHandle, boot_ns, privileges};
use crate::pipeline::worker::{Glance, Turn, Worker};
use crate::store::{Reader, Store, StoreError};
use crate::telemetry::Ledger;

/// How long sinks may still hand over what is stored when the agent stops.
const DRAIN: Duration = Duration::from_secs(5);

/// How long what is under way may take when another agent takes over.
const LEAVE: Duration = Duration::from_secs(1);

/// How often the probes' messages are looked for, where they are on.
const PROBE_LOG_PAUSE: Duration = Duration::from_millis(100);

type Ended = oneshot::Receiver<Result<(), StoreError>>;

/// What is to end in order.
struct Running {
    signals: Signals,
    stop: watch::Receiver<bool>,
    relief: Relief,
    reloader: Reloader,
    doors: Doors,
    kernel: Kernel,
    reader: ReaderHandle,
    ended: Ended,
    sinks: Sinks,
    live: Option<Live>,
    ledger: Arc<Ledger>,
    stopping: Arc<AtomicBool>,
    until_ns: Arc<AtomicU64>,
    watchdog: Option<Duration>,
}

/// From start to stop.
pub(super) async fn run(
    options: &RunOptions,
    host: &mut Host,
    catalogue: &Arc<Catalogue>,
    post: Post,
    stop: watch::Receiver<bool>,
) -> Result<(), Failure> {
    let (started, config, ledger) = (Started::now(), &options.config, Arc::new(Ledger::default()));
    // Where another agent is there, the address is its own until it is gone.
    let doors = if let Post::Free(_) = post { Some(Doors::take(config)?) } else { None };
    // Before anything is told to be ready: a signal that comes at that moment must find somebody listening.
    let signals = Signals::listen()?;
    let mut watching = watch_host(options, host, catalogue, &ledger)?;
    if let Post::Taken(before) = &post {
        before.be_spared(&mut watching.control);
    }
    tell(&watching.covered)?;
    let probe_log = config.log.probes.map(|_| probe_log(&mut watching.kernel));
    watching.kernel.settle().map_err(Failure::system("hold the probes"))?;
    privileges::give_up().map_err(Failure::system("give up the privileges of loading"))?;
    host.btf = Vec::new();
    let mut early = early(options, host, catalogue, &mut watching, &ledger)?;
    let watchdog = post.watchdog();
    let (store, from_ns) = post.open(config, &watching.feed, &mut early.events)?;
    let mut doors = doors.map_or_else(|| Doors::take(config), Ok)?;
    let Watching { kernel, control, counters, reader, feed, scope, mounts, since_ns, covered, cgroups } =
        watching;

    let (stored, stored_rx) = watch::channel(store.last_seq());
    let (filtered, filters_rx) = watch::channel(filters(config));
    let sinks = Sinks::start(config, &store, (&stored_rx, filters_rx), &ledger)?;
    let live = options.live.then(Live::start).transpose().map_err(Failure::system("start the live view"))?;
    let show = live.as_ref().map(|live| live.shower(style(), Arc::clone(&ledger)));
    let stopping = Arc::new(AtomicBool::new(false));
    let in_force = InForce::new(options, catalogue, filtered);
    let (reloader, reloads) = Reloader::start(in_force).map_err(Failure::system("start a thread"))?;
    let (glance, glanced) = watch::channel(Glance::default());
    let source = source(options, host, started, &ledger, &counters, glanced);
    let until_ns = Arc::new(AtomicU64::new(u64::MAX));
    let (spare, spares) = mpsc::channel();
    let shared = Shared {
        ledger: Arc::clone(&ledger),
        stopping: Arc::clone(&stopping),
        stored,
        show,
        reloads,
        turn: Turn { from_ns, until_ns: Arc::clone(&until_ns), spares },
        glance,
    };
    let (proofs, passed, coverage) = (covered.proofs, kernel.passed(), early.coverage);
    let hands = Hands { control, counters, scope, mounts, proofs, passed, cgroups, coverage };
    let mut worker = worker(options, host, catalogue, store, hands, shared)?;
    worker.open(since_ns.max(from_ns), &early.events)?;
    drop(early.events);
    let ended = pipeline(worker, feed)?;
    let relief = Relief::attend(spare, watchdog);
    doors.open(source, relief.asked.clone());
    trim();
    ready(options.ready_file.as_deref())?;
    let running = Running {
        signals,
        stop,
        relief,
        reloader,
        doors,
        kernel,
        reader,
        ended,
        sinks,
        live,
        ledger,
        stopping,
        until_ns,
        watchdog,
    };
    let outcome = running.until_the_end().await;
    drop(probe_log);
    outcome
}

/// The pipeline's thread. Gives where it says how it ended.
fn pipeline(worker: Worker<Taped<Describer>, Taped<Files>>, feed: Feed) -> Result<Ended, Failure> {
    let (told, ended) = oneshot::channel();
    let thread = std::thread::Builder::new().name("spoor-pipeline".into());
    let work = move || {
        // Nobody waits for the word any more only when the daemon is gone.
        let _ = told.send(worker.run(&feed));
    };
    thread.spawn(work).map_err(Failure::system("start the pipeline"))?;
    Ok(ended)
}

/// Why it ends.
enum End {
    /// It was told to.
    Stop,
    /// Somebody takes over.
    Relieved(Successor),
    /// The pipeline has ended.
    Pipeline(Result<(), StoreError>),
}

impl Running {
    async fn until_the_end(mut self) -> Result<(), Failure> {
        let end = self.until_end().await?;
        let until_ns = boot_ns();
        if let End::Relieved(_) = end {
            self.until_ns.store(until_ns, Ordering::Relaxed);
        } else {
            notify(&[NotifyState::Stopping]);
        }
        self.stopping.store(true, Ordering::Relaxed);
        // Before the store is given up: the next agent on it has a socket of that name.
        self.doors.close().await;
        self.kernel.detach_all();
        self.reader.stop();
        let (outcome, successor) = match end {
            End::Pipeline(outcome) => (outcome, None),
            End::Stop => (self.ended.await.map_err(|_| died("the pipeline"))?, None),
            End::Relieved(successor) => {
                (self.ended.await.map_err(|_| died("the pipeline"))?, Some(successor))
            }
        };
        // What is stored, whoever takes over goes on with: they wait for us, and their rings fill.
        self.sinks.end(if successor.is_some() { Stop::left(LEAVE) } else { Stop::drained(DRAIN) }).await;
        if let (Some(successor), Ok(())) = (successor, &outcome) {
            successor.go(until_ns).await;
        }
        if let Some(live) = self.live {
            live.finish();
        }
        outcome.map_err(Failure::from)
    }

    /// Waits for a signal, for `stop`, for somebody to take over, or for the pipeline's end; beside a live view, a hangup is
    /// an end too. Tells the watchdog that the pipeline moves.
    async fn until_end(&mut self) -> Result<End, Failure> {
        let mut beat = tokio::time::interval(self.watchdog.unwrap_or(Duration::from_secs(3_600)) / 3);
        let mut moved = 0;
        loop {
            tokio::select! {
                _ = self.signals.terminate.recv() => return Ok(End::Stop),
                _ = self.signals.interrupt.recv() => return Ok(End::Stop),
                _ = self.signals.hangup.recv() => match self.live {
                    None => self.reloader.ask(),
                    // Whoever looked on is gone, and their terminal with them.
                    Some(_) => return Ok(End::Stop),
                },
                // An error means that nobody can tell to stop but by signal.
                Ok(()) = self.stop.changed() => return Ok(End::Stop),
                successor = self.relief.come() => return Ok(End::Relieved(successor)),
                outcome = &mut self.ended => {
                    return outcome.map(End::Pipeline).map_err(|_| died("the pipeline"));
                }
                _ = beat.tick() => {
                    // Ticks come twice a second, so a pipeline that works takes events; one that waits for room on the
                    // disk tries again.
                    let now = self.ledger.events_in.get() + self.ledger.store_retries.get();
                    if self.watchdog.is_some() && now != moved {
                        notify(&[NotifyState::Watchdog]);
                    }
                    moved = now;
                }
            }
        }
    }
}

/// What the status is put together from.
fn source(
    options: &RunOptions,
    host: &Host,
    started: Started,
    ledger: &Arc<Ledger>,
    counters: &Arc<Counters>,
    glance: watch::Receiver<Glance>,
) -> Source {
    let config = &options.config;
    Source {
        ledger: Arc::clone(ledger),
        counters: Arc::clone(counters),
        glance,
        host: identity::host(host.boot_id),
        kernel: host.release.clone(),
        store: config.store.path.clone(),
        sinks: config.sinks.iter().map(|sink| sink.name.clone()).collect(),
        config: options.config_path.clone(),
        listen: None,
        started,
        moves: Arc::new(Mutex::new(Moves::new(std::time::Instant::now()))),
        last: Mutex::new(None),
    }
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

pub(super) fn notify(states: &[NotifyState<'_>]) {
    // Without systemd there is nobody to tell, and that is no failure.
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd was not told: {error}");
    }
}

/// The signals that tell the daemon to stop, or to read config and purposes again.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let wanted = |kind| signal(kind).map_err(Failure::system("listen to signals"));
        Ok(Signals {
            terminate: wanted(SignalKind::terminate())?,
            interrupt: wanted(SignalKind::interrupt())?,
            hangup: wanted(SignalKind::hangup())?,
        })
    }
}

/// The running sinks.
struct Sinks {
    running: JoinSet<SinkEnd>,
    stop: watch::Sender<Option<Stop>>,
}

impl Sinks {
    fn start(
        config: &Config,
        store: &Store,
        (stored, filters): (&watch::Receiver<u64>, watch::Receiver<Filters>),
        ledger: &Arc<Ledger>,
    ) -> Result<Self, Failure> {
        let (stop, stopped) = watch::channel(None);
        let mut running = JoinSet::new();
        let around = Around {
            stored: stored.clone(),
            stop: stopped,
            ledger: Arc::clone(ledger),
            encodings: Arc::default(),
            filters,
        };
        for sink in &config.sinks {
            let name = sink.name.clone();
            let reader = Reader::open(&config.store.path)?;
            let sink =
                Sink::new(sink.clone(), store, reader, around.clone()).map_err(|error| match error {
                    SinkError::Store(error) => Failure::Store(error),
                    other => {
                        Failure::System { what: format!("sink {name}"), error: std::io::Error::other(other) }
                    }
                })?;
            running.spawn(sink.run());
        }
        Ok(Sinks { running, stop })
    }

    /// Has them stop, and waits until they have.
    async fn end(&mut self, order: Stop) {
        // Without sinks nobody listens.
        let _ = self.stop.send(Some(order));
        while let Some(end) = self.running.join_next().await {
            match end {
                Ok(SinkEnd::Drained | SinkEnd::Left) => {}
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
