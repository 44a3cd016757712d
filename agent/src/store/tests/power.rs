//! A power cut, as far as it can be played: whatever of the write-ahead log had not reached the disk is missing, is zeros or
//! is something else. What `SQLite` had synchronised before is whole, that is its word; this shows that ours holds then.

use std::fs;

use super::*;

const BATCHES: u64 = 12;

/// A store as a running daemon leaves it on the disk, where its log ended after each batch, and what was stored.
fn running() -> (TempDir, Vec<u64>, Vec<Stored>) {
    let (live, copy) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let mut store = Store::open(live.path(), KEEP).unwrap();
    let log = live.path().join("records-2026-01-02.sqlite-wal");
    let mut ends = Vec::new();
    for batch in 0..BATCHES {
        let first = batch * BATCH + 1;
        store
            .append(&(first..first + BATCH).map(|seq| small(seq, MIDNIGHT + 1)).collect::<Vec<_>>())
            .unwrap();
        store.advance("sink", store.last_seq()).unwrap();
        store.pack_some(5);
        ends.push(fs::metadata(&log).unwrap().len());
    }
    copy_store(live.path(), copy.path());
    (copy, ends, Reader::open(live.path()).unwrap().after(0, usize::MAX).unwrap())
}

/// What is on a disk after a power cut: no shared memory, no lock.
fn copy_store(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with("-shm") && name != "lock" {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// What is left is a beginning of what was stored, whole batches, and new numbers are above all that sinks have seen.
fn whole(dir: &Path, all: &[Stored], cell: &str) -> u64 {
    let mut store = Store::open(dir, KEEP).unwrap();
    let last = store.last_seq();
    assert_eq!(last % BATCH, 0, "{cell}");
    let left = Reader::open(dir).unwrap().after(0, usize::MAX).unwrap();
    assert!(left.len() as u64 == last && all.starts_with(&left), "{cell}: {last} are no beginning");
    let next = store.next_seq().unwrap();
    assert!(next > last && next > store.cursor("sink").unwrap(), "{cell}");
    store.append(&[small(next, MIDNIGHT + 2)]).unwrap();
    let verified = verify(dir, &[]).unwrap();
    // Of an empty store nothing is missing: its first record says where it begins.
    let missing = if last == 0 { 0 } else { next - last - 1 };
    assert_eq!((verified.records, verified.missing), (last + 1, missing), "{cell}");
    last
}

#[test]
fn a_log_that_is_cut_zeroed_or_spoilt_leaves_whole_batches() {
    let (dir, ends, all) = running();
    let log = "records-2026-01-02.sqlite-wal";
    let bytes = fs::read(dir.path().join(log)).unwrap();
    let full = usize::try_from(*ends.last().unwrap()).unwrap();
    let mut left = std::collections::BTreeSet::new();
    for step in 0..=24 {
        // Within pages, at their ends, in their heads.
        let at = (full * step / 24).saturating_sub(step % 3 * 11);
        for spoil in ["cut", "zeros", "noise"] {
            let other = TempDir::new().unwrap();
            copy_store(dir.path(), other.path());
            let mut log_left = bytes.clone();
            match spoil {
                "cut" => log_left.truncate(at),
                "zeros" => log_left[at..].fill(0),
                _ => log_left[at..]
                    .iter_mut()
                    .enumerate()
                    .for_each(|(i, byte)| *byte ^= u8::try_from(i % 251).unwrap() | 1),
            }
            fs::write(other.path().join(log), log_left).unwrap();
            let last = whole(other.path(), &all, &format!("{spoil} at {at} of {full}"));
            let reached = ends.iter().filter(|end| **end <= at as u64).count() as u64;
            assert!(
                last >= reached * BATCH,
                "{spoil} at {at}: {last} left, and {reached} batches had reached the disk"
            );
            left.insert(last);
        }
    }
    assert!(left.len() as u64 > BATCHES / 2, "{left:?}: the cuts were not where they should be");
}

#[test]
fn without_the_log_of_cursors_sinks_repeat_and_lose_nothing() {
    let (dir, _, all) = running();
    fs::remove_file(dir.path().join("state.sqlite-wal")).unwrap();
    assert_eq!(whole(dir.path(), &all, "no cursors"), BATCHES * BATCH);
}

#[test]
fn numbers_that_receivers_may_have_are_not_given_again() {
    let (live, copy) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let used = 3 * BATCH;
    {
        let mut store = Store::open_in("first", live.path(), KEEP).unwrap();
        store.append(&[small(1, MIDNIGHT + 1)]).unwrap();
        // What had reached the disk: the reservation, which is synchronised, and nothing that came after.
        copy_store(live.path(), copy.path());
        store.append(&(2..=used).map(|seq| small(seq, MIDNIGHT + 1)).collect::<Vec<_>>()).unwrap();
        store.advance("sink", used).unwrap();
    }
    // Killed, and begun again in the same boot: all is there, and no number is passed over.
    let next = |boot: &str, dir: &Path| Store::open_in(boot, dir, KEEP).unwrap().next_seq().unwrap();
    assert_eq!(next("first", live.path()), used + 1);
    // After a power cut, neither records nor cursors know of what sinks had.
    let mut store = Store::open_in("second", copy.path(), KEEP).unwrap();
    assert_eq!((store.last_seq(), store.cursor("sink").unwrap()), (1, 0));
    let next_seq = store.next_seq().unwrap();
    assert!(next_seq > used, "{next_seq} was used");
    store.append(&[small(next_seq, MIDNIGHT + 2)]).unwrap();
    assert_eq!(verify(copy.path(), &[]).unwrap().missing, next_seq - 2);
    // A good end costs no number, whatever boot comes next.
    store.seal().unwrap();
    drop(store);
    assert_eq!(next("third", copy.path()), next_seq + 1);
    // Nor does one that was opened and did nothing.
    assert_eq!(next("third", copy.path()), next_seq + 1);
}
