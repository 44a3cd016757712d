//! The inventory: which service accounts this host has, which credentials they hold, and which credentials lie here that
//! nobody used. A pure state machine: no I/O, no clock.
//!
//! It is fed by the notes of chains and by what a scan found, and says what is to be told: an entry when something about
//! it changed, and every entry once a day, so that whoever listens from now on knows all of it a day later. People are no
//! entries; that one used a credential of a service is told with the credential.

mod ask;
mod entry;
mod few;
mod machine;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::actor::{Actor, ActorKind};
use crate::credential::Credential;

pub use ask::{Host, host_of};
pub use entry::{Account, Holding, Place, Reach, Span, file_of};
pub use few::{Few, Recent};
pub use machine::Inventory;

/// Bounds, and how often all is told.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most service accounts, and most credentials. Beyond it, those that acted longest ago are forgotten.
    pub entries: usize,
    /// Most of anything told of one of them.
    pub each: usize,
    /// When all is told for the first time, ns after the start.
    pub first_ns: u64,
    /// How long after that it is told again, ns.
    pub every_ns: u64,
    /// Most entries of a whole set that are told at one tick.
    pub at_once: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 4_096,
            each: 32,
            first_ns: 180_000_000_000,
            every_ns: 86_400_000_000_000,
            at_once: 128,
        }
    }
}

/// Why an entry is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// All are told, once a day.
    Daily,
    /// It was not known.
    New,
    /// An actor used the credential for the first time.
    NewActor,
    /// A person did.
    NewPerson,
    /// The credential holds something else than before: it was rotated.
    NewVersion,
    /// A host was reached for, for the first time, after the credential was opened.
    NewDestination,
    /// A file that held it is gone.
    Gone,
}

impl Why {
    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Why::Daily => "daily",
            Why::New => "new",
            Why::NewActor => "new-actor",
            Why::NewPerson => "new-person",
            Why::NewVersion => "new-version",
            Why::NewDestination => "new-destination",
            Why::Gone => "gone",
        }
    }
}

/// Something that is to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// When it was learnt, ns of `CLOCK_BOOTTIME`.
    pub time_ns: u64,
    /// Since when the host is watched, ns since 1970.
    pub since_ns: i64,
    /// Why; at least one.
    pub why: Vec<Why>,
    /// What.
    pub what: What,
}

/// What is told.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A service account.
    Actor(Box<Account>),
    /// A credential.
    Credential(Box<Holding>),
    /// The end of a whole set: how many there are, and what is not among them.
    Host(Totals),
}

/// How much there is, and what is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Service accounts that are known.
    pub actors: u64,
    /// Credentials that are known.
    pub credentials: u64,
    /// Of these, those that nobody was seen to use.
    pub unused: u64,
    /// Accounts that were forgotten for want of room, since the start.
    pub actors_forgotten: u64,
    /// Credentials that were.
    pub credentials_forgotten: u64,
    /// Files with a credential that found no room, since the start.
    pub files_refused: u64,
    /// What the last scan left out.
    pub unlisted: Unlisted,
}

/// What a scan for credentials at rest leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unlisted {
    /// Directories whose files are credentials whatever their names: they are watched, and not listed.
    pub directories: u64,
    /// Files beyond the scan's bound.
    pub files: u64,
}

/// A credential that a scan found in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What the file holds.
    pub credential: Arc<Credential>,
    /// Where it lies: path, and who may read it.
    pub path: Vec<u8>,
    /// Who may.
    pub place: Place,
}

/// What a scan for credentials at rest brings.
#[derive(Clone, Debug, PartialEq)]
pub enum Scanned {
    /// What it left out.
    Left(Unlisted),
    /// A file holds a credential.
    Found(Found),
    /// A file that held a credential is gone.
    Gone {
        /// The credential.
        id: Arc<str>,
        /// The file.
        path: Vec<u8>,
    },
}

impl Inventory {
    /// A scan found that.
    pub fn scanned(&mut self, scanned: &Scanned, time_ns: u64, out: &mut Vec<Told>) {
        match scanned {
            Scanned::Left(unlisted) => self.totals.unlisted = *unlisted,
            Scanned::Found(found) => self.found(found, time_ns, out),
            Scanned::Gone { id, path } => self.gone(id, path, time_ns, out),
        }
    }
}

/// The person on whose behalf an actor acts, where there is one. An AI agent is run by a person as a rule: that is its
/// nature, and no misuse of a credential.
#[must_use]
pub fn person(actor: &Actor) -> Option<&str> {
    if actor.kind == ActorKind::AiAgent {
        return None;
    }
    if let Some(human) = &actor.human {
        return Some(&human.user);
    }
    if let Some(person) = actor.origin.strip_prefix("human:") {
        return Some(person);
    }
    // `session:<user>:<session>`
    let session = (actor.kind == ActorKind::HumanSession).then(|| actor.id.split(':').nth(1));
    session.map(|user| user.unwrap_or(&actor.user))
}
