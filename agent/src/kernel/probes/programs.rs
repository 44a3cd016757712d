//! Processes: made, running, ended, and who they are.

use spoor_wire::Source;

use super::{Attach, Need, Program, Signal, Slot, Tier, Way, program};

const FORKED: Attach = Attach::TpBtf("sched_process_fork");
const EXECUTED: Attach = Attach::TpBtf("sched_process_exec");
const EXITED: Attach = Attach::TpBtf("sched_process_exit");

/// What is attached for it.
pub(super) const NEEDS: &[Need] = &[
    Need {
        signals: &[Signal::Fork],
        ways: &[Way {
            tier: Tier::Tracepoint,
            programs: &[program("tp_fork", FORKED), program("tp_fork_again", FORKED)],
            proof: &[(Signal::Fork, Source::TpFork)],
            blind: &[],
        }],
    },
    Need {
        signals: &[Signal::Exec],
        ways: &[Way {
            tier: Tier::Tracepoint,
            programs: &[program("tp_exec", EXECUTED), program("tp_exec_again", EXECUTED)],
            proof: &[(Signal::Exec, Source::TpExec)],
            blind: &[
                "arguments beyond 4 KiB",
                "secrets in the environment of a process that ended within milliseconds, unless its maker had them",
            ],
        }],
    },
    Need {
        signals: &[Signal::Exit],
        ways: &[Way {
            tier: Tier::Tracepoint,
            programs: &[program("tp_exit", EXITED), program("tp_exit_again", EXITED)],
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
    Need { signals: &[Signal::Identity], ways: IDENTITY },
];

const FEXIT_EXECVE: Program = program("fexit_execve", Attach::Fexit("__x64_sys_execve"));
const FEXIT_EXECVEAT: Program = program("fexit_execveat", Attach::Fexit("__x64_sys_execveat"));

const FENTRY_CREDS: Program = program("fentry_creds", Attach::Fentry("commit_creds"));
const FENTRY_NAMESPACES: Program = program("fentry_namespaces", Attach::Fentry("switch_task_namespaces"));
const FENTRY_END: &str = "fentry_end_namespaces";
const KPROBE_CREDS: Program = program("kprobe_creds", Attach::Kprobe("commit_creds"));
const KPROBE_NAMESPACES: Program = program("kprobe_namespaces", Attach::Kprobe("switch_task_namespaces"));
const KPROBE_END: &str = "kprobe_end_namespaces";

/// What gives up the namespaces of a task that ends, until 6.18 and since.
const END: &str = "exit_task_namespaces";
const END_LATER: &str = "exit_nsproxy_namespaces";

const FENTRY_ENDS: &[(Signal, Source)] =
    &[(Signal::Identity, Source::FentryCreds), (Signal::Identity, Source::FentryEndNamespaces)];
const KPROBE_ENDS: &[(Signal, Source)] =
    &[(Signal::Identity, Source::KprobeCreds), (Signal::Identity, Source::KprobeEndNamespaces)];

/// Builds of one kernel differ in whether the end of a task still calls `switch_task_namespaces`, or has a copy of it
/// inside. The end is all that a canary without privileges can do.
const UNPROVEN: &[&str] =
    &["that new namespaces show is not proven: the canary can only end, for which this build of the kernel \
                            goes another way"];

const IDENTITY: &[Way] = &[
    Way {
        tier: Tier::Fentry,
        programs: &[FENTRY_CREDS, FENTRY_NAMESPACES],
        proof: &[(Signal::Identity, Source::FentryCreds), (Signal::Identity, Source::FentryNamespaces)],
        blind: &[],
    },
    Way {
        tier: Tier::Fentry,
        programs: &[FENTRY_CREDS, FENTRY_NAMESPACES, program(FENTRY_END, Attach::Fentry(END))],
        proof: FENTRY_ENDS,
        blind: UNPROVEN,
    },
    Way {
        tier: Tier::Fentry,
        programs: &[FENTRY_CREDS, FENTRY_NAMESPACES, program(FENTRY_END, Attach::Fentry(END_LATER))],
        proof: FENTRY_ENDS,
        blind: UNPROVEN,
    },
    Way {
        tier: Tier::Kprobe,
        programs: &[KPROBE_CREDS, KPROBE_NAMESPACES],
        proof: &[(Signal::Identity, Source::KprobeCreds), (Signal::Identity, Source::KprobeNamespaces)],
        blind: &[],
    },
    Way {
        tier: Tier::Kprobe,
        programs: &[KPROBE_CREDS, KPROBE_NAMESPACES, program(KPROBE_END, Attach::Kprobe(END))],
        proof: KPROBE_ENDS,
        blind: UNPROVEN,
    },
    Way {
        tier: Tier::Kprobe,
        programs: &[KPROBE_CREDS, KPROBE_NAMESPACES, program(KPROBE_END, Attach::Kprobe(END_LATER))],
        proof: KPROBE_ENDS,
        blind: UNPROVEN,
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
];
