//! The rpm's life, by rpm itself, under systemd. The host is a Debian, so what the package needs is not asked.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::life::STORE;
use super::{Before, CONFIG, property, shell};

/// Debian's rpm wants to be told that it is meant.
const RPM: &str = "rpm --force-debian --nodeps --nosignature";
const OLD: &str = "/spoor/spoor_1.rpm";
const NEW: &str = "/spoor/spoor_2.rpm";

/// Installed, upgraded to an agent that takes over, taken back, switched off, erased: each leaves the host as it should.
pub(super) fn life() -> Result<()> {
    shell(&format!("{RPM} --install {OLD} && systemctl enable --now spoor.service"))?;
    ensure!(property("ActiveState")? == "active", "it does not run");
    let config = fs::read_to_string(CONFIG)? + "# ours\n";
    fs::write(CONFIG, &config)?;
    for (words, package) in [("--upgrade", NEW), ("--upgrade --oldpackage", OLD)] {
        let agent = Before::look()?;
        shell(&format!("{RPM} {words} {package}"))?;
        agent.is_relieved().context(words)?;
        ensure!(fs::read_to_string(CONFIG)? == config, "{words}: the config is another one");
    }
    shell("spoor verify")?;
    shell(&format!("systemctl stop spoor.service; {RPM} --upgrade {NEW}"))?;
    let state = property("ActiveState")?;
    ensure!(state == "inactive", "an upgrade left what was stopped {state}");
    shell("systemctl start spoor.service")?;
    let agent = Before::look()?;
    shell(&format!("{RPM} --erase spoor"))?;
    agent.is_removed()?;
    ensure!(fs::read_to_string(format!("{CONFIG}.rpmsave"))? == config, "the changed config is gone");
    ensure!(Path::new(STORE).join("fingerprint.key").exists(), "the evidence is gone");
    Ok(())
}
