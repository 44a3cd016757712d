//! The person behind, and who was brought into a container.

use std::net::IpAddr;

use crate::chain::{Note, Opened};
use crate::event::{Deed, ProcessKey, Source, Transport};
use crate::pipeline::scenario::{ALICE, BACKUP, POD, Played, SECOND, Scenario};

const AWS: &str = "/home/backup/.aws/credentials";
const SESSION: &str = "/user.slice/user-1000.slice/session-3.scope";

/// Actor, origin, user and the person behind, of each opening.
pub(super) fn acted(played: &Played) -> Vec<String> {
    let actors = played.notes.iter().filter_map(|note| match note {
        Note::Acted(acted) => {
            Some(acted).filter(|acted| acted.link.is_none() && !acted.credentials.is_empty())
        }
        Note::Opened(_) | Note::Completed(_) | Note::Closed(_) | Note::Gap(_) => None,
    });
    let told = actors.map(|acted| {
        let actor = &acted.action.actor;
        let human = actor.human.as_ref().map(|human| {
            let session = human.session.as_deref().unwrap_or("?");
            format!(" by {} in {session} from {}", human.user, human.from.as_deref().unwrap_or("?"))
        });
        format!("{} {} {}{}", actor.id, actor.origin, actor.user, human.unwrap_or_default())
    });
    told.collect()
}

fn opened(played: &Played) -> impl Iterator<Item = &Opened> {
    played.notes.iter().filter_map(|note| match note {
        Note::Opened(opened) => Some(opened.as_ref()),
        Note::Acted(_) | Note::Completed(_) | Note::Closed(_) | Note::Gap(_) => None,
    })
}

/// Number of runs that opened a credential.
pub(super) fn runs(played: &Played) -> usize {
    let mut runs: Vec<_> = opened(played).map(|opened| opened.run).collect();
    runs.sort_unstable();
    runs.dedup();
    runs.len()
}

pub(super) fn container(digit: char) -> String {
    format!("/system.slice/docker-{}.scope", digit.to_string().repeat(64))
}

/// A container's first process, as runc makes it: runc itself is in the cgroup first.
pub(super) fn contained(story: &mut Scenario, shim: ProcessKey, tgid: u32, digit: char) -> ProcessKey {
    let runc = story.run(shim, tgid, 0, "/usr/bin/runc");
    let stage = story.fork(runc, tgid + 1);
    story.move_to(stage, 900 + u64::from(tgid), &container(digit));
    story.exec_with(stage, "/usr/bin/runc", &["/proc/self/exe", "init"]);
    let main = story.fork_first(stage, tgid + 2);
    story.exit(stage, 0);
    story.exec(main, "/usr/bin/web");
    story.exit(runc, 0);
    main
}

/// `docker exec`
fn brought_in(story: &mut Scenario, shim: ProcessKey, tgid: u32, cgroup: (u64, &str)) -> ProcessKey {
    let runc = story.run(shim, tgid, 0, "/usr/bin/runc");
    let child = story.fork(runc, tgid + 1);
    story.move_to(child, cgroup.0, cgroup.1);
    story.exec_with(child, "/usr/bin/runc", &["/proc/self/exe", "init"]);
    story.exec(child, "/usr/bin/dash");
    child
}

#[test]
fn what_is_executed_in_a_container_is_no_child_of_its_first_process() {
    let (mut story, shell) = Scenario::begin();
    let shim = story.run(shell, 200, 0, "/usr/bin/containerd-shim-runc-v2");
    let main = contained(&mut story, shim, 300, 'a');
    let worker = story.run(main, 310, BACKUP, "/usr/bin/worker");
    let one = brought_in(&mut story, shim, 320, (1200, &container('a')));
    let below = story.run(one, 325, BACKUP, "/usr/bin/cat");
    let two = brought_in(&mut story, shim, 330, (1200, &container('a')));
    // A twin: another container's first process comes of the same shim.
    let other = contained(&mut story, shim, 340, 'b');
    for process in [main, worker, one, below, two, other] {
        story.open(process, AWS);
    }
    let played = story.play();
    assert_eq!(
        acted(&played),
        [
            "container:docker:aaaaaaaaaaaa container:docker root",
            "container:docker:aaaaaaaaaaaa container:docker backup",
            "container:docker:aaaaaaaaaaaa exec:docker root",
            "container:docker:aaaaaaaaaaaa exec:docker backup",
            "container:docker:aaaaaaaaaaaa exec:docker root",
            "container:docker:bbbbbbbbbbbb container:docker root",
        ]
    );
    assert_eq!(runs(&played), 4, "the container's, two that were brought in, the other's");
}

#[test]
fn with_the_hosts_pids_the_first_process_is_the_first() {
    let (mut story, shell) = Scenario::begin();
    let shim = story.run(shell, 200, 0, "/usr/bin/containerd-shim-runc-v2");
    let main = story.fork(shim, 300);
    story.move_to(main, 1200, &container('a'));
    story.exec(main, "/usr/bin/web");
    let entered = brought_in(&mut story, shim, 310, (1200, &container('a')));
    // A daemon of the container: its line still leads to the first process.
    let middle = story.fork(main, 320);
    let daemon = story.fork(middle, 321);
    story.exit(middle, 0);
    for process in [main, entered, daemon] {
        story.open(process, AWS);
    }
    assert_eq!(
        acted(&story.play()),
        [
            "container:docker:aaaaaaaaaaaa container:docker root",
            "container:docker:aaaaaaaaaaaa exec:docker root",
            "container:docker:aaaaaaaaaaaa container:docker root",
        ]
    );
}

#[test]
fn who_was_brought_in_before_the_agent_came() {
    const HOST: u32 = 4_026_531_836;
    let (mut story, shell) = Scenario::begin();
    let at = |second: u64| second * SECOND;
    let (a, b) = (container('a'), container('b'));
    let shim = story.seed(200, at(600), Some(shell), "/usr/bin/containerd-shim-runc-v2", &[]);
    let main = story.seed_in((300, at(601), shim), "/usr/bin/web", (1200, &a), (1, 9));
    let entered = story.seed_in((310, at(602), shim), "/usr/bin/dash", (1200, &a), (20, 9));
    // A twin: with the host's pids, an orphan of the container is the shim's child as well.
    let other = story.seed_in((400, at(603), shim), "/usr/bin/web", (1300, &b), (400, HOST));
    let orphan = story.seed_in((410, at(604), shim), "/usr/bin/dash", (1300, &b), (410, HOST));
    for process in [main, entered, other, orphan] {
        story.open(process, AWS);
    }
    assert_eq!(
        acted(&story.play()),
        [
            "container:docker:aaaaaaaaaaaa container:docker root",
            "container:docker:aaaaaaaaaaaa exec:docker root",
            "container:docker:bbbbbbbbbbbb container:docker root",
            "container:docker:bbbbbbbbbbbb container:docker root",
        ]
    );
}

#[test]
fn a_person_who_enters_a_pod_stays_visible() {
    let (mut story, shell) = Scenario::begin();
    let pod = format!("/kubepods/burstable/pod{POD}/{}", "a".repeat(64));
    let main = story.fork_first(shell, 300);
    story.move_to(main, 1200, &pod);
    story.exec(main, "/usr/bin/web");
    let entered = story.fork(shell, 310);
    story.login(entered, ALICE, 3);
    story.move_to(entered, 1200, &pod);
    story.exec(entered, "/usr/bin/dash");
    story.open(main, AWS);
    story.open(entered, AWS);
    assert_eq!(
        acted(&story.play()),
        [
            "kubernetes:shop:cart kubernetes:shop/Deployment/cart root",
            "kubernetes:shop:cart exec:cri root by alice in 3 from 10.0.0.5",
        ]
    );
}

#[test]
fn a_quadlet_is_entered_too() {
    let (mut story, shell) = Scenario::begin();
    let inside = format!("/system.slice/web.service/libpod-payload-{}", "a".repeat(64));
    let conmon = story.run(shell, 200, 0, "/usr/bin/conmon");
    let main = story.fork_first(conmon, 300);
    story.move_to(main, 1200, &inside);
    story.exec(main, "/usr/bin/web");
    let entered = story.fork(shell, 310);
    story.login(entered, ALICE, 4);
    story.move_to(entered, 1200, &inside);
    story.exec(entered, "/usr/bin/dash");
    story.open(main, AWS);
    story.open(entered, AWS);
    let played = story.play();
    assert_eq!(
        acted(&played),
        [
            "systemd:web.service container:podman root",
            "systemd:web.service exec:podman root by alice in 4 from ?",
        ],
        "where from is told where it is known, and not invented"
    );
    assert_eq!(runs(&played), 2);
}

#[test]
fn a_login_is_kept_by_whatever_is_done_with_it() {
    let (mut story, shell) = Scenario::begin();
    let ssh = story.run(shell, 200, 0, "/usr/sbin/sshd");
    let bash = story.fork(ssh, 201);
    story.login(bash, ALICE, 3);
    story.move_to(bash, 1200, SESSION);
    story.become_user(bash, ALICE);
    story.exec(bash, "/usr/bin/bash");
    let sudo = story.run(bash, 202, 0, "/usr/bin/sudo");
    let root = story.run(sudo, 203, 0, "/usr/bin/cat");
    let service = story.run(sudo, 204, BACKUP, "/usr/bin/restic");
    let unit = story.fork(bash, 205);
    story.move_to(unit, 1300, "/system.slice/web.service");
    // Not by a login program: a daemon that she started by hand, in another story.
    story.exec(unit, "/usr/bin/web");
    // A twin that nobody logged in for.
    let other = story.run(ssh, 210, BACKUP, "/usr/bin/restic");
    for process in [bash, root, service, other] {
        story.open(process, AWS);
    }
    assert_eq!(
        acted(&story.play()),
        [
            "session:alice:3 login alice by alice in 3 from 10.0.0.5",
            "session:alice:3 login root by alice in 3 from 10.0.0.5",
            "user:backup:/usr/bin/restic human:alice backup by alice in 3 from 10.0.0.5",
            "user:backup:/usr/bin/restic init backup",
        ]
    );
}

#[test]
fn a_login_that_a_daemon_made_is_nobodys() {
    let (mut story, shell) = Scenario::begin();
    let cron = story.run(shell, 50, 0, "/usr/sbin/cron");
    let job = story.fork(cron, 51);
    story.login(job, ALICE, 9);
    story.become_user(job, ALICE);
    story.exec(job, "/usr/local/bin/job");
    let unit = story.fork(shell, 52);
    story.login(unit, ALICE, 4);
    story.become_user(unit, ALICE);
    story.move_to(unit, 1200, "/user.slice/user-1000.slice/user@1000.service/app.slice/sync.service");
    story.exec(unit, "/usr/bin/sync");
    // A session that is somebody else's by what systemd says of it.
    let odd = story.fork(shell, 53);
    story.login(odd, BACKUP, 3);
    story.exec(odd, "/usr/bin/x");
    for process in [job, unit, odd] {
        story.open(process, AWS);
    }
    assert_eq!(
        acted(&story.play()),
        [
            "cron:alice:/usr/local/bin/job cron alice",
            "user-unit:alice:sync.service user-manager:alice alice",
            "session:backup:3 login root by backup in 3 from ?",
        ]
    );
}

#[test]
fn where_sshd_accepted_from_is_where_its_session_comes_from() {
    let (mut story, shell) = Scenario::begin();
    let from = |story: &mut Scenario, key: ProcessKey, ip: &str| {
        let from: IpAddr = ip.parse().unwrap();
        let deed = Deed::Accept { from: (from, 40_112), at: (from, 22), transport: Transport::TCP };
        story.deed(key, Source::LsmAccept, deed);
    };
    let session = |story: &mut Scenario, exe: &str, tgid: u32, uid: u32| {
        let daemon = story.run(shell, tgid, uid, exe);
        from(story, daemon, "::ffff:10.0.0.8");
        let monitor = story.fork(daemon, tgid + 1);
        // The next one comes before the first has logged in.
        from(story, daemon, "10.0.0.9");
        story.exec(monitor, exe);
        story.login(monitor, ALICE, 70);
        let bash = story.fork(monitor, tgid + 2);
        story.become_user(bash, ALICE);
        story.exec(bash, "/usr/bin/bash");
        story.open(bash, AWS);
        bash
    };
    let alice = session(&mut story, "/usr/sbin/sshd", 200, 0);
    session(&mut story, "/usr/sbin/nginx", 210, 0);
    session(&mut story, "/home/backup/sshd", 220, BACKUP);
    // One who came in by the first starts a daemon by hand, that lets in somebody else.
    let by_hand = story.run(alice, 240, 0, "/usr/sbin/sshd");
    let other = story.fork(by_hand, 241);
    story.login(other, BACKUP, 71);
    story.exec(other, "/usr/bin/bash");
    story.open(other, AWS);
    let sessions: Vec<String> =
        acted(&story.play()).into_iter().filter(|told| told.starts_with("session")).collect();
    assert_eq!(
        sessions,
        [
            "session:alice:70 login alice by alice in 70 from 10.0.0.8",
            "session:alice:70 login alice by alice in 70 from ?",
            "session:alice:70 login alice by alice in 70 from ?",
            "session:backup:71 login root by backup in 71 from ?",
        ]
    );
}

#[test]
fn numbers_of_a_users_containers_are_that_users() {
    let (mut story, shell) = Scenario::begin();
    let of_user =
        format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{}.scope", "a".repeat(64));
    let of_root = format!("/machine.slice/libpod-{}.scope", "a".repeat(64));
    for (tgid, uid, cgroup) in [(200, 100_033, &of_user), (201, BACKUP, &of_root), (202, 999_999, &of_root)] {
        let process = story.fork_first(shell, tgid);
        story.move_to(process, u64::from(tgid), cgroup);
        story.become_user(process, uid);
        story.exec(process, "/usr/bin/x");
        story.open(process, AWS);
    }
    let played = story.play();
    let told: Vec<_> = opened(&played)
        .map(|opened| {
            let actor = &opened.actor;
            (actor.id.as_str(), actor.user.as_str(), actor.user_source.as_deref())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("container:podman:alice:aaaaaaaaaaaa", "100033", Some("subuid:alice")),
            ("container:podman:aaaaaaaaaaaa", "backup", Some("host")),
        ],
        "one id of a user's and one of root's are two containers; the third stands in the second's run"
    );
}
