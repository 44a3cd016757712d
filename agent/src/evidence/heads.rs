//! Heads, one after the other.

use super::head::{Head, SignedHead};
use super::note::PublicKey;
use super::trust::{Distrust, Trust};
use crate::hex;
use crate::record::View;

/// Why a head does not stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// It holds no note, or says other than its note.
    #[error("it is no signed head, or says other than what is signed")]
    Form,
    /// Its signature.
    #[error(transparent)]
    Distrust(#[from] Distrust),
    /// There are two histories.
    #[error("it goes on after other records than the head before it signed for")]
    Since,
}

/// Follows the heads of one host.
#[derive(Clone, Debug, Default)]
pub struct Heads {
    trust: Trust,
    last: Option<Head>,
    count: u64,
}

impl Heads {
    /// Believes those keys, or that of the first head where there are none.
    #[must_use]
    pub fn new(keys: Vec<PublicKey>) -> Self {
        Self { trust: Trust::new(keys), ..Self::default() }
    }

    /// Looks at the record of the next head. Tells the head, and whether it goes on where the one before it ended; the
    /// first one does.
    ///
    /// # Errors
    /// [`HeadError`]
    pub fn see(&mut self, record: &View) -> Result<(&Head, bool), HeadError> {
        let text = |path| record.text(path).ok_or(HeadError::Form);
        let signed = SignedHead::parse(text("head.note")?).ok_or(HeadError::Form)?;
        let key = PublicKey::parse(text("head.key")?).map_err(|_| HeadError::Form)?;
        let end = &signed.head.end;
        if record.number("head.seq") != Some(end.seq) || text("head.hash")? != hex::encode(&end.hash) {
            return Err(HeadError::Form);
        }
        let head = self.trust.see(&signed, &key, text("host.id")?)?;
        let follows = match &self.last {
            Some(last) if head.since.seq > last.end.seq => false,
            Some(last) if head.since != last.end => return Err(HeadError::Since),
            _ => true,
        };
        self.count += 1;
        Ok((self.last.insert(head.clone()), follows))
    }

    /// The newest.
    #[must_use]
    pub fn last(&self) -> Option<&Head> {
        self.last.as_ref()
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Every key that has signed, in their order.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        self.trust.used()
    }
}
