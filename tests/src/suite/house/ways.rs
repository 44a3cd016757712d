//! The ways to become an actor, each beside what it is easily taken for.

/// One way to become an actor.
pub(super) struct Way {
    /// Of the test, and of the files it reads.
    pub(super) name: &'static str,
    /// What an administrator types.
    pub(super) start: &'static [&'static str],
    /// Where the credential is opened, if not in [`super::SECRETS`].
    pub(super) path: Option<&'static str>,
    pub(super) id: Id,
    pub(super) kind: &'static str,
    pub(super) origin: &'static str,
    pub(super) user: &'static str,
}

/// What is expected of `actor.id`.
pub(super) enum Id {
    Is(&'static str),
    /// What follows is a number that the host chose.
    Begins(&'static str),
}

pub(super) const WAYS: &[Way] = &[
    Way {
        name: "plain",
        start: &["systemctl start plain.service"],
        path: None,
        id: Id::Is("systemd:plain.service"),
        kind: "systemd-service",
        origin: "init",
        user: "root",
    },
    Way {
        name: "timed",
        start: &["systemctl start timed.timer"],
        path: None,
        id: Id::Is("systemd:timed.service"),
        kind: "systemd-service",
        origin: "timer:timed.timer",
        user: "backup",
    },
    Way {
        name: "template",
        start: &["systemctl start work@a.service"],
        path: None,
        id: Id::Is("systemd:work@a.service"),
        kind: "systemd-service",
        origin: "init",
        user: "root",
    },
    Way {
        name: "dynamic",
        start: &["systemctl start dynamic.service"],
        path: None,
        id: Id::Is("systemd:dynamic.service"),
        kind: "systemd-service",
        origin: "init",
        user: "dynamic",
    },
    // Its twin: the same program, under a user that is there before and after.
    Way {
        name: "fixed",
        start: &["systemctl start fixed.service"],
        path: None,
        id: Id::Is("systemd:fixed.service"),
        kind: "systemd-service",
        origin: "init",
        user: "svc",
    },
    Way {
        name: "loaded",
        start: &["systemctl start loaded.service"],
        path: Some("/run/credentials/loaded.service/token"),
        id: Id::Is("systemd:loaded.service"),
        kind: "systemd-service",
        origin: "init",
        user: "backup",
    },
    // Its twin: the same unit that opens the file itself.
    Way {
        name: "unloaded",
        start: &["systemctl start unloaded.service"],
        path: None,
        id: Id::Is("systemd:unloaded.service"),
        kind: "systemd-service",
        origin: "init",
        user: "backup",
    },
    Way {
        name: "listening",
        start: &["bash -c 'exec 3<>/dev/tcp/127.0.0.1/7007'"],
        path: None,
        id: Id::Is("systemd:listening.service"),
        kind: "systemd-service",
        origin: "socket:listening.socket",
        user: "backup",
    },
    Way {
        name: "legacy",
        start: &["systemctl start legacy.service"],
        path: None,
        id: Id::Is("systemd:legacy.service"),
        kind: "systemd-service",
        origin: "init",
        user: "root",
    },
    Way {
        name: "of-a-user",
        start: &["systemctl start user@1000.service"],
        path: None,
        id: Id::Is("user-unit:alice:of-a-user.service"),
        kind: "user-service",
        origin: "user-manager:alice",
        user: "alice",
    },
    Way {
        name: "nightly",
        start: &["systemctl start cron.service"],
        path: None,
        id: Id::Is("cron:backup:/srv/bin/nightly"),
        kind: "cron",
        origin: "cron",
        user: "backup",
    },
    // Its twin: the job's program, by a person's hand.
    Way {
        name: "by-hand",
        start: &[
            "/srv/bin/ssh-login sudo -u backup /srv/bin/nightly read /srv/public/by-hand read /srv/secret/by-hand",
        ],
        path: None,
        id: Id::Is("user:backup:/srv/bin/nightly"),
        kind: "system-user",
        origin: "human:alice",
        user: "backup",
    },
    Way {
        name: "once",
        start: &[
            "systemctl start atd.service",
            "echo /srv/bin/once read /srv/public/once read /srv/secret/once | at now",
        ],
        path: None,
        // The shell reads the job from its standard input: its text is nowhere to be seen.
        id: Id::Is("cron:root:/usr/bin/dash"),
        kind: "cron",
        origin: "at",
        user: "root",
    },
    Way {
        name: "login",
        start: &["/srv/bin/ssh-login /srv/bin/tool read /srv/public/login read /srv/secret/login"],
        path: None,
        id: Id::Begins("session:alice:"),
        kind: "human-session",
        origin: "login",
        user: "alice",
    },
    Way {
        name: "as-root",
        start: &["/srv/bin/ssh-login sudo /srv/bin/tool read /srv/public/as-root read /srv/secret/as-root"],
        path: None,
        id: Id::Begins("session:alice:"),
        kind: "human-session",
        origin: "login",
        user: "root",
    },
    Way {
        name: "as-service",
        start: &[
            "/srv/bin/ssh-login sudo -u svc /srv/bin/as-service read /srv/public/as-service read /srv/secret/as-service",
        ],
        path: None,
        id: Id::Is("user:svc:/srv/bin/as-service"),
        kind: "system-user",
        origin: "human:alice",
        user: "svc",
    },
    Way {
        name: "su",
        start: &[
            "/srv/bin/ssh-login sudo su -s /bin/sh -c \"'exec /srv/bin/as-su read /srv/public/su read /srv/secret/su'\" svc",
        ],
        path: None,
        id: Id::Is("user:svc:/srv/bin/as-su"),
        kind: "system-user",
        origin: "human:alice",
        user: "svc",
    },
    Way {
        name: "ai-agent",
        start: &["/srv/bin/ssh-login /srv/bin/codex read /srv/public/ai-agent read /srv/secret/ai-agent"],
        path: None,
        id: Id::Is("ai:codex:alice"),
        kind: "ai-agent",
        origin: "human:alice",
        user: "alice",
    },
    // What it starts is a unit of its own.
    Way {
        name: "ai-tool",
        start: &[
            "/srv/bin/ssh-login /srv/bin/codex read /srv/secret/ai-maker spawn /srv/bin/tool [ read /srv/public/ai-tool read /srv/secret/ai-tool ]",
        ],
        path: None,
        id: Id::Is("ai:codex:alice:/srv/bin/tool"),
        kind: "ai-agent",
        origin: "ai:codex",
        user: "alice",
    },
    // A twin: a name in a session makes no runner, one in the runner's unit does.
    Way {
        name: "no-runner",
        start: &[
            "/srv/bin/ssh-login /srv/bin/Runner.Worker read /srv/public/no-runner read /srv/secret/no-runner",
        ],
        path: None,
        id: Id::Begins("session:alice:"),
        kind: "human-session",
        origin: "login",
        user: "alice",
    },
    Way {
        name: "runner",
        start: &["systemctl start actions.runner.acme-shop.node7.service"],
        path: None,
        id: Id::Is("ci:github:backup:acme-shop"),
        kind: "ci-job",
        origin: "ci:github",
        user: "backup",
    },
];
