//! What a node's own files tell of a pod: the bundle its container was made from, and the claims of its token.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::{PodIdentity, read};
use crate::actor::cgroup::is_pod_uid;

/// Longest token and bundle that are read.
const TOKEN_MAX: u64 = 64 << 10;
const BUNDLE_MAX: u64 = 4 << 20;
/// Most volumes of a pod that are looked into.
const VOLUMES_MAX: usize = 64;

#[derive(Deserialize)]
struct Claims {
    #[serde(rename = "kubernetes.io")]
    kubernetes: Bound,
}

#[derive(Deserialize)]
struct Bound {
    namespace: String,
    pod: Named,
    serviceaccount: Named,
    node: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    uid: Option<String>,
}

#[derive(Deserialize)]
struct Bundle {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// A pod by what lies on the node.
pub(super) fn pod(root: &Path, uid: &str, container: &str) -> Option<PodIdentity> {
    let bundle = bundle(root, uid, container);
    let token = token(root, uid);
    let Some(token) = token else {
        return bundle;
    };
    let containers = bundle.map(|bundle| bundle.containers).unwrap_or_default();
    Some(PodIdentity { containers, ..token })
}

/// What the runtime calls a container of a pod.
pub(super) fn container(root: &Path, uid: &str, container: &str) -> Option<(String, String)> {
    bundle(root, uid, container)?.containers.into_iter().next()
}

/// By the token that the kubelet mounts into it.
fn token(root: &Path, uid: &str) -> Option<PodIdentity> {
    // The uid becomes part of a path.
    if !is_pod_uid(uid) {
        return None;
    }
    let volumes = root.join("var/lib/kubelet/pods").join(uid).join("volumes/kubernetes.io~projected");
    let volumes = std::fs::read_dir(volumes).ok()?.take(VOLUMES_MAX).flatten();
    volumes.into_iter().find_map(|volume| {
        let text = read(&volume.path().join("token"), TOKEN_MAX).ok()?;
        let claims = claims(&text)?;
        (claims.pod.uid.as_deref() == Some(uid)).then_some(PodIdentity {
            namespace: claims.namespace,
            name: claims.pod.name,
            service_account: Some(claims.serviceaccount.name),
            owner: None,
            node: claims.node.map(|node| node.name),
            ..PodIdentity::default()
        })
    })
}

fn claims(token: &[u8]) -> Option<Bound> {
    let middle = token.split(|byte| *byte == b'.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(middle.trim_ascii()).ok()?;
    Some(serde_json::from_slice::<Claims>(&claims).ok()?.kubernetes)
}

/// By the annotations the container runtime keeps.
fn bundle(root: &Path, uid: &str, container: &str) -> Option<PodIdentity> {
    if container.is_empty() || !container.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    const PLACES: [(&str, &str); 2] = [
        ("run/containerd/io.containerd.runtime.v2.task/k8s.io", "config.json"),
        ("run/containers/storage/overlay-containers", "userdata/config.json"),
    ];
    let text = PLACES
        .iter()
        .find_map(|(place, file)| read(&root.join(place).join(container).join(file), BUNDLE_MAX).ok())?;
    let notes = serde_json::from_slice::<Bundle>(&text).ok()?.annotations;
    let note = |keys: [&str; 2]| keys.iter().find_map(|key| notes.get(*key)).cloned();
    if note(["io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"])? != uid {
        return None;
    }
    let name = note(["io.kubernetes.cri.container-name", "io.kubernetes.container.name"]);
    Some(PodIdentity {
        namespace: note(["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"])?,
        name: note(["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"])?,
        containers: name.into_iter().map(|name| (container.to_owned(), name)).collect(),
        ..PodIdentity::default()
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::pod;

    const UID: &str = "63b3ebfc-2890-11e9-8154-16bf8ef8d9dc";
    const ID: &str = "605439acbd4fb18c145069289094b17f17e0cfa938f78012d4960bc797305f22";

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn token(uid: &str) -> String {
        let claims = format!(
            r#"{{"aud":["https://kubernetes.default.svc"],"kubernetes.io":{{"namespace":"shop","node":{{"name":"node-7",
            "uid":"x"}},"pod":{{"name":"cart-1","uid":"{uid}"}},"serviceaccount":{{"name":"cart","uid":"y"}}}},
            "sub":"system:serviceaccount:shop:cart"}}"#
        );
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    fn volume(uid: &str) -> String {
        format!("var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~projected/kube-api-access-x/token")
    }

    #[test]
    fn a_token_tells_the_account() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(pod(root.path(), UID, ID), None);
        put(root.path(), &volume(UID), &token(UID));
        let found = pod(root.path(), UID, ID).unwrap();
        assert_eq!((found.namespace.as_str(), found.name.as_str()), ("shop", "cart-1"));
        assert_eq!(found.service_account.as_deref(), Some("cart"));
        assert_eq!(found.node.as_deref(), Some("node-7"));
    }

    #[test]
    fn a_token_of_another_pod_tells_nothing() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), &volume(UID), &token("other"));
        assert_eq!(pod(root.path(), UID, ID), None);
        for text in ["", "a.b", "e30.e30.x", "e30.!!.x", "\0"] {
            put(root.path(), &volume(UID), text);
            assert_eq!(pod(root.path(), UID, ID), None, "{text}");
        }
        put(root.path(), "var/lib/kubelet/token", &token(UID));
        assert_eq!(pod(root.path(), "../..", ID), None);
    }

    #[test]
    fn a_bundle_tells_the_name_and_no_account() {
        let root = tempfile::tempdir().unwrap();
        let crio = format!("run/containers/storage/overlay-containers/{ID}/userdata/config.json");
        let containerd = format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json");
        for (place, text) in [
            (
                &crio,
                r#"{"annotations":{"io.kubernetes.pod.uid":"UID","io.kubernetes.pod.namespace":"shop",
                "io.kubernetes.pod.name":"cart-1","io.kubernetes.container.name":"cart"}}"#,
            ),
            (
                &containerd,
                r#"{"annotations":{"io.kubernetes.cri.sandbox-uid":"UID","io.kubernetes.cri.sandbox-name":"cart-1",
                "io.kubernetes.cri.sandbox-namespace":"shop","io.kubernetes.cri.container-name":"cart"}}"#,
            ),
        ] {
            put(root.path(), place, &text.replace("UID", "another"));
            assert_eq!(pod(root.path(), UID, ID), None);
            put(root.path(), place, &text.replace("UID", UID));
            let found = pod(root.path(), UID, ID).unwrap();
            assert_eq!((found.namespace.as_str(), found.name.as_str()), ("shop", "cart-1"));
            assert_eq!((found.service_account, found.containers[ID].as_str()), (None, "cart"));
            fs::remove_file(root.path().join(place)).unwrap();
        }
    }
}
