mod certificates;
mod collector;
mod faults;
mod frame;
mod kafka;
mod kafka_broker;
mod kafka_cluster;
mod kills;
mod queries;
mod receivers;
mod servers;
mod sinks_grpc;
mod sinks_http;
mod sinks_otlp;
mod sinks_syslog;
mod table;

use std::fs;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::stdout::StreamTarget;
use super::*;
use crate::config::{Filter, SinkConfig, SinkKind};
use crate::record::testing::{backup, builder};
use crate::record::{Builder, Record};
use crate::store::{Reader, Retention, Store};
use crate::telemetry::Ledger;
use certificates::Authority;

/// A store with a builder before it and what sinks wait for behind it.
struct Bench {
    dir: TempDir,
    store: Store,
    builder: Builder,
    made: Vec<Record>,
    stored: watch::Sender<u64>,
    stop: watch::Sender<Option<Stop>>,
    ledger: Arc<Ledger>,
    encodings: Arc<Encodings>,
    filters: watch::Sender<Filters>,
}

impl Bench {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::open(&dir.path().join("store"), KEEP).unwrap();
        Self {
            dir,
            store,
            builder: builder(1),
            made: Vec::new(),
            stored: watch::channel(0).0,
            stop: watch::channel(None).0,
            ledger: Arc::default(),
            encodings: Arc::default(),
            filters: watch::channel(Filters::default()).0,
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("records.jsonl")
    }

    /// An authority that has signed a certificate for `server`.
    fn authority(&self) -> Authority {
        let authority = Authority::new(&self.dir.path().join("tls"));
        authority.sign("server");
        authority
    }

    /// Stores a whole night more.
    fn night(&mut self) {
        let records = backup().iter().map(|note| self.builder.note(note)).collect();
        self.keep(records);
    }

    fn keep(&mut self, mut records: Vec<Record>) {
        self.store.append(&records).unwrap();
        // The store says in each what came before it.
        let reader = Reader::open(&self.dir.path().join("store")).unwrap();
        for record in &mut records {
            record.body = reader.at(record.seq).unwrap().unwrap();
        }
        self.made.extend(records);
        self.stored.send_replace(self.store.last_seq());
    }

    fn sink(&self, kind: SinkKind) -> Sink {
        self.sink_of(SinkConfig::plain("test", kind))
    }

    fn sink_of(&self, config: SinkConfig) -> Sink {
        let reader = Reader::open(&self.dir.path().join("store")).unwrap();
        let around = Around {
            stored: self.stored.subscribe(),
            stop: self.stop.subscribe(),
            ledger: Arc::clone(&self.ledger),
            encodings: Arc::clone(&self.encodings),
            filters: self.filters.subscribe(),
        };
        Sink::new(config, &self.store, reader, around).unwrap()
    }

    fn run(&self) -> JoinHandle<SinkEnd> {
        let path = self.path();
        tokio::spawn(self.sink(SinkKind::File { path, rotate: None }).run())
    }

    async fn end(&self, sink: JoinHandle<SinkEnd>) -> SinkEnd {
        self.stop.send_replace(Some(Stop::drained(Duration::from_secs(20))));
        let end = sink.await.unwrap();
        self.stop.send_replace(None);
        end
    }

    fn lines(&self) -> String {
        self.made.iter().map(|record| format!("{}\n", String::from_utf8_lossy(&record.body))).collect()
    }
}

const KEEP: Retention = Retention { keep: Duration::from_hours(24), max_bytes: 1 << 30 };

/// Until it is so; not a fixed sleep.
async fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn length(path: &Path) -> usize {
    fs::read(path).map_or(0, |bytes| bytes.len())
}

#[tokio::test]
async fn a_newer_filter_holds_for_what_is_read_from_then_on() {
    let mut bench = Bench::new();
    bench.night();
    let sink = bench.run();
    let all = bench.made.len() as u64;
    until("all of the first night", || bench.ledger.records_forwarded.get() == all).await;
    let only = |kind: &str| Filter { types: vec![kind.to_owned()], ..Filter::default() };
    let others = |name: &str, kind: &str| Filters::from([(name.to_owned(), only(kind))]);
    bench.filters.send_replace(others("another", "heartbeat"));
    bench.night();
    until("all of the second", || bench.ledger.records_forwarded.get() == all * 2).await;
    bench.filters.send_replace(others("test", "chain"));
    bench.night();
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    let text = fs::read_to_string(bench.path()).unwrap();
    let chain = |line: &&str| line.contains("\"type\":\"chain\"");
    let third: Vec<&str> = text.lines().skip(2 * bench.made.len() / 3).collect();
    let expected = text.lines().take(bench.made.len() / 3).filter(chain).count();
    assert!(expected > 0 && third.len() == expected && third.iter().all(chain), "{third:#?}");
}

#[tokio::test]
async fn what_is_stored_is_what_is_forwarded_also_over_restarts() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.night();
        let sink = bench.run();
        bench.night();
        assert_eq!(bench.end(sink).await, SinkEnd::Drained);
        assert_eq!(fs::read_to_string(bench.path()).unwrap(), bench.lines());
        assert_eq!(bench.store.cursor("test").unwrap(), bench.store.last_seq());
    }
    assert_eq!(bench.ledger.records_forwarded.get(), bench.store.last_seq());
    assert_eq!(bench.ledger.forward_retries.get(), 0);
}

#[tokio::test]
async fn a_sink_wakes_for_what_is_stored_while_it_waits() {
    let mut bench = Bench::new();
    let sink = bench.run();
    for _ in 0..3 {
        bench.night();
        until("the night in the file", || length(&bench.path()) == bench.lines().len()).await;
    }
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
}

#[tokio::test]
async fn a_rotated_file_is_left_whole_and_a_new_one_begun() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut bench = Bench::new();
    bench.night();
    let sink = bench.run();
    let first = bench.lines();
    until("the first night", || length(&bench.path()) == first.len()).await;
    let rotated = bench.dir.path().join("records.jsonl.1");
    fs::rename(bench.path(), &rotated).unwrap();
    bench.night();
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    assert_eq!(fs::read_to_string(&rotated).unwrap(), first);
    assert_eq!(fs::read_to_string(bench.path()).unwrap(), bench.lines()[first.len()..]);
    assert_eq!(fs::metadata(bench.path()).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_line_torn_by_a_crash_spoils_no_other() {
    let mut bench = Bench::new();
    fs::write(bench.path(), "{\"whole\":1}\n{\"v\":1,\"se").unwrap();
    bench.night();
    let sink = bench.run();
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    let text = fs::read_to_string(bench.path()).unwrap();
    assert_eq!(text, format!("{{\"whole\":1}}\n{{\"v\":1,\"se\n{}", bench.lines()));
}

#[tokio::test]
async fn a_full_disk_is_tried_again_until_there_is_room() {
    let mut bench = Bench::new();
    bench.night();
    std::os::unix::fs::symlink("/dev/full", bench.path()).unwrap();
    let sink = bench.run();
    until("two retries", || bench.ledger.forward_retries.get() >= 2).await;
    assert_eq!(bench.store.cursor("test").unwrap(), 0);
    fs::remove_file(bench.path()).unwrap();
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    assert_eq!(fs::read_to_string(bench.path()).unwrap(), bench.lines());
}

#[tokio::test]
async fn what_can_never_be_written_ends_at_the_deadline() {
    let mut bench = Bench::new();
    bench.night();
    let path = bench.dir.path().join("no/such/folder");
    let sink = tokio::spawn(bench.sink(SinkKind::File { path, rotate: None }).run());
    until("a retry", || bench.ledger.forward_retries.get() >= 1).await;
    bench.stop.send_replace(Some(Stop::drained(Duration::from_millis(50))));
    assert_eq!(sink.await.unwrap(), SinkEnd::Deadline);
    assert_eq!(bench.store.cursor("test").unwrap(), 0);
}

#[tokio::test]
async fn a_closed_pipe_ends_the_sink_and_nothing_else() {
    let mut bench = Bench::new();
    let (mut reader, writer) = io::pipe().unwrap();
    let sink = bench.sink(SinkKind::Stdout).with_output(Box::new(StreamTarget::new(Box::new(writer))));
    let sink = tokio::spawn(sink.run());
    bench.night();
    let mut bytes = vec![0; bench.lines().len()];
    let bytes = tokio::task::spawn_blocking(move || {
        reader.read_exact(&mut bytes).unwrap();
        bytes // and the reader is gone
    });
    assert_eq!(bytes.await.unwrap(), bench.lines().into_bytes());
    let told = bench.store.last_seq();
    bench.night();
    assert_eq!(sink.await.unwrap(), SinkEnd::Closed);
    assert_eq!(bench.store.cursor("test").unwrap(), told);
}

#[tokio::test]
async fn a_reader_that_does_not_read_cannot_hold_up_the_stop() {
    let mut bench = Bench::new();
    for _ in 0..40 {
        bench.night();
    }
    let (reader, writer) = io::pipe().unwrap();
    let sink = tokio::spawn(
        bench.sink(SinkKind::Stdout).with_output(Box::new(StreamTarget::new(Box::new(writer)))).run(),
    );
    tokio::task::yield_now().await;
    bench.stop.send_replace(Some(Stop::drained(Duration::from_millis(200))));
    assert_eq!(sink.await.unwrap(), SinkEnd::Deadline);
    drop(reader);
}

/// Takes a few bytes, then fails, and so on.
struct Stuttering(Arc<Mutex<Vec<u8>>>, bool);

impl Write for Stuttering {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if !self.1 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = bytes.len().min(4_000);
        self.0.lock().unwrap().extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_stream_that_takes_parts_gets_each_byte_once() {
    let mut bench = Bench::new();
    bench.night();
    let got = Arc::new(Mutex::new(Vec::new()));
    let stream = Stuttering(Arc::clone(&got), false);
    let sink = tokio::spawn(
        bench.sink(SinkKind::Stdout).with_output(Box::new(StreamTarget::new(Box::new(stream)))).run(),
    );
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    assert_eq!(String::from_utf8(got.lock().unwrap().clone()).unwrap(), bench.lines());
    assert!(bench.ledger.forward_retries.get() > 0);
}
