//! What the agent says of itself.

use super::{MS, T0, builder};
use crate::hex;
use crate::record::{Builder, Coverage, NONE, Own, OwnSink, Record, SignalCoverage, Signed, rfc3339};

/// What the agent says of itself.
pub(super) fn agent() -> Vec<Record> {
    let mut builder = builder(1);
    builder.learning(Some(1_767_927_600_000_000_000));
    let signal = |signal: &str, tier: &str, attach: &str| SignalCoverage {
        signal: signal.to_owned(),
        tier: Some(tier.to_owned()),
        attach: vec![attach.to_owned()],
        proven: true,
        ..SignalCoverage::default()
    };
    let mut connect = signal("connect", "kprobe", "kprobe/security_socket_connect");
    connect.blind = vec!["connections that io_uring asks for".to_owned()];
    connect.refused = vec![("lsm".to_owned(), "bpf is not in the list of active LSMs".to_owned())];
    let unseen = SignalCoverage { signal: "connect.outcome".to_owned(), ..SignalCoverage::default() };
    let coverage = Coverage {
        agent_version: "0.1.0".to_owned(),
        kernel: "6.1.0-18-amd64".to_owned(),
        signals: vec![signal("secret.open", "lsm", "lsm/file_open"), connect, unseen],
        scope: vec!["cgroup:/system.slice/backup.service".to_owned()],
        config: None,
        purposes: None,
        own: Some(Box::new(own())),
    };
    vec![
        builder.coverage(T0, &coverage),
        builder.heartbeat(
            T0 + 60_000 * MS,
            &[("samples_read".to_owned(), 4_211), ("samples_dropped".to_owned(), 0)],
        ),
        builder.stopped(
            T0 + 61_000 * MS,
            &[("samples_read".to_owned(), 4_300), ("samples_dropped".to_owned(), 0)],
        ),
        head(&mut builder),
    ]
}

fn own() -> Own {
    let sink = |name: &str, kind: &str, to: &[&str]| OwnSink {
        name: name.to_owned(),
        kind: kind.to_owned(),
        to: to.iter().map(|&to| to.to_owned()).collect(),
    };
    Own {
        pid: 640,
        start_ns: Some(9_120_000_000),
        exe: b"/usr/bin/spoor".to_vec(),
        store: b"/var/lib/spoor".to_vec(),
        status: b"/var/lib/spoor/status.sock".to_vec(),
        listen: Some("127.0.0.1:9464".to_owned()),
        pods: Some("127.0.0.1:10250".to_owned()),
        sinks: vec![
            sink("siem", "webhook", &["siem.example.com:443"]),
            sink("bus", "kafka", &["broker-1.example.com:9093", "broker-2.example.com:9093"]),
        ],
    }
}

/// With a note as long as a real one; nobody signed it.
fn head(builder: &mut Builder) -> Record {
    let hash = hex::encode(&NONE);
    let (host, time_ns) = builder.signs(T0 + 61_000 * MS);
    let note = format!(
        "spoor head v1\nhost {host}\nseq 3\nhash {hash}\nsince 0 {hash}\nrecords 3\ntime {}\n\n\u{2014} spoor/{host} AAAA\n",
        rfc3339(time_ns)
    );
    let key = "spoor/6f1d+00000000+AQ==".to_owned();
    builder.signed(T0 + 61_000 * MS, &Signed { key, seq: 3, hash, note })
}
