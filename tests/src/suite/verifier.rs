//! What the kernel's verifier makes of the probes.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::Place;
use crate::records::at;

/// The first kernel that says how many instructions it walked.
const COUNTS_SINCE: (u32, u32) = (5, 16);

/// `tests/budget.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    /// The most instructions the verifier may walk in a program that is not named.
    any: u64,
    /// In one that is.
    programs: BTreeMap<String, u64>,
}

impl Budget {
    /// The one of the repository. It goes with the binary, since a guest has no files of ours.
    fn read() -> Result<Self> {
        toml::from_str(include_str!("../../budget.toml")).context("tests/budget.toml")
    }

    /// Every program that is over its ceiling.
    fn exceeded(&self, walked: &[(String, u64)]) -> Vec<String> {
        let wrong = |(program, count): &(String, u64)| {
            let ceiling = self.programs.get(program).copied().unwrap_or(self.any);
            (*count > ceiling)
                .then(|| format!("{program} walks {count}, above {ceiling} (tests/budget.toml)"))
        };
        walked.iter().filter_map(wrong).collect()
    }
}

/// Each program is accepted, at a cost that leaves room: what comes near the kernel's limit on one is refused by the next.
pub(super) fn budget(place: &Place) -> Result<()> {
    let mut command = Command::new(&place.spoor);
    command.args(["doctor", "--json"]);
    if !place.forced.is_empty() {
        command.arg("--tiers").arg(place.forced.join(","));
    }
    let output = command.output()?;
    let said = || String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "the doctor ended with {}: {}", output.status, said());
    let findings: Value = serde_json::from_slice(&output.stdout).context("the doctor's JSON")?;
    let counts = at(&findings, "verified_instructions").as_object().context("no counts")?;
    let walked: Vec<(String, u64)> =
        counts.iter().filter_map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let tells = version(&release).context("a release without a number")? >= COUNTS_SINCE;
    ensure!(walked.is_empty() != tells, "kernel {} and {} counts", release.trim(), walked.len());
    for (program, count) in &walked {
        place.say(&format!("VERIFIED {program} {count}"));
    }
    let exceeded = Budget::read()?.exceeded(&walked);
    ensure!(exceeded.is_empty(), "{}", exceeded.join("\n"));
    Ok(())
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_over_its_ceiling_is_named() {
        Budget::read().unwrap();
        let budget = Budget { any: 5, programs: BTreeMap::from([("a".to_owned(), 10)]) };
        let walked = |name: &str, count| [(name.to_owned(), count)];
        assert!(budget.exceeded(&walked("a", 10)).is_empty());
        assert_eq!(budget.exceeded(&walked("a", 11)), ["a walks 11, above 10 (tests/budget.toml)"]);
        assert!(budget.exceeded(&walked("b", 5)).is_empty());
        assert_eq!(budget.exceeded(&walked("b", 6)).len(), 1);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(version("6.1.0-50-cloud-amd64\n") >= Some(COUNTS_SINCE));
        assert!(version("5.10.0-46") < Some(COUNTS_SINCE));
        assert_eq!(version("x"), None);
    }
}
