//! Who a process is.
//!
//! `setuid UID`, `setresuid REAL EFFECTIVE SAVED`, `setgid GID`, `setuid-same` (what it already is), `capset-drop
//! admin|all` (from the effective set; what is permitted stays), `capset-raise` (all that is permitted), `setns-net PATH`
//! (a file of /proc/PID/ns), `unshare-user`, `unshare-net`, `login-uid UID` (as a login would; also `4294967295`, "nobody").

#![expect(unsafe_code, reason = "capabilities have no safe function here")]

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{Gid, Uid, getuid, setgid, setresuid, setuid};

use crate::{NotThere, Steps, open};

const SYS_ADMIN: u32 = 21;

pub(crate) fn step(step: &str, steps: &mut Steps<'_>) -> Result<bool> {
    match step {
        "setuid" => setuid(Uid::from_raw(steps.number()?))?,
        "setresuid" => {
            let [real, effective, saved] = [steps.number()?, steps.number()?, steps.number()?];
            setresuid(Uid::from_raw(real), Uid::from_raw(effective), Uid::from_raw(saved))?;
        }
        "setgid" => setgid(Gid::from_raw(steps.number()?))?,
        "setuid-same" => setuid(getuid())?,
        "capset-drop" => match steps.next()? {
            "admin" => capabilities(|part, set| {
                set.effective &= !if part == 0 { 1 << SYS_ADMIN } else { 0 };
            })?,
            "all" => capabilities(|_, set| set.effective = 0)?,
            other => bail!("admin or all, not {other}"),
        },
        "capset-raise" => capabilities(|_, set| set.effective = set.permitted)?,
        "setns-net" => setns(open(steps.next()?)?, CloneFlags::CLONE_NEWNET)?,
        "unshare-user" => match unshare(CloneFlags::CLONE_NEWUSER) {
            // By sysctl, either of them.
            Err(errno @ (Errno::EPERM | Errno::ENOSPC | Errno::EINVAL)) => {
                return Err(NotThere(format!("user namespaces: {errno}")).into());
            }
            other => other?,
        },
        "unshare-net" => unshare(CloneFlags::CLONE_NEWNET)?,
        "login-uid" => {
            let place = "/proc/self/loginuid";
            if !std::path::Path::new(place).exists() {
                return Err(NotThere("login users: the kernel has no audit".to_owned()).into());
            }
            std::fs::write(place, steps.next()?).context(place)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Half of the three sets, as the kernel has them.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Set {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

fn capabilities(change: impl Fn(usize, &mut Set)) -> Result<()> {
    let mut header = Header { version: 0x2008_0522, pid: 0 };
    let mut sets = [Set::default(); 2];
    // SAFETY: this version has two halves, and both live.
    let got = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) };
    Errno::result(got).context("capget")?;
    for (part, set) in sets.iter_mut().enumerate() {
        change(part, set);
    }
    // SAFETY: as above.
    let set = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) };
    Errno::result(set).map(drop).context("capset")
}
