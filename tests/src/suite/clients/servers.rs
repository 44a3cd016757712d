//! The far ends: real servers of Debian, and where it has none small enough, one that answers what the client must hear.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::super::house::shell;
use super::super::{KEY_ID, SECRET};
use crate::PATIENCE;

/// rclone with files and a password: web pages and a repository of git.
pub(super) const WEB: u16 = 8081;
/// rclone with a password: WebDAV.
pub(super) const STORE: u16 = 8082;
/// rclone: what restic speaks to.
pub(super) const BACKUP: u16 = 8083;
/// `openssl s_server`, which asks for a certificate.
pub(super) const TLS: u16 = 8443;
/// `openssl s_server` in the place of an API server.
pub(super) const KUBE: u16 = 6443;
/// Ours, in the place of a cloud.
pub(super) const CLOUD: u16 = 4566;
/// Ours, in the place of a registry.
pub(super) const REGISTRY: u16 = 5000;

/// What is done before systemd is there: accounts, and the credentials of `deploy`, `builder` and root. `guest` has none.
///
/// # Errors
/// Where one cannot be made.
pub fn before_boot() -> Result<()> {
    fs::write("/etc/hostname", "house\n")?;
    fs::write("/etc/hosts", "127.0.0.1 localhost kube.house tls.house\n")?;
    shell("useradd --create-home --shell /bin/bash --uid 1000 alice")?;
    for account in ["deploy", "builder", "guest"] {
        shell(&format!(
            "useradd --system --create-home --groups ssl-cert --shell /usr/sbin/nologin {account}"
        ))?;
    }
    fs::write(
        "/etc/ssh/ssh_config.d/house.conf",
        "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nBatchMode yes\n",
    )?;
    fs::write("/etc/gitconfig", "[credential]\nhelper = store\n[safe]\ndirectory = *\n")?;
    let home = "/home/deploy";
    for directory in
        [".ssh", ".aws", ".kube", ".config/containers", ".config/rclone"].map(|name| format!("{home}/{name}"))
    {
        fs::create_dir_all(directory)?;
    }
    for directory in ["/etc/restic", "/srv/public", "/srv/www", "/srv/repo", "/srv/server"] {
        fs::create_dir_all(directory)?;
    }
    shell(&format!("ssh-keygen -q -t ed25519 -N '' -f {home}/.ssh/id_ed25519"))?;
    shell(&format!(
        "install -d -m 700 -o alice /home/alice/.ssh && \
         install -m 600 -o alice {home}/.ssh/id_ed25519.pub /home/alice/.ssh/authorized_keys"
    ))?;
    for (name, content) in [
        (".netrc", format!("machine 127.0.0.1 login deploy password {SECRET}\n")),
        (".pgpass", format!("127.0.0.1:5432:orders:deploy:{SECRET}\n")),
        (
            ".aws/credentials",
            format!("[default]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET}\n"),
        ),
        (".kube/config", kubeconfig()),
    ] {
        fs::write(format!("{home}/{name}"), content)?;
    }
    // An account of its own, for git looks into .netrc first.
    fs::write("/home/builder/.git-credentials", format!("http://deploy:{SECRET}@127.0.0.1:{WEB}\n"))?;
    fs::write("/etc/restic/password", format!("{SECRET}\n"))?;
    fs::write("/srv/public/password", "known to all\n")?;
    shell(&format!(
        "login=$(printf 'deploy:%s' {SECRET} | base64 --wrap=0); mkdir -p /run/containers/0; \
         for file in {home}/.config/containers/auth.json /run/containers/0/auth.json; do \
         printf '{{\"auths\":{{\"127.0.0.1:{REGISTRY}\":{{\"auth\":\"%s\"}}}}}}' $login > $file; done"
    ))?;
    shell(&format!(
        "printf '[store]\\ntype = webdav\\nurl = http://127.0.0.1:{STORE}\\nuser = deploy\\npass = %s\\n' \
         $(rclone obscure {SECRET}) > {home}/.config/rclone/rclone.conf"
    ))?;
    certificates()?;
    shell(&format!(
        "chown builder /home/builder/.git-credentials && chown -R deploy {home} /etc/restic && chmod -R go= {home} /etc/restic"
    ))?;
    shell(
        "cd /srv/www && echo hello > hello && git init --quiet --bare repo.git && cd repo.git && \
         id=$(git -c user.name=house -c user.email=house@house.test commit-tree -m first $(git hash-object -t tree -w /dev/null)) && \
         git update-ref refs/heads/main $id && git update-server-info && chown -R alice /srv/www",
    )?;
    shell(
        "systemctl --quiet disable containerd.service podman.service podman.socket podman-restart.service \
        podman-auto-update.timer",
    )
}

fn kubeconfig() -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: deploy@house\nclusters:\n- name: house\n  cluster:\n    \
         server: https://kube.house:{KUBE}\n    insecure-skip-tls-verify: true\ncontexts:\n- name: deploy@house\n  \
         context:\n    cluster: house\n    user: deploy\nusers:\n- name: deploy\n  user:\n    token: {SECRET}\n"
    )
}

/// A pair for the servers where no credential of the catalogue lies, and one for the client where one does.
fn certificates() -> Result<()> {
    let make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -batch";
    shell(&format!("{make} -subj /CN=house -keyout /srv/server/key.pem -out /srv/server/cert.pem 2>&1"))?;
    shell(&format!(
        "{make} -subj /CN=deploy -keyout /etc/ssl/private/client.key -out /etc/ssl/client.pem 2>&1 && \
         chgrp ssl-cert /etc/ssl/private/client.key && chmod 640 /etc/ssl/private/client.key"
    ))
}

/// Starts all, and waits until they listen.
pub(super) fn start() -> Result<Vec<TcpListener>> {
    let login = format!("--user deploy --pass {SECRET}");
    let tls = "openssl s_server -quiet -cert /srv/server/cert.pem -key /srv/server/key.pem -www";
    for (name, runs) in [
        ("web", format!("rclone serve http /srv/www --addr 127.0.0.1:{WEB} {login}")),
        ("store", format!("rclone serve webdav /srv/www --addr 127.0.0.1:{STORE} {login}")),
        ("backup", format!("rclone serve restic /srv/repo --addr 127.0.0.1:{BACKUP}")),
        ("tls", format!("{tls} -accept 127.0.0.1:{TLS} -verify 1")),
        ("kube", format!("{tls} -accept 127.0.0.1:{KUBE}")),
    ] {
        shell(&format!("systemd-run --quiet --unit=server-{name} {runs}"))?;
    }
    let ours = [CLOUD, REGISTRY].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)));
    let ours = ours.into_iter().collect::<std::io::Result<Vec<_>>>()?;
    for listener in &ours {
        let listener = listener.try_clone()?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // What the client makes of it is the test's to say.
                drop(answer(stream));
            }
        });
    }
    shell("systemctl start postgresql@15-main.service ssh.service")?;
    shell(&format!(
        "cd /; runuser -u postgres -- psql --quiet \
         --command=\"create role deploy login password '{SECRET}'\" --command='create database orders'"
    ))?;
    [22, 5432, WEB, STORE, BACKUP, TLS, KUBE].into_iter().try_for_each(listens)?;
    Ok(ours)
}

fn listens(port: u16) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        ensure!(Instant::now() < deadline, "nobody listens on {port}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}

/// Answers one request: of a cloud who the caller is, of a registry which tags there are.
fn answer(mut stream: TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).context("a request has a path")?.to_owned();
    let (mut length, mut login) = (0, false);
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse()?,
            "authorization" => login = true,
            _ => {}
        }
    }
    std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
    let identity = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::581039954779:user/deploy</Arn><UserId>{KEY_ID}</UserId><Account>581039954779</Account>\
         </GetCallerIdentityResult></GetCallerIdentityResponse>"
    );
    let (status, more, body) = match path.as_str() {
        path if path.starts_with("/v2/") && !login => {
            ("401 Unauthorized", "WWW-Authenticate: Basic realm=\"house\"\r\n", "{}")
        }
        "/v2/house/tags/list" => ("200 OK", "", "{\"name\":\"house\",\"tags\":[\"latest\"]}"),
        path if path.starts_with("/v2/") => ("200 OK", "", "{}"),
        _ => ("200 OK", "", identity.as_str()),
    };
    let kind = if body.starts_with('{') { "application/json" } else { "text/xml" };
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{more}Content-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}
