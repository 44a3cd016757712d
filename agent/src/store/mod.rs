//! `store`: the local evidence, and the spool of every sink: what is stored is what is forwarded.
//!
//! A directory (0700) with one `SQLite` file a UTC day, `records-2026-01-02.sqlite`; a day that outgrows an eighth of what
//! may be kept goes on in `records-2026-01-02.2.sqlite`, so that retention, which drops whole files only, always has
//! something to drop. Beside them `state.sqlite` (cursors of the sinks, anchors) and `lock`, held by the one daemon that writes.
//!
//! **Hash chain.** The hash of a record is BLAKE3 in key-derivation mode, context `spoor 2026-01-01 record chain v1`, over the hash of the
//! record before it (32 zero bytes before the first) and its canonical bytes. It goes on from file to file. A file that is
//! dropped leaves an *anchor*: its last number and hash, so that what remains still verifies. What it cannot show by
//! itself is that the newest records were cut off; signed heads at the sinks will.
//!
//! **Durability.** One transaction a batch; WAL with `synchronous=NORMAL`: a killed daemon loses nothing that was
//! appended, a power cut at most the last moments, and never the store.

mod error;
mod hash;
mod lock;
mod period;
mod reader;
mod retain;
mod state;
#[cfg(test)]
mod tests;
mod verify;
mod write;

pub use error::StoreError;
pub use hash::Hash;
pub use reader::{ChainHead, ChainsFilter, Reader, Stored};
pub use retain::{Dropped, Retention};
pub use state::Cursors;
pub use state::FILE as STATE_FILE;
pub use verify::{Mismatch, Verified, VerifyError, verify};
pub use write::Store;
