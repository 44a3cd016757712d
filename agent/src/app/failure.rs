//! Why spoor ends, and the exit code that says so.

use std::path::PathBuf;

use super::purposes::PurposesError;
use crate::capture::{CaptureError, TapeError};
use crate::config::ConfigError;
use crate::credential::{CatalogueError, FingerprintError};
use crate::evidence::{KeyError, ReceivedError};
use crate::kernel::{CgroupError, LoadError, PreflightError};
use crate::keyfile::KeyFileError;
use crate::report::ReportError;
use crate::status::socket::AskError;
use crate::store::{AgreeError, StoreError, VerifyError};

/// Why spoor ends other than well. Each has an exit code of its own; they are documented in `spoor --help`.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The config cannot be read, or has mistakes.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The catalogue of credentials has mistakes.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// Files of purposes have mistakes.
    #[error(transparent)]
    Purposes(#[from] PurposesError),
    /// There is no key for fingerprints.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// There is no key for evidence.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What a receiver has is not what was written, or cannot be read.
    #[error(transparent)]
    Received(#[from] ReceivedError),
    /// The store and a receiver do not agree.
    #[error(transparent)]
    Agree(#[from] AgreeError),
    /// The host cannot run spoor, or this user cannot.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// The scope cannot be watched.
    #[error(transparent)]
    Scope(#[from] CgroupError),
    /// The kernel refused the probes.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// No signal is covered.
    #[error("no probe works on this kernel; `spoor doctor` tells what was tried and why it was refused")]
    Uncovered,
    /// The store does not work.
    #[error("{}", store(.0))]
    Store(#[from] StoreError),
    /// The store is not what was written.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A token that is none, or that could be guessed.
    #[error("the token in {} is no use: it has at least 16 letters or digits, and no blanks", .0.display())]
    Token(PathBuf),
    /// The file of a token.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// No store where one is to be read.
    #[error("there is no store in {}: is the path right, and has `spoor run` been there?", .0.display())]
    NoStore(PathBuf),
    /// A store where a new one is to be made.
    #[error("there is a store in {} already: name a directory without one", .0.display())]
    StoreThere(PathBuf),
    /// No capture can be made.
    #[error(transparent)]
    Tape(#[from] TapeError),
    /// A capture cannot be read, or not to its end.
    #[error("{}: {error}", path.display())]
    Capture {
        /// Which.
        path: PathBuf,
        /// Why.
        error: CaptureError,
    },
    /// What was asked for is not there.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The running agent gave no answer.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// Nobody sees it, or nobody can type.
    #[error(
        "`spoor watch` wants a terminal that moves a cursor, on standard input and output; `spoor chains` prints a list"
    )]
    NoTerminal,
    /// The system refused something that it normally grants.
    #[error("{what}: {error}")]
    System {
        /// What was wanted.
        what: String,
        /// What it said.
        error: std::io::Error,
    },
}

fn store(error: &StoreError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    match error {
        StoreError::Full { .. } => {
            format!(
                "{error}{cause}; make room there, lower `store.max_bytes`, or set `store.path` to another disk"
            )
        }
        StoreError::Locked { .. } => {
            format!("{error}; stop that one first, or give this one a `store.path` of its own")
        }
        StoreError::Corrupt { .. } => {
            format!("{error}{cause}; `spoor verify` tells how far it can be trusted")
        }
        StoreError::Foreign { .. }
        | StoreError::Version { .. }
        | StoreError::Sequence { .. }
        | StoreError::Database { .. }
        | StoreError::Io { .. } => format!("{error}{cause}"),
    }
}

impl Failure {
    /// What the system refused.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Failure::System { what: what.into(), error }
    }

    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Failure::NoStore(_)
            | Failure::Report(_)
            | Failure::Verify(_)
            | Failure::Received(_)
            | Failure::Agree(_)
            | Failure::StoreThere(_)
            | Failure::Tape(TapeError::There(_) | TapeError::NoRoom(_))
            | Failure::Capture { .. } => 1,
            Failure::NoTerminal => 2,
            Failure::Config(_)
            | Failure::Fingerprint(_)
            | Failure::Key(_)
            | Failure::KeyFile(_)
            | Failure::Token(_)
            | Failure::Catalogue(_)
            | Failure::Purposes(_) => 3,
            Failure::Scope(_) => 4,
            Failure::Ask(AskError::NotRunning(_)) => 5,
            Failure::Ask(AskError::Silent { .. } | AskError::Foreign { .. }) => 6,
            Failure::Preflight(PreflightError::NotPermitted) | Failure::Ask(AskError::NotPermitted(_)) => 10,
            Failure::Preflight(PreflightError::KernelTooOld { .. }) => 11,
            Failure::Preflight(PreflightError::NoBtf { .. }) => 12,
            Failure::Preflight(PreflightError::Lockdown) => 13,
            Failure::Store(StoreError::Locked { .. }) => 14,
            Failure::Store(StoreError::Full { .. }) => 15,
            Failure::Uncovered | Failure::Load(_) => 16,
            Failure::Preflight(PreflightError::PidNamespace) => 17,
            Failure::Store(_) => 18,
            Failure::Preflight(PreflightError::Proc { .. })
            | Failure::Tape(TapeError::Io { .. })
            | Failure::System { .. } => 19,
        }
    }
}

/// The exit codes, for `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  not there, or found wrong (check, show, verify, replay); doctor: a signal is not covered;
      sinks: one is failing; status: the agent is degraded
   2  the command line makes no sense; watch: there is no terminal
   3  the config, the catalogue, a file of purposes, a key or a token cannot be read or has mistakes
   4  the scope cannot be watched (no cgroup v2 hierarchy)
   5  status: no agent runs on that store
   6  status: an agent is there and gives no answer that is understood
  10  not permitted: run as root, or with CAP_BPF and CAP_PERFMON
  11  the kernel is too old
  12  the kernel has no BTF
  13  the kernel is locked down to `confidentiality`
  14  another spoor uses the store
  15  no room on the disk
  16  the kernel refused the probes
  17  in a pid namespace other than the host's
  18  the store is damaged or not a store
  19  the system refused something else";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_help() {
        let failures = [
            Failure::Uncovered,
            Failure::NoTerminal,
            Failure::Preflight(PreflightError::NotPermitted),
            Failure::Preflight(PreflightError::Lockdown),
            Failure::Preflight(PreflightError::PidNamespace),
            Failure::Scope(CgroupError::NoUnified),
            Failure::Ask(AskError::NotRunning(PathBuf::new())),
            Failure::Ask(AskError::Foreign { path: PathBuf::new(), why: String::new() }),
            Failure::system("x")(std::io::Error::other("y")),
        ];
        for failure in failures {
            let line = format!("\n  {:>2}  ", failure.code());
            assert!(EXIT_CODES.contains(&line), "{failure}: {}", failure.code());
        }
    }
}
