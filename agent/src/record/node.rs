//! The tree of a record, owned or borrowed from the record's bytes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

/// What is asked of a tree, whoever owns its texts.
pub trait Tree: Sized {
    /// What has this name in an object.
    fn member(&self, name: &str) -> Option<&Self>;
    /// The text, where it is one.
    fn text(&self) -> Option<&str>;
    /// The whole number that is not below 0, where it is one.
    fn whole(&self) -> Option<u64>;
    /// The list, where it is one.
    fn items(&self) -> Option<&[Self]>;
}

impl Tree for Value {
    fn member(&self, name: &str) -> Option<&Self> {
        self.get(name)
    }

    fn text(&self) -> Option<&str> {
        self.as_str()
    }

    fn whole(&self) -> Option<u64> {
        self.as_u64()
    }

    fn items(&self) -> Option<&[Self]> {
        self.as_array().map(Vec::as_slice)
    }
}

/// A value that borrows its texts from the bytes it was read from. It reads what [`Value`] reads, and is written as that
/// is: names in order, of a name that comes twice the last.
#[derive(Clone, Debug, PartialEq)]
pub enum Node<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Flag(bool),
    /// A number.
    Number(Number),
    /// A text. Where it is borrowed there was no escape in it, and it needs none.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Node<'a>>),
    /// An object.
    Map(Vec<Member<'a>>),
}

/// A name and its value.
pub type Member<'a> = (Cow<'a, str>, Node<'a>);

impl Tree for Node<'_> {
    fn member(&self, name: &str) -> Option<&Self> {
        self.members()?.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn text(&self) -> Option<&str> {
        if let Node::Text(text) = self { Some(text) } else { None }
    }

    fn whole(&self) -> Option<u64> {
        if let Node::Number(number) = self { number.as_u64() } else { None }
    }

    fn items(&self) -> Option<&[Self]> {
        if let Node::List(items) = self { Some(items) } else { None }
    }
}

impl<'a> Node<'a> {
    /// Reads JSON.
    ///
    /// # Errors
    /// What is no JSON.
    pub fn parse(json: &'a [u8]) -> Result<Self, serde_json::Error> {
        // One look at all bytes instead of one at each text.
        match std::str::from_utf8(json) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(json),
        }
    }

    /// The names and values, where it is an object.
    #[must_use]
    pub fn members(&self) -> Option<&[Member<'a>]> {
        if let Node::Map(members) = self { Some(members) } else { None }
    }

    /// The number, where it is one.
    #[must_use]
    pub fn real(&self) -> Option<f64> {
        if let Node::Number(number) = self { number.as_f64() } else { None }
    }

    /// Its JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Node::Null => out.extend_from_slice(b"null"),
            Node::Flag(true) => out.extend_from_slice(b"true"),
            Node::Flag(false) => out.extend_from_slice(b"false"),
            Node::Number(number) => write(number, out),
            Node::Text(text) => write_read(text, out),
            Node::List(items) => {
                out.push(b'[');
                for (number, item) in items.iter().enumerate() {
                    if number > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Node::Map(members) => {
                out.push(b'{');
                for (number, (name, value)) in members.iter().enumerate() {
                    if number > 0 {
                        out.push(b',');
                    }
                    write_read(name, out);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }
}

/// A text that was read, as JSON.
pub(crate) fn write_read(text: &Cow<'_, str>, out: &mut Vec<u8>) {
    match text {
        Cow::Borrowed(text) => quote(text, out),
        Cow::Owned(text) => write_text(text, out),
    }
}

/// Any text as JSON.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    if has(text, |byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        write(text, out);
    } else {
        quote(text, out);
    }
}

/// Whether such a byte is in a text. In strides that the compiler makes one comparison of, where the question is one of
/// comparisons.
pub(crate) fn has(text: &str, is: impl Fn(u8) -> bool) -> bool {
    let (strides, rest) = text.as_bytes().as_chunks::<16>();
    strides.iter().any(|stride| stride.iter().fold(false, |found, byte| found | is(*byte)))
        || rest.iter().fold(false, |found, byte| found | is(*byte))
}

/// A text that needs no escapes.
fn quote(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Any value as JSON.
pub(crate) fn write<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    // Texts and numbers can all be written, and memory takes all of it.
    let _ = serde_json::to_writer(out, value);
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Node<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any valid JSON value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Node<'de>, E> {
        Ok(Node::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node<'de>, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node<'de>, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node<'de>, E> {
        Ok(Number::from_f64(number).map_or(Node::Null, Node::Number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut of: A) -> Result<Node<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = of.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut of: A) -> Result<Node<'de>, A::Error> {
        let (mut members, mut in_order) = (Vec::<Member<'de>>::with_capacity(8), true);
        while let Some((Name(name), value)) = of.next_entry()? {
            in_order &= members.last().is_none_or(|(before, _)| *before < name);
            members.push((name, value));
        }
        if !in_order {
            members.sort_by(|(one, _), (other, _)| one.cmp(other));
            members.dedup_by(|later, kept| {
                let twice = later.0 == kept.0;
                if twice {
                    std::mem::swap(later, kept);
                }
                twice
            });
        }
        Ok(Node::Map(members))
    }
}

/// The name of a member. `Cow` alone would always be read as owned.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Name<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Reading)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is written of what was read, by the two.
    fn both(json: &[u8]) -> [Option<String>; 2] {
        let node = Node::parse(json).ok().map(|node| {
            let mut out = Vec::new();
            node.write(&mut out);
            String::from_utf8(out).unwrap()
        });
        [node, serde_json::from_slice::<Value>(json).ok().map(|value| value.to_string())]
    }

    #[test]
    fn a_node_is_what_a_value_is() {
        for json in [
            r#"{"b":1,"a":{"é":"\u00e9\n","":[]},"b":{"x":null},"ab":-0,"a.b":[true,false,{}]}"#,
            r#"[0,-0,-0.0,1.0,1e3,1E-7,0.1,123456789.25,18446744073709551615,18446744073709551616,-9223372036854775808,-9223372036854775809,5e-324,1.7976931348623157e308]"#,
            "[\"\\u0041\\\\\\\"\\/\\b\\f\\n\\r\\t\", \"\u{7f}\u{85}\u{2028}\", \"\\ud83d\\ude00\", \"\\u0000\\u001f\"]",
            " { \"z\" : [ 1 , 2 ] , \"y\" : \"\" } ",
            "null",
        ] {
            let [node, value] = both(json.as_bytes());
            assert_eq!(node, value, "{json}");
            assert!(node.is_some(), "{json}");
        }
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        for json in ["", "{", "01", "1e999", "\"\\ud800\"", "\"\n\"", "{\"a\":1,}", "1 2", "nul", &deep(128)] {
            assert_eq!(both(json.as_bytes()), [None, None], "{json}");
        }
        assert_eq!(both(b"\"\xff\""), [None, None]);
        assert!(both(deep(127).as_bytes()).iter().all(Option::is_some));
    }

    #[test]
    fn a_text_without_escapes_is_borrowed() {
        let json = br#"{"plain":"here","odd":"a\tb"}"#;
        let node = Node::parse(json).unwrap();
        let text = |name| match node.member(name) {
            Some(Node::Text(text)) => (matches!(text, Cow::Borrowed(_)), text.clone().into_owned()),
            other => panic!("{other:?}"),
        };
        assert_eq!(text("plain"), (true, "here".to_owned()));
        assert_eq!(text("odd"), (false, "a\tb".to_owned()));
    }

    fn json() -> impl Strategy<Value = String> {
        let number = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?";
        let text = "\"([^\"\\\\\\x00-\\x1f]|\\\\[\"\\\\/bfnrt]|\\\\u00[0-9a-f]{2}){0,20}\"";
        let leaf = prop_oneof![number, text, "null|true|false"];
        leaf.prop_recursive(3, 24, 5, move |inner| {
            let name = prop_oneof!["\"[a-c]{0,2}\"", text];
            let member = (name, inner.clone()).prop_map(|(name, value)| format!("{name}:{value}"));
            prop_oneof![
                prop::collection::vec(inner, 0..5).prop_map(|items| format!("[{}]", items.join(", "))),
                prop::collection::vec(member, 0..6).prop_map(|all| format!("{{{}}}", all.join(","))),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_as_a_value_is(json in json(), bytes: Vec<u8>, text in "[{}\\[\\]\",:a1\\\\]{0,40}") {
            let [node, value] = both(json.as_bytes());
            prop_assert_eq!(node, value);
            for other in [bytes.as_slice(), text.as_bytes()] {
                let [node, value] = both(other);
                prop_assert_eq!(node, value);
            }
        }

        #[test]
        fn a_text_is_written_as_a_value_is(text in "\\PC{0,40}", any: String) {
            for text in [text, any] {
                let mut out = Vec::new();
                write_text(&text, &mut out);
                prop_assert_eq!(String::from_utf8(out).unwrap(), Value::from(text).to_string());
            }
        }
    }
}
