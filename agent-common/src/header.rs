//! What every sample starts with.

use core::mem::{offset_of, size_of};

/// Version of this layout. A sample of another version is refused.
pub const WIRE_VERSION: u8 = 1;

/// Length of [`Task::comm`], the kernel's `TASK_COMM_LEN`.
pub const COMM_LEN: usize = 16;

/// What a sample tells. The values are frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// A process was made.
    Fork = 1,
    /// A process took a new program.
    Exec = 2,
    /// The last thread of a process ended.
    Exit = 3,
    /// A credential was opened for reading.
    Open = 4,
    /// A connection was asked for.
    Connect = 5,
    /// What became of it.
    ConnectEnd = 6,
    /// An open credential was handed over as a descriptor.
    Receive = 7,
    /// An open credential was read or mapped, for the first time by this process.
    Read = 8,
    /// A unix socket that stands for a credential was connected to.
    Unix = 9,
    /// The memory or environment of a process that holds a credential was opened to another.
    Memory = 10,
    /// A process tried to take a new program, and did not get it.
    ExecFailed = 11,
    /// A process changed its users, capabilities or namespaces.
    Identity = 12,
    /// Something was sent without a connection, for the first time by this process to this destination.
    Send = 13,
    /// A connection from outside was accepted.
    Accept = 14,
    /// The host received an answer of a name server.
    Answer = 15,
    /// A watched connection began to speak TLS.
    Hello = 16,
    /// A key of the kernel's key rings was found, read, or put there.
    Key = 17,
    /// A connection that was accepted is closed by whoever serves it.
    AcceptEnd = 18,
}

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Kind; 18] = [
        Kind::Fork,
        Kind::Exec,
        Kind::Exit,
        Kind::Open,
        Kind::Connect,
        Kind::ConnectEnd,
        Kind::Receive,
        Kind::Read,
        Kind::Unix,
        Kind::Memory,
        Kind::ExecFailed,
        Kind::Identity,
        Kind::Send,
        Kind::Accept,
        Kind::Answer,
        Kind::Hello,
        Kind::Key,
        Kind::AcceptEnd,
    ];

    /// Number of slots in tables indexed by kind (numbers start at 1; slot 0 stays empty).
    pub const SLOTS: u32 = 32;

    /// The kind with that number.
    #[must_use]
    pub fn from_u8(value: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == value)
    }

    /// The name used in counters and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Fork => "fork",
            Kind::Exec => "exec",
            Kind::Exit => "exit",
            Kind::Open => "secret.open",
            Kind::Connect => "connect",
            Kind::ConnectEnd => "connect.end",
            Kind::Receive => "secret.receive",
            Kind::Read => "secret.read",
            Kind::Unix => "connect.unix",
            Kind::Memory => "memory.access",
            Kind::ExecFailed => "exec.failed",
            Kind::Identity => "cred.change",
            Kind::Send => "send",
            Kind::Accept => "accept",
            Kind::Answer => "dns.answer",
            Kind::Hello => "tls.hello",
            Kind::Key => "secret.key",
            Kind::AcceptEnd => "accept.end",
        }
    }

    /// Which sequence the kind counts in, which also says which ring carries it.
    #[must_use]
    pub const fn lane(self) -> Lane {
        match self {
            Kind::Fork
            | Kind::Exec
            | Kind::Exit
            | Kind::Open
            | Kind::Receive
            | Kind::Read
            | Kind::Unix
            | Kind::Memory
            | Kind::Identity
            | Kind::Key => Lane::Vital,
            Kind::Connect | Kind::ExecFailed | Kind::Send | Kind::Accept => Lane::Bulk,
            Kind::ConnectEnd | Kind::Answer | Kind::Hello | Kind::AcceptEnd => Lane::Softirq,
        }
    }
}

/// A sequence of its own per CPU. Counting up is atomic, so the account balances always; the number a sample shows is read
/// apart from that, and a program that interrupts another of its lane may show the same. Hence a lane of its own for what
/// runs in interrupts; a connection's two halves find one another by a number of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Lane {
    /// Lifecycle and credentials: the small ring, which noise cannot fill.
    Vital = 0,
    /// The rest: the large ring.
    Bulk = 1,
    /// The large ring too, from code that may run in an interrupt.
    Softirq = 2,
}

impl Lane {
    /// Number of lanes.
    pub const COUNT: u32 = 3;

    /// The lane with that number.
    #[must_use]
    pub const fn from_u8(value: u8) -> Option<Self> {
        match value {
            0 => Some(Lane::Vital),
            1 => Some(Lane::Bulk),
            2 => Some(Lane::Softirq),
            _ => None,
        }
    }
}

/// The process that acted, read from the kernel at the moment of the act. All ids are those of the initial namespaces
/// unless a name says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Task {
    /// Start of the thread group's leader, ns of `CLOCK_BOOTTIME`.
    pub start_ns: u64,
    /// Start of the parent's leader; 0 where there is no parent.
    pub parent_start_ns: u64,
    /// Id of the cgroup in the default (v2) hierarchy.
    pub cgroup_id: u64,
    /// Thread group.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// Thread group of `real_parent`.
    pub ppid: u32,
    /// Real user.
    pub uid: u32,
    /// Effective user.
    pub euid: u32,
    /// Real group.
    pub gid: u32,
    /// Login uid; `u32::MAX` where nobody logged in.
    pub login_uid: u32,
    /// Audit session; `u32::MAX` where there is none.
    pub session_id: u32,
    /// Thread group in the task's own pid namespace.
    pub ns_tgid: u32,
    /// Inode number of that pid namespace.
    pub pid_ns: u32,
    /// Inode number of the mount namespace.
    pub mnt_ns: u32,
    /// [`TASK_KTHREAD`] and its like.
    pub flags: u32,
    /// The kernel's short name of the thread: NUL-padded, chosen by whoever runs there.
    pub comm: [u8; COMM_LEN],
}

/// [`Task::flags`]: a kernel thread.
pub const TASK_KTHREAD: u32 = 1;
/// [`Task::flags`]: the fields of the process could not all be read; those that could not are zero.
pub const TASK_PARTIAL: u32 = 2;

/// What every sample starts with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Header {
    /// When, ns of `CLOCK_BOOTTIME`.
    pub time_ns: u64,
    /// Number of the sample among those of this CPU and lane. Taken before room in the ring is asked for: a refused
    /// sample leaves a hole here and one more in the drop counter of its kind.
    pub seq: u64,
    /// Length of the whole sample in bytes, header included.
    pub len: u32,
    /// The CPU whose sequence `seq` belongs to.
    pub cpu: u32,
    /// [`WIRE_VERSION`]
    pub version: u8,
    /// [`Kind`]
    pub kind: u8,
    /// [`Lane`]
    pub lane: u8,
    /// [`crate::Source`]
    pub source: u8,
    /// [`crate::control::Mark::flags`] of the acting process at that moment.
    pub marks: u32,
    /// Who acted.
    pub task: Task,
}

const _: () = assert!(size_of::<Task>() == 88 && offset_of!(Task, comm) == 72);
const _: () = assert!(size_of::<Header>() == 120 && offset_of!(Header, task) == 32);
