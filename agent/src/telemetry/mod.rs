//! The ledger: what came in, what went out, what was refused, and why. One for the process, shared by all threads;
//! counters only ever grow. Beside it, what the agent itself takes of the host ([`Own`]), and its log ([`log`]).

pub mod log;
mod own;

use std::sync::atomic::{AtomicU64, Ordering};

use spoor_wire::Kind;

pub use own::Own;

macro_rules! ledger {
    ($($(#[doc = $doc:literal])+ $name:ident),+ $(,)?) => {
        /// One counter a hop. The names are those of `spoor`'s heartbeat record.
        #[derive(Debug, Default)]
        pub struct Ledger {
            $($(#[doc = $doc])+ pub $name: Counter,)+
            /// Samples that were decoded, by kind.
            pub by_kind: ByKind,
        }

        impl Ledger {
            /// Name and value of every counter, in the order of the hops.
            #[must_use]
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                let Self { $($name,)+ by_kind: _ } = self;
                vec![$((stringify!($name), $name.get())),+]
            }

            /// What a counter counts, in words.
            #[must_use]
            pub fn meaning(name: &str) -> Option<&'static str> {
                match name {
                    $(stringify!($name) => Some(concat!($($doc),+).trim_ascii_start()),)+
                    _ => None,
                }
            }
        }
    };
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A counter for each kind of samples.
#[derive(Debug, Default)]
pub struct ByKind([Counter; Kind::ALL.len()]);

impl ByKind {
    /// One more of that kind.
    pub fn one(&self, kind: Kind) {
        if let Some(at) = Kind::ALL.iter().position(|known| *known == kind)
            && let Some(counter) = self.0.get(at)
        {
            counter.one();
        }
    }

    /// How many so far, of every kind.
    #[must_use]
    pub fn counts(&self) -> Vec<(Kind, u64)> {
        Kind::ALL.into_iter().zip(&self.0).map(|(kind, counter)| (kind, counter.get())).collect()
    }
}

ledger! {
    /// Samples taken from the rings.
    samples_read,
    /// Samples that could not be decoded.
    samples_undecodable,
    /// Samples the kernel could not hand over because a ring was full.
    samples_dropped,
    /// The same of samples that would have told what another tells: the same thread did the same with the same file again.
    samples_repeated,
    /// Samples of the agent's own canary.
    samples_canary,
    /// Events that reached the pipeline.
    events_in,
    /// Files the kernel matched and the catalogue did not confirm.
    opens_unconfirmed,
    /// Times that `/proc` was read again after a loss.
    rescans,
    /// Descriptors open before the start that no bound left room for: not looked at.
    descriptors_passed_by,
    /// Services whose environment could not be read, mostly since they had ended.
    environments_unread,
    /// Services with more in their environment than is looked at, or more secrets than are told.
    environments_cut,
    /// Openings and readings that a stacked file system did beneath one that was seen: merged into that.
    opens_merged,
    /// Acts of processes that are known to have ended before: not told, and a gap.
    acts_late,
    /// Times that a list of pods was had, from the kubelet or a file.
    pod_lists,
    /// Times that no list of pods could be had: pods are named by their tokens and their bundles alone.
    pod_lists_failed,
    /// Questions for a pod that nobody could answer.
    pods_unnamed,
    /// Answers of name servers that could not be read.
    answers_unread,
    /// Beginnings of TLS connections that could not be read.
    hellos_unread,
    /// Actions that became part of a chain.
    actions_chained,
    /// Of these, how many have no record of their own: they are told in one with others like them.
    actions_together,
    /// Actions that belong to no chain, and left no record.
    actions_unchained,
    /// Actions beyond the bound of their chain: counted in its summary only.
    actions_folded,
    /// Times that purposes were read, and are in force.
    purposes_taken,
    /// Times that files of purposes had mistakes: what was in force before stayed in force.
    purposes_refused,
    /// Times that the config was read again, and what can change without a restart is in force.
    configs_taken,
    /// Times that the config, the catalogue or purposes had mistakes when the config was read again: nothing changed.
    configs_refused,
    /// State that was given up because a table was full.
    state_evicted,
    /// Records stored.
    records_stored,
    /// Attempts to store that failed and were tried again.
    store_retries,
    /// Marks for which the kernel's table had no room.
    marks_refused,
    /// Rules for which the kernel's tables had no room.
    rules_refused,
    /// Scans for credentials that could not be made, or died: what was watched before stays watched.
    scans_failed,
    /// Lines not shown because the terminal was too slow; they are stored all the same.
    lines_not_shown,
    /// Records handed to sinks, each sink for itself.
    records_forwarded,
    /// Attempts to hand a record to a sink that failed and are tried again.
    forward_retries,
    /// Records that a receiver refused for good, or can never take: set aside, see `spoor sinks`.
    records_set_aside,
    /// Records that a sink's filter let pass it by.
    records_filtered,
    /// Who asked for status or metrics and was turned away: too many at a time, too slow, or nothing that can be asked.
    askers_refused,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_says_what_it_counts() {
        let ledger = Ledger::default();
        for (name, _) in ledger.snapshot() {
            let meaning = Ledger::meaning(name).unwrap();
            assert!(meaning.ends_with('.') && !meaning.starts_with(' '), "{name}: {meaning}");
        }
        assert_eq!(Ledger::meaning("by_kind"), None);
    }

    #[test]
    fn samples_are_counted_by_kind() {
        let by = ByKind::default();
        by.one(Kind::Exec);
        by.one(Kind::AcceptEnd);
        by.one(Kind::Exec);
        let counts = by.counts();
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), 3);
        assert!(counts.contains(&(Kind::Exec, 2)) && counts.contains(&(Kind::AcceptEnd, 1)));
    }
}
