//! Jobs: what a daemon starts anew each time. Here those of cron, anacron and at; `ci` has those of runners.

use std::sync::Arc;

use super::{Identity, Resolver, program};
use crate::actor::Host;
use crate::event::ProcessKey;
use crate::lineage::{KnownBy, Process, Slot};

/// A job.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) root: ProcessKey,
    pub(super) user: u32,
    pub(super) of: JobOf,
}

/// Whose job it is.
#[derive(Debug)]
pub(super) enum JobOf {
    /// Of cron and its like.
    Cron { daemon: &'static str, program: String },
    /// Of a CI runner, and for which project, where that is told.
    Ci { runner: &'static str, project: Option<String> },
}

impl<H: Host> Resolver<H> {
    /// The job a process belongs to: the one it was born into, or the one that begins below the nearest daemon.
    pub(super) fn job(
        &mut self,
        slot: Slot,
        process: &Process,
        identity: Identity,
        up: &[Arc<Process>],
    ) -> Option<Arc<Job>> {
        if self.job_daemon(process, Some(identity.euid)).is_some() {
            return None;
        }
        if let Some(job) = self.states.get(&slot).and_then(|state| state.kin.job.as_ref()) {
            return Some(Arc::clone(job));
        }
        self.scheduled(process, identity, up).or_else(|| self.ci(process, identity, up))
    }

    fn scheduled(&self, process: &Process, identity: Identity, up: &[Arc<Process>]) -> Option<Arc<Job>> {
        let mut root = process;
        for ancestor in up {
            let state = self.states.get(&ancestor.key.into());
            if let Some(daemon) = self.job_daemon(ancestor, state.map(|state| state.kin.identity.euid)) {
                let born = self.states.get(&root.key.into()).filter(|_| root.key != process.key);
                return Some(born.and_then(|state| state.kin.job.clone()).unwrap_or_else(|| {
                    Arc::new(Job {
                        root: root.key,
                        user: born.map_or(identity, |state| state.kin.identity).user,
                        of: JobOf::Cron { daemon, program: first_program(root) },
                    })
                }));
            }
            root = ancestor;
        }
        None
    }

    /// Which daemon of jobs a process is, if any. Anybody can name a program `cron`; only root is believed, and of `atd`,
    /// which waits as an account of the system that owns nothing, that account.
    fn job_daemon(&self, process: &Process, euid: Option<u32>) -> Option<&'static str> {
        let name = process.program.exe.bytes.rsplit(|byte| *byte == b'/').next()?;
        let daemon = match name {
            b"cron" | b"crond" | b"fcron" => "cron",
            b"anacron" => "anacron",
            b"atd" => "at",
            _ => return None,
        };
        let euid = euid.or_else(|| Some(self.states.get(&process.key.into())?.kin.identity.euid));
        let forked =
            self.states.get(&process.key.into()).is_some_and(|state| state.process.known_by == KnownBy::Fork);
        // A child that has not yet executed the job may have taken the job's user already.
        euid.is_none_or(|euid| believed(daemon, euid) || forked && self.child_of_daemon(process, daemon))
            .then_some(daemon)
    }

    fn child_of_daemon(&self, process: &Process, daemon: &str) -> bool {
        let parent = process.parent.and_then(|parent| self.states.get(&parent.into()));
        parent.is_some_and(|parent| {
            believed(daemon, parent.kin.identity.euid) && parent.process.program.exe == process.program.exe
        })
    }
}

/// Whether a user may be a daemon of jobs. `daemon` is 1 on Debian and 2 on Red Hat; users so low are the system's own.
fn believed(daemon: &str, euid: u32) -> bool {
    euid == 0 || daemon == "at" && euid < 100
}

/// What a job runs: of `sh -c 'command'`, the command's first word that says something; else the program.
fn first_program(root: &Process) -> String {
    const SHELLS: [&[u8]; 9] =
        [b"sh", b"bash", b"dash", b"ash", b"busybox", b"ksh", b"mksh", b"zsh", b"rbash"];
    let name = root.program.exe.bytes.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let command = match root.program.argv.as_slice() {
        [_, flag, command, ..] if SHELLS.contains(&name) && flag.as_slice() == b"-c" => command,
        _ => return program(root).to_string(),
    };
    let command = String::from_utf8_lossy(command);
    command_program(&command).unwrap_or_else(|| program(root).to_string())
}

fn command_program(command: &str) -> Option<String> {
    const SAY_NOTHING: [&str; 16] = [
        "cd", "test", "[", "exec", "command", "nice", "ionice", "env", "time", "flock", "timeout", "umask",
        "sleep", "chronic", "sudo", ".",
    ];
    let words = command.split([' ', '\t', '\n', ';', '|', '&', '(', ')', '<', '>', '"', '\'', '`']);
    let mut words = words.filter(|word| !word.is_empty() && !word.contains('='));
    let first = words.next()?;
    if !SAY_NOTHING.contains(&first) {
        return Some(first.to_owned());
    }
    let path = words.find(|word| word.starts_with('/') && word.len() > 1);
    Some(path.unwrap_or(first).to_owned())
}

#[cfg(test)]
mod tests {
    use super::command_program;

    #[test]
    fn commands_of_jobs() {
        for (command, expected) in [
            ("/usr/local/bin/job --all", "/usr/local/bin/job"),
            ("LANG=C nice -n 5 /usr/bin/job", "/usr/bin/job"),
            ("cd / && run-parts --report /etc/cron.hourly", "/etc/cron.hourly"),
            ("test -x /usr/sbin/anacron || ( cd / && run-parts /etc/cron.daily )", "/usr/sbin/anacron"),
            ("backup", "backup"),
        ] {
            assert_eq!(command_program(command).as_deref(), Some(expected), "{command}");
        }
        assert_eq!(command_program("  "), None);
    }
}
