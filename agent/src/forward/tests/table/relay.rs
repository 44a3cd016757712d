//! Receivers whose protocols are spoken by others' libraries: they are well, and what stands before them does to their
//! connections what an ill one would.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::oneshot;

use super::super::collector::{Collector, records, seq};
use super::super::kafka_broker::{Act, broker_at};
use super::super::servers::Server;
use super::receive::Ward;
use super::{Fault, Way};

/// A receiver, and what stands before it.
pub(super) struct Relayed {
    _relay: Option<Server>,
    _inner: Inner,
}

enum Inner {
    /// Ends with the sender.
    Collector(#[expect(dead_code, reason = "held, not read")] oneshot::Sender<()>),
    Broker(#[expect(dead_code, reason = "held, not read")] Server),
}

impl Relayed {
    /// Listens on `port`; with TLS the receiver does so itself.
    pub(super) fn start(ward: &Arc<Ward>, port: u16, tls: Option<Arc<ServerConfig>>) -> Self {
        let direct = tls.is_some();
        let own = if direct { port } else { 0 };
        let (inner, at) = match ward.way {
            Way::Grpc => collector(ward, own, tls),
            _ => {
                if ward.is(Fault::Killed) {
                    ward.kafka.lock().unwrap().acts.push_back(Act {
                        append: true,
                        drop: true,
                        ..Act::default()
                    });
                }
                let server = broker_at(&ward.kafka, own, port, tls);
                let at = server.port;
                (Inner::Broker(server), at)
            }
        };
        let relay = (!direct).then(|| relay(ward, port, at));
        Self { _relay: relay, _inner: inner }
    }
}

/// A collector by real time, whatever clock the test has.
fn collector(ward: &Arc<Ward>, port: u16, tls: Option<Arc<ServerConfig>>) -> (Inner, u16) {
    let (end, ended) = oneshot::channel::<()>();
    let (told, tells) = std::sync::mpsc::channel();
    let ward = Arc::clone(ward);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let collector = Collector::start(port, tls, [], move |_, request| {
                ward.hear(records(request).map(seq));
                if ward.is(Fault::Killed) {
                    // Before it can answer.
                    ward.cut();
                }
                None
            })
            .await;
            told.send(collector.port).unwrap();
            let _ = ended.await;
        });
    });
    (Inner::Collector(end), tells.recv().unwrap())
}

/// Hands on what comes, in both directions.
fn relay(ward: &Arc<Ward>, port: u16, to: u16) -> Server {
    let ward = Arc::clone(ward);
    Server::accept(port, move |stream| {
        if ward.is(Fault::HalfOpen) && ward.strikes() {
            ward.hold(Box::new(stream));
        } else if !ward.is(Fault::Killed) || ward.came().is_empty() {
            let _ = hand_on(&ward, &stream, to);
        }
    })
}

fn hand_on(ward: &Arc<Ward>, client: &TcpStream, to: u16) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", to))?;
    for stream in [client, &server] {
        ward.remember(stream.try_clone()?);
    }
    let slow = ward.is(Fault::Slow);
    pump(client.try_clone()?, server.try_clone()?, slow);
    pump(server, client.try_clone()?, false);
    Ok(())
}

fn pump(mut from: TcpStream, mut to: TcpStream, slow: bool) {
    thread::spawn(move || {
        let mut buffer = vec![0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
            if slow {
                thread::park_timeout(Duration::from_millis(1));
            }
        }
        let _ = from.shutdown(Shutdown::Read);
        let _ = to.shutdown(Shutdown::Write);
    });
}
