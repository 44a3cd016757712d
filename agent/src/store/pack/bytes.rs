//! Numbers in bytes, as [`varint`](crate::varint) writes them.

use super::Flaw;
pub(super) use crate::varint::put;

/// Bytes that are read from their beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// All that is left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }

    /// The next bytes.
    pub(super) fn take(&mut self, many: usize) -> Result<&'a [u8], Flaw> {
        let (head, tail) = self.0.split_at_checked(many).ok_or(Flaw::Cut)?;
        self.0 = tail;
        Ok(head)
    }

    /// The next number.
    pub(super) fn number(&mut self) -> Result<u64, Flaw> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = *self.take(1)? else { return Err(Flaw::Cut) };
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(Flaw::Lengths);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Flaw::Lengths)
    }

    /// The next number, of bytes.
    pub(super) fn size(&mut self) -> Result<usize, Flaw> {
        usize::try_from(self.number()?).map_err(|_| Flaw::Lengths)
    }

    /// So many of them. Each takes a byte at least.
    pub(super) fn sizes(&mut self, count: usize) -> Result<Vec<usize>, Flaw> {
        if count > self.0.len() {
            return Err(Flaw::Cut);
        }
        (0..count).map(|_| self.size()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_what_is_none_is_refused() {
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX];
        let mut bytes = Vec::new();
        numbers.iter().for_each(|number| put(&mut bytes, *number));
        let mut read = Bytes::new(&bytes);
        assert_eq!(numbers.map(|_| read.number().unwrap()), numbers);
        assert!(read.rest().is_empty());
        assert_eq!(read.number(), Err(Flaw::Cut));
        assert_eq!(Bytes::new(&[0x80]).number(), Err(Flaw::Cut));
        assert_eq!(Bytes::new(&[0xff; 12]).number(), Err(Flaw::Lengths));
        let above = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(Bytes::new(&above).number(), Err(Flaw::Lengths));
    }
}
