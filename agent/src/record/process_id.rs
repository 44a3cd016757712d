//! What the id of a process in a record follows from.

use crate::lineage::Cpid;

/// The namespace of processes that each host begins with.
const FIRST_NAMESPACE: u32 = 0xefff_fffc;

/// The id of a process in the first namespace, from what a record says beside it.
pub(crate) fn process_id(boot_id: [u8; 16], start_ns: u64, pid: u32) -> String {
    Cpid::of(boot_id, FIRST_NAMESPACE, start_ns, pid).to_string()
}
