//! Tokens that are one word and say nothing of whose they are, but by their beginning of which type.

use super::Facts;
use crate::credential::redact;

/// Types by the beginning of a token, where the form alone does not tell.
const TYPES: [(&str, &str); 4] = [
    ("hvs.", "vault-service-token"),
    ("hvb.", "vault-batch-token"),
    ("hvr.", "vault-recovery-token"),
    ("s.", "vault-token"),
];

/// A token and nothing else: Vault's, a cluster's join token, or one of a known form.
pub(super) fn read(text: &str, facts: &mut Facts) {
    let text = text.trim();
    if text.is_empty() || text.contains(char::is_whitespace) {
        return;
    }
    facts.secret(text);
    // `K10<hash of the cluster's CA>::<user>:<secret>` of k3s and RKE2.
    if let Some((hash, rest)) = text.strip_prefix("K10").and_then(|rest| rest.split_once("::")) {
        let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let secret = rest.split_once(':').map_or(rest, |(_, secret)| secret);
        facts.secret(secret);
        if is_hash {
            facts.push("ca_sha256", hash);
        }
        return;
    }
    let vault = TYPES.iter().find(|(prefix, _)| text.starts_with(prefix)).map(|(_, kind)| *kind);
    let form = redact::token_form(text.as_bytes());
    if let Some(kind) = form.map(|form| if form == "vault-token" { vault.unwrap_or(form) } else { form }) {
        facts.push("type", kind);
    }
}
