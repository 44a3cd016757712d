//! The table of bits by which probes know most files for no credentials: kept so that it has a bit for every rule there is, and
//! as few others as may be.

use aya::maps::{Array, MapData};
use spoor_wire::rule::SIEVE_WORDS;

/// Word and bit.
pub(super) type Bit = (u32, u64);

/// The table, and what is in it.
pub(super) struct Sieve {
    map: Array<MapData, u64>,
    words: Words,
}

/// As it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Words(Vec<u64>);

impl Words {
    fn none() -> Self {
        Words(vec![0; SIEVE_WORDS as usize])
    }

    fn of(bits: impl IntoIterator<Item = Bit>) -> Self {
        let mut words = Self::none();
        for (word, bit) in bits {
            if let Some(word) = words.0.get_mut(word as usize) {
                *word |= bit;
            }
        }
        words
    }
}

impl Sieve {
    pub(super) fn new(map: Array<MapData, u64>) -> Self {
        Sieve { map, words: Words::none() }
    }

    /// Adds bits: before the rules they stand for are there. Gives how many could not be.
    pub(super) fn raise(&mut self, bits: impl IntoIterator<Item = Bit>) -> u64 {
        let mut wanted = Words::of(bits);
        for (word, had) in wanted.0.iter_mut().zip(&self.words.0) {
            *word |= had;
        }
        self.write(wanted)
    }

    /// Leaves these bits and no others: when the rules that others stood for are gone.
    pub(super) fn settle(&mut self, bits: impl IntoIterator<Item = Bit>) -> u64 {
        self.write(Words::of(bits))
    }

    fn write(&mut self, wanted: Words) -> u64 {
        let mut refused = 0;
        for (index, (had, word)) in (0..).zip(self.words.0.iter_mut().zip(wanted.0)) {
            if *had == word {
                continue;
            }
            match self.map.set(index, word, 0) {
                Ok(()) => *had = word,
                Err(_) => refused += 1,
            }
        }
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_together_in_their_words() {
        let words = Words::of([(3, 1), (3, 4), (SIEVE_WORDS - 1, 1 << 63), (SIEVE_WORDS, 1)]);
        assert_eq!((words.0[3], words.0[SIEVE_WORDS as usize - 1]), (5, 1 << 63));
        assert_eq!(words.0.iter().map(|word| word.count_ones()).sum::<u32>(), 3, "and none elsewhere");
    }
}
