//! Formats of one entry a line.

use zeroize::Zeroizing;

use super::{Facts, host_of, is_aws_key_id, is_host, password_of};

/// `host:port:database:user:password`, with `\:` and `\\`.
pub(super) fn pgpass(text: &str, facts: &mut Facts) {
    for line in text.lines() {
        if line.starts_with('#') {
            continue;
        }
        let fields = pgpass_fields(line);
        // A line with too few has its password where something else belongs.
        let [host, port, database, user, password] = fields.as_slice() else {
            continue;
        };
        let [host, port, database, user] = [host, port, database, user].map(|field| field.as_str());
        facts.secret(password);
        // Without a port it is no line of this format, and nothing in it is where it seems to be.
        if port != "*" && port.parse::<u16>().is_err() {
            continue;
        }
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

/// The first five fields: the password ends at a colon, too.
fn pgpass_fields(line: &str) -> Vec<Zeroizing<String>> {
    // All room at once: a text that grows leaves its former selves behind.
    let field = || Zeroizing::new(String::with_capacity(line.len()));
    let mut fields = vec![field()];
    let mut escaped = false;
    for c in line.chars() {
        if c == ':' && !escaped {
            if fields.len() == 5 {
                break;
            }
            fields.push(field());
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
    let mut words = words.iter().map(|word| word.as_str());
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
            "password" => facts.secret(words.next().unwrap_or_default()),
            "account" => {
                let _ = words.next();
            }
            // What follows is a script, up to an empty line; nothing behind it is worth the risk.
            "macdef" => break,
            _ => {}
        }
    }
}

fn netrc_words(text: &str) -> Vec<Zeroizing<String>> {
    let mut words: Vec<Zeroizing<String>> = Vec::new();
    for line in text.lines() {
        let mut rest = line.trim_start();
        while !rest.is_empty() {
            if rest.starts_with('#') && words.last().is_none_or(|word| word.as_str() != "password") {
                break;
            }
            let (word, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted_word(quoted),
                None => {
                    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                    let (word, after) = rest.split_at(end);
                    (Zeroizing::new(word.to_owned()), after)
                }
            };
            words.push(word);
            rest = after.trim_start();
        }
    }
    words
}

fn quoted_word(text: &str) -> (Zeroizing<String>, &str) {
    let mut escaped = false;
    let end = text.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    let (quoted, after) = text.split_at(end.unwrap_or(text.len()));
    let mut word = Zeroizing::new(String::with_capacity(quoted.len()));
    let mut escaped = false;
    for c in quoted.chars() {
        escaped = c == '\\' && !escaped;
        if !escaped {
            word.push(c);
        }
    }
    (word, after.get(1..).unwrap_or_default())
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
        facts.secret(match login.split_once(':') {
            Some((_, password)) if !password.is_empty() && password != "x-oauth-basic" => password,
            Some((token, _)) => token,
            None => login,
        });
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
        let host = if key.starts_with("//") {
            let Some((url, name)) = key.rsplit_once(':') else {
                continue;
            };
            if name == "username" {
                facts.push("user", value);
            } else if matches!(name, "_authToken" | "_auth" | "_password") {
                facts.secret(value);
            }
            facts.expect_url(&format!("https:{url}"))
        } else if key == "registry" || key.ends_with(":registry") {
            // Who likes to writes a login into it, which is not copied.
            facts.secret(password_of(value).unwrap_or_default());
            facts.expect_url(value.trim())
        } else {
            continue;
        };
        if let Some(host) = host {
            facts.push("registry", &host);
        }
    }
}

/// `# public key: age1…`
pub(super) fn age(text: &str, facts: &mut Facts) {
    let secrets = text.lines().map(str::trim).filter(|line| line.starts_with("AGE-SECRET-KEY-"));
    secrets.for_each(|secret| facts.secret(secret));
    let keys = text.lines().filter_map(|line| line.strip_prefix("# public key:"));
    for key in keys.map(str::trim).filter(|key| key.starts_with("age1") && is_host(key)) {
        facts.push("public_key", key);
    }
}

/// `key id:secret` of S3 file systems, and `relay user:password` of mail servers.
pub(super) fn colon(text: &str, facts: &mut Facts) {
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let (relay, login) = match line.split_once(char::is_whitespace) {
            Some((relay, login)) => (Some(relay), login.trim_start()),
            None => (None, line),
        };
        let Some((user, password)) = login.split_once(':') else {
            continue;
        };
        // `bucket:key id:secret`
        let (user, secret) = match password.split_once(':') {
            Some((key_id, secret)) if is_aws_key_id(key_id) => (key_id, secret),
            _ => (user, password),
        };
        facts.secret(secret);
        if is_aws_key_id(user) {
            facts.push("key_id", user);
        }
        if let Some((host, port)) =
            relay.map(|relay| relay.replace(['[', ']'], "")).as_deref().and_then(host_of)
        {
            facts.push("entry", &format!("{user}@{host}"));
            facts.push("host", &host);
            facts.push("user", user);
            facts.expect(&host, port);
        }
    }
}

/// `token,user,uid,"groups"` of an API server: whose the tokens are.
pub(super) fn csv(text: &str, facts: &mut Facts) {
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let mut fields = line.split(',').map(|field| field.trim().trim_matches('"'));
        let (Some(secret), Some(user), Some(_uid)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        facts.secret(secret);
        let fits =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'@');
        if user.bytes().all(fits) {
            facts.push("user", user);
        }
    }
}

/// Elements with nothing but text: what names a login, and what is secret.
pub(super) fn xml(text: &str, facts: &mut Facts) {
    for piece in text.split('<').skip(1) {
        let Some((tag, value)) = piece.split_once('>') else {
            continue;
        };
        match tag {
            "id" | "username" | "server" => facts.push(tag, value),
            "url" => {
                if let Some(host) = facts.expect_url(value.trim()) {
                    facts.push("host", &host);
                }
            }
            _ => facts.secret_if_named(tag, value),
        }
    }
}
