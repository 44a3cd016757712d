//! A fixed piece of work, for `cargo xtask bench overhead`, that says what it cost itself.
//!
//! `spoor-load WORK TIMES DIRECTORY` makes ready (a tenth of the work, so that everything is warm), says `ready`, waits for a
//! line, works, prints one line of JSON (what it spent between the two), and waits for the end of its input: whoever measures
//! looks at the machine meanwhile, and this program's own beginning and end are in no figure.
//!
//! WORK is `loop` (no call at all), `getpid`; `open-plain`, `open-missing`, `open-secret`, `open-secrets` (open, read, close
//! of a file of DIRECTORY: no credential, none at all, one credential, many in turns); `fork` (and wait), `exec` (of the
//! smallest program there is), `exec-true` (of `/bin/true`); `connect` and `send` (TCP and UDP on loopback, both ends here),
//! by a user's process, `connect-service` by one without a login, `connect-held` and `send-held` by one that holds a credential.
//! `tree-walk`, `archive`, `compile`, `redis-service` and `nginx-service` are the work of other programs (mix.rs).
//! `churn` goes on for as long as its input does (churn.rs), and `crowd` is no work: TIMES processes that sleep until the input ends.

#![expect(unsafe_code, reason = "fork, and calls that a library would answer from memory")]

mod churn;
mod mix;

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use nix::libc;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::wait::waitpid;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{ForkResult, fork, pause};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [work, times, directory] = args.as_slice() else { bail!("usage: spoor-load WORK TIMES DIRECTORY") };
    let times: u32 = times.parse().context("TIMES")?;
    if work == "crowd" {
        return crowd(times);
    }
    if work == "churn" {
        return churn::churn(Path::new(directory));
    }
    if !work.ends_with("-service") {
        // The process of somebody who has logged in; who has not is watched as a service is.
        std::fs::write("/proc/self/loginuid", "0").context("log in")?;
    }
    let mut step = step(work, Path::new(directory))?;
    for turn in 0..times / 10 + 1 {
        step(turn)?;
    }
    println!("ready");
    let mut line = [0];
    std::io::stdin().read_exact(&mut line)?;
    let before = Spent::now()?;
    for turn in 0..times {
        step(turn)?;
    }
    let after = Spent::now()?;
    println!(
        "{{\"elapsed_ns\":{},\"own_ns\":{}}}",
        after.clock - before.clock,
        after.processor - before.processor
    );
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// What the clock shows, and what this process and its children have used of the processor.
struct Spent {
    clock: i64,
    processor: i64,
}

impl Spent {
    fn now() -> Result<Self> {
        let clock = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
        let mut processor = 0;
        for who in [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN] {
            let usage = getrusage(who)?;
            for time in [usage.user_time(), usage.system_time()] {
                processor += (time.tv_sec() * 1_000_000 + time.tv_usec()) * 1_000;
            }
        }
        Ok(Self { clock: clock.tv_sec() * 1_000_000_000 + clock.tv_nsec(), processor })
    }
}

/// Makes processes that sleep until the input ends.
fn crowd(many: u32) -> Result<()> {
    let mut children = Vec::new();
    for _ in 0..many {
        // SAFETY: this process has one thread, and the child does nothing but sleep until it is ended.
        match unsafe { fork() }? {
            ForkResult::Child => loop {
                pause();
            },
            ForkResult::Parent { child } => children.push(child),
        }
    }
    println!("ready");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    for child in children {
        kill(child, Signal::SIGKILL)?;
        waitpid(child, None)?;
    }
    Ok(())
}

type Step = Box<dyn FnMut(u32) -> Result<()>>;

fn step(work: &str, directory: &Path) -> Result<Step> {
    let secret = directory.join("secrets/0");
    if let Some(step) = mix::step(work, directory)? {
        return Ok(step);
    }
    Ok(match work {
        "loop" => Box::new(|turn| {
            black_box((0..1_000).fold(turn, |sum, more| black_box(sum).wrapping_add(more)));
            Ok(())
        }),
        "getpid" => Box::new(|_| {
            // SAFETY: getpid takes nothing and cannot fail.
            black_box(unsafe { libc::syscall(libc::SYS_getpid) });
            Ok(())
        }),
        "open-plain" => opening(vec![directory.join("plain")]),
        "open-secret" => opening(vec![secret]),
        "open-secrets" => opening((0..256).map(|one| directory.join(format!("secrets/{one}"))).collect()),
        "open-missing" => {
            let missing = directory.join("missing");
            Box::new(move |_| {
                ensure!(File::open(&missing).is_err(), "{} is there", missing.display());
                Ok(())
            })
        }
        "fork" => Box::new(|_| forked()),
        "exec" => executing(directory.join("smallest")),
        "exec-true" => executing("/bin/true".into()),
        "connect" | "connect-service" => connecting(None)?,
        "connect-held" => connecting(Some(File::open(secret)?))?,
        "send" => sending(None)?,
        "send-held" => sending(Some(File::open(secret)?))?,
        _ => bail!("{work} is no work"),
    })
}

fn opening(paths: Vec<PathBuf>) -> Step {
    let mut turns = paths.into_iter().cycle();
    // The bytes of a credential are looked at by nobody.
    Box::new(move |_| {
        let path = turns.next().context("no path")?;
        let read = File::open(path)?.read(&mut [0; 64])?;
        ensure!(read > 0, "nothing in the file");
        Ok(())
    })
}

fn forked() -> Result<()> {
    // SAFETY: this process has one thread, and the child does nothing but end.
    match unsafe { fork() }? {
        // SAFETY: ends at once; nothing of the parent's is touched.
        ForkResult::Child => unsafe { libc::_exit(0) },
        ForkResult::Parent { child } => waitpid(child, None).map(drop).map_err(Into::into),
    }
}

fn executing(program: PathBuf) -> Step {
    Box::new(move |_| {
        let status = Command::new(&program).status().with_context(|| format!("{}", program.display()))?;
        ensure!(status.success(), "{} ended with {status}", program.display());
        Ok(())
    })
}

/// Connects and accepts, and closes both ends. What is held stays open.
fn connecting(held: Option<File>) -> Result<Step> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address: SocketAddr = listener.local_addr()?;
    Ok(Box::new(move |_| {
        black_box(held.as_ref().map(AsRawFd::as_raw_fd));
        let asked = TcpStream::connect(address)?;
        let accepted = listener.accept()?;
        // A reset, or thousands of sockets would wait for the end of their time.
        setsockopt(&asked, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
        drop(asked);
        drop(accepted);
        Ok(())
    }))
}

/// Sends by a socket without a peer, and receives.
fn sending(held: Option<File>) -> Result<Step> {
    let receiver = UdpSocket::bind(("127.0.0.1", 0))?;
    let sender = UdpSocket::bind(("127.0.0.1", 0))?;
    let address = receiver.local_addr()?;
    Ok(Box::new(move |_| {
        black_box(held.as_ref().map(AsRawFd::as_raw_fd));
        sender.send_to(b"spoor-load", address)?;
        let (received, _) = receiver.recv_from(&mut [0; 64])?;
        ensure!(received == 10, "{received} bytes of 10");
        Ok(())
    }))
}
