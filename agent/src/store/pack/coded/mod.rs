//! Records coded by what stood in those before them.
//!
//! ```text
//! version, 1 byte
//! number of records
//! coded, of each record:
//!   how far its number is above the one expected
//!   whether it is without its stamp
//!   the first byte of its hash
//!   whether it is JSON as the agent writes it; its values, else its length and its bytes
//! ```
//!
//! Each decision on the way from nothing to a record is foreseen from what was decided before, and costs the less the better it
//! was ([`coder`]). A record is a tree of values ([`tree`]): each is one of a few that could stand there ([`columns`]), or new,
//! ([`kind`]) and then
//! a number near to another ([`numbers`], [`clock`]) or a text ([`texts`]). What follows from the rest of a record is left out
//! ([`ids`]). Everything that is learned is forgotten with the pack. It takes ten times as long as the other form, and two
//! fifths of its room.
//!
//! All of it *is* the form: another constant reads other records. Packs that are kept as golden files say so.

mod clock;
mod coder;
mod columns;
mod ids;
mod json;
mod kind;
mod numbers;
mod texts;
mod tree;

use self::coder::{Chance, Coder, Reader, Writer};
use self::numbers::Sizes;
use self::tree::Tree;
use super::bytes::{Bytes, put};
use super::{Flaw, Making, Pack, RECORDS_MAX, TEXT_MAX};
use crate::evidence::Mark;
use crate::record::without_stamp;

pub(super) const VERSION: u8 = 2;

/// What is told of a record beside what stands in it.
#[derive(Debug)]
struct Heads {
    above: Sizes,
    stamped: Chance,
    raw: Chance,
    length: Sizes,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    above: i64,
    without_stamp: bool,
    hash: u8,
    raw: Option<i64>,
}

impl Heads {
    fn new() -> Self {
        let (above, length) = (Sizes::new(), Sizes::new());
        Self { above, stamped: Chance::EVEN, raw: Chance::EVEN, length }
    }

    fn code(&mut self, coder: &mut impl Coder, head: Head) -> Head {
        let above = self.above.number(coder, head.above);
        let without_stamp = coder.bit(&mut self.stamped, head.without_stamp);
        let [hash, ..] = coder.plain(8, u64::from(head.hash)).to_le_bytes();
        let raw = coder.bit(&mut self.raw, head.raw.is_some());
        let raw = raw.then(|| self.length.number(coder, head.raw.unwrap_or(0)));
        Head { above, without_stamp, hash, raw }
    }
}

/// As [`super::pack`]. `None`: they cannot be coded so.
pub(super) fn pack(before: Mark, records: &[(Mark, &[u8])]) -> Option<Vec<u8>> {
    let mut bytes = vec![VERSION];
    put(&mut bytes, records.len() as u64);
    let (mut tree, mut heads, mut last) = (Tree::new(Writer::behind(bytes)), Heads::new(), before);
    for (mark, body) in records {
        let open = without_stamp(body, &last.hash);
        // Without its stamp the brace that closes it is missing.
        let whole = open.map(|open| [open, b"}"].concat());
        let coded = whole.as_deref().unwrap_or(body);
        let short = ids::without(coded).and_then(|short| Some((json::spans(&short)?, short)));
        let head = Head {
            above: i64::try_from(mark.seq.checked_sub(last.seq.checked_add(1)?)?).ok()?,
            without_stamp: open.is_some(),
            hash: mark.hash[0],
            raw: if short.is_some() { None } else { Some(i64::try_from(coded.len()).ok()?) },
        };
        heads.code(&mut tree.coder, head);
        match short {
            Some((spans, short)) => drop(tree.record(&short, &spans).ok()?),
            None => drop(tree.raw(coded, coded.len()).ok()?),
        }
        last = *mark;
    }
    Some(tree.coder.finish())
}

/// As [`super::unpack`].
pub(super) fn unpack(before: Mark, pack: &[u8]) -> Result<Pack, Flaw> {
    let mut bytes = Bytes::new(pack);
    let count = bytes.size()?;
    if count > RECORDS_MAX {
        return Err(Flaw::Large);
    }
    let (mut tree, mut heads) = (Tree::new(Reader::new(bytes.rest())), Heads::new());
    let mut making = Making::after(before);
    let nothing = Head { above: 0, without_stamp: false, hash: 0, raw: None };
    for _ in 0..count {
        if tree.coder.is_over() {
            return Err(Flaw::Cut);
        }
        let head = heads.code(&mut tree.coder, nothing);
        let above = u64::try_from(head.above).map_err(|_| Flaw::Coded)?;
        making.add(above, head.hash, |text| {
            match head.raw {
                Some(length) => {
                    let length = usize::try_from(length).map_err(|_| Flaw::Coded)?;
                    let room = TEXT_MAX.saturating_sub(text.len());
                    if length > room {
                        return Err(Flaw::Large);
                    }
                    text.extend_from_slice(&tree.raw(b"", length)?);
                }
                None => ids::with(tree.record(b"", &[])?, text)?,
            }
            if head.without_stamp && text.pop() != Some(b'}') {
                return Err(Flaw::Coded);
            }
            Ok(head.without_stamp)
        })?;
    }
    if tree.coder.is_over() {
        return Err(Flaw::Cut);
    }
    if !tree.coder.is_at_end() {
        return Err(Flaw::Lengths);
    }
    Ok(making.made())
}

#[cfg(test)]
mod tests;
