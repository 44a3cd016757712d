//! Credentials: where they lie (catalogue and watch set), and what may be said of them without telling the secret.

mod asked;
mod carried;
mod catalogue;
#[cfg(test)]
mod catalogue_tests;
mod describe;
mod destination;
mod endpoint;
mod environment;
mod files;
mod fingerprint;
mod form;
#[cfg(test)]
mod form_tests;
mod generation;
mod globs;
mod kind;
#[cfg(test)]
mod kinds_tests;
mod marks;
mod mounts;
mod parse;
pub mod redact;
mod resting;
mod scan;
mod watch;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use catalogue::{Catalogue, CatalogueError, DECLARED};
pub use describe::{Describer, told};
pub use destination::Destination;
pub use endpoint::Endpoint;
pub use environment::Handed;
pub use fingerprint::{FingerprintError, FingerprintKey};
pub use kind::{Human, Kind, Lifetime};
pub use parse::Parser;
pub use resting::{Resting, RestingFiles};
pub use scan::{Scan, ScanProblem};

use crate::event::{KernelKey, OpenedFile, ProcessKey};

/// The identifier that tells by which variable of an environment a credential was handed over.
const VARIABLE: &str = "variable";

/// Tells what an opened file holds. The pipeline asks; [`None`] means that it is no credential after all (the kernel's
/// match is allowed to be wider than the catalogue), which the asker counts.
pub trait Describe {
    /// `by` is the process that opened it, which may be gone by now.
    fn describe(&mut self, file: &OpenedFile, by: ProcessKey) -> Option<Arc<Credential>>;

    /// What a unix socket stands for. Asking for it does not touch the socket.
    fn socket(&mut self, file: &OpenedFile, by: ProcessKey) -> Option<Arc<Credential>> {
        self.describe(file, by)
    }

    /// What a key of the kernel's key rings stands for.
    fn key(&mut self, _key: &KernelKey) -> Option<Arc<Credential>> {
        None
    }

    /// What a process was handed in its environment with that program. [`None`] where that could not be read.
    fn environment(&mut self, _of: ProcessKey, _program: &[u8]) -> Option<Handed> {
        Some(Handed::default())
    }

    /// Goes by another catalogue from now on, and reads environments or does not.
    fn go_by(&mut self, _catalogue: &Arc<Catalogue>, _environment: bool) {}

    /// What an address hands out, where it is known as a source of credentials (a cloud's metadata service).
    fn endpoint(&self, _ip: IpAddr, _port: u16) -> Option<Arc<Credential>> {
        None
    }
}

/// A credential as records name it. Holds nothing secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Credential {
    /// Stable: `<kind>:<first identifier that says more than its form>`, else `<kind>:<path>`; of one that is handed out,
    /// `<kind>:<address>:<port>`; of a key `<kind>:<type>:<description>`, of a variable `<kind>:env:<name>`.
    pub id: String,
    /// Of the catalogue: `aws-access-key`, `pgpass`, …; `declared` for paths of the config.
    pub kind: String,
    /// Where it lies, root first, bytes. Empty where it lies on no file system of this host.
    pub path: Vec<u8>,
    /// Identifiers that are no secrets, by name: `key_id`, `host`, `user`, … Each value at most 256 bytes, printable.
    pub identifiers: Vec<(String, String)>,
    /// Hosts (and ports) the credential itself names, e.g. of a `.pgpass` line. `None` as port: any.
    pub expects: Vec<(String, Option<u16>)>,
    /// Keyed fingerprints of the secrets in it, `cfp1:…`; at most 16.
    pub fingerprints: Vec<String>,
    /// What it holds now: another one after each rotation, `cv1:…`.
    pub version: Option<String>,
    /// When its file was written last, seconds since 1970.
    pub written: Option<i64>,
    /// When it ends by its own word, seconds since 1970.
    pub expires: Option<i64>,
    /// Who issues such credentials: `aws`, `kubernetes`, `self`, …; empty where that is not known.
    pub issuer: String,
    /// Where such credentials are expected to be used, whatever this one says.
    pub destinations: Arc<[Destination]>,
    /// How long such credentials live.
    pub lifetime: Option<Lifetime>,
    /// The age at which such a credential should have been replaced.
    pub max_age: Option<Duration>,
    /// Whether a finding is due when a person opens it.
    pub human: Human,
}

impl Credential {
    /// Name of the variable by which it was handed over, where it was by one.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        let (name, value) = self.identifiers.first()?;
        (name == VARIABLE).then_some(value)
    }
}
