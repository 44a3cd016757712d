//! JSON files.

use super::node::{Node, Text};
use super::{Facts, decode, host_of};

/// Deepest nesting looked at.
const DEPTH_MAX: u32 = 8;
/// Keys of which the value is no secret, in any program's file.
const HARMLESS: &[&str] = &[
    "AccessKeyId",
    "Arn",
    "AccountTag",
    "Expiration",
    "TunnelID",
    "_clientId",
    "access_key",
    "access_key_id",
    "aadClientId",
    "accessKey",
    "accountId",
    "accountUuid",
    "account_id",
    "agentId",
    "auth_mode",
    "clientId",
    "client_id",
    "expiresAt",
    "githubAppId",
    "home_account_id",
    "organizationUuid",
    "poolId",
    "project_id",
    "quota_project_id",
    "realm",
    "region",
    "server_name",
    "username",
    "servicePrincipalId",
    "subscriptionType",
    "tenant",
    "tenantId",
    "tenant_id",
];
/// Keys that hold a time: RFC 3339, or milliseconds since 1970.
const ENDS: &[&str] = &["Expiration", "expiresAt", "expiry_date"];
/// Keys that hold a URL.
const URLS: &[&str] = &["serverUrl", "server_url", "startUrl", "url"];

pub(super) fn generic(text: &str, facts: &mut Facts) {
    if let Some(node) = Node::read(text) {
        walk(node, 0, facts);
    }
}

fn walk(node: Node<'_>, depth: u32, facts: &mut Facts) {
    if depth > DEPTH_MAX {
        return;
    }
    for (key, value) in node.object() {
        let key: &str = &key;
        if ENDS.contains(&key) {
            end(value, facts);
        }
        if let Some(text) = value.text() {
            member(key, &text, facts);
        } else if let Some(number) = value.number().filter(|_| HARMLESS.contains(&key)) {
            facts.push(key, number);
        } else if key == "credentials" && value.is_object() {
            // Terraform: by the name of the host.
            for (host, entry) in value.object() {
                if host.contains('.') {
                    facts.expect(&host, Some(443));
                    facts.push("host", &host);
                }
                walk(entry, depth + 2, facts);
            }
        } else {
            walk(value, depth + 1, facts);
        }
    }
    node.list().into_iter().for_each(|item| walk(item, depth + 1, facts));
}

fn member(key: &str, text: &str, facts: &mut Facts) {
    if HARMLESS.contains(&key) {
        facts.push(key, text);
    } else if URLS.contains(&key) {
        if let Some(host) = facts.expect_url(text) {
            facts.push("host", &host);
        }
    } else {
        facts.secret_if_named(key, text);
    }
}

fn end(value: Node<'_>, facts: &mut Facts) {
    // Whoever writes seconds writes a number that is small for milliseconds.
    const SECONDS_MAX: i64 = 100_000_000_000;
    let written = |number: &str| number.split('.').next()?.parse::<i64>().ok();
    if let Some(number) = value.number().and_then(written) {
        facts.ends(if number > SECONDS_MAX { number / 1_000 } else { number });
    } else if let Some(time) = value.text().and_then(|text| text.parse::<jiff::Timestamp>().ok()) {
        facts.ends(time.as_second());
    }
}

pub(super) fn gcp(text: &str, facts: &mut Facts) {
    let Some(node) = Node::read(text) else { return };
    let members = node.object();
    let member = |key: &str| members.iter().rfind(|(name, _)| **name == *key)?.1.text();
    for key in [
        "client_email",
        "private_key_id",
        "account",
        "client_id",
        "project_id",
        "quota_project_id",
        "audience",
        "type",
    ] {
        if let Some(value) = member(key) {
            facts.push(key, &value);
        }
    }
    for key in ["private_key", "refresh_token", "client_secret"] {
        if let Some(value) = member(key) {
            facts.secret(&value);
        }
    }
}

pub(super) fn docker(text: &str, facts: &mut Facts) {
    let Some(node) = Node::read(text) else { return };
    let auths = match node.get("auths") {
        Some(auths) => auths.object(),
        // The file of old releases is what `auths` holds now.
        None => node.object().into_iter().filter(|(_, value)| value.get("auth").is_some()).collect(),
    };
    for (registry, entry) in auths {
        let Some((host, port)) = host_of(&registry) else {
            continue;
        };
        facts.expect(&host, port.or(Some(443)));
        let text = |key| entry.get(key).and_then(Node::text);
        for key in ["identitytoken", "registrytoken", "password"] {
            if let Some(token) = text(key) {
                facts.secret(&token);
            }
        }
        let user = text("auth").and_then(|auth| docker_login(&auth, facts));
        if let Some(user) = user.or_else(|| text("username").as_deref().map(str::to_owned)) {
            facts.push("entry", &format!("{user}@{host}"));
            facts.push("registry", &host);
            facts.push("user", &user);
        } else {
            facts.push("registry", &host);
        }
    }
    for (registry, helper) in node.get("credHelpers").map(Node::object).unwrap_or_default() {
        if let Some(host) = facts.expect_url(&format!("https://{}", &*registry)) {
            facts.push("registry", &host);
        }
        facts.push("helper", helper.text().as_deref().unwrap_or_default());
    }
    if let Some(helper) = node.get("credsStore").and_then(Node::text) {
        facts.push("helper", &helper);
    }
}

/// What stands before the first colon, and keeps what stands after it; without one all of it would be the secret.
fn docker_login(auth: &str, facts: &mut Facts) -> Option<String> {
    let login = decode::base64(auth)?;
    let (user, password) = std::str::from_utf8(&login).ok()?.split_once(':')?;
    facts.secret(password);
    Some(user.to_owned())
}

/// A kubeconfig that is JSON: the texts at a path of each item of a list.
pub(super) fn texts<'a>(config: Node<'a>, list: &str, path: &[&str]) -> Vec<Text<'a>> {
    let items = config.get(list).map(Node::list).unwrap_or_default();
    items.into_iter().filter_map(|item| item.at(path)?.text()).collect()
}
