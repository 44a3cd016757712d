//! The rules, the first that holds: container, job, unit, AI agent, then by whether somebody logged in.

use std::sync::Arc;

use super::ai::Ai;
use super::clients::Behind;
use super::job::{Job, JobOf};
use super::{INIT, Identity, Resolver, RunKey, Standing, Tree, UNKNOWN_PROGRAM, pod};
use crate::actor::cgroup::{Container, Place};
use crate::actor::{Actor, ActorKind, Host, Pod};
use crate::event::ProcessKey;
use crate::lineage::{Process, basename};

/// All that the rules go by.
pub(super) struct Case<'a> {
    pub(super) process: &'a Process,
    pub(super) identity: Identity,
    pub(super) place: Arc<Place>,
    pub(super) job: Option<&'a Job>,
    pub(super) ai: Option<&'a Ai>,
    pub(super) tree: &'a Tree,
    /// Its ancestors, nearest first.
    pub(super) up: &'a [Arc<Process>],
    pub(super) time_ns: u64,
}

/// What a rule says.
struct Ruled {
    kind: ActorKind,
    id: String,
    origin: String,
    run: RunKey,
    root: ProcessKey,
    pod: Option<Arc<Pod>>,
    spiffe_id: Option<String>,
}

impl Ruled {
    fn new(kind: ActorKind, id: String, origin: String, run: RunKey, root: ProcessKey) -> Self {
        Self { kind, id, origin, run, root, pod: None, spiffe_id: None }
    }
}

impl<H: Host> Resolver<H> {
    pub(super) fn stand(&mut self, case: &Case<'_>) -> Standing {
        let Some(answers) = self.answers(case) else { return self.stands(case) };
        if let Some(standing) = self.said(case, &answers) {
            return standing;
        }
        let standing = self.stands(case);
        self.remember(case, answers, &standing);
        standing
    }

    fn stands(&mut self, case: &Case<'_>) -> Standing {
        let mut ruled = self.rule(case);
        // Of what a daemon makes: nobody's login is on it.
        let is_asked_for = matches!(ruled.run, RunKey::Entered { .. }) && case.identity.login_uid.is_none();
        let behind = if is_asked_for {
            self.behind(case, ruled.root, ruled.pod.as_deref())
        } else {
            Behind::default()
        };
        let ai = case.ai.filter(|ai| ai.tool.is_some() && ruled.kind != ActorKind::AiAgent);
        if let Some(ai) = ai.filter(|ai| self.is_beside(case, ai.root)) {
            ruled.origin = format!("ai:{}", ai.agent);
            ruled.run = RunKey::Tree { root: ai.root.into(), user: ai.user };
            ruled.root = ai.root;
        }
        let human = self.human(case, ruled.kind).or(behind.human);
        let euid = case.identity.euid;
        let known = self.host.user_name(euid);
        // Of a number that the host has a name for, the container may have another.
        let user_source = match (&known, &case.place.container) {
            (None, _) => self.host.sub_user(euid).map(|owner| format!("subuid:{owner}")),
            (Some(_), Some(_)) => Some("host".to_owned()),
            (Some(_), None) => None,
        };
        let Ruled { kind, id, origin, run, root, pod, spiffe_id } = ruled;
        let user = known.unwrap_or_else(|| euid.to_string());
        let human_unknown = behind.unknown;
        let actor = Actor { id, kind, origin, user, user_source, human, human_unknown, pod, spiffe_id };
        Standing { actor: self.share(actor), run: self.share_run(run), root }
    }

    /// Whether another process is in the same container and unit: a container that a tool starts is no part of the tool.
    fn is_beside(&mut self, case: &Case<'_>, other: ProcessKey) -> bool {
        if other == case.process.key {
            return true;
        }
        let Some(other) = self.states.get(&other.into()).map(|state| Arc::clone(&state.process)) else {
            return false;
        };
        let (here, there) = (&case.place, self.place(&other.cgroup.bytes));
        here.container == there.container && here.unit == there.unit && here.user_unit == there.user_unit
    }

    fn rule(&mut self, case: &Case<'_>) -> Ruled {
        let Case { process, identity, place, .. } = case;
        if let Some(container) = place.container.as_ref().filter(|container| !container.of_unit) {
            return self.contained(case, container);
        }
        if let Some(job) = case.job {
            return self.of_job(job);
        }
        if let Some((kind, id, origin)) = self.of_unit(case) {
            let run = RunKey::Unit { actor: id.clone(), cgroup_id: identity.cgroup_id };
            let root = root_in_cgroup(process, case.up);
            let ruled = Ruled::new(kind, id, origin, run, root);
            return match &place.container {
                Some(container) => self.or_entered(case, container, ruled),
                None => ruled,
            };
        }
        if let Some(ai) = case.ai {
            return self.of_ai(case, ai);
        }
        let origin = match identity.login_uid {
            Some(login_uid) if !self.is_service_user(*identity, login_uid) => {
                return self.in_session(case, login_uid);
            }
            login_uid => self.begun(case, login_uid),
        };
        let (user, program) = (self.name(identity.user), self.tree_program(process.key, case.tree));
        let id = ["user:", &user, ":", &program].concat();
        let run = RunKey::Tree { root: case.tree.root.into(), user: identity.user };
        Ruled::new(ActorKind::SystemUser, id, origin, run, case.tree.root)
    }

    /// Origin of what nothing claims.
    fn begun(&mut self, case: &Case<'_>, login_uid: Option<u32>) -> String {
        match login_uid {
            Some(login_uid) => ["human:", &self.name(login_uid)].concat(),
            None if from_init(case.process, case.up) => "init".to_owned(),
            None => "unknown".to_owned(),
        }
    }

    fn of_job(&mut self, job: &Job) -> Ruled {
        let user = self.name(job.user);
        let run = RunKey::Tree { root: job.root.into(), user: job.user };
        match &job.of {
            JobOf::Cron { daemon, program } => {
                let id = format!("cron:{user}:{program}");
                Ruled::new(ActorKind::Cron, id, (*daemon).to_owned(), run, job.root)
            }
            JobOf::Ci { runner, project } => {
                let project = project.as_ref().map(|project| format!(":{project}")).unwrap_or_default();
                let id = format!("ci:{runner}:{user}{project}");
                Ruled::new(ActorKind::CiJob, id, format!("ci:{runner}"), run, job.root)
            }
        }
    }

    fn of_ai(&mut self, case: &Case<'_>, ai: &Ai) -> Ruled {
        let tool = ai.tool.as_ref().map(|tool| format!(":{tool}")).unwrap_or_default();
        let id = format!("ai:{}:{}{tool}", ai.agent, self.name(ai.user));
        let origin = match ai.by {
            Some(agent) => format!("ai:{agent}"),
            None => self.begun(case, case.identity.login_uid),
        };
        let run = RunKey::Tree { root: ai.root.into(), user: ai.user };
        Ruled::new(ActorKind::AiAgent, id, origin, run, ai.root)
    }

    fn contained(&mut self, case: &Case<'_>, container: &Container) -> Ruled {
        let Container { runtime, id, owner, .. } = container;
        let is_hex = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let short = id.get(..12).filter(|_| is_hex).unwrap_or(id);
        let pod = self.pod(container);
        let origin = match (case.identity.login_uid, &pod) {
            (Some(login_uid), _) => ["human:", &self.name(login_uid)].concat(),
            (None, Some(pod)) => pod::started_by(pod),
            (None, None) => ["container:", runtime].concat(),
        };
        let account = pod.as_ref().and_then(|pod| Some((&pod.namespace, pod.service_account.as_ref()?)));
        let (kind, id) = match account {
            Some((namespace, account)) => pod::as_account(namespace, account),
            None => {
                let owner = owner.map(|owner| format!("{}:", self.name(owner))).unwrap_or_default();
                (ActorKind::Container, ["container:", runtime, ":", &owner, short].concat())
            }
        };
        let ruled = Ruled {
            pod: pod::told(container, pod.as_deref()),
            spiffe_id: pod.as_ref().and_then(|pod| pod.spiffe_id.clone()),
            ..Ruled::new(kind, id, origin, RunKey::Container(run_name(container)), case.process.key)
        };
        self.or_entered(case, container, ruled)
    }

    /// What was said of a process in a container, or as it is for one that was brought in.
    fn or_entered(&mut self, case: &Case<'_>, container: &Container, ruled: Ruled) -> Ruled {
        let name = run_name(container);
        let inside = self.inside(case.process, container, &name, case.up);
        if inside.entered {
            let run = RunKey::Entered { container: name, root: inside.root.into() };
            return Ruled { origin: format!("exec:{}", container.runtime), run, root: inside.root, ..ruled };
        }
        let root = if matches!(ruled.run, RunKey::Container(_)) { inside.root } else { ruled.root };
        Ruled { root, ..ruled }
    }

    /// A unit claims its processes, but for a person's who came in by it.
    fn of_unit(&mut self, case: &Case<'_>) -> Option<(ActorKind, String, String)> {
        let Case { identity, place, up, .. } = case;
        if let Some((uid, unit)) = &place.user_unit {
            let claims = unit.ends_with(".service") || unit == "init.scope" || identity.login_uid.is_none();
            let user = self.name(*uid);
            let id = format!("user-unit:{user}:{unit}");
            return claims.then(|| (ActorKind::UserService, id, format!("user-manager:{user}")));
        }
        let unit = place.unit.as_ref().filter(|unit| unit.ends_with(".service"))?;
        let origin = match identity.login_uid {
            Some(_) if up.iter().any(|ancestor| is_login(&ancestor.program.exe.bytes)) => return None,
            Some(login_uid) => ["human:", &self.name(login_uid)].concat(),
            None => match (&place.container, self.host.unit_trigger(unit)) {
                // `timer:backup.timer`, `socket:web.socket`, `path:spool.path`
                (_, Some(trigger)) => {
                    let kind = trigger.rsplit('.').next().unwrap_or_default();
                    format!("{kind}:{trigger}")
                }
                (Some(container), None) => ["container:", container.runtime].concat(),
                (None, None) => "init".to_owned(),
            },
        };
        Some((ActorKind::SystemdService, ["systemd:", unit].concat(), origin))
    }

    fn in_session(&mut self, case: &Case<'_>, login_uid: u32) -> Ruled {
        let Case { process, identity, place, up, .. } = case;
        let session = identity.session.map(|session| session.to_string());
        let session = session.or_else(|| place.session.clone()).unwrap_or_else(|| UNKNOWN_PROGRAM.to_owned());
        let id = ["session:", &self.name(login_uid), ":", &session].concat();
        let states = &self.states;
        let root = topmost(process, up, |other| {
            let other = states.get(&other.key.into()).map(|state| state.kin.identity);
            other.is_some_and(|other| other.login_uid == Some(login_uid) && other.session == identity.session)
        });
        let run = RunKey::Session { login_uid, actor: id.clone() };
        Ruled::new(ActorKind::HumanSession, id, "login".to_owned(), run, root)
    }

    /// Whether a logged-in person acts through an account that is nobody's own.
    fn is_service_user(&mut self, identity: Identity, login_uid: u32) -> bool {
        let user = identity.user;
        user != login_uid
            && user != 0
            && (matches!(user, 1..=999 | 61_184..=65_519 | 65_534) || !self.host.may_log_in(user))
    }
}

/// The topmost of those that are in a process's cgroup, without a gap between.
pub(super) fn root_in_cgroup(process: &Process, up: &[Arc<Process>]) -> ProcessKey {
    topmost(process, up, |other| other.cgroup_id == process.cgroup_id && other.cgroup == process.cgroup)
}

/// The topmost of a process and its ancestors without a gap between that are all of one kind.
fn topmost(process: &Process, up: &[Arc<Process>], alike: impl Fn(&Process) -> bool) -> ProcessKey {
    let alike = up.iter().take_while(|ancestor| alike(ancestor));
    alike.last().map_or(process.key, |ancestor| ancestor.key)
}

/// The name of a container's run. Who names the cgroups stands in it: an id below a user's slice is that user's word.
pub(super) fn run_name(container: &Container) -> String {
    let owner = container.owner.map(|owner| format!("{owner}:")).unwrap_or_default();
    [container.runtime, ":", &owner, &container.id].concat()
}

/// Whether people come in by this program, or change who they are by it.
pub(super) fn is_login(exe: &[u8]) -> bool {
    const NAMES: [&[u8]; 12] = [
        b"sshd",
        b"sshd-session",
        b"dropbear",
        b"login",
        b"sudo",
        b"su",
        b"doas",
        b"pkexec",
        b"runuser",
        b"gdm-session-worker",
        b"sddm-helper",
        b"lightdm",
    ];
    NAMES.contains(&basename(exe))
}

/// Whether what is known of a process's line reaches the host's first process. Within a scope it does not, and where its
/// beginning was lost: then nobody knows who started it, and it is said.
fn from_init(process: &Process, up: &[Arc<Process>]) -> bool {
    let top = up.last().map_or(process, Arc::as_ref);
    top.key.tgid == INIT || top.parent.is_some_and(|parent| parent.tgid == INIT)
}
