//! What was lost, and of which chains something may be missing for that.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::{ChainId, Gap, GapKind, Note};
use super::Machine;
use crate::event::{Loss, Whose, tells_of_ends};
use crate::lineage::{Process, Table};

/// A chain that closed a while ago.
#[derive(Debug)]
pub(super) struct Over {
    pub(super) time_ns: u64,
    pub(super) chain: ChainId,
    /// The process its run began with.
    pub(super) root: Arc<Process>,
}

fn is_of(process: &Process, whose: Whose) -> bool {
    match whose {
        Whose::Process(key) => process.key.same(key),
        Whose::Cgroup(id) => process.cgroup_id == id,
    }
}

impl Machine {
    /// It may be of any chain that is open, or was meanwhile.
    pub(super) fn lost(&mut self, time_ns: u64, kind: GapKind, loss: &Loss, out: &mut Vec<Note>) {
        let open = self.by_opening().into_iter().map(|(_, run)| run).collect();
        let closed = self.closed_since(loss.since_ns).map(|over| over.chain).collect();
        self.gap(time_ns, (kind, loss), (open, closed), out);
    }

    /// It is of chains of these, and of no others. Where one of them is not known, it may be of any.
    pub(super) fn refused(
        &mut self,
        time_ns: u64,
        (kind, loss): (GapKind, &Loss),
        (whose, table): (&[Whose], &Table),
        out: &mut Vec<Note>,
    ) {
        let (mut runs, mut closed) = (BTreeSet::new(), BTreeSet::new());
        for one in whose {
            let acting = self.runs_of(*one, table);
            let over: Vec<ChainId> = self
                .closed_since(loss.since_ns)
                .filter(|over| is_of(&over.root, *one))
                .map(|over| over.chain)
                .collect();
            if acting.is_empty() && over.is_empty() {
                return self.lost(time_ns, kind, loss, out);
            }
            runs.extend(acting);
            closed.extend(over);
        }
        let open = self.by_opening().into_iter().map(|(_, run)| run).filter(|run| runs.contains(run));
        self.gap(time_ns, (kind, loss), (open.collect(), closed.into_iter().collect()), out);
    }

    /// Runs with a process that is one of these; or that began with one, and wait for what became of its connections.
    fn runs_of(&self, whose: Whose, table: &Table) -> BTreeSet<u64> {
        let began = |run: &u64| {
            let begun = self.runs.get(run).and_then(|run| run.begun.as_ref());
            begun.is_some_and(|begun| is_of(&begun.root, whose))
        };
        let mut runs: BTreeSet<u64> = self.touched.iter().map(|(_, run)| *run).filter(began).collect();
        if let Whose::Process(key) = whose {
            runs.extend(self.members.get(&key.into()).map(|member| member.run));
        } else {
            let is_one = |slot| table.at(slot).is_some_and(|process| is_of(process, whose));
            let members = self.members.iter().filter(|(slot, _)| is_one(**slot));
            runs.extend(members.map(|(_, member)| member.run));
        }
        runs
    }

    fn closed_since(&self, since_ns: u64) -> impl Iterator<Item = &Over> {
        self.closed.iter().filter(move |over| over.time_ns >= since_ns)
    }

    fn gap(
        &mut self,
        time_ns: u64,
        (kind, loss): (GapKind, &Loss),
        (open, closed): (Vec<u64>, Vec<ChainId>),
        out: &mut Vec<Note>,
    ) {
        if loss.counts.is_empty() || loss.counts.iter().any(|(kind, _)| tells_of_ends(*kind)) {
            self.serves_nobody_known();
        }
        let mut chains = Vec::new();
        for run in open {
            if let Some(chain) = self.chain_mut(run) {
                chain.gap(kind);
                chains.push(chain.id);
            }
        }
        chains.extend(closed);
        out.push(Note::Gap(Gap {
            time_ns,
            since_ns: loss.since_ns,
            kind,
            counts: loss.counts.clone(),
            cpus: loss.cpus.clone(),
            chains,
        }));
    }
}
