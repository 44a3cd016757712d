//! A status with one of everything, for tests.

use super::*;
use crate::telemetry::Ledger;

fn text(text: &str) -> String {
    text.to_owned()
}

pub(crate) fn full() -> Status {
    let signal = |signal: &str, tier: Option<&str>| Signal {
        signal: text(signal),
        tier: tier.map(text),
        proven: tier.is_some(),
    };
    let sample = |kind: &str, read, dropped| Sample { kind: text(kind), read, dropped, repeated: 0 };
    Status {
        v: VERSION,
        degraded: vec![text("sink siem: connection refused")],
        not_ready: Vec::new(),
        agent: agent(),
        own: Own {
            memory_bytes: 40 << 20,
            memory_peak_bytes: 48 << 20,
            cpu_user_ms: 3_000,
            cpu_system_ms: 1_500,
            threads: 9,
            descriptors: 80,
        },
        scope: Vec::new(),
        signals: vec![signal("exec", Some("lsm")), signal("fork", Some("tracepoint")), signal("send", None)],
        samples: vec![sample("fork", 60, 0), sample("exec", 44, 3), sample("exit", 0, 0)],
        faults: vec![ProbeFault { source: text("lsm/file_open"), fault: text("path-cut"), count: 2 }],
        counters: counters(),
        chains_open: 5,
        processes: 230,
        store: store(),
        sinks: sinks(),
        purposes: Some(Purposes { count: 12, set: Some(text("ps1:abc")), refused: Vec::new() }),
        config: Some(Config {
            changed: vec![text("log.level")],
            waiting: vec![text("scope.cgroups")],
            refused: Vec::new(),
        }),
    }
}

fn agent() -> Agent {
    Agent {
        version: text("0.1.0"),
        pid: 812,
        started: text("2026-01-02T03:04:05Z"),
        started_seconds: 1_767_323_045,
        uptime_ms: 7_384_000,
        host: text("db7"),
        kernel: text("6.1.0"),
        config: Some(text("/etc/spoor/spoor.toml")),
        listen: Some(text("127.0.0.1:9464")),
    }
}

/// Everything that is counted.
fn counters() -> BTreeMap<String, u64> {
    let ledger = Ledger::default().snapshot().into_iter();
    let mut counters: BTreeMap<String, u64> = ledger.map(|(name, count)| (text(name), count)).collect();
    for (name, count) in [
        ("samples_produced", 107),
        ("samples_read", 104),
        ("samples_dropped", 3),
        ("actions_chained", 17),
        ("actions_together", 5),
        ("actions_folded", 2),
        ("log_lines_left_out", 0),
        ("probe_faults", 2),
        ("findings", 1),
    ] {
        counters.insert(text(name), count);
    }
    counters
}

fn store() -> Store {
    Store {
        path: text("/var/lib/spoor"),
        bytes: 12 << 20,
        max_bytes: 2 << 30,
        keep_seconds: 14 * 86_400,
        last_seq: 1_842,
        oldest_ns: Some(1_767_000_000_000_000_000),
        newest_ns: Some(1_767_330_429_000_000_000),
        error: None,
    }
}

fn sinks() -> Vec<Sink> {
    let well = Sink { name: text("local"), taken: 1_842, ..Sink::default() };
    let ill = Sink {
        name: text("siem"),
        lag_records: 12,
        lag_ms: 61_000,
        taken: 1_830,
        retries: 4,
        set_aside: 1,
        error: Some(text("connection refused")),
        error_ns: Some(1_767_330_420_000_000_000),
    };
    vec![well, ill]
}

#[test]
fn what_is_said_can_be_read_again() {
    let text = serde_json::to_string(&full()).unwrap();
    assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), full());
}
