//! JSON files, and tokens that are JSON inside.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{Facts, host_of};

/// Deepest nesting looked at.
const DEPTH_MAX: u32 = 8;
/// Keys of which the value is no secret, in any program's file.
const HARMLESS: &[&str] = &[
    "AccessKeyId",
    "Arn",
    "Expiration",
    "_clientId",
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
    "servicePrincipalId",
    "subscriptionType",
    "tenant",
    "tenantId",
    "tenant_id",
];
/// Keys that hold a URL.
const URLS: &[&str] = &["serverUrl", "startUrl", "url"];

fn object(text: &str) -> Map<String, Value> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => object,
        Ok(_) | Err(_) => Map::new(),
    }
}

pub(super) fn generic(text: &str, facts: &mut Facts) {
    if let Ok(value) = serde_json::from_str(text) {
        walk(&value, 0, facts);
    }
}

fn walk(value: &Value, depth: u32, facts: &mut Facts) {
    if depth > DEPTH_MAX {
        return;
    }
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(text) if HARMLESS.contains(&key.as_str()) => facts.push(key, text),
                    Value::Number(number) if HARMLESS.contains(&key.as_str()) => {
                        facts.push(key, &number.to_string());
                    }
                    Value::String(text) if URLS.contains(&key.as_str()) => {
                        if let Some(host) = facts.expect_url(text) {
                            facts.push("host", &host);
                        }
                    }
                    // Terraform: `credentials` by host name.
                    Value::Object(hosts) if key == "credentials" => {
                        for host in hosts.keys().filter(|host| host.contains('.')) {
                            facts.expect(host, Some(443));
                            facts.push("host", host);
                        }
                    }
                    Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::String(_)
                    | Value::Array(_)
                    | Value::Object(_) => walk(value, depth + 1, facts),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| walk(value, depth + 1, facts)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

pub(super) fn gcp(text: &str, facts: &mut Facts) {
    let object = object(text);
    for key in
        ["client_email", "private_key_id", "account", "client_id", "project_id", "quota_project_id", "type"]
    {
        if let Some(Value::String(value)) = object.get(key) {
            facts.push(key, value);
        }
    }
    if let Some(Value::String(audience)) = object.get("audience") {
        facts.push("audience", audience);
    }
}

pub(super) fn docker(text: &str, facts: &mut Facts) {
    let object = object(text);
    let auths = match object.get("auths") {
        Some(Value::Object(auths)) => auths,
        // The file of old releases is what `auths` holds now.
        _ if object.values().any(|value| value.get("auth").is_some()) => &object,
        _ => &Map::new(),
    };
    for (registry, entry) in auths {
        let Some((host, port)) = host_of(registry) else {
            continue;
        };
        facts.expect(&host, port.or(Some(443)));
        match entry.get("auth").and_then(Value::as_str).and_then(docker_user) {
            Some(user) => {
                facts.push("entry", &format!("{user}@{host}"));
                facts.push("registry", &host);
                facts.push("user", &user);
            }
            None => facts.push("registry", &host),
        }
    }
    if let Some(Value::Object(helpers)) = object.get("credHelpers") {
        for (registry, helper) in helpers {
            if let Some(host) = facts.expect_url(&format!("https://{registry}")) {
                facts.push("registry", &host);
            }
            facts.push("helper", helper.as_str().unwrap_or_default());
        }
    }
    if let Some(Value::String(helper)) = object.get("credsStore") {
        facts.push("helper", helper);
    }
}

/// What stands before the first colon; without one it would be the secret.
fn docker_user(auth: &str) -> Option<String> {
    let auth = auth.trim();
    let login = STANDARD.decode(auth).or_else(|_| STANDARD_NO_PAD.decode(auth)).ok()?;
    let login = zeroize::Zeroizing::new(login);
    let (user, _) = std::str::from_utf8(&login).ok()?.split_once(':')?;
    Some(user.to_owned())
}

/// Header and claims; the signature is what makes it a secret and is not looked at.
pub(super) fn jwt(text: &str, facts: &mut Facts) {
    let mut parts = text.trim().split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return;
    };
    let Ok(claims) = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')) else {
        return;
    };
    let Ok(Value::Object(claims)) = serde_json::from_slice(&claims) else {
        return;
    };
    for key in ["sub", "iss", "aud", "exp", "jti", "azp", "appid", "tid"] {
        match claims.get(key) {
            Some(Value::String(value)) => facts.push(key, value),
            Some(Value::Number(value)) => facts.push(key, &value.to_string()),
            Some(Value::Array(list)) => {
                list.iter().filter_map(Value::as_str).for_each(|value| facts.push(key, value));
            }
            Some(Value::Null | Value::Bool(_) | Value::Object(_)) | None => {}
        }
    }
    let audiences = match claims.get("aud") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(one)) => vec![one.as_str()],
        _ => Vec::new(),
    };
    for audience in audiences.iter().filter(|audience| audience.contains("://")) {
        facts.expect_url(audience);
    }
    kubernetes(&claims, facts);
}

fn kubernetes(claims: &Map<String, Value>, facts: &mut Facts) {
    let kube = claims.get("kubernetes.io");
    let at = |path: [&str; 2]| kube?.get(path[0])?.get(path[1])?.as_str();
    let legacy = |key: &str| claims.get(&format!("kubernetes.io/serviceaccount/{key}"))?.as_str();
    let namespace = kube.and_then(|kube| kube.get("namespace")).and_then(Value::as_str);
    if let Some(namespace) = namespace.or_else(|| legacy("namespace")) {
        facts.push("namespace", namespace);
    }
    if let Some(name) = at(["serviceaccount", "name"]).or_else(|| legacy("service-account.name")) {
        facts.push("serviceaccount", name);
    }
    if let Some(name) = at(["pod", "name"]) {
        facts.push("pod", name);
    }
}
