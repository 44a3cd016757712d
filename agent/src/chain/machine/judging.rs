//! What purposes say of an action, at the moment in which it is done.

use std::sync::Arc;

use super::Machine;
use crate::action::Action;
use crate::chain::connections::Asked;
use crate::chain::holds::Linked;
use crate::credential::Credential;
use crate::purpose::{Act, Digest, Judged, Purposes};

impl Machine {
    /// From now on, actions are judged by these.
    pub fn purposes(&mut self, purposes: Arc<Purposes>) {
        self.purposes = purposes;
    }

    /// The purposes in force.
    #[must_use]
    pub fn in_force(&self) -> &Arc<Purposes> {
        &self.purposes
    }

    /// `own` are the credentials that the action is about, where its deed does not name them.
    pub(super) fn judge(
        &self,
        action: &Action,
        (own, linked): (&[Arc<Credential>], &Linked),
        heard: &[Arc<str>],
        digest: Option<Digest>,
    ) -> Option<Judged> {
        if self.purposes.is_empty() {
            return None;
        }
        let wall_ns = i64::try_from(action.time_ns).unwrap_or(i64::MAX).saturating_add(self.wall_offset_ns);
        let act = Act::of(action, (own, &linked.credentials), heard, digest, wall_ns)?;
        self.purposes.judge(&act)
    }

    /// More is known of a connection: the client has said a name. That may change the verdict, and then the sums.
    pub(super) fn judge_again(&mut self, asked: &mut Asked) {
        let own: Vec<Arc<Credential>> = asked.endpoint.iter().cloned().collect();
        let before = asked.linked.judged.take();
        asked.linked.judged = self.judge(&asked.action, (&own, &asked.linked), &asked.heard, asked.digest);
        if let Some(chain) = self.chain_mut(asked.run).filter(|chain| chain.id == asked.chain) {
            chain.judged(asked.linked.judged.as_ref(), before.as_ref());
        }
    }
}
