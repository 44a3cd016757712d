//! Syslog, against a receiver that reads octet counting to the letter.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;

use super::certificates::Authority;
use super::servers::{Came, Server, octet_counted};
use super::*;
use crate::config::{Syslog, SyslogTo};
use crate::store::sinks;

pub(super) fn syslog(to: SyslogTo) -> SinkKind {
    SinkKind::Syslog(Syslog { to, facility: 13, max_record: 1 << 20 })
}

/// The numbers of the records that came, as the messages' structured data tell them.
pub(super) fn seqs(came: &Came) -> Vec<u64> {
    let came = came.lock().unwrap();
    let seq = |text: &String| text.split(" seq=\"").nth(1)?.split('"').next()?.parse().ok();
    came.iter().map(|text| seq(text).unwrap_or_else(|| panic!("no seq in {text}"))).collect()
}

/// What came, without repetitions: in order, and complete.
pub(super) fn complete(came: &Came, last: u64) {
    let mut seen = std::collections::BTreeSet::new();
    let first_time: Vec<u64> = seqs(came).into_iter().filter(|seq| seen.insert(*seq)).collect();
    assert_eq!(first_time, (1..=last).collect::<Vec<_>>());
}

#[tokio::test]
async fn tcp_gets_each_record_once_in_order_and_whole() {
    let mut bench = Bench::new();
    for _ in 0..20 {
        bench.night();
    }
    let came = Came::default();
    let theirs = Arc::clone(&came);
    let server = Server::start(0, None, move |stream| octet_counted(stream, &theirs, |_| false));
    let sink = tokio::spawn(bench.sink(syslog(SyslogTo::Tcp(server.address()))).run());
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    // The end waits for the receiver to have read it all and closed.
    assert_eq!(seqs(&came), (1..=bench.store.last_seq()).collect::<Vec<_>>());
    for (message, record) in came.lock().unwrap().iter().zip(&bench.made) {
        assert!(message.starts_with("<110>1 2026-01-02T03:0"), "{message}");
        assert_eq!(message.split_once("] ").unwrap().1.as_bytes(), record.body);
    }
    assert_eq!(server.connections.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test]
async fn after_a_broken_connection_the_last_records_come_again_and_none_is_missing() {
    let mut bench = Bench::new();
    for _ in 0..20 {
        bench.night();
    }
    let came = Came::default();
    let theirs = Arc::clone(&came);
    // It reads forty messages, drops the connection with what is in it, and is back at once; three times.
    let server = Server::start(0, None, move |stream| {
        octet_counted(stream, &theirs, |count| matches!(count, 40 | 80 | 120));
    });
    let sink = tokio::spawn(bench.sink(syslog(SyslogTo::Tcp(server.address()))).run());
    let last = bench.store.last_seq();
    until("the last record", || seqs(&came).contains(&last)).await;
    // Nothing more to send, nothing wrong any more.
    until("no error", || sinks(&bench.dir.path().join("store")).unwrap()[0].error.is_none()).await;
    for _ in 0..3 {
        bench.night();
        let last = bench.store.last_seq();
        until("the next night", || seqs(&came).contains(&last)).await;
    }
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    complete(&came, bench.store.last_seq());
}

#[tokio::test]
async fn tls_by_own_authority_with_a_certificate_of_ours_and_both_rotated() {
    let mut bench = Bench::new();
    bench.night();
    let authority = bench.authority();
    let own = authority.sign("client");
    let came = Came::default();
    let theirs = Arc::clone(&came);
    let server = Server::start(0, Some(authority.server("server", true)), move |stream| {
        octet_counted(stream, &theirs, |_| false);
    });
    let to = SyslogTo::Tls(server.address(), authority.files(Some(own)));
    let sink = tokio::spawn(bench.sink(syslog(to)).run());
    let last = bench.store.last_seq();
    until("the first night", || seqs(&came).contains(&last)).await;
    // Rotated: the next record goes over a new connection, with the new certificate.
    authority.sign("client");
    bench.night();
    let last = bench.store.last_seq();
    until("the second night", || seqs(&came).contains(&last)).await;
    assert_eq!(server.connections.load(std::sync::atomic::Ordering::SeqCst), 2);
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    assert_eq!(seqs(&came), (1..=last).collect::<Vec<_>>(), "a rotation in good order repeats nothing");
}

#[tokio::test]
async fn tls_with_an_expired_or_foreign_certificate_gets_nothing_and_says_why() {
    for expired in [true, false] {
        let mut bench = Bench::new();
        bench.night();
        let authority = Authority::new(&bench.dir.path().join("tls"));
        authority.sign_until("server", if expired { 2021 } else { 2099 });
        let came = Came::default();
        let theirs = Arc::clone(&came);
        let server = Server::start(0, Some(authority.server("server", false)), move |stream| {
            octet_counted(stream, &theirs, |_| false);
        });
        let mut files = authority.files(None);
        if !expired {
            Authority::new(&bench.dir.path().join("other"));
            files.ca = Some(bench.dir.path().join("other/ca.pem"));
        }
        let sink = tokio::spawn(bench.sink(syslog(SyslogTo::Tls(server.address(), files))).run());
        until("two retries", || bench.ledger.forward_retries.get() >= 2).await;
        let error = sinks(&bench.dir.path().join("store")).unwrap()[0].error.clone().unwrap().0;
        // The other authority has the same name and another key.
        let words = if expired { "expired" } else { "BadSignature" };
        assert!(error.contains("cannot connect to tls") && error.contains(words), "{error}");
        bench.stop.send_replace(Some(Stop::drained(Duration::from_millis(50))));
        assert_eq!(sink.await.unwrap(), SinkEnd::Deadline);
        assert!(came.lock().unwrap().is_empty());
        assert_eq!(bench.store.cursor("test").unwrap(), 0);
    }
}

#[tokio::test]
async fn udp_sends_a_datagram_a_record_and_sets_aside_what_is_too_long() {
    let mut bench = Bench::new();
    bench.night();
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = receiver.local_addr().unwrap().to_string();
    let kind = SinkKind::Syslog(Syslog { to: SyslogTo::Udp(address), facility: 16, max_record: 1_400 });
    let sink = tokio::spawn(bench.sink(kind).run());
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    let state = &sinks(&bench.dir.path().join("store")).unwrap()[0];
    assert!(state.set_aside > 0 && state.taken > 0, "{state:?}");
    assert!(state.listed.iter().all(|one| one.reason.contains("`max_record` is 1400")));
    let came = Came::default();
    for _ in 0..state.taken {
        let mut buffer = [0; 2_000];
        let count = receiver.recv(&mut buffer).unwrap();
        assert!(count <= 1_400);
        came.lock().unwrap().push(String::from_utf8(buffer[..count].to_vec()).unwrap());
    }
    let mut all: Vec<u64> = seqs(&came).into_iter().chain(state.listed.iter().map(|one| one.seq)).collect();
    all.sort_unstable();
    assert_eq!(all, (1..=bench.store.last_seq()).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_socket_of_this_host_may_come_and_go() {
    let mut bench = Bench::new();
    bench.night();
    let path = bench.dir.path().join("log");
    let sink = tokio::spawn(bench.sink(syslog(SyslogTo::Local(path.clone()))).run());
    until("a retry without a socket", || bench.ledger.forward_retries.get() >= 1).await;
    let came = Came::default();
    let listen = |count: usize| {
        let receiver = UnixDatagram::bind(&path).unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let came = Arc::clone(&came);
        tokio::task::spawn_blocking(move || {
            for _ in 0..count {
                let mut buffer = vec![0; 1 << 16];
                let count = receiver.recv(&mut buffer).unwrap();
                came.lock().unwrap().push(String::from_utf8(buffer[..count].to_vec()).unwrap());
            }
        })
    };
    let night = usize::try_from(bench.store.last_seq()).unwrap();
    listen(night).await.unwrap();
    // A logger that is started anew makes its socket anew.
    fs::remove_file(&path).unwrap();
    bench.night();
    let before = bench.ledger.forward_retries.get();
    until("a retry", || bench.ledger.forward_retries.get() > before).await;
    listen(night).await.unwrap();
    assert_eq!(bench.end(sink).await, SinkEnd::Drained);
    assert_eq!(seqs(&came), (1..=bench.store.last_seq()).collect::<Vec<_>>());
}
