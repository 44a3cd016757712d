//! Who acts: process to actor and origin.

use std::fmt;

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
    /// A container.
    Container,
    /// A system user's process that no unit, job or container claims.
    SystemUser,
    /// A person's login session.
    HumanSession,
}

impl ActorKind {
    /// Every kind.
    pub const ALL: [ActorKind; 6] = [
        ActorKind::SystemdService,
        ActorKind::UserService,
        ActorKind::Cron,
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
