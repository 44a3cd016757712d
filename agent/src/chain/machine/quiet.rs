//! Open chains by when they were touched last.
//!
//! A chain is touched by each of its actions, and is seldom the one that is asked for. So it stays where it stands, which is no
//! later than it should, and moves to where it belongs when it would come first. What comes first and was not touched since it was
//! put there is the one untouched for longest: all others stand behind it, and belong no further in front than they stand.

use super::Machine;

impl Machine {
    /// The run whose chain is untouched for longest, and since when.
    pub(super) fn quietest(&mut self) -> Option<(u64, u64)> {
        while let Some(first) = self.touched.first().copied() {
            if !self.moves(first) {
                return Some(first);
            }
        }
        None
    }

    /// The same of those about no credential.
    pub(super) fn quietest_bare(&mut self) -> Option<(u64, u64)> {
        while let Some(first) = self.bare.first().copied() {
            if !self.moves(first) {
                return Some(first);
            }
        }
        None
    }

    /// Whether a chain was touched since it was put where it stands. It is put to where it belongs then.
    fn moves(&mut self, (stands, run): (u64, u64)) -> bool {
        let Some(chain) = self.chain_mut(run).filter(|chain| chain.touched_ns != stands) else {
            return false;
        };
        let belongs = chain.touched_ns;
        chain.stands_ns = belongs;
        self.touched.remove(&(stands, run));
        self.touched.insert((belongs, run));
        if self.bare.remove(&(stands, run)) {
            self.bare.insert((belongs, run));
        }
        true
    }
}
