//! The reader: one thread that empties both rings, decodes, and hands events on in the order of kernel time.
//!
//! Samples of two rings and many CPUs do not come in order. The reader holds each back for [`HOLD_NS`] after it was made,
//! so that whatever happened before it has arrived: nothing is seen before its cause.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use aya::maps::{MapData, RingBuf};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::time::{ClockId, clock_gettime};
use spoor_wire::RawEvent;
use spoor_wire::control::names;

use super::control::{Counters, LossWatch};
use super::loader::{Kernel, LoadError};
use crate::event::{Event, What, convert};
use crate::telemetry::Ledger;

/// How long a sample is held back, ns. Between a probe's clock reading and its submission lie microseconds; this leaves
/// room for a preempted probe.
const HOLD_NS: u64 = 5_000_000;
/// Longest sleep, ms: samples that wake nobody wait at most this long.
const SLEEP_MS: u64 = 200;
/// How often counters are looked at and a tick is sent, ns.
const TICK_NS: u64 = 500_000_000;
/// Most samples taken in one go before what is due is handed on.
const BURST: usize = 4_096;
/// Batches that may wait for the pipeline. When it is that far behind, the reader waits, the rings fill, and the kernel
/// counts what it cannot keep: loss is counted in one place.
const BATCHES: usize = 8;

/// Nanoseconds of `CLOCK_BOOTTIME`, the clock of the probes.
#[must_use]
pub fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map(std::time::Duration::from).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// What the reader hands on.
pub type Feed = Receiver<Vec<Event>>;

/// Both rings, and the account of what goes through them.
pub struct Reader {
    rings: [RingBuf<MapData>; 2],
    counters: Arc<Counters>,
    ledger: Arc<Ledger>,
    losses: LossWatch,
    held: BinaryHeap<Reverse<Held>>,
    /// Order of arrival, which settles equal times.
    arrivals: u64,
}

struct Held {
    time_ns: u64,
    arrival: u64,
    event: Event,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Held {}
impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Held {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.time_ns, self.arrival).cmp(&(other.time_ns, other.arrival))
    }
}

/// A running reader.
pub struct ReaderHandle {
    stop: Arc<EventFd>,
    thread: JoinHandle<()>,
}

impl ReaderHandle {
    /// Empties the rings a last time, hands everything on, and ends. Call it when the probes are detached.
    pub fn stop(self) {
        // An eventfd refuses only when it is full, and then it is raised already.
        let _ = self.stop.write(1);
        if self.thread.join().is_err() {
            tracing::error!("the reader had died; what was in the rings is lost");
        }
    }
}

impl Reader {
    /// Takes the rings out of the object.
    ///
    /// # Errors
    /// [`LoadError`] where the object is not of this version.
    pub fn take(
        kernel: &mut Kernel,
        counters: Arc<Counters>,
        ledger: Arc<Ledger>,
    ) -> Result<Self, LoadError> {
        Ok(Reader {
            rings: [kernel.take(names::RING_VITAL)?, kernel.take(names::RING_BULK)?],
            counters,
            ledger,
            losses: LossWatch::default(),
            held: BinaryHeap::new(),
            arrivals: 0,
        })
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// What the system says where there is no descriptor or thread left.
    pub fn start(self) -> std::io::Result<(ReaderHandle, Feed)> {
        let stop = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(stop.as_ref(), EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        for (ring, token) in self.rings.iter().zip(1..) {
            epoll.add(ring.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, token))?;
        }
        let (sender, feed) = sync_channel(BATCHES);
        let thread = std::thread::Builder::new()
            .name("spoor-reader".into())
            .spawn(move || self.run(&epoll, &sender))?;
        Ok((ReaderHandle { stop, thread }, feed))
    }

    fn run(mut self, epoll: &Epoll, sender: &SyncSender<Vec<Event>>) {
        let mut next_tick = boot_ns();
        loop {
            let stopping = self.wait(epoll);
            while self.drain() == BURST {
                self.hand_on(sender, boot_ns().saturating_sub(HOLD_NS));
            }
            let now = boot_ns();
            if stopping {
                self.account(now);
                self.hand_on(sender, u64::MAX);
                return;
            }
            if now >= next_tick {
                self.account(now);
                next_tick = now + TICK_NS;
            }
            if !self.hand_on(sender, now.saturating_sub(HOLD_NS)) {
                return;
            }
        }
    }

    /// Sleeps until there is something to do. True when it is time to stop.
    fn wait(&self, epoll: &Epoll) -> bool {
        let due = self.held.peek().map(|Reverse(first)| (first.time_ns + HOLD_NS).saturating_sub(boot_ns()));
        let sleep_ms = due.map_or(SLEEP_MS, |ns| ns / 1_000_000 + 1).min(SLEEP_MS);
        let mut events = [EpollEvent::empty(); 3];
        let timeout = EpollTimeout::try_from(sleep_ms).unwrap_or(EpollTimeout::ZERO);
        // An interrupted wait is a short one.
        let ready = epoll.wait(&mut events, timeout).unwrap_or(0);
        events.iter().take(ready).any(|event| event.data() == 0)
    }

    /// Takes what is in the rings, at most [`BURST`] samples. The vital ring first: what it holds explains the rest.
    fn drain(&mut self) -> usize {
        let Reader { rings, ledger, held, arrivals, .. } = self;
        let mut taken = 0;
        for ring in rings {
            while taken < BURST {
                let Some(sample) = ring.next() else { break };
                taken += 1;
                ledger.samples_read.one();
                let Some(event) = decode(&sample) else {
                    ledger.samples_undecodable.one();
                    continue;
                };
                *arrivals += 1;
                held.push(Reverse(Held { time_ns: event.time_ns, arrival: *arrivals, event }));
            }
        }
        taken
    }

    /// Notes what was lost, and that time has passed.
    fn account(&mut self, now: u64) {
        let dropped = self.counters.dropped();
        if let Some(loss) = self.losses.look(&dropped, || self.counters.dropped_on(), now) {
            self.ledger.samples_dropped.add(loss.counts.iter().map(|(_, count)| count).sum());
            self.push(Event { time_ns: now, what: What::Lost(loss) });
        }
        self.push(Event { time_ns: now, what: What::Tick });
    }

    fn push(&mut self, event: Event) {
        self.arrivals += 1;
        self.held.push(Reverse(Held { time_ns: event.time_ns, arrival: self.arrivals, event }));
    }

    /// Hands on what happened up to `until`. False when nobody listens any more.
    fn hand_on(&mut self, sender: &SyncSender<Vec<Event>>, until: u64) -> bool {
        let mut batch = Vec::new();
        while self.held.peek().is_some_and(|Reverse(first)| first.time_ns <= until) {
            if let Some(Reverse(first)) = self.held.pop() {
                batch.push(first.event);
            }
        }
        batch.is_empty() || sender.send(batch).is_ok()
    }
}

fn decode(sample: &[u8]) -> Option<Event> {
    let raw = RawEvent::decode(sample).inspect_err(|error| tracing::warn!("{error}")).ok()?;
    convert(&raw).inspect_err(|error| tracing::warn!("{error}")).ok()
}
