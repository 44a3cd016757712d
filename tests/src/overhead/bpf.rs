//! What the kernel says of its BPF programs and tables, by their ids.

#![expect(unsafe_code, reason = "bpf(2), for which this crate has no library")]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::libc;

const OBJ_GET_INFO_BY_FD: libc::c_long = 15;

/// What `bpf(2)` takes.
pub(super) type Attributes = [u32; 32];

/// Programs, or tables: the commands that find them.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) next_id: libc::c_long,
    pub(super) by_id: libc::c_long,
}

/// All ids of a kind, one behind the other.
pub(super) fn ids(kind: Kind) -> impl Iterator<Item = Result<u32>> {
    let mut last = Some(0);
    std::iter::from_fn(move || {
        let mut attributes: Attributes = [0; 32];
        attributes[0] = last.take()?;
        match call(kind.next_id, &mut attributes) {
            Ok(_) => {
                last = Some(attributes[1]);
                Some(Ok(attributes[1]))
            }
            Err(Errno::ENOENT) => None,
            Err(error) => Some(Err(error).context("ids of what BPF has")),
        }
    })
}

/// One of them; none where it is gone meanwhile.
pub(super) fn open(kind: Kind, id: u32) -> Result<Option<OwnedFd>> {
    let mut attributes: Attributes = [0; 32];
    attributes[0] = id;
    match made(kind.by_id, &mut attributes) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error).context("what BPF has, by its id"),
    }
}

/// The beginning of what the kernel says of one.
pub(super) fn info<const N: usize>(of: &OwnedFd) -> Result<[u8; N]> {
    let mut info = [0u8; N];
    let mut attributes = about(of)?;
    attributes[1] = u32::try_from(N)?;
    put(&mut attributes, 2, info.as_mut_ptr().addr());
    call(OBJ_GET_INFO_BY_FD, &mut attributes).context("what BPF says of its own")?;
    Ok(info)
}

/// What begins with one of them.
pub(super) fn about(of: &OwnedFd) -> Result<Attributes> {
    let mut attributes: Attributes = [0; 32];
    attributes[0] = u32::try_from(of.as_raw_fd())?;
    Ok(attributes)
}

/// An address into two words.
pub(super) fn put(attributes: &mut Attributes, at: usize, address: usize) {
    let bytes = address.to_ne_bytes();
    for (word, half) in attributes.iter_mut().skip(at).zip(bytes.chunks_exact(4)) {
        *word = half.try_into().map_or(0, u32::from_ne_bytes);
    }
}

/// A name that is filled up with zeros.
pub(super) fn name(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}

/// What a command makes.
pub(super) fn made(command: libc::c_long, attributes: &mut Attributes) -> nix::Result<OwnedFd> {
    let fd = i32::try_from(call(command, attributes)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made it, for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(super) fn call(command: libc::c_long, attributes: &mut Attributes) -> nix::Result<libc::c_long> {
    // SAFETY: the attributes are as long as we say, and what they point to lives while the call goes on.
    Errno::result(unsafe {
        libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), size_of_val(attributes))
    })
}
