//! Files that were damaged: by a disk, by a power cut, by a hand.

use std::os::unix::fs::FileExt as _;

use super::*;
use crate::store::suspect;

/// Writes over some bytes of a file.
fn spoil(path: &Path, at: u64, bytes: &[u8]) {
    std::fs::OpenOptions::new().write(true).open(path).unwrap().write_at(bytes, at).unwrap();
}

/// What is there after the store was opened: it verifies, and is a beginning of what was there, byte for byte.
fn beginning(dir: &Path, before: &[Vec<u8>]) -> usize {
    let all: Vec<Vec<u8>> = Reader::open(dir)
        .unwrap()
        .after(0, usize::MAX)
        .unwrap()
        .into_iter()
        .map(|stored| stored.body)
        .collect();
    assert_eq!(verify(dir, &[]).unwrap().records, all.len() as u64);
    assert!(all.len() <= before.len() && all == before[..all.len()], "nothing is invented");
    all.len()
}

fn bodies(dir: &Path) -> Vec<Vec<u8>> {
    Reader::open(dir).unwrap().after(0, usize::MAX).unwrap().into_iter().map(|stored| stored.body).collect()
}

#[test]
fn a_damaged_page_costs_what_is_behind_it_and_says_so() {
    let dir = filled(400);
    let (path, before) = (file(dir.path()), bodies(dir.path()));
    // The page that record 200 is in; as a disk that forgets a page would leave it.
    let whole = std::fs::read(&path).unwrap();
    let text = br#""seq":200,"#;
    let at = whole.windows(text.len()).position(|part| part == text).unwrap();
    spoil(&path, at as u64 / 4096 * 4096, &[0; 4096]);
    suspect(&path);
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    let [damage] = store.damages() else { panic!("{:?}", store.damages()) };
    assert_eq!(damage.file, "records-2026-01-02.sqlite");
    assert!(damage.kept.exists(), "the damaged file is kept");
    assert!(damage.saved > 0 && damage.saved < 400 && damage.last == damage.saved, "{damage:?}");
    assert_eq!(damage.since_ns, MIDNIGHT + 1);
    let (saved, next) = (damage.saved, store.next_seq().unwrap());
    assert!(next > damage.seen.max(saved), "numbers that were seen are not given again");
    store.append(&[small(next, MIDNIGHT + 5)]).unwrap();
    drop(store);
    let after = bodies(dir.path());
    assert_eq!(after.len() as u64, saved + 1);
    assert_eq!(after[..after.len() - 1], before[..after.len() - 1]);
    assert_eq!(verify(dir.path(), &[]).unwrap().missing, next - saved - 1);
    // Once.
    assert!(Store::open(dir.path(), KEEP).unwrap().damages().is_empty());
}

#[test]
fn what_is_no_database_is_set_aside_with_what_is_known_of_its_beginning() {
    let dir = filled(3);
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    let tomorrow = MIDNIGHT + DAY_NS;
    store.append(&[small(4, tomorrow), small(5, tomorrow)]).unwrap();
    store.advance("siem", 5).unwrap();
    drop(store);
    let path = dir.path().join("records-2026-01-03.sqlite");
    std::fs::write(&path, b"these are a poet's notes, and no database at all, whatever their name").unwrap();
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    assert_eq!(store.damages().len(), 1);
    assert_eq!((store.damages()[0].saved, store.damages()[0].last), (0, 3));
    assert_eq!(store.next_seq().unwrap(), 6, "the sink has seen five");
    store.append(&[small(6, tomorrow)]).unwrap();
    let verified = verify(dir.path(), &[]).unwrap();
    assert_eq!((verified.records, verified.missing), (4, 2));
    let kept = std::fs::read(dir.path().join("records-2026-01-03.sqlite.damaged")).unwrap();
    assert!(kept.starts_with(b"these are a poet's notes"));
}

#[test]
fn a_file_of_an_earlier_day_is_mended_where_a_reader_stumbled() {
    let dir = filled(200);
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    store.append(&[small(201, MIDNIGHT + DAY_NS)]).unwrap();
    drop(store);
    let path = file(dir.path());
    spoil(&path, 0, &[0; 64]);
    assert!(Reader::open(dir.path()).is_err());
    suspect(&path);
    let store = Store::open(dir.path(), KEEP).unwrap();
    assert_eq!(store.damages().len(), 1, "{:?}", store.damages());
    drop(store);
    // What comes after it is there, and does not go on where the mended one ends: that stays visible.
    let error = verify(dir.path(), &[]).unwrap_err();
    assert!(matches!(error, VerifyError::Broken { seq: 201, why: Mismatch::Start, .. }), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn wherever_the_damage_is_what_is_left_is_a_beginning(place in 0..1000_u64, length in 1..6000_usize, byte: u8, packs: bool) {
        let dir = filled(300);
        if packs {
            let mut store = Store::open(dir.path(), KEEP).unwrap();
            [70, 70, 70].into_iter().for_each(|records| store.pack_some(records));
        }
        let (path, before) = (file(dir.path()), bodies(dir.path()));
        let size = std::fs::metadata(&path).unwrap().len();
        // In whole pages: less is for hashes to find, and is no reason to set a file aside.
        let page = place * (size / 4096) / 1000;
        spoil(&path, page * 4096, &vec![byte; length.div_ceil(4096) * 4096]);
        suspect(&path);
        let store = Store::open(dir.path(), KEEP);
        // The first page says whose file it is: of another application's, nobody takes anything away.
        if let Err(error) = &store {
            prop_assert!(matches!(error, StoreError::Foreign { .. } | StoreError::Version { .. }), "{error}");
            return Ok(());
        }
        drop(store);
        if verify(dir.path(), &[]).is_ok() {
            beginning(dir.path(), &before);
        } else {
            prop_assert!(store_is_told_changed(dir.path()), "neither mended nor named");
        }
    }
}

/// A page of the text of one record is nothing that the database could notice.
fn store_is_told_changed(dir: &Path) -> bool {
    matches!(verify(dir, &[]), Err(VerifyError::Broken { .. }))
}
