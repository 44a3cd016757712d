//! A run, and the chain it may have open.

use std::collections::VecDeque;
use std::sync::Arc;

use super::attempts::{Destinations, Job};
use super::holds::{Holds, Use};
use super::{ChainId, Executed, FAIR, FanOut, GapKind, Link, Reached, RunAttempt, RunId, Summary};
use crate::action::{Action, ActionDeed, ConnectOutcome};
use crate::actor::{Actor, RunKey};
use crate::credential::Credential;
use crate::event::{Endpoint, ExitStatus, ProcessKey, SampleId, Text};
use crate::lineage::{Process, Slot};
use crate::names::Named;
use crate::purpose::Judged;

/// One execution of an actor's job.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) key: Arc<RunKey>,
    /// Processes of it that live.
    pub(super) live: u64,
    /// Known from its first chain on. Most runs of a host never have one, so that this and the chain lie beside.
    pub(super) begun: Option<Box<Begun>>,
    pub(super) chain: Option<Box<Open>>,
    /// Its chain before the open one.
    pub(super) last: Option<ChainId>,
    /// Connections asked for.
    pub(super) connections: u64,
    /// What its processes came by, the latest last: those started together with them may have it through a pipe.
    pub(super) recent: VecDeque<Recent>,
    /// Destinations that did not answer.
    pub(super) unanswered: Destinations,
    /// When the last process ended, where another may yet come under the same key.
    pub(super) empty_ns: Option<u64>,
    /// The process with which it went on after that.
    pub(super) next_root: Option<Slot>,
    /// When the last process ended, once it has and the run with it.
    pub(super) ended_ns: Option<u64>,
}

/// What is fixed when a run's first chain opens.
#[derive(Clone, Debug)]
pub(super) struct Begun {
    pub(super) id: RunId,
    pub(super) root: Arc<Process>,
    pub(super) lineage: Vec<Arc<Process>>,
    pub(super) root_exit: Option<ExitStatus>,
    /// The job it is a run of, where a repetition would be a retry.
    pub(super) job: Option<Job>,
    pub(super) attempt: Option<RunAttempt>,
}

/// An open chain.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) id: ChainId,
    /// Number in the order of opening.
    pub(super) serial: u64,
    pub(super) since_ns: u64,
    pub(super) touched_ns: u64,
    /// Under which time it stands among the open ones.
    pub(super) stands_ns: u64,
    pub(super) actor: Arc<Actor>,
    pub(super) summary: Summary,
    /// Connections without an outcome.
    pub(super) pending: u64,
    /// Records of actions.
    pub(super) records: u64,
    /// When it ends, where it has as many as it may have.
    pub(super) full_ns: Option<u64>,
    /// Whether a record tells of it, by place in the summary's destinations: of one that has as many records as it may have.
    pub(super) told_to: Vec<bool>,
}

/// What a process of a run came by.
#[derive(Debug)]
pub(super) struct Recent {
    process: ProcessKey,
    parent: Option<ProcessKey>,
    held: Use,
}

impl Run {
    const RECENT_MAX: usize = 16;
    /// A shell makes the processes of a pipeline within a few milliseconds.
    const TOGETHER_NS: u64 = 100_000_000;

    pub(super) fn came_by(&mut self, process: &Process, held: Use) {
        if self.recent.len() >= Self::RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(Recent { process: process.key, parent: process.parent, held });
    }

    /// What those have that were started together with a process, by the same parent. A server that makes a process for each
    /// request starts many together: what one of them opened for another request than `unit` is no business of this one.
    pub(super) fn beside(&self, process: &Process, unit: Option<SampleId>) -> Holds {
        let beside = self.recent.iter().filter(|recent| {
            let apart = recent.process.start_ns.abs_diff(process.key.start_ns);
            let siblings = process.parent.is_some() && recent.parent == process.parent;
            let other_request = recent.held.unit.zip(unit).is_some_and(|(theirs, own)| theirs != own);
            siblings && !other_request && recent.process != process.key && apart <= Self::TOGETHER_NS
        });
        let held = beside.map(|recent| Use { beside: true, tid: None, ..recent.held.clone() });
        Holds::beside(held.collect())
    }

    pub(super) fn new(key: Arc<RunKey>) -> Self {
        Self {
            key,
            live: 0,
            begun: None,
            chain: None,
            last: None,
            connections: 0,
            recent: VecDeque::new(),
            unanswered: Destinations::default(),
            empty_ns: None,
            next_root: None,
            ended_ns: None,
        }
    }

    pub(super) fn is_root(&self, key: ProcessKey) -> bool {
        let root = self.begun.as_ref().map(|begun| Slot::from(begun.root.key));
        [root, self.next_root].contains(&Some(key.into()))
    }
}

/// Most credentials and destinations a summary names.
const NAMED_MAX: usize = 256;
/// Most versions of one credential: a file that is written anew for each opening hides no other.
const VERSIONS_MAX: usize = 16;

impl Open {
    pub(super) fn gap(&mut self, gap: GapKind) {
        if !self.summary.gaps.contains(&gap) {
            self.summary.gaps.push(gap);
        }
    }

    pub(super) fn credentials(&mut self, credentials: &[Arc<Credential>]) {
        for credential in credentials {
            let known = &mut self.summary.credentials;
            // What was rotated meanwhile is another: the old one was used, too.
            // Of one whose version is not known, as where it was opened to be written, nobody can say that it is another.
            let same = |known: &&mut Arc<Credential>| {
                known.id == credential.id
                    && (known.version == credential.version
                        || known.version.is_none()
                        || credential.version.is_none())
            };
            if let Some(known) = known.iter_mut().find(same) {
                if known.version.is_none() {
                    *known = Arc::clone(credential);
                }
                continue;
            }
            let versions = known.iter().filter(|known| known.id == credential.id).count();
            if known.len() < NAMED_MAX && versions < VERSIONS_MAX {
                known.push(Arc::clone(credential));
            } else {
                self.gap(GapKind::StateFull);
            }
        }
    }

    /// Nothing of it concerns a credential.
    pub(super) fn is_bare(&self) -> bool {
        self.summary.credentials.is_empty() && self.summary.written.is_empty()
    }

    fn wrote(&mut self, credential: &Arc<Credential>) {
        let known = &mut self.summary.written;
        if let Some(known) = known.iter_mut().find(|known| known.id == credential.id) {
            // Of one that was renamed into its place what lies there is known, of one that was written there it is not.
            if known.version.is_none() {
                *known = Arc::clone(credential);
            }
            return;
        }
        if known.len() < NAMED_MAX {
            known.push(Arc::clone(credential));
        } else {
            self.gap(GapKind::StateFull);
        }
    }

    /// An action was judged; `before` is what was said of it until now.
    pub(super) fn judged(&mut self, now: Option<&Judged>, before: Option<&Judged>) {
        let Some(now) = now else {
            return;
        };
        let verdicts = self.summary.verdicts.get_or_insert_default();
        if let Some(before) = before {
            let count = verdicts.count(before.verdict);
            *count = count.saturating_sub(1);
        }
        *verdicts.count(now.verdict) += 1;
        if let Some(name) = &now.purpose
            && !verdicts.purposes.contains(name)
        {
            if verdicts.purposes.len() < NAMED_MAX {
                verdicts.purposes.push(Arc::clone(name));
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
            known.push(Reached { to, name: name.cloned(), attempts: 1, established: 0, outcome: None });
        } else {
            self.gap(GapKind::StateFull);
        }
    }

    /// Whether no record tells that it reaches for a destination, which one does from now on. To be asked once it has as many
    /// as it may have: until then each has one.
    pub(super) fn is_first(&mut self, deed: &ActionDeed) -> bool {
        let (ActionDeed::Connect { to, .. } | ActionDeed::Send { to, .. }) = deed else {
            return false;
        };
        let known = &self.summary.destinations;
        let Some(place) = known.iter().position(|known| known.to == *to) else {
            return false;
        };
        if self.told_to.is_empty() {
            // Those of whom something is known by now. Of what is sent nothing is, and it is told once more.
            self.told_to = known.iter().map(|known| known.outcome.is_some()).collect();
        }
        self.told_to.resize(known.len(), false);
        self.told_to.get_mut(place).is_some_and(|told| !std::mem::replace(told, true))
    }

    /// A connection was asked for, or something sent, after these credentials.
    pub(super) fn fan_out(&mut self, to: Endpoint, link: Option<&Link>) {
        let Some(place) = self.summary.destinations.iter().position(|known| known.to == to) else {
            return;
        };
        let fair = link.into_iter().flat_map(|link| &link.each).filter(|(_, worth)| *worth >= FAIR);
        for (credential, _) in fair {
            let known = &mut self.summary.fan_out;
            let of = known.iter_mut().find(|known| known.credential == *credential);
            if let Some(of) = of {
                if !of.destinations.contains(&place) {
                    of.destinations.push(place);
                }
            } else if known.len() < NAMED_MAX {
                known.push(FanOut { credential: credential.clone(), destinations: vec![place] });
            } else {
                self.gap(GapKind::StateFull);
            }
        }
    }

    fn executed(&mut self, exe: &Text) {
        self.summary.programs += 1;
        let known = &mut self.summary.executed;
        if let Some(known) = known.iter_mut().find(|known| known.exe == *exe) {
            known.count += 1;
        } else if known.len() < NAMED_MAX {
            known.push(Executed { exe: exe.clone(), count: 1 });
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
        let mut truncated = process.program.exe.truncated || process.program.argv_truncated;
        match &action.deed {
            ActionDeed::SecretOpen { file, .. }
            | ActionDeed::SecretReceive { file, .. }
            | ActionDeed::SecretRead { file, .. }
            | ActionDeed::SecretSocket { file, .. } => truncated |= file.path.truncated,
            ActionDeed::SecretWrite { file, credential } => {
                truncated |= file.path.truncated;
                self.wrote(credential);
            }
            ActionDeed::SecretKey { key, .. } => truncated |= key.description.truncated,
            ActionDeed::Exec { .. } => self.executed(&process.program.exe),
            ActionDeed::Connect { to, outcome, .. } => {
                let mut known = self.summary.destinations.iter_mut();
                if let Some(known) = known.find(|known| known.to == *to) {
                    known.established += u64::from(*outcome == ConnectOutcome::Established);
                    known.outcome = Some(*outcome);
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
