//! What a parser found to be secret: kept until its fingerprint is taken, wiped after.

use std::fmt;

use zeroize::Zeroizing;

/// Shortest secret of which a fingerprint is taken: a shorter one is a placeholder, or would match by chance.
const SHORTEST: usize = 8;
/// Most secrets of one file.
const COUNT_MAX: usize = 16;

/// Secrets of one file, in the order they were found, each once.
#[derive(Clone, Default, PartialEq, Eq)]
pub(in crate::credential) struct Secrets(Vec<Zeroizing<Vec<u8>>>);

impl Secrets {
    pub(super) fn push(&mut self, secret: &[u8]) {
        let secret = secret.trim_ascii();
        let fits = secret.len() >= SHORTEST && self.0.len() < COUNT_MAX;
        if fits && !self.iter().any(|known| known == secret) {
            self.0.push(Zeroizing::new(secret.to_vec()));
        }
    }

    pub(in crate::credential) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|secret| secret.as_slice())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Their number, and nothing else.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}
