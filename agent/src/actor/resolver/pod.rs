//! Pods: what is known of them now, and what is told anew once more is known.

use std::sync::Arc;

use super::Resolver;
use crate::actor::cgroup::Container;
use crate::actor::{Actor, ActorKind, Host, Pod, PodIdentity};
use crate::lineage::{Process, Slot};

impl<H: Host> Resolver<H> {
    /// What is known of the pod a container is in.
    pub(super) fn pod(&mut self, container: &Container) -> Option<Arc<PodIdentity>> {
        self.host.pod(container.pod.as_deref()?, &container.id)
    }

    /// Who acted, as it is known by now; `None` where that is no more than was told. `process` is one that did, and may be
    /// gone.
    pub fn named_by_now(&mut self, known: &Actor, process: &Process, time_ns: u64) -> Option<Arc<Actor>> {
        self.host.at(time_ns);
        let place = self.place(&process.cgroup.bytes);
        let container = place.container.as_ref()?;
        let before =
            known.pod.as_ref().filter(|before| container.pod.as_deref() == Some(before.uid.as_str()))?;
        let pod = self.pod(container)?;
        if before.name.is_some() && pod.service_account.is_none() {
            return None;
        }
        let mut actor =
            Actor { pod: told(container, Some(&pod)), spiffe_id: pod.spiffe_id.clone(), ..known.clone() };
        if let Some(account) = &pod.service_account {
            (actor.kind, actor.id) = as_account(&pod.namespace, account);
        }
        // How a person or an execution came in stays.
        if known.origin.starts_with("container:") {
            actor.origin = started_by(&pod);
        }
        Some(self.share(actor))
    }

    /// Whether more is known by now of the pod of a process than its standing tells. Nobody waits for that: it is asked
    /// for again when the process acts.
    pub(super) fn pod_answered(&mut self, slot: Slot) -> bool {
        let Some(state) = self.states.get(&slot) else {
            return false;
        };
        let actor = &state.kin.actor;
        let has_account = actor.kind == ActorKind::KubernetesServiceAccount;
        // Which of its containers may come later than the account: a kubelet's list has the pod first.
        let Some(told) = actor.pod.as_ref().filter(|told| !has_account || told.container.is_none()) else {
            return false;
        };
        let (named, contained) = (told.name.is_some(), told.container.is_some());
        let process = Arc::clone(&state.process);
        let place = self.place(&process.cgroup.bytes);
        let Some(container) = &place.container else {
            return false;
        };
        self.pod(container).is_some_and(|pod| {
            let accounted = !has_account && pod.service_account.is_some();
            !named || accounted || !contained && pod.containers.contains_key(&container.id)
        })
    }
}

/// A service account of Kubernetes as an actor.
pub(super) fn as_account(namespace: &str, account: &str) -> (ActorKind, String) {
    (ActorKind::KubernetesServiceAccount, format!("kubernetes:{namespace}:{account}"))
}

/// The origin of what Kubernetes started.
pub(super) fn started_by(pod: &PodIdentity) -> String {
    format!("kubernetes:{}/{}", pod.namespace, pod.owner.as_ref().unwrap_or(&pod.name))
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
