//! Chains: opened, added to, closed.

use std::sync::Arc;

use super::{Machine, Subject, unseen};
use crate::action::{Action, ActionDeed, ActionId};
use crate::actor::{Actor, ActorKind};
use crate::chain::holds::{Here, Linked, Towards};
use crate::chain::run::{Begun, Open};
use crate::chain::{Acted, CloseReason, Closed, Completed, GapKind, Note, Opened, Summary};
use crate::credential::Credential;
use crate::event::{ProcessKey, SampleId, Source};
use crate::lineage::Table;

/// Most closed chains remembered, for losses that are noticed after them.
const CLOSED_MAX: usize = 1_024;

impl Machine {
    pub(super) fn open_chain(
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
            summary: Summary::default(),
            pending: 0,
        };
        chain.summary.gaps = gaps;
        run.chain = Some(chain);
        self.touched.insert((time_ns, number));
        out.push(Note::Opened(Box::new(opened)));
    }

    /// A chain was touched: it is quiet from now on only.
    pub(super) fn touch(&mut self, number: u64, time_ns: u64) {
        let Some(chain) = self.runs.get_mut(&number).and_then(|run| run.chain.as_mut()) else {
            return;
        };
        self.touched.remove(&(chain.touched_ns, number));
        chain.touched_ns = chain.touched_ns.max(time_ns);
        self.touched.insert((chain.touched_ns, number));
    }

    pub(super) fn next_action(&mut self) -> ActionId {
        self.actions_seen += 1;
        ActionId(self.actions_seen)
    }

    /// An action that is complete as it is. Tells its number where it was recorded.
    pub(super) fn act(
        &mut self,
        number: u64,
        by: &Subject,
        (time_ns, seen_by): (u64, Source),
        deed: ActionDeed,
        out: &mut Vec<Note>,
    ) -> Option<ActionId> {
        self.act_with(number, by, (time_ns, seen_by), deed, &[], out)
    }

    /// The same; `credentials` are those that the deed itself is about.
    pub(super) fn act_with(
        &mut self,
        number: u64,
        by: &Subject,
        (time_ns, seen_by): (u64, Source),
        deed: ActionDeed,
        credentials: &[Arc<Credential>],
        out: &mut Vec<Note>,
    ) -> Option<ActionId> {
        let Some(here) = self.here(number, time_ns) else {
            self.counts.unchained += 1;
            return None;
        };
        let linked = match &deed {
            ActionDeed::SecretOpen { credential, .. }
            | ActionDeed::SecretReceive { credential, .. }
            | ActionDeed::SecretSocket { credential, .. } => {
                Linked { link: None, credentials: vec![Arc::clone(credential)] }
            }
            ActionDeed::SecretRead { credential, .. } => {
                let held = self.members.get(&by.process.key.into());
                held.map(|member| member.holds.link_to(here, credential)).unwrap_or_default()
            }
            ActionDeed::MemoryAccess { .. } => Linked { link: None, credentials: credentials.to_vec() },
            ActionDeed::Exec
            | ActionDeed::ExecFailed { .. }
            | ActionDeed::CredChange(_)
            | ActionDeed::Send { .. } => self.link(by.process.key, here, None),
            ActionDeed::Exit(_) | ActionDeed::Connect { .. } | ActionDeed::Accept { .. } => Linked::default(),
        };
        self.count_process(number, by);
        let action = self.action(by, time_ns, deed, seen_by);
        let id = action.id;
        self.touch(number, time_ns);
        self.record(number, action, linked, out).then_some(id)
    }

    pub(super) fn action(&mut self, by: &Subject, time_ns: u64, deed: ActionDeed, seen_by: Source) -> Action {
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

    pub(super) fn here(&self, number: u64, time_ns: u64) -> Option<Here> {
        let run = self.runs.get(&number)?;
        Some(Here { time_ns, run: number, chain: run.chain.as_ref()?.id, connections: run.connections })
    }

    pub(super) fn link(&mut self, key: ProcessKey, here: Here, to: Option<&Towards>) -> Linked {
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

    pub(super) fn count_process(&mut self, number: u64, by: &Subject) {
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
    pub(super) fn record(
        &mut self,
        number: u64,
        action: Action,
        linked: Linked,
        out: &mut Vec<Note>,
    ) -> bool {
        let most = self.limits.max_actions;
        let Some(run) = self.runs.get_mut(&number) else {
            return false;
        };
        let (Some(begun), Some(chain)) = (&run.begun, &mut run.chain) else {
            return false;
        };
        if knows_more(&action.actor, &chain.actor) {
            chain.actor = Arc::clone(&action.actor);
            out.push(Note::Completed(Box::new(Completed {
                chain: chain.id,
                run: begun.id,
                time_ns: action.time_ns,
                actor: Arc::clone(&action.actor),
                root: Arc::clone(&begun.root),
            })));
        }
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

    pub(super) fn close(&mut self, number: u64, reason: CloseReason, time_ns: u64, out: &mut Vec<Note>) {
        let chain = self.runs.get(&number).and_then(|run| run.chain.as_ref());
        let chain = chain.filter(|chain| chain.pending > 0).map(|chain| chain.id);
        for (sample, asked) in chain.map(|chain| self.connections.take_of(chain)).unwrap_or_default() {
            self.report(sample, asked, out);
        }
        let Some(run) = self.runs.get_mut(&number) else {
            return;
        };
        let Some((begun, chain)) = run.begun.as_ref().zip(run.chain.take()) else {
            return;
        };
        run.last = Some(chain.id);
        if self.closed.len() == CLOSED_MAX {
            self.closed.pop_front();
        }
        self.closed.push_back((time_ns, chain.id));
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

/// Whether what acts now is what acted, of which more has become known: the names of its pod.
fn knows_more(now: &Actor, before: &Actor) -> bool {
    let (Some(now_in), Some(before_in)) = (&now.pod, &before.pod) else {
        return false;
    };
    let named = now_in.name.is_some() && before_in.name.is_none();
    let accounted = now.kind == ActorKind::KubernetesServiceAccount && before.kind != now.kind;
    now_in.uid == before_in.uid && (named || accounted)
}
