//! What stands in a text a second time, far behind: records of a host are much alike, and a deflated stream looks back over
//! 32 KiB only, which is some twenty records. So long repetitions become *copies* first, over the whole text, and what is left
//! of it is deflated.

use super::Flaw;
use super::bytes::{Bytes, put};

/// So many bytes that are the same are looked for.
const WINDOW: usize = 64;
/// At every so many bytes of the text one window is remembered. What is found is made longer to both sides.
const STEP: usize = 16;
/// Most windows that are remembered.
const TABLE_MAX: usize = 1 << 16;
const TABLE_MIN: usize = 1 << 8;
/// No window was remembered there.
const NOTHING: u32 = u32::MAX;

/// The copies of a text, each as how many bytes before it are none, its length, and how far behind the same stands, in three
/// columns behind their number; and all bytes that are no copies. Of a text of at most 4 GiB.
pub(super) fn split(text: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut count, mut columns, mut rest) = (0, [const { Vec::new() }; 3], Vec::new());
    let mut seen = vec![NOTHING; (text.len() / STEP).next_power_of_two().clamp(TABLE_MIN, TABLE_MAX)];
    // Up to here all is written down.
    let mut done = 0;
    let mut at = 0;
    while let Some(place) = slot(text, at, seen.len()) {
        let before = Some(seen[place]).filter(|before| *before != NOTHING).map(|before| before as usize);
        if at.is_multiple_of(STEP) {
            seen[place] = u32::try_from(at).unwrap_or(NOTHING);
        }
        let found = before.map_or(0, |before| alike(&text[before..], &text[at..]));
        let Some(before) = before.filter(|_| found >= WINDOW) else {
            at += 1;
            continue;
        };
        let back = alike_before(&text[..before], &text[done..at]);
        let (from, start, length) = (before - back, at - back, back + found);
        rest.extend_from_slice(&text[done..start]);
        for (column, number) in columns.iter_mut().zip([start - done, length, start - from]) {
            put(column, number as u64);
        }
        count += 1;
        done = start + length;
        remember(text, at + 1, done, &mut seen);
        at = done;
    }
    rest.extend_from_slice(&text[done..]);
    let mut copies = Vec::new();
    put(&mut copies, count);
    copies.extend(columns.concat());
    (copies, rest)
}

fn remember(text: &[u8], from: usize, to: usize, seen: &mut [u32]) {
    for at in (from.next_multiple_of(STEP)..to).step_by(STEP) {
        if let Some(place) = slot(text, at, seen.len()) {
            seen[place] = u32::try_from(at).unwrap_or(NOTHING);
        }
    }
}

/// Where the window there is remembered, in a table of so many places (a power of two).
fn slot(text: &[u8], at: usize, places: usize) -> Option<usize> {
    let window: &[u8; WINDOW] = text.get(at..)?.first_chunk()?;
    let mut hash = 0_u64;
    for part in window.as_chunks::<8>().0 {
        hash = (hash ^ u64::from_le_bytes(*part)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
    }
    usize::try_from(hash >> 32).ok().map(|hash| hash & (places - 1))
}

/// How many bytes are the same.
fn alike(one: &[u8], other: &[u8]) -> usize {
    let (ones, others) = (one.as_chunks::<8>().0, other.as_chunks::<8>().0);
    let chunks = ones.iter().zip(others).take_while(|(one, other)| one == other).count() * 8;
    chunks + one[chunks..].iter().zip(&other[chunks..]).take_while(|(one, other)| one == other).count()
}

/// How many bytes are the same from behind.
fn alike_before(one: &[u8], other: &[u8]) -> usize {
    one.iter().rev().zip(other.iter().rev()).take_while(|(one, other)| one == other).count()
}

/// The text of so many bytes again, out of copies and the bytes behind them.
pub(super) fn join(mut bytes: Bytes<'_>, length: usize) -> Result<Vec<u8>, Flaw> {
    let count = bytes.size()?;
    let (plains, lengths, backs) = (bytes.sizes(count)?, bytes.sizes(count)?, bytes.sizes(count)?);
    let mut text = Vec::with_capacity(length);
    for ((plain, many), back) in plains.into_iter().zip(lengths).zip(backs) {
        text.extend_from_slice(bytes.take(plain)?);
        let from = text.len().checked_sub(back).ok_or(Flaw::Lengths)?;
        if back == 0 || many > length.saturating_sub(text.len()) {
            return Err(Flaw::Lengths);
        }
        // What is copied may reach into what comes of it.
        let end = text.len() + many;
        while text.len() < end {
            let part = (end - text.len()).min(text.len() - from);
            text.extend_from_within(from..from + part);
        }
    }
    text.extend_from_slice(bytes.rest());
    if text.len() == length { Ok(text) } else { Err(Flaw::Lengths) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn again(text: &[u8]) -> usize {
        let (copies, rest) = split(text);
        let both = [copies, rest].concat();
        assert_eq!(join(Bytes::new(&both), text.len()).unwrap(), text);
        assert!(join(Bytes::new(&both), text.len() + 1).is_err());
        both.len()
    }

    proptest! {
        #[test]
        fn a_text_of_repetitions_comes_back(parts in prop::collection::vec((0..6_usize, 0..200_usize), 0..60)) {
            let sources: Vec<Vec<u8>> = (0..6_u8).map(|of| (0..200_u8).map(|at| at.wrapping_mul(of + 3) ^ of).collect()).collect();
            let text: Vec<u8> = parts.iter().flat_map(|(of, many)| sources[*of][..*many].to_vec()).collect();
            again(&text);
        }

        #[test]
        fn what_are_no_copies_is_refused(bytes: Vec<u8>, length in 0..5_000_usize) {
            if let Ok(text) = join(Bytes::new(&bytes), length) {
                prop_assert_eq!(text.len(), length);
            }
        }
    }

    #[test]
    fn repetitions_far_behind_are_found_and_long_ones_cost_nothing() {
        let record: Vec<u8> = (0..2_000_u32).map(|at| (at.wrapping_mul(at) >> 3).to_le_bytes()[0]).collect();
        let other: Vec<u8> =
            (0..90_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
        assert!(again(&[&record[..], &other, &record].concat()) < record.len() + other.len() + 50);
        assert!(again(&[7; 100_000]) < 80);
        assert_eq!(again(b""), 1);
    }
}
