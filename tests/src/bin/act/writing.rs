//! The ways to write a file without reading it: `write-with HOW PATH` opens it by `only`, `append`, `truncate`, `make` (it
//! must not be there), `creat`, `openat2` or `uring`, and writes a byte. `look-at PATH` does what writes nothing: by `O_PATH`,
//! with other permissions, with another time. `replace BESIDE PATH` writes the one and renames it over the other.

#![expect(unsafe_code, reason = "calls that no safe function makes")]

use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Result, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow};
use nix::libc;
use nix::sys::stat::{Mode, UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use crate::uring::{Hand, Ring};
use crate::{Steps, there};

pub(crate) fn step(step: &str, steps: &mut Steps<'_>) -> Result<bool> {
    match step {
        "write-with" => {
            let how = steps.next()?;
            let file = open(how, steps.next()?)?;
            let written = nix::unistd::write(&file, b"\n")?;
            ensure!(written == 1, "nothing was written");
        }
        "replace" => {
            let beside = steps.next()?;
            std::fs::write(beside, "another secret, for the test\n")?;
            std::fs::rename(beside, steps.next()?)?;
        }
        "look-at" => look_at(steps.next()?)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn open(how: &str, path: &str) -> Result<OwnedFd> {
    let only = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let plainly = |more: OFlag| nix::fcntl::open(path, only | more, mode);
    Ok(match how {
        "only" => plainly(OFlag::empty())?,
        "append" => plainly(OFlag::O_APPEND)?,
        "truncate" => plainly(OFlag::O_CREAT | OFlag::O_TRUNC)?,
        "make" => plainly(OFlag::O_CREAT | OFlag::O_EXCL)?,
        "creat" => {
            let path = CString::new(path)?;
            // SAFETY: the path lives.
            let fd = Errno::result(unsafe { libc::creat(path.as_ptr(), mode.bits()) })?;
            // SAFETY: the kernel has just made it for us.
            unsafe { OwnedFd::from_raw_fd(fd) }
        }
        "openat2" => {
            let how = OpenHow::new().flags(only | OFlag::O_APPEND);
            there("openat2", nix::fcntl::openat2(AT_FDCWD, path, how))?
        }
        "uring" => {
            Ring::new(Hand::Caller, &[io_uring::opcode::OpenAt::CODE])?.open_with(path, only.bits())?
        }
        other => bail!("no such way to write: {other}"),
    })
}

fn look_at(path: &str) -> Result<()> {
    let place = nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
    ensure!(place.as_raw_fd() >= 0, "no descriptor");
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o640))?;
    let now = TimeSpec::UTIME_NOW;
    Ok(utimensat(AT_FDCWD, path, &now, &now, UtimensatFlags::FollowSymlink)?)
}
