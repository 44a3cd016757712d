//! What is remembered of a service account, and of a credential.

use std::sync::Arc;

use super::few::{Few, Recent};
use crate::action::{Action, ActionDeed, ConnectOutcome};
use crate::actor::Actor;
use crate::chain::RunId;
use crate::credential::Credential;
use crate::event::{Endpoint, OpenedFile, SendOutcome};
use crate::names::Named;

/// From when to when something was seen, ns since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first time.
    pub first_ns: i64,
    /// The last.
    pub last_ns: i64,
}

impl Span {
    /// Once.
    #[must_use]
    pub const fn at(time_ns: i64) -> Self {
        Span { first_ns: time_ns, last_ns: time_ns }
    }

    pub(super) fn saw(&mut self, time_ns: i64) {
        self.first_ns = self.first_ns.min(time_ns);
        self.last_ns = self.last_ns.max(time_ns);
    }
}

/// A host that was reached for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// When.
    pub span: Span,
    /// The port of the latest attempt.
    pub port: u32,
    /// Whether it ever answered, or took what was sent.
    pub reached: bool,
    /// Attempts under this name.
    pub(super) tries: u64,
}

impl Reach {
    /// One that is known from before, by how many attempts nobody knows.
    #[must_use]
    pub const fn of(span: Span, port: u32, reached: bool) -> Self {
        Reach { span, port, reached, tries: u64::MAX / 2 }
    }
}

/// A file that holds a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Who owns it.
    pub owner: u32,
    /// Its permissions.
    pub mode: u32,
    /// When it was written last, seconds since 1970.
    pub written: Option<i64>,
}

/// A service account.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Who.
    pub actor: Arc<Actor>,
    /// When it acted.
    pub span: Span,
    /// Its runs.
    pub runs: Recent<RunId>,
    /// The program that acted last.
    pub program: Vec<u8>,
    /// Programs, and when they last acted.
    pub programs: Few<Vec<u8>, i64>,
    /// Credentials it held while it acted.
    pub credentials: Few<Arc<str>, Span>,
    /// People who started it.
    pub people: Few<Arc<str>, Span>,
    /// Hosts it reached for.
    pub destinations: Few<String, Reach>,
}

/// A credential.
#[derive(Clone, Debug, PartialEq)]
pub struct Holding {
    /// What.
    pub credential: Arc<Credential>,
    /// Since when it is known, ns since 1970.
    pub known_ns: i64,
    /// When it was used: held by somebody who acted. `None`: never seen.
    pub used: Option<Span>,
    /// Runs that held it.
    pub runs: Recent<RunId>,
    /// What it held, one after the other.
    pub versions: Recent<String>,
    /// Files with it.
    pub files: Few<Vec<u8>, Place>,
    /// The program that acted last with it.
    pub program: Vec<u8>,
    /// Programs that did, and when they last did.
    pub programs: Few<Vec<u8>, i64>,
    /// Service accounts that held it.
    pub actors: Few<Arc<str>, Span>,
    /// People who did, or on whose behalf somebody did.
    pub people: Few<Arc<str>, Span>,
    /// Hosts that were reached for by somebody who held it.
    pub destinations: Few<String, Reach>,
}

/// Where an action reached.
pub(super) struct Towards<'a> {
    pub(super) to: Endpoint,
    pub(super) name: Option<&'a Named>,
    pub(super) reached: bool,
    /// An earlier action told of the same connection.
    pub(super) again: bool,
}

impl<'a> Towards<'a> {
    pub(super) fn of(deed: &'a ActionDeed) -> Option<Self> {
        match deed {
            ActionDeed::Connect { to, name, outcome, completes, .. } => Some(Towards {
                to: *to,
                name: name.as_ref(),
                reached: matches!(outcome, ConnectOutcome::Established),
                again: completes.is_some(),
            }),
            ActionDeed::Send { to, name, outcome } => Some(Towards {
                to: *to,
                name: name.as_ref(),
                reached: matches!(outcome, SendOutcome::Sent),
                again: false,
            }),
            ActionDeed::SecretOpen { .. }
            | ActionDeed::SecretWrite { .. }
            | ActionDeed::SecretReceive { .. }
            | ActionDeed::SecretRead { .. }
            | ActionDeed::SecretSocket { .. }
            | ActionDeed::MemoryAccess { .. }
            | ActionDeed::ExecFailed { .. }
            | ActionDeed::CredChange(_)
            | ActionDeed::SecretKey { .. }
            | ActionDeed::Exec { .. }
            | ActionDeed::Exit(_)
            | ActionDeed::Accept { .. } => None,
        }
    }

    fn address(&self) -> (String, u32) {
        match self.to {
            Endpoint::Inet { ip, port, .. } => (ip.to_string(), port.into()),
            Endpoint::Vsock { cid, port } => (format!("vsock {cid}"), port),
        }
    }

    /// The name of the host, else its address; and its address.
    pub(super) fn host(&self) -> (String, String) {
        let (address, _) = self.address();
        (self.name.map_or_else(|| address.clone(), |named| named.name.clone()), address)
    }

    /// Adds it to hosts that were reached for. Tells whether the host is new among them.
    pub(super) fn add_to(&self, hosts: &mut Few<String, Reach>, time_ns: i64, max: usize) -> bool {
        let (address, port) = self.address();
        let host = self.name.map_or_else(|| address.clone(), |named| named.name.clone());
        // A name that is learnt later takes the place of the address, where that stood for this connection only.
        if self.again && self.name.is_some() {
            match hosts.get_mut(&address) {
                Some(known) if known.tries > 1 => known.tries -= 1,
                Some(_) => drop(hosts.remove(&address)),
                None => {}
            }
        }
        let new = Reach { span: Span::at(time_ns), port, reached: self.reached, tries: 0 };
        let Some((reach, new)) = hosts.entry(host, max, || new) else {
            return false;
        };
        reach.span.saw(time_ns);
        reach.port = port;
        reach.reached |= self.reached;
        reach.tries += u64::from(new || !self.again);
        new
    }
}

/// Boot time as wall time.
pub(super) fn wall(boot_ns: u64, offset_ns: i64) -> i64 {
    i64::try_from(boot_ns).unwrap_or(i64::MAX).saturating_add(offset_ns)
}

/// The file that an action is about, where the action is a use of what lies there. To write it is none.
#[must_use]
pub fn file_of(deed: &ActionDeed) -> Option<(&OpenedFile, &Arc<Credential>)> {
    match deed {
        ActionDeed::SecretOpen { file, credential }
        | ActionDeed::SecretReceive { file, credential }
        | ActionDeed::SecretRead { file, credential, .. } => Some((file, credential)),
        ActionDeed::SecretSocket { .. }
        | ActionDeed::SecretWrite { .. }
        | ActionDeed::MemoryAccess { .. }
        | ActionDeed::ExecFailed { .. }
        | ActionDeed::CredChange(_)
        | ActionDeed::SecretKey { .. }
        | ActionDeed::Exec { .. }
        | ActionDeed::Exit(_)
        | ActionDeed::Connect { .. }
        | ActionDeed::Send { .. }
        | ActionDeed::Accept { .. } => None,
    }
}

/// The program that acts: of a script, the script.
pub(super) fn program_of(action: &Action) -> &[u8] {
    let process = &action.process;
    &process
        .program
        .script
        .as_ref()
        .filter(|script| !script.bytes.is_empty())
        .unwrap_or(&process.program.exe)
        .bytes
}
