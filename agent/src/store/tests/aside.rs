//! What threads of their own pack is as if it had been packed at once.

use super::packs::{answers, count, why};
use super::*;

/// As the worker does with a tick, and without.
fn idle(store: &mut Store) {
    store.pack_aside(true).unwrap();
}

fn busy(store: &mut Store) {
    store.pack_aside(false).unwrap();
}

fn rows(dir: &Path) -> i64 {
    count(dir, "SELECT count(*) FROM records")
}

fn add(store: &mut Store, numbers: std::ops::RangeInclusive<u64>) {
    store.append(&numbers.map(|seq| small(seq, MIDNIGHT + 1)).collect::<Vec<_>>()).unwrap();
}

#[test]
fn rows_become_packs_while_others_come() {
    let (dir, model) = (TempDir::new().unwrap(), filled(2_500));
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    add(&mut store, 1..=639);
    store.pack_aside(true).unwrap();
    assert!(!store.is_packing(), "there is too little");
    add(&mut store, 640..=700);
    store.pack_aside(false).unwrap();
    assert!(!store.is_packing(), "there is no hurry");
    store.pack_aside(true).unwrap();
    assert!(store.is_packing());
    add(&mut store, 701..=2_500);
    until(&mut store, idle, |store| rows(dir.path()) == 2_500 - 4 * 512 && !store.is_packing());
    assert_eq!(answers(dir.path(), 2_500), answers(model.path(), 2_500));
    store.pack_all().unwrap();
    drop(store);
    verify(dir.path(), &[]).unwrap();
}

#[test]
fn much_is_packed_though_nobody_has_time_and_far_behind_it_is_waited_for() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    add(&mut store, 1..=2_048);
    store.pack_aside(false).unwrap();
    assert!(store.is_packing());
    add(&mut store, 2_049..=3_072);
    // Whether it has ended by then or not.
    store.pack_aside(false).unwrap();
    assert_eq!(rows(dir.path()), 3_072 - 512);
    until(&mut store, busy, |store| !store.is_packing());
    assert!(rows(dir.path()) < 2_048);
    verify(dir.path(), &[]).unwrap();
}

#[test]
fn a_file_that_is_finished_meanwhile_is_packed_as_the_others_are() {
    let dir = filled(1_000);
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    store.pack_aside(true).unwrap();
    assert!(store.is_packing());
    store.append(&[small(1_001, MIDNIGHT + DAY_NS)]).unwrap();
    until(&mut store, idle, |store| !store.is_packing() && rows(dir.path()) == 0);
    assert_eq!(count(dir.path(), "SELECT sum(records) FROM packs"), 1_000);
    assert_eq!(verify(dir.path(), &[]).unwrap().records, 1_001);
}

#[test]
fn a_row_that_is_taken_out_meanwhile_is_missing_and_named() {
    let dir = filled(1_000);
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    store.pack_aside(true).unwrap();
    Connection::open(file(dir.path())).unwrap().execute_batch("DELETE FROM records WHERE seq = 4").unwrap();
    until(&mut store, idle, |store| !store.is_packing());
    assert_eq!(count(dir.path(), "SELECT last FROM packs"), 3);
    assert_eq!(why(dir.path()).0, 5);
    store.pack_aside(true).unwrap();
    assert!(!store.is_packing(), "and what comes after it stays");
}

#[test]
fn what_is_written_ahead_goes_into_its_file_while_it_is_written_to() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    let length = || std::fs::metadata(file(dir.path())).unwrap().len();
    add(&mut store, 1..=1);
    let before = length();
    let large = |seq| {
        let mut record = small(seq, MIDNIGHT + 1);
        record.body.pop();
        record.body.extend_from_slice(format!(r#","more":"{}"}}"#, "x".repeat(2_000)).as_bytes());
        record
    };
    store.append(&(2..=1_200).map(large).collect::<Vec<_>>()).unwrap();
    assert_eq!(length(), before, "it is written ahead, and by who writes no further");
    until(&mut store, idle, |_| length() > before + (1 << 20));
}

#[test]
fn a_file_that_cannot_be_packed_is_told_once() {
    let dir = filled(1_000);
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    Connection::open(file(dir.path())).unwrap().execute_batch("ALTER TABLE packs RENAME TO gone").unwrap();
    assert!(store.pack_aside(true).is_err());
    store.pack_aside(true).unwrap();
    assert_eq!(rows(dir.path()), 1_000);
}
