//! The machine: which process belongs to which run, and what becomes a note.

mod awaited;
mod connecting;
#[cfg(test)]
mod fill;
mod judging;
mod losing;
mod member;
mod membership;
mod naming;
mod quiet;
mod recording;
mod secrets;
mod telling;
mod time;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use foldhash::HashMap;

use self::awaited::Awaited;
use self::losing::Over;
use self::member::Member;
use super::attempts::{Command, Jobs};
use super::connections::Connections;
use super::ids::Ids;
use super::run::{Open, Run};
use super::serving::Unit;
use super::together::{ALONE, Moments};
use super::{ChainId, CloseReason, GapKind, Note};
use crate::action::ActionDeed;
use crate::actor::{RunKey, Standing};
use crate::credential::Credential;
use crate::event::{Deed, Event, Facts, Loss, ProcessKey, Seen, What};
use crate::lineage::{Held, KnownBy, OfPrograms, Process, Slot, Table};
use crate::names::Named;
use crate::purpose::{Digest, Purposes};

/// Bounds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A chain without an action for so long ends; the next action opens another.
    pub quiet_ns: u64,
    /// A connection without an outcome for so long is reported without one.
    pub pending_ns: u64,
    /// Most records of actions of one chain; half as many again of what gives way last.
    pub max_actions: u64,
    /// A chain that has as many ends when it was open for so long; the next action opens another.
    pub full_ns: u64,
    /// Most chains open at once.
    pub max_open: usize,
    /// Most connections waiting for their outcome, and most remembered after they were reported without one.
    pub max_pending: usize,
    /// How many connections that nothing tells apart a process may have told by themselves within a moment; the others are
    /// told together.
    pub alone: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            quiet_ns: 300_000_000_000,
            pending_ns: 3_000_000_000,
            max_actions: 10_000,
            full_ns: 3_600_000_000_000,
            max_open: 4096,
            max_pending: 8192,
            alone: ALONE,
        }
    }
}

/// A process with what is known of it at an event.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The process, as it is after the event.
    pub process: Arc<Process>,
    /// Its identity.
    pub facts: Facts,
    /// Whose it is, and in which run.
    pub standing: Standing,
    /// SHA-256 of its program, where a purpose asks for it and it is known by now.
    pub digest: Option<Digest>,
}

/// An event, with what the earlier stages found.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The event.
    pub event: &'a Event,
    /// The process table after it.
    pub table: &'a Table,
    /// Who acted. `None` where nobody did, and for [`Deed::ConnectEnd`], which is known by its connection.
    pub by: Option<&'a Subject>,
    /// Of a [`Deed::Fork`], the new process.
    pub child: Option<&'a Subject>,
    /// Of a deed with a file or a key, what that holds; of a [`What::Seeded`], what its open files and its environment hold;
    /// of a [`Deed::Exec`], what its environment holds; of a [`Deed::Connect`], what the destination hands out.
    pub credentials: &'a [Arc<Credential>],
    /// Of a [`Deed::Connect`] or [`Deed::Send`], the destination's name; of a [`Deed::Hello`], the one that was said.
    pub name: Option<&'a Named>,
    /// Every name that the host was told for that destination.
    pub heard: &'a [Arc<str>],
}

/// What became of actions and state so far. Numbers only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Actions that became part of a chain.
    pub chained: u64,
    /// Of these, how many have no record of their own: others are told with them in one.
    pub together: u64,
    /// Actions outside of any chain.
    pub unchained: u64,
    /// Actions beyond the bound of their chain.
    pub folded: u64,
    /// Chains ended, connections reported without an outcome, and names of pods no longer looked for, because there were too
    /// many.
    pub evicted: u64,
}

/// Runs, chains and links.
#[derive(Debug)]
pub struct Machine {
    limits: Limits,
    ids: Ids,
    wall_offset_ns: i64,
    /// What actions are judged by.
    purposes: Arc<Purposes>,
    /// What nothing shows at present.
    uncovered: Vec<GapKind>,
    members: HashMap<Slot, Member>,
    runs: HashMap<u64, Run>,
    runs_by_key: HashMap<Arc<RunKey>, u64>,
    /// Runs with an open chain, about by when it was touched last (`quiet`).
    touched: BTreeSet<(u64, u64)>,
    /// Those of them whose chain is about no credential: where there are too many, they end first.
    bare: BTreeSet<(u64, u64)>,
    connections: Connections,
    /// What is done again and again within a moment.
    moments: Moments,
    /// Chains that have as many records as they may have, by when they end.
    full: BTreeSet<(u64, u64)>,
    jobs: Jobs,
    commands: OfPrograms<Option<Command>>,
    /// Units without a process, each since when, the oldest first.
    empty: VecDeque<(u64, u64)>,
    /// When chains closed, the latest last: a loss is noticed after it happened, and concerns them too.
    closed: VecDeque<Over>,
    /// Chains whose actor may have a better name soon, the oldest first.
    awaited: BTreeMap<ChainId, Awaited>,
    counts: Counts,
    runs_begun: u64,
    chains_opened: u64,
    actions_seen: u64,
    now_ns: u64,
}

impl Machine {
    /// `wall_offset_ns` is what makes wall-clock time of boot time; ids start with it.
    #[must_use]
    pub fn new(limits: Limits, boot_id: [u8; 16], wall_offset_ns: i64) -> Self {
        Self {
            limits: Limits {
                max_open: limits.max_open.max(1),
                max_pending: limits.max_pending.max(1),
                ..limits
            },
            ids: Ids::new(boot_id, wall_offset_ns),
            wall_offset_ns,
            purposes: Arc::default(),
            uncovered: Vec::new(),
            members: HashMap::default(),
            runs: HashMap::default(),
            runs_by_key: HashMap::default(),
            touched: BTreeSet::new(),
            bare: BTreeSet::new(),
            empty: VecDeque::new(),
            closed: VecDeque::new(),
            awaited: BTreeMap::new(),
            connections: Connections::default(),
            moments: Moments::new(limits.alone),
            full: BTreeSet::new(),
            jobs: Jobs::default(),
            commands: OfPrograms::default(),
            counts: Counts::default(),
            runs_begun: 0,
            chains_opened: 0,
            actions_seen: 0,
            now_ns: 0,
        }
    }

    /// What became of actions so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How a process is known to hold a credential; `None` where it holds none.
    #[must_use]
    pub fn holds(&self, key: ProcessKey) -> Option<Held> {
        self.members.get(&key.into())?.more().holds.held()
    }

    /// Live processes, runs, open chains.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize, usize) {
        (self.members.len(), self.runs.len(), self.touched.len())
    }

    /// Takes in an event, after everything that had to happen before its time.
    pub fn apply(&mut self, input: &Observed<'_>, out: &mut Vec<Note>) {
        let time_ns = input.event.time_ns;
        self.advance(time_ns, out);
        match &input.event.what {
            What::Tick | What::Answer(_) | What::Present(_) => {}
            What::Lost(loss) => self.lost(time_ns, GapKind::Lost, loss, out),
            What::Refused { loss, whose } => {
                self.refused(time_ns, (GapKind::Lost, loss), (whose, input.table), out);
            }
            What::Repeated { loss, whose: Some(whose) } => {
                self.refused(time_ns, (GapKind::Repeated, loss), (whose, input.table), out);
            }
            What::Repeated { loss, whose: None } => self.lost(time_ns, GapKind::Repeated, loss, out),
            What::Missed(loss) => self.lost(time_ns, GapKind::Missed, loss, out),
            What::Silent { since_ns } => {
                self.lost(time_ns, GapKind::ProbeSilent, &Loss::uncounted(*since_ns), out);
            }
            What::Seeded(_) => {
                if let Some(by) = input.by {
                    self.join(by, time_ns, out);
                    self.held_before(by.process.key, time_ns, input.credentials);
                }
            }
            What::Seen(seen) => self.seen(seen, input, out),
        }
    }

    /// A process is gone without its exit having been seen, or can no longer be followed; `gap` says which.
    pub fn forget(&mut self, key: ProcessKey, gap: GapKind, time_ns: u64, out: &mut Vec<Note>) {
        let Some(member) = self.members.remove(&key.into()) else {
            return;
        };
        if let Some(chain) = self.chain_mut(member.run) {
            chain.gap(gap);
        }
        self.left(member.run, time_ns, out);
    }

    /// What nothing shows from now on: a gap of each chain that is open, and of each that opens until more is shown.
    pub fn uncovered(&mut self, gaps: Vec<GapKind>) {
        for (_, run) in self.by_opening() {
            if let Some(chain) = self.chain_mut(run) {
                gaps.iter().for_each(|gap| chain.gap(*gap));
            }
        }
        self.uncovered = gaps;
    }

    /// Ends everything: the agent stops.
    pub fn stop(&mut self, time_ns: u64, out: &mut Vec<Note>) {
        self.advance(time_ns, out);
        while !self.empty.is_empty() {
            self.oldest_empty_is_over(self.now_ns, out);
        }
        for (_, run) in self.by_opening() {
            if let Some(chain) = self.chain_mut(run) {
                chain.gap(GapKind::AgentStopped);
            }
            self.close(run, CloseReason::AgentStopped, self.now_ns, out);
        }
    }

    /// Runs with an open chain, in the order in which these were opened.
    fn by_opening(&self) -> Vec<(u64, u64)> {
        let open = self.touched.iter().filter_map(|(_, run)| {
            let chain = self.runs.get(run)?.chain.as_ref()?;
            Some((chain.serial, *run))
        });
        let mut open: Vec<(u64, u64)> = open.collect();
        open.sort_unstable();
        open
    }

    fn chain_mut(&mut self, run: u64) -> Option<&mut Open> {
        self.runs.get_mut(&run)?.chain.as_deref_mut()
    }

    fn seen(&mut self, seen: &Seen, input: &Observed<'_>, out: &mut Vec<Note>) {
        let time_ns = input.event.time_ns;
        if let Deed::ConnectEnd { of, outcome, from } = seen.deed {
            self.answered(of, outcome, from, (time_ns, seen.source), out);
            return;
        }
        if let Deed::AcceptEnd { of } = seen.deed {
            self.served(seen.process.key, of);
            return;
        }
        if let (Deed::Hello { of, .. }, Some(name)) = (&seen.deed, input.name) {
            self.spoke(*of, name, (time_ns, seen.source), out);
            return;
        }
        let Some(by) = input.by else {
            return;
        };
        if let Deed::Exit(status) = seen.deed {
            self.exited(seen, by, status, time_ns, out);
            return;
        }
        let run = self.join(by, time_ns, out);
        match &seen.deed {
            Deed::Fork { .. } => {
                if let Some(child) = input.child {
                    self.made((by.process.key, by.facts.tid), child, time_ns, out);
                }
            }
            Deed::Exec { .. } => {
                self.acted(by.process.key);
                self.executed(run, seen, input, by, out);
            }
            Deed::Open(_) | Deed::Receive(_) | Deed::Read { .. } | Deed::Unix { .. } | Deed::Key { .. } => {
                self.secret(run, seen, input, by, out);
            }
            Deed::Memory { target, how } => {
                self.acted(by.process.key);
                self.open_chain(run, by, input.table, (time_ns, seen.id), out);
                let target = (*target, input.table.get(*target).cloned());
                self.memory(run, by, (target, *how), (time_ns, seen.source), out);
            }
            Deed::ExecFailed { filename, errno } => {
                let deed = ActionDeed::ExecFailed { program: filename.clone(), errno: *errno };
                self.act(run, by, (time_ns, seen.source), deed, out);
            }
            Deed::Identity(change) => {
                let deed = ActionDeed::CredChange(change.clone());
                self.act(run, by, (time_ns, seen.source), deed, out);
            }
            Deed::Connect { to } => {
                self.acted(by.process.key);
                self.open_chain(run, by, input.table, (time_ns, seen.id), out);
                self.asked(run, by, (seen, input), *to, out);
            }
            Deed::Send { to, outcome } => {
                self.acted(by.process.key);
                self.open_chain(run, by, input.table, (time_ns, seen.id), out);
                let there = (*to, input.name, input.heard, *outcome);
                self.sent(run, by, there, (time_ns, seen.source), out);
            }
            Deed::Accept { from, at, transport } => {
                self.acted(by.process.key);
                self.open_chain(run, by, input.table, (time_ns, seen.id), out);
                let deed = ActionDeed::Accept { from: *from, at: *at, transport: *transport };
                let action = self.act(run, by, (time_ns, seen.source), deed, out);
                self.serves(by, Unit { connection: seen.id, action });
            }
            Deed::Exit(_) | Deed::ConnectEnd { .. } | Deed::AcceptEnd { .. } | Deed::Hello { .. } => {}
        }
    }
}

/// What is not known of a process because of how it became known.
fn unseen(known_by: KnownBy) -> Option<GapKind> {
    match known_by {
        KnownBy::Fork => None,
        KnownBy::Proc => Some(GapKind::OlderThanAgent),
        KnownBy::Act => Some(GapKind::UnknownParent),
        KnownBy::Again => Some(GapKind::StateFull),
    }
}
