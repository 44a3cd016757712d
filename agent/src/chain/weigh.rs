//! What a link is worth, in percent: from facts only, less with forks and time between, less where others compete.
//!
//! The kernel shows what was opened and what was reached after it, not what was sent. So the numbers below order what is
//! known; they are no measurement. Each is chosen so that one statement holds:
//!
//! - A credential that names the destination is linked with it, however long ago it was opened ([`NAMED`]).
//! - A credential that names only other destinations is hardly linked ([`DIFFERS_MOST`]), and not at all beside another.
//! - What was opened just before by the process itself, and nothing else, is nearly as good ([`UNNAMED_MOST`]): for the
//!   first connection. What comes after that may be anything ([`LATER_MOST`]).
//! - What else is held weighs half after each [`HALF_LIFE_NS`], and four fifths after each fork.
//! - The only credential a process holds is never forgotten: a daemon reads once and connects for weeks. But that it is the
//!   only one ([`ONLY`]) says nothing of where it is used: by itself it makes a weak link.
//! - What only a process beside it has, in a pipeline, is never more than weak ([`BESIDE_MOST`]), unless it names the
//!   destination.
//! - What its kind is expected to be used for goes before what is not ([`EXPECTED`]).
//! - What was opened for one request is hardly linked with another ([`OTHER_REQUEST_MOST`]), unless it names the
//!   destination or is the only one that is held.
//! - What goes nowhere, as the writing of another credential, has no first connection: it is fair at best.
//! - Several that might be meant share: two weigh two thirds each, three a half. No fact tells them apart, or there is
//!   one that only one of them has: without it none is more than weak ([`RIVAL_MOST`]).

use std::cmp::Reverse;

use super::holds::Few;

/// From here on a link is strong.
pub const STRONG: u8 = 75;
/// From here on a link is fair, below it is weak. Fan-out counts from here on.
pub const FAIR: u8 = 30;

/// Of a credential that names the destination.
const NAMED: u64 = 90;
/// Of one that does not, at once and in the process that opened it.
const UNNAMED: u64 = 60;
const UNNAMED_MOST: u64 = 85;
/// … of which nothing says that it is used there, where the connection is not the first after it: fair.
const LATER_MOST: u64 = 70;
/// Per cent that a fork leaves.
const FORK_LEAVES: u64 = 80;
/// MORSE, which has the best figures published, halves after a quarter of a second what benign programs read. A job
/// opens its credential and then resolves names, shakes hands and retries: that takes seconds.
const HALF_LIFE_NS: u64 = 10_000_000_000;
const ONLY: u64 = 15;
const FIRST: u64 = 15;
const EXPECTED: u64 = 20;
const SAME_THREAD: u64 = 10;
const LEAST: u64 = 5;
/// Of one beside which another names the destination.
const BESIDE_NAMED_MOST: u64 = 20;
const DIFFERS_MOST: u64 = 3;
/// Of one of several, where no fact singles it out: weak, as of each but one it is wrong.
const RIVAL_MOST: u64 = 25;
/// Of one that another process has: through a pipe it may have come, seen is nothing.
const BESIDE_MOST: u64 = 25;
const SAME_REQUEST: u64 = 10;
/// Of one that was come by for another connection that is served: what one request does is no cause of the next.
const OTHER_REQUEST_MOST: u64 = 10;

/// How a credential stands to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It names it.
    Named,
    /// Its kind is expected to be used there; it names nothing.
    Expected,
    /// Nothing is known.
    Open,
    /// It names others, and not this one.
    Differs,
}

/// What is known of a credential a process holds, at an action.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence {
    pub(super) fit: Fit,
    /// Forks since it was opened.
    pub(super) hops: u32,
    pub(super) age_ns: u64,
    /// No other credential is held.
    pub(super) only: bool,
    /// No connection of the run lies between.
    pub(super) first: bool,
    /// The same thread opened it.
    pub(super) same_thread: bool,
    /// It was come by for the connection that is served now, or for another one; `None` where that cannot be seen.
    pub(super) same_request: Option<bool>,
    /// Not the process has it, but one that was started together with it.
    pub(super) beside: bool,
}

impl Evidence {
    /// By itself, as if no other were held.
    fn alone(&self) -> u64 {
        let bonus = |fact: bool, worth: u64| if fact { worth } else { 0 };
        if self.fit == Fit::Named {
            return NAMED + bonus(self.only, 5) + bonus(self.first, 5);
        }
        let mut worth = UNNAMED;
        for _ in 0..self.hops.min(32) {
            worth = worth * FORK_LEAVES / 100;
        }
        let facts = bonus(self.fit == Fit::Expected, EXPECTED)
            + bonus(self.only, ONLY)
            + bonus(self.first, FIRST)
            + bonus(self.same_thread, SAME_THREAD)
            + bonus(self.same_request == Some(true), SAME_REQUEST);
        let later = self.fit == Fit::Open && !self.first;
        let most = if later { LATER_MOST } else { UNNAMED_MOST };
        let worth = (decayed(worth, self.age_ns) + facts).clamp(LEAST, most);
        match self.fit {
            Fit::Differs => worth.min(DIFFERS_MOST),
            Fit::Named | Fit::Expected | Fit::Open if self.of_other_request() => {
                worth.min(OTHER_REQUEST_MOST)
            }
            Fit::Named | Fit::Expected | Fit::Open if self.beside => worth.min(BESIDE_MOST),
            Fit::Named | Fit::Expected | Fit::Open => worth,
        }
    }
}

impl Evidence {
    /// The only one it has may have been opened with the first request, for all of them.
    fn of_other_request(&self) -> bool {
        self.same_request == Some(false) && !self.only
    }

    /// Whether a fact speaks for it that speaks for none of its rivals.
    fn has_alone<'a>(&'a self, mut rivals: impl Iterator<Item = &'a Self>) -> bool {
        let facts = |held: &Self| [held.first, held.same_thread, held.same_request == Some(true)];
        let mut left = facts(self);
        while let Some(rival) = rivals.next().filter(|_| left.contains(&true)) {
            for (own, theirs) in left.iter_mut().zip(facts(rival)) {
                *own &= !theirs;
            }
        }
        left.contains(&true)
    }
}

/// Of those that stand alike to the destination, which one is singled out by a fact; `None` where none is, or several are.
fn singled_out(held: &[Evidence], fit: Fit) -> Option<usize> {
    let rivals = || held.iter().enumerate().filter(|(_, held)| held.fit == fit && !held.of_other_request());
    let mut alone = rivals().filter(|(place, one)| {
        one.has_alone(rivals().filter(|(other, _)| other != place).map(|(_, other)| other))
    });
    alone.next().map(|(place, _)| place).filter(|_| alone.next().is_none())
}

/// Half after each half-life, and in between on a straight line.
fn decayed(worth: u64, age_ns: u64) -> u64 {
    let halvings = age_ns / HALF_LIFE_NS;
    if halvings >= 7 {
        return 0;
    }
    let worth = worth >> halvings;
    worth - worth / 2 * (age_ns % HALF_LIFE_NS) / HALF_LIFE_NS
}

/// What each of the credentials a process holds is worth, with its place in the list that was given: the best first, of
/// two alike the one given first. Those that name only other destinations are left out, where any other is there.
pub(super) fn weigh(held: &[Evidence]) -> Few<(usize, u8)> {
    let rival = |held: &&Evidence, fit| held.fit == fit && !held.of_other_request();
    let count = |fit| held.iter().filter(|held| rival(held, fit)).count() as u64;
    let (named, expected, open) = (count(Fit::Named) > 0, count(Fit::Expected), count(Fit::Open));
    let others = held.iter().any(|held| held.fit != Fit::Differs);
    let (of_expected, of_open) = (singled_out(held, Fit::Expected), singled_out(held, Fit::Open));
    let mut weighed = Few::new();
    for (place, evidence) in held.iter().enumerate() {
        let alone = evidence.alone();
        let worth = match evidence.fit {
            Fit::Expected | Fit::Open if named => alone.min(BESIDE_NAMED_MOST),
            // It is none of those that might be meant.
            Fit::Expected | Fit::Open if evidence.of_other_request() => alone,
            Fit::Open if expected > 0 => alone.min(BESIDE_NAMED_MOST),
            Fit::Expected => shared(alone, expected, of_expected == Some(place)),
            Fit::Open => shared(alone, open, of_open == Some(place)),
            Fit::Differs if others => continue,
            Fit::Named | Fit::Differs => alone,
        };
        weighed.push((place, u8::try_from(worth.min(100)).unwrap_or(100)));
    }
    weighed.sort_by_key(|(place, worth)| (Reverse(*worth), *place));
    weighed
}

/// Several that might be meant: two weigh two thirds each, and are weak unless one of them is singled out.
fn shared(worth: u64, rivals: u64, singled_out: bool) -> u64 {
    let most = if rivals < 2 || singled_out { worth } else { RIVAL_MOST };
    (worth * 2 / (rivals + 1)).clamp(1, most.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn evidence(fit: Fit, age_ns: u64) -> Evidence {
        Evidence {
            fit,
            hops: 0,
            age_ns,
            only: false,
            first: false,
            same_thread: false,
            same_request: None,
            beside: false,
        }
    }

    fn alone(evidence: Evidence) -> u8 {
        weigh(&[evidence])[0].1
    }

    #[test]
    fn what_names_the_destination_is_never_forgotten() {
        let week = evidence(Fit::Named, 7 * 86_400 * SECOND);
        assert!(alone(week) >= STRONG);
        let beside = weigh(&[evidence(Fit::Open, 0), week]);
        assert_eq!(beside[0].0, 1, "the one that names it comes first: {beside:?}");
        assert!(beside[1].1 < FAIR, "{beside:?}");
    }

    #[test]
    fn that_it_is_the_only_one_held_is_weak_for_weeks_and_fair_with_one_fact_more() {
        let weeks = Evidence { only: true, ..evidence(Fit::Open, 21 * 86_400 * SECOND) };
        assert_eq!(alone(weeks), 15);
        let two = [evidence(Fit::Open, 21 * 86_400 * SECOND); 2];
        assert!(weigh(&two).iter().all(|(_, worth)| *worth < alone(weeks)));
        for fair in [
            Evidence { first: true, ..weeks },
            Evidence { fit: Fit::Expected, ..weeks },
            Evidence { age_ns: 10 * SECOND, ..weeks },
        ] {
            assert!((FAIR..STRONG).contains(&alone(fair)), "{fair:?}");
        }
    }

    #[test]
    fn what_comes_after_the_first_connection_is_not_strong_unless_expected() {
        let first = Evidence { only: true, first: true, same_thread: true, ..evidence(Fit::Open, 0) };
        let later = Evidence { first: false, ..first };
        assert_eq!([alone(first), alone(later)], [85, 70]);
        assert_eq!(alone(Evidence { fit: Fit::Expected, ..later }), 85);
    }

    /// A writing, an execution: for what goes nowhere there is no first connection.
    #[test]
    fn what_goes_nowhere_is_fair_at_best_and_weak_within_the_minute() {
        let at = |seconds: u64| {
            alone(Evidence { only: true, same_thread: true, ..evidence(Fit::Open, seconds * SECOND) })
        };
        assert_eq!([at(0), at(10), at(20), at(60)], [70, 55, 40, 25]);
        let two = [evidence(Fit::Open, 0), Evidence { same_thread: true, ..evidence(Fit::Open, 0) }];
        assert_eq!(weigh(&two)[..], [(1, 46), (0, 25)]);
    }

    #[test]
    fn of_several_one_at_most_is_fair_and_only_by_a_fact_of_its_own() {
        let plain = evidence(Fit::Open, 0);
        let (first, thread) = (Evidence { first: true, ..plain }, Evidence { same_thread: true, ..plain });
        let worth = |held: &[Evidence]| weigh(held).iter().map(|(_, worth)| *worth).collect::<Vec<_>>();
        assert_eq!(weigh(&[plain, first])[..], [(1, 50), (0, 25)]);
        assert_eq!(worth(&[plain, plain]), [25, 25]);
        assert_eq!(worth(&[first, first]), [25, 25]);
        assert_eq!(worth(&[first, thread]), [25, 25], "one fact against another");
        let both = Evidence { same_thread: true, ..first };
        assert_eq!(weigh(&[first, both, plain])[0], (1, 42));
        // What is expected there is not held up by what is not.
        let expected = Evidence { fit: Fit::Expected, ..plain };
        assert_eq!(weigh(&[plain, expected])[..], [(1, 80), (0, 20)]);
    }

    #[test]
    fn just_opened_and_nothing_else_is_strong_and_forks_weaken() {
        let now =
            Evidence { only: true, first: true, same_thread: true, ..evidence(Fit::Open, SECOND / 100) };
        assert!(alone(now) >= STRONG);
        assert!(alone(now) < alone(evidence(Fit::Named, 0)), "a name is better than any of it");
        let plain = |hops| alone(Evidence { hops, ..evidence(Fit::Open, 0) });
        assert_eq!([plain(0), plain(1), plain(2), plain(40)], [60, 48, 38, 5]);
    }

    #[test]
    fn time_halves() {
        let at = |seconds: u64| alone(evidence(Fit::Open, seconds * SECOND));
        assert_eq!([at(0), at(5), at(10), at(20), at(30), at(3_600)], [60, 45, 30, 15, 7, 5]);
    }

    #[test]
    fn what_names_others_is_weak_and_gives_way() {
        assert_eq!(alone(evidence(Fit::Differs, 0)), 3);
        let beside = weigh(&[evidence(Fit::Differs, 0), evidence(Fit::Open, SECOND)]);
        assert_eq!(beside.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn several_share() {
        let worth = |count: usize| weigh(&vec![evidence(Fit::Open, 0); count])[0].1;
        assert_eq!([worth(1), worth(2), worth(3), worth(16)], [60, 25, 25, 7]);
    }

    #[test]
    fn what_is_expected_there_goes_before_what_is_not() {
        let weighed = weigh(&[evidence(Fit::Open, 0), evidence(Fit::Expected, SECOND)]);
        assert_eq!(weighed.iter().map(|(place, _)| *place).collect::<Vec<_>>(), [1, 0]);
        assert!(weighed[0].1 >= STRONG && weighed[1].1 < FAIR, "{weighed:?}");
        let week = alone(evidence(Fit::Expected, 7 * 86_400 * SECOND));
        assert!(week < FAIR, "a kind is no name: {week}");
    }

    #[test]
    fn what_was_opened_for_another_request_is_weak_and_takes_nothing_from_what_was_not() {
        let other = Evidence { same_request: Some(false), ..evidence(Fit::Open, 0) };
        let this = Evidence { same_request: Some(true), first: true, ..evidence(Fit::Open, 0) };
        let weighed = weigh(&[other, this]);
        assert_eq!(weighed[0], (1, 85));
        assert_eq!(weighed[1], (0, 10));
        let only = Evidence { only: true, ..other };
        assert!(alone(only) >= FAIR, "read with the first request, and used for all");
        assert!(alone(Evidence { fit: Fit::Named, ..other }) >= STRONG);
    }

    fn any_fit() -> impl Strategy<Value = Fit> {
        prop_oneof![Just(Fit::Named), Just(Fit::Expected), Just(Fit::Open), Just(Fit::Differs)]
    }

    fn any_evidence() -> impl Strategy<Value = Evidence> {
        (any_fit(), any::<u32>(), any::<u64>(), any::<Option<bool>>(), any::<[bool; 4]>()).prop_map(
            |(fit, hops, age_ns, same_request, [only, first, same_thread, beside])| Evidence {
                fit,
                hops,
                age_ns,
                only,
                first,
                same_thread,
                same_request,
                beside,
            },
        )
    }

    proptest! {
        #[test]
        fn older_and_farther_is_never_worth_more(
            held in any_evidence(), later in any::<u64>(), more in any::<u32>(),
        ) {
            let farther = Evidence {
                age_ns: held.age_ns.saturating_add(later),
                hops: held.hops.saturating_add(more),
                ..held
            };
            prop_assert!(alone(farther) <= alone(held));
        }

        #[test]
        fn something_is_left_of_something(held in prop::collection::vec(any_evidence(), 1..20)) {
            let weighed = weigh(&held);
            prop_assert!(!weighed.is_empty());
            prop_assert!(weighed.iter().all(|(place, worth)| *place < held.len() && (1..=100).contains(worth)));
            prop_assert!(weighed.is_sorted_by_key(|(_, worth)| Reverse(*worth)));
        }
    }
}
