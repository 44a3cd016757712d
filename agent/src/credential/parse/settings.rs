//! Settings of programs, in JSON, YAML, TOML, INI or HCL: what is written for people is one `key = value` or `key: value` a
//! line in all of them, and only keys that are known to be harmless are told.

use super::ini::{pair, unquote};
use super::{Facts, json, pem};

pub(super) fn read(bytes: &[u8], text: &str, facts: &mut Facts) {
    if pem::is_all(text) {
        return pem::read(bytes, text, false, facts);
    }
    if text.trim_start().starts_with(['{', '['])
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
    {
        return json::generic(text, facts);
    }
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';']) || line.starts_with("//") {
            continue;
        }
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            facts.push("section", section.0.trim_start_matches('[').trim());
            continue;
        }
        // Terraform: credentials "app.terraform.io" {
        if let Some(host) = line.strip_prefix("credentials \"").and_then(|line| line.split_once('"')) {
            facts.expect(host.0, Some(443));
            facts.push("host", host.0);
            continue;
        }
        let line = line.strip_prefix("- ").unwrap_or(line);
        let (equals, colon) = (line.find('='), line.find(": "));
        let Some(at) = equals.into_iter().chain(colon).min() else {
            continue;
        };
        if let (Some(key), Some(value)) = (line.get(..at), line.get(at + 1..)) {
            let value = value.trim().trim_end_matches(',');
            pair(unquote(key.trim()), unquote(value), facts);
        }
    }
}
