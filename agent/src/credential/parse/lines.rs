//! Formats of one entry a line.

use super::{Facts, host_of, is_host};

/// `host:port:database:user:password`, with `\:` and `\\`.
pub(super) fn pgpass(text: &str, facts: &mut Facts) {
    for line in text.lines() {
        if line.starts_with('#') {
            continue;
        }
        let fields = pgpass_fields(line);
        // A line with too few has its password where something else belongs.
        let [host, port, database, user, _] = fields.as_slice() else {
            continue;
        };
        facts.push("entry", &format!("{user}@{host}:{port}/{database}"));
        for (name, value) in [("host", host), ("port", port), ("database", database), ("user", user)] {
            if value != "*" {
                facts.push(name, value);
            }
        }
        if host != "*" && !host.starts_with('/') {
            facts.expect(host, port.parse().ok());
        }
    }
}

/// The first four fields, and whether there is a fifth.
fn pgpass_fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut escaped = false;
    for c in line.chars() {
        if c == ':' && !escaped {
            fields.push(String::new());
            if fields.len() == 5 {
                break;
            }
            continue;
        }
        if c == '\\' && !escaped {
            escaped = true;
            continue;
        }
        escaped = false;
        if let Some(field) = fields.last_mut() {
            field.push(c);
        }
    }
    fields
}

/// `machine x login y password z`, in words that may be quoted.
pub(super) fn netrc(text: &str, facts: &mut Facts) {
    let words = netrc_words(text);
    let mut words = words.iter().map(String::as_str);
    let mut machine = None;
    while let Some(word) = words.next() {
        match word {
            "machine" => {
                machine = words.next().and_then(host_of);
                if let Some((host, port)) = &machine {
                    facts.expect(host, *port);
                }
            }
            "default" => machine = None,
            "login" => {
                let (Some(login), Some((host, _))) = (words.next(), &machine) else {
                    continue;
                };
                facts.push("entry", &format!("{login}@{host}"));
                facts.push("host", host);
                facts.push("user", login);
            }
            "password" | "account" => {
                let _ = words.next();
            }
            // What follows is a script, up to an empty line; nothing behind it is worth the risk.
            "macdef" => break,
            _ => {}
        }
    }
}

fn netrc_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for line in text.lines() {
        let mut rest = line.trim_start();
        while !rest.is_empty() {
            if rest.starts_with('#') && words.last().is_none_or(|word| word != "password") {
                break;
            }
            let (word, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted_word(quoted),
                None => {
                    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                    let (word, after) = rest.split_at(end);
                    (word.to_owned(), after)
                }
            };
            words.push(word);
            rest = after.trim_start();
        }
    }
    words
}

fn quoted_word(text: &str) -> (String, &str) {
    let mut word = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return (word, text.get(at + 1..).unwrap_or_default()),
            '\\' if !escaped => escaped = true,
            c => {
                escaped = false;
                word.push(c);
            }
        }
    }
    (word, "")
}

/// `https://user:password@host`
pub(super) fn git_credentials(text: &str, facts: &mut Facts) {
    for line in text.lines() {
        let Some((_, rest)) = line.trim().split_once("://") else {
            continue;
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let Some((login, _)) = authority.rsplit_once('@') else {
            continue;
        };
        let Some(host) = facts.expect_url(line.trim()) else {
            continue;
        };
        // Without a password, or with this one, the user is the token.
        match login.split_once(':') {
            Some((user, password)) if !password.is_empty() && password != "x-oauth-basic" => {
                facts.push("entry", &format!("{user}@{host}"));
                facts.push("host", &host);
                facts.push("user", user);
            }
            Some(_) | None => facts.push("host", &host),
        }
    }
}

/// `//registry/:_authToken=…`, `registry=…`
pub(super) fn npmrc(text: &str, facts: &mut Facts) {
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let key = key.trim();
        let url = if key.starts_with("//") {
            let Some((url, name)) = key.rsplit_once(':') else {
                continue;
            };
            if name == "username" {
                facts.push("user", value);
            }
            format!("https:{url}")
        } else if key == "registry" || key.ends_with(":registry") {
            value.trim().to_owned()
        } else {
            continue;
        };
        if let Some(host) = facts.expect_url(&url) {
            facts.push("registry", &host);
        }
    }
}

/// `# public key: age1…`
pub(super) fn age(text: &str, facts: &mut Facts) {
    let keys = text.lines().filter_map(|line| line.strip_prefix("# public key:"));
    for key in keys.map(str::trim).filter(|key| key.starts_with("age1") && is_host(key)) {
        facts.push("public_key", key);
    }
}
