//! Keys of the kernel's key rings.

use spoor_wire::Source;

use super::{Attach, Need, Program, Signal, Slot, Tier, Way, program};

const BEFORE: &str = "keys that a process used before the agent started";
const INSIDE: &str = "keys that the kernel uses for a process without handing them out: signing, disk encryption, network file \
                      systems";

/// What is attached for it. No security module is asked: the kernel asks them before the outcome, and not when a key is made.
pub(super) const NEEDS: &[Need] = &[Need {
    signals: &[Signal::Key],
    ways: &[
        Way {
            tier: Tier::Fentry,
            programs: &[
                FEXIT_KEYCTL,
                FEXIT_ADD_KEY,
                FEXIT_REQUEST_KEY,
                program("fexit_keyctl32", Attach::Fexit("__ia32_compat_sys_keyctl")),
                program("fexit_add_key32", Attach::Fexit("__ia32_sys_add_key")),
                program("fexit_request_key32", Attach::Fexit("__ia32_sys_request_key")),
            ],
            proof: &[(Signal::Key, Source::FexitKey)],
            blind: &[BEFORE, INSIDE],
        },
        // A kernel that runs no 32-bit programs.
        Way {
            tier: Tier::Fentry,
            programs: &[FEXIT_KEYCTL, FEXIT_ADD_KEY, FEXIT_REQUEST_KEY],
            proof: &[(Signal::Key, Source::FexitKey)],
            blind: &[BEFORE, INSIDE],
        },
        Way {
            tier: Tier::Kprobe,
            programs: &[
                program("kprobe_keyctl", Attach::Kprobe("__x64_sys_keyctl")),
                program("kprobe_add_key", Attach::Kprobe("__x64_sys_add_key")),
                program("kprobe_request_key", Attach::Kprobe("__x64_sys_request_key")),
                program("kretprobe_keyctl", Attach::Kretprobe("__x64_sys_keyctl")),
                program("kretprobe_add_key", Attach::Kretprobe("__x64_sys_add_key")),
                program("kretprobe_request_key", Attach::Kretprobe("__x64_sys_request_key")),
                program("kprobe_keyctl32", Attach::Kprobe("__ia32_compat_sys_keyctl")),
                program("kprobe_add_key32", Attach::Kprobe("__ia32_sys_add_key")),
                program("kprobe_request_key32", Attach::Kprobe("__ia32_sys_request_key")),
                program("kretprobe_keyctl32", Attach::Kretprobe("__ia32_compat_sys_keyctl")),
                program("kretprobe_add_key32", Attach::Kretprobe("__ia32_sys_add_key")),
                program("kretprobe_request_key32", Attach::Kretprobe("__ia32_sys_request_key")),
            ],
            proof: &[(Signal::Key, Source::KretprobeKey)],
            blind: &[BEFORE, INSIDE],
        },
        Way {
            tier: Tier::Tracepoint,
            programs: &[program("tp_key", Attach::SysExit(Slot::Key))],
            proof: &[(Signal::Key, Source::TpKey)],
            blind: &[BEFORE, INSIDE],
        },
    ],
}];

const FEXIT_KEYCTL: Program = program("fexit_keyctl", Attach::Fexit("__x64_sys_keyctl"));
const FEXIT_ADD_KEY: Program = program("fexit_add_key", Attach::Fexit("__x64_sys_add_key"));
const FEXIT_REQUEST_KEY: Program = program("fexit_request_key", Attach::Fexit("__x64_sys_request_key"));
