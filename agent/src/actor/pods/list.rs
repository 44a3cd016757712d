//! The `PodList` of a kubelet: the parts that name.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;

use super::{PODS_MAX, PodIdentity};

/// Where a static pod keeps the hash its cgroups are named after.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";

#[derive(Deserialize)]
struct PodList {
    #[serde(default)]
    items: Vec<PodItem>,
}

#[derive(Deserialize)]
struct PodItem {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: String,
    name: String,
    namespace: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    owner_references: Vec<Owner>,
}

#[derive(Deserialize)]
struct Owner {
    kind: String,
    name: String,
    #[serde(default)]
    controller: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Spec {
    service_account_name: Option<String>,
    node_name: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    container_statuses: Vec<ContainerStatus>,
    init_container_statuses: Vec<ContainerStatus>,
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize)]
struct ContainerStatus {
    name: String,
    #[serde(rename = "containerID", default)]
    id: String,
}

/// Pods by the uid their cgroups are named after.
pub(super) fn parse(reader: impl Read) -> Result<Vec<(String, PodIdentity)>, serde_json::Error> {
    let list: PodList = serde_json::from_reader(reader)?;
    Ok(list.items.into_iter().take(PODS_MAX).map(identity).collect())
}

fn identity(item: PodItem) -> (String, PodIdentity) {
    let PodItem { metadata, spec, status } = item;
    let owner = metadata.owner_references.iter().find(|owner| owner.controller);
    let owner = owner.filter(|owner| owner.kind != "Node").map(|owner| workload(owner, &metadata.labels));
    let statuses =
        [status.container_statuses, status.init_container_statuses, status.ephemeral_container_statuses];
    let containers = statuses.into_iter().flatten().filter_map(|container| {
        let (_, id) = container.id.split_once("://")?;
        Some((id.to_owned(), container.name))
    });
    let identity = PodIdentity {
        containers: containers.collect(),
        spiffe_id: None,
        service_account: spec.service_account_name.filter(|name| !name.is_empty()),
        owner,
        node: spec.node_name,
        namespace: metadata.namespace,
        name: metadata.name,
    };
    (metadata.annotations.get(CONFIG_HASH).cloned().unwrap_or(metadata.uid), identity)
}

/// A deployment's replica set and a cron job's job change with every rollout and run: what made those is the name that
/// stays.
fn workload(owner: &Owner, labels: &BTreeMap<String, String>) -> String {
    let base = |stem: &str| owner.name.strip_suffix(stem).and_then(|name| name.strip_suffix('-'));
    match owner.kind.as_str() {
        "ReplicaSet" => {
            let hash = labels.get("pod-template-hash").and_then(|hash| base(hash));
            hash.map_or_else(|| format!("ReplicaSet/{}", owner.name), |name| format!("Deployment/{name}"))
        }
        "Job" => match owner.name.rsplit_once('-') {
            // The controller names jobs after minutes since 1970: eight digits since 1989 and for a while.
            Some((name, minutes))
                if minutes.len() == 8 && minutes.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                format!("CronJob/{name}")
            }
            _ => format!("Job/{}", owner.name),
        },
        kind => format!("{kind}/{}", owner.name),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    /// Written by hand in the form of a kubelet's answer: no cluster was asked.
    const WRITTEN: &str = include_str!("../../../tests/kubelet/pods.json");

    #[test]
    fn an_answer_in_the_form_of_a_kubelet() {
        let pods = parse(WRITTEN.as_bytes()).unwrap();
        let told: Vec<String> = pods
            .iter()
            .map(|(uid, pod)| {
                let containers: Vec<&str> = pod.containers.values().map(String::as_str).collect();
                format!(
                    "{uid} {}/{} {} {} {} {}",
                    pod.namespace,
                    pod.name,
                    pod.service_account.as_deref().unwrap_or("-"),
                    pod.owner.as_deref().unwrap_or("-"),
                    pod.node.as_deref().unwrap_or("-"),
                    containers.join(","),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "63b3ebfc-2890-11e9-8154-16bf8ef8d9dc shop/cart-6d4b75cb6d-x8k2p cart Deployment/cart node-7 proxy,cart",
                "0f1e2d3c-2890-11e9-8154-16bf8ef8d9dc shop/dump-29384756-lq2vz dumper CronJob/dump node-7 dump",
                "1f1e2d3c-2890-11e9-8154-16bf8ef8d9dc shop/migrate-v2-9bqzl default Job/migrate-v2 node-7 ",
                "2f1e2d3c-2890-11e9-8154-16bf8ef8d9dc shop/db-0 db StatefulSet/db node-7 db",
                "bd12dd3393227d950605a2444b13c27a kube-system/etcd-node-7 - - node-7 etcd",
                "3f1e2d3c-2890-11e9-8154-16bf8ef8d9dc shop/bare default ReplicaSet/by-hand node-7 ",
            ]
        );
    }

    #[test]
    fn what_is_no_list() {
        for text in ["", "Unauthorized", r#"{"items":[{}]}"#, r#"{"items":{}}"#, "{\"items\":["] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(parse(&b"{\"kind\":\"PodList\"}"[..]).unwrap(), []);
    }
}
