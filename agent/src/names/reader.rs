//! Numbers and runs of bytes from the front of what a stranger sent. [`None`]: it ends before that.

/// What is left to read, and where that is in the whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    whole: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(whole: &'a [u8]) -> Self {
        Self { whole, at: 0 }
    }

    /// The same bytes, read from another place.
    pub(super) const fn from(self, at: usize) -> Self {
        Self { at, ..self }
    }

    pub(super) const fn at(self) -> usize {
        self.at
    }

    pub(super) fn is_empty(self) -> bool {
        self.at >= self.whole.len()
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.whole.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    /// As much of it as there is.
    pub(super) fn take_up_to(&mut self, length: usize) -> &'a [u8] {
        let rest = self.whole.get(self.at..).unwrap_or_default();
        let taken = rest.get(..length).unwrap_or(rest);
        self.at += taken.len();
        taken
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }
}
