//! The ways to an execution, and to an end.
//!
//! Each becomes the program, as `become` does: `exec-at DIR NAME [ STEP… ]`, `exec-fd PATH [ STEP… ]`, `exec-memfd PATH
//! [ STEP… ]` (its bytes in anonymous memory), `exec-deleted PATH [ STEP… ]` (a copy that has no name any more),
//! `exec-thread PATH [ STEP… ]` (from a thread that is not the first). `exec-fail PATH` is to be refused, and this
//! program goes on (let in, it has become PATH). `long-argv N` becomes this program again with N bytes of arguments
//! more, and does the steps after. `clone-parent [ STEP… ]` does steps in a sibling instead of a child. `exit-thread
//! CODE`: the first thread ends first, and another ends the process.

#![expect(unsafe_code, reason = "clone, and the end of one thread")]

use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use nix::unistd::execveat;

use crate::{NOT_THERE, Steps, open, outcome, wait_until};

/// Below what the kernel allows one argument to have.
const ARGUMENT_MAX: usize = 64 * 1024;

pub(crate) fn step(step: &str, steps: &mut Steps<'_>) -> Result<bool> {
    match step {
        "exec-at" => {
            let directory = open(steps.next()?)?;
            exec(&directory, steps.next()?, AtFlags::empty(), steps.block()?)?;
        }
        "exec-fd" => exec(&pinned(steps.next()?)?, "", AtFlags::AT_EMPTY_PATH, steps.block()?)?,
        "exec-memfd" => {
            let mut program = open(steps.next()?)?;
            let mut copy = File::from(memfd_create("spoor-act", MFdFlags::MFD_CLOEXEC)?);
            std::io::copy(&mut program, &mut copy)?;
            exec(&copy, "", AtFlags::AT_EMPTY_PATH, steps.block()?)?;
        }
        "exec-deleted" => {
            let place = tempfile::tempdir()?;
            let copy = place.path().join("gone");
            std::fs::copy(steps.next()?, &copy)?;
            let program = File::open(&copy)?;
            place.close()?;
            exec(&program, "", AtFlags::AT_EMPTY_PATH, steps.block()?)?;
        }
        "exec-thread" => {
            let mut command = Command::new(steps.next()?);
            command.args(steps.block()?);
            let failed = std::thread::spawn(move || command.exec()).join();
            return Err(failed.map_err(|_| anyhow::anyhow!("the thread panicked"))?.into());
        }
        "exec-fail" => drop(Command::new(steps.next()?).exec()),
        "long-argv" => {
            let mut left: usize = steps.number()?;
            let mut command = Command::new(std::env::current_exe()?);
            while left > 0 {
                let part = left.min(ARGUMENT_MAX);
                command.arg("nothing").arg("x".repeat(part));
                left -= part;
            }
            return Err(command.args(steps.0).exec().into());
        }
        "clone-parent" => sibling(steps.block()?)?,
        "exit-thread" => end_in_another_thread(steps.number()?)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// A descriptor that names a program and cannot read it.
fn pinned(path: &str) -> Result<std::os::fd::OwnedFd> {
    nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).with_context(|| path.to_owned())
}

fn exec(at: &impl AsFd, name: &str, flags: AtFlags, steps: &[String]) -> Result<()> {
    let mut arguments = vec![CString::new(if name.is_empty() { "spoor-act" } else { name })?];
    for step in steps {
        arguments.push(CString::new(step.as_str())?);
    }
    let mut environment = Vec::new();
    for (name, value) in std::env::vars_os() {
        environment.push(CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())?);
    }
    match execveat(at, &CString::new(name)?, &arguments, &environment, flags) {
        Ok(never) => match never {},
        Err(errno) => Err(errno).context("execveat"),
    }
}

/// Our parent's child: we may not wait for it, so it holds a pipe for as long as it lives.
fn sibling(steps: &[String]) -> Result<()> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: as fork; no other thread runs here that could hold a lock.
    let child = Errno::result(unsafe {
        libc::syscall(libc::SYS_clone, libc::CLONE_PARENT | libc::SIGCHLD, 0, 0, 0, 0)
    })?;
    if child == 0 {
        let code = outcome(steps);
        File::from(write).write_all(&code.to_ne_bytes())?;
        std::process::exit(code);
    }
    drop(write);
    let mut code = Vec::new();
    File::from(read).read_to_end(&mut code)?;
    match <[u8; 4]>::try_from(code).map(i32::from_ne_bytes) {
        Ok(NOT_THERE) => std::process::exit(NOT_THERE),
        Ok(0) | Err(_) => Ok(()), // it may have become another program
        Ok(code) => bail!("the sibling ended with {code}"),
    }
}

fn end_in_another_thread(code: i32) -> Result<()> {
    let first = format!("/proc/self/task/{}/stat", std::process::id());
    std::thread::Builder::new().spawn(move || {
        let gone = wait_until("the first thread does not end", || {
            let stat = std::fs::read_to_string(&first)?;
            let (_, after) = stat.rsplit_once(") ").context("a thread without a state")?;
            Ok(after.starts_with('Z'))
        });
        if let Err(error) = &gone {
            eprintln!("spoor-act: {error:#}");
        }
        // SAFETY: ends all threads; nothing is left to be done.
        unsafe { libc::syscall(libc::SYS_exit_group, if gone.is_ok() { code } else { 1 }) };
    })?;
    // SAFETY: ends this thread only; what it has on its stack is never dropped, and nobody refers to it.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
    bail!("a thread survives its end")
}
