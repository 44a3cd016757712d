//! How often something is done that is the same work for one as for many: what comes after some rest is done at once, a few
//! times in a row, and what goes on and on is done together, so many times a second.

/// A pace.
#[derive(Debug)]
pub struct Pace {
    /// Least time between two, where there are ever more, ns.
    every_ns: u64,
    /// The time that is used up, ns of the clock that it is asked by.
    used_up_ns: u64,
}

/// How many are done at once after some rest.
const AT_ONCE: u64 = 4;

impl Pace {
    /// Of one each so many nanoseconds.
    #[must_use]
    pub const fn new(every_ns: u64) -> Self {
        Pace { every_ns, used_up_ns: 0 }
    }

    /// When the next may be done, ns.
    #[must_use]
    pub fn next_ns(&self) -> u64 {
        self.used_up_ns.saturating_sub((AT_ONCE - 1).saturating_mul(self.every_ns))
    }

    /// One is done now. Who did more than he may, because there was no time to wait, owes no more than one for it.
    pub fn done(&mut self, now_ns: u64) {
        let most_ns = now_ns.saturating_add(AT_ONCE.saturating_mul(self.every_ns));
        self.used_up_ns = self.used_up_ns.max(now_ns).saturating_add(self.every_ns).min(most_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: u64 = 5;

    /// When each of so many is done that could all be done at that time.
    fn times(pace: &mut Pace, from_ns: u64, count: usize) -> Vec<u64> {
        let mut now = from_ns;
        let mut times = Vec::new();
        for _ in 0..count {
            now = now.max(pace.next_ns());
            pace.done(now);
            times.push(now);
        }
        times
    }

    #[test]
    fn a_few_are_done_at_once_and_more_at_the_pace() {
        let mut pace = Pace::new(EVERY);
        assert_eq!(times(&mut pace, 1_000, 8), [1_000, 1_000, 1_000, 1_000, 1_005, 1_010, 1_015, 1_020]);
        // A rest gives back as many as it had room for, and no more than at the beginning.
        assert_eq!(times(&mut pace, 1_035, 4), [1_035, 1_035, 1_035, 1_040]);
        assert_eq!(times(&mut pace, 9_000, 5), [9_000, 9_000, 9_000, 9_000, 9_005]);
    }

    #[test]
    fn who_did_not_wait_owes_no_more_than_one() {
        let mut pace = Pace::new(EVERY);
        (0..1_000).for_each(|_| pace.done(2_000));
        assert_eq!(pace.next_ns(), 2_000 + EVERY);
        assert_eq!(times(&mut pace, 2_000 + 4 * EVERY, 5), [2_020, 2_020, 2_020, 2_020, 2_025]);
    }

    #[test]
    fn the_end_of_the_clock_is_no_panic() {
        let mut pace = Pace::new(u64::MAX);
        pace.done(u64::MAX);
        pace.done(u64::MAX);
        assert_eq!(pace.next_ns(), 0);
    }
}
