//! Why an action stands with others: what is claimed, on what basis, and what that is worth.

use super::FAIR;
use crate::action::ActionId;

/// What is claimed of an action and those it stands with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// It came after the openings of credentials.
    ObservedAfter,
    /// A credential was opened while a connection was there that it is for.
    OpenedWhileConnected,
    /// A credential was written after the openings of others. That it was made of one of them nobody saw.
    WrittenAfter,
}

impl Relation {
    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Relation::ObservedAfter => "observed_after",
            Relation::OpenedWhileConnected => "opened_while_connected",
            Relation::WrittenAfter => "written_after",
        }
    }
}

/// Why an action stands with earlier ones. It says *observed after* or *written after*, never *used for* or *made of*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What is claimed.
    pub relation: Relation,
    /// The credential openings it came after (of an opening, the connection), at most [`Link::OF_MAX`]: of the
    /// credential that fits best first, of one credential newest first.
    pub of: Vec<ActionId>,
    /// How the process came by the credential that fits best.
    pub basis: Basis,
    /// Since it came by that one last.
    pub delay_ns: u64,
    /// Forks between the process that opened it and the one that acts.
    pub hops: u32,
    /// Facts about the credential that fits best, e.g. that it names the destination itself.
    pub facts: Vec<LinkFact>,
    /// What the link with it is worth, 1 to 100; see [`STRONG`](super::STRONG) and [`FAIR`].
    pub confidence: u8,
    /// Every credential by its id and what the link with it is worth, best first.
    pub each: Vec<(String, u8)>,
}

impl Link {
    /// Most openings a link names.
    pub const OF_MAX: usize = 16;

    /// What the link with a credential is worth; 0 where there is none with it.
    #[must_use]
    pub fn worth(&self, credential: &str) -> u8 {
        self.each.iter().find(|(id, _)| id == credential).map_or(0, |(_, worth)| *worth)
    }

    /// Whether it says next to nothing of that credential.
    #[must_use]
    pub fn is_weak(&self, credential: &str) -> bool {
        self.worth(credential) < FAIR
    }
}

/// How a process came by a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// It opened it.
    SameProcess,
    /// A forebear opened it before the fork.
    Inherited,
    /// It was handed over as a descriptor.
    Received,
    /// It had it before the chain began.
    Held,
    /// It has none itself; a process of the run that was started together with it, by the same parent, opened it.
    Beside,
}

impl Basis {
    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Basis::SameProcess => "same-process",
            Basis::Inherited => "inherited",
            Basis::Received => "received",
            Basis::Held => "held",
            Basis::Beside => "beside",
        }
    }
}

/// A fact about a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkFact {
    /// The credential names this destination.
    DestinationNamed,
    /// The credential does not name it, but its kind is expected to be used there.
    DestinationExpected,
    /// The credential names only other destinations.
    DestinationDiffers,
    /// The process holds no other credential.
    OnlyCredential,
    /// No connection of the run lies between.
    FirstConnection,
    /// The thread that acts came by it.
    SameThread,
    /// It came by it for the connection it serves now.
    SameRequest,
    /// It came by it for another connection that it served.
    OtherRequest,
}

impl LinkFact {
    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            LinkFact::DestinationNamed => "destination-named",
            LinkFact::DestinationExpected => "destination-expected",
            LinkFact::DestinationDiffers => "destination-differs",
            LinkFact::OnlyCredential => "only-credential",
            LinkFact::FirstConnection => "first-connection",
            LinkFact::SameThread => "same-thread",
            LinkFact::SameRequest => "same-request",
            LinkFact::OtherRequest => "other-request",
        }
    }
}
