//! The person behind what a daemon brings into a container, and everything that must name nobody.

use super::people::{contained, container};
use crate::actor::HumanBasis;
use crate::chain::Note;
use crate::event::{Deed, ProcessKey, Source, What};
use crate::pipeline::scenario::{ALICE, BACKUP, MS, POD, SECOND, Scenario, file};

const AWS: &str = "/home/backup/.aws/credentials";
const DOCKER: &[&str] = &["docker", "exec", "web", "sh", "-c", "job"];
const JOB: &[&str] = &["sh", "-c", "job"];

/// A host with docker, and two containers in it: of `web` the id is all `a`.
struct House {
    story: Scenario,
    shell: ProcessKey,
    shim: ProcessKey,
    next: u32,
}

impl House {
    fn new() -> Self {
        let (mut story, shell) = Scenario::begin();
        let shim = story.run(shell, 200, 0, "/usr/bin/containerd-shim-runc-v2");
        for (tgid, digit) in [(210, 'a'), (220, 'b')] {
            let main = contained(&mut story, shim, tgid, digit);
            story.open(main, AWS);
        }
        story.wait(SECOND);
        Self { story, shell, shim, next: 1000 }
    }

    fn number(&mut self) -> u32 {
        self.next += 10;
        self.next
    }

    /// Somebody executes a client; nobody where there is no session.
    fn client(&mut self, session: Option<u32>, exe: &str, argv: &[&str]) -> ProcessKey {
        let number = self.number();
        let client = self.story.fork(self.shell, number);
        if let Some(session) = session {
            self.story.login(client, ALICE, session);
        }
        self.story.exec_with(client, exe, argv);
        client
    }

    fn reach(&mut self, client: ProcessKey, socket: &str) {
        let deed = Deed::Unix { file: file(&format!("/run/{socket}.sock")), refused: None };
        self.story.deed(client, Source::LsmUnix, deed);
    }

    /// `docker` with these arguments, which has reached its daemon.
    fn docker(&mut self, session: Option<u32>, argv: &[&str]) -> ProcessKey {
        let client = self.client(session, "/usr/bin/docker", argv);
        self.reach(client, "docker");
        client
    }

    /// What the daemon then makes, and the opening by it.
    fn brought(&mut self, cgroup: (u64, &str), argv: &[&str]) -> ProcessKey {
        let number = self.number();
        let runc = self.story.run(self.shim, number, 0, "/usr/bin/runc");
        let child = self.story.fork(runc, number + 1);
        self.story.move_to(child, cgroup.0, cgroup.1);
        self.story.exec_with(child, "/usr/bin/runc", &["/proc/self/exe", "init"]);
        self.story.exec_with(child, "/usr/bin/dash", argv);
        self.story.open(child, AWS);
        child
    }

    fn enter(&mut self, digit: char, argv: &[&str]) -> ProcessKey {
        let cgroup = container(digit);
        self.brought((if digit == 'a' { 1110 } else { 1120 }, &cgroup), argv)
    }

    /// The person behind each that was brought in and opened, in the order of that.
    fn told(&self) -> Vec<String> {
        let played = self.story.play();
        let actors = played.notes.iter().filter_map(|note| match note {
            Note::Acted(acted) => Some(&acted.action.actor)
                .filter(|actor| actor.origin.starts_with("exec:") && acted.link.is_none())
                .filter(|_| !acted.credentials.is_empty()),
            Note::Opened(_) | Note::Completed(_) | Note::Closed(_) | Note::Gap(_) => None,
        });
        let told = actors.map(|actor| match (&actor.human, actor.human_unknown) {
            (Some(human), None) => {
                assert_eq!(human.client.is_some(), human.basis == HumanBasis::Client);
                let (session, from) = (human.session.as_deref(), human.from.as_deref());
                let (session, from) = (session.unwrap_or("?"), from.unwrap_or("?"));
                format!("{} in {session} from {from} by {}", human.user, human.basis.name())
            }
            (None, Some(unknown)) => unknown.name().to_owned(),
            (None, None) => "nobody".to_owned(),
            (Some(_), Some(_)) => panic!("somebody, and nobody: {actor:?}"),
        });
        told.collect()
    }
}

const BY_ALICE: &str = "alice in 3 from 10.0.0.5 by client";
const BY_THE_OTHER: &str = "alice in 5 from 10.0.0.6 by client";

#[test]
fn who_asked_docker_is_named_with_what_that_is_known_by() {
    let mut house = House::new();
    let client = house.docker(Some(3), DOCKER);
    let entered = house.enter('a', JOB);
    let below = house.story.run(entered, 5000, BACKUP, "/usr/bin/cat");
    house.story.exit(entered, 0);
    house.story.exit(client, 0);
    house.story.open(below, AWS);
    assert_eq!(house.told(), [BY_ALICE, BY_ALICE]);
}

#[test]
fn containers_are_named_by_name_or_by_the_beginning_of_an_id() {
    let id = "a".repeat(64);
    for named in ["web", "/web", "a", &id[..12], &id] {
        let mut house = House::new();
        house.docker(Some(3), &["docker", "container", "exec", "-it", "-uroot", "--env=X=1", named, "sh"]);
        house.enter('a', &["sh"]);
        assert_eq!(house.told(), [BY_ALICE], "{named}");
    }
    for named in ["we", "webs", "b", &id[..11].to_uppercase(), &(id.clone() + "a"), "", "/"] {
        let mut house = House::new();
        house.docker(Some(3), &["docker", "exec", named, "sh"]);
        house.enter('a', &["sh"]);
        assert_eq!(house.told(), ["nobody"], "{named}");
    }
}

#[test]
fn two_containers_two_people() {
    let mut house = House::new();
    house.docker(Some(3), &["docker", "exec", "aaaa", "sh"]);
    house.docker(Some(5), &["docker", "exec", "bbbb", "sh"]);
    house.enter('b', &["sh"]);
    house.enter('a', &["sh"]);
    assert_eq!(house.told(), [BY_THE_OTHER, BY_ALICE]);
}

#[test]
fn two_people_in_one_container_are_told_apart_by_what_they_ask_for() {
    let mut house = House::new();
    house.docker(Some(3), &["docker", "exec", "web", "ls", "/a"]);
    house.docker(Some(5), &["docker", "exec", "web", "ls", "/b"]);
    house.enter('a', &["ls", "/b"]);
    house.enter('a', &["ls", "/a"]);
    assert_eq!(house.told(), [BY_THE_OTHER, BY_ALICE]);
}

#[test]
fn two_that_fit_alike_name_nobody_and_that_is_said() {
    let mut house = House::new();
    let one = house.docker(Some(3), DOCKER);
    house.docker(None, DOCKER);
    house.enter('a', JOB);
    house.story.exit(one, 0);
    house.enter('a', JOB);
    // A third, who comes when both are served: whose is next stays open for as long as they may not be.
    house.docker(Some(5), DOCKER);
    house.enter('a', JOB);
    house.story.wait(31 * SECOND);
    house.docker(Some(5), DOCKER);
    house.enter('a', JOB);
    assert_eq!(house.told(), ["several-fit", "several-fit", "several-fit", BY_THE_OTHER]);
}

#[test]
fn a_client_asks_for_one() {
    let mut house = House::new();
    house.docker(Some(3), DOCKER);
    house.enter('a', JOB);
    house.enter('a', JOB);
    assert_eq!(house.told(), [BY_ALICE, "nobody"]);
}

#[test]
fn a_health_check_beside_a_person_is_nobodys() {
    let mut house = House::new();
    house.docker(Some(3), DOCKER);
    house.enter('a', &["/bin/sh", "-c", "check"]);
    house.enter('a', JOB);
    assert_eq!(house.told(), ["nobody", BY_ALICE]);
    // One of the very same words, which came before.
    let mut house = House::new();
    house.enter('a', JOB);
    house.story.wait(30 * SECOND);
    house.docker(Some(3), DOCKER);
    house.enter('a', JOB);
    house.story.wait(301 * SECOND);
    house.docker(Some(3), DOCKER);
    house.enter('a', JOB);
    assert_eq!(house.told(), ["nobody", "also-without-client", BY_ALICE]);
}

#[test]
fn a_client_that_does_not_wait_any_more_is_nobodys() {
    let mut house = House::new();
    let client = house.docker(Some(3), DOCKER);
    house.story.exit(client, 1);
    house.enter('a', JOB);
    // Another, which became another program.
    let client = house.docker(Some(3), DOCKER);
    house.story.exec(client, "/usr/bin/sleep");
    house.enter('b', JOB);
    assert_eq!(house.told(), ["nobody", "nobody"]);
    let mut house = House::new();
    house.docker(Some(3), DOCKER);
    house.story.wait(30 * SECOND);
    house.enter('a', JOB);
    assert_eq!(house.told(), ["nobody"], "older than an execution may take");
    let mut house = House::new();
    house.docker(Some(3), DOCKER);
    house.story.wait(29 * SECOND);
    house.enter('a', JOB);
    assert_eq!(house.told(), [BY_ALICE]);
}

#[test]
fn a_beginning_that_two_containers_have_names_none() {
    let mut house = House::new();
    let like = format!("a{}", "c".repeat(63));
    let shim = house.shim;
    let main = house.story.fork_first(shim, 900);
    house.story.move_to(main, 1900, &format!("/system.slice/docker-{like}.scope"));
    house.story.exec(main, "/usr/bin/web");
    house.docker(Some(3), &["docker", "exec", "a", "sh"]);
    house.enter('a', &["sh"]);
    house.docker(Some(3), &["docker", "exec", "aa", "id"]);
    house.enter('a', &["id"]);
    assert_eq!(house.told(), ["nobody", BY_ALICE]);
}

#[test]
fn a_job_that_asks_docker_is_no_person() {
    let mut house = House::new();
    let cron = house.story.run(house.shell, 900, 0, "/usr/sbin/cron");
    let job = house.story.fork(cron, 901);
    // cron gives a login to its jobs.
    house.story.login(job, BACKUP, 9);
    house.story.exec_with(job, "/usr/bin/docker", DOCKER);
    house.reach(job, "docker");
    house.enter('a', JOB);
    assert_eq!(house.told(), ["nobody"]);
}

#[test]
fn who_was_not_seen_to_reach_the_daemon_is_not_named() {
    let mut house = House::new();
    house.client(Some(3), "/usr/bin/docker", DOCKER);
    house.enter('a', JOB);
    let refused = house.client(Some(3), "/usr/bin/docker", &["docker", "exec", "web", "id"]);
    let deed = Deed::Unix { file: file("/run/docker.sock"), refused: Some(13) };
    house.story.deed(refused, Source::LsmUnix, deed);
    house.enter('a', &["id"]);
    let other = house.client(Some(3), "/usr/bin/docker", &["docker", "exec", "web", "ls"]);
    house.reach(other, "containerd");
    house.enter('a', &["ls"]);
    assert_eq!(house.told(), ["not-connected"; 3]);
    // A program of one's own, whatever it says it does, is no client that is known.
    let mut house = House::new();
    let own = house.client(Some(3), "/home/alice/ask", DOCKER);
    house.reach(own, "docker");
    house.enter('a', JOB);
    assert_eq!(house.told(), ["nobody"]);
}

#[test]
fn arguments_that_are_not_understood_are_said() {
    let mut house = House::new();
    house.docker(Some(3), &["docker", "exec", "--new-flag", "web", "sh", "-c", "job"]);
    house.enter('a', JOB);
    house.docker(Some(5), &["docker", "exec", "web", "other"]);
    house.enter('a', &["other"]);
    // What is no execution is none, whatever it has for arguments.
    house.docker(Some(3), &["docker", "run", "--rm", "web", "true"]);
    house.enter('a', &["true"]);
    // What was cut, or is without its secrets while it is captured, may be another's.
    house.docker(Some(3), &["docker", "exec", "web", "psql", "--password=[redacted:password]"]);
    house.enter('a', &["psql", "--password=[redacted:password]"]);
    house.docker(Some(3), &["docker", "exec", "web", "cut"]);
    for event in house.story.events.iter_mut().rev().take(2) {
        if let What::Seen(seen) = &mut event.what
            && let Deed::Exec { argv_truncated, .. } = &mut seen.deed
        {
            *argv_truncated = true;
        }
    }
    house.enter('a', &["cut"]);
    let unread = "arguments-unread";
    assert_eq!(house.told(), [unread, BY_THE_OTHER, "nobody", unread, unread]);
}

#[test]
fn where_a_client_may_have_gone_unseen_nobody_is_named() {
    let mut house = House::new();
    house.story.lost();
    house.docker(Some(3), DOCKER);
    house.enter('a', JOB);
    house.story.wait(31 * SECOND);
    house.docker(Some(3), DOCKER);
    house.enter('a', JOB);
    // More than are kept.
    for _ in 0..256 {
        house.docker(None, &["docker", "exec", "web", "flood"]);
    }
    house.docker(Some(3), DOCKER);
    house.enter('a', JOB);
    assert_eq!(house.told(), ["events-lost", BY_ALICE, "events-lost"]);
}

#[test]
fn a_client_older_than_the_agent_makes_one_doubt() {
    let (story, shell) = Scenario::begin();
    let mut house = House { story, shell, shim: shell, next: 1000 };
    house.shim = house.story.run(shell, 200, 0, "/usr/bin/containerd-shim-runc-v2");
    let shim = house.shim;
    contained(&mut house.story, shim, 210, 'a');
    let since = house.story.now_ns - 100 * MS;
    let before = house.story.seed(300, since, Some(shell), "/usr/bin/docker", &[]);
    if let What::Seeded(seeded) = &mut house.story.events.last_mut().unwrap().what {
        seeded.argv = DOCKER.iter().map(|argument| argument.as_bytes().to_vec()).collect();
    }
    house.docker(Some(3), DOCKER);
    house.enter('a', JOB);
    house.story.exit(before, 0);
    assert_eq!(house.told(), ["several-fit"]);
}

#[test]
fn scripts_are_what_was_asked_for() {
    let mut house = House::new();
    let script = |house: &mut House, argv: &[&str]| {
        let number = house.number();
        let runc = house.story.run(house.shim, number, 0, "/usr/bin/runc");
        let child = house.story.fork(runc, number + 1);
        house.story.move_to(child, 1110, &container('a'));
        house.story.exec_script(child, "/usr/bin/dash", "/opt/job.sh", argv);
        house.story.open(child, AWS);
    };
    house.docker(Some(3), &["docker", "exec", "web", "job.sh", "-v"]);
    script(&mut house, &["/bin/sh", "-e", "/opt/job.sh", "-v"]);
    house.docker(Some(3), &["docker", "exec", "web", "job.sh", "-q"]);
    script(&mut house, &["/bin/sh", "-e", "/opt/job.sh", "-v"]);
    assert_eq!(house.told(), [BY_ALICE, "nobody"]);
}

#[test]
fn clients_of_other_runtimes() {
    let id = "d".repeat(64);
    let cases: [(&str, &[&str], &str, String, bool); 7] = [
        (
            "podman",
            &["podman", "--remote", "exec", "dddd", "sh"],
            "podman",
            format!("/machine.slice/libpod-{id}.scope"),
            true,
        ),
        (
            "docker",
            &["docker", "exec", "dddd", "sh"],
            "podman",
            format!("/machine.slice/libpod-{id}.scope"),
            true,
        ),
        (
            "nerdctl",
            &["nerdctl", "-n", "x", "exec", "-t", "dddd", "sh"],
            "containerd",
            format!("/system.slice/nerdctl-{id}.scope"),
            true,
        ),
        (
            "ctr",
            &["ctr", "-n=x", "t", "exec", "-exec-id", "1", "job", "sh"],
            "containerd",
            "/default/job".to_owned(),
            true,
        ),
        (
            "ctr",
            &["ctr", "task", "exec", "--exec-id", "1", "jo", "sh"],
            "containerd",
            "/default/job".to_owned(),
            false,
        ),
        (
            "crictl",
            &["crictl", "-t", "5s", "exec", "-it", "ddd", "sh"],
            "containerd",
            format!("/kubepods/burstable/pod{POD}/{id}"),
            true,
        ),
        (
            "nerdctl",
            &["nerdctl", "exec", "dddd", "sh"],
            "docker",
            format!("/system.slice/nerdctl-{id}.scope"),
            false,
        ),
    ];
    for (program, argv, socket, cgroup, named) in cases {
        let mut house = House::new();
        let shim = house.shim;
        let main = house.story.fork_first(shim, 900);
        house.story.move_to(main, 1900, &cgroup);
        house.story.exec(main, "/usr/bin/web");
        let client = house.client(Some(3), &format!("/usr/bin/{program}"), argv);
        house.reach(client, socket);
        house.brought((1900, &cgroup), &["sh"]);
        assert_eq!(house.told().contains(&BY_ALICE.to_owned()), named, "{argv:?}: {:?}", house.told());
    }
}

#[test]
fn kubectl_on_the_node_names_a_pod() {
    for (argv, expected) in [
        (&["kubectl", "exec", "-it", "cart-0", "--", "sh"][..], BY_ALICE),
        (&["kubectl", "-n", "shop", "exec", "pod/cart-0", "-c", "cart", "-i", "--", "sh"], BY_ALICE),
        (&["kubectl", "exec", "cart-0", "--namespace=other", "--", "sh"], "nobody"),
        (&["kubectl", "exec", "cart-1", "--", "sh"], "nobody"),
        (&["kubectl", "exec", "deploy/cart", "--", "sh"], "arguments-unread"),
        (&["kubectl", "exec", "cart-0", "sh"], "arguments-unread"),
    ] {
        let mut house = House::new();
        let cgroup = format!("/kubepods/burstable/pod{POD}/{}", "e".repeat(64));
        let shim = house.shim;
        let main = house.story.fork_first(shim, 900);
        house.story.move_to(main, 1900, &cgroup);
        house.story.exec(main, "/usr/bin/web");
        let client = house.client(Some(3), "/usr/bin/kubectl", argv);
        let asked = house.story.connect(client, "10.0.0.1", 6443);
        house.story.end(asked, Ok(()));
        house.brought((1900, &cgroup), &["sh"]);
        assert_eq!(house.told(), [expected], "{argv:?}");
    }
    // k3s is all of them in one.
    let mut house = House::new();
    let client =
        house.client(Some(3), "/usr/local/bin/k3s", &["k3s", "kubectl", "exec", "cart-0", "--", "sh"]);
    house.story.connect(client, "127.0.0.1", 6443);
    let cgroup = format!("/kubepods/burstable/pod{POD}/{}", "e".repeat(64));
    let shim = house.shim;
    let main = house.story.fork_first(shim, 900);
    house.story.move_to(main, 1900, &cgroup);
    house.story.exec(main, "/usr/bin/web");
    house.brought((1900, &cgroup), &["sh"]);
    assert_eq!(house.told(), [BY_ALICE]);
}

mod any {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::{House, SECOND};

    proptest! {
        /// Whatever comes in whatever order, of several people: a person is named only behind words that were asked for by
        /// that person and nobody else, once at most.
        #[test]
        fn nobody_is_named_for_anothers(
            steps in proptest::collection::vec((0..3_u8, 0..3_usize, any::<bool>(), any::<bool>()), 1..40),
        ) {
            const WORDS: [&str; 3] = ["one", "two", "three"];
            let mut house = House::new();
            let mut asked: Vec<(String, Option<u32>)> = Vec::new();
            let mut expected: Vec<(String, Vec<Option<u32>>)> = Vec::new();
            for (what, word, web, known) in steps {
                let place = if web { 'a' } else { 'b' };
                let named = if web { "aaaa" } else { "bbbb" };
                match what {
                    0 | 1 => {
                        let session = known.then_some(if what == 0 { 3 } else { 5 });
                        house.docker(session, &["docker", "exec", named, WORDS[word]]);
                        asked.push((format!("{named} {}", WORDS[word]), session));
                    }
                    _ => {
                        house.enter(place, &[WORDS[word]]);
                        let words = format!("{named} {}", WORDS[word]);
                        let by = asked.iter().filter(|(asked, _)| *asked == words).map(|(_, session)| *session);
                        let by = by.collect();
                        expected.push((words, by));
                    }
                }
                if known && what == 2 {
                    house.story.wait(SECOND);
                }
            }
            let told = house.told();
            prop_assert_eq!(told.len(), expected.len());
            let mut named: HashMap<(&str, u32), usize> = HashMap::new();
            for (told, (words, asked)) in told.iter().zip(&expected) {
                let session = told.strip_prefix("alice in ").and_then(|told| told.split(' ').next());
                let Some(session) = session.and_then(|session| session.parse().ok()) else {
                    continue;
                };
                let times = named.entry((words, session)).or_default();
                *times += 1;
                let most = asked.iter().filter(|asked| **asked == Some(session)).count();
                prop_assert!(*times <= most, "{told} for the {times}. time, of {asked:?}");
            }
        }
    }
}
