//! What is kept of each process, and what many of them have alike.

use std::sync::Arc;

use super::ai::Ai;
use super::job::Job;
use super::{Identity, RunKey, Standing, Tree};
use crate::actor::Actor;
use crate::event::ProcessKey;
use crate::lineage::Process;

/// What a process has of itself or of its forebears, whichever of these are still known.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) process: Arc<Process>,
    pub(super) kin: Arc<Kin>,
    pub(super) tree_root: ProcessKey,
    /// First process of its run.
    pub(super) run_root: ProcessKey,
    /// The run has opened or connected: from now on its name stays, whatever its root executes next.
    pub(super) settled: bool,
    /// Made without its parent at hand: worth another look.
    pub(super) provisional: bool,
}

/// What the processes of one run have alike, as a rule. It is shared, and who gets another has one of its own.
#[derive(Clone, Debug)]
pub(super) struct Kin {
    pub(super) identity: Identity,
    pub(super) job: Option<Arc<Job>>,
    pub(super) ai: Option<Arc<Ai>>,
    /// Where the last connection came from that it, or whoever made it, accepted to let somebody in.
    pub(super) peer: Option<Arc<str>>,
    /// What the root of its tree runs.
    pub(super) program: Arc<str>,
    /// The program the tree was named by.
    pub(super) named: Arc<str>,
    pub(super) actor: Arc<Actor>,
    pub(super) run: Arc<RunKey>,
}

impl State {
    pub(super) fn standing(&self) -> Standing {
        Standing { actor: Arc::clone(&self.kin.actor), run: Arc::clone(&self.kin.run), root: self.run_root }
    }

    pub(super) fn tree(&self) -> Tree {
        Tree { root: self.tree_root, program: Arc::clone(&self.kin.program), settled: self.settled }
    }

    /// It is of another tree, or its tree has a name by now.
    pub(super) fn put_into(&mut self, tree: Tree) {
        (self.tree_root, self.settled) = (tree.root, tree.settled);
        if self.kin.program != tree.program {
            Arc::make_mut(&mut self.kin).program = tree.program;
        }
    }
}

impl Kin {
    fn is(&self, other: &Self) -> bool {
        fn alike<T: ?Sized>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
            one.map(Arc::as_ptr).map(<*const T>::cast::<()>)
                == other.map(Arc::as_ptr).map(<*const T>::cast::<()>)
        }
        self.identity == other.identity
            && Arc::ptr_eq(&self.actor, &other.actor)
            && Arc::ptr_eq(&self.run, &other.run)
            && alike(self.job.as_ref(), other.job.as_ref())
            && alike(self.ai.as_ref(), other.ai.as_ref())
            && self.peer == other.peer
            && self.program == other.program
            && self.named == other.named
    }
}

/// What was shared lately: a place for each run, and the last one there stays.
#[derive(Debug)]
pub(super) struct Kins(Box<[Option<Arc<Kin>>]>);

impl Default for Kins {
    fn default() -> Self {
        Self((0..Self::PLACES).map(|_| None).collect())
    }
}

impl Kins {
    const PLACES: usize = 256;

    /// The same, shared with those that have it.
    pub(super) fn share(&mut self, kin: Kin) -> Arc<Kin> {
        let place = Arc::as_ptr(&kin.run).addr() / size_of::<RunKey>() % Self::PLACES;
        let Some(place) = self.0.get_mut(place) else {
            return Arc::new(kin);
        };
        if let Some(known) = place.as_ref().filter(|known| known.is(&kin)) {
            return Arc::clone(known);
        }
        Arc::clone(place.insert(Arc::new(kin)))
    }
}
