//! Faults one after another, what a sink says of them, and how long it can be held. `table` has each fault by itself.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::certificates::Authority;
use super::servers::{Came, Server, Stream, answer, free_port, http, octet_counted};
use super::sinks_syslog::{complete, syslog};
use super::*;
use crate::config::{Auth, Http, SyslogTo, TlsFiles};
use crate::store::sinks;

fn webhook(url: String, tls: TlsFiles) -> SinkKind {
    SinkKind::Webhook(Http { url, tls, auth: Auth::Bearer, secret: None, gzip: false })
}

/// Numbers of the records in lines, as messages for [`complete`].
fn note(came: &Came, text: &str) {
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        came.lock().unwrap().push(format!(" seq=\"{}\" ", record["seq"]));
    }
}

/// Stores nights while a sink runs, until the receiver has the last record.
async fn all_arrive(bench: &mut Bench, kind: SinkKind, came: &Came) {
    let sink = tokio::spawn(bench.sink(kind).run());
    for _ in 0..5 {
        bench.night();
        tokio::task::yield_now().await;
    }
    let last = bench.store.last_seq();
    until("the last record", || {
        let came = came.lock().unwrap();
        came.iter().any(|message| message.contains(&format!(" seq=\"{last}\"")))
    })
    .await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    complete(came, last);
    assert_eq!(bench.store.cursor("test").unwrap(), last);
}

#[tokio::test]
async fn http_refusing_dropping_lying_and_slow() {
    let mut bench = Bench::new();
    let came = Came::default();
    let theirs = Arc::clone(&came);
    let asked = AtomicUsize::new(0);
    let server = http(None, move |request| {
        match asked.fetch_add(1, Ordering::SeqCst) {
            0 => return (503, "", "busy".to_owned()),
            1 => return (429, "Retry-After: 0\r\n", String::new()),
            2 => return (500, "", "oops".to_owned()),
            // No answer at all.
            3 => return (0, "", String::new()),
            // It has them, and says the opposite.
            4 => {
                note(&theirs, request.text());
                return (502, "", String::new());
            }
            // It has them, and the answer is lost.
            5 => {
                note(&theirs, request.text());
                return (0, "", String::new());
            }
            _ => {}
        }
        note(&theirs, request.text());
        (200, "", String::new())
    });
    let kind = webhook(format!("http://{}", server.address()), TlsFiles::default());
    all_arrive(&mut bench, kind, &came).await;
}

#[tokio::test]
async fn a_receiver_that_was_away_for_long_gets_everything_and_memory_stays_flat() {
    let mut bench = Bench::new();
    let port = free_port();
    let kind = webhook(format!("http://127.0.0.1:{port}"), TlsFiles::default());
    let sink = tokio::spawn(bench.sink(kind).run());
    for _ in 0..100 {
        bench.night();
    }
    until("three retries", || bench.ledger.forward_retries.get() >= 3).await;
    let came = Came::default();
    let (theirs, largest) = (Arc::clone(&came), Arc::new(AtomicU64::new(0)));
    let seen = Arc::clone(&largest);
    let server = Server::start(port, None, move |stream: Box<dyn Stream>| {
        answer(stream, &|request| {
            seen.fetch_max(request.body.len() as u64, Ordering::SeqCst);
            note(&theirs, request.text());
            (200, "", String::new())
        });
    });
    let last = bench.store.last_seq();
    until("everything", || bench.store.cursor("test").unwrap() == last).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    complete(&came, last);
    // It never held more than one batch, whatever had piled up: the spool is the store.
    let largest = largest.load(Ordering::SeqCst);
    let all = bench.lines().len() as u64;
    assert!(largest <= 1_000_000 && largest < all / 2, "{largest} of {all}");
    assert_eq!(server.connections.load(Ordering::SeqCst), 1, "and over one connection");
}

#[tokio::test]
async fn an_expired_certificate_stops_a_sink_until_it_is_renewed() {
    let mut bench = Bench::new();
    bench.night();
    let authority = Authority::new(&bench.dir.path().join("tls"));
    authority.sign_until("server", 2021);
    let came = Came::default();
    let answering = |came: &Came| {
        let theirs = Arc::clone(came);
        move |stream: Box<dyn Stream>| {
            answer(stream, &|request| {
                note(&theirs, request.text());
                (200, "", String::new())
            });
        }
    };
    let expired = Server::start(0, Some(authority.server("server", false)), answering(&came));
    let port = expired.port;
    let kind = webhook(format!("https://{}", expired.address()), authority.files(None));
    let sink = tokio::spawn(bench.sink(kind).run());
    until("two retries", || bench.ledger.forward_retries.get() >= 2).await;
    let error = sinks(&bench.dir.path().join("store")).unwrap()[0].error.clone().unwrap().0;
    assert!(error.contains("expired"), "{error}");
    assert!(came.lock().unwrap().is_empty());
    drop(expired);
    authority.sign("server");
    let tls = authority.server("server", false);
    until("the port is free", || std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()).await;
    let _renewed = Server::start(port, Some(tls), answering(&came));
    let last = bench.store.last_seq();
    until("everything", || bench.store.cursor("test").unwrap() == last).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    complete(&came, last);
}

#[tokio::test]
async fn syslog_killed_slow_and_back_over_tcp_and_tls() {
    for secure in [false, true] {
        let mut bench = Bench::new();
        let authority = bench.authority();
        let came = Came::default();
        let theirs = Arc::clone(&came);
        // It dies after 3, 7, 15 and 31 messages, with what is in its buffers.
        let tls = secure.then(|| authority.server("server", false));
        let server = Server::start(0, tls, move |stream| {
            octet_counted(stream, &theirs, |count| matches!(count, 3 | 7 | 15 | 31));
        });
        let to = match secure {
            false => SyslogTo::Tcp(server.address()),
            true => SyslogTo::Tls(server.address(), authority.files(None)),
        };
        all_arrive(&mut bench, syslog(to), &came).await;
        assert_eq!(server.connections.load(Ordering::SeqCst), 5);
    }
}

#[tokio::test]
async fn a_half_open_receiver_cannot_hold_a_sink_beyond_its_deadline() {
    let mut bench = Bench::new();
    for _ in 0..40 {
        bench.night();
    }
    // Accepts, and never reads or answers.
    let open = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&open);
    let server = Server::start(0, None, move |stream| kept.lock().unwrap().push(stream));
    for kind in [
        syslog(SyslogTo::Tcp(server.address())),
        webhook(format!("http://{}", server.address()), TlsFiles::default()),
    ] {
        let before = server.connections.load(Ordering::SeqCst);
        let sink = tokio::spawn(bench.sink(kind).run());
        until("a connection", || server.connections.load(Ordering::SeqCst) > before).await;
        bench.stop.send_replace(Some(Stop::drained(Duration::from_millis(200))));
        assert_eq!(sink.await.unwrap(), SinkEnd::Deadline);
        bench.stop.send_replace(None);
    }
}
