//! Records in packs are what they were in rows, for every reader and for whoever tampers with them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::*;
use crate::evidence::Mark;
use crate::record::View;

/// A record of some type, of some chain; a gap concerns two.
fn some(seq: u64, (kind, chain, later_ns): (usize, u8, i64)) -> Record {
    let (kind, name) = [
        (RecordType::Action, "action"),
        (RecordType::Chain, "chain"),
        (RecordType::Gap, "gap"),
        (RecordType::Finding, "finding"),
        (RecordType::Heartbeat, "heartbeat"),
    ][kind % 5];
    let mut record = small(seq, MIDNIGHT + later_ns);
    (record.kind, record.chain) = (kind, None);
    let mut of = String::new();
    match name {
        "gap" => {
            record.gap_chains = vec![format!("CHAIN{chain}"), format!("CHAIN{}", chain + 1)];
            of = format!(r#","chains":["CHAIN{chain}","CHAIN{}"]"#, chain + 1);
        }
        "heartbeat" => {}
        _ => {
            record.chain = Some(format!("CHAIN{chain}"));
            of = format!(r#","chain":"CHAIN{chain}""#);
        }
    }
    let time = rfc3339(record.time_ns);
    record.body =
        format!(r#"{{"v":1,"seq":{seq},"time":"{time}","type":"{name}"{of},"gap":"CHAIN3"}}"#).into_bytes();
    record
}

/// Everything that can be asked, and the answers.
pub(super) fn answers(dir: &Path, last: u64) -> Vec<String> {
    let reader = Reader::open(dir).unwrap();
    let mut all = Vec::new();
    let spans = [(i64::MIN, i64::MAX), (MIDNIGHT, MIDNIGHT + 500), (MIDNIGHT + 100, MIDNIGHT + DAY_NS + 300)];
    for seq in (0..=last + 1).step_by(7) {
        all.push(format!("after {seq}: {:?}", reader.after(seq, 9).unwrap()));
        all.push(format!("at {seq}: {:?} {:?}", reader.at(seq).unwrap(), reader.mark(seq).unwrap()));
        all.push(format!("count after {seq}: {}", reader.count_after(seq).unwrap()));
        all.push(format!("gaps before {seq}: {:?}", reader.before("gap", seq, 4).unwrap()));
    }
    all.push(format!("newest: {:?}", reader.newest().unwrap()));
    for kind in ["action", "chain", "gap", "finding", "heartbeat", "head"] {
        all.push(format!("last {kind}: {:?}", reader.last(kind).unwrap()));
        for limit in [3, usize::MAX] {
            all.push(format!("before {kind} {limit}: {:?}", reader.before(kind, u64::MAX, limit).unwrap()));
            for span in spans {
                all.push(format!(
                    "between {kind} {span:?}: {:?}",
                    reader.between(kind, span, limit).unwrap()
                ));
            }
        }
    }
    for span in spans {
        all.push(format!("chains of {span:?}: {:?}", reader.chains_between(span, 1_000).unwrap()));
        all.push(format!("the first: {:?}", reader.chains_between(span, 2).unwrap()));
    }
    for chain in 0..8 {
        all.push(format!("chain {chain}: {:?}", reader.chain(&format!("CHAIN{chain}")).unwrap()));
    }
    all.push(format!(
        "matching: {:?} {:?}",
        reader.matching("chain", 3).unwrap(),
        reader.matching("CHAIN4", 9).unwrap()
    ));
    let heads = reader.chains(&ChainsFilter::default()).unwrap();
    let seqs = |head: &ChainHead| head.records.iter().map(View::seq).collect::<Vec<_>>();
    all.push(format!(
        "chains: {:?}",
        heads.iter().map(|head| (head.id.clone(), seqs(head))).collect::<Vec<_>>()
    ));
    all.push(format!(
        "first and end: {:?}",
        usage(dir, &reader).map(|usage| (usage.oldest_ns, usage.newest_ns, usage.last_seq)).unwrap()
    ));
    let verified = verify(dir, &[]).unwrap();
    all.push(format!("{:?}", (verified.records, verified.first, verified.end, verified.missing)));
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn every_answer_is_the_same_with_packs_and_without(
        batches in prop::collection::vec(
            (prop::collection::vec((0..5_usize, 0..6_u8, 0..1_000_i64, 0..2_u64), 1..20), prop::option::of(1..30_usize), any::<bool>(), any::<bool>()),
            1..10,
        ),
    ) {
        let (rows, packed) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let mut seq = 0;
        {
            let mut plain = Store::open(rows.path(), KEEP).unwrap();
            let mut store = Store::open(packed.path(), KEEP).unwrap();
            let middle = batches.len() / 2;
            for (at, (batch, records, condensed, finished)) in batches.into_iter().enumerate() {
                let day = if at > middle { DAY_NS } else { 0 };
                let made: Vec<_> = batch.into_iter().map(|(kind, chain, later, above)| {
                    seq += 1 + above;
                    some(seq, (kind, chain, later + day))
                }).collect();
                plain.append(&made).unwrap();
                store.append(&made).unwrap();
                records.into_iter().for_each(|records| store.pack_some(records));
                if condensed {
                    store.condense_some();
                }
                if finished {
                    store.pack(true).unwrap();
                }
            }
        }
        let (expected, found) = (answers(rows.path(), seq), answers(packed.path(), seq));
        for (expected, found) in expected.iter().zip(&found) {
            prop_assert_eq!(expected, found);
        }
        prop_assert_eq!(expected.len(), found.len());
        // All of it in packs.
        Store::open(packed.path(), KEEP).unwrap().pack_all().unwrap();
        prop_assert_eq!(answers(packed.path(), seq), expected);
    }
}

/// Thirty records: ten in a pack, ten in another, ten in rows.
pub(super) fn two_packs() -> TempDir {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    store.append(&(1..=30).map(|seq| small(seq, MIDNIGHT + 1)).collect::<Vec<_>>()).unwrap();
    store.pack_some(10);
    store.pack_some(10);
    drop(store);
    let counts =
        count(dir.path(), "SELECT (SELECT count(*) FROM packs) * 100 + (SELECT count(*) FROM records)");
    assert_eq!(counts, 210);
    dir
}

pub(super) fn count(dir: &Path, select: &str) -> i64 {
    Connection::open(file(dir)).unwrap().query_row(select, [], |row| row.get(0)).unwrap()
}

/// Records by their numbers.
type Bodies = Vec<(u64, Vec<u8>)>;

/// Packs the second ten anew, as somebody who knows how would who has no hashes.
fn repack(dir: &Path, edit: impl FnOnce(&mut Bodies)) {
    let connection = Connection::open(file(dir)).unwrap();
    let hash = connection.query_row("SELECT hash FROM packs WHERE last = 10", [], |row| row.get(0)).unwrap();
    let before = Mark { seq: 10, hash };
    let pack = super::super::packs::read(&connection, &file(dir), 20).unwrap().unwrap();
    let mut records: Vec<(u64, Vec<u8>)> =
        pack.records().map(|record| (record.mark.seq, record.body.to_vec())).collect();
    edit(&mut records);
    let mut last = before;
    let marked = |(seq, body): &(u64, Vec<u8>)| {
        last = last.then(*seq, body);
        last
    };
    let marks: Vec<Mark> = records.iter().map(marked).collect();
    let bodies = records.iter().map(|(_, body)| body.as_slice());
    let records: Vec<(Mark, &[u8])> = marks.into_iter().zip(bodies).collect();
    let bytes = pack::pack(before, &records).unwrap();
    connection.execute("UPDATE packs SET pack = ? WHERE last = 20", [bytes]).unwrap();
}

pub(super) fn why(dir: &Path) -> (u64, Mismatch) {
    match verify(dir, &[]) {
        Err(VerifyError::Broken { seq, why, .. }) => (seq, why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_changed_in_a_pack_is_found() {
    let edits: [&dyn Fn(&mut Bodies); 4] = [
        &|all| all[4].1[60] ^= 1,
        &|all| drop(all.remove(4)),
        &|all| {
            let other = std::mem::take(&mut all[4].1);
            all[4].1 = std::mem::replace(&mut all[5].1, other);
        },
        &|all| all[9].1[60] ^= 1,
    ];
    for edit in edits {
        let dir = two_packs();
        verify(dir.path(), &[]).unwrap();
        repack(dir.path(), edit);
        // Whoever packs anew has said of each record what he likes: what remains is that the last does not follow from them.
        assert_eq!(why(dir.path()), (20, Mismatch::Hash));
    }
}

#[test]
fn bytes_that_are_changed_in_a_pack_are_found_where_they_are() {
    use std::io::{Read as _, Write as _};
    let dir = two_packs();
    let connection = Connection::open(file(dir.path())).unwrap();
    let pack: Vec<u8> =
        connection.query_row("SELECT pack FROM packs WHERE last = 20", [], |row| row.get(0)).unwrap();
    let mut plain = Vec::new();
    flate2::read::DeflateDecoder::new(&pack[1..]).read_to_end(&mut plain).unwrap();
    let at = plain.windows(5).position(|part| part == b"CHAIN").unwrap();
    plain[at] = b'Z';
    let mut deflated = flate2::write::DeflateEncoder::new(vec![pack[0]], flate2::Compression::fast());
    deflated.write_all(&plain).unwrap();
    connection.execute("UPDATE packs SET pack = ? WHERE last = 20", [deflated.finish().unwrap()]).unwrap();
    assert_eq!(why(dir.path()), (11, Mismatch::Hash));
}

#[test]
fn packs_that_are_removed_or_swapped_and_indexes_that_lie_are_found() {
    let swap = "UPDATE packs SET pack = CASE last WHEN 10 THEN (SELECT pack FROM packs WHERE last = 20) ELSE (SELECT pack FROM packs WHERE last = 10) END";
    let cases = [
        ("DELETE FROM packs WHERE last = 10", 11, Mismatch::Hash),
        ("DELETE FROM packs WHERE last = 20", 21, Mismatch::Hash),
        ("UPDATE packs SET hash = zeroblob(32) WHERE last = 10", 10, Mismatch::Hash),
        ("UPDATE packs SET before = zeroblob(32) WHERE last = 20", 11, Mismatch::Hash),
        ("UPDATE packs SET records = 9 WHERE last = 20", 20, Mismatch::Hash),
        ("UPDATE packs SET until_ns = 7 WHERE last = 20", 11, Mismatch::Index("time")),
        (
            "UPDATE pack_chains SET first = 13 WHERE pack = 20 AND chain = 'CHAIN1'",
            11,
            Mismatch::Index("chain"),
        ),
        ("DELETE FROM pack_chains WHERE pack = 20 AND chain = 'CHAIN1'", 11, Mismatch::Index("chain")),
        ("INSERT INTO pack_chains VALUES ('ELSE', 20, 11, 0)", 20, Mismatch::Index("chain")),
        ("DELETE FROM pack_types WHERE pack = 10", 1, Mismatch::Index("type")),
        ("INSERT INTO gaps VALUES ('CHAIN1', 4)", 4, Mismatch::Index("chains")),
        ("UPDATE start SET seq = 3", 1, Mismatch::Start),
    ];
    for (sql, place, what) in cases {
        let dir = two_packs();
        Connection::open(file(dir.path())).unwrap().execute_batch(sql).unwrap();
        assert_eq!(why(dir.path()), (place, what), "{sql}");
    }
    let dir = two_packs();
    Connection::open(file(dir.path())).unwrap().execute_batch(swap).unwrap();
    let error = verify(dir.path(), &[]).unwrap_err();
    // Their numbers are counted from the first one's: a swapped one ends with another than it is found by, or does not follow.
    let named = matches!(error, VerifyError::Broken { .. } | VerifyError::Store(StoreError::Corrupt { .. }));
    assert!(named, "{error}");
}

#[test]
fn a_pack_that_cannot_be_unpacked_is_named_and_costs_what_is_behind_it() {
    let dir = two_packs();
    let before: Vec<_> = Reader::open(dir.path()).unwrap().after(0, 10).unwrap();
    Connection::open(file(dir.path()))
        .unwrap()
        .execute_batch("UPDATE packs SET pack = x'01ffff' WHERE last = 20")
        .unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let error = reader.at(15).unwrap_err();
    let StoreError::Corrupt { path, source: Some(source) } = error else { panic!("{error}") };
    assert_eq!(
        (path, source.to_string().as_str()),
        (file(dir.path()), "the pack of records up to 20: no deflated bytes")
    );
    assert!(reader.at(5).unwrap().is_some() && reader.at(25).unwrap().is_some());
    assert!(matches!(verify(dir.path(), &[]), Err(VerifyError::Store(StoreError::Corrupt { .. }))));
    // An index may name a pack that there is none of.
    Connection::open(file(dir.path()))
        .unwrap()
        .execute_batch("INSERT INTO pack_chains VALUES ('ELSE', 99, 11, 0)")
        .unwrap();
    assert!(matches!(reader.chain("ELSE"), Err(StoreError::Corrupt { .. })));
    // Else a sink would stand before it for ever.
    suspect(&file(dir.path()));
    let store = Store::open(dir.path(), KEEP).unwrap();
    let [damage] = store.damages() else { panic!("{:?}", store.damages()) };
    assert_eq!((damage.saved, damage.last, damage.seen), (10, 10, 30));
    assert_eq!(store.next_seq().unwrap(), 31);
    assert_eq!(Reader::open(dir.path()).unwrap().after(0, 100).unwrap(), before);
    assert_eq!(verify(dir.path(), &[]).unwrap().records, 10);
}

#[test]
fn what_was_changed_before_it_is_packed_stays_where_it_is() {
    for (sql, place) in [
        (
            "UPDATE records SET body = CAST(replace(CAST(body AS TEXT), 'action', 'inert!') AS BLOB) WHERE seq = 4",
            4,
        ),
        ("UPDATE records SET time_ns = 7 WHERE seq = 4", 4),
        ("UPDATE records SET chain = 'ELSE' WHERE seq = 4", 4),
        ("DELETE FROM records WHERE seq = 4", 5),
    ] {
        let dir = filled(9);
        Connection::open(file(dir.path())).unwrap().execute_batch(sql).unwrap();
        let mut store = Store::open(dir.path(), KEEP).unwrap();
        store.pack_all().unwrap();
        store.append(&[small(10, MIDNIGHT + 1)]).unwrap();
        store.pack_all().unwrap();
        drop(store);
        assert_eq!(count(dir.path(), "SELECT last FROM packs"), 3, "{sql}");
        assert_eq!(count(dir.path(), "SELECT min(seq) FROM records"), place, "{sql}");
        assert_eq!(why(dir.path()).0, u64::try_from(place).unwrap(), "{sql}");
    }
}

/// As an agent before packs left it.
pub(super) fn older(dir: &Path) {
    let sql = "DROP TABLE packs; DROP TABLE loose; DROP TABLE pack_chains; DROP TABLE pack_types; PRAGMA user_version=1; PRAGMA auto_vacuum=0; VACUUM";
    Connection::open(file(dir)).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_store_of_an_older_agent_is_read_goes_on_and_is_packed() {
    let (dir, model) = (filled(900), filled(900));
    older(dir.path());
    assert_eq!(count(dir.path(), "SELECT user_version FROM pragma_user_version"), 1);
    let expected = answers(model.path(), 900);
    assert_eq!(answers(dir.path(), 900), expected);
    // Somebody reads it before, and while it becomes a newer one.
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(reader.count_after(0).unwrap(), 900);
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    store.pack(true).unwrap();
    assert_eq!(count(dir.path(), "SELECT count(*) FROM records"), 900 - 512);
    assert_eq!(reader.count_after(0).unwrap(), 900);
    assert_eq!(answers(dir.path(), 900), expected);
    // The next day begins: what is left of the first is packed when there is time, and its room given back.
    let before = std::fs::metadata(file(dir.path())).unwrap().len();
    store.append(&[small(901, MIDNIGHT + DAY_NS)]).unwrap();
    for _ in 0..2 {
        store.pack(true).unwrap();
    }
    drop((store, reader));
    assert_eq!(count(dir.path(), "SELECT count(*) FROM records"), 0);
    assert_eq!(count(dir.path(), "SELECT freelist_count FROM pragma_freelist_count"), 0);
    assert!(std::fs::metadata(file(dir.path())).unwrap().len() < before / 3);
    assert_eq!(Reader::open(dir.path()).unwrap().count_after(0).unwrap(), 901);
    verify(dir.path(), &[]).unwrap();
    // An agent that knows no packs says so.
    assert_eq!(count(dir.path(), "SELECT user_version FROM pragma_user_version"), 3);
}

#[test]
fn a_reader_beside_the_writer_misses_nothing_and_sees_nothing_twice() {
    const RECORDS: u64 = 4_000;
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    store.append(&[small(1, MIDNIGHT)]).unwrap();
    let stored = AtomicU64::new(1);
    let deadline = Instant::now() + Duration::from_mins(2);
    std::thread::scope(|scope| {
        let sink = || {
            let reader = Reader::open(dir.path()).unwrap();
            let mut seen = 0;
            while seen < RECORDS && Instant::now() < deadline {
                for record in reader.after(seen, 100).unwrap() {
                    assert_eq!(record.seq, seen + 1);
                    seen += 1;
                }
            }
            seen
        };
        let asker = || {
            let reader = Reader::open(dir.path()).unwrap();
            let mut rounds = 0;
            while Instant::now() < deadline {
                let least = stored.load(Ordering::Acquire);
                let count = reader.count_after(0).unwrap();
                assert!(count >= least && reader.newest().unwrap().unwrap().seq >= count);
                let chain = reader.chain("CHAIN1").unwrap();
                let numbers: Vec<u64> = chain.iter().map(|record| record.seq).collect();
                let expected: Vec<u64> =
                    (1..=*numbers.last().unwrap_or(&0)).filter(|seq| seq % 5 == 1 && seq % 3 != 0).collect();
                assert_eq!(numbers, expected);
                rounds += 1;
                if least == RECORDS {
                    break;
                }
            }
            rounds
        };
        let (sink, asker) = (scope.spawn(sink), scope.spawn(asker));
        for first in (2..=RECORDS).step_by(43) {
            let batch: Vec<_> =
                (first..(first + 43).min(RECORDS + 1)).map(|seq| small(seq, MIDNIGHT)).collect();
            store.append(&batch).unwrap();
            stored.store(store.last_seq(), Ordering::Release);
            store.pack_some(40);
        }
        assert_eq!(sink.join().unwrap(), RECORDS);
        assert!(asker.join().unwrap() > 0);
    });
    assert!(count(dir.path(), "SELECT count(*) FROM packs") > 50);
}

#[test]
fn the_newest_stay_rows_and_much_is_packed_though_nobody_has_time() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    let mut next = 1;
    let mut add = |store: &mut Store, count: u64| {
        store.append(&(next..next + count).map(|seq| small(seq, MIDNIGHT)).collect::<Vec<_>>()).unwrap();
        next += count;
    };
    let rows = || count(dir.path(), "SELECT count(*) FROM records");
    add(&mut store, 639);
    store.pack(true).unwrap();
    assert_eq!(rows(), 639);
    add(&mut store, 1);
    store.pack(false).unwrap();
    assert_eq!(rows(), 640, "there is no hurry");
    store.pack(true).unwrap();
    assert_eq!(rows(), 128);
    add(&mut store, 2_000);
    store.pack(false).unwrap();
    assert_eq!(rows(), 2_128 - 512, "one at a time");
    store.pack(true).unwrap();
    assert_eq!(rows(), 2_128 - 3 * 512);
    verify(dir.path(), &[]).unwrap();
}
