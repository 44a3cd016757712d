//! Does what a test says, in one process, so that a test can say exactly which process did what.
//!
//! `spoor-act STEP…`, in order: `cgroup DIRECTORY` (go there), `user UID` (take that user's identity), `become PROGRAM
//! [ STEP… ]` (exec), `open PATH`, `read PATH`, `connect ADDR` and
//! `poll-connect ADDR` (blocking and not; refusals are no failure), `thread-open PATH` (in a thread of its own), `spawn PROGRAM
//! [ STEP… ]` (fork, exec, wait), `fork [ STEP… ]` (the same without exec), `daemon [ STEP… ]` (double fork, no wait),
//! `wait-for PATH` (until it exists), `touch PATH`, `unshare mounts|pids`, `cover PATH SIZE` (an empty file system over a
//! directory), `write PATH TEXT`, `raise SIGNAL`, `exit CODE`.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Gid, Uid, fork, setgid, setgroups, setsid, setuid};

const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<()> {
    let steps: Vec<String> = std::env::args().skip(1).collect();
    run(&steps)
}

fn run(mut steps: &[String]) -> Result<()> {
    while let [step, rest @ ..] = steps {
        let argument = || rest.first().with_context(|| format!("{step} needs an argument"));
        steps = rest.get(1..).unwrap_or_default();
        match step.as_str() {
            "cgroup" => std::fs::write(format!("{}/cgroup.procs", argument()?), "0")?,
            "user" => become_user(argument()?.parse()?)?,
            "open" => drop(open(argument()?)?),
            "read" => drop(open(argument()?)?.read_to_end(&mut Vec::new())?),
            "thread-open" => {
                let path = argument()?.clone();
                let done = std::thread::spawn(move || open(&path).map(drop)).join();
                done.map_err(|_| anyhow::anyhow!("the thread panicked"))??;
            }
            "connect" => connect(argument()?),
            "poll-connect" => poll_connect(argument()?)?,
            "wait-for" => wait_for(argument()?)?,
            "unshare" => unshare(match argument()?.as_str() {
                "mounts" => CloneFlags::CLONE_NEWNS,
                _ => CloneFlags::CLONE_NEWPID,
            })?,
            "cover" | "write" => {
                let [place, what, after @ ..] = rest else { bail!("{step} needs two arguments") };
                if step == "write" {
                    std::fs::write(place, what)?;
                } else {
                    cover(place, what)?;
                }
                steps = after;
            }
            "touch" => drop(std::fs::File::create(argument()?)?),
            "raise" => nix::sys::signal::raise(Signal::try_from(argument()?.parse::<i32>()?)?)?,
            "exit" => std::process::exit(argument()?.parse()?),
            "spawn" => {
                let (inner, after) = block(steps)?;
                let status = Command::new(argument()?).args(inner).status()?;
                if !status.success() {
                    bail!("{} ended with {status}", argument()?);
                }
                steps = after;
            }
            "become" => {
                let (inner, _) = block(steps)?;
                return Err(Command::new(argument()?).args(inner).exec().into());
            }
            "fork" | "daemon" => {
                let (inner, after) = block(rest)?;
                fork_and_run(inner, step == "daemon")?;
                steps = after;
            }
            other => bail!("no such step: {other}"),
        }
    }
    Ok(())
}

/// An empty file system over a directory, in this process's own view of the mounts.
fn cover(place: &str, size: &str) -> Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("keep mounts to ourselves")?;
    let size = format!("size={size}");
    mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::empty(), Some(size.as_str()))
        .with_context(|| format!("cover {place}"))
}

/// The steps between `[` and its `]`, and those after.
fn block(steps: &[String]) -> Result<(&[String], &[String])> {
    let mut depth = 0;
    for (index, step) in steps.iter().enumerate() {
        match step.as_str() {
            "[" => depth += 1,
            "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let inner = steps.get(1..index).context("a block starts with [")?;
            return Ok((inner, steps.get(index + 1..).unwrap_or_default()));
        }
    }
    bail!("a block without its ]")
}

fn open(path: &str) -> Result<std::fs::File> {
    std::fs::File::open(path).with_context(|| format!("open {path}"))
}

fn become_user(uid: u32) -> Result<()> {
    setgroups(&[])?;
    setgid(Gid::from_raw(uid))?;
    setuid(Uid::from_raw(uid))?;
    Ok(())
}

/// What comes of it is the agent's to tell.
fn connect(address: &str) {
    drop(TcpStream::connect(address));
}

fn poll_connect(address: &str) -> Result<()> {
    // Non-blocking inside, with a wait for the outcome.
    let address: SocketAddr = address.parse()?;
    drop(TcpStream::connect_timeout(&address, Duration::from_secs(5)));
    Ok(())
}

fn wait_for(path: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !std::path::Path::new(path).exists() {
        if Instant::now() > deadline {
            bail!("{path} did not appear");
        }
        std::thread::yield_now();
    }
    Ok(())
}

#[expect(unsafe_code, reason = "fork; this program has one thread")]
fn fork_and_run(steps: &[String], daemon: bool) -> Result<()> {
    // SAFETY: no other thread runs here that could hold a lock.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => {
            waitpid(child, None)?;
            Ok(())
        }
        ForkResult::Child => {
            if daemon {
                setsid()?;
                // SAFETY: as above.
                if let ForkResult::Parent { .. } = unsafe { fork() }? {
                    std::process::exit(0);
                }
            }
            let code = match run(steps) {
                Ok(()) => 0,
                Err(error) => {
                    eprintln!("spoor-act: {error:#}");
                    1
                }
            };
            std::process::exit(code)
        }
    }
}
