//! Why probes are not loaded, with the evidence: the verifier's log.

use std::io;

use aya::programs::ProgramError;

use super::btf::BtfError;
use super::offsets::Missing;

/// Why the probes could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The kernel's type description makes no sense.
    #[error("the kernel's BTF cannot be used: {0}")]
    Btf(#[from] BtfError),
    /// The kernel lacks fields the probes read.
    #[error("the probes do not fit this kernel: {0}")]
    Offsets(#[from] Missing),
    /// The probes do not come out of the program.
    #[error("the probes in this program are damaged: {0}")]
    Packed(io::Error),
    /// aya's reading of the same.
    #[error("the kernel's BTF cannot be parsed by the loader: {0}")]
    LoaderBtf(#[from] aya::BtfError),
    /// The object or its maps were refused.
    #[error("the probe object was refused: {0}")]
    Object(#[from] aya::EbpfError),
    /// A map or program is not in the object.
    #[error("the probe object has no {0}: it was not built from this version")]
    Absent(&'static str),
    /// A map is of another kind than it should be.
    #[error("map {name}: {error}")]
    Map {
        /// Which.
        name: &'static str,
        /// Why.
        error: aya::maps::MapError,
    },
    /// The kernel would load it, and never run it: known beforehand, so that the verifier need not be asked.
    #[error("{program}: {lack}")]
    Lacking {
        /// Which.
        program: &'static str,
        /// What is not there to run it.
        lack: Lack,
    },
    /// A program sees packets of cgroups, and there is no hierarchy to attach it to.
    #[error("{program}: {why}")]
    Cgroup {
        /// Which.
        program: &'static str,
        /// Why.
        why: String,
    },
    /// A program was refused.
    #[error("{program}: {}", first_lines(error))]
    Program {
        /// Which.
        program: &'static str,
        /// Why; carries the verifier's log.
        error: ProgramError,
    },
}

/// What a kernel does not have, so that programs of a kind need not be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// Programs of security modules load and stay silent.
    #[error("bpf is not among the active security modules (`lsm=`)")]
    Lsm,
    /// There are no breakpoints.
    #[error("the kernel has no kprobes (CONFIG_KPROBE_EVENTS)")]
    Kprobes,
    /// It let no program be put on a function.
    #[error("the kernel permits no program on a function")]
    Functions,
}

/// An error and the end of the verifier's log, where the reason stands.
fn first_lines(error: &ProgramError) -> String {
    const TAIL_LINES: usize = 12;
    let ProgramError::LoadError { io_error, verifier_log } = error else {
        return error.to_string();
    };
    let log = verifier_log.to_string();
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(TAIL_LINES)..).unwrap_or_default();
    if tail.is_empty() { io_error.to_string() } else { format!("{io_error}; verifier: {}", tail.join(" | ")) }
}

impl LoadError {
    /// In one line, without the verifier's log.
    #[must_use]
    pub fn brief(&self) -> String {
        if let LoadError::Program { program, error: ProgramError::LoadError { io_error, .. } } = self {
            return format!("{program}: {io_error}");
        }
        self.to_string()
    }
}
