//! When the chain of records is signed, and for what.

use super::head::{Head, Mark};
use super::key::{KeyError, Signer};
use super::note::PublicKey;
use crate::hex;
use crate::record::{Builder, Signed};

/// How often the chain of records is signed, ns.
const EVERY_NS: u64 = 300_000_000_000;

/// What signs, and what it has signed for.
#[derive(Debug)]
pub struct Signing {
    signer: Signer,
    /// Up to here it was signed for.
    since: Mark,
    /// Records after that.
    records: u64,
    /// The head itself is among them.
    head: bool,
    next_ns: u64,
    /// Where the head ends that was made last and is not stored yet, and whether it names another key.
    made: Option<(Mark, bool)>,
}

impl Signing {
    /// Goes on after `since`, behind which so many records are; the first of them is the head that signed up to there, where
    /// there is one.
    #[must_use]
    pub fn new(signer: Signer, since: Mark, records: u64, head: bool) -> Self {
        Self { signer, since, records, head, next_ns: 0, made: None }
    }

    /// So many records were stored.
    pub fn stored(&mut self, records: usize) {
        self.records += u64::try_from(records).unwrap_or(u64::MAX);
    }

    /// Whether it is time, at `now` ns of `CLOCK_BOOTTIME`; a key that waits for its turn makes it so.
    pub fn is_due(&mut self, now: u64) -> bool {
        let due = self.next().is_some() || now >= self.next_ns;
        if due {
            self.next_ns = now + EVERY_NS;
        }
        due
    }

    /// The key that waits for its turn. One that is no good changes nothing: the old one goes on signing.
    fn next(&mut self) -> Option<PublicKey> {
        self.signer.waiting().unwrap_or_else(|error| {
            tracing::warn!("the next key is left alone: {error}");
            None
        })
    }

    /// Signs for all that is stored, which ends at `end`. Nothing where there are no records since the last one.
    pub fn head(&mut self, builder: &Builder, end: Mark, now: u64) -> Option<Signed> {
        let next = self.next();
        if self.records <= u64::from(self.head) && next.is_none() {
            return None;
        }
        self.made = Some((end, next.is_some()));
        let Self { signer, since, records, .. } = self;
        let (since, records, key) = (*since, *records, signer.public().to_string());
        let (host, time_ns) = builder.signs(now);
        let note = signer.sign(&Head { host: host.to_owned(), end, since, records, time_ns, next });
        Some(Signed { key, seq: end.seq, hash: hex::encode(&end.hash), note })
    }

    /// The head that was made last is stored. Where it names another key, that one signs from now on.
    ///
    /// # Errors
    /// [`KeyError`]: the key goes on that was.
    pub fn taken(&mut self) -> Result<(), KeyError> {
        let Some((end, turns)) = self.made.take() else { return Ok(()) };
        (self.since, self.records, self.head) = (end, 1, true);
        if turns { self.signer.turn() } else { Ok(()) }
    }
}
