//! Whoever forks, renames and sleeps: state stays within its bounds, and what sleeps with a credential is not pushed out.

use super::super::scenario::{ALICE, BACKUP, Scenario, file, stages};
use super::measure::resident;
use super::{AWS, SECOND};
use crate::action::ActionDeed;
use crate::chain::{Acted, GapKind, Limits, LinkFact, Note};
use crate::event::{Deed, ProcessKey, Source};
use crate::pipeline::Stages;
use crate::pipeline::scenario::Catalogue;

/// Of all that a host may run, a flood takes the table to its bound many times over.
const PROCESSES_MAX: usize = 4_000;
/// What state may grow by in memory while a flood lasts, once it has been at its bounds.
const GROWTH_MAX: usize = 16 << 20;
/// What all of it may take.
const ALL_MAX: usize = 128 << 20;

/// A stream that is played as it is told: it may be longer than memory.
struct Flood {
    story: Scenario,
    stages: Stages<Catalogue, crate::actor::Fake>,
    notes: Vec<Note>,
    most: usize,
}

impl Flood {
    fn begin(most: usize) -> (Self, ProcessKey) {
        let (story, shell) = Scenario::begin();
        let stages = stages(Limits::default(), most);
        (Flood { story, stages, notes: Vec::new(), most }, shell)
    }

    /// Takes in what was told, and keeps of the notes those that a test looks at.
    fn play(&mut self, keep: bool) {
        let mut wishes = Vec::new();
        let before = self.notes.len();
        for event in self.story.events.drain(..) {
            self.stages.step(&event, &mut self.notes, &mut wishes);
        }
        if !keep {
            self.notes.truncate(before);
        }
    }

    /// One helper: it takes a name that nobody had, and ends or sleeps for good. Some open a credential of their own, some are in
    /// a place of their own.
    fn helper(&mut self, maker: ProcessKey, round: u32) {
        let helper = self.story.fork(maker, 10_000 + round % 4_000_000);
        if round.is_multiple_of(7) {
            let unit = format!("/system.slice/x{round}.service");
            self.story.move_to(helper, u64::from(10 + round), &unit);
        }
        self.story.exec(helper, &format!("/tmp/x{round}"));
        if round.is_multiple_of(50) {
            self.story.open(helper, &format!("/tmp/{round}/credentials"));
            self.story.connect(helper, "10.0.0.66", 443);
        }
        if !round.is_multiple_of(3) {
            self.story.exit(helper, 0);
        }
        self.story.never_again(helper);
        self.play(false);
    }

    fn within_bounds(&self) {
        let known = self.stages.known.len();
        let own = [
            ("wished", self.stages.wished.len(), self.most),
            ("canaries", self.stages.canaries.len(), 1_024),
            ("known files", known, 16_384),
        ];
        let all = [
            self.stages.table.fill(),
            self.stages.resolver.fill(self.most),
            self.stages.machine.fill(self.most),
        ];
        for (name, size, most) in all.into_iter().flatten().chain(own) {
            assert!(size <= most, "{name}: {size} of {most}");
        }
    }

    /// What a process that slept all the while says when it connects.
    fn connects(&mut self, key: ProcessKey) -> (Acted, Vec<GapKind>) {
        let asked = self.story.connect(key, "10.0.0.1", 443);
        self.story.end(asked, Ok(()));
        self.play(true);
        let connected = self.notes.iter().rev().find_map(|note| {
            let Note::Acted(acted) = note else { return None };
            matches!(acted.action.deed, ActionDeed::Connect { .. }).then_some(acted)
        });
        let acted = Acted::clone(connected.expect("it connected"));
        let gaps = self.notes.iter().rev().find_map(|note| {
            let Note::Opened(opened) = note else { return None };
            (opened.chain == acted.chain).then(|| opened.gaps.clone())
        });
        (acted, gaps.expect("its chain was opened"))
    }
}

/// Sleepers that hold, made before it: one that opened, one that inherited, one that was handed a descriptor.
fn sleepers(flood: &mut Flood, shell: ProcessKey) -> [ProcessKey; 3] {
    let daemon = flood.story.run(shell, 200, BACKUP, "/usr/sbin/daemon");
    flood.story.open(daemon, AWS);
    let worker = flood.story.fork(daemon, 201);
    let client = flood.story.run(shell, 202, BACKUP, "/usr/bin/client");
    flood.story.deed(client, Source::LsmReceive, Deed::Receive(file(AWS)));
    flood.play(true);
    [daemon, worker, client]
}

/// Tells how much memory grew by, since it had been at its bounds, and in all.
fn survive(rounds: u32, most: usize) -> (usize, usize) {
    let before = resident();
    let (mut flood, shell) = Flood::begin(most);
    let holders = sleepers(&mut flood, shell);
    let attacker = flood.story.run(shell, 300, ALICE, "/usr/bin/attacker");
    // By a fifth of it every table has been full for long.
    let warm = rounds / 5;
    let mut full = 0;
    for round in 1..=rounds {
        flood.helper(attacker, round);
        if round == warm {
            full = resident();
        }
        if round.is_multiple_of(1_000) {
            flood.within_bounds();
        }
    }
    assert!(flood.stages.table.len() >= most * 9 / 10, "it was a flood");
    let after = resident();
    flood.story.wait(3_600 * SECOND);
    for holder in holders {
        let (acted, gaps) = flood.connects(holder);
        let link = acted.link.unwrap_or_else(|| panic!("{holder:?} lost its link: {gaps:?}"));
        assert!(link.facts.contains(&LinkFact::OnlyCredential), "{link:?}");
        assert_eq!(gaps, []);
    }
    (after.saturating_sub(full), after.saturating_sub(before))
}

/// In a process of its own, since what other tests take is in the figures, too.
#[test]
#[ignore = "run by `a_flood_stays_within_bounds_and_pushes_out_no_sleeper_that_holds`, in a process of its own"]
fn survived_alone() {
    let rounds = std::env::var("SPOOR_FLOOD").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(30_000);
    let began = std::time::Instant::now();
    let (growth, all) = survive(rounds, PROCESSES_MAX);
    println!(
        "{rounds} processes: {} KiB in all, {} KiB since it was full, {:?}",
        all >> 10,
        growth >> 10,
        began.elapsed()
    );
    assert!(growth <= GROWTH_MAX, "grew by {growth} bytes after all tables had been full");
    assert!(all <= ALL_MAX, "took {all} bytes");
}

/// As many as a hostile user makes in an hour or two. docs/PERFORMANCE.md has what it took.
#[test]
#[ignore = "takes a minute: cargo test --release -p spoor --lib a_million_processes -- --ignored --nocapture"]
fn a_million_processes() {
    alone(1_000_000);
}

fn alone(rounds: u32) {
    let name = "pipeline::tests::flood::survived_alone";
    let test = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env("SPOOR_FLOOD", rounds.to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&test.stdout);
    println!("{said}");
    assert!(test.status.success(), "{}", String::from_utf8_lossy(&test.stderr));
    assert!(said.contains("1 passed"), "the test is called otherwise");
}

#[test]
fn a_flood_stays_within_bounds_and_pushes_out_no_sleeper_that_holds() {
    alone(100_000);
}

/// Who holds a credential and forks is a flood of holders: they push out each other, and nobody who came by one himself.
#[test]
fn holders_that_fork_push_out_their_own() {
    let (mut flood, shell) = Flood::begin(400);
    let [daemon, worker, _] = sleepers(&mut flood, shell);
    let attacker = flood.story.run(shell, 300, ALICE, "/usr/bin/attacker");
    flood.story.open(attacker, "/home/alice/credentials");
    for round in 0..5_000 {
        let helper = flood.story.fork(attacker, 10_000 + round);
        flood.story.never_again(helper);
        flood.play(false);
    }
    flood.within_bounds();
    for holder in [daemon, worker] {
        assert!(flood.connects(holder).0.link.is_some());
    }
}

/// Who opens one in each of very many processes does push out those that came later. That is said.
#[test]
fn what_is_pushed_out_is_said() {
    let (mut flood, shell) = Flood::begin(400);
    let attacker = flood.story.run(shell, 300, ALICE, "/usr/bin/attacker");
    let openers = |flood: &mut Flood, rounds: std::ops::Range<u32>| {
        for round in rounds {
            let helper = flood.story.fork(attacker, 10_000 + round);
            flood.story.open(helper, "/home/alice/credentials");
            flood.story.never_again(helper);
            flood.play(false);
        }
    };
    openers(&mut flood, 0..2_000);
    let [.., client] = sleepers(&mut flood, shell);
    openers(&mut flood, 2_000..2_600);
    flood.within_bounds();
    let (acted, gaps) = flood.connects(client);
    assert!(acted.link.is_none());
    assert_eq!(gaps, [GapKind::StateFull]);
}
