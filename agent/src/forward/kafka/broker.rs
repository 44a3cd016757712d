//! A connection to one broker: one request after the other, each answered within a time or given up.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};

use super::errors::{Malformed, describe};
use super::sasl;
use super::wire::{self, Api, Reader, Spoken};
use crate::config::{Sasl, TlsFiles};
use crate::forward::connection;
use crate::forward::deliver::DeliverError;

/// Who we say we are.
const CLIENT: &str = "spoor";
/// Longest answer that is read.
const ANSWER_MAX: usize = 4 << 20;
/// A connection that nobody used for so long is not trusted: brokers end theirs after ten minutes, load balancers sooner.
const IDLE_MAX: Duration = Duration::from_mins(3);

/// How brokers are reached.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) tls: Option<TlsFiles>,
    pub(super) sasl: Option<Sasl>,
    /// How long an answer is waited for.
    pub(super) patience: Duration,
}

/// A socket that gives up at a moment, however slowly the bytes come.
struct Timed {
    socket: TcpStream,
    until: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.left()?)?;
        self.socket.read(bytes).map_err(late)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.left()?)?;
        self.socket.write(bytes).map_err(late)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// What the kernel says of a timeout, in words.
fn late(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

enum Stream {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
}

impl Stream {
    fn timed(&mut self) -> &mut Timed {
        match self {
            Stream::Plain(timed) => timed,
            Stream::Tls(tls) => &mut tls.sock,
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Plain(timed) => timed.write_all(bytes),
            Stream::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        }
    }

    fn read_exact(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Stream::Plain(timed) => timed.read_exact(bytes),
            Stream::Tls(tls) => tls.read_exact(bytes),
        }
    }
}

/// A broker that answered, and let us in.
pub(super) struct Broker {
    address: String,
    stream: Stream,
    patience: Duration,
    correlation: i32,
    /// Of each API, the version that both speak; told by the broker at the beginning.
    spoken: Vec<Spoken>,
    used: Instant,
    /// The broker ends the session then.
    ends: Option<Instant>,
}

impl Broker {
    /// Connects, asks what is spoken there, and proves who we are.
    pub(super) fn connect(address: &str, way: &Way) -> Result<Self, DeliverError> {
        let over = if way.tls.is_some() { "tls" } else { "tcp" };
        let cannot = |error| DeliverError::io(format!("cannot connect to {over} {address}"))(error);
        let socket = connection::connect(address).map_err(cannot)?;
        let now = Instant::now();
        let timed = Timed { socket, until: now + way.patience };
        let stream = match &way.tls {
            None => Stream::Plain(timed),
            Some(files) => Stream::Tls(Box::new(connection::handshake(files, address, timed, cannot)?)),
        };
        let mut broker = Self {
            address: address.to_owned(),
            stream,
            patience: way.patience,
            correlation: 0,
            spoken: Vec::new(),
            used: now,
            ends: None,
        };
        let answer = broker.call(Api::Versions, 0, &[])?;
        let (error, spoken) = wire::versions(&answer).map_err(broker.misread(Api::Versions))?;
        if error != 0 {
            return Err(broker.refused(Api::Versions, error, ""));
        }
        broker.spoken = spoken;
        if let Some(sasl) = &way.sasl {
            let lifetime = sasl::authenticate(&mut broker, sasl)?;
            // A while before the broker does it, so that no request falls into its end.
            broker.ends = lifetime.map(|lifetime| now + lifetime.mul_f64(0.8));
        }
        Ok(broker)
    }

    /// Whether the next request had better go over a new connection.
    pub(super) fn worn(&self) -> bool {
        let now = Instant::now();
        let idle = now.saturating_duration_since(self.used) > IDLE_MAX;
        idle || self.ends.is_some_and(|ends| now >= ends) || self.ended()
    }

    /// Whether the other has ended the connection, as far as its word has come. Nothing comes unasked but that.
    fn ended(&self) -> bool {
        let socket = match &self.stream {
            Stream::Plain(timed) => &timed.socket,
            Stream::Tls(tls) => &tls.sock.socket,
        };
        if socket.set_nonblocking(true).is_err() {
            return true;
        }
        let ended = match socket.peek(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        };
        socket.set_nonblocking(false).is_err() || ended
    }

    /// The latest version that both speak.
    pub(super) fn version(&self, api: Api) -> Result<i16, DeliverError> {
        let (ours_first, ours_last) = api.versions();
        let Some(Spoken { first, last, .. }) = self.spoken.iter().find(|spoken| spoken.api == api as i16)
        else {
            return Err(self.protocol(format!("it knows no {} request", api.name())));
        };
        let latest = (*last).min(ours_last);
        if latest < ours_first.max(*first) {
            let api = api.name();
            return Err(self.protocol(format!(
                "its {api} requests are of version {first} to {last}, ours of {ours_first} to {ours_last}"
            )));
        }
        Ok(latest)
    }

    /// Sends a request and waits for its answer.
    pub(super) fn call(&mut self, api: Api, version: i16, body: &[u8]) -> Result<Vec<u8>, DeliverError> {
        self.send(api, version, body)?;
        self.receive(api)
    }

    /// Sends a request; [`Broker::receive`] must follow.
    pub(super) fn send(&mut self, api: Api, version: i16, body: &[u8]) -> Result<(), DeliverError> {
        self.correlation = self.correlation.wrapping_add(1);
        let frame = wire::request(api, version, self.correlation, CLIENT, body);
        self.used = Instant::now();
        self.stream.timed().until = self.used + self.patience;
        self.stream.write_all(&frame).map_err(self.cannot("write to"))
    }

    /// The answer to what was sent, without its head.
    pub(super) fn receive(&mut self, api: Api) -> Result<Vec<u8>, DeliverError> {
        self.stream.timed().until = Instant::now() + self.patience;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).map_err(self.cannot("read the answer of"))?;
        let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > ANSWER_MAX {
            return Err(self.protocol(
                "an answer longer than any; is this Kafka, and is TLS as it is there?".to_owned(),
            ));
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).map_err(self.cannot("read the answer of"))?;
        self.used = Instant::now();
        let correlation = Reader::new(&answer).i32().map_err(self.misread(api))?;
        if correlation != self.correlation {
            return Err(self.protocol("an answer to something that was not asked".to_owned()));
        }
        Ok(answer.split_off(4))
    }

    fn cannot(&self, what: &str) -> impl FnOnce(io::Error) -> DeliverError + use<> {
        DeliverError::io(format!("cannot {what} {}", self.address))
    }

    pub(super) fn misread(&self, api: Api) -> impl FnOnce(Malformed) -> DeliverError + use<> {
        let url = self.address.clone();
        move |malformed| DeliverError::Protocol { url, text: format!("{}: {malformed}", api.name()) }
    }

    pub(super) fn protocol(&self, text: String) -> DeliverError {
        DeliverError::Protocol { url: self.address.clone(), text }
    }

    pub(super) fn refused(&self, api: Api, error: i16, text: &str) -> DeliverError {
        let what = format!("{}: {}", api.name(), describe(error, text));
        DeliverError::Kafka { broker: self.address.clone(), what }
    }
}
