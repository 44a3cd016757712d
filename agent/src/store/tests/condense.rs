//! Packs that were condensed have the records they had, are found by the same, and are smaller.

use super::packs::{answers, count, older, two_packs, why};
use super::*;
use crate::evidence::Mark;
use crate::store::packs::read;

/// As the worker does.
fn condense(store: &mut Store) {
    store.condense().unwrap();
}

/// Packs what is left of finished files.
fn pack_finished(store: &mut Store, dir: &Path) {
    while count(dir, "SELECT count(*) FROM records") > 0 {
        store.pack(true).unwrap();
    }
    // It is seen only now that there are none.
    store.pack(true).unwrap();
}

fn loose(dir: &Path) -> i64 {
    count(dir, "SELECT count(*) FROM loose")
}

fn packs(dir: &Path) -> i64 {
    count(dir, "SELECT count(*) FROM packs")
}

fn forms(dir: &Path) -> Vec<u8> {
    let connection = Connection::open(file(dir)).unwrap();
    let mut select = connection.prepare("SELECT substr(pack, 1, 1) FROM packs ORDER BY last").unwrap();
    let first = select.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    first.map(|bytes| bytes.unwrap()[0]).collect()
}

#[test]
fn two_packs_become_one_that_is_smaller_on_a_thread_of_its_own_and_then_there_is_rest() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    store.append(&(1..=2_100).map(|seq| small(seq, MIDNIGHT + 1)).collect::<Vec<_>>()).unwrap();
    store.pack(true).unwrap();
    assert_eq!((packs(dir.path()), loose(dir.path())), (3, 3));
    let size = "SELECT sum(length(pack)) FROM packs WHERE last <= 1024";
    let (expected, before) = (answers(dir.path(), 2_100), count(dir.path(), size));
    // Somebody has the second one in mind, which begins earlier afterwards.
    let reader = Reader::open(dir.path()).unwrap();
    assert!(reader.at(1_000).unwrap().is_some());
    until(&mut store, condense, |_| packs(dir.path()) == 2);
    assert_eq!((forms(dir.path()), loose(dir.path())), (vec![2, 1], 1));
    assert!(count(dir.path(), size) < before / 2, "{} of {before}", count(dir.path(), size));
    assert!(reader.at(5).unwrap().is_some() && reader.at(1_000).unwrap().is_some());
    assert_eq!(answers(dir.path(), 2_100), expected);
    // One is not enough to begin with, and a second is there before the rest is over.
    store.append(&(2_101..=2_600).map(|seq| small(seq, MIDNIGHT + 1)).collect::<Vec<_>>()).unwrap();
    store.pack(true).unwrap();
    store.condense().unwrap();
    assert_eq!((packs(dir.path()), loose(dir.path())), (3, 2));
    assert!(!store.is_condensing());
    store.condense_some();
    assert_eq!((packs(dir.path()), loose(dir.path())), (2, 0));
    verify(dir.path(), &[]).unwrap();
}

#[test]
fn one_pack_waits_for_another_in_the_file_that_is_written_to_and_not_in_one_that_is_finished() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    store.append(&(1..=700).map(|seq| small(seq, MIDNIGHT + 1)).collect::<Vec<_>>()).unwrap();
    store.pack(true).unwrap();
    store.condense().unwrap();
    assert!(!store.is_condensing());
    assert_eq!(forms(dir.path()), [1]);
    store.append(&[small(701, MIDNIGHT + DAY_NS)]).unwrap();
    pack_finished(&mut store, dir.path());
    until(&mut store, condense, |_| loose(dir.path()) == 0);
    assert_eq!(forms(dir.path()), [2]);
    assert_eq!(count(dir.path(), "SELECT records FROM packs"), 700);
    drop(store);
    assert_eq!(count(dir.path(), "SELECT freelist_count FROM pragma_freelist_count"), 0);
    assert_eq!(Reader::open(dir.path()).unwrap().count_after(0).unwrap(), 701);
    verify(dir.path(), &[]).unwrap();
}

#[test]
fn what_an_agent_of_before_packed_is_condensed_after_the_next_start() {
    for version in [1, 2] {
        let dir = filled(900);
        if version == 1 {
            older(dir.path());
        } else {
            Store::open(dir.path(), KEEP).unwrap().pack(true).unwrap();
            let sql = "DROP TABLE loose; PRAGMA user_version=2";
            Connection::open(file(dir.path())).unwrap().execute_batch(sql).unwrap();
        }
        let expected = answers(dir.path(), 900);
        // It becomes a finished file, and that agent ends before anything is packed or condensed.
        let mut store = Store::open(dir.path(), KEEP).unwrap();
        store.append(&[small(901, MIDNIGHT + DAY_NS)]).unwrap();
        drop(store);
        let mut store = Store::open(dir.path(), KEEP).unwrap();
        pack_finished(&mut store, dir.path());
        until(&mut store, condense, |_| loose(dir.path()) == 0);
        drop(store);
        assert_eq!(forms(dir.path()), [2], "version {version}");
        assert_eq!(answers(dir.path(), 900)[0], expected[0]);
        assert_eq!(Reader::open(dir.path()).unwrap().count_after(0).unwrap(), 901);
        verify(dir.path(), &[]).unwrap();
    }
    // One that was left with loose packs only.
    let dir = two_packs();
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    store.append(&[small(31, MIDNIGHT + DAY_NS)]).unwrap();
    pack_finished(&mut store, dir.path());
    drop(store);
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    until(&mut store, condense, |_| loose(dir.path()) < 3);
    assert_eq!(packs(dir.path()), 2);
}

#[test]
fn what_was_changed_in_a_pack_is_not_condensed_and_still_named() {
    let of_other = "UPDATE packs SET pack = (SELECT pack FROM packs WHERE last = 10) WHERE last = 20";
    let cases = [
        ("UPDATE packs SET pack = x'01ffff' WHERE last = 20", None),
        ("UPDATE packs SET hash = zeroblob(32) WHERE last = 20", Some((20, Mismatch::Hash))),
        ("UPDATE packs SET before = zeroblob(32) WHERE last = 20", Some((11, Mismatch::Hash))),
        (of_other, None),
    ];
    for (sql, named) in cases {
        let dir = two_packs();
        Connection::open(file(dir.path())).unwrap().execute_batch(sql).unwrap();
        let mut store = Store::open(dir.path(), KEEP).unwrap();
        (0..4).for_each(|_| store.condense_some());
        drop(store);
        assert_eq!((forms(dir.path()), loose(dir.path())), (vec![2, 1], 0), "{sql}");
        match named {
            Some(named) => assert_eq!(why(dir.path()), named, "{sql}"),
            None => assert!(verify(dir.path(), &[]).is_err(), "{sql}"),
        }
        let connection = Connection::open(file(dir.path())).unwrap();
        assert!(read(&connection, &file(dir.path()), 10).unwrap().is_some());
    }
}

#[test]
fn bytes_that_are_changed_in_a_condensed_pack_are_found() {
    let dir = two_packs();
    Store::open(dir.path(), KEEP).unwrap().condense_some();
    assert_eq!(forms(dir.path()), [2]);
    verify(dir.path(), &[]).unwrap();
    let connection = Connection::open(file(dir.path())).unwrap();
    let pack: Vec<u8> = connection.query_row("SELECT pack FROM packs", [], |row| row.get(0)).unwrap();
    for at in 0..pack.len() {
        let mut changed = pack.clone();
        changed[at] ^= 0x10;
        connection.execute("UPDATE packs SET pack = ?", [changed]).unwrap();
        assert!(verify(dir.path(), &[]).is_err(), "byte {at}");
    }
}

#[test]
fn a_file_that_somebody_is_at_is_dropped_the_next_time() {
    let dir = filled(1_200);
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    store.pack(true).unwrap();
    store.append(&[small(1_201, MIDNIGHT + 3 * DAY_NS)]).unwrap();
    pack_finished(&mut store, dir.path());
    store.condense().unwrap();
    assert!(store.is_condensing());
    assert_eq!(store.retain(MIDNIGHT + 3 * DAY_NS).unwrap(), []);
    until(&mut store, condense, |store| !store.is_condensing());
    assert_eq!(store.retain(MIDNIGHT + 3 * DAY_NS).unwrap().len(), 1);
    store.condense_some();
    assert!(!file(dir.path()).exists());
    assert_eq!(verify(dir.path(), &[]).unwrap().end.seq, 1_201);
}

#[test]
fn two_packs_that_are_too_much_together_are_condensed_each_for_itself() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    let large = |seq: u64| {
        let mut record = small(seq, MIDNIGHT + 1);
        let body = String::from_utf8(record.body).unwrap();
        let same = (0..30_000).map(|word| word.to_string()).collect::<Vec<_>>().join(",");
        let with = format!(r#","words":[{seq},[{same}]]}}"#);
        record.body = body.strip_suffix('}').unwrap().to_owned().into_bytes();
        record.body.extend_from_slice(with.as_bytes());
        record
    };
    store.append(&(10..=29).map(large).collect::<Vec<_>>()).unwrap();
    (0..2).for_each(|_| store.pack_some(7));
    // And one that is too much by itself.
    store.append(&(30..=41).map(large).collect::<Vec<_>>()).unwrap();
    store.pack_some(20);
    (0..4).for_each(|_| store.condense_some());
    assert_eq!((forms(dir.path()), loose(dir.path())), (vec![2, 2, 1], 0));
    assert_eq!(Reader::open(dir.path()).unwrap().count_after(0).unwrap(), 32);
    assert_eq!(verify(dir.path(), &[]).unwrap().end, store.end());
    assert_ne!(store.end(), Mark::NONE);
}
