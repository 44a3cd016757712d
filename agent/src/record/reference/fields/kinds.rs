//! The kinds of records, and groups of them that share fields.

pub(in crate::record::reference) const OPEN: &str = "action/secret.open";
pub(in crate::record::reference) const RECEIVE: &str = "action/secret.receive";
pub(in crate::record::reference) const READ: &str = "action/secret.read";
pub(in crate::record::reference) const MEMORY: &str = "action/memory.access";
pub(in crate::record::reference) const EXEC: &str = "action/exec";
pub(in crate::record::reference) const EXEC_FAILED: &str = "action/exec.failed";
pub(in crate::record::reference) const EXIT: &str = "action/exit";
pub(in crate::record::reference) const CHANGE: &str = "action/cred.change";
pub(in crate::record::reference) const CONNECT: &str = "action/connect";
pub(in crate::record::reference) const SEND: &str = "action/send";
pub(in crate::record::reference) const ACCEPT: &str = "action/accept";
pub(in crate::record::reference) const OPENED: &str = "chain/opened";
pub(in crate::record::reference) const COMPLETED: &str = "chain/completed";
pub(in crate::record::reference) const CLOSED: &str = "chain/closed";

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
pub(in crate::record::reference) const CHAINED: &[&str] = &[
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
];
pub(in crate::record::reference) const ACTIONS: &[&str] =
    &[OPEN, RECEIVE, READ, MEMORY, EXEC, EXEC_FAILED, EXIT, CHANGE, CONNECT, SEND, ACCEPT];
pub(in crate::record::reference) const LINKED: &[&str] =
    &[OPEN, READ, EXEC, EXEC_FAILED, EXIT, CHANGE, CONNECT, SEND];
/// What has a file; a connection, where it goes to a unix socket that stands for a credential.
pub(in crate::record::reference) const FILES: &[&str] = &[OPEN, RECEIVE, READ, CONNECT];
pub(in crate::record::reference) const NETWORK: &[&str] = &[CONNECT, SEND, ACCEPT];
pub(in crate::record::reference) const COVERAGE: &[&str] = &["coverage"];
