//! Finds secrets inside one argument, which may be a whole script.

use super::name::{self, Name, is_name};
use super::token;

/// Headers whose value is a secret. `authorization` keeps its scheme.
const HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "x-api-key",
    "api-key",
    "x-auth-token",
    "x-vault-token",
    "x-amz-security-token",
    "private-token",
    "job-token",
    "deploy-token",
    "x-goog-api-key",
    "set-cookie",
    "cookie",
];

/// A secret that was found: where it and its replacement end.
struct Hit {
    end: usize,
    shown: Vec<u8>,
}

/// The text without what looks secret.
pub(in crate::credential) fn scrub(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        let starts = !before.is_some_and(|before| is_name(*before));
        match hit(text, at, starts) {
            Some(hit) if hit.end > at => {
                out.extend_from_slice(&hit.shown);
                at = hit.end;
            }
            Some(_) | None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

fn hit(text: &[u8], at: usize, starts: bool) -> Option<Hit> {
    let rest = text.get(at..)?;
    if let Some(length) = token::private_key(rest) {
        return Some(Hit { end: at + length, shown: b"[redacted:private-key]".to_vec() });
    }
    if rest.starts_with(b"://") {
        return userinfo(rest).map(|(length, shown)| Hit { end: at + length, shown });
    }
    // A token may stand behind a name and a character that could be part of one: `-ghp_…`, `user.eyJ…`.
    let joined = at.checked_sub(1).and_then(|before| text.get(before));
    let joined = joined.is_none_or(|before| !before.is_ascii_alphanumeric());
    if joined && let Some((length, what)) = token::token(rest) {
        return Some(Hit { end: at + length, shown: redacted(what) });
    }
    if !starts {
        return None;
    }
    header(rest).or_else(|| assignment(rest, at == 0)).map(|hit| Hit { end: at + hit.end, ..hit })
}

fn redacted(why: &str) -> Vec<u8> {
    format!("[redacted:{why}]").into_bytes()
}

/// `://user:password@host`
fn userinfo(rest: &[u8]) -> Option<(usize, Vec<u8>)> {
    let body = rest.get(3..)?;
    let ends =
        |byte: &u8| matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'`') || byte.is_ascii_whitespace();
    let length = body.iter().position(ends).unwrap_or(body.len());
    let mut authority = body.get(..length)?;
    // A password may have a character in it that should be escaped there: the `@` may come later, before any space.
    let colon = authority.iter().position(|byte| *byte == b':')?;
    if !authority.contains(&b'@') && !authority.get(colon + 1..)?.iter().all(u8::is_ascii_digit) {
        let wide = body.iter().position(u8::is_ascii_whitespace).unwrap_or(body.len());
        authority = body.get(..wide)?;
    }
    let end = authority.iter().rposition(|byte| *byte == b'@')?;
    if end <= colon {
        return None;
    }
    // The user can be the secret, with nothing worth knowing behind it.
    let user = scrub(body.get(..colon)?);
    let shown = [b"://".as_slice(), &user, b":[redacted:url-password]@"].concat();
    Some((3 + end + 1, shown))
}

/// `Authorization: Bearer x`
fn header(rest: &[u8]) -> Option<Hit> {
    let length = rest.iter().take(name::NAME_MAX).take_while(|byte| is_name(**byte)).count();
    let name = rest.get(..length)?;
    // `curl -HAuthorization:…`
    let name = name.strip_prefix(b"-H").unwrap_or(name);
    let known = HEADERS.iter().any(|header| name.eq_ignore_ascii_case(header.as_bytes()));
    if !known || rest.get(length) != Some(&b':') {
        return None;
    }
    let mut start = length + 1;
    start += spaces(rest, start);
    if name.to_ascii_lowercase().ends_with(b"authorization") {
        let scheme = rest.get(start..)?.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let known = rest.get(start..start + scheme).is_some_and(|word| {
            [b"bearer".as_slice(), b"basic", b"token", b"digest", b"negotiate", b"apikey"]
                .iter()
                .any(|known| word.eq_ignore_ascii_case(known))
        });
        let gap = spaces(rest, start + scheme);
        if known && gap > 0 {
            start += scheme + gap;
        }
    }
    let ends = |byte: &u8| matches!(byte, b'"' | b'\'' | b'\n' | b'\r');
    let value = rest.get(start..)?;
    let length = value.iter().position(ends).unwrap_or(value.len());
    if length == 0 {
        return None;
    }
    let shown = [rest.get(..start)?, b"[redacted:authorization]"].concat();
    Some(Hit { end: start + length, shown })
}

/// `NAME=x`, `--name=x`, `--name x` and `"name": "x"`. A value that begins the argument reaches to its end.
fn assignment(rest: &[u8], first: bool) -> Option<Hit> {
    let length = rest.iter().take(name::NAME_MAX + 2).take_while(|byte| is_name(**byte)).count();
    let dashes = rest.iter().take(length).take_while(|byte| **byte == b'-').count().min(2);
    let judged = name::judge(rest.get(dashes..length)?);
    if judged == Name::Plain {
        return None;
    }
    let (mut start, mut whole) = (length, false);
    match rest.get(length)? {
        b'=' => {
            start += 1;
            whole = first;
        }
        b'"' | b'\'' => {
            start += 1;
            start += spaces(rest, start);
            if rest.get(start) != Some(&b':') {
                return None;
            }
            start += 1;
            start += spaces(rest, start);
        }
        byte if byte.is_ascii_whitespace() && dashes > 0 => {
            start += spaces(rest, start);
            if rest.get(start) == Some(&b'-') {
                return None;
            }
        }
        _ => return None,
    }
    let (from, to) = value(rest, start, whole);
    let value = rest.get(from..to)?;
    let why = match judged {
        Name::Secret(why) => why,
        Name::Maybe(why) if name::high_entropy(value) => why,
        Name::Maybe(_) | Name::Plain => return None,
    };
    if value.is_empty() || name::is_key_id(value) {
        return None;
    }
    let shown = [rest.get(..from)?, &redacted(why)].concat();
    Some(Hit { end: to, shown })
}

/// From where to where a value goes.
fn value(rest: &[u8], start: usize, whole: bool) -> (usize, usize) {
    let text = rest.get(start..).unwrap_or_default();
    if let Some(quote) = text.first().filter(|byte| matches!(byte, b'"' | b'\''))
        && !whole
    {
        let inner = text.get(1..).unwrap_or_default();
        let mut escaped = false;
        let end = inner.iter().position(|byte| {
            let ends = byte == quote && !escaped;
            escaped = *byte == b'\\' && !escaped;
            ends
        });
        return (start + 1, start + 1 + end.unwrap_or(inner.len()));
    }
    if whole {
        return (start, rest.len());
    }
    let ends = |byte: &u8| {
        byte.is_ascii_whitespace()
            || matches!(byte, b';' | b'&' | b'|' | b'"' | b'\'' | b'<' | b'>' | b')' | b'`')
    };
    (start, start + text.iter().position(ends).unwrap_or(text.len()))
}

fn spaces(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}
