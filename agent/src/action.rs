//! `Action`: one thing seen, with its actor and credentials. What chains collect. No I/O, no clock.

use std::net::IpAddr;
use std::sync::Arc;

use crate::actor::Actor;
use crate::credential::Credential;
use crate::event::{
    Endpoint, ExitStatus, Facts, IdentityChange, KernelKey, KeyWay, MemoryWay, OpenedFile, SendOutcome,
    Source, Text, Transport,
};
use crate::lineage::Process;
use crate::names::Named;

/// Number of an action in the order in which they were seen, from 1, over one life of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActionId(pub u64);

/// One thing seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Its number.
    pub id: ActionId,
    /// When, ns of `CLOCK_BOOTTIME`.
    pub time_ns: u64,
    /// Who acted.
    pub actor: Arc<Actor>,
    /// The process, as it was then.
    pub process: Arc<Process>,
    /// Its identity at that moment.
    pub facts: Facts,
    /// What it did.
    pub deed: ActionDeed,
    /// The attach point that saw it.
    pub seen_by: Source,
}

/// What was done, and with what outcome.
#[derive(Clone, Debug, PartialEq)]
pub enum ActionDeed {
    /// `secret.open`
    SecretOpen {
        /// The file.
        file: Box<OpenedFile>,
        /// What it holds.
        credential: Arc<Credential>,
    },
    /// `secret.write`
    SecretWrite {
        /// The file, which was opened to be written and not to be read, or renamed to be it.
        file: Box<OpenedFile>,
        /// What lies there by its kind and place. What is written is not known before somebody reads it; what was renamed
        /// is whole, and is told in full.
        credential: Arc<Credential>,
    },
    /// `secret.receive`
    SecretReceive {
        /// The file.
        file: Box<OpenedFile>,
        /// What it holds.
        credential: Arc<Credential>,
    },
    /// `secret.read`
    SecretRead {
        /// The file.
        file: Box<OpenedFile>,
        /// What it holds.
        credential: Arc<Credential>,
        /// Mapped into memory rather than copied from.
        mapped: bool,
    },
    /// `connect`, to a unix socket that stands for a credential.
    SecretSocket {
        /// The socket.
        file: Box<OpenedFile>,
        /// What it stands for.
        credential: Arc<Credential>,
        /// What became of it.
        outcome: ConnectOutcome,
    },
    /// `secret.read` or `secret.open`, of a key of the kernel's key rings.
    SecretKey {
        /// The key.
        key: Box<KernelKey>,
        /// What it stands for.
        credential: Arc<Credential>,
        /// What was done with it.
        way: KeyWay,
    },
    /// `memory.access`
    MemoryAccess {
        /// Whose; `None` where nothing is known of it.
        target: Option<Arc<Process>>,
        /// How.
        how: MemoryWay,
    },
    /// `exec.failed`
    ExecFailed {
        /// What was named.
        program: Text,
        /// Why not.
        errno: i32,
    },
    /// `cred.change`
    CredChange(Box<IdentityChange>),
    /// `exec`: the action's process is the program that was started.
    Exec {
        /// What it was handed in its environment, and did not have before.
        environment: Vec<Arc<Credential>>,
    },
    /// `exit`
    Exit(ExitStatus),
    /// `connect`
    Connect {
        /// Where to.
        to: Endpoint,
        /// The destination's name, where one is known.
        name: Option<Named>,
        /// From where, once known.
        from: Option<(IpAddr, u16)>,
        /// What became of it.
        outcome: ConnectOutcome,
        /// From the call to the outcome; `None` while pending.
        took_ns: Option<u64>,
        /// The earlier report, pending or without a name, that this one completes.
        completes: Option<ActionId>,
    },
    /// `send`
    Send {
        /// Where to.
        to: Endpoint,
        /// The destination's name, where one is known.
        name: Option<Named>,
        /// What the kernel said.
        outcome: SendOutcome,
    },
    /// `accept`
    Accept {
        /// Whose connection.
        from: (IpAddr, u16),
        /// At which own address.
        at: (IpAddr, u16),
        /// By which protocol.
        transport: Transport,
    },
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectOutcome {
    /// There is one.
    Established,
    /// The socket has a destination now. Nobody was asked: datagrams have no connections.
    Associated,
    /// The other side refused.
    Refused,
    /// Nobody answered.
    TimedOut,
    /// No way there.
    Unreachable,
    /// Any other error.
    Error(i32),
    /// The process closed the socket before there was an answer.
    Abandoned,
    /// Not known yet.
    Pending,
}

impl ConnectOutcome {
    /// The outcome an error number stands for.
    #[must_use]
    pub fn from_errno(errno: i32) -> Self {
        use nix::errno::Errno;
        const REFUSED: i32 = Errno::ECONNREFUSED as i32;
        const TIMED_OUT: i32 = Errno::ETIMEDOUT as i32;
        const NO_NETWORK: i32 = Errno::ENETUNREACH as i32;
        const NO_HOST: i32 = Errno::EHOSTUNREACH as i32;
        match errno {
            REFUSED => ConnectOutcome::Refused,
            TIMED_OUT => ConnectOutcome::TimedOut,
            NO_NETWORK | NO_HOST => ConnectOutcome::Unreachable,
            _ => ConnectOutcome::Error(errno),
        }
    }

    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ConnectOutcome::Established => "established",
            ConnectOutcome::Associated => "associated",
            ConnectOutcome::Refused => "refused",
            ConnectOutcome::TimedOut => "timed-out",
            ConnectOutcome::Unreachable => "unreachable",
            ConnectOutcome::Error(_) => "error",
            ConnectOutcome::Abandoned => "abandoned",
            ConnectOutcome::Pending => "pending",
        }
    }
}
