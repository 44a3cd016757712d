//! `Event`: one owned, checked, host-side fact. No serde, no I/O, no clock.
//!
//! Everything the state machines learn reaches them as an [`Event`], in the order of kernel time: what probes saw, what
//! was found in `/proc` at start, what was lost, and that time has passed.

mod comm;
mod convert;
mod file;
mod identity;
mod keys;
mod loss;
mod network;

use std::net::IpAddr;

pub use comm::Comm;
pub use convert::{ConvertError, convert};
pub use file::{Matched, OpenedFile};
pub use identity::{IdentityChange, Ids};
pub use keys::{KernelKey, KeyWay};
pub use loss::{Loss, Whose, tells_of_ends, tells_who_is_there};
pub use network::{Endpoint, SendOutcome, Transport};
pub use spoor_wire::{Fault, Kind, Source};

/// A process: a thread group and when it started. A pid alone is never a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessKey {
    /// Thread group in the initial pid namespace.
    pub tgid: u32,
    /// Start of its leader, ns of `CLOCK_BOOTTIME`. From `/proc` it is exact to 10 ms only, see [`Self::same`].
    pub start_ns: u64,
}

impl ProcessKey {
    /// `/proc` tells starts in ticks of this length.
    pub const PROC_TICK_NS: u64 = 10_000_000;

    /// Whether both name one process, where either may have come from `/proc` (start rounded down to a tick).
    #[must_use]
    pub fn same(self, other: ProcessKey) -> bool {
        self.tgid == other.tgid && self.start_ns / Self::PROC_TICK_NS == other.start_ns / Self::PROC_TICK_NS
    }
}

/// What the kernel said of the acting process at the moment of the act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Who.
    pub key: ProcessKey,
    /// The thread.
    pub tid: u32,
    /// `real_parent`; `None` for processes without one.
    pub parent: Option<ProcessKey>,
    /// Real user.
    pub uid: u32,
    /// Effective user.
    pub euid: u32,
    /// Real group.
    pub gid: u32,
    /// Who logged in; `None` where nobody did.
    pub login_uid: Option<u32>,
    /// Audit session; `None` where there is none.
    pub session: Option<u32>,
    /// Cgroup in the default hierarchy.
    pub cgroup_id: u64,
    /// Thread group in the process's own pid namespace.
    pub ns_tgid: u32,
    /// Inode number of that namespace.
    pub pid_ns: u32,
    /// Inode number of the mount namespace.
    pub mnt_ns: u32,
    /// A kernel thread.
    pub kthread: bool,
    /// Short name, chosen by whoever runs there.
    pub comm: Comm,
}

impl Facts {
    /// Real user, effective user and real group.
    #[must_use]
    pub const fn ids(&self) -> (u32, u32, u32) {
        (self.uid, self.euid, self.gid)
    }
}

/// Flags the kernel keeps for a process; see `spoor_wire::control::MARK_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(pub u32);

impl Marks {
    /// Opened or inherited a credential.
    #[must_use]
    pub fn holds(self) -> bool {
        self.0 & spoor_wire::control::MARK_HOLDS != 0
    }

    /// A service account although it has a login uid.
    #[must_use]
    pub fn service(self) -> bool {
        self.0 & spoor_wire::control::MARK_SERVICE != 0
    }

    /// The agent's own canary.
    #[must_use]
    pub fn canary(self) -> bool {
        self.0 & spoor_wire::control::MARK_CANARY != 0
    }
}

/// One fact.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When, ns of `CLOCK_BOOTTIME`.
    pub time_ns: u64,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A probe saw a process act.
    Seen(Box<Seen>),
    /// A process that was there before the probes, from `/proc`.
    Seeded(Box<Seeded>),
    /// Events were lost between `since_ns` and the event's time.
    Lost(Loss),
    /// The same of samples that were refused because these had used up their share of a ring that was filling: nobody else lost
    /// any.
    Refused {
        /// What did not arrive.
        loss: Loss,
        /// Whose it was.
        whose: Vec<Whose>,
    },
    /// The same of samples that would have told what one tells that was read: the same thread of these processes, in the same
    /// program, did the same with the same file again. Only how often is not told one by one.
    Repeated {
        /// What did not arrive.
        loss: Loss,
        /// Whose it was; `None` where it may be anybody's.
        whose: Option<Vec<Whose>>,
    },
    /// Probes were passed by, between `since_ns` and the event's time: they were interrupted at work on that CPU, and the kernel
    /// runs none within itself. What they would have told is not known.
    Missed(Loss),
    /// A probe that was proven at start does not fire any more, at least since then, ns of `CLOCK_BOOTTIME`.
    Silent {
        /// From when on.
        since_ns: u64,
    },
    /// `/proc` was read again after a loss, from the event's time on: these processes are there. The rows come before, as [`What::Seeded`].
    Present(Vec<ProcessKey>),
    /// The host received an answer of a name server: its bytes, as they came.
    Answer(Vec<u8>),
    /// Time has passed; nothing else happened.
    Tick,
}

/// What a probe saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The sample's number: CPU and sequence. Unique within its kind's lane and one life of the agent.
    pub id: SampleId,
    /// The attach point.
    pub source: Source,
    /// Marks of the acting process.
    pub marks: Marks,
    /// The acting process. Of a [`Deed::ConnectEnd`], [`Deed::AcceptEnd`] and [`Deed::Hello`], which may be seen in an interrupt, at most
    /// `key` is set.
    pub process: Facts,
    /// What it did.
    pub deed: Deed,
}

/// Number of a sample: CPU and sequence there, or of a connection its own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SampleId {
    /// CPU.
    pub cpu: u32,
    /// Sequence on that CPU, in the lane of the sample's kind.
    pub seq: u64,
}

/// Bytes that may be cut: names, paths, arguments. Bytes, because Linux promises no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text {
    /// What there is.
    pub bytes: Vec<u8>,
    /// There was more.
    pub truncated: bool,
}

/// What a process did.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Made a process.
    Fork {
        /// The new process.
        child: ProcessKey,
        /// Its parent, which is not the maker after `CLONE_PARENT`.
        parent: ProcessKey,
        /// Its cgroup.
        cgroup_id: u64,
        /// Its thread group in its own pid namespace.
        ns_tgid: u32,
        /// That namespace.
        pid_ns: u32,
        /// Its marks.
        marks: Marks,
    },
    /// Took a new program.
    Exec {
        /// Absolute path of the program in the file system tree of the host, root first.
        exe: Text,
        /// What the caller named (of a script, the script).
        filename: Text,
        /// Device and inode of the program.
        dev: u32,
        /// Inode of the program.
        ino: u64,
        /// Arguments, in order.
        argv: Vec<Vec<u8>>,
        /// There were more arguments, or the last is cut.
        argv_truncated: bool,
        /// Cgroup path as the kernel has it, from the root of its hierarchy.
        cgroup: Text,
        /// The program's file has no name: it was deleted, or never had one.
        nameless: bool,
    },
    /// Tried to take a new program, and did not get it.
    ExecFailed {
        /// What it named, as it lay in its memory.
        filename: Text,
        /// Why.
        errno: i32,
    },
    /// Ended.
    Exit(ExitStatus),
    /// Opened a credential: to read it, or only to write it ([`OpenedFile::only_written`]); or renamed a file to be one
    /// ([`OpenedFile::renamed`]).
    Open(OpenedFile),
    /// Was handed an open credential.
    Receive(OpenedFile),
    /// Read or mapped an open credential, for the first time.
    Read {
        /// What.
        file: OpenedFile,
        /// Mapped it into memory, rather than copied from it.
        mapped: bool,
    },
    /// Connected to a unix socket that stands for a credential.
    Unix {
        /// The socket.
        file: OpenedFile,
        /// The error number, where the kernel refused.
        refused: Option<i32>,
    },
    /// Found a key of the kernel's key rings, read it, or put it there.
    Key {
        /// Which.
        key: Box<KernelKey>,
        /// What it did.
        way: KeyWay,
    },
    /// Got at the memory or environment of another process, which holds a credential.
    Memory {
        /// Whose.
        target: ProcessKey,
        /// How.
        how: MemoryWay,
    },
    /// Changed its users, capabilities or namespaces.
    Identity(Box<IdentityChange>),
    /// Asked for a connection.
    Connect {
        /// Where to.
        to: Endpoint,
    },
    /// Sent something without a connection, for the first time to this destination.
    Send {
        /// Where to.
        to: Endpoint,
        /// What the kernel said.
        outcome: SendOutcome,
    },
    /// Accepted a connection.
    Accept {
        /// Whose.
        from: (IpAddr, u16),
        /// At which own address.
        at: (IpAddr, u16),
        /// By which protocol.
        transport: Transport,
    },
    /// Closed a connection that it had accepted, or that was accepted for it.
    AcceptEnd {
        /// The [`Deed::Accept`]'s sample.
        of: SampleId,
    },
    /// Began to speak TLS on a connection.
    Hello {
        /// The [`Deed::Connect`]'s sample.
        of: SampleId,
        /// The first bytes it sent.
        bytes: Vec<u8>,
    },
    /// Learnt what became of a connection.
    ConnectEnd {
        /// The [`Deed::Connect`]'s sample.
        of: SampleId,
        /// `Ok` where established; else why not.
        outcome: Result<(), ConnectFailure>,
        /// Own address and port, where there were any.
        from: Option<(IpAddr, u16)>,
    },
}

/// How a process got at another's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryWay {
    /// The right to read and write it: `ptrace`, `process_vm_readv`, `/proc/PID/mem`, `pidfd_getfd`.
    Attach,
    /// `/proc/PID/environ`
    Environ,
    /// `/proc/PID/mem`
    File,
    /// `pidfd_getfd`
    Descriptor,
}

impl MemoryWay {
    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            MemoryWay::Attach => "attach",
            MemoryWay::Environ => "environ",
            MemoryWay::File => "mem",
            MemoryWay::Descriptor => "descriptor",
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// By itself.
    Code(u8),
    /// By a signal.
    Signal {
        /// Its number.
        signal: u8,
        /// It left a core.
        core: bool,
    },
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// The kernel's error number.
    Errno(i32),
    /// The process closed the socket before there was an answer.
    Abandoned,
}

/// A process found in `/proc`.
#[derive(Clone, Debug, PartialEq)]
pub struct Seeded {
    /// As a probe would have told; `key.start_ns` is rounded down to a tick.
    pub process: Facts,
    /// Path of the program as seen in the process's own root; empty where it could not be read.
    pub exe: Text,
    /// Arguments as they stand now, which the process may have rewritten.
    pub argv: Vec<Vec<u8>>,
    /// Cgroup path.
    pub cgroup: Text,
    /// Credentials it holds open.
    pub open: Vec<OpenedFile>,
    /// Read after a loss: what was known before may be wrong.
    pub again: bool,
}
