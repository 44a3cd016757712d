//! OTLP over gRPC, against a server by another hand: what is sent, and what each answer of the protocol costs.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::certificates::Authority;
use super::collector::{Collector, Step, records, seq};
use super::servers::Server;
use super::sinks_http::{drain, state};
use super::*;
use crate::config::{Auth, Format, Http, Otlp, OtlpProtocol, Secret, TlsFiles};
use crate::forward::http::ANSWER_PATIENCE;
use crate::forward::http::Grpc;

const MIB: usize = 1 << 20;

fn to(url: String) -> Otlp {
    let http = Http { url, tls: TlsFiles::default(), auth: Auth::Bearer, secret: None, gzip: false };
    Otlp { http, protocol: OtlpProtocol::Grpc, max_request: 4 * MIB }
}

fn config(otlp: Otlp) -> SinkConfig {
    SinkConfig { format: Format::OtelProtobuf, ..SinkConfig::plain("test", SinkKind::Otlp(otlp)) }
}

/// A sink with less patience than a real one, for who never answers.
fn impatient(bench: &Bench, otlp: Otlp) -> Sink {
    let output = Grpc::new(otlp.clone()).through(None).patient(Duration::from_millis(400));
    bench.sink_of(config(otlp)).with_output(Box::new(output))
}

fn all(bench: &Bench) -> Vec<u64> {
    (1..=bench.store.last_seq()).collect()
}

/// What came, without repetitions: in order, and complete.
fn complete(bench: &Bench, taken: &[u64]) {
    let mut seen = std::collections::BTreeSet::new();
    let first_time: Vec<u64> = taken.iter().copied().filter(|seq| seen.insert(*seq)).collect();
    assert_eq!(first_time, all(bench));
}

async fn settled(bench: &Bench) {
    let last = bench.store.last_seq();
    until("everything settled", || bench.store.cursor("test").unwrap() == last).await;
}

fn asks_for(time: Duration) -> Status {
    let details = ErrorDetails::with_retry_info(Some(time));
    Status::with_error_details(Code::ResourceExhausted, "full", details)
}

#[tokio::test]
async fn grpc_over_mutual_tls_with_the_token_and_certificates_of_the_day() {
    let mut bench = Bench::new();
    bench.night();
    let authority = bench.authority();
    let token = bench.dir.path().join("token");
    fs::write(&token, "sesame\n").unwrap();
    let tokens: Arc<Mutex<Vec<String>>> = Arc::default();
    let theirs = Arc::clone(&tokens);
    let tls = Some(authority.server("server", true));
    let collector = Collector::start(0, tls, [], move |metadata, request| {
        let text = |name: &str| metadata.get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(text("user-agent").unwrap(), concat!("spoor/", env!("CARGO_PKG_VERSION")));
        assert_eq!(text("grpc-timeout").unwrap(), format!("{}u", ANSWER_PATIENCE.as_micros()));
        let encoding = text("grpc-encoding").unwrap_or_else(|| "none".to_owned());
        theirs.lock().unwrap().push(format!("{}, {encoding}", text("authorization").unwrap()));
        let resource = &request.resource_logs[0];
        assert_eq!(request.resource_logs.len(), 1);
        assert_eq!(resource.resource.as_ref().unwrap().attributes.len(), 6);
        assert_eq!(resource.scope_logs[0].scope.as_ref().unwrap().name, "spoor");
        for record in records(request) {
            assert!(record.time_unix_nano > 0 && record.observed_time_unix_nano > 0);
            assert!(record.event_name.starts_with("spoor.") && record.body.is_some());
            assert!(matches!((record.trace_id.len(), record.span_id.len()), (16, 8) | (0, 0)));
        }
        None
    })
    .await;
    let own = Some(authority.sign("client"));
    let mut otlp = to(collector.url("https"));
    otlp.http.tls = authority.files(own);
    otlp.http.secret = Some(Secret::File(token.clone()));
    let sink = tokio::spawn(bench.sink_of(config(otlp.clone())).run());
    settled(&bench).await;
    bench.night();
    settled(&bench).await;
    assert_eq!(collector.connections(), 1, "one connection for all");
    // Both are rotated between two batches: a new connection, with the new certificate.
    fs::write(&token, "sesame2").unwrap();
    authority.sign("client");
    bench.night();
    settled(&bench).await;
    assert_eq!(collector.connections(), 2);
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    otlp.http.gzip = true;
    bench.night();
    drain(&bench, config(otlp)).await;
    assert_eq!(collector.taken(), all(&bench));
    assert_eq!(bench.ledger.forward_retries.get(), 0);
    let tokens = tokens.lock().unwrap();
    let expected = ["Bearer sesame, none", "Bearer sesame2, none", "Bearer sesame2, gzip"];
    assert!(tokens.iter().all(|token| expected.contains(&token.as_str())), "{tokens:?}");
    assert!(expected.iter().all(|one| tokens.iter().any(|token| token == one)), "{tokens:?}");
}

#[tokio::test]
async fn every_answer_of_grpc_costs_what_the_protocol_says() {
    const WAITS: [Code; 9] = [
        Code::Cancelled,
        Code::DeadlineExceeded,
        Code::Aborted,
        Code::OutOfRange,
        Code::Unavailable,
        Code::DataLoss,
        // Against the letter: a person has to do something, and no record is lost until then.
        Code::Unauthenticated,
        Code::PermissionDenied,
        Code::Unimplemented,
    ];
    const NEVER: [Code; 7] = [
        Code::Unknown,
        Code::InvalidArgument,
        Code::NotFound,
        Code::AlreadyExists,
        Code::FailedPrecondition,
        Code::Internal,
        Code::ResourceExhausted, // without a time
    ];
    for code in WAITS {
        let mut bench = Bench::new();
        bench.night();
        let collector =
            Collector::start(0, None, [Step::Say(Err(Status::new(code, "no")))], |_, _| None).await;
        let sink = tokio::spawn(bench.sink_of(config(to(collector.url("http")))).run());
        settled(&bench).await;
        assert_eq!(bench.end(sink).await, SinkEnd::Drained);
        assert_eq!(collector.taken(), all(&bench), "{code:?}");
        let state = state(&bench);
        assert_eq!((state.retries, state.set_aside), (1, 0), "{code:?}");
        assert_eq!((collector.requests(), collector.connections()), (2, 1), "{code:?}");
    }
    for code in NEVER {
        let mut bench = Bench::new();
        bench.night();
        // Halved until the one record is found.
        let collector = Collector::start(0, None, [], move |_, request| {
            let bad = records(request).any(|record| seq(record) == 5);
            bad.then(|| Status::new(code, "5 is not for us"))
        })
        .await;
        drain(&bench, config(to(collector.url("http")))).await;
        let mut expected = all(&bench);
        expected.retain(|seq| *seq != 5);
        assert_eq!(collector.taken(), expected, "{code:?}");
        let state = state(&bench);
        assert_eq!((state.retries, state.set_aside, state.listed[0].seq), (0, 1, 5), "{code:?}");
        assert_eq!(state.listed[0].reason, format!("{code:?}: 5 is not for us"));
    }
}

#[tokio::test]
async fn a_collector_that_is_full_says_for_how_long_and_gets_that() {
    let mut bench = Bench::new();
    bench.night();
    let wait = Duration::from_millis(700);
    let collector = Collector::start(0, None, [Step::Say(Err(asks_for(wait)))], |_, _| None).await;
    let sink = tokio::spawn(bench.sink_of(config(to(collector.url("http")))).run());
    until("the first request", || collector.requests() == 1).await;
    let refused = Instant::now();
    settled(&bench).await;
    assert!(refused.elapsed() >= wait - Duration::from_millis(50), "{:?}", refused.elapsed());
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    assert_eq!(collector.taken(), all(&bench));
    assert_eq!(state(&bench).set_aside, 0);
}

#[tokio::test]
async fn a_partial_success_is_not_sent_again_and_a_warning_costs_nothing() {
    let mut bench = Bench::new();
    bench.night();
    let partial = |rejected_log_records, text: &str| {
        let error_message = text.to_owned();
        let partial_success = Some(ExportLogsPartialSuccess { rejected_log_records, error_message });
        Step::Say(Ok(ExportLogsServiceResponse { partial_success }))
    };
    let token = bench.dir.path().join("token");
    fs::write(&token, "sesame").unwrap();
    let steps = [partial(2, "too old, says sesame"), partial(0, "you are old-fashioned")];
    let collector = Collector::start(0, None, steps, |_, _| None).await;
    let mut otlp = to(collector.url("http"));
    otlp.http.secret = Some(Secret::File(token));
    drain(&bench, config(otlp.clone())).await;
    let night = bench.store.last_seq();
    let first = state(&bench);
    assert_eq!((first.taken, first.set_aside, collector.requests()), (0, night, 1));
    let reason = format!("one of {night}, of which 2 rejected: too old, says [redacted]");
    assert_eq!(first.listed[0].reason, reason);
    bench.night();
    drain(&bench, config(otlp)).await;
    let state = state(&bench);
    assert_eq!((state.taken, state.set_aside), (night, night));
}

#[tokio::test]
async fn grpc_refusing_silent_lying_and_killed() {
    let mut bench = Bench::new();
    let steps = [
        Step::Say(Err(Status::unavailable("busy"))),
        Step::Say(Err(asks_for(Duration::ZERO))),
        Step::Silence,
        // It has them, and says the opposite.
        Step::TakeAndSay(Status::unavailable("oops")),
        Step::Say(Err(Status::unauthenticated("who is this?"))),
        Step::Silence,
    ];
    let collector = Collector::start(0, None, steps, |_, _| None).await;
    let (port, url) = (collector.port, collector.url("http"));
    let sink = tokio::spawn(impatient(&bench, to(url)).run());
    for _ in 0..5 {
        bench.night();
        tokio::task::yield_now().await;
    }
    settled(&bench).await;
    let mut taken = collector.taken();
    let retries = bench.ledger.forward_retries.get();
    assert!(retries >= 6, "{retries}");
    // Killed, with its connections, and back on the same port.
    drop(collector);
    bench.night();
    until("a retry", || bench.ledger.forward_retries.get() > retries).await;
    let collector = Collector::start(port, None, [], |_, _| None).await;
    settled(&bench).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    taken.extend(collector.taken());
    complete(&bench, &taken);
    assert_eq!(state(&bench).set_aside, 0);
}

#[tokio::test]
async fn a_collector_restarted_while_there_is_nothing_to_do_costs_nothing() {
    let mut bench = Bench::new();
    bench.night();
    let first = Collector::start(0, None, [], |_, _| None).await;
    let (port, url) = (first.port, first.url("http"));
    let sink = tokio::spawn(bench.sink_of(config(to(url))).run());
    settled(&bench).await;
    let mut taken = first.taken();
    drop(first);
    until("the port is free", || TcpListener::bind(("127.0.0.1", port)).is_ok()).await;
    let second = Collector::start(port, None, [], |_, _| None).await;
    bench.night();
    settled(&bench).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    taken.extend(second.taken());
    assert_eq!(taken, all(&bench));
}

#[tokio::test]
async fn an_expired_certificate_stops_grpc_until_it_is_renewed() {
    let mut bench = Bench::new();
    bench.night();
    let authority = Authority::new(&bench.dir.path().join("tls"));
    authority.sign_until("server", 2021);
    let expired = Collector::start(0, Some(authority.server("server", false)), [], |_, _| None).await;
    let (port, url) = (expired.port, expired.url("https"));
    let mut otlp = to(url);
    otlp.http.tls = authority.files(None);
    let sink = tokio::spawn(bench.sink_of(config(otlp)).run());
    until("two retries", || bench.ledger.forward_retries.get() >= 2).await;
    let error = state(&bench).error.unwrap().0;
    assert!(error.contains("expired"), "{error}");
    assert_eq!(expired.requests(), 0);
    drop(expired);
    authority.sign("server");
    let tls = authority.server("server", false);
    until("the port is free", || TcpListener::bind(("127.0.0.1", port)).is_ok()).await;
    let renewed = Collector::start(port, Some(tls), [], |_, _| None).await;
    settled(&bench).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    assert_eq!(renewed.taken(), all(&bench));
}

/// Answers HTTP/2 as something that is no collector.
async fn stranger(answer: fn() -> hyper::Response<String>) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = hyper::service::service_fn(move |_| async move { Ok::<_, io::Error>(answer()) });
            let executor = hyper_util::rt::TokioExecutor::new();
            let server = hyper::server::conn::http2::Builder::new(executor);
            tokio::spawn(server.serve_connection(hyper_util::rt::TokioIo::new(stream), service));
        }
    });
    port
}

#[tokio::test]
async fn whoever_is_no_collector_costs_no_record() {
    let page = || {
        let answer = hyper::Response::builder().header("content-type", "text/html");
        answer.body("<html>welcome</html>".to_owned()).unwrap()
    };
    // A message, and then nothing of how it went: a balancer gave up in between.
    let torn = || {
        let answer = hyper::Response::builder().header("content-type", "application/grpc");
        answer.body("\0\0\0\0\0".to_owned()).unwrap()
    };
    let missing = || hyper::Response::builder().status(404).body(String::new()).unwrap();
    let odd = || hyper::Response::builder().status(400).body(String::new()).unwrap();
    // It went well, and there is no message.
    let empty = || {
        let answer = hyper::Response::builder().header("content-type", "application/grpc");
        answer.header("grpc-status", "0").body(String::new()).unwrap()
    };
    const WHY: [&str; 5] = [
        "invalid compression flag",
        "missing grpc-status",
        "HTTP status code 404",
        "HTTP status code 400",
        "Missing response message",
    ];
    let answers: [fn() -> hyper::Response<String>; 5] = [page, torn, missing, odd, empty];
    for (number, answer) in answers.into_iter().enumerate() {
        let mut bench = Bench::new();
        bench.night();
        let port = stranger(answer).await;
        let sink = tokio::spawn(bench.sink_of(config(to(format!("http://127.0.0.1:{port}")))).run());
        until("two retries", || bench.ledger.forward_retries.get() >= 2).await;
        bench.stop.send_replace(Some(Stop::drained(Duration::from_millis(50))));
        assert_eq!(sink.await.unwrap(), SinkEnd::Deadline);
        let state = state(&bench);
        assert_eq!((state.cursor, state.taken, state.set_aside), (0, 0, 0), "{number}");
        let error = state.error.unwrap().0;
        assert!(error.contains(WHY[number]), "{number}: {error}");
    }
}

#[tokio::test]
async fn a_half_open_collector_is_given_up_and_cannot_hold_the_stop() {
    let mut bench = Bench::new();
    bench.night();
    // Accepts, and never reads or answers.
    let open = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&open);
    let server = Server::start(0, None, move |stream| kept.lock().unwrap().push(stream));
    let otlp = to(format!("http://{}", server.address()));
    let sink = tokio::spawn(impatient(&bench, otlp.clone()).run());
    until("two connections", || server.connections.load(Ordering::SeqCst) >= 2).await;
    let error = state(&bench).error.unwrap().0;
    assert!(error.contains("no answer within 400ms"), "{error}");
    // What was given up is closed, too.
    let mut first = open.lock().unwrap().remove(0);
    let read = tokio::task::spawn_blocking(move || first.read_to_end(&mut Vec::new()));
    assert!(read.await.unwrap().unwrap() > 0);
    bench.stop.send_replace(Some(Stop::drained(Duration::from_millis(50))));
    assert_eq!(sink.await.unwrap(), SinkEnd::Deadline);
    bench.stop.send_replace(None);
    // With all its patience, too.
    let before = server.connections.load(Ordering::SeqCst);
    let sink = tokio::spawn(bench.sink_of(config(otlp)).run());
    until("a connection", || server.connections.load(Ordering::SeqCst) > before).await;
    bench.stop.send_replace(Some(Stop::drained(Duration::from_millis(200))));
    assert_eq!(sink.await.unwrap(), SinkEnd::Deadline);
}

#[tokio::test]
async fn no_request_is_longer_than_the_collector_takes() {
    let mut bench = Bench::new();
    for _ in 0..4 {
        bench.night();
    }
    let collector = Collector::start(0, None, [], |_, _| None).await;
    let mut otlp = to(collector.url("http"));
    // Fits the smaller ones of the records alone.
    otlp.max_request = 2_500;
    drain(&bench, config(otlp)).await;
    let state = state(&bench);
    assert!(state.taken > 0 && state.set_aside > 0, "{state:?}");
    assert!(state.listed.iter().all(|one| one.reason.ends_with("and `max_request` is 2500")), "{state:?}");
    let mut every = collector.taken();
    every.extend(state.listed.iter().map(|one| one.seq));
    every.sort_unstable();
    assert_eq!(every, all(&bench));
}

/// A proxy that asks who comes, and then passes on both ways. Counts those.
async fn proxy() -> (u16, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let passed = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&passed);
    tokio::spawn(async move {
        loop {
            let (mut one, _) = listener.accept().await.unwrap();
            let passed = Arc::clone(&theirs);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(one.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let target = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
                if !head.to_lowercase().contains("\r\nproxy-authorization: basic bwu6c2vzyw1l\r\n") {
                    one.write_all(b"HTTP/1.1 407 No\r\n\r\n").await.unwrap();
                    return;
                }
                let mut other = tokio::net::TcpStream::connect(target).await.unwrap();
                one.write_all(b"HTTP/1.1 200 Yes\r\n\r\n").await.unwrap();
                passed.fetch_add(1, Ordering::SeqCst);
                let _ = tokio::io::copy_bidirectional(&mut one, &mut other).await;
            });
        }
    });
    (port, passed)
}

#[tokio::test]
async fn grpc_goes_through_a_proxy_that_knows_us_and_says_why_not() {
    let mut bench = Bench::new();
    bench.night();
    let authority = bench.authority();
    let collector = Collector::start(0, Some(authority.server("server", false)), [], |_, _| None).await;
    let (port, passed) = proxy().await;
    let mut otlp = to(collector.url("https"));
    otlp.http.tls = authority.files(None);
    let run = |proxy: &str| {
        let proxy = Some(ureq::Proxy::new(proxy).unwrap());
        let output = Grpc::new(otlp.clone()).through(proxy);
        tokio::spawn(bench.sink_of(config(otlp.clone())).with_output(Box::new(output)).run())
    };
    let unknown = format!("http://127.0.0.1:{port}");
    let other = format!("socks5://127.0.0.1:{port}");
    for (proxy, why) in [(unknown, "authorization required"), (other, "none of http://")] {
        let before = bench.ledger.forward_retries.get();
        let sink = run(&proxy);
        until("a retry", || bench.ledger.forward_retries.get() > before).await;
        let error = state(&bench).error.unwrap().0;
        assert!(error.contains(why), "{error}");
        bench.stop.send_replace(Some(Stop::drained(Duration::from_millis(50))));
        assert_eq!(sink.await.unwrap(), SinkEnd::Deadline);
        bench.stop.send_replace(None);
    }
    assert_eq!((collector.connections(), passed.load(Ordering::SeqCst)), (0, 0));
    let sink = run(&format!("http://me:sesame@127.0.0.1:{port}"));
    settled(&bench).await;
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    assert_eq!((collector.taken(), passed.load(Ordering::SeqCst)), (all(&bench), 1));
}

#[tokio::test]
async fn a_receiver_that_does_not_know_http_2_is_told_as_such() {
    let mut bench = Bench::new();
    bench.night();
    let authority = bench.authority();
    let tls = Some(authority.server("server", false));
    let server = Server::start(0, tls, |mut stream| drop(stream.read_to_end(&mut Vec::new())));
    let mut otlp = to(format!("https://{}", server.address()));
    otlp.http.tls = authority.files(None);
    let sink = tokio::spawn(bench.sink_of(config(otlp)).run());
    until("a retry", || bench.ledger.forward_retries.get() >= 1).await;
    let error = state(&bench).error.unwrap().0;
    assert!(error.contains("does not speak HTTP/2"), "{error}");
    bench.stop.send_replace(Some(Stop::drained(Duration::from_millis(50))));
    assert_eq!(sink.await.unwrap(), SinkEnd::Deadline);
}
