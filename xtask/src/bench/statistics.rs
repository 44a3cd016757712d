//! Medians and what is known of them: pure.

/// Samples drawn anew for an interval.
const DRAWS: usize = 4_000;

/// A median, and between what it lies with a probability of 95 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Interval {
    /// By the bootstrap: as many values as there are, drawn with repetition, have a median; those of many draws, sorted, show how
    /// far chance carries it. The same values give the same interval. None of no values.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let middle = median(values)?;
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        let mut medians: Vec<f64> = (0..DRAWS)
            .filter_map(|_| {
                let drawn: Vec<f64> =
                    values.iter().filter_map(|_| values.get(chance.below(values.len())).copied()).collect();
                median(&drawn)
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        let at = |share: usize| medians.get(DRAWS * share / 1_000).copied();
        Some(Self { median: middle, low: at(25)?, high: at(975)? })
    }

    /// How far from 1 it reaches.
    pub(super) fn reach(&self) -> f64 {
        (self.low - 1.0).abs().max((self.high - 1.0).abs())
    }
}

/// The middle one, or between the middle two.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let high = *sorted.get(sorted.len() / 2)?;
    let low = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(low, high))
}

/// A visit against what was measured right before and right after it, which a drift of the machine leaves alone.
pub(super) fn ratio(before: f64, visit: f64, after: f64) -> Option<f64> {
    let ratio = visit / (before * after).sqrt();
    ratio.is_finite().then_some(ratio)
}

/// Numbers that look like chance and are the same each time (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let bound = bound.max(1) as u64;
        usize::try_from(mixed % bound).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 9.0, 2.0]), Some(3.0));
    }

    #[test]
    fn a_steady_drift_leaves_the_ratio_alone() {
        assert_eq!(ratio(10.0, 20.0, 10.0), Some(2.0));
        let drifting = ratio(100.0, 110.0 * 1.5, 121.0).unwrap();
        assert!((drifting - 1.5).abs() < 1e-12, "{drifting}");
        assert_eq!(ratio(0.0, 1.0, 1.0), None);
    }

    #[test]
    fn the_interval_holds_the_median_and_is_the_same_each_time() {
        let values = [1.00, 1.01, 1.02, 0.99, 1.05, 1.01, 1.00, 1.03];
        let interval = Interval::of(&values).unwrap();
        assert_eq!(Interval::of(&values), Some(interval));
        assert!(interval.low <= interval.median && interval.median <= interval.high, "{interval:?}");
        assert!(interval.low >= 0.99 && interval.high <= 1.05, "{interval:?}");
        assert!(interval.low < interval.high, "{interval:?}");
        assert_eq!(Interval::of(&[]), None);
    }

    #[test]
    fn values_that_are_all_the_same_leave_nothing_to_chance() {
        let interval = Interval::of(&[1.25; 5]).unwrap();
        assert_eq!((interval.low, interval.median, interval.high), (1.25, 1.25, 1.25));
        assert!((interval.reach() - 0.25).abs() < 1e-12);
        let below = Interval { median: 0.9, low: 0.7, high: 1.1 };
        assert!((below.reach() - 0.3).abs() < 1e-12, "what is below 1 counts as well");
    }

    #[test]
    fn more_values_make_it_narrower() {
        let spread: Vec<f64> = (0..200).map(|one| 1.0 + f64::from(one % 10) / 100.0).collect();
        let (few, many) = (Interval::of(&spread[..10]).unwrap(), Interval::of(&spread).unwrap());
        assert!(many.high - many.low < few.high - few.low, "{many:?} {few:?}");
    }
}
