//! Who acts: process to actor and origin.
//!
#![doc = include_str!("grammar.md")]

mod cgroup;
mod host;
mod pods;
mod resolver;

use std::fmt;
use std::sync::Arc;

/// What ids and origins are made of, as docs/RECORDS.md has it.
pub(crate) const GRAMMAR: &str = include_str!("grammar.md");

#[cfg(test)]
pub(crate) use cgroup::layouts;
#[cfg(test)]
pub(crate) use host::Fake;
pub use host::{Files, Host, Login};
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
    /// What to think of that name: `host` in a container, which may have another name for the number; `subuid:alice` of a
    /// number that is alice's to use in user namespaces.
    pub user_source: Option<String>,
    /// Whose login it has, or who asked a daemon for it.
    pub human: Option<Arc<Human>>,
    /// Why no person is named, where one may be behind what a daemon brought in.
    pub human_unknown: Option<HumanUnknown>,
    /// The pod it acts in.
    pub pod: Option<Arc<Pod>>,
    /// Its SPIFFE ID, where the config gives the trust domain of this cluster.
    pub spiffe_id: Option<String>,
}

/// The person behind. A login survives `sudo`, `su` and the terminal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Human {
    /// Who logged in.
    pub user: String,
    /// In which session: the audit session, else systemd's.
    pub session: Option<String>,
    /// From where, an address or a name, where that is known.
    pub from: Option<String>,
    /// What that is known by.
    pub basis: HumanBasis,
    /// [`Process::cpid`](crate::lineage::Process::cpid) of the client, where it is known by one.
    pub client: Option<String>,
}

/// What a person is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HumanBasis {
    /// The login that the process itself has.
    Login,
    /// A client in that person's session, which asked a daemon for this very execution and waits: what a daemon makes has
    /// nobody's login.
    Client,
}

impl HumanBasis {
    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            HumanBasis::Login => "login",
            HumanBasis::Client => "client",
        }
    }
}

/// Why nobody is named behind what a daemon brought into a container, although a person's client fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HumanUnknown {
    /// More than one client, or more than one execution.
    SeveralFit,
    /// The client's arguments were cut, or are not understood as a whole.
    ArgumentsUnread,
    /// The client was not seen to reach a daemon.
    NotConnected,
    /// The same was brought into the container lately without any client.
    AlsoWithoutClient,
    /// Another client may have gone unseen.
    EventsLost,
}

impl HumanUnknown {
    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            HumanUnknown::SeveralFit => "several-fit",
            HumanUnknown::ArgumentsUnread => "arguments-unread",
            HumanUnknown::NotConnected => "not-connected",
            HumanUnknown::AlsoWithoutClient => "also-without-client",
            HumanUnknown::EventsLost => "events-lost",
        }
    }
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
    /// A job of a CI runner.
    CiJob,
    /// An AI agent, or what it started.
    AiAgent,
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
    pub const ALL: [ActorKind; 9] = [
        ActorKind::SystemdService,
        ActorKind::UserService,
        ActorKind::Cron,
        ActorKind::CiJob,
        ActorKind::AiAgent,
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
            ActorKind::CiJob => "ci-job",
            ActorKind::AiAgent => "ai-agent",
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
