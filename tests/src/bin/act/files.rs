//! The ways to a file's bytes.
//!
//! Each opens and reads a byte: `open-relative DIR NAME` (goes there first), `open-at DIR NAME`, `open2 PATH`,
//! `open-read-write PATH` (also `creat-read`), `open-handle PATH`, `reopen PATH` (`O_PATH`, then by its link in /proc),
//! `open-vfork PATH`, `open-brief PATH` (a child that is gone at once), `open-chroot ROOT PATH` (and stays there),
//! `bind-open FILE OVER`, `overlay-open LOWER NAME SCRATCH` and `overlay-copyup-open LOWER NAME SCRATCH` (in mounts of
//! our own, below a directory `overlay` made in SCRATCH), `uring-open PATH`, `uring-open-worker PATH`,
//! `uring-open-poller PATH`, `uring-open-direct PATH` (into a slot, without a descriptor), `compat-open PATH`,
//! `compat-openat PATH`, `creat-then-open PATH TEXT` (made beside and renamed just before).
//!
//! `read-with HOW PATH` opens plainly and reads by `read`, `pread`, `readv`, `preadv2`, `mmap`, `sendfile`, `splice`,
//! `copy_file_range` or `uring-read`. `open-only PATH` does not read; `open-fail PATH` must not be let in.

#![expect(unsafe_code, reason = "calls that no safe function makes")]

use std::ffi::CString;
use std::fs::File;
use std::io::IoSliceMut;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, SpliceFFlags};
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags};
use nix::sys::stat::Mode;
use nix::unistd::{ForkResult, fork};

use crate::uring::{Hand, Ring};
use crate::{NotThere, Steps, compat, open, own_mounts, taste, there, wait_for_child};

pub(crate) fn step(step: &str, steps: &mut Steps<'_>) -> Result<bool> {
    match step {
        "open-relative" => {
            nix::unistd::chdir(steps.next()?)?;
            taste(&open(steps.next()?)?)?;
        }
        "open-at" => {
            let directory = open(steps.next()?)?;
            taste(&nix::fcntl::openat(&directory, steps.next()?, read_only(), Mode::empty())?)?;
        }
        "open2" => {
            let how = OpenHow::new().flags(read_only());
            taste(&there("openat2", nix::fcntl::openat2(AT_FDCWD, steps.next()?, how))?)?;
        }
        "open-read-write" | "creat-read" => {
            taste(&File::options().read(true).write(true).open(steps.next()?)?)?;
        }
        "open-handle" => taste(&by_handle(steps.next()?)?)?,
        "reopen" => {
            let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
            let place = nix::fcntl::open(steps.next()?, flags, Mode::empty())?;
            taste(&open(&format!("/proc/self/fd/{}", place.as_raw_fd()))?)?;
        }
        "open-vfork" => in_vfork(steps.next()?)?,
        "open-brief" => in_brief_child(steps.next()?)?,
        "open-chroot" => {
            nix::unistd::chroot(steps.next()?)?;
            nix::unistd::chdir("/")?;
            taste(&open(steps.next()?)?)?;
        }
        "bind-open" => bind_and_open(steps.next()?, steps.next()?)?,
        "overlay-open" => overlay(steps.next()?, steps.next()?, steps.next()?, false)?,
        "overlay-copyup-open" => overlay(steps.next()?, steps.next()?, steps.next()?, true)?,
        "uring-open" => taste(&ring(Hand::Caller)?.open(steps.next()?)?)?,
        "uring-open-worker" => taste(&ring(Hand::Worker)?.open(steps.next()?)?)?,
        "uring-open-poller" => taste(&ring(Hand::Poller)?.open(steps.next()?)?)?,
        "uring-open-direct" => ring(Hand::Caller)?.open_into_slot(steps.next()?)?,
        "compat-open" => taste(&compat::open(steps.next()?, compat::OPEN)?)?,
        "compat-openat" => taste(&compat::open(steps.next()?, compat::OPENAT)?)?,
        "creat-then-open" => {
            let path = steps.next()?;
            let beside = format!("{path}.new");
            std::fs::write(&beside, steps.next()?)?;
            std::fs::rename(&beside, path)?;
            taste(&open(path)?)?;
        }
        "read-with" => {
            let how = steps.next()?;
            let path = steps.next()?;
            let read = read_with(how, Path::new(path), &open(path)?)?;
            ensure!(read > 0, "there was nothing to read");
        }
        "open-only" => drop(open(steps.next()?)?),
        "open-fail" => {
            let path = steps.next()?;
            ensure!(File::open(path).is_err(), "{path} could be opened");
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn read_only() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_CLOEXEC
}

fn ring(hand: Hand) -> Result<Ring> {
    use io_uring::opcode::{OpenAt, Read};
    Ring::new(hand, &[OpenAt::CODE, Read::CODE])
}

/// A handle is a file's name that has no directories in it.
fn by_handle(path: &str) -> Result<OwnedFd> {
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        name: [u8; 128],
    }
    let mut handle = Handle { bytes: 128, kind: 0, name: [0; 128] };
    let mut mount_id = 0_i32;
    let directory = Path::new(path).parent().context("a file is in a directory")?;
    let mount = nix::fcntl::open(directory, read_only() | OFlag::O_DIRECTORY, Mode::empty())?;
    let path = CString::new(path)?;
    // SAFETY: all three live, and the handle has the room that it says it has.
    there("name_to_handle_at", unsafe {
        Errno::result(libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            path.as_ptr(),
            &raw mut handle,
            &raw mut mount_id,
            0,
        ))
    })?;
    // SAFETY: the handle lives, and the kernel has filled it.
    let fd = unsafe {
        libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &raw mut handle, read_only().bits())
    };
    let fd = there("open_by_handle_at", Errno::result(fd))?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(i32::try_from(fd)?) })
}

/// A child that has our memory while we stand still. It does nothing but system calls.
fn in_vfork(path: &str) -> Result<()> {
    let path = CString::new(path)?;
    let mut stack = vec![0; 64 * 1024];
    let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
    // SAFETY: the stack is the child's own, and nothing of ours is changed by what it does.
    let child = unsafe {
        nix::sched::clone(
            Box::new(|| open_and_read_at_once(&path) as isize),
            &mut stack,
            flags,
            Some(libc::SIGCHLD),
        )
    };
    wait_for_child(child?)
}

fn in_brief_child(path: &str) -> Result<()> {
    let path = CString::new(path)?;
    // SAFETY: no other thread runs here that could hold a lock.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => wait_for_child(child),
        ForkResult::Child => {
            let code = open_and_read_at_once(&path);
            // SAFETY: nothing is left to be done.
            unsafe { libc::_exit(code) }
        }
    }
}

fn open_and_read_at_once(path: &CString) -> i32 {
    let mut byte = 0_u8;
    // SAFETY: the path lives.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY) };
    // SAFETY: the byte lives; without a descriptor the kernel refuses.
    let read = unsafe { libc::read(fd, (&raw mut byte).cast(), 1) };
    i32::from(read != 1)
}

fn bind_and_open(file: &str, over: &str) -> Result<()> {
    own_mounts()?;
    let none = None::<&str>;
    mount(Some(file), over, none, MsFlags::MS_BIND, none).with_context(|| format!("{file} over {over}"))?;
    taste(&open(over)?)
}

/// The upper part is a file system of its own, since not every one can be that.
fn overlay(lower: &str, name: &str, scratch: &str, change_first: bool) -> Result<()> {
    own_mounts()?;
    let top = Path::new(scratch).join("overlay");
    std::fs::create_dir_all(&top)?;
    mount(Some("tmpfs"), &top, Some("tmpfs"), MsFlags::empty(), None::<&str>).context("the upper part")?;
    let [upper, work, merged] = ["upper", "work", "merged"].map(|part| top.join(part));
    for part in [&upper, &work, &merged] {
        std::fs::create_dir(part)?;
    }
    let options = format!("lowerdir={lower},upperdir={},workdir={}", upper.display(), work.display());
    let mounted = mount(Some("overlay"), &merged, Some("overlay"), MsFlags::empty(), Some(options.as_str()));
    there("overlay", mounted)?;
    let path = merged.join(name);
    if change_first {
        let mut file = File::options().append(true).open(&path)?;
        std::io::Write::write_all(&mut file, b"\n")?;
    }
    taste(&File::open(&path).with_context(|| format!("open {}", path.display()))?)
}

fn read_with(how: &str, path: &Path, file: &File) -> Result<usize> {
    let mut bytes = [0; 64];
    let anything = || memfd_create("spoor-act", MFdFlags::MFD_CLOEXEC).context("memfd");
    Ok(match how {
        "read" => nix::unistd::read(file, &mut bytes)?,
        "pread" => nix::sys::uio::pread(file, &mut bytes, 0)?,
        "readv" => nix::sys::uio::readv(file, &mut [IoSliceMut::new(&mut bytes)])?,
        "preadv2" => {
            let vector = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
            // SAFETY: the vector has one part, and that lives.
            let read = unsafe { libc::preadv2(file.as_raw_fd(), &raw const vector, 1, 0, 0) };
            usize::try_from(there("preadv2", Errno::result(read))?)?
        }
        "mmap" => mapped(file)?,
        "sendfile" => nix::sys::sendfile::sendfile(anything()?, file, None, bytes.len())?,
        "splice" => {
            let (_out, into) = nix::unistd::pipe()?;
            nix::fcntl::splice(file, None, into, None, bytes.len(), SpliceFFlags::empty())?
        }
        "copy_file_range" => {
            // Many kernels copy within one file system only.
            let into = tempfile::tempfile_in(path.parent().context("a file is in a directory")?)?;
            let copied = nix::fcntl::copy_file_range(file, None, into, None, bytes.len());
            match copied {
                Err(errno @ (Errno::EXDEV | Errno::EINVAL)) => {
                    return Err(NotThere(format!("copy_file_range: {errno}")).into());
                }
                other => there("copy_file_range", other)?,
            }
        }
        "uring-read" => Ring::new(Hand::Caller, &[io_uring::opcode::Read::CODE])?.read(file)?,
        other => bail!("no such way to read: {other}"),
    })
}

fn mapped(file: &File) -> Result<usize> {
    let size = file.metadata()?.len();
    let length = NonZeroUsize::new(usize::try_from(size)?).context("there was nothing to read")?;
    // SAFETY: new memory, where nothing is.
    let map =
        unsafe { nix::sys::mman::mmap(None, length, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE, file, 0) }?;
    // SAFETY: the map has a byte at least; volatile, so that it is truly read.
    unsafe { map.cast::<u8>().as_ptr().read_volatile() };
    // SAFETY: mapped above, and nobody else knows it.
    unsafe { nix::sys::mman::munmap(map, length.get()) }?;
    Ok(length.get())
}
