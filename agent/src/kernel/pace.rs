//! How often the reader hands on. Each event may go when it was held back for long enough; where events come one by one, each would
//! then be a batch of its own, and a batch costs more than an event does.

/// Least time between two batches, ns. The first after some rest goes as soon as it may.
const PACE_NS: u64 = 5_000_000;

/// When the last batch went.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    next_ns: u64,
}

impl Pace {
    /// Whether a batch may go now.
    pub(super) fn may(&self, now_ns: u64) -> bool {
        now_ns >= self.next_ns
    }

    /// One goes now.
    pub(super) fn handed_on(&mut self, now_ns: u64) {
        self.next_ns = now_ns.saturating_add(PACE_NS);
    }

    /// When what is due then may go.
    pub(super) fn not_before(&self, due_ns: u64) -> u64 {
        due_ns.max(self.next_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_goes_at_once_and_what_comes_behind_it_together() {
        let (mut pace, start) = (Pace::default(), 100 * PACE_NS);
        assert!(pace.may(start));
        assert_eq!(pace.not_before(start), start);
        pace.handed_on(start);
        assert!(!pace.may(start + PACE_NS - 1) && pace.may(start + PACE_NS));
        assert_eq!(pace.not_before(start + 1), start + PACE_NS);
        assert_eq!(
            pace.not_before(start + 2 * PACE_NS),
            start + 2 * PACE_NS,
            "after some rest nothing waits"
        );
    }
}
