//! The order of kernel time, made of two rings that are read one after the other.
//!
//! Samples of two rings and many CPUs do not come in order. Each is held back until everything that happened before it has
//! been read, which is known: probes ask for room first and read the clock then, so whatever happened before a time has its
//! place in a ring by then. A ring whose reader is past all places that were taken at a time has nothing more of before it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::event::Event;

/// How long a sample is held back beyond that, ns: for what the clocks of two CPUs differ by, for a place that another CPU
/// does not see yet, and for an execution, which is made ready elsewhere with its time and copied into the ring then (its own
/// process does nothing else meanwhile, so that it comes before all of its acts in any case).
pub(super) const HOLD_NS: u64 = 100_000;
/// In a ring samples lie in the order in which their places were taken. How long after that a clock is read, ns, where a
/// probe is preempted in between, as far as it is reckoned with: what was read of a ring tells less than where its end is.
const LATE_NS: u64 = 5_000_000;

/// Events that wait for what came before them.
pub struct Order<const RINGS: usize> {
    held: BinaryHeap<Reverse<Held>>,
    /// Order of arrival, which settles equal times.
    arrivals: u64,
    /// The time up to which each ring has been read.
    read_ns: [u64; RINGS],
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

impl<const RINGS: usize> Default for Order<RINGS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const RINGS: usize> std::fmt::Debug for Order<RINGS> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Order({} held)", self.held.len())
    }
}

impl<const RINGS: usize> Order<RINGS> {
    /// Of rings of which nothing was read yet.
    #[must_use]
    pub fn new() -> Self {
        Order { held: BinaryHeap::new(), arrivals: 0, read_ns: [0; RINGS] }
    }

    /// An event that is in no ring.
    pub fn push(&mut self, event: Event) {
        self.arrivals += 1;
        self.held.push(Reverse(Held { time_ns: event.time_ns, arrival: self.arrivals, event }));
    }

    /// An event out of a ring.
    pub fn came(&mut self, ring: usize, event: Event) {
        self.read_up_to(ring, event.time_ns.saturating_sub(LATE_NS));
        self.push(event);
    }

    /// A ring was read as far as that time: all that had a place in it then was read.
    pub fn read_up_to(&mut self, ring: usize, time_ns: u64) {
        if let Some(read_ns) = self.read_ns.get_mut(ring) {
            *read_ns = time_ns.max(*read_ns);
        }
    }

    /// When the first one may go, if nothing happens until then.
    #[must_use]
    pub fn due_ns(&self) -> Option<u64> {
        self.held.peek().map(|Reverse(first)| first.time_ns.saturating_add(HOLD_NS))
    }

    /// The time up to which nothing comes any more.
    #[must_use]
    pub fn passed_ns(&self) -> u64 {
        self.read_ns.iter().min().copied().unwrap_or(0).saturating_sub(HOLD_NS)
    }

    /// What has nothing before it that may still come.
    pub fn ready(&mut self) -> Vec<Event> {
        self.up_to(self.passed_ns())
    }

    /// All of it: nothing comes any more.
    pub fn rest(&mut self) -> Vec<Event> {
        self.up_to(u64::MAX)
    }

    fn up_to(&mut self, until: u64) -> Vec<Event> {
        let mut batch = Vec::new();
        while self.held.peek().is_some_and(|Reverse(first)| first.time_ns <= until) {
            if let Some(Reverse(first)) = self.held.pop() {
                batch.push(first.event);
            }
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{HOLD_NS, LATE_NS, Order};
    use crate::event::{Event, What};

    /// Farther than any clock is late.
    const APART: u64 = 2 * LATE_NS;

    fn at(time_ns: u64) -> Event {
        Event { time_ns, what: What::Tick }
    }

    fn times(events: &[Event]) -> Vec<u64> {
        events.iter().map(|event| event.time_ns).collect()
    }

    #[test]
    fn a_ring_that_has_more_holds_the_other_back() {
        let mut order = Order::<2>::new();
        let now = 100 * APART;
        // The whole of one ring, and a part of the other.
        order.came(0, at(10 * APART));
        order.came(0, at(50 * APART));
        order.read_up_to(0, now);
        order.came(1, at(5 * APART));
        order.came(1, at(20 * APART));
        assert_eq!(times(&order.ready()), [5 * APART, 10 * APART]);
        order.came(1, at(40 * APART));
        assert_eq!(times(&order.ready()), [20 * APART]);
        order.read_up_to(1, now);
        assert_eq!(times(&order.ready()), [40 * APART, 50 * APART]);
    }

    #[test]
    fn what_is_young_waits_and_the_end_waits_for_nothing() {
        let mut order = Order::<2>::new();
        let now = 100 * HOLD_NS;
        order.came(0, at(now - HOLD_NS));
        order.came(1, at(now));
        (0..2).for_each(|ring| order.read_up_to(ring, now));
        assert_eq!(times(&order.ready()), [now - HOLD_NS]);
        assert_eq!(order.due_ns(), Some(now + HOLD_NS));
        assert_eq!(times(&order.rest()), [now]);
        assert_eq!(order.due_ns(), None);
    }

    #[test]
    fn what_is_of_a_time_that_has_passed_goes_at_once() {
        let mut order = Order::<2>::new();
        let now = 100 * HOLD_NS;
        order.came(0, at(now - HOLD_NS));
        order.came(1, at(now));
        (0..2).for_each(|ring| order.read_up_to(ring, now));
        order.push(at(order.passed_ns()));
        assert_eq!(times(&order.ready()), [now - HOLD_NS, now - HOLD_NS]);
        assert_eq!(order.due_ns(), Some(now + HOLD_NS), "what is young does not go with it");
    }

    #[test]
    fn what_was_read_of_a_ring_tells_less_than_its_end() {
        let mut order = Order::<2>::new();
        let now = 100 * LATE_NS;
        order.read_up_to(0, now);
        // The other took its place behind it, and read its clock first.
        order.came(1, at(now - HOLD_NS - 1));
        order.came(1, at(now));
        assert!(order.ready().is_empty(), "behind these a sample may be begun that is older");
        order.came(1, at(now - LATE_NS / 2));
        order.read_up_to(1, now);
        assert_eq!(times(&order.ready()), [now - LATE_NS / 2, now - HOLD_NS - 1]);
    }

    proptest! {
        /// Two rings of any content, read in bursts of any size: what comes out is in order, and nothing is missing.
        #[test]
        fn it_is_the_order_of_time(
            mut vital in proptest::collection::vec(0_u64..1_000, 0..200),
            mut bulk in proptest::collection::vec(0_u64..1_000, 0..200),
            burst in 1_usize..50,
        ) {
            vital.sort_unstable();
            bulk.sort_unstable();
            let all = vital.len() + bulk.len();
            let mut order = Order::<2>::new();
            let mut out = Vec::new();
            let mut rings = [vital.into_iter(), bulk.into_iter()];
            let mut left = true;
            while left {
                left = false;
                for (ring, samples) in rings.iter_mut().enumerate() {
                    let mut taken = 0;
                    for time in samples.take(burst) {
                        order.came(ring, at(time * APART));
                        taken += 1;
                    }
                    if taken == burst { left = true } else { order.read_up_to(ring, 1_000 * APART) }
                }
                out.extend(times(&order.ready()));
            }
            out.extend(times(&order.rest()));
            prop_assert_eq!(out.len(), all);
            prop_assert!(out.is_sorted());
        }
    }
}
