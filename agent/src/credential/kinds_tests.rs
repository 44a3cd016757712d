//! Each built-in kind: a path that is one, and its near-miss twin, which is none.

use super::catalogue::rule;
use super::catalogue_tests::kind;
use super::{Catalogue, Kind};
use crate::event::{KernelKey, Text};

/// Kind, path, twin. The twin lies beside it, or looks like it, and holds no secret, or is not where a program looks.
const FILES: &[(&str, &str, &str)] = &[
    ("aws-access-key", "/home/a/.aws/credentials", "/home/a/.aws/config"),
    ("aws-sso-token", "/home/a/.aws/sso/cache/ab12.json", "/home/a/.aws/sso/cache/ab12.txt"),
    ("aws-session", "/home/a/.aws/cli/cache/ab12.json", "/home/a/.aws/cli/history.json"),
    (
        "aws-web-identity-token",
        "/run/secrets/eks.amazonaws.com/serviceaccount/token",
        "/run/secrets/eks.amazonaws.com/serviceaccount/ca.crt",
    ),
    ("s3-key", "/home/a/.mc/config.json", "/home/a/.mc/share/config.json"),
    ("s3fs-key", "/etc/passwd-s3fs", "/etc/passwd"),
    ("aws-roles-anywhere", "/etc/aws/rolesanywhere/key.pem", "/etc/aws/rolesanywhere.pem"),
    (
        "aws-codedeploy",
        "/etc/codedeploy-agent/conf/codedeploy.onpremises.yml",
        "/etc/codedeploy-agent/conf/codedeployagent.yml",
    ),
    (
        "aws-ssm-agent",
        "/var/lib/amazon/ssm/Vault/Store/RegistrationKey",
        "/var/lib/amazon/ssm/Vault/Manifest",
    ),
    (
        "gcp-adc",
        "/home/a/.config/gcloud/application_default_credentials.json",
        "/home/a/.config/gcloud/configurations/config_default",
    ),
    ("gcp-tokens", "/root/.config/gcloud/access_tokens.db", "/root/.config/gcloud/default_configs.db"),
    ("azure-msal-cache", "/home/a/.azure/msal_token_cache.json", "/home/a/.azure/azureProfile.json"),
    ("azure-service-principal", "/etc/kubernetes/azure.json", "/etc/kubernetes/azure.yaml"),
    (
        "azure-workload-identity-token",
        "/var/run/secrets/azure/tokens/azure-identity-token",
        "/var/run/secrets/azure/azure-identity-token.pub",
    ),
    ("azure-agent", "/var/lib/waagent/AB12.prv", "/var/lib/waagent/AB12.crt"),
    ("oci-key", "/home/a/.oci/oci_api_key.pem", "/home/a/.oci/oci_api_key_public.pem"),
    ("cloud-token", "/home/a/.config/hcloud/cli.toml", "/home/a/.config/cli.toml"),
    ("cloudflare", "/root/.cloudflared/cert.pem", "/root/.cloudflared/config.yml"),
    ("openstack", "/etc/openstack/clouds.yaml", "/etc/openstack/clouds-public.yaml"),
    (
        "cloud-init",
        "/var/lib/cloud/instances/i-1/user-data.txt",
        "/var/lib/cloud/instances/i-1/boot-finished",
    ),
    (
        "k8s-service-account-token",
        "/run/secrets/kubernetes.io/serviceaccount/token",
        "/run/secrets/kubernetes.io/serviceaccount/namespace",
    ),
    ("k8s-projected-volume", "/run/secrets/tokens/istio-token", "/run/secrets/tokens/ca.crt"),
    (
        "k8s-secret-volume",
        "/var/lib/kubelet/pods/u/volumes/kubernetes.io~secret/db/password",
        "/var/lib/kubelet/pods/u/volumes/kubernetes.io~configmap/db/password",
    ),
    ("kubeconfig", "/home/a/.kube/config", "/home/a/.kube/kubectx"),
    ("k8s-admin-kubeconfig", "/etc/kubernetes/admin.conf", "/etc/kubernetes/manifests/admin.conf"),
    ("kube-oidc-token", "/home/a/.kube/cache/oidc-login/ab12", "/home/a/.kube/cache/discovery/ab12"),
    ("talos-config", "/home/a/.talos/config", "/home/a/.talos/config.d"),
    ("k8s-pki", "/etc/kubernetes/pki/sa.key", "/etc/kubernetes/pki/sa.pub"),
    ("k8s-static-token", "/etc/kubernetes/known_tokens.csv", "/etc/kubernetes/known_hosts.csv"),
    (
        "k8s-join-token",
        "/var/lib/rancher/k3s/server/node-token",
        "/var/lib/rancher/k3s/server/tls/server-ca.crt",
    ),
    ("etcd-data", "/var/lib/etcd/member/snap/db", "/var/lib/etcd/member/snap/db.bak"),
    ("docker-config", "/root/.docker/config.json", "/root/.docker/daemon.json"),
    ("helm-repository", "/home/a/.config/helm/repositories.yaml", "/home/a/.config/helm/plugins.yaml"),
    ("docker-secret", "/run/secrets/db_password", "/run/secrets/root.crt"),
    ("docker-swarm", "/var/lib/docker/swarm/certificates/swarm-node.key", "/var/lib/docker/swarm"),
    ("vault-token", "/home/a/.vault-token", "/home/a/.vault-tokens"),
    ("vault-approle", "/etc/vault.d/vault.hcl", "/etc/vault.d/vault.env"),
    ("consul-nomad-token", "/home/a/.consul-token", "/home/a/.consul"),
    ("spiffe-key", "/var/lib/spire/agent/keys.json", "/var/lib/spire/agent/bundle.der"),
    ("spiffe-svid", "/run/secrets/spiffe.io/tls.key", "/run/secrets/spiffe.io/ca.crt"),
    ("mesh-key", "/etc/certs/key.pem", "/etc/certs/root-cert.pem"),
    ("argocd-token", "/home/a/.config/argocd/config", "/home/a/.config/argocd/version"),
    ("secret-manager-cli", "/home/a/.doppler/.doppler.yaml", "/home/a/.doppler/.doppler.lock"),
    ("bitwarden", "/home/a/.config/Bitwarden CLI/data.json", "/home/a/.config/Bitwarden CLI/window.json"),
    ("password-store", "/home/a/.password-store/web/a.gpg", "/home/a/.password-store/.gpg-id"),
    ("age-key", "/home/a/.config/sops/age/keys.txt", "/home/a/.config/sops/age/recipients.txt"),
    ("shadow", "/etc/shadow", "/etc/passwd"),
    ("ssh-private-key", "/home/a/.ssh/id_ed25519", "/home/a/.ssh/id_ed25519.pub"),
    ("ssh-host-key", "/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ed25519_key.pub"),
    ("teleport", "/home/a/.tsh/keys/t.example/a", "/home/a/.tsh/keys/t.example/a.pub"),
    ("tls-private-key", "/etc/ssl/private/site.key", "/etc/ssl/certs/site.pem"),
    (
        "acme-account",
        "/etc/letsencrypt/accounts/acme-v02/directory/ab/private_key.json",
        "/etc/letsencrypt/accounts/acme-v02/directory/ab/regr.json",
    ),
    ("krb5-keytab", "/etc/krb5.keytab", "/etc/krb5.conf"),
    ("krb5-ccache", "/tmp/krb5cc_0", "/tmp/krb5cc_log"),
    ("directory-secret", "/etc/sssd/sssd.conf", "/etc/sssd/pki/ca.pem"),
    ("samba-password", "/etc/samba/smbpasswd", "/etc/samba/smb.conf"),
    ("disk-key", "/etc/cryptsetup-keys.d/data.key", "/etc/crypttab"),
    ("systemd-credential", "/run/credentials/backup.service/token", "/run/credstore.log"),
    (
        "wifi-psk",
        "/etc/NetworkManager/system-connections/home.nmconnection",
        "/etc/NetworkManager/NetworkManager.conf",
    ),
    ("wireguard", "/etc/wireguard/wg0.conf", "/etc/wireguard/wg0.pub"),
    ("vpn-key", "/etc/openvpn/client/site.ovpn", "/etc/openvpn/client/ca.crt"),
    (
        "gpg-key",
        "/home/a/.gnupg/private-keys-v1.d/0123456789ABCDEF0123456789ABCDEF01234567.key",
        "/home/a/.gnupg/pubring.kbx",
    ),
    ("netrc", "/home/a/.netrc", "/home/a/.netrc.example"),
    ("git-credentials", "/home/a/.git-credentials", "/home/a/.gitconfig"),
    ("gh-hosts", "/home/a/.config/gh/hosts.yml", "/home/a/.config/gh/config.yml"),
    ("npmrc", "/home/a/.npmrc", "/home/a/.nvmrc"),
    ("pypirc", "/home/a/.pypirc", "/home/a/.pylintrc"),
    ("package-registry", "/home/a/.cargo/credentials.toml", "/home/a/.cargo/config.toml"),
    ("maven", "/home/a/.m2/settings.xml", "/home/a/.m2/toolchains.xml"),
    ("nuget", "/home/a/.nuget/NuGet/NuGet.Config", "/home/a/.nuget/plugins/NuGet.Config"),
    ("python-index", "/etc/pip.conf", "/etc/pip.conf.d"),
    ("terraform", "/home/a/.terraform.d/credentials.tfrc.json", "/home/a/.terraform.d/checkpoint_cache"),
    ("ansible-vault", "/home/a/.vault_pass", "/home/a/.ansible.cfg"),
    (
        "config-management-key",
        "/etc/puppetlabs/puppet/ssl/private_keys/db7.pem",
        "/etc/puppetlabs/puppet/ssl/public_keys/db7.pem",
    ),
    ("jenkins", "/var/lib/jenkins/secrets/master.key", "/var/lib/jenkins/config.xml"),
    ("ci-runner", "/home/a/actions-runner/.credentials", "/home/a/actions-runner/.runner"),
    ("saas-token", "/home/a/.sentryclirc", "/home/a/.sentry"),
    ("monitoring-agent", "/etc/datadog-agent/datadog.yaml", "/etc/datadog-agent/conf.d/disk.yaml"),
    ("wallet", "/home/a/.bitcoin/wallet.dat", "/home/a/.bitcoin/bitcoin.conf"),
    ("pgpass", "/var/lib/postgresql/.pgpass", "/var/lib/postgresql/.psql_history"),
    ("my-cnf", "/root/.my.cnf", "/etc/mysql/my.cnf"),
    ("database-client", "/home/a/.databrickscfg", "/home/a/.dbt/project.yml"),
    ("database-key", "/var/lib/mysql/server-key.pem", "/var/lib/mysql/server-cert.pem"),
    ("rclone", "/root/.config/rclone/rclone.conf", "/root/.config/rclone/rclone.log"),
    ("backup-key", "/root/.config/borg/keys/repo", "/root/.config/borg/security/repo"),
    ("mail-relay", "/etc/postfix/sasl_passwd", "/etc/postfix/main.cf"),
    ("mail-client", "/etc/msmtprc", "/etc/mailname"),
    ("claude-code", "/home/a/.claude/.credentials.json", "/home/a/.claude/settings.json"),
    ("codex", "/home/a/.codex/auth.json", "/home/a/.codex/history.json"),
    ("ai-agent", "/home/a/.gemini/oauth_creds.json", "/home/a/.gemini/settings.json"),
    ("model-provider", "/home/a/.kaggle/kaggle.json", "/home/a/.kaggle/cache.json"),
    (
        "registry-key",
        "/etc/containerd/certs.d/r.example:5000/client.key",
        "/etc/containerd/certs.d/r.example:5000/ca.crt",
    ),
    ("key-store", "/etc/tomcat10/site.p12", "/etc/tomcat10/server.xml"),
    (
        "desktop-keyring",
        "/home/a/.local/share/keyrings/login.keyring",
        "/home/a/.local/share/keyrings/default",
    ),
    ("terraform-state", "/srv/infra/terraform.tfstate", "/srv/infra/main.tf"),
    ("dotenv", "/srv/shop/.env", "/srv/shop/.env.example"),
    ("web-app-config", "/var/www/blog/wp-config.php", "/var/www/blog/wp-config-sample.php"),
    ("web-login", "/var/www/blog/.htpasswd", "/var/www/blog/.htaccess"),
    ("mcp-config", "/home/a/shop/.cursor/mcp.json", "/home/a/shop/mcp.json"),
];

/// The same of unix sockets.
const SOCKETS: &[(&str, &str, &str)] = &[
    ("docker-socket", "/run/docker.sock", "/run/docker.pid"),
    ("containerd-socket", "/run/containerd/containerd.sock", "/run/containerd/containerd.sock.ttrpc"),
    ("crio-socket", "/run/crio/crio.sock", "/run/crio/metrics.sock"),
    ("podman-socket", "/run/user/1000/podman/podman.sock", "/run/user/1000/podman.sock"),
    ("spiffe-socket", "/run/spire/agent-sockets/a.sock", "/run/spire/a.sock"),
    ("vault-agent-socket", "/run/vault/agent.sock", "/run/vault/metrics.sock"),
    ("gpg-agent", "/run/user/1000/gnupg/S.gpg-agent", "/run/user/1000/gnupg/S.dirmngr"),
    ("ssh-agent", "/run/user/1000/keyring/ssh", "/run/user/1000/keyring/control"),
];

/// And of addresses.
const ENDPOINTS: &[(&str, &str, &str)] = &[
    ("cloud-metadata", "169.254.169.254:80", "169.254.169.254:53"),
    ("alibaba-metadata", "100.100.100.200:80", "100.100.100.201:80"),
    ("tencent-metadata", "169.254.0.23:80", "169.254.0.2:80"),
    ("scaleway-metadata", "169.254.42.42:80", "169.254.42.43:80"),
    ("ecs-task-credentials", "169.254.170.2:80", "169.254.170.2:51679"),
    ("eks-pod-identity", "169.254.170.23:80", "169.254.170.23:2703"),
    ("azure-wireserver", "168.63.129.16:32526", "168.63.129.16:53"),
    ("azure-arc", "127.0.0.1:40342", "127.0.0.1:40341"),
];

#[test]
fn each_kind_is_known_and_its_twin_is_none() {
    let catalogue = Catalogue::builtin();
    for (id, path, twin) in FILES {
        assert_eq!(kind(&catalogue, path).as_deref(), Some(*id), "{path}");
        assert_eq!(kind(&catalogue, twin), None, "{twin}");
    }
    let socket =
        |path: &str| catalogue.socket(rule(0, false), path.as_bytes()).map(|found| found.kind.clone());
    for (id, path, twin) in SOCKETS {
        assert_eq!(socket(path).as_deref(), Some(*id), "{path}");
        assert_eq!(socket(twin), None, "{twin}");
    }
    let endpoint = |text: &str| {
        let address: std::net::SocketAddr = text.parse().unwrap();
        catalogue.endpoint(address.ip(), address.port()).map(|found| found.kind.clone())
    };
    for (id, address, twin) in ENDPOINTS {
        assert_eq!(endpoint(address).as_deref(), Some(*id), "{address}");
        assert_eq!(endpoint(twin), None, "{twin}");
    }
}

/// The other places of kinds that are many programs'.
#[test]
fn other_places_are_known() {
    let catalogue = Catalogue::builtin();
    for (id, path) in [
        ("registry-key", "/etc/docker/certs.d/r.example/client.key"),
        ("registry-key", "/etc/containerd/certs.d/r.example/hosts.toml"),
        ("key-store", "/etc/nginx/tls/site.pfx"),
        ("key-store", "/opt/app/.keystore"),
        ("desktop-keyring", "/home/a/.local/share/kwalletd/kdewallet.kwl"),
        ("desktop-keyring", "/home/a/Documents/private.kdbx"),
        ("desktop-keyring", "/home/a/Passwords.kdbx"),
        ("terraform-state", "/home/a/infra/terraform.tfstate.backup"),
        ("dotenv", "/var/www/shop/.env.production"),
        ("web-app-config", "/srv/app/config/master.key"),
        ("web-login", "/etc/nginx/htpasswd"),
        ("mcp-config", "/home/a/shop/.mcp.json"),
        ("mcp-config", "/home/a/.codeium/windsurf/mcp_config.json"),
    ] {
        assert_eq!(kind(&catalogue, path).as_deref(), Some(id), "{path}");
    }
    for path in [
        "/etc/docker/certs.d/r.example/client.cert",
        "/home/a/Downloads/other.kdbx",
        "/etc/ssl/certs/java/cacerts",
    ] {
        assert_eq!(kind(&catalogue, path), None, "{path}");
    }
}

#[test]
fn no_kind_is_missing_here() {
    let known = [FILES, SOCKETS, ENDPOINTS, CARRIED].concat();
    let mut known = known.iter().map(|(id, ..)| *id).collect::<Vec<_>>();
    let catalogue = Catalogue::builtin();
    let mut kinds = catalogue.kinds().skip(1).map(|kind: &Kind| kind.id.as_str()).collect::<Vec<_>>();
    known.sort_unstable();
    kinds.sort_unstable();
    assert_eq!(known, kinds);
}

/// What lies nowhere: a key by its type and description, a variable by its name; each with its twin.
const CARRIED: &[(&str, &str, &str)] = &[
    ("kernel-key", "user:db:orders", "keyring:_ses"),
    ("environment-secret", "ORDERS_DB_PASSWORD", "ORDERS_DB_PASSWORD_FILE"),
];

#[test]
fn what_lies_nowhere_is_known_by_its_name() {
    let catalogue = Catalogue::builtin();
    let text = |text: &str| Text { bytes: text.into(), truncated: false };
    let known = |name: &str| match name.split_once(':') {
        Some((kind, description)) => {
            let (kind, description) = (text(kind), text(description));
            let key = KernelKey { serial: 7, owner: 0, rule: 0, kind, description };
            catalogue.key(&key).map(|found| found.kind.clone())
        }
        None => {
            let kind = catalogue.variable(name.as_bytes(), b"x")?;
            catalogue.handed(kind, name.as_bytes()).map(|found| found.kind.clone())
        }
    };
    for (id, name, twin) in CARRIED {
        assert_eq!(known(name).as_deref(), Some(*id), "{name}");
        assert_eq!(known(twin), None, "{twin}");
    }
}

/// What packages install for everybody to read, and what is public by its nature.
#[test]
fn public_material_is_no_credential() {
    let catalogue = Catalogue::builtin();
    for path in [
        "/etc/passwd",
        "/etc/passwd-",
        "/etc/group",
        "/etc/ssl/cert.pem",
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/ssl/certs/ca-bundle.trust.crt",
        "/etc/ssl/certs/4a6481c9.0",
        "/etc/ssl/certs/ISRG_Root_X1.pem",
        "/etc/ssl/certs/java/cacerts",
        "/etc/ssl/openssl.cnf",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "/etc/pki/rpm-gpg/RPM-GPG-KEY-redhat",
        "/usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt",
        "/usr/lib/ssl/cert.pem",
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        "/usr/share/doc/openssh-server/examples/id_rsa",
        "/etc/apt/trusted.gpg.d/a.gpg",
        "/etc/letsencrypt/live/x/cert.pem",
        "/etc/letsencrypt/live/x/chain.pem",
        "/etc/letsencrypt/live/x/fullchain.pem",
        "/etc/kubernetes/pki/ca.crt",
        "/etc/kubernetes/pki/etcd/ca.crt",
        "/etc/ssh/ssh_known_hosts",
        "/etc/ssh/moduli",
        "/home/a/.ssh/id_rsa.pub",
        "/home/a/.ssh/id_rsa-cert.pub",
        "/home/a/.ssh/known_hosts",
        "/home/a/.ssh/known_hosts.old",
        "/home/a/.ssh/authorized_keys",
        "/home/a/.ssh/authorized_keys2",
        "/home/a/.ssh/config",
        "/home/a/.gnupg/pubring.kbx",
        "/home/a/.gnupg/trustdb.gpg",
        "/home/a/.aws/config",
        "/proc/self/environ",
        "/usr/lib/os-release",
        "/var/lib/dpkg/status",
    ] {
        assert_eq!(kind(&catalogue, path), None, "{path}");
    }
}
