//! Credentials: where they lie (catalogue and watch set), and what may be said of them without telling the secret.

mod catalogue;
#[cfg(test)]
mod catalogue_tests;
mod describe;
mod endpoint;
mod files;
mod generation;
mod marks;
mod mounts;
mod parse;
pub mod redact;
mod scan;
mod watch;

use std::net::IpAddr;
use std::sync::Arc;

pub use catalogue::{Catalogue, CatalogueError, DECLARED, Kind};
pub use describe::Describer;
pub use endpoint::Endpoint;
pub use parse::Parser;
pub use scan::{Scan, ScanProblem};

use crate::event::{OpenedFile, ProcessKey};

/// Tells what an opened file holds. The pipeline asks; [`None`] means that it is no credential after all (the kernel's
/// match is allowed to be wider than the catalogue), which the asker counts.
pub trait Describe {
    /// `by` is the process that opened it, which may be gone by now.
    fn describe(&mut self, file: &OpenedFile, by: ProcessKey) -> Option<Arc<Credential>>;

    /// What a unix socket stands for. Asking for it does not touch the socket.
    fn socket(&mut self, file: &OpenedFile, by: ProcessKey) -> Option<Arc<Credential>> {
        self.describe(file, by)
    }

    /// What an address hands out, where it is known as a source of credentials (a cloud's metadata service).
    fn endpoint(&self, _ip: IpAddr, _port: u16) -> Option<Arc<Credential>> {
        None
    }
}

/// A credential as records name it. Holds nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Credential {
    /// Stable: `<kind>:<first identifier>`, else `<kind>:<path>`; of one that is handed out, `<kind>:<address>:<port>`.
    pub id: String,
    /// Of the catalogue: `aws-access-key`, `pgpass`, …; `declared` for paths of the config.
    pub kind: String,
    /// Where it lies, root first, bytes. Empty where it lies on no file system of this host.
    pub path: Vec<u8>,
    /// Identifiers that are no secrets, by name: `key_id`, `host`, `user`, … Each value at most 256 bytes, printable.
    pub identifiers: Vec<(String, String)>,
    /// Hosts (and ports) the credential itself names, e.g. of a `.pgpass` line. `None` as port: any.
    pub expects: Vec<(String, Option<u16>)>,
}
