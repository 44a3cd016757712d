//! The kernel's side of the account comes out: what probes numbered, what rings refused, what failed. Some of it is
//! asked for twice a second for as long as the agent runs: so what is asked for together lies together, and is one question.

use std::collections::BTreeMap;

use aya::maps::{MapData, PerCpuArray};
use spoor_wire::control::names;
use spoor_wire::{Fault, Kind, Lane, Source};

use super::load_error::LoadError;
use super::loader::Kernel;
use crate::event::Loss;

/// The kernel's side of the account.
pub struct Counters {
    produced: PerCpuArray<MapData, u64>,
    dropped: PerCpuArray<MapData, Refusals>,
    faults: PerCpuArray<MapData, BySource>,
}

/// Places of a value by the number of a kind, those of repetitions behind the others; and of a source.
type Refusals = [u64; 2 * Kind::SLOTS as usize];
type BySource = [u64; Source::SLOTS as usize];

/// What all CPUs have in one place of their values.
fn sum<const PLACES: usize>(values: &[[u64; PLACES]], place: usize) -> u64 {
    values.iter().filter_map(|value| value.get(place)).sum()
}

/// Which samples a full ring refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropKind {
    /// Those that tell what nothing else tells.
    Lost,
    /// Those that tell the same as another that was read.
    Repeated,
}

impl DropKind {
    /// Both.
    pub const ALL: [DropKind; 2] = [DropKind::Lost, DropKind::Repeated];

    /// Where those of a kind are counted.
    fn place(self, kind: Kind) -> usize {
        let behind = match self {
            DropKind::Lost => 0,
            DropKind::Repeated => Kind::SLOTS as usize,
        };
        behind + usize::from(kind as u8)
    }

    /// All of them on a CPU.
    fn of_all(self, places: &Refusals) -> u64 {
        Kind::ALL.into_iter().filter_map(|kind| places.get(self.place(kind))).sum()
    }
}

/// Samples that full rings refused, as they were at one look.
#[derive(Debug, Default)]
pub struct Dropped(Vec<Refusals>);

impl Dropped {
    /// By kind; kinds without any are left out.
    #[must_use]
    pub fn by_kind(&self, which: DropKind) -> Vec<(Kind, u64)> {
        let counts = Kind::ALL.into_iter().map(|kind| (kind, sum(&self.0, which.place(kind))));
        counts.filter(|(_, count)| *count != 0).collect()
    }

    /// By CPU; CPUs without any are left out.
    #[must_use]
    pub fn by_cpu(&self, which: DropKind) -> Vec<(u32, u64)> {
        let counts = (0..).zip(self.0.iter().map(|places| which.of_all(places)));
        counts.filter(|(_, count)| *count != 0).collect()
    }
}

impl Counters {
    /// Takes the counters out of the object.
    ///
    /// # Errors
    /// [`LoadError`] where the object is not of this version.
    pub fn take(kernel: &mut Kernel) -> Result<Self, LoadError> {
        Ok(Counters {
            produced: kernel.take(names::PRODUCED)?,
            dropped: kernel.take(names::DROPPED)?,
            faults: kernel.take(names::FAULTS)?,
        })
    }

    /// Samples the probes numbered.
    #[must_use]
    pub fn produced(&self) -> u64 {
        let lanes = (0..Lane::COUNT).filter_map(|lane| self.produced.get(&lane, 0).ok());
        lanes.map(|cpus| cpus.iter().sum::<u64>()).sum()
    }

    /// Samples a full ring refused: one question for all of them.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        Dropped(self.dropped.get(&0, 0).map_or_else(|_| Vec::new(), |cpus| cpus.to_vec()))
    }

    /// Failures inside the probes, by attach point and reason; those that never happened are left out.
    #[must_use]
    pub fn faults(&self) -> Vec<(Source, Fault, u64)> {
        let by_fault: Vec<_> = Fault::ALL.into_iter().map(|fault| (fault, self.fault(fault))).collect();
        let of_source = |source: Source| {
            let count = move |(fault, cpus): &(Fault, Vec<BySource>)| {
                (source, *fault, sum(cpus, usize::from(source as u8)))
            };
            by_fault.iter().map(count)
        };
        let all = Source::ALL.into_iter().flat_map(of_source);
        all.filter(|(.., count)| *count != 0).collect()
    }

    /// How often a probe found a table full that must not be: asked for again and again, so no more is read than that.
    #[must_use]
    pub fn crowded(&self) -> u64 {
        let full = [Fault::MarkFull, Fault::ConnFull].map(|fault| self.fault(fault));
        full.iter().flatten().flatten().sum()
    }

    /// What each CPU has of it.
    fn fault(&self, fault: Fault) -> Vec<BySource> {
        self.faults.get(&u32::from(fault as u8), 0).map_or_else(|_| Vec::new(), |cpus| cpus.to_vec())
    }
}

/// Turns growing drop counters into losses: what was lost since the last look.
#[derive(Debug, Default)]
pub struct LossWatch {
    seen: BTreeMap<u8, u64>,
    on: BTreeMap<u32, u64>,
    since_ns: u64,
}

impl LossWatch {
    /// What was lost between the last look and now; `on` tells of CPUs, and is asked only where something was.
    pub fn look(
        &mut self,
        dropped: &[(Kind, u64)],
        on: impl FnOnce() -> Vec<(u32, u64)>,
        now_ns: u64,
    ) -> Option<Loss> {
        let since_ns = std::mem::replace(&mut self.since_ns, now_ns);
        let mut counts = Vec::new();
        for (kind, count) in dropped {
            let before = self.seen.insert(*kind as u8, *count).unwrap_or(0);
            if *count > before {
                counts.push((*kind, count - before));
            }
        }
        if counts.is_empty() {
            return None;
        }
        let mut cpus = Vec::new();
        for (cpu, count) in on() {
            let before = self.on.insert(cpu, count).unwrap_or(0);
            if count > before {
                cpus.push((cpu, count - before));
            }
        }
        Some(Loss { since_ns, counts, cpus })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_told_by_kind_and_by_cpu() {
        let mut cpus = vec![[0; 2 * Kind::SLOTS as usize]; 3];
        for which in DropKind::ALL {
            let dropped = Dropped(cpus.clone());
            assert_eq!((dropped.by_kind(which), dropped.by_cpu(which)), (vec![], vec![]));
        }
        cpus[0][Kind::Open as usize] = 2;
        cpus[2][Kind::Open as usize] = 3;
        cpus[2][Kind::AcceptEnd as usize] = 4;
        cpus[1][(Kind::SLOTS + Kind::Open as u32) as usize] = 50;
        let dropped = Dropped(cpus);
        assert_eq!(dropped.by_kind(DropKind::Lost), [(Kind::Open, 5), (Kind::AcceptEnd, 4)]);
        assert_eq!(dropped.by_cpu(DropKind::Lost), [(0, 2), (2, 7)]);
        assert_eq!(dropped.by_kind(DropKind::Repeated), [(Kind::Open, 50)]);
        assert_eq!(dropped.by_cpu(DropKind::Repeated), [(1, 50)]);
    }

    #[test]
    fn every_kind_source_and_fault_has_its_place() {
        assert!(Kind::ALL.iter().all(|kind| u32::from(*kind as u8) < Kind::SLOTS));
        assert!(Source::ALL.iter().all(|source| u32::from(*source as u8) < Source::SLOTS));
        assert!(Fault::ALL.iter().all(|fault| u32::from(*fault as u8) < Fault::SLOTS));
    }

    #[test]
    fn a_loss_is_told_once() {
        let mut watch = LossWatch::default();
        assert_eq!(watch.look(&[], Vec::new, 10), None);
        let loss = watch.look(&[(Kind::Exec, 3)], || vec![(1, 3)], 20).unwrap();
        assert_eq!((loss.since_ns, loss.counts), (10, vec![(Kind::Exec, 3)]));
        assert_eq!(watch.look(&[(Kind::Exec, 3)], || vec![(1, 3)], 30), None);
        let loss = watch.look(&[(Kind::Exec, 5), (Kind::Open, 1)], || vec![(0, 2), (1, 4)], 40).unwrap();
        assert_eq!(loss.cpus, [(0, 2), (1, 1)]);
        assert_eq!((loss.since_ns, loss.counts), (30, vec![(Kind::Exec, 2), (Kind::Open, 1)]));
    }
}
