//! A busy day, compressed: `spoor-load churn 0 DIRECTORY`, for `cargo xtask bench soak`.
//!
//! Round after round, processes that only end, programs under other names, services in cgroups that are made for them and removed,
//! which open a credential and connect, and credentials that are made, replaced and removed. Names come again after a while: what
//! is remembered of each is bounded (and tested as such), and fills for longer than one soaks; what grows beyond is a leak. For each line of
//! its input it says what it has made so far, as a line of JSON, and at the end of its input once more.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use serde::Serialize;

const CGROUPS: &str = "/sys/fs/cgroup";
/// Processes of a round that only end.
const SHORT: u32 = 16;
/// Names of services, scopes and programs; credentials, what is in them, and rounds between two that are replaced.
const SERVICES: u64 = 40;
const SCOPES: u64 = 100;
const PROGRAMS: u64 = 500;
const CREDENTIALS: u64 = 32;
const VERSIONS: u64 = 20;
const ROTATED: u64 = 16;

/// What was made.
#[derive(Default, Serialize)]
struct Made {
    rounds: u64,
    processes: u64,
    executed: u64,
    opened: u64,
    connected: u64,
    /// How often numbers of processes began anew.
    wrapped: u64,
    #[serde(skip)]
    last: i32,
}

pub(crate) fn churn(directory: &Path) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let mut made = Made::default();
    for one in 0..CREDENTIALS {
        fs::write(credential(directory, one), "no secret\n")?;
    }
    loop {
        made.round(directory, &listener)?;
        match asked()? {
            Some(false) => {}
            Some(true) => made.say()?,
            None => return made.say(),
        }
    }
}

/// Whether somebody asks what was made; none: nobody will any more.
fn asked() -> Result<Option<bool>> {
    let mut input = std::io::stdin();
    if poll(&mut [PollFd::new(input.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO)? == 0 {
        return Ok(Some(false));
    }
    Ok((input.read(&mut [0])? == 1).then_some(true))
}

fn credential(directory: &Path, one: u64) -> PathBuf {
    directory.join(format!("secrets/{one}"))
}

impl Made {
    fn say(&self) -> Result<()> {
        println!("{}", serde_json::to_string(self)?);
        std::io::stdout().flush().map_err(Into::into)
    }

    fn round(&mut self, directory: &Path, listener: &TcpListener) -> Result<()> {
        let round = self.rounds;
        for _ in 0..SHORT {
            self.child(|| Ok(()))?;
        }
        self.program(directory, round)?;
        if round.is_multiple_of(ROTATED) {
            Self::credentials(directory, round / ROTATED)?;
        }
        self.service(&format!("system.slice/soak-{}.service", round % SERVICES), directory, listener)?;
        if round.is_multiple_of(4) {
            self.service(&format!("machine.slice/run-{}.scope", round / 4 % SCOPES), directory, listener)?;
        }
        self.rounds += 1;
        Ok(())
    }

    /// A process that does that and ends.
    fn child(&mut self, does: impl FnOnce() -> Result<()>) -> Result<()> {
        // SAFETY: this process has one thread.
        match unsafe { fork() }? {
            ForkResult::Child => {
                let code = does().inspect_err(|error| eprintln!("churn: {error:#}")).is_err();
                // SAFETY: ends at once; nothing of the parent's is touched.
                unsafe { nix::libc::_exit(code.into()) }
            }
            ForkResult::Parent { child } => {
                self.process(child.as_raw());
                let status = waitpid(child, None)?;
                ensure!(status == WaitStatus::Exited(child, 0), "a process ended with {status:?}");
                Ok(())
            }
        }
    }

    fn process(&mut self, number: i32) {
        self.processes += 1;
        self.wrapped += u64::from(number < self.last);
        self.last = number;
    }

    /// A program under one of many names.
    fn program(&mut self, directory: &Path, round: u64) -> Result<()> {
        let name = directory.join(format!("program-{}", round % PROGRAMS));
        fs::hard_link(directory.join("smallest"), &name)?;
        let mut child = Command::new(&name).spawn().with_context(|| name.display().to_string())?;
        self.process(i32::try_from(child.id())?);
        self.executed += 1;
        let status = child.wait()?;
        ensure!(status.success(), "{} ended with {status}", name.display());
        fs::remove_file(name).map_err(Into::into)
    }

    /// One of the credentials is replaced, as it is rotated, or removed and made anew.
    fn credentials(directory: &Path, turn: u64) -> Result<()> {
        let (one, new) = (credential(directory, turn % CREDENTIALS), directory.join("secrets/new"));
        if turn.is_multiple_of(8) {
            fs::remove_file(&one)?;
        }
        fs::write(&new, format!("no secret {}\n", turn % VERSIONS))?;
        fs::rename(new, one).map_err(Into::into)
    }

    /// A service in a cgroup of its own: it opens a credential, connects, and has a child.
    fn service(&mut self, name: &str, directory: &Path, listener: &TcpListener) -> Result<()> {
        let group = Path::new(CGROUPS).join(name);
        fs::create_dir_all(&group)?;
        let (one, to) = (credential(directory, self.rounds % CREDENTIALS), listener.local_addr()?);
        self.child(|| serve(&group, &one, to))?;
        self.processes += 1;
        self.opened += 1;
        self.connected += 1;
        drop(listener.accept()?);
        fs::remove_dir(&group).with_context(|| group.display().to_string())
    }
}

fn serve(group: &Path, credential: &Path, to: SocketAddr) -> Result<()> {
    fs::write(group.join("cgroup.procs"), "0")?;
    let read = fs::File::open(credential)?.read(&mut [0; 16])?;
    ensure!(read > 0, "nothing in the credential");
    drop(TcpStream::connect(to)?);
    super::forked()
}
