//! The loop, with receivers that do as they are told.

use std::collections::BTreeMap;

use super::*;
use crate::config::{Filter, Format, OcsfVersion, Severity};
use crate::forward::deliver::{Deliver, DeliverError, Failure, Fate, Outcome};
use crate::forward::encodings::Item;
use crate::store::sinks;

type Seen = Arc<Mutex<Vec<u64>>>;

/// Asks a function about each record, and remembers what it was offered.
struct Told<F>(F, Seen);

impl<F: FnMut(&Item) -> Fate + Send> Deliver for Told<F> {
    fn deliver(&mut self, batch: &[Arc<Item>]) -> Outcome {
        let mut outcome = Outcome::default();
        for item in batch {
            self.1.lock().unwrap().push(item.seq);
            let fate = (self.0)(item);
            if fate == Fate::Again && outcome.failure.is_none() {
                let why = DeliverError::Material { what: "busy".to_owned() };
                outcome.failure = Some(Failure { why, after: None, closed: false });
            }
            outcome.fates.push(fate);
        }
        outcome
    }
}

fn told(bench: &Bench, how: impl FnMut(&Item) -> Fate + Send + 'static) -> (JoinHandle<SinkEnd>, Seen) {
    let seen = Seen::default();
    let output = Told(how, Arc::clone(&seen));
    (tokio::spawn(bench.sink(SinkKind::Stdout).with_output(Box::new(output)).run()), seen)
}

#[tokio::test]
async fn what_is_refused_for_good_is_set_aside_and_the_rest_goes_on() {
    let mut bench = Bench::new();
    bench.night();
    let (sink, seen) = told(&bench, |item| match item.seq % 2 {
        0 => Fate::Refused("400: even".to_owned()),
        _ => Fate::Taken,
    });
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    let last = bench.store.last_seq();
    let state = &sinks(&bench.dir.path().join("store")).unwrap()[0];
    assert_eq!((state.cursor, state.taken, state.set_aside), (last, last.div_ceil(2), last / 2));
    assert_eq!(state.listed.len() as u64, last / 2);
    assert!(state.listed.iter().all(|one| one.seq % 2 == 0 && one.reason == "400: even"));
    assert_eq!(bench.ledger.records_set_aside.get(), last / 2);
    // Never again: nothing was offered twice.
    assert_eq!(seen.lock().unwrap().len() as u64, last);
}

#[tokio::test]
async fn what_has_to_wait_is_offered_again_and_nothing_else_is() {
    let mut bench = Bench::new();
    bench.night();
    let mut tries: BTreeMap<u64, u32> = BTreeMap::new();
    let (sink, seen) = told(&bench, move |item| {
        let tried = tries.entry(item.seq).or_default();
        *tried += 1;
        if matches!(item.seq, 3 | 5) && *tried < 3 { Fate::Again } else { Fate::Taken }
    });
    // Told to stop, it would wait no more: let it come to its end by itself.
    until("everything taken", || bench.ledger.records_forwarded.get() == bench.store.last_seq()).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    let seen = seen.lock().unwrap().clone();
    let all: Vec<u64> = (1..=bench.store.last_seq()).collect();
    assert_eq!(seen, [all, vec![3, 5, 3, 5]].concat());
    let state = &sinks(&bench.dir.path().join("store")).unwrap()[0];
    assert_eq!((state.retries, state.error.clone()), (2, None));
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let mut bench = Bench::new();
    bench.night();
    let times = Arc::new(Mutex::new(Vec::new()));
    struct Asking(Arc<Mutex<Vec<Instant>>>);
    impl Deliver for Asking {
        fn deliver(&mut self, batch: &[Arc<Item>]) -> Outcome {
            self.0.lock().unwrap().push(Instant::now());
            if self.0.lock().unwrap().len() > 1 {
                return Outcome::taken(batch.len());
            }
            let why = DeliverError::Material { what: "later".to_owned() };
            let after = Some(Duration::from_millis(700));
            Outcome { fates: Vec::new(), failure: Some(Failure { why, after, closed: false }) }
        }
    }
    let output = Box::new(Asking(Arc::clone(&times)));
    let sink = tokio::spawn(bench.sink(SinkKind::Stdout).with_output(output).run());
    until("everything taken", || bench.ledger.records_forwarded.get() == bench.store.last_seq()).await;
    bench.end(sink).await;
    let times = times.lock().unwrap();
    assert!(times[1] - times[0] >= Duration::from_millis(700));
}

#[tokio::test]
async fn a_filter_lets_pass_what_it_names_and_the_cursor_moves_on() {
    let mut bench = Bench::new();
    bench.night();
    let passing = |filter: Filter| {
        let seen = Seen::default();
        let config = SinkConfig { filter, ..SinkConfig::plain("test", SinkKind::Stdout) };
        let output = Told(|_: &Item| Fate::Taken, Arc::clone(&seen));
        (tokio::spawn(bench.sink_of(config).with_output(Box::new(output)).run()), seen)
    };
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let kinds = |seen: &Seen| {
        let seen = seen.lock().unwrap();
        let body = |seq: &u64| bench.made.iter().find(|record| record.seq == *seq).unwrap();
        seen.iter().map(|seq| body(seq).kind.name()).collect::<Vec<_>>()
    };
    let (sink, seen) = passing(Filter { types: words(&["chain"]), ..Filter::default() });
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    assert_eq!(kinds(&seen), ["chain", "chain"]);
    assert_eq!(bench.store.cursor("test").unwrap(), bench.store.last_seq());
    assert_eq!(bench.ledger.records_filtered.get(), bench.store.last_seq() - 2);

    for (filter, passes) in [
        (Filter { actors: words(&["systemd:back*"]), ..Filter::default() }, true),
        (Filter { actors: words(&["cron:*"]), ..Filter::default() }, false),
        (Filter { actions: words(&["connect"]), ..Filter::default() }, true),
        (Filter { min_severity: Severity::High, ..Filter::default() }, false),
    ] {
        let passing = encodings::Passing::new(filter.clone());
        let reader = Reader::open(&bench.dir.path().join("store")).unwrap();
        let connect = reader
            .after(0, 100)
            .unwrap()
            .into_iter()
            .find(|stored| String::from_utf8_lossy(&stored.body).contains("\"action\":\"connect\""));
        let item = bench.encodings.item(Format::Native, connect.unwrap(), &passing).unwrap();
        assert_eq!(item.is_some(), passes, "{filter:?}");
    }
}

#[tokio::test]
async fn a_record_is_encoded_once_for_a_schema_whatever_the_number_of_sinks() {
    let mut bench = Bench::new();
    bench.night();
    for (name, format) in [
        ("one", Format::Ocsf(OcsfVersion::V1_8)),
        ("two", Format::Ocsf(OcsfVersion::V1_8)),
        ("three", Format::Ecs),
    ] {
        let config = SinkConfig { format, ..SinkConfig::plain(name, SinkKind::Stdout) };
        let output = Told(|_: &Item| Fate::Taken, Seen::default());
        let sink = tokio::spawn(bench.sink_of(config).with_output(Box::new(output)).run());
        assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    }
    assert_eq!(bench.encodings.encoded(), 2 * bench.store.last_seq());
}

#[tokio::test]
async fn a_dead_receiver_holds_up_nobody() {
    let mut bench = Bench::new();
    bench.night();
    let (dead, _) = told(&bench, |_| Fate::Again);
    let path = bench.path();
    let config = SinkConfig::plain("alive", SinkKind::File { path, rotate: None });
    let alive = tokio::spawn(bench.sink_of(config).run());
    for _ in 0..3 {
        bench.night();
        until("the night in the file", || length(&bench.path()) == bench.lines().len()).await;
    }
    assert_eq!(bench.store.cursor("test").unwrap(), 0);
    let state = sinks(&bench.dir.path().join("store")).unwrap();
    let dead_one = state.iter().find(|sink| sink.name == "test").unwrap();
    assert_eq!(dead_one.error.as_ref().unwrap().0, "busy");
    bench.stop.send_replace(Some(Stop::drained(Duration::from_millis(100))));
    assert_eq!((dead.await.unwrap(), alive.await.unwrap()), (SinkEnd::Deadline, SinkEnd::Drained));
}

#[tokio::test]
async fn what_is_left_to_the_next_agent_is_not_begun_and_what_is_begun_is_written_down() {
    /// Takes one record at a time, when it is told to.
    struct Slow(std::sync::mpsc::Receiver<()>, Seen);
    impl Deliver for Slow {
        fn deliver(&mut self, batch: &[Arc<Item>]) -> Outcome {
            self.1.lock().unwrap().push(batch[0].seq);
            self.0.recv().unwrap();
            Outcome::taken(1)
        }
    }
    let mut bench = Bench::new();
    bench.night();
    let (take, taking) = std::sync::mpsc::channel();
    let seen = Seen::default();
    let output = Box::new(Slow(taking, Arc::clone(&seen)));
    let sink = tokio::spawn(bench.sink(SinkKind::Stdout).with_output(output).run());
    until("the first is under way", || seen.lock().unwrap().len() == 1).await;
    bench.stop.send_replace(Some(Stop::left(Duration::from_secs(20))));
    take.send(()).unwrap();
    assert_eq!(sink.await.unwrap(), SinkEnd::Left);
    assert_eq!((seen.lock().unwrap().as_slice(), bench.store.cursor("test").unwrap()), (&[1][..], 1));
    // The next agent's goes on with the second.
    bench.stop.send_replace(None);
    let (next, seen) = told(&bench, |_| Fate::Taken);
    assert_eq!(bench.end(next).await, SinkEnd::Drained);
    assert!(seen.lock().unwrap().iter().copied().eq(2..=bench.store.last_seq()));
}

#[tokio::test]
async fn a_file_is_rotated_before_it_is_too_long_and_old_ones_go() {
    use crate::config::Rotate;
    let mut bench = Bench::new();
    for _ in 0..30 {
        bench.night();
    }
    let rotate = Some(Rotate { bytes: 64 << 10, keep: 2 });
    let sink = tokio::spawn(bench.sink(SinkKind::File { path: bench.path(), rotate }).run());
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    let files = ["records.jsonl.2", "records.jsonl.1", "records.jsonl"];
    let texts = files.map(|name| fs::read_to_string(bench.dir.path().join(name)).unwrap());
    for text in &texts {
        assert!(text.len() <= 64 << 10 && text.ends_with("}\n"), "{}", text.len());
    }
    // What is left is the end of everything, in its order and without a hole.
    let kept = texts.concat();
    assert!(kept.len() > 128 << 10 && bench.lines().ends_with(&kept));
    assert!(!bench.dir.path().join("records.jsonl.3").exists());
}
