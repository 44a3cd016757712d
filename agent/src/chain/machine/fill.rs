//! What is in the machine's collections, for tests that hold them to their bounds.

use super::Machine;
use super::membership::EMPTY_MAX;
use crate::chain::together::MOMENTS_MAX;

impl Machine {
    /// Each of its collections: how many are in it, and how many there may be.
    pub(crate) fn fill(&self, processes_max: usize) -> Vec<(&'static str, usize, usize)> {
        let pending = self.limits.max_pending;
        // A run lives as long as a process of it does, or a connection of it waits; a unit a moment longer.
        let runs = processes_max + pending + EMPTY_MAX;
        vec![
            ("members", self.members.len(), processes_max),
            ("runs", self.runs.len(), runs),
            ("runs by key", self.runs_by_key.len(), processes_max + EMPTY_MAX),
            ("units without a process", self.empty.len(), EMPTY_MAX),
            ("open chains", self.touched.len(), self.limits.max_open),
            ("closed chains", self.closed.len(), 1_024),
            ("connections", self.connections.len(), pending),
            ("jobs", self.jobs.len(), 4_096),
            ("moments", self.moments.len(), MOMENTS_MAX),
            ("full chains", self.full.len(), self.limits.max_open),
        ]
    }
}
