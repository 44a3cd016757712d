//! What the manifest of the DaemonSet grants, as what a container runtime is told. A field that is not known here is a
//! mistake: what is granted and what is tested cannot drift apart.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Of pods, what a runtime is told, and what only Kubernetes needs.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    #[serde(rename = "hostPID")]
    host_pid: bool,
    host_network: bool,
    containers: Vec<Container>,
    volumes: Vec<Volume>,
    termination_grace_period_seconds: u32,
    #[serde(rename = "serviceAccountName")]
    _account: IgnoredAny,
    #[serde(rename = "automountServiceAccountToken")]
    _token: IgnoredAny,
    #[serde(rename = "enableServiceLinks")]
    _links: IgnoredAny,
    #[serde(rename = "priorityClassName")]
    _priority: IgnoredAny,
    #[serde(rename = "nodeSelector")]
    _nodes: IgnoredAny,
    #[serde(rename = "tolerations")]
    _tolerations: IgnoredAny,
    #[serde(rename = "dnsPolicy")]
    _dns: IgnoredAny,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Container {
    name: String,
    image: String,
    args: Vec<String>,
    security_context: Security,
    startup_probe: Probe,
    resources: Resources,
    volume_mounts: Vec<Mount>,
    #[serde(rename = "imagePullPolicy")]
    _pull: IgnoredAny,
    #[serde(rename = "readinessProbe")]
    _ready: IgnoredAny,
    #[serde(rename = "livenessProbe")]
    _alive: IgnoredAny,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Security {
    privileged: bool,
    allow_privilege_escalation: bool,
    read_only_root_filesystem: bool,
    run_as_user: u32,
    run_as_group: u32,
    capabilities: Capabilities,
    seccomp_profile: Profile,
    app_armor_profile: Profile,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Capabilities {
    drop: Vec<String>,
    add: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    r#type: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    http_get: Get,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Get {
    host: String,
    port: u16,
    path: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resources {
    limits: BTreeMap<String, String>,
    #[serde(rename = "requests")]
    _requests: IgnoredAny,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Mount {
    name: String,
    mount_path: String,
    #[serde(default)]
    read_only: bool,
    mount_propagation: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Volume {
    name: String,
    host_path: Option<HostPath>,
    config_map: Option<IgnoredAny>,
    secret: Option<IgnoredAny>,
    projected: Option<IgnoredAny>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostPath {
    path: PathBuf,
    r#type: String,
}

/// A pod of the DaemonSet on this node.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    spec: Spec,
    /// The config that the manifest carries.
    pub(super) config: String,
}

/// Where a kubelet keeps what it hands to this pod.
const VOLUMES: &str = "/var/lib/kubelet/pods/3e5c1f0a-7a55-4a7e-9d52-0f4f8a1c9b77/volumes";

impl Pod {
    /// Reads a manifest.
    pub(super) fn of(manifest: &Path) -> Result<Self> {
        let text = fs::read_to_string(manifest)?;
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text).context("the manifest")?;
        let find = |kind: &str, name: &str| {
            let fits = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
            objects.iter().find(fits).with_context(|| format!("no {kind} {name}"))
        };
        let spec = &find("DaemonSet", "spoor")?["spec"]["template"]["spec"];
        let spec: Spec = serde_json::from_value(spec.clone()).context("the pod of the DaemonSet")?;
        ensure!(spec.containers.len() == 1, "one container");
        let config = find("ConfigMap", "spoor-config")?["data"]["spoor.toml"].as_str();
        Ok(Self { config: config.context("no config")?.to_owned(), spec })
    }

    fn container(&self) -> Result<&Container> {
        self.spec.containers.first().context("no container")
    }

    /// Capabilities that it is granted, by their names in the kernel.
    pub(super) fn capabilities(&self) -> Result<Vec<String>> {
        Ok(self
            .container()?
            .security_context
            .capabilities
            .add
            .iter()
            .map(|one| format!("CAP_{one}"))
            .collect())
    }

    /// The same pod with one capability less.
    pub(super) fn without(&self, capability: &str) -> Result<Self> {
        let mut pod = self.clone();
        let container = pod.spec.containers.first_mut().context("no container")?;
        let added = &mut container.security_context.capabilities.add;
        let before = added.len();
        added.retain(|one| one != capability);
        ensure!(added.len() + 1 == before, "{capability} is not granted");
        Ok(pod)
    }

    /// The same pod with a pid namespace of its own.
    pub(super) fn with_own_pids(&self) -> Self {
        let mut pod = self.clone();
        pod.spec.host_pid = false;
        pod
    }

    /// The same pod, which is not told what the node mounts after its start.
    pub(super) fn without_propagation(&self) -> Result<Self> {
        let mut pod = self.clone();
        let container = pod.spec.containers.first_mut().context("no container")?;
        let host = container.volume_mounts.iter_mut().find(|mount| mount.name == "host");
        host.context("no volume of the host")?.mount_propagation = None;
        Ok(pod)
    }

    /// The same pod under the runtime's own filter of system calls.
    pub(super) fn filtered(&self) -> Result<Self> {
        let mut pod = self.clone();
        let container = pod.spec.containers.first_mut().context("no container")?;
        container.security_context.seccomp_profile.r#type = "RuntimeDefault".to_owned();
        Ok(pod)
    }

    /// Whether it is under a filter of system calls.
    pub(super) fn is_filtered(&self) -> Result<bool> {
        Ok(self.container()?.security_context.seccomp_profile.r#type != "Unconfined")
    }

    /// Address and path of what says that it is ready.
    pub(super) fn ready(&self) -> Result<(String, String)> {
        let get = &self.container()?.startup_probe.http_get;
        Ok((format!("{}:{}", get.host, get.port), get.path.clone()))
    }

    /// How long it may take to stop, in seconds.
    pub(super) fn grace(&self) -> u32 {
        self.spec.termination_grace_period_seconds
    }

    /// The folder of the node whose files a volume has.
    pub(super) fn folder(&self, volume: &str) -> Result<PathBuf> {
        let of = self.spec.volumes.iter().find(|one| one.name == volume);
        let of = of.with_context(|| format!("no volume {volume}"))?;
        if let Some(host) = &of.host_path {
            if host.r#type == "DirectoryOrCreate" {
                fs::create_dir_all(&host.path)?;
            }
            return Ok(host.path.clone());
        }
        let kind = match (&of.config_map, &of.secret, &of.projected) {
            (Some(_), None, None) => "configmap",
            (None, Some(_), None) => "secret",
            (None, None, Some(_)) => "projected",
            _ => bail!("volume {volume} is of no kind"),
        };
        let folder = Path::new(VOLUMES).join(format!("kubernetes.io~{kind}")).join(volume);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Puts files into such a volume as a kubelet does: a new folder, and one link that changes from the old to it.
    pub(super) fn put(&self, volume: &str, generation: &str, files: &[(&str, &str)]) -> Result<()> {
        let folder = self.folder(volume)?;
        let of = format!("..{generation}");
        fs::create_dir_all(folder.join(&of))?;
        for (name, text) in files {
            let file = folder.join(&of).join(name);
            fs::write(&file, text)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
            let shown = folder.join(name);
            if !shown.is_symlink() {
                symlink(Path::new("..data").join(name), shown)?;
            }
        }
        let newer = folder.join("..data_tmp");
        symlink(&of, &newer)?;
        Ok(fs::rename(newer, folder.join("..data"))?)
    }

    /// What podman is told: nothing that the manifest does not say, and all that it says. What the runtime's own filter of
    /// system calls is, is a file.
    pub(super) fn podman(&self, filter: &Path) -> Result<Vec<String>> {
        let container = self.container()?;
        let Container { image, args, security_context: security, resources, .. } = container;
        ensure!(!security.privileged && !security.allow_privilege_escalation, "more than the least");
        ensure!(security.read_only_root_filesystem, "a root that may be written");
        let filter = match security.seccomp_profile.r#type.as_str() {
            "RuntimeDefault" => filter.display().to_string(),
            "Unconfined" => "unconfined".to_owned(),
            other => bail!("the profile {other} of system calls is not known here"),
        };
        ensure!(security.app_armor_profile.r#type == "Unconfined", "another profile of AppArmor");
        ensure!(security.capabilities.drop == ["ALL"], "capabilities that are not dropped");
        let mut flags: Vec<String> =
            ["--rm", "--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--pull=never"]
                .map(str::to_owned)
                .to_vec();
        flags.push(format!("--name={}", container.name));
        flags.push(format!("--user={}:{}", security.run_as_user, security.run_as_group));
        flags.extend(["no-new-privileges", "apparmor=unconfined"].map(|one| format!("--security-opt={one}")));
        flags.push(format!("--security-opt=seccomp={filter}"));
        flags.extend(security.capabilities.add.iter().map(|one| format!("--cap-add={one}")));
        flags.extend(self.spec.host_pid.then(|| "--pid=host".to_owned()));
        flags.extend(self.spec.host_network.then(|| "--network=host".to_owned()));
        for (limit, value) in &resources.limits {
            flags.push(match (limit.as_str(), value.strip_suffix("Mi")) {
                ("memory", Some(mebibytes)) => format!("--memory={mebibytes}m"),
                ("cpu", None) => format!("--cpus={value}"),
                _ => bail!("the limit {limit} of {value} is not known here"),
            });
        }
        for mount in &container.volume_mounts {
            let from = self.folder(&mount.name)?;
            let propagation = match mount.mount_propagation.as_deref() {
                None => "private",
                Some("HostToContainer") => "rslave",
                Some(other) => bail!("the propagation {other} is not known here"),
            };
            let mode = if mount.read_only { "ro" } else { "rw" };
            flags.push(format!("--volume={}:{}:{mode},{propagation}", from.display(), mount.mount_path));
        }
        flags.push(image.clone());
        flags.extend(args.iter().cloned());
        Ok(flags)
    }
}
