//! Guests that are measured in, and test nothing.

use std::fs;

use anyhow::{Context, Result, bail};

use super::matrix::{Boot, Matrix};
use super::{archive, boot, debian, pack, prepare, remove};
use crate::sh::step;
use crate::{build, paths, probes};

/// Boots the cells that are measured in, one after the other; gives the console of each.
pub(crate) fn measured(cells: &[String], growth: bool) -> Result<Vec<(String, String)>> {
    let boots = Matrix::read()?.measured(cells, growth)?;
    consoles(&boots, "by instructions; it takes a quarter of an hour")
}

/// Boots the cell that is measured in over time, for so many minutes of its work; gives its console.
pub(crate) fn soaked(minutes: u32) -> Result<Vec<(String, String)>> {
    let mut boots = Matrix::read()?.soaked()?;
    boots.iter_mut().for_each(|boot| boot.minutes = Some(minutes));
    consoles(&boots, &format!("for {minutes} minutes"))
}

fn consoles(boots: &[Boot], how: &str) -> Result<Vec<(String, String)>> {
    for boot in boots {
        debian::possible(boot.cell.system, &boot.name())?;
    }
    prepare(boots, false)?;
    let object = probes::ensure()?;
    let agent = build::agent_with(&object, &paths::static_target())?;
    let name = "initramfs";
    let packed = pack(boots, &agent, &object, name)?;
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
