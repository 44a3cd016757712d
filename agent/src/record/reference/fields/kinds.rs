//! The kinds of records, and groups of them that share fields.

pub(super) const OPEN: &str = "action/secret.open";
pub(super) const WRITE: &str = "action/secret.write";
pub(super) const RECEIVE: &str = "action/secret.receive";
pub(super) const READ: &str = "action/secret.read";
pub(super) const MEMORY: &str = "action/memory.access";
pub(super) const EXEC: &str = "action/exec";
pub(super) const EXEC_FAILED: &str = "action/exec.failed";
pub(super) const EXIT: &str = "action/exit";
pub(super) const CHANGE: &str = "action/cred.change";
pub(super) const CONNECT: &str = "action/connect";
pub(super) const SEND: &str = "action/send";
pub(super) const ACCEPT: &str = "action/accept";
pub(super) const OPENED: &str = "chain/opened";
pub(super) const COMPLETED: &str = "chain/completed";
pub(super) const CLOSED: &str = "chain/closed";
pub(super) const INVENTORY: &str = "inventory";
pub(super) const FINDING: &str = "finding";

/// Actions, then what is told of chains, then what belongs to none: the groups below are heads of this list.
pub(in crate::record::reference) const ALL: &[&str] = &[
    OPEN,
    WRITE,
    RECEIVE,
    READ,
    MEMORY,
    EXEC,
    EXEC_FAILED,
    EXIT,
    CHANGE,
    CONNECT,
    SEND,
    ACCEPT,
    OPENED,
    COMPLETED,
    CLOSED,
    FINDING,
    INVENTORY,
    "gap",
    "coverage",
    "heartbeat",
    "head",
];
/// What has an actor or credentials.
pub(in crate::record::reference) const IDENTIFIED: &[&str] = ALL.split_at(17).0;
/// What belongs to a chain.
pub(in crate::record::reference) const LINED: &[&str] = ALL.split_at(16).0;
pub(in crate::record::reference) const CHAINED: &[&str] = ALL.split_at(15).0;
pub(in crate::record::reference) const ACTIONS: &[&str] = ALL.split_at(12).0;
/// What is judged: every action but the end of a process.
pub(super) const JUDGED: &[&str] =
    &[OPEN, WRITE, RECEIVE, READ, MEMORY, EXEC, EXEC_FAILED, CHANGE, CONNECT, SEND, ACCEPT];
pub(super) const LINKED: &[&str] = &[OPEN, WRITE, READ, EXEC, EXEC_FAILED, EXIT, CHANGE, CONNECT, SEND];
/// What has a file; a connection, where it goes to a unix socket that stands for a credential.
pub(super) const FILES: &[&str] = &[OPEN, WRITE, RECEIVE, READ, CONNECT];
pub(super) const NETWORK: &[&str] = &[CONNECT, SEND, ACCEPT];
/// What may tell of several.
pub(super) const COUNTED: &[&str] = &[CONNECT, SEND, ACCEPT, FINDING];
/// What has a list of credentials: actions, findings and the inventory.
pub(super) const CREDENTIALED: &[&str] = &[
    OPEN,
    WRITE,
    RECEIVE,
    READ,
    MEMORY,
    EXEC,
    EXEC_FAILED,
    EXIT,
    CHANGE,
    CONNECT,
    SEND,
    ACCEPT,
    FINDING,
    INVENTORY,
];
pub(in crate::record::reference) const LISTED: &[&str] = &[INVENTORY];
pub(in crate::record::reference) const FOUND: &[&str] = &[FINDING];
pub(in crate::record::reference) const COVERAGE: &[&str] = &["coverage"];
pub(super) const HEADS: &[&str] = &["head"];
