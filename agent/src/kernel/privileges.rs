//! Load, then drop: what loading probes takes is given up when they are attached. Capabilities belong to threads, so each
//! thread that is there already gives up its own; those that are made later have what their maker has left.

use std::io;

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, no_new_privs, set_capabilities, set_no_new_privs,
};

/// What an agent under way still needs, where it has it at all: its unit grants it the first three.
const KEPT: CapabilitySet = CapabilitySet::BPF // maps, where the kernel keeps unprivileged processes from them
    .union(CapabilitySet::SYS_PTRACE) // descriptors, environments and roots of other users' processes
    .union(CapabilitySet::DAC_READ_SEARCH) // credentials, for what identifies them
    .union(CapabilitySet::DAC_OVERRIDE) // a store or a sink in somebody's folder, for whoever runs it by hand
    .union(CapabilitySet::FOWNER); // looking without changing the time of the last access

/// Gives up, for good and for this thread and its children, what only loading probes takes. A program that it starts does
/// not get it back either.
///
/// # Errors
/// What the system says.
pub fn give_up() -> io::Result<()> {
    if !no_new_privs()? {
        set_no_new_privs(true)?;
    }
    let now = capabilities(None)?;
    let (permitted, effective) = (now.permitted & KEPT, now.effective & KEPT);
    let inheritable = now.inheritable & KEPT;
    Ok(set_capabilities(None, CapabilitySets { effective, permitted, inheritable })?)
}

/// Gives up every capability of this thread.
pub(super) fn give_up_all() -> io::Result<()> {
    let none = CapabilitySet::empty();
    Ok(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a thread of its own, whose capabilities are no other test's.
    #[test]
    fn what_is_given_up_is_gone_from_the_thread() {
        let after = std::thread::spawn(|| {
            give_up().unwrap();
            let kept = capabilities(None).unwrap();
            assert!(no_new_privs().unwrap());
            give_up_all().unwrap();
            (kept, capabilities(None).unwrap())
        });
        let (kept, none) = after.join().unwrap();
        for of in [kept.permitted, kept.effective, kept.inheritable] {
            assert!(KEPT.contains(of), "{of:?}");
        }
        assert!((none.permitted | none.effective | none.inheritable).is_empty(), "{none:?}");
    }
}
