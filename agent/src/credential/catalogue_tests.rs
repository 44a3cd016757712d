use std::collections::HashSet;

use spoor_wire::rule::{HASH_START, MOUNTED, NO_RULE, NameKey, hash_bytes};

use super::Catalogue;
use super::catalogue::rule;
use super::watch::Watch;
use crate::config::Credentials;
use crate::config::pattern::Part;

/// The kind of a path, whatever rule the kernel went by.
pub(super) fn kind(catalogue: &Catalogue, path: &str) -> Option<String> {
    let none = rule(0, false);
    catalogue.kind(none, path.as_bytes()).map(|kind| kind.id.clone())
}

fn declared(paths: &[&str]) -> Catalogue {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    Catalogue::new(&Credentials { paths, ..Credentials::default() }).unwrap()
}

#[test]
fn the_embedded_file_is_good() {
    let catalogue = Catalogue::builtin();
    assert!(catalogue.kinds().count() > 60);
    for kind in catalogue.kinds() {
        assert!((1..=3).contains(&kind.sensitivity), "{}", kind.id);
        assert!(!kind.about.is_empty() && kind.about.len() < 100, "{}", kind.id);
        assert!(
            kind.id == "declared"
                || !kind.watches.is_empty()
                || !kind.endpoints.is_empty()
                || !kind.variables.is_empty()
                || kind.keys.rules(0).next().is_some(),
            "{}",
            kind.id
        );
    }
}

#[test]
fn secrets_are_known() {
    let catalogue = Catalogue::builtin();
    for (path, id) in [
        ("/home/a/.aws/credentials", "aws-access-key"),
        ("/var/lib/postgresql/.pgpass", "pgpass"),
        ("/root/.ssh/id_ed25519", "ssh-private-key"),
        ("/home/a/.ssh/id_rsa", "ssh-private-key"),
        ("/home/a/.ssh/id_deploy", "ssh-private-key"),
        ("/etc/ssh/ssh_host_ed25519_key", "ssh-host-key"),
        ("/etc/shadow", "shadow"),
        ("/var/lib/docker/overlay2/x/merged/etc/shadow", "shadow"),
        ("/root/.kube/config", "kubeconfig"),
        ("/etc/kubernetes/admin.conf", "k8s-admin-kubeconfig"),
        ("/var/run/secrets/kubernetes.io/serviceaccount/token", "k8s-service-account-token"),
        ("/run/secrets/kubernetes.io/serviceaccount/..2024_01_02_03/token", "k8s-service-account-token"),
        (
            "/var/lib/kubelet/pods/u/volumes/kubernetes.io~projected/kube-api-access-x/token",
            "k8s-service-account-token",
        ),
        ("/var/lib/kubelet/pods/u/volumes/kubernetes.io~secret/db/password", "k8s-secret-volume"),
        ("/root/.docker/config.json", "docker-config"),
        ("/run/user/1000/containers/auth.json", "docker-config"),
        ("/home/a/.config/gcloud/application_default_credentials.json", "gcp-adc"),
        ("/home/a/.azure/msal_token_cache.json", "azure-msal-cache"),
        ("/home/a/.netrc", "netrc"),
        ("/home/a/.npmrc", "npmrc"),
        ("/home/a/.pypirc", "pypirc"),
        ("/home/a/.git-credentials", "git-credentials"),
        ("/home/a/.config/gh/hosts.yml", "gh-hosts"),
        ("/home/a/.vault-token", "vault-token"),
        ("/root/.my.cnf", "my-cnf"),
        ("/root/.config/rclone/rclone.conf", "rclone"),
        ("/etc/krb5.keytab", "krb5-keytab"),
        ("/run/credentials/backup.service/token", "systemd-credential"),
        ("/home/a/.claude/.credentials.json", "claude-code"),
        ("/home/a/.codex/auth.json", "codex"),
        ("/etc/ssl/private/server.key", "tls-private-key"),
        ("/etc/wireguard/wg0.conf", "wireguard"),
        ("/etc/nginx/tls/site.key", "tls-private-key"),
    ] {
        assert_eq!(kind(&catalogue, path).as_deref(), Some(id), "{path}");
    }
}

#[test]
fn what_everybody_may_read_is_no_secret() {
    let catalogue = Catalogue::builtin();
    for path in [
        "/etc/passwd",
        "/etc/group",
        "/etc/hosts",
        "/etc/ssl/certs/ca-certificates.crt",
        "/usr/share/ca-certificates/x.crt",
        "/etc/ssh/sshd_config",
        "/etc/ssh/ssh_host_ed25519_key.pub",
        "/home/a/.ssh/id_rsa.pub",
        "/home/a/.ssh/id_deploy.pub",
        "/home/a/.ssh/known_hosts",
        "/home/a/.ssh/authorized_keys",
        "/home/a/.ssh/config",
        "/home/a/.gitconfig",
        "/home/a/.bashrc",
        "/home/a/.aws/config",
        "/run/secrets/kubernetes.io/serviceaccount/ca.crt",
        "/run/secrets/kubernetes.io/serviceaccount/..2024_01_02_03/ca.crt",
        "/run/secrets/kubernetes.io/serviceaccount/namespace",
        "/etc/kubernetes/pki/ca.crt",
        "/etc/letsencrypt/live/x/fullchain.pem",
        "/etc/nginx/nginx.conf",
        "/etc/resolv.conf",
    ] {
        assert_eq!(kind(&catalogue, path), None, "{path}");
    }
}

#[test]
fn sockets_that_stand_for_credentials_are_known() {
    let catalogue = Catalogue::builtin();
    for (path, id) in [
        ("/run/docker.sock", "docker-socket"),
        ("/run/user/1000/docker.sock", "docker-socket"),
        ("/run/containerd/containerd.sock", "containerd-socket"),
        ("/run/k3s/containerd/containerd.sock", "containerd-socket"),
        ("/run/host-containerd/containerd.sock", "containerd-socket"),
        ("/run/crio/crio.sock", "crio-socket"),
        ("/run/podman/podman.sock", "podman-socket"),
        ("/run/user/1000/podman/podman.sock", "podman-socket"),
        ("/tmp/spire-agent/public/api.sock", "spiffe-socket"),
        ("/run/spire/agent-sockets/spire-agent.sock", "spiffe-socket"),
        ("/run/vault/agent.sock", "vault-agent-socket"),
        ("/home/a/.gnupg/S.gpg-agent.ssh", "gpg-agent"),
        ("/run/user/1000/gnupg/S.gpg-agent", "gpg-agent"),
        ("/run/user/1000/gnupg/d.abc/S.gpg-agent.extra", "gpg-agent"),
        ("/tmp/ssh-XXXXabcd/agent.4711", "ssh-agent"),
        ("/run/user/1000/keyring/ssh", "ssh-agent"),
        ("/run/user/1000/ssh-agent.socket", "ssh-agent"),
        ("/home/a/.ssh/agent/s.1a2b.agent.3c4d", "ssh-agent"),
    ] {
        let found = catalogue.socket(rule(0, false), path.as_bytes()).unwrap();
        assert_eq!((found.kind.as_str(), found.path.as_slice()), (id, path.as_bytes()));
        assert_eq!(found.id, format!("{id}:{path}"));
        assert_ne!(kind(&catalogue, path).as_deref(), Some(id), "a file of that name is no socket");
    }
    for path in [
        "/run/postgresql/.s.PGSQL.5432",
        "/run/user/1000/bus",
        "/run/dbus/system_bus_socket",
        "/var/lib/kubelet/pod-resources/kubelet.sock",
        "/var/lib/kubelet/device-plugins/kubelet.sock",
        "/tmp/agent.1",
        "/etc/shadow",
        "/run/vault/other.sock",
    ] {
        assert_eq!(catalogue.socket(rule(0, false), path.as_bytes()), None, "{path}");
    }
}

#[test]
fn a_rule_for_files_decides_nothing_about_sockets_and_the_other_way() {
    let catalogue = Catalogue::builtin();
    let place = |id| catalogue.number(catalogue.kinds().position(|kind| kind.id == id).unwrap());
    // The directory is watched for Vault's tokens.
    let vault = rule(place("vault-token"), true);
    assert_eq!(catalogue.kind(vault, b"/run/vault/token").unwrap().id, "vault-token");
    assert_eq!(catalogue.socket(vault, b"/run/vault/agent.sock").unwrap().kind, "vault-agent-socket");
    assert_eq!(catalogue.socket(vault, b"/run/vault/other.sock"), None);
    // A socket by its entry, under another name in a container.
    let docker = rule(place("docker-socket"), true);
    assert_eq!(catalogue.socket(docker, b"/inside/d.sock").unwrap().id, "docker-socket:/inside/d.sock");
    assert!(catalogue.kind(docker, b"/inside/d.sock").is_none());
    // What the config names is meant whatever it is.
    let own = declared(&["/srv/app/*.sock"]);
    assert_eq!(own.socket(rule(0, false), b"/srv/app/a.sock").unwrap().kind, "declared");
    assert_eq!(
        own.socket(rule(0, false), b"/srv/app/\x1b.sock").unwrap().id,
        "declared:/srv/app/\\u{1b}.sock"
    );
}

/// A mark on one of these would make an event of every file the host opens there.
#[test]
fn no_busy_directory_is_marked() {
    let busy = [
        "bin",
        "boot",
        "dev",
        "etc",
        "home",
        "lib",
        "opt",
        "proc",
        "root",
        "run",
        "srv",
        "sys",
        "tmp",
        "usr",
        "var",
        "etc/ssl",
        "run/user",
        "usr/lib",
        "usr/share",
        "var/lib",
        "var/log",
        "var/run",
        "var/tmp",
        "var/lib/kubelet",
        "var/lib/kubelet/pods",
        "var/lib/docker",
    ];
    for kind in Catalogue::builtin().kinds() {
        for watch in &kind.watches {
            if let Watch::Below { home, base, .. } = watch {
                let names = base.iter().map(|part| match part {
                    Part::Literal(name) | Part::Wild(name) => name.as_str(),
                    Part::Deep => "**",
                });
                let path = names.collect::<Vec<_>>().join("/");
                assert!(!path.is_empty() && (*home || !busy.contains(&path.as_str())), "{}: {path}", kind.id);
            }
        }
    }
}

#[test]
fn names_are_what_the_probes_look_up() {
    let names = Catalogue::builtin().names();
    let roll =
        |names: &[&str]| names.iter().rev().fold(HASH_START, |hash, name| hash_bytes(hash, name.as_bytes()));
    let keys = names.iter().map(|(key, ..)| *key).collect::<HashSet<_>>();
    assert_eq!(keys.len(), names.len());
    for (path, anchored) in [
        (&[".aws", "credentials"][..], 0),
        (&[".netrc"], 0),
        (&["etc", "shadow"], 1),
        (&["containers", "auth.json"], 0),
        // The directories that memory is mounted in, for what comes between two scans.
        (&["credentials"], MOUNTED),
        (&["kubernetes.io~projected"], MOUNTED),
    ] {
        let depth = u32::try_from(path.len()).unwrap();
        assert!(keys.contains(&NameKey { hash: roll(path), depth, anchored }), "{path:?}");
    }
    // Whoever opens a file of another name is not asked on.
    let leaf = |path: &[&str]| names.iter().find(|(key, ..)| key.hash == roll(path)).unwrap().1;
    assert_eq!(leaf(&[".aws", "credentials"]), Some(roll(&["credentials"])));
    assert_eq!(leaf(&["kubernetes.io~projected"]), None, "no file's name");
    // Of `…/*/token` its directories are watched: whoever reads some file of that name holds nothing yet.
    assert!(!keys.contains(&NameKey { hash: roll(&["token"]), depth: 1, anchored: 0 }));
}

/// Each kind of the catalogue is found by the names or the directories the kernel is given for it.
#[test]
fn rules_are_stable_and_lead_to_their_kind() {
    let (first, second) = (Catalogue::builtin(), Catalogue::builtin());
    assert_eq!(first.names(), second.names());
    for (.., rule) in first.names() {
        if rule == NO_RULE {
            continue;
        }
        assert_eq!(rule % 2, 0, "a name alone never decides");
        assert!(first.kinds().nth(usize::try_from(rule / 2).unwrap()).is_some());
    }
}

#[test]
fn the_config_comes_first() {
    let catalogue = declared(&["/srv/app/**", "/etc/backup/token", "/root/.netrc"]);
    for path in ["/srv/app/x", "/srv/app/a/b", "/etc/backup/token", "/root/.netrc"] {
        assert_eq!(kind(&catalogue, path).as_deref(), Some("declared"), "{path}");
    }
    assert_eq!(kind(&catalogue, "/home/a/.netrc").as_deref(), Some("netrc"));
    assert_eq!(kind(&catalogue, "/srv/other"), None);
    assert_eq!(catalogue.kind(rule(0, true), b"/elsewhere").unwrap().id, "declared");
    assert!(catalogue.kind(u32::MAX, b"/srv/app/x").is_none());
}

#[test]
fn a_path_without_its_beginning_is_known_by_its_end() {
    let catalogue = declared(&["/srv/app/*.key"]);
    let own = rule(0, false);
    assert!(catalogue.kind(own, "…rv/app/a.key".as_bytes()).is_some());
    assert!(catalogue.kind(own, "…pp/a.key".as_bytes()).is_some());
    assert!(catalogue.kind(own, "…/other/a.key".as_bytes()).is_none());
    assert!(catalogue.kind(own, "…a.key".as_bytes()).is_none());
}

#[test]
fn names_that_are_no_text() {
    let catalogue = declared(&["/srv/app/**"]);
    assert!(catalogue.kind(rule(0, false), b"/srv/app/\xff\xfe").is_some());
    assert!(catalogue.kind(rule(0, false), b"").is_none());
}

proptest::proptest! {
    #[test]
    fn any_path(rule in 0..400_u32, path in proptest::collection::vec(proptest::num::u8::ANY, 0..60)) {
        thread_local!(static CATALOGUE: Catalogue = Catalogue::builtin());
        CATALOGUE.with(|catalogue| {
            let _ = (catalogue.kind(rule, &path), catalogue.socket(rule, &path));
        });
    }
}

/// The kernel keeps rules, and samples are on their way, while the catalogue becomes another one.
#[test]
fn a_kind_keeps_its_number_in_a_newer_catalogue() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("own.toml");
    let load = |text: &str, before: &Catalogue| {
        std::fs::write(&path, text).unwrap();
        let config = Credentials { catalogue: Some(path.clone()), ..Credentials::default() };
        Catalogue::new(&config).unwrap().after(before)
    };
    let own =
        |id: &str| format!("version = 1\n[[credential]]\nid = \"{id}\"\nglobs = [\"/srv/{id}/token\"]\n");
    let number = |catalogue: &Catalogue, id: &str| {
        catalogue.kinds().position(|kind| kind.id == id).map(|index| catalogue.number(index))
    };
    let first = Catalogue::builtin();
    let second = load(&own("app-a"), &first);
    assert!(!second.same(&first));
    for kind in first.kinds() {
        assert_eq!(number(&second, &kind.id), number(&first, &kind.id), "{}", kind.id);
    }
    let a = number(&second, "app-a").unwrap();
    assert_eq!(a as usize, first.kinds().count(), "behind all others, though it claims paths before them");
    // Gone, and another one there: its number is not the old one's.
    let third = load(&own("app-b"), &second);
    assert_eq!(number(&third, "app-b"), Some(a + 1));
    assert_eq!(
        third.kind(rule(a, true), b"/srv/app-a/token"),
        None,
        "a rule of what is gone decides nothing"
    );
    assert_eq!(third.kind(rule(a + 1, false), b"/srv/app-b/token").unwrap().id, "app-b");
    let pgpass = number(&third, "pgpass").unwrap();
    assert_eq!(third.kind(rule(pgpass, false), b"/root/.pgpass").unwrap().id, "pgpass");
    assert!(load(&own("app-b"), &third).same(&third));
}
