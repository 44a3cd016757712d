//! The reader: one thread that empties both rings, decodes, and hands events on in the order of kernel time (`order.rs`):
//! nothing is seen before its cause.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use aya::maps::{MapData, RingBuf};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::time::{ClockId, clock_gettime};
use spoor_wire::RawEvent;
use spoor_wire::control::names;

use super::counters::{Counters, DropKind, LossWatch};
use super::load_error::LoadError;
use super::loader::Kernel;
use super::order::{HOLD_NS, Order};
use super::pace::Pace;
use super::positions::Positions;
use super::privileges;
use super::shares::Shares;
use crate::event::{Event, What, convert};
use crate::telemetry::Ledger;

/// Longest sleep, ms: samples that wake nobody wait at most this long.
const SLEEP_MS: u64 = 200;
/// How often counters are looked at and a tick is sent, ns.
const TICK_NS: u64 = 500_000_000;
/// The pace at which events are handed on, ns: one waking is then for all that comes meanwhile.
const PAUSE_NS: u64 = 2_000_000;
/// When a ring is looked at again in which a sample was begun and not finished, ms: who finishes it may have woken nobody,
/// because somebody was awake.
const UNFINISHED_MS: u64 = 5;
/// The same where something else waits for that sample.
const HELD_UP_MS: u64 = 1;
/// Where a reading found as many samples as that, the next one does not pause: a host with many CPUs may fill a ring meanwhile.
const FLOOD: usize = 64;
/// Most samples taken from one ring in one go before what is due is handed on.
const BURST: usize = 4_096;
/// Longest that what is read is held back for a sample that a probe has begun and not finished, ns: it was preempted, and on a
/// busy host for some hundred milliseconds.
const UNFINISHED_NS: u64 = 2_000_000_000;
/// Most events in one batch, and batches that may wait for the pipeline: half a second of a flood, and some 10 MB. A ring has
/// room for less than a tenth of that. When the pipeline is that far behind, the reader waits, the rings fill, and the kernel
/// counts what it cannot keep: loss is counted in one place.
const BATCH: usize = 128;
const BATCHES: usize = 128;

/// Nanoseconds of `CLOCK_BOOTTIME`, the clock of the probes.
#[must_use]
pub fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// What the reader hands on.
pub type Feed = Receiver<Vec<Event>>;

/// What wakes the reader, by number: the end, and the rings in their order.
const STOP: u64 = 0;
const VITAL: u64 = 1;
const BULK: u64 = 2;

/// Who is waited for.
struct Bells {
    all: Epoll,
    /// Without those who may wait a little: nobody asks when a connection is told, to the millisecond.
    urgent: Epoll,
}

/// Both rings, and the account of what goes through them.
pub struct Reader {
    rings: [(RingBuf<MapData>, Positions); 2],
    counters: Arc<Counters>,
    ledger: Arc<Ledger>,
    losses: LossWatch,
    repetitions: LossWatch,
    shares: Shares,
    order: Order<2>,
    /// Samples that the last reading found.
    found: usize,
    /// At which events are handed on.
    pace: Pace,
    /// When the rings were read last.
    looked_ns: u64,
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
        let shares = Shares::take(kernel)?;
        let mut ring = |name| -> Result<_, LoadError> {
            let ring: RingBuf<MapData> = kernel.take(name)?;
            let positions =
                Positions::of(&ring).map_err(|error| LoadError::Map { name, error: error.into() })?;
            Ok((ring, positions))
        };
        Ok(Reader {
            rings: [ring(names::RING_VITAL)?, ring(names::RING_BULK)?],
            counters,
            ledger,
            losses: LossWatch::default(),
            repetitions: LossWatch::default(),
            shares,
            order: Order::new(),
            found: 0,
            pace: Pace::new(PAUSE_NS),
            looked_ns: 0,
        })
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// What the system says where there is no descriptor or thread left.
    pub fn start(self) -> std::io::Result<(ReaderHandle, Feed)> {
        let stop = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
        let epoll = || Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC);
        let bells = Bells { all: epoll()?, urgent: epoll()? };
        let [vital, bulk] = self.rings.each_ref().map(|(ring, _)| ring.as_fd());
        let of_ring = |number| EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, number);
        for bell in [&bells.all, &bells.urgent] {
            bell.add(stop.as_ref(), EpollEvent::new(EpollFlags::EPOLLIN, STOP))?;
            bell.add(vital, of_ring(VITAL))?;
        }
        bells.all.add(bulk, of_ring(BULK))?;
        let (sender, feed) = sync_channel(BATCHES);
        let thread = std::thread::Builder::new().name("spoor-reader".into()).spawn(move || {
            // It was made while the agent may still load; reading takes nothing of that.
            if let Err(error) = privileges::give_up() {
                tracing::warn!("the reader keeps privileges that it does not need: {error}");
            }
            self.run(&bells, &sender);
        })?;
        Ok((ReaderHandle { stop, thread }, feed))
    }

    fn run(mut self, bells: &Bells, sender: &SyncSender<Vec<Event>>) {
        let mut next_tick = boot_ns();
        loop {
            let stopping = self.wait(bells);
            // A host that makes more than is read keeps this going: time passes all the same, and losses are told.
            while !self.drain() {
                next_tick = self.tick(next_tick);
                if !self.hand_on(sender) {
                    return;
                }
            }
            if stopping {
                self.account(boot_ns());
                in_batches(self.order.rest(), |batch| sender.send(batch).is_ok());
                return;
            }
            next_tick = self.tick(next_tick);
            if !self.hand_on(sender) {
                return;
            }
        }
    }

    /// Hands on what has nothing before it. False when nobody listens any more.
    fn hand_on(&mut self, sender: &SyncSender<Vec<Event>>) -> bool {
        let ready = self.order.ready();
        if !ready.is_empty() {
            self.pace.done(boot_ns());
        }
        in_batches(ready, |batch| sender.send(batch).is_ok())
    }

    /// Accounts where it is time for it. Gives when it is next.
    fn tick(&mut self, due_ns: u64) -> u64 {
        let now = boot_ns();
        if now < due_ns {
            return due_ns;
        }
        self.account(now);
        now + TICK_NS
    }

    /// Sleeps until there is something to do. True when it is time to stop.
    fn wait(&self, bells: &Bells) -> bool {
        let due_ns = self.order.due_ns();
        if let Some(due_ns) = due_ns {
            let left_ns = due_ns.max(self.again_ns()).saturating_sub(boot_ns());
            std::thread::sleep(Duration::from_nanos(left_ns.min(PAUSE_NS)));
        }
        let begun = self.rings.iter().any(|(_, positions)| positions.is_behind());
        let sleep_ms = match due_ns {
            // It was due before, so that something is in its way.
            Some(due_ns) if begun && due_ns <= self.looked_ns => HELD_UP_MS,
            Some(_) => 0,
            None if begun => UNFINISHED_MS,
            None => SLEEP_MS,
        };
        let mut events = [EpollEvent::empty(); 3];
        let timeout = EpollTimeout::try_from(sleep_ms).unwrap_or(EpollTimeout::ZERO);
        // An interrupted wait is a short one.
        let ready = bells.all.wait(&mut events, timeout).unwrap_or(0);
        let rung = || events.iter().take(ready).map(EpollEvent::data);
        if ready > 0 && due_ns.is_none() {
            // Who woke it may be handed on then, with what waited before him, so that one reading does for both.
            let left_ns = self.again_ns().saturating_sub(boot_ns()).clamp(HOLD_NS, PAUSE_NS);
            if rung().all(|bell| bell == BULK) {
                return gather(&bells.urgent, left_ns);
            }
            std::thread::sleep(Duration::from_nanos(left_ns));
        }
        rung().any(|bell| bell == STOP)
    }

    /// When what comes is to be handed on, ns, so that one waking does for all that comes meanwhile.
    fn again_ns(&self) -> u64 {
        if self.found < FLOOD { self.pace.next_ns() } else { 0 }
    }

    /// Takes what is in the rings, at most [`BURST`] samples of each. True where that was all.
    fn drain(&mut self) -> bool {
        let Reader { rings, ledger, order, found, looked_ns, .. } = self;
        let mut all = true;
        *found = 0;
        *looked_ns = boot_ns();
        for (place, (ring, positions)) in rings.iter_mut().enumerate() {
            // In this order: what happened before that time has its place before that position.
            let (began, begun) = (boot_ns(), positions.begun());
            let mut taken = 0;
            while taken < BURST {
                let Some(sample) = ring.next() else { break };
                taken += 1;
                ledger.samples_read.one();
                let Some(event) = decode(&sample, ledger) else {
                    ledger.samples_undecodable.one();
                    continue;
                };
                order.came(place, event);
            }
            *found += taken;
            if taken == BURST {
                all = false;
            } else if positions.is_past(begun) {
                order.read_up_to(place, began);
            } else {
                // Behind one that is not finished there may be others that are, and older than what the other ring has.
                order.read_up_to(place, began.saturating_sub(UNFINISHED_NS));
            }
        }
        all
    }

    /// Notes what was lost, and that time has passed.
    fn account(&mut self, now: u64) {
        let dropped = self.counters.dropped();
        let look =
            |watch: &mut LossWatch, which| watch.look(&dropped.by_kind(which), || dropped.by_cpu(which), now);
        let mut time_ns = None;
        if let Some(loss) = look(&mut self.losses, DropKind::Lost) {
            self.ledger.samples_dropped.add(loss.count());
            let what = match self.shares.look(DropKind::Lost, loss.count()) {
                Some(whose) => What::Refused { loss, whose },
                None => What::Lost(loss),
            };
            self.order.push(Event { time_ns: now, what });
            time_ns = Some(now);
        }
        if let Some(loss) = look(&mut self.repetitions, DropKind::Repeated) {
            self.ledger.samples_repeated.add(loss.count());
            let whose = self.shares.look(DropKind::Repeated, loss.count());
            self.order.push(Event { time_ns: now, what: What::Repeated { loss, whose } });
            time_ns = Some(now);
        }
        // Else of a time before which nothing comes any more, so that nobody has to wake up again to hand it on.
        let time_ns = time_ns.unwrap_or_else(|| self.order.passed_ns());
        self.order.push(Event { time_ns, what: What::Tick });
    }
}

/// Lets more come of what may wait, so long or until something comes that may not. True when it is time to stop.
fn gather(urgent: &Epoll, left_ns: u64) -> bool {
    let mut events = [EpollEvent::empty(); 2];
    let mut ready = 0;
    let whole_ms = left_ns / 1_000_000;
    if whole_ms > 0 {
        let timeout = EpollTimeout::try_from(whole_ms).unwrap_or(EpollTimeout::ZERO);
        ready = urgent.wait(&mut events, timeout).unwrap_or(0);
    }
    if whole_ms == 0 || ready > 0 {
        std::thread::sleep(Duration::from_nanos(HOLD_NS));
    }
    events.iter().take(ready).any(|event| event.data() == STOP)
}

/// Hands all of them to somebody, [`BATCH`] at a time, until he wants no more. Whether he took all.
fn in_batches(mut events: Vec<Event>, mut take: impl FnMut(Vec<Event>) -> bool) -> bool {
    while events.len() > BATCH {
        let rest = events.split_off(BATCH);
        if !take(std::mem::replace(&mut events, rest)) {
            return false;
        }
    }
    events.is_empty() || take(events)
}

fn decode(sample: &[u8], ledger: &Ledger) -> Option<Event> {
    let raw = RawEvent::decode(sample).inspect_err(|error| tracing::warn!("{error}")).ok()?;
    ledger.by_kind.one(raw.kind);
    convert(&raw).inspect_err(|error| tracing::warn!("{error}")).ok()
}

#[cfg(test)]
mod tests {
    use super::{BATCH, in_batches};
    use crate::event::{Event, What};

    fn batches(count: u64, most: usize) -> (Vec<Vec<u64>>, bool) {
        let events = (0..count).map(|time_ns| Event { time_ns, what: What::Tick }).collect();
        let mut batches = Vec::new();
        let all = in_batches(events, |batch| {
            batches.push(batch.iter().map(|event| event.time_ns).collect());
            batches.len() < most
        });
        (batches, all)
    }

    #[test]
    fn a_batch_is_no_larger_than_it_may_be_and_nothing_is_left_out() {
        let size = u64::try_from(BATCH).unwrap();
        for count in [0, 1, size, size + 1, 3 * size, 3 * size + 7] {
            let (batches, all) = batches(count, usize::MAX);
            assert!(all && batches.iter().all(|batch| !batch.is_empty() && batch.len() <= BATCH));
            assert_eq!(batches.concat(), (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn who_wants_no_more_is_given_no_more() {
        let (given, all) = batches(1_000, 2);
        assert!(!all && given.len() == 2);
    }
}
