//! `spoor reload`

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Failure, Place};
use crate::status::socket;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    place: Place,
}

impl ReloadArgs {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let directory = self.place.store()?;
        let pid = socket::status(&directory)?.agent.pid;
        let number = i32::try_from(pid).map_err(io::Error::other).map_err(Failure::system("its number"))?;
        if same_program(pid)? {
            let sent = kill(Pid::from_raw(number), Signal::SIGHUP).map_err(io::Error::from);
            sent.map_err(Failure::system(format!("tell process {pid} to read its config again")))?;
            return Ok(0);
        }
        take_over(pid, &directory)?;
        Ok(0)
    }
}

/// Whether the agent of that number is of the file that this one is of.
fn same_program(pid: u32) -> Result<bool, Failure> {
    let file = |process: &str| {
        let path = format!("/proc/{process}/exe");
        // Of the file itself, also where it was replaced and has no name any more.
        let found = std::fs::metadata(&path).map_err(Failure::system(format!("look at {path}")))?;
        Ok::<_, Failure>((found.dev(), found.ino()))
    };
    Ok(file(&pid.to_string())? == file("self")?)
}

/// Starts this program as that one was started, and waits until it is the agent.
fn take_over(pid: u32, directory: &Path) -> Result<(), Failure> {
    let process = procfs::process::Process::new(i32::try_from(pid).unwrap_or(0));
    let told = process.and_then(|process| Ok((process.cmdline()?, process.environ()?)));
    let told = told.map_err(io::Error::other);
    let (arguments, environment) =
        told.map_err(Failure::system(format!("read how process {pid} was started")))?;
    let managed = OsStr::new("NOTIFY_SOCKET");
    if environment.contains_key(managed) && std::env::var_os(managed).is_none() {
        // Started from here, the newer one would be part of a session, and end with it.
        let error =
            io::Error::other("its program was replaced, and systemd runs it: `systemctl reload spoor`");
        return Err(Failure::system(format!("take over from process {pid}"))(error));
    }
    let own = std::env::current_exe().map_err(Failure::system("find this program"))?;
    let kept = arguments.into_iter().skip(1).filter(|argument| argument != "--take-over");
    let mut child = Command::new(own)
        .args(kept)
        .arg("--take-over")
        .stdin(Stdio::null())
        .spawn()
        .map_err(Failure::system("start the newer agent"))?;
    let deadline = Instant::now() + socket::LOADING;
    loop {
        // Who answers there is ready.
        if socket::status(directory).is_ok_and(|status| status.agent.pid == child.id()) {
            return Ok(());
        }
        let ended = child.try_wait().map_err(Failure::system("wait for the newer agent"))?;
        let failure =
            |why: String| Failure::system("the newer agent did not take over")(io::Error::other(why));
        if let Some(status) = ended {
            return Err(failure(format!("it ended with {status}; process {pid} runs on")));
        }
        if Instant::now() > deadline {
            // It has not told the older one to go, or that one does not.
            drop(child.kill());
            drop(child.wait());
            return Err(failure(format!("it was not ready within {:?}", socket::LOADING)));
        }
        std::thread::sleep(PAUSE);
    }
}
