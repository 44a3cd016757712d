//! One cell: a sink, an ill receiver, records before, during and after.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::certificates::Authority;
use super::super::servers::{Server, free_port};
use super::super::sinks_syslog::syslog;
use super::receive::{self, Ear, ILL, Ward};
use super::relay::Relayed;
use super::*;
use crate::config::{self, Auth, Format, Http, Otlp, OtlpProtocol, SyslogTo, TlsFiles};
use crate::forward::deliver::{Deliver, DeliverError, Outcome};
use crate::forward::encodings::Item;
use crate::forward::http::Splunk;
use crate::forward::kafka::Kafka;
use crate::forward::ways::output;

/// Nights stored before the sink starts, while its receiver is ill, and after; of nine records each. The first make one
/// request in every schema, the next more than a sink may hold, all less than a stream of syslog keeps.
const BEFORE: usize = 24;
const DURING: usize = 30;
const AFTER: usize = 6;
pub(super) const FIRST: usize = 9 * BEFORE;
pub(super) const SENT: usize = 9 * (BEFORE + DURING + AFTER);

/// What was seen of a cell.
pub(super) struct Seen {
    came: Vec<u64>,
    retries: u64,
    /// Most records and bytes that the sink held at once.
    held: (usize, usize),
}

impl Seen {
    pub(super) fn judge(&self, way: Way, fault: Fault, expected: Expected) {
        let cell = format!("{way:?}, {fault:?}");
        let mut known = std::collections::BTreeSet::new();
        let first: Vec<u64> = self.came.iter().copied().filter(|seq| known.insert(*seq)).collect();
        let twice = self.came.len() - first.len();
        assert!(first.is_sorted(), "{cell}: order");
        match expected {
            Expected::Whole(repeated) => {
                assert_eq!(first, (1..=SENT as u64).collect::<Vec<_>>(), "{cell}");
                assert_eq!(twice, repeated, "{cell}: so many came twice");
            }
            Expected::Lossy(_) => {
                assert!(
                    !first.is_empty() && first.iter().all(|seq| (1..=SENT as u64).contains(seq)),
                    "{cell}"
                );
                assert_eq!(twice, 0, "{cell}: so many came twice");
            }
            Expected::Not(why) => panic!("{cell} cannot be: {why}"),
        }
        let (records, bytes) = self.held;
        assert!(records <= 256 && bytes <= 2 << 20, "{cell}: {records} records of {bytes} bytes were held");
        if fault == Fault::Hour && way != Way::Udp {
            // 0.1 s doubled up to 30 s, each less a random half at most.
            assert!((120..=250).contains(&self.retries), "{cell}: {} tries in an hour", self.retries);
        }
    }
}

/// Hands on, and measures what a sink holds.
struct Watched(Box<dyn Deliver>, Arc<AtomicUsize>, Arc<AtomicUsize>);

impl Deliver for Watched {
    fn deliver(&mut self, batch: &[Arc<Item>]) -> Outcome {
        self.1.fetch_max(batch.len(), Ordering::SeqCst);
        self.2.fetch_max(batch.iter().map(|item| item.bytes.len()).sum(), Ordering::SeqCst);
        self.0.deliver(batch)
    }

    fn watches(&self) -> bool {
        self.0.watches()
    }

    fn check(&mut self) -> Result<(), DeliverError> {
        self.0.check()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.finish()
    }
}

/// The other side.
enum Other {
    None,
    Server {
        _it: Server,
    },
    Relayed {
        _it: Relayed,
    },
    Ear {
        _it: Ear,
    },
    /// Where a sink writes to, or should, and what is in the way.
    File(PathBuf),
    Pipe(Option<io::PipeReader>),
}

struct Cell {
    bench: Bench,
    way: Way,
    fault: Fault,
    ward: Arc<Ward>,
    port: u16,
    authority: Authority,
    other: Other,
}

/// Plays one cell of the table.
pub(super) async fn play(way: Way, fault: Fault) -> Seen {
    let mut cell = Cell::new(way, fault);
    for _ in 0..BEFORE {
        cell.bench.night();
    }
    let (sink, held) = cell.start();
    cell.trouble().await;
    for _ in 0..DURING {
        cell.bench.night();
    }
    cell.heal().await;
    for _ in 0..AFTER {
        cell.bench.night();
    }
    let last = cell.bench.store.last_seq();
    assert_eq!(last, SENT as u64);
    let bench = &cell.bench;
    patiently(&format!("{way:?}, {fault:?}: everything settled"), || {
        bench.store.cursor("test").unwrap() == last
    })
    .await;
    cell.bench.stop.send_replace(Some(Stop::drained(Duration::from_secs(20))));
    assert_eq!(sink.await.unwrap(), SinkEnd::Drained, "{way:?}, {fault:?}");
    let came = cell.came().await;
    let held = (held.0.load(Ordering::SeqCst), held.1.load(Ordering::SeqCst));
    Seen { came, retries: cell.bench.ledger.forward_retries.get(), held }
}

/// Until it is so. Also by a clock that the test winds, by which a sink may wait for half a minute.
async fn patiently(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Cell {
    fn new(way: Way, fault: Fault) -> Self {
        let bench = Bench::new();
        let authority = Authority::new(&bench.dir.path().join("tls"));
        authority.sign_until("server", if fault == Fault::Expired { 2021 } else { 2099 });
        let ill = match fault {
            Fault::EndlessBody if !way.answers() => 1,
            _ => ILL,
        };
        let port = free_port();
        let mut cell =
            Self { bench, way, fault, ward: Ward::new(way, fault, ill), port, authority, other: Other::None };
        if !matches!(fault, Fault::Absent | Fault::Hour) || matches!(way, Way::File | Way::Stdout) {
            cell.open();
        }
        cell
    }

    /// Whether the connection is by TLS.
    fn is_secure(&self) -> bool {
        let asks = self.way.answers() || self.way.is_relayed();
        self.way == Way::Tls || asks && self.fault == Fault::Expired
    }

    /// Where sockets and files are.
    fn path(&self) -> PathBuf {
        match self.fault {
            Fault::Absent => self.bench.dir.path().join("later/records"),
            _ => self.bench.dir.path().join("records"),
        }
    }

    /// Opens the other side.
    fn open(&mut self) {
        self.other = match self.way {
            Way::File => {
                if self.fault == Fault::Busy {
                    std::os::unix::fs::symlink("/dev/full", self.path()).unwrap();
                }
                Other::File(self.path())
            }
            Way::Stdout => Other::Pipe(None),
            Way::Local => Other::Ear { _it: Ear::local(&self.path(), &self.ward) },
            Way::Udp => Other::Ear { _it: Ear::udp(self.port, &self.ward) },
            Way::Grpc | Way::Kafka => {
                let tls = self.is_secure().then(|| self.authority.server("server", false));
                Other::Relayed { _it: Relayed::start(&self.ward, self.port, tls) }
            }
            _ => {
                let tls = self.is_secure().then(|| self.authority.server("server", false));
                Other::Server { _it: receive::serve(&self.ward, self.port, tls) }
            }
        };
    }

    fn http(&self) -> Http {
        let scheme = if self.is_secure() { "https" } else { "http" };
        let tls = if self.is_secure() { self.authority.files(None) } else { TlsFiles::default() };
        Http {
            url: format!("{scheme}://{}", self.address()),
            tls,
            auth: Auth::Bearer,
            secret: None,
            gzip: false,
        }
    }

    fn address(&self) -> String {
        let host = if self.fault == Fault::Nameless { self.name() } else { "127.0.0.1".to_owned() };
        format!("{host}:{}", self.port)
    }

    /// The name that comes and goes: a way's own, as all share one list of hosts.
    fn name(&self) -> String {
        format!("{:?}.receiver.test", self.way).to_lowercase()
    }

    fn kafka(&self) -> config::Kafka {
        let tls = self.is_secure().then(|| self.authority.files(None));
        config::Kafka { brokers: vec![self.address()], tls, ..kafka::to(&[]) }
    }

    fn kind(&self) -> SinkKind {
        let index = None;
        match self.way {
            Way::File => SinkKind::File { path: self.path(), rotate: None },
            Way::Stdout => SinkKind::Stdout,
            Way::Tcp => syslog(SyslogTo::Tcp(self.address())),
            Way::Tls => syslog(SyslogTo::Tls(self.address(), self.authority.files(None))),
            Way::Udp => syslog(SyslogTo::Udp(self.address())),
            Way::Local => syslog(SyslogTo::Local(self.path())),
            Way::Webhook => SinkKind::Webhook(self.http()),
            Way::Elasticsearch => {
                SinkKind::Elasticsearch { http: self.http(), index: "logs-spoor".to_owned() }
            }
            Way::Splunk => SinkKind::Splunk { http: self.http(), index, acknowledge: false },
            Way::Acknowledged => SinkKind::Splunk { http: self.http(), index, acknowledge: true },
            Way::Otlp | Way::Grpc => SinkKind::Otlp(Otlp {
                http: self.http(),
                protocol: if self.way == Way::Grpc { OtlpProtocol::Grpc } else { OtlpProtocol::HttpJson },
                max_request: 4 << 20,
            }),
            Way::Kafka => SinkKind::Kafka(self.kafka()),
        }
    }

    fn start(&mut self) -> (JoinHandle<SinkEnd>, (Arc<AtomicUsize>, Arc<AtomicUsize>)) {
        let format = match self.way {
            Way::Elasticsearch => Format::Ecs,
            Way::Otlp => Format::Otel,
            Way::Grpc => Format::OtelProtobuf,
            _ => Format::Native,
        };
        let output: Box<dyn Deliver> = match (self.way, &mut self.other) {
            (Way::Stdout, Other::Pipe(reader)) => {
                let (read, write) = io::pipe().unwrap();
                *reader = Some(read);
                Box::new(StreamTarget::new(Box::new(write)))
            }
            // The patience of indexers is a test's.
            (Way::Acknowledged, _) => {
                Box::new(Splunk::new(self.http(), None, true, format).patient(Duration::from_millis(200)))
            }
            (Way::Kafka, _) => Box::new(Kafka::patient(self.kafka(), format, Duration::from_secs(2))),
            _ => output(self.kind(), format).unwrap(),
        };
        let held = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let watched = Watched(output, Arc::clone(&held.0), Arc::clone(&held.1));
        let config = SinkConfig { format, ..SinkConfig::plain("test", self.kind()) };
        let sink = self.bench.sink_of(config).with_output(Box::new(watched));
        (tokio::spawn(sink.run()), held)
    }

    /// Until the fault shows.
    async fn trouble(&self) {
        let cell = format!("{:?}, {:?}: trouble", self.way, self.fault);
        let ledger = &self.bench.ledger;
        let retries = |count| ledger.forward_retries.get() >= count;
        match (self.way, self.fault) {
            (Way::Stdout, _) => {}
            // Until more is stored than buffers on the way take, nothing seems to be wrong.
            (Way::Tcp, Fault::HalfOpen) => {}
            (_, Fault::Hour) => tokio::time::sleep(Duration::from_hours(1)).await,
            (_, Fault::Slow) => patiently(&cell, || !self.ward.came().is_empty()).await,
            // Of datagrams, fewer may come than are read before it dies.
            (Way::Udp | Way::Local, Fault::Killed) => {
                let sent = || self.bench.store.cursor("test").unwrap() == self.bench.store.last_seq();
                patiently(&cell, || self.ward.came().len() >= receive::READ || sent()).await;
            }
            // A 2xx is all it looks at; a talkative receiver is no trouble at all until the end.
            (Way::Webhook | Way::Tcp | Way::Tls, Fault::EndlessBody) => {
                patiently(&cell, || !self.ward.came().is_empty()).await;
            }
            (_, Fault::Killed) => patiently(&cell, || retries(1)).await,
            (Way::Local, Fault::HalfOpen) => patiently(&cell, || retries(1)).await,
            _ => patiently(&cell, || retries(ILL as u64)).await,
        }
    }

    /// What ends the trouble, where it does not end by itself.
    async fn heal(&mut self) {
        match (self.way, self.fault) {
            (Way::File, Fault::Busy) => fs::remove_file(self.path()).unwrap(),
            (Way::File | Way::Local, Fault::Absent) => {
                fs::create_dir(self.path().parent().unwrap()).unwrap();
                self.open();
            }
            (_, Fault::Absent | Fault::Hour) => self.open(),
            (_, Fault::Killed | Fault::Expired) => {
                self.other = Other::None;
                if self.fault == Fault::Killed && (self.way.answers() || self.way.is_relayed()) {
                    let before = self.bench.ledger.forward_retries.get();
                    let ledger = &self.bench.ledger;
                    patiently("a try at a dead receiver", || ledger.forward_retries.get() > before).await;
                }
                self.authority.sign("server");
                self.ward.recover();
                let port = self.port;
                patiently("the port is free", || receive::is_free(port)).await;
                self.open();
            }
            (_, Fault::Nameless) => {
                let hosts = std::env::var_os(HOSTS).expect("hosts of its own");
                let mut hosts = fs::OpenOptions::new().append(true).open(hosts).unwrap();
                hosts.write_all(format!("127.0.0.1 {}\n", self.name()).as_bytes()).unwrap();
            }
            (Way::Local, Fault::HalfOpen) => self.ward.recover(),
            (Way::Tcp, Fault::HalfOpen) => {
                let ledger = &self.bench.ledger;
                patiently("two tries", || ledger.forward_retries.get() >= 2).await;
            }
            (Way::Stdout, _) => self.read_pipe(),
            _ => {}
        }
    }

    /// A reader of a pipe that begins late, and takes its time.
    fn read_pipe(&mut self) {
        let Other::Pipe(reader) = &mut self.other else { return };
        let (mut reader, ward) = (reader.take().unwrap(), Arc::clone(&self.ward));
        let slow = self.fault == Fault::Slow;
        std::thread::spawn(move || {
            let (mut text, mut buffer) = (Vec::new(), vec![0; 4096]);
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                text.extend_from_slice(&buffer[..count]);
                if slow {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            }
            ward.lines(&text);
        });
    }

    /// What came, once all that is on its way has.
    async fn came(&mut self) -> Vec<u64> {
        if let Other::File(path) = &self.other {
            self.ward.lines(&fs::read(path).unwrap());
        }
        let lossy = matches!(expected(self.way, self.fault), Expected::Lossy(_));
        if !lossy {
            let ward = &self.ward;
            let all = |seq: &u64| *seq == SENT as u64;
            patiently("the last record", || ward.came().iter().any(all)).await;
        }
        self.other = Other::None;
        self.ward.came()
    }
}
