//! Keeps the allocator from keeping memory: gives back what only the start needed, and lets threads share what they free.
#![expect(unsafe_code, reason = "two calls of the C library that take nothing which could be wrong")]

/// Has all threads allocate from two heaps, where each would have its own and keep in it the most that it ever used: a scan for
/// credentials alone a megabyte. They allocate too seldom at a time to wait for each other.
pub(super) fn share_heaps() {
    // SAFETY: it sets a number of the allocator's.
    #[cfg(target_env = "gnu")]
    unsafe {
        nix::libc::mallopt(nix::libc::M_ARENA_MAX, 2);
    }
}

/// Gives back the memory that is free and that the allocator keeps: of the kernel's type description and of what the probes
/// were made of, which is half as much as an agent at rest holds.
pub(super) fn trim() {
    // SAFETY: it takes the allocator's own locks, and touches only what nobody holds.
    #[cfg(target_env = "gnu")]
    unsafe {
        nix::libc::malloc_trim(0);
    }
}
