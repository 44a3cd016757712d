//! A pack: many records that follow each other, in few bytes. There are two forms: one is made at once ([`pack`]), the other
//! when there is time for it ([`condense`], [`coded`]).
//!
//! ```text
//! version, 1 byte
//! deflated:
//!   number of records
//!   of each: how far its number is above the one expected
//!   of each: its length << 1 | whether it is without its stamp
//!   of each: the first byte of its hash
//!   the copies, all other bytes
//! ```
//!
//! Numbers are as [`bytes`] has them. Records lie one behind the other; what stands twice is a copy ([`copies`]). The hash before
//! it, which ends each record and which no compressor can shorten, is left out where it is the right one: it follows from
//! the records, and one byte of each hash is enough to find the first record that was changed.

mod bytes;
mod coded;
mod copies;

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use self::bytes::{Bytes, put};
use crate::evidence::Mark;
use crate::record::{put_stamp, without_stamp};

const VERSION: u8 = 1;
/// Most bytes of records in a pack.
pub(super) const TEXT_MAX: usize = 16 << 20;
/// Most records in a pack.
const RECORDS_MAX: usize = 1 << 16;
/// Most bytes that a pack is inflated to: no more are written for records of [`TEXT_MAX`] bytes.
const INFLATED_MAX: u64 = TEXT_MAX as u64 + (2 << 20);
/// Most bytes of records with their stamps.
const WHOLE_MAX: usize = TEXT_MAX + 80 * RECORDS_MAX;
/// A level higher takes a third more time for a hundredth of the bytes.
const LEVEL: u32 = 4;

/// What is wrong with a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Written by a later version.
    #[error("of version {0}")]
    Version(u8),
    /// It ends too early.
    #[error("cut off")]
    Cut,
    /// It cannot be inflated.
    #[error("no deflated bytes")]
    Deflate,
    /// Its lengths and numbers do not fit together.
    #[error("its lengths are not those of its records")]
    Lengths,
    /// What is coded in it are no records.
    #[error("no records are coded in it")]
    Coded,
    /// There is more in it than in any pack.
    #[error("more than may be in a pack")]
    Large,
}

/// The records of a pack.
#[derive(Debug)]
pub(super) struct Pack {
    text: Vec<u8>,
    places: Vec<Place>,
}

/// Where a record lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    mark: Mark,
    start: usize,
    end: usize,
    /// First byte of its hash, by the word of the pack.
    told: u8,
}

/// A record in a pack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<'a> {
    pub(super) mark: Mark,
    pub(super) body: &'a [u8],
    /// Whether its hash may be the one that it had when it was packed.
    pub(super) fits: bool,
}

impl Pack {
    /// Number of its bytes.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Its records in their order.
    pub(super) fn records(&self) -> impl DoubleEndedIterator<Item = Packed<'_>> {
        self.places.iter().map(|Place { mark, start, end, told }| {
            let body = self.text.get(*start..*end).unwrap_or_default();
            Packed { mark: *mark, body, fits: mark.hash[0] == *told }
        })
    }

    /// The record of a number.
    pub(super) fn record(&self, seq: u64) -> Option<Packed<'_>> {
        self.records().find(|record| record.mark.seq == seq)
    }

    /// Where the records stand after it.
    pub(super) fn end(&self) -> Option<Mark> {
        self.places.last().map(|place| place.mark)
    }
}

/// Packs records that follow `before`, with growing numbers; each with where the records stand after it.
pub(super) fn pack(before: Mark, records: &[(Mark, &[u8])]) -> std::io::Result<Vec<u8>> {
    let (mut numbers, mut lengths, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut text, mut last) = (Vec::new(), before);
    for (mark, body) in records {
        let (bytes, without) = match without_stamp(body, &last.hash) {
            Some(open) => (open, 1),
            None => (*body, 0),
        };
        put(&mut numbers, mark.seq.saturating_sub(last.seq.saturating_add(1)));
        put(&mut lengths, (bytes.len() as u64) << 1 | without);
        text.extend_from_slice(bytes);
        hashes.push(mark.hash[0]);
        last = *mark;
    }
    let (copies, rest) = copies::split(&text);
    let mut head = Vec::new();
    put(&mut head, records.len() as u64);
    head.extend([numbers, lengths, hashes].concat());
    let mut deflated = DeflateEncoder::new(vec![VERSION], Compression::new(LEVEL));
    deflated.write_all(&head)?;
    deflated.write_all(&copies)?;
    // Numbers and text have codes of their own: a fifteenth less.
    deflated.flush()?;
    deflated.write_all(&rest)?;
    deflated.finish()
}

/// Bytes that a pack could have in it, packed.
pub(super) fn deflated(plain: &[u8]) -> Vec<u8> {
    let mut deflated = DeflateEncoder::new(vec![VERSION], Compression::new(1));
    // A vector takes everything.
    let written = deflated.write_all(plain).and_then(|()| deflated.finish());
    written.unwrap_or_default()
}

/// Packs them in the form that takes less room and more time. `None`: they would not come back as they are.
pub(super) fn condense(before: Mark, records: &[(Mark, &[u8])]) -> Option<Vec<u8>> {
    let coded = coded::pack(before, records)?;
    let again = unpack(before, &coded).ok()?;
    let same = again.records().map(|record| (record.mark, record.body)).eq(records.iter().copied());
    same.then_some(coded)
}

/// The records of a pack after `before`. Whether they are those that were packed, hashes have to say.
pub(super) fn unpack(before: Mark, pack: &[u8]) -> Result<Pack, Flaw> {
    match pack.split_first() {
        Some((&VERSION, deflated)) => inflate(before, deflated),
        Some((&coded::VERSION, coded)) => coded::unpack(before, coded),
        Some((version, _)) => Err(Flaw::Version(*version)),
        None => Err(Flaw::Cut),
    }
}

fn inflate(before: Mark, deflated: &[u8]) -> Result<Pack, Flaw> {
    let mut plain = Vec::new();
    let read = DeflateDecoder::new(deflated).take(INFLATED_MAX + 1).read_to_end(&mut plain);
    read.map_err(|_| Flaw::Deflate)?;
    if plain.len() as u64 > INFLATED_MAX {
        return Err(Flaw::Large);
    }
    let mut bytes = Bytes::new(&plain);
    let count = bytes.size()?;
    if count > RECORDS_MAX {
        return Err(Flaw::Large);
    }
    let (numbers, lengths, hashes) = (bytes.sizes(count)?, bytes.sizes(count)?, bytes.take(count)?);
    let total = lengths.iter().try_fold(0_usize, |sum, length| sum.checked_add(length >> 1));
    let total = total.filter(|total| *total <= TEXT_MAX).ok_or(Flaw::Large)?;
    let text = copies::join(bytes, total)?;
    let (mut text, mut making) = (text.as_slice(), Making::after(before));
    for ((above, length), told) in numbers.into_iter().zip(lengths).zip(hashes) {
        let (body, rest) = text.split_at_checked(length >> 1).ok_or(Flaw::Lengths)?;
        text = rest;
        making.add(above as u64, *told, |whole| {
            whole.extend_from_slice(body);
            Ok(length & 1 == 1)
        })?;
    }
    Ok(making.made())
}

/// A pack whose records are read one after the other.
#[derive(Debug)]
struct Making {
    last: Mark,
    pack: Pack,
}

impl Making {
    fn after(before: Mark) -> Self {
        Self { last: before, pack: Pack { text: Vec::new(), places: Vec::new() } }
    }

    /// The next record, which `body` writes behind those before it; and whether its stamp is to be put back.
    fn add(
        &mut self,
        above: u64,
        told: u8,
        body: impl FnOnce(&mut Vec<u8>) -> Result<bool, Flaw>,
    ) -> Result<(), Flaw> {
        let Pack { text, places } = &mut self.pack;
        let start = text.len();
        if body(text)? {
            put_stamp(text, &self.last.hash);
        }
        if text.len() > WHOLE_MAX {
            return Err(Flaw::Large);
        }
        let seq =
            self.last.seq.checked_add(1).and_then(|next| next.checked_add(above)).ok_or(Flaw::Lengths)?;
        self.last = self.last.then(seq, text.get(start..).unwrap_or_default());
        places.push(Place { mark: self.last, start, end: text.len(), told });
        Ok(())
    }

    fn made(self) -> Pack {
        self.pack
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::stamp;

    /// Records after `before`, some with a stamp, some of another record's, some with none.
    fn records(before: Mark, bodies: &[(u8, Vec<u8>, u64)]) -> Vec<(u64, Vec<u8>)> {
        let mut last = before;
        let mut made = Vec::new();
        for (how, body, above) in bodies {
            let object = [b"{\"a\":\"", body.as_slice(), b"\"}"].concat();
            let body = match how {
                0 => body.clone(),
                1 => stamp(&object, &[7; 32]),
                _ => stamp(&object, &last.hash),
            };
            last = last.then(last.seq + 1 + above, &body);
            made.push((last.seq, body));
        }
        made
    }

    /// In both forms.
    fn packed(before: Mark, records: &[(u64, Vec<u8>)]) -> [Vec<u8>; 2] {
        let mut last = before;
        let records: Vec<(Mark, &[u8])> = records
            .iter()
            .map(|(seq, body)| {
                last = last.then(*seq, body);
                (last, body.as_slice())
            })
            .collect();
        [pack(before, &records).unwrap(), condense(before, &records).unwrap()]
    }

    proptest! {
        #[test]
        fn records_come_back_byte_for_byte(
            start in 0..1_000_u64, hash: [u8; 32],
            bodies in prop::collection::vec((0..6_u8, prop::collection::vec(any::<u8>(), 0..300), 0..3_u64), 0..40),
        ) {
            let before = Mark { seq: start, hash };
            let records = records(before, &bodies);
            for packed in packed(before, &records) {
                let unpacked = unpack(before, &packed).unwrap();
                let back: Vec<(u64, Vec<u8>)> =
                    unpacked.records().map(|record| (record.mark.seq, record.body.to_vec())).collect();
                prop_assert_eq!(&back, &records);
                prop_assert!(unpacked.records().all(|record| record.fits));
                let end = records.iter().fold(before, |last, (seq, body)| last.then(*seq, body));
                prop_assert_eq!(unpacked.end().unwrap_or(before), end);
            }
        }

        #[test]
        fn what_is_cut_or_changed_is_refused_or_does_not_fit(at: prop::sample::Index, bit in 0..8_u8, cut: bool, form in 0..2_usize) {
            let before = Mark { seq: 9, hash: [1; 32] };
            let bodies: Vec<_> = (0..60_u8).map(|n| (2, vec![b'x'; 20 + usize::from(n)], 0)).collect();
            let records = records(before, &bodies);
            let mut bytes = packed(before, &records)[form].clone();
            let end = unpack(before, &bytes).unwrap().end();
            let at = at.index(bytes.len());
            if cut {
                bytes.truncate(at);
            } else {
                bytes[at] ^= 1 << bit;
            }
            if let Ok(changed) = unpack(before, &bytes) {
                let same = changed.records().map(|record| record.body.to_vec()).eq(records.into_iter().map(|(_, body)| body));
                prop_assert!(same || changed.end() != end);
            }
        }

        #[test]
        fn whatever_it_is_it_is_endured(bytes: Vec<u8>, count: u8) {
            let _ = unpack(Mark::NONE, &bytes);
            let _ = unpack(Mark::NONE, &deflated(&bytes));
            let _ = unpack(Mark::NONE, &[&[VERSION], bytes.as_slice()].concat());
            let _ = unpack(Mark::NONE, &[&[coded::VERSION, count], bytes.as_slice()].concat());
        }
    }

    fn flaw(numbers: &[u64], rest: &[u8]) -> Flaw {
        let mut plain = Vec::new();
        numbers.iter().for_each(|number| put(&mut plain, *number));
        unpack(Mark::NONE, &deflated(&[&plain, rest].concat())).unwrap_err()
    }

    #[test]
    fn a_pack_that_lies_is_refused_before_it_costs_anything() {
        let is = |bytes: &[u8]| unpack(Mark::NONE, bytes).unwrap_err();
        assert_eq!(is(b""), Flaw::Cut);
        assert_eq!(is(&[3, 3, 0]), Flaw::Version(3));
        assert_eq!(is(&[1, 0xff, 0xff]), Flaw::Deflate);
        assert_eq!(flaw(&[1 << 40], b""), Flaw::Large);
        assert_eq!(flaw(&[9], b"too few"), Flaw::Cut);
        // One record that says how long it is: 16 MiB, and one more; none of it is there.
        let text = TEXT_MAX as u64;
        assert_eq!(flaw(&[1, 0, (text + 1) << 1], b"h\0"), Flaw::Large);
        assert_eq!(flaw(&[1, 0, text << 1], b"h\0"), Flaw::Lengths);
        assert_eq!(flaw(&[1, 0, u64::MAX], b"h\0"), Flaw::Large);
        // A copy of what is not there, of nothing, and of more than there may be.
        assert_eq!(flaw(&[1, 0, 8, 7, 1, 1, 3, 2], b"x"), Flaw::Lengths);
        assert_eq!(flaw(&[1, 0, 8, 7, 1, 1, 3, 0], b"x"), Flaw::Lengths);
        assert_eq!(flaw(&[1, 0, 8, 7, 1, 1, 4, 1], b"x"), Flaw::Lengths);
        // Zeros without end.
        let zeros = vec![0; usize::try_from(INFLATED_MAX).unwrap() + 1];
        assert_eq!(flaw(&[1, 0, 8], &zeros), Flaw::Large);
    }
}
