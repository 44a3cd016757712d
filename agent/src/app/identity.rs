//! Which host this is.

use std::fs;

use nix::time::{ClockId, clock_gettime};

use crate::hex;
use crate::kernel::{PreflightError, boot_id, boot_ns};
use crate::record::Host;

/// Keeps a host's id here from being its machine id, which is nobody's business.
const CONTEXT: &str = "spoor 2026-11-23 host id";

/// `host.id` of this host.
///
/// # Errors
/// [`PreflightError::Proc`]
pub fn host_id() -> Result<String, PreflightError> {
    Ok(host(boot_id()?).id)
}

/// Which host this is, in this boot.
#[must_use]
pub(super) fn host(boot_id: [u8; 16]) -> Host {
    let boot = u128::from_be_bytes(boot_id);
    let machine = fs::read_to_string("/etc/machine-id").ok().map(|id| id.trim().to_owned());
    // A host without a machine id has an id for this boot only; better than one it shares with others.
    let machine = machine.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("boot:{boot:032x}"));
    let key = blake3::derive_key(CONTEXT, machine.as_bytes());
    let id = hex::encode(key.get(..16).unwrap_or_default());
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    Host { id, name, boot_id: hyphened(&format!("{boot:032x}")) }
}

fn hyphened(digits: &str) -> String {
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// Wall time less boot time, ns.
#[must_use]
pub(super) fn wall_offset_ns() -> i64 {
    let wall = clock_gettime(ClockId::CLOCK_REALTIME).map(std::time::Duration::from).unwrap_or_default();
    let wall = i64::try_from(wall.as_nanos()).unwrap_or(i64::MAX);
    wall.saturating_sub(i64::try_from(boot_ns()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_boot_id_looks_as_the_kernel_writes_it() {
        assert_eq!(
            super::hyphened("2899dae44fa44eef95b66bc95325f61a"),
            "2899dae4-4fa4-4eef-95b6-6bc95325f61a"
        );
    }
}
