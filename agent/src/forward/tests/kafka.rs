//! The Kafka sink against a strict broker: what each answer means, and every fault that a real broker cannot be told to have.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::records::Compression as Found;

use super::certificates::Authority;
use super::kafka_broker::{Act, Appended, Shared, broker, state};
use super::servers::{Server, Stream, free_port};
use super::*;
use crate::config::{self, Compression, Format, Mechanism, PartitionBy, Sasl, Secret};
use crate::forward::deliver::{Deliver as _, Fate, Outcome};
use crate::forward::encodings::Passing;
use crate::forward::kafka::Kafka;
use crate::store::sinks;

/// A sink to brokers on these ports, in the clear.
pub(super) fn to(ports: &[u16]) -> config::Kafka {
    config::Kafka {
        brokers: ports.iter().map(|port| format!("127.0.0.1:{port}")).collect(),
        topic: "spoor".to_owned(),
        partition_by: PartitionBy::Chain,
        compression: Compression::None,
        tls: None,
        sasl: None,
        max_record: 1_000_000,
    }
}

/// Stores a night of eleven runs at once, so that records of many chains go through each other.
pub(super) fn crowd(bench: &mut Bench) {
    let notes = backup();
    let mut records = Vec::new();
    for note in notes.iter().cycle().take(notes.len() * 4) {
        let mut record = bench.builder.note(note);
        if let Some(chain) = record.chain.take() {
            let other = format!("{}{:02}", &chain[..chain.len() - 2], record.seq % 11);
            let text = String::from_utf8(record.body).unwrap().replace(&chain, &other);
            (record.body, record.chain) = (text.into_bytes(), Some(other));
        }
        records.push(record);
    }
    bench.keep(records);
}

/// Every record came, and by key the first coming of each is in order; how many came more than once.
fn complete(log: &[Appended], last: u64) -> usize {
    let mut by_key: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut places = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for record in log {
        if seen.insert(record.seq) {
            by_key.entry(&record.key).or_default().push(record.seq);
        }
        assert_eq!(*places.entry(&record.key).or_insert(record.partition), record.partition);
    }
    assert_eq!(seen, (1..=last).collect(), "what came is what was sent");
    for (key, seqs) in by_key {
        assert!(seqs.is_sorted(), "{key} kept its order: {seqs:?}");
    }
    log.len() - seen.len()
}

async fn everything(bench: &Bench) {
    let last = bench.store.last_seq();
    until("everything settled", || bench.store.cursor("test").unwrap() == last).await;
}

fn error(bench: &Bench) -> String {
    sinks(&bench.dir.path().join("store")).unwrap()[0].error.clone().map_or(String::new(), |error| error.0)
}

fn run(bench: &Bench, config: config::Kafka, patience: Duration) -> JoinHandle<SinkEnd> {
    let output = Box::new(Kafka::patient(config.clone(), Format::Native, patience));
    tokio::spawn(bench.sink(SinkKind::Kafka(config)).with_output(output).run())
}

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_topic_gets_each_record_as_it_is_stored_compressed_or_not() {
    for (compression, found) in
        [(Compression::None, Found::None), (Compression::Gzip, Found::Gzip), (Compression::Lz4, Found::Lz4)]
    {
        let mut bench = Bench::new();
        for _ in 0..3 {
            crowd(&mut bench);
        }
        let state = state(5);
        let server = broker(&state, None);
        let config = config::Kafka { compression, ..to(&[server.port]) };
        let sink = run(&bench, config, LONG);
        everything(&bench).await;
        assert_eq!(bench.end(sink).await, SinkEnd::Drained);
        let log = state.lock().unwrap().log.clone();
        assert_eq!(complete(&log, bench.store.last_seq()), 0, "nothing came twice");
        assert!(log.iter().all(|record| record.compression == found));
        for record in &log {
            let made = &bench.made[usize::try_from(record.seq).unwrap() - 1];
            assert_eq!(record.value, made.body);
        }
        assert!(log.iter().map(|record| record.partition).collect::<BTreeSet<_>>().len() > 1);
        assert_eq!(server.connections.load(std::sync::atomic::Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn one_host_is_one_key_where_the_config_says_so() {
    let mut bench = Bench::new();
    crowd(&mut bench);
    let state = state(5);
    let server = broker(&state, None);
    let config = config::Kafka { partition_by: PartitionBy::Host, ..to(&[server.port]) };
    let sink = run(&bench, config, LONG);
    everything(&bench).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    let log = state.lock().unwrap().log.clone();
    complete(&log, bench.store.last_seq());
    assert_eq!(log.iter().map(|record| record.key.as_str()).collect::<BTreeSet<_>>().len(), 1);
}

/// Whatever a broker answers that is not about the records, none is lost and none is set aside.
#[tokio::test]
async fn what_is_not_about_the_records_costs_none() {
    let mut bench = Bench::new();
    bench.night();
    let state = state(3);
    let server = broker(&state, None);
    let errors = [-1, 2, 3, 5, 6, 7, 8, 19, 29, 31, 44, 56, 76, 89, 999];
    let act = |error| Act { error, ..Act::default() };
    state.lock().unwrap().acts =
        [19, 20, 7, 29].map(|error| Act { append: error == 20, ..act(error) }).into();
    let mut output = Kafka::patient(to(&[server.port]), Format::Native, LONG);
    for error in errors {
        state.lock().unwrap().acts = [act(error)].into();
        let outcome = deliver(&mut output, &bench);
        let why = outcome.failure.unwrap().why.to_string();
        assert!(why.contains(&format!("({error})")), "{why}");
        assert!(outcome.fates.iter().all(|fate| *fate == Fate::Again), "{error}");
    }
    assert!(state.lock().unwrap().log.is_empty());
    let outcome = deliver(&mut output, &bench);
    assert!(outcome.failure.is_none());
    complete(&state.lock().unwrap().log, bench.store.last_seq());
}

/// One call, with all that is stored.
fn deliver(output: &mut Kafka, bench: &Bench) -> Outcome {
    let reader = Reader::open(&bench.dir.path().join("store")).unwrap();
    let passing = Passing::new(Filter::default());
    let item = |stored: &crate::store::Stored| bench.encodings.item(Format::Native, stored.clone(), &passing);
    let items: Vec<_> =
        reader.after(0, 256).unwrap().iter().map(|stored| item(stored).unwrap().unwrap()).collect();
    output.deliver(&items)
}

#[tokio::test]
async fn lost_answers_lies_and_garbage_lose_nothing() {
    let mut bench = Bench::new();
    let state = state(3);
    let server = broker(&state, None);
    let act = Act::default;
    state.lock().unwrap().acts = [
        // It has them, and the answer is lost.
        Act { append: true, drop: true, ..act() },
        Act { drop: true, ..act() },
        // It has them, and says the opposite.
        Act { append: true, error: 20, ..act() },
        Act { garbage: Some(vec![0x7f; 30]), ..act() },
        Act { garbage: Some(Vec::new()), ..act() },
        Act { error: 6, ..act() },
        // It never answers.
        Act { silent: true, ..act() },
    ]
    .into();
    let sink = run(&bench, to(&[server.port]), SHORT);
    for _ in 0..5 {
        crowd(&mut bench);
    }
    everything(&bench).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    let repeated = complete(&state.lock().unwrap().log, bench.store.last_seq());
    assert!(repeated > 0, "what nobody knew of was sent again");
    assert!(bench.ledger.forward_retries.get() >= 7);
    assert_eq!(bench.ledger.records_set_aside.get(), 0);
}

#[tokio::test]
async fn a_record_too_large_is_found_by_halving_and_set_aside() {
    let mut bench = Bench::new();
    bench.night();
    let state = state(1);
    let server = broker(&state, None);
    let mut lengths: Vec<usize> = bench.made.iter().map(|record| record.body.len()).collect();
    lengths.sort_unstable();
    let longest = lengths[lengths.len() - 2];
    assert!(longest < lengths[lengths.len() - 1]);
    state.lock().unwrap().longest = Some(longest);
    let sink = run(&bench, to(&[server.port]), LONG);
    everything(&bench).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    let found = &sinks(&bench.dir.path().join("store")).unwrap()[0];
    assert_eq!((found.taken, found.set_aside), (bench.store.last_seq() - 1, 1));
    assert_eq!(state.lock().unwrap().log.len() as u64, bench.store.last_seq() - 1);
    assert_eq!(bench.ledger.forward_retries.get(), 0, "a question of size is no failure");
}

#[tokio::test]
async fn a_record_that_breaks_a_rule_is_set_aside_alone_named_or_not() {
    for produce_max in [8, 7, 3] {
        let mut bench = Bench::new();
        bench.night();
        let state = state(2);
        let server = broker(&state, None);
        state.lock().unwrap().poison = Some(5);
        state.lock().unwrap().produce_max = produce_max;
        let sink = run(&bench, to(&[server.port]), LONG);
        everything(&bench).await;
        assert_eq!(bench.end(sink).await, SinkEnd::Drained);
        let mut came: Vec<u64> = state.lock().unwrap().log.iter().map(|record| record.seq).collect();
        came.sort_unstable();
        let all: Vec<u64> = (1..=bench.store.last_seq()).filter(|seq| *seq != 5).collect();
        assert_eq!(came, all, "each once, but for that one");
        let most = if produce_max == 8 { 2 } else { 30 };
        let requests = state.lock().unwrap().requests;
        assert!(requests <= most, "{requests}");
    }
}

#[tokio::test]
async fn what_is_longer_than_max_record_is_not_sent() {
    let mut bench = Bench::new();
    bench.night();
    let state = state(2);
    let server = broker(&state, None);
    let mut lengths: Vec<usize> = bench.made.iter().map(|record| record.body.len()).collect();
    lengths.sort_unstable();
    let max_record = lengths[lengths.len() / 2];
    let config = config::Kafka { max_record, ..to(&[server.port]) };
    let sink = run(&bench, config, LONG);
    everything(&bench).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    let long = bench.made.iter().filter(|record| record.body.len() > max_record).count();
    assert!(long > 0 && long < bench.made.len());
    assert_eq!(state.lock().unwrap().log.len(), bench.made.len() - long);
    assert_eq!(bench.ledger.records_set_aside.get(), long as u64);
}

#[tokio::test]
async fn a_throttled_record_is_taken_once_and_the_next_waits() {
    let mut bench = Bench::new();
    bench.night();
    let state = state(1);
    let server = broker(&state, None);
    state.lock().unwrap().acts = [Act { throttle_ms: 400, ..Act::default() }].into();
    let mut output = Kafka::patient(to(&[server.port]), Format::Native, LONG);
    let begun = std::time::Instant::now();
    assert!(deliver(&mut output, &bench).failure.is_none());
    assert!(begun.elapsed() < Duration::from_millis(400), "what is taken is told at once");
    assert!(deliver(&mut output, &bench).failure.is_none());
    assert!(begun.elapsed() >= Duration::from_millis(400));
    assert_eq!(state.lock().unwrap().log.len() as u64, 2 * bench.store.last_seq());
}

#[tokio::test]
async fn dead_brokers_of_the_list_and_a_leader_that_moves() {
    let mut bench = Bench::new();
    crowd(&mut bench);
    let state = state(4);
    let (first, second) = (broker(&state, None), broker(&state, None));
    state.lock().unwrap().leaders = vec![0, 1, 0, 1];
    let sink = run(&bench, to(&[free_port(), first.port, free_port()]), LONG);
    everything(&bench).await;
    // Who led is gone; the others know who leads now.
    state.lock().unwrap().leaders = vec![1, 1, 1, 1];
    drop(first);
    crowd(&mut bench);
    everything(&bench).await;
    state.lock().unwrap().leaders = vec![1, 1, -1, -1];
    crowd(&mut bench);
    crowd(&mut bench);
    state.lock().unwrap().leaders = vec![1, 1, 1, 1];
    everything(&bench).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    complete(&state.lock().unwrap().log, bench.store.last_seq());
    assert!(second.connections.load(std::sync::atomic::Ordering::SeqCst) >= 1);
}

#[tokio::test]
async fn a_topic_that_is_not_there_waits_loudly_until_it_is() {
    let mut bench = Bench::new();
    bench.night();
    let state = state(2);
    let server = broker(&state, None);
    state.lock().unwrap().topic_error = 3;
    let sink = run(&bench, to(&[server.port]), LONG);
    until("two retries", || bench.ledger.forward_retries.get() >= 2).await;
    let told = error(&bench);
    assert!(told.contains("topic spoor: UNKNOWN_TOPIC_OR_PARTITION (3): does the topic exist?"), "{told}");
    state.lock().unwrap().topic_error = 0;
    everything(&bench).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    complete(&state.lock().unwrap().log, bench.store.last_seq());
}

#[tokio::test]
async fn no_broker_at_all_names_each_and_what_is_no_broker_is_told() {
    let mut bench = Bench::new();
    bench.night();
    let talker = Server::start(0, None, |mut stream: Box<dyn Stream>| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let mute = Server::start(0, None, |mut stream: Box<dyn Stream>| {
        let _ = stream.read(&mut [0; 1000]);
        let _ = stream.read(&mut [0; 1000]);
    });
    let dead = free_port();
    let mut output = Kafka::patient(to(&[talker.port, mute.port, dead]), Format::Native, SHORT);
    let begun = std::time::Instant::now();
    let why = deliver(&mut output, &bench).failure.unwrap().why.to_string();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    for part in ["no broker answers", "is this Kafka", "timed out", &format!("127.0.0.1:{dead}"), "refused"] {
        assert!(why.contains(part), "{part} in {why}");
    }
}

#[tokio::test]
async fn a_user_is_proven_and_a_secret_that_comes_back_is_hidden() {
    let mut bench = Bench::new();
    bench.night();
    let state = state(2);
    state.lock().unwrap().login = Some(("me".to_owned(), "sesame".to_owned()));
    let server = broker(&state, None);
    let file = bench.dir.path().join("password");
    fs::write(&file, "wrong-one\n").unwrap();
    let sasl = |mechanism| Sasl { mechanism, user: "me".to_owned(), password: Secret::File(file.clone()) };
    let mut other = Kafka::patient(
        config::Kafka { sasl: Some(sasl(Mechanism::ScramSha512)), ..to(&[server.port]) },
        Format::Native,
        LONG,
    );
    let why = deliver(&mut other, &bench).failure.unwrap().why.to_string();
    assert!(why.contains("SCRAM-SHA-512 was asked for, it has PLAIN"), "{why}");
    let config = config::Kafka { sasl: Some(sasl(Mechanism::Plain)), ..to(&[server.port]) };
    let sink = run(&bench, config, LONG);
    until("two retries", || bench.ledger.forward_retries.get() >= 2).await;
    let told = error(&bench);
    assert!(
        told.contains("SASL_AUTHENTICATION_FAILED (58): not good:") && told.contains("[redacted]"),
        "{told}"
    );
    assert!(!told.contains("wrong-one"), "{told}");
    fs::write(&file, "sesame\n").unwrap();
    everything(&bench).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    complete(&state.lock().unwrap().log, bench.store.last_seq());
}

#[tokio::test]
async fn tls_with_our_own_certificate_and_after_its_rotation() {
    let mut bench = Bench::new();
    crowd(&mut bench);
    let authority = bench.authority();
    let own = authority.sign("client");
    let state = state(2);
    let server = broker(&state, Some(authority.server("server", true)));
    let config = |tls| config::Kafka { tls: Some(tls), ..to(&[server.port]) };
    let mut stranger = Kafka::patient(config(authority.files(None)), Format::Native, LONG);
    assert!(deliver(&mut stranger, &bench).failure.is_some(), "who shows no certificate is not let in");
    let mut other = Authority::new(&bench.dir.path().join("other"));
    other.sign("client");
    let why = deliver(&mut Kafka::patient(config(other.files(None)), Format::Native, LONG), &bench).failure;
    let why = why.unwrap().why.to_string();
    assert!(why.contains("invalid peer certificate"), "{why}");
    other.dir.clone_from(&authority.dir);
    let sink = run(&bench, config(authority.files(Some(own))), LONG);
    everything(&bench).await;
    let before = server.connections.load(std::sync::atomic::Ordering::SeqCst);
    authority.sign("client");
    crowd(&mut bench);
    everything(&bench).await;
    assert!(server.connections.load(std::sync::atomic::Ordering::SeqCst) > before, "the new files are used");
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    assert_eq!(complete(&state.lock().unwrap().log, bench.store.last_seq()), 0);
    assert_eq!(bench.ledger.forward_retries.get(), 0);
}

#[tokio::test]
async fn a_server_by_another_name_is_not_believed() {
    let mut bench = Bench::new();
    bench.night();
    let authority = bench.authority();
    let state: Shared = state(2);
    let server = broker(&state, Some(authority.server("server", false)));
    let mut config = config::Kafka { tls: Some(authority.files(None)), ..to(&[]) };
    config.brokers = vec![format!("localhost:{}", server.port)];
    let why = deliver(&mut Kafka::patient(config, Format::Native, LONG), &bench).failure.unwrap().why;
    assert!(why.to_string().contains("not valid for name"), "{why}");
    assert_eq!(state.lock().unwrap().metadata_asked, 0);
}
