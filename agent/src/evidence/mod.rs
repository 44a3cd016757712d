//! `evidence`: why nobody can change records without its being seen.
//!
//! **Chain.** The hash of a record is BLAKE3 in key-derivation mode, context `spoor 2026-01-01 record chain v1`, over the hash of the
//! record before it (32 zero bytes before the first) and its canonical bytes. Each record carries the hash before it as `prev`, so
//! that whoever has only records finds the place where a chain of them breaks.
//!
//! **Heads.** Every few minutes the agent signs where the chain stands ([`Head`]), as a record like any other, which goes to every
//! sink. What a receiver has seen signed cannot be changed on the host without the two disagreeing.
//!
//! **Keys.** Ed25519, in PKCS#8 PEM beside the store. A new key is named by a head that both keys sign; then the old one is
//! gone, and nobody who takes the host over after that can sign for the time before ([`Trust`] follows them).

mod head;
mod heads;
mod key;
mod note;
mod received;
mod signing;
mod trust;

pub use head::{Head, Mark, SignedHead};
pub use heads::{HeadError, Heads};
pub use key::{KeyError, Signer, is_waiting, make_next};
pub use note::{NoKey, PublicKey};
pub use received::{How, Misfit, OfHost, Received, ReceivedError, is_signed};
pub use signing::Signing;
pub use trust::{Distrust, Trust};
