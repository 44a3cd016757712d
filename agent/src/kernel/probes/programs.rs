//! Processes: made, running, ended, and who they are.

use spoor_wire::Source;

use super::{Attach, Need, Program, Signal, Slot, Tier, Way, program};

/// What is attached for it.
pub(super) const NEEDS: &[Need] = &[
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
            blind: &["arguments beyond 4 KiB"],
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
        signals: &[Signal::ExecFailed],
        ways: &[
            Way {
                tier: Tier::Fentry,
                programs: &[
                    FEXIT_EXECVE,
                    FEXIT_EXECVEAT,
                    program("fexit_execve32", Attach::Fexit("__ia32_compat_sys_execve")),
                    program("fexit_execveat32", Attach::Fexit("__ia32_compat_sys_execveat")),
                ],
                proof: &[(Signal::ExecFailed, Source::FexitExec)],
                blind: &["names beyond 511 bytes"],
            },
            // A kernel that runs no 32-bit programs.
            Way {
                tier: Tier::Fentry,
                programs: &[FEXIT_EXECVE, FEXIT_EXECVEAT],
                proof: &[(Signal::ExecFailed, Source::FexitExec)],
                blind: &["names beyond 511 bytes"],
            },
            Way {
                tier: Tier::Kprobe,
                programs: &[
                    program("kprobe_execve", Attach::Kprobe("__x64_sys_execve")),
                    program("kprobe_execveat", Attach::Kprobe("__x64_sys_execveat")),
                    program("kretprobe_execve", Attach::Kretprobe("__x64_sys_execve")),
                    program("kretprobe_execveat", Attach::Kretprobe("__x64_sys_execveat")),
                    program("kprobe_execve32", Attach::Kprobe("__ia32_compat_sys_execve")),
                    program("kprobe_execveat32", Attach::Kprobe("__ia32_compat_sys_execveat")),
                    program("kretprobe_execve32", Attach::Kretprobe("__ia32_compat_sys_execve")),
                    program("kretprobe_execveat32", Attach::Kretprobe("__ia32_compat_sys_execveat")),
                ],
                proof: &[(Signal::ExecFailed, Source::KretprobeExec)],
                blind: &["names beyond 511 bytes"],
            },
            Way {
                tier: Tier::Tracepoint,
                programs: &[program("tp_exec_failed", Attach::SysExit(Slot::Exec))],
                proof: &[(Signal::ExecFailed, Source::TpExecFailed)],
                blind: &["names beyond 511 bytes"],
            },
        ],
    },
    Need {
        signals: &[Signal::Identity],
        ways: &[
            Way {
                tier: Tier::Fentry,
                programs: &[
                    program("fentry_creds", Attach::Fentry("commit_creds")),
                    program("fentry_namespaces", Attach::Fentry("switch_task_namespaces")),
                ],
                proof: &[
                    (Signal::Identity, Source::FentryCreds),
                    (Signal::Identity, Source::FentryNamespaces),
                ],
                blind: &[],
            },
            Way {
                tier: Tier::Kprobe,
                programs: &[
                    program("kprobe_creds", Attach::Kprobe("commit_creds")),
                    program("kprobe_namespaces", Attach::Kprobe("switch_task_namespaces")),
                ],
                proof: &[
                    (Signal::Identity, Source::KprobeCreds),
                    (Signal::Identity, Source::KprobeNamespaces),
                ],
                blind: &[],
            },
            Way {
                tier: Tier::Tracepoint,
                programs: &[program("tp_creds", Attach::SysExit(Slot::Creds))],
                proof: &[(Signal::Identity, Source::TpCreds)],
                blind: &[
                    "changes by key rings, and of one thread alone",
                    "saved users and effective groups; of capabilities and namespaces, what was before",
                ],
            },
        ],
    },
];

const FEXIT_EXECVE: Program = program("fexit_execve", Attach::Fexit("__x64_sys_execve"));
const FEXIT_EXECVEAT: Program = program("fexit_execveat", Attach::Fexit("__x64_sys_execveat"));
