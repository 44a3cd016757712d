//! Chains: opened, added to, closed.

use std::sync::Arc;

use super::awaited::knows_more;
use super::losing::Over;
use super::telling::Recorded;
use super::{Limits, Machine, Subject, unseen};
use crate::action::{Action, ActionDeed, ActionId};
use crate::chain::attempts::Job;
use crate::chain::holds::{Here, Linked, Towards};
use crate::chain::run::{Begun, Open};
use crate::chain::{Acted, CloseReason, Closed, Completed, GapKind, Link, Note, Opened, Relation, Summary};
use crate::credential::Credential;
use crate::event::{KeyWay, ProcessKey, SampleId, Source};
use crate::lineage::{Process, Table};

/// Most closed chains remembered, for losses that are noticed after them.
const CLOSED_MAX: usize = 1_024;

impl Limits {
    /// How many records a chain may have before an action of this kind is only counted. Connections are what a run makes
    /// thousands of, so they give way first; who ran what, and where it goes for the `first` time, give way after them,
    /// and last what tells of credentials: `handed_out` is a connection that brought one.
    fn most(&self, deed: &ActionDeed, first: bool, handed_out: bool) -> u64 {
        let beyond = match deed {
            ActionDeed::Connect { .. } if handed_out => self.max_actions / 2,
            ActionDeed::Connect { .. } | ActionDeed::Send { .. } if first => self.max_actions / 4,
            ActionDeed::Connect { .. } | ActionDeed::Send { .. } | ActionDeed::Accept { .. } => 0,
            ActionDeed::Exec { environment } if !environment.is_empty() => self.max_actions / 2,
            ActionDeed::Exec { .. } | ActionDeed::ExecFailed { .. } | ActionDeed::Exit(_) => {
                self.max_actions / 4
            }
            ActionDeed::SecretOpen { .. }
            | ActionDeed::SecretWrite { .. }
            | ActionDeed::SecretReceive { .. }
            | ActionDeed::SecretRead { .. }
            | ActionDeed::SecretSocket { .. }
            | ActionDeed::SecretKey { .. }
            | ActionDeed::MemoryAccess { .. }
            | ActionDeed::CredChange(_) => self.max_actions / 2,
        };
        self.max_actions.saturating_add(beyond)
    }
}

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
            && let Some((_, oldest)) = self.quietest_bare().or_else(|| self.quietest())
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
            let actor = &by.standing.actor;
            let job = Job::of(actor, root);
            Box::new(Begun {
                id: self.ids.make("run", &key, time_ns, sample),
                root: Arc::clone(root),
                lineage: table.ancestry(root.key),
                root_exit: table.exit_of(root.key),
                attempt: job.and_then(|job| self.jobs.begun(job, actor, root.key.start_ns)),
                job,
            })
        });
        let gaps: Vec<GapKind> =
            unseen(begun.root.known_by).into_iter().chain(self.uncovered.iter().copied()).collect();
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
            attempt: begun.attempt,
            gaps: gaps.clone(),
        };
        let mut chain = Open {
            id: opened.chain,
            serial: self.chains_opened,
            since_ns: time_ns,
            touched_ns: time_ns,
            stands_ns: time_ns,
            actor: Arc::clone(&opened.actor),
            summary: Summary::default(),
            pending: 0,
            records: 0,
            full_ns: None,
            told_to: Vec::new(),
        };
        chain.summary.gaps = gaps;
        run.chain = Some(Box::new(chain));
        self.touched.insert((time_ns, number));
        self.bare.insert((time_ns, number));
        out.push(Note::Opened(Box::new(opened)));
        self.await_names(number, &by.standing.actor, &by.process, time_ns);
    }

    /// A chain was touched: it is quiet from now on only.
    pub(super) fn touch(&mut self, number: u64, time_ns: u64) {
        let Some(chain) = self.runs.get_mut(&number).and_then(|run| run.chain.as_mut()) else {
            return;
        };
        chain.touched_ns = chain.touched_ns.max(time_ns);
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
        let Some(here) = self.here(number, by, time_ns) else {
            self.counts.unchained += 1;
            return None;
        };
        let linked = match &deed {
            ActionDeed::SecretOpen { credential, .. } => self.opened(by, here, credential),
            ActionDeed::SecretWrite { .. } => self.written(&by.process, here),
            ActionDeed::SecretReceive { credential, .. } | ActionDeed::SecretSocket { credential, .. } => {
                Linked { credentials: vec![Arc::clone(credential)], ..Linked::default() }
            }
            ActionDeed::SecretRead { credential, .. } => self.link_to(by.process.key, here, credential),
            ActionDeed::SecretKey { credential, way, .. } => {
                let found = match way {
                    KeyWay::Read => self.link_to(by.process.key, here, credential),
                    KeyWay::Find | KeyWay::Add | KeyWay::Update => Linked::default(),
                };
                let own = || Linked { credentials: vec![Arc::clone(credential)], ..Linked::default() };
                if found.link.is_some() { found } else { own() }
            }
            ActionDeed::Exec { environment } => {
                let mut linked = self.link(&by.process, here, None);
                linked.attempt = self.again(by);
                linked.credentials.splice(0..0, environment.iter().cloned());
                linked
            }
            ActionDeed::MemoryAccess { .. } => {
                Linked { credentials: credentials.to_vec(), ..Linked::default() }
            }
            ActionDeed::ExecFailed { .. } | ActionDeed::CredChange(_) | ActionDeed::Send { .. } => {
                self.link(&by.process, here, None)
            }
            ActionDeed::Exit(_) | ActionDeed::Connect { .. } | ActionDeed::Accept { .. } => Linked::default(),
        };
        let serves = here.unit.filter(|_| !matches!(deed, ActionDeed::Accept { .. }));
        let request = serves.and_then(|unit| unit.action);
        let mut linked = Linked { request, ..linked };
        self.count_process(number, by);
        let action = self.action(by, time_ns, deed, seen_by);
        let id = action.id;
        linked.judged = self.judge(&action, (credentials, &linked), &[], by.digest);
        self.touch(number, time_ns);
        self.record(number, action, linked, out).map(|_| id)
    }

    /// What an opening is linked with: a connection it was opened for, where that can be told.
    fn opened(&mut self, by: &Subject, here: Here, credential: &Arc<Credential>) -> Linked {
        let reaching =
            self.members.get(&by.process.key.into()).and_then(|member| member.more().reaching.as_ref());
        let found = reaching.and_then(|reaching| reaching.link(credential, here));
        if let Some((to, link)) = &found
            && let Some(chain) = self.chain_mut(here.run)
        {
            chain.fan_out(*to, Some(link));
        }
        let link = found.map(|(_, link)| link);
        Linked { link, credentials: vec![Arc::clone(credential)], ..Linked::default() }
    }

    /// What a writing is linked with: what its process holds, or in a pipeline one beside it. It goes nowhere, so nothing but
    /// time, forks and what else is held says what that is worth.
    fn written(&mut self, process: &Process, here: Here) -> Linked {
        let held =
            self.members.get(&process.key.into()).is_some_and(|member| !member.more().holds.is_empty());
        let linked = if held { self.link(process, here, None) } else { self.beside(process, here, None) };
        let link = linked.link.map(|link| Link { relation: Relation::WrittenAfter, ..link });
        Linked { link, ..linked }
    }

    pub(super) fn action(&mut self, by: &Subject, time_ns: u64, deed: ActionDeed, seen_by: Source) -> Action {
        Action {
            id: self.next_action(),
            time_ns,
            actor: Arc::clone(&by.standing.actor),
            process: Arc::clone(&by.process),
            facts: by.facts,
            deed,
            seen_by,
        }
    }

    pub(super) fn here(&self, number: u64, by: &Subject, time_ns: u64) -> Option<Here> {
        let run = self.runs.get(&number)?;
        let chain = run.chain.as_ref()?.id;
        let unit = self.unit(by.process.key, by.facts.tid);
        Some(Here { time_ns, run: number, chain, connections: run.connections, tid: by.facts.tid, unit })
    }

    /// The link of reading a credential.
    fn link_to(&self, key: ProcessKey, here: Here, credential: &Credential) -> Linked {
        let held = self.members.get(&key.into());
        held.map(|member| member.more().holds.link_to(here, credential)).unwrap_or_default()
    }

    pub(super) fn link(&mut self, process: &Process, here: Here, to: Option<&Towards>) -> Linked {
        let Some(member) = self.members.get(&process.key.into()) else {
            return Linked::default();
        };
        let holds = &member.more().holds;
        if holds.is_empty() && to.is_some() {
            return self.beside(process, here, to);
        }
        let linked = holds.link(here, to);
        let overflowed = holds.overflowed;
        if let Some(chain) = self.chain_mut(here.run).filter(|_| overflowed) {
            chain.gap(GapKind::StateFull);
        }
        linked
    }

    /// The link of one that holds nothing with what those have that were started together with it.
    fn beside(&self, process: &Process, here: Here, to: Option<&Towards>) -> Linked {
        let unit = here.unit.map(|unit| unit.connection);
        let beside = self.runs.get(&here.run).map(|run| run.beside(process, unit));
        beside.map(|beside| beside.link(here, to)).unwrap_or_default()
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

    /// Puts an action into the open chain of its run. Says what was recorded, which is nothing beyond a chain's bound for
    /// actions of its kind: there it is only counted.
    pub(super) fn record(
        &mut self,
        number: u64,
        action: Action,
        linked: Linked,
        out: &mut Vec<Note>,
    ) -> Option<Recorded> {
        let run = self.runs.get_mut(&number)?;
        let (Some(begun), Some(chain)) = (&run.begun, &mut run.chain) else {
            return None;
        };
        let first = chain.records >= self.limits.max_actions && chain.is_first(&action.deed);
        let most = self.limits.most(&action.deed, first, linked.handed_out);
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
        let may_be_named = chain.actor.pod.is_some();
        let acted =
            may_be_named.then(|| (Arc::clone(&chain.actor), Arc::clone(&action.process), action.time_ns));
        let was_bare = chain.is_bare();
        chain.sum(&action);
        chain.credentials(&linked.credentials);
        if was_bare && !chain.is_bare() {
            self.bare.remove(&(chain.stands_ns, number));
        }
        chain.judged(linked.judged.as_ref(), None);
        if chain.records >= most {
            chain.summary.folded += 1;
            if chain.full_ns.is_none() {
                let ends_ns = chain.since_ns.saturating_add(self.limits.full_ns).max(self.now_ns);
                chain.full_ns = Some(ends_ns);
                self.full.insert((ends_ns, number));
            }
            self.counts.folded += 1;
            return None;
        }
        chain.summary.actions += 1;
        self.counts.chained += 1;
        let told = Arc::new(Acted {
            chain: chain.id,
            run: begun.id,
            action,
            credentials: linked.credentials,
            link: linked.link,
            attempt: linked.attempt,
            judged: linked.judged,
            request: linked.request,
            together: None,
        });
        let waits = !linked.handed_out && self.waits(number, &told, out);
        if !waits {
            self.tell(number, Arc::clone(&told), out);
        }
        if let Some((actor, process, time_ns)) = acted {
            self.await_names(number, &actor, &process, time_ns);
        }
        Some(Recorded { told, waits })
    }

    pub(super) fn close(&mut self, number: u64, reason: CloseReason, time_ns: u64, out: &mut Vec<Note>) {
        let chain = self.runs.get(&number).and_then(|run| run.chain.as_ref());
        let chain = chain.filter(|chain| chain.pending > 0).map(|chain| chain.id);
        for (sample, asked) in chain.map(|chain| self.connections.take_of(chain)).unwrap_or_default() {
            self.report(sample, asked, out);
        }
        self.tell_last(number, out);
        let Some(run) = self.runs.get_mut(&number) else {
            return;
        };
        let Some((begun, chain)) = run.begun.as_ref().zip(run.chain.take()) else {
            return;
        };
        run.last = Some(chain.id);
        let id = chain.id;
        if self.closed.len() == CLOSED_MAX {
            self.closed.pop_front();
        }
        self.closed.push_back(Over { time_ns, chain: chain.id, root: Arc::clone(&begun.root) });
        self.touched.remove(&(chain.stands_ns, number));
        self.bare.remove(&(chain.stands_ns, number));
        if let Some(ends_ns) = chain.full_ns {
            self.full.remove(&(ends_ns, number));
        }
        let ended = run.ended_ns.is_some();
        out.push(Note::Closed(Box::new(Closed {
            chain: chain.id,
            run: begun.id,
            // A unit is waited for when it has ended already.
            time_ns: run.empty_ns.map_or(time_ns, |empty_ns| empty_ns.max(chain.touched_ns)),
            since_ns: chain.since_ns,
            actor: chain.actor,
            root: Arc::clone(&begun.root),
            reason: if ended { CloseReason::RunEnded } else { reason },
            root_exit: begun.root_exit,
            attempt: begun.attempt,
            summary: chain.summary,
        })));
        if ended {
            self.runs.remove(&number);
        }
        self.await_after_end(id, time_ns);
    }
}
