//! What the loop shows of itself to whoever asks for the agent's status, twice a second. Nobody who asks is waited for.

use super::Worker;
use crate::actor::Host;
use crate::credential::Describe;
use crate::record::Coverage;
use crate::store::Retention;

/// The loop, as it was at its last tick.
#[derive(Clone, Debug, Default)]
pub struct Glance {
    /// What is covered, and what is in force.
    pub coverage: Coverage,
    /// How much is kept.
    pub retention: Option<Retention>,
    /// Chains that are open.
    pub chains_open: usize,
    /// Processes that are known.
    pub processes: usize,
    /// What became of what was looked at for findings, by the names of heartbeats.
    pub findings: Vec<(&'static str, u64)>,
}

impl<D: Describe, H: Host> Worker<D, H> {
    pub(super) fn show_itself(&self) {
        let (coverage, findings) = (&self.around.coverage, self.desk.findings.counts().named());
        let (_, _, chains_open) = self.desk.stages.machine.sizes();
        let processes = self.desk.stages.table().len();
        let retention = self.around.store.retention();
        self.around.glance.send_modify(|glance| {
            // It changes rarely.
            if glance.coverage != *coverage {
                glance.coverage.clone_from(coverage);
            }
            glance.retention = Some(retention);
            (glance.chains_open, glance.processes) = (chains_open, processes);
            glance.findings = findings.to_vec();
        });
    }
}
