//! auditd looks on, too: what it writes of the same day, beside what the agent stores.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::records::stored_bytes;
use crate::{Place, auditd};

/// The credentials of this house: read, written, changed. The agent's catalogue has many more.
const CREDENTIALS: [&str; 14] = [
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/restic",
    "/etc/shop",
    "/etc/ssl/private",
    "/etc/nginx/htpasswd",
    "/root/.ssh",
    "/home/alice/.pgpass",
    "/home/alice/.ssh",
    "/home/reporter/.netrc",
    "/home/vault/.ssh",
    "/var/lib/monitor/.pgpass",
    "/var/lib/postgresql/.pgpass",
    "/var/lib/scrape/.netrc",
];
/// Of a directory with much else in it.
const HOST_KEYS: &str = "/etc/ssh";

pub(super) fn start() -> Result<Child> {
    let mut rules = auditd::RULES.to_owned();
    for credential in CREDENTIALS {
        rules.push_str(&format!("-w {credential} -p rwa -k secret\n"));
    }
    for entry in fs::read_dir(HOST_KEYS)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with("_key") {
            rules.push_str(&format!("-w {} -p rwa -k secret\n", path.display()));
        }
    }
    auditd::start(&rules, false)
}

/// Ends it; what it told, and what it lost.
pub(super) fn stop(child: Child) -> Result<Value> {
    let lost = auditd::lost()?;
    auditd::ctl(&["-D"])?;
    auditd::ctl(&["-e", "0"])?;
    let mut told = auditd::end(child)?;
    told["lost"] = lost.into();
    Ok(told)
}

/// Replays the capture into a store, and says what both came to.
pub(super) fn say(place: &Place, capture: &Path, auditd: &Value) -> Result<()> {
    let store = place.work.join("day-store");
    let replay = Command::new(&place.spoor).arg("replay").arg(capture).arg("--store").arg(&store).output()?;
    ensure!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stderr));
    let said = String::from_utf8_lossy(&replay.stdout);
    let said = said.lines().find(|line| line.contains(" events")).unwrap_or_default().trim();
    println!(
        "spoor-bench: {}",
        json!({ "spoor": { "bytes": stored_bytes(&store)?, "replay": said }, "auditd": auditd })
    );
    Ok(())
}
