//! The scenarios. Each takes a [`Place`] and says what is wrong, if anything is.

mod agent;
pub mod clients;
mod connections;
pub mod containers;
pub mod day;
mod disk;
mod evidence;
mod files;
mod findings;
mod handover;
pub mod house;
mod inventory;
mod killed;
mod noisy;
mod operate;
pub mod package;
mod processes;
mod purposes;
mod refusals;
mod replay;
mod routes;
mod scenario;
mod secrets;
mod silence;
mod together;
mod twins;
mod uses;
mod verifier;
mod written;

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket};
use serde_json::Value;

use crate::records::{Records, at, text};
use crate::{PATIENCE, Place};

/// The user `backup` of Debian, which nobody logs in as.
pub const BACKUP: u32 = 34;
/// A key id of the vendor's documentation: it opens nothing.
pub const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
/// What must never be seen again outside the file it is in.
pub const SECRET: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";

/// One scenario.
pub type Case = fn(&Place) -> Result<()>;

/// All of them, by name.
pub const CASES: [(&str, Case); 37] = [
    ("scenario", scenario::scenario),
    ("tiers", agent::tiers),
    ("outcomes", connections::outcomes),
    ("uses", uses::uses),
    ("twins", twins::twins),
    ("rename-over", files::rename_over),
    ("own-kind", files::own_kind),
    ("written", written::written),
    ("threads", processes::threads),
    ("daemon", processes::daemon),
    ("crowd", processes::crowd),
    ("signal", processes::signal),
    ("script", processes::script),
    ("inventory", inventory::inventory),
    ("findings", findings::findings),
    ("status", operate::status),
    ("reload", operate::reload),
    ("handover", handover::handover),
    ("replay", replay::replay),
    ("balance", agent::balance),
    ("flood", agent::flood),
    ("ceiling", agent::ceiling),
    ("noisy", noisy::noisy),
    ("together", together::together),
    ("doctor", agent::doctor),
    ("second-instance", agent::second_instance),
    ("evidence", evidence::evidence),
    ("killed", killed::killed),
    ("purposes", purposes::purposes),
    ("refused-hosts", refusals::hosts),
    ("refused-words", refusals::words),
    ("full-disk", refusals::full_disk),
    ("disk-fills", disk::fills),
    ("secrets", secrets::secrets),
    ("silence", silence::silence),
    ("routes", routes::routes),
    ("verifier", verifier::budget),
];

/// Those that are the same in every tier: above all what forks, executions and exits show, which are tracepoints in each. On a
/// kernel of the matrix they run once, where it boots with everything it has.
pub const ONCE: [&str; 9] =
    ["twins", "written", "threads", "signal", "script", "balance", "flood", "noisy", "doctor"];

/// Those of what the agent makes of events, and of its files and words: no kernel has a part in them. They run on this machine
/// and in one cell.
pub const ANYWHERE: [&str; 19] = [
    "together",
    "uses",
    "own-kind",
    "inventory",
    "findings",
    "second-instance",
    "evidence",
    "killed",
    "purposes",
    "status",
    "reload",
    "replay",
    "refused-hosts",
    "refused-words",
    "full-disk",
    "disk-fills",
    "secrets",
    "ceiling",
    // The package's upgrade hands over on two kernels as well.
    "handover",
];

/// Starts the acting program in the test's scope.
///
/// # Errors
/// Where it cannot be started.
pub fn act(place: &Place, steps: &[&str]) -> Result<Child> {
    acting(place, steps).spawn().context("the acting program cannot be started")
}

/// The acting program, to be started in the test's scope.
fn acting(place: &Place, steps: &[&str]) -> Command {
    let mut command = Command::new(&place.act);
    if let Some(scope) = &place.scope {
        command.arg("cgroup").arg(&scope.directory);
    }
    command.args(steps);
    command
}

/// The same, and waits for its end, which must be a success.
///
/// # Errors
/// Where it fails.
pub fn act_well(place: &Place, steps: &[&str]) -> Result<()> {
    let status = act(place, steps)?.wait()?;
    ensure!(status.success(), "the acting program ended with {status}");
    Ok(())
}

/// Waits until a program has written a file, by which it says that it serves.
fn serves(program: &mut Child, file: &Path, otherwise: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !file.exists() {
        ensure!(program.try_wait()?.is_none() && Instant::now() < deadline, "{otherwise}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
    Ok(())
}

/// A port of the loopback device that refuses: bound, and not listening.
///
/// # Errors
/// Where there is none.
pub fn refusing_port() -> Result<(OwnedFd, u16)> {
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    bind(fd.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
    let port = getsockname::<SockaddrIn>(fd.as_raw_fd())?.port();
    Ok((fd, port))
}

/// The home directory of a service account with two credentials in it, and a file that is none.
///
/// # Errors
/// Where it cannot be made.
pub fn home(directory: &Path, database_port: u16) -> Result<()> {
    fs::create_dir_all(directory.join(".aws"))?;
    let aws = format!("[default]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n");
    let pgpass = format!("127.0.0.1:{database_port}:orders:backup:{SECRET}\n");
    for (name, content) in
        [(".aws/credentials", &aws), (".pgpass", &pgpass), ("notes.txt", &"no secret\n".to_owned())]
    {
        let path = directory.join(name);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400))?;
        chown(&path, Some(BACKUP), Some(BACKUP))?;
    }
    Ok(())
}

/// Says how one of many tests went. What is wrong may have several lines.
fn verdict(place: &Place, test: &str, outcome: Result<()>) {
    match outcome {
        Ok(()) => place.say(&format!("PASS {test}")),
        Err(error) => place.say(&format!("FAIL {test}: {}", format!("{error:#}").replace('\n', "\n    "))),
    }
}

fn path(directory: &Path, name: &str) -> String {
    directory.join(name).display().to_string()
}

fn is_action(record: &Value, action: &str) -> bool {
    text(record, "type") == "action" && text(record, "action") == action
}

fn is_chain(record: &Value, status: &str) -> bool {
    text(record, "type") == "chain" && text(record, "status") == status
}

/// Waits for the end of the run of a program.
fn closed(records: &mut Records, program: &str) -> Result<Value> {
    records.wait(&format!("the closed chain of {program}"), |record| {
        is_chain(record, "closed") && text(record, "actor.id").ends_with(program)
    })
}

/// Records of one chain.
fn of_chain<'a>(records: &'a Records, chain: &str) -> Vec<&'a Value> {
    records.all.iter().filter(|record| text(record, "chain") == chain).collect()
}

/// The one action of a chain that fits.
fn one<'a>(of: &[&'a Value], action: &str, fits: impl Fn(&Value) -> bool) -> Result<&'a Value> {
    let found: Vec<&&Value> = of.iter().filter(|record| is_action(record, action) && fits(record)).collect();
    match found.as_slice() {
        [one] => Ok(one),
        found => {
            let shown: String = of.iter().map(|record| format!("  {record}\n")).collect();
            bail!("{} actions {action} where one should be, in:\n{shown}", found.len())
        }
    }
}

fn port_is(port: u16) -> impl Fn(&Value) -> bool {
    move |record| at(record, "destination.port").as_u64() == Some(port.into())
}
