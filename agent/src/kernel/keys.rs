//! Calls on the kernel's key rings, which neither the standard library nor `nix` has.
#![expect(unsafe_code, reason = "four system calls with constants of our own")]

use std::ffi::{CStr, c_long};
use std::io;

use nix::libc;

const USER: &CStr = c"user";
const NAME: &CStr = c"spoor-canary";
const PAYLOAD: &[u8] = b"canary";
/// `KEYCTL_GET_KEYRING_ID` and `KEYCTL_READ`
const GET_KEYRING_ID: c_long = 0;
const READ: c_long = 11;
/// `KEY_SPEC_PROCESS_KEYRING` and `KEY_SPEC_USER_KEYRING`
const OF_PROCESS: c_long = -2;
const OF_USER: c_long = -4;

/// Makes the kernel keep the register of users' key rings, as the first login does: from it probes find every key (ADR 13).
/// Where it cannot, they find the keys of those that have a session, and the canary says whether that is so.
pub(super) fn anchor() {
    // SAFETY: numbers; what there is already stays as it is.
    unsafe { libc::syscall(libc::SYS_keyctl, GET_KEYRING_ID, OF_USER, 1 as c_long) };
}

/// Makes a key that goes with this process, finds it by its name, and reads it.
pub(super) fn all_ways() -> io::Result<()> {
    // SAFETY: two texts and a payload with its length; the kernel copies them.
    let made = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            USER.as_ptr(),
            NAME.as_ptr(),
            PAYLOAD.as_ptr(),
            PAYLOAD.len(),
            OF_PROCESS,
        )
    };
    let made = done(made)?;
    // SAFETY: the same texts; without one to call for, nobody is called.
    let found = unsafe {
        libc::syscall(
            libc::SYS_request_key,
            USER.as_ptr(),
            NAME.as_ptr(),
            std::ptr::null::<u8>(),
            0 as c_long,
        )
    };
    if done(found)? != made {
        return Err(io::Error::other("another key has the canary's name"));
    }
    let mut room = [0u8; 16];
    // SAFETY: a buffer and its length.
    let read =
        unsafe { libc::syscall(libc::SYS_keyctl, READ, made, room.as_mut_ptr(), room.len(), 0 as c_long) };
    let read = usize::try_from(done(read)?).unwrap_or(0);
    if room.get(..read) == Some(PAYLOAD) {
        Ok(())
    } else {
        Err(io::Error::other("the key holds another payload"))
    }
}

fn done(answer: c_long) -> io::Result<c_long> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}
