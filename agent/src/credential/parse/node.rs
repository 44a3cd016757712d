//! JSON without a copy of its texts: what is read borrows from the file, whose bytes are wiped.
//!
//! The library finds where each value begins and ends; only a text with escapes is written anew, into memory that is
//! wiped as well.

use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// Most members of an object, or items of a list, that are looked at.
const MEMBERS_MAX: usize = 4096;

/// A value.
#[derive(Clone, Copy)]
pub(super) struct Node<'a>(&'a str);

/// A text.
pub(super) enum Text<'a> {
    Plain(&'a str),
    Unescaped(Zeroizing<String>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Text::Plain(text) => text,
            Text::Unescaped(text) => text,
        }
    }
}

impl<'a> Node<'a> {
    /// A file, if it is JSON.
    pub(super) fn read(text: &'a str) -> Option<Node<'a>> {
        serde_json::from_str::<&RawValue>(text).ok().map(|raw| Node(raw.get().trim()))
    }

    /// The members of an object, in their order.
    pub(super) fn object(self) -> Vec<(Text<'a>, Node<'a>)> {
        if !self.0.starts_with('{') {
            return Vec::new();
        }
        serde_json::from_str::<Members<'a>>(self.0).map(|members| members.0).unwrap_or_default()
    }

    /// The items of a list.
    pub(super) fn list(self) -> Vec<Node<'a>> {
        if !self.0.starts_with('[') {
            return Vec::new();
        }
        let items = serde_json::from_str::<Vec<&RawValue>>(self.0).unwrap_or_default();
        items.into_iter().take(MEMBERS_MAX).map(|raw| Node(raw.get().trim())).collect()
    }

    /// A member, of several the last.
    pub(super) fn get(self, key: &str) -> Option<Node<'a>> {
        self.object().into_iter().rfind(|(name, _)| **name == *key).map(|(_, value)| value)
    }

    /// A member of members.
    pub(super) fn at(self, path: &[&str]) -> Option<Node<'a>> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    pub(super) fn text(self) -> Option<Text<'a>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if !inner.contains('\\') {
            return Some(Text::Plain(inner));
        }
        unescape(inner).map(Text::Unescaped)
    }

    /// A number as it is written.
    pub(super) fn number(self) -> Option<&'a str> {
        self.0.starts_with(|c: char| c == '-' || c.is_ascii_digit()).then_some(self.0)
    }

    pub(super) fn is_object(self) -> bool {
        self.0.starts_with('{')
    }
}

/// Never longer than with its escapes.
fn unescape(text: &str) -> Option<Zeroizing<String>> {
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let unit = hex4(&mut chars)?;
                let low = if (0xd800..0xdc00).contains(&unit) {
                    let pair = chars.next() == Some('\\') && chars.next() == Some('u');
                    if !pair {
                        return None;
                    }
                    Some(hex4(&mut chars)?)
                } else {
                    None
                };
                let units = [Some(unit), low].into_iter().flatten();
                char::decode_utf16(units).next()?.ok()?
            }
            plain => plain,
        });
    }
    Some(out)
}

fn hex4(chars: &mut std::str::Chars<'_>) -> Option<u16> {
    let mut unit = 0_u32;
    for _ in 0..4 {
        unit = unit << 4 | chars.next()?.to_digit(16)?;
    }
    u16::try_from(unit).ok()
}

struct Members<'a>(Vec<(Text<'a>, Node<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                // A key is read raw, too: a file may have its secrets where the keys are.
                while let Some((key, value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    if members.len() < MEMBERS_MAX {
                        members.push((key.0, Node(value.get().trim())));
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

struct Key<'a>(Text<'a>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Text::Plain(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Text::Unescaped(Zeroizing::new(text.to_owned()))))
            }
        }
        deserializer.deserialize_str(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_their_texts() {
        let text = r#" {"a": {"b": ["x", 7, null, "\u00e9\n\"\\\/\ud83d\ude00"]}, "\u0061\"": -1.5e3, "a": "last"} "#;
        let node = Node::read(text).unwrap();
        let keys: Vec<String> = node.object().iter().map(|(key, _)| key.to_string()).collect();
        assert_eq!(keys, ["a", "a\"", "a"]);
        let list = node.object()[0].1.get("b").unwrap().list();
        assert!(matches!(list[0].text(), Some(Text::Plain("x"))), "no copy");
        assert_eq!((list[1].number(), list[1].text().is_none()), (Some("7"), true));
        assert!(list[2].text().is_none() && list[2].number().is_none());
        assert_eq!(&*list[3].text().unwrap(), "é\n\"\\/😀");
        assert_eq!(node.get("a\"").unwrap().number(), Some("-1.5e3"));
        assert_eq!(&*node.at(&["a"]).unwrap().text().unwrap(), "last");
        assert!(node.at(&["a", "b"]).is_none() && node.list().is_empty());
        for bad in ["", "{", "{\"a\":}", "[1,]", "nul", "{\"a\":1}x"] {
            assert!(Node::read(bad).is_none(), "{bad}");
        }
        assert!(Node::read("\"\\ud800x\"").is_none_or(|node| node.text().is_none()));
        assert!(Node::read(&"[".repeat(10_000)).is_none(), "the library's own bound");
    }

    proptest::proptest! {
        /// What the library makes of a text by itself.
        #[test]
        fn texts_are_the_librarys(text in "\\PC{0,20}[\u{0}-\u{1f}\"\\\\/]{0,4}\\PC{0,5}") {
            let written = serde_json::to_string(&text).unwrap();
            let node = Node::read(&written).unwrap();
            proptest::prop_assert_eq!(&*node.text().unwrap(), text.as_str());
        }

        #[test]
        fn any_text(text in "[\\[\\]{}\",:\\\\u0-9a-f ]{0,40}") {
            if let Some(node) = Node::read(&text) {
                for (key, value) in node.object() {
                    let _ = (key.len(), value.text().map(|text| text.len()), value.list().len());
                }
            }
        }
    }
}
