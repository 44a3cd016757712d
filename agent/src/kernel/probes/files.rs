//! Credentials: files, descriptors, sockets that stand for them, memory.

use spoor_wire::Source;

use super::{Attach, Need, Program, Signal, Slot, Tier, Way, program};

const DEEP: &str = "paths beyond 1,880 bytes: their end is told";
const LINKED: &str =
    "who puts a credential in place by a hard link, or as the first of two files that are exchanged";
const RENAMED: &str = "who puts a credential in place by renaming another file over it";
const HELD: &str =
    "reads of a file that a process opened before the agent started, if the file was renamed since";
const DIRECT: &str = "descriptors that io_uring passes from ring to ring";

/// What is attached for it.
pub(super) const NEEDS: &[Need] = &[OPEN, RECEIVE, READ, UNIX, MEMORY];

const LSM_OPEN: Program = program("lsm_open", Attach::Lsm("file_open"));
const FENTRY_OPEN: Program = program("fentry_open", Attach::Fentry("security_file_open"));
const KPROBE_OPEN: Program = program("kprobe_open", Attach::Kprobe("security_file_open"));
const FENTRY_RENAME: Program = program("fentry_rename", Attach::Fentry("security_path_rename"));
const KPROBE_RENAME: Program = program("kprobe_rename", Attach::Kprobe("security_path_rename"));

/// Each tier first with what sees files take a name, then without: not every kernel has the function
/// (`CONFIG_SECURITY_PATH`), and none loses its openings for that.
const OPEN: Need = Need {
    signals: &[Signal::Open],
    ways: &[
        Way {
            tier: Tier::Lsm,
            programs: &[LSM_OPEN, FENTRY_RENAME],
            proof: &[
                (Signal::Open, Source::LsmOpen),
                (Signal::Memory, Source::LsmOpen),
                (Signal::Open, Source::FentryRename),
            ],
            blind: &[DEEP, LINKED],
        },
        Way {
            tier: Tier::Lsm,
            programs: &[LSM_OPEN],
            proof: &[(Signal::Open, Source::LsmOpen), (Signal::Memory, Source::LsmOpen)],
            blind: &[DEEP, LINKED, RENAMED],
        },
        Way {
            tier: Tier::Fentry,
            programs: &[FENTRY_OPEN, FENTRY_RENAME],
            proof: &[
                (Signal::Open, Source::FentryOpen),
                (Signal::Memory, Source::FentryOpen),
                (Signal::Open, Source::FentryRename),
            ],
            blind: &[DEEP, LINKED],
        },
        Way {
            tier: Tier::Fentry,
            programs: &[FENTRY_OPEN],
            proof: &[(Signal::Open, Source::FentryOpen), (Signal::Memory, Source::FentryOpen)],
            blind: &[DEEP, LINKED, RENAMED],
        },
        Way {
            tier: Tier::Kprobe,
            programs: &[KPROBE_OPEN, KPROBE_RENAME],
            proof: &[
                (Signal::Open, Source::KprobeOpen),
                (Signal::Memory, Source::KprobeOpen),
                (Signal::Open, Source::KprobeRename),
            ],
            blind: &[DEEP, LINKED],
        },
        Way {
            tier: Tier::Kprobe,
            programs: &[KPROBE_OPEN],
            proof: &[(Signal::Open, Source::KprobeOpen), (Signal::Memory, Source::KprobeOpen)],
            blind: &[DEEP, LINKED, RENAMED],
        },
        Way {
            tier: Tier::Tracepoint,
            programs: &[program("tp_open", Attach::SysExit(Slot::Open))],
            proof: &[(Signal::Open, Source::TpOpen), (Signal::Memory, Source::TpOpen)],
            blind: &[
                DEEP,
                LINKED,
                RENAMED,
                "openings by io_uring",
                "a descriptor that another thread closed before the call had returned",
            ],
        },
    ],
};

const RECEIVE: Need = Need {
    signals: &[Signal::Receive],
    ways: &[
        Way {
            tier: Tier::Lsm,
            programs: &[program("lsm_receive", Attach::Lsm("file_receive"))],
            proof: &[(Signal::Receive, Source::LsmReceive)],
            blind: &[DIRECT],
        },
        Way {
            tier: Tier::Fentry,
            programs: &[program("fentry_receive", Attach::Fentry("security_file_receive"))],
            proof: &[(Signal::Receive, Source::FentryReceive)],
            blind: &[DIRECT],
        },
        Way {
            tier: Tier::Kprobe,
            programs: &[program("kprobe_receive", Attach::Kprobe("security_file_receive"))],
            proof: &[(Signal::Receive, Source::KprobeReceive)],
            blind: &[DIRECT],
        },
        Way {
            tier: Tier::Tracepoint,
            programs: &[program("tp_receive", Attach::SysExit(Slot::Receive))],
            proof: &[(Signal::Receive, Source::TpReceive)],
            blind: &[
                DIRECT,
                "descriptors received by io_uring",
                "all but the first descriptor of a message, and of recvmmsg all",
            ],
        },
    ],
};

const READ: Need = Need {
    signals: &[Signal::Read],
    ways: &[
        Way {
            tier: Tier::Lsm,
            programs: &[
                program("lsm_read", Attach::Lsm("file_permission")),
                program("lsm_map", Attach::Lsm("mmap_file")),
            ],
            proof: &[(Signal::Read, Source::LsmRead), (Signal::Read, Source::LsmMap)],
            blind: &[HELD],
        },
        Way {
            tier: Tier::Fentry,
            programs: &[
                program("fentry_read", Attach::Fentry("security_file_permission")),
                program("fentry_map", Attach::Fentry("security_mmap_file")),
            ],
            proof: &[(Signal::Read, Source::FentryRead), (Signal::Read, Source::FentryMap)],
            blind: &[HELD],
        },
        Way {
            tier: Tier::Kprobe,
            programs: &[
                program("kprobe_read", Attach::Kprobe("security_file_permission")),
                program("kprobe_map", Attach::Kprobe("security_mmap_file")),
            ],
            proof: &[(Signal::Read, Source::KprobeRead), (Signal::Read, Source::KprobeMap)],
            blind: &[HELD],
        },
        Way {
            tier: Tier::Tracepoint,
            programs: &[program("tp_read", Attach::SysExit(Slot::Read))],
            proof: &[(Signal::Read, Source::TpRead)],
            blind: &[HELD, "reads by io_uring and by asynchronous calls"],
        },
    ],
};

const UNIX: Need = Need {
    signals: &[Signal::Unix],
    ways: &[
        Way {
            tier: Tier::Lsm,
            programs: &[program("lsm_unix", Attach::Lsm("unix_stream_connect"))],
            proof: &[(Signal::Unix, Source::LsmUnix)],
            blind: &[UNANSWERED],
        },
        Way {
            tier: Tier::Fentry,
            programs: &[program("fexit_unix", Attach::Fexit("security_unix_stream_connect"))],
            proof: &[(Signal::Unix, Source::FexitUnix)],
            blind: &[UNANSWERED],
        },
        Way {
            tier: Tier::Kprobe,
            programs: &[program("kprobe_unix", Attach::Kprobe("security_unix_stream_connect"))],
            proof: &[(Signal::Unix, Source::KprobeUnix)],
            blind: &[UNANSWERED, "that another security module refused"],
        },
        Way {
            tier: Tier::Tracepoint,
            // Reached from the program in the slot of `connect`.
            programs: &[program("tp_unix", Attach::SysExit(Slot::Unix))],
            proof: &[(Signal::Unix, Source::TpUnix)],
            blind: &[UNANSWERED, "connections asked for by io_uring"],
        },
    ],
};

const UNANSWERED: &str = "attempts where nobody listens";

const MEMORY: Need = Need {
    signals: &[Signal::Memory],
    ways: &[
        Way {
            tier: Tier::Lsm,
            programs: &[program("lsm_ptrace", Attach::Lsm("ptrace_access_check"))],
            proof: &[(Signal::Memory, Source::LsmPtrace)],
            blind: &[],
        },
        Way {
            tier: Tier::Fentry,
            programs: &[program("fentry_ptrace", Attach::Fentry("security_ptrace_access_check"))],
            proof: &[(Signal::Memory, Source::FentryPtrace)],
            blind: &[],
        },
        Way {
            tier: Tier::Kprobe,
            programs: &[program("kprobe_ptrace", Attach::Kprobe("security_ptrace_access_check"))],
            proof: &[(Signal::Memory, Source::KprobePtrace)],
            blind: &[],
        },
        Way {
            tier: Tier::Tracepoint,
            programs: &[program("tp_ptrace", Attach::SysExit(Slot::Ptrace))],
            proof: &[(Signal::Memory, Source::TpPtrace)],
            blind: &["targets named by the id of a thread, or from within a pid namespace"],
        },
    ],
};
