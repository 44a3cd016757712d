//! The kinds of records, and groups of them that share fields.

pub(super) const OPEN: &str = "action/secret.open";
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

/// Actions, then what is told of chains, then what belongs to none: the groups below are heads of this list.
pub(in crate::record::reference) const ALL: &[&str] = &[
    OPEN,
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
    "gap",
    "coverage",
    "heartbeat",
];
pub(in crate::record::reference) const CHAINED: &[&str] = ALL.split_at(14).0;
pub(in crate::record::reference) const ACTIONS: &[&str] = ALL.split_at(11).0;
pub(super) const LINKED: &[&str] = &[OPEN, READ, EXEC, EXEC_FAILED, EXIT, CHANGE, CONNECT, SEND];
/// What has a file; a connection, where it goes to a unix socket that stands for a credential.
pub(super) const FILES: &[&str] = &[OPEN, RECEIVE, READ, CONNECT];
pub(super) const NETWORK: &[&str] = &[CONNECT, SEND, ACCEPT];
pub(in crate::record::reference) const COVERAGE: &[&str] = &["coverage"];
