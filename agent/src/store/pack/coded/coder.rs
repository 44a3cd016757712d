//! A binary range coder: a decision that was foreseen costs next to nothing, and one that nobody could foresee one bit.
//!
//! Who writes and who reads make the same decisions in the same order, and learn the same from each. So what is coded is written
//! down once, for both: who writes gives the decision, who reads is given it.

/// A decision is foreseen with so many bits.
const BITS: u32 = 16;

/// Where decisions go, or come from.
pub(super) trait Coder {
    /// Whether it writes.
    const WRITES: bool;

    /// One decision that is true with a chance of so many 65,536ths, which are neither none nor all.
    fn decide(&mut self, chance: u16, is: bool) -> bool;

    /// More was read than there is.
    fn is_over(&self) -> bool;

    /// One decision, by what is learned from those before it.
    fn bit(&mut self, chance: &mut Chance, is: bool) -> bool {
        let is = self.decide(chance.of, is);
        chance.learn(is);
        is
    }

    /// The lowest bits of a number, as they are.
    fn plain(&mut self, bits: u32, number: u64) -> u64 {
        (0..bits)
            .rev()
            .fold(0, |read, bit| read << 1 | u64::from(self.decide(Chance::EVEN.of, number >> bit & 1 == 1)))
    }

    /// A number below `N`, which is a power of two.
    fn symbol<const N: usize>(&mut self, chances: &mut [Chance; N], symbol: usize) -> usize {
        let mut node = 1;
        for bit in (0..N.trailing_zeros()).rev() {
            let Some(chance) = chances.get_mut(node) else { break };
            node = node << 1 | usize::from(self.bit(chance, symbol >> bit & 1 == 1));
        }
        node & (N - 1)
    }
}

/// How likely a decision is, learned from those before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance {
    of: u16,
    seen: u8,
}

impl Chance {
    pub(super) const EVEN: Self = Self { of: 1 << (BITS - 1), seen: 0 };
    /// Seldom true, before anything is known.
    pub(super) const SELDOM: Self = Self { of: 1 << (BITS - 3), seen: 1 };
    /// Neither none nor all.
    const LEAST: i32 = 24;
    /// After so many decisions each new one moves the chance as far as the one before it.
    const MEMORY: u8 = 60;

    /// In 65,536ths.
    pub(super) fn of(self) -> u16 {
        self.of
    }

    pub(super) fn learn(&mut self, is: bool) {
        let (now, all) = (i32::from(self.of), i32::from(u16::MAX));
        let next = if is { all } else { 0 };
        let moved = now + (next - now) * 2 / (i32::from(self.seen) * 2 + 3);
        self.of = u16::try_from(moved.clamp(Self::LEAST, all - Self::LEAST)).unwrap_or(Self::EVEN.of);
        self.seen = (self.seen + 1).min(Self::MEMORY);
    }
}

/// Where a decision divides the range.
fn middle(low: u32, high: u32, chance: u16) -> u32 {
    let part = (u64::from(high - low) * u64::from(chance)) >> BITS;
    low + u32::try_from(part).unwrap_or(0)
}

/// The first byte is the same at both ends of the range: it is decided.
fn is_decided(low: u32, high: u32) -> bool {
    (low ^ high) >> 24 == 0
}

/// Writes decisions.
#[derive(Debug)]
pub(super) struct Writer {
    low: u32,
    high: u32,
    bytes: Vec<u8>,
}

impl Writer {
    /// Behind what stands there.
    pub(super) fn behind(bytes: Vec<u8>) -> Self {
        Self { low: 0, high: u32::MAX, bytes }
    }

    /// All that was decided, in bytes.
    pub(super) fn finish(mut self) -> Vec<u8> {
        // One number between both ends is enough; zeros are read behind it.
        let last = self.low.to_be_bytes();
        let many = (1..4).find(|many| {
            let mut cut = [0; 4];
            cut.iter_mut().zip(self.high.to_be_bytes()).take(*many).for_each(|(to, from)| *to = from);
            (self.low..=self.high).contains(&u32::from_be_bytes(cut))
        });
        match many {
            Some(many) => self.bytes.extend(self.high.to_be_bytes().into_iter().take(many)),
            None => self.bytes.extend(last),
        }
        self.bytes
    }
}

impl Coder for Writer {
    const WRITES: bool = true;

    fn decide(&mut self, chance: u16, is: bool) -> bool {
        let middle = middle(self.low, self.high, chance);
        if is {
            self.high = middle;
        } else {
            self.low = middle + 1;
        }
        while is_decided(self.low, self.high) {
            let [first, ..] = self.high.to_be_bytes();
            self.bytes.push(first);
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
        }
        is
    }

    fn is_over(&self) -> bool {
        false
    }
}

/// Reads them again.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    low: u32,
    high: u32,
    at: u32,
    bytes: std::slice::Iter<'a, u8>,
    /// So many bytes were read behind the end.
    over: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut reader = Self { low: 0, high: u32::MAX, at: 0, bytes: bytes.iter(), over: 0 };
        (0..4).for_each(|_| reader.shift());
        reader
    }

    fn shift(&mut self) {
        let next = self.bytes.next();
        self.over = self.over.saturating_add(usize::from(next.is_none()));
        self.at = self.at << 8 | u32::from(next.copied().unwrap_or(0));
    }

    /// Nothing that was decided is left.
    pub(super) fn is_at_end(&self) -> bool {
        self.bytes.len() == 0
    }
}

impl Coder for Reader<'_> {
    const WRITES: bool = false;

    fn decide(&mut self, chance: u16, _: bool) -> bool {
        let middle = middle(self.low, self.high, chance);
        let is = self.at <= middle;
        if is {
            self.high = middle;
        } else {
            self.low = middle + 1;
        }
        while is_decided(self.low, self.high) {
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
            self.shift();
        }
        is
    }

    fn is_over(&self) -> bool {
        // The last number is four bytes at most, and is written with one at least.
        self.over > 4
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Codes bits, each by one of some chances, plain numbers and symbols.
    fn run<C: Coder>(coder: &mut C, script: &[(u8, u64)]) -> Vec<u64> {
        let mut chances = [Chance::EVEN; 16];
        let mut symbols = [Chance::SELDOM; 8];
        let each = script.iter().map(|(how, number)| match how % 4 {
            0 => coder.plain(u32::from(*how), *number),
            1 => coder.symbol(&mut symbols, usize::try_from(number % 8).unwrap()) as u64,
            _ => u64::from(coder.bit(&mut chances[usize::from(how / 16)], number % 5 == 0)),
        });
        each.collect()
    }

    proptest! {
        #[test]
        fn what_was_decided_is_read(script in prop::collection::vec((0..64_u8, 0..1_u64 << 60), 0..400)) {
            let mut writer = Writer::behind(b"before".to_vec());
            let decided = run(&mut writer, &script);
            let bytes = writer.finish();
            let mut reader = Reader::new(bytes.strip_prefix(b"before").unwrap());
            let nothing: Vec<(u8, u64)> = script.iter().map(|(how, _)| (*how, 0)).collect();
            prop_assert_eq!(run(&mut reader, &nothing), decided);
            prop_assert!(!reader.is_over() && reader.is_at_end());
        }
    }

    #[test]
    fn what_is_always_so_costs_nothing_and_the_end_is_noticed() {
        let (mut writer, mut chance) = (Writer::behind(Vec::new()), Chance::EVEN);
        (0..10_000).for_each(|_| assert!(writer.bit(&mut chance, true)));
        let bytes = writer.finish();
        assert!(bytes.len() < 10, "{}", bytes.len());
        let (mut reader, mut read) = (Reader::new(&bytes), 0);
        while !reader.is_over() {
            reader.plain(8, 0);
            read += 1;
        }
        assert!(read < 20);
    }
}
