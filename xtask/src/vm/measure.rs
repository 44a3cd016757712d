//! Guests that are measured in, and test nothing.

use std::fs;

use anyhow::{Context, Result, bail};

use super::matrix::{Boot, Matrix};
use super::{archive, boot, debian, pack, prepare, remove};
use crate::sh::step;
use crate::{ablation, build, paths, probes};

/// What is asked of guests that are measured in, beside what they always do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Techniques of the probes: for each, an agent without it takes turns.
    pub(crate) without: Vec<&'static str>,
    /// Who watches, with commas between them.
    pub(crate) collectors: Option<String>,
    /// What work is done, with commas between the pieces.
    pub(crate) work: Option<String>,
    /// How often each comes.
    pub(crate) visits: Option<u32>,
}

impl Asked {
    /// The words of the kernel's command line that tell a guest.
    pub(super) fn words(&self) -> String {
        let without = (!self.without.is_empty()).then(|| self.without.join(","));
        let words = [
            ("without", without),
            ("collectors", self.collectors.clone()),
            ("work", self.work.clone()),
            ("visits", self.visits.map(|visits| visits.to_string())),
        ];
        let words = words.into_iter().filter_map(|(name, value)| Some(format!(" spoor.{name}={}", value?)));
        words.collect()
    }
}

/// Boots the cells that are measured in, one after the other; gives the console of each.
pub(crate) fn measured(cells: &[String], growth: bool, asked: &Asked) -> Result<Vec<(String, String)>> {
    let mut boots = Matrix::read()?.measured(cells, growth)?;
    boots.iter_mut().for_each(|boot| boot.asked = asked.words());
    consoles(&boots, "by instructions; it takes a quarter of an hour", &asked.without)
}

/// Boots the cell that is measured in over time, for so many minutes of its work; gives its console.
pub(crate) fn soaked(minutes: u32) -> Result<Vec<(String, String)>> {
    let mut boots = Matrix::read()?.soaked()?;
    boots.iter_mut().for_each(|boot| boot.minutes = Some(minutes));
    consoles(&boots, &format!("for {minutes} minutes"), &[])
}

/// Boots the cell that has an ordinary day, on which auditd looks on, too; gives its console. What is recorded is not kept.
pub(crate) fn beside_auditd() -> Result<Vec<(String, String)>> {
    let mut boot = Matrix::read()?.day()?;
    boot.asked = " spoor.beside=auditd".to_owned();
    consoles(&[boot], "beside auditd; it takes some minutes", &[])
}

fn consoles(boots: &[Boot], how: &str, without: &[&str]) -> Result<Vec<(String, String)>> {
    for boot in boots {
        debian::possible(boot.cell.system, &boot.name())?;
    }
    prepare(boots, false)?;
    let beside = ablation::agents(without)?;
    let object = probes::ensure()?;
    let agent = build::agent_with(&object, &paths::static_target())?;
    let name = "initramfs";
    let packed = pack(boots, (&agent, &beside), &object, name)?;
    let mut said = Vec::new();
    for boot in boots {
        step!("vm: measuring in {}, {how}", boot.name());
        let outcome = boot::boot(boot, &archive(name, boot), "")?;
        let reasons = outcome.report.reasons(&boot.cell.skips);
        if !reasons.is_empty() {
            bail!("{}: {}\n{}", boot.name(), reasons.join("\n"), boot::tail(&outcome.log));
        }
        let log = fs::read(&outcome.log).with_context(|| format!("cannot read {}", outcome.log.display()))?;
        said.push((boot.name(), String::from_utf8_lossy(&log).into_owned()));
    }
    remove(&packed)?;
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_told_what_is_asked_and_nothing_else() {
        assert_eq!(Asked::default().words(), "");
        let asked = Asked {
            without: vec!["sieve", "lanes"],
            collectors: Some("nobody,spoor".to_owned()),
            work: None,
            visits: Some(2),
        };
        assert_eq!(asked.words(), " spoor.without=sieve,lanes spoor.collectors=nobody,spoor spoor.visits=2");
    }
}
