//! OCSF's common process id: the same process gets the same id from every tool that follows the rule.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::event::ProcessKey;

/// The common process id: a UUID of version 8 over boot id, pid namespace, start in clock ticks and the thread group in
/// that namespace.
#[must_use]
pub fn cpid(boot_id: [u8; 16], pid_ns: u32, start_ns: u64, ns_tgid: u32) -> String {
    let ticks = start_ns / ProcessKey::PROC_TICK_NS;
    let digest = Sha256::new()
        .chain_update(boot_id)
        .chain_update(u64::from(pid_ns).to_ne_bytes())
        .chain_update(ticks.to_ne_bytes())
        .chain_update(i64::from(ns_tgid).to_ne_bytes())
        .finalize();
    let mut text = String::with_capacity(36);
    for (index, byte) in digest.iter().take(16).enumerate() {
        let byte = match index {
            6 => (byte & 0x0f) | 0x80,
            8 => (byte & 0x3f) | 0x80,
            _ => *byte,
        };
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::cpid;

    #[test]
    #[cfg(target_endian = "little")]
    fn published_vector() {
        let boot = 0x2899_dae4_4fa4_4eef_95b6_6bc9_5325_f61a_u128.to_be_bytes();
        let id = cpid(boot, 4_026_532_263, 55_558 * 10_000_000 + 7, 29);
        assert_eq!(id, "b770a0ed-8463-822c-b5f6-30d9081ddbd9");
    }
}
