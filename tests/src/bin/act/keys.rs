//! The ways to a key of the kernel's key rings, and into an environment.
//!
//! `key-add TYPE NAME PAYLOAD` (into the key ring of the process; the steps that follow are about that key), `key-add-32`
//! (the same by a 32-bit call), `key-find TYPE NAME` (`request_key`), `key-search TYPE NAME` (`keyctl`), `key-read`,
//! `key-read-32`, `key-update PAYLOAD`, and the innocent `key-length` (asks how long the payload is), `key-refused` (asks for
//! a payload that nobody is given), `keyring-add NAME`, `keyring-read`. `setenv NAME VALUE` (for what is executed next).
//! A PAYLOAD or VALUE `planted` is one that must never be seen again; `$NAME` is what the variable of that name holds.

#![expect(
    unsafe_code,
    reason = "system calls that no library makes, and the environment of a program with one thread"
)]

use std::borrow::Cow;
use std::ffi::{CString, c_long};
use std::sync::atomic::{AtomicI32, Ordering};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::libc;

use crate::compat::{self, Low};
use crate::{Steps, there};

/// `KEY_SPEC_PROCESS_KEYRING`
const OF_PROCESS: c_long = -2;
/// `KEYCTL_GET_KEYRING_ID` and its like.
const GET_KEYRING_ID: c_long = 0;
const UPDATE: c_long = 2;
const SEARCH: c_long = 10;
const READ: c_long = 11;
/// Numbers of 32-bit x86.
const ADD_KEY_32: u32 = 286;
const KEYCTL_32: u32 = 288;
/// More than the tests' payloads have.
const ROOM: usize = 256;

/// The key that was made last.
static LAST: AtomicI32 = AtomicI32::new(0);

pub(crate) fn step(step: &str, steps: &mut Steps<'_>) -> Result<bool> {
    match step {
        "key-add" => {
            let serial = add(steps.next()?, steps.next()?, Some(&value(steps.next()?)?))?;
            LAST.store(i32::try_from(serial)?, Ordering::Relaxed);
        }
        "key-add-32" => {
            let serial = add_32(steps.next()?, steps.next()?, &value(steps.next()?)?)?;
            LAST.store(serial, Ordering::Relaxed);
        }
        "key-find" => is_last(find(steps.next()?, steps.next()?)?)?,
        "key-search" => is_last(search(steps.next()?, steps.next()?)?)?,
        "key-read" => ensure!(read(last(), ROOM)? > 0, "there was nothing to read"),
        "key-read-32" => read_32()?,
        "key-length" => ensure!(read(last(), 0)? > 0 && read(last(), 1)? > 1, "the key has no payload"),
        "key-refused" => ensure!(read(last(), ROOM).is_err(), "a payload came out that must not"),
        "key-update" => update(&value(steps.next()?)?)?,
        "keyring-add" => drop(add("keyring", steps.next()?, None)?),
        "keyring-read" => {
            // SAFETY: numbers.
            let own = unsafe { libc::syscall(libc::SYS_keyctl, GET_KEYRING_ID, OF_PROCESS, 1 as c_long) };
            read(there("the key ring of a process", Errno::result(own))?, ROOM)?;
        }
        "setenv" => {
            let (name, value) = (steps.next()?, value(steps.next()?)?);
            // SAFETY: no other thread reads it.
            unsafe { std::env::set_var(name, &*value) };
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// A payload or a value as it is told; of `planted`, and of a variable, one that is not in the arguments.
fn value(text: &str) -> Result<Cow<'_, str>> {
    if let Some(name) = text.strip_prefix('$') {
        return Ok(Cow::Owned(std::env::var(name).with_context(|| name.to_owned())?));
    }
    Ok(Cow::Borrowed(if text == "planted" { spoor_tests::PLANTED } else { text }))
}

fn last() -> c_long {
    LAST.load(Ordering::Relaxed).into()
}

fn is_last(serial: c_long) -> Result<()> {
    ensure!(serial == last(), "another key was found: {serial}");
    Ok(())
}

fn add(kind: &str, name: &str, payload: Option<&str>) -> Result<c_long> {
    let (kind, name) = (CString::new(kind)?, CString::new(name)?);
    let (at, len) = payload.map_or((std::ptr::null(), 0), |payload| (payload.as_ptr(), payload.len()));
    // SAFETY: texts, and a payload with its length.
    let serial =
        unsafe { libc::syscall(libc::SYS_add_key, kind.as_ptr(), name.as_ptr(), at, len, OF_PROCESS) };
    there("add_key", Errno::result(serial))
}

fn add_32(kind: &str, name: &str, payload: &str) -> Result<i32> {
    const THIRD: usize = 1024;
    let low = Low::new()?;
    let text = |at, text: &str| low.put(at, &[text.as_bytes(), &[0]].concat());
    let arguments =
        [text(0, kind)?, text(THIRD, name)?, text(2 * THIRD, payload)?, u32::try_from(payload.len())?];
    // SAFETY: everything lives in `low`; the fifth argument is the key ring of the process.
    there("a 32-bit add_key", unsafe { compat::call5(ADD_KEY_32, arguments, -2) }?)
}

fn find(kind: &str, name: &str) -> Result<c_long> {
    let (kind, name) = (CString::new(kind)?, CString::new(name)?);
    let none = std::ptr::null::<u8>();
    // SAFETY: texts; nobody is called for.
    let serial =
        unsafe { libc::syscall(libc::SYS_request_key, kind.as_ptr(), name.as_ptr(), none, 0 as c_long) };
    there("request_key", Errno::result(serial))
}

fn search(kind: &str, name: &str) -> Result<c_long> {
    let (kind, name) = (CString::new(kind)?, CString::new(name)?);
    // SAFETY: texts.
    let serial = unsafe {
        libc::syscall(libc::SYS_keyctl, SEARCH, OF_PROCESS, kind.as_ptr(), name.as_ptr(), 0 as c_long)
    };
    there("keyctl", Errno::result(serial))
}

/// Asks for a payload, with so much room for it; gives how long it is.
fn read(serial: c_long, room: usize) -> Result<c_long> {
    let mut buffer = vec![0u8; room];
    let at = if room == 0 { std::ptr::null_mut() } else { buffer.as_mut_ptr() };
    // SAFETY: a buffer and its length.
    let len = unsafe { libc::syscall(libc::SYS_keyctl, READ, serial, at, room, 0 as c_long) };
    there("keyctl", Errno::result(len))
}

fn read_32() -> Result<()> {
    let low = Low::new()?;
    let buffer = low.put(0, &[0; ROOM])?;
    let serial = LAST.load(Ordering::Relaxed).cast_unsigned();
    let arguments = [u32::try_from(READ)?, serial, buffer, u32::try_from(ROOM)?];
    // SAFETY: the buffer lives in `low`.
    let len = there("a 32-bit keyctl", unsafe { compat::call(KEYCTL_32, arguments) }?)?;
    ensure!(len > 0, "there was nothing to read");
    Ok(())
}

fn update(payload: &str) -> Result<()> {
    // SAFETY: a payload and its length.
    let done = unsafe {
        libc::syscall(libc::SYS_keyctl, UPDATE, last(), payload.as_ptr(), payload.len(), 0 as c_long)
    };
    there("keyctl", Errno::result(done)).map(drop)
}
