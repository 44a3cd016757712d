//! What time brings with it.

use super::Machine;
use super::membership::EMPTY_NS;
use crate::chain::{CloseReason, Note};

/// What is due some time after something else.
enum Due {
    /// The connection that waits for longest gets no outcome.
    Unanswered,
    /// The unit that has no process for longest is over.
    Empty,
    /// The chain of that run ends.
    Quiet(u64),
    /// The moment that is to end first ends.
    Moment,
    /// The chain of that run has as many records as it may have, and ends.
    Full(u64),
}

impl Machine {
    /// Lets time pass: what is due happens in the order in which it is due, at the time at which it is due.
    pub(super) fn advance(&mut self, time_ns: u64, out: &mut Vec<Note>) {
        self.now_ns = self.now_ns.max(time_ns);
        while let Some((at, due)) = self.next_due().filter(|(at, _)| *at <= self.now_ns) {
            match due {
                Due::Unanswered => {
                    if let Some((sample, asked)) = self.connections.pop_oldest() {
                        self.unanswered(sample, asked, at, out);
                    }
                }
                Due::Empty => self.oldest_empty_is_over(at, out),
                Due::Quiet(run) => self.close(run, CloseReason::Quiet, at, out),
                Due::Moment => self.moment_ends(out),
                Due::Full(run) => self.close(run, CloseReason::Full, at, out),
            }
        }
    }

    fn next_due(&mut self) -> Option<(u64, Due)> {
        let unanswered =
            self.connections.oldest_ns().map(|since| (since, self.limits.pending_ns, Due::Unanswered));
        let empty = self.empty.front().map(|(since, _)| (*since, EMPTY_NS, Due::Empty));
        // Where none is due even by where it stands, none is: which comes first does not matter then.
        let first = self.touched.first().copied();
        let due = |(since, _): &(u64, u64)| since.saturating_add(self.limits.quiet_ns) <= self.now_ns;
        let first = if first.as_ref().is_some_and(due) { self.quietest() } else { None };
        let quiet = first.map(|(since, run)| (since, self.limits.quiet_ns, Due::Quiet(run)));
        let moment = self.moments.first_end_ns().map(|at| (at, 0, Due::Moment));
        let full = self.full.first().map(|(at, run)| (*at, 0, Due::Full(*run)));
        let all = [unanswered, empty, quiet, moment, full].into_iter().flatten();
        all.map(|(since, after, due)| (since.saturating_add(after), due)).min_by_key(|(at, _)| *at)
    }
}
