//! Which process is in which run.

use std::sync::Arc;

use super::member::Member;
use super::{Machine, Subject};
use crate::action::{ActionDeed, ActionId};
use crate::actor::RunKey;
use crate::chain::attempts::{self, Attempt, Command};
use crate::chain::holds::{Holds, Use};
use crate::chain::run::Run;
use crate::chain::serving::Unit;
use crate::chain::{CloseReason, Note};
use crate::credential::Credential;
use crate::event::{ExitStatus, ProcessKey, SampleId, Seen};
use crate::lineage::Slot;

/// How long a unit may be without a process, ns: systemd starts the next command within milliseconds, on a busy host within some
/// hundred.
pub(super) const EMPTY_NS: u64 = 1_000_000_000;
/// Most units without a process: beyond, the one that is so for longest is over.
pub(super) const EMPTY_MAX: usize = 1_024;

impl Machine {
    /// Sees to it that a process is a member of the run in which it stands, and of no other.
    pub(super) fn join(&mut self, by: &Subject, time_ns: u64, out: &mut Vec<Note>) -> u64 {
        let slot = Slot::from(by.process.key);
        let before = self.members.get(&slot).map(|member| member.run);
        if let Some(run) = before
            && self.runs.get(&run).is_some_and(|run| run.key == by.standing.run)
        {
            return run;
        }
        let run = self.run_of(&by.standing.run);
        self.members.entry(slot).or_insert_with(|| Member::of(run)).run = run;
        if let Some(run) = self.runs.get_mut(&run) {
            run.live += 1;
            if run.empty_ns.take().is_some() {
                run.next_root = Some(slot);
            }
        }
        if let Some(before) = before {
            self.left(before, time_ns, out);
        }
        run
    }

    pub(super) fn run_of(&mut self, key: &Arc<RunKey>) -> u64 {
        if let Some(run) = self.runs_by_key.get(key) {
            return *run;
        }
        self.runs_begun += 1;
        let run = self.runs_begun;
        self.runs.insert(run, Run::new(Arc::clone(key)));
        self.runs_by_key.insert(Arc::clone(key), run);
        run
    }

    pub(super) fn made(
        &mut self,
        (maker, maker_tid): (ProcessKey, u32),
        child: &Subject,
        time_ns: u64,
        out: &mut Vec<Note>,
    ) {
        let has = self.members.get(&maker.into()).map(Member::more);
        let holds = has.map(|has| &has.holds).filter(|holds| !holds.is_empty()).map(Holds::inherited);
        let reaching = has.and_then(|has| has.reaching.as_ref());
        let reaching = reaching.and_then(|reaching| reaching.inherited(time_ns)).map(Box::new);
        let within = self.unit(maker, maker_tid);
        self.join(child, time_ns, out);
        let Some(member) = self.members.get_mut(&child.process.key.into()) else {
            return;
        };
        if holds.is_none() && reaching.is_none() && within.is_none() && member.any().is_none() {
            return;
        }
        let more = member.more_mut();
        more.reaching = reaching;
        more.within = within;
        if more.holds.is_empty()
            && let Some(holds) = holds
        {
            more.holds = holds;
        }
    }

    /// The connection a thread works for, where that can be seen: one that its process accepted, else the one that its
    /// maker worked for.
    pub(super) fn unit(&self, key: ProcessKey, tid: u32) -> Option<Unit> {
        let more = self.members.get(&key.into())?.more();
        match &more.serving {
            Some(serving) => serving.unit(tid),
            None => more.within,
        }
    }

    /// It closed one.
    pub(super) fn served(&mut self, key: ProcessKey, connection: SampleId) {
        let member = self.members.get_mut(&key.into());
        if let Some(serving) = member.and_then(Member::any).and_then(|more| more.serving.as_mut()) {
            serving.closed(connection);
        }
    }

    /// Ends of connections may not have arrived: for which of those they accepted processes still work, nobody knows, and a
    /// wrong request is worse than none.
    pub(super) fn serves_nobody_known(&mut self) {
        for more in self.members.values_mut().filter_map(Member::any) {
            more.serving = None;
            more.within = None;
        }
    }

    /// A process accepted a connection.
    pub(super) fn serves(&mut self, by: &Subject, unit: Unit) {
        if let Some(member) = self.members.get_mut(&by.process.key.into()) {
            member.more_mut().serving.get_or_insert_default().accepted(unit, by.facts.tid);
        }
    }

    pub(super) fn held_before(&mut self, key: ProcessKey, time_ns: u64, credentials: &[Arc<Credential>]) {
        let Some(member) = self.members.get_mut(&key.into()) else {
            return;
        };
        for credential in credentials {
            // Its opening may have been seen before the row was read.
            if member.more().holds.has(credential) {
                continue;
            }
            member.more_mut().holds.add(Use {
                action: None,
                credential: Arc::clone(credential),
                time_ns,
                hops: 0,
                received: false,
                tid: None,
                unit: None,
                beside: false,
                place: None,
                connections: 0,
            });
        }
    }

    pub(super) fn acted(&mut self, key: ProcessKey) {
        if let Some(member) = self.members.get_mut(&key.into()) {
            member.acted = true;
        }
    }

    pub(super) fn exited(
        &mut self,
        seen: &Seen,
        by: &Subject,
        status: ExitStatus,
        time_ns: u64,
        out: &mut Vec<Note>,
    ) {
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
        self.tell_last_of(run, key, out);
        if acted || is_root {
            self.act(run, by, (time_ns, seen.source), ActionDeed::Exit(status), out);
        }
        self.ended_for_parent(by, status);
        self.members.remove(&key.into());
        self.left(run, time_ns, out);
    }

    /// A process took a program; `action` is the record of that.
    pub(super) fn took(&mut self, by: &Subject, action: Option<ActionId>) {
        let command = self.command(by);
        if let Some(member) = self.members.get_mut(&by.process.key.into()) {
            member.command = command;
            member.executed = action;
        }
    }

    /// Which attempt the execution is that a process is about: its parent had the same done, and it failed.
    pub(super) fn again(&mut self, by: &Subject) -> Option<Attempt> {
        let parent = by.process.parent?.into();
        self.members.get(&parent)?.more().started.as_ref()?;
        let command = self.command(by)?;
        self.members.get(&parent)?.more().started.as_ref()?.again(command)
    }

    fn command(&mut self, by: &Subject) -> Option<Command> {
        *self.commands.of(&by.process.program, Command::of)?
    }

    /// What a process did in its parent's stead ended.
    fn ended_for_parent(&mut self, by: &Subject, status: ExitStatus) {
        let Some(member) = self.members.get(&by.process.key.into()) else {
            return;
        };
        let (Some(command), action) = (member.command, member.executed) else {
            return;
        };
        let Some(parent) = by.process.parent.and_then(|parent| self.members.get_mut(&parent.into())) else {
            return;
        };
        if attempts::failed(status) || parent.more().started.is_some() {
            parent.more_mut().started.get_or_insert_default().ended(command, status, action);
        }
    }

    /// A process is no longer in a run. The last one ends it, a unit's after a moment: its next `ExecStart=` is started when
    /// the one before has ended, and is of the same run.
    pub(super) fn left(&mut self, number: u64, time_ns: u64, out: &mut Vec<Note>) {
        let Some(run) = self.runs.get_mut(&number) else {
            return;
        };
        run.live = run.live.saturating_sub(1);
        if run.live > 0 {
            return;
        }
        let ended = run.begun.as_ref().and_then(|begun| begun.job.zip(begun.root_exit));
        if let Some((job, status)) = ended
            && let Some(chain) = run.chain.as_ref().map(|chain| chain.id).or(run.last)
        {
            self.jobs.ended(job, status, chain, time_ns);
        }
        if !matches!(*run.key, RunKey::Unit { .. }) {
            self.over(number, time_ns, out);
            return;
        }
        run.empty_ns = Some(time_ns);
        self.empty.push_back((time_ns, number));
        if self.empty.len() > EMPTY_MAX {
            self.oldest_empty_is_over(time_ns, out);
        }
    }

    /// A unit without a process for [`EMPTY_NS`] is over, unless it went on.
    pub(super) fn oldest_empty_is_over(&mut self, time_ns: u64, out: &mut Vec<Note>) {
        if let Some((since, number)) = self.empty.pop_front()
            && self.runs.get(&number).is_some_and(|run| run.empty_ns == Some(since))
        {
            self.over(number, time_ns, out);
        }
    }

    /// A run has ended.
    fn over(&mut self, number: u64, time_ns: u64, out: &mut Vec<Note>) {
        let Some(run) = self.runs.get_mut(&number) else {
            return;
        };
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
}
