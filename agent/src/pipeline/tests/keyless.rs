//! Credentials that come without a file: keys of the kernel's key rings, and environments.

use spoor_wire::control::MARK_HOLDS;

use crate::event::{Deed, KernelKey, KeyWay, ProcessKey, Source};
use crate::pipeline::scenario::{ALICE, BACKUP, Scenario, text};

const AWS: &str = "/home/backup/.aws/credentials";

fn key(kind: &str, way: KeyWay) -> Deed {
    let (kind, description) = (text(kind), text("db:orders"));
    Deed::Key { key: Box::new(KernelKey { serial: 7, owner: 34, rule: 0, kind, description }), way }
}

fn uses(story: &mut Scenario, process: ProcessKey, ways: &[KeyWay]) {
    for way in ways {
        story.deed(process, Source::FexitKey, key("user", *way));
    }
}

/// What was done, without opening and closing.
fn lines(story: &Scenario) -> Vec<String> {
    let all = story.play().lines();
    all.into_iter().filter(|line| !line.contains(" opened ") && !line.contains(" closed ")).collect()
}

fn connects(story: &mut Scenario, process: ProcessKey) {
    let asked = story.connect(process, "10.0.0.1", 1);
    story.end(asked, Ok(()));
}

#[test]
fn a_key_that_is_read_is_held_from_then_on() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    uses(&mut story, job, &[KeyWay::Read]);
    connects(&mut story, job);
    assert_eq!(
        lines(&story),
        [
            "A 200 key key:db:orders copy",
            "A 200 connect 10.0.0.1:1 established < key of 1 same-process/0 first-connection,only-credential",
        ],
        "to read it, its number is enough"
    );
}

#[test]
fn reading_a_key_comes_after_finding_it() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    uses(&mut story, job, &[KeyWay::Add, KeyWay::Find, KeyWay::Read, KeyWay::Update]);
    let child = story.fork(job, 201);
    connects(&mut story, child);
    assert_eq!(
        lines(&story),
        [
            "A 200 key key:db:orders add",
            "A 200 key key:db:orders find",
            "A 200 key key:db:orders copy < key of 2,1 same-process/0 only-credential",
            "A 200 key key:db:orders update",
            "A 201 connect 10.0.0.1:1 established < key of 4,2,1 inherited/1 first-connection,only-credential",
        ]
    );
}

#[test]
fn a_key_that_is_no_secret_leaves_nothing() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.deed(job, Source::FexitKey, key("dns_resolver", KeyWay::Read));
    let played = story.play();
    assert_eq!(played.lines(), [""; 0]);
    assert_eq!(played.counter("opens_unconfirmed"), 1);
}

#[test]
fn an_environment_with_a_secret_opens_a_chain() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 900, BACKUP, "/usr/bin/job");
    let child = story.fork(job, 901);
    // The same variable, from the one that made it.
    story.exec(child, "/usr/bin/second");
    connects(&mut story, child);
    let played = story.play();
    assert!(played.lines()[0].contains("opened"), "{:?}", played.lines());
    assert_eq!(
        lines(&story),
        [
            "A 900 exec /usr/bin/job with vault:env:VAULT_TOKEN",
            "A 901 exec /usr/bin/second < vault of 1 inherited/1 only-credential",
            "A 901 connect 10.0.0.1:1 established < vault of 1 inherited/1 first-connection,only-credential",
        ]
    );
    assert!(played.wishes.iter().any(|wish| wish.key == job && wish.flags == MARK_HOLDS));
}

#[test]
fn what_is_handed_over_comes_before_what_is_linked() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.open(job, AWS);
    let child = story.fork(job, 902);
    story.exec(child, "/usr/bin/second");
    let exec = lines(&story).pop().unwrap();
    assert_eq!(
        exec,
        "A 902 exec /usr/bin/second with vault:env:VAULT_TOKEN < vault+aws of 1 inherited/1 only-credential"
    );
}

#[test]
fn the_environment_of_a_persons_program_is_let_be() {
    let (mut story, shell) = Scenario::begin();
    let person = story.fork(shell, 903);
    story.login(person, ALICE, 3);
    story.exec(person, "/usr/bin/x");
    assert_eq!(story.play().lines(), [""; 0]);
}

#[test]
fn a_service_that_was_there_before_held_it_before() {
    let (mut story, _) = Scenario::begin();
    let (init, ten) = (ProcessKey { tgid: 1, start_ns: 10_000_000_000 }, 700_000_000_000);
    let service = story.seed(904, ten, Some(init), "/usr/bin/service", &[]);
    connects(&mut story, service);
    assert_eq!(lines(&story), ["A 904 connect 10.0.0.1:1 established < vault of  held/0 only-credential"]);
}

#[test]
fn an_environment_that_cannot_be_read_is_counted() {
    let (mut story, shell) = Scenario::begin();
    story.run(shell, 910, BACKUP, "/usr/bin/job");
    let played = story.play();
    assert_eq!(played.lines(), [""; 0]);
    assert_eq!(played.counter("environments_unread"), 1);
}
