//! Who acts: process to actor and origin.
//!
//! # `Actor::id`
//!
//! ```text
//! systemd:<unit>                  a `.service` of the system's systemd
//! user-unit:<user>:<unit>         a unit of that user's systemd
//! cron:<user>:<program>           a job of cron, anacron or at: whose it is, and its first program
//! kubernetes:<namespace>:<account>
//!                                 a service account of Kubernetes: that of the pod, once it is known
//! container:<runtime>:<id>        a container: the first twelve digits of its id, or its name
//! user:<user>:<program>           whatever else has no login: user, and program of the run's root
//! session:<user>:<session>        a person: who logged in, and the audit session (else systemd's)
//! ```
//!
//! `<user>` is the name on the host, or the number where there is none. `<program>` is a path, of a script that of the
//! script where it was named by its whole path; of a cron job's
//! `sh -c 'command'` the command's first word that says something; `?` where it could not be learnt.
//!
//! # `Actor::origin`
//!
//! ```text
//! init                            by the service manager, or with no login that is known
//! timer:<timer>                   by the service manager, on a timer
//! cron, anacron, at               by that daemon
//! container:<runtime>             by a container runtime
//! kubernetes:<namespace>/<what>   by Kubernetes: `<what>` made the pod, as `Deployment/web`, else the pod's name
//! user-manager:<user>             by that user's systemd
//! login                           the person logged in
//! human:<user>                    by that person: sudo, su, a container of theirs
//! unknown                         with no login, and by whom is not known: its line does not reach init (a scope
//!                                 ends it, or its beginning was lost)
//! ```

mod cgroup;
mod host;
mod pods;
mod resolver;

use std::fmt;
use std::sync::Arc;

#[cfg(test)]
pub(crate) use host::Fake;
pub use host::{Files, Host};
pub use pods::{PodIdentity, Pods};
pub use resolver::{Resolver, RunKey, Standing};

/// A non-human identity or a human session. `id` is stable over restarts; its grammar is in docs/RECORDS.md.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    /// `systemd:backup.service`, `user:backup:/usr/bin/job`, `session:alice:3`, `container:docker:0123456789ab`, …
    pub id: String,
    /// What it is.
    pub kind: ActorKind,
    /// How the process came to be it: `init`, `timer:backup.timer`, `container:docker`, `human:alice`, …
    pub origin: String,
    /// Name of the effective user on the host, or its number where the host has no name for it.
    pub user: String,
    /// The pod it acts in.
    pub pod: Option<Arc<Pod>>,
}

/// The pod a process is in, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pod {
    /// Its uid, of a static pod the hash of its manifest: the cgroup tells it. The rest is learnt, by and by.
    pub uid: String,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// What made it, `Deployment/web`.
    pub workload: Option<String>,
    /// The node it runs on.
    pub node: Option<String>,
    /// Name of the container in it.
    pub container: Option<String>,
}

/// What an actor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActorKind {
    /// A unit of the system's systemd.
    SystemdService,
    /// A unit of a user's systemd.
    UserService,
    /// A job of cron, anacron or at.
    Cron,
    /// A service account of Kubernetes, as which a pod acts.
    KubernetesServiceAccount,
    /// A container.
    Container,
    /// A system user's process that no unit, job or container claims.
    SystemUser,
    /// A person's login session.
    HumanSession,
}

impl ActorKind {
    /// Every kind.
    pub const ALL: [ActorKind; 7] = [
        ActorKind::SystemdService,
        ActorKind::UserService,
        ActorKind::Cron,
        ActorKind::KubernetesServiceAccount,
        ActorKind::Container,
        ActorKind::SystemUser,
        ActorKind::HumanSession,
    ];

    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ActorKind::SystemdService => "systemd-service",
            ActorKind::UserService => "user-service",
            ActorKind::Cron => "cron",
            ActorKind::KubernetesServiceAccount => "kubernetes-service-account",
            ActorKind::Container => "container",
            ActorKind::SystemUser => "system-user",
            ActorKind::HumanSession => "human-session",
        }
    }

    /// Not a person.
    #[must_use]
    pub const fn is_service(self) -> bool {
        !matches!(self, ActorKind::HumanSession)
    }
}

impl fmt::Display for ActorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
