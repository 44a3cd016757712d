//! The tree of a record, owned or borrowed from the record's bytes.

use std::cmp::Ordering;
use std::ops::Deref;

use serde_json::{Number, Value};

use super::read;
use super::room::Room;
use super::words::{below, equal, has};

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

/// A value that borrows its texts from the bytes it was read from, or from the room where all else of it is. It reads what
/// [`Value`] reads, and is written as that is: names in order, of a name that comes twice the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Node<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Flag(bool),
    /// A whole number that is not below 0.
    Whole(u64),
    /// One below 0.
    Signed(i64),
    /// Any other number.
    Real(f64),
    /// A text.
    Text(Text<'a>),
    /// A list.
    List(&'a [Node<'a>]),
    /// An object.
    Map(&'a [Member<'a>]),
}

/// A name and its value.
pub type Member<'a> = (Name<'a>, Node<'a>);

/// A text of a record.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    text: &'a str,
    /// Where there was no escape in it, it needs none.
    is_plain: bool,
}

impl<'a> Text<'a> {
    /// One that needs no escapes.
    pub(crate) const fn plain(text: &'a str) -> Self {
        Self { text, is_plain: true }
    }

    /// One that may need some.
    pub(crate) const fn odd(text: &'a str) -> Self {
        Self { text, is_plain: false }
    }

    pub(crate) const fn is_plain(self) -> bool {
        self.is_plain
    }

    /// The text itself.
    #[must_use]
    pub fn get(self) -> &'a str {
        self.text
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.text
    }
}

/// A name in an object. Most are told apart, and put in order, by how they begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Name<'a> {
    start: u64,
    text: Text<'a>,
}

impl<'a> Name<'a> {
    /// Of what has no name.
    pub(super) const NONE: Self = Self { start: 0, text: Text::plain("") };

    pub(super) fn new(text: Text<'a>) -> Self {
        Self { start: first_bytes(text.text), text }
    }

    /// The same of a text that was read where these eight bytes were, if there was no escape in it.
    pub(super) fn beginning(bytes: u64, text: Text<'a>) -> Self {
        if !text.is_plain {
            return Self::new(text);
        }
        let behind = u32::try_from(8 * text.text.len()).ok().and_then(|bits| u64::MAX.checked_shr(bits));
        Self { start: bytes & !behind.unwrap_or(0), text }
    }

    /// Its first eight bytes as a number; zeros where it is shorter.
    pub(super) fn start(self) -> u64 {
        self.start
    }

    /// How it stands to a text with these first bytes.
    pub(crate) fn compare(&self, start: u64, text: &str) -> Ordering {
        self.start.cmp(&start).then_with(|| self.text.text.cmp(text))
    }

    pub(crate) fn text(&self) -> Text<'a> {
        self.text
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
        self.text.text
    }
}

impl Eq for Name<'_> {}

impl Ord for Name<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(other.start, other.text.text)
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
        if let Node::Text(text) = self { Some(text.get()) } else { None }
    }

    fn whole(&self) -> Option<u64> {
        if let Node::Whole(number) = self { Some(*number) } else { None }
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
    pub fn parse(json: &'a [u8], room: &'a mut Room) -> Result<Self, serde_json::Error> {
        let mut put = room.cleared();
        match read::node(json, &mut put) {
            Some(node) => Ok(node),
            None => serde_json::from_slice(json).map(|value| put.node(&value)),
        }
    }

    pub(super) fn number(number: &Number) -> Self {
        match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(whole), _, _) => Node::Whole(whole),
            (_, Some(signed), _) => Node::Signed(signed),
            (_, _, Some(real)) => Node::Real(real),
            // There is no fourth kind.
            _ => Node::Null,
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
        match self {
            #[expect(clippy::cast_precision_loss, reason = "as `serde_json` does it")]
            Node::Whole(number) => Some(*number as f64),
            #[expect(clippy::cast_precision_loss, reason = "as `serde_json` does it")]
            Node::Signed(number) => Some(*number as f64),
            Node::Real(number) => Some(*number),
            Node::Null | Node::Flag(_) | Node::Text(_) | Node::List(_) | Node::Map(_) => None,
        }
    }

    /// Its JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Node::Null => out.extend_from_slice(b"null"),
            Node::Flag(true) => out.extend_from_slice(b"true"),
            Node::Flag(false) => out.extend_from_slice(b"false"),
            Node::Whole(number) => write(number, out),
            Node::Signed(number) => write(number, out),
            Node::Real(number) => write(number, out),
            Node::Text(text) => write_read(*text, out),
            Node::List(items) => write_list(items, out),
            Node::Map(members) => {
                out.push(b'{');
                for (name, value) in *members {
                    comma(out);
                    write_read(name.text, out);
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
pub(crate) fn write_read(text: Text<'_>, out: &mut Vec<u8>) {
    if text.is_plain {
        quote(text.text, out);
    } else {
        write_text(text.text, out);
    }
}

/// Any text as JSON.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    if has(text, |word| below(word, b' ') | equal(word, b'"') | equal(word, b'\\')) {
        write(text, out);
    } else {
        quote(text, out);
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is written of what was read, by the two.
    fn both(json: &[u8]) -> [Option<String>; 2] {
        let mut room = Room::new();
        let node = Node::parse(json, &mut room).ok().map(|node| {
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
        for json in [
            "",
            "{",
            "01",
            "1e999",
            "\"\\ud800\"",
            "\"\n\"",
            "{\"a\":1,}",
            "1 2",
            "[1,2\u{1}]",
            "\"\\n\u{1f}\"",
            "[\"\u{0}\"]",
            "nul",
            &deep(128),
        ] {
            assert_eq!(both(json.as_bytes()), [None, None], "{json}");
        }
        assert_eq!(both(b"\"\xff\""), [None, None]);
        assert!(both(deep(127).as_bytes()).iter().all(Option::is_some));
    }

    #[test]
    fn a_text_without_escapes_is_borrowed() {
        let json = br#"{"plain":"here","odd":"a\tb"}"#;
        let mut room = Room::new();
        let node = Node::parse(json, &mut room).unwrap();
        let text = |name| match node.member(name) {
            Some(Node::Text(text)) => {
                (json.as_ptr_range().contains(&text.as_ptr()), text.is_plain(), text.get())
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(text("plain"), (true, true, "here"));
        assert_eq!(text("odd"), (false, false, "a\tb"));
    }

    /// One room for records of all kinds, the large ones and those that are none among them.
    #[test]
    fn nothing_of_a_record_is_left_for_the_next() {
        let mut room = Room::new();
        let long = format!("[\"{}\"]", "\\n".repeat(2 << 20));
        for json in [r#"{"b":[1,2],"a":"\t"}"#, &long, "{", "[[[", r#"{"b":2,"a":1}"#, "[]"] {
            let node = Node::parse(json.as_bytes(), &mut room).ok().map(|node| {
                let mut out = Vec::new();
                node.write(&mut out);
                String::from_utf8(out).unwrap()
            });
            assert_eq!(node, both(json.as_bytes())[1]);
        }
    }

    #[test]
    fn what_the_agent_writes_is_not_left_to_the_other() {
        for file in
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/records")).unwrap()
        {
            for line in std::fs::read_to_string(file.unwrap().path()).unwrap().lines() {
                assert!(read::node(line.as_bytes(), &mut Room::new().cleared()).is_some(), "{line}");
            }
        }
    }

    fn json() -> impl Strategy<Value = String> {
        let number = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?";
        let text = "\"([^\"\\\\\\x00-\\x1f]|\\\\[\"\\\\/bfnrt]|\\\\u00[0-9a-f]{2}){0,20}\"";
        let leaf = prop_oneof![number, text, "null|true|false"];
        leaf.prop_recursive(3, 24, 5, move |inner| {
            let name = prop_oneof!["\"[a-c]{0,2}\"", "\"aaaaaaa[a-c]{0,3}\"", text];
            let member = (name, inner.clone()).prop_map(|(name, value)| format!("{name}:{value}"));
            prop_oneof![
                prop::collection::vec(inner, 0..5).prop_map(|items| format!("[{}]", items.join(", "))),
                prop::collection::vec(member, 0..24).prop_map(|all| format!("{{{}}}", all.join(","))),
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

        /// Truncated, or with a byte that is another, or one too many.
        #[test]
        fn what_is_broken_is_refused_as_a_value_is(
            json in json(),
            at: prop::sample::Index,
            byte in prop_oneof!["[ -~]", "[\\x00-\\x1f]", "[{}\\[\\]\",:0\\\\]"],
        ) {
            let at = at.index(json.len());
            let (before, behind) = json.as_bytes().split_at(at);
            for broken in [before.to_vec(), [before, byte.as_bytes(), behind].concat(), [before, byte.as_bytes(), &behind[1..]].concat()] {
                let [node, value] = both(&broken);
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
