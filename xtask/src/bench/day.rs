//! `bench day`: what an ordinary day takes on the disk, as the agent stores it and as auditd logs it, which look on together.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::number;
use crate::vm;

/// What the guest says.
#[derive(Debug, Deserialize)]
struct Day {
    spoor: Spoor,
    auditd: Auditd,
}

#[derive(Debug, Deserialize)]
struct Spoor {
    /// Of the store's files.
    bytes: u64,
    /// What `spoor replay` says of the capture.
    replay: String,
}

#[derive(Debug, Deserialize)]
struct Auditd {
    /// Of its log.
    bytes: u64,
    exec: u64,
    connect: u64,
    secret: u64,
    lost: u64,
}

pub(super) fn main(args: &[String]) -> Result<ExitCode> {
    let consoles = match args {
        [] => vm::beside_auditd()?,
        [from, log] if from == "--from" => {
            let said = std::fs::read_to_string(log).with_context(|| format!("cannot read {log}"))?;
            vec![(log.clone(), said)]
        }
        _ => anyhow::bail!("usage: bench day [--from LOG]"),
    };
    for (from, said) in consoles {
        let day: Day = super::figures(&said).next().with_context(|| format!("{from} says no figures"))??;
        println!("{}", table(&day)?);
    }
    Ok(ExitCode::SUCCESS)
}

fn table(day: &Day) -> Result<String> {
    let Day { spoor, auditd } = day;
    ensure!(spoor.bytes > 0, "the agent stored nothing");
    Ok(format!(
        "{}\n\n| | bytes | |\n|---|---|---|\n| auditd's log | {} | {} executions, {} connections, {} acts with credentials; {} lost |\n\
         | the agent's store | {} | 1/{:.1} |",
        spoor.replay,
        auditd.bytes,
        auditd.exec,
        auditd.connect,
        auditd.secret,
        auditd.lost,
        spoor.bytes,
        number(auditd.bytes) / number(spoor.bytes),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_told_in_bytes_and_as_a_ratio() {
        let line = "[ 1] spoor-bench: {\"spoor\":{\"bytes\":200,\"replay\":\"10 events\"},\"auditd\":\
            {\"bytes\":7000,\"exec\":3,\"connect\":2,\"secret\":1,\"lost\":0}}";
        let day: Day = super::super::figures(line).next().unwrap().unwrap();
        let table = table(&day).unwrap();
        assert!(table.starts_with("10 events\n"), "{table}");
        assert!(table.contains(
            "| auditd's log | 7000 | 3 executions, 2 connections, 1 acts with credentials; 0 lost |"
        ));
        assert!(table.ends_with("| the agent's store | 200 | 1/35.0 |"), "{table}");
        assert!(super::table(&Day { spoor: Spoor { bytes: 0, ..day.spoor }, ..day }).is_err());
    }
}
