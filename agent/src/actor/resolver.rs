//! Standings: kept per process, handed down at forks, told anew when a process changes.

mod ai;
mod ci;
mod clients;
mod entered;
mod human;
mod job;
mod pod;
mod rules;
mod state;
mod units;

use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use self::ci::Runner;
use self::clients::Clients;
use self::entered::Firsts;
use self::rules::Case;
use self::state::{Kin, Kins, State};
use self::units::Units;
use super::cgroup::{Place, place};
use super::{Actor, ActorKind, Host};
use crate::event::{Facts, ProcessKey};
use crate::lineage::{KnownBy, OfPrograms, Process, Program, Slot, Table};

/// What tells one execution of an actor's job from another. Within one boot of the host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RunKey {
    /// A unit: all its processes in one cgroup.
    Unit {
        /// `Actor::id`
        actor: String,
        /// Id of the cgroup, which a restarted unit gets anew.
        cgroup_id: u64,
    },
    /// A container instance, by its id in full.
    Container(String),
    /// What was brought into a container that runs, and what came of that.
    Entered {
        /// As of the container.
        container: String,
        /// Its root.
        root: Slot,
    },
    /// A login session.
    Session {
        /// Who logged in.
        login_uid: u32,
        /// `Actor::id`, which has the session.
        actor: String,
    },
    /// A process and what came of it under the same user.
    Tree {
        /// Its root.
        root: Slot,
        /// That user.
        user: u32,
    },
}

/// Where a process stands: whose it is, and in which run.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Who acts.
    pub actor: Arc<Actor>,
    /// In which run.
    pub run: Arc<RunKey>,
    /// The run's first process.
    pub root: ProcessKey,
}

/// Tells actors of processes. Keeps what it told of each process until [`Self::forget`].
#[derive(Debug)]
pub struct Resolver<H> {
    host: H,
    states: HashMap<Slot, State>,
    actors: HashSet<Arc<Actor>>,
    /// Of those that are in one run, so that each need not have the name of it by itself.
    runs: HashSet<Arc<RunKey>>,
    places: HashMap<Vec<u8>, Arc<Place>>,
    kins: Kins,
    units: Units,
    traits: OfPrograms<Traits>,
    firsts: Firsts,
    clients: Clients,
}

/// What a program says of whoever runs it.
#[derive(Clone, Debug)]
struct Traits {
    /// What it is called by.
    name: Arc<str>,
    /// The agent that it is by its name.
    agent: Option<&'static str>,
    /// The runner that it is by its name.
    runner: Option<&'static Runner>,
}

impl Traits {
    fn of(program: &Program) -> Self {
        Self { name: name(program), agent: ai::named(program), runner: ci::named(program) }
    }
}

/// As whom a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    /// Whose work it is: the effective user, but for programs that are set-uid root.
    user: u32,
    euid: u32,
    login_uid: Option<u32>,
    session: Option<u32>,
    cgroup_id: u64,
}

impl Identity {
    fn of(facts: &Facts) -> Self {
        Self {
            user: if facts.euid == 0 { facts.uid } else { facts.euid },
            euid: facts.euid,
            login_uid: facts.login_uid,
            session: facts.session,
            cgroup_id: facts.cgroup_id,
        }
    }

    /// Whether both belong to one run of a user that nothing else claims.
    fn same_user(self, other: Self) -> bool {
        Self { euid: 0, ..self } == Self { euid: 0, ..other }
    }
}

/// The topmost process under the same user, and what that runs.
#[derive(Clone, Debug)]
struct Tree {
    root: ProcessKey,
    program: Arc<str>,
    /// The run has opened or connected: from now on its name stays, whatever its root executes next.
    settled: bool,
}

/// The first process of the host.
const INIT: u32 = 1;
const UNKNOWN_PROGRAM: &str = "?";
/// Most of them shared; of more all are forgotten, and told anew.
const ACTORS_MAX: usize = 4096;
const RUNS_MAX: usize = 4096;
const PLACES_MAX: usize = 4096;

impl<H: Host> Resolver<H> {
    /// Knows nobody yet.
    pub fn new(host: H) -> Self {
        Self {
            host,
            states: HashMap::default(),
            actors: HashSet::default(),
            runs: HashSet::default(),
            places: HashMap::default(),
            kins: Kins::default(),
            units: Units::default(),
            traits: OfPrograms::default(),
            firsts: Firsts::default(),
            clients: Clients::default(),
        }
    }

    /// Where a process stands by now.
    pub fn resolve(
        &mut self,
        table: &Table,
        process: &Arc<Process>,
        facts: &Facts,
        time_ns: u64,
    ) -> Standing {
        let identity = Identity::of(facts);
        let slot = Slot::from(process.key);
        self.host.at(time_ns);
        let answered = self.pod_answered(slot);
        if let Some(state) = self.states.get(&slot)
            && !answered
            && Arc::ptr_eq(&state.process, process)
            && state.kin.identity == identity
            && !state.provisional
            && (state.kin.actor.kind != ActorKind::SystemUser
                || *state.kin.named == *self.tree_program(process.key, &state.tree()))
        {
            return state.standing();
        }
        let ancestry = table.ancestry(process.key);
        let job = self.job(slot, process, identity, &ancestry);
        let ai = self.ai(slot, process, identity, &ancestry);
        let tree = self.tree(slot, process, identity, &ancestry);
        let place = self.place(&process.cgroup.bytes);
        let standing = self.stand(&Case {
            process,
            identity,
            place,
            job: job.as_deref(),
            ai: ai.as_deref(),
            tree: &tree,
            up: &ancestry,
            time_ns,
        });
        // Rows of `/proc` may come in any order: somebody above may not have been told of yet.
        let top = ancestry.last().unwrap_or(process);
        let provisional = top.parent.is_some() && process.known_by != KnownBy::Fork;
        let kin = Kin {
            identity,
            job,
            ai,
            peer: self.peer(slot, identity),
            named: self.tree_program(process.key, &tree),
            program: tree.program,
            actor: Arc::clone(&standing.actor),
            run: Arc::clone(&standing.run),
        };
        let state = State {
            process: Arc::clone(process),
            kin: self.kins.share(kin),
            tree_root: tree.root,
            run_root: standing.root,
            settled: tree.settled,
            provisional: provisional && !tree.settled,
        };
        self.states.insert(slot, state);
        standing
    }

    /// A process was made: it stands where its maker stands, until it changes.
    pub fn forked(&mut self, table: &Table, maker: &Facts, child: &Arc<Process>, time_ns: u64) -> Standing {
        if let Some(state) = self.states.get(&maker.key.into())
            && state.kin.identity == Identity::of(maker)
            && state.kin.identity.cgroup_id == child.cgroup_id
            && maker.key.tgid != INIT
        {
            let state = State { process: Arc::clone(child), provisional: false, ..state.clone() };
            let standing = state.standing();
            self.states.insert(child.key.into(), state);
            return standing;
        }
        let facts = Facts {
            key: child.key,
            parent: child.parent,
            cgroup_id: child.cgroup_id,
            ns_tgid: child.ns_tgid,
            pid_ns: child.pid_ns,
            ..*maker
        };
        let standing = self.resolve(table, child, &facts, time_ns);
        let peer = self.states.get(&maker.key.into()).and_then(|state| state.kin.peer.clone());
        if let Some(state) = self.states.get_mut(&child.key.into()).filter(|_| peer.is_some()) {
            Arc::make_mut(&mut state.kin).peer = peer;
        }
        standing
    }

    /// The process opened a credential or connected: its run keeps its name from now on.
    pub fn settle(&mut self, key: ProcessKey) {
        let Some(state) = self.states.get_mut(&key.into()) else {
            return;
        };
        let root = state.tree_root;
        if root == key {
            (state.settled, state.provisional) = (true, false);
            return;
        }
        let settled =
            self.states.get_mut(&root.into()).filter(|state| state.tree_root == root).map(|state| {
                state.settled = true;
                state.tree()
            });
        if let Some(state) = self.states.get_mut(&key.into()) {
            if let Some(tree) = settled {
                state.put_into(tree);
            }
            state.settled = true;
            state.provisional = false;
        }
    }

    /// Where a process stood last.
    #[must_use]
    pub fn standing(&self, key: ProcessKey) -> Option<Standing> {
        self.states.get(&key.into()).map(State::standing)
    }

    /// A process left the table.
    pub fn forget(&mut self, key: ProcessKey) {
        self.states.remove(&key.into());
        self.clients.forget(key.into());
    }

    /// Number of processes it knows of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether it knows of none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Each of its collections: how many are in it, and how many there may be.
    #[cfg(test)]
    pub(crate) fn fill(&self, processes_max: usize) -> Vec<(&'static str, usize, usize)> {
        let mut fill = vec![
            ("standings", self.states.len(), processes_max),
            ("actors", self.actors.len(), ACTORS_MAX),
            ("runs", self.runs.len(), RUNS_MAX),
            ("places", self.places.len(), PLACES_MAX),
            ("units", self.units.len(), Units::MAX),
        ];
        fill.extend(self.clients.fill(processes_max));
        fill
    }

    fn tree(&mut self, slot: Slot, process: &Process, identity: Identity, up: &[Arc<Process>]) -> Tree {
        let program =
            self.traits(process).map_or_else(|| program(process), |traits| Arc::clone(&traits.name));
        let own = Tree { root: process.key, program, settled: false };
        let before = self.states.get(&slot).filter(|state| !state.provisional);
        if let Some(state) = before.filter(|state| state.kin.identity.same_user(identity)) {
            let is_root = Slot::from(state.tree_root) == slot;
            return if is_root && !state.settled { own } else { state.tree() };
        }
        // What init starts is nobody's child: each daemon of a host without units is a run of its own.
        let parent = up.first().filter(|parent| parent.key.tgid != INIT);
        let parent = parent.and_then(|parent| self.states.get(&parent.key.into()));
        let inherited = parent.filter(|parent| parent.kin.identity.same_user(identity));
        inherited.map_or(own, State::tree)
    }

    /// The root's program as it is now, while the run has no name to keep.
    fn tree_program(&self, key: ProcessKey, tree: &Tree) -> Arc<str> {
        let root = self.states.get(&tree.root.into());
        let root = root.filter(|root| root.tree_root == tree.root && !tree.settled && tree.root != key);
        Arc::clone(root.map_or(&tree.program, |root| &root.kin.program))
    }

    fn traits(&mut self, process: &Process) -> Option<&Traits> {
        self.traits.of(&process.program, Traits::of)
    }

    fn name(&mut self, uid: u32) -> String {
        self.host.user_name(uid).unwrap_or_else(|| uid.to_string())
    }

    fn share(&mut self, actor: Actor) -> Arc<Actor> {
        if let Some(known) = self.actors.get(&actor) {
            return Arc::clone(known);
        }
        if self.actors.len() >= ACTORS_MAX {
            self.actors.clear();
        }
        let shared = Arc::new(actor);
        self.actors.insert(Arc::clone(&shared));
        shared
    }

    fn share_run(&mut self, run: RunKey) -> Arc<RunKey> {
        if let Some(known) = self.runs.get(&run) {
            return Arc::clone(known);
        }
        if self.runs.len() >= RUNS_MAX {
            self.runs.clear();
        }
        let shared = Arc::new(run);
        self.runs.insert(Arc::clone(&shared));
        shared
    }

    fn place(&mut self, path: &[u8]) -> Arc<Place> {
        if let Some(known) = self.places.get(path) {
            return Arc::clone(known);
        }
        if self.places.len() >= PLACES_MAX {
            self.places.clear();
        }
        let found = Arc::new(place(path));
        self.places.insert(path.to_vec(), Arc::clone(&found));
        found
    }
}

/// What a process is called by: of a script the script, since an interpreter is nobody's name. (A script that was named
/// from some directory has no name that stays.)
fn name(program: &Program) -> Arc<str> {
    let script = program.script.as_ref().filter(|script| script.bytes.starts_with(b"/"));
    let program = &script.unwrap_or(&program.exe).bytes;
    if program.is_empty() { UNKNOWN_PROGRAM.into() } else { String::from_utf8_lossy(program).into() }
}

fn program(process: &Process) -> Arc<str> {
    name(&process.program)
}
