//! Gives back to the system what only the start needed.
#![expect(unsafe_code, reason = "one call of the C library that takes nothing which could be wrong")]

/// Gives back the memory that is free and that the allocator keeps: of the kernel's type description and of what the probes
/// were made of, which is half as much as an agent at rest holds.
pub(super) fn trim() {
    // SAFETY: it takes the allocator's own locks, and touches only what nobody holds.
    #[cfg(target_env = "gnu")]
    unsafe {
        nix::libc::malloc_trim(0);
    }
}
