//! The members of a JSON object one after the other, without a look into what is not asked for.
//!
//! Reads what the agent writes: no space between, names without escapes. Of anything else it says that it is strange, and who asks
//! parses all of it. That what lies inside the values is JSON is not checked.

use super::read;

/// What is not written as the agent writes, or no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Strange;

/// The members of an object that are still to come.
#[derive(Clone, Debug)]
pub(crate) struct Members<'a> {
    rest: &'a [u8],
    first: bool,
}

/// A value as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value<'a>(&'a [u8]);

impl<'a> Members<'a> {
    pub(crate) fn of(object: &'a [u8]) -> Result<Self, Strange> {
        Ok(Self { rest: object.strip_prefix(b"{").ok_or(Strange)?, first: true })
    }

    /// The next name and value; `None` where the object ends, and its bytes with it.
    pub(crate) fn next(&mut self) -> Result<Option<(&'a [u8], Value<'a>)>, Strange> {
        if let Some(behind) = self.rest.strip_prefix(b"}") {
            return if behind.is_empty() { Ok(None) } else { Err(Strange) };
        }
        if !std::mem::take(&mut self.first) {
            self.rest = self.rest.strip_prefix(b",").ok_or(Strange)?;
        }
        let (name, rest) = take(self.rest, string(self.rest)?)?;
        let name = plain(name)?;
        let rest = rest.strip_prefix(b":").ok_or(Strange)?;
        let (value, rest) = take(rest, value(rest)?)?;
        self.rest = rest;
        Ok(Some((name, Value(value))))
    }
}

impl<'a> Value<'a> {
    /// Of a string without escapes.
    pub(crate) fn text(self) -> Result<&'a str, Strange> {
        std::str::from_utf8(plain(self.0)?).map_err(|_| Strange)
    }

    /// Of a whole number that is not below 0.
    pub(crate) fn number(self) -> Result<u64, Strange> {
        if !self.0.iter().all(u8::is_ascii_digit) || (self.0.len() > 1 && self.0.starts_with(b"0")) {
            return Err(Strange);
        }
        std::str::from_utf8(self.0).ok().and_then(|digits| digits.parse().ok()).ok_or(Strange)
    }

    /// Of an object.
    pub(crate) fn members(self) -> Result<Members<'a>, Strange> {
        Members::of(self.0)
    }
}

fn take(bytes: &[u8], len: usize) -> Result<(&[u8], &[u8]), Strange> {
    bytes.split_at_checked(len).ok_or(Strange)
}

/// What stands between the quotes of a string in which nothing is escaped.
fn plain(string: &[u8]) -> Result<&[u8], Strange> {
    let inside = string.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).ok_or(Strange)?;
    if inside.iter().any(|byte| matches!(byte, b'\\' | b'"') || *byte < b' ') {
        Err(Strange)
    } else {
        Ok(inside)
    }
}

/// Length of the value in front.
fn value(bytes: &[u8]) -> Result<usize, Strange> {
    match bytes.first() {
        Some(b'"') => string(bytes),
        Some(b'{' | b'[') => nested(bytes),
        _ => {
            let end = bytes.iter().position(|byte| matches!(byte, b',' | b'}' | b']' | b'"' | b'{' | b'['));
            end.filter(|len| *len > 0).ok_or(Strange)
        }
    }
}

/// Length of the string in front, with its quotes.
fn string(bytes: &[u8]) -> Result<usize, Strange> {
    read::string(bytes).map(|(len, _)| len).ok_or(Strange)
}

/// Length of the object or array in front.
fn nested(bytes: &[u8]) -> Result<usize, Strange> {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += string(bytes.get(at..).unwrap_or_default())?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Ok(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    Err(Strange)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Strange> {
        let (mut members, mut all) = (Members::of(body)?, Vec::new());
        while let Some((name, value)) = members.next()? {
            all.push((String::from_utf8_lossy(name).into_owned(), value.0.to_vec()));
        }
        Ok(all)
    }

    #[test]
    fn members_come_as_they_are_written() {
        let body = br#"{"a":1,"b":"x\"}","c":{"d":["}",{"e":null}],"f":"\\"},"g":[],"h":false}"#;
        let mut members = Members::of(body).unwrap();
        let mut values = std::collections::BTreeMap::new();
        while let Some((name, value)) = members.next().unwrap() {
            values.insert(name, value);
        }
        assert_eq!(values.keys().map(|name| name[0]).collect::<Vec<_>>(), b"abcgh");
        assert_eq!((values[&b"a"[..]].number(), values[&b"a"[..]].text()), (Ok(1), Err(Strange)));
        assert_eq!(values[&b"b"[..]].text(), Err(Strange), "there is an escape in it");
        let mut inner = values[&b"c"[..]].members().unwrap();
        assert_eq!(inner.next().unwrap().unwrap().0, b"d");
        assert_eq!(values[&b"g"[..]].members().err(), Some(Strange));
        assert_eq!(values[&b"h"[..]].number(), Err(Strange));
    }

    #[test]
    fn what_is_strange_is_said_to_be() {
        for body in [
            "",
            "{",
            "[]",
            "{ }",
            "{}x",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1",
            "{\"a\":1,}",
            "{,\"a\":1}",
            "{\"a\": 1}x",
            "{\"a\":\"}",
            "{\"a\":[1}",
            "{\"a\\u0041\":1}",
            "{\"a\":{\"b\":1}",
            "{\"a\":1 \"b\":2}",
        ] {
            assert_eq!(read(body.as_bytes()), Err(Strange), "{body}");
        }
        let numbers: Vec<_> = ["+1", "-1", "01", "1.0", "1e3", "18446744073709551616", ""]
            .iter()
            .filter(|digits| Value(digits.as_bytes()).number().is_ok())
            .collect();
        assert!(numbers.is_empty(), "{numbers:?}");
        assert_eq!(Value(b"18446744073709551615").number(), Ok(u64::MAX));
        assert_eq!(Value(b"\"\xff\"").text(), Err(Strange));
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(|number| serde_json::json!(number)),
            ".{0,12}".prop_map(Into::into),
            "[\"\\\\{}\\[\\],:]{0,6}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::btree_map("[a-z]{1,4}", inner, 0..5)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn all_of_what_is_json_is_found(
            members in prop::collection::btree_map("[a-z_]{1,6}", json(), 0..8)
        ) {
            let body = serde_json::to_vec(&members).unwrap();
            let written: Vec<_> = members
                .iter()
                .map(|(name, value)| (name.clone(), serde_json::to_vec(value).unwrap()))
                .collect();
            prop_assert_eq!(read(&body), Ok(written));
        }

        #[test]
        fn whatever_it_is_it_is_endured(bytes: Vec<u8>, text in "[{}\\[\\]\",:a1\\\\]{0,40}") {
            let _ = read(&bytes);
            let _ = read(text.as_bytes());
        }
    }
}
