//! The ledger: what came in, what went out, what was refused, and why. One for the process, shared by all threads;
//! counters only ever grow.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! ledger {
    ($($(#[doc = $doc:literal])+ $name:ident),+ $(,)?) => {
        /// One counter a hop. The names are those of `spoor`'s heartbeat record.
        #[derive(Debug, Default)]
        pub struct Ledger { $($(#[doc = $doc])+ pub $name: Counter),+ }

        impl Ledger {
            /// Name and value of every counter, in the order of the hops.
            #[must_use]
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                let Self { $($name),+ } = self;
                vec![$((stringify!($name), $name.get())),+]
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

ledger! {
    /// Samples taken from the rings.
    samples_read,
    /// Samples that could not be decoded.
    samples_undecodable,
    /// Samples the kernel could not hand over because a ring was full.
    samples_dropped,
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
    /// Openings and readings that a stacked file system did beneath one that was seen: merged into that.
    opens_merged,
    /// Answers of name servers that could not be read.
    answers_unread,
    /// Beginnings of TLS connections that could not be read.
    hellos_unread,
    /// Actions that became part of a chain.
    actions_chained,
    /// Actions that belong to no chain, and left no record.
    actions_unchained,
    /// Actions beyond the bound of their chain: counted in its summary only.
    actions_folded,
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
    /// Lines not shown because the terminal was too slow; they are stored all the same.
    lines_not_shown,
    /// Records handed to sinks, each sink for itself.
    records_forwarded,
    /// Attempts to hand a record to a sink that failed and are tried again.
    forward_retries,
}
