//! Where the values of a record are. Of JSON as the agent writes it: without spaces. What is written otherwise has none.

use std::ops::Range;

use crate::hex;
use crate::record::string_in_front;

/// Records nest less deep by far.
pub(super) const DEPTH_MAX: usize = 24;

/// Length of a UUID as it is written.
pub(super) const UUID: usize = 36;

/// A value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The value that follows it and what is in it.
    pub(super) next: usize,
}

/// The values of a text, each before those in it. `None`: it is not written so.
pub(super) fn spans(text: &[u8]) -> Option<Vec<Span>> {
    let mut found = Vec::new();
    (value(text, 0, 0, &mut found)? == text.len()).then_some(found)
}

fn value(text: &[u8], at: usize, depth: usize, found: &mut Vec<Span>) -> Option<usize> {
    if depth > DEPTH_MAX {
        return None;
    }
    let own = found.len();
    found.push(Span::default());
    let end = match text.get(at)? {
        b'"' => string(text, at)?,
        b'{' => members(text, at, depth, found)?,
        b'[' => elements(text, at, depth, found)?,
        _ => literal(text, at)?,
    };
    let next = found.len();
    *found.get_mut(own)? = Span { start: at, end, next };
    Some(end)
}

fn members(text: &[u8], at: usize, depth: usize, found: &mut Vec<Span>) -> Option<usize> {
    listed(text, at, b'}', |at| {
        let colon = string(text, at)?;
        (text.get(colon) == Some(&b':')).then_some(())?;
        value(text, colon + 1, depth + 1, found)
    })
}

fn elements(text: &[u8], at: usize, depth: usize, found: &mut Vec<Span>) -> Option<usize> {
    listed(text, at, b']', |at| value(text, at, depth + 1, found))
}

/// What stands between commas, up to the sign that closes it.
fn listed(text: &[u8], at: usize, close: u8, mut one: impl FnMut(usize) -> Option<usize>) -> Option<usize> {
    let mut at = at + 1;
    if text.get(at) == Some(&close) {
        return Some(at + 1);
    }
    loop {
        at = one(at)?;
        match text.get(at)? {
            b',' => at += 1,
            other => return (*other == close).then_some(at + 1),
        }
    }
}

/// Where a string that begins there ends.
pub(super) fn string(text: &[u8], at: usize) -> Option<usize> {
    let (len, _) = string_in_front(text.get(at..)?)?;
    Some(at + len)
}

/// What is between the quotes of a string; nothing, of what is none.
pub(super) fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or_default()
}

/// The bytes of a UUID in small digits.
pub(super) fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let is_one = text.len() == UUID && [8, 13, 18, 23].iter().all(|at| text.get(*at) == Some(&b'-'));
    (is_one && !text.iter().any(u8::is_ascii_uppercase)).then_some(())?;
    let (digits, mut bytes): (Vec<u8>, _) =
        (text.iter().copied().filter(|byte| *byte != b'-').collect(), [0; 16]);
    hex::decode(&digits, &mut bytes).then_some(bytes)
}

fn literal(text: &[u8], at: usize) -> Option<usize> {
    let is_of_it = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let many = text.get(at..)?.iter().take_while(is_of_it).count();
    (many > 0).then_some(at + many)
}

/// The names of an object, in its order, and its values.
pub(super) fn named(spans: &[Span], object: usize) -> impl Iterator<Item = (Range<usize>, usize)> {
    let of = spans.get(object).copied().unwrap_or_default();
    let mut name = of.start + 1;
    children(spans, object).map(move |at| {
        let value = spans.get(at).copied().unwrap_or_default();
        let own = name..value.start.saturating_sub(1);
        name = value.end + 1;
        (own, at)
    })
}

/// The values that are in one, and in no other in it.
pub(super) fn children(spans: &[Span], of: usize) -> impl Iterator<Item = usize> {
    let end = spans.get(of).map_or(0, |span| span.next);
    let mut at = of.saturating_add(1);
    std::iter::from_fn(move || {
        let own = at;
        (own < end).then_some(())?;
        at = spans.get(own)?.next;
        Some(own)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_each_before_those_in_it() {
        let text = br#"{"a":[1,"x,]\"",{}],"b\"":{"c":-1.5e+3,"d":null},"e":[]}"#;
        let found = spans(text).unwrap();
        let texts: Vec<&str> =
            found.iter().map(|span| str::from_utf8(&text[span.start..span.end]).unwrap()).collect();
        let whole = str::from_utf8(text).unwrap();
        let inner = [
            r#"[1,"x,]\"",{}]"#,
            "1",
            r#""x,]\"""#,
            "{}",
            r#"{"c":-1.5e+3,"d":null}"#,
            "-1.5e+3",
            "null",
            "[]",
        ];
        assert_eq!(texts[0], whole);
        assert_eq!(texts[1..], inner);
        let names: Vec<(&str, usize)> =
            named(&found, 0).map(|(name, at)| (str::from_utf8(&text[name]).unwrap(), at)).collect();
        assert_eq!(names, [("\"a\"", 1), (r#""b\"""#, 5), ("\"e\"", 8)]);
        assert_eq!(children(&found, 1).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(children(&found, 8).count(), 0);
    }

    #[test]
    fn what_is_written_otherwise_has_none() {
        for text in [
            "",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\" :1}",
            "[1 ]",
            "[1,]",
            "[,1]",
            "1 ",
            "\"a",
            "\"a\\\"",
            "{a:1}",
            "[1}",
            "{}{}",
            "\\",
        ] {
            assert_eq!(spans(text.as_bytes()), None, "{text}");
        }
        let deep = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert_eq!(spans(deep(DEPTH_MAX + 1).as_bytes()).unwrap().len(), DEPTH_MAX + 1);
        assert_eq!(spans(deep(DEPTH_MAX + 2).as_bytes()), None);
    }
}
