//! Processes: made, running, ended, and who they are.

use spoor_wire::Source;

use super::{Attach, Need, Signal, Tier, Way, program};

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
];
