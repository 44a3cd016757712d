//! Whose samples were refused: what each process and each cgroup had used up of its share of a ring
//! (`agent-ebpf/src/share.rs`).

use std::collections::BTreeMap;

use aya::maps::{HashMap, MapData};
use spoor_wire::control::{Owner, Share, names};

use super::counters::DropKind;
use super::load_error::LoadError;
use super::loader::Kernel;
use super::pod::AsPod;
use crate::event::{ProcessKey, Whose};

/// More than the table has: what is written meanwhile may make a walk begin anew.
const WALK_MAX: usize = 4_096;

/// The table of shares.
pub(super) struct Shares {
    map: HashMap<MapData, AsPod<Owner>, AsPod<Share>>,
    lost: Told,
    repeated: Told,
}

impl Shares {
    /// Takes the table out of the object.
    ///
    /// # Errors
    /// [`LoadError`] where the object is not of this version.
    pub(super) fn take(kernel: &mut Kernel) -> Result<Self, LoadError> {
        let map = kernel.take(names::SHARES)?;
        Ok(Shares { map, lost: Told::default(), repeated: Told::default() })
    }

    /// Whose the samples were of which so many more were refused since the last look, as was read before this is called. `None`
    /// where not all of them are known to be somebody's.
    pub(super) fn look(&mut self, which: DropKind, refused: u64) -> Option<Vec<Whose>> {
        let rows = self.map.iter().take(WALK_MAX).filter_map(Result::ok);
        let rows = rows.map(|(AsPod(owner), AsPod(share))| (owner, share));
        match which {
            DropKind::Lost => self.lost.look(refused, rows.map(|(owner, share)| (owner, share.refused))),
            DropKind::Repeated => {
                self.repeated.look(refused, rows.map(|(owner, share)| (owner, share.repeated)))
            }
        }
    }
}

/// What was looked at.
#[derive(Debug, Default)]
struct Told {
    refused: BTreeMap<Owner, u64>,
    /// Refusals that were seen and not dropped yet when the drops were counted, for the flood goes on.
    ahead: u64,
}

impl Told {
    fn look(&mut self, dropped: u64, rows: impl Iterator<Item = (Owner, u64)>) -> Option<Vec<Whose>> {
        let now: BTreeMap<Owner, u64> = rows.filter(|(_, refused)| *refused > 0).collect();
        let mut whose = Vec::new();
        let mut seen = std::mem::take(&mut self.ahead);
        // What was seen ahead is of those who are still at it, or have been told.
        for (owner, refused) in &now {
            // Who was pushed out and came again counts from nothing.
            let before = self.refused.get(owner).copied().filter(|before| before <= refused).unwrap_or(0);
            if *refused > before {
                seen = seen.saturating_add(refused - before);
                whose.push(Whose::from(*owner));
            }
        }
        self.refused = now;
        self.ahead = seen.checked_sub(dropped)?;
        whose.sort_unstable();
        whose.dedup();
        Some(whose)
    }
}

impl From<Owner> for Whose {
    fn from(owner: Owner) -> Self {
        match (owner.start_ns, u32::try_from(owner.who)) {
            (0, _) | (_, Err(_)) => Whose::Cgroup(owner.who),
            (start_ns, Ok(tgid)) => Whose::Process(ProcessKey { tgid, start_ns }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOISY: Owner = Owner { who: 7, start_ns: 70, place: 0, pad: 0 };
    const GROUP: Owner = Owner { who: 9, start_ns: 0, place: 1, pad: 0 };

    #[test]
    fn what_was_refused_is_somebodys() {
        let mut told = Told::default();
        let noisy = Whose::Process(ProcessKey { tgid: 7, start_ns: 70 });
        assert_eq!(told.look(5, [(NOISY, 3), (GROUP, 2)].into_iter()), Some(vec![noisy, Whose::Cgroup(9)]));
        assert_eq!(told.look(1, [(NOISY, 4), (GROUP, 2)].into_iter()), Some(vec![noisy]));
    }

    #[test]
    fn what_a_full_ring_refused_is_nobodys() {
        let mut told = Told::default();
        assert_eq!(told.look(6, [(NOISY, 3)].into_iter()), None);
        assert_eq!(told.look(2, [(NOISY, 5)].into_iter()), Some(vec![NOISY.into()]), "the hole is told once");
    }

    #[test]
    fn a_flood_goes_on_while_it_is_looked_at() {
        let mut told = Told::default();
        // Ten more were refused between the two counts.
        assert_eq!(told.look(90, [(NOISY, 100)].into_iter()), Some(vec![NOISY.into()]));
        assert_eq!(told.look(10, [(NOISY, 100)].into_iter()), Some(vec![]), "told already");
        assert_eq!(told.look(1, [(NOISY, 100)].into_iter()), None, "beyond those");
    }

    #[test]
    fn who_was_pushed_out_counts_from_nothing() {
        let mut told = Told::default();
        assert!(told.look(50, [(NOISY, 50)].into_iter()).is_some());
        assert_eq!(told.look(8, [(NOISY, 8)].into_iter()), Some(vec![NOISY.into()]));
        assert_eq!(told.look(20, [(NOISY, 12)].into_iter()), None, "what it had beside is not known");
    }
}
