//! Purposes: what an owner says that a service account is for, and the verdict of an action against that. No I/O, no
//! clock: times come in, and time zones are those that were built in.
//!
//! A purpose allows an action whole: this actor, by one of its programs, with its credentials, toward one of its
//! destinations, at one of its times. What two purposes allow half each, neither allows. [`Purposes::judge`] has the rules
//! of precedence, and docs/adr/0012 why they are so.

mod act;
mod file;
mod judge;
mod keys;
mod learn;
mod overlap;
mod pattern;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

pub use act::{Act, Program, Towards, Using};
pub use file::{Invalid, Read, is_purposes, read};
pub use judge::{Judged, Misfit, Verdict};
pub use keys::reference;
pub use learn::{Learner, SightedAt, Sighting};
use pattern::{ActorPattern, CredentialPattern, DestinationPattern, ProgramPattern, Window};

/// SHA-256 of a program's file.
pub type Digest = [u8; 32];

/// What an owner declares. Everything in it has been checked.
#[derive(Clone, Debug)]
pub struct Purpose {
    name: Arc<str>,
    owner: String,
    ticket: Option<String>,
    actor: ActorPattern,
    credentials: Vec<CredentialPattern>,
    programs: Vec<ProgramPattern>,
    destinations: Vec<DestinationPattern>,
    /// Empty: at any time.
    times: Vec<Window>,
    /// It allows nothing from then on.
    expires: Option<Timestamp>,
    /// File and line, for people.
    place: String,
}

impl Purpose {
    /// Its name, of which there is one in a set.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose word it is.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Where that was agreed upon.
    #[must_use]
    pub fn ticket(&self) -> Option<&str> {
        self.ticket.as_deref()
    }
}

/// All purposes in force, found by the actor they claim.
#[derive(Clone, Debug, Default)]
pub struct Purposes {
    /// By name.
    list: Vec<Purpose>,
    /// Numbers in `list`, by the whole id of the actor.
    exact: HashMap<String, Vec<usize>>,
    /// Numbers of those with a wildcard, by the first word of the actor's id.
    wild: HashMap<String, Vec<usize>>,
    /// Programs of theirs that have a digest.
    digested: Vec<ProgramPattern>,
    id: String,
}

impl Purposes {
    /// Most purposes in a set.
    pub const MAX: usize = 10_000;

    fn new(mut list: Vec<Purpose>, id: String) -> Self {
        list.sort_by(|one, other| one.name.cmp(&other.name));
        let mut set = Purposes { id, ..Purposes::default() };
        for (number, purpose) in list.iter().enumerate() {
            let (map, key) = match purpose.actor.exact() {
                Some(id) => (&mut set.exact, id),
                None => (&mut set.wild, purpose.actor.kind()),
            };
            map.entry(key.to_owned()).or_default().push(number);
        }
        let programs = list.iter().flat_map(|purpose| &purpose.programs);
        set.digested = programs.filter(|program| program.has_digest()).cloned().collect();
        set.list = list;
        set
    }

    /// Whether nobody has declared anything: then actions get no verdict.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Names the text they were read from: the same files, the same id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Purpose> {
        self.list.iter()
    }

    /// Those that claim an actor: by its whole id first, then by a wildcard, each in the order of names.
    fn claiming<'a>(&'a self, actor: &'a str) -> impl Iterator<Item = &'a Purpose> {
        let kind = actor.split_once(':').map_or(actor, |(kind, _)| kind);
        let exact = self.exact.get(actor).into_iter().flatten();
        let wild = self.wild.get(kind).into_iter().flatten();
        let all = exact.chain(wild).filter_map(|number| self.list.get(*number));
        all.filter(move |purpose| purpose.actor.matches(actor))
    }

    /// Whether a verdict on this program may hang on its digest.
    #[must_use]
    pub fn wants_digest(&self, path: &[u8]) -> bool {
        self.digested.iter().any(|program| program.is_at(path))
    }

    /// Whole paths of programs whose digest is asked for.
    pub fn digested(&self) -> impl Iterator<Item = &str> {
        self.digested.iter().filter_map(ProgramPattern::exact)
    }
}

/// Why a text is not a pattern: what is wrong with it, behind the text itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Fault {
    fn from(text: &str) -> Self {
        Fault(text.to_owned())
    }
}
