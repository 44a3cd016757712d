//! Connections that a process serves: what it does for one of them is no cause of what it does for another.

use crate::action::ActionId;
use crate::event::SampleId;

/// A connection that is served: the work for it is a unit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) connection: SampleId,
    /// The record of its being accepted.
    pub(super) action: Option<ActionId>,
}

/// Connections that a process accepted and has not closed, the latest last.
#[derive(Clone, Debug, Default)]
pub(super) struct Serving(Vec<(Unit, u32)>);

impl Serving {
    /// Beyond that it is a server that waits for all of them in one place: which it works for is not seen anyway.
    const MOST: usize = 64;

    pub(super) fn accepted(&mut self, unit: Unit, tid: u32) {
        if self.0.len() >= Self::MOST {
            self.0.remove(0);
        }
        self.0.push((unit, tid));
    }

    pub(super) fn closed(&mut self, connection: SampleId) {
        self.0.retain(|(unit, _)| unit.connection != connection);
    }

    /// What a thread works for: the only open connection, or the only one that it accepted itself. Of several nobody
    /// knows.
    pub(super) fn unit(&self, tid: u32) -> Option<Unit> {
        if let [(only, _)] = self.0.as_slice() {
            return Some(*only);
        }
        let mut own = self.0.iter().filter(|(_, by)| *by == tid);
        let (unit, _) = own.next()?;
        own.next().is_none().then_some(*unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(seq: u64) -> Unit {
        Unit { connection: SampleId { cpu: 0, seq }, action: None }
    }

    #[test]
    fn the_only_one_or_the_only_own_one() {
        let mut serving = Serving::default();
        assert_eq!(serving.unit(1), None);
        serving.accepted(unit(1), 1);
        assert_eq!(serving.unit(2), Some(unit(1)), "a thread may work for what another accepted");
        serving.accepted(unit(2), 2);
        assert_eq!((serving.unit(1), serving.unit(2), serving.unit(3)), (Some(unit(1)), Some(unit(2)), None));
        serving.accepted(unit(3), 2);
        assert_eq!(serving.unit(2), None, "one of two: nobody knows");
        serving.closed(SampleId { cpu: 0, seq: 2 });
        assert_eq!(serving.unit(2), Some(unit(3)));
        for seq in 0..1_000 {
            serving.accepted(unit(seq), 9);
        }
        assert_eq!(serving.0.len(), Serving::MOST);
    }
}
