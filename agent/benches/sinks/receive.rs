//! Receivers that do no more than count, and answer as their protocols ask.

use std::io::{BufRead as _, BufReader, Read, Result, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{broker, collector};

/// How messages come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Counted,
    Tls,
    Http,
    Kafka,
    Grpc,
}

/// A receiver's port and what it has counted. Its thread ends with the process.
pub(super) struct Receiver {
    pub(super) port: u16,
    pub(super) count: Arc<AtomicU64>,
    /// The certificate, where there is one.
    pub(super) certificate: String,
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

pub(super) fn start(framing: Framing) -> Result<Receiver> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let count = Arc::new(AtomicU64::new(0));
    let made =
        rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).map_err(std::io::Error::other)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .map_err(std::io::Error::other)?;
    let (tls, counted) = (Arc::new(tls), Arc::clone(&count));
    if framing == Framing::Grpc {
        let port = collector::start(&count)?;
        return Ok(Receiver { port, count, certificate: made.cert.pem() });
    }
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(stream), counted) = (stream, Arc::clone(&counted)) else { continue };
            let tls = Arc::clone(&tls);
            thread::spawn(move || match framing {
                Framing::Counted => messages(stream, &counted),
                Framing::Http => requests(stream, &counted),
                Framing::Kafka => broker::serve(stream, port, &counted),
                Framing::Grpc => None,
                Framing::Tls => match ServerConnection::new(tls) {
                    Ok(session) => messages(StreamOwned::new(session, stream), &counted),
                    Err(_) => None,
                },
            });
        }
    });
    Ok(Receiver { port, count, certificate: made.cert.pem() })
}

/// Octet counting.
fn messages(stream: impl Stream, count: &AtomicU64) -> Option<()> {
    let mut reader = BufReader::with_capacity(1 << 18, stream);
    loop {
        let mut length = Vec::new();
        reader.read_until(b' ', &mut length).ok().filter(|read| *read > 0)?;
        length.pop();
        let length: u64 = std::str::from_utf8(&length).ok()?.parse().ok()?;
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// HTTP, as far as our sinks use it.
fn requests(stream: impl Stream, count: &AtomicU64) -> Option<()> {
    let mut reader = BufReader::with_capacity(1 << 18, stream);
    loop {
        let (mut target, mut length) = (String::new(), 0);
        reader.read_line(&mut target).ok().filter(|read| *read > 0)?;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let lines = body.iter().filter(|byte| **byte == b'\n').count() as u64;
        count.fetch_add(lines, Ordering::Relaxed);
        let text = if target.contains("/_bulk") {
            let item = r#"{"create":{"_id":"6f1d2c9e0b7a4f3f9d4c2a1b0e9f8d7c-1000","status":201}}"#;
            let items = vec![item; usize::try_from(lines / 2).ok()?].join(",");
            format!("{{\"errors\":false,\"items\":[{items}]}}")
        } else if target.contains("/collector") {
            r#"{"text":"Success","code":0}"#.to_owned()
        } else {
            "{}".to_owned()
        };
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
        reader.get_mut().write_all((head + &text).as_bytes()).ok()?;
        reader.get_mut().flush().ok()?;
    }
}
