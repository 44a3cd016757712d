//! `bench`: what the agent costs, measured by the test crate's own programs.

mod day;
mod growth;
mod overhead;
mod plot;
mod soak;
mod statistics;

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

use crate::sh::{Cmd, step};
use crate::{build, paths, probes, receivers};

/// What a guest's lines of figures begin with.
const MARK: &str = "spoor-bench: ";

/// The figures in a console, each a line of JSON.
fn figures<T: DeserializeOwned>(console: &str) -> impl Iterator<Item = Result<T>> {
    let lines = console.lines().filter_map(|line| Some(line.split_once(MARK)?.1.trim()));
    lines.map(|json| serde_json::from_str(json).with_context(|| format!("{json:?}")))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn number(count: u64) -> f64 {
    count as f64
}

pub(crate) const ABOUT: &str = "Runs the measurements (program `bench` of the test crate; root)\n\n\
    stages  only what needs no kernel and no root: from a sample to its event, through the stages, to a record\n\
    latency only how long it takes from an opened credential to its record in a file, and memory before and after\n    \
    busy    only what a running agent takes of a core for each act, where acts follow one another\n    \
    sinks [quick]  only encoders and sinks, on one core, beside rsyslog and syslog-ng, for docs/PERFORMANCE.md; no root\n\
    overhead [CELL...]  only what it costs the programs it watches, beside nobody and beside auditd, in guests whose clock\n            \
    counts instructions, for docs/PERFORMANCE.md; root once, to make the guest. --from CELL LOG prints the tables of a run before;\n            \
    --without NAME[,NAME...]  beside an agent, too, whose probes do without a technique: batching (each sample wakes the reader),\n            \
    filter (each opening is told, the agent decides), sieve (each opening goes through the rules), lanes (one ring for all),\n            \
    told-once (each reading and sending is told);\n            \
    --collectors NAME[,NAME...]  of nobody, hooks, spoor, auditd and laurel only these; --work NAME[,NAME...]  only this work;\n            \
    --visits N  so many of each, where three are not what is wanted\n\
    growth  only what it costs beside more and more credentials, processes and CPUs, as tables and the plots of docs/performance:\n            \
    in such a guest, and under valgrind; --from LOG draws a run of the guest before, `stages` leaves the guest out\n\
    soak [MINUTES]  only whether anything grows or drifts where processes come and go, in a guest: 10 minutes of it, a table and plots;\n            \
    red where something does; --from LOG judges a run before\n    \
    day     only what an ordinary day of a Debian takes on the disk, beside auditd's log of the same, in a guest: some minutes;\n            \
    --from LOG prints the table of a run before\n    \
    flood [ACTS...]  only what a running agent reads and loses of floods, at paces up to twice its ceiling: of connections, openings,\n            \
    forks and executions, or of those that are named\n\
    Other arguments are handed on to it.";

pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    match args.split_first() {
        Some((first, rest)) if first == "sinks" => return sinks(rest),
        Some((first, rest)) if first == "overhead" => return overhead::main(rest),
        Some((first, rest)) if first == "growth" => return growth::main(rest),
        Some((first, rest)) if first == "day" => return day::main(rest),
        Some((first, rest)) if first == "soak" => return soak::main(rest),
        _ => {}
    }
    let object = probes::ensure()?;
    let busy = args == ["busy"] || args == ["latency"] || args.first().is_some_and(|first| first == "flood");
    if !busy {
        step!("bench: spoor, stages");
        Cmd::cargo()
            .args(["bench", "--quiet", "-p", "spoor", "--bench", "stages"])
            .env(build::PROBES_ENV, &object)
            .run()?;
    }
    if args == ["stages"] {
        return Ok(ExitCode::SUCCESS);
    }
    let binary = build::agent_with(&object, &paths::static_target())?;
    step!("bench: spoor-tests");
    Cmd::cargo()
        .args(["run", "--release", "-p", "spoor-tests", "--features", "live", "--bin", "bench", "--"])
        .args(args)
        .env(build::PROBES_ENV, &object)
        .env(build::BINARY_ENV, binary)
        .advice("the measurements need root and a kernel that spoor supports")
        .run()?;
    if busy {
        return Ok(ExitCode::SUCCESS);
    }
    // What the library costs by itself: the same wherever it runs, so no guest and no root is needed.
    build::static_bench(&paths::static_target())
        .args(["-p", "spoor", "--bench", "actors"])
        .env(build::PROBES_ENV, object)
        .run()?;
    Ok(ExitCode::SUCCESS)
}

/// What no probe takes part in.
fn sinks(args: &[String]) -> Result<ExitCode> {
    let receivers = receivers::ensure()?;
    step!("bench: spoor, sinks");
    Cmd::cargo()
        .args(["bench", "--quiet", "-p", "spoor", "--bench", "sinks", "--"])
        .args(args)
        .env(receivers::ENV, receivers)
        .run()?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_help_names_every_technique() {
        for technique in crate::ablation::TECHNIQUES {
            assert!(super::ABOUT.contains(&format!("{technique} (")), "{technique}");
        }
    }
}
