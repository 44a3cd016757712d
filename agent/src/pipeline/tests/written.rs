//! Credentials that are written: who wrote, what that one held by then, and what follows for whoever comes after.

use super::{AWS, BACKUP, PGPASS, SECOND, Scenario};
use crate::chain::{Acted, Basis, FAIR, LinkFact, Note, Relation, STRONG};
use crate::event::{Deed, OpenedFile, ProcessKey, Source};
use crate::lineage::Held;
use crate::pipeline::scenario::{ALICE, Played, file};

const OLD: &str = "/srv/old/token";
const NEW: &str = "/srv/new/token";

fn acted(played: &Played) -> Vec<&Acted> {
    let notes = played.notes.iter();
    notes.filter_map(|note| if let Note::Acted(acted) = note { Some(&**acted) } else { None }).collect()
}

fn written(story: &Scenario) -> Vec<Acted> {
    let played = story.play();
    let lines = acted(&played).into_iter().cloned();
    lines.filter(|acted| matches!(acted.action.deed, crate::action::ActionDeed::SecretWrite { .. })).collect()
}

/// Renames a file over a path.
fn rename(story: &mut Scenario, key: ProcessKey, path: &str) {
    let file = OpenedFile { flags: OpenedFile::RENAMED, ..file(path) };
    story.deed(key, Source::FentryRename, Deed::Open(file));
}

/// Worth of the best link of the only writing; 0 where there is none.
fn worth(story: &Scenario) -> u8 {
    let all = written(story);
    assert_eq!(all.len(), 1);
    all[0].link.as_ref().map_or(0, |link| link.confidence)
}

#[test]
fn a_writing_comes_after_what_its_process_holds() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/renew");
    story.open(job, OLD);
    let asked = story.connect(job, "10.0.0.1", 443);
    story.end(asked, Ok(()));
    story.write(job, NEW);
    story.write(job, NEW);
    story.exit(job, 0);
    let played = story.play();
    let [line, again] = &played.lines()[3..5] else { panic!("{:?}", played.lines()) };
    assert_eq!(line, "A 200 write token:/srv/new/token < token of 1 same-process/0 only-credential");
    assert_eq!(again, line, "each is told");
    let all = written(&story);
    let link = all[0].link.as_ref().unwrap();
    assert_eq!((link.relation, link.basis), (Relation::WrittenAfter, Basis::SameProcess));
    assert_eq!(link.facts, [LinkFact::OnlyCredential, LinkFact::SameThread]);
    assert!((FAIR..STRONG).contains(&link.confidence), "{}", link.confidence);
    // What was written is the action's own; what was held is the link's.
    assert_eq!(
        all[0].credentials.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(),
        ["token:/srv/old/token"]
    );
    let closed = played
        .notes
        .iter()
        .find_map(|note| if let Note::Closed(closed) = note { Some(closed) } else { None });
    let summary = &closed.unwrap().summary;
    let ids = |all: &[std::sync::Arc<crate::credential::Credential>]| -> Vec<String> {
        all.iter().map(|one| one.id.clone()).collect()
    };
    assert_eq!(ids(&summary.written), ["token:/srv/new/token"]);
    assert_eq!(ids(&summary.credentials), ["token:/srv/old/token"]);
}

/// Who writes is no holder: neither here nor in the kernel, and no connection is linked with what it wrote.
#[test]
fn who_writes_holds_nothing_by_it() {
    let (mut story, shell) = Scenario::begin();
    let keygen = story.run(shell, 200, BACKUP, "/usr/bin/keygen");
    story.write(keygen, NEW);
    let asked = story.connect(keygen, "10.0.0.1", 443);
    story.end(asked, Ok(()));
    let child = story.fork(keygen, 201);
    let asked = story.connect(child, "10.0.0.1", 443);
    story.end(asked, Ok(()));
    let played = story.play();
    assert_eq!(
        played.lines()[1..],
        [
            "A 200 write token:/srv/new/token",
            "A 200 connect 10.0.0.1:443 established",
            "A 201 connect 10.0.0.1:443 established",
        ]
    );
    assert!(played.wishes.is_empty(), "{:?}", played.wishes);
    assert_eq!([keygen, child].map(|key| played.stages.machine.holds(key)), [None, None]);
}

/// Written beside, and renamed over the old one: the same, but that what lies there then is known.
#[test]
fn who_renames_a_file_over_one_writes_it() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/renew");
    story.open(job, OLD);
    rename(&mut story, job, "/srv/rotated.2");
    story.write(job, "/srv/rotated.");
    story.exit(job, 0);
    let keygen = story.run(shell, 201, BACKUP, "/usr/bin/keygen");
    rename(&mut story, keygen, NEW);
    let asked = story.connect(keygen, "10.0.0.1", 443);
    story.end(asked, Ok(()));
    story.exit(keygen, 0);
    let played = story.play();
    let mut found = played.lines();
    found.retain(|line| line[1..].starts_with(" 20"));
    assert_eq!(
        found,
        [
            "A 200 open token:/srv/old/token",
            "A 200 write rotated < token of 1 same-process/0 only-credential",
            "A 200 write rotated < token of 1 same-process/0 only-credential",
            "A 200 exit Code(0)",
            "B 201 write token:/srv/new/token",
            "B 201 connect 10.0.0.1:443 established",
            "B 201 exit Code(0)",
        ]
    );
    assert_eq!([job, keygen].map(|key| played.stages.machine.holds(key)), [None, None]);
    let renamed = acted(&played).into_iter().find(|acted| acted.action.seen_by == Source::FentryRename);
    let link = renamed.and_then(|acted| acted.link.as_ref()).unwrap();
    assert_eq!(link.relation, Relation::WrittenAfter);
    let closed = played
        .notes
        .iter()
        .find_map(|note| if let Note::Closed(closed) = note { Some(closed) } else { None });
    let versions: Vec<_> = closed.unwrap().summary.written.iter().map(|one| one.version.as_deref()).collect();
    assert_eq!(versions, [Some("2")], "each once; what is known stays known");
}

/// A file system on top is asked to rename, and the one beneath is not: no act waits to be taken for another.
#[test]
fn a_rename_hides_nothing_that_lies_beneath() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    rename(&mut story, job, NEW);
    let beneath =
        OpenedFile { backing: true, flags: nix::libc::O_WRONLY.cast_unsigned(), ..file("/upper/token") };
    story.deed(job, Source::LsmOpen, Deed::Open(beneath));
    let played = story.play();
    assert_eq!(played.lines()[1..], ["A 200 write token:/srv/new/token", "A 200 write token:/upper/token"]);
    assert_eq!(played.counter("opens_merged"), 0);
}

/// Whoever also reads it has it, as before.
#[test]
fn who_opens_to_read_and_write_holds_it() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    let both = OpenedFile { flags: nix::libc::O_RDWR.cast_unsigned(), ..file(NEW) };
    story.deed(job, Source::LsmOpen, Deed::Open(both));
    let played = story.play();
    assert_eq!(played.lines()[1..], ["A 200 open token:/srv/new/token"]);
    assert_eq!(played.stages.machine.holds(job), Some(Held::Own));
}

#[test]
fn time_forks_and_rivals_weaken_it_as_they_weaken_a_connection() {
    let told = |wait_ns: u64, forks: u32, opens: &[&str]| {
        let (mut story, shell) = Scenario::begin();
        let mut job = story.run(shell, 200, BACKUP, "/usr/bin/job");
        opens.iter().for_each(|path| story.open(job, path));
        for number in 0..forks {
            job = story.fork(job, 201 + number);
        }
        story.wait(wait_ns);
        story.write(job, NEW);
        worth(&story)
    };
    let at_once = told(0, 0, &[OLD]);
    assert!((FAIR..STRONG).contains(&at_once), "{at_once}");
    assert!(told(20 * SECOND, 0, &[OLD]) < at_once);
    assert!(told(3_600 * SECOND, 0, &[OLD]) < FAIR);
    assert!(told(0, 3, &[OLD]) < at_once);
    assert!(told(0, 0, &[OLD, AWS, PGPASS]) < FAIR, "no fact tells which it was");
    // That it lay in the same place says nothing of what the new one was made of.
    assert!(told(0, 0, &[NEW, AWS]) < FAIR);
    assert_eq!(told(0, 0, &[]), 0);
}

/// `read token | renew > new`: by a pipe it may have come, and nothing shows it.
#[test]
fn in_a_pipeline_it_is_weak() {
    let (mut story, shell) = Scenario::begin();
    let (reads, writes) = (story.fork(shell, 200), story.fork(shell, 201));
    story.exec(reads, "/usr/bin/cat");
    story.open(reads, OLD);
    story.write(writes, NEW);
    story.exec(writes, "/usr/bin/renew");
    let all = written(&story);
    let link = all[0].link.as_ref().unwrap();
    assert_eq!((link.basis, link.relation), (Basis::Beside, Relation::WrittenAfter));
    assert!(link.confidence < FAIR, "{}", link.confidence);
    let mut apart = Scenario::begin();
    let one = apart.0.fork(apart.1, 200);
    apart.0.open(one, OLD);
    apart.0.wait(SECOND);
    let other = apart.0.fork(apart.1, 201);
    apart.0.write(other, NEW);
    assert_eq!(worth(&apart.0), 0, "what began a second later is no pipeline");
}

/// Two who have nothing to do with each other.
#[test]
fn a_neighbour_is_not_linked() {
    let (mut story, shell) = Scenario::begin();
    let one = story.run(shell, 200, BACKUP, "/usr/bin/one");
    story.open(one, OLD);
    story.wait(SECOND);
    let two = story.run(shell, 201, ALICE, "/usr/bin/two");
    story.write(two, NEW);
    assert_eq!(worth(&story), 0);
}

/// What is no credential leaves nothing, and opens no chain.
#[test]
fn to_write_what_is_none_is_nothing() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.write(job, "/var/log/job.log");
    let played = story.play();
    assert_eq!(played.lines(), [""; 0]);
    assert_eq!(played.counter("opens_unconfirmed"), 1);
}

/// overlayfs opens the file beneath in the same way; the reading by which it copies one up is another act.
#[test]
fn what_lies_beneath_a_writing_is_that_writing() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.write(job, NEW);
    let beneath =
        |flags: i32| OpenedFile { backing: true, flags: flags.cast_unsigned(), ..file("/upper/token") };
    story.deed(job, Source::LsmOpen, Deed::Open(beneath(nix::libc::O_WRONLY)));
    story.deed(job, Source::LsmOpen, Deed::Open(beneath(nix::libc::O_RDONLY)));
    let played = story.play();
    assert_eq!(played.lines()[1..], ["A 200 write token:/srv/new/token", "A 200 open token:/upper/token"]);
    assert_eq!(played.counter("opens_merged"), 1);
}
