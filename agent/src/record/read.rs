//! Reads JSON into nodes as the agent writes it: no space between, no control characters. Anything else it leaves to
//! `serde_json`, and so it does with single texts that have escapes and with numbers that are not whole.

use std::borrow::Cow;

use serde_json::Number;

use super::node::{Member, Name, Node, has};

/// What nests deeper is left to the other, which has a limit.
const DEPTH_MAX: u8 = 64;

/// `None` where it is not as the agent writes, or no JSON.
pub(super) fn node(json: &[u8]) -> Option<Node<'_>> {
    let text = std::str::from_utf8(json).ok()?;
    if has(text, |byte| byte < b' ') {
        return None;
    }
    let mut reader = Reader { text, at: 0 };
    let node = reader.value(0)?;
    (reader.at == text.len()).then_some(node)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn is_next(&mut self, byte: u8) -> bool {
        let is = self.next() == Some(byte);
        self.at += usize::from(is);
        is
    }

    fn value(&mut self, depth: u8) -> Option<Node<'a>> {
        match self.next()? {
            b'"' => self.string().map(Node::Text),
            b'{' if depth < DEPTH_MAX => self.map(depth + 1),
            b'[' if depth < DEPTH_MAX => self.list(depth + 1),
            b'n' => self.word("null", Node::Null),
            b't' => self.word("true", Node::Flag(true)),
            b'f' => self.word("false", Node::Flag(false)),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str, node: Node<'a>) -> Option<Node<'a>> {
        let is = self.text.get(self.at..)?.starts_with(word);
        self.at += word.len();
        is.then_some(node)
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        let (len, is_escaped) = string(self.text.as_bytes().get(self.at..)?)?;
        let quoted = self.text.get(self.at..self.at + len)?;
        self.at += len;
        if is_escaped {
            return serde_json::from_str(quoted).ok().map(Cow::Owned);
        }
        quoted.get(1..len - 1).map(Cow::Borrowed)
    }

    fn number(&mut self) -> Option<Node<'a>> {
        let rest = self.text.get(self.at..)?;
        let end = rest.bytes().position(|byte| matches!(byte, b',' | b'}' | b']')).unwrap_or(rest.len());
        let word = rest.get(..end)?;
        self.at += end;
        let digits = word.bytes().all(|byte| byte.is_ascii_digit()) && !word.starts_with('0');
        match word.parse::<u64>() {
            Ok(number) if digits => Some(Node::Number(number.into())),
            _ => serde_json::from_str::<Number>(word).ok().map(Node::Number),
        }
    }

    fn list(&mut self, depth: u8) -> Option<Node<'a>> {
        self.at += 1;
        let mut items = Vec::new();
        if self.is_next(b']') {
            return Some(Node::List(items));
        }
        loop {
            items.push(self.value(depth)?);
            if self.is_next(b']') {
                return Some(Node::List(items));
            }
            if !self.is_next(b',') {
                return None;
            }
        }
    }

    fn map(&mut self, depth: u8) -> Option<Node<'a>> {
        self.at += 1;
        if self.is_next(b'}') {
            return Some(Node::Map(Vec::new()));
        }
        let (mut members, mut in_order) =
            (Vec::<Member<'a>>::with_capacity(if depth == 1 { 24 } else { 6 }), true);
        loop {
            let name = Name::new(self.string()?);
            if !self.is_next(b':') {
                return None;
            }
            let value = self.value(depth)?;
            in_order &= members.last().is_none_or(|(before, _)| *before < name);
            members.push((name, value));
            if self.is_next(b'}') {
                break;
            }
            if !self.is_next(b',') {
                return None;
            }
        }
        if !in_order {
            put_in_order(&mut members);
        }
        Some(Node::Map(members))
    }
}

/// Of a name that comes twice the last stays.
fn put_in_order(members: &mut Vec<Member<'_>>) {
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    members.dedup_by(|later, kept| {
        let twice = later.0 == kept.0;
        if twice {
            std::mem::swap(later, kept);
        }
        twice
    });
}

/// Length of the string in front, with its quotes, and whether something in it is escaped.
pub(crate) fn string(bytes: &[u8]) -> Option<(usize, bool)> {
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let (mut at, mut is_escaped) = (1, false);
    loop {
        at += mark(bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some((at + 1, is_escaped));
        }
        is_escaped = true;
        // The backslash, and what it stands before.
        at += 2;
    }
}

/// How far it is to the first quote or backslash. Eight bytes at a time: what is subtracted from reaches the highest bit
/// of a byte only where that is 0, or behind such a one.
fn mark(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let (strides, rest) = bytes.as_chunks::<8>();
    let mut at = 0;
    for stride in strides {
        let word = u64::from_le_bytes(*stride);
        let (quote, escape) = (word ^ u64::from_ne_bytes([b'"'; 8]), word ^ u64::from_ne_bytes([b'\\'; 8]));
        let zero = (quote.wrapping_sub(ONES) & !quote | escape.wrapping_sub(ONES) & !escape) & HIGH;
        if zero != 0 {
            return Some(at + usize::try_from(zero.trailing_zeros() / 8).ok()?);
        }
        at += 8;
    }
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).map(|behind| at + behind)
}
