//! What stands in a declaration, one kind of text a file: actors, credentials, programs, destinations, times.

mod actor;
mod destination;
mod form;
mod path;
mod resource;
mod times;

pub(super) use actor::ActorPattern;
pub(super) use destination::{DestinationPattern, show_destination};
pub(super) use form::claims_nobody;
pub(super) use path::literal;
pub(super) use resource::{CredentialPattern, Fit, ProgramPattern};
pub(super) use times::{Window, expiry};

/// Allows everything of its kind. A word, so that nobody writes it by mistake.
const ANY: &str = "any";
