//! Notices what changes under the agent: mounts, and the cgroups of the scope.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::cgroups::Cgroups;
use super::control::Control;

/// Notices that the mount table has changed.
#[derive(Debug)]
pub struct MountWatch(File);

impl MountWatch {
    /// Of this process's mount namespace, which is the host's.
    ///
    /// # Errors
    /// Where `/proc` is not mounted.
    pub fn new() -> io::Result<Self> {
        let mut table = File::open("/proc/self/mountinfo")?;
        // The kernel tells of changes since it was last read.
        table.read_to_end(&mut Vec::new())?;
        Ok(MountWatch(table))
    }

    /// Whether it has changed since this was last asked.
    pub fn changed(&mut self) -> bool {
        let mut ask = [PollFd::new(self.0.as_fd(), PollFlags::POLLPRI)];
        let told = poll(&mut ask, PollTimeout::ZERO).unwrap_or(0);
        told > 0 && ask.iter().any(|answer| answer.any().unwrap_or(false))
    }
}

/// Keeps the scope at what its paths stand for now: a unit gets a new cgroup with every start.
#[derive(Debug)]
pub struct ScopeWatch {
    cgroups: Cgroups,
    paths: Vec<String>,
    known: Vec<u64>,
}

impl ScopeWatch {
    /// Of cgroups by path.
    #[must_use]
    pub fn new(cgroups: Cgroups, paths: Vec<String>) -> Self {
        ScopeWatch { cgroups, paths, known: Vec::new() }
    }

    /// Looks again. Gives the paths for which there is no cgroup now.
    pub fn refresh(&mut self, control: &mut Control) -> Vec<String> {
        let (mut ids, mut absent) = (Vec::new(), Vec::new());
        for path in &self.paths {
            match self.cgroups.id(path) {
                Some(id) => ids.push(id),
                None => absent.push(path.clone()),
            }
        }
        if ids != self.known {
            match control.set_scope(&ids) {
                Ok(()) => self.known = ids,
                Err(error) => tracing::error!("the scope could not be written: {error}"),
            }
        }
        absent
    }
}
