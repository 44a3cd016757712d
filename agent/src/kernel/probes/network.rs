//! Connections, datagrams, names.

use spoor_wire::Source;

use super::{Attach, Need, Program, Signal, Slot, Tier, Way, program};

const STATE: Program = program("tp_state", Attach::TpBtf("inet_sock_set_state"));
const FEXIT_CONNECT: Program = program("fexit_connect", Attach::Fexit("__sys_connect_file"));

const CONNECT_BLIND: &[&str] =
    &["anything but TCP over IPv4 and IPv6 (UDP, unix sockets, MPTCP, raw sockets)"];

/// What is attached for it.
pub(super) const NEEDS: &[Need] = &[Need {
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
                program("kretprobe_connect", Attach::Kretprobe("__sys_connect_file")),
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
            programs: &[program("tp_connect", Attach::SysExit(Slot::Connect)), STATE],
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
}];
