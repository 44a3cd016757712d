//! Whose heads are believed.

use super::head::{Head, SignedHead};
use super::note::PublicKey;

/// Why a head is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// The signature of its own key does not fit.
    #[error("its signature does not fit what it says")]
    Signature,
    /// It is well signed, by a key that nobody vouched for.
    #[error("it is signed by {0}, which no head before it names as the next key")]
    Stranger(Box<PublicKey>),
    /// It is not of this host.
    #[error("it is of another host")]
    Host,
}

/// The keys that are believed: those that were given, else that of the first head; and after it, each that a believed head
/// names.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    given: Vec<PublicKey>,
    current: Option<PublicKey>,
    /// Every key that has signed, in their order.
    used: Vec<PublicKey>,
}

impl Trust {
    /// Only heads of these keys, and of those they name, are believed; where none is given, the first head is.
    #[must_use]
    pub fn new(given: Vec<PublicKey>) -> Self {
        Self { given, ..Self::default() }
    }

    /// Looks at the next head of a host. `key` is the key that its record names.
    ///
    /// # Errors
    /// [`Distrust`]
    pub fn see<'a>(
        &mut self,
        signed: &'a SignedHead<'_>,
        key: &PublicKey,
        host: &str,
    ) -> Result<&'a Head, Distrust> {
        let head = &signed.head;
        if head.host != host {
            return Err(Distrust::Host);
        }
        let next_agrees = head.next.as_ref().is_none_or(|next| signed.note.is_by(next));
        if !signed.note.is_by(key) || !next_agrees {
            return Err(Distrust::Signature);
        }
        let is = |one: &PublicKey| one.bytes() == key.bytes();
        let given = self.given.iter().any(is);
        let known = match &self.current {
            // Said again: the agent was killed between that head and the change.
            Some(current) => {
                is(current) || given || (self.used.last().is_some_and(is) && head.next == self.current)
            }
            None => self.given.is_empty() || given,
        };
        if !known {
            return Err(Distrust::Stranger(Box::new(key.clone())));
        }
        if self.used.last() != Some(key) {
            self.used.push(key.clone());
        }
        self.current = Some(head.next.clone().unwrap_or_else(|| key.clone()));
        Ok(head)
    }

    /// Every key that has signed, in their order.
    #[must_use]
    pub fn used(&self) -> &[PublicKey] {
        &self.used
    }
}
