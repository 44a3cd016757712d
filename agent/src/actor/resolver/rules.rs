//! The rules, the first that holds: container, job, unit, then by whether somebody logged in.

use std::sync::Arc;

use super::job::Job;
use super::{INIT, Identity, Resolver, RunKey, Standing, Tree, UNKNOWN_PROGRAM, pod};
use crate::actor::cgroup::{Container, Place};
use crate::actor::{Actor, ActorKind, Host};
use crate::event::ProcessKey;
use crate::lineage::Process;

impl<H: Host> Resolver<H> {
    pub(super) fn stand(
        &mut self,
        process: &Arc<Process>,
        identity: Identity,
        job: Option<&Arc<Job>>,
        tree: &Tree,
        up: &[Arc<Process>],
    ) -> Standing {
        let place = self.place(&process.cgroup.bytes);
        if let Some(container) = place.container.as_ref().filter(|container| !container.of_unit) {
            return self.contained(process, identity, container, up);
        }
        if let Some(job) = job {
            let id = format!("cron:{}:{}", self.name(job.user), job.program);
            let run = RunKey::Tree { root: job.root.into(), user: job.user };
            return self.standing_of(ActorKind::Cron, id, job.daemon.to_owned(), identity, run, job.root);
        }
        if let Some((kind, id, origin)) = self.of_unit(&place, identity, up) {
            let run = RunKey::Unit { actor: id.clone(), cgroup_id: identity.cgroup_id };
            let root = topmost(process, up, |other| {
                other.cgroup_id == process.cgroup_id && other.cgroup == process.cgroup
            });
            return self.standing_of(kind, id, origin, identity, run, root);
        }
        let origin = match identity.login_uid {
            Some(login_uid) if !self.is_service_user(identity, login_uid) => {
                return self.in_session(process, identity, login_uid, &place, up);
            }
            Some(login_uid) => format!("human:{}", self.name(login_uid)),
            None if from_init(process, up) => "init".to_owned(),
            None => "unknown".to_owned(),
        };
        let id = format!("user:{}:{}", self.name(identity.user), self.tree_program(process.key, tree));
        let run = RunKey::Tree { root: tree.root.into(), user: identity.user };
        self.standing_of(ActorKind::SystemUser, id, origin, identity, run, tree.root)
    }

    fn contained(
        &mut self,
        process: &Process,
        identity: Identity,
        container: &Container,
        up: &[Arc<Process>],
    ) -> Standing {
        let Container { runtime, id, .. } = container;
        let is_hex = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let short = id.get(..12).filter(|_| is_hex).unwrap_or(id);
        let pod = self.pod(container);
        let origin = match (identity.login_uid, &pod) {
            (Some(login_uid), _) => format!("human:{}", self.name(login_uid)),
            (None, Some(pod)) => {
                format!("kubernetes:{}/{}", pod.namespace, pod.owner.as_ref().unwrap_or(&pod.name))
            }
            (None, None) => format!("container:{runtime}"),
        };
        let mut inside = process.key;
        for ancestor in up {
            if self.place(&ancestor.cgroup.bytes).container.as_ref() != Some(container) {
                break;
            }
            inside = ancestor.key;
        }
        let run = RunKey::Container(format!("{runtime}:{id}"));
        let account = pod.as_ref().and_then(|pod| Some((&pod.namespace, pod.service_account.as_ref()?)));
        let (kind, id) = match account {
            Some((namespace, account)) => {
                (ActorKind::KubernetesServiceAccount, format!("kubernetes:{namespace}:{account}"))
            }
            None => (ActorKind::Container, format!("container:{runtime}:{short}")),
        };
        let user = self.name(identity.euid);
        let pod = pod::told(container, pod.as_deref());
        Standing {
            actor: self.share(Actor { id, kind, origin, user, pod }),
            run: Arc::new(run),
            root: inside,
        }
    }

    /// A unit claims its processes, but for a person's who came in by it.
    fn of_unit(
        &mut self,
        place: &Place,
        identity: Identity,
        up: &[Arc<Process>],
    ) -> Option<(ActorKind, String, String)> {
        if let Some((uid, unit)) = &place.user_unit {
            let claims = unit.ends_with(".service") || unit == "init.scope" || identity.login_uid.is_none();
            let user = self.name(*uid);
            let id = format!("user-unit:{user}:{unit}");
            return claims.then(|| (ActorKind::UserService, id, format!("user-manager:{user}")));
        }
        let unit = place.unit.as_ref().filter(|unit| unit.ends_with(".service"))?;
        let origin = match identity.login_uid {
            Some(_) if up.iter().any(|ancestor| is_login(&ancestor.exe.bytes)) => return None,
            Some(login_uid) => format!("human:{}", self.name(login_uid)),
            None => match (&place.container, self.host.unit_trigger(unit)) {
                (_, Some(timer)) => format!("timer:{timer}"),
                (Some(container), None) => format!("container:{}", container.runtime),
                (None, None) => "init".to_owned(),
            },
        };
        Some((ActorKind::SystemdService, format!("systemd:{unit}"), origin))
    }

    fn in_session(
        &mut self,
        process: &Process,
        identity: Identity,
        login_uid: u32,
        place: &Place,
        up: &[Arc<Process>],
    ) -> Standing {
        let session = identity.session.map(|session| session.to_string());
        let session = session.or_else(|| place.session.clone()).unwrap_or_else(|| UNKNOWN_PROGRAM.to_owned());
        let id = format!("session:{}:{session}", self.name(login_uid));
        let states = &self.states;
        let root = topmost(process, up, |other| {
            let other = states.get(&other.key.into()).map(|state| state.identity);
            other.is_some_and(|other| other.login_uid == Some(login_uid) && other.session == identity.session)
        });
        let run = RunKey::Session { login_uid, actor: id.clone() };
        self.standing_of(ActorKind::HumanSession, id, "login".to_owned(), identity, run, root)
    }

    /// Whether a logged-in person acts through an account that is nobody's own.
    fn is_service_user(&mut self, identity: Identity, login_uid: u32) -> bool {
        let user = identity.user;
        user != login_uid
            && user != 0
            && (matches!(user, 1..=999 | 61_184..=65_519 | 65_534) || !self.host.may_log_in(user))
    }
}

/// The topmost of a process and its ancestors without a gap between that are all of one kind.
fn topmost(process: &Process, up: &[Arc<Process>], alike: impl Fn(&Process) -> bool) -> ProcessKey {
    let alike = up.iter().take_while(|ancestor| alike(ancestor));
    alike.last().map_or(process.key, |ancestor| ancestor.key)
}

/// Whether people come in by this program, or change who they are by it.
fn is_login(exe: &[u8]) -> bool {
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
    exe.rsplit(|byte| *byte == b'/').next().is_some_and(|name| NAMES.contains(&name))
}

/// Whether what is known of a process's line reaches the host's first process. Within a scope it does not, and where its
/// beginning was lost: then nobody knows who started it, and it is said.
fn from_init(process: &Process, up: &[Arc<Process>]) -> bool {
    let top = up.last().map_or(process, Arc::as_ref);
    top.key.tgid == INIT || top.parent.is_some_and(|parent| parent.tgid == INIT)
}
