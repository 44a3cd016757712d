//! Does what a test says, in one process, so that a test can say exactly which process did what.
//!
//! `spoor-act STEP…`, in order. Here: `cgroup DIRECTORY` (go there), `user UID` (take that user's identity), `become
//! PROGRAM [ STEP… ]` (exec), `open PATH`, `read PATH`, `connect ADDR` and `poll-connect ADDR` (blocking and not;
//! refusals are no failure), `fetch ADDRESS PATH` (what that peer sends, into a file), `put PATH ADDRESS` (a file to that
//! peer), `build FROM TO` (a file out of another), `thread-open PATH` (in a thread of its own), `spawn PROGRAM [ STEP… ]` (fork, exec, wait),
//! `attempt PROGRAM [ STEP… ]` (the same, and it may fail),
//! `fork [ STEP… ]` (the same without exec), `daemon [ STEP… ]` (double fork, no wait), `wait-for PATH` (until it
//! exists; `wait-long` waits longer), `must-exist PATH` (else it fails), `turns PATH LETTERS` (fails where this turn's letter is
//! `f`; the file counts them), `touch PATH`, `unshare mounts|pids|net|user`, `cover PATH SIZE` (an empty file system over a directory),
//! `until PATH MOST COUNTFILE [ STEP… ]` (again and again, until that exists, at most so often; how often it was, it writes there),
//! `write PATH TEXT`, `raise SIGNAL`, `exit CODE`, `nothing TEXT`, `idle MS` (so that a load leaves time; nothing is waited for). The head of each file beside this one names the
//! steps it has: `files` the ways to a file's bytes, `writing` those to write them, `descriptors` those from hand to hand, `programs` the ways to an
//! execution, `sockets` and `messages` those to a peer, `identity` and `memory` what their names
//! say, `keys` those to keys and into environments, `carrying` what a peer can tell of, and who does it.
//!
//! The program ends with 0 if every step was done, with 77 if this kernel does not have one of the ways (one line on
//! standard error says which), and with 1 if something else failed. A 77 of a child that was waited for is passed on.

mod carrying;
mod compat;
mod descriptors;
mod files;
mod identity;
mod keys;
mod memory;
mod messages;
mod programs;
mod sockets;
mod uring;
mod writing;

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Gid, Pid, Uid, fork, setgid, setgroups, setsid, setuid};

const PATIENCE: Duration = Duration::from_secs(120);
/// For what goes on while everything else is done.
const LONG_PATIENCE: Duration = Duration::from_secs(1_200);

/// What tests read as "this kernel cannot do that".
const NOT_THERE: i32 = 77;

/// A way that this kernel does not have.
#[derive(Debug)]
struct NotThere(String);

impl std::fmt::Display for NotThere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not there: {}", self.0)
    }
}

impl std::error::Error for NotThere {}

fn main() {
    let steps: Vec<String> = std::env::args().skip(1).collect();
    std::process::exit(outcome(&steps));
}

/// The code to end with.
fn outcome(steps: &[String]) -> i32 {
    let Err(error) = run(steps) else { return 0 };
    eprintln!("spoor-act: {error:#}");
    if error.is::<NotThere>() { NOT_THERE } else { 1 }
}

/// Steps that are still to be done.
struct Steps<'a>(&'a [String]);

impl<'a> Steps<'a> {
    fn next(&mut self) -> Result<&'a str> {
        let [first, rest @ ..] = self.0 else { bail!("an argument is missing") };
        self.0 = rest;
        Ok(first)
    }

    fn number<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(&mut self) -> Result<T> {
        let text = self.next()?;
        text.parse().with_context(|| format!("{text:?} as an argument"))
    }

    /// The steps between `[` and its `]`.
    fn block(&mut self) -> Result<&'a [String]> {
        let mut depth = 0;
        for (index, step) in self.0.iter().enumerate() {
            match step.as_str() {
                "[" => depth += 1,
                "]" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                let inner = self.0.get(1..index).context("a block starts with [")?;
                self.0 = self.0.get(index + 1..).unwrap_or_default();
                return Ok(inner);
            }
        }
        bail!("a block without its ]")
    }
}

/// What a part of this program makes of a step: whether it knew it.
type Part = fn(&str, &mut Steps<'_>) -> Result<bool>;

const PARTS: &[Part] = &[
    basics,
    processes,
    files::step,
    writing::step,
    descriptors::step,
    programs::step,
    identity::step,
    memory::step,
    keys::step,
    sockets::step,
    messages::step,
    carrying::step,
];

fn run(steps: &[String]) -> Result<()> {
    let mut steps = Steps(steps);
    while !steps.0.is_empty() {
        let step = steps.next()?;
        let mut known = false;
        for part in PARTS {
            known = known || part(step, &mut steps).with_context(|| step.to_owned())?;
        }
        ensure!(known, "no such step: {step}");
    }
    Ok(())
}

fn basics(step: &str, steps: &mut Steps<'_>) -> Result<bool> {
    match step {
        "cgroup" => std::fs::write(format!("{}/cgroup.procs", steps.next()?), "0")?,
        "user" => become_user(steps.number()?)?,
        "open" => drop(open(steps.next()?)?),
        "read" => drop(open(steps.next()?)?.read_to_end(&mut Vec::new())?),
        "thread-open" => {
            let path = steps.next()?.to_owned();
            let done = std::thread::spawn(move || open(&path).map(drop)).join();
            done.map_err(|_| anyhow::anyhow!("the thread panicked"))??;
        }
        "connect" => connect(steps.next()?),
        "poll-connect" => poll_connect(steps.next()?)?,
        "fetch" => {
            let mut from = TcpStream::connect(steps.next()?)?;
            std::io::copy(&mut from, &mut std::fs::File::create(steps.next()?)?)?;
        }
        "put" => {
            let mut file = open(steps.next()?)?;
            std::io::copy(&mut file, &mut TcpStream::connect(steps.next()?)?)?;
        }
        "build" => {
            let source = std::fs::read_to_string(steps.next()?)?;
            std::fs::write(steps.next()?, format!("built of {source}"))?;
        }
        "idle" => std::thread::park_timeout(Duration::from_millis(steps.next()?.parse()?)),
        "must-exist" => {
            let file = steps.next()?;
            ensure!(std::path::Path::new(file).exists(), "{file} is not there");
        }
        "turns" => {
            let (file, letters) = (steps.next()?, steps.next()?);
            let turn = std::fs::read(file).map_or(0, |before| before.len());
            std::fs::write(file, ".".repeat(turn + 1))?;
            ensure!(letters.chars().nth(turn) != Some('f'), "turn {turn} of {letters} fails");
        }
        "wait-for" => wait_for(steps.next()?)?,
        "wait-long" => wait_long(steps.next()?)?,
        "unshare" => unshare(match steps.next()? {
            "mounts" => CloneFlags::CLONE_NEWNS,
            "net" => CloneFlags::CLONE_NEWNET,
            "user" => CloneFlags::CLONE_NEWUSER,
            "pids" => CloneFlags::CLONE_NEWPID,
            other => bail!("no such namespace: {other}"),
        })?,
        "cover" => cover(steps.next()?, steps.next()?)?,
        "write" => std::fs::write(steps.next()?, steps.next()?)?,
        "touch" => drop(std::fs::File::create(steps.next()?)?),
        "raise" => nix::sys::signal::raise(Signal::try_from(steps.number::<i32>()?)?)?,
        "exit" => std::process::exit(steps.number()?),
        "nothing" => drop(steps.next()?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn processes(step: &str, steps: &mut Steps<'_>) -> Result<bool> {
    match step {
        "spawn" => {
            let program = steps.next()?;
            spawn(program, steps.block()?)?;
        }
        "attempt" => {
            let program = steps.next()?;
            Command::new(program).args(steps.block()?).status()?;
        }
        "become" => {
            let program = steps.next()?;
            return Err(Command::new(program).args(steps.block()?).exec().into());
        }
        "fork" => fork_and_run(steps.block()?, false)?,
        "until" => {
            let (end, most, count) = (std::path::Path::new(steps.next()?), steps.number()?, steps.next()?);
            let block = steps.block()?;
            let mut turns: u32 = 0;
            while turns < most && !end.exists() {
                run(block)?;
                turns += 1;
            }
            place(count, &turns.to_string())?;
        }
        "daemon" => fork_and_run(steps.block()?, true)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn spawn<S: AsRef<std::ffi::OsStr>>(program: &str, args: &[S]) -> Result<()> {
    let status = Command::new(program).args(args).status()?;
    if status.code() == Some(NOT_THERE) {
        std::process::exit(NOT_THERE); // the child has said why
    }
    ensure!(status.success(), "{program} ended with {status}");
    Ok(())
}

/// An outcome of the kernel, sorted into "has no such way" and "went wrong".
fn there<T>(what: &str, outcome: nix::Result<T>) -> Result<T> {
    outcome.map_err(|errno| {
        if matches!(
            errno,
            Errno::ENOSYS
                | Errno::EAFNOSUPPORT
                | Errno::EPROTONOSUPPORT
                | Errno::ESOCKTNOSUPPORT
                | Errno::ENOPROTOOPT
                | Errno::EOPNOTSUPP
                | Errno::ENODEV
        ) {
            NotThere(format!("{what}: {errno}")).into()
        } else {
            anyhow::Error::from(errno).context(what.to_owned())
        }
    })
}

/// Reads a byte, which proves that the descriptor leads to some.
fn taste(file: &impl AsFd) -> Result<()> {
    let read = nix::unistd::read(file, &mut [0]).context("read")?;
    ensure!(read == 1, "there was nothing to read");
    Ok(())
}

/// Waits until something can be read from it, or accepted, within the deadline.
fn await_input(what: &str, fd: &impl AsFd) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = PollTimeout::try_from(left).context("the deadline as a timeout")?;
        match poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], left) {
            Err(Errno::EINTR) => {}
            Ok(0) => bail!("{what}: nothing came"),
            outcome => return outcome.map(drop).with_context(|| what.to_owned()),
        }
    }
}

/// Mounts from now on are seen in this process's own view only.
fn own_mounts() -> Result<()> {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).context("a view of the mounts of our own")?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("keep mounts to ourselves")
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
    wait_until(&format!("{path} did not appear"), || Ok(std::path::Path::new(path).exists()))
}

/// The same beside everything else that is done, which it must not hold up.
fn wait_long(path: &str) -> Result<()> {
    let deadline = Instant::now() + LONG_PATIENCE;
    while !std::path::Path::new(path).exists() {
        ensure!(Instant::now() < deadline, "{path} did not appear");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}

/// A file that is whole from the moment on in which it is there.
fn place(path: &str, content: &str) -> Result<()> {
    let beside = format!("{path}.part");
    std::fs::write(&beside, content)?;
    std::fs::rename(&beside, path).with_context(|| path.to_owned())
}

fn wait_until(otherwise: &str, mut seen: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !seen()? {
        ensure!(Instant::now() < deadline, "{otherwise}");
        // Asleep, and not in a loop that gives way: whoever is waited for has one emulated processor, or half of it.
        std::thread::park_timeout(Duration::from_millis(1));
    }
    Ok(())
}

/// Waits for a child that has no reason to fail; one that lacks a way has said so, and that is the outcome.
fn wait_for_child(child: Pid) -> Result<()> {
    let status = waitpid(child, None)?;
    if status == WaitStatus::Exited(child, NOT_THERE) {
        std::process::exit(NOT_THERE);
    }
    ensure!(status == WaitStatus::Exited(child, 0), "the child ended with {status:?}");
    Ok(())
}

#[expect(unsafe_code, reason = "fork; this program has one thread")]
fn fork_and_run(steps: &[String], daemon: bool) -> Result<()> {
    // SAFETY: no other thread runs here that could hold a lock.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => {
            // How it ends is part of what it was told to do.
            if let WaitStatus::Exited(_, NOT_THERE) = waitpid(child, None)? {
                std::process::exit(NOT_THERE);
            }
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
            std::process::exit(outcome(steps))
        }
    }
}
