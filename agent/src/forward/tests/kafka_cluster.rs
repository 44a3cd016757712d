//! The Kafka sink against brokers of another hand, which speak over sockets: the cluster that librdkafka is tested with, read by its
//! consumer (`tests/kafka/cluster.py`). They are told to fail; what is in the topic at the end is compared with what was stored.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;

use super::kafka::{crowd, to};
use super::*;
use crate::config::{self, Compression};

/// The cluster, ended with the test.
struct Cluster {
    child: Child,
    words: ChildStdin,
    answers: BufReader<ChildStdout>,
    brokers: Vec<String>,
}

impl Cluster {
    /// Without the Python that `cargo xtask test` makes, the test says so and does nothing.
    fn start(brokers: usize) -> Option<Self> {
        let Some(python) = std::env::var_os("SPOOR_PYTHON") else {
            eprintln!("SKIP: there is no Kafka cluster; `cargo xtask test unit` gets one");
            return None;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/kafka/cluster.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(brokers.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (words, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut cluster = Self { child, words, answers, brokers: Vec::new() };
        let text: String = cluster.answer();
        cluster.brokers = text.split(',').map(str::to_owned).collect();
        assert_eq!(cluster.brokers.len(), brokers);
        Some(cluster)
    }

    fn answer<T: for<'a> Deserialize<'a>>(&mut self) -> T {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    fn tell(&mut self, words: &str) {
        writeln!(self.words, "{words}").unwrap();
        let error: i64 = self.answer();
        assert_eq!(error, 0, "{words}");
    }

    fn consume(&mut self, topic: &str, count: u64) -> Vec<Consumed> {
        let brokers = self.brokers.join(",");
        self.consume_of(&brokers, topic, count, "")
    }

    /// What brokers that need not be these have, with more keys of the consumer's.
    fn consume_of(&mut self, brokers: &str, topic: &str, count: u64, more: &str) -> Vec<Consumed> {
        writeln!(self.words, "consume {brokers} {topic} {count} {more}").unwrap();
        self.answer()
    }

    fn config(&self, topic: &str) -> config::Kafka {
        config::Kafka { brokers: self.brokers.clone(), topic: topic.to_owned(), ..to(&[]) }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A record as the consumer had it.
#[derive(Debug, Deserialize)]
struct Consumed {
    partition: i32,
    offset: i64,
    time: i64,
    key: String,
    value: String,
    headers: BTreeMap<String, String>,
}

/// What was consumed is what was stored: each record, its bytes, its key, its time, and the order of each key. How many came again.
fn compare(bench: &Bench, mut came: Vec<Consumed>) -> usize {
    came.sort_by_key(|record| (record.partition, record.offset));
    let (all, mut last_of) = (came.len(), BTreeMap::new());
    let mut seen = BTreeSet::new();
    for record in came {
        let seq: u64 = record.headers["seq"].parse().unwrap();
        assert!(seen.insert((record.headers["host.id"].clone(), seq)) || last_of[&record.key] >= seq);
        let made = &bench.made[usize::try_from(seq).unwrap() - 1];
        assert_eq!(record.value, String::from_utf8_lossy(&made.body));
        let json: serde_json::Value = serde_json::from_str(&record.value).unwrap();
        let key = json["chain"].as_str().unwrap_or_else(|| json["host"]["id"].as_str().unwrap());
        assert_eq!((record.key.as_str(), record.headers["format"].as_str()), (key, "native"));
        assert_eq!(record.headers["type"], json["type"].as_str().unwrap());
        let time: jiff::Timestamp = json["time"].as_str().unwrap().parse().unwrap();
        assert_eq!(record.time, time.as_millisecond());
        // The first coming of each is behind those before it.
        let last = last_of.entry(record.key.clone()).or_insert(0);
        *last = seq.max(*last);
    }
    assert_eq!(seen.len() as u64, bench.store.last_seq(), "what was sent is what came");
    all - seen.len()
}

async fn everything(bench: &Bench) {
    let last = bench.store.last_seq();
    until("everything settled", || bench.store.cursor("test").unwrap() == last).await;
}

#[tokio::test]
async fn a_real_consumer_reads_every_record_in_every_compression() {
    let Some(mut cluster) = Cluster::start(3) else { return };
    for (topic, compression) in
        [("plain", Compression::None), ("gzip", Compression::Gzip), ("lz4", Compression::Lz4)]
    {
        cluster.tell(&format!("topic {topic} 6 3"));
        let mut bench = Bench::new();
        for _ in 0..10 {
            crowd(&mut bench);
        }
        let config = config::Kafka { compression, ..cluster.config(topic) };
        let sink = tokio::spawn(bench.sink(SinkKind::Kafka(config)).run());
        everything(&bench).await;
        assert_eq!(bench.end(sink).await, SinkEnd::Drained);
        let came = cluster.consume(topic, bench.store.last_seq());
        assert!(came.iter().map(|record| record.partition).collect::<BTreeSet<_>>().len() > 1);
        assert_eq!(compare(&bench, came), 0, "nothing came twice");
        assert_eq!(bench.ledger.forward_retries.get(), 0);
    }
}

/// Brokers die, leaders move, replicas are missing, answers come late: while records are stored.
#[tokio::test]
async fn a_cluster_that_fails_in_every_way_it_can_gets_every_record() {
    let Some(mut cluster) = Cluster::start(3) else { return };
    cluster.tell("topic hard 6 3");
    let lead = |cluster: &mut Cluster, brokers: &[usize]| {
        for partition in 0..6 {
            cluster.tell(&format!("leader hard {partition} {}", brokers[partition % brokers.len()]));
        }
    };
    lead(&mut cluster, &[1, 2, 3]);
    let mut bench = Bench::new();
    let config = cluster.config("hard");
    let sink = tokio::spawn(bench.sink(SinkKind::Kafka(config)).run());
    crowd(&mut bench);
    everything(&bench).await;
    for faults in [
        &["down 1"][..],
        &["up 1", "down 2"],
        &["up 2"],
        &["errors 0 19 20 7 6 89 -1 29", "errors 3 5 3"],
        // It dies with requests on their way, and comes back.
        &["slow 3 300"],
        &["down 3"],
        &["up 3", "slow 3 0"],
    ] {
        for fault in faults {
            cluster.tell(fault);
        }
        let alive: &[usize] = match faults[faults.len() - 1] {
            "down 1" => &[2, 3],
            "down 2" => &[1, 3],
            "down 3" => &[1, 2],
            _ => &[1, 2, 3],
        };
        for _ in 0..5 {
            crowd(&mut bench);
            tokio::task::yield_now().await;
        }
        lead(&mut cluster, alive);
        // Of the slow broker, it is not waited for.
        if faults != ["slow 3 300"] {
            everything(&bench).await;
        }
    }
    // The whole cluster is away.
    for number in 1..=3 {
        cluster.tell(&format!("down {number}"));
    }
    for _ in 0..5 {
        crowd(&mut bench);
    }
    let before = bench.ledger.forward_retries.get();
    until("two retries", || bench.ledger.forward_retries.get() >= before + 2).await;
    for number in 1..=3 {
        cluster.tell(&format!("up {number}"));
    }
    everything(&bench).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    let repeated = compare(&bench, cluster.consume("hard", bench.store.last_seq()));
    eprintln!("{} records, {repeated} came again", bench.store.last_seq());
    assert_eq!(bench.ledger.records_set_aside.get(), 0);
    assert!(bench.ledger.forward_retries.get() >= 5, "{}", bench.ledger.forward_retries.get());
}

#[tokio::test]
async fn a_real_broker_says_that_the_topic_is_not_there_and_what_is_too_large() {
    let Some(mut cluster) = Cluster::start(1) else { return };
    let mut bench = Bench::new();
    bench.night();
    let sink = tokio::spawn(bench.sink(SinkKind::Kafka(cluster.config("late"))).run());
    until("two retries", || bench.ledger.forward_retries.get() >= 2).await;
    let state = &crate::store::sinks(&bench.dir.path().join("store")).unwrap()[0];
    let told = state.error.clone().unwrap().0;
    assert!(told.contains("topic late: UNKNOWN_TOPIC_OR_PARTITION (3)"), "{told}");
    cluster.tell("topic late 1 1");
    everything(&bench).await;
    // Ten times too large: halved until each is alone.
    cluster.tell("errors 0 10 10 10 10 10 10 10 10 10 10");
    bench.night();
    everything(&bench).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    let aside = bench.ledger.records_set_aside.get();
    assert!(aside > 0 && aside < 10, "{aside}");
    let came = cluster.consume("late", bench.store.last_seq() - aside);
    assert_eq!(came.len() as u64, bench.store.last_seq() - aside);
}

/// A broker of a third hand, with a disk and users: `tansu`, which takes minutes to build, so that only who has it runs this
/// (`cargo install tansu --version 0.6.0 --locked --features dynostore,libsql`, and its path in `SPOOR_TANSU`).
struct Tansu {
    program: std::ffi::OsString,
    url: String,
    dir: PathBuf,
}

impl Tansu {
    fn run(&self, more: &[&str]) -> Broker {
        let child = Command::new(&self.program)
            .args(["broker", "--silent", "--listener-url", &self.url, "--advertised-listener-url", &self.url])
            .args(["--storage-engine", "sqlite://tansu.db"])
            .args(more)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Broker(child)
    }

    fn tell(&self, words: &[&str]) -> bool {
        let status = Command::new(&self.program).args(words).args(["--broker", &self.url]).output().unwrap();
        status.status.success()
    }
}

struct Broker(Child);

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_broker_with_users_killed_in_the_middle_has_every_record() {
    use crate::config::{Mechanism, Sasl, Secret};
    let Some(program) = std::env::var_os("SPOOR_TANSU") else {
        eprintln!("SKIP: there is no tansu; see the comment at this test");
        return;
    };
    let Some(mut cluster) = Cluster::start(1) else { return };
    let mut bench = Bench::new();
    let dir = bench.dir.path().to_path_buf();
    let address = format!("127.0.0.1:{}", servers::free_port());
    let tansu = Tansu { program, url: format!("tcp://{address}"), dir: dir.clone() };
    fs::write(dir.join("password"), "opensesame\n").unwrap();
    let open = tansu.run(&[]);
    until("the broker", || std::net::TcpStream::connect(&address).is_ok()).await;
    for topic in ["scram-sha-256", "scram-sha-512"] {
        assert!(tansu.tell(&["topic", "create", topic, "--partitions", "3"]));
        let mechanism = topic.replace("-sha-", "");
        assert!(tansu.tell(&["user", "create", "--mechanism", &mechanism, "me", "opensesame"]));
    }
    drop(open);
    let closed = ["--authentication"];
    let mut broker = tansu.run(&closed);
    for (topic, mechanism) in
        [("scram-sha-256", Mechanism::ScramSha256), ("scram-sha-512", Mechanism::ScramSha512)]
    {
        let sasl = Sasl { mechanism, user: "me".to_owned(), password: Secret::File(dir.join("password")) };
        let config = config::Kafka {
            brokers: vec![address.clone()],
            topic: topic.to_owned(),
            sasl: Some(sasl),
            ..to(&[])
        };
        let name = SinkConfig::plain(topic, SinkKind::Kafka(config));
        let sink = tokio::spawn(bench.sink_of(name).run());
        let settled = |bench: &Bench| bench.store.cursor(topic).unwrap() == bench.store.last_seq();
        crowd(&mut bench);
        until("everything settled", || settled(&bench)).await;
        for _ in 0..3 {
            crowd(&mut bench);
            tokio::task::yield_now().await;
        }
        drop(broker);
        for _ in 0..3 {
            crowd(&mut bench);
        }
        broker = tansu.run(&closed);
        until("everything settled", || settled(&bench)).await;
        assert_eq!(bench.end(sink).await, SinkEnd::Drained);
        let name = topic.to_uppercase();
        let more = format!(
            "security.protocol=SASL_PLAINTEXT sasl.mechanism={name} sasl.username=me sasl.password=opensesame"
        );
        let came = cluster.consume_of(&address, topic, bench.store.last_seq(), &more);
        eprintln!("{topic}: {} came again", compare(&bench, came));
    }
}
