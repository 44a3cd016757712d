//! What the inventory costs. Not run unless asked for, in release.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::action::{ActionDeed, ConnectOutcome};
use crate::actor::Actor;
use crate::capture::CaptureError;
use crate::chain::{Acted, Note, Ulid};
use crate::credential::{Credential, redact};
use crate::event::Endpoint;
use crate::inventory::{Inventory, Limits};
use crate::pipeline::replay::Replay;
use crate::record::testing::{backup, builder};
use crate::record::{Record, Redaction};
use crate::store::{ChainsFilter, Reader, Retention, Store};

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
            as_other(Arc::make_mut(acted));
        }
    }
    notes
}

/// Bytes this process has in memory.
pub(super) fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

/// Bytes of all files of a directory.
fn bytes(dir: &std::path::Path) -> u64 {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

/// What the recorded day takes in rows and in packs, and how long packing and reading take.
#[test]
#[ignore = "measures: cargo test --release -p spoor --lib what_an_ordinary_day -- --ignored --nocapture"]
fn what_an_ordinary_day_takes_in_the_store() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/captures/day.spoor.gz");
    let capture = flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap());
    let redaction = Redaction { argv: redact::argv, printable: redact::printable };
    let mut replay = Replay::open(std::io::BufReader::new(capture), redaction).unwrap();
    let mut records: Vec<Record> = Vec::new();
    let account = replay.play(|made| {
        records.extend(made.iter().map(|replayed| replayed.record.clone()));
        Ok::<(), CaptureError>(())
    });
    let events = account.unwrap().events;
    let dir = tempfile::TempDir::new().unwrap();
    let keep = Retention { keep: Duration::MAX, max_bytes: u64::MAX };
    let mut store = Store::open(dir.path(), keep).unwrap();
    records.chunks(20).for_each(|batch| store.append(batch).unwrap());
    let shown = |what: &str, store: Store| {
        // What is written ahead is in the file when it is closed.
        drop(store);
        let reader = Reader::open(dir.path()).unwrap();
        let started = Instant::now();
        let chains = reader.chains(&ChainsFilter::default()).unwrap();
        let listed = started.elapsed();
        let longest = chains.iter().max_by_key(|chain| chain.records.len()).unwrap();
        let started = Instant::now();
        let one = Reader::open(dir.path()).unwrap().chain(&longest.id).unwrap();
        let (shown, took) = (one.len(), started.elapsed());
        let started = Instant::now();
        let all = Reader::open(dir.path()).unwrap().after(0, usize::MAX).unwrap();
        let walked = started.elapsed();
        let size = bytes(dir.path());
        println!(
            "{what}: {size} bytes, {:.1} an event, {:.1} a record; {} chains in {listed:.1?}, one of {shown} records in {took:.1?}, all {} in {walked:.1?}",
            size as f64 / events as f64,
            size as f64 / records.len() as f64,
            chains.len(),
            all.len()
        );
    };
    shown("in rows", store);
    let mut store = Store::open(dir.path(), keep).unwrap();
    let started = Instant::now();
    store.pack_all().unwrap();
    let each = started.elapsed() / u32::try_from(records.len()).unwrap();
    println!("packing: {each:.1?} a record, of {} records and {events} events", records.len());
    shown("in packs", store);
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
                let Note::Acted(acted) = &opening else { panic!("an action") };
                let mut acted = Acted::clone(acted);
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
                inventory.note(&Note::Acted(Arc::new(acted)), &mut Vec::new());
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
