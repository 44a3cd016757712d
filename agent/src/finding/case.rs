//! What a rule looks at: an action, and what was habit before it.

use std::sync::Arc;

use super::{Kind, Settings, Severity};
use crate::action::{ActionDeed, ConnectOutcome};
use crate::actor::{Actor, HumanBasis};
use crate::chain::Acted;
use crate::credential::Credential;
use crate::credential::redact::printable;
use crate::event::Text;
use crate::inventory::{Account, Holding, Inventory, file_of, person};
use crate::lineage::Process;

/// A service account that holds so many credentials opens whatever it finds: a backup, configuration management, a
/// scanner. That it opens one more is its habit.
const BULK: usize = 16;

/// An action, and what was known when it happened.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) acted: &'a Acted,
    pub(super) known: &'a Inventory,
    pub(super) settings: &'a Settings,
    /// ns since 1970.
    pub(super) now_ns: i64,
}

/// What a rule found.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) kind: Kind,
    pub(super) severity: Severity,
    pub(super) credential: Option<Arc<Credential>>,
    pub(super) subject: String,
    pub(super) reason: String,
    pub(super) facts: Vec<(String, String)>,
}

/// Why a rule found nothing where it might have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unjudged {
    /// The habit is not known for long enough.
    Learning,
    /// There was no room for all that was habit.
    Full,
    /// It is an account that opens whatever it finds.
    Bulk,
}

impl Draft {
    pub(super) fn new(kind: Kind, severity: Severity, reason: String) -> Draft {
        Draft { kind, severity, credential: None, subject: String::new(), reason, facts: Vec::new() }
    }

    pub(super) fn of(self, credential: &Arc<Credential>) -> Draft {
        Draft { credential: Some(Arc::clone(credential)), ..self }
    }

    pub(super) fn about(self, subject: impl Into<String>) -> Draft {
        Draft { subject: subject.into(), ..self }
    }

    pub(super) fn fact(mut self, name: &str, value: impl Into<String>) -> Draft {
        self.facts.push((name.to_owned(), value.into()));
        self
    }
}

impl<'a> Case<'a> {
    pub(super) fn actor(&self) -> &'a Arc<Actor> {
        &self.acted.action.actor
    }

    pub(super) fn process(&self) -> &'a Process {
        &self.acted.action.process
    }

    /// A service account that acts by itself, not for a person. That a client's words name one excuses nothing.
    pub(super) fn is_service(&self) -> bool {
        self.actor().kind.is_service() && (person(self.actor()).is_none() || self.is_by_client())
    }

    /// Whether the person behind is known by a client only.
    pub(super) fn is_by_client(&self) -> bool {
        self.actor().human.as_ref().is_some_and(|human| human.basis == HumanBasis::Client)
    }

    pub(super) fn account(&self) -> Option<&'a Account> {
        self.known.actor(&self.actor().id)
    }

    pub(super) fn holding(&self, credential: &Credential) -> Option<&'a Holding> {
        self.known.holding(&credential.id)
    }

    /// Whether what began then is a habit by now.
    pub(super) fn mature(&self, since_ns: i64) -> bool {
        self.now_ns.saturating_sub(since_ns) >= self.settings.learn_ns
    }

    pub(super) fn is_bulk(&self, account: Option<&Account>) -> bool {
        account.is_some_and(|known| known.credentials.len() >= BULK && self.mature(known.span.first_ns))
    }

    /// The program that acts: of a script, the script.
    pub(super) fn program(&self) -> &'a [u8] {
        program(self.process())
    }

    /// The credential that the action is a way to come by. Reading is none: the opening was.
    pub(super) fn came_by(&self) -> Option<&'a Arc<Credential>> {
        match &self.acted.action.deed {
            ActionDeed::SecretOpen { credential, .. }
            | ActionDeed::SecretKey { credential, .. }
            | ActionDeed::SecretReceive { credential, .. }
            | ActionDeed::SecretSocket { credential, outcome: ConnectOutcome::Established, .. } => {
                Some(credential)
            }
            // What hands credentials out lies in no file, and is called by where it is.
            ActionDeed::Connect { to, outcome: ConnectOutcome::Established, completes: None, .. } => {
                let (ip, _) = to.inet()?;
                let first = self.acted.credentials.first().filter(|first| first.path.is_empty())?;
                first.id.contains(&ip.to_string()).then_some(first)
            }
            // Who writes has it from elsewhere. Upgrades, renewals and whoever changes a password do so on every ordinary day.
            ActionDeed::SecretWrite { .. }
            | ActionDeed::SecretRead { .. }
            | ActionDeed::SecretSocket { .. }
            | ActionDeed::MemoryAccess { .. }
            | ActionDeed::ExecFailed { .. }
            | ActionDeed::CredChange(_)
            // What a variable holds has no fingerprint: one name in two environments may be two secrets.
            | ActionDeed::Exec { .. }
            | ActionDeed::Exit(_)
            | ActionDeed::Connect { .. }
            | ActionDeed::Send { .. }
            | ActionDeed::Accept { .. } => None,
        }
    }

    /// The path under which the action found the credential.
    pub(super) fn place(&self) -> &'a [u8] {
        file_of(&self.acted.action.deed).map_or(&[], |(file, _)| &file.path.bytes)
    }
}

/// The program of a process: of a script, the script.
pub(super) fn program(process: &Process) -> &[u8] {
    let script = process.program.script.as_ref().filter(|script| !script.bytes.is_empty());
    &script.unwrap_or(&process.program.exe).bytes
}

/// Whether a program lies where every user of the host may put one.
pub(super) fn anybodys(process: &Process) -> bool {
    const PLACES: [&[u8]; 7] =
        [b"/tmp/", b"/var/tmp/", b"/dev/shm/", b"/run/shm/", b"/run/lock/", b"/var/lock/", b"/dev/mqueue/"];
    let there = |text: &Text| PLACES.iter().any(|place| text.bytes.starts_with(place));
    there(&process.program.exe) || process.program.script.as_ref().is_some_and(there)
}

/// A name out of bytes, for a sentence.
pub(super) fn shown(bytes: &[u8]) -> String {
    if bytes.is_empty() { "a program whose name is not known".to_owned() } else { printable(bytes) }
}

/// A credential, for a sentence.
pub(super) fn named(credential: &Credential) -> String {
    match credential.id.strip_prefix(&format!("{}:", credential.kind)) {
        Some(name) => format!("{} {name}", credential.kind),
        None => credential.id.clone(),
    }
}
