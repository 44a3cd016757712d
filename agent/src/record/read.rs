//! Reads JSON into nodes as the agent writes it: no space between. Anything else it leaves to `serde_json`, and so it does with
//! single texts that have escapes and with numbers that are not whole.

use super::node::{Member, Name, Node, Text};
use super::room::Put;
use super::words::{below, equal};

/// What nests deeper is left to the other, which has a limit.
const DEPTH_MAX: u8 = 64;

/// As many digits of a number are below 2 to the 64th.
const DIGITS: usize = 19;

/// Members and items of what is still open; few records have more.
const OPEN: usize = 64;

/// `None` where it is not as the agent writes, or no JSON.
pub(super) fn node<'a>(json: &'a [u8], put: &mut Put<'a>) -> Option<Node<'a>> {
    let text = std::str::from_utf8(json).ok()?;
    let mut reader = Reader { text, at: 0, put, open: Vec::with_capacity(OPEN) };
    reader.value(Name::NONE, 0)?;
    if reader.at < text.len() {
        return None;
    }
    reader.open.pop().map(|(_, node)| node)
}

struct Reader<'a, 'p> {
    text: &'a str,
    at: usize,
    put: &'p mut Put<'a>,
    /// Of all objects and lists around, what was read of them. An item has no name.
    open: Vec<Member<'a>>,
}

impl<'a> Reader<'a, '_> {
    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn is_next(&mut self, byte: u8) -> bool {
        let is = self.next() == Some(byte);
        self.at += usize::from(is);
        is
    }

    /// The value in front, to what is open.
    fn value(&mut self, name: Name<'a>, depth: u8) -> Option<()> {
        let node = match self.next()? {
            b'"' => Node::Text(self.string()?),
            b'{' if depth < DEPTH_MAX => self.map(depth + 1)?,
            b'[' if depth < DEPTH_MAX => self.list(depth + 1)?,
            b'n' => self.word("null", Node::Null)?,
            b't' => self.word("true", Node::Flag(true))?,
            b'f' => self.word("false", Node::Flag(false))?,
            _ => self.number()?,
        };
        self.open.push((name, node));
        Some(())
    }

    fn word(&mut self, word: &str, node: Node<'a>) -> Option<Node<'a>> {
        let is = self.text.get(self.at..)?.starts_with(word);
        self.at += word.len();
        is.then_some(node)
    }

    #[inline]
    fn string(&mut self) -> Option<Text<'a>> {
        match self.plain() {
            Some(text) => Some(Text::plain(text)),
            None => self.escaped(),
        }
    }

    /// The string in front, where nothing in it is escaped.
    fn plain(&mut self) -> Option<&'a str> {
        let (b'"', inside) = self.text.as_bytes().get(self.at..)?.split_first()? else { return None };
        let len = mark(inside)?;
        if inside.get(len) != Some(&b'"') {
            return None;
        }
        let start = self.at + 1;
        self.at = start + len + 1;
        self.text.get(start..start + len)
    }

    fn escaped(&mut self) -> Option<Text<'a>> {
        let (len, _) = string(self.text.as_bytes().get(self.at..)?)?;
        let quoted = self.text.get(self.at..self.at + len)?;
        self.at += len;
        serde_json::from_str::<String>(quoted).ok().map(|text| self.put.text(&text))
    }

    fn name(&mut self) -> Option<Name<'a>> {
        let start = self.at + 1;
        let first = self.text.as_bytes().get(start..).and_then(<[u8]>::first_chunk);
        let Some(first) = first else { return self.string().map(Name::new) };
        // Most are short, and end in what was loaded.
        let len = first_mark(u64::from_le_bytes(*first));
        let text = if self.next() == Some(b'"') && first.get(len) == Some(&b'"') {
            self.at = start + len + 1;
            Text::plain(self.text.get(start..start + len)?)
        } else {
            self.string()?
        };
        Some(Name::beginning(u64::from_be_bytes(*first), text))
    }

    fn number(&mut self) -> Option<Node<'a>> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let (mut number, mut len) = (0_u64, 0);
        for byte in rest.iter().take(DIGITS) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            number = number * 10 + u64::from(digit);
            len += 1;
        }
        let (first, behind) = (rest.first(), rest.get(len));
        if len > 0 && (len == 1 || first != Some(&b'0')) && matches!(behind, None | Some(b',' | b'}' | b']'))
        {
            self.at += len;
            return Some(Node::Whole(number));
        }
        self.other_number()
    }

    fn other_number(&mut self) -> Option<Node<'a>> {
        let rest = self.text.get(self.at..)?;
        let end = rest.bytes().position(|byte| matches!(byte, b',' | b'}' | b']')).unwrap_or(rest.len());
        let word = rest.get(..end)?;
        self.at += end;
        serde_json::from_str(word).ok().as_ref().map(Node::number)
    }

    fn list(&mut self, depth: u8) -> Option<Node<'a>> {
        self.at += 1;
        let start = self.open.len();
        while !self.is_next(b']') {
            if self.open.len() > start && !self.is_next(b',') {
                return None;
            }
            self.value(Name::NONE, depth)?;
        }
        let items = self.put.items(self.open.get(start..)?);
        self.open.truncate(start);
        Some(Node::List(items))
    }

    fn map(&mut self, depth: u8) -> Option<Node<'a>> {
        self.at += 1;
        let start = self.open.len();
        while !self.is_next(b'}') {
            if self.open.len() > start && !self.is_next(b',') {
                return None;
            }
            let name = self.name()?;
            if !self.is_next(b':') {
                return None;
            }
            self.value(name, depth)?;
        }
        let members = self.put.members(self.open.get(start..)?);
        self.open.truncate(start);
        Some(Node::Map(members))
    }
}

/// Length of the string in front, with its quotes, and whether something in it is escaped, or should be.
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
        // A backslash, and what it stands before.
        at += if bytes.get(at) == Some(&b'\\') { 2 } else { 1 };
    }
}

/// How far it is to the first quote, backslash or control character, eight bytes at a time.
fn mark(bytes: &[u8]) -> Option<usize> {
    let (strides, rest) = bytes.as_chunks();
    let mut at = 0;
    for stride in strides {
        let behind = first_mark(u64::from_le_bytes(*stride));
        if behind < 8 {
            return Some(at + behind);
        }
        at += 8;
    }
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..b' ')).map(|behind| at + behind)
}

/// The first of eight bytes that is one of these; 8 where none is.
fn first_mark(word: u64) -> usize {
    let marks = equal(word, b'"') | equal(word, b'\\') | below(word, b' ');
    usize::try_from(marks.trailing_zeros() / 8).unwrap_or(8)
}
