//! Stories that are made to mislead: what is held says nothing of where it is used, and something else is reached.

use super::super::{AWS, PGPASS};
use super::{TOKEN, Told};
use crate::event::{Deed, ProcessKey, Source};
use crate::pipeline::scenario::{BACKUP, SECOND, file};

const MINUTE: u64 = 60 * SECOND;
const TIME: (&str, u16) = ("10.0.0.123", 123);
const MIRROR: (&str, u16) = ("10.0.0.80", 80);
const LOGS: (&str, u16) = ("10.0.0.51", 6514);
const API: (&str, u16) = ("10.0.0.1", 443);
const OTHER_API: (&str, u16) = ("10.0.0.2", 443);

impl Told {
    fn to(&mut self, key: ProcessKey, (to, port): (&'static str, u16), used: Option<&'static str>) {
        self.reach(key, to, port, used);
    }
}

/// It is the only one held, and goes to one of four systems. All are reached at once.
pub(super) fn one_token_and_other_systems_at_once() -> Told {
    let (mut told, shell) = Told::begin();
    let job = told.story.run(shell, 200, BACKUP, "/usr/bin/job");
    told.story.open(job, TOKEN);
    told.to(job, API, Some("token"));
    told.to(job, TIME, None);
    told.to(job, MIRROR, None);
    told.to(job, LOGS, None);
    told
}

/// The worst of it: what has nothing to do with the token comes first.
pub(super) fn a_log_host_before_the_api() -> Told {
    let (mut told, shell) = Told::begin();
    let job = told.story.run(shell, 200, BACKUP, "/usr/bin/job");
    told.story.open(job, TOKEN);
    told.to(job, LOGS, None);
    told.to(job, API, Some("token"));
    told
}

/// A daemon reads its token at its start, and uses it; from then on it does other things as well, for hours.
pub(super) fn one_token_and_other_systems_for_hours() -> Told {
    let (mut told, shell) = Told::begin();
    let daemon = told.story.run(shell, 200, BACKUP, "/usr/bin/daemon");
    told.story.open(daemon, TOKEN);
    told.to(daemon, API, Some("token"));
    for other in [TIME, MIRROR, LOGS] {
        told.story.wait(10 * MINUTE);
        told.to(daemon, other, None);
    }
    told.story.wait(10 * MINUTE);
    told.to(daemon, OTHER_API, Some("token"));
    told
}

/// The same of one that is older than the agent.
pub(super) fn held_before_the_agent_and_other_systems() -> Told {
    let (mut told, _) = Told::begin();
    let init = ProcessKey { tgid: 1, start_ns: 10 * SECOND };
    let daemon = told.story.seed(150, 20 * SECOND, Some(init), "/usr/sbin/daemon", &[TOKEN]);
    for other in [TIME, MIRROR, LOGS] {
        told.story.wait(10 * MINUTE);
        told.to(daemon, other, None);
    }
    told.to(daemon, API, Some("token"));
    told
}

/// Both are opened, then both are used: nobody can say which goes where.
pub(super) fn two_tokens_opened_together() -> Told {
    let (mut told, shell) = Told::begin();
    let job = told.story.run(shell, 200, BACKUP, "/usr/bin/job");
    told.story.open(job, AWS);
    told.story.open(job, TOKEN);
    told.to(job, API, Some("aws"));
    told.to(job, OTHER_API, Some("token"));
    told
}

/// Each is opened and used, one after the other.
pub(super) fn two_tokens_one_after_the_other() -> Told {
    let (mut told, shell) = Told::begin();
    let job = told.story.run(shell, 200, BACKUP, "/usr/bin/job");
    told.story.open(job, AWS);
    told.to(job, API, Some("aws"));
    told.story.open(job, TOKEN);
    told.to(job, OTHER_API, Some("token"));
    // And the first once more.
    told.to(job, API, Some("aws"));
    told
}

/// Two threads, each with a token of its own.
pub(super) fn two_threads_with_a_token_each() -> Told {
    let (mut told, shell) = Told::begin();
    let job = told.story.run(shell, 200, BACKUP, "/usr/bin/job");
    told.story.in_thread(job, 205);
    told.story.open(job, AWS);
    told.story.in_thread(job, 206);
    told.story.open(job, TOKEN);
    told.to(job, OTHER_API, Some("token"));
    told.story.in_thread(job, 205);
    told.to(job, API, Some("aws"));
    told
}

/// The master opens nothing; one worker opens after the fork, the others reach the same systems without.
pub(super) fn a_worker_opens_after_the_fork() -> Told {
    let (mut told, shell) = Told::begin();
    let master = told.story.run(shell, 200, BACKUP, "/usr/bin/pool");
    let workers: Vec<ProcessKey> = (201..204).map(|tgid| told.story.fork(master, tgid)).collect();
    told.story.open(workers[0], TOKEN);
    told.to(workers[1], API, None);
    told.to(workers[0], API, Some("token"));
    told.to(workers[2], OTHER_API, None);
    told.to(workers[0], LOGS, None);
    told
}

/// `cat token | curl`, and one that is started with them and reaches something else.
pub(super) fn a_pipeline_with_a_neighbour() -> Told {
    let (mut told, shell) = Told::begin();
    let script = told.story.run(shell, 200, BACKUP, "/usr/bin/bash");
    let neighbour = told.story.fork(script, 203);
    let cat = told.story.fork(script, 201);
    let curl = told.story.fork(script, 202);
    told.story.exec(neighbour, "/usr/bin/ntpdate");
    told.story.exec(cat, "/usr/bin/cat");
    told.story.exec(curl, "/usr/bin/curl");
    told.story.open(cat, TOKEN);
    told.to(neighbour, TIME, None);
    told.to(curl, API, Some("token"));
    told
}

/// Two services of one user, each with a credential and a log host.
pub(super) fn two_services_with_a_token_each() -> Told {
    let (mut told, shell) = Told::begin();
    let one = told.story.run(shell, 200, BACKUP, "/usr/bin/one");
    let two = told.story.run(shell, 201, BACKUP, "/usr/bin/two");
    told.story.open(one, AWS);
    told.story.open(two, TOKEN);
    told.to(two, OTHER_API, Some("token"));
    told.to(one, API, Some("aws"));
    told.story.wait(MINUTE);
    told.to(one, LOGS, None);
    told.to(two, LOGS, None);
    told.to(two, OTHER_API, Some("token"));
    told
}

/// The number of a holder whose exit was lost is used again, at once, by the same program.
pub(super) fn a_number_is_used_again_after_a_loss() -> Told {
    let (mut told, shell) = Told::begin();
    let one = told.story.run(shell, 200, BACKUP, "/usr/bin/job");
    told.story.open(one, TOKEN);
    told.to(one, API, Some("token"));
    told.story.wait(20_000_000);
    let again = told.story.run(shell, 200, BACKUP, "/usr/bin/job");
    told.to(again, OTHER_API, None);
    told
}

/// A helper is started by a holder, and has its own business.
pub(super) fn a_helper_that_inherits_and_does_not_use() -> Told {
    let (mut told, shell) = Told::begin();
    let job = told.story.run(shell, 200, BACKUP, "/usr/bin/job");
    told.story.open(job, TOKEN);
    told.to(job, API, Some("token"));
    told.story.wait(MINUTE);
    let helper = told.story.fork(job, 201);
    told.story.exec(helper, "/usr/bin/apt");
    told.to(helper, MIRROR, None);
    told
}

/// A broker hands one of its two tokens over; the client uses that one, the broker the other.
pub(super) fn one_of_two_is_handed_over() -> Told {
    let (mut told, shell) = Told::begin();
    let broker = told.story.run(shell, 200, BACKUP, "/usr/bin/broker");
    let client = told.story.run(shell, 300, BACKUP, "/usr/bin/client");
    told.story.open(broker, TOKEN);
    told.story.open(broker, AWS);
    told.story.deed(client, Source::LsmReceive, Deed::Receive(file(TOKEN)));
    told.to(client, OTHER_API, Some("token"));
    told.to(broker, API, Some("aws"));
    told
}

/// What names its destination, and a token that does not: the rest may be the token's, or nobody's.
pub(super) fn one_that_names_and_a_token() -> Told {
    let (mut told, shell) = Told::begin();
    let job = told.story.run(shell, 200, BACKUP, "/usr/bin/job");
    told.story.open(job, PGPASS);
    told.to(job, ("10.0.0.9", 5432), Some("pgpass"));
    told.story.open(job, TOKEN);
    told.to(job, ("10.0.0.9", 5432), Some("pgpass"));
    told.to(job, API, Some("token"));
    told.story.wait(MINUTE);
    told.to(job, MIRROR, None);
    told
}
