//! Processes of units, as most of a host's are: what the rules say of them hangs on few things. These are asked for each time,
//! and where all of them are as they were, so is what was said.

use std::sync::Arc;

use foldhash::HashMap;

use super::rules::{Case, root_in_cgroup};
use super::{Resolver, RunKey, Standing};
use crate::actor::cgroup::Place;
use crate::actor::{Actor, Host};

/// What was said last of the processes of each unit, by its cgroup and the user as whom they run.
#[derive(Debug, Default)]
pub(super) struct Units(HashMap<(u64, u32), Said>);

#[derive(Debug)]
struct Said {
    place: Arc<Place>,
    answers: Answers,
    actor: Arc<Actor>,
    run: Arc<RunKey>,
}

impl Units {
    /// Of more all are forgotten, and told anew.
    pub(super) const MAX: usize = 1_024;

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn of(&self, case: &Case<'_>, answers: &Answers) -> Option<&Said> {
        let said = self.0.get(&(case.identity.cgroup_id, case.identity.euid))?;
        (Arc::ptr_eq(&said.place, &case.place) && said.answers == *answers).then_some(said)
    }

    fn put(&mut self, case: &Case<'_>, said: Said) {
        if self.0.len() >= Self::MAX {
            self.0.clear();
        }
        self.0.insert((case.identity.cgroup_id, case.identity.euid), said);
    }
}

/// What the host says of a unit and a user.
#[derive(Debug, PartialEq)]
pub(super) struct Answers {
    trigger: Option<String>,
    user: String,
}

impl<H: Host> Resolver<H> {
    /// Asks the host, for a process of a unit that nobody logged in for, and that is of no container, job or agent: what the rules
    /// say of such a one hangs on nothing else. `None` of others, and of users without a name.
    pub(super) fn answers(&mut self, case: &Case<'_>) -> Option<Answers> {
        let Case { identity, place, .. } = case;
        let apart = place.container.is_some() || place.user_unit.is_some() || identity.login_uid.is_some();
        if apart || case.job.is_some() || case.ai.is_some() {
            return None;
        }
        let unit = place.unit.as_ref().filter(|unit| unit.ends_with(".service"))?;
        let trigger = self.host.unit_trigger(unit);
        Some(Answers { trigger, user: self.host.user_name(identity.euid)? })
    }

    /// Where it stands, if the answers are those of the last time.
    pub(super) fn said(&self, case: &Case<'_>, answers: &Answers) -> Option<Standing> {
        let said = self.units.of(case, answers)?;
        let root = root_in_cgroup(case.process, case.up);
        Some(Standing { actor: Arc::clone(&said.actor), run: Arc::clone(&said.run), root })
    }

    /// Remembers what the rules say of it.
    pub(super) fn remember(&mut self, case: &Case<'_>, answers: Answers, standing: &Standing) {
        let (actor, run) = (Arc::clone(&standing.actor), Arc::clone(&standing.run));
        self.units.put(case, Said { place: Arc::clone(&case.place), answers, actor, run });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::actor::{Fake, Resolver, Standing};
    use crate::event::{Comm, Facts, ProcessKey, Text};
    use crate::lineage::{Cpid, KnownBy, Limits, Process, Table};

    /// Where the first process of a unit stands that has this number.
    fn stands(resolver: &mut Resolver<Fake>, tgid: u32, cgroup_id: u64) -> Standing {
        let key = ProcessKey { tgid, start_ns: 1 };
        let cgroup = Text { bytes: b"/system.slice/job.service".to_vec(), truncated: false };
        let process = Arc::new(Process {
            key,
            cpid: Cpid::default(),
            ns_tgid: tgid,
            pid_ns: 1,
            program: Arc::default(),
            ids: (990, 990, 990),
            comm: Comm::default(),
            cgroup: Arc::new(cgroup),
            cgroup_id,
            parent: None,
            known_by: KnownBy::Fork,
        });
        let facts = Facts {
            key,
            tid: tgid,
            parent: None,
            uid: 990,
            euid: 990,
            gid: 990,
            login_uid: None,
            session: None,
            cgroup_id,
            ns_tgid: tgid,
            pid_ns: 1,
            mnt_ns: 1,
            kthread: false,
            comm: Comm::default(),
        };
        resolver.resolve(&Table::new(Limits { processes_max: 9 }, [0; 16]), &process, &facts, 1)
    }

    #[test]
    fn what_was_said_holds_until_the_host_says_another_thing() {
        let mut resolver = Resolver::new(Fake::default());
        let of = |standing: &Standing| (standing.actor.user.clone(), standing.actor.origin.clone());
        let told = |user: &str, origin: &str| (user.to_owned(), origin.to_owned());
        assert_eq!(of(&stands(&mut resolver, 10, 7)), told("990", "init"));
        resolver.host.users.insert(990, "worker".to_owned());
        let first = stands(&mut resolver, 11, 7);
        assert_eq!((of(&first), first.actor.id.as_str()), (told("worker", "init"), "systemd:job.service"));
        let second = stands(&mut resolver, 12, 7);
        assert!(Arc::ptr_eq(&first.actor, &second.actor) && Arc::ptr_eq(&first.run, &second.run));
        assert_eq!((first.root.tgid, second.root.tgid), (11, 12));
        assert_ne!(stands(&mut resolver, 13, 8).run, first.run, "started anew, it is another run");
        resolver.host.users.insert(990, "other".to_owned());
        assert_eq!(of(&stands(&mut resolver, 14, 7)), told("other", "init"));
        resolver.host.timers.insert("job.service".to_owned(), "job.timer".to_owned());
        assert_eq!(of(&stands(&mut resolver, 15, 7)), told("other", "timer:job.timer"));
    }
}
