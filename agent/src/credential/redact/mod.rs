//! Takes secrets out of arguments, and what a terminal would obey out of names.
//!
//! Works on bytes, for Linux promises no more. It errs on the side of taking too much out.

mod name;
mod scan;
mod tell;
mod token;

use name::{Name, high_entropy, is_key_id};
pub(super) use scan::scrub;
pub use tell::{kept, secret_in};

/// Whether the name of a field says that its value is secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    matches!(name::judge(name.as_bytes()), Name::Secret(_))
}

/// The form of a token that is all of a text, by its beginning.
pub(super) fn token_form(text: &[u8]) -> Option<&'static str> {
    token::token(text).filter(|(length, _)| *length == text.len()).map(|(_, form)| form)
}

/// Arguments as they may be recorded. Each is escaped as [`printable`] does, so that none is ambiguous; a secret is
/// replaced by `[redacted:why]`.
#[must_use]
pub fn argv(args: &[Vec<u8>]) -> Vec<String> {
    scrubbed(args).iter().map(|arg| printable(arg)).collect()
}

/// Arguments without the secrets among them, as bytes.
fn scrubbed(args: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let program = args.first().map(Vec::as_slice).unwrap_or_default();
    let program = program.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let login = args.iter().any(|arg| arg == b"login");
    let mut expected = Expected::Nothing;
    let mut out = Vec::with_capacity(args.len());
    for (index, arg) in args.iter().enumerate() {
        let (shown, next) = match (index, expected) {
            (0, _) => (scrub(arg), Expected::Nothing),
            (_, Expected::Nothing) => one(program, login, arg),
            (_, awaited) => match value(awaited, arg) {
                Some(shown) => (shown, Expected::Nothing),
                None => one(program, login, arg),
            },
        };
        expected = next;
        out.push(shown);
    }
    out
}

/// Bytes as text: control characters, backslashes and what is not UTF-8 are escaped, so that a hostile name reaches no
/// terminal, and two names never look alike by it.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    // Nearly all names are these.
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'\\';
    if let Ok(text) = std::str::from_utf8(bytes)
        && bytes.iter().all(plain)
    {
        return text.to_owned();
    }
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                c if c.is_control() || reorders(c) => {
                    let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// Characters that change the order in which others are shown, or cannot be seen at all.
fn reorders(c: char) -> bool {
    matches!(
        c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// What the next argument is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Nothing,
    /// A secret.
    Secret(&'static str),
    /// A secret if it looks like one.
    Maybe(&'static str),
    /// `user:password`
    Login(u8),
}

/// Programs whose short options take a secret: program, option, whether only where the arguments hold `login`.
const SHORT: &[(&str, &str, bool)] = &[
    ("sshpass", "-p", false),
    ("redis-cli", "-a", false),
    ("mongo", "-p", false),
    ("mongosh", "-p", false),
    ("mongodump", "-p", false),
    ("mongorestore", "-p", false),
    ("ldapsearch", "-w", false),
    ("ldapadd", "-w", false),
    ("ldapmodify", "-w", false),
    ("ldapdelete", "-w", false),
    ("ldapwhoami", "-w", false),
    ("sqlcmd", "-P", false),
    ("ssh-keygen", "-N", false),
    ("ssh-keygen", "-P", false),
    ("zip", "-P", false),
    ("unzip", "-P", false),
    ("useradd", "-p", false),
    ("usermod", "-p", false),
    ("bcp", "-P", false),
    ("docker", "-p", true),
    ("podman", "-p", true),
    ("nerdctl", "-p", true),
    ("buildah", "-p", true),
    ("skopeo", "-p", true),
    ("helm", "-p", true),
    ("az", "-p", true),
    ("oc", "-p", true),
];

/// Options whose value is `user:password`, or with another character between: program, option, character.
const LOGIN: &[(&str, &str, u8)] = &[
    ("curl", "-u", b':'),
    ("curl", "--user", b':'),
    ("curl", "-U", b':'),
    ("curl", "--proxy-user", b':'),
    ("smbclient", "-U", b'%'),
    ("rpcclient", "-U", b'%'),
];

/// One argument, and what it says of the next.
fn one(program: &[u8], login: bool, arg: &[u8]) -> (Vec<u8>, Expected) {
    if let Some(found) = option(program, login, arg) {
        return found;
    }
    if arg.iter().any(u8::is_ascii_whitespace) {
        return (scrub(&script(arg)), Expected::Nothing);
    }
    (scrub(arg), next_after(arg))
}

/// `sh -c` and the like: options that only their program makes secret, word by word.
fn script(text: &[u8]) -> Vec<u8> {
    let login = token::find(text, b"login").is_some();
    let mut out = Vec::with_capacity(text.len());
    let (mut program, mut expected) = (Vec::new(), Expected::Nothing);
    for word in text.split_inclusive(u8::is_ascii_whitespace) {
        let bare = word.trim_ascii_end();
        let gap = word.get(bare.len()..).unwrap_or_default();
        let name = bare.rsplit(|byte| !name::is_name(*byte)).next().unwrap_or_default();
        let special = mysql_like(name)
            || SHORT
                .iter()
                .map(|(name, ..)| name)
                .chain(LOGIN.iter().map(|(name, ..)| name))
                .any(|known| known.as_bytes() == name);
        let shown = if bare.is_empty() {
            None
        } else if expected != Expected::Nothing {
            let shown = value(expected, bare);
            expected = Expected::Nothing;
            shown
        } else if special {
            program = name.to_vec();
            None
        } else {
            option(&program, login, bare).map(|(shown, next)| {
                expected = next;
                shown
            })
        };
        if bare.ends_with(b";") || matches!(bare, b"|" | b"||" | b"&&" | b"&") {
            program.clear();
        }
        out.extend_from_slice(shown.as_deref().unwrap_or(bare));
        out.extend_from_slice(gap);
    }
    out
}

/// An option that only its program makes secret.
fn option(program: &[u8], login: bool, arg: &[u8]) -> Option<(Vec<u8>, Expected)> {
    if mysql_like(program)
        && let Some(rest) = arg.strip_prefix(b"-p")
        && !rest.is_empty()
    {
        return Some((b"-p[redacted:password]".to_vec(), Expected::Nothing));
    }
    if program == b"openssl" && arg.starts_with(b"pass:") {
        return Some((b"pass:[redacted:password]".to_vec(), Expected::Nothing));
    }
    for (name, option, only_login) in SHORT {
        if name.as_bytes() != program || (*only_login && !login) {
            continue;
        }
        match arg.strip_prefix(option.as_bytes()) {
            Some([]) => return Some((arg.to_vec(), Expected::Secret("password"))),
            Some(_) => {
                return Some(([option.as_bytes(), b"[redacted:password]"].concat(), Expected::Nothing));
            }
            None => {}
        }
    }
    for (name, option, between) in LOGIN {
        if name.as_bytes() != program {
            continue;
        }
        match arg.strip_prefix(option.as_bytes()) {
            Some([]) => return Some((arg.to_vec(), Expected::Login(*between))),
            Some([b'=', rest @ ..]) => {
                return Some(([option.as_bytes(), b"=", &after(*between, rest)].concat(), Expected::Nothing));
            }
            Some(rest) if option.len() == 2 => {
                return Some(([option.as_bytes(), &after(*between, rest)].concat(), Expected::Nothing));
            }
            Some(_) | None => {}
        }
    }
    None
}

/// What a flag without `=` says of the argument behind it.
fn next_after(arg: &[u8]) -> Expected {
    if matches!(arg, b"aws_secret_access_key" | b"aws_session_token") {
        return Expected::Secret("secret");
    }
    let Some(name) = arg.strip_prefix(b"--").or_else(|| arg.strip_prefix(b"-")) else {
        return Expected::Nothing;
    };
    match name::judge(name) {
        Name::Secret(why) => Expected::Secret(why),
        Name::Maybe(why) => Expected::Maybe(why),
        Name::Plain => Expected::Nothing,
    }
}

/// The awaited argument, or [`None`] where it is none.
fn value(expected: Expected, arg: &[u8]) -> Option<Vec<u8>> {
    // `--password --host db`: the password is asked for.
    let is_option = arg.starts_with(b"--") || (arg.len() == 2 && arg.starts_with(b"-"));
    match expected {
        Expected::Secret(_) if is_option || arg.is_empty() || is_key_id(arg) => None,
        Expected::Secret(why) => Some(format!("[redacted:{why}]").into_bytes()),
        Expected::Maybe(why) if high_entropy(arg) => Some(format!("[redacted:{why}]").into_bytes()),
        Expected::Maybe(_) | Expected::Nothing => None,
        Expected::Login(between) => Some(after(between, arg)),
    }
}

fn after(between: u8, arg: &[u8]) -> Vec<u8> {
    match arg.iter().position(|byte| *byte == between) {
        Some(at) => {
            let user = arg.get(..=at).unwrap_or_default();
            [user, b"[redacted:password]"].concat()
        }
        None => scrub(arg),
    }
}

fn mysql_like(program: &[u8]) -> bool {
    program.starts_with(b"mysql") || program.starts_with(b"mariadb")
}

#[cfg(test)]
mod tests;
