//! Records as trees of values: what stood in a record before is named, and not told again.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;

use super::super::{Flaw, TEXT_MAX};
use super::clock::Clock;
use super::coder::Coder;
use super::columns::{BASES, Columns, Numbers};
use super::json::{self, DEPTH_MAX, Span, unquoted, uuid};
use super::kind::Kind;
use super::numbers::{self, Form};
use super::texts::Texts;

/// Values of a pack that are told anew.
const VALUES_MAX: usize = 1 << 20;
/// Bytes of names of members.
const NAMES_MAX: usize = 1 << 18;
/// Of texts that are names of members, and of what is no JSON.
const NAMES: u64 = 5;
const RAW: u64 = 6;

/// What is written; nothing, where it is read.
#[derive(Clone, Copy, Debug)]
struct Input<'a> {
    text: &'a [u8],
    spans: &'a [Span],
}

impl<'a> Input<'a> {
    fn value(self, at: usize) -> &'a [u8] {
        let span = self.spans.get(at).copied().unwrap_or_default();
        self.text.get(span.start..span.end).unwrap_or_default()
    }
}

/// Who reads has no value that it is to be.
const NO_VALUE: usize = usize::MAX;

/// Texts, one behind the other.
#[derive(Debug, Default)]
struct Values {
    text: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl Values {
    fn place(&self, value: u32) -> Range<usize> {
        usize::try_from(value).ok().and_then(|value| self.places.get(value)).cloned().unwrap_or_default()
    }

    fn get(&self, value: u32) -> &[u8] {
        self.text.get(self.place(value)).unwrap_or_default()
    }

    /// Names what stands from there on.
    fn add(&mut self, start: usize) -> Result<u32, Flaw> {
        if self.places.len() >= VALUES_MAX {
            return Err(Flaw::Large);
        }
        self.places.push(start..self.text.len());
        u32::try_from(self.places.len() - 1).map_err(|_| Flaw::Large)
    }
}

/// Which value is which, for who writes: by column and hash. What it finds may be another of the same hash.
#[derive(Debug, Default)]
struct Index {
    by: HashMap<(usize, u64), u32>,
    hasher: RandomState,
}

impl Index {
    fn find(&self, column: usize, value: &[u8]) -> Option<u32> {
        self.by.get(&(column, self.hasher.hash_one(value))).copied()
    }

    fn add(&mut self, column: usize, value: &[u8], named: u32) {
        self.by.insert((column, self.hasher.hash_one(value)), named);
    }
}

/// A pack, value after value.
#[derive(Debug)]
pub(super) struct Tree<C> {
    pub(super) coder: C,
    values: Values,
    /// Names of objects, all of one together.
    names: Values,
    columns: Columns,
    texts: Texts,
    clock: Clock,
    index: Index,
}

impl<C: Coder> Tree<C> {
    pub(super) fn new(coder: C) -> Self {
        Self {
            coder,
            values: Values::default(),
            names: Values::default(),
            columns: Columns::new(),
            texts: Texts::new(),
            clock: Clock::default(),
            index: Index::default(),
        }
    }

    /// One record, of these values. Gives it, as it is read.
    pub(super) fn record(&mut self, text: &[u8], spans: &[Span]) -> Result<&[u8], Flaw> {
        self.clock.begin();
        self.columns.begin();
        let start = self.values.text.len();
        self.value(0, Input { text, spans }, 0, 0)?;
        self.clock.end();
        Ok(self.values.text.get(start..).unwrap_or_default())
    }

    /// Bytes that are no JSON.
    pub(super) fn raw(&mut self, bytes: &[u8], length: usize) -> Result<Vec<u8>, Flaw> {
        let mut read = Vec::new();
        for at in 0..length {
            if self.coder.is_over() {
                return Err(Flaw::Cut);
            }
            read.push(self.texts.byte(&mut self.coder, RAW, bytes.get(at).copied().unwrap_or(0)));
        }
        Ok(read)
    }

    fn value(&mut self, column: usize, input: Input<'_>, at: usize, depth: usize) -> Result<(), Flaw> {
        if depth > DEPTH_MAX || self.values.text.len() > TEXT_MAX {
            return Err(Flaw::Large);
        }
        if self.coder.is_over() {
            return Err(Flaw::Cut);
        }
        let wanted = input.value(at);
        let asked = self.columns.ask(column)?;
        let (values, index) = (&self.values, &self.index);
        let is = |value| values.get(value) == wanted;
        let told = || index.find(column, wanted).filter(|value| is(*value));
        let known = self.columns.known(&mut self.coder, (column, &asked), is, told)?;
        let value = if let Some(value) = known {
            self.values.text.extend_from_within(self.values.place(value));
            value
        } else {
            let start = self.values.text.len();
            self.anew(column, input, at, depth)?;
            self.values.add(start)?
        };
        if self.columns.took(column, &asked, value)? && C::WRITES {
            self.index.add(column, wanted, value);
        }
        self.clock.took(self.values.get(value));
        Ok(())
    }

    /// A value that is told for the first time.
    fn anew(&mut self, column: usize, input: Input<'_>, at: usize, depth: usize) -> Result<(), Flaw> {
        let wanted = input.value(at);
        let number = if C::WRITES { numbers::parse(wanted) } else { None };
        let kind = if C::WRITES { Kind::of(wanted, number) } else { Kind::Literal };
        let own = self.columns.get(column)?;
        let kind = Kind::ALL.get(self.coder.symbol(&mut own.kind, kind as usize)).ok_or(Flaw::Coded)?;
        match kind {
            Kind::Object => self.object(column, input, at, depth),
            Kind::Array => self.array(column, input, at, depth),
            Kind::Whole => self.number(column, Some(Form::Whole), number),
            Kind::Decimal => self.number(column, None, number),
            Kind::Time => self.number(column, Some(Form::Time), number),
            Kind::Uuid => {
                self.uuid(uuid(unquoted(wanted)).unwrap_or_default());
                Ok(())
            }
            Kind::Text => {
                self.values.text.push(b'"');
                self.text(column, wanted.get(1..).unwrap_or_default())?;
                self.values.text.push(b'"');
                Ok(())
            }
            Kind::Literal => self.text(column, wanted),
        }
    }

    fn text(&mut self, column: usize, wanted: &[u8]) -> Result<(), Flaw> {
        let name = self.columns.get(column)?.name;
        string(&mut self.coder, &mut self.texts, name, wanted, &mut self.values.text)
    }

    fn uuid(&mut self, bytes: [u8; 16]) {
        self.values.text.push(b'"');
        for (at, byte) in bytes.into_iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                self.values.text.push(b'-');
            }
            let [byte, ..] = self.coder.plain(8, u64::from(byte)).to_le_bytes();
            self.values.text.extend_from_slice(&crate::hex::pair(byte));
        }
        self.values.text.push(b'"');
    }

    /// A number of that form; of a decimal one how many digits it has is told, too.
    fn number(&mut self, column: usize, form: Option<Form>, of: Option<(Form, i64)>) -> Result<(), Flaw> {
        let own = self.columns.get(column)?;
        let (name, clock) = (own.name, &mut self.clock);
        let own = own.number.get_or_insert_with(|| Box::new(Numbers::new()));
        let wanted = of.map_or(0, |(_, number)| number);
        let form = if let Some(form) = form {
            form
        } else {
            let digits = if let Some((Form::Decimal(digits), _)) = of { digits } else { 0 };
            match self.coder.symbol(&mut own.fraction, digits) {
                digits @ 1..=numbers::FRACTION_MAX => Form::Decimal(digits),
                _ => return Err(Flaw::Coded),
            }
        };
        let bases = clock.expected(own, form, name);
        let best = (0..BASES).min_by_key(|base| own.costs.get(*base)).unwrap_or(0);
        let base = bases.get(best).copied().unwrap_or(0);
        let number = base.wrapping_add(own.sizes.number(&mut self.coder, wanted.wrapping_sub(base)));
        for (cost, base) in own.costs.iter_mut().zip(bases) {
            let bits = 64 - number.wrapping_sub(base).unsigned_abs().leading_zeros();
            *cost = *cost - *cost / 4 + bits * 16;
        }
        clock.was(own, form, name, number);
        numbers::put(&mut self.values.text, form, number);
        Ok(())
    }

    fn object(&mut self, column: usize, input: Input<'_>, at: usize, depth: usize) -> Result<(), Flaw> {
        let names = self.names(column, input, at)?;
        let mut values = json::children(input.spans, at);
        self.values.text.push(b'{');
        let mut from = names.start;
        while from < names.end {
            let end =
                json::string(&self.names.text, from).filter(|end| *end <= names.end).ok_or(Flaw::Coded)?;
            let name = self.names.text.get(from..end).unwrap_or_default();
            let member = self.columns.member(column, name)?;
            if from > names.start {
                self.values.text.push(b',');
            }
            self.values.text.extend_from_slice(name);
            self.values.text.push(b':');
            self.value(member, input, values.next().unwrap_or(NO_VALUE), depth + 1)?;
            from = end;
        }
        self.values.text.push(b'}');
        Ok(())
    }

    /// The names of an object: where they stand.
    fn names(&mut self, column: usize, input: Input<'_>, at: usize) -> Result<Range<usize>, Flaw> {
        let of = self.columns.names(column)?;
        let mut wanted = Vec::new();
        if C::WRITES {
            let each = json::named(input.spans, at).filter_map(|(name, _)| input.text.get(name));
            each.for_each(|name| wanted.extend_from_slice(name));
        }
        let asked = self.columns.ask(of)?;
        let (names, index) = (&self.names, &self.index);
        let is = |value| names.get(value) == wanted;
        let told = || index.find(of, &wanted).filter(|value| is(*value));
        let known = self.columns.known(&mut self.coder, (of, &asked), is, told)?;
        let value = match known {
            Some(value) => value,
            None => self.names_anew(of, &wanted)?,
        };
        if self.columns.took(of, &asked, value)? && C::WRITES {
            self.index.add(of, &wanted, value);
        }
        Ok(self.names.place(value))
    }

    fn names_anew(&mut self, of: usize, wanted: &[u8]) -> Result<u32, Flaw> {
        let (start, mut from) = (self.names.text.len(), 0);
        loop {
            let [more, _] = &mut self.columns.get(of)?.more;
            if !self.coder.bit(more, from < wanted.len()) {
                return self.names.add(start);
            }
            // Also where all of them are empty.
            if self.names.text.len() > NAMES_MAX {
                return Err(Flaw::Large);
            }
            let end = if C::WRITES { json::string(wanted, from).ok_or(Flaw::Coded)? } else { 0 };
            let name = wanted.get(from + 1..end).unwrap_or_default();
            self.names.text.push(b'"');
            string(&mut self.coder, &mut self.texts, NAMES, name, &mut self.names.text)?;
            self.names.text.push(b'"');
            from = end;
        }
    }

    fn array(&mut self, column: usize, input: Input<'_>, at: usize, depth: usize) -> Result<(), Flaw> {
        let of = self.columns.element(column)?;
        let (mut elements, mut first) = (json::children(input.spans, at).peekable(), true);
        self.values.text.push(b'[');
        loop {
            let [one, another] = &mut self.columns.get(column)?.more;
            let more = if first { one } else { another };
            if !self.coder.bit(more, elements.peek().is_some()) {
                break;
            }
            if !first {
                self.values.text.push(b',');
            }
            first = false;
            self.value(of, input, elements.next().unwrap_or(NO_VALUE), depth + 1)?;
        }
        self.values.text.push(b']');
        Ok(())
    }
}

/// A text up to the quote that ends it, which is not kept.
fn string<C: Coder>(
    coder: &mut C,
    texts: &mut Texts,
    kind: u64,
    wanted: &[u8],
    text: &mut Vec<u8>,
) -> Result<(), Flaw> {
    let (mut at, mut escaped) = (0, false);
    loop {
        let byte = texts.byte(coder, kind, wanted.get(at).copied().unwrap_or(b'"'));
        if byte == b'"' && !escaped {
            return Ok(());
        }
        if text.len() > TEXT_MAX {
            return Err(Flaw::Large);
        }
        if coder.is_over() {
            return Err(Flaw::Cut);
        }
        escaped = byte == b'\\' && !escaped;
        text.push(byte);
        at += 1;
    }
}
