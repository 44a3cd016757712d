//! Chains whose pod has no names yet: these come later, and hold for what was told before. Nobody waits for them, so they are
//! looked for again as time passes, also when the chain acts no more or has ended.

use std::sync::Arc;

use super::Machine;
use crate::actor::{Actor, ActorKind};
use crate::chain::{ChainId, Completed, Note, RunId};
use crate::lineage::Process;

/// How long names are looked for after the chain's last act, or after its end.
const WAIT_NS: u64 = 30_000_000_000;
/// Most chains whose names are looked for; beyond it the oldest keeps what it was told with.
const AWAITED_MAX: usize = 1_024;

/// A chain whose pod's names are looked for.
#[derive(Debug)]
pub(super) struct Awaited {
    number: u64,
    run: RunId,
    root: Arc<Process>,
    actor: Arc<Actor>,
    /// One that acted as this actor.
    process: Arc<Process>,
    until_ns: u64,
}

impl Machine {
    /// An actor did something in a chain: its pod's names are looked for where they are not known.
    pub(super) fn await_names(
        &mut self,
        number: u64,
        actor: &Arc<Actor>,
        process: &Arc<Process>,
        time_ns: u64,
    ) {
        let run = self.runs.get(&number);
        let Some((chain, begun)) = run.and_then(|run| Some((run.chain.as_ref()?.id, run.begun.as_ref()?)))
        else {
            return;
        };
        if !lacks_names(actor) {
            self.awaited.remove(&chain);
            return;
        }
        let awaited = Awaited {
            number,
            run: begun.id,
            root: Arc::clone(&begun.root),
            actor: Arc::clone(actor),
            process: Arc::clone(process),
            until_ns: time_ns.saturating_add(WAIT_NS),
        };
        self.awaited.insert(chain, awaited);
        if self.awaited.len() > AWAITED_MAX {
            self.counts.evicted += 1;
            self.awaited.pop_first();
        }
    }

    /// A chain ended: its names may come still.
    pub(super) fn await_after_end(&mut self, chain: ChainId, time_ns: u64) {
        if let Some(awaited) = self.awaited.get_mut(&chain) {
            awaited.until_ns = time_ns.saturating_add(WAIT_NS);
        }
    }

    /// Chains whose names are still looked for, with who acts and a process that did.
    pub fn awaiting(&mut self, time_ns: u64) -> Vec<(ChainId, Arc<Actor>, Arc<Process>)> {
        self.awaited.retain(|_, awaited| awaited.until_ns > time_ns);
        let one = |(chain, awaited): (&ChainId, &Awaited)| {
            (*chain, Arc::clone(&awaited.actor), Arc::clone(&awaited.process))
        };
        self.awaited.iter().map(one).collect()
    }

    /// The names came.
    pub fn complete(&mut self, chain: ChainId, actor: Arc<Actor>, time_ns: u64, out: &mut Vec<Note>) {
        let Some(awaited) = self.awaited.get_mut(&chain).filter(|awaited| knows_more(&actor, &awaited.actor))
        else {
            return;
        };
        awaited.actor = Arc::clone(&actor);
        let (number, run, root) = (awaited.number, awaited.run, Arc::clone(&awaited.root));
        if !lacks_names(&actor) {
            self.awaited.remove(&chain);
        }
        if let Some(open) = self.chain_mut(number).filter(|open| open.id == chain) {
            open.actor = Arc::clone(&actor);
        }
        out.push(Note::Completed(Box::new(Completed { chain, run, time_ns, actor, root })));
    }
}

/// Whether more may become known of an actor: the names of its pod.
fn lacks_names(actor: &Actor) -> bool {
    actor.pod.is_some() && actor.kind != ActorKind::KubernetesServiceAccount
}

/// Whether what acts now is what acted, of which more has become known: the names of its pod.
pub(super) fn knows_more(now: &Actor, before: &Actor) -> bool {
    let (Some(now_in), Some(before_in)) = (&now.pod, &before.pod) else {
        return false;
    };
    let named = now_in.name.is_some() && before_in.name.is_none();
    let accounted = now.kind == ActorKind::KubernetesServiceAccount && before.kind != now.kind;
    let contained = now_in.container.is_some() && before_in.container.is_none();
    now_in.uid == before_in.uid && (named || accounted || contained)
}
