//! A kind of credential: where it lies, who issues it, and what is usual for it.

use std::sync::Arc;
use std::time::Duration;

use super::Credential;
use super::carried::Keys;
use super::destination::Destination;
use super::endpoint::Endpoint;
use super::form::Form;
use super::parse::Parser;
use super::watch::{self, Compiled, Named, Watch};

/// A kind of credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    /// Stable name: `aws-access-key`, `declared`, …
    pub id: String,
    /// What it is, for people.
    pub about: String,
    /// How its identifiers are read.
    pub parser: Parser,
    /// 3 gives a host, a cluster or other identities away; 2 an identity; 1 little.
    pub sensitivity: u8,
    /// Who issues it: `aws`, `kubernetes`, `self`, …; empty where that is not known.
    pub issuer: String,
    /// Where it is expected to be used.
    pub destinations: Arc<[Destination]>,
    /// How long it lives.
    pub lifetime: Option<Lifetime>,
    /// The age at which it should have been replaced.
    pub max_age: Option<Duration>,
    /// Whether people may open it.
    pub human: Human,
    /// What its globs name are unix sockets: connecting to one counts, and nothing that is opened.
    pub socket: bool,
    /// Where it is handed out over the network.
    pub endpoints: Vec<Endpoint>,
    pub(super) keys: Keys,
    pub(super) variables: Vec<String>,
    pub(super) mounts: Vec<String>,
    pub(super) watches: Vec<Watch>,
    /// Files that a scan can look for.
    pub(super) named: Vec<Named>,
    pub(super) globs: Vec<String>,
    pub(super) except: Vec<String>,
}

/// How long credentials of a kind live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lifetime {
    /// Until somebody replaces it.
    LongLived,
    /// Hours or days, by itself.
    ShortLived,
    /// Something replaces it in time.
    Rotated,
}

impl Lifetime {
    /// By the name that is written.
    pub(super) const ALL: [(&str, Lifetime); 3] = [
        ("long-lived", Lifetime::LongLived),
        ("short-lived", Lifetime::ShortLived),
        ("rotated", Lifetime::Rotated),
    ];

    /// The name used in the catalogue and in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Lifetime::LongLived => "long-lived",
            Lifetime::ShortLived => "short-lived",
            Lifetime::Rotated => "rotated",
        }
    }
}

/// What it means when a person opens a credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Human {
    /// Nothing: it is theirs, or their tools open it.
    #[default]
    Expected,
    /// A finding: it is a service's.
    Finding,
}

impl Human {
    /// By the name that is written.
    pub(super) const ALL: [(&str, Human); 2] = [("expected", Human::Expected), ("finding", Human::Finding)];

    /// The name used in the catalogue.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Human::Expected => "expected",
            Human::Finding => "finding",
        }
    }
}

impl Kind {
    /// What an entry says, with what holds where it is silent.
    pub(super) fn new(form: Form) -> Kind {
        let mut kind = Kind {
            id: form.id,
            about: form.about.unwrap_or_default(),
            parser: form.parser.unwrap_or_default(),
            sensitivity: form.sensitivity.unwrap_or(2),
            issuer: form.issuer.unwrap_or_default(),
            destinations: form.destinations.unwrap_or_default().into(),
            lifetime: form.lifetime,
            max_age: form.max_age,
            human: form.human.unwrap_or_default(),
            socket: form.socket.unwrap_or_default(),
            endpoints: form.endpoints.unwrap_or_default(),
            keys: Keys::of(form.keys.unwrap_or_default()),
            variables: form.env.unwrap_or_default(),
            mounts: form.mounts.unwrap_or_default(),
            except: form.except.unwrap_or_default().concat(),
            ..Kind::default()
        };
        for compiled in form.globs.unwrap_or_default().into_iter().chain(form.also) {
            kind.add(compiled);
        }
        kind.watches.extend(kind.mounts.iter().filter_map(|text| watch::mounted_in(text)));
        kind
    }

    pub(super) fn add(&mut self, compiled: Compiled) {
        self.globs.extend(compiled.globs);
        self.watches.extend(compiled.watches);
        self.named.extend(compiled.named);
    }

    /// A credential of this kind, of which nothing else is known.
    pub(super) fn credential(&self, name: &str) -> Credential {
        Credential {
            id: format!("{}:{name}", self.id),
            kind: self.id.clone(),
            issuer: self.issuer.clone(),
            destinations: Arc::clone(&self.destinations),
            lifetime: self.lifetime,
            max_age: self.max_age,
            human: self.human,
            ..Credential::default()
        }
    }
}
