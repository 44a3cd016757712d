//! Everything that tests spoor from outside: the same scenarios in a guest of every kernel and on the running one.
//!
//! A scenario does one thing by a real program, and says what must appear **and what must not**. Nothing sleeps: a test
//! waits for a record, with a deadline, and what must not appear is looked for when a later act (the sentinel) has
//! appeared, since records come in the order of the acts.

pub mod agent;
mod auditd;
pub mod overhead;
pub mod records;
pub mod suite;

use std::path::{Path, PathBuf};
use std::time::Duration;

/// What keys and variables of the tests hold, where a step says `planted`. It must never be seen again.
pub const PLANTED: &str = "hvs.pLanTed-vaLue-0c5d7a";
/// How long anything may take. Emulated kernels are slow; a test that passes does not wait for it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Where a suite runs.
#[derive(Clone, Debug)]
pub struct Place {
    /// The agent's binary.
    pub spoor: PathBuf,
    /// The binary that acts.
    pub act: PathBuf,
    /// A directory of the test's own, readable by everybody.
    pub work: PathBuf,
    /// The cgroup in which everything happens and which is all the agent watches; `None` in a guest: the whole host.
    pub scope: Option<Scope>,
    /// The cell of the matrix, in a guest.
    pub cell: Option<String>,
    /// Expected tier of `secret.open` and of `connect`.
    pub tiers: (String, String),
    /// Tiers the agent may use; empty for all.
    pub forced: Vec<String>,
}

/// A cgroup of the test's own.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Its directory.
    pub directory: PathBuf,
    /// Its path from the root of the hierarchy.
    pub path: String,
}

impl Place {
    /// A directory of one test's own.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn directory(&self, name: &str) -> std::io::Result<PathBuf> {
        let directory = self.work.join(name);
        std::fs::create_dir_all(&directory)?;
        Ok(directory)
    }

    /// Says something for whoever reads the guest's console; elsewhere it is just said.
    pub fn say(&self, line: &str) {
        println!("{}{line}", if self.cell.is_some() { "spoor-guest: " } else { "" });
    }

    /// The acting program under another name: another program, as far as anybody can see.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn program(&self, at: &Path) -> std::io::Result<()> {
        std::fs::copy(&self.act, at).map(drop)
    }
}

/// The tier the running kernel should allow: LSM where bpf is among the active modules; else trampolines, which a kernel
/// with kprobes has; else tracepoints. From the kernel's own files, not from the agent's word.
#[must_use]
pub fn tier_of_this_kernel() -> &'static str {
    let active = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    if active.split(',').any(|module| module.trim() == "bpf") {
        "lsm"
    } else if Path::new("/sys/bus/event_source/devices/kprobe").exists() {
        "fentry"
    } else {
        "tracepoint"
    }
}
