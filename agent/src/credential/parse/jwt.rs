//! Tokens that are JSON inside.

use super::node::Node;
use super::{Facts, decode};

/// Longest token that is looked at: one that fits in the header of a request.
const TOKEN_MAX: usize = 16 << 10;
/// Claims that name whose it is, for whom, and which one.
const CLAIMS: [&str; 12] =
    ["sub", "iss", "aud", "exp", "iat", "nbf", "jti", "azp", "appid", "oid", "tid", "uti"];

/// Header and claims; the signature is what makes it a secret and is not looked at.
pub(super) fn read(text: &str, facts: &mut Facts) {
    let mut parts = text.trim().split('.').filter(|_| text.len() <= TOKEN_MAX);
    let (Some(header), Some(claims), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return;
    };
    let (Some(header), Some(claims)) = (decode::base64_url(header), decode::base64_url(claims)) else {
        return;
    };
    let object = |bytes| Node::read(std::str::from_utf8(bytes).ok()?).filter(|node| node.is_object());
    if let Some(claims) = object(&claims) {
        tell(claims, facts);
    }
    if let Some(key) = object(&header).and_then(|header| header.get("kid")?.text()) {
        facts.push("kid", &key);
    }
}

/// Whether a text looks like one.
pub(super) fn is_one(text: &str) -> bool {
    text.starts_with("eyJ") && text.bytes().filter(|byte| *byte == b'.').count() == 2
}

fn tell(claims: Node<'_>, facts: &mut Facts) {
    let members = claims.object();
    let claim = |key: &str| members.iter().rfind(|(name, _)| **name == *key).map(|(_, value)| *value);
    for key in CLAIMS {
        let Some(value) = claim(key) else { continue };
        if let Some(text) = value.text() {
            facts.push(key, &text);
        } else if let Some(number) = value.number() {
            facts.push(key, number);
        } else {
            value.list().iter().filter_map(|item| item.text()).for_each(|text| facts.push(key, &text));
        }
    }
    let audience = claim("aud");
    let audiences = audience.into_iter().flat_map(|aud| [vec![aud], aud.list()].concat());
    for audience in audiences.filter_map(Node::text).filter(|audience| audience.contains("://")) {
        facts.expect_url(&audience);
    }
    if let Some(end) = claim("exp").and_then(|end| end.number()?.split('.').next()?.parse().ok()) {
        facts.ends(end);
    }
    let kube = claim("kubernetes.io");
    let inside = |path: &[&str]| kube?.at(path)?.text();
    let legacy = |key: &str| claim(&format!("kubernetes.io/serviceaccount/{key}"))?.text();
    for (name, value) in [
        ("namespace", inside(&["namespace"]).or_else(|| legacy("namespace"))),
        ("serviceaccount", inside(&["serviceaccount", "name"]).or_else(|| legacy("service-account.name"))),
        ("secret", inside(&["secret", "name"]).or_else(|| legacy("secret.name"))),
        ("pod", inside(&["pod", "name"])),
        ("pod_uid", inside(&["pod", "uid"])),
        ("node", inside(&["node", "name"])),
    ] {
        if let Some(value) = value {
            facts.push(name, &value);
        }
    }
}
