//! The probe table: which programs make up which signal in which tier, and what a tier cannot see.

mod files;
mod keys;
mod network;
mod programs;

use spoor_wire::Source;

/// Something spoor claims to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Processes are made.
    Fork,
    /// Processes take programs.
    Exec,
    /// Processes end.
    Exit,
    /// Processes try to take programs, and do not get them.
    ExecFailed,
    /// Processes change their users, capabilities and namespaces.
    Identity,
    /// Processes get at the memory of others.
    Memory,
    /// Credentials are opened.
    Open,
    /// Open credentials are handed over.
    Receive,
    /// Open credentials are read.
    Read,
    /// Unix sockets that stand for credentials are connected to.
    Unix,
    /// Keys of the kernel's key rings are found, read, and put there.
    Key,
    /// Connections are asked for.
    Connect,
    /// Connections succeed or fail.
    Outcome,
    /// Datagrams are sent without a connection.
    Send,
    /// Connections are accepted.
    Accept,
    /// Destinations are named, by name servers and by clients.
    Names,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Signal; 16] = [
        Signal::Fork,
        Signal::Exec,
        Signal::Exit,
        Signal::ExecFailed,
        Signal::Identity,
        Signal::Memory,
        Signal::Open,
        Signal::Receive,
        Signal::Read,
        Signal::Unix,
        Signal::Key,
        Signal::Connect,
        Signal::Outcome,
        Signal::Send,
        Signal::Accept,
        Signal::Names,
    ];

    /// The name used in the coverage report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Signal::Fork => "fork",
            Signal::Exec => "exec",
            Signal::Exit => "exit",
            Signal::ExecFailed => "exec.failed",
            Signal::Identity => "cred.change",
            Signal::Memory => "memory.access",
            Signal::Open => "secret.open",
            Signal::Receive => "secret.receive",
            Signal::Read => "secret.read",
            Signal::Unix => "connect.unix",
            Signal::Key => "secret.key",
            Signal::Connect => "connect",
            Signal::Outcome => "connect.outcome",
            Signal::Send => "send",
            Signal::Accept => "accept",
            Signal::Names => "names",
        }
    }
}

/// How near the act a hook lies. In the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// Linux security module hooks.
    Lsm,
    /// Function entry through a trampoline.
    Fentry,
    /// Function entry through a breakpoint.
    Kprobe,
    /// The kernel's own tracepoints.
    Tracepoint,
    /// Packets of a cgroup.
    Cgroup,
}

impl Tier {
    /// Every tier, best first.
    pub const ALL: [Tier; 5] = [Tier::Lsm, Tier::Fentry, Tier::Kprobe, Tier::Tracepoint, Tier::Cgroup];

    /// The name used in the coverage report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Tier::Lsm => "lsm",
            Tier::Fentry => "fentry",
            Tier::Kprobe => "kprobe",
            Tier::Tracepoint => "tracepoint",
            Tier::Cgroup => "cgroup",
        }
    }

    /// The tier of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }
}

/// How a program is loaded and attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// To an LSM hook.
    Lsm(&'static str),
    /// To the entry of a function.
    Fentry(&'static str),
    /// To the exit of a function.
    Fexit(&'static str),
    /// To the entry of a function, by breakpoint.
    Kprobe(&'static str),
    /// To the return of a function, by breakpoint.
    Kretprobe(&'static str),
    /// To a tracepoint, with typed arguments.
    TpBtf(&'static str),
    /// Behind the one program at the return of system calls, for calls of a kind.
    SysExit(Slot),
    /// To what arrives at the sockets of all cgroups.
    SkbIngress,
    /// To what the sockets of all cgroups send.
    SkbEgress,
}

impl Attach {
    /// Whether it is a tracing program on a function, of which the kernel runs one on a CPU at a time.
    pub(super) const fn is_function(self) -> bool {
        matches!(self, Attach::Fentry(_) | Attach::Fexit(_))
    }
}

/// Kinds of system calls, as the probes number them (`agent-ebpf/src/syscall.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Slot {
    /// A file is opened.
    Open = 0,
    /// A connection is asked for.
    Connect = 1,
    /// The same, of a unix socket.
    Unix = 2,
    /// A message or a descriptor is received.
    Receive = 3,
    /// A file is read or mapped.
    Read = 4,
    /// Another process is traced.
    Ptrace = 5,
    /// A program is started.
    Exec = 6,
    /// Users, groups, capabilities, namespaces.
    Creds = 7,
    /// A message is sent.
    Send = 8,
    /// A connection is accepted.
    Accept = 9,
    /// A key is used.
    Key = 10,
}

impl Slot {
    const fn name(self) -> &'static str {
        match self {
            Slot::Open => "open",
            Slot::Connect => "connect",
            Slot::Unix => "unix",
            Slot::Receive => "receive",
            Slot::Read => "read",
            Slot::Ptrace => "ptrace",
            Slot::Exec => "execve",
            Slot::Creds => "setuid",
            Slot::Send => "send",
            Slot::Accept => "accept",
            Slot::Key => "keyctl",
        }
    }
}

impl Attach {
    /// As the coverage report writes it: program type and place.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Attach::Lsm(place) => format!("lsm/{place}"),
            Attach::Fentry(place) => format!("fentry/{place}"),
            Attach::Fexit(place) => format!("fexit/{place}"),
            Attach::Kprobe(place) => format!("kprobe/{place}"),
            Attach::Kretprobe(place) => format!("kretprobe/{place}"),
            Attach::TpBtf(place) => format!("tp_btf/{place}"),
            Attach::SysExit(slot) => format!("tp_btf/sys_exit:{}", slot.name()),
            Attach::SkbIngress => "cgroup_skb/ingress".into(),
            Attach::SkbEgress => "cgroup_skb/egress".into(),
        }
    }
}

/// One program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name in the object.
    pub name: &'static str,
    /// Where it goes.
    pub attach: Attach,
}

/// A way to see some signals: all its programs, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The tier it belongs to.
    pub tier: Tier,
    /// Its programs.
    pub programs: &'static [Program],
    /// What the canary must show, and from where: that a signal shows by way of another program proves nothing for one
    /// that is silent.
    pub proof: &'static [(Signal, Source)],
    /// What it cannot see, for the coverage report.
    pub blind: &'static [&'static str],
}

/// Signals that are decided together, and the ways to see them, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// What the canary must show.
    pub signals: &'static [Signal],
    /// How.
    pub ways: &'static [Way],
}

impl Program {
    /// What the program is called that does the work where this one is at work for another, if it has one.
    #[must_use]
    pub fn twin(&self) -> String {
        format!("{}{TWIN}", self.name)
    }
}

/// How names of twins end.
pub(crate) const TWIN: &str = "_again";

const fn program(name: &'static str, attach: Attach) -> Program {
    Program { name, attach }
}

/// Everything spoor attaches.
pub fn needs() -> impl Iterator<Item = &'static Need> {
    programs::NEEDS.iter().chain(files::NEEDS).chain(keys::NEEDS).chain(network::NEEDS)
}
