//! Starts and stops the agent, as an administrator would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::records::Records;
use crate::{PATIENCE, Place};

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    /// Its directory: config, store, records, log.
    pub directory: PathBuf,
    /// What its file sink writes.
    pub records: Records,
    /// From its start to its ready file.
    pub ready_after: Duration,
}

impl Agent {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When it ends or does not get ready; the error shows its log.
    pub fn start(place: &Place, name: &str, more_config: &str) -> Result<Self> {
        let directory = place.directory(name)?.join("agent");
        fs::create_dir_all(&directory)?;
        let config = config(place, &directory, more_config);
        fs::write(directory.join("spoor.toml"), config)?;
        let started = Instant::now();
        let mut child = command(place, &directory)?.spawn().context("the agent cannot be started")?;
        let ready = directory.join("ready");
        while !ready.exists() {
            if let Some(status) = child.try_wait()? {
                bail!("the agent ended with {status} before it was ready:\n{}", log(&directory));
            }
            if started.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                bail!("the agent did not get ready:\n{}", log(&directory));
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
        let records = Records::of(&directory.join("records.jsonl"));
        Ok(Agent { child, directory, records, ready_after: started.elapsed() })
    }

    /// Number of the agent's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        log(&self.directory)
    }

    /// Ends it by SIGTERM; reads the records it still wrote.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(mut self) -> Result<(ExitStatus, Records)> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                bail!("the agent does not end:\n{}", self.log());
            }
            std::thread::park_timeout(Duration::from_millis(5));
        };
        let mut records = std::mem::replace(&mut self.records, Records::of(Path::new("")));
        records.refresh()?;
        Ok((status, records))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // A test that failed leaves nothing behind: SIGKILL detaches the probes with the process.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn config(place: &Place, directory: &Path, more: &str) -> String {
    let scope = place
        .scope
        .as_ref()
        .map_or(String::new(), |scope| format!("[scope]\ncgroups = [{:?}]\n", scope.path));
    let store = directory.join("store");
    let records = directory.join("records.jsonl");
    format!(
        "{scope}[store]\npath = {store:?}\n[[sink]]\nname = \"test\"\ntype = \"file\"\npath = {records:?}\n\
         format = \"native\"\n{more}\n"
    )
}

/// The command that runs the agent in a directory. Its standard streams go to its log.
///
/// # Errors
/// Where the log cannot be made.
pub fn command(place: &Place, directory: &Path) -> Result<Command> {
    let log = fs::File::create(directory.join("log"))?;
    let mut command = Command::new(&place.spoor);
    command.arg("run").arg("--config").arg(directory.join("spoor.toml"));
    command.arg("--ready-file").arg(directory.join("ready"));
    if !place.forced.is_empty() {
        command.arg("--tiers").arg(place.forced.join(","));
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(command)
}

fn log(directory: &Path) -> String {
    fs::read_to_string(directory.join("log")).unwrap_or_default()
}
