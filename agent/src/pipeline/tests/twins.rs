//! Stories that are easily misread. Of each connection the author knows which credential went over it; the links say what
//! they make of it. Counted over all stories, at each word that a link has for its confidence: links that are right, wrong
//! and missing.

mod hard;

use super::super::scenario::{ALICE, BACKUP, MS, Played, REFUSED, SECOND, Scenario, file};
use super::{AWS, PGPASS};
use crate::action::ActionDeed;
use crate::chain::{Acted, FAIR, Note, STRONG};
use crate::event::{Deed, Kind, Loss, ProcessKey, Source, Transport, What};

const TOKEN: &str = "/srv/app/token";

/// A connection, and the kind of credential that was used for it.
type Truth = (u32, &'static str, u16, Option<&'static str>);

struct Told {
    story: Scenario,
    truth: Vec<Truth>,
}

impl Told {
    fn begin() -> (Self, ProcessKey) {
        let (story, shell) = Scenario::begin();
        (Self { story, truth: Vec::new() }, shell)
    }

    fn reach(&mut self, key: ProcessKey, to: &'static str, port: u16, used: Option<&'static str>) {
        let asked = self.story.connect(key, to, port);
        self.story.end(asked, Ok(()));
        self.truth.push((key.tgid, to, port, used));
    }
}

fn two_services_of_one_user() -> Told {
    let (mut told, shell) = Told::begin();
    let one = told.story.run(shell, 200, BACKUP, "/usr/bin/one");
    let two = told.story.run(shell, 201, BACKUP, "/usr/bin/two");
    told.story.open(one, AWS);
    told.story.open(two, TOKEN);
    told.reach(two, "10.0.0.1", 443, Some("token"));
    told.reach(one, "10.0.0.1", 443, Some("aws"));
    told
}

fn a_number_is_used_again() -> Told {
    let (mut told, shell) = Told::begin();
    let one = told.story.run(shell, 200, BACKUP, "/usr/bin/job");
    told.story.open(one, AWS);
    told.reach(one, "10.0.0.1", 443, Some("aws"));
    told.story.exit(one, 0);
    told.story.wait(SECOND);
    let again = told.story.run(shell, 200, BACKUP, "/usr/bin/job");
    told.reach(again, "10.0.0.2", 443, None);
    told
}

/// By the same program, before a clock that counts in ticks goes on.
fn a_number_is_used_again_at_once() -> Told {
    let (mut told, shell) = Told::begin();
    let one = told.story.run(shell, 200, BACKUP, "/usr/bin/job");
    told.story.open(one, AWS);
    told.reach(one, "10.0.0.1", 443, Some("aws"));
    told.story.exit(one, 0);
    let again = told.story.run(shell, 200, BACKUP, "/usr/bin/job");
    assert!(one.same(again), "within one tick");
    told.reach(again, "10.0.0.2", 443, None);
    told
}

fn one_thread_reads_another_connects() -> Told {
    let (mut told, shell) = Told::begin();
    let job = told.story.run(shell, 200, BACKUP, "/usr/bin/job");
    told.story.in_thread(job, 205);
    told.story.open(job, AWS);
    told.story.in_thread(job, 206);
    told.reach(job, "10.0.0.1", 443, Some("aws"));
    told
}

fn a_double_fork() -> Told {
    let (mut told, shell) = Told::begin();
    let job = told.story.run(shell, 200, BACKUP, "/usr/bin/job");
    told.story.open(job, AWS);
    let between = told.story.fork(job, 201);
    let daemon = told.story.fork(between, 202);
    told.story.exit(between, 0);
    told.story.exit(job, 0);
    told.reach(daemon, "10.0.0.1", 443, Some("aws"));
    told
}

/// Each worker opens a token of its own; none has another's.
fn a_pool_of_workers() -> Told {
    let (mut told, shell) = Told::begin();
    let master = told.story.run(shell, 200, BACKUP, "/usr/bin/pool");
    told.story.open(master, PGPASS);
    let workers: Vec<ProcessKey> = (201..205).map(|tgid| told.story.fork(master, tgid)).collect();
    for worker in &workers {
        told.reach(*worker, "10.0.0.9", 5432, Some("pgpass"));
    }
    told.story.open(workers[0], TOKEN);
    told.reach(workers[0], "10.0.0.2", 443, Some("token"));
    told.reach(workers[1], "10.0.0.2", 443, None);
    told
}

fn handed_over_a_socket() -> Told {
    let (mut told, shell) = Told::begin();
    let broker = told.story.run(shell, 200, BACKUP, "/usr/bin/broker");
    let client = told.story.run(shell, 300, BACKUP, "/usr/bin/client");
    let neighbour = told.story.run(shell, 301, BACKUP, "/usr/bin/client");
    told.story.open(broker, TOKEN);
    told.story.deed(client, Source::LsmReceive, Deed::Receive(file(TOKEN)));
    told.reach(client, "10.0.0.1", 443, Some("token"));
    told.reach(neighbour, "10.0.0.1", 443, None);
    told
}

/// `cat .pgpass | psql`, and beside it a download that has nothing to do with it.
fn a_pipeline() -> Told {
    let (mut told, shell) = Told::begin();
    let script = told.story.run(shell, 200, BACKUP, "/usr/bin/bash");
    let cat = told.story.fork(script, 201);
    let psql = told.story.fork(script, 202);
    told.story.exec(cat, "/usr/bin/cat");
    told.story.exec(psql, "/usr/bin/psql");
    told.story.open(cat, PGPASS);
    told.story.exit(cat, 0);
    told.reach(psql, "10.0.0.9", 5432, Some("pgpass"));
    told.story.exit(psql, 0);
    told.story.wait(SECOND);
    let curl = told.story.fork(script, 203);
    told.story.exec(curl, "/usr/bin/curl");
    told.reach(curl, "10.0.0.2", 443, None);
    told
}

/// A daemon reads once and connects for weeks.
fn held_for_weeks() -> Told {
    let (mut told, _) = Told::begin();
    let init = ProcessKey { tgid: 1, start_ns: 10 * SECOND };
    let daemon = told.story.seed(150, 20 * SECOND, Some(init), "/usr/sbin/daemon", &[AWS]);
    told.story.wait(21 * 86_400 * SECOND);
    told.reach(daemon, "10.0.0.1", 443, Some("aws"));
    told
}

/// Two credentials, one of which says what it is for.
fn one_names_it() -> Told {
    let (mut told, shell) = Told::begin();
    let job = told.story.run(shell, 200, BACKUP, "/usr/bin/job");
    told.story.open(job, PGPASS);
    told.story.open(job, AWS);
    told.reach(job, "10.0.0.9", 5432, Some("pgpass"));
    told.reach(job, "10.0.0.1", 443, Some("aws"));
    told
}

/// What names another destination is not for this one.
fn none_names_it() -> Told {
    let (mut told, shell) = Told::begin();
    let job = told.story.run(shell, 200, BACKUP, "/usr/bin/job");
    told.story.open(job, PGPASS);
    told.reach(job, "10.0.0.2", 443, None);
    told
}

/// A person reads the service's credential; the service goes on as before.
fn a_person_beside_the_service() -> Told {
    let (mut told, shell) = Told::begin();
    let service = told.story.run(shell, 200, BACKUP, "/usr/bin/job");
    told.story.open(service, TOKEN);
    let person = told.story.fork(shell, 400);
    told.story.login(person, ALICE, 7);
    told.story.become_user(person, ALICE);
    told.story.exec(person, "/usr/bin/cat");
    told.story.open(person, AWS);
    told.reach(service, "10.0.0.1", 443, Some("token"));
    told
}

type Story = fn() -> Told;

/// What is seen every day.
const STORIES: [(&str, Story); 12] = [
    ("two services of one user", two_services_of_one_user),
    ("a number is used again", a_number_is_used_again),
    ("a number is used again at once", a_number_is_used_again_at_once),
    ("one thread reads, another connects", one_thread_reads_another_connects),
    ("a double fork", a_double_fork),
    ("a pool of workers", a_pool_of_workers),
    ("handed over a socket", handed_over_a_socket),
    ("a pipeline", a_pipeline),
    ("held for weeks", held_for_weeks),
    ("one names it", one_names_it),
    ("none names it", none_names_it),
    ("a person beside the service", a_person_beside_the_service),
];

/// Made to mislead: what they count is what it is, and is told in docs/CHAINS.md.
const HARD: [(&str, Story); 14] = [
    ("one token and other systems at once", hard::one_token_and_other_systems_at_once),
    ("a log host before the API", hard::a_log_host_before_the_api),
    ("one token and other systems for hours", hard::one_token_and_other_systems_for_hours),
    ("held before the agent, and other systems", hard::held_before_the_agent_and_other_systems),
    ("two tokens opened together", hard::two_tokens_opened_together),
    ("two tokens, one after the other", hard::two_tokens_one_after_the_other),
    ("two threads with a token each", hard::two_threads_with_a_token_each),
    ("a worker opens after the fork", hard::a_worker_opens_after_the_fork),
    ("a pipeline with a neighbour", hard::a_pipeline_with_a_neighbour),
    ("two services with a token each", hard::two_services_with_a_token_each),
    ("a number is used again after a loss", hard::a_number_is_used_again_after_a_loss),
    ("a helper that inherits and does not use", hard::a_helper_that_inherits_and_does_not_use),
    ("one of two is handed over", hard::one_of_two_is_handed_over),
    ("one that names, and a token", hard::one_that_names_and_a_token),
];

/// What the record of a connection says.
fn connected(played: &Played, (pid, to, port, _): Truth, nth: usize) -> &Acted {
    let ip = to.parse().unwrap();
    let is = |acted: &&Acted| {
        let ActionDeed::Connect { to, completes: None, .. } = acted.action.deed else {
            return false;
        };
        acted.action.process.key.tgid == pid && to.inet() == Some((ip, port))
    };
    acted(played).filter(is).nth(nth).unwrap_or_else(|| panic!("no connection of {pid} to {to}:{port}"))
}

fn acted(played: &Played) -> impl Iterator<Item = &Acted> {
    played.notes.iter().filter_map(|note| if let Note::Acted(acted) = note { Some(&**acted) } else { None })
}

/// Kinds of the credentials with which an action is linked by so much at least.
fn linked(acted: &Acted, least: u8) -> Vec<String> {
    let worth = |id: &str| acted.link.as_ref().map_or(0, |link| link.worth(id));
    let linked = acted.credentials.iter().filter(|credential| worth(&credential.id) >= least);
    linked.map(|credential| credential.kind.clone()).collect()
}

fn fair(acted: &Acted) -> Vec<String> {
    linked(acted, FAIR)
}

/// Links of some stories that are worth so much at least.
#[derive(Debug, Default, PartialEq)]
struct Count {
    right: usize,
    wrong: Vec<String>,
    missing: Vec<String>,
}

impl Count {
    fn of(stories: &[(&str, Story)], least: u8) -> Self {
        let mut count = Self::default();
        for (name, story) in stories {
            let told = story();
            let played = told.story.play();
            for (at, truth) in told.truth.iter().enumerate() {
                let (pid, to, port, used) = *truth;
                let same = |other: &&Truth| (other.0, other.1, other.2) == (pid, to, port);
                let nth = told.truth[..at].iter().filter(same).count();
                let linked = linked(connected(&played, *truth, nth), least);
                let of = format!("{name}: {pid} to {to}:{port}");
                let wrong = linked.iter().filter(|kind| used != Some(kind));
                count.wrong.extend(wrong.map(|kind| format!("{of} {kind}")));
                match used {
                    Some(used) if linked.iter().any(|kind| kind == used) => count.right += 1,
                    Some(used) => count.missing.push(format!("{of} {used}")),
                    None => {}
                }
            }
        }
        count
    }

    fn numbers(&self) -> (usize, usize, usize) {
        (self.right, self.wrong.len(), self.missing.len())
    }

    /// As a row of the table in docs/CHAINS.md.
    fn row(&self, of: &str, level: &str) -> String {
        let (right, wrong, missing) = self.numbers();
        let share = |of: usize| match of {
            0 => "1.00".to_owned(),
            _ => {
                let per_cent = (right * 200 + of) / (of * 2);
                format!("{}.{:02}", per_cent / 100, per_cent % 100)
            }
        };
        let (precision, recall) = (share(right + wrong), share(right + missing));
        format!("| {of} | {level} | {right} | {wrong} | {missing} | {precision} | {recall} |")
    }
}

const LEVELS: [(&str, u8); 3] = [("strong", STRONG), ("at least fair", FAIR), ("any, weak ones too", 1)];

const TABLE: [&str; 6] = [
    "| plain | strong | 14 | 0 | 3 | 1.00 | 0.82 |",
    "| plain | at least fair | 16 | 0 | 1 | 1.00 | 0.94 |",
    "| plain | any, weak ones too | 17 | 3 | 0 | 0.85 | 1.00 |",
    "| made to mislead | strong | 10 | 1 | 14 | 0.91 | 0.42 |",
    "| made to mislead | at least fair | 16 | 5 | 8 | 0.76 | 0.67 |",
    "| made to mislead | any, weak ones too | 24 | 26 | 0 | 0.48 | 1.00 |",
];

#[test]
fn right_links_are_there_and_wrong_ones_are_not() {
    let stories = [("plain", &STORIES[..]), ("made to mislead", &HARD[..])];
    let rows = stories.into_iter().flat_map(|(of, stories)| {
        LEVELS.map(|(level, least)| {
            let count = Count::of(stories, least);
            for (what, each) in [("wrong", &count.wrong), ("missing", &count.missing)] {
                each.iter().for_each(|each| println!("{of}, {level}, {what}: {each}"));
            }
            count.row(of, level)
        })
    });
    let rows: Vec<String> = rows.collect();
    println!("{}", rows.join("\n"));
    assert_eq!(rows, TABLE, "each wrong and each missing link is named above");
    let told = include_str!("../../../../docs/CHAINS.md");
    assert!(rows.iter().all(|row| told.contains(row.as_str())), "docs/CHAINS.md tells other figures");
}

/// Of what is plain nothing is fair and wrong; what is missing is a daemon's that has held its only credential for weeks.
#[test]
fn of_plain_stories_no_wrong_link_is_fair() {
    let count = Count::of(&STORIES, FAIR);
    assert_eq!(count.wrong, [""; 0]);
    assert_eq!(count.missing, ["held for weeks: 150 to 10.0.0.1:443 aws"]);
    let weak = Count::of(&STORIES, 1);
    assert_eq!(weak.missing, [""; 0], "it is linked all the same");
}

#[test]
fn what_fails_and_is_tried_again_says_so() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/orchestrator");
    story.open(job, TOKEN);
    for code in [1, 1, 0] {
        let child = story.fork(job, 201);
        story.exec_with(child, "/usr/bin/deploy", &["deploy", "--to", "production"]);
        story.exit(child, code);
        story.wait(SECOND);
    }
    let other = story.fork(job, 202);
    story.exec_with(other, "/usr/bin/deploy", &["deploy", "--to", "staging"]);
    story.exit(other, 0);
    for outcome in [REFUSED, REFUSED, Ok(()), REFUSED] {
        let asked = story.connect(job, "10.0.0.1", 443);
        story.end(asked, outcome);
    }
    let elsewhere = story.connect(job, "10.0.0.2", 443);
    story.end(elsewhere, Ok(()));
    let played = story.play();
    let numbers = |wanted: fn(&ActionDeed) -> bool| -> Vec<u64> {
        let acted = acted(&played).filter(|acted| wanted(&acted.action.deed));
        acted.map(|acted| acted.attempt.map_or(1, |attempt| attempt.number)).collect()
    };
    assert_eq!(numbers(|deed| matches!(deed, ActionDeed::Exec { .. })), [1, 2, 3, 1]);
    assert_eq!(numbers(|deed| matches!(deed, ActionDeed::Connect { .. })), [1, 2, 3, 1, 1]);
}

/// Chains that say that they are an attempt, with its number.
fn attempts(played: &Played) -> Vec<Option<u64>> {
    let opened = played.notes.iter().filter_map(|note| {
        let Note::Opened(opened) = note else { return None };
        Some(opened.attempt.map(|attempt| attempt.number))
    });
    opened.collect()
}

fn run_of(story: &mut Scenario, shell: ProcessKey, (tgid, exe, argv): (u32, &str, &[&str]), code: u8) {
    let job = story.fork(shell, tgid);
    story.move_to(job, 70 + u64::from(tgid), "/system.slice/sync.service");
    story.exec_with(job, exe, argv);
    story.open(job, TOKEN);
    let asked = story.connect(job, "10.0.0.1", 443);
    story.end(asked, Ok(()));
    story.exit(job, code);
}

#[test]
fn a_job_that_failed_is_tied_to_its_repetition_and_to_nothing_else() {
    let (mut story, _) = Scenario::begin();
    let init = ProcessKey { tgid: 1, start_ns: 10 * SECOND };
    let sync: &[&str] = &["sync", "--all"];
    for (tgid, code) in [(201, 1), (202, 1), (203, 0), (204, 0)] {
        run_of(&mut story, init, (tgid, "/usr/bin/sync", sync), code);
        story.wait(SECOND);
    }
    run_of(&mut story, init, (205, "/usr/bin/sync", sync), 1);
    run_of(&mut story, init, (206, "/usr/bin/sync", &["sync", "--one"]), 0);
    story.wait(3_600 * SECOND);
    run_of(&mut story, init, (207, "/usr/bin/sync", sync), 0);
    assert_eq!(attempts(&story.play()), [None, Some(2), Some(3), None, None, None, None]);
}

#[test]
fn the_same_command_from_another_origin_is_no_retry() {
    let (mut story, shell) = Scenario::begin();
    let init = ProcessKey { tgid: 1, start_ns: 10 * SECOND };
    let sync: &[&str] = &["sync", "--all"];
    run_of(&mut story, init, (201, "/usr/bin/sync", sync), 1);
    let person = story.fork(shell, 400);
    story.login(person, ALICE, 7);
    story.become_user(person, ALICE);
    story.exec_with(person, "/usr/bin/sync", sync);
    story.open(person, TOKEN);
    let stranger = story.run(shell, 500, BACKUP, "/usr/bin/x");
    story.exec_with(stranger, "/usr/bin/sync", sync);
    story.open(stranger, TOKEN);
    assert_eq!(attempts(&story.play()), [None, None, None]);
}

#[test]
fn one_credential_and_the_systems_after_it() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.open(job, TOKEN);
    for host in 1..=5 {
        let asked = story.connect(job, &format!("10.0.1.{host}"), 443);
        story.end(asked, if host == 3 { REFUSED } else { Ok(()) });
        story.wait(20 * MS);
    }
    story.open(job, PGPASS);
    let asked = story.connect(job, "10.0.0.9", 5432);
    story.end(asked, Ok(()));
    story.exit(job, 0);
    let played = story.play();
    let Some(Note::Closed(closed)) = played.notes.last() else {
        panic!("not closed");
    };
    let fan_out: Vec<(&str, &[usize])> = closed
        .summary
        .fan_out
        .iter()
        .map(|one| (one.credential.split(':').next().unwrap(), &*one.destinations))
        .collect();
    assert_eq!(fan_out, [("token", &[0, 1, 2, 3, 4][..]), ("pgpass", &[5][..])]);
    let outcomes = closed.summary.destinations.iter().map(|reached| reached.established);
    assert_eq!(outcomes.collect::<Vec<_>>(), [1, 1, 0, 1, 1, 1]);
}

/// `ssh` and its like connect first. What has nothing to do with the connection is not linked with it.
#[test]
fn a_client_that_is_asked_for_its_credential() {
    let (mut story, shell) = Scenario::begin();
    let client = story.run(shell, 200, BACKUP, "/usr/bin/client");
    let asked = story.connect(client, "10.0.0.9", 5432);
    story.end(asked, Ok(()));
    let helper = story.fork(client, 201);
    story.exec(helper, "/usr/bin/helper");
    story.open(helper, PGPASS);
    story.open(client, TOKEN);
    story.wait(61 * SECOND);
    story.open(client, PGPASS);
    let failing = story.run(shell, 300, BACKUP, "/usr/bin/failing");
    let refused = story.connect(failing, "10.0.0.9", 5432);
    story.end(refused, REFUSED);
    story.open(failing, PGPASS);
    let played = story.play();
    let opened = acted(&played).filter(|acted| matches!(acted.action.deed, ActionDeed::SecretOpen { .. }));
    let told: Vec<_> = opened
        .map(|acted| {
            let link = acted.link.as_ref().map(|link| (link.relation.name(), link.confidence, link.hops));
            (acted.action.process.key.tgid, link)
        })
        .collect();
    let linked = Some(("opened_while_connected", 85, 1));
    assert_eq!(told, [(201, linked), (200, None), (200, None), (300, None)]);
}

/// A worker serves two requests one after another, and opens a token for each.
#[test]
fn one_request_does_not_spill_into_the_next() {
    let (mut story, shell) = Scenario::begin();
    let worker = story.run(shell, 200, BACKUP, "/usr/bin/worker");
    let client = |port| ("10.0.0.50".parse().unwrap(), port);
    let accept = |story: &mut Scenario, port| {
        let at = ("10.0.0.1".parse().unwrap(), 443);
        story.deed(
            worker,
            Source::LsmAccept,
            Deed::Accept { from: client(port), at, transport: Transport::TCP },
        )
    };
    let first = accept(&mut story, 1);
    story.open(worker, TOKEN);
    let asked = story.connect(worker, "10.0.0.2", 443);
    story.end(asked, Ok(()));
    story.deed(worker, Source::TpState, Deed::AcceptEnd { of: first });
    let second = accept(&mut story, 2);
    story.open(worker, AWS);
    let script = story.fork(worker, 201);
    story.exec(script, "/usr/bin/script");
    let asked = story.connect(script, "10.0.0.3", 443);
    story.end(asked, Ok(()));
    story.deed(worker, Source::TpState, Deed::AcceptEnd { of: second });
    let asked = story.connect(worker, "10.0.0.4", 443);
    story.end(asked, Ok(()));
    let played = story.play();
    let told: Vec<(u32, Option<u64>, Vec<String>)> = acted(&played)
        .filter(|acted| matches!(acted.action.deed, ActionDeed::Connect { .. }))
        .map(|acted| (acted.action.process.key.tgid, acted.request.map(|action| action.0), fair(acted)))
        .collect();
    let accepts: Vec<u64> = acted(&played)
        .filter(|acted| matches!(acted.action.deed, ActionDeed::Accept { .. }))
        .map(|acted| acted.action.id.0)
        .collect();
    let strings = |kinds: &[&str]| kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        told,
        [
            (200, Some(accepts[0]), strings(&["token"])),
            (201, Some(accepts[1]), strings(&["aws"])),
            // Nobody is served: it may be either.
            (200, None, strings(&[])),
        ]
    );
}

/// The end of the first request passes by, so the server seems to work for it for ever, and so does whomever it makes.
#[test]
fn a_request_whose_end_passed_by_takes_nothing_to_itself() {
    for counts in [vec![(Kind::ConnectEnd, 1)], vec![(Kind::AcceptEnd, 1)], vec![], vec![(Kind::Open, 1)]] {
        let (mut story, shell) = Scenario::begin();
        let server = story.run(shell, 200, BACKUP, "/usr/bin/server");
        let (from, at) = (("10.0.0.50".parse().unwrap(), 1), ("10.0.0.1".parse().unwrap(), 443));
        story.deed(server, Source::LsmAccept, Deed::Accept { from, at, transport: Transport::TCP });
        let before = story.fork(server, 201);
        let ends = counts.iter().all(|(kind, _)| *kind != Kind::Open);
        let since_ns = story.now_ns - SECOND;
        story.push(What::Missed(Loss { since_ns, counts, cpus: Vec::new() }));
        let after = story.fork(server, 202);
        for child in [before, after] {
            story.open(child, TOKEN);
        }
        let played = story.play();
        let opened =
            acted(&played).filter(|acted| matches!(acted.action.deed, ActionDeed::SecretOpen { .. }));
        let told: Vec<bool> = opened.map(|acted| acted.request.is_some()).collect();
        assert_eq!(told, [!ends, !ends]);
    }
}

/// A server makes a process for each connection, all within a moment; for the second two, as a pipeline.
#[test]
fn who_is_made_for_one_request_has_nothing_of_who_was_made_for_another() {
    let (mut story, shell) = Scenario::begin();
    let server = story.run(shell, 200, BACKUP, "/usr/bin/server");
    let accept = |story: &mut Scenario, port| {
        let (from, at) = (("10.0.0.50".parse().unwrap(), port), ("10.0.0.1".parse().unwrap(), 443));
        story.deed(server, Source::LsmAccept, Deed::Accept { from, at, transport: Transport::TCP })
    };
    let first = accept(&mut story, 1);
    let child = story.fork(server, 201);
    story.open(child, TOKEN);
    story.deed(server, Source::TpState, Deed::AcceptEnd { of: first });
    accept(&mut story, 2);
    let (cat, other) = (story.fork(server, 202), story.fork(server, 203));
    let asked = story.connect(other, "10.0.0.3", 443);
    story.end(asked, Ok(()));
    story.open(cat, AWS);
    let asked = story.connect(other, "10.0.0.3", 443);
    story.end(asked, Ok(()));
    let played = story.play();
    let told: Vec<Vec<String>> = acted(&played)
        .filter(|acted| matches!(acted.action.deed, ActionDeed::Connect { .. }))
        .map(|acted| linked(acted, 1))
        .collect();
    assert_eq!(told, [vec![], vec!["aws".to_owned()]]);
}
