//! The tree of a record, owned or borrowed from the record's bytes.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Deref;

use serde_json::{Number, Value};

use super::read;

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
pub type Member<'a> = (Name<'a>, Node<'a>);

/// A name in an object. Most are told apart, and put in order, by how they begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    start: u64,
    text: Cow<'a, str>,
}

impl<'a> Name<'a> {
    pub(crate) fn new(text: Cow<'a, str>) -> Self {
        Self { start: first_bytes(&text), text }
    }

    /// How it stands to a text with these first bytes.
    pub(crate) fn compare(&self, start: u64, text: &str) -> Ordering {
        self.start.cmp(&start).then_with(|| self.text.as_ref().cmp(text))
    }

    pub(crate) fn text(&self) -> &Cow<'a, str> {
        &self.text
    }
}

/// The first eight bytes of a text; zeros where it is shorter.
pub(crate) const fn first_bytes(text: &str) -> u64 {
    match text.as_bytes().first_chunk() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => {
            let (mut start, mut rest) = (0, text.as_bytes());
            let missing = 8 * (8 - rest.len());
            while let [byte, behind @ ..] = rest {
                start = start << 8 | *byte as u64;
                rest = behind;
            }
            if missing == 64 { 0 } else { start << missing }
        }
    }
}

impl Deref for Name<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl Ord for Name<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(other.start, &other.text)
    }
}

impl PartialOrd for Name<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Tree for Node<'_> {
    fn member(&self, name: &str) -> Option<&Self> {
        let start = first_bytes(name);
        let found = self.members()?.iter().find(|(known, _)| known.start == start && **known == *name);
        found.map(|(_, value)| value)
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
        match read::node(json) {
            Some(node) => Ok(node),
            None => serde_json::from_slice::<Value>(json).map(Self::from),
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
            Node::List(items) => write_list(items, out),
            Node::Map(members) => {
                out.push(b'{');
                for (name, value) in members {
                    comma(out);
                    write_read(name.text(), out);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }
}

/// Values as a list.
pub(crate) fn write_list(items: &[Node<'_>], out: &mut Vec<u8>) {
    out.push(b'[');
    for item in items {
        comma(out);
        item.write(out);
    }
    out.push(b']');
}

/// What parts it from the one before it, unless it is the first in its list or object.
pub(crate) fn comma(out: &mut Vec<u8>) {
    if !matches!(out.last(), Some(b'[' | b'{')) {
        out.push(b',');
    }
}

/// A text that was read, as JSON.
#[expect(clippy::ptr_arg, reason = "whether it is borrowed says whether it may need escapes")]
pub(crate) fn write_read(text: &Cow<'_, str>, out: &mut Vec<u8>) {
    match text {
        Cow::Borrowed(text) => quote(text, out),
        Cow::Owned(text) => write_text(text, out),
    }
}

/// Any text as JSON.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    if has(text, |byte| (byte < b' ') | (byte == b'"') | (byte == b'\\')) {
        write(text, out);
    } else {
        quote(text, out);
    }
}

/// Whether such a byte is in a text. In strides that the compiler makes one comparison of, where the question is one of
/// comparisons.
pub(crate) fn has(text: &str, is: impl Fn(u8) -> bool) -> bool {
    let (strides, rest) = text.as_bytes().as_chunks::<16>();
    let any = |bytes: &[u8]| bytes.iter().fold(false, |found, byte| found | is(*byte));
    strides.iter().any(|stride| any(stride)) || any(rest)
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

impl From<Value> for Node<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Node::Null,
            Value::Bool(flag) => Node::Flag(flag),
            Value::Number(number) => Node::Number(number),
            Value::String(text) => Node::Text(Cow::Owned(text)),
            Value::Array(items) => Node::List(items.into_iter().map(Node::from).collect()),
            Value::Object(map) => {
                let member = |(name, value)| (Name::new(Cow::Owned(name)), Node::from(value));
                Node::Map(map.into_iter().map(member).collect())
            }
        }
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
        for json in ["", "{", "01", "1e999", "\"\\ud800\"", "\"\n\"", "{\"a\":1,}", "1 2", "nul", &deep(128)]
        {
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
