//! What the inventory costs. Not run unless asked for, in release.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::action::{ActionDeed, ConnectOutcome};
use crate::actor::Actor;
use crate::chain::{Acted, Note, Ulid};
use crate::credential::Credential;
use crate::event::Endpoint;
use crate::inventory::{Inventory, Limits};
use crate::record::testing::{backup, builder};
use crate::store::{Retention, Store};

/// The actions of the backup job, as done by another job with other credentials.
fn acts(job: usize, credential: usize) -> Vec<Note> {
    let as_other = |acted: &mut Acted| {
        acted.run = Ulid(job as u128);
        let actor = Actor::clone(&acted.action.actor);
        acted.action.actor = Arc::new(Actor { id: format!("systemd:job-{job}.service"), ..actor });
        for held in &mut acted.credentials {
            let id = format!("{}-{credential}", held.id);
            *held = Arc::new(Credential { id, ..Credential::clone(held) });
        }
    };
    let mut notes = backup();
    for note in &mut notes {
        if let Note::Acted(acted) = note {
            as_other(acted);
        }
    }
    notes
}

/// Bytes this process has in memory.
pub(super) fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

#[test]
#[ignore = "measures: cargo test --release -p spoor --lib what_a_thousand -- --ignored --nocapture"]
fn what_a_thousand_credentials_take() {
    let opening = acts(0, 0).remove(1);
    let mut kept = Vec::new();
    for each in [1, 8, 64] {
        let mut inventory = Inventory::new(Limits::default(), 0, 0);
        let before = resident();
        for number in 0..1_000_usize {
            for by in 0..each {
                let Note::Acted(mut acted) = opening.clone() else { panic!("an action") };
                let actor = Actor::clone(&acted.action.actor);
                let id = format!("systemd:job-{}.service", (number + by) % 1_000);
                acted.action.actor = Arc::new(Actor { id, ..actor });
                acted.run = Ulid((number * each + by) as u128);
                let held = acted.credentials.remove(0);
                let id = format!("aws-access-key:AKIA{number:016}");
                acted.credentials.push(Arc::new(Credential { id, ..Credential::clone(&held) }));
                acted.action.deed = ActionDeed::Connect {
                    to: Endpoint::tcp([10, 0, 0, u8::try_from(by % 16).unwrap()].into(), 443),
                    name: None,
                    from: None,
                    outcome: ConnectOutcome::Established,
                    took_ns: None,
                    completes: None,
                };
                inventory.note(&Note::Acted(acted), &mut Vec::new());
            }
        }
        let (actors, credentials) = inventory.sizes();
        let took = resident().saturating_sub(before);
        println!("{credentials} credentials, {actors} actors, {each} actors each: {} KiB", took / 1024);
        assert!(took < 64 << 20);
        // Memory that is given back would be used again, and not be seen.
        kept.push(inventory);
    }
}

#[test]
#[ignore = "makes a store to measure with: SPOOR_STORE=DIR cargo test -p spoor --lib a_large_store -- --ignored"]
fn a_large_store() {
    const RECORDS: usize = 100_000;
    let dir = PathBuf::from(std::env::var_os("SPOOR_STORE").expect("SPOOR_STORE names a directory"));
    let retention = Retention { keep: Duration::from_hours(24), max_bytes: 8 << 30 };
    let mut store = Store::open(&dir, retention).unwrap();
    let (mut builder, mut batch, mut made, mut number) = (builder(1), Vec::new(), 0, 0);
    while made < RECORDS {
        batch.extend(acts(number % 200, number % 500).iter().map(|note| builder.note(note)));
        number += 1;
        if batch.len() > 4_096 {
            made += batch.len();
            store.append(&batch).unwrap();
            batch.clear();
        }
    }
    println!("{made} records of {number} chains");
}
