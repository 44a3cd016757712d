//! The few lines we want of two YAML files.
//!
//! No YAML parser: aliases and tags are more than a privileged process should do with somebody's file. Block style, as
//! every tool writes it, is read; flow style tells nothing, except that a kubeconfig may be JSON.

use super::ini::unquote;
use super::json::texts;
use super::node::Node;
use super::{Facts, decode, jwt, pem};

/// A line `key: value`: its indent, whether a `-` stands before it, key and value without quotes.
struct Line<'a> {
    indent: usize,
    item: bool,
    key: &'a str,
    value: &'a str,
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().filter_map(|line| {
        let body = line.trim_start_matches(' ');
        let mut indent = line.len() - body.len();
        let (item, body) = match body.strip_prefix("- ") {
            Some(rest) => {
                let inner = rest.trim_start_matches(' ');
                indent += 2 + rest.len() - inner.len();
                (true, inner)
            }
            None => (false, body),
        };
        let (key, value) = body.split_once(':')?;
        let separated = value.is_empty() || value.starts_with(' ');
        separated.then(|| Line { indent, item, key: unquote(key.trim()), value: unquote(value.trim()) })
    })
}

pub(super) fn kubeconfig(text: &str, facts: &mut Facts) {
    if text.trim_start().starts_with('{') {
        return kubeconfig_json(text, facts);
    }
    for line in lines(text).filter(|line| line.indent == 0 && line.key == "current-context") {
        facts.push("context", line.value);
    }
    let mut section = "";
    // Names stand at the depth of the list's items; deeper ones belong to something else.
    let mut depth = None;
    for line in lines(text) {
        if line.indent == 0 && !line.item {
            section = line.key;
            depth = None;
            continue;
        }
        if line.item && depth.is_none() {
            depth = Some(line.indent);
        }
        match (section, line.key) {
            ("clusters", "server") => server(line.value, facts),
            ("users", "name") if depth == Some(line.indent) => facts.push("user", line.value),
            ("users", "command") => facts.push("exec", line.value),
            ("users", "token" | "password" | "client-key-data" | "client-certificate-data") => {
                login(line.key, line.value, facts);
            }
            _ => {}
        }
    }
}

fn server(url: &str, facts: &mut Facts) {
    if let Some(host) = facts.expect_url(url) {
        facts.push("server", &host);
    }
}

fn kubeconfig_json(text: &str, facts: &mut Facts) {
    let Some(config) = Node::read(text) else {
        return;
    };
    if let Some(context) = config.get("current-context").and_then(Node::text) {
        facts.push("context", &context);
    }
    for url in texts(config, "clusters", &["cluster", "server"]) {
        server(&url, facts);
    }
    for user in texts(config, "users", &["name"]) {
        facts.push("user", &user);
    }
    for key in ["client-certificate-data", "client-key-data", "token", "password"] {
        for value in texts(config, "users", &["user", key]) {
            login(key, &value, facts);
        }
    }
    for command in texts(config, "users", &["user", "exec", "command"]) {
        facts.push("exec", &command);
    }
}

/// What a user of a cluster has: a certificate and its key, a token, or a password.
fn login(key: &str, value: &str, facts: &mut Facts) {
    if key == "client-certificate-data" {
        let pem = decode::base64(value);
        let certificate = pem.as_ref().and_then(|pem| pem::first_certificate(std::str::from_utf8(pem).ok()?));
        if let Some(certificate) = certificate {
            facts.push("client_subject", &certificate.subject);
            facts.push("client_spki", &certificate.spki);
            facts.ends(certificate.not_after);
        }
        return;
    }
    facts.secret(value);
    if key == "token" && jwt::is_one(value) {
        jwt::read(value, facts);
    }
}

pub(super) fn gh_hosts(text: &str, facts: &mut Facts) {
    for line in lines(text) {
        match line.key {
            "user" | "username" => facts.push("user", line.value),
            "oauth_token" => facts.secret(line.value),
            host if host.contains('.') && line.value.is_empty() => {
                facts.push("host", host);
                facts.expect(host, Some(443));
            }
            _ => {}
        }
    }
}
