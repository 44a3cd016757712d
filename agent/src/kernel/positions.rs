//! Where the writers of a ring are, and its reader: the only way to tell a ring that is empty from one whose next sample a
//! probe has begun and not finished.
#![expect(unsafe_code, reason = "two words of memory that the kernel writes")]

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::unistd::{SysconfVar, sysconf};

/// The first two pages of a ring: the reader's, and the writers', each with a position in its first word.
pub(super) struct Positions {
    pages: NonNull<c_void>,
    page: NonZeroUsize,
}

// SAFETY: the memory is the kernel's, and read only by atomic loads.
unsafe impl Send for Positions {}

impl Positions {
    /// # Errors
    /// What the system says where the ring cannot be mapped.
    pub(super) fn of(ring: impl AsFd) -> io::Result<Self> {
        let page = sysconf(SysconfVar::PAGE_SIZE)?.and_then(|size| usize::try_from(size).ok());
        let page = page.and_then(NonZeroUsize::new).ok_or(io::ErrorKind::Unsupported)?;
        let both = page.saturating_add(page.get());
        // SAFETY: a new mapping, where the kernel likes.
        let pages = unsafe { mmap(None, both, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, ring, 0) }?;
        Ok(Positions { pages, page })
    }

    /// Whether a sample was begun that has not been read.
    pub(super) fn is_behind(&self) -> bool {
        self.at(0) != self.at(self.page.get())
    }

    /// How far samples have been begun.
    pub(super) fn begun(&self) -> usize {
        self.at(self.page.get())
    }

    /// Whether all has been read that was begun when [`Positions::begun`] was that.
    pub(super) fn is_past(&self, begun: usize) -> bool {
        // Positions only grow, and begin anew at the end of the numbers: who is past is so by less than half of them.
        self.at(0).wrapping_sub(begun) <= usize::MAX / 2
    }

    fn at(&self, offset: usize) -> usize {
        // SAFETY: the start of one of the two pages, and so aligned.
        let place = unsafe { self.pages.byte_add(offset) };
        // SAFETY: mapped for as long as this lives; nobody here makes a reference to it that is not atomic.
        unsafe { AtomicUsize::from_ptr(place.cast().as_ptr()) }.load(Ordering::Acquire)
    }
}

impl Drop for Positions {
    fn drop(&mut self) {
        // SAFETY: the mapping that was made, which nobody else has.
        let _ = unsafe { munmap(self.pages, 2 * self.page.get()) };
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::*;

    #[test]
    fn a_ring_is_behind_while_its_two_positions_differ() {
        let mut ring = tempfile::tempfile().unwrap();
        let page = u64::try_from(sysconf(SysconfVar::PAGE_SIZE).unwrap().unwrap()).unwrap();
        ring.set_len(2 * page).unwrap();
        let positions = Positions::of(&ring).unwrap();
        assert!(!positions.is_behind());
        let mut move_to = |page: u64, position: u64| {
            ring.seek(SeekFrom::Start(page)).unwrap();
            ring.write_all(&position.to_ne_bytes()).unwrap();
        };
        move_to(page, 64);
        assert!(positions.is_behind(), "a sample was begun");
        assert_eq!(positions.begun(), 64);
        assert!(!positions.is_past(64));
        move_to(0, 64);
        assert!(!positions.is_behind(), "and read");
        assert!(positions.is_past(64));
        move_to(page, 128);
        assert!(positions.is_past(64), "what was begun since is of later");
        assert!(!positions.is_past(positions.begun()));
        move_to(0, u64::MAX - 63);
        assert!(!positions.is_past(64), "the numbers began anew");
        move_to(0, 64);
        assert!(positions.is_past(usize::MAX - 63));
    }
}
