//! `store`: the local evidence, and the spool of every sink: what is stored is what is forwarded.
//!
//! A directory (0700) with one `SQLite` file a UTC day, `records-2026-01-02.sqlite`; a day that outgrows an eighth of what
//! may be kept goes on in `records-2026-01-02.2.sqlite`, so that retention, which drops whole files only, always has
//! something to drop. Beside them `state.sqlite` (cursors of the sinks, anchors) and `lock`, held by the one daemon that writes.
//!
//! **Packs.** The newest records of a file are rows; the oldest are packed by some hundreds, in a fortieth of the room, and
//! condensed to two fifths of that when there is time. It makes no difference to any reader.
//!
//! **Hash chain.** As [`crate::evidence`] has it, from file to file. A file that is dropped leaves an *anchor*: its last number
//! and hash, so that what remains still verifies. That the newest records were cut off shows where a head, or a sink's
//! cursor, is farther than the store; else only a receiver knows.
//!
//! **Damage.** A file with a page that cannot be read is set aside as `….damaged` when the store is opened, and the records
//! before the damage take its place. What is lost is told, and becomes a gap.
//!
//! **Durability.** One transaction a batch, whose records were made within some milliseconds of each other; WAL with `synchronous=NORMAL`: a killed daemon loses nothing that was
//! appended, a power cut at most the last moments, and never the store.

mod agree;
mod aside;
mod condense;
mod error;
mod filter;
mod life;
mod lock;
mod mend;
mod pack;
mod packing;
mod packs;
mod period;
mod reader;
mod retain;
mod seals;
mod sinks;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod usage;
mod verify;
mod write;

pub use agree::{AgreeError, Agreed, Difference, agree};
pub use error::{PackError, StoreError};
pub use filter::{ChainHead, ChainsFilter};
pub use mend::{Damage, suspect};
pub use pack::Flaw;
pub use packs::unpack;
pub use reader::{Reader, Stored};
pub use retain::{Dropped, Retention};
pub use sinks::{Progress, SetAside, SinkState, sinks};
pub use state::Cursors;
pub use state::FILE as STATE_FILE;
pub use usage::{Usage, usage};
pub use verify::{Mismatch, Verified, VerifyError, verify};
pub use write::{Store, is_open, make_directory};
