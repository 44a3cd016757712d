//! What is told once, again, and in another life of the agent.

use super::stage::{DAY, HOUR, Stage, by, credential, services_own};
use super::{backup, web};
use crate::finding::{Finding, Findings, Settings};
use crate::inventory::{Inventory, Limits, What};

fn told(stage: &mut Stage) -> Vec<(bool, u64)> {
    stage.out.drain(..).map(|finding| (finding.again, finding.count)).collect()
}

#[test]
fn the_same_again_is_counted_and_told_at_most_once_an_hour_or_at_a_chains_end() {
    let mut stage = Stage::new();
    let (alice, key) = (by("session:alice:3", "/usr/bin/cat"), services_own("key"));
    stage.opens(&alice, &key);
    assert_eq!(told(&mut stage), [(false, 1)]);
    (0..5).for_each(|_| stage.opens(&alice, &key));
    stage.wait(HOUR / 4);
    assert_eq!(told(&mut stage), []);
    stage.ends(&alice);
    assert_eq!(told(&mut stage), [(true, 6)]);
    stage.ends(&alice);
    assert_eq!(told(&mut stage), [], "nothing is new");
    stage.opens(&alice, &key);
    stage.wait(HOUR + HOUR / 8);
    stage.wait(HOUR / 8);
    assert_eq!(told(&mut stage), [(true, 7)], "an hour later");
    stage.opens(&alice, &key);
    stage.wait(DAY);
    assert_eq!(told(&mut stage), [(true, 8)], "what was not told yet is told when the day is over");
    stage.opens(&alice, &key);
    assert_eq!(told(&mut stage), [(false, 1)], "another day");
}

#[test]
fn what_is_told_again_keeps_its_id_and_names_the_chain_in_which_it_goes_on() {
    let mut stage = Stage::new();
    let (alice, key) = (by("session:alice:3", "/usr/bin/cat"), services_own("key"));
    stage.opens(&alice, &key);
    stage.wait(2 * HOUR);
    stage.opens(&alice, &key);
    stage.ends(&alice);
    let (first, again) = (&stage.out[0], &stage.out[1]);
    assert_eq!((first.id, first.first_ns), (again.id, again.first_ns));
    assert!(first.chain != again.chain && again.actions.len() > 1);
}

#[test]
fn very_many_of_one_kind_and_actor_are_counted_in_one() {
    let mut stage = Stage::new();
    let alice = by("session:alice:3", "/usr/bin/tar");
    (0..50).for_each(|number| stage.opens(&alice, &services_own(&format!("k{number:02}"))));
    assert_eq!(told(&mut stage).len(), 8);
    stage.ends(&alice);
    let folded: u64 = stage.out.iter().map(|finding| finding.folded).sum();
    assert_eq!((folded, stage.findings.counts().folded, stage.findings.counts().found), (42, 42, 8));
}

/// Another life of the agent, which knows what the first had told.
fn reborn(stage: &Stage, told: &[Finding]) -> Stage {
    let entries: Vec<What> = stage
        .inventory
        .accounts()
        .map(|known| What::Actor(Box::new(known.clone())))
        .chain(stage.inventory.holdings().map(|known| What::Credential(Box::new(known.clone()))))
        .collect();
    let mut inventory = Inventory::new(Limits::default(), 0, 0);
    let mut findings = Findings::new(Settings::default(), 0);
    for what in entries {
        findings.recall(&what);
        inventory.recall(what);
    }
    told.iter().rev().for_each(|finding| findings.recall_finding(finding.clone()));
    Stage { inventory, findings, now_ns: stage.now_ns, out: Vec::new(), number: stage.number }
}

#[test]
fn a_habit_outlives_the_agent() {
    let mut stage = Stage::new();
    let token = credential("a");
    stage.habit(&backup(), &token);
    let mut stage = reborn(&stage, &[]);
    stage.opens(&backup(), &token);
    assert_eq!(stage.found(), []);
    stage.opens(&web(), &token);
    assert_eq!(stage.found(), [("new-actor", "medium")]);
}

#[test]
fn what_was_told_is_not_told_anew_by_another_life() {
    let mut stage = Stage::new();
    let (alice, key) = (by("session:alice:3", "/usr/bin/cat"), services_own("key"));
    stage.opens(&alice, &key);
    let told = stage.out.clone();
    let mut stage = reborn(&stage, &told);
    stage.opens(&alice, &key);
    assert_eq!(stage.out, []);
    stage.ends(&alice);
    assert_eq!(
        stage.out.iter().map(|finding| (finding.id, finding.count)).collect::<Vec<_>>(),
        [(told[0].id, 2)]
    );
}

#[test]
fn a_retired_version_is_known_by_another_life() {
    let mut stage = Stage::new();
    let version =
        |name: &str| crate::credential::Credential { version: Some(name.to_owned()), ..credential("a") };
    stage.opens(&backup(), &version("cv1:old"));
    let older = stage.inventory.holding("token:a").cloned().map(|known| What::Credential(Box::new(known)));
    stage.wait(DAY);
    stage.opens(&backup(), &version("cv1:new"));
    let mut stage = reborn(&stage, &[]);
    stage.findings.recall(&older.unwrap());
    stage.wait(2 * HOUR);
    stage.opens(&backup(), &version("cv1:new"));
    assert_eq!(stage.found(), []);
    stage.opens(&backup(), &version("cv1:old"));
    assert_eq!(stage.found(), [("retired-version", "medium")]);
}
