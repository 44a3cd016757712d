//! Pods: what is known of them now, and what is told anew once more is known.

use std::sync::Arc;

use super::Resolver;
use crate::actor::cgroup::Container;
use crate::actor::{ActorKind, Host, Pod, PodIdentity};
use crate::lineage::Slot;

impl<H: Host> Resolver<H> {
    /// What is known of the pod a container is in.
    pub(super) fn pod(&mut self, container: &Container) -> Option<Arc<PodIdentity>> {
        self.host.pod(container.pod.as_deref()?, &container.id)
    }

    /// Whether more is known by now of the pod of a process than its standing tells. Nobody waits for that: it is asked
    /// for again when the process acts.
    pub(super) fn pod_answered(&mut self, slot: Slot) -> bool {
        let Some(state) = self.states.get(&slot) else {
            return false;
        };
        let actor = &state.standing.actor;
        let Some(told) = actor.pod.as_ref().filter(|_| actor.kind != ActorKind::KubernetesServiceAccount)
        else {
            return false;
        };
        let named = told.name.is_some();
        let process = Arc::clone(&state.process);
        let place = self.place(&process.cgroup.bytes);
        let known = place.container.as_ref().and_then(|container| self.pod(container));
        known.is_some_and(|pod| !named || pod.service_account.is_some())
    }
}

/// In which pod a container is, with its uid alone where nobody knows more.
pub(super) fn told(container: &Container, known: Option<&PodIdentity>) -> Option<Arc<Pod>> {
    let uid = container.pod.clone()?;
    let pod = match known {
        None => Pod { uid, ..Pod::default() },
        Some(known) => Pod {
            uid,
            namespace: Some(known.namespace.clone()),
            name: Some(known.name.clone()),
            workload: known.owner.clone(),
            node: known.node.clone(),
            container: known.containers.get(&container.id).cloned(),
        },
    };
    Some(Arc::new(pod))
}
