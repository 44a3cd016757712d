//! OCSF's common process id: the same process gets the same id from every tool that follows the rule.

use std::fmt;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::event::ProcessKey;
use crate::hex;

/// A common process id. Its text is that of a UUID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpid(pub [u8; 16]);

impl Cpid {
    /// Of a process: a UUID of version 8 over boot id, pid namespace, start in clock ticks and the thread group in that
    /// namespace.
    #[must_use]
    pub fn of(boot_id: [u8; 16], pid_ns: u32, start_ns: u64, ns_tgid: u32) -> Self {
        let ticks = start_ns / ProcessKey::PROC_TICK_NS;
        // In one piece: it fits into one block.
        let mut input = [0; 40];
        input[..16].copy_from_slice(&boot_id);
        input[16..24].copy_from_slice(&u64::from(pid_ns).to_ne_bytes());
        input[24..32].copy_from_slice(&ticks.to_ne_bytes());
        input[32..].copy_from_slice(&i64::from(ns_tgid).to_ne_bytes());
        let digest = Sha256::digest(input);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        id[6] = (id[6] & 0x0f) | 0x80;
        id[8] = (id[8] & 0x3f) | 0x80;
        Self(id)
    }
}

impl fmt::Display for Cpid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at..at + 2].copy_from_slice(&hex::pair(*byte));
            at += 2;
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl Serialize for Cpid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Cpid;

    #[test]
    #[cfg(target_endian = "little")]
    fn published_vector() {
        let boot = 0x2899_dae4_4fa4_4eef_95b6_6bc9_5325_f61a_u128.to_be_bytes();
        let id = Cpid::of(boot, 4_026_532_263, 55_558 * 10_000_000 + 7, 29);
        assert_eq!(id.to_string(), "b770a0ed-8463-822c-b5f6-30d9081ddbd9");
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"b770a0ed-8463-822c-b5f6-30d9081ddbd9\"");
    }
}
