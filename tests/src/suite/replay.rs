//! What is captured on a kernel, and the records that are made of it again, elsewhere.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{BACKUP, SECRET, act_well, home, is_action, path};
use crate::agent::Agent;
use crate::records::text;
use crate::{PATIENCE, Place};

/// Every record of an agent is made again, byte by byte, by a user who sees nothing of this host; and what `spoor record`
/// captures beside an agent's store shows the same acts.
pub(super) fn replay(place: &Place) -> Result<()> {
    let directory = place.directory("replay")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let to = format!("127.0.0.1:{}", listener.local_addr()?.port());
    home(&directory, 1)?;
    let program = directory.join("captured");
    place.program(&program)?;
    let capture = directory.join("run.spoor");
    let steps = steps(&directory, &program, &to);
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();

    let mut agent = Agent::start_with(place, "replay", "", &["--capture", &path(&directory, "run.spoor")])?;
    act_well(place, &steps)?;
    agent.records.wait("the end of the job", |r| {
        is_action(r, "exit") && text(r, "process.exe").ends_with("/captured")
    })?;
    let records = agent.directory.join("records.jsonl");
    let (ended, _) = agent.stop()?;
    ensure!(ended.success(), "the agent ended with {ended}");
    same(place, &capture, &fs::read_to_string(records)?)?;
    harmless(&capture)?;

    let beside = directory.join("beside.spoor");
    let mut recorder = record(place, &directory, &beside)?;
    act_well(place, &steps)?;
    // The file grows with every tick: when one more of them is in it, so is what the job did.
    let replayed = grown(place, &beside)?;
    kill(Pid::from_raw(i32::try_from(recorder.id())?), Signal::SIGTERM)?;
    ensure!(recorder.wait()?.success(), "`spoor record` failed: {}", log(&directory));
    harmless(&beside)?;
    let whole = lines(place, &beside, true)?;
    ensure!(whole.starts_with(&replayed), "it had shown other records before it was whole");
    ensure!(!log(&directory).contains("is left behind"), "its store: {}", log(&directory));
    refuses(place, &directory, &beside)
}

/// A job that opens a credential with a secret among its arguments, and connects.
fn steps(directory: &Path, program: &Path, to: &str) -> Vec<String> {
    let (user, secret) = (BACKUP.to_string(), format!("--password={SECRET}"));
    let file = path(directory, ".pgpass");
    let program = program.display().to_string();
    let steps = [
        "spawn",
        "/proc/self/exe",
        "[",
        "user",
        &user,
        "become",
        &program,
        "[",
        "nothing",
        &secret,
        "read",
        &file,
        "connect",
        to,
        "]",
        "]",
    ];
    steps.map(str::to_owned).to_vec()
}

/// What a capture gives, asked by a user to whom this host says nothing.
fn lines(place: &Place, capture: &Path, whole: bool) -> Result<String> {
    let copy = capture.with_extension("copy");
    fs::copy(capture, &copy)?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o644))?;
    let mut command = Command::new(&place.spoor);
    command.arg("replay").arg(&copy).args(["--format", "json"]).env_clear().uid(BACKUP).gid(BACKUP);
    let output = command.output().context("the agent cannot be run as another user")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() == whole, "replay ended with {}: {said}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn same(place: &Place, capture: &Path, records: &str) -> Result<()> {
    let replayed = lines(place, capture, true)?;
    ensure!(replayed == lines(place, capture, true)?, "a second replay differs from the first");
    ensure!(records.lines().count() > 5, "hardly any records: {records}");
    for (number, (live, again)) in records.lines().zip(replayed.lines()).enumerate() {
        ensure!(live == again, "line {number} was\n{live}\nand is replayed as\n{again}");
    }
    let (live, again) = (records.lines().count(), replayed.lines().count());
    ensure!(live == again, "{live} records were made, and {again} are replayed");
    println!("{live} records replayed from {} bytes", fs::metadata(capture)?.len());
    Ok(())
}

/// Nobody else may read it, and the secret is not in it.
fn harmless(capture: &Path) -> Result<()> {
    let mode = fs::metadata(capture)?.permissions().mode() & 0o777;
    ensure!(mode == 0o600, "the capture has mode {mode:o}");
    let bytes = fs::read(capture)?;
    let holds = |text: &str| memchr::memmem::find(&bytes, text.as_bytes()).is_some();
    ensure!(!holds(SECRET), "the secret is in the capture");
    ensure!(holds("--password=[redacted:password]"), "the arguments are not in the capture");
    Ok(())
}

fn log(directory: &Path) -> String {
    fs::read_to_string(directory.join("record.log")).unwrap_or_default()
}

/// Starts `spoor record` with the config of the agent before, and waits until it is ready.
fn record(place: &Place, directory: &Path, capture: &Path) -> Result<Child> {
    let ready = directory.join("record.ready");
    let log_file = fs::File::create(directory.join("record.log"))?;
    let mut command = Command::new(&place.spoor);
    command.arg("record").arg("--out").arg(capture).arg("--ready-file").arg(&ready);
    command.arg("--config").arg(directory.join("agent/spoor.toml")).stdin(Stdio::null());
    let mut child = command.stdout(log_file.try_clone()?).stderr(log_file).spawn()?;
    let deadline = Instant::now() + PATIENCE;
    while !ready.exists() {
        if let Some(status) = child.try_wait()? {
            bail!("`spoor record` ended with {status}: {}", log(directory));
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            bail!("`spoor record` did not get ready: {}", log(directory));
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Ok(child)
}

/// Waits until the job's end is in a capture that is being written.
fn grown(place: &Place, capture: &Path) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let ends = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap_or_default();
        is_action(&record, "exit") && text(&record, "process.exe").ends_with("/captured")
    };
    loop {
        let text = lines(place, capture, false)?;
        // What is made at its provisional end is not of the capture.
        if let Some(end) = text.lines().position(ends) {
            let sure: Vec<&str> = text.lines().take(end).collect();
            ensure!(sure.iter().any(|line| line.contains("\"secret.open\"")), "no opening:\n{text}");
            ensure!(sure.iter().any(|line| line.contains("\"connect\"")), "no connection:\n{text}");
            return Ok(sure.join("\n") + "\n");
        }
        ensure!(Instant::now() < deadline, "the job's end is not in the capture:\n{text}");
        std::thread::park_timeout(Duration::from_millis(200));
    }
}

/// It overwrites nothing, ends when it is full, and a file that is none is refused.
fn refuses(place: &Place, directory: &Path, there: &Path) -> Result<()> {
    let run = |arguments: &[&str]| -> Result<(Option<i32>, String)> {
        let output = Command::new(&place.spoor).args(arguments).output()?;
        Ok((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
    };
    let config = path(directory, "agent/spoor.toml");
    let before = fs::read(there)?;
    let there_name = there.display().to_string();
    let (code, said) = run(&["record", "--out", &there_name, "--config", &config])?;
    ensure!(code == Some(1) && said.contains("already"), "{code:?} {said}");
    ensure!(fs::read(there)? == before, "it was overwritten");
    let full = path(directory, "full.spoor");
    let (code, said) =
        run(&["record", "--out", &full, "--config", &config, "--max-bytes", "4KiB", "--for", "10m"])?;
    ensure!(code == Some(0) && fs::metadata(&full)?.len() <= 4 << 10, "{code:?} {said}");
    let (code, said) = run(&["replay", &full])?;
    ensure!(code == Some(1) && said.is_empty(), "a full one is told by its exit code: {code:?} {said}");
    let (code, said) = run(&["replay", &config])?;
    ensure!(code == Some(1) && said.contains("no capture of spoor"), "{code:?} {said}");
    Ok(())
}
