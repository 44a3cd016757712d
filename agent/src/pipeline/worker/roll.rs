//! The roll: after a loss `/proc` tells who is there. That takes a while, and what happened before and during it is still on
//! its way through the rings: a process whose execution, opening and exit are there is not in `/proc` any more, and once it is
//! taken for gone, what it did cannot be told. So what `/proc` told takes its place in the order of kernel time.

use super::Worker;
use crate::actor::Host;
use crate::credential::Describe;
use crate::event::{Event, ProcessKey, What};
use crate::kernel::{Wanted, boot_ns, seed};
use crate::record::Record;

/// What `/proc` told, until its time has come.
#[derive(Debug, Default)]
pub(super) struct Roll {
    /// Who is there. They belong where the reading began: what a process did since is seen, and later than its row.
    rows: (u64, Vec<Event>),
    /// That nobody else is there. That belongs where the reading ended: who is not in it had ended by then.
    present: Option<(u64, Event)>,
}

impl Roll {
    /// `/proc` was read from one time to another. What was told before and waits still is superseded.
    fn call(&mut self, (began_ns, ended_ns): (u64, u64), rows: Vec<Event>, present: Option<Vec<ProcessKey>>) {
        self.rows = (began_ns, rows);
        let event = |present| Event { time_ns: began_ns, what: What::Present(present) };
        self.present = present.map(|present| (ended_ns, event(present)));
    }

    /// What has its place before an event of that time.
    fn before(&mut self, time_ns: u64) -> Vec<Event> {
        let mut due = Vec::new();
        if self.rows.0 < time_ns {
            due.append(&mut self.rows.1);
        }
        due.extend(self.present.take_if(|(ended_ns, _)| *ended_ns < time_ns).map(|(_, event)| event));
        due
    }
}

impl<D: Describe, H: Host> Worker<D, H> {
    /// After a loss of forks, executions or exits: `/proc` tells who is there.
    pub(super) fn call_the_roll(&mut self, now: u64) {
        let (cgroups, scope) = (self.around.cgroups.as_ref(), self.around.watched.as_slice());
        let scan = match seed(&Wanted { cgroups, scope, credential: &|_| None, starting: false }) {
            Ok(scan) => scan,
            Err(error) => {
                tracing::warn!("/proc cannot be read again after a loss: {error}");
                return;
            }
        };
        self.around.ledger.rescans.one();
        let mut rows = scan.events;
        let mut present: Vec<ProcessKey> = Vec::new();
        for event in &mut rows {
            if let What::Seeded(seeded) = &mut event.what {
                seeded.again = true;
                present.push(seeded.process.key);
            }
        }
        // Where a row is kept from the agent, nobody is taken for gone.
        let present = (scan.unread == 0).then_some(present);
        self.roll.call((now, boot_ns()), rows, present);
    }

    /// What the reader handed on, with what `/proc` told in its place.
    pub(super) fn read(&mut self, batch: &[Event]) -> Vec<Record> {
        let mut records = Vec::new();
        for event in batch {
            for told in self.roll.before(event.time_ns) {
                self.see(&told, &mut records);
            }
            self.see(event, &mut records);
        }
        records
    }

    /// The same where nothing comes any more.
    pub(super) fn close_the_roll(&mut self, records: &mut Vec<Record>) {
        for told in self.roll.before(u64::MAX) {
            self.see(&told, records);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(time_ns: u64) -> Event {
        Event { time_ns, what: What::Tick }
    }

    #[test]
    fn what_proc_told_waits_for_what_happened_before() {
        let mut roll = Roll::default();
        assert!(roll.before(u64::MAX).is_empty());
        let key = ProcessKey { tgid: 7, start_ns: 70 };
        roll.call((100, 130), vec![row(100), row(100)], Some(vec![key]));
        assert!(roll.before(100).is_empty(), "others of that very time may come");
        assert_eq!(roll.before(101), [row(100), row(100)]);
        assert!(roll.before(130).is_empty(), "it may have ended while `/proc` was read");
        // Of the time at which the reading began: who started later need not be in it.
        assert_eq!(roll.before(131), [Event { time_ns: 100, what: What::Present(vec![key]) }]);
        assert!(roll.before(u64::MAX).is_empty(), "once");
    }

    #[test]
    fn a_later_reading_stands_for_an_earlier_one() {
        let mut roll = Roll::default();
        roll.call((100, 130), vec![row(100)], Some(Vec::new()));
        roll.call((200, 230), vec![row(200)], None);
        assert_eq!(roll.before(u64::MAX), [row(200)], "and says nothing of who is not in it");
    }
}
