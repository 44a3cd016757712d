//! Records and heads in what a receiver wrote down: lines of native records, alone or inside of what it put around them.

use std::borrow::Cow;
use std::io::{self, BufRead};

use serde::de::IgnoredAny;
use serde_json::Value;

use super::super::head::{SignedHead, TITLE};
use crate::record::{View, stamped};

/// Longer lines are not read, bytes. A record is never as long.
pub(super) const LINE_MAX: usize = 16 << 20;
/// How every native record begins.
const BEGIN: &[u8] = b"{\"v\":";
/// No line is searched for more beginnings.
const BEGINNINGS_MAX: usize = 64;

/// What a line holds.
#[derive(Debug)]
pub(super) enum Line<'a> {
    /// A native record, byte for byte.
    Record(Cow<'a, [u8]>, View),
    /// The note of a head, out of a record in another schema.
    Head(String),
    /// Nothing that proves anything.
    Other,
}

/// Reads a line without its end. `false`: there is none. One that is too long comes out empty.
pub(super) fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let (mut any, mut skip) = (false, false);
    loop {
        let chunk = input.fill_buf()?;
        if chunk.is_empty() {
            break;
        }
        any = true;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
        skip |= line.len() + part.len() > LINE_MAX;
        if !skip {
            line.extend_from_slice(part);
        }
        let used = end.map_or(chunk.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            break;
        }
    }
    if skip {
        line.clear();
    }
    Ok(any)
}

pub(super) fn look(line: &[u8]) -> Line<'_> {
    if let Some((body, view)) = record(line) {
        return Line::Record(Cow::Borrowed(body), view);
    }
    let Ok(value) = serde_json::from_slice::<Value>(line) else { return Line::Other };
    texts(&value)
}

/// The first native record in a text. JSON around it, or the head of a syslog message before it, is passed over.
fn record(text: &[u8]) -> Option<(&[u8], View)> {
    let places = memchr::memmem::find_iter(text, BEGIN).take(BEGINNINGS_MAX);
    places.filter_map(|at| text.get(at..)).find_map(|rest| {
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        let body = rest.get(..values.byte_offset())?;
        let view = View::parse(body).ok()?;
        let whole = view.text("host.id").is_some() && stamped(body).is_some();
        whole.then_some((body, view))
    })
}

/// The first text inside a value that is a record or a head.
fn texts(value: &Value) -> Line<'static> {
    match value {
        Value::String(text) => {
            if text.starts_with(TITLE) && SignedHead::parse(text).is_some() {
                return Line::Head(text.clone());
            }
            match record(text.as_bytes()) {
                Some((body, view)) => Line::Record(Cow::Owned(body.to_vec()), view),
                None => Line::Other,
            }
        }
        Value::Array(items) => first(items.iter()),
        Value::Object(map) => first(map.values()),
        Value::Null | Value::Bool(_) | Value::Number(_) => Line::Other,
    }
}

fn first<'v>(values: impl Iterator<Item = &'v Value>) -> Line<'static> {
    values.map(texts).find(|line| !matches!(line, Line::Other)).unwrap_or(Line::Other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{NONE, stamp};

    fn body() -> Vec<u8> {
        let plain = br#"{"v":1,"seq":7,"time":"2026-01-02T00:00:00.000000000Z","type":"gap","host":{"id":"3f"},"x":"a\"}b"}"#;
        stamp(plain, &NONE)
    }

    #[test]
    fn a_record_is_found_whatever_was_put_around_it() {
        let body = body();
        let text = String::from_utf8(body.clone()).unwrap();
        let around = [
            text.clone(),
            format!("<134>1 2026-01-02T00:00:00Z db7 spoor 1 gap [spoor@32473 seq=\"7\"] {text}"),
            format!("{{\"_index\":\"spoor\",\"_source\":{text}}}"),
            format!("{{\"v\":2}} {text}"),
            serde_json::json!({ "stream": [{ "line": text }] }).to_string(),
            format!("{text}\r"),
        ];
        for line in around {
            let Line::Record(found, view) = look(line.as_bytes()) else { panic!("none in {line}") };
            assert_eq!((&*found, view.seq()), (body.as_slice(), 7), "{line}");
        }
    }

    #[test]
    fn what_is_no_record_is_none() {
        let text = String::from_utf8(body()).unwrap();
        let others = [
            String::new(),
            "{\"v\":".to_owned(),
            text.replace("\"seq\":7,", ""),
            text.replace("\"prev\"", "\"perv\""),
            text.get(..text.len() - 1).unwrap().to_owned(),
            "{\"v\":1}".repeat(100),
            "[".repeat(100_000),
        ];
        for line in others {
            assert!(matches!(look(line.as_bytes()), Line::Other), "{line}");
        }
    }

    #[test]
    fn lines_are_bounded() {
        let long = [vec![b'x'; LINE_MAX + 1], b"\nshort\n\nlast".to_vec()].concat();
        let (mut input, mut line, mut all) = (long.as_slice(), Vec::new(), Vec::new());
        while read_line(&mut input, &mut line).unwrap() {
            all.push(String::from_utf8(line.clone()).unwrap());
        }
        assert_eq!(all, ["", "short", "", "last"]);
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_around_a_record_is_passed_over(before in ".{0,60}", after in ".{0,60}") {
            let text = String::from_utf8(body()).unwrap();
            // Unless it is a record of its own.
            proptest::prop_assume!(!before.contains("{\"v\":"));
            let line = format!("{before}{text}{after}");
            let found = matches!(look(line.as_bytes()), Line::Record(found, _) if *found == *text.as_bytes());
            proptest::prop_assert!(found, "{line}");
        }
    }
}
