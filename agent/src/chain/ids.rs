//! Ids that are the same whenever the same stream is replayed.

use super::Ulid;
use crate::actor::RunKey;
use crate::event::SampleId;

/// Makes ids: 48 bits of wall-clock milliseconds, 80 bits of a hash over what the id is for.
#[derive(Debug)]
pub(super) struct Ids {
    boot_id: [u8; 16],
    wall_offset_ns: i64,
}

impl Ids {
    pub(super) fn new(boot_id: [u8; 16], wall_offset_ns: i64) -> Self {
        Self { boot_id, wall_offset_ns }
    }

    /// `domain` keeps the ids of a run and of its first chain apart.
    pub(super) fn make(&self, domain: &str, run: &RunKey, time_ns: u64, sample: SampleId) -> Ulid {
        let mut hasher = blake3::Hasher::new();
        let mut field = |bytes: &[u8]| {
            hasher.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(bytes);
        };
        field(domain.as_bytes());
        field(&self.boot_id);
        match run {
            RunKey::Unit { actor, cgroup_id } => {
                field(b"unit");
                field(actor.as_bytes());
                field(&cgroup_id.to_le_bytes());
            }
            RunKey::Container(id) => {
                field(b"container");
                field(id.as_bytes());
            }
            RunKey::Entered { container, root } => {
                field(b"entered");
                field(container.as_bytes());
                field(&root.tgid.to_le_bytes());
                field(&root.tick.to_le_bytes());
            }
            RunKey::Session { login_uid, actor } => {
                field(b"session");
                field(&login_uid.to_le_bytes());
                field(actor.as_bytes());
            }
            RunKey::Tree { root, user } => {
                field(b"tree");
                field(&root.tgid.to_le_bytes());
                field(&root.tick.to_le_bytes());
                field(&user.to_le_bytes());
            }
        }
        field(&time_ns.to_le_bytes());
        field(&sample.cpu.to_le_bytes());
        field(&sample.seq.to_le_bytes());
        let mut random = [0_u8; 16];
        hasher.finalize_xof().fill(&mut random);
        let wall_ms = time_ns.saturating_add_signed(self.wall_offset_ns) / 1_000_000;
        let low = u128::from_be_bytes(random) & ((1 << 80) - 1);
        Ulid((u128::from(wall_ms) & ((1 << 48) - 1)) << 80 | low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for id in [Ulid(0), Ulid(1), Ulid(u128::MAX), Ulid(0x0001_9999_dead_beef)] {
            assert_eq!(Ulid::from_text(&id.to_string()), Some(id));
        }
        for text in ["", "0", "0000000000000000000000000U", "\u{1F980}0000000000000000000000"] {
            assert_eq!(Ulid::from_text(text), None, "{text}");
        }
    }
}
