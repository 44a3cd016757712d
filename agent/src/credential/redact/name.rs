//! Whether a name says that its value is secret.

/// What a name says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// Nothing.
    Plain,
    /// It is secret; why.
    Secret(&'static str),
    /// It may be, if it looks like it; why.
    Maybe(&'static str),
}

/// Longest name that is looked at.
pub(super) const NAME_MAX: usize = 80;

/// Found anywhere in a name without its hyphens: it is secret.
const INSIDE: &[(&str, &str)] = &[
    ("password", "password"),
    ("passwd", "password"),
    ("passphrase", "password"),
    ("secret", "secret"),
    ("token", "token"),
    ("apikey", "key"),
    ("accesskey", "key"),
    ("accountkey", "key"),
    ("privatekey", "key"),
    ("credential", "secret"),
];
/// The last word of a name: it is secret.
const LAST: &[(&str, &str)] = &[
    ("pass", "password"),
    ("pw", "password"),
    ("pwd", "password"),
    ("sshpass", "password"),
    ("psk", "password"),
];
/// The last word of a name: it may be secret.
const MAYBE: &[&str] =
    &["key", "auth", "pin", "session", "cookie", "sas", "sig", "signature", "bearer", "jwt", "login", "code"];
/// The last word of a name: it only says where or what the secret is.
const ABOUT: &[&str] = &[
    "file", "files", "path", "dir", "id", "ids", "name", "names", "stdin", "url", "uri", "ttl", "type", "fd",
    "env", "prompt", "command", "cmd", "arn", "expiry", "expires", "length", "limit", "budget", "policy",
    "endpoint", "helper", "store", "timeout", "format", "provider", "lifetime", "audience", "issuer",
    "version", "from", "ref",
];

/// Judges the name of an option, a variable or a field; `--` must be gone.
pub(super) fn judge(name: &[u8]) -> Name {
    if name.len() > NAME_MAX || name.is_empty() {
        return Name::Plain;
    }
    let Ok(name) = std::str::from_utf8(name) else {
        return Name::Plain;
    };
    if !name.bytes().all(is_name) {
        return Name::Plain;
    }
    let words = words(name);
    let last = words.last().map(String::as_str).unwrap_or_default();
    if ABOUT.contains(&last) {
        return Name::Plain;
    }
    let joined = words.concat().replace("tokens", "").replace("tokeniz", "");
    if let Some((_, why)) = INSIDE.iter().find(|(part, _)| joined.contains(part)) {
        return Name::Secret(why);
    }
    // `PWD` and `OLDPWD` are directories.
    if let Some((_, why)) = LAST.iter().find(|(word, _)| *word == last)
        && joined != "pwd"
    {
        return Name::Secret(why);
    }
    if MAYBE.contains(&last) { Name::Maybe("value") } else { Name::Plain }
}

/// `clientSecret-id` is `client`, `secret`, `id`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower = false;
    for c in name.chars() {
        let breaks = matches!(c, '-' | '_' | '.');
        if (breaks || (lower && c.is_ascii_uppercase())) && words.last().is_some_and(|word| !word.is_empty())
        {
            words.push(String::new());
        }
        if let (false, Some(word)) = (breaks, words.last_mut()) {
            word.push(c.to_ascii_lowercase());
        }
        lower = c.is_ascii_lowercase();
    }
    words
}

/// Whether a byte can stand in a name.
pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// An AWS access key id, which is no secret.
pub(super) fn is_key_id(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(crate::credential::parse::is_aws_key_id)
}

/// Whether a value looks drawn by lot: long, letters and digits mixed, no letter favoured.
pub(super) fn high_entropy(text: &[u8]) -> bool {
    if text.len() < 16 || text.starts_with(b"/") || text.starts_with(b".") || text.starts_with(b"-") {
        return false;
    }
    let digits = text.iter().any(u8::is_ascii_digit);
    let letters = text.iter().any(u8::is_ascii_alphabetic);
    let plain = text.iter().all(u8::is_ascii_graphic);
    digits && letters && plain && !is_key_id(text) && entropy(text) >= 3.3
}

/// Bits for each byte.
fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let all = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    let used = counts.iter().filter(|count| **count > 0);
    used.map(|count| {
        let share = f64::from(*count) / all;
        -share * share.log2()
    })
    .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in [
            "password",
            "db-password",
            "PGPASSWORD",
            "MYSQL_PWD",
            "DB_PASS",
            "GITHUB_TOKEN",
            "clientSecret",
            "AWS_SECRET_ACCESS_KEY",
            "api-key",
            "APIKEY",
            "access_token",
            "passphrase",
            "X_SECRET_Y",
            "SSHPASS",
        ] {
            assert!(matches!(judge(name.as_bytes()), Name::Secret(_)), "{name}");
        }
        for name in [
            "host",
            "PWD",
            "OLDPWD",
            "password-file",
            "AWS_ACCESS_KEY_ID",
            "max-tokens",
            "tokenizer",
            "secret-name",
            "password-stdin",
            "token_ttl",
            "bypass",
            "compass",
            "",
            "PATH",
            "passport",
        ] {
            assert_eq!(judge(name.as_bytes()), Name::Plain, "{name}");
        }
        assert!(matches!(judge(b"key"), Name::Maybe(_)));
    }
}
