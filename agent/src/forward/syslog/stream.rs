//! Messages over a stream, each behind its length (octet counting).

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use rustls::{ClientConnection, StreamOwned};

use super::message::Form;
use crate::config::TlsFiles;
use crate::forward::connection::{self, PATIENCE, Stamp};
use crate::forward::deliver::{Deliver, DeliverError, Failure, Fate, Outcome};
use crate::forward::encodings::Item;

/// What is kept of the last messages, to come again after a broken connection.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// What our kernel may hold of what the other has not acknowledged. Not more than is kept.
const IN_FLIGHT_MAX: usize = 128 << 10;
/// Most bytes of a receiver that says something which are read in one go.
const TALK_MAX: usize = 1 << 20;
/// How long the other's end of the connection is waited for when we end it.
const GOODBYE: Duration = Duration::from_secs(2);

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A receiver of a stream of messages.
pub(super) struct StreamSyslog {
    address: String,
    tls: Option<TlsFiles>,
    form: Form,
    stream: Option<Stream>,
    stamp: Stamp,
    /// The last frames written, oldest first.
    kept: VecDeque<Vec<u8>>,
    kept_bytes: usize,
}

impl StreamSyslog {
    pub(super) fn new(address: String, tls: Option<TlsFiles>, form: Form) -> Self {
        Self {
            address,
            tls,
            form,
            stream: None,
            stamp: Stamp::default(),
            kept: VecDeque::new(),
            kept_bytes: 0,
        }
    }

    /// A connection that works, as far as can be seen. A new one first gets again what the last one may have lost.
    fn ready(&mut self) -> Result<(), DeliverError> {
        let rotated = self.tls.as_ref().is_some_and(|files| Stamp::of(files) != self.stamp);
        if self.stream.is_some() && rotated {
            // In good order: the other has all that was written, nothing has to come again.
            if self.goodbye().is_ok() {
                self.forget();
            }
        }
        if self.stream.as_mut().is_some_and(Stream::ended) {
            self.stream = None;
        }
        if self.stream.is_some() {
            return Ok(());
        }
        let mut stream = self.connect()?;
        for frame in &self.kept {
            stream.write_all(frame).map_err(self.cannot("write"))?;
        }
        stream.flush().map_err(self.cannot("write"))?;
        self.stream = Some(stream);
        Ok(())
    }

    fn connect(&mut self) -> Result<Stream, DeliverError> {
        let cannot = |error| self.cannot("connect")(error);
        let socket = connection::connect(&self.address).map_err(cannot)?;
        let milliseconds = u32::try_from(PATIENCE.as_millis()).unwrap_or(u32::MAX);
        setsockopt(&socket, sockopt::TcpUserTimeout, &milliseconds).map_err(|e| cannot(e.into()))?;
        setsockopt(&socket, sockopt::SndBuf, &IN_FLIGHT_MAX).map_err(|e| cannot(e.into()))?;
        let Some(files) = &self.tls else {
            return Ok(Stream::Plain(socket));
        };
        let stamp = Stamp::of(files);
        let stream = connection::handshake(files, &self.address, socket, cannot)?;
        self.stamp = stamp;
        Ok(Stream::Tls(Box::new(stream)))
    }

    fn cannot(&self, what: &'static str) -> impl FnOnce(io::Error) -> DeliverError + use<> {
        let over = if self.tls.is_some() { "tls" } else { "tcp" };
        DeliverError::io(format!("cannot {what} to {over} {}", self.address))
    }

    fn keep(&mut self, frame: Vec<u8>) {
        self.kept_bytes += frame.len();
        self.kept.push_back(frame);
        while self.kept_bytes > KEPT_BYTES_MAX && self.kept.len() > 1 {
            self.kept_bytes -= self.kept.pop_front().map_or(0, |frame| frame.len());
        }
    }

    fn forget(&mut self) {
        self.kept.clear();
        self.kept_bytes = 0;
    }

    /// Ends the connection so that the other gets all of it: closed at once, what it had not read might be thrown away.
    fn goodbye(&mut self) -> io::Result<()> {
        let Some(mut stream) = self.stream.take() else {
            return Ok(());
        };
        let socket = match &mut stream {
            Stream::Plain(socket) => socket,
            Stream::Tls(tls) => {
                tls.conn.send_close_notify();
                tls.flush()?;
                &mut tls.sock
            }
        };
        socket.shutdown(Shutdown::Write)?;
        socket.set_read_timeout(Some(GOODBYE))?;
        let until = Instant::now() + GOODBYE;
        let mut waste = [0; 4096];
        while socket.read(&mut waste)? != 0 {
            // One that talks on and on does not say whether it has read to the end.
            if Instant::now() > until {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }
}

impl Deliver for StreamSyslog {
    fn deliver(&mut self, batch: &[Arc<Item>]) -> Outcome {
        let failed =
            |fates, why| Outcome { fates, failure: Some(Failure { why, after: None, closed: false }) };
        if let Err(why) = self.ready() {
            return failed(Vec::new(), why);
        }
        let mut fates = Vec::with_capacity(batch.len());
        for item in batch {
            let frame = match self.form.message(item) {
                Ok(message) => [message.len().to_string().as_bytes(), b" ", &message].concat(),
                Err(why) => {
                    fates.push(Fate::Refused(why));
                    continue;
                }
            };
            let written = match &mut self.stream {
                Some(stream) => stream.write_all(&frame),
                None => Err(io::ErrorKind::NotConnected.into()),
            };
            if let Err(error) = written {
                self.stream = None;
                return failed(fates, self.cannot("write")(error));
            }
            self.keep(frame);
            fates.push(Fate::Taken);
        }
        match self.stream.as_mut().map(Stream::flush) {
            Some(Err(error)) => {
                // Kept, so the next connection gets them first.
                self.stream = None;
                failed(fates, self.cannot("write")(error))
            }
            _ => Outcome { fates, failure: None },
        }
    }

    fn watches(&self) -> bool {
        true
    }

    fn check(&mut self) -> Result<(), DeliverError> {
        // Before the first record there is no need of a connection.
        if self.kept.is_empty() { Ok(()) } else { self.ready() }
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.kept.is_empty() {
            return Ok(());
        }
        // Broken at the last moment, what was written comes once more.
        if self.ready().is_err() || self.goodbye().is_err() {
            self.ready().map_err(io::Error::other)?;
            return self.goodbye();
        }
        Ok(())
    }
}

impl Stream {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.write_all(bytes),
            Stream::Tls(tls) => tls.write_all(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.flush(),
            Stream::Tls(tls) => tls.flush(),
        }
    }

    /// Whether the other has ended the connection, as far as its word has come. Nothing else comes from it, but for
    /// what TLS has to say. One that talks all the same is read, up to a bound, so that it does not wait for us.
    fn ended(&mut self) -> bool {
        let socket = match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(tls) => &tls.sock,
        };
        if socket.set_nonblocking(true).is_err() {
            return true;
        }
        let mut waste = [0; 4096];
        let mut left = TALK_MAX;
        let ended = loop {
            let read = match self {
                Stream::Plain(socket) => socket.read(&mut waste),
                Stream::Tls(tls) => tls.read(&mut waste),
            };
            match read {
                Ok(count @ 1..) if count < left => left -= count,
                read => break over(&read),
            }
        };
        let socket = match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(tls) => &tls.sock,
        };
        socket.set_nonblocking(false).is_err() || ended
    }
}

fn over(read: &io::Result<usize>) -> bool {
    match read {
        Ok(count) => *count == 0,
        Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
    }
}
