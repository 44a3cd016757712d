//! What is delivered without a file: keys of the kernel's key rings, and variables of an environment, by their names.

use std::collections::HashMap;
use std::sync::Arc;

use spoor_wire::rule::{HASH_START, KEY_TYPE, NO_RULE, NameKey, hash_bytes};

use super::catalogue::Catalogue;
use super::kind::Kind;
use super::{Credential, redact};
use crate::event::KernelKey;

/// Longest name, of a type as of a variable; the kernel's own bound of types is 31.
const NAME_MAX: usize = 64;
/// Longest name of a variable that is shown whole.
const SHOWN_MAX: usize = 128;
/// Words that are a switch's position, and no secret.
const SWITCHES: [&str; 10] = ["true", "false", "yes", "no", "on", "off", "0", "1", "none", "null"];
/// How names of variables end that hold an address, which may have a password in it.
const ADDRESSES: [&str; 3] = ["_URL", "_URI", "_DSN"];

/// Keys of a kind: types, and keys of these types that are no secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    types: Vec<String>,
    except: Vec<(String, String)>,
}

/// A type of keys, or a key of a type that is no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyName {
    kind: String,
    except: Option<String>,
}

/// Reads `user`, `big_key`, and `!user:invocation_id` for one that is none.
pub(super) fn key(text: &str) -> Result<KeyName, &'static str> {
    let (kind, except) = match text.strip_prefix('!') {
        None => (text, None),
        Some(except) => {
            let (kind, except) = except.split_once(':').ok_or("excepts a type as a whole; leave it out")?;
            (kind, Some(except))
        }
    };
    let printable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if kind.is_empty() || kind.len() > NAME_MAX / 2 - 1 || !printable(kind) || kind.contains(':') {
        return Err("is no type of keys");
    }
    if kind == "keyring" {
        return Err("is a type that holds keys, and no secret");
    }
    if except.is_some_and(|name| name.is_empty() || name.len() >= NAME_MAX) {
        return Err("excepts a key without a name, or with one beyond 63 bytes");
    }
    Ok(KeyName { kind: kind.to_owned(), except: except.map(str::to_owned) })
}

impl Keys {
    pub(super) fn of(names: Vec<KeyName>) -> Keys {
        let mut keys = Keys::default();
        for KeyName { kind, except } in names {
            match except {
                None => keys.types.push(kind),
                Some(except) => keys.except.push((kind, except)),
            }
        }
        keys
    }

    /// What the kernel is given for them.
    pub(super) fn rules(&self, rule: u32) -> impl Iterator<Item = (NameKey, u32)> {
        let key = |hash, depth| NameKey { hash, depth, anchored: KEY_TYPE };
        let of_type = |kind: &String| hash_bytes(HASH_START, kind.as_bytes());
        let types = self.types.iter().map(move |kind| (key(of_type(kind), 1), rule));
        let except = self.except.iter().map(move |(kind, description)| {
            (key(hash_bytes(of_type(kind), description.as_bytes()), 2), NO_RULE)
        });
        types.chain(except)
    }

    fn has(&self, kind: &[u8], description: &[u8]) -> bool {
        self.types.iter().any(|own| own.as_bytes() == kind)
            && !self.except.iter().any(|(own, name)| own.as_bytes() == kind && name.as_bytes() == description)
    }
}

/// A name of variables: a plain one, or `*` and how it ends.
pub(super) fn variable(name: &str) -> Result<String, &'static str> {
    let plain = name.strip_prefix('*').unwrap_or(name);
    let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let wide = name.starts_with('*') && !(plain.starts_with('_') && plain.len() > 3);
    if plain.is_empty() || plain.len() > NAME_MAX || !plain.chars().all(of_name) || wide {
        return Err("is neither a name of a variable nor `*_` and how it ends");
    }
    Ok(name.to_owned())
}

/// Names of variables, by kind. A name that is told whole comes before how one ends; of these the longest counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    whole: HashMap<Vec<u8>, usize>,
    /// Longest first.
    ends: Vec<(Vec<u8>, usize)>,
}

impl Variables {
    pub(super) fn of(kinds: &[Kind]) -> Variables {
        let mut variables = Variables::default();
        for (index, kind) in kinds.iter().enumerate() {
            for name in &kind.variables {
                if let Some(end) = name.strip_prefix('*') {
                    variables.ends.push((end.as_bytes().to_vec(), index));
                } else {
                    variables.whole.entry(name.as_bytes().to_vec()).or_insert(index);
                }
            }
        }
        variables.ends.sort_by_key(|(end, _)| std::cmp::Reverse(end.len()));
        variables
    }

    /// The kind of what a variable holds, if that is a secret. Of the value only this leaves.
    fn kind(&self, name: &[u8], value: &[u8]) -> Option<usize> {
        if value.is_empty() {
            return None;
        }
        let ends = |end: &[u8]| name.len() > end.len() && name.ends_with(end);
        let address = ADDRESSES.iter().any(|end| ends(end.as_bytes()));
        if let Some(kind) = self.whole.get(name) {
            return (!address || has_password(value)).then_some(*kind);
        }
        let (_, kind) = self.ends.iter().find(|(end, _)| ends(end))?;
        let switch = SWITCHES.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(value));
        (!switch && (!address || has_password(value))).then_some(*kind)
    }
}

/// Whether an address has a password in it: `scheme://user:password@host`.
fn has_password(value: &[u8]) -> bool {
    let Some(at) = value.windows(3).position(|window| window == b"://") else { return false };
    let rest = value.get(at + 3..).unwrap_or_default();
    let host = rest.split(|byte| *byte == b'/').next().unwrap_or_default();
    let Some(end) = host.iter().rposition(|byte| *byte == b'@') else { return false };
    let user = host.get(..end).unwrap_or_default();
    user.iter().position(|byte| *byte == b':').is_some_and(|colon| colon + 1 < user.len())
}

impl Catalogue {
    /// What a key stands for. [`None`]: it is no credential after all.
    #[must_use]
    pub fn key(&self, key: &KernelKey) -> Option<Arc<Credential>> {
        let (name, description) = (&key.kind.bytes, &key.description.bytes);
        let own = self.place(key.rule).and_then(|index| self.kinds.get(index));
        let fits = |kind: &&Kind| kind.keys.has(name, description);
        let kind = own.filter(fits).or_else(|| self.kinds.iter().find(fits))?;
        let [name, description] = [name, description].map(|text| redact::printable(&redact::scrub(text)));
        Some(Arc::new(Credential {
            identifiers: vec![
                ("type".to_owned(), name.clone()),
                ("description".to_owned(), description.clone()),
            ],
            ..kind.credential(&format!("{name}:{description}"))
        }))
    }

    /// The kind of what a variable holds, if that is a secret.
    pub(super) fn variable(&self, name: &[u8], value: &[u8]) -> Option<usize> {
        self.variables.kind(name, value)
    }

    /// The credential that a variable holds.
    pub(super) fn handed(&self, kind: usize, name: &[u8]) -> Option<Arc<Credential>> {
        let kind = self.kinds.get(kind)?;
        let mut shown = redact::printable(name.get(..SHOWN_MAX).unwrap_or(name));
        if name.len() > SHOWN_MAX {
            shown.push('…');
        }
        let id = format!("env:{shown}");
        let identifiers = vec![(super::VARIABLE.to_owned(), shown)];
        Some(Arc::new(Credential { identifiers, ..kind.credential(&id) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Text;

    fn key(rule: u32, kind: &str, description: &str) -> KernelKey {
        let text = |text: &str| Text { bytes: text.into(), truncated: false };
        KernelKey { serial: 7, owner: 0, rule, kind: text(kind), description: text(description) }
    }

    #[test]
    fn keys_are_known_by_their_type() {
        let catalogue = Catalogue::builtin();
        for kind in ["user", "logon", "big_key", "encrypted", "trusted", "asymmetric", "cifs.spnego"] {
            let found = catalogue.key(&key(0, kind, "db:orders")).unwrap();
            assert_eq!(found.id, format!("kernel-key:{kind}:db:orders"));
            assert_eq!((found.kind.as_str(), found.path.as_slice()), ("kernel-key", &b""[..]));
        }
        for (kind, description) in
            [("keyring", "_ses"), ("dns_resolver", "a.example"), ("user", "invocation_id"), ("", "")]
        {
            assert_eq!(catalogue.key(&key(0, kind, description)), None, "{kind}:{description}");
        }
        let named =
            catalogue.key(&key(0, "user", "a\nb\x1b[31m ghp_0123456789abcdefghijABCDEFGHIJ012345")).unwrap();
        assert!(!named.id.contains(['\n', '\x1b']) && !named.id.contains("ABCDEFGHIJ"), "{}", named.id);
    }

    #[test]
    fn the_kernel_is_given_types_and_what_they_except() {
        let catalogue = Catalogue::builtin();
        let names = catalogue.names();
        let of = |hash, depth| {
            let key = NameKey { hash, depth, anchored: KEY_TYPE };
            names.iter().find(|(known, ..)| *known == key).map(|(.., rule)| *rule)
        };
        let user = hash_bytes(HASH_START, b"user");
        let rule = of(user, 1).unwrap();
        assert_eq!(catalogue.key(&key(rule, "user", "a")).unwrap().kind, "kernel-key");
        assert_eq!(of(hash_bytes(user, b"invocation_id"), 2), Some(NO_RULE));
        assert_eq!(of(hash_bytes(HASH_START, b"keyring"), 1), None);
    }

    #[test]
    fn what_names_no_keys_is_refused() {
        let parse = super::key;
        for good in ["user", "cifs.spnego", "!user:a", "!user:a:b"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in ["", "keyring", "!user", "!user:", "a:b", "a b", "!keyring:x", &"x".repeat(40)] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        for bad in ["", "*", "*_", "*_A", "A-B", "A=", "**_TOKEN", "*TOKEN", "É"] {
            assert!(variable(bad).is_err(), "{bad}");
        }
        assert!(variable("*_TOKEN").is_ok() && variable("a1").is_ok());
    }

    #[test]
    fn variables_are_known_by_their_names() {
        let catalogue = Catalogue::builtin();
        let id = |name: &str, value: &str| {
            let kind = catalogue.variable(name.as_bytes(), value.as_bytes())?;
            Some(catalogue.handed(kind, name.as_bytes()).unwrap().id.clone())
        };
        for (name, kind) in [
            ("AWS_SECRET_ACCESS_KEY", "aws-access-key"),
            ("GITHUB_TOKEN", "gh-hosts"),
            ("PGPASSWORD", "pgpass"),
            ("MYSQL_PWD", "my-cnf"),
            ("VAULT_TOKEN", "vault-token"),
            ("ANTHROPIC_API_KEY", "model-provider"),
            ("ORDERS_DB_PASSWORD", "environment-secret"),
            ("CI_JOB_TOKEN", "ci-runner"),
            ("some_api_key", "environment-secret"),
        ] {
            assert_eq!(id(name, "x"), Some(format!("{kind}:env:{name}")));
        }
        for name in [
            "TOKENIZERS_PARALLELISM",
            "SSH_AUTH_SOCK",
            "POSTGRES_PASSWORD_FILE",
            "AWS_ACCESS_KEY_ID",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "PWD",
            "OLDPWD",
            "_TOKEN",
            "PATH",
            "",
        ] {
            assert_eq!(id(name, "/some/where"), None, "{name}");
        }
        for switch in ["", "true", "YES", "0", "off"] {
            assert_eq!(id("ALLOW_EMPTY_PASSWORD", switch), None, "{switch}");
        }
        assert!(id("PGPASSWORD", "0").is_some(), "a bad password is one");
    }

    #[test]
    fn addresses_count_where_they_have_a_password() {
        let catalogue = Catalogue::builtin();
        let known = |value: &str| catalogue.variable(b"DATABASE_URL", value.as_bytes()).is_some();
        for with in ["postgres://u:p@h/d", "redis://:p@h:1", "a://u:p@q@h"] {
            assert!(known(with), "{with}");
        }
        for without in
            ["postgres://h/d", "postgres://u@h/d", "postgres://u:@h", "://", "u:p@h", "a://h/x:y@z"]
        {
            assert!(!known(without), "{without}");
        }
    }
}
