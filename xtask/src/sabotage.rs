//! `sabotage`: a test of the tests. Each probe in turn is made deaf, and the tests must notice.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::probes::LeftOut;
use crate::sh::step;
use crate::vm::{self, Report};
use crate::{build, paths, probes};

pub(crate) const ABOUT: &str = "Mutes one probe at a time and demands that the tests go red\n\n\
    PROBE is one of sched_process_fork, sched_process_exec, sched_process_exit, file_open, socket_connect,\n\
    inet_sock_set_state, connect_return, sendmsg, sock_graft, dns_answer, tls_hello, file_receive, file_permission,\n\
    unix_stream_connect, ptrace_access_check, execve_return, commit_creds, keyctl, path_rename; none means all. Each\n\
    is one boot of --cell (default 6.12-lsm). A boot that times out or breaks is not the right red: a test must say FAIL.";

const PROBES: &[&str] = &[
    "sched_process_fork",
    "sched_process_exec",
    "sched_process_exit",
    "file_open",
    "socket_connect",
    "inet_sock_set_state",
    "connect_return",
    "sendmsg",
    "sock_graft",
    "dns_answer",
    "tls_hello",
    "file_receive",
    "file_permission",
    "unix_stream_connect",
    "ptrace_access_check",
    "execve_return",
    "commit_creds",
    "keyctl",
    "path_rename",
];
const CELL: &str = "6.12-lsm";

pub(crate) fn main(args: &[String]) -> Result<ExitCode> {
    let (chosen, cell) = parse(args)?;
    let mut rows = Vec::new();
    for probe in chosen {
        let start = Instant::now();
        let verdict = muted(probe, &cell).and_then(|report| judge(&report));
        let seconds = start.elapsed().as_secs();
        let (word, text) = match &verdict {
            Ok(tests) => ("noticed", format!("by {tests}")),
            Err(error) => ("UNNOTICED", format!("{error:#}")),
        };
        rows.push((verdict.is_ok(), format!("{probe:<22} {word:<10} {seconds:>4} s  {text}")));
    }
    for (_, row) in &rows {
        println!("{row}");
    }
    Ok(if rows.iter().all(|(good, _)| *good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn parse(args: &[String]) -> Result<(Vec<&'static str>, String)> {
    let (mut chosen, mut cell) = (Vec::new(), CELL.to_owned());
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if arg == "--cell" {
            rest.next().context("--cell wants the name of a cell")?.clone_into(&mut cell);
        } else {
            let known = PROBES.iter().find(|probe| *probe == arg);
            chosen.push(
                *known
                    .with_context(|| format!("there is no probe {arg}; there are {}", PROBES.join(", ")))?,
            );
        }
    }
    if chosen.is_empty() {
        chosen.extend(PROBES);
    }
    Ok((chosen, cell))
}

/// Builds and boots with one probe muted. The good object, agent and their build folders are not touched.
fn muted(probe: &str, cell: &str) -> Result<Report> {
    step!("sabotage: {probe}");
    let object = probes::build(LeftOut::Probe(probe))?;
    let agent = build::agent_with(&object, &paths::target().join("static-muted"))?;
    let (report, _) = vm::with_agent(cell, &agent, &object, &format!("muted-{probe}"))?;
    Ok(report)
}

/// The tests that noticed; an error when none did, or when the boot's verdicts are not to be trusted.
fn judge(report: &Report) -> Result<String> {
    let broken = report.broken();
    if !broken.is_empty() {
        bail!("the wrong red: {}", broken.join(", "));
    }
    if report.failed.is_empty() {
        bail!(
            "{} tests passed without this probe: it needs a test that fails without it",
            report.passed.len()
        );
    }
    let names: Vec<&str> = report.failed.iter().map(|(name, _)| name.as_str()).collect();
    Ok(names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failing_test_is_the_right_red() {
        let report = |log: &str| Report::exited(log);
        let noticed = "spoor-guest: FAIL open: not seen\nspoor-guest: PASS exec\nspoor-guest: DONE\n";
        assert_eq!(judge(&report(noticed)).unwrap(), "open");
        assert!(judge(&report("spoor-guest: PASS open\nspoor-guest: DONE\n")).is_err(), "nobody noticed");
        assert!(judge(&report("spoor-guest: FAIL open: not seen\n")).is_err(), "the guest stopped half way");
        assert!(
            judge(&report("spoor-guest: FAIL a: b\nspoor-guest: DONE\nKernel panic - not syncing\n"))
                .is_err()
        );
    }

    #[test]
    fn the_help_names_every_probe() {
        for probe in PROBES {
            assert!(ABOUT.contains(probe), "{probe}");
        }
    }

    #[test]
    fn probes_and_cell_are_chosen() {
        let parse = |args: &[&str]| parse(&args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>());
        assert_eq!(parse(&[]).unwrap(), (PROBES.to_vec(), CELL.to_owned()));
        assert_eq!(
            parse(&["file_open", "--cell", "5.10-lsm"]).unwrap(),
            (vec!["file_open"], "5.10-lsm".to_owned())
        );
        assert!(parse(&["file_opne"]).is_err());
        assert!(parse(&["--cell"]).is_err());
    }
}
