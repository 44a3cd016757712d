//! Jobs of CI runners.
//!
//! A name is anybody's to take, so a runner is believed only where it stands as its installer puts it: without a login,
//! and root's, or in a unit or under a user of the runner's name, or, where no unit claims it, started by init itself; with
//! a login only as that user's own. Whoever can bring that about is the runner, or root. What a job itself calls by such a name stays in the job.

use std::sync::Arc;

use super::job::{Job, JobOf};
use super::rules::is_login;
use super::{INIT, Identity, Resolver};
use crate::actor::Host;
use crate::actor::cgroup::place;
use crate::lineage::{KnownBy, Process, Program, basename};

/// A runner, as it is started.
#[derive(Debug)]
pub(super) struct Runner {
    /// In ids.
    name: &'static str,
    /// Last component of its program; of a Java archive that of the archive.
    program: &'static str,
    /// The first argument that makes it the one that starts jobs.
    argument: Option<&'static str>,
    /// Where a job begins.
    begins: Begins,
    /// How names of its units begin.
    unit: &'static str,
    /// The user its packages make.
    user: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    /// The program is started once a job, and is the job.
    Here,
    /// Each child is a job, or a step of one.
    Below,
}

const RUNNERS: &[Runner] = &[
    runner("github", "Runner.Worker", None, Begins::Here, "actions.runner.", ""),
    runner("azure", "Agent.Worker", None, Begins::Here, "vsts.agent.", ""),
    runner(
        "buildkite",
        "buildkite-agent",
        Some("bootstrap"),
        Begins::Here,
        "buildkite-agent",
        "buildkite-agent",
    ),
    runner("circleci", "circleci-agent", None, Begins::Here, "circleci", "circleci"),
    runner("gitlab", "gitlab-runner", Some("run"), Begins::Below, "gitlab-runner", "gitlab-runner"),
    runner("gitea", "act_runner", Some("daemon"), Begins::Below, "act_runner", "act_runner"),
    runner("forgejo", "forgejo-runner", Some("daemon"), Begins::Below, "forgejo-runner", "forgejo-runner"),
    runner("woodpecker", "woodpecker-agent", None, Begins::Below, "woodpecker-agent", "woodpecker-agent"),
    runner("drone", "drone-runner-exec", None, Begins::Below, "drone-runner", "drone"),
    runner("jenkins", "agent.jar", None, Begins::Below, "jenkins", "jenkins"),
    runner("jenkins", "slave.jar", None, Begins::Below, "jenkins", "jenkins"),
    runner("jenkins", "remoting.jar", None, Begins::Below, "jenkins", "jenkins"),
    runner("jenkins", "swarm-client.jar", None, Begins::Below, "jenkins", "jenkins"),
];

const fn runner(
    name: &'static str,
    program: &'static str,
    argument: Option<&'static str>,
    begins: Begins,
    unit: &'static str,
    user: &'static str,
) -> Runner {
    Runner { name, program, argument, begins, unit, user }
}

/// Longest name of a project that is told.
const PROJECT_MAX: usize = 128;

impl<H: Host> Resolver<H> {
    /// The job of a runner that a process belongs to: the outermost one, for what runs in a job may call itself as it likes.
    pub(super) fn ci(
        &mut self,
        process: &Process,
        identity: Identity,
        up: &[Arc<Process>],
    ) -> Option<Arc<Job>> {
        let line = || std::iter::once(process).chain(up.iter().map(AsRef::as_ref));
        let mut runs = |process: &Process| self.traits(process).is_some_and(|traits| traits.runner.is_some());
        if !line().any(&mut runs) {
            return None;
        }
        let line: Vec<&Process> = line().collect();
        let (at, runner) = (0..line.len()).rev().find_map(|at| {
            let (process, above) = (*line.get(at)?, line.get(at.saturating_add(1)));
            // A runner that is root's changes to the job's user by `su`: that is not the job yet.
            let runner = match above {
                Some(above) if is_login(&above.program.exe.bytes) => line.get(at.saturating_add(2)).copied(),
                above => above.copied().filter(|_| !is_login(&process.program.exe.bytes)),
            };
            let below = runner.and_then(|runner| Some((runner, named(&runner.program)?)));
            let below = below.filter(|(_, runner)| runner.begins == Begins::Below);
            let here = named(&process.program).filter(|runner| runner.begins == Begins::Here);
            let (who, runner) = here.map(|runner| (process, runner)).or(below)?;
            self.believes(who, runner, identity, at == 0).then_some((at, runner))
        })?;
        let root = *line.get(at)?;
        let born = self.states.get(&root.key.into()).filter(|_| at > 0);
        if let Some(job) = born.and_then(|state| state.kin.job.clone()) {
            return Some(job);
        }
        Some(Arc::new(Job {
            root: root.key,
            user: born.map_or(identity, |state| state.kin.identity).user,
            of: JobOf::Ci { runner: runner.name, project: project(&line, at, runner) },
        }))
    }

    /// Whether a process that has a runner's name is one. `own` is the identity of the process that is asked for.
    fn believes(&mut self, process: &Process, runner: &Runner, own: Identity, is_own: bool) -> bool {
        let known = self.states.get(&process.key.into()).map(|state| state.kin.identity);
        let Some(identity) = known.or(is_own.then_some(own)) else {
            return false;
        };
        let of_its_user =
            |resolver: &mut Self| !runner.user.is_empty() && resolver.name(identity.user) == runner.user;
        // A controller that starts its agents over ssh logs in as their user.
        if identity.login_uid.is_some_and(|login| login != identity.user || !of_its_user(self)) {
            return false;
        }
        if identity.euid == 0 || of_its_user(self) {
            return true;
        }
        match place(&process.cgroup.bytes).unit {
            Some(unit) => unit.starts_with(runner.unit) && unit.ends_with(".service"),
            // A host without units. An orphan is init's child too, as `/proc` shows it.
            None => {
                let of_init = process.parent.is_some_and(|parent| parent.tgid == INIT);
                of_init && process.known_by == KnownBy::Fork
            }
        }
    }
}

/// Which runner a program is by its name.
pub(super) fn named(program: &Program) -> Option<&'static Runner> {
    let exe = basename(&program.exe.bytes);
    let name = if exe == b"java" {
        let archive = program.argv.iter().skip_while(|argument| argument.as_slice() != b"-jar").nth(1)?;
        basename(archive)
    } else {
        exe
    };
    let is = |argument: &str| program.argv.get(1).is_some_and(|given| given == argument.as_bytes());
    RUNNERS.iter().find(|runner| name == runner.program.as_bytes() && runner.argument.is_none_or(is))
}

/// What the job is for, where the runner's own unit or a path that the runner chose tells it.
fn project(line: &[&Process], at: usize, runner: &Runner) -> Option<String> {
    let root = line.get(at)?;
    let found = match runner.name {
        // `actions.runner.<owner>-<repository>.<name>.service`
        "github" | "azure" => {
            let unit = place(&root.cgroup.bytes).unit?;
            let name = unit.strip_prefix(runner.unit)?.strip_suffix(".service")?;
            name.rsplit_once('.')?.0.to_owned()
        }
        // `<workspace>/<job>@tmp/durable-<number>/script.sh`
        "jenkins" => {
            let mut told = root.program.argv.iter().take(8).map(|argument| String::from_utf8_lossy(argument));
            told.find_map(|argument| {
                let (job, _) = argument.split_once("/workspace/")?.1.split_once("@tmp/durable-")?;
                Some(job.to_owned())
            })?
        }
        _ => return None,
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/');
    (!found.is_empty() && found.len() <= PROJECT_MAX && found.bytes().all(plain)).then_some(found)
}
