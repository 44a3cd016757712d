//! Programs that carry what they read to a peer, which can say so: what came over a connection is no guess then.
//!
//! `take PATH` reads it whole and keeps it; so do `take-passed SOCKET PATH` with the descriptor that comes over a socket, `take-told
//! SOCKET PATH` with its text, and `take-stdin PATH`, which all keep it by that name. `use PATH ADDR` connects and says it there,
//! `use-nothing ADDR` connects and says that it has nothing, `out PATH` says it on standard output, `tell SOCKET PATH` to the one who
//! comes to a socket.
//!
//! Who does it: `pipe PROGRAM [ STEP… ] PROGRAM [ STEP… ]` (two programs, the output of one the input of the other), `pool [ STEP… ]…`
//! (children, all at once), `threads [ STEP… ]…` (threads, all at once), `again [ STEP… ] [ STEP… ]` (two children one after the
//! other, and the second has the number of the first).
//!
//! Who asks for it: `listen PORTFILE` (on 127.0.0.1, for children and threads too), `serve [ STEP… ]` (accepts one, does the steps,
//! closes it), `serve-both [ STEP… ]` (the same with two that are open at once).

#![expect(unsafe_code, reason = "fork, and clone with a number")]

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::libc;
use nix::unistd::{ForkResult, Pid, fork};

use crate::descriptors::{accept, come, receive, until_gone};
use crate::sockets::listening_soon;
use crate::{PATIENCE, Steps, await_input, open, outcome, run, there, wait_for_child, wait_until};

/// What was taken, by the name under which it is kept.
static TAKEN: Mutex<Option<HashMap<String, Vec<u8>>>> = Mutex::new(None);
static LISTENER: OnceLock<TcpListener> = OnceLock::new();

pub(crate) fn step(step: &str, steps: &mut Steps<'_>) -> Result<bool> {
    Ok(carrying(step, steps)? || acting(step, steps)? || serving(step, steps)?)
}

fn carrying(step: &str, steps: &mut Steps<'_>) -> Result<bool> {
    match step {
        "take" => {
            let path = steps.next()?;
            keep(path, open(path)?)?;
        }
        "take-passed" => {
            let file = receive(&come(steps.next()?)?)?;
            keep(steps.next()?, File::from(file))?;
        }
        "take-told" => {
            let peer = come(steps.next()?)?;
            keep(steps.next()?, peer)?;
        }
        "take-stdin" => keep(steps.next()?, std::io::stdin())?,
        "use" => {
            let bytes = kept(steps.next()?)?;
            say(steps.next()?, &bytes)?;
        }
        "use-nothing" => say(steps.next()?, b"nothing")?,
        "out" => std::io::stdout().write_all(&kept(steps.next()?)?)?,
        "tell" => {
            let mut peer: UnixStream = accept(steps.next()?)?;
            peer.write_all(&kept(steps.next()?)?)?;
            peer.shutdown(Shutdown::Write)?;
            until_gone(peer)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn acting(step: &str, steps: &mut Steps<'_>) -> Result<bool> {
    match step {
        "pipe" => {
            let mut from = Command::new(steps.next()?);
            let mut from = from.args(steps.block()?).stdout(Stdio::piped()).spawn()?;
            let output = from.stdout.take().context("no pipe")?;
            let mut to = Command::new(steps.next()?);
            let to = to.args(steps.block()?).stdin(output).status()?;
            let from = from.wait()?;
            ensure!(from.success() && to.success(), "a pipeline ended with {from} and {to}");
        }
        "pool" => {
            let blocks = blocks(steps)?;
            let children: Result<Vec<Pid>> = blocks.into_iter().map(child).collect();
            children?.into_iter().try_for_each(wait_for_child)?;
        }
        "threads" => {
            let blocks = blocks(steps)?;
            std::thread::scope(|scope| {
                let all: Vec<_> = blocks.into_iter().map(|steps| scope.spawn(move || run(steps))).collect();
                all.into_iter()
                    .try_for_each(|one| one.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?)
            })?;
        }
        "again" => {
            let first = child(steps.block()?)?;
            wait_for_child(first)?;
            wait_for_child(child_by_number(first, steps.block()?)?)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn serving(step: &str, steps: &mut Steps<'_>) -> Result<bool> {
    match step {
        "listen" => {
            let listener = listening_soon(steps.next()?)?;
            ensure!(LISTENER.set(listener).is_ok(), "it listens already");
        }
        "serve" => {
            let client = served()?;
            run(steps.block()?)?;
            drop(client);
        }
        "serve-both" => {
            let clients = [served()?, served()?];
            run(steps.block()?)?;
            drop(clients);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn taken() -> MutexGuard<'static, Option<HashMap<String, Vec<u8>>>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep(name: &str, mut from: impl Read) -> Result<()> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).with_context(|| format!("read {name}"))?;
    ensure!(!bytes.is_empty(), "there is nothing in {name}");
    taken().get_or_insert_default().insert(name.to_owned(), bytes);
    Ok(())
}

fn kept(name: &str) -> Result<Vec<u8>> {
    let bytes = taken().as_ref().and_then(|taken| taken.get(name).cloned());
    bytes.with_context(|| format!("{name} was not taken"))
}

/// Connects, says it, and waits until the peer has heard it.
fn say(address: &str, bytes: &[u8]) -> Result<()> {
    let mut peer = TcpStream::connect(address).with_context(|| address.to_owned())?;
    peer.set_read_timeout(Some(PATIENCE))?;
    peer.write_all(bytes)?;
    peer.shutdown(Shutdown::Write)?;
    let rest = peer.read(&mut [0]);
    ensure!(matches!(rest, Ok(0)), "{address} does not go: {rest:?}");
    Ok(())
}

fn served() -> Result<TcpStream> {
    let listener = LISTENER.get().context("nobody listens")?;
    await_input("a client", listener)?;
    Ok(listener.accept()?.0)
}

/// The blocks that follow.
fn blocks<'a>(steps: &mut Steps<'a>) -> Result<Vec<&'a [String]>> {
    let mut blocks = Vec::new();
    while steps.0.first().is_some_and(|next| next == "[") {
        blocks.push(steps.block()?);
    }
    ensure!(!blocks.is_empty(), "nobody is told what to do");
    Ok(blocks)
}

fn child(steps: &[String]) -> Result<Pid> {
    // SAFETY: no other thread runs here that could hold a lock.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => std::process::exit(outcome(steps)),
    }
}

/// A child with a number that another one had. Nobody else's next number changes by that.
fn child_by_number(number: Pid, steps: &[String]) -> Result<Pid> {
    let numbers = [number.as_raw()];
    // SAFETY: zeros ask for nothing.
    let mut asked: libc::clone_args = unsafe { std::mem::zeroed() };
    asked.exit_signal = u64::try_from(libc::SIGCHLD)?;
    asked.set_tid = numbers.as_ptr().expose_provenance() as u64;
    asked.set_tid_size = numbers.len() as u64;
    let mut made = 0;
    // Its number is free a moment after its parent heard of its end.
    wait_until(&format!("the number {number} does not get free"), || {
        // SAFETY: as fork, with the same stack and a memory of its own; what is pointed to lives.
        let outcome = unsafe { libc::syscall(libc::SYS_clone3, &raw const asked, size_of_val(&asked)) };
        match Errno::result(outcome) {
            Err(Errno::EEXIST) => Ok(false),
            other => {
                made = there("a process with a number", other)?;
                Ok(true)
            }
        }
    })?;
    if made == 0 {
        std::process::exit(outcome(steps));
    }
    Ok(Pid::from_raw(i32::try_from(made)?))
}
