//! The probe table: which programs make up which signal in which tier, and what a tier cannot see.

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
    /// Credentials are opened.
    Open,
    /// Connections are asked for.
    Connect,
    /// Connections succeed or fail.
    Outcome,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Signal; 6] =
        [Signal::Fork, Signal::Exec, Signal::Exit, Signal::Open, Signal::Connect, Signal::Outcome];

    /// The name used in the coverage report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Signal::Fork => "fork",
            Signal::Exec => "exec",
            Signal::Exit => "exit",
            Signal::Open => "secret.open",
            Signal::Connect => "connect",
            Signal::Outcome => "connect.outcome",
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
}

impl Tier {
    /// Every tier, best first.
    pub const ALL: [Tier; 4] = [Tier::Lsm, Tier::Fentry, Tier::Kprobe, Tier::Tracepoint];

    /// The name used in the coverage report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Tier::Lsm => "lsm",
            Tier::Fentry => "fentry",
            Tier::Kprobe => "kprobe",
            Tier::Tracepoint => "tracepoint",
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

const fn program(name: &'static str, attach: Attach) -> Program {
    Program { name, attach }
}

const STATE: Program = program("tp_state", Attach::TpBtf("inet_sock_set_state"));
const FEXIT_CONNECT: Program = program("fexit_connect", Attach::Fexit("inet_stream_connect"));

const OPEN_BLIND: &[&str] = &[
    "descriptors received over a socket, taken from another process, or held since before the agent started",
    "reads after the opening (opened is reported, not read)",
];
const CONNECT_BLIND: &[&str] =
    &["anything but TCP over IPv4 and IPv6 (UDP, unix sockets, MPTCP, raw sockets)"];

/// Everything spoor attaches.
pub const NEEDS: [Need; 5] = [
    Need {
        signals: &[Signal::Fork],
        ways: &[Way {
            tier: Tier::Tracepoint,
            programs: &[program("tp_fork", Attach::TpBtf("sched_process_fork"))],
            proof: &[(Signal::Fork, Source::TpFork)],
            blind: &[],
        }],
    },
    Need {
        signals: &[Signal::Exec],
        ways: &[Way {
            tier: Tier::Tracepoint,
            programs: &[program("tp_exec", Attach::TpBtf("sched_process_exec"))],
            proof: &[(Signal::Exec, Source::TpExec)],
            blind: &["failed attempts", "arguments beyond 4 KiB"],
        }],
    },
    Need {
        signals: &[Signal::Exit],
        ways: &[Way {
            tier: Tier::Tracepoint,
            programs: &[program("tp_exit", Attach::TpBtf("sched_process_exit"))],
            proof: &[(Signal::Exit, Source::TpExit)],
            blind: &[],
        }],
    },
    Need {
        signals: &[Signal::Open],
        ways: &[
            Way {
                tier: Tier::Lsm,
                programs: &[program("lsm_open", Attach::Lsm("file_open"))],
                proof: &[(Signal::Open, Source::LsmOpen)],
                blind: OPEN_BLIND,
            },
            Way {
                tier: Tier::Fentry,
                programs: &[program("fentry_open", Attach::Fentry("security_file_open"))],
                proof: &[(Signal::Open, Source::FentryOpen)],
                blind: OPEN_BLIND,
            },
            Way {
                tier: Tier::Kprobe,
                programs: &[program("kprobe_open", Attach::Kprobe("security_file_open"))],
                proof: &[(Signal::Open, Source::KprobeOpen)],
                blind: OPEN_BLIND,
            },
            Way {
                tier: Tier::Tracepoint,
                programs: &[program("tp_open", Attach::TpBtf("sys_exit"))],
                proof: &[(Signal::Open, Source::TpOpen)],
                blind: &[
                    "openings by io_uring",
                    "a descriptor that another thread closed before the call had returned",
                    "descriptors received over a socket, taken from another process, or held since before the agent started",
                    "reads after the opening (opened is reported, not read)",
                ],
            },
        ],
    },
    Need {
        signals: &[Signal::Connect, Signal::Outcome],
        ways: &[
            Way {
                tier: Tier::Lsm,
                programs: &[program("lsm_connect", Attach::Lsm("socket_connect")), FEXIT_CONNECT, STATE],
                proof: &[
                    (Signal::Connect, Source::LsmConnect),
                    (Signal::Outcome, Source::TpState),
                    (Signal::Outcome, Source::FexitConnect),
                ],
                blind: CONNECT_BLIND,
            },
            Way {
                tier: Tier::Fentry,
                programs: &[
                    program("fentry_connect", Attach::Fentry("security_socket_connect")),
                    FEXIT_CONNECT,
                    STATE,
                ],
                proof: &[
                    (Signal::Connect, Source::FentryConnect),
                    (Signal::Outcome, Source::TpState),
                    (Signal::Outcome, Source::FexitConnect),
                ],
                blind: CONNECT_BLIND,
            },
            Way {
                tier: Tier::Kprobe,
                programs: &[
                    program("kprobe_connect", Attach::Kprobe("security_socket_connect")),
                    program("kretprobe_connect", Attach::Kretprobe("inet_stream_connect")),
                    STATE,
                ],
                proof: &[
                    (Signal::Connect, Source::KprobeConnect),
                    (Signal::Outcome, Source::TpState),
                    (Signal::Outcome, Source::KretprobeConnect),
                ],
                blind: CONNECT_BLIND,
            },
            Way {
                tier: Tier::Tracepoint,
                programs: &[program("tp_connect", Attach::TpBtf("sys_exit")), STATE],
                proof: &[
                    (Signal::Connect, Source::TpState),
                    (Signal::Outcome, Source::TpState),
                    (Signal::Outcome, Source::TpConnect),
                ],
                blind: &[
                    "anything but TCP over IPv4 and IPv6 (UDP, unix sockets, MPTCP, raw sockets)",
                    "attempts by io_uring, or by 32-bit programs through socketcall, that fail before a packet is sent",
                ],
            },
        ],
    },
];
