//! What systemd does again: a job that failed, which is a retry, and one whose time has come, which is none.

use super::super::scenario::{MS, SECOND, Scenario};
use crate::chain::{CloseReason, Note, Opened};
use crate::event::{ExitStatus, ProcessKey};

const INIT: ProcessKey = ProcessKey { tgid: 1, start_ns: 10 * SECOND };

/// systemd starts a unit as root, in a cgroup that it made for that; the unit's only process opens a token and ends.
fn run_of(story: &mut Scenario, unit: &str, tgid: u32, code: u8) {
    let job = story.fork(INIT, tgid);
    story.move_to(job, 70 + u64::from(tgid), &format!("/system.slice/{unit}"));
    story.exec_with(job, "/usr/bin/migrate", &["migrate", "--all"]);
    story.open(job, "/srv/app/token");
    story.exit(job, code);
}

/// How the chains of a story begin.
fn begun(story: &Scenario) -> Vec<Opened> {
    let notes = story.play().notes.into_iter();
    notes.filter_map(|note| if let Note::Opened(opened) = note { Some(*opened) } else { None }).collect()
}

/// `Restart=on-failure`, `RestartSec=1`: three chains, of which the later ones name the first and the one before. Started
/// by hand after that, it is a job of its own.
#[test]
fn a_privileged_unit_that_fails_twice_is_one_job_in_three_attempts() {
    let (mut story, _) = Scenario::begin();
    for (tgid, code) in [(201, 1), (202, 3), (203, 0), (204, 0)] {
        run_of(&mut story, "migrate.service", tgid, code);
        story.wait(SECOND);
    }
    let begun = begun(&story);
    let [first, second, third, by_hand] = begun.as_slice() else { panic!("{begun:#?}") };
    for opened in &begun {
        let actor = (opened.actor.id.as_str(), opened.actor.user.as_str(), opened.actor.origin.as_str());
        assert_eq!(actor, ("systemd:migrate.service", "root", "init"));
        assert_eq!(opened.after, None, "each run is a chain of its own");
    }
    assert_eq!((first.attempt, by_hand.attempt), (None, None));
    for (opened, number, after, code) in [(second, 2, first, 1), (third, 3, second, 3)] {
        let attempt = opened.attempt.unwrap();
        assert_eq!((attempt.number, attempt.of, attempt.after), (number, first.chain, after.chain));
        assert_eq!(attempt.failed, ExitStatus::Code(code));
        assert!((SECOND..SECOND + 10 * MS).contains(&attempt.delay_ns), "{attempt:?}");
    }
}

/// What a timer starts every five seconds would have come after a success, too; what comes sooner would not.
#[test]
fn what_a_timer_starts_again_is_no_attempt() {
    let (mut story, _) = Scenario::begin();
    for (tgid, code, pause_s) in [(201, 0, 5), (202, 1, 5), (203, 1, 1), (204, 0, 5), (205, 0, 5)] {
        run_of(&mut story, "dump.service", tgid, code);
        story.wait(pause_s * SECOND);
    }
    let begun = begun(&story);
    assert!(begun.iter().all(|opened| opened.actor.origin == "timer:dump.timer"), "{begun:#?}");
    let numbers: Vec<Option<u64>> =
        begun.iter().map(|opened| opened.attempt.map(|attempt| attempt.number)).collect();
    assert_eq!(numbers, [None, None, None, Some(2), None]);
    assert_eq!(begun[3].attempt.unwrap().of, begun[2].chain, "the one that came by schedule is the first");
}

/// The next command of a unit, `pause_ns` after the one before, in a cgroup by that number.
fn next_of(
    story: &mut Scenario,
    (tgid, cgroup_id): (u32, u64),
    pause_ns: u64,
    deed: fn(&mut Scenario, ProcessKey),
) {
    story.wait(pause_ns);
    let next = story.fork(INIT, tgid);
    story.move_to(next, cgroup_id, "/system.slice/dump.service");
    story.exec(next, "/usr/bin/push");
    deed(story, next);
}

/// Two `ExecStart=` of one unit: the second sends what the first opened, and says how it went.
#[test]
fn commands_of_a_unit_one_after_another_are_one_run() {
    let push = |story: &mut Scenario, next| {
        story.open(next, "/srv/app/token");
        story.exit(next, 3);
    };
    for (pause_ns, cgroup_id, chains) in [
        (300 * MS, 271, 1),
        // Another invocation, in a cgroup of its own or long after.
        (100 * MS, 272, 2),
        (1_100 * MS, 271, 2),
    ] {
        let (mut story, _) = Scenario::begin();
        run_of(&mut story, "dump.service", 201, 0);
        next_of(&mut story, (202, cgroup_id), pause_ns, push);
        story.wait(2 * SECOND);
        story.tick();
        let notes = story.play().notes;
        let closed = notes.iter().filter_map(|note| match note {
            Note::Closed(closed) => Some((closed.reason, closed.root_exit)),
            Note::Acted(_) | Note::Opened(_) | Note::Completed(_) | Note::Gap(_) => None,
        });
        let exits: &[u8] = if chains == 1 { &[3] } else { &[0, 3] };
        let ended = exits.iter().map(|code| (CloseReason::RunEnded, Some(ExitStatus::Code(*code))));
        assert_eq!(closed.collect::<Vec<_>>(), ended.collect::<Vec<_>>(), "after {pause_ns} ns");
        assert_eq!(begun(&story).len(), chains);
    }
}

/// A unit between two commands has ended when the agent stops, and no process of it is missing.
#[test]
fn a_unit_that_is_over_is_closed_without_a_gap_when_the_agent_stops() {
    let (mut story, _) = Scenario::begin();
    run_of(&mut story, "dump.service", 201, 0);
    let mut played = story.play();
    played.stages.stop(story.now_ns, &mut played.notes);
    let closed = played.notes.iter().filter_map(|note| match note {
        Note::Closed(closed) => Some((closed.reason, closed.summary.gaps.clone())),
        Note::Acted(_) | Note::Opened(_) | Note::Completed(_) | Note::Gap(_) => None,
    });
    assert_eq!(closed.collect::<Vec<_>>(), [(CloseReason::RunEnded, vec![])]);
}
