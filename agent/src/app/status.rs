//! The status of the running agent, put together from what its parts show of themselves. Nothing that watches is asked or
//! waited for: counters are read where they lie, and the store is read as by any other reader.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Sender;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Failure;
use crate::config::Config;
use crate::event::Kind;
use crate::kernel::{Counters, DropKind};
use crate::pipeline::worker::Glance;
use crate::record::{Coverage, Host, now_ns, rfc3339};
use crate::report::Standing;
use crate::status::{self, Agent, ProbeFault, Purposes, Sample, Signal, Sink, Status, http, socket};
use crate::store::{self, Reader, StoreError};
use crate::telemetry::{Ledger, Own, log};

/// How long an answer is good for the next who asks: a crowd of them costs as much as one.
const FRESH: Duration = Duration::from_millis(250);
/// How often it is looked whether the pipeline moves, where nobody asks: often enough for [`STUCK`].
const LOOK: Duration = Duration::from_secs(5);
/// A pipeline that has not moved for so long does not move. It gets a tick twice a second.
const STUCK: Duration = Duration::from_secs(10);
/// How long a loss makes the agent degraded.
const LOSS_RECENT: Duration = Duration::from_mins(5);

/// What the status is put together from.
pub(super) struct Source {
    pub(super) ledger: Arc<Ledger>,
    pub(super) counters: Arc<Counters>,
    pub(super) glance: watch::Receiver<Glance>,
    pub(super) host: Host,
    pub(super) kernel: String,
    pub(super) store: PathBuf,
    pub(super) sinks: Vec<String>,
    pub(super) config: Option<PathBuf>,
    pub(super) listen: Option<String>,
    pub(super) started: Started,
    pub(super) moves: Arc<Mutex<Moves>>,
    pub(super) last: Mutex<Option<(Instant, Arc<Status>)>>,
}

/// When the agent started.
#[derive(Clone, Copy)]
pub(super) struct Started {
    at: Instant,
    wall_ns: i64,
}

impl Started {
    pub(super) fn now() -> Self {
        Started { at: Instant::now(), wall_ns: now_ns() }
    }
}

/// When the pipeline moved, and when something was lost.
pub(super) struct Moves {
    seen: (u64, u64, u64),
    moved: Instant,
    lost: Option<Instant>,
    full: Option<Instant>,
}

impl Moves {
    pub(super) fn new(now: Instant) -> Self {
        Moves { seen: (0, 0, 0), moved: now, lost: None, full: None }
    }

    /// Looks at what moved since it was looked at last.
    fn look(&mut self, ledger: &Ledger, now: Instant) {
        let (events, dropped, full) =
            (ledger.events_in.get(), ledger.samples_dropped.get(), ledger.store_retries.get());
        let before = std::mem::replace(&mut self.seen, (events, dropped, full));
        if events != before.0 {
            self.moved = now;
        }
        if dropped != before.1 {
            self.lost = Some(now);
        }
        if full != before.2 {
            self.full = Some(now);
        }
    }

    /// Why the agent is not ready.
    fn not_ready(&self, now: Instant) -> Vec<String> {
        let since = |then: Instant| now.saturating_duration_since(then);
        let mut why = Vec::new();
        if since(self.moved) >= STUCK {
            why.push(format!("the pipeline has not moved for {} s", since(self.moved).as_secs()));
        }
        if self.full.is_some_and(|full| since(full) < STUCK) {
            why.push("the store has no room: nothing is read until it has".to_owned());
        }
        why
    }

    fn lost_lately(&self, now: Instant) -> bool {
        self.lost.is_some_and(|lost| now.saturating_duration_since(lost) < LOSS_RECENT)
    }
}

impl Source {
    /// The status now, or as it was a moment ago.
    pub(super) fn status(&self) -> Arc<Status> {
        // Held while it is made: who asks meanwhile gets the same.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if let Some((made, status)) = last.as_ref()
            && now.saturating_duration_since(*made) < FRESH
        {
            return Arc::clone(status);
        }
        let status = Arc::new(self.make(now));
        *last = Some((now, Arc::clone(&status)));
        status
    }

    fn make(&self, now: Instant) -> Status {
        let glance = self.glance.borrow().clone();
        let (not_ready, lost) = {
            let mut moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
            moves.look(&self.ledger, now);
            (moves.not_ready(now), moves.lost_lately(now))
        };
        let faults = self.counters.faults();
        let mut status = Status {
            v: status::VERSION,
            not_ready,
            agent: self.agent(now),
            own: Own::now(),
            faults: faults
                .iter()
                .map(|(source, fault, count)| ProbeFault {
                    source: source.name().to_owned(),
                    fault: fault.name().to_owned(),
                    count: *count,
                })
                .collect(),
            samples: self.samples(),
            chains_open: u64::try_from(glance.chains_open).unwrap_or(u64::MAX),
            processes: u64::try_from(glance.processes).unwrap_or(u64::MAX),
            ..covered(&glance.coverage)
        };
        let mut count = |name: &str, count: u64| {
            status.counters.insert(name.to_owned(), count);
        };
        count("samples_produced", self.counters.produced());
        count("probe_faults", faults.iter().map(|(.., count)| count).sum());
        count("log_lines_left_out", log::left_out());
        self.ledger.snapshot().into_iter().for_each(|(name, number)| count(name, number));
        glance.findings.iter().for_each(|(name, number)| count(name, *number));
        status.store = status::Store { path: self.store.display().to_string(), ..status::Store::default() };
        if let Some(retention) = glance.retention {
            (status.store.max_bytes, status.store.keep_seconds) =
                (retention.max_bytes, retention.keep.as_secs());
        }
        if let Err(error) = self.stored(&mut status) {
            status.store.error = Some(error.to_string());
        }
        status.degraded = degraded(&status, lost);
        status
    }

    fn agent(&self, now: Instant) -> Agent {
        let uptime = now.saturating_duration_since(self.started.at).as_millis();
        Agent {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: rfc3339(self.started.wall_ns),
            started_seconds: u64::try_from(self.started.wall_ns / 1_000_000_000).unwrap_or(0),
            uptime_ms: u64::try_from(uptime).unwrap_or(u64::MAX),
            host: self.host.name.clone(),
            kernel: self.kernel.clone(),
            config: self.config.as_ref().map(|path| path.display().to_string()),
            listen: self.listen.clone(),
        }
    }

    fn samples(&self) -> Vec<Sample> {
        let refused = self.counters.dropped();
        let [dropped, repeated] = DropKind::ALL.map(|which| refused.by_kind(which));
        let of = |counts: &[(Kind, u64)], kind| {
            counts.iter().find(|(known, _)| *known == kind).map_or(0, |(_, count)| *count)
        };
        let read = self.ledger.by_kind.counts().into_iter();
        read.map(|(kind, read)| Sample {
            kind: kind.name().to_owned(),
            read,
            dropped: of(&dropped, kind),
            repeated: of(&repeated, kind),
        })
        .collect()
    }

    /// The store and the sinks, which stand in it.
    fn stored(&self, status: &mut Status) -> Result<(), StoreError> {
        let reader = Reader::open(&self.store)?;
        let usage = store::usage(&self.store, &reader)?;
        status.store.bytes = usage.bytes;
        status.store.last_seq = usage.last_seq;
        (status.store.oldest_ns, status.store.newest_ns) = (usage.oldest_ns, usage.newest_ns);
        let standing = Standing::read(&reader, store::sinks(&self.store)?)?;
        // A store remembers sinks that are in no config any more, and does not know those that have done nothing yet.
        let known: Vec<_> = standing.each().collect();
        let sink = |name: &String| match known.iter().find(|(sink, ..)| sink.name == *name) {
            None => Sink { name: name.clone(), lag_records: usage.last_seq, ..Sink::default() },
            Some((sink, records, ns)) => Sink {
                name: name.clone(),
                lag_records: *records,
                lag_ms: u64::try_from(*ns / 1_000_000).unwrap_or(0),
                taken: sink.taken,
                retries: sink.retries,
                set_aside: sink.set_aside,
                error: sink.error.as_ref().map(|(what, _)| what.clone()),
                error_ns: sink.error.as_ref().map(|(_, when)| *when),
            },
        };
        status.sinks = self.sinks.iter().map(sink).collect();
        Ok(())
    }
}

/// What a coverage record says, in the words of the status.
fn covered(coverage: &Coverage) -> Status {
    let signal = |signal: &crate::record::SignalCoverage| Signal {
        signal: signal.signal.clone(),
        tier: signal.tier.clone(),
        proven: signal.proven,
    };
    Status {
        scope: coverage.scope.clone(),
        signals: coverage.signals.iter().map(signal).collect(),
        purposes: coverage.purposes.as_ref().map(|purposes| Purposes {
            count: purposes.count,
            set: purposes.set.clone(),
            refused: purposes.refused.clone(),
        }),
        config: coverage.config.as_ref().map(|config| status::Config {
            changed: config.changed.clone(),
            waiting: config.waiting.clone(),
            refused: config.refused.clone(),
        }),
        ..Status::default()
    }
}

/// Why something may be missing, or is about to be.
fn degraded(status: &Status, lost: bool) -> Vec<String> {
    let mut why = status.not_ready.clone();
    for signal in status.signals.iter().filter(|signal| !signal.proven) {
        why.push(format!("{} is not covered: `spoor doctor` tells why", signal.signal));
    }
    if lost {
        let minutes = LOSS_RECENT.as_secs() / 60;
        why.push(format!("samples were lost within the last {minutes} minutes: the gaps tell of what"));
    }
    for sink in &status.sinks {
        why.extend(sink.error.as_ref().map(|error| format!("sink {}: {error}", sink.name)));
    }
    why.extend(status.store.error.as_ref().map(|error| format!("store: {error}")));
    if status.purposes.as_ref().is_some_and(|purposes| !purposes.refused.is_empty()) {
        why.push("newer purposes were refused: `spoor check` tells why".to_owned());
    }
    if status.config.as_ref().is_some_and(|config| !config.refused.is_empty()) {
        why.push("the newer config was refused: `spoor check` tells why".to_owned());
    }
    why
}

/// Both doors, and who looks whether the pipeline moves; all end with it.
pub(super) struct Doors {
    http: Option<http::Door>,
    open: JoinSet<()>,
}

impl Doors {
    /// Takes the address of the config, before anything else is done: where it is somebody else's, the agent does not start.
    pub(super) fn take(config: &Config) -> Result<Self, Failure> {
        let http = match &config.telemetry.listen {
            None => None,
            Some(at) => {
                let door = http::Door::open(at);
                Some(door.map_err(Failure::system(format!("listen on {at} (telemetry.listen)")))?)
            }
        };
        Ok(Doors { http, open: JoinSet::new() })
    }

    /// Opens them. Who comes to take over, or to be left out, goes to `guests`.
    pub(super) fn open(&mut self, mut source: Source, guests: Sender<socket::Guest>) {
        source.listen = self.http.as_ref().map(http::Door::address);
        let (ledger, moves) = (Arc::clone(&source.ledger), Arc::clone(&source.moves));
        let dir = source.store.clone();
        let source = Arc::new(source);
        let ask: status::Ask = Arc::new(move || source.status());
        match socket::Door::open(&dir) {
            Ok(door) => drop(self.open.spawn(door.serve(Arc::clone(&ask), guests, Arc::clone(&ledger)))),
            // Watching goes on without anybody being able to ask about it.
            Err(error) => tracing::error!("`spoor status` will get no answer: {}: {error}", socket::FILE),
        }
        if let Some(door) = self.http.take() {
            tracing::info!("metrics and health on {}", door.address());
            self.open.spawn(door.serve(ask, Arc::clone(&ledger)));
        }
        self.open.spawn(async move {
            let mut look = tokio::time::interval(LOOK);
            loop {
                look.tick().await;
                let mut moves = moves.lock().unwrap_or_else(PoisonError::into_inner);
                moves.look(&ledger, Instant::now());
            }
        });
    }

    /// Closes them, whoever is being served.
    pub(super) async fn close(&mut self) {
        self.open.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::testing::full;

    #[test]
    fn a_pipeline_that_stands_still_is_not_ready() {
        let (ledger, start) = (Ledger::default(), Instant::now());
        let mut moves = Moves::new(start);
        let after = |seconds| start + Duration::from_secs(seconds);
        ledger.events_in.one();
        moves.look(&ledger, after(8));
        assert!(moves.not_ready(after(17)).is_empty());
        assert_eq!(moves.not_ready(after(18)), ["the pipeline has not moved for 10 s"]);
        ledger.events_in.one();
        ledger.store_retries.one();
        moves.look(&ledger, after(18));
        assert_eq!(moves.not_ready(after(19)).len(), 1, "no room");
        ledger.events_in.one();
        moves.look(&ledger, after(30));
        assert!(moves.not_ready(after(31)).is_empty());
    }

    #[test]
    fn a_loss_is_told_for_a_while() {
        let (ledger, start) = (Ledger::default(), Instant::now());
        let mut moves = Moves::new(start);
        moves.look(&ledger, start);
        assert!(!moves.lost_lately(start));
        ledger.samples_dropped.add(3);
        moves.look(&ledger, start);
        assert!(moves.lost_lately(start) && !moves.lost_lately(start + LOSS_RECENT));
    }

    #[test]
    fn what_is_counted_of_findings_is_in_the_metrics() {
        let mut status = full();
        let counts = crate::finding::Counts::default().named();
        status.counters.extend(counts.map(|(name, _)| (name.to_owned(), 7)));
        let text = status::metrics(&status).unwrap();
        for (name, _) in counts {
            assert!(text.contains(&format!("\nspoor_{name}_total 7\n")), "{name}: {text}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_named() {
        let mut status = full();
        status.store.error = Some("cannot read".to_owned());
        status.purposes.as_mut().unwrap().refused.push("x".to_owned());
        status.config.as_mut().unwrap().refused.push("x".to_owned());
        let why = degraded(&status, true).join("\n");
        for part in [
            "send is not covered",
            "were lost",
            "sink siem: conn",
            "store: cannot",
            "newer purposes",
            "newer config",
        ] {
            assert!(why.contains(part), "{part}: {why}");
        }
        let mut well = full();
        well.sinks.pop();
        well.signals.pop();
        assert!(degraded(&well, false).is_empty());
    }
}
