//! The table of every field of every record.

mod actors;
mod credentials;
mod deeds;
mod evidence;
mod findings;
mod inventory;
mod kinds;
mod purposes;
mod summaries;

use self::kinds::{ACCEPT, CLOSED, COMPLETED, CONNECT, COUNTED, CREDENTIALED, EXEC_FAILED, OPENED, SEND};
pub(super) use self::kinds::{ACTIONS, ALL, CHAINED, COVERAGE, FOUND, IDENTIFIED, LINED, LISTED};

/// A field of a record.
pub(in crate::record) struct Field {
    /// Names with dots between; `[]` an element of a list, `*` any name.
    pub(in crate::record) path: &'static str,
    /// Type, unit, form.
    pub(in crate::record) shape: &'static str,
    /// Records that may have it: names of types, of actions behind `action/`, of states behind `chain/`.
    pub(in crate::record) records: &'static [&'static str],
    /// What it means.
    pub(in crate::record) meaning: &'static str,
}

/// Objects that occur at several places, described once: place, and where its fields are described.
#[cfg(test)]
pub(in crate::record) const SAME: &[(&str, &str)] = &[
    ("root", "process"),
    ("lineage[]", "process"),
    ("target", "process"),
    ("to", "from"),
    ("summary.credentials[]", "credential[]"),
    ("summary.written[]", "credential[]"),
    ("people[]", "actors[]"),
    ("credentials[]", "actors[]"),
];

const fn field(
    path: &'static str,
    shape: &'static str,
    records: &'static [&'static str],
    meaning: &'static str,
) -> Field {
    Field { path, shape, records, meaning }
}

/// Every field there is.
pub(in crate::record) fn fields() -> impl Iterator<Item = &'static Field> {
    let records = COMMON
        .iter()
        .chain(actors::ACTORS)
        .chain(OTHERS)
        .chain(summaries::SUMMARIES)
        .chain(credentials::CREDENTIALS)
        .chain(deeds::DEEDS);
    records
        .chain(purposes::PURPOSES)
        .chain(inventory::INVENTORIES)
        .chain(findings::FINDINGS)
        .chain(evidence::EVIDENCE)
}

/// Fields that most records have, and those of records that are no actions.
const COMMON: &[Field] = &[
    field(
        "v",
        "number",
        ALL,
        "Version of the records' shape, 1. Fields may be added under it; pass over what you do not know.",
    ),
    field(
        "seq",
        "number",
        ALL,
        "Number of the record, growing over the life of the store on this host. A sink may get a record twice after a crash: `host.id` and `seq` name it.",
    ),
    field(
        "time",
        "RFC 3339, UTC, 9 digits",
        ALL,
        "When it happened by the kernel's clock; distances between records of one boot are exact.",
    ),
    field(
        "type",
        "`action`, `chain`, `finding`, `inventory`, `gap`, `coverage`, `heartbeat`, `head`",
        ALL,
        "What the record tells of. There will be more types.",
    ),
    field(
        "action",
        "`secret.open`, `secret.write`, `secret.receive`, `secret.read`, `memory.access`, `exec`, `exec.failed`, `exit`, `cred.change`, `connect`, `send`, `accept`",
        ACTIONS,
        "What was done. `secret.write`: opened to be written, and not to be read; what was written is not known before somebody reads it. Or a file was renamed to the path (`file.access` `rename`), and what lies there is told.",
    ),
    field(
        "status",
        "`opened`, `completed`, `closed`",
        &[OPENED, COMPLETED, CLOSED],
        "Whether the chain begins or ends, or more is known of its actor: that holds for the whole chain, also for what \
         was told of it before, and comes up to 30 s after its last action or its end.",
    ),
    field(
        "outcome",
        "`established`, `associated`, `refused`, `timed-out`, `unreachable`, `error`, `abandoned`, `pending`; `sent`",
        &[CONNECT, SEND],
        "What became of the connection. `associated`: a datagram socket has a destination now, and nobody was asked. After `pending`, one more record `completes` this one once the outcome is known. Of a `send`: `sent` where the kernel took it, else why not; absent where the attach point does not tell.",
    ),
    field(
        "errno",
        "number",
        &[CONNECT, SEND, EXEC_FAILED],
        "The kernel's error number, where `outcome` is `error`; of `exec.failed`, why.",
    ),
    field(
        "took_ms",
        "milliseconds, 3 decimals",
        &[CONNECT],
        "From the call to the outcome. Absent while pending.",
    ),
    field(
        "completes",
        "seq",
        &[CONNECT],
        "The earlier record of the same connection, which was `pending`, or to which the client's TLS hello adds a name. Count connections without those that complete another.",
    ),
    field("host", "object", ALL, "The host."),
    field("host.id", "text", ALL, "Stable id of the host."),
    field("host.name", "text", ALL, "Its name."),
    field("host.boot_id", "UUID", ALL, "This boot."),
    field(
        "chain",
        "ULID",
        LINED,
        "The chain the record belongs to; of a finding, the latest that shows it. One run of an actor's job, or one episode of a long run.",
    ),
    field("run", "ULID", LINED, "The run. Chains of one run are episodes of it."),
    field(
        "count",
        "number",
        COUNTED,
        "Of a finding: how often it was noticed since `first`. Of an action: how many of the same process the record tells of, from `since` to `time`, which nothing tells apart but the time, the thread and the client's port; `time`, `took_ms`, `source.port` and `link.delay_ms` are the last one's. Absent: one.",
    ),
    field("run_since", "time", &[OPENED], "When the run is known to have begun."),
    field(
        "since",
        "time",
        &[CONNECT, SEND, ACCEPT, CLOSED, "gap"],
        "Of a chain: when it was opened. Of a gap: from when on something may be missing. Of actions that are told together (`count`): when the first of them was.",
    ),
    field("after", "ULID", &[OPENED], "The earlier chain of the same run."),
];

/// The rest of them, behind who acts.
const OTHERS: &[Field] = &[
    field(
        "process",
        "process",
        ACTIONS,
        "Who did it, as it was at that moment. Of an `exec`, the program that was started.",
    ),
    field(
        "process.id",
        "UUID",
        CHAINED,
        "OCSF common process id. The same on every agent that computes it; a pid is not. It counts starts in ticks of 10 ms: two that had one number within a tick are told apart by `start_ns`.",
    ),
    field("process.pid", "number", CHAINED, "Thread group in the initial pid namespace."),
    field(
        "process.ns_pid",
        "number",
        CHAINED,
        "Thread group in the process's own pid namespace, where it differs.",
    ),
    field(
        "process.start_ns",
        "ns since boot",
        CHAINED,
        "When the process was made. Exact to 10 ms where it is older than the agent.",
    ),
    field(
        "process.exe",
        "text",
        CHAINED,
        "Path of the program, from the host's root. Absent where unknown; starts with `…` where its beginning is.",
    ),
    field("process.argv", "list of text", CHAINED, "Arguments, secrets in them redacted."),
    field("process.argv[]", "text", CHAINED, "One argument."),
    field("process.argv_truncated", "true", CHAINED, "There were more arguments, or the last is cut."),
    field(
        "process.exe_nameless",
        "true",
        CHAINED,
        "The program's file had no name when it was started: deleted, or made in memory.",
    ),
    field("process.script", "text", CHAINED, "The script that the program interprets, as it was named."),
    field("process.comm", "text", CHAINED, "Short name, chosen by whoever runs there. Decides nothing."),
    field("process.uid", "number", ACTIONS, "Real user at that moment."),
    field("process.euid", "number", ACTIONS, "Effective user at that moment."),
    field(
        "process.auid",
        "number or null",
        ACTIONS,
        "Who logged in; null where nobody did. The one field that is null rather than absent.",
    ),
    field("process.session", "number", ACTIONS, "Audit session, where there is one."),
    field("process.cgroup", "text", CHAINED, "Cgroup path, from the root of its hierarchy."),
    field(
        "process.parent",
        "object",
        CHAINED,
        "Its parent: at that moment where an action tells of it, else when it was made.",
    ),
    field(
        "process.parent.id",
        "UUID",
        CHAINED,
        "Common process id of the parent, where an earlier record told of it.",
    ),
    field("process.parent.pid", "number", CHAINED, "Thread group of the parent."),
    field("process.parent.start_ns", "ns since boot", CHAINED, "When the parent was made."),
    field(
        "root",
        "process",
        &[OPENED, COMPLETED, CLOSED],
        "The run's first process. Without the fields that are known of an act only: `uid`, `euid`, `auid`, `session`.",
    ),
    field(
        "lineage",
        "list of processes",
        &[OPENED],
        "What led to the run: from the root's parent up to init, nearest first. Fields as of `root`.",
    ),
    field("lineage[]", "process", &[OPENED], "One forebear."),
    field(
        "credential",
        "list of objects",
        CREDENTIALED,
        "Of the inventory: the one it tells of. Of the deeds with a file or a key: what that holds. Of an `exec`: what its environment holds. Of `memory.access`: what the target held. Else: what the process had opened, inherited, received or held. Never a value.",
    ),
    field("credential[]", "object", IDENTIFIED, "One credential."),
    field(
        "credential[].id",
        "text",
        IDENTIFIED,
        "Stable: kind and first identifier that says more than its form, else kind and path. Of a key: kind, type, description. Of a variable: kind, `env`, its name.",
    ),
    field(
        "credential[].kind",
        "text",
        IDENTIFIED,
        "What it is, e.g. `aws-access-key`; `declared` where the config names the path.",
    ),
    field("credential[].path", "text", IDENTIFIED, "Where it lies; empty of what is no file."),
    field("credential[].identifiers", "object", IDENTIFIED, "Identifiers that are no secrets, by name."),
    field(
        "credential[].identifiers.*",
        "text",
        IDENTIFIED,
        "E.g. `key_id`, `host`, `user`; a name that comes again is numbered: `key_id_2`.",
    ),
    field(
        "credential[].fingerprints",
        "list",
        IDENTIFIED,
        "Keyed fingerprints (BLAKE3) of the secrets in it: who has the same secret elsewhere shows the same, where the key is the same. At most 16.",
    ),
    field("credential[].fingerprints[]", "`cfp1:` and 32 hexadecimal digits", IDENTIFIED, "One secret."),
    field(
        "credential[].version",
        "`cv1:` and 16 hexadecimal digits",
        IDENTIFIED,
        "Which secret it held then: another one after a rotation.",
    ),
    field(
        "credential[].written",
        "time",
        IDENTIFIED,
        "When its file was written last, by the file's own word.",
    ),
    field("seen_by", "text", ACTIONS, "Program type and attach point of the probe that saw it."),
    field("gaps", "list", &[OPENED], "What is not known from the start on."),
    field("gaps[]", "kind of gap", &[OPENED], "As `kind` of a gap."),
    field(
        "reason",
        "`run-ended`, `quiet`, `full`, `evicted`, `agent-stopped`; a sentence",
        &[CLOSED, kinds::FINDING],
        "Why the chain ends: its last process ended; nothing happened for long; it had as many records as a chain may have and was open for an hour; too many were open; the agent stopped. Of a finding, what was found, in one sentence.",
    ),
    field(
        "kind",
        "`lost`, `repeated`, `older-than-agent`, `unknown-parent`, `truncated`, `state-full`, `agent-stopped`, `dropped`, `damaged`, `probe-silent`, `missed`, `fork-not-covered`, `exec-not-covered`, `exit-not-covered`, `open-not-covered`, `connect-not-covered`, `outcome-not-covered`; `outside-purpose`, `new-actor`, `shared-secret`, `human-use`, `untrusted-program`, `fan-out`, `expired-credential`, `secret-in-arguments`, `retired-version`, `memory-theft`",
        &["gap", kinds::FINDING],
        "Of a finding, what deviates: docs/FINDINGS.md has the rule of each. Of a gap, why something may be missing: a full ring refused samples; it refused what would have been told again, so that only how often is missing; the process is older than the agent; its making was not seen; a path or arguments were cut; bounded state was full; the agent stopped while the chain was open; records were given up for their age or size; records were lost with a damaged file of the store; a probe that was proven does not fire any more; nothing showed, while the chain was open, that processes were made, took programs, ended, opened credentials, asked for connections, or what became of these.",
    ),
    field("counts", "object", &["gap"], "How many of each kind of event, where that is known."),
    field(
        "counts.*",
        "number",
        &["gap"],
        "By kind of sample: `fork`, `exec`, `exit`, `secret.open`, `connect`, `connect.end`, …",
    ),
    field("cpus", "object", &["gap"], "How many on each CPU, where that is known."),
    field("cpus.*", "number", &["gap"], "By number of the CPU."),
    field("chains", "list of ULID", &["gap"], "The chains that were open then."),
    field("chains[]", "ULID", &["gap"], "One chain."),
    field("agent_version", "text", COVERAGE, "Version of the agent."),
    field("kernel", "text", COVERAGE, "Release of the kernel."),
    field("scope", "list of text", COVERAGE, "What is watched. Empty: the whole host."),
    field("scope[]", "text", COVERAGE, "One cgroup, unit or user."),
    field("signals", "list of objects", COVERAGE, "How each signal is seen here."),
    field("signals[]", "object", COVERAGE, "One signal."),
    field(
        "signals[].signal",
        "`fork`, `exec`, `exit`, `exec.failed`, `cred.change`, `memory.access`, `secret.open`, `secret.receive`, `secret.read`, `connect.unix`, `connect`, `connect.outcome`, `send`, `accept`, `names`",
        COVERAGE,
        "Which.",
    ),
    field(
        "signals[].tier",
        "`lsm`, `fentry`, `kprobe`, `tracepoint`, `cgroup`",
        COVERAGE,
        "How it is seen. Absent: it is not.",
    ),
    field("signals[].attach", "list of text", COVERAGE, "The attach points in use."),
    field("signals[].attach[]", "text", COVERAGE, "One, as in `seen_by`."),
    field("signals[].proven", "boolean", COVERAGE, "At start the agent did the act itself and saw it."),
    field("signals[].blind", "list of text", COVERAGE, "What this tier cannot see."),
    field("signals[].blind[]", "text", COVERAGE, "One such thing."),
    field("signals[].refused", "list of objects", COVERAGE, "Tiers that were tried before."),
    field("signals[].refused[]", "object", COVERAGE, "One such tier."),
    field("signals[].refused[].tier", "as `tier`", COVERAGE, "Which."),
    field("signals[].refused[].why", "text", COVERAGE, "Why it could not be used."),
    field(
        "state",
        "`running`, `stopped`",
        &["heartbeat"],
        "`stopped` is the last record of an orderly end. Without it, the agent was killed or the host went down.",
    ),
    field("counters", "object", &["heartbeat"], "The agent's counters since its start."),
    field(
        "counters.*",
        "number",
        &["heartbeat"],
        "One counter; what went in and came out of each stage, and what did not.",
    ),
];
