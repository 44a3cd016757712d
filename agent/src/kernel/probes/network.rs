//! Connections, datagrams, names.

use spoor_wire::Source;

use super::{Attach, Need, Program, Signal, Slot, Tier, Way, program};

const STATE: Program = program("tp_state", Attach::TpBtf("inet_sock_set_state"));
const STATE_AGAIN: Program = program("tp_state_again", Attach::TpBtf("inet_sock_set_state"));
const FEXIT_CONNECT: Program = program("fexit_connect", Attach::Fexit("__sys_connect_file"));

const FEXIT_SEND: Program = program("fexit_send", Attach::Fexit("udp_sendmsg"));
const FEXIT_SEND6: Program = program("fexit_send6", Attach::Fexit("udpv6_sendmsg"));
const FEXIT_RAW: Program = program("fexit_raw", Attach::Fexit("raw_sendmsg"));
const FEXIT_RAW6: Program = program("fexit_raw6", Attach::Fexit("rawv6_sendmsg"));
const FEXIT_PING: Program = program("fexit_ping", Attach::Fexit("ping_v4_sendmsg"));
const FEXIT_PING6: Program = program("fexit_ping6", Attach::Fexit("ping_v6_sendmsg"));

const FAMILIES: &str = "connections of other families than IPv4, IPv6, unix and vsock";
const SCTP: &str = "SCTP associations made by sctp_connectx or by a send";
const LATER: &str =
    "the outcome of a non-blocking connection over vsock or SCTP that nobody asks for by a further call";
const CONNECT_BLIND: &[&str] = &[FAMILIES, SCTP, LATER];

const FRAMES: &str = "frames by packet sockets";
const AGAIN: &str = "every further message of a process to the same destination";

const ACCEPT_BLIND: &[&str] = &["connections accepted over unix sockets, vsock and SCTP"];

/// What is attached for it.
pub(super) const NEEDS: &[Need] = &[CONNECT, SEND, ACCEPT, NAMES];

const CONNECT: Need = Need {
    signals: &[Signal::Connect, Signal::Outcome],
    ways: &[
        Way {
            tier: Tier::Lsm,
            programs: &[
                program("lsm_connect", Attach::Lsm("socket_connect")),
                FEXIT_CONNECT,
                STATE,
                STATE_AGAIN,
            ],
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
                STATE_AGAIN,
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
                STATE_AGAIN,
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
            programs: &[program("tp_connect", Attach::SysExit(Slot::Connect)), STATE, STATE_AGAIN],
            proof: &[
                (Signal::Connect, Source::TpState),
                (Signal::Outcome, Source::TpState),
                (Signal::Outcome, Source::TpConnect),
            ],
            blind: &[
                FAMILIES,
                SCTP,
                LATER,
                "of connections by io_uring all but TCP, and TCP where it fails before a packet is sent",
                "the address that a call named, where the process changed it before the call returned (all but TCP)",
            ],
        },
    ],
};

const SEND: Need = Need {
    signals: &[Signal::Send],
    ways: &[
        Way {
            tier: Tier::Fentry,
            programs: &[FEXIT_SEND, FEXIT_SEND6, FEXIT_RAW, FEXIT_RAW6, FEXIT_PING, FEXIT_PING6],
            proof: &[(Signal::Send, Source::FexitSend)],
            blind: &[FRAMES, AGAIN],
        },
        // Kernels without IPv6, or with IPv6 as a module.
        Way {
            tier: Tier::Fentry,
            programs: &[FEXIT_SEND, FEXIT_RAW, FEXIT_PING],
            proof: &[(Signal::Send, Source::FexitSend)],
            blind: &[FRAMES, AGAIN, "messages over IPv6"],
        },
        Way {
            tier: Tier::Kprobe,
            programs: &[program("kprobe_send", Attach::Kprobe("security_socket_sendmsg"))],
            proof: &[(Signal::Send, Source::KprobeSend)],
            blind: &["whether the kernel took the message", FRAMES, AGAIN],
        },
        Way {
            tier: Tier::Tracepoint,
            programs: &[program("tp_send", Attach::SysExit(Slot::Send))],
            proof: &[(Signal::Send, Source::TpSend)],
            blind: &[
                "messages by io_uring",
                "of several messages in one call (sendmmsg) all but the first",
                "the address that a call named, where the process changed it before the call returned",
                FRAMES,
                AGAIN,
            ],
        },
    ],
};

const ACCEPT: Need = Need {
    signals: &[Signal::Accept],
    ways: &[
        Way {
            tier: Tier::Lsm,
            programs: &[program("lsm_accept", Attach::Lsm("sock_graft"))],
            proof: &[(Signal::Accept, Source::LsmAccept)],
            blind: ACCEPT_BLIND,
        },
        Way {
            tier: Tier::Fentry,
            programs: &[program("fentry_accept", Attach::Fentry("security_sock_graft"))],
            proof: &[(Signal::Accept, Source::FentryAccept)],
            blind: ACCEPT_BLIND,
        },
        Way {
            tier: Tier::Kprobe,
            programs: &[program("kprobe_accept", Attach::Kprobe("security_sock_graft"))],
            proof: &[(Signal::Accept, Source::KprobeAccept)],
            blind: ACCEPT_BLIND,
        },
        Way {
            tier: Tier::Tracepoint,
            programs: &[program("tp_accept", Attach::SysExit(Slot::Accept))],
            proof: &[(Signal::Accept, Source::TpAccept)],
            blind: &[
                "connections accepted over unix sockets and vsock",
                "connections accepted by io_uring",
                "a descriptor that another thread closed before the call had returned",
            ],
        },
    ],
};

const NAMES: Need = Need {
    signals: &[Signal::Names],
    ways: &[Way {
        tier: Tier::Cgroup,
        programs: &[program("skb_answer", Attach::SkbIngress), program("skb_hello", Attach::SkbEgress)],
        proof: &[(Signal::Names, Source::SkbHello)],
        blind: &[
            "answers of name servers over TCP or encrypted, and names that programs cache, or read in files",
            "names in an encrypted client hello, in one behind a first other message (STARTTLS), in QUIC",
            "what of a client hello is beyond its first packet, or 2 KiB",
            "a client hello in the very packet that opens the connection (TCP Fast Open)",
        ],
    }],
};
