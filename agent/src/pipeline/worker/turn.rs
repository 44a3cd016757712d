//! Whose turn it is, where one agent takes over from another: the older one records what happened up to a moment that it
//! names, the newer one what happened after it. Both see all of it for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Worker;
use crate::actor::Host;
use crate::credential::Describe;
use crate::event::{Deed, Event, Loss, ProcessKey, What};

/// An agent that is to take over: what it and its canary do is nobody's business until it has, or has given up.
#[derive(Debug)]
pub struct Spare {
    /// Its process.
    pub process: ProcessKey,
    /// Not any more.
    pub again: bool,
    /// Told when it is so.
    pub done: oneshot::Sender<()>,
}

/// What of the events is this agent's to record. Times are ns of `CLOCK_BOOTTIME`.
#[derive(Debug)]
pub struct Turn {
    /// What happened until then, the agent before has recorded.
    pub from_ns: u64,
    /// What happens after that, the next one records; `u64::MAX` while there is none.
    pub until_ns: Arc<AtomicU64>,
    /// Agents that come to take over.
    pub spares: Receiver<Spare>,
}

impl Turn {
    /// Whether it is ours. Who was born, took a program and ended while the agent before recorded is taken in all the same:
    /// it tells of none of that, and what comes after is explained by it. What was lost meanwhile, that one has.
    pub(super) fn is_ours(&self, event: &Event) -> bool {
        let begun = event.time_ns > self.from_ns;
        match &event.what {
            What::Seen(_) => {
                event.time_ns <= self.until_ns.load(Ordering::Relaxed) && (begun || explains(event))
            }
            What::Lost(_) | What::Refused { .. } | What::Repeated { .. } | What::Missed(_) => begun,
            What::Seeded(_) | What::Silent { .. } | What::Present(_) | What::Answer(_) | What::Tick => true,
        }
    }
}

/// Whether what comes later is explained by it, also where it is nobody's to record.
fn explains(event: &Event) -> bool {
    match &event.what {
        What::Seen(seen) => matches!(seen.deed, Deed::Fork { .. } | Deed::Exec { .. } | Deed::Exit { .. }),
        What::Tick => false,
        What::Seeded(_)
        | What::Lost(_)
        | What::Refused { .. }
        | What::Repeated { .. }
        | What::Missed(_)
        | What::Silent { .. }
        | What::Present(_)
        | What::Answer(_) => true,
    }
}

/// Most events kept of what another agent recorded.
const EXPLAIN_MAX: usize = 65_536;
/// Longest time for it; the reader ticks twice a second.
const CATCHING_UP: Duration = Duration::from_secs(20);

/// Takes what the probes saw until now, which is another agent's to record, and keeps what explains later events. After it the
/// rings are empty but for what came meanwhile, and what was lost before is told as lost before: a slow start beside a
/// busy agent fills them, and nothing is missing by that.
pub fn catch_up(feed: &Receiver<Vec<Event>>, now_ns: u64) -> Vec<Event> {
    let mut kept = Vec::new();
    let mut left_out = false;
    // The reader counts what was lost and then ticks: a tick of later than now has that before it.
    let deadline = Instant::now() + CATCHING_UP;
    while let Ok(batch) = feed.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        let caught_up = batch.iter().any(|event| event.what == What::Tick && event.time_ns >= now_ns);
        for event in batch.into_iter().filter(explains) {
            if kept.len() < EXPLAIN_MAX {
                kept.push(event);
            } else {
                left_out = true;
            }
        }
        if caught_up {
            break;
        }
    }
    if left_out {
        let loss = Loss::uncounted(now_ns);
        kept.push(Event { time_ns: now_ns, what: What::Lost(loss) });
    }
    kept
}

impl<D: Describe, H: Host> Worker<D, H> {
    /// Marks those that come to take over, as it marks its canary.
    pub(super) fn spare(&mut self) {
        while let Ok(Spare { process, again, done }) = self.around.turn.spares.try_recv() {
            if let Err(error) = self.around.control.spare(process, !again) {
                tracing::warn!(
                    "the agent that takes over is not marked, and will be in the records: {error}"
                );
            }
            // Who asked may have gone meanwhile.
            let _ = done.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::pipeline::scenario::{BACKUP, Scenario};

    #[test]
    fn a_moment_parts_what_is_recorded_by_the_one_from_what_is_by_the_other() {
        let (mut story, shell) = Scenario::begin();
        let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
        story.open(job, "/etc/token");
        story.open(job, "/etc/token");
        let events = story.events;
        let last = events.last().unwrap().time_ns;
        for cut in events.iter().flat_map(|event| [event.time_ns - 1, event.time_ns, event.time_ns + 1]) {
            let turn = |from_ns, until_ns| Turn {
                from_ns,
                until_ns: Arc::new(AtomicU64::new(until_ns)),
                spares: channel().1,
            };
            let (older, newer) = (turn(0, cut), turn(cut, u64::MAX));
            for event in &events {
                let What::Seen(seen) = &event.what else { continue };
                let descent = !matches!(seen.deed, Deed::Open(_));
                assert_eq!(older.is_ours(event), event.time_ns <= cut);
                assert_eq!(newer.is_ours(event), event.time_ns > cut || descent);
            }
        }
        let loss = || Loss::uncounted(0);
        for (time_ns, ours) in [(last, false), (last + 1, true)] {
            let lost = Event { time_ns, what: What::Lost(loss()) };
            let newer =
                Turn { from_ns: last, until_ns: Arc::new(AtomicU64::new(u64::MAX)), spares: channel().1 };
            assert_eq!(newer.is_ours(&lost), ours);
        }
        let tick = Event { time_ns: last + 1, what: What::Tick };
        assert!(
            Turn { from_ns: 0, until_ns: Arc::new(AtomicU64::new(last)), spares: channel().1 }.is_ours(&tick)
        );
    }

    #[test]
    fn who_catches_up_keeps_what_explains_and_stops_at_a_tick_of_later() {
        let (mut story, shell) = Scenario::begin();
        let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
        story.open(job, "/etc/token");
        story.lost();
        let mut events = story.events;
        let last = events.last().unwrap().time_ns;
        let tick = |time_ns| Event { time_ns, what: What::Tick };
        let (reader, feed) = channel();
        events.push(tick(last));
        reader.send(events.clone()).unwrap();
        reader.send(vec![tick(last + 2)]).unwrap();
        reader.send(events.clone()).unwrap();
        let kept = catch_up(&feed, last + 1);
        let explain: Vec<_> = events.iter().filter(|event| explains(event)).cloned().collect();
        assert_eq!(kept, explain);
        assert!(kept.len() > 2 && kept.len() < events.len() - 1);
        assert!(kept.iter().any(|event| matches!(event.what, What::Lost(_))));
        assert_eq!(feed.try_iter().count(), 1, "what came after the tick is not taken");
    }

    #[test]
    fn who_catches_up_in_a_flood_says_that_not_all_is_kept() {
        let (mut story, shell) = Scenario::begin();
        let _job = story.run(shell, 200, BACKUP, "/usr/bin/job");
        let fork = story.events.iter().rfind(|event| explains(event)).unwrap().clone();
        let (reader, feed) = channel();
        reader.send(vec![fork; EXPLAIN_MAX + 1]).unwrap();
        reader.send(vec![Event { time_ns: 7, what: What::Tick }]).unwrap();
        let kept = catch_up(&feed, 7);
        assert_eq!(kept.len(), EXPLAIN_MAX + 1);
        assert!(matches!(kept.last().unwrap().what, What::Lost(_)));
    }
}
