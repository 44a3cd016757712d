//! What is tried again: connections of a run, programs that a process starts anew, and whole runs of a job.
//!
//! Again is only what follows a failure that was seen. A repetition by schedule, another job, or the same command from
//! another origin is no retry. See docs/CHAINS.md.

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use foldhash::HashMap;

use super::ChainId;
use crate::action::ActionId;
use crate::actor::Actor;
use crate::event::{Endpoint, ExitStatus};
use crate::lineage::{Process, Program};

/// Something is done again after it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// 2 for the first repetition.
    pub number: u64,
    /// The first attempt, where it has a record.
    pub of: Option<ActionId>,
    /// The failed one before, where it has a record.
    pub after: Option<ActionId>,
}

/// A run is begun again after it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunAttempt {
    /// 2 for the first repetition.
    pub number: u64,
    /// The last chain of the first attempt.
    pub of: ChainId,
    /// The last chain of the failed attempt before.
    pub after: ChainId,
    /// How that one ended.
    pub failed: ExitStatus,
    /// From its end to this begin.
    pub delay_ns: u64,
}

/// Whether a process says that it did not do what it was to do.
pub(super) fn failed(status: ExitStatus) -> bool {
    status != ExitStatus::Code(0)
}

/// Failed attempts one after another.
#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u64,
    first: Option<ActionId>,
    last: Option<ActionId>,
}

impl Failures {
    fn none() -> Self {
        Self { count: 0, first: None, last: None }
    }

    fn another(&mut self, action: Option<ActionId>) {
        if self.count == 0 {
            self.first = action;
        }
        self.last = action;
        self.count = self.count.saturating_add(1);
    }

    fn next(&self) -> Option<Attempt> {
        let number = self.count.saturating_add(1);
        (self.count > 0).then_some(Attempt { number, of: self.first, after: self.last })
    }
}

/// Destinations of a run that did not answer, the latest last.
#[derive(Debug, Default)]
pub(super) struct Destinations(Vec<Destination>);

#[derive(Debug)]
struct Destination {
    to: Endpoint,
    name: Option<String>,
    failed_ns: u64,
    failures: Failures,
}

impl Destinations {
    const MOST: usize = 64;
    /// A client that has several addresses for a name tries the next one at once: that is one attempt.
    const FALLBACK_NS: u64 = 1_000_000_000;

    /// Whether a connection that is asked for now is a retry.
    pub(super) fn asked(&self, to: Endpoint, name: Option<&str>, time_ns: u64) -> Option<Attempt> {
        let elsewhere = |known: &Destination| {
            let same = known.name.as_deref().is_some_and(|known| Some(known) == name);
            same && port(known.to) == port(to) && time_ns.saturating_sub(known.failed_ns) >= Self::FALLBACK_NS
        };
        let here = self.0.iter().rev().find(|known| known.to == to);
        here.or_else(|| self.0.iter().rev().find(|known| elsewhere(known)))?.failures.next()
    }

    pub(super) fn failed(&mut self, to: Endpoint, name: Option<&str>, action: ActionId, time_ns: u64) {
        let place = self.0.iter().position(|known| known.to == to);
        let mut known = match place {
            Some(place) => self.0.remove(place),
            None => Destination { to, name: None, failed_ns: time_ns, failures: Failures::none() },
        };
        known.failed_ns = time_ns;
        known.name = name.map(str::to_owned).or(known.name);
        known.failures.another(Some(action));
        if self.0.len() >= Self::MOST {
            self.0.remove(0);
        }
        self.0.push(known);
    }

    pub(super) fn answered(&mut self, to: Endpoint, name: Option<&str>) {
        self.0.retain(|known| {
            let same = known.name.is_some() && known.name.as_deref() == name && port(known.to) == port(to);
            known.to != to && !same
        });
    }
}

fn port(to: Endpoint) -> u32 {
    match to {
        Endpoint::Inet { port, .. } => port.into(),
        Endpoint::Vsock { port, .. } => port,
    }
}

/// What a process started and what failed: a shell's loop, an orchestrator's jobs.
#[derive(Debug, Default)]
pub(super) struct Started(Vec<(Command, Failures)>);

/// A program with its arguments, as a hash: whether it is the same is all that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Command(NonZeroU64);

impl Command {
    /// `None` where not all of it is known.
    pub(super) fn of(program: &Program) -> Option<Self> {
        let mut hasher = blake3::Hasher::new();
        add_command(&mut hasher, program)?;
        Some(Self(NonZeroU64::new(u64::from_le_bytes(short(&hasher))).unwrap_or(NonZeroU64::MIN)))
    }
}

impl Started {
    const MOST: usize = 8;

    pub(super) fn again(&self, command: Command) -> Option<Attempt> {
        self.0.iter().find(|(known, _)| *known == command)?.1.next()
    }

    /// A process that was started ended; `action` is the record of its execution.
    pub(super) fn ended(&mut self, command: Command, status: ExitStatus, action: Option<ActionId>) {
        let place = self.0.iter().position(|(known, _)| *known == command);
        let mut failures = place.map_or_else(Failures::none, |place| self.0.remove(place).1);
        if !failed(status) {
            return;
        }
        failures.another(action);
        if self.0.len() >= Self::MOST {
            self.0.remove(0);
        }
        self.0.push((command, failures));
    }
}

/// What makes two runs the same job: who, by what origin, which program with which arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Job([u8; 16]);

impl Job {
    /// `None` where a repetition is never a retry: people do what they like, and cron does not try again.
    pub(super) fn of(actor: &Actor, root: &Process) -> Option<Self> {
        let origin = actor.origin.split(':').next().unwrap_or_default();
        if !actor.kind.is_service() || matches!(origin, "cron" | "anacron" | "at" | "human" | "login") {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        add(&mut hasher, actor.id.as_bytes());
        add(&mut hasher, actor.origin.as_bytes());
        // Replicas of a workload fail each for itself; of a `Job` of Kubernetes each pod is an attempt.
        if let Some(pod) = actor.pod.as_ref().filter(|_| !actor.origin.contains("/Job/")) {
            add(&mut hasher, pod.uid.as_bytes());
            add(&mut hasher, pod.container.as_deref().unwrap_or_default().as_bytes());
        }
        add_command(&mut hasher, &root.program)?;
        Some(Self(short(&hasher)))
    }
}

/// How a job's runs ended, as far as they left chains. Bounded: the one untouched for longest is forgotten first.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    known: HashMap<Job, History>,
    touched: BTreeSet<(u64, Job)>,
}

#[derive(Clone, Copy, Debug)]
struct History {
    ended_ns: u64,
    failures: u64,
    first: ChainId,
    last: ChainId,
    status: ExitStatus,
    /// Shortest time from a good end to the next begin: what a schedule leaves between.
    pause_ns: Option<u64>,
}

impl Jobs {
    const MOST: usize = 4_096;
    /// Nothing that begins later is a retry: the longest back-off of orchestrators is five minutes.
    const WITHIN_NS: u64 = 600_000_000_000;
    /// By a timer whose pauses are not known yet: what restarts a unit waits less than that.
    const WITHIN_UNKNOWN_NS: u64 = 60_000_000_000;

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len().max(self.touched.len())
    }

    /// A run begins.
    pub(super) fn begun(&mut self, job: Job, actor: &Actor, begun_ns: u64) -> Option<RunAttempt> {
        let history = self.known.get_mut(&job)?;
        let delay_ns = begun_ns.saturating_sub(history.ended_ns);
        if history.failures == 0 {
            history.pause_ns = Some(history.pause_ns.map_or(delay_ns, |pause| pause.min(delay_ns)));
            return None;
        }
        let timed = actor.origin.starts_with("timer:");
        let within = match history.pause_ns {
            // What comes as late as after a good end comes by the schedule.
            Some(pause) if timed => pause / 2,
            None if timed => Self::WITHIN_UNKNOWN_NS,
            _ => Self::WITHIN_NS,
        };
        if delay_ns > within.min(Self::WITHIN_NS) {
            history.failures = 0;
            return None;
        }
        Some(RunAttempt {
            number: history.failures.saturating_add(1),
            of: history.first,
            after: history.last,
            failed: history.status,
            delay_ns,
        })
    }

    /// A run ended.
    pub(super) fn ended(&mut self, job: Job, status: ExitStatus, chain: ChainId, ended_ns: u64) {
        let before = self.known.remove(&job);
        if let Some(before) = before {
            self.touched.remove(&(before.ended_ns, job));
        } else if self.known.len() >= Self::MOST
            && let Some((_, oldest)) = self.touched.pop_first()
        {
            self.known.remove(&oldest);
        }
        let earlier = before.filter(|before| before.failures > 0);
        let history = History {
            ended_ns,
            failures: if failed(status) { earlier.map_or(0, |before| before.failures) + 1 } else { 0 },
            first: earlier.map_or(chain, |before| before.first),
            last: chain,
            status,
            pause_ns: before.and_then(|before| before.pause_ns),
        };
        self.touched.insert((ended_ns, job));
        self.known.insert(job, history);
    }
}

fn add(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
    hasher.update(bytes);
}

/// Two commands that were cut may differ in what is not known.
fn add_command(hasher: &mut blake3::Hasher, program: &Program) -> Option<()> {
    let whole = !program.argv_truncated && !program.exe.truncated && !program.exe.bytes.is_empty();
    add(hasher, &program.exe.bytes);
    program.argv.iter().for_each(|argument| add(hasher, argument));
    whole.then_some(())
}

fn short<const BYTES: usize>(hasher: &blake3::Hasher) -> [u8; BYTES] {
    let mut short = [0; BYTES];
    hasher.finalize_xof().fill(&mut short);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::ActorKind;
    use crate::chain::Ulid;

    const SECOND: u64 = 1_000_000_000;
    const JOB: Job = Job([1; 16]);

    fn actor(origin: &str) -> Actor {
        Actor {
            id: "systemd:dump.service".to_owned(),
            kind: ActorKind::SystemdService,
            origin: origin.to_owned(),
            user: "root".to_owned(),
            user_source: None,
            human: None,
            human_unknown: None,
            pod: None,
            spiffe_id: None,
        }
    }

    fn number(jobs: &mut Jobs, origin: &str, begun_s: u64) -> Option<u64> {
        jobs.begun(JOB, &actor(origin), begun_s * SECOND).map(|attempt| attempt.number)
    }

    fn ended(jobs: &mut Jobs, code: u8, chain: u128, ended_s: u64) {
        jobs.ended(JOB, ExitStatus::Code(code), Ulid(chain), ended_s * SECOND);
    }

    #[test]
    fn a_service_that_fails_is_tried_again() {
        let mut jobs = Jobs::default();
        assert_eq!(number(&mut jobs, "init", 10), None);
        ended(&mut jobs, 1, 1, 20);
        let second = jobs.begun(JOB, &actor("init"), 21 * SECOND).unwrap();
        assert_eq!((second.number, second.of, second.after), (2, Ulid(1), Ulid(1)));
        assert_eq!((second.failed, second.delay_ns), (ExitStatus::Code(1), SECOND));
        ended(&mut jobs, 2, 2, 30);
        let third = jobs.begun(JOB, &actor("init"), 90 * SECOND).unwrap();
        assert_eq!((third.number, third.of, third.after), (3, Ulid(1), Ulid(2)));
        ended(&mut jobs, 0, 3, 100);
        assert_eq!(number(&mut jobs, "init", 101), None, "what went well is not tried again");
    }

    #[test]
    fn what_comes_long_after_is_no_retry() {
        let mut jobs = Jobs::default();
        ended(&mut jobs, 1, 1, 20);
        assert_eq!(number(&mut jobs, "init", 621), None);
        assert_eq!(number(&mut jobs, "init", 622), None, "nor what follows it");
    }

    #[test]
    fn a_schedule_is_no_retry() {
        let mut jobs = Jobs::default();
        ended(&mut jobs, 1, 1, 20);
        assert_eq!(number(&mut jobs, "timer:dump.timer", 81), None, "later than units are restarted");
        ended(&mut jobs, 0, 2, 82);
        assert_eq!(number(&mut jobs, "timer:dump.timer", 112), None);
        ended(&mut jobs, 1, 3, 113);
        assert_eq!(number(&mut jobs, "timer:dump.timer", 143), None, "as late as after a good end");
        ended(&mut jobs, 1, 4, 144);
        assert_eq!(number(&mut jobs, "timer:dump.timer", 145), Some(2), "sooner: somebody tries again");
    }

    #[test]
    fn memory_of_jobs_is_bounded() {
        let mut jobs = Jobs::default();
        for number in 0..10_000_u64 {
            let mut job = [0; 16];
            job[..8].copy_from_slice(&number.to_le_bytes());
            jobs.ended(Job(job), ExitStatus::Code(1), Ulid(1), number);
        }
        assert_eq!((jobs.known.len(), jobs.touched.len()), (Jobs::MOST, Jobs::MOST));
    }

    #[test]
    fn connections_again() {
        let to = |host: u8| Endpoint::tcp([10, 0, 0, host].into(), 443);
        let mut known = Destinations::default();
        known.failed(to(1), Some("api.example"), ActionId(1), SECOND);
        known.failed(to(1), Some("api.example"), ActionId(2), 2 * SECOND);
        let attempt = known.asked(to(1), None, 2 * SECOND);
        assert_eq!(attempt, Some(Attempt { number: 3, of: Some(ActionId(1)), after: Some(ActionId(2)) }));
        let other = |name, time_ns| known.asked(to(2), name, time_ns).map(|attempt| attempt.number);
        assert_eq!(other(Some("api.example"), 2 * SECOND + 1), None, "the next address of a name, at once");
        assert_eq!(other(Some("api.example"), 9 * SECOND), Some(3));
        assert_eq!(other(Some("www.example"), 9 * SECOND), None);
        assert_eq!(other(None, 9 * SECOND), None);
        known.answered(to(2), Some("api.example"));
        assert_eq!(known.asked(to(1), None, 9 * SECOND), None);
        for host in 0..=255 {
            known.failed(to(host), None, ActionId(9), SECOND);
        }
        assert_eq!(known.0.len(), Destinations::MOST);
    }

    #[test]
    fn programs_again() {
        let command = |number| Command(NonZeroU64::MIN.saturating_add(number));
        let mut started = Started::default();
        started.ended(command(1), ExitStatus::Code(7), None);
        started.ended(command(1), ExitStatus::Signal { signal: 9, core: false }, Some(ActionId(5)));
        let attempt = started.again(command(1)).unwrap();
        assert_eq!(attempt, Attempt { number: 3, of: None, after: Some(ActionId(5)) });
        assert_eq!(started.again(command(2)), None);
        started.ended(command(1), ExitStatus::Code(0), None);
        assert_eq!(started.again(command(1)), None);
        for number in 0..100 {
            started.ended(command(number), ExitStatus::Code(1), None);
        }
        assert_eq!(started.0.len(), Started::MOST);
    }
}
