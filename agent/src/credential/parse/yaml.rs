//! The few lines we want of two YAML files.
//!
//! No YAML parser: aliases and tags are more than a privileged process should do with somebody's file. Block style, as
//! every tool writes it, is read; flow style tells nothing, except that a kubeconfig may be JSON.

use serde_json::Value;

use super::Facts;

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

fn unquote(value: &str) -> &str {
    let inner = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
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
    let Ok(config) = serde_json::from_str::<Value>(text) else {
        return;
    };
    let texts = |list: &str, path: &[&str]| {
        let items = config.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let at = |item: &Value| {
            let found = path.iter().try_fold(item, |value, key| value.get(key));
            found.and_then(Value::as_str).map(str::to_owned)
        };
        items.iter().filter_map(at).collect::<Vec<_>>()
    };
    if let Some(context) = config.get("current-context").and_then(Value::as_str) {
        facts.push("context", context);
    }
    for url in texts("clusters", &["cluster", "server"]) {
        server(&url, facts);
    }
    for user in texts("users", &["name"]) {
        facts.push("user", &user);
    }
    for command in texts("users", &["user", "exec", "command"]) {
        facts.push("exec", &command);
    }
}

pub(super) fn gh_hosts(text: &str, facts: &mut Facts) {
    for line in lines(text) {
        match line.key {
            "user" | "username" => facts.push("user", line.value),
            host if host.contains('.') && line.value.is_empty() => {
                facts.push("host", host);
                facts.expect(host, Some(443));
            }
            _ => {}
        }
    }
}
