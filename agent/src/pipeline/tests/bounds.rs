//! What gives way where a chain, or all of them together, grow too large; and what does not.

use super::{AWS, PGPASS};
use crate::chain::Limits;
use crate::event::{Deed, IdentityChange, Ids, ProcessKey};
use crate::pipeline::scenario::{BACKUP, SECOND, Scenario, text};
use spoor_wire::Source;

const HOUR: u64 = 3_600 * SECOND;

#[test]
fn chains_are_bounded() {
    let (mut story, shell) = Scenario::begin();
    let jobs: Vec<_> = (0..3).map(|index| story.run(shell, 200 + index, BACKUP, "/usr/bin/job")).collect();
    for job in &jobs {
        story.open(*job, AWS);
    }
    for _ in 0..4 {
        story.open(jobs[2], PGPASS);
    }
    let limits = Limits { max_open: 2, max_actions: 2, max_pending: 1, ..Limits::default() };
    let asked: Vec<_> = (1..3).map(|port| story.connect(jobs[1], "10.0.0.1", port)).collect();
    story.end(asked[1], Ok(()));
    let played = story.play_with(limits, 100);
    let lines: Vec<String> = played.lines().into_iter().filter(|line| !line.contains("opened")).collect();
    assert_eq!(
        lines,
        [
            "A 200 open aws:/home/backup/.aws/credentials",
            "B 201 open aws:/home/backup/.aws/credentials",
            "A closed evicted 1+0",
            "C 202 open aws:/home/backup/.aws/credentials",
            "C 202 open pgpass:/home/backup/.pgpass",
            "C 202 open pgpass:/home/backup/.pgpass",
            "B 201 connect 10.0.0.1:2 pending < aws of 2 same-process/0 only-credential",
            "B 201 connect 10.0.0.1:2 established at last < aws of 2 same-process/0 only-credential",
        ]
        .map(str::to_owned)
    );
    assert_eq!(played.counter("actions_folded"), 2);
    assert_eq!(played.counter("state_evicted"), 2);
}

/// A job that connects so often, and then does what gives way later: runs programs, and last what is of credentials.
fn connecting(connections: u16) -> Vec<String> {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    for _ in 0..connections {
        let asked = story.connect(job, "10.0.0.1", 80);
        story.end(asked, Ok(()));
    }
    let child = story.fork(job, 201);
    story.exec(child, "/usr/bin/one");
    let missing = Deed::ExecFailed { filename: text("/usr/bin/none"), errno: 2 };
    story.deed(job, Source::FexitExec, missing);
    story.exec(child, "/usr/bin/two");
    story.open(job, AWS);
    let (from, to) = (Ids { euid: Some(BACKUP), ..Ids::default() }, Ids { euid: Some(0), ..Ids::default() });
    story.deed(job, Source::FentryCreds, Deed::Identity(Box::new(IdentityChange { from, to })));
    story.open(child, PGPASS);
    story.exit(child, 0);
    story.exit(job, 0);
    let limits = Limits { max_actions: 8, alone: u32::MAX, ..Limits::default() };
    let played = story.play_with(limits, 100);
    played.lines().into_iter().filter(|line| !line.contains("connect")).collect()
}

#[test]
fn connections_give_way_first_and_credentials_last() {
    let all = [
        "A 201 exec /usr/bin/one",
        "A 200 exec failed /usr/bin/none 2",
        "A 201 exec /usr/bin/two",
        "A 200 open aws:/home/backup/.aws/credentials",
        "A 200 change Some(34) > Some(0)",
        "A 201 open pgpass:/home/backup/.pgpass",
    ];
    let told = |lines: &[String]| -> Vec<String> {
        let acts = lines.iter().filter(|line| !line.contains("opened") && !line.contains("exit"));
        let acts = acts.filter(|line| !line.contains("closed"));
        acts.filter_map(|line| line.split(" < ").next()).map(str::to_owned).collect()
    };
    // Room for all of it.
    let few = connecting(1);
    assert_eq!(told(&few), all);
    assert_eq!(few.last().unwrap(), "A closed run-ended 9+0");
    // Of many connections eight are told, then two more of programs, then two more of what is of credentials.
    let many = connecting(500);
    assert_eq!(told(&many), [all[0], all[1], all[3], all[4]]);
    assert_eq!(many.last().unwrap(), "A closed run-ended 12+496");
}

/// Connects to a port so often, each told by itself.
fn crowd(story: &mut Scenario, job: ProcessKey, port: u16, times: usize) {
    for _ in 0..times {
        let asked = story.connect(job, "10.0.0.1", port);
        story.end(asked, Ok(()));
    }
}

#[test]
fn where_it_goes_for_the_first_time_is_told_beyond_the_bound() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    crowd(&mut story, job, 80, 50);
    for port in 81..90 {
        crowd(&mut story, job, port, 2);
    }
    let limits = Limits { max_actions: 8, alone: u32::MAX, ..Limits::default() };
    let lines = story.play_with(limits, 100).lines();
    let told = |port| lines.iter().filter(|line| line.contains(&format!(":{port} "))).count();
    assert_eq!((80..90).map(told).collect::<Vec<_>>(), [8, 1, 1, 0, 0, 0, 0, 0, 0, 0], "a quarter more");
}

#[test]
fn two_at_once_do_not_hide_each_other_beyond_the_bound() {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    let before = story.connect(job, "10.0.0.1", 79);
    crowd(&mut story, job, 80, 50);
    let asked = [81, 81].map(|port| story.connect(job, "10.0.0.1", port));
    // Asked for when there was room, and answered when there is none.
    story.end(before, Ok(()));
    asked.into_iter().for_each(|of| story.end(of, Ok(())));
    let limits = Limits { max_actions: 8, alone: u32::MAX, ..Limits::default() };
    let lines = story.play_with(limits, 100).lines();
    let told = |port| lines.iter().filter(|line| line.contains(&format!(":{port} "))).count();
    assert_eq!([79, 80, 81].map(told), [1, 8, 1]);
}

#[test]
fn a_full_chain_ends_after_an_hour_and_the_next_goes_on() {
    let limits = Limits { max_actions: 8, alone: u32::MAX, quiet_ns: 7 * HOUR, ..Limits::default() };
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    let tells = |story: &Scenario| story.play_with(limits, 100).lines().split_off(1);
    let connects = |chain: char, times| vec![format!("{chain} 200 connect 10.0.0.1:80 established"); times];
    crowd(&mut story, job, 80, 20);
    story.wait(HOUR - SECOND);
    crowd(&mut story, job, 80, 1);
    assert_eq!(tells(&story), connects('A', 8), "not yet");
    story.wait(SECOND);
    crowd(&mut story, job, 80, 2);
    // This one is full when it is old already.
    story.wait(2 * HOUR);
    crowd(&mut story, job, 80, 7);
    story.exit(job, 0);
    let expected = [
        connects('A', 8),
        vec![
            "A closed full 8+13".to_owned(),
            "B opened user:backup:/usr/bin/job init backup after A".to_owned(),
        ],
        connects('B', 8),
        vec!["B closed full 8+1".to_owned()],
    ];
    assert_eq!(tells(&story), expected.concat());
    let counted = story.play_with(limits, 100).counter("actions_folded");
    assert_eq!(counted, 14);
}

/// Three jobs under a bound of two chains; of the first two, these open a credential. The chains that are closed for
/// want of room.
fn evicted(opening: [bool; 2]) -> Vec<String> {
    let (mut story, shell) = Scenario::begin();
    let jobs: Vec<ProcessKey> =
        (0..3).map(|index| story.run(shell, 200 + index, BACKUP, "/usr/bin/job")).collect();
    for job in &jobs {
        let asked = story.connect(*job, "10.0.0.1", 80);
        story.end(asked, Ok(()));
        if jobs.iter().zip(opening).any(|(of, opens)| opens && of == job) {
            story.open(*job, AWS);
        }
    }
    let played = story.play_with(Limits { max_open: 2, ..Limits::default() }, 100);
    played.lines().into_iter().filter(|line| line.contains("evicted")).collect()
}

#[test]
fn chains_without_credentials_end_first() {
    assert_eq!(evicted([false, false]), ["A closed evicted 1+0"], "the one untouched for longest");
    assert_eq!(evicted([true, false]), ["B closed evicted 1+0"], "the younger one, which has none");
    assert_eq!(evicted([false, true]), ["A closed evicted 1+0"]);
    assert_eq!(
        evicted([true, true]),
        ["A closed evicted 2+0"],
        "both have some: the one untouched for longest"
    );
}
