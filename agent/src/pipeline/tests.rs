//! Whole stories, from events to notes.

mod actors;
mod batches;
mod bounds;
mod brought;
mod day;
mod flood;
mod keyless;
mod measure;
mod people;
mod purposes;
mod roads;
mod together;
mod twins;
mod units;
mod week;
mod work;
mod written;

use super::scenario::{ALICE, BACKUP, MS, REFUSED, SECOND, Scenario, stages};
use crate::action::ConnectOutcome;
use crate::chain::{Limits, Note, Reached};
use crate::event::{Endpoint, ExitStatus, Kind, Loss, ProcessKey, What, Whose};
use spoor_wire::control::{MARK_CANARY, MARK_HOLDS, MARK_SERVICE};

const AWS: &str = "/home/backup/.aws/credentials";
const PGPASS: &str = "/home/backup/.pgpass";

/// The story this all is about: a job without login opens two credentials, executes a second program, connects.
fn backup_story() -> Scenario {
    let (mut story, shell) = Scenario::begin();
    let neighbour = story.run(shell, 300, BACKUP, "/usr/bin/other");
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    let reader = story.run(shell, 301, BACKUP, "/usr/bin/reader");
    story.open(job, AWS);
    let alien = story.connect(neighbour, "10.0.0.7", 80);
    story.open(job, PGPASS);
    story.open(reader, "/home/backup/notes.txt");
    let second = story.fork(job, 201);
    story.exec(second, "/usr/bin/second");
    let refused = story.connect(second, "10.0.0.9", 5432);
    story.end(refused, REFUSED);
    let established = story.connect(second, "10.0.0.9", 5432);
    story.end(alien, Ok(()));
    story.end(established, Ok(()));
    story.exit(second, 0);
    story.exit(reader, 0);
    story.exit(job, 0);
    story.exit(neighbour, 0);
    story
}

#[test]
fn a_job_and_its_neighbours() {
    let played = backup_story().play();
    assert_eq!(
        played.lines(),
        [
            "A opened user:backup:/usr/bin/job init backup",
            "A 200 open aws:/home/backup/.aws/credentials",
            "B opened user:backup:/usr/bin/other init backup",
            "A 200 open pgpass:/home/backup/.pgpass",
            "A 201 exec /usr/bin/second < pgpass+aws of 3,1 inherited/1",
            "A 201 connect 10.0.0.9:5432 refused < pgpass+aws of 3,1 inherited/1 destination-named,first-connection",
            "B 300 connect 10.0.0.7:80 established",
            "A 201 connect 10.0.0.9:5432 established < pgpass+aws of 3,1 inherited/1 destination-named",
            "A 201 exit Code(0)",
            "A 200 exit Code(0)",
            "A closed run-ended 7+0",
            "B 300 exit Code(0)",
            "B closed run-ended 2+0",
        ]
        .map(str::to_owned)
    );
    assert_eq!(played.counter("opens_unconfirmed"), 1);
    let Some(Note::Closed(closed)) = played.notes.iter().find(|note| matches!(note, Note::Closed(_))) else {
        panic!("no chain closed");
    };
    assert_eq!(closed.root_exit, Some(ExitStatus::Code(0)));
    let to = Endpoint::tcp("10.0.0.9".parse().unwrap(), 5432);
    let outcome = Some(ConnectOutcome::Established);
    let reached = Reached { to, name: None, attempts: 2, established: 1, outcome };
    assert_eq!(closed.summary.destinations, [reached]);
    assert_eq!((closed.summary.processes, closed.summary.programs), (2, 1));
    let kinds: Vec<&str> = closed.summary.credentials.iter().map(|known| known.kind.as_str()).collect();
    assert_eq!(kinds, ["aws", "pgpass"]);
    let Some(Note::Opened(opened)) = played.notes.first() else {
        panic!("nothing opened");
    };
    let lineage: Vec<u32> = opened.lineage.iter().map(|process| process.key.tgid).collect();
    assert_eq!(lineage, [100, 1]);
}

/// `batches` has the same of records, in batches.
#[test]
fn ticks_between_change_nothing() {
    let story = backup_story();
    let first = story.play().notes;
    let mut stages = stages(Limits::default(), 10_000);
    let mut notes = Vec::new();
    for event in &story.events {
        stages.step(event, &mut notes, &mut Vec::new());
        let tick = crate::event::Event { time_ns: event.time_ns, what: What::Tick };
        stages.step(&tick, &mut notes, &mut Vec::new());
    }
    assert_eq!(notes, first);
}

#[test]
fn two_jobs_of_one_user_do_not_mix() {
    let (mut story, shell) = Scenario::begin();
    let one = story.run(shell, 200, BACKUP, "/usr/bin/job");
    let two = story.run(shell, 201, BACKUP, "/usr/bin/job");
    story.open(one, AWS);
    let asked = story.connect(two, "10.0.0.1", 1);
    story.end(asked, Ok(()));
    story.exit(one, 0);
    story.exit(two, 3);
    assert_eq!(
        story.play().lines(),
        [
            "A opened user:backup:/usr/bin/job init backup",
            "A 200 open aws:/home/backup/.aws/credentials",
            "B opened user:backup:/usr/bin/job init backup",
            "B 201 connect 10.0.0.1:1 established",
            "A 200 exit Code(0)",
            "A closed run-ended 2+0",
            "B 201 exit Code(3)",
            "B closed run-ended 2+0",
        ]
        .map(str::to_owned)
    );
}

#[test]
fn a_number_used_again_is_another_process() {
    let (mut story, shell) = Scenario::begin();
    let one = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.open(one, AWS);
    story.exit(one, 0);
    story.exit(one, 0);
    story.wait(SECOND);
    let again = story.run(shell, 200, BACKUP, "/usr/bin/job");
    let asked = story.connect(again, "10.0.0.1", 1);
    story.end(asked, Ok(()));
    // This one's exit is lost: its number's next holder tells.
    story.wait(SECOND);
    let third = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.exit(third, 0);
    assert_eq!(
        story.play().lines(),
        [
            "A opened user:backup:/usr/bin/job init backup",
            "A 200 open aws:/home/backup/.aws/credentials",
            "A 200 exit Code(0)",
            "A closed run-ended 2+0",
            "B opened user:backup:/usr/bin/job init backup",
            "B 200 connect 10.0.0.1:1 established",
            "B closed run-ended 1+0 gaps [\"lost\"]",
        ]
        .map(str::to_owned)
    );
}

#[test]
fn what_a_thread_opens_its_process_has() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.in_thread(job, 205);
    story.open(job, AWS);
    story.in_thread(job, 206);
    let asked = story.connect(job, "10.0.0.1", 1);
    story.end(asked, Ok(()));
    let lines = story.play().lines();
    assert_eq!(
        lines.last().unwrap(),
        "A 200 connect 10.0.0.1:1 established < aws of 1 same-process/0 first-connection,only-credential"
    );
}

#[test]
fn a_worker_outlives_the_processes_between() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.open(job, AWS);
    let between = story.fork(job, 201);
    let daemon = story.fork(between, 202);
    story.exit(between, 0);
    story.exit(job, 0);
    let asked = story.connect(daemon, "10.0.0.1", 1);
    story.end(asked, Ok(()));
    story.exit(daemon, 0);
    let played = story.play();
    assert_eq!(
        played.lines(),
        [
            "A opened user:backup:/usr/bin/job init backup",
            "A 200 open aws:/home/backup/.aws/credentials",
            "A 200 exit Code(0)",
            "A 202 connect 10.0.0.1:1 established < aws of 1 inherited/2 first-connection,only-credential",
            "A 202 exit Code(0)",
            "A closed run-ended 4+0",
        ]
        .map(str::to_owned)
    );
    assert_eq!(played.stages.table.len(), 2, "only init and the shell are left");
    assert_eq!(played.stages.resolver.len(), 2);
}

#[test]
fn what_is_opened_after_the_fork_is_not_inherited() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    let early = story.fork(job, 201);
    story.open(job, AWS);
    let late = story.fork(job, 202);
    for worker in [early, late] {
        let asked = story.connect(worker, "10.0.0.1", 1);
        story.end(asked, Ok(()));
    }
    let lines = story.play().lines();
    assert_eq!(
        lines.get(2..).unwrap(),
        [
            "A 201 connect 10.0.0.1:1 established",
            "A 202 connect 10.0.0.1:1 established < aws of 1 inherited/1 only-credential",
        ]
    );
}

#[test]
fn a_slow_connection_is_told_twice() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.open(job, AWS);
    let slow = story.connect(job, "10.0.0.1", 1);
    let quick = story.connect(job, "10.0.0.2", 2);
    story.exit(job, 0);
    story.end(quick, Ok(()));
    story.wait(2 * SECOND);
    story.tick();
    let before = story.play().lines();
    assert_eq!(
        before.last().unwrap(),
        "A 200 connect 10.0.0.2:2 established < aws of 1 same-process/0 only-credential"
    );
    story.wait(SECOND);
    story.end(slow, Ok(()));
    story.end(slow, Ok(()));
    let played = story.play();
    let link = "< aws of 1 same-process/0 first-connection,only-credential";
    assert_eq!(
        played.lines().get(before.len()..).unwrap(),
        [
            format!("A 200 connect 10.0.0.1:1 pending {link}"),
            "A closed run-ended 4+0".to_owned(),
            format!("A 200 connect 10.0.0.1:1 established at last {link}"),
        ]
    );
}

#[test]
fn a_long_run_is_cut_into_episodes() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/daemon");
    story.open(job, AWS);
    story.wait(301 * SECOND);
    let asked = story.connect(job, "10.0.0.1", 1);
    story.end(asked, Ok(()));
    let mut played = story.play();
    played.stages.stop(story.now_ns, &mut played.notes);
    assert_eq!(
        played.lines(),
        [
            "A opened user:backup:/usr/bin/daemon init backup",
            "A 200 open aws:/home/backup/.aws/credentials",
            "A closed quiet 1+0",
            "B opened user:backup:/usr/bin/daemon init backup after A",
            "B 200 connect 10.0.0.1:1 established < aws of 1 held/0 first-connection,only-credential",
            "B closed agent-stopped 1+0 gaps [\"agent-stopped\"]",
        ]
        .map(str::to_owned)
    );
}

#[test]
fn what_was_held_before_the_agent() {
    let (mut story, shell) = Scenario::begin();
    let holder = story.seed(90, 400 * SECOND, Some(shell), "/usr/bin/holder", &["/run/token", "/etc/motd"]);
    let exact = ProcessKey { start_ns: holder.start_ns + 7, ..holder };
    let worker = story.fork(holder, 201);
    let asked = story.connect(worker, "10.0.0.1", 1);
    story.end(asked, REFUSED);
    assert!(exact.same(holder));
    let played = story.play();
    assert_eq!(
        played.lines().last().unwrap(),
        "A 201 connect 10.0.0.1:1 refused < token of  held/1 only-credential"
    );
    let wishes: Vec<(u32, u32)> = played.wishes.iter().map(|wish| (wish.key.tgid, wish.flags)).collect();
    assert_eq!(wishes, [(90, MARK_HOLDS), (201, MARK_HOLDS)]);
}

#[test]
fn rows_of_proc_come_in_any_order() {
    let mut story = Scenario::default();
    story.now_ns = 1000 * SECOND;
    let at = |tgid: u32| ProcessKey { tgid, start_ns: u64::from(tgid) * SECOND };
    let job = story.seed(53, 53 * SECOND, Some(at(52)), "/usr/local/bin/job", &[]);
    story.seed(52, 52 * SECOND, Some(at(51)), "/usr/sbin/cron", &[]);
    story.seed(51, 51 * SECOND, Some(at(1)), "/usr/sbin/cron", &[]);
    story.seed(1, SECOND, None, "/usr/lib/systemd/systemd", &[]);
    story.open(job, AWS);
    // The scan of open files finds what was just opened.
    story.seed(53, 53 * SECOND, Some(at(52)), "/usr/local/bin/job", &[AWS]);
    let asked = story.connect(job, "10.0.0.1", 1);
    story.end(asked, Ok(()));
    let played = story.play();
    assert_eq!(
        played.lines(),
        [
            "A opened cron:root:/usr/local/bin/job cron root gaps [\"older-than-agent\"]",
            "A 53 open aws:/home/backup/.aws/credentials",
            "A 53 connect 10.0.0.1:1 established < aws of 1 same-process/0 first-connection,only-credential",
        ]
        .map(str::to_owned)
    );
    let Some(Note::Opened(opened)) = played.notes.first() else {
        panic!("nothing opened");
    };
    let lineage: Vec<u32> = opened.lineage.iter().map(|process| process.key.tgid).collect();
    assert_eq!((opened.root.key, lineage), (job, vec![52, 51, 1]));
}

#[test]
fn losses_are_told_to_the_chains_they_concern() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.lost();
    story.open(job, AWS);
    story.lost();
    story.exit(job, 0);
    assert_eq!(
        story.play().lines(),
        [
            "gap lost []",
            "A opened user:backup:/usr/bin/job init backup",
            "A 200 open aws:/home/backup/.aws/credentials",
            "gap lost [A]",
            "A 200 exit Code(0)",
            "A closed run-ended 2+0 gaps [\"lost\"]",
        ]
        .map(str::to_owned)
    );
}

#[test]
fn what_was_refused_is_a_gap_of_those_it_was_refused_to() {
    let (mut story, shell) = Scenario::begin();
    let noisy = story.run(shell, 200, BACKUP, "/usr/bin/noisy");
    let job = story.run(shell, 300, BACKUP, "/usr/bin/job");
    story.move_to(job, 77, "/system.slice/job.service");
    story.open(noisy, AWS);
    story.open(job, AWS);
    let refused = |story: &mut Scenario, whose: Whose| {
        let loss = Loss { since_ns: story.now_ns - MS, counts: vec![(Kind::Open, 9)], cpus: vec![(0, 9)] };
        story.push(What::Refused { loss, whose: vec![whose] });
    };
    refused(&mut story, Whose::Process(noisy));
    refused(&mut story, Whose::Cgroup(77));
    story.exit(noisy, 0);
    refused(&mut story, Whose::Process(noisy));
    // Nobody knows who that is.
    refused(&mut story, Whose::Process(ProcessKey { tgid: 999, start_ns: 1 }));
    let gaps: Vec<String> =
        story.play().lines().into_iter().filter(|line| line.starts_with("gap lost")).collect();
    assert_eq!(gaps, ["gap lost [A]", "gap lost [B]", "gap lost [A]", "gap lost [BA]"]);
}

#[test]
fn what_was_told_already_is_a_gap_of_its_own_kind() {
    let (mut story, shell) = Scenario::begin();
    let noisy = story.run(shell, 200, BACKUP, "/usr/bin/noisy");
    let job = story.run(shell, 300, BACKUP, "/usr/bin/job");
    story.open(noisy, AWS);
    story.open(job, AWS);
    let repeated = |story: &mut Scenario, whose| {
        let loss =
            Loss { since_ns: story.now_ns - MS, counts: vec![(Kind::Open, 900)], cpus: vec![(0, 900)] };
        story.push(What::Repeated { loss, whose });
    };
    repeated(&mut story, Some(vec![Whose::Process(noisy)]));
    story.exit(noisy, 0);
    // Of whom is not known: of a chain that closed meanwhile, too.
    repeated(&mut story, None);
    let lines = story.play().lines();
    let told: Vec<&str> = lines.iter().map(String::as_str).filter(|line| line.contains("gap")).collect();
    assert_eq!(
        told,
        ["gap repeated [A]", "A closed run-ended 2+0 gaps [\"repeated\"]", "gap repeated [BA]",]
    );
}

#[test]
fn a_run_whose_end_passed_by_ends_when_proc_is_read_again() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.fork(job, 201);
    story.open(job, AWS);
    story.exit(job, 0);
    // The child ended, too, and the probe was at work for another task on that CPU, interrupted.
    let counts = vec![(Kind::Exit, 1)];
    story.push(What::Missed(Loss { since_ns: story.now_ns - SECOND, counts, cpus: Vec::new() }));
    story.wait(SECOND);
    story.push(What::Present(vec![shell]));
    let played = story.play();
    assert_eq!(
        played.lines(),
        [
            "A opened user:backup:/usr/bin/job init backup",
            "A 200 open aws:/home/backup/.aws/credentials",
            "A 200 exit Code(0)",
            "gap missed [A]",
            "A closed run-ended 2+0 gaps [\"missed\", \"lost\"]",
        ]
        .map(str::to_owned)
    );
}

#[test]
fn what_a_process_does_after_its_end_is_a_gap() {
    let (mut story, shell) = Scenario::begin();
    let other = story.run(shell, 200, BACKUP, "/usr/bin/other");
    story.open(other, AWS);
    let job = story.run(shell, 201, BACKUP, "/usr/bin/job");
    story.push(What::Present(vec![shell, other]));
    story.exit(job, 0);
    let quiet = story.play();
    assert_eq!(quiet.counter("acts_late"), 0, "an end that was known is nothing new");
    story.open(job, PGPASS);
    let played = story.play();
    assert_eq!(played.counter("acts_late"), 1);
    assert_eq!(played.lines()[quiet.lines().len()..], ["gap lost [A]"].map(str::to_owned));
}

#[test]
fn a_canary_leaves_no_trace() {
    let (mut story, shell) = Scenario::begin();
    let canary = story.fork(shell, 200);
    story.mark(canary, MARK_CANARY);
    story.exec(canary, "/usr/bin/spoor");
    story.open(canary, AWS);
    let child = story.fork(canary, 201);
    story.open(child, AWS);
    story.exit(child, 0);
    story.exit(canary, 0);
    let played = story.play();
    assert_eq!(played.lines(), [""; 0]);
    assert_eq!(played.counter("samples_canary"), 6);
}

#[test]
fn actors_of_all_kinds() {
    let (mut story, shell) = Scenario::begin();
    let id = "605439acbd4fb18c145069289094b17f17e0cfa938f78012d4960bc797305f22";
    let user = "/user.slice/user-1000.slice";
    let mut tgid = 200;
    let mut unit = |story: &mut Scenario, path: &str, login: bool, uid: u32| {
        tgid += 1;
        let process = story.fork(shell, tgid);
        story.move_to(process, u64::from(tgid), path);
        if login {
            story.login(process, ALICE, 3);
        }
        story.become_user(process, uid);
        story.exec(process, "/usr/bin/x");
        story.open(process, AWS);
    };
    unit(&mut story, "/system.slice/web.service", false, BACKUP);
    unit(&mut story, "/system.slice/dump.service", false, 0);
    unit(&mut story, "/system.slice/web.service", true, BACKUP);
    unit(&mut story, &format!("/system.slice/docker-{id}.scope"), false, 12_345);
    unit(&mut story, &format!("{user}/session-3.scope"), true, ALICE);
    unit(&mut story, &format!("{user}/session-3.scope"), true, 0);
    unit(&mut story, &format!("{user}/session-3.scope"), true, BACKUP);
    unit(&mut story, &format!("{user}/session-3.scope"), false, BACKUP);
    unit(&mut story, &format!("{user}/user@1000.service/app.slice/sync.service"), true, ALICE);
    unit(&mut story, &format!("/system.slice/pod.service/libpod-payload-{id}"), false, 0);
    let lines = story.play().lines();
    let opened: Vec<&str> =
        lines.iter().filter_map(|line| line.split_once(" opened ").map(|(_, rest)| rest)).collect();
    assert_eq!(
        opened,
        [
            "systemd:web.service init backup",
            "systemd:dump.service timer:dump.timer root",
            "systemd:web.service human:alice backup",
            "container:docker:605439acbd4f container:docker 12345",
            "session:alice:3 login alice",
            "user:backup:/usr/bin/x human:alice backup",
            "user:backup:/usr/bin/x init backup",
            "user-unit:alice:sync.service user-manager:alice alice",
            "systemd:pod.service container:podman root",
        ],
        "alice as root is still in her one session"
    );
}

#[test]
fn a_job_of_cron() {
    let (mut story, shell) = Scenario::begin();
    let cron = story.run(shell, 50, 0, "/usr/sbin/cron");
    let child = story.fork(cron, 51);
    story.login(child, BACKUP, 9);
    let job = story.fork(child, 52);
    story.become_user(job, BACKUP);
    story.exec_with(job, "/usr/bin/dash", &["/bin/sh", "-c", "/usr/local/bin/job --all"]);
    let inner = story.run(job, 53, BACKUP, "/usr/local/bin/job");
    story.open(inner, AWS);
    story.exec(job, "/usr/bin/last");
    story.exit(inner, 0);
    story.exit(job, 1);
    // Not root's: no cron.
    let fake = story.run(shell, 60, ALICE, "/home/alice/cron");
    let below = story.run(fake, 61, ALICE, "/usr/bin/x");
    story.open(below, AWS);
    let played = story.play();
    assert_eq!(
        played.lines(),
        [
            "A opened cron:backup:/usr/local/bin/job cron backup",
            "A 53 open aws:/home/backup/.aws/credentials",
            "A 52 exec /usr/bin/last",
            "A 53 exit Code(0)",
            "A 52 exit Code(1)",
            "A closed run-ended 4+0",
            "B opened user:alice:/home/alice/cron init alice",
            "B 61 open aws:/home/backup/.aws/credentials",
        ]
        .map(str::to_owned)
    );
    let wishes: Vec<(u32, u32)> = played.wishes.iter().map(|wish| (wish.key.tgid, wish.flags)).collect();
    assert_eq!(wishes, [(52, MARK_SERVICE), (53, MARK_SERVICE)]);
}

#[test]
fn a_run_keeps_its_name_once_it_acted() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/dash");
    story.exec(job, "/usr/bin/job");
    story.open(job, AWS);
    story.exec(job, "/usr/bin/second");
    let child = story.run(job, 201, BACKUP, "/usr/bin/third");
    story.open(child, PGPASS);
    story.exit(child, 0);
    story.exit(job, 0);
    let played = story.play();
    let actors: std::collections::BTreeSet<&str> = played
        .notes
        .iter()
        .filter_map(|note| match note {
            Note::Acted(acted) => Some(acted.action.actor.id.as_str()),
            Note::Opened(_) | Note::Completed(_) | Note::Closed(_) | Note::Gap(_) => None,
        })
        .collect();
    assert_eq!(actors.into_iter().collect::<Vec<_>>(), ["user:backup:/usr/bin/job"]);
    assert_eq!(played.lines().last().unwrap(), "A closed run-ended 6+0");
}

#[test]
fn a_run_waits_for_the_outcome_of_its_last_connection() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    let asked = story.connect(job, "10.0.0.1", 1);
    story.exit(job, 0);
    story.wait(SECOND);
    story.end(asked, REFUSED);
    let played = story.play();
    assert_eq!(
        played.lines(),
        [
            "A opened user:backup:/usr/bin/job init backup",
            "A 200 exit Code(0)",
            "A 200 connect 10.0.0.1:1 refused",
            "A closed run-ended 2+0",
        ]
        .map(str::to_owned)
    );
    let Some(Note::Acted(acted)) = played.notes.get(2) else {
        panic!("no connection");
    };
    let crate::action::ActionDeed::Connect { took_ns, .. } = acted.action.deed else {
        panic!("no connection");
    };
    assert_eq!(took_ns, Some(SECOND + 2 * MS));
    assert_eq!(played.stages.machine.sizes(), (2, 2, 0), "init, and the shell it started");
}

#[test]
fn a_sibling_made_with_clone_parent_has_what_its_maker_had() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.open(job, AWS);
    let sibling = story.fork_for(job, shell, 201);
    let asked = story.connect(sibling, "10.0.0.1", 1);
    story.end(asked, Ok(()));
    let played = story.play();
    let last = "A 201 connect 10.0.0.1:1 established < aws of 1 inherited/1 first-connection,only-credential";
    assert_eq!(played.lines().last().unwrap(), last);
    let Some(Note::Acted(acted)) = played.notes.last() else {
        panic!("no connection");
    };
    assert_eq!(acted.action.process.parent, Some(shell));
}

/// A bounded table and bounded time, whatever the host does.
#[test]
fn a_flood_of_helpers_is_cheap() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.open(job, AWS);
    let rounds: u32 = if cfg!(debug_assertions) { 60_000 } else { 500_000 };
    let limits = Limits { quiet_ns: u64::MAX, ..Limits::default() };
    let mut stages = stages(limits, 1000);
    let mut notes = Vec::new();
    let mut wishes = Vec::new();
    for round in 0..rounds {
        let helper = story.fork(job, 1000 + round % 30_000);
        // Every tenth exit is lost.
        if round % 10 != 0 {
            story.exit(helper, 0);
        }
        for event in story.events.drain(..) {
            stages.step(&event, &mut notes, &mut wishes);
        }
        wishes.clear();
        assert!(stages.table.len() <= 1000);
    }
    assert!(stages.resolver.len() <= 1000);
    assert!(stages.machine.sizes().0 <= 1000);
    assert_eq!(notes.len(), 2, "helpers that only come and go leave no action");
    story.wait(MS);
}

#[test]
fn a_pool_of_workers_is_one_run() {
    let (mut story, shell) = Scenario::begin();
    let master = story.run(shell, 200, 0, "/usr/sbin/web");
    story.open(master, "/etc/web/token");
    let workers: Vec<_> = (1..4).map(|index| story.fork(master, 200 + index)).collect();
    for (port, worker) in (1..).zip(&workers) {
        let asked = story.connect(*worker, "10.0.0.1", port);
        story.end(asked, Ok(()));
    }
    for worker in workers {
        story.exit(worker, 0);
    }
    let lines = story.play().lines();
    let connections: Vec<&String> = lines.iter().filter(|line| line.contains("connect")).collect();
    assert_eq!(connections.len(), 3);
    assert!(
        connections.iter().all(|line| line.starts_with("A 20") && line.contains("inherited/1")),
        "{lines:?}"
    );
}

/// The next three try what a hostile or merely odd program would.
#[test]
fn a_set_uid_program_stays_in_the_run_and_another_user_leaves_it() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.open(job, AWS);
    let sudo = story.fork(job, 201);
    story.become_root_effectively(sudo);
    story.exec(sudo, "/usr/bin/sudo");
    story.become_user(sudo, ALICE);
    story.exec(sudo, "/usr/bin/x");
    let asked = story.connect(sudo, "10.0.0.1", 1);
    story.end(asked, Ok(()));
    story.exit(sudo, 0);
    story.exit(job, 0);
    assert_eq!(
        story.play().lines(),
        [
            "A opened user:backup:/usr/bin/job init backup",
            "A 200 open aws:/home/backup/.aws/credentials",
            "A 201 exec /usr/bin/sudo < aws of 1 inherited/1 only-credential",
            "B opened user:alice:/usr/bin/x init alice",
            "B 201 connect 10.0.0.1:1 established < aws of 1 inherited/1 only-credential",
            "B 201 exit Code(0)",
            "B closed run-ended 2+0",
            "A 200 exit Code(0)",
            "A closed run-ended 3+0",
        ]
        .map(str::to_owned)
    );
}

#[test]
fn opening_again_and_again_hides_no_other_credential() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.open(job, AWS);
    for _ in 0..100 {
        story.open(job, PGPASS);
    }
    story.connect(job, "10.0.0.9", 5432);
    let mut played = story.play();
    played.stages.stop(story.now_ns, &mut played.notes);
    let Some(Note::Acted(acted)) = played.notes.iter().rev().find(|note| matches!(note, Note::Acted(_)))
    else {
        panic!("nothing acted");
    };
    let kinds: Vec<&str> = acted.credentials.iter().map(|known| known.kind.as_str()).collect();
    assert_eq!(kinds, ["pgpass", "aws"]);
    assert_eq!(acted.link.as_ref().unwrap().of.len(), crate::chain::Link::OF_MAX);
}

#[test]
fn a_process_nobody_saw_made() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.open(job, AWS);
    story.connect(job, "10.0.0.1", 1);
    story.exit(job, 0);
    // Its fork and exec were lost.
    story.events.drain(2..4);
    let mut played = story.play();
    played.stages.stop(story.now_ns, &mut played.notes);
    let lines = played.lines();
    assert_eq!(lines[0], "A opened user:backup:? init backup gaps [\"unknown-parent\"]");
    assert!(lines.last().unwrap().starts_with("A closed run-ended"), "{lines:?}");
}

mod any {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::scenario::{MS, SECOND, Scenario};
    use super::{AWS, BACKUP, REFUSED};
    use crate::chain::{ChainId, Limits, Note};
    use crate::event::ProcessKey;

    fn story(steps: &[(u8, u8, u8)]) -> Scenario {
        let (mut story, shell) = Scenario::begin();
        let mut live: Vec<ProcessKey> = vec![shell];
        let mut asked = Vec::new();
        for (what, who, more) in steps {
            let who = live[usize::from(*who) % live.len()];
            match what % 9 {
                0 | 1 => live.push(story.fork(who, 200 + u32::from(*more % 8))),
                2 => story.open(who, AWS),
                3 => asked.push(story.connect(who, "10.0.0.1", u16::from(*more))),
                4 => {
                    if let Some(of) = asked.pop() {
                        story.end(of, if more % 2 == 0 { Ok(()) } else { REFUSED });
                    }
                }
                5 => story.exit(who, 0),
                6 => story.wait(u64::from(*more) * 100 * MS),
                7 => story.become_user(who, if more % 2 == 0 { BACKUP } else { 0 }),
                _ => story.exec(who, "/usr/bin/x"),
            }
        }
        story
    }

    proptest! {
        #[test]
        fn notes_are_always_in_order(
            steps in proptest::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 0..150),
            most in 3_usize..20,
        ) {
            let limits = Limits { quiet_ns: 5 * SECOND, max_actions: 5, max_open: 2, max_pending: 2, ..Limits::default() };
            let story = story(&steps);
            let mut played = story.play_with(limits, most);
            prop_assert!(played.stages.machine.sizes().0 <= most);
            prop_assert!(played.stages.resolver.len() <= most);
            prop_assert!(played.stages.machine.sizes().2 <= 2);
            played.stages.stop(story.now_ns, &mut played.notes);
            prop_assert_eq!(played.stages.machine.sizes().2, 0);
            let again = {
                let mut again = story.play_with(limits, most);
                again.stages.stop(story.now_ns, &mut again.notes);
                again.notes
            };
            prop_assert_eq!(&played.notes, &again);
            // Whether a chain is open, and how many actions it has recorded.
            let mut chains: HashMap<ChainId, (bool, u64)> = HashMap::new();
            for note in &played.notes {
                match note {
                    Note::Opened(opened) => prop_assert!(chains.insert(opened.chain, (true, 0)).is_none()),
                    Note::Acted(acted) => {
                        let late = matches!(
                            acted.action.deed,
                            crate::action::ActionDeed::Connect { completes: Some(_), .. }
                        );
                        let chain = chains.get_mut(&acted.chain).unwrap();
                        prop_assert!(chain.0 || late);
                        chain.1 += if chain.0 { acted.count() } else { 0 };
                    }
                    Note::Closed(closed) => {
                        let chain = chains.get_mut(&closed.chain).unwrap();
                        prop_assert!(chain.0);
                        prop_assert_eq!(chain.1, closed.summary.actions);
                        chain.0 = false;
                    }
                    // Of an actor, more may become known after the end, never before the beginning.
                    Note::Completed(completed) => prop_assert!(chains.contains_key(&completed.chain)),
                    Note::Gap(_) => {}
                }
            }
            prop_assert!(chains.values().all(|chain| !chain.0));
        }
    }
}
