//! By what the rows of a running agent are known again when they are packed: a seal over each, made when it was stored.
//!
//! That a row is as it was stored is what packing asks, and a hash that only this process can make answers that for a tenth of
//! what the chain of hashes does. Where there is no seal, or another, the chain of hashes is asked.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use crate::evidence::Mark;

/// Most rows that are kept in mind; packing is never that far behind but where it has stopped.
const MAX: usize = 8_192;

/// All that a row says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) mark: Mark,
    pub(super) time_ns: i64,
    pub(super) kind: &'a str,
    pub(super) chain: Option<&'a str>,
    pub(super) body: &'a [u8],
}

/// Number and seal.
pub(super) type Seal = (u64, u64);

/// The seals of the rows of one file that are not packed yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Seals {
    /// Of this process alone.
    keys: RandomState,
    rows: VecDeque<Seal>,
}

impl Seals {
    /// The seal of a row.
    pub(super) fn of(&self, row: &Row<'_>) -> Seal {
        let mut hasher = self.keys.build_hasher();
        hasher.write_u64(row.mark.seq);
        hasher.write(&row.mark.hash);
        hasher.write_i64(row.time_ns);
        // Each with its length, so that no byte goes from one to the other.
        for part in [Some(row.kind.as_bytes()), row.chain.map(str::as_bytes), Some(row.body)] {
            hasher.write_u64(part.map_or(u64::MAX, |part| part.len() as u64));
            hasher.write(part.unwrap_or_default());
        }
        (row.mark.seq, hasher.finish())
    }

    /// These are stored.
    pub(super) fn stored(&mut self, seals: Vec<Seal>) {
        self.rows.extend(seals);
        let over = self.rows.len().saturating_sub(MAX);
        self.rows.drain(..over);
    }

    /// All up to a number are packed.
    pub(super) fn packed(&mut self, last: u64) {
        let packed = self.rows.partition_point(|(seq, _)| *seq <= last);
        self.rows.drain(..packed);
    }

    /// Another file is written to from now on.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
    }

    /// Whether the `place`th of the rows that are not packed is this one, as it was stored.
    pub(super) fn know(&self, place: usize, row: &Row<'_>) -> bool {
        self.rows.get(place).is_some_and(|seal| *seal == self.of(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'a>(seq: u64, chain: Option<&'a str>, body: &'a [u8]) -> Row<'a> {
        Row { mark: Mark::NONE.then(seq, body), time_ns: 7, kind: "action", chain, body }
    }

    #[test]
    fn a_row_is_known_in_its_place_as_it_was_and_not_otherwise() {
        let mut seals = Seals::default();
        let rows = [row(3, Some("a"), b"x"), row(5, None, b"y"), row(6, Some(""), b"z")];
        seals.stored(rows.iter().map(|row| seals.of(row)).collect());
        assert!(rows.iter().enumerate().all(|(place, row)| seals.know(place, row)));
        assert!(!seals.know(1, &rows[2]), "one before it is missing");
        let was = rows[1];
        for other in [
            Row { mark: Mark { seq: 4, ..was.mark }, ..was },
            Row { mark: Mark { hash: [1; 32], ..was.mark }, ..was },
            Row { time_ns: 8, ..was },
            Row { kind: "actio", ..was },
            Row { chain: Some(""), ..was },
            Row { chain: Some("y"), body: b"", ..was },
            Row { body: b"Y", ..was },
        ] {
            assert!(!seals.know(1, &other), "{other:?}");
        }
        seals.packed(4);
        assert!(seals.know(0, &was) && !seals.know(2, &rows[2]));
        seals.clear();
        assert!(!seals.know(0, &was));
    }

    #[test]
    fn no_more_are_kept_in_mind_than_there_is_room_for() {
        let mut seals = Seals::default();
        for seq in 0..MAX as u64 + 10 {
            seals.stored(vec![(seq, seq)]);
        }
        assert_eq!((seals.rows.len(), seals.rows.front()), (MAX, Some(&(10, 10))));
    }

    #[test]
    fn another_process_makes_other_seals() {
        let row = row(1, None, b"{}");
        assert_ne!(Seals::default().of(&row), Seals::default().of(&row));
    }
}
