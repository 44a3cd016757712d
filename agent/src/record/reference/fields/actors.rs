//! Fields that tell who acts.

use super::{CHAINED, Field, IDENTIFIED, field};

/// Of whatever has an actor.
pub(super) const ACTORS: &[Field] = &[
    field("actor", "object", IDENTIFIED, "Who acts."),
    field("actor.id", "text", IDENTIFIED, "Stable name over restarts, e.g. `systemd:backup.service`."),
    field(
        "actor.kind",
        "`systemd-service`, `user-service`, `cron`, `ci-job`, `ai-agent`, `kubernetes-service-account`, `container`, `system-user`, `human-session`",
        IDENTIFIED,
        "What the actor is.",
    ),
    field(
        "actor.origin",
        "text",
        IDENTIFIED,
        "How the process came to be that actor, e.g. `timer:backup.timer`.",
    ),
    field(
        "actor.user",
        "text",
        IDENTIFIED,
        "Name of the effective user, or its number where it has no name.",
    ),
    field(
        "actor.user_source",
        "`host`, `subuid:<user>`",
        IDENTIFIED,
        "What that name is: in a container the host's, while the container may have another for the number; of a number without a name, whose it is to use in user namespaces.",
    ),
    field(
        "actor.human",
        "object",
        CHAINED,
        "The person behind: whose login the process has, which `sudo` and `su` do not change; or by whose client a daemon was asked for what it brought into a container. Absent where nobody logged in, or a daemon did for a job.",
    ),
    field("actor.human.user", "text", CHAINED, "Who logged in."),
    field("actor.human.session", "text", CHAINED, "In which session: the audit session, else systemd's."),
    field(
        "actor.human.from",
        "address or name",
        CHAINED,
        "Where from: the connection that sshd accepted, else what systemd was told. Absent where that is not known.",
    ),
    field(
        "actor.human.basis",
        "`login`, `client`",
        CHAINED,
        "What the person is known by: the login that the process itself has, or a client in the person's session that asked for just this and waits. The latter is no proof (docs/CONCEPTS.md).",
    ),
    field("actor.human.client", "UUID", CHAINED, "That client: the `process.id` of its own records."),
    field(
        "actor.human_unknown",
        "`several-fit`, `arguments-unread`, `not-connected`, `also-without-client`, `events-lost`",
        CHAINED,
        "Brought into a container by a daemon, and nobody is named although a person's client fits: more than one client or execution does; its arguments were cut or are not understood; it was not seen to reach a daemon; the same was brought in within the last five minutes without a client; another client may have gone unseen.",
    ),
    field(
        "actor.spiffe_id",
        "text",
        IDENTIFIED,
        "SPIFFE ID of the pod's service account, where the config names the trust domain. Derived from names, not read from a document.",
    ),
    field(
        "actor.pod",
        "object",
        IDENTIFIED,
        "In a pod of Kubernetes: which. With `uid` alone, nobody could tell more of it by then.",
    ),
    field("actor.pod.uid", "text", IDENTIFIED, "Its uid; of a static pod the hash of its manifest."),
    field("actor.pod.namespace", "text", IDENTIFIED, "Its namespace."),
    field("actor.pod.name", "text", IDENTIFIED, "Its name."),
    field("actor.pod.workload", "text", IDENTIFIED, "What made it, e.g. `Deployment/web`."),
    field("actor.pod.node", "text", IDENTIFIED, "The node it runs on."),
    field("actor.pod.container", "text", IDENTIFIED, "Name of the container in it."),
];
