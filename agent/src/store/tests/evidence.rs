//! What an attacker may do to a store, to its keys and to what a receiver has, and what of it is found.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use super::super::*;
use crate::evidence::{
    Distrust, HeadError, How, Misfit, PublicKey, Received, ReceivedError, Signer, Signing, make_next,
};
use crate::record::testing::{builder, host};
use crate::record::{Builder, Record, RecordType, View, rfc3339};

const MIDNIGHT: i64 = 1_767_312_000_000_000_000;
const DAY_NS: i64 = 86_400_000_000_000;
const KEEP: Retention = Retention { keep: Duration::from_hours(24), max_bytes: 1 << 30 };

/// A host that stores and signs, as the worker does.
struct Host {
    dir: TempDir,
    store: Store,
    signing: Signing,
    builder: Builder,
    time_ns: i64,
}

impl Host {
    fn new() -> Self {
        Self::on(TempDir::new().unwrap(), MIDNIGHT)
    }

    fn on(dir: TempDir, time_ns: i64) -> Self {
        let store = Store::open(dir.path(), KEEP).unwrap();
        let signing = store.sign_with(Signer::open(dir.path(), &host().id).unwrap()).unwrap();
        let builder = builder(store.next_seq().unwrap());
        Self { dir, store, signing, builder, time_ns }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn restarted(self) -> Self {
        let Self { dir, store, time_ns, .. } = self;
        drop(store);
        Self::on(dir, time_ns)
    }

    fn store(&mut self, record: &Record) {
        self.store.append(std::slice::from_ref(record)).unwrap();
        self.signing.stored(1);
    }

    fn act(&mut self, count: u64) {
        for _ in 0..count {
            let seq = self.builder.next_seq();
            // The builder numbers; what it says does not matter here.
            let mut record = self.builder.heartbeat(0, &[]);
            record.time_ns = self.time_ns;
            record.kind = RecordType::Action;
            let (time, host) = (rfc3339(self.time_ns), host().id);
            record.body = format!(
                r#"{{"v":1,"seq":{seq},"time":"{time}","type":"action","action":"exec","host":{{"id":"{host}"}},"x":"y"}}"#
            )
            .into_bytes();
            self.store(&record);
        }
    }

    fn sign(&mut self) {
        self.signed_but_not_taken();
        self.signing.taken().unwrap();
    }

    fn signed_but_not_taken(&mut self) {
        let end = self.store.end();
        let head = self.signing.head(&self.builder, end, 0);
        let head = head.map(|head| self.builder.signed(0, &head));
        if let Some(mut head) = head {
            // In the file of the day that the other records are in.
            let time = rfc3339(head.time_ns);
            let body = String::from_utf8(head.body).unwrap();
            head.time_ns = self.time_ns;
            head.body = body.replacen(&time, &rfc3339(self.time_ns), 1).into_bytes();
            self.store(&head);
        }
    }

    /// What a sink without a filter has.
    fn received(&self) -> Vec<String> {
        let all = Reader::open(self.path()).unwrap().after(0, usize::MAX).unwrap();
        all.into_iter().map(|stored| String::from_utf8(stored.body).unwrap()).collect()
    }

    fn sql(&self, sql: &str) {
        let names = period::list(self.path()).unwrap();
        let file = self.path().join(names.last().unwrap().to_string());
        Connection::open(file).unwrap().execute_batch(sql).unwrap();
    }
}

/// Ten records, a head, five records, a head, two records: 1 to 10, 11, 12 to 16, 17, 18 to 19.
fn host_with_heads() -> Host {
    let mut host = Host::new();
    host.act(10);
    host.sign();
    host.act(5);
    host.sign();
    host.act(2);
    host
}

fn receive(lines: &[String], how: &How) -> Result<Received, ReceivedError> {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("received.jsonl");
    std::fs::write(&path, lines.join("\n")).unwrap();
    Received::verify(&[path], how)
}

fn broken(lines: &[String]) -> (u64, Misfit) {
    match receive(lines, &How::default()) {
        Err(ReceivedError::Broken { seq, why, .. }) => (seq, why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_nobody_touched_verifies_on_both_sides() {
    let host = host_with_heads();
    let verified = verify(host.path(), &[]).unwrap();
    assert_eq!((verified.records, verified.heads.count(), verified.unsigned), (19, 2, 2));
    assert_eq!(verified.heads.last().unwrap().end.seq, 16);
    let mut lines = host.received();
    // At least once, and not quite in order.
    lines.push(lines[3].clone());
    lines.swap(5, 6);
    lines.push("something else".to_owned());
    let received = receive(&lines, &How::default()).unwrap();
    let [of] = received.hosts() else { panic!("one host") };
    assert_eq!((of.records, of.first, of.last, of.proven, of.unsigned), (19, 1, 19, 16, 2));
    assert_eq!((received.repeated(), received.others()), (1, 1));
    let agreed = agree(host.path(), &verified, &received).unwrap();
    assert_eq!((agreed.records, agreed.before, agreed.elsewhere), (19, 0, 0));
}

#[test]
fn a_killed_agent_goes_on_signing_where_it_was() {
    let mut host = host_with_heads().restarted();
    host.act(3);
    host.sign();
    let verified = verify(host.path(), &[]).unwrap();
    assert_eq!((verified.heads.count(), verified.unsigned), (3, 0));
    let mut host = host.restarted();
    host.sign();
    assert_eq!(verify(host.path(), &[]).unwrap().heads.count(), 3, "nothing new, no head");
    assert_eq!(verify(host.path(), &[]).unwrap().heads.keys().len(), 1);
}

#[test]
fn a_store_that_is_older_than_heads_is_signed_from_its_beginning() {
    let mut host = Host::new();
    host.act(4);
    let mut host = host.restarted();
    host.act(1);
    host.sign();
    let head = verify(host.path(), &[]).unwrap().heads.last().unwrap().clone();
    assert_eq!((head.since.seq, head.end.seq, head.records), (0, 5, 5));
}

#[test]
fn retention_leaves_heads_that_verify() {
    let mut host = Host::new();
    for day in 0..4 {
        host.time_ns = MIDNIGHT + day * DAY_NS;
        host.act(3);
        host.sign();
        host.act(2);
    }
    let dropped = host.store.retain(MIDNIGHT + 3 * DAY_NS + 1).unwrap();
    assert_eq!(dropped.len(), 2);
    let verified = verify(host.path(), &[]).unwrap();
    assert_eq!((verified.first, verified.heads.count()), (13, 2));
    let mut host = host.restarted();
    host.act(1);
    host.sign();
    assert_eq!(verify(host.path(), &[]).unwrap().heads.count(), 3);
    // All heads are gone, records are not: the next one begins with what is kept.
    let mut host = Host::new();
    host.act(1);
    host.sign();
    host.time_ns += DAY_NS;
    host.act(2);
    host.store.retain(MIDNIGHT + 3 * DAY_NS).unwrap();
    let mut host = host.restarted();
    host.act(1);
    host.sign();
    let verified = verify(host.path(), &[]).unwrap();
    assert_eq!((verified.first, verified.heads.last().unwrap().since.seq), (3, 2));
}

/// Hashes, stamps and columns of every record from `from` on, made anew as somebody would who knows the rules.
fn rehash(host: &Host, from: u64) {
    let names = period::list(host.path()).unwrap();
    let file = Connection::open(host.path().join(names.last().unwrap().to_string())).unwrap();
    let mut mark = crate::evidence::Mark::NONE;
    let rows: Vec<(u64, Vec<u8>)> = file
        .prepare("SELECT seq, body FROM records ORDER BY seq")
        .unwrap()
        .query_map([], |row| Ok((u64::try_from(row.get::<_, i64>(0)?).unwrap(), row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for (seq, mut body) in rows {
        if seq >= from {
            let at = body.len() - r#","prev":""}"#.len() - 64;
            body = crate::record::stamp(&[&body[..at], b"}"].concat(), &mark.hash);
        }
        mark = mark.then(seq, &body);
        let update = "UPDATE records SET body = ?, hash = ? WHERE seq = ?";
        file.execute(update, rusqlite::params![body, mark.hash, i64::try_from(seq).unwrap()]).unwrap();
    }
}

fn store_broken(host: &Host) -> (u64, Mismatch) {
    match verify(host.path(), &[]) {
        Err(VerifyError::Broken { seq, why, .. }) => (seq, why),
        other => panic!("{other:?}"),
    }
}

const CHANGE: &str =
    "UPDATE records SET body = CAST(replace(CAST(body AS TEXT), '\"y\"', '\"z\"') AS BLOB) WHERE seq = 4;";

#[test]
fn whoever_makes_all_hashes_anew_is_found_by_the_next_head() {
    for sql in [CHANGE, "DELETE FROM records WHERE seq = 4;"] {
        let host = host_with_heads();
        host.sql(sql);
        rehash(&host, 4);
        assert_eq!(store_broken(&host), (11, Mismatch::Signed), "{sql}");
    }
    // Two that change places: numbers stand in the records themselves.
    let host = host_with_heads();
    host.sql("UPDATE records SET seq = -1 WHERE seq = 4; UPDATE records SET seq = 4 WHERE seq = 5; UPDATE records SET seq = 5 WHERE seq = -1;");
    rehash(&host, 4);
    assert_eq!(store_broken(&host), (4, Mismatch::Index("seq")));
    // Behind the last head nobody has signed yet: found by whoever has received it.
    let host = host_with_heads();
    let before = host.received();
    host.sql("UPDATE records SET body = CAST(replace(CAST(body AS TEXT), '\"y\"', '\"z\"') AS BLOB) WHERE seq = 18;");
    rehash(&host, 18);
    let verified = verify(host.path(), &[]).unwrap();
    let received = receive(&before, &How::default()).unwrap();
    let error = agree(host.path(), &verified, &received).unwrap_err();
    assert!(matches!(error, AgreeError::Differs(Difference::Record(18))), "{error}");
}

#[test]
fn heads_themselves_cannot_be_changed_dropped_or_made() {
    // What a field of a head says is not what is signed.
    for (from, to) in
        [("\"seq\":10,", "\"seq\":9,"), ("records 10", "records 11"), ("spoor/6f1d", "spoor/7f1d")]
    {
        let host = host_with_heads();
        host.sql(&format!(
            "UPDATE records SET body = CAST(replace(CAST(body AS TEXT), '{from}', '{to}') AS BLOB) WHERE seq = 11;"
        ));
        rehash(&host, 11);
        let (seq, why) = store_broken(&host);
        assert_eq!(seq, 11, "{from}");
        assert!(matches!(why, Mismatch::Head(HeadError::Form | HeadError::Distrust(_))), "{from}: {why}");
    }
    // A head that is gone.
    let host = host_with_heads();
    host.sql("DELETE FROM records WHERE seq = 11;");
    rehash(&host, 11);
    assert_eq!(store_broken(&host).0, 17);
    // All heads gone: the store alone is as one that never was signed; the receiver knows better.
    let host = host_with_heads();
    let before = host.received();
    host.sql("DELETE FROM records WHERE type = 'head';");
    rehash(&host, 1);
    let verified = verify(host.path(), &[]).unwrap();
    assert_eq!(verified.heads.count(), 0);
    let received = receive(&before, &How::default()).unwrap();
    let error = agree(host.path(), &verified, &received).unwrap_err();
    assert!(matches!(error, AgreeError::Differs(Difference::Lacking(11))), "{error}");
}

#[test]
fn what_is_cut_off_or_rolled_back_is_known_to_sinks_and_receivers() {
    let host = host_with_heads();
    host.store.advance("siem", 19).unwrap();
    host.sql("DELETE FROM records WHERE seq > 14;");
    let error = verify(host.path(), &[]).unwrap_err();
    assert!(matches!(error, VerifyError::Gone { seq: 14, known: 19, .. }), "{error}");
    // A copy of the whole directory, as it was before: nothing in it tells.
    let mut host = Host::new();
    host.act(10);
    host.sign();
    let copy = TempDir::new().unwrap();
    for entry in std::fs::read_dir(host.path()).unwrap() {
        let from = entry.unwrap().path();
        std::fs::copy(&from, copy.path().join(from.file_name().unwrap())).unwrap();
    }
    host.act(9);
    let verified = verify(copy.path(), &[]).unwrap();
    assert_eq!(verified.end.seq, 11);
    let received = receive(&host.received(), &How::default()).unwrap();
    let error = agree(copy.path(), &verified, &received).unwrap_err();
    assert!(matches!(error, AgreeError::Differs(Difference::Ends { end: 11, seen: 12 })), "{error}");
}

#[test]
fn what_root_makes_look_as_it_should_is_found_by_a_comparison_only() {
    // An old file is deleted, and the anchor that retention would have left is put in.
    let mut host = Host::new();
    host.act(3);
    host.sign();
    let first_day = host.store.end();
    host.time_ns += DAY_NS;
    host.act(3);
    let received = receive(&host.received(), &How::default()).unwrap();
    let state = Connection::open(host.path().join(STATE_FILE)).unwrap();
    let anchor =
        rusqlite::params![i64::try_from(first_day.seq).unwrap(), first_day.hash, "records-2026-01-02.sqlite"];
    state.execute("INSERT INTO anchors VALUES (?, ?, ?)", anchor).unwrap();
    std::fs::remove_file(host.path().join("records-2026-01-02.sqlite")).unwrap();
    let verified = verify(host.path(), &[]).unwrap();
    assert_eq!((verified.first, verified.records), (5, 3));
    let agreed = agree(host.path(), &verified, &received).unwrap();
    assert_eq!((agreed.records, agreed.before), (3, 4), "what the receiver has beside that is counted");
    // All is written anew, and signed by the key that lies there.
    let mut truth = host_with_heads();
    make_next(truth.path()).unwrap();
    let first_key = verify(truth.path(), &[]).unwrap().heads.keys().to_vec();
    truth.sign();
    let received = receive(&truth.received(), &How::default()).unwrap();
    let forged = Host::new();
    std::fs::copy(truth.path().join("signing.key"), forged.path().join("signing.key")).unwrap();
    let mut forged = forged.restarted();
    forged.act(21);
    forged.sign();
    let verified = verify(forged.path(), &[]).unwrap();
    let error = agree(forged.path(), &verified, &received).unwrap_err();
    assert!(matches!(error, AgreeError::Differs(Difference::Record(11))), "{error}");
    // Whoever kept the key from before it was changed needs no receiver.
    let error = verify(forged.path(), &first_key).unwrap_err();
    let VerifyError::Broken { why: Mismatch::Head(HeadError::Distrust(Distrust::Stranger(_))), .. } = error
    else {
        panic!("{error}");
    };
}

#[test]
fn every_edit_of_what_was_received_is_found_where_it_is() {
    let lines = host_with_heads().received();
    let edited = |edit: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        edit(&mut lines);
        broken(&lines)
    };
    let change = |line: &mut String| *line = line.replace("\"y\"", "\"z\"");
    // Number of a record is its line plus one.
    assert_eq!(edited(&|all| change(&mut all[3])), (4, Misfit::Changed(5)));
    assert_eq!(edited(&|all| change(&mut all[0])), (1, Misfit::Changed(2)));
    assert_eq!(edited(&|all| change(&mut all[15])), (17, Misfit::Signed(11)));
    assert_eq!(edited(&|all| change(&mut all[17])), (18, Misfit::Changed(19)));
    let missing = Misfit::Missing { missing: 1, records: 10, first: 1, last: 10 };
    assert_eq!(edited(&|all| drop(all.remove(3))), (11, missing.clone()));
    assert_eq!(edited(&|all| drop(all.remove(9))), (11, missing));
    assert_eq!(edited(&|all| drop(all.remove(10))).0, 17, "a head that is gone is missed by the next one");
    let doubled = edited(&|all| {
        let mut other = all[3].clone();
        change(&mut other);
        all.push(other);
    });
    assert_eq!(doubled, (4, Misfit::Twice));
    let forged = edited(&|all| {
        let forged = all[18].replace("\"seq\":19", "\"seq\":20");
        all.push(forged);
    });
    assert_eq!(forged, (19, Misfit::Changed(20)));
    // Two that change their numbers.
    let swapped = edited(&|all| {
        all[3] = all[3].replace("\"seq\":4", "\"seq\":5");
        all[4] = all[4].replace("\"seq\":5", "\"seq\":4");
    });
    assert_eq!(swapped.0, 3);
}

#[test]
fn a_receiver_may_begin_in_the_middle_and_a_filtered_one_says_what_it_cannot_prove() {
    let lines = host_with_heads().received();
    let received = receive(&lines[6..], &How::default()).unwrap();
    assert_eq!((received.hosts()[0].proven, received.hosts()[0].first), (10, 7));
    // But not with a hole.
    let mut holed = lines[6..].to_vec();
    holed.remove(1);
    assert!(matches!(broken(&holed), (11, Misfit::Missing { missing: 7, .. })));
    // Everything but record 3 and its like.
    let mut some = lines.clone();
    some.remove(2);
    let how = How { filtered: true, ..How::default() };
    let received = receive(&some, &how).unwrap();
    let of = &received.hosts()[0];
    assert_eq!((of.proven, of.incomplete, of.missing), (6, 9, 1));
}

#[test]
fn heads_in_another_schema_are_held_against_the_store() {
    let host = host_with_heads();
    let heads = host.received().into_iter().filter(|line| line.contains("\"type\":\"head\""));
    let notes: Vec<String> = heads
        .map(|line| View::parse(line.as_bytes()).unwrap().text("head.note").unwrap().to_owned())
        .collect();
    // Where OCSF, ECS and OpenTelemetry have it.
    let around: [fn(&String) -> String; 3] = [
        |note| serde_json::json!({ "class_uid": 0, "unmapped": { "head": { "note": note } } }).to_string(),
        |note| serde_json::json!({ "_source": { "spoor": { "head": { "note": note } } } }).to_string(),
        |note| {
            let value = serde_json::json!({ "stringValue": note });
            serde_json::json!({ "attributes": [{ "key": "spoor.head.note", "value": value }] }).to_string()
        },
    ];
    for around in around {
        let lines: Vec<String> = notes.iter().map(around).collect();
        let received = receive(&lines, &How::default()).unwrap();
        assert_eq!((received.hosts().len(), received.notes().unwrap().len()), (0, 2));
        let verified = verify(host.path(), &[]).unwrap();
        assert_eq!(agree(host.path(), &verified, &received).unwrap().heads, 2);
        // The store is written anew, by somebody who has the key.
        let forged = Host::new();
        let key = |host: &Host| host.path().join("signing.key");
        std::fs::copy(key(&host), key(&forged)).unwrap();
        let mut forged = forged.restarted();
        forged.act(9);
        forged.sign();
        forged.act(9);
        let verified = verify(forged.path(), &[]).unwrap();
        let error = agree(forged.path(), &verified, &received).unwrap_err();
        assert!(matches!(error, AgreeError::Differs(Difference::Head(10))), "{error}");
    }
}

#[test]
fn keys_change_only_with_the_word_of_the_one_before() {
    let mut host = host_with_heads();
    make_next(host.path()).unwrap();
    host.sign();
    host.act(1);
    host.sign();
    let verified = verify(host.path(), &[]).unwrap();
    let keys = verified.heads.keys().to_vec();
    assert_eq!((keys.len(), verified.heads.count()), (2, 4));
    // Both are good to begin with; a third is not.
    assert!(verify(host.path(), &keys[..1]).is_ok());
    let other = Host::new();
    let stranger: PublicKey = Signer::open(other.path(), "x").unwrap().public();
    let error = verify(host.path(), &[stranger]).unwrap_err();
    assert!(matches!(
        error,
        VerifyError::Broken { seq: 11, why: Mismatch::Head(HeadError::Distrust(Distrust::Stranger(_))), .. }
    ));
    // A key that came out of nowhere.
    let lines = host.received();
    std::fs::remove_file(host.path().join("signing.key")).unwrap();
    let mut host = host.restarted();
    host.act(1);
    host.sign();
    let (_, why) = store_broken(&host);
    assert!(matches!(why, Mismatch::Head(HeadError::Distrust(Distrust::Stranger(_)))), "{why}");
    // Unless somebody who knows says that it is good.
    let found = Signer::open(host.path(), &crate::record::testing::host().id).unwrap().public();
    assert!(verify(host.path(), &[keys[0].clone(), found]).is_ok());
    assert!(receive(&lines, &How { keys: keys[..1].to_vec(), filtered: false }).is_ok());
}

#[test]
fn a_next_key_that_is_none_leaves_the_old_one_signing() {
    let mut host = host_with_heads();
    std::fs::write(host.path().join("signing.next.key"), "no key\n").unwrap();
    host.sign();
    let verified = verify(host.path(), &[]).unwrap();
    assert_eq!((verified.heads.count(), verified.unsigned, verified.heads.keys().len()), (3, 0, 1));
}

#[test]
fn an_agent_that_is_killed_while_the_key_changes_changes_it_again() {
    let mut host = host_with_heads();
    make_next(host.path()).unwrap();
    host.signed_but_not_taken();
    let mut host = host.restarted();
    host.act(1);
    host.sign();
    host.act(1);
    host.sign();
    let verified = verify(host.path(), &[]).unwrap();
    assert_eq!((verified.heads.keys().len(), verified.heads.count()), (2, 5));
}
