//! Pods: what is known of them now, and what is told anew once more is known.

use std::sync::Arc;

use super::{Resolver, Standing};
use crate::actor::cgroup::Container;
use crate::actor::{Actor, Host, Pod, PodIdentity};
use crate::lineage::{Process, Slot};

/// A pod of which not all is known. Nobody waits for it: it is asked for again when the process acts.
#[derive(Clone, Debug)]
pub(super) struct Awaited {
    pod: Arc<str>,
    container: Arc<str>,
    /// Its name is known, its service account is not.
    named: bool,
}

impl<H: Host> Resolver<H> {
    /// What is known of the pod a container is in.
    pub(super) fn pod(&mut self, container: &Container) -> Option<Arc<PodIdentity>> {
        self.host.pod(container.pod.as_deref()?, &container.id)
    }

    /// Says in which pod, with its uid alone where nobody knows more.
    pub(super) fn with_pod(
        &mut self,
        standing: Standing,
        container: &Container,
        known: Option<&PodIdentity>,
    ) -> Standing {
        let Some(uid) = container.pod.clone() else {
            return standing;
        };
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
        let actor = Actor { pod: Some(Arc::new(pod)), ..(*standing.actor).clone() };
        Standing { actor: self.share(actor), ..standing }
    }

    /// What is not yet known of the pod a process is in.
    pub(super) fn awaited(&mut self, process: &Process) -> Option<Awaited> {
        let place = self.place(&process.cgroup.bytes);
        let container = place.container.as_ref().filter(|container| !container.of_unit)?;
        let pod = container.pod.as_deref()?;
        let known = self.host.pod(pod, &container.id);
        known.as_ref().is_none_or(|pod| pod.service_account.is_none()).then(|| Awaited {
            pod: pod.into(),
            container: container.id.as_str().into(),
            named: known.is_some(),
        })
    }

    /// Whether more is known by now of the pod of a process than when that was told.
    pub(super) fn pod_answered(&mut self, slot: Slot) -> bool {
        let Some(awaited) = self.states.get(&slot).and_then(|state| state.awaited.clone()) else {
            return false;
        };
        let known = self.host.pod(&awaited.pod, &awaited.container);
        known.is_some_and(|pod| !awaited.named || pod.service_account.is_some())
    }
}
