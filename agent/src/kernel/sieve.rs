//! The table of bits by which probes know most files for no credentials: kept so that it has a bit for every rule there is, and
//! as few others as may be.

use aya::maps::{Array, MapData};
use spoor_wire::rule::SIEVE_WORDS;

use super::pod::AsPod;

/// Word and bit.
pub(super) type Bit = (u32, u64);

/// The table, and what is in it.
pub(super) struct Sieve {
    map: Array<MapData, AsPod<Table>>,
    words: Words,
}

/// As the kernel has it.
pub(super) type Table = [u64; SIEVE_WORDS as usize];

/// As it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Words(Box<Table>);

impl Words {
    fn none() -> Self {
        Words(Box::new([0; SIEVE_WORDS as usize]))
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
    pub(super) fn new(map: Array<MapData, AsPod<Table>>) -> Self {
        Sieve { map, words: Words::none() }
    }

    /// Adds bits: before the rules they stand for are there. Gives how many words of them could not be.
    pub(super) fn raise(&mut self, bits: impl IntoIterator<Item = Bit>) -> u64 {
        let mut wanted = Words::of(bits);
        for (word, had) in wanted.0.iter_mut().zip(self.words.0.iter()) {
            *word |= had;
        }
        self.write(wanted)
    }

    /// Leaves these bits and no others: when the rules that others stood for are gone.
    pub(super) fn settle(&mut self, bits: impl IntoIterator<Item = Bit>) -> u64 {
        self.write(Words::of(bits))
    }

    fn write(&mut self, wanted: Words) -> u64 {
        let others = wanted.0.iter().zip(self.words.0.iter()).filter(|(word, had)| word != had).count();
        if others == 0 {
            return 0;
        }
        match self.map.set(0, AsPod(*wanted.0), 0) {
            Ok(()) => {
                self.words = wanted;
                0
            }
            Err(_) => others as u64,
        }
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
