//! A run, and the chain it may have open.

use std::sync::Arc;

use super::{ChainId, GapKind, Reached, RunId, Summary};
use crate::action::{Action, ActionDeed, ConnectOutcome};
use crate::actor::{Actor, RunKey};
use crate::credential::Credential;
use crate::event::{Endpoint, ExitStatus, ProcessKey};
use crate::lineage::{Process, Slot};
use crate::names::Named;

/// One execution of an actor's job.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) key: Arc<RunKey>,
    /// Processes of it that live.
    pub(super) live: u64,
    /// Known from its first chain on.
    pub(super) begun: Option<Begun>,
    pub(super) chain: Option<Open>,
    /// Its chain before the open one.
    pub(super) last: Option<ChainId>,
    /// Connections asked for.
    pub(super) connections: u64,
    /// When the last process ended, once it has.
    pub(super) ended_ns: Option<u64>,
}

/// What is fixed when a run's first chain opens.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    pub(super) id: RunId,
    pub(super) root: Arc<Process>,
    pub(super) lineage: Vec<Arc<Process>>,
    pub(super) root_exit: Option<ExitStatus>,
}

/// An open chain.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) id: ChainId,
    /// Number in the order of opening.
    pub(super) serial: u64,
    pub(super) since_ns: u64,
    pub(super) touched_ns: u64,
    pub(super) actor: Arc<Actor>,
    pub(super) summary: Summary,
    /// Connections without an outcome.
    pub(super) pending: u64,
}

impl Run {
    pub(super) fn new(key: Arc<RunKey>) -> Self {
        Self { key, live: 0, begun: None, chain: None, last: None, connections: 0, ended_ns: None }
    }

    pub(super) fn is_root(&self, key: ProcessKey) -> bool {
        let root = self.begun.as_ref().map(|begun| Slot::from(begun.root.key));
        root == Some(key.into())
    }
}

/// Most credentials and destinations a summary names.
const NAMED_MAX: usize = 256;

impl Open {
    pub(super) fn gap(&mut self, gap: GapKind) {
        if !self.summary.gaps.contains(&gap) {
            self.summary.gaps.push(gap);
        }
    }

    pub(super) fn credentials(&mut self, credentials: &[Arc<Credential>]) {
        for credential in credentials {
            let known = &mut self.summary.credentials;
            if known.iter().any(|known| known.id == credential.id) {
                continue;
            }
            if known.len() < NAMED_MAX {
                known.push(Arc::clone(credential));
            } else {
                self.gap(GapKind::StateFull);
            }
        }
    }

    /// A connection was asked for, or something sent.
    pub(super) fn attempt(&mut self, to: Endpoint, name: Option<&Named>) {
        let known = &mut self.summary.destinations;
        if let Some(known) = known.iter_mut().find(|known| known.to == to) {
            known.attempts += 1;
            if known.name.is_none() {
                known.name = name.cloned();
            }
        } else if known.len() < NAMED_MAX {
            known.push(Reached { to, name: name.cloned(), attempts: 1, established: 0 });
        } else {
            self.gap(GapKind::StateFull);
        }
    }

    /// A destination's name became known.
    pub(super) fn named(&mut self, to: Endpoint, name: &Named) {
        if let Some(known) = self.summary.destinations.iter_mut().find(|known| known.to == to) {
            known.name = Some(name.clone());
        }
    }

    /// What an action adds to the summary, beside being one.
    pub(super) fn sum(&mut self, action: &Action) {
        let process = &action.process;
        let mut truncated = process.exe.truncated || process.argv_truncated;
        match &action.deed {
            ActionDeed::SecretOpen { file, .. }
            | ActionDeed::SecretReceive { file, .. }
            | ActionDeed::SecretRead { file, .. }
            | ActionDeed::SecretSocket { file, .. } => truncated |= file.path.truncated,
            ActionDeed::Exec => self.summary.programs += 1,
            ActionDeed::Connect { to, outcome, .. } => {
                if *outcome == ConnectOutcome::Established {
                    let mut known = self.summary.destinations.iter_mut();
                    if let Some(known) = known.find(|known| known.to == *to) {
                        known.established += 1;
                    }
                }
            }
            ActionDeed::ExecFailed { program, .. } => truncated |= program.truncated,
            ActionDeed::Exit(_)
            | ActionDeed::MemoryAccess { .. }
            | ActionDeed::CredChange(_)
            | ActionDeed::Send { .. }
            | ActionDeed::Accept { .. } => {}
        }
        if truncated {
            self.gap(GapKind::Truncated);
        }
    }
}
