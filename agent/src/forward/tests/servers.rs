//! Receivers that hold to their protocols to the letter, and misbehave on request.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use flate2::read::GzDecoder;
use nix::sys::socket::{setsockopt, sockopt};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A stream, in the clear or not.
pub(super) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// Listens on a port of this host until it is dropped, a thread a connection.
pub(super) struct Server {
    pub(super) port: u16,
    pub(super) connections: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

impl Server {
    pub(super) fn start(
        port: u16,
        tls: Option<Arc<ServerConfig>>,
        serve: impl Fn(Box<dyn Stream>) + Send + Sync + 'static,
    ) -> Self {
        Self::accept(port, move |stream| {
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            match &tls {
                None => serve(Box::new(stream)),
                Some(tls) => {
                    let session = ServerConnection::new(Arc::clone(tls)).unwrap();
                    serve(Box::new(StreamOwned::new(session, stream)));
                }
            }
        })
    }

    /// The same, of bare connections.
    pub(super) fn accept(port: u16, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        // Small, so that a receiver which does not read is soon felt, whatever this host's default.
        setsockopt(&listener, sockopt::RcvBuf, &(64 << 10)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (over, connections) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (serve, ended, counted) = (Arc::new(serve), Arc::clone(&over), Arc::clone(&connections));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                counted.fetch_add(1, Ordering::SeqCst);
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(stream));
            }
        });
        Self { port, connections, over }
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes it, so that the port is free.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// A port that is free, and that nobody is given by chance while its receiver is away: it lies below those that the kernel
/// hands out, for connections too.
pub(super) fn free_port() -> u16 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let mine = std::process::id() as usize * 101;
    loop {
        let number = (mine + NEXT.fetch_add(1, Ordering::SeqCst)) % 20_000;
        let port = 10_000 + u16::try_from(number).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Messages that came, in their order.
pub(super) type Came = Arc<Mutex<Vec<String>>>;

/// Reads messages behind their lengths. Gives up the connection when `enough` says so.
pub(super) fn octet_counted(mut stream: Box<dyn Stream>, came: &Came, enough: impl Fn(usize) -> bool) {
    frames(&mut stream, |message| {
        let mut came = came.lock().unwrap();
        came.push(message);
        !enough(came.len())
    });
}

/// Reads messages behind their lengths, until there are no more or somebody wants no more.
pub(super) fn frames(stream: &mut dyn Read, mut more: impl FnMut(String) -> bool) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = Vec::new();
        match reader.read_until(b' ', &mut length) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        assert_eq!(length.pop(), Some(b' '), "a length ends with a space");
        assert!(length[0] != b'0' && length.iter().all(u8::is_ascii_digit), "{length:?}");
        let length: usize = String::from_utf8(length).unwrap().parse().unwrap();
        let mut message = vec![0; length];
        if reader.read_exact(&mut message).is_err() || !more(String::from_utf8(message).unwrap()) {
            return;
        }
    }
}

/// What was asked over HTTP.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) target: String,
    headers: Vec<(String, String)>,
    /// Unpacked, where it was compressed.
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// What is answered: status, more headers, body.
pub(super) type Response = (u16, &'static str, String);

/// A server over HTTP that asks a function.
pub(super) fn http(
    tls: Option<Arc<ServerConfig>>,
    answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
) -> Server {
    Server::start(0, tls, move |stream| self::answer(stream, &answer))
}

/// Answers what comes over one connection.
pub(super) fn answer(stream: Box<dyn Stream>, answer: &dyn Fn(&Request) -> Response) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = request(&mut reader) {
        let (status, headers, body) = answer(&request);
        // 0: no answer at all.
        if status == 0 {
            return;
        }
        let length = body.len();
        let text = format!("HTTP/1.1 {status} So\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
        if reader.get_mut().write_all(text.as_bytes()).is_err() || reader.get_mut().flush().is_err() {
            return;
        }
    }
}

pub(super) fn request(reader: &mut BufReader<Box<dyn Stream>>) -> Option<Request> {
    let mut line = || {
        let mut text = String::new();
        reader.read_line(&mut text).ok().filter(|count| *count > 0)?;
        Some(text.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    assert_eq!(words.next(), Some("POST"), "{first}");
    let target = words.next().unwrap().to_owned();
    let mut headers = Vec::new();
    loop {
        let text = line()?;
        let Some((name, value)) = text.split_once(": ") else { break };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut request = Request { target, headers, body: Vec::new() };
    let length: usize = request.header("content-length").expect("a length").parse().unwrap();
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    if let Some(encoding) = request.header("content-encoding") {
        assert_eq!(encoding, "gzip");
        let mut body = Vec::new();
        GzDecoder::new(request.body.as_slice()).read_to_end(&mut body).expect("gzip");
        request.body = body;
    }
    Some(request)
}
