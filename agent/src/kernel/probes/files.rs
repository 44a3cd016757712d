//! Credentials: files, descriptors, sockets that stand for them, memory.

use spoor_wire::Source;

use super::{Attach, Need, Signal, Slot, Tier, Way, program};

const OPEN_BLIND: &[&str] = &[
    "descriptors received over a socket, taken from another process, or held since before the agent started",
    "reads after the opening (opened is reported, not read)",
];

/// What is attached for it.
pub(super) const NEEDS: &[Need] = &[Need {
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
            programs: &[program("tp_open", Attach::SysExit(Slot::Open))],
            proof: &[(Signal::Open, Source::TpOpen)],
            blind: &[
                "openings by io_uring",
                "a descriptor that another thread closed before the call had returned",
                "descriptors received over a socket, taken from another process, or held since before the agent started",
                "reads after the opening (opened is reported, not read)",
            ],
        },
    ],
}];
