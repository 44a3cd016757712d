//! What a cgroup path says: unit, login session, container. The rules of `sd_pid_get_unit`, and the layouts of container
//! runtimes.

/// What a cgroup path says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Unit of the system's systemd.
    pub(super) unit: Option<String>,
    /// Unit of a user's systemd, and whose that is.
    pub(super) user_unit: Option<(u32, String)>,
    /// Login session, as systemd names it.
    pub(super) session: Option<String>,
    /// Container.
    pub(super) container: Option<Container>,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Container {
    /// Who made it: `docker`, `buildkit`, `containerd`, `cri`, `crio`, `podman`, `nerdctl`, `ecs`, `nomad`, `lxc`,
    /// `nspawn`, `machine`.
    pub(super) runtime: &'static str,
    /// Its id in full, or its name where there is none.
    pub(super) id: String,
    /// Whose it is that lies below a user's own slice. That user names the cgroups there, so the id is that user's word.
    pub(super) owner: Option<u32>,
    /// It lives inside the cgroup of a unit that is its true identity (Quadlet).
    pub(super) of_unit: bool,
    /// The pod it is in: its uid with `-`, of a static pod the hash of its manifest.
    pub(super) pod: Option<String>,
}

/// Reads a cgroup path.
pub(super) fn place(path: &[u8]) -> Place {
    let path = String::from_utf8_lossy(path);
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let mut place = Place { container: container(&parts), ..Place::default() };
    let mut rest = parts.iter().map(|part| unescape_file(part)).skip_while(|part| part.ends_with(".slice"));
    let Some(first) = rest.next().filter(|part| is_unit(part)) else {
        return place;
    };
    let under_user = parts.iter().any(|part| part.starts_with("user-") && part.ends_with(".slice"));
    let session = first
        .strip_prefix("session-")
        .and_then(|name| name.strip_suffix(".scope"))
        .filter(|id| all_digits(id.strip_prefix('c').unwrap_or(id)));
    if let Some(session) = session.filter(|_| under_user) {
        place.session = Some(session.to_owned());
    } else if let Some(uid) = manager_uid(first) {
        let unit = rest.skip_while(|part| part.ends_with(".slice")).find(|part| is_unit(part));
        place.user_unit = unit.map(|unit| (uid, unit.to_owned()));
    } else {
        place.unit = Some(first.to_owned());
    }
    place
}

/// systemd puts `_` before names that would be taken for a file of the cgroup file system.
fn unescape_file(part: &str) -> &str {
    part.strip_prefix('_').unwrap_or(part)
}

fn is_unit(part: &str) -> bool {
    [".service", ".scope", ".mount", ".swap", ".socket"].iter().any(|suffix| part.ends_with(suffix))
}

fn manager_uid(part: &str) -> Option<u32> {
    part.strip_prefix("user@")?.strip_suffix(".service")?.parse().ok()
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && is_hex(text)
}

/// The innermost container: of nested ones, the last that matches.
fn container(parts: &[&str]) -> Option<Container> {
    // Monitors stand beside their container, not in it; what is around both is around them.
    let is_monitor = |part: &&str| part.contains("-conmon-") || part.starts_with("lxc.monitor");
    let parts = parts.split(is_monitor).next()?;
    let owner = owner(parts);
    let found = (0..parts.len()).rev().find_map(|index| {
        let part = *parts.get(index)?;
        let parent = index.checked_sub(1).and_then(|index| parts.get(index)).copied();
        let found = named(part).or_else(|| bare(part, parent, parts.get(..index)?));
        let found = found.or_else(|| machine(part, parent)).or_else(|| build(part, parent));
        let found = found.or_else(|| task(part, parts.get(..index)?))?;
        // nspawn itself stays in the machine's unit, beside what it runs.
        if parts.get(index.saturating_add(1)) == Some(&"supervisor") {
            return None;
        }
        Some(Container { pod: pod(parts.get(..=index)?), owner, ..found })
    });
    found.or_else(|| plain(parts))
}

/// Whose slice it is, of those that systemd gives to users.
fn owner(parts: &[&str]) -> Option<u32> {
    let slice = parts.get(1).filter(|_| parts.first() == Some(&"user.slice"))?;
    slice.strip_prefix("user-")?.strip_suffix(".slice")?.parse().ok()
}

/// Uid of the pod around a container: of nested ones, the innermost.
fn pod(around: &[&str]) -> Option<String> {
    // Below a user's own systemd that user names the cgroups, and could name them after anybody's pod.
    if around.first() == Some(&"user.slice") {
        return None;
    }
    around.iter().rev().find_map(|part| {
        let part = part.split_once(":cri-containerd:").map_or(*part, |(pod, _)| pod);
        let (before, uid) = part.strip_suffix(".slice").unwrap_or(part).rsplit_once("pod")?;
        if !before.is_empty() && !before.ends_with('-') {
            return None;
        }
        let uid = uid.replace('_', "-");
        is_pod_uid(&uid).then_some(uid)
    })
}

/// Whether a text has the form of a pod's uid: a UUID, or the 32 digits of a static pod.
pub(super) fn is_pod_uid(text: &str) -> bool {
    text.len() == 32 && is_hex(text) || is_uuid(text)
}

fn is_uuid(text: &str) -> bool {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    text.split('-').map(str::len).eq(GROUPS) && text.split('-').all(is_hex)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Components that name their runtime.
fn named(part: &str) -> Option<Container> {
    const PREFIXES: [(&str, &str); 7] = [
        ("docker-", "docker"),
        ("cri-containerd-", "containerd"),
        ("containerd-", "containerd"),
        ("crio-", "crio"),
        ("libpod-payload-", "podman"),
        ("libpod-", "podman"),
        ("nerdctl-", "nerdctl"),
    ];
    if let Some((_, id)) = part.split_once(":cri-containerd:") {
        return is_id(id).then(|| new("containerd", id));
    }
    let stem = part.strip_suffix(".scope").unwrap_or(part);
    PREFIXES.iter().find_map(|(prefix, runtime)| {
        let id = stem.strip_prefix(prefix).filter(|id| is_id(id))?;
        let of_unit = *prefix == "libpod-payload-";
        Some(Container { of_unit, ..new(runtime, id) })
    })
}

/// Bare ids, whose runtime only their surroundings tell.
fn bare(part: &str, parent: Option<&str>, before: &[&str]) -> Option<Container> {
    let parent = parent.filter(|_| is_id(part))?;
    if parent == "docker" {
        return Some(new("docker", part));
    }
    if parent.starts_with("pod") && before.iter().any(|part| part.starts_with("kubepods")) {
        return Some(new("cri", part));
    }
    before.contains(&"ecs").then(|| new("ecs", part))
}

/// A step of a docker build. With the systemd driver its cgroup has the driver's notation for a name.
fn build(part: &str, parent: Option<&str>) -> Option<Container> {
    let id = part.strip_prefix("system.slice:docker:").or((parent == Some("buildkit")).then_some(part))?;
    let free = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    (free && id.len() <= 64).then(|| new("buildkit", id))
}

/// A task of Nomad: allocation and name.
fn task(part: &str, before: &[&str]) -> Option<Container> {
    let name = part.strip_suffix(".scope").filter(|_| before.first() == Some(&"nomad.slice"))?;
    let (allocation, _) = name.split_once('.')?;
    is_uuid(allocation).then(|| new("nomad", name))
}

/// Containers with names: LXC, nspawn, registered machines.
fn machine(part: &str, parent: Option<&str>) -> Option<Container> {
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return Some(new("lxc", name));
    }
    if matches!(parent, Some("lxc" | "lxc.payload")) {
        return Some(new("lxc", part));
    }
    if let Some(name) = part.strip_prefix("systemd-nspawn@").and_then(|name| name.strip_suffix(".service")) {
        return Some(new("nspawn", &unescape(name)));
    }
    let name = part.strip_prefix("machine-").and_then(|name| name.strip_suffix(".scope"));
    name.filter(|_| parent == Some("machine.slice")).map(|name| new("machine", &unescape(name)))
}

/// `ctr` and bare containerd: `/<namespace>/<any id>`, for the namespaces containerd uses by itself.
fn plain(parts: &[&str]) -> Option<Container> {
    let [namespace, id] = parts else {
        return None;
    };
    let free = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    let ours = matches!(*namespace, "default" | "k8s.io" | "moby") && free && id.len() <= 76;
    (ours && !is_unit(id) && !id.ends_with(".slice")).then(|| new("containerd", id))
}

fn new(runtime: &'static str, id: &str) -> Container {
    Container { runtime, id: id.to_owned(), owner: None, of_unit: false, pod: None }
}

/// Undoes systemd's `\xNN`.
fn unescape(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        let byte = after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let Some(byte) = byte {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.extend_from_slice(b"\\x");
            rest = after;
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
pub(crate) mod layouts;

#[cfg(test)]
mod tests {
    use super::place;

    const ID: &str = "605439acbd4fb18c145069289094b17f17e0cfa938f78012d4960bc797305f22";

    fn told(path: &str) -> String {
        let place = place(path.as_bytes());
        if let Some(container) = place.container {
            let unit = if container.of_unit { place.unit.unwrap() + " " } else { String::new() };
            return format!("{unit}{}:{}", container.runtime, container.id);
        }
        if let Some(session) = place.session {
            return format!("session {session}");
        }
        if let Some((uid, unit)) = place.user_unit {
            return format!("user {uid} {unit}");
        }
        place.unit.unwrap_or_default()
    }

    #[test]
    fn units_and_sessions() {
        let user = "/user.slice/user-1000.slice";
        for (path, expected) in [
            ("/system.slice/nginx.service", "nginx.service"),
            (
                "/system.slice/system-postgresql.slice/postgresql@15-main.service",
                "postgresql@15-main.service",
            ),
            (&format!("{user}/session-3.scope"), "session 3"),
            (&format!("{user}/session-c2.scope"), "session c2"),
            (&format!("{user}/session-x2.scope"), "session-x2.scope"),
            ("/system.slice/session-3.scope", "session-3.scope"),
            (&format!("{user}/user@1000.service/app.slice/backup.service"), "user 1000 backup.service"),
            (&format!("{user}/user@1000.service/init.scope"), "user 1000 init.scope"),
            (
                &format!("{user}/user@1000.service/app.slice/app-gnome-firefox-1234.scope"),
                "user 1000 app-gnome-firefox-1234.scope",
            ),
            ("/system.slice/run-u42.service", "run-u42.service"),
            ("/system.slice/cron.service", "cron.service"),
            ("/system.slice/system-sshd.slice/sshd@3-1.service", "sshd@3-1.service"),
            ("/system.slice/snap.lxd.daemon.service", "snap.lxd.daemon.service"),
            ("/system.slice/_cgroup.service", "cgroup.service"),
            ("/system.slice/my\\x2dapp.service/sub", "my\\x2dapp.service"),
            ("/init.scope", "init.scope"),
            ("/system.slice", ""),
            ("/", ""),
            ("", ""),
            ("/odd/nginx.service", ""),
        ] {
            assert_eq!(told(path), expected, "{path}");
        }
    }

    #[test]
    fn containers() {
        let pod = "63b3ebfc_2890_11e9_8154_16bf8ef8d9dc";
        let rootless = "/user.slice/user-1000.slice/user@1000.service/user.slice";
        for (path, runtime) in [
            (format!("/docker/{ID}"), "docker"),
            (format!("/system.slice/docker-{ID}.scope"), "docker"),
            (format!("/docker.slice/docker-{ID}.scope"), "docker"),
            (format!("{rootless}/docker-{ID}.scope"), "docker"),
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{pod}.slice/cri-containerd-{ID}.scope"
                ),
                "containerd",
            ),
            (
                format!(
                    "/system.slice/containerd.service/kubepods-burstable-pod{pod}.slice:cri-containerd:{ID}"
                ),
                "containerd",
            ),
            (
                format!("/kubepods-burstable-podbd12dd3393227d950605a2444b13c27a.slice:cri-containerd:{ID}"),
                "containerd",
            ),
            (format!("/kubepods/besteffort/podac04f3f2-1f2c-11e9-b015-1ebee232acfa/{ID}"), "cri"),
            (
                format!(
                    "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{pod}.slice/crio-{ID}.scope"
                ),
                "crio",
            ),
            (format!("/kubepods.slice/kubepods-pod{pod}.slice/crio-{ID}.scope/container"), "crio"),
            (format!("/kubepods/besteffort/pod{pod}/crio-{ID}"), "crio"),
            (format!("/system.slice/nerdctl-{ID}.scope"), "nerdctl"),
            (format!("/machine.slice/libpod-{ID}.scope/container"), "podman"),
            (format!("{rootless}/libpod-{ID}.scope/container"), "podman"),
            (format!("/ecs/0123456789abcdef0123456789abcdef/{ID}"), "ecs"),
            (
                format!(
                    "/docker/{}/kubelet.slice/kubelet-kubepods.slice/x-pod{pod}.slice/cri-containerd-{ID}.scope",
                    "a".repeat(64)
                ),
                "containerd",
            ),
        ] {
            assert_eq!(told(&path), format!("{runtime}:{ID}"), "{path}");
        }
        let quadlet = format!("/system.slice/system-ceph-f9.slice/ceph-f9@mon.service/libpod-payload-{ID}");
        assert_eq!(told(&quadlet), format!("ceph-f9@mon.service podman:{ID}"));
        assert_eq!(told("/lxc.payload.web/init.scope"), "lxc:web");
        assert_eq!(told("/lxc/web"), "lxc:web");
        assert_eq!(told("/default/test_container"), "containerd:test_container");
        assert_eq!(told("/machine.slice/machine-qemu\\x2d1\\x2dvm.scope"), "machine:qemu-1-vm");
        let inner = "/machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service";
        assert_eq!(told(inner), "nspawn:web");
    }

    #[test]
    fn pods() {
        let uid = "63b3ebfc-2890-11e9-8154-16bf8ef8d9dc";
        let systemd = uid.replace('-', "_");
        let hash = "bd12dd3393227d950605a2444b13c27a";
        let burst = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable";
        for (path, expected) in [
            (format!("{burst}-pod{systemd}.slice/cri-containerd-{ID}.scope"), uid),
            (format!("{burst}-pod{hash}.slice/cri-containerd-{ID}.scope"), hash),
            (format!("{burst}-pod{systemd}.slice/crio-{ID}.scope"), uid),
            (format!("{burst}-pod{systemd}.slice/crio-{ID}.scope/container"), uid),
            (format!("{burst}-pod{systemd}.slice/docker-{ID}.scope"), uid),
            (format!("/kubepods.slice/kubepods-pod{systemd}.slice/cri-containerd-{ID}.scope"), uid),
            (
                format!("/system.slice/containerd.service/kubepods-pod{systemd}.slice:cri-containerd:{ID}"),
                uid,
            ),
            (format!("/kubepods-burstable-pod{hash}.slice:cri-containerd:{ID}"), hash),
            (format!("/kubepods/burstable/pod{uid}/{ID}"), uid),
            (format!("/kubepods/pod{uid}/{ID}"), uid),
            (format!("/kubepods/besteffort/pod{hash}/{ID}"), hash),
            (format!("/kubepods/besteffort/pod{uid}/crio-{ID}"), uid),
            (
                format!(
                    "/docker/{ID}/kubelet.slice/kubelet-kubepods-pod{systemd}.slice/cri-containerd-{ID}.scope"
                ),
                uid,
            ),
            (format!("/kubepods/pod{hash}/{ID}/kubepods/pod{uid}/{ID}"), uid),
            (format!("/kubepods/pod{uid}/{ID}/docker/{ID}"), uid),
        ] {
            let container = place(path.as_bytes()).container.unwrap_or_else(|| panic!("{path}"));
            assert_eq!(container.pod.as_deref(), Some(expected), "{path}");
        }
        for path in [
            format!("/docker/{ID}"),
            format!("/machine.slice/libpod-{ID}.scope"),
            format!("/kubepods/pod{}/{ID}", &uid[1..]),
            format!("/kubepods/pod{uid}0/{ID}"),
            format!("/kubepods/pod{}/{ID}", uid.to_uppercase()),
            format!("/kubepods/pod{}/{ID}", uid.replace('6', "g")),
            format!("/kubepods/pod{hash}0/{ID}"),
            format!("/kubepods/pod{}/{ID}", uid.replacen("-", "", 1)),
            format!("/kubepods/xpod{uid}/cri-containerd-{ID}.scope"),
            format!("/docker/{ID}/pod{uid}"),
            format!(
                "/user.slice/user-1000.slice/user@1000.service/kubepods-pod{systemd}.slice/crio-{ID}.scope"
            ),
        ] {
            let container = place(path.as_bytes()).container;
            assert_eq!(container.and_then(|container| container.pod), None, "{path}");
        }
        let pause = format!("/kubepods.slice/kubepods-pod{systemd}.slice/crio-conmon-{ID}.scope");
        assert_eq!(place(pause.as_bytes()).container, None);
    }

    #[test]
    fn no_containers() {
        for path in [
            "/".to_owned(),
            "/user.slice/user-1000.slice/user@1000.service/init.scope".to_owned(),
            format!("/docker/{ID}0"),
            format!("/docker/g{}", &ID[1..]),
            format!("/system.slice/docker-{ID}0.scope"),
            format!("/machine.slice/libpod-conmon-{ID}.scope"),
            format!("/machine.slice/crio-conmon-{ID}.scope"),
            "/lxc.monitor.web".to_owned(),
            "/default/x.service".to_owned(),
        ] {
            assert_eq!(place(path.as_bytes()).container, None, "{path}");
        }
    }
}
