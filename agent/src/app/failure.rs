//! Why spoor ends, and the exit code that says so.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::credential::CatalogueError;
use crate::kernel::{CgroupError, LoadError, PreflightError};
use crate::report::ReportError;
use crate::store::{StoreError, VerifyError};

/// Why spoor ends other than well. Each has an exit code of its own; they are documented in `spoor --help`.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The config cannot be read, or has mistakes.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The catalogue of credentials has mistakes.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
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
    /// No store where one is to be read.
    #[error("there is no store in {}: is the path right, and has `spoor run` been there?", .0.display())]
    NoStore(PathBuf),
    /// What was asked for is not there.
    #[error(transparent)]
    Report(#[from] ReportError),
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
    pub(super) fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Failure::System { what: what.into(), error }
    }

    /// The exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Failure::NoStore(_) | Failure::Report(_) | Failure::Verify(_) => 1,
            Failure::Config(_) | Failure::Catalogue(_) => 3,
            Failure::Scope(_) => 4,
            Failure::Preflight(PreflightError::NotPermitted) => 10,
            Failure::Preflight(PreflightError::KernelTooOld { .. }) => 11,
            Failure::Preflight(PreflightError::NoBtf { .. }) => 12,
            Failure::Preflight(PreflightError::Lockdown) => 13,
            Failure::Store(StoreError::Locked { .. }) => 14,
            Failure::Store(StoreError::Full { .. }) => 15,
            Failure::Uncovered | Failure::Load(_) => 16,
            Failure::Preflight(PreflightError::PidNamespace) => 17,
            Failure::Store(_) => 18,
            Failure::Preflight(PreflightError::Proc { .. }) | Failure::System { .. } => 19,
        }
    }
}

/// The exit codes, for `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
   0  done
   1  not there, or found wrong (check, show, verify); doctor: a signal is not covered
   2  the command line makes no sense
   3  the config or the catalogue cannot be read or has mistakes
   4  the scope cannot be watched (no cgroup v2 hierarchy)
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
            Failure::Preflight(PreflightError::NotPermitted),
            Failure::Preflight(PreflightError::Lockdown),
            Failure::Preflight(PreflightError::PidNamespace),
            Failure::Scope(CgroupError::NoUnified),
            Failure::system("x")(std::io::Error::other("y")),
        ];
        for failure in failures {
            let line = format!("\n  {:>2}  ", failure.code());
            assert!(EXIT_CODES.contains(&line), "{failure}: {}", failure.code());
        }
    }
}
