//! Receivers that are ill in one way for a while, and hold to their protocols before and after.

use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::ServerConfig;
use serde_json::{Value, json};

use super::super::kafka_broker::{Shared, state};
use super::super::servers::{Request, Server, Stream, frames, request};
use super::{Fault, Way};

/// How many times a receiver does what it should not.
pub(super) const ILL: usize = 2;
/// How many messages one that is killed has read.
pub(super) const READ: usize = 100;

/// Numbers of the records that came, in their order.
pub(super) type Came = Arc<Mutex<Vec<u64>>>;

/// What all connections of a receiver share.
pub(super) struct Ward {
    pub(super) way: Way,
    fault: Fault,
    came: Came,
    /// So many times more it does what it should not.
    ill: AtomicUsize,
    /// One that is killed: its first connection came. Until it is well again, no other is served.
    dying: AtomicBool,
    well: AtomicBool,
    /// Connections that stay open and get nothing.
    held: Mutex<Vec<Box<dyn Stream>>>,
    acknowledged: AtomicUsize,
    /// What a broker of Kafka knows, over its lives.
    pub(super) kafka: Shared,
    /// Connections that were handed on.
    handed_on: Mutex<Vec<TcpStream>>,
}

impl Ward {
    pub(super) fn new(way: Way, fault: Fault, ill: usize) -> Arc<Self> {
        Arc::new(Self {
            way,
            fault,
            came: Came::default(),
            ill: AtomicUsize::new(ill),
            dying: AtomicBool::new(false),
            well: AtomicBool::new(false),
            held: Mutex::default(),
            acknowledged: AtomicUsize::new(0),
            kafka: state(1),
            handed_on: Mutex::default(),
        })
    }

    pub(super) fn came(&self) -> Vec<u64> {
        if self.way == Way::Kafka {
            return self.kafka.lock().unwrap().log.iter().map(|record| record.seq).collect();
        }
        self.came.lock().unwrap().clone()
    }

    pub(super) fn hear(&self, seqs: impl Iterator<Item = u64>) {
        self.came.lock().unwrap().extend(seqs);
    }

    pub(super) fn remember(&self, stream: TcpStream) {
        self.handed_on.lock().unwrap().push(stream);
    }

    /// Ends every connection that was handed on.
    pub(super) fn cut(&self) {
        for stream in self.handed_on.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// For what does not end by itself.
    pub(super) fn recover(&self) {
        self.well.store(true, Ordering::SeqCst);
    }

    pub(super) fn is(&self, fault: Fault) -> bool {
        self.fault == fault && !self.well.load(Ordering::SeqCst)
    }

    /// Whether it is ill this time.
    pub(super) fn strikes(&self) -> bool {
        self.ill.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }

    fn note(&self, request: &Request) {
        self.came.lock().unwrap().extend(numbers(self.way, request));
    }

    /// Notes what came as lines, all of it.
    pub(super) fn lines(&self, text: &[u8]) {
        let values = serde_json::Deserializer::from_slice(text).into_iter::<Value>();
        let seqs: Vec<u64> = values.map(|record| record.unwrap()["seq"].as_u64().unwrap()).collect();
        self.came.lock().unwrap().extend(seqs);
    }

    pub(super) fn hold(&self, stream: Box<dyn Stream>) {
        self.held.lock().unwrap().push(stream);
    }
}

/// Serves a way that has connections.
pub(super) fn serve(ward: &Arc<Ward>, port: u16, tls: Option<Arc<ServerConfig>>) -> Server {
    let ward = Arc::clone(ward);
    Server::start(port, tls, move |stream| {
        let dead = ward.is(Fault::Killed) && ward.dying.swap(true, Ordering::SeqCst);
        match ward.fault {
            _ if dead => {}
            Fault::HalfOpen if ward.strikes() => ward.hold(stream),
            Fault::Slow if ward.way.answers() => answer(&ward, Box::new(Slow(stream))),
            Fault::Slow => read(&ward, &mut Slow(stream)),
            Fault::EndlessBody if !ward.way.answers() && ward.strikes() => {
                let mut stream = Chatty(stream);
                read(&ward, &mut stream);
                while stream.0.write_all(&[b'?'; 4096]).is_ok() && stream.0.flush().is_ok() {}
            }
            _ if ward.way.answers() => answer(&ward, stream),
            _ => read(&ward, &mut { stream }),
        }
    })
}

/// Syslog over a stream, to its end; one that is killed dies with what is in its buffers.
fn read(ward: &Ward, stream: &mut dyn Read) {
    let dies = ward.is(Fault::Killed);
    frames(stream, |message| {
        let count = note_message(ward, &message);
        !(dies && count >= READ)
    });
}

/// Counts the message, and says how many there are.
fn note_message(ward: &Ward, message: &str) -> usize {
    let seq = message.split(" seq=\"").nth(1).unwrap().split('"').next().unwrap();
    let mut came = ward.came.lock().unwrap();
    came.push(seq.parse().unwrap());
    came.len()
}

/// HTTP, one request behind the other.
fn answer(ward: &Ward, stream: Box<dyn Stream>) {
    let mut reader = BufReader::new(stream);
    while let Some(asked) = request(&mut reader) {
        let text = if asked.target.starts_with("/services/collector/ack") {
            reply(&acknowledge(ward, &asked))
        } else if ward.fault.is_of_requests() && ward.strikes() {
            match misbehave(ward, &asked) {
                Some(text) => text,
                None => return endless(ward, reader.into_inner()),
            }
        } else {
            let body = accept(ward.way, &asked, ward);
            ward.note(&asked);
            if ward.is(Fault::Killed) {
                return;
            }
            reply(&body)
        };
        if reader.get_mut().write_all(text.as_bytes()).is_err() || reader.get_mut().flush().is_err() {
            return;
        }
        if ward.fault == Fault::Cut && text.ends_with('{') {
            return ward.hold(reader.into_inner());
        }
    }
}

fn reply(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// What an ill receiver answers; nothing where its answer has no end.
fn misbehave(ward: &Ward, asked: &Request) -> Option<String> {
    Some(match ward.fault {
        Fault::Busy if ward.ill.load(Ordering::SeqCst) > 0 => {
            "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_owned()
        }
        Fault::Busy => "HTTP/1.1 429 Slow\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n".to_owned(),
        Fault::Error => reply(&match ward.way {
            Way::Elasticsearch => json!({"error": {"type": "unavailable"}, "status": 503}).to_string(),
            Way::Otlp => json!({"code": 14, "message": "unavailable"}).to_string(),
            _ => json!({"text": "Server is busy", "code": 9}).to_string(),
        }),
        Fault::Nonsense => reply("<html><body>Please log in to this network.</body></html>"),
        // The rest has the records, and the sink cannot know.
        Fault::Cut => {
            ward.note(asked);
            "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{".to_owned()
        }
        Fault::Unacknowledged => {
            ward.note(asked);
            reply(&accept(ward.way, asked, ward))
        }
        _ => {
            ward.note(asked);
            return None;
        }
    })
}

/// An answer without an end.
fn endless(ward: &Ward, mut stream: Box<dyn Stream>) {
    let (head, rest) = match ward.fault {
        Fault::EndlessHead => ("HTTP/1.1 200 OK\r\n", format!("X-More: {}\r\n", "x".repeat(1000))),
        _ => ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"a\":\"", "x".repeat(64 << 10)),
    };
    let mut text = head.to_owned();
    while stream.write_all(text.as_bytes()).is_ok() && stream.flush().is_ok() {
        text.clone_from(&rest);
    }
}

/// The answer to a batch that is taken.
fn accept(way: Way, asked: &Request, ward: &Ward) -> String {
    match way {
        Way::Elasticsearch => {
            let known = ward.came();
            let item = |seq: u64| {
                let status = if known.contains(&seq) { 409 } else { 201 };
                json!({"create": {"status": status}})
            };
            let items: Vec<Value> = numbers(way, asked).into_iter().map(item).collect();
            json!({"errors": true, "items": items}).to_string()
        }
        Way::Acknowledged => {
            let number = ward.acknowledged.fetch_add(1, Ordering::SeqCst);
            json!({"text": "Success", "code": 0, "ackId": number}).to_string()
        }
        Way::Splunk => json!({"text": "Success", "code": 0}).to_string(),
        Way::Otlp => json!({"partialSuccess": {}}).to_string(),
        _ => String::new(),
    }
}

/// Whether indexers have it. Of the first, an ill one never says so.
fn acknowledge(ward: &Ward, asked: &Request) -> String {
    let asked: Value = serde_json::from_slice(&asked.body).unwrap();
    let number = asked["acks"][0].as_u64().unwrap();
    let has = ward.fault != Fault::Unacknowledged || number >= ILL as u64;
    json!({"acks": {number.to_string(): has}}).to_string()
}

/// The numbers of the records in a request.
fn numbers(way: Way, asked: &Request) -> Vec<u64> {
    let values =
        || serde_json::Deserializer::from_slice(&asked.body).into_iter::<Value>().map(Result::unwrap);
    let parsed = |value: &Value| value.as_str().unwrap().parse().unwrap();
    match way {
        Way::Elasticsearch => values().filter_map(|line| line["event"]["sequence"].as_u64()).collect(),
        Way::Splunk | Way::Acknowledged => {
            values().map(|event| parsed(&event["fields"]["spoor_seq"])).collect()
        }
        Way::Otlp => {
            let body: Value = serde_json::from_slice(&asked.body).unwrap();
            let records = body["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap();
            let id = |record: &Value| {
                let all = record["attributes"].as_array().unwrap();
                let uid = all.iter().find(|one| one["key"] == "log.record.uid").unwrap();
                let uid = uid["value"]["stringValue"].as_str().unwrap();
                uid.rsplit_once('-').unwrap().1.parse().unwrap()
            };
            records.iter().map(id).collect()
        }
        _ => values().map(|record| record["seq"].as_u64().unwrap()).collect(),
    }
}

/// Takes its time.
struct Slow(Box<dyn Stream>);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        thread::park_timeout(Duration::from_millis(1));
        let most = buffer.len().min(4096);
        self.0.read(&mut buffer[..most])
    }
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Says things that nobody asked for.
struct Chatty(Box<dyn Stream>);

impl Read for Chatty {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(4096);
        let count = self.0.read(&mut buffer[..most])?;
        self.0.write_all(&[b'?'; 256])?;
        self.0.flush()?;
        Ok(count)
    }
}

/// Reads datagrams until it is dropped.
pub(super) struct Ear {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    path: Option<PathBuf>,
}

impl Ear {
    pub(super) fn udp(port: u16, ward: &Arc<Ward>) -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Self::listen(ward, None, move |buffer| socket.recv(buffer))
    }

    pub(super) fn local(path: &Path, ward: &Arc<Ward>) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        Self::listen(ward, Some(path.to_path_buf()), move |buffer| socket.recv(buffer))
    }

    fn listen(
        ward: &Arc<Ward>,
        path: Option<PathBuf>,
        mut recv: impl FnMut(&mut [u8]) -> std::io::Result<usize> + Send + 'static,
    ) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (ended, ward) = (Arc::clone(&over), Arc::clone(ward));
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while !ended.load(Ordering::SeqCst) {
                if ward.is(Fault::HalfOpen) {
                    thread::park_timeout(Duration::from_millis(1));
                    continue;
                }
                if ward.fault == Fault::Slow {
                    thread::park_timeout(Duration::from_millis(1));
                }
                let Ok(count) = recv(&mut buffer) else { continue };
                let came = note_message(&ward, std::str::from_utf8(&buffer[..count]).unwrap());
                if ward.is(Fault::Killed) && came >= READ {
                    return;
                }
            }
        });
        Self { over, thread: Some(thread), path }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Until nobody listens there any more.
pub(super) fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
