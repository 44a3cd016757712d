//! Does a receiver have what the store has?

use std::path::Path;

use super::{Reader, StoreError, Verified};
use crate::evidence::{Received, ReceivedError, SignedHead, is_signed};
use crate::record::View;

/// Where the two differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// The same number, and another record.
    #[error("the receiver has another record {0} than the store")]
    Record(u64),
    /// A number that the store passes over.
    #[error("the receiver has record {0}, which the store has not")]
    Lacking(u64),
    /// The store ends before.
    #[error(
        "the store ends at record {end}, and the receiver has seen {seen}: what came after was lost when the power was cut, or was cut off"
    )]
    Ends {
        /// The last of the store.
        end: u64,
        /// A later one that the receiver has, or that was signed for.
        seen: u64,
    },
    /// A head that was signed for other records.
    #[error("the receiver has a head that signs for other records up to {0} than the store has")]
    Head(u64),
    /// A head that no key of the store signed.
    #[error("the receiver has a head up to record {0} that no key of this store signed")]
    Stranger(u64),
}

/// Why they could not be compared, or do not agree.
#[derive(Debug, thiserror::Error)]
pub enum AgreeError {
    /// The first difference.
    #[error("{0}")]
    Differs(Difference),
    /// What was received.
    #[error(transparent)]
    Received(#[from] ReceivedError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// Records that both have, byte for byte.
    pub records: u64,
    /// Heads that came in other schemas, and sign for what the store has.
    pub heads: u64,
    /// Records and heads from before what the store keeps.
    pub before: u64,
    /// Records and heads of other hosts.
    pub elsewhere: u64,
}

/// Compares a store that verified with what a receiver has.
///
/// # Errors
/// [`AgreeError::Differs`] names the first difference.
pub fn agree(dir: &Path, verified: &Verified, received: &Received) -> Result<Agreed, AgreeError> {
    let reader = Reader::open(dir)?;
    let newest = reader.newest()?.and_then(|stored| View::parse(&stored.body).ok());
    let host = newest.as_ref().and_then(|view| view.text("host.id")).unwrap_or_default().to_owned();
    let mut agreed = Agreed::default();
    let (first, end) = (verified.first, verified.end.seq);
    let differs = |difference| AgreeError::Differs(difference);
    received.each(&host, |seq, body| {
        if seq < first {
            agreed.before += 1;
            return Ok(());
        }
        if seq > end {
            return Err(differs(Difference::Ends { end, seen: seq }));
        }
        match reader.at(seq)? {
            Some(stored) if stored == body => agreed.records += 1,
            Some(_) => return Err(differs(Difference::Record(seq))),
            None => return Err(differs(Difference::Lacking(seq))),
        }
        Ok(())
    })?;
    let others = received.hosts().iter().filter(|of| of.host != host);
    agreed.elsewhere += others.map(|of| of.records).sum::<u64>();
    for note in received.notes()? {
        let Some(signed) = SignedHead::parse(&note) else { continue };
        let head = &signed.head;
        if head.host != host {
            agreed.elsewhere += 1;
        } else if !is_signed(&signed, verified.heads.keys()) {
            // Of a key that was in use before what is kept, nothing is known here.
            if head.end.seq >= first {
                return Err(differs(Difference::Stranger(head.end.seq)));
            }
            agreed.before += 1;
        } else if head.end.seq > end {
            return Err(differs(Difference::Ends { end, seen: head.end.seq }));
        } else if head.end.seq < first {
            agreed.before += 1;
        } else if reader.mark(head.end.seq)? == Some(head.end) {
            agreed.heads += 1;
        } else {
            return Err(differs(Difference::Head(head.end.seq)));
        }
    }
    Ok(agreed)
}
