//! Which process is in which run.

use std::sync::Arc;

use super::{Machine, Member, Subject};
use crate::action::ActionDeed;
use crate::actor::RunKey;
use crate::chain::holds::{Holds, Use};
use crate::chain::run::Run;
use crate::chain::{CloseReason, Note};
use crate::credential::Credential;
use crate::event::{ExitStatus, ProcessKey, Seen};
use crate::lineage::Slot;

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

    pub(super) fn made(&mut self, maker: ProcessKey, child: &Subject, time_ns: u64, out: &mut Vec<Note>) {
        let holds = self.members.get(&maker.into()).map(|maker| maker.holds.inherited());
        self.join(child, time_ns, out);
        if let Some(member) = self.members.get_mut(&child.process.key.into())
            && member.holds.is_empty()
            && let Some(holds) = holds
        {
            member.holds = holds;
        }
    }

    pub(super) fn held_before(&mut self, key: ProcessKey, time_ns: u64, credentials: &[Arc<Credential>]) {
        let Some(member) = self.members.get_mut(&key.into()) else {
            return;
        };
        for credential in credentials {
            // Its opening may have been seen before the row was read.
            if member.holds.has(credential) {
                continue;
            }
            member.holds.add(Use {
                action: None,
                credential: Arc::clone(credential),
                time_ns,
                hops: 0,
                received: false,
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
        if acted || is_root {
            self.act(run, by, (time_ns, seen.source), ActionDeed::Exit(status), out);
        }
        self.members.remove(&key.into());
        self.left(run, time_ns, out);
    }

    /// A process is no longer in a run. The last one ends it.
    pub(super) fn left(&mut self, number: u64, time_ns: u64, out: &mut Vec<Note>) {
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
}
