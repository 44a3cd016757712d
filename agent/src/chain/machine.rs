//! The machine: which process belongs to which run, and what becomes a note.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use super::connections::{Answered, Asked, Connections};
use super::holds::{Here, Holds, Linked, Use};
use super::ids::Ids;
use super::run::{Begun, Open, Run};
use super::{Acted, CloseReason, Closed, Gap, GapKind, Note, Opened};
use crate::action::{Action, ActionDeed, ActionId, ConnectOutcome};
use crate::actor::{RunKey, Standing};
use crate::credential::Credential;
use crate::event::{
    ConnectFailure, Deed, Event, ExitStatus, Facts, Loss, ProcessKey, SampleId, Seen, Source, What,
};
use crate::lineage::{KnownBy, Process, Slot, Table};

/// Bounds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A chain without an action for so long ends; the next action opens another.
    pub quiet_ns: u64,
    /// A connection without an outcome for so long is reported without one.
    pub pending_ns: u64,
    /// Most actions recorded of one chain.
    pub max_actions: u64,
    /// Most chains open at once.
    pub max_open: usize,
    /// Most connections waiting for their outcome, and most remembered after they were reported without one.
    pub max_pending: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            quiet_ns: 300_000_000_000,
            pending_ns: 3_000_000_000,
            max_actions: 10_000,
            max_open: 4096,
            max_pending: 8192,
        }
    }
}

/// A process with what is known of it at an event.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The process, as it is after the event.
    pub process: Arc<Process>,
    /// Its identity.
    pub facts: Arc<Facts>,
    /// Whose it is, and in which run.
    pub standing: Standing,
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
    /// Of a [`Deed::Open`], what the file holds; of a [`What::Seeded`], what its open files hold.
    pub credentials: &'a [Arc<Credential>],
}

/// What became of actions and state so far. Numbers only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Actions that became part of a chain.
    pub chained: u64,
    /// Actions outside of any chain.
    pub unchained: u64,
    /// Actions beyond the bound of their chain.
    pub folded: u64,
    /// Chains ended, and connections reported without an outcome, because there were too many.
    pub evicted: u64,
}

/// Runs, chains and links.
#[derive(Debug)]
pub struct Machine {
    limits: Limits,
    ids: Ids,
    members: HashMap<Slot, Member>,
    runs: HashMap<u64, Run>,
    runs_by_key: HashMap<Arc<RunKey>, u64>,
    /// Runs with an open chain, the one untouched for longest first.
    touched: BTreeSet<(u64, u64)>,
    connections: Connections,
    counts: Counts,
    runs_begun: u64,
    chains_opened: u64,
    actions_seen: u64,
    now_ns: u64,
}

/// A live process.
#[derive(Debug)]
struct Member {
    run: u64,
    /// It executed, opened or connected.
    acted: bool,
    /// Number of the chain that counts it among its processes.
    counted_in: u64,
    holds: Holds,
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
            members: HashMap::new(),
            runs: HashMap::new(),
            runs_by_key: HashMap::new(),
            touched: BTreeSet::new(),
            connections: Connections::default(),
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

    /// Whether a process is known to hold a credential.
    #[must_use]
    pub fn holds(&self, key: ProcessKey) -> bool {
        self.members
            .get(&key.into())
            .is_some_and(|member| !member.holds.is_empty())
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
            What::Tick => {}
            What::Lost(loss) => self.lost(time_ns, loss, out),
            What::Seeded(_) => {
                if let Some(by) = input.by {
                    self.join(by, time_ns, out);
                    self.held_before(by.process.key, time_ns, input.credentials);
                }
            }
            What::Seen(seen) => self.seen(seen, input, out),
        }
    }

    /// A process is gone without its exit having been seen, or can no longer be followed.
    pub fn forget(&mut self, key: ProcessKey, time_ns: u64, out: &mut Vec<Note>) {
        let Some(member) = self.members.remove(&key.into()) else {
            return;
        };
        if let Some(chain) = self.chain_mut(member.run) {
            chain.gap(GapKind::StateFull);
        }
        self.left(member.run, time_ns, out);
    }

    /// Ends everything: the agent stops.
    pub fn stop(&mut self, time_ns: u64, out: &mut Vec<Note>) {
        self.advance(time_ns, out);
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
        self.runs.get_mut(&run)?.chain.as_mut()
    }

    /// Lets time pass: what is due happens in the order in which it is due, at the time at which it is due.
    fn advance(&mut self, time_ns: u64, out: &mut Vec<Note>) {
        self.now_ns = self.now_ns.max(time_ns);
        loop {
            let due = |since: u64, after: u64| since.saturating_add(after);
            let pending = self
                .connections
                .oldest_ns()
                .map(|since| due(since, self.limits.pending_ns));
            let quiet = self
                .touched
                .first()
                .map(|(since, run)| (due(*since, self.limits.quiet_ns), *run));
            let pending_first = pending.is_some_and(|at| quiet.is_none_or(|(quiet, _)| at <= quiet));
            match (pending, quiet) {
                (Some(at), _) if pending_first && at <= self.now_ns => {
                    if let Some((sample, asked)) = self.connections.pop_oldest() {
                        self.unanswered(sample, asked, at, out);
                    }
                }
                (_, Some((at, run))) if !pending_first && at <= self.now_ns => {
                    self.close(run, CloseReason::Quiet, at, out);
                }
                _ => return,
            }
        }
    }

    fn lost(&mut self, time_ns: u64, loss: &Loss, out: &mut Vec<Note>) {
        let mut chains = Vec::new();
        for (_, run) in self.by_opening() {
            if let Some(chain) = self.chain_mut(run) {
                chain.gap(GapKind::Lost);
                chains.push(chain.id);
            }
        }
        out.push(Note::Gap(Gap {
            time_ns,
            since_ns: loss.since_ns,
            kind: GapKind::Lost,
            counts: loss.counts.clone(),
            chains,
        }));
    }

    fn seen(&mut self, seen: &Seen, input: &Observed<'_>, out: &mut Vec<Note>) {
        let time_ns = input.event.time_ns;
        if let Deed::ConnectEnd { of, outcome, from } = seen.deed {
            self.answered(of, outcome, from, (time_ns, seen.source), out);
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
                    self.made(by.process.key, child, time_ns, out);
                }
            }
            Deed::Exec { .. } => {
                self.acted(by.process.key);
                self.act(run, by, (time_ns, seen.source), ActionDeed::Exec, out);
            }
            Deed::Open(file) => {
                if let Some(credential) = input.credentials.first() {
                    self.acted(by.process.key);
                    self.open_chain(run, by, input.table, (time_ns, seen.id), out);
                    let deed = ActionDeed::SecretOpen {
                        file: Box::new(file.clone()),
                        credential: Arc::clone(credential),
                    };
                    let action = self.act(run, by, (time_ns, seen.source), deed, out);
                    self.opened(run, by.process.key, action, credential, time_ns);
                }
            }
            Deed::Connect { to, port } => {
                self.acted(by.process.key);
                self.open_chain(run, by, input.table, (time_ns, seen.id), out);
                self.asked(run, by, seen, time_ns, (*to, *port), out);
            }
            Deed::Exit(_) | Deed::ConnectEnd { .. } => {}
        }
    }

    /// Sees to it that a process is a member of the run in which it stands, and of no other.
    fn join(&mut self, by: &Subject, time_ns: u64, out: &mut Vec<Note>) -> u64 {
        let slot = Slot::from(by.process.key);
        let before = self.members.get(&slot).map(|member| member.run);
        if let Some(run) = before
            && self.runs.get(&run).is_some_and(|run| run.key == by.standing.run)
        {
            return run;
        }
        let run = self.run_of(&by.standing.run);
        let member = self.members.entry(slot).or_insert_with(|| Member {
            run,
            acted: false,
            counted_in: 0,
            holds: Holds::default(),
        });
        member.run = run;
        if let Some(run) = self.runs.get_mut(&run) {
            run.live += 1;
        }
        if let Some(before) = before {
            self.left(before, time_ns, out);
        }
        run
    }

    fn run_of(&mut self, key: &Arc<RunKey>) -> u64 {
        if let Some(run) = self.runs_by_key.get(key) {
            return *run;
        }
        self.runs_begun += 1;
        let run = self.runs_begun;
        self.runs.insert(run, Run::new(Arc::clone(key)));
        self.runs_by_key.insert(Arc::clone(key), run);
        run
    }

    fn made(&mut self, maker: ProcessKey, child: &Subject, time_ns: u64, out: &mut Vec<Note>) {
        let holds = self
            .members
            .get(&maker.into())
            .map(|maker| maker.holds.inherited());
        self.join(child, time_ns, out);
        if let Some(member) = self.members.get_mut(&child.process.key.into())
            && member.holds.is_empty()
            && let Some(holds) = holds
        {
            member.holds = holds;
        }
    }

    fn held_before(&mut self, key: ProcessKey, time_ns: u64, credentials: &[Arc<Credential>]) {
        let Some(member) = self.members.get_mut(&key.into()) else {
            return;
        };
        for credential in credentials {
            member.holds.add(Use {
                action: None,
                credential: Arc::clone(credential),
                time_ns,
                hops: 0,
                place: None,
                connections: 0,
            });
        }
    }

    fn acted(&mut self, key: ProcessKey) {
        if let Some(member) = self.members.get_mut(&key.into()) {
            member.acted = true;
        }
    }

    fn exited(&mut self, seen: &Seen, by: &Subject, status: ExitStatus, time_ns: u64, out: &mut Vec<Note>) {
        let key = by.process.key;
        let Some(member) = self.members.get(&key.into()) else {
            return;
        };
        let run = member.run;
        let acted = member.acted;
        let root = self.runs.get_mut(&run).filter(|run| run.is_root(key));
        let is_root = root.is_some();
        if let Some(begun) = root.and_then(|run| run.begun.as_mut()) {
            begun.root_exit = Some(status);
        }
        if acted || is_root {
            self.act(run, by, (time_ns, seen.source), ActionDeed::Exit(status), out);
        }
        self.members.remove(&key.into());
        self.left(run, time_ns, out);
    }

    /// A process is no longer in a run. The last one ends it.
    fn left(&mut self, number: u64, time_ns: u64, out: &mut Vec<Note>) {
        let Some(run) = self.runs.get_mut(&number) else {
            return;
        };
        run.live = run.live.saturating_sub(1);
        if run.live > 0 {
            return;
        }
        run.ended_ns = Some(time_ns);
        // Whoever comes under the same key later is another run.
        self.runs_by_key.remove(&run.key);
        match &run.chain {
            None => {
                self.runs.remove(&number);
            }
            Some(chain) if chain.pending == 0 => self.close(number, CloseReason::RunEnded, time_ns, out),
            // Closed by the last outcome, or by the time it takes too long.
            Some(_) => {}
        }
    }

    fn open_chain(
        &mut self,
        number: u64,
        by: &Subject,
        table: &Table,
        (time_ns, sample): (u64, SampleId),
        out: &mut Vec<Note>,
    ) {
        if self.runs.get(&number).is_none_or(|run| run.chain.is_some()) {
            return;
        }
        while self.touched.len() >= self.limits.max_open
            && let Some((_, oldest)) = self.touched.first().copied()
        {
            self.counts.evicted += 1;
            self.close(oldest, CloseReason::Evicted, time_ns, out);
        }
        let Some(run) = self.runs.get_mut(&number) else {
            return;
        };
        let key = Arc::clone(&run.key);
        let begun = run.begun.get_or_insert_with(|| {
            let root = table.get(by.standing.root).unwrap_or(&by.process);
            Begun {
                id: self.ids.make("run", &key, time_ns, sample),
                root: Arc::clone(root),
                lineage: table.ancestry(root.key),
                root_exit: table.exit_of(root.key),
            }
        });
        let gaps: Vec<GapKind> = unseen(begun.root.known_by).into_iter().collect();
        self.chains_opened += 1;
        let opened = Opened {
            chain: self.ids.make("chain", &key, time_ns, sample),
            run: begun.id,
            run_since_ns: begun.root.key.start_ns,
            time_ns,
            actor: Arc::clone(&by.standing.actor),
            root: Arc::clone(&begun.root),
            lineage: begun.lineage.clone(),
            after: run.last,
            gaps: gaps.clone(),
        };
        let mut chain = Open {
            id: opened.chain,
            serial: self.chains_opened,
            since_ns: time_ns,
            touched_ns: time_ns,
            actor: Arc::clone(&opened.actor),
            summary: super::Summary::default(),
            pending: 0,
        };
        chain.summary.gaps = gaps;
        run.chain = Some(chain);
        self.touched.insert((time_ns, number));
        out.push(Note::Opened(Box::new(opened)));
    }

    /// A chain was touched: it is quiet from now on only.
    fn touch(&mut self, number: u64, time_ns: u64) {
        let Some(chain) = self.runs.get_mut(&number).and_then(|run| run.chain.as_mut()) else {
            return;
        };
        self.touched.remove(&(chain.touched_ns, number));
        chain.touched_ns = chain.touched_ns.max(time_ns);
        self.touched.insert((chain.touched_ns, number));
    }

    fn next_action(&mut self) -> ActionId {
        self.actions_seen += 1;
        ActionId(self.actions_seen)
    }

    /// An action that is complete as it is. Tells its number where it was recorded.
    fn act(
        &mut self,
        number: u64,
        by: &Subject,
        (time_ns, seen_by): (u64, Source),
        deed: ActionDeed,
        out: &mut Vec<Note>,
    ) -> Option<ActionId> {
        let Some(here) = self.here(number, time_ns) else {
            self.counts.unchained += 1;
            return None;
        };
        let linked = match &deed {
            ActionDeed::SecretOpen { credential, .. } => Linked {
                link: None,
                credentials: vec![Arc::clone(credential)],
            },
            ActionDeed::Exec => self.link(by.process.key, here, None),
            ActionDeed::Exit(_) | ActionDeed::Connect { .. } => Linked::default(),
        };
        self.count_process(number, by);
        let action = self.action(by, time_ns, deed, seen_by);
        let id = action.id;
        self.touch(number, time_ns);
        self.record(number, action, linked, out).then_some(id)
    }

    fn action(&mut self, by: &Subject, time_ns: u64, deed: ActionDeed, seen_by: Source) -> Action {
        Action {
            id: self.next_action(),
            time_ns,
            actor: Arc::clone(&by.standing.actor),
            process: Arc::clone(&by.process),
            facts: Arc::clone(&by.facts),
            deed,
            seen_by,
        }
    }

    fn here(&self, number: u64, time_ns: u64) -> Option<Here> {
        let run = self.runs.get(&number)?;
        Some(Here {
            time_ns,
            run: number,
            chain: run.chain.as_ref()?.id,
            connections: run.connections,
        })
    }

    fn link(&mut self, key: ProcessKey, here: Here, to: Option<(IpAddr, u16)>) -> Linked {
        let Some(member) = self.members.get(&key.into()) else {
            return Linked::default();
        };
        let linked = member.holds.link(here, to);
        let overflowed = member.holds.overflowed;
        if let Some(chain) = self.chain_mut(here.run).filter(|_| overflowed) {
            chain.gap(GapKind::StateFull);
        }
        linked
    }

    fn count_process(&mut self, number: u64, by: &Subject) {
        let Some(chain) = self.runs.get_mut(&number).and_then(|run| run.chain.as_mut()) else {
            return;
        };
        if let Some(gap) = unseen(by.process.known_by) {
            chain.gap(gap);
        }
        if let Some(member) = self.members.get_mut(&by.process.key.into())
            && member.counted_in != chain.serial
        {
            member.counted_in = chain.serial;
            chain.summary.processes += 1;
        }
    }

    /// Puts an action into the open chain of its run. Tells whether it was recorded: beyond a chain's bound it is only
    /// counted.
    fn record(&mut self, number: u64, action: Action, linked: Linked, out: &mut Vec<Note>) -> bool {
        let most = self.limits.max_actions;
        let Some(run) = self.runs.get_mut(&number) else {
            return false;
        };
        let (Some(begun), Some(chain)) = (&run.begun, &mut run.chain) else {
            return false;
        };
        chain.sum(&action);
        chain.credentials(&linked.credentials);
        if chain.summary.actions >= most {
            chain.summary.folded += 1;
            self.counts.folded += 1;
            return false;
        }
        chain.summary.actions += 1;
        self.counts.chained += 1;
        out.push(Note::Acted(Box::new(Acted {
            chain: chain.id,
            run: begun.id,
            action,
            credentials: linked.credentials,
            link: linked.link,
        })));
        true
    }

    fn opened(
        &mut self,
        number: u64,
        key: ProcessKey,
        action: Option<ActionId>,
        credential: &Arc<Credential>,
        time_ns: u64,
    ) {
        let Some(here) = self.here(number, time_ns) else {
            return;
        };
        if let Some(member) = self.members.get_mut(&key.into()) {
            member.holds.add(Use {
                action,
                credential: Arc::clone(credential),
                time_ns,
                hops: 0,
                place: Some((number, here.chain)),
                connections: here.connections,
            });
        }
    }

    fn close(&mut self, number: u64, reason: CloseReason, time_ns: u64, out: &mut Vec<Note>) {
        let chain = self
            .runs
            .get(&number)
            .and_then(|run| run.chain.as_ref())
            .map(|chain| chain.id);
        for (sample, asked) in chain
            .map(|chain| self.connections.take_of(chain))
            .unwrap_or_default()
        {
            self.report(sample, asked, out);
        }
        let Some(run) = self.runs.get_mut(&number) else {
            return;
        };
        let Some((begun, chain)) = run.begun.as_ref().zip(run.chain.take()) else {
            return;
        };
        run.last = Some(chain.id);
        self.touched.remove(&(chain.touched_ns, number));
        let ended = run.ended_ns.is_some();
        out.push(Note::Closed(Box::new(Closed {
            chain: chain.id,
            run: begun.id,
            time_ns,
            since_ns: chain.since_ns,
            actor: chain.actor,
            root: Arc::clone(&begun.root),
            reason: if ended { CloseReason::RunEnded } else { reason },
            root_exit: begun.root_exit,
            summary: chain.summary,
        })));
        if ended {
            self.runs.remove(&number);
        }
    }
}

/// Connections.
impl Machine {
    /// A connection was asked for. What is linked with it is decided now, not when its outcome is known.
    fn asked(
        &mut self,
        number: u64,
        by: &Subject,
        seen: &Seen,
        time_ns: u64,
        (to, port): (IpAddr, u16),
        out: &mut Vec<Note>,
    ) {
        let Some(here) = self.here(number, time_ns) else {
            return;
        };
        let linked = self.link(by.process.key, here, Some((to, port)));
        self.count_process(number, by);
        self.touch(number, time_ns);
        let deed = ActionDeed::Connect {
            to,
            port,
            from: None,
            outcome: ConnectOutcome::Pending,
            took_ns: None,
            completes: None,
        };
        let action = self.action(by, time_ns, deed, seen.source);
        let Some(run) = self.runs.get_mut(&number) else {
            return;
        };
        run.connections += 1;
        let (Some(begun), Some(chain)) = (&run.begun, &mut run.chain) else {
            return;
        };
        chain.attempt(to, port);
        chain.pending += 1;
        let asked = Asked {
            action,
            linked,
            run: number,
            run_id: begun.id,
            chain: chain.id,
        };
        if self.connections.len() < self.limits.max_pending {
            self.connections.ask(seen.id, asked);
        } else {
            self.counts.evicted += 1;
            chain.gap(GapKind::StateFull);
            self.report(seen.id, asked, out);
        }
    }

    fn answered(
        &mut self,
        of: SampleId,
        outcome: Result<(), ConnectFailure>,
        from: Option<(IpAddr, u16)>,
        (time_ns, seen_by): (u64, Source),
        out: &mut Vec<Note>,
    ) {
        let Some(answered) = self.connections.answer(of) else {
            return;
        };
        let (mut asked, late) = match answered {
            Answered::InTime(asked) => (asked, false),
            Answered::Late(asked) => (asked, true),
        };
        let asked_id = asked.action.id;
        if let ActionDeed::Connect {
            from: own,
            outcome: known,
            took_ns,
            completes,
            ..
        } = &mut asked.action.deed
        {
            *own = from;
            *known = match outcome {
                Ok(()) => ConnectOutcome::Established,
                Err(ConnectFailure::Errno(errno)) => ConnectOutcome::from_errno(errno),
                Err(ConnectFailure::Abandoned) => ConnectOutcome::Abandoned,
            };
            *took_ns = Some(time_ns.saturating_sub(asked.action.time_ns));
            *completes = late.then_some(asked_id);
        }
        asked.action.seen_by = seen_by;
        if late {
            self.answered_late(asked, out);
            return;
        }
        let run = asked.run;
        self.touch(run, time_ns);
        if let Some(chain) = self.chain_mut(run) {
            chain.pending = chain.pending.saturating_sub(1);
        }
        self.record(run, asked.action, asked.linked, out);
        self.settled(run, time_ns, out);
    }

    /// What was reported as pending has an outcome, though its chain may be closed.
    fn answered_late(&mut self, mut asked: Asked, out: &mut Vec<Note>) {
        asked.action.id = self.next_action();
        if let Some(chain) = self.chain_mut(asked.run).filter(|chain| chain.id == asked.chain) {
            chain.sum(&asked.action);
            chain.summary.actions += 1;
        }
        self.counts.chained += 1;
        out.push(Note::Acted(Box::new(Acted {
            chain: asked.chain,
            run: asked.run_id,
            action: asked.action,
            credentials: asked.linked.credentials,
            link: asked.linked.link,
        })));
    }

    fn unanswered(&mut self, sample: SampleId, asked: Asked, time_ns: u64, out: &mut Vec<Note>) {
        let run = asked.run;
        self.report(sample, asked, out);
        self.settled(run, time_ns, out);
    }

    /// Reports a connection without its outcome, and remembers it for the case that there is one yet.
    fn report(&mut self, sample: SampleId, asked: Asked, out: &mut Vec<Note>) {
        if let Some(chain) = self.chain_mut(asked.run) {
            chain.pending = chain.pending.saturating_sub(1);
        }
        if self.record(asked.run, asked.action.clone(), asked.linked.clone(), out) {
            self.connections.remember(sample, asked, self.limits.max_pending);
        }
    }

    /// One connection less to wait for: closes the chain of a run that has ended.
    fn settled(&mut self, number: u64, time_ns: u64, out: &mut Vec<Note>) {
        let ended = self.runs.get(&number).filter(|run| run.ended_ns.is_some());
        if ended
            .and_then(|run| run.chain.as_ref())
            .is_some_and(|chain| chain.pending == 0)
        {
            self.close(number, CloseReason::RunEnded, time_ns, out);
        }
    }
}

/// What is not known of a process because of how it became known.
fn unseen(known_by: KnownBy) -> Option<GapKind> {
    match known_by {
        KnownBy::Fork => None,
        KnownBy::Proc => Some(GapKind::OlderThanAgent),
        KnownBy::Act => Some(GapKind::UnknownParent),
    }
}
