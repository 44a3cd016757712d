//! Who asked for what a daemon brings into a container: the client whose words name it, and the person whose session that
//! is of (ADR 23).
//!
//! A daemon's child has no login and no line to who asked. What is seen is the client: it was executed shortly before,
//! names the container and the very arguments, reached the daemon's socket, and waits. That is no proof, so it is told as
//! its own basis; and where it could have been another, nobody is named.

mod words;

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::HashMap;

use self::words::{By, Client, Target, Words};
use super::entered::is_runtime;
use super::rules::{Case, run_name};
use super::{Resolver, State};
use crate::actor::cgroup::Container;
use crate::actor::{Host, Human, HumanBasis, HumanUnknown, Pod};
use crate::event::ProcessKey;
use crate::lineage::{Cpid, Process, Slot};

/// Clients that wait for an execution.
#[derive(Debug, Default)]
pub(super) struct Clients {
    waiting: VecDeque<Waiting>,
    /// What was told of whoever was brought in, by the root of that run, for as long as that is known.
    decided: HashMap<Slot, Behind>,
    /// Until then some client may have gone unseen.
    unsure_until_ns: u64,
    /// What was brought in without a client, and when last: container and arguments. A health check, as a rule.
    unasked: HashMap<u64, u64>,
}

/// Who stands behind, or why nobody is named.
#[derive(Clone, Debug, Default)]
pub(super) struct Behind {
    pub(super) human: Option<Arc<Human>>,
    pub(super) unknown: Option<HumanUnknown>,
}

#[derive(Debug)]
struct Waiting {
    slot: Slot,
    cpid: Cpid,
    client: &'static Client,
    words: Words,
    argv: Vec<Vec<u8>>,
    since_ns: u64,
    /// It connected to where the daemon is.
    reached: bool,
    /// It fitted once and was not told: whose it is stays open, also when it has gone.
    doubtful: bool,
    /// A person's, of one that is doubtful.
    person: bool,
}

/// How long a client's execution may take to begin. A daemon under load takes seconds; who waits longer is forgotten.
const WINDOW_NS: u64 = 30_000_000_000;
const WAITING_MAX: usize = 256;
/// For how long words are taken to be somebody's else too. Health checks come every half minute, as a rule.
const UNASKED_NS: u64 = 300_000_000_000;
const UNASKED_MAX: usize = 1024;
/// How what stands in a secret's place begins; what secret it was follows (`[redacted:password]`).
const REDACTED: &str = "[redacted";

impl Clients {
    /// A process took a new program.
    fn executed(&mut self, process: &Process, time_ns: u64) {
        let slot = Slot::from(process.key);
        self.waiting.retain(|waiting| waiting.slot != slot || waiting.doubtful);
        let Some((client, words)) = words::asked(process) else {
            return;
        };
        self.outdate(time_ns);
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
            self.unsure(time_ns);
        }
        self.waiting.push_back(Waiting {
            slot,
            cpid: process.cpid,
            client,
            argv: if words == Words::Unread { process.program.argv.clone() } else { Vec::new() },
            words,
            since_ns: time_ns,
            reached: false,
            doubtful: false,
            person: false,
        });
    }

    fn outdate(&mut self, time_ns: u64) {
        self.waiting.retain(|waiting| time_ns.saturating_sub(waiting.since_ns) <= WINDOW_NS);
    }

    fn unsure(&mut self, time_ns: u64) {
        self.unsure_until_ns = self.unsure_until_ns.max(time_ns.saturating_add(WINDOW_NS));
    }

    fn ended(&mut self, slot: Slot) {
        self.waiting.retain(|waiting| waiting.slot != slot || waiting.doubtful);
    }

    pub(super) fn forget(&mut self, slot: Slot) {
        self.ended(slot);
        self.decided.remove(&slot);
    }

    /// Whether the same came shortly before without a client.
    fn came_unasked(&self, what: u64, time_ns: u64) -> bool {
        self.unasked.get(&what).is_some_and(|last_ns| time_ns.saturating_sub(*last_ns) <= UNASKED_NS)
    }

    fn note_unasked(&mut self, what: u64, time_ns: u64) {
        if self.unasked.len() >= UNASKED_MAX && !self.unasked.contains_key(&what) {
            self.unasked.retain(|_, last_ns| time_ns.saturating_sub(*last_ns) <= UNASKED_NS);
            if self.unasked.len() >= UNASKED_MAX {
                // More kinds of them than are kept: which ones there are is not known for a while.
                self.unasked.clear();
                self.unsure(time_ns);
            }
        }
        self.unasked.insert(what, time_ns);
    }

    #[cfg(test)]
    pub(super) fn fill(&self, processes_max: usize) -> [(&'static str, usize, usize); 3] {
        [
            ("clients", self.waiting.len(), WAITING_MAX),
            ("entered", self.decided.len(), processes_max),
            ("unasked", self.unasked.len(), UNASKED_MAX),
        ]
    }
}

/// How well words fit what was brought in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// Container and arguments are named.
    Whole,
    /// The words were not read as a whole, and end as the arguments do.
    Maybe,
}

/// What was brought in.
struct Brought<'a> {
    process: &'a Process,
    container: &'a Container,
    name: &'a str,
    pod: Option<&'a Pod>,
}

impl<H: Host> Resolver<H> {
    /// A process took a new program, or was found with one: a client may be one that somebody waits at.
    pub fn executed(&mut self, process: &Process, time_ns: u64) {
        self.clients.executed(process, time_ns);
    }

    /// A process was there before the probes, or its row was read again. What of it was not seen stays open.
    pub fn found(&mut self, process: &Process, time_ns: u64) {
        let slot = Slot::from(process.key);
        let since_ns = process.key.start_ns;
        let known = self.clients.waiting.iter().any(|waiting| waiting.slot == slot);
        if !known && time_ns.saturating_sub(since_ns) <= WINDOW_NS {
            self.clients.executed(process, since_ns);
        }
    }

    /// A process connected to a socket of this kind, or over the network.
    pub fn reached(&mut self, key: ProcessKey, socket: Option<&str>) {
        let slot = Slot::from(key);
        for waiting in self.clients.waiting.iter_mut().filter(|waiting| waiting.slot == slot) {
            let sockets = waiting.client.sockets;
            waiting.reached |= socket.map_or(sockets.is_empty(), |kind| sockets.contains(&kind));
        }
    }

    /// A process ended: nobody waits at it.
    pub fn ended(&mut self, key: ProcessKey) {
        self.clients.ended(key.into());
    }

    /// Events were lost, up to this time.
    pub fn lost(&mut self, time_ns: u64) {
        self.clients.unsure(time_ns);
    }

    /// Who asked for what was brought into a container by a daemon. Decided once for each, when it has become what was
    /// asked for.
    pub(super) fn behind(&mut self, case: &Case<'_>, root: ProcessKey, pod: Option<&Pod>) -> Behind {
        if let Some(known) = self.clients.decided.get(&root.into()) {
            return known.clone();
        }
        let place = Arc::clone(&case.place);
        let Some(container) = &place.container else {
            return Behind::default();
        };
        let is_stage = case.process.program.argv.first().is_some_and(|name| name == b"/proc/self/exe");
        if root != case.process.key || is_stage || is_runtime(case.process) {
            return Behind::default();
        }
        let name = run_name(container);
        let brought = Brought { process: case.process, container, name: &name, pod };
        let behind = self.decide(&brought, case.time_ns);
        self.clients.decided.insert(root.into(), behind.clone());
        behind
    }

    fn decide(&mut self, brought: &Brought<'_>, time_ns: u64) -> Behind {
        self.clients.outdate(time_ns);
        let what = hash(brought);
        let waiting = std::mem::take(&mut self.clients.waiting);
        let fitting = waiting.iter().enumerate().filter_map(|(at, waiting)| {
            let before = waiting.since_ns < brought.process.key.start_ns;
            Some((at, self.fit(waiting, brought).filter(|_| before)?))
        });
        let fitting: Vec<(usize, Fit)> = fitting.collect();
        self.clients.waiting = waiting;
        let Some((first, fit)) = fitting.first().copied() else {
            self.clients.note_unasked(what, time_ns);
            return Behind::default();
        };
        let unsure = time_ns <= self.clients.unsure_until_ns;
        let also_unasked = self.clients.came_unasked(what, time_ns);
        let Some(one) = self.clients.waiting.get(first) else {
            return Behind::default();
        };
        let unknown = match fit {
            _ if fitting.len() > 1 || one.doubtful => HumanUnknown::SeveralFit,
            _ if unsure => HumanUnknown::EventsLost,
            _ if also_unasked => HumanUnknown::AlsoWithoutClient,
            Fit::Maybe => HumanUnknown::ArgumentsUnread,
            Fit::Whole if !one.reached => HumanUnknown::NotConnected,
            Fit::Whole => return self.named(first),
        };
        let mut by_person = false;
        for (at, _) in fitting {
            if let Some(waiting) = self.clients.waiting.get_mut(at) {
                waiting.person |= human(&self.states, waiting.slot).is_some();
                waiting.doubtful = true;
                by_person |= waiting.person;
            }
        }
        Behind { human: None, unknown: by_person.then_some(unknown) }
    }

    /// The one client that fits is spent: what comes next was asked for by another.
    fn named(&mut self, at: usize) -> Behind {
        let Some(client) = self.clients.waiting.remove(at) else {
            return Behind::default();
        };
        let human = human(&self.states, client.slot).map(|human| {
            Arc::new(Human {
                basis: HumanBasis::Client,
                client: Some(client.cpid.to_string()),
                ..Human::clone(human)
            })
        });
        Behind { human, unknown: None }
    }

    fn fit(&mut self, waiting: &Waiting, brought: &Brought<'_>) -> Option<Fit> {
        let Words::Asked { target, command } = &waiting.words else {
            let may_be = !brought.process.program.argv.is_empty()
                && waiting.argv.ends_with(&brought.process.program.argv);
            return (may_be || brought.process.program.argv_truncated).then_some(Fit::Maybe);
        };
        if !words::runs(brought.process, command) {
            return None;
        }
        let is_there = match target {
            Target::Container(named) => self.is_called(waiting.client, named, brought),
            Target::Pod { name, namespace, container } => brought.pod.is_some_and(|pod| {
                let differs = |named: &Option<String>, known: &Option<String>| {
                    named.is_some() && known.is_some() && named != known
                };
                pod.name.as_ref() == Some(name)
                    && !differs(namespace, &pod.namespace)
                    && !differs(container, &pod.container)
            }),
        };
        is_there.then_some(if is_redacted(command) { Fit::Maybe } else { Fit::Whole })
    }

    /// Whether a container is what words name, and no other that runs is.
    fn is_called(&mut self, client: &Client, named: &str, brought: &Brought<'_>) -> bool {
        let Container { runtime, id, owner, .. } = brought.container;
        if named.is_empty() || !client.runtimes.contains(runtime) {
            return false;
        }
        if id == named {
            return true;
        }
        if client.by == By::Whole {
            return false;
        }
        let rest = id.strip_prefix(named).filter(|_| id.len() == 64);
        if rest.is_some() {
            let alike = brought.name.strip_suffix(id.as_str()).map(|before| format!("{before}{named}"));
            return alike.is_some_and(|alike| !self.runs_another(&alike, brought.name));
        }
        // Only root's daemon is asked: what a user's own writes of names is that user's word.
        let name = named.strip_prefix('/').unwrap_or(named);
        owner.is_none() && self.host.container_name(runtime, id).as_deref() == Some(name)
    }
}

/// The person whose session a process is of.
fn human(states: &HashMap<Slot, State>, slot: Slot) -> Option<&Arc<Human>> {
    states.get(&slot)?.kin.actor.human.as_ref()
}

/// While a stream is captured, the stages see arguments without their secrets: two that differ may look alike.
fn is_redacted(command: &[Vec<u8>]) -> bool {
    let mark = REDACTED.as_bytes();
    command.iter().any(|argument| argument.windows(mark.len()).any(|part| part == mark))
}

fn hash(brought: &Brought<'_>) -> u64 {
    // The same in each life, so that a replay comes to the same.
    let mut hasher = DefaultHasher::new();
    (brought.name, &brought.process.program.argv).hash(&mut hasher);
    hasher.finish()
}
