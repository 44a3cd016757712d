//! Texts that stand in a pack for the first time, byte after byte. Each bit is foreseen by what followed the last byte, the last
//! two, and the last that were the same; the more often one of these was right, the more it counts.

use super::coder::{Chance, Coder};

/// What followed the last byte, and the last two.
const ORDERS: usize = 2;
const GUESSES: usize = ORDERS + 1;
/// Chances of each, by a hash of what stood before.
const CHANCES: usize = 1 << 16;
/// So many bytes that are the same are looked for.
const ALIKE: usize = 4;
/// At most so many before are compared.
const ALIKE_MAX: usize = 32;
/// By a hash of these bytes, where they stood last.
const PLACES: usize = 1 << 12;
/// Longer ones are trusted as these.
const TRUST: usize = 16;
/// Weights, in 65,536ths, and how fast they are learned.
const WEIGHT: i32 = 20 << 10;
const WEIGHT_MAX: i32 = 1 << 19;
const RATE: i32 = 6;
/// ln(p / (1 - p)) goes from minus this to this, in 256ths.
const STRETCHED_MAX: i32 = 2_047;
/// Probabilities here are of so many.
const ALL: i32 = 4_096;

/// What is known from the texts so far.
#[derive(Debug)]
pub(super) struct Texts {
    seen: Vec<u8>,
    orders: Vec<[Chance; ORDERS]>,
    /// By how many bytes were the same.
    alike: [Chance; TRUST],
    places: Vec<u32>,
    /// Where it goes on as before, and for how many bytes it has.
    ahead: (usize, usize),
    /// By how many bytes were the same; the first where none were.
    weights: [[i32; GUESSES]; TRUST + 1],
    stretched: Vec<i16>,
}

/// Where to look and what is expected, for one bit.
struct Place {
    slots: [usize; ORDERS],
    /// What stood where it was the same.
    says: Option<bool>,
}

impl Texts {
    pub(super) fn new() -> Self {
        Self {
            seen: Vec::new(),
            orders: vec![[Chance::EVEN; ORDERS]; CHANCES],
            alike: [Chance::EVEN; TRUST],
            places: vec![0; PLACES],
            ahead: (0, 0),
            weights: [[WEIGHT; GUESSES]; TRUST + 1],
            stretched: stretched(),
        }
    }

    /// One byte of a text of some kind.
    pub(super) fn byte(&mut self, coder: &mut impl Coder, kind: u64, byte: u8) -> u8 {
        let contexts = self.contexts(kind);
        let guess = self.seen.get(self.ahead.0).copied().filter(|_| self.ahead.1 > 0).map(u64::from);
        let mut node = 1_u64;
        for bit in (0..8).rev() {
            // What stood there before says something as long as it was right in this byte.
            let says = guess.filter(|guess| (guess | 0x100) >> (bit + 1) == node);
            let says = says.map(|guess| guess >> bit & 1 == 1);
            let place = Place { slots: slots(contexts, node), says };
            let is = self.bit(coder, &place, byte >> bit & 1 == 1);
            node = node << 1 | u64::from(is);
        }
        let [byte, ..] = node.to_le_bytes();
        self.add(byte);
        byte
    }

    fn contexts(&self, kind: u64) -> [u64; ORDERS] {
        let mut last = self.seen.iter().rev().map(|byte| u64::from(*byte) + 1);
        let one = last.next().unwrap_or(0);
        let two = last.next().unwrap_or(0);
        [one | kind << 9, one << 9 | two | 1 << 18]
    }

    fn bit(&mut self, coder: &mut impl Coder, place: &Place, is: bool) -> bool {
        let trust = self.ahead.1.min(TRUST - 1);
        let inputs = self.inputs(place, trust);
        let set = place.says.map_or(0, |_| trust + 1);
        let weights = self.weights.get(set).copied().unwrap_or([WEIGHT; GUESSES]);
        let sum: i32 = weights.iter().zip(&inputs).map(|(weight, input)| (weight * input) >> 8).sum();
        let foreseen = squash(sum >> 8);
        let chance = u16::try_from(foreseen << 4).unwrap_or(Chance::EVEN.of());
        let is = coder.decide(chance, is);
        let missed = (if is { ALL - 1 } else { 0 }) - foreseen;
        if let Some(weights) = self.weights.get_mut(set) {
            for (weight, input) in weights.iter_mut().zip(&inputs) {
                *weight = (*weight + ((input * missed * RATE) >> 10)).clamp(-WEIGHT_MAX, WEIGHT_MAX);
            }
        }
        for (order, slot) in place.slots.iter().enumerate() {
            if let Some(chance) = self.orders.get_mut(*slot).and_then(|chances| chances.get_mut(order)) {
                chance.learn(is);
            }
        }
        if let Some((says, chance)) = place.says.zip(self.alike.get_mut(trust)) {
            chance.learn(says == is);
        }
        is
    }

    /// What each guess says, from surely not to surely.
    fn inputs(&self, place: &Place, trust: usize) -> [i32; GUESSES] {
        let stretched = |chance: Option<&Chance>| {
            let at = chance.map_or(0, |chance| usize::from(chance.of() >> 4));
            self.stretched.get(at).copied().map_or(0, i32::from)
        };
        let order = |order: usize| {
            let chances = place.slots.get(order).and_then(|slot| self.orders.get(*slot));
            stretched(chances.and_then(|chances| chances.get(order)))
        };
        let alike = place.says.map_or(0, |says| {
            let sure = stretched(self.alike.get(trust));
            if says { sure } else { -sure }
        });
        [order(0), order(1), alike]
    }

    fn add(&mut self, byte: u8) {
        let (at, many) = self.ahead;
        let goes_on = many > 0 && self.seen.get(at) == Some(&byte);
        self.ahead = if goes_on { (at + 1, many + 1) } else { (0, 0) };
        self.seen.push(byte);
        let Some(last) = self.seen.last_chunk::<ALIKE>() else { return };
        let slot = hash(u64::from(u32::from_le_bytes(*last))) & (PLACES - 1);
        let Some(place) = self.places.get_mut(slot) else { return };
        let before = usize::try_from(*place).unwrap_or(0);
        *place = u32::try_from(self.seen.len()).unwrap_or(0);
        if self.ahead.1 == 0 {
            let (head, tail) = (self.seen.get(..before).unwrap_or_default(), &self.seen);
            let pairs = head.iter().rev().zip(tail.iter().rev()).take(ALIKE_MAX);
            let same = pairs.take_while(|(one, other)| one == other).count();
            if same >= ALIKE {
                self.ahead = (before, same);
            }
        }
    }
}

fn hash(of: u64) -> usize {
    usize::try_from(of.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40).unwrap_or(0)
}

/// Where the chances of a bit are, by what stood before it and the bits of its byte so far.
fn slots(contexts: [u64; ORDERS], node: u64) -> [usize; ORDERS] {
    contexts.map(|context| hash((context ^ node << 50).wrapping_mul(0xd6e8_feb8_6659_fd93)) & (CHANCES - 1))
}

/// The probability of ln(p / (1 - p)), between lines that join these.
fn squash(stretched: i32) -> i32 {
    const AT: [i32; 33] = [
        1, 2, 3, 6, 10, 16, 27, 45, 73, 120, 194, 310, 488, 747, 1101, 1546, 2047, 2549, 2994, 3348, 3607,
        3785, 3901, 3975, 4022, 4050, 4068, 4079, 4085, 4089, 4092, 4093, 4094,
    ];
    let of = stretched.clamp(-STRETCHED_MAX, STRETCHED_MAX) + STRETCHED_MAX + 1;
    let (at, part) = (usize::try_from(of >> 7).unwrap_or(0), of & 127);
    let (one, other) = (AT.get(at).copied().unwrap_or(0), AT.get(at + 1).copied().unwrap_or(0));
    ((one * (128 - part) + other * part + 64) >> 7).clamp(1, ALL - 2)
}

/// The other way round.
fn stretched() -> Vec<i16> {
    let mut table = Vec::with_capacity(4_096);
    for of in -STRETCHED_MAX..=STRETCHED_MAX {
        let until = usize::try_from(squash(of)).unwrap_or(0);
        while table.len() <= until {
            table.push(i16::try_from(of).unwrap_or(0));
        }
    }
    table.resize(4_096, i16::try_from(STRETCHED_MAX).unwrap_or(0));
    table
}

#[cfg(test)]
mod tests {
    use super::super::coder::{Reader, Writer};
    use super::*;

    fn coded(texts: &[&[u8]]) -> Vec<u8> {
        let (mut writer, mut model) = (Writer::behind(Vec::new()), Texts::new());
        for (kind, text) in (0..).zip(texts) {
            text.iter().for_each(|byte| assert_eq!(model.byte(&mut writer, kind % 2, *byte), *byte));
        }
        let bytes = writer.finish();
        let (mut reader, mut model) = (Reader::new(&bytes), Texts::new());
        for (kind, text) in (0..).zip(texts) {
            let read: Vec<u8> = text.iter().map(|_| model.byte(&mut reader, kind % 2, 0)).collect();
            assert_eq!(read, *text);
        }
        bytes
    }

    #[test]
    fn texts_come_back_and_what_stood_before_costs_little() {
        let noise: Vec<u8> = (0..2_000_u32).map(|at| blake3::hash(&at.to_le_bytes()).as_bytes()[0]).collect();
        let once = coded(&[&noise]).len();
        assert!(once > 1_900 && once < 2_200, "{once}");
        assert!(coded(&[&noise, &noise]).len() < once + 40);
        let path = b"/usr/lib/systemd/systemd-journald";
        let some = coded(&[path.as_slice(); 50]).len();
        // A quarter of them: the first four bytes are not seen to be the same as before.
        assert!(some < 50 * path.len() / 3, "{some}");
        assert_eq!(coded(&[b""]).len(), 1);
    }

    #[test]
    fn what_is_squashed_is_stretched_again() {
        let table = stretched();
        assert_eq!(table.len(), 4_096);
        for of in (-STRETCHED_MAX..=STRETCHED_MAX).step_by(9) {
            let again = i32::from(table[usize::try_from(squash(of)).unwrap()]);
            assert!((squash(again) - squash(of)).abs() <= 1, "{of}: {again}");
        }
    }
}
