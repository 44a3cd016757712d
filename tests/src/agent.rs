//! Starts and stops the agent, as an administrator would.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use serde_json::Value;

use crate::records::{Records, at, last_heartbeat, seq, text};
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

/// Samples of one kind, as the agent counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Samples {
    /// Decoded.
    pub read: u64,
    /// Refused by a ring.
    pub dropped: u64,
    /// Refused, where another tells the same.
    pub repeated: u64,
}

impl Samples {
    /// Those since then.
    #[must_use]
    pub fn since(self, then: Self) -> Self {
        Samples {
            read: self.read - then.read,
            dropped: self.dropped - then.dropped,
            repeated: self.repeated - then.repeated,
        }
    }

    /// All there were.
    #[must_use]
    pub fn all(self) -> u64 {
        self.read + self.dropped + self.repeated
    }
}

impl Agent {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When it ends or does not get ready; the error shows its log.
    pub fn start(place: &Place, name: &str, more_config: &str) -> Result<Self> {
        Self::start_with(place, name, more_config, &[])
    }

    /// The same, behind steps of the acting program.
    ///
    /// # Errors
    /// As there.
    pub fn start_behind(place: &Place, name: &str, steps: &[&str]) -> Result<Self> {
        let directory = place.directory(name)?.join("agent");
        let mut behind = Command::new(&place.act);
        behind.args(steps).arg("become").arg(&place.spoor).arg("[");
        Self::start_as(place, directory, "", |agent| {
            behind.args(agent.get_args()).arg("]");
            behind
        })
    }

    /// The same, with more arguments.
    ///
    /// # Errors
    /// As there.
    pub fn start_with(place: &Place, name: &str, more_config: &str, arguments: &[&str]) -> Result<Self> {
        let directory = place.directory(name)?.join("agent");
        Self::start_as(place, directory, more_config, |mut agent| {
            agent.args(arguments);
            agent
        })
    }

    fn start_as(
        place: &Place,
        directory: PathBuf,
        more_config: &str,
        dressed: impl FnOnce(Command) -> Command,
    ) -> Result<Self> {
        fs::create_dir_all(&directory)?;
        let config = config(place, &directory, more_config);
        fs::write(directory.join("spoor.toml"), config)?;
        // Where a case is repeated, the agent of the time before has left its word.
        drop(fs::remove_file(directory.join("ready")));
        let started = Instant::now();
        let child = ready(logged(dressed(command(place, &directory)?), &directory)?, &directory)?;
        let records = Records::of(&directory.join("records.jsonl"));
        Ok(Agent { child, directory, records, ready_after: started.elapsed() })
    }

    /// Has another one take over from it, which this then is.
    ///
    /// # Errors
    /// Where that does not get ready, or this does not end well.
    pub fn succeed(&mut self, place: &Place) -> Result<()> {
        fs::remove_file(self.directory.join("ready"))?;
        let mut successor = command(place, &self.directory)?;
        successor.arg("--take-over");
        let mut before = std::mem::replace(&mut self.child, ready(successor, &self.directory)?);
        let ended = before.wait()?;
        if ended.success() { Ok(()) } else { bail!("the agent before ended with {ended}:\n{}", self.log()) }
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

    /// What a verb of the command line says about its store.
    ///
    /// # Errors
    /// Where it fails.
    pub fn ask(&self, place: &Place, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&place.spoor);
        let output = command.args(arguments).arg("--store").arg(self.directory.join("store")).output()?;
        if !output.status.success() {
            bail!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// What it says of itself at its socket.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn status(&self) -> Result<Value> {
        let mut socket = UnixStream::connect(self.directory.join("store/status.sock"))?;
        socket.write_all(b"status\n")?;
        let mut answer = String::new();
        BufReader::new(socket).read_line(&mut answer)?;
        serde_json::from_str(&answer).context("the agent's status")
    }

    /// Its samples by kind.
    ///
    /// # Errors
    /// Where it does not answer.
    pub fn samples(&self) -> Result<BTreeMap<String, Samples>> {
        let status = self.status()?;
        let Some(samples) = at(&status, "samples").as_array() else { bail!("no samples in {status}") };
        let of = |one: &Value| Ok((text(one, "kind").to_owned(), Samples::deserialize(one)?));
        samples.iter().map(of).collect()
    }

    /// Ends it by SIGTERM; reads the records it still wrote.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(mut self) -> Result<(ExitStatus, Records)> {
        let status = self.end()?;
        let mut records = std::mem::replace(&mut self.records, Records::of(Path::new("")));
        records.refresh()?;
        let last = last_heartbeat(&records.all);
        let late = last.and_then(|last| at(last, "counters.acts_late").as_u64()).unwrap_or(0);
        ensure!(late == 0, "{late} acts were told of processes after their end, and lost");
        Ok((status, records))
    }

    /// Number of the newest record so far.
    ///
    /// # Errors
    /// Where its records cannot be read.
    pub fn last(&mut self) -> Result<u64> {
        self.records.refresh()?;
        Ok(self.records.all.last().map_or(0, seq))
    }

    /// Has it read config and purposes again, and waits for the coverage record that says so.
    ///
    /// # Errors
    /// When it does not say so in time.
    pub fn reload(&mut self) -> Result<Value> {
        let after = self.last()?;
        kill(Pid::from_raw(i32::try_from(self.pid())?), Signal::SIGHUP)?;
        let is_new = |r: &Value| seq(r) > after && text(r, "type") == "coverage";
        self.records.wait("the coverage record after the reload", is_new)
    }

    /// Ends it by SIGTERM. Of one that was killed before, the file may hold lines that are no records.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn end(&mut self) -> Result<ExitStatus> {
        kill(Pid::from_raw(i32::try_from(self.child.id())?), Signal::SIGTERM)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("the agent does not end:\n{}", self.log());
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
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

/// Starts an agent and waits for its ready file.
fn ready(mut command: Command, directory: &Path) -> Result<Child> {
    let started = Instant::now();
    let mut child = command.spawn().context("the agent cannot be started")?;
    while !directory.join("ready").exists() {
        if let Some(status) = child.try_wait()? {
            bail!("the agent ended with {status} before it was ready:\n{}", log(directory));
        }
        if started.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            bail!("the agent did not get ready:\n{}", log(directory));
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    Ok(child)
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
    let mut command = Command::new(&place.spoor);
    command.arg("run").arg("--config").arg(directory.join("spoor.toml"));
    command.arg("--ready-file").arg(directory.join("ready"));
    if !place.forced.is_empty() {
        command.arg("--tiers").arg(place.forced.join(","));
    }
    logged(command, directory)
}

/// With the log of that directory for its standard streams.
fn logged(mut command: Command, directory: &Path) -> Result<Command> {
    // Of several agents, one after the other, it is one log.
    let log = fs::File::options().create(true).append(true).open(directory.join("log"))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(command)
}

fn log(directory: &Path) -> String {
    fs::read_to_string(directory.join("log")).unwrap_or_default()
}
