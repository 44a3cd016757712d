mod aside;
mod condense;
mod damage;
mod evidence;
mod packs;
mod power;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::record::testing::{backup, edges, records};
use crate::record::{Record, RecordType, rfc3339};

const DAY_NS: i64 = 86_400_000_000_000;
/// 2026-01-02T00:00:00Z
const MIDNIGHT: i64 = 1_767_312_000_000_000_000;
const KEEP: Retention = Retention { keep: Duration::from_hours(24), max_bytes: 1 << 30 };

/// A record as small as a record can be.
fn small(seq: u64, time_ns: i64) -> Record {
    let chain = (!seq.is_multiple_of(3)).then(|| format!("CHAIN{}", seq % 5));
    let of = chain.as_ref().map(|chain| format!(r#","chain":"{chain}""#)).unwrap_or_default();
    let time = rfc3339(time_ns);
    Record {
        seq,
        time_ns,
        kind: RecordType::Action,
        chain,
        gap_chains: Vec::new(),
        body: format!(r#"{{"v":1,"seq":{seq},"time":"{time}","type":"action"{of}}}"#).into_bytes(),
    }
}

/// A body without the hash that the store put into it.
fn plain(body: &[u8]) -> Vec<u8> {
    let at = body.len() - r#","prev":""}"#.len() - 64;
    [&body[..at], b"}"].concat()
}

fn filled(count: u64) -> TempDir {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    let records: Vec<_> = (1..=count).map(|seq| small(seq, MIDNIGHT + 1)).collect();
    store.append(&records).unwrap();
    dir
}

/// Looks after a store again and again, until it `is` what is waited for.
fn until(store: &mut Store, look_after: impl Fn(&mut Store), is: impl Fn(&Store) -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !is(store) {
        assert!(Instant::now() < deadline, "it does not come to that");
        look_after(store);
        std::thread::yield_now();
    }
}

fn file(dir: &Path) -> PathBuf {
    dir.join("records-2026-01-02.sqlite")
}

#[derive(Clone, Debug)]
enum Step {
    Append { count: u64, later_ns: i64 },
    Pack { records: usize },
    PackWhenIdle,
    Condense,
    Reopen,
    Retain,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..20_u64, -DAY_NS / 4..DAY_NS / 2).prop_map(|(count, later_ns)| Step::Append { count, later_ns }),
        2 => (1..40_usize).prop_map(|records| Step::Pack { records }),
        1 => Just(Step::PackWhenIdle),
        1 => Just(Step::Condense),
        1 => Just(Step::Reopen),
        1 => Just(Step::Retain),
    ];
    prop::collection::vec(step, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn a_store_holds_what_a_list_holds(steps in steps()) {
        let dir = TempDir::new().unwrap();
        let mut store = Store::open(dir.path(), KEEP).unwrap();
        let mut model: Vec<Record> = Vec::new();
        let (mut seq, mut now) = (0, MIDNIGHT);
        for step in steps {
            match step {
                Step::Append { count, later_ns } => {
                    // Spread over the time that passes, so that batches go over midnight, and back.
                    let batch: Vec<_> = (0..count).map(|_| {
                        seq += 1;
                        now += later_ns / i64::try_from(count).unwrap();
                        small(seq, now)
                    }).collect();
                    store.append(&batch).unwrap();
                    model.extend(batch);
                }
                Step::Pack { records } => store.pack_some(records),
                Step::PackWhenIdle => store.pack(true).unwrap(),
                Step::Condense => store.condense_some(),
                Step::Reopen => {
                    drop(store);
                    store = Store::open(dir.path(), KEEP).unwrap();
                }
                Step::Retain => {
                    for dropped in store.retain(now).unwrap() {
                        let gone: Vec<_> = model.extract_if(.., |record| record.seq <= dropped.last).collect();
                        prop_assert_eq!(gone.len() as u64, dropped.records);
                        prop_assert_eq!(gone.first().map_or(0, |record| record.seq), dropped.first);
                        prop_assert!(gone.iter().all(|record| record.time_ns < now - DAY_NS));
                    }
                }
            }
            let verified = verify(dir.path(), &[]).unwrap();
            prop_assert_eq!(verified.records, model.len() as u64);
            prop_assert_eq!(store.last_seq(), seq);
            prop_assert_eq!(store.next_seq().unwrap(), seq + 1);
        }
        let reader = Reader::open(dir.path()).unwrap();
        let bodies = |stored: Vec<Stored>| stored.into_iter().map(|stored| stored.body).collect::<Vec<_>>();
        // Without what the store adds to each.
        let bodies = |stored| bodies(stored).into_iter().map(|body| plain(&body)).collect::<Vec<_>>();
        let all: Vec<_> = model.iter().map(|record| record.body.clone()).collect();
        prop_assert_eq!(bodies(reader.after(0, usize::MAX).unwrap()), all);
        let chain: Vec<_> = model.iter().filter(|record| record.chain.as_deref() == Some("CHAIN2"))
            .map(|record| record.body.clone()).collect();
        prop_assert_eq!(bodies(reader.chain("CHAIN2").unwrap()), chain);
    }
}

#[test]
fn a_second_writer_is_told_who_is_there() {
    let dir = TempDir::new().unwrap();
    let first = Store::open(dir.path(), KEEP).unwrap();
    let error = Store::open(dir.path(), KEEP).unwrap_err();
    let StoreError::Locked { pid, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(pid, Some(std::process::id()));
    drop(first);
    Store::open(dir.path(), KEEP).unwrap();
}

#[test]
fn the_directory_is_nobody_elses() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("a/b");
    Store::open(&path, KEEP).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn numbers_must_grow_and_stay_above_what_sinks_have_seen() {
    let dir = filled(3);
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    let error = store.append(&[small(4, MIDNIGHT), small(4, MIDNIGHT)]).unwrap_err();
    assert!(matches!(error, StoreError::Sequence { seq: 4, last: 4 }), "{error}");
    let error = store.append(&[small(3, MIDNIGHT)]).unwrap_err();
    assert!(matches!(error, StoreError::Sequence { seq: 3, last: 3 }), "{error}");
    store.advance("far", 10).unwrap();
    store.advance("far", 7).unwrap();
    assert_eq!((store.cursor("far").unwrap(), store.cursor("near").unwrap()), (10, 0));
    assert_eq!(store.next_seq().unwrap(), 11);
    store.append(&[small(11, MIDNIGHT)]).unwrap();
    let verified = verify(dir.path(), &[]).unwrap();
    assert_eq!((verified.records, verified.first, verified.end.seq, verified.missing), (4, 1, 11, 7));
    assert_eq!(verified.end, store.end());
}

#[test]
fn a_day_that_grows_too_large_goes_on_in_a_second_file_and_the_first_can_be_dropped() {
    let dir = TempDir::new().unwrap();
    let retention = Retention { max_bytes: 20 << 20, ..KEEP };
    let mut store = Store::open(dir.path(), retention).unwrap();
    for seq in 1..=600 {
        let mut record = small(seq, MIDNIGHT);
        record.body.pop();
        record.body.extend_from_slice(format!(r#","pad":"{}"}}"#, "x".repeat(50_000)).as_bytes());
        store.append(&[record]).unwrap();
    }
    assert!(dir.path().join("records-2026-01-02.2.sqlite").exists());
    let dropped = store.retain(MIDNIGHT).unwrap();
    assert_eq!(dropped[0].file, "records-2026-01-02.sqlite");
    assert!(dropped.windows(2).all(|pair| pair[0].last + 1 == pair[1].first));
    let verified = verify(dir.path(), &[]).unwrap();
    assert_eq!((verified.first, verified.end.seq), (dropped.last().unwrap().last + 1, 600));
    // What is dropped does not come back, and what is there does not go by itself.
    assert_eq!(store.retain(MIDNIGHT).unwrap(), []);
}

fn tampered(sql: &str) -> VerifyError {
    let dir = filled(9);
    verify(dir.path(), &[]).unwrap();
    let connection = Connection::open(file(dir.path())).unwrap();
    connection.execute_batch(sql).unwrap();
    verify(dir.path(), &[]).unwrap_err()
}

#[test]
fn every_kind_of_tampering_is_found_where_it_is() {
    let cases = [
        (
            "UPDATE records SET body = CAST(replace(CAST(body AS TEXT), 'action', 'inert!') AS BLOB) WHERE seq = 4",
            4,
            Mismatch::Hash,
        ),
        (
            "UPDATE records SET hash = (SELECT hash FROM records WHERE seq = 1) WHERE seq = 4",
            4,
            Mismatch::Hash,
        ),
        ("DELETE FROM records WHERE seq = 4", 5, Mismatch::Hash),
        ("DELETE FROM records WHERE seq = 1", 2, Mismatch::Hash),
        (
            "UPDATE records SET seq = -1 WHERE seq = 4; UPDATE records SET seq = 4 WHERE seq = 5;
             UPDATE records SET seq = 5 WHERE seq = -1",
            4,
            Mismatch::Hash,
        ),
        (
            "INSERT INTO records SELECT 10, time_ns, type, chain, body, hash FROM records WHERE seq = 9",
            10,
            Mismatch::Hash,
        ),
        ("UPDATE records SET seq = 90 WHERE seq = 9", 90, Mismatch::Index("seq")),
        ("UPDATE records SET chain = 'ELSE' WHERE seq = 4", 4, Mismatch::Index("chain")),
        ("UPDATE records SET time_ns = 7 WHERE seq = 4", 4, Mismatch::Index("time")),
        ("UPDATE records SET type = 'gap' WHERE seq = 4", 4, Mismatch::Index("type")),
        ("INSERT INTO gaps VALUES ('CHAIN1', 4)", 4, Mismatch::Index("chains")),
        ("UPDATE start SET seq = 3", 1, Mismatch::Start),
    ];
    for (sql, place, what) in cases {
        let error = tampered(sql);
        let VerifyError::Broken { seq, why, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((seq, why), (place, what), "{sql}");
    }
}

#[test]
fn a_whole_day_that_is_gone_is_missed() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    for day in 0..3 {
        let seq = u64::try_from(day).unwrap() * 2;
        let time = MIDNIGHT + day * DAY_NS;
        store.append(&[small(seq + 1, time), small(seq + 2, time)]).unwrap();
    }
    drop(store);
    let away = |name: &str| std::fs::rename(dir.path().join(name), dir.path().join("away")).unwrap();
    let back = |name: &str| std::fs::rename(dir.path().join("away"), dir.path().join(name)).unwrap();
    for (name, first) in [("records-2026-01-02.sqlite", 3), ("records-2026-01-03.sqlite", 5)] {
        away(name);
        let error = verify(dir.path(), &[]).unwrap_err();
        let VerifyError::Broken { seq, why, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((seq, why), (first, Mismatch::Start));
        back(name);
    }
    assert_eq!(verify(dir.path(), &[]).unwrap().records, 6);
    // Dropped by retention, the first day is not missed; but after that, nothing may take its followers away.
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    assert_eq!(store.retain(MIDNIGHT + 5 * DAY_NS).unwrap().len(), 2);
    drop(store);
    assert_eq!(verify(dir.path(), &[]).unwrap().first, 5);
    away("records-2026-01-04.sqlite");
    assert!(matches!(verify(dir.path(), &[]).unwrap_err(), VerifyError::Gone { seq: 0, .. }));
}

#[test]
fn a_damaged_or_foreign_file_is_named() {
    let dir = filled(400);
    let path = file(dir.path());
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = verify(dir.path(), &[]).unwrap_err();
    let VerifyError::Store(StoreError::Corrupt { path: named, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(named, path);
    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE poem (line TEXT)").unwrap();
    let error = Store::open(dir.path(), KEEP).unwrap_err();
    assert!(matches!(&error, StoreError::Foreign { path: named } if *named == path), "{error}");
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA application_id=1936748402; PRAGMA user_version=7")
        .unwrap();
    let error = Store::open(dir.path(), KEEP).unwrap_err();
    assert!(matches!(error, StoreError::Version { found: 7, .. }), "{error}");
}

#[test]
fn a_full_disk_loses_nothing_and_the_same_batch_fits_later() {
    let dir = filled(5);
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    // As many pages as there are: what a full disk says, without a disk to fill.
    let limit = |store: &Store, pages: i64| {
        let connection = &store.current.as_ref().unwrap().connection;
        connection.pragma_update(None, "max_page_count", pages).unwrap();
    };
    let batch: Vec<_> = (6..500).map(|seq| small(seq, MIDNIGHT + 2)).collect();
    limit(&store, 1);
    for _ in 0..2 {
        let error = store.append(&batch).unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        assert_eq!((store.last_seq(), verify(dir.path(), &[]).unwrap().records), (5, 5));
    }
    limit(&store, 1_000_000);
    store.append(&batch).unwrap();
    assert_eq!(verify(dir.path(), &[]).unwrap().records, 499);
}

#[test]
fn a_batch_that_failed_after_midnight_is_not_stored_twice_before_it() {
    let dir = filled(1);
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    let batch = [small(2, MIDNIGHT + 1), small(3, MIDNIGHT + DAY_NS)];
    // A directory in its place: the new day's file cannot be made.
    let obstacle = dir.path().join("records-2026-01-03.new");
    std::fs::create_dir(&obstacle).unwrap();
    assert!(store.append(&batch).is_err());
    assert_eq!(store.last_seq(), 2);
    std::fs::remove_dir(&obstacle).unwrap();
    store.append(&batch).unwrap();
    assert_eq!(verify(dir.path(), &[]).unwrap().records, 3);
}

const WRITE_INTO: &str = "SPOOR_TEST_WRITE_INTO";
const BATCH: u64 = 7;

/// Run by the test below in a process of its own: appends until it is killed, telling after each batch how far it is.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(WRITE_INTO) else {
        return;
    };
    let mut store = Store::open(Path::new(&dir), KEEP).unwrap();
    loop {
        let next = store.next_seq().unwrap();
        // A day every twenty batches, so that some die while a file is made.
        let time = MIDNIGHT + i64::try_from(next / BATCH / 20).unwrap() * DAY_NS;
        let batch: Vec<_> = (next..next + BATCH).map(|seq| small(seq, time)).collect();
        store.append(&batch).unwrap();
        eprintln!("stored {}", store.last_seq());
        // Of each day some rows, and what is left of it when the next has begun.
        store.pack_some(11);
        store.pack(true).unwrap();
    }
}

#[test]
fn a_killed_writer_leaves_whole_batches() {
    let dir = TempDir::new().unwrap();
    for round in 1..=12_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::child_that_writes_until_it_is_killed", "--nocapture"])
            .env(WRITE_INTO, dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        // Killed after another number of batches each time, while it writes the next.
        let told =
            lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("stored ")?.parse::<u64>().ok());
        let told = told.take(usize::try_from(round * 7 % 31 + 1).unwrap()).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Store::open(dir.path(), KEEP).unwrap();
        assert!(store.last_seq() >= told, "{} of {told}", store.last_seq());
        assert_eq!(store.last_seq() % BATCH, 0);
        let verified = verify(dir.path(), &[]).unwrap();
        assert_eq!((verified.records, verified.missing), (store.last_seq(), 0));
    }
}

#[test]
fn chains_are_found_by_who_what_and_when() {
    let dir = TempDir::new().unwrap();
    let mut store = Store::open(dir.path(), KEEP).unwrap();
    let mut builder = crate::record::testing::builder(1);
    let notes = [backup(), edges()].concat();
    let made: Vec<_> = notes.iter().map(|note| builder.note(note)).collect();
    store.append(&made).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let ids = |filter: ChainsFilter| -> Vec<String> {
        reader.chains(&filter).unwrap().into_iter().map(|head| head.id).collect()
    };
    let by = ChainsFilter::default;
    let all = ids(by());
    assert_eq!(all.len(), 2);
    let (edge, backup) = (vec![all[0].clone()], vec![all[1].clone()]);
    assert_eq!(ids(ChainsFilter { limit: 1, ..by() }), edge);
    let actor = |actor: &str| ids(ChainsFilter { actor: Some(actor.to_owned()), ..by() });
    assert_eq!((actor("systemd:backup.service"), actor("backup")), (backup.clone(), backup.clone()));
    assert!(actor("back").is_empty());
    let credential = |wanted: &str| ids(ChainsFilter { credential: Some(wanted.to_owned()), ..by() });
    for wanted in ["AKIAIOSFODNN7EXAMPLE", "/home/backup/.pgpass", "pgpass:db.example.com"] {
        assert_eq!(credential(wanted), backup, "{wanted}");
    }
    let end = records(&edges()).last().unwrap().time_ns;
    assert_eq!(ids(ChainsFilter { since_ns: Some(end + 1), ..by() }), backup);
    // A gap belongs to each chain that it names.
    let kinds: Vec<_> =
        reader.chains(&by()).unwrap()[0].records.iter().map(|view| view.kind().to_owned()).collect();
    assert!(
        kinds.contains(&"gap".to_owned())
            && kinds.first().unwrap() == "chain"
            && kinds.last().unwrap() == "chain"
    );
    assert_eq!(reader.matching(&edge[0].to_lowercase(), 9).unwrap(), edge);
    assert_eq!(reader.matching("01KD", 9).unwrap().len(), 2);
    assert_eq!(reader.last("gap").unwrap().map(|stored| View::parse(&stored.body).unwrap().seq()), Some(16));
    assert_eq!(reader.last("head").unwrap(), None);
}

use crate::record::View;
