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
}

impl Kind {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Kind; 16] = [
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
            | Kind::Identity => Lane::Vital,
            Kind::Connect | Kind::ExecFailed | Kind::Send | Kind::Accept => Lane::Bulk,
            Kind::ConnectEnd | Kind::Answer | Kind::Hello => Lane::Softirq,
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

/// Which attach point produced a sample. The values are frozen; the names are what records carry as `seen_by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Source {
    /// `tp_btf/sched_process_fork`
    TpFork = 1,
    /// `tp_btf/sched_process_exec`
    TpExec = 2,
    /// `tp_btf/sched_process_exit`
    TpExit = 3,
    /// `lsm/file_open`
    LsmOpen = 4,
    /// `fentry/security_file_open`
    FentryOpen = 5,
    /// `kprobe/security_file_open`
    KprobeOpen = 6,
    /// `tp_btf/sys_exit:open`
    TpOpen = 7,
    /// `lsm/socket_connect`
    LsmConnect = 8,
    /// `fentry/security_socket_connect`
    FentryConnect = 9,
    /// `kprobe/security_socket_connect`
    KprobeConnect = 10,
    /// `tp_btf/inet_sock_set_state`
    TpState = 11,
    /// `fexit/__sys_connect_file`
    FexitConnect = 12,
    /// `kretprobe/__sys_connect_file`
    KretprobeConnect = 13,
    /// `tp_btf/sys_exit:connect`
    TpConnect = 14,
    /// `lsm/file_receive`
    LsmReceive = 15,
    /// `fentry/security_file_receive`
    FentryReceive = 16,
    /// `kprobe/security_file_receive`
    KprobeReceive = 17,
    /// `tp_btf/sys_exit:receive`
    TpReceive = 18,
    /// `lsm/file_permission`
    LsmRead = 19,
    /// `fentry/security_file_permission`
    FentryRead = 20,
    /// `kprobe/security_file_permission`
    KprobeRead = 21,
    /// `tp_btf/sys_exit:read`
    TpRead = 22,
    /// `lsm/mmap_file`
    LsmMap = 23,
    /// `fentry/security_mmap_file`
    FentryMap = 24,
    /// `kprobe/security_mmap_file`
    KprobeMap = 25,
    /// `lsm/unix_stream_connect`
    LsmUnix = 26,
    /// `fexit/security_unix_stream_connect`
    FexitUnix = 27,
    /// `kprobe/security_unix_stream_connect`
    KprobeUnix = 28,
    /// `tp_btf/sys_exit:unix`
    TpUnix = 29,
    /// `lsm/ptrace_access_check`
    LsmPtrace = 30,
    /// `fentry/security_ptrace_access_check`
    FentryPtrace = 31,
    /// `kprobe/security_ptrace_access_check`
    KprobePtrace = 32,
    /// `tp_btf/sys_exit:ptrace`
    TpPtrace = 33,
    /// `fexit/sys_execve`
    FexitExec = 34,
    /// `kretprobe/sys_execve`
    KretprobeExec = 35,
    /// `tp_btf/sys_exit:execve`
    TpExecFailed = 36,
    /// `fentry/commit_creds`
    FentryCreds = 37,
    /// `kprobe/commit_creds`
    KprobeCreds = 38,
    /// `tp_btf/sys_exit:setuid`
    TpCreds = 39,
    /// `fentry/switch_task_namespaces`
    FentryNamespaces = 40,
    /// `kprobe/switch_task_namespaces`
    KprobeNamespaces = 41,
    /// `tp_btf/sys_exit:setns`
    TpNamespaces = 42,
    /// `fexit/udp_sendmsg`
    FexitSend = 43,
    /// `fexit/udpv6_sendmsg`
    FexitSend6 = 44,
    /// `fexit/raw_sendmsg`
    FexitRaw = 45,
    /// `fexit/rawv6_sendmsg`
    FexitRaw6 = 46,
    /// `kprobe/security_socket_sendmsg`
    KprobeSend = 47,
    /// `tp_btf/sys_exit:send`
    TpSend = 48,
    /// `lsm/sock_graft`
    LsmAccept = 49,
    /// `fentry/security_sock_graft`
    FentryAccept = 50,
    /// `kprobe/security_sock_graft`
    KprobeAccept = 51,
    /// `tp_btf/sys_exit:accept`
    TpAccept = 52,
    /// `cgroup_skb/ingress`
    SkbAnswer = 53,
    /// `cgroup_skb/egress`
    SkbHello = 54,
}

impl Source {
    /// Number of slots in tables indexed by source.
    pub const SLOTS: u32 = 64;

    /// Every source, in the order of their numbers.
    pub const ALL: [Source; 54] = [
        Source::TpFork,
        Source::TpExec,
        Source::TpExit,
        Source::LsmOpen,
        Source::FentryOpen,
        Source::KprobeOpen,
        Source::TpOpen,
        Source::LsmConnect,
        Source::FentryConnect,
        Source::KprobeConnect,
        Source::TpState,
        Source::FexitConnect,
        Source::KretprobeConnect,
        Source::TpConnect,
        Source::LsmReceive,
        Source::FentryReceive,
        Source::KprobeReceive,
        Source::TpReceive,
        Source::LsmRead,
        Source::FentryRead,
        Source::KprobeRead,
        Source::TpRead,
        Source::LsmMap,
        Source::FentryMap,
        Source::KprobeMap,
        Source::LsmUnix,
        Source::FexitUnix,
        Source::KprobeUnix,
        Source::TpUnix,
        Source::LsmPtrace,
        Source::FentryPtrace,
        Source::KprobePtrace,
        Source::TpPtrace,
        Source::FexitExec,
        Source::KretprobeExec,
        Source::TpExecFailed,
        Source::FentryCreds,
        Source::KprobeCreds,
        Source::TpCreds,
        Source::FentryNamespaces,
        Source::KprobeNamespaces,
        Source::TpNamespaces,
        Source::FexitSend,
        Source::FexitSend6,
        Source::FexitRaw,
        Source::FexitRaw6,
        Source::KprobeSend,
        Source::TpSend,
        Source::LsmAccept,
        Source::FentryAccept,
        Source::KprobeAccept,
        Source::TpAccept,
        Source::SkbAnswer,
        Source::SkbHello,
    ];

    /// The source with that number.
    #[must_use]
    pub fn from_u8(value: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|source| *source as u8 == value)
    }

    /// The name records carry as `seen_by`: program type and attach point.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Source::TpFork => "tp_btf/sched_process_fork",
            Source::TpExec => "tp_btf/sched_process_exec",
            Source::TpExit => "tp_btf/sched_process_exit",
            Source::LsmOpen => "lsm/file_open",
            Source::FentryOpen => "fentry/security_file_open",
            Source::KprobeOpen => "kprobe/security_file_open",
            Source::TpOpen => "tp_btf/sys_exit:open",
            Source::LsmConnect => "lsm/socket_connect",
            Source::FentryConnect => "fentry/security_socket_connect",
            Source::KprobeConnect => "kprobe/security_socket_connect",
            Source::TpState => "tp_btf/inet_sock_set_state",
            Source::FexitConnect => "fexit/__sys_connect_file",
            Source::KretprobeConnect => "kretprobe/__sys_connect_file",
            Source::TpConnect => "tp_btf/sys_exit:connect",
            Source::LsmReceive => "lsm/file_receive",
            Source::FentryReceive => "fentry/security_file_receive",
            Source::KprobeReceive => "kprobe/security_file_receive",
            Source::TpReceive => "tp_btf/sys_exit:receive",
            Source::LsmRead => "lsm/file_permission",
            Source::FentryRead => "fentry/security_file_permission",
            Source::KprobeRead => "kprobe/security_file_permission",
            Source::TpRead => "tp_btf/sys_exit:read",
            Source::LsmMap => "lsm/mmap_file",
            Source::FentryMap => "fentry/security_mmap_file",
            Source::KprobeMap => "kprobe/security_mmap_file",
            Source::LsmUnix => "lsm/unix_stream_connect",
            Source::FexitUnix => "fexit/security_unix_stream_connect",
            Source::KprobeUnix => "kprobe/security_unix_stream_connect",
            Source::TpUnix => "tp_btf/sys_exit:unix",
            Source::LsmPtrace => "lsm/ptrace_access_check",
            Source::FentryPtrace => "fentry/security_ptrace_access_check",
            Source::KprobePtrace => "kprobe/security_ptrace_access_check",
            Source::TpPtrace => "tp_btf/sys_exit:ptrace",
            Source::FexitExec => "fexit/sys_execve",
            Source::KretprobeExec => "kretprobe/sys_execve",
            Source::TpExecFailed => "tp_btf/sys_exit:execve",
            Source::FentryCreds => "fentry/commit_creds",
            Source::KprobeCreds => "kprobe/commit_creds",
            Source::TpCreds => "tp_btf/sys_exit:setuid",
            Source::FentryNamespaces => "fentry/switch_task_namespaces",
            Source::KprobeNamespaces => "kprobe/switch_task_namespaces",
            Source::TpNamespaces => "tp_btf/sys_exit:setns",
            Source::FexitSend => "fexit/udp_sendmsg",
            Source::FexitSend6 => "fexit/udpv6_sendmsg",
            Source::FexitRaw => "fexit/raw_sendmsg",
            Source::FexitRaw6 => "fexit/rawv6_sendmsg",
            Source::KprobeSend => "kprobe/security_socket_sendmsg",
            Source::TpSend => "tp_btf/sys_exit:send",
            Source::LsmAccept => "lsm/sock_graft",
            Source::FentryAccept => "fentry/security_sock_graft",
            Source::KprobeAccept => "kprobe/security_sock_graft",
            Source::TpAccept => "tp_btf/sys_exit:accept",
            Source::SkbAnswer => "cgroup_skb/ingress",
            Source::SkbHello => "cgroup_skb/egress",
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
    /// [`Source`]
    pub source: u8,
    /// [`crate::control::Mark::flags`] of the acting process at that moment.
    pub marks: u32,
    /// Who acted.
    pub task: Task,
}

const _: () = assert!(size_of::<Task>() == 88 && offset_of!(Task, comm) == 72);
const _: () = assert!(size_of::<Header>() == 120 && offset_of!(Header, task) == 32);
