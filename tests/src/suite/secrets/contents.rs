//! A file of each format, with a canary where its secret belongs.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// A file of each format, by the name of what reads it.
pub(super) fn contents(secret: &str) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let mut all: Vec<(&str, Vec<u8>)> = vec![("ccache", ccache(secret)?), ("keytab", keytab(secret)?)];
    all.extend(texts(secret)?.into_iter().map(|(parser, content)| (parser, content.into_bytes())));
    Ok(all)
}

fn texts(secret: &str) -> Result<Vec<(&'static str, String)>> {
    let login = STANDARD.encode(format!("login:{secret}"));
    let claims = URL_SAFE_NO_PAD.encode("{\"sub\":\"backup\"}");
    Ok(vec![
        ("none", format!("{secret}\n")),
        ("guess", format!("# anything\n{secret}\n")),
        ("age", format!("# public key: age1backup\nAGE-SECRET-KEY-{secret}\n")),
        (
            "aws_ini",
            format!(
                "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = {secret}\n"
            ),
        ),
        ("colon", format!("[relay.example]:587 backup:{secret}\n")),
        ("csv", format!("{secret},backup,7,\"backups\"\n")),
        ("docker_cfg", format!("{{\"auths\":{{\"registry.example\":{{\"auth\":\"{login}\"}}}}}}")),
        (
            "gcp_json",
            format!("{{\"type\":\"service_account\",\"private_key_id\":\"1\",\"private_key\":\"{secret}\"}}"),
        ),
        ("gh_hosts", format!("github.com:\n    user: backup\n    oauth_token: {secret}\n")),
        ("git_credentials", format!("https://backup:{secret}@git.example\n")),
        ("ini", format!("[server]\nuser = backup\npassword = {secret}\n")),
        ("json", format!("{{\"clientId\":\"backup\",\"clientSecret\":\"{secret}\"}}")),
        ("jwt", format!("eyJhbGciOiJIUzI1NiJ9.{claims}.{secret}\n")),
        (
            "kubeconfig",
            format!(
                "apiVersion: v1\nkind: Config\nclusters: []\nusers:\n- name: backup\n  user:\n    token: {secret}\n"
            ),
        ),
        ("my_cnf", format!("[client]\nuser=backup\npassword={secret}\n")),
        ("netrc", format!("machine host.example login backup password {secret}\n")),
        ("npmrc", format!("//registry.example/:_authToken={secret}\n")),
        ("pem", pem(secret)?),
        ("pgpass", format!("db.example:5432:orders:backup:{secret}\n")),
        ("settings", format!("server: https://store.example\napi_token: {secret}\n")),
        ("ssh_key", ssh_key(secret)),
        ("token", format!("hvs.{secret}\n")),
        ("wireguard", wireguard(secret)?),
        ("xml", format!("<server><username>backup</username><password>{secret}</password></server>\n")),
    ])
}

/// No key: the form of one, with the canary at a multiple of three.
fn ssh_key(secret: &str) -> String {
    let text = STANDARD.encode(format!("openssh-key-v1\0{secret}"));
    format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{text}\n-----END OPENSSH PRIVATE KEY-----\n")
}

/// A canary as a key of 32 bytes, which any 32 bytes are.
fn key(secret: &str) -> Result<[u8; 32]> {
    let mut key = [b'.'; 32];
    key.get_mut(..secret.len()).context("a canary that is too long")?.copy_from_slice(secret.as_bytes());
    Ok(key)
}

/// A private key of Ed25519, as openssl writes it.
fn pem(secret: &str) -> Result<String> {
    const PKCS8: [u8; 16] = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32];
    let text = STANDARD.encode([&PKCS8[..], &key(secret)?].concat());
    Ok(format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n"))
}

fn wireguard(secret: &str) -> Result<String> {
    let key = STANDARD.encode(key(secret)?);
    Ok(format!("[Interface]\nPrivateKey = {key}\n[Peer]\nEndpoint = peer.example:51820\n"))
}

/// One key, of `backup@R.EXAMPLE`.
fn keytab(secret: &str) -> Result<Vec<u8>> {
    let counted = |bytes: &[u8]| -> Result<Vec<u8>> {
        Ok([&u16::try_from(bytes.len())?.to_be_bytes(), bytes].concat())
    };
    let entry = [
        vec![0, 1],
        counted(b"R.EXAMPLE")?,
        counted(b"backup")?,
        vec![0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 18],
        counted(secret.as_bytes())?,
    ]
    .concat();
    Ok([&[5, 2][..], &u32::try_from(entry.len())?.to_be_bytes(), &entry].concat())
}

/// One ticket, of `backup@R.EXAMPLE`, with a canary for its session key and for itself.
fn ccache(secret: &str) -> Result<Vec<u8>> {
    let counted = |bytes: &[u8]| -> Result<Vec<u8>> {
        Ok([&u32::try_from(bytes.len())?.to_be_bytes(), bytes].concat())
    };
    let principal = |names: &[&str]| -> Result<Vec<u8>> {
        let mut out = [1_u32.to_be_bytes(), u32::try_from(names.len())?.to_be_bytes()].concat();
        out.extend(counted(b"R.EXAMPLE")?);
        for name in names {
            out.extend(counted(name.as_bytes())?);
        }
        Ok(out)
    };
    let secret = counted(secret.as_bytes())?;
    let times = [1_u32, 1, 1_800_000_000, 0].map(u32::to_be_bytes).concat();
    let (backup, server) = (principal(&["backup"])?, principal(&["krbtgt", "R.EXAMPLE"])?);
    // No header, whose cache it is, and the ticket: names, key, times, flags, no addresses, no data, itself.
    Ok([
        vec![5, 4, 0, 0],
        backup.clone(),
        backup,
        server,
        vec![0, 18],
        secret.clone(),
        times,
        vec![0; 13],
        secret,
        vec![0; 4],
    ]
    .concat())
}
