//! The fault table: each way out, each fault of its receiver, and what has to come of it. docs/SINKS.md shows it; it is made
//! of the same expectations that are demanded here, and `BLESS=1` writes it.
#![expect(
    clippy::wildcard_enum_match_arm,
    clippy::match_same_arms,
    reason = "a table says the exceptions, one a line, and then the rule"
)]

mod page;
mod play;
mod receive;
mod relay;

use tokio::task::LocalSet;

use super::*;

/// A way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    File,
    Stdout,
    Tcp,
    Tls,
    Udp,
    Local,
    Webhook,
    Elasticsearch,
    Splunk,
    /// Splunk with indexer acknowledgement.
    Acknowledged,
    Otlp,
    Grpc,
    Kafka,
}

impl Way {
    const ALL: [Way; 13] = [
        Way::File,
        Way::Stdout,
        Way::Tcp,
        Way::Tls,
        Way::Udp,
        Way::Local,
        Way::Webhook,
        Way::Elasticsearch,
        Way::Splunk,
        Way::Acknowledged,
        Way::Otlp,
        Way::Grpc,
        Way::Kafka,
    ];

    fn name(self) -> &'static str {
        match self {
            Way::File => "`file`",
            Way::Stdout => "`stdout`",
            Way::Tcp => "`syslog`, tcp",
            Way::Tls => "`syslog`, tls",
            Way::Udp => "`syslog`, udp",
            Way::Local => "`syslog`, local",
            Way::Webhook => "`webhook`",
            Way::Elasticsearch => "`elasticsearch`",
            Way::Splunk => "`splunk`",
            Way::Acknowledged => "`splunk`, `acknowledge`",
            Way::Otlp => "`otlp`, JSON",
            Way::Grpc => "`otlp`, gRPC",
            Way::Kafka => "`kafka`",
        }
    }

    /// Its protocol is spoken by a library; what is wrong is wrong before that.
    fn is_relayed(self) -> bool {
        matches!(self, Way::Grpc | Way::Kafka)
    }

    /// Over HTTP.
    fn answers(self) -> bool {
        matches!(self, Way::Webhook | Way::Elasticsearch | Way::Splunk | Way::Acknowledged | Way::Otlp)
    }
}

/// What is wrong with a receiver, or with the way there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Killed,
    Slow,
    Absent,
    Busy,
    HalfOpen,
    Cut,
    Error,
    Nonsense,
    EndlessHead,
    EndlessBody,
    Unacknowledged,
    Expired,
    Nameless,
    Hour,
}

impl Fault {
    const ALL: [Fault; 14] = [
        Fault::Killed,
        Fault::Slow,
        Fault::Absent,
        Fault::Busy,
        Fault::HalfOpen,
        Fault::Cut,
        Fault::Error,
        Fault::Nonsense,
        Fault::EndlessHead,
        Fault::EndlessBody,
        Fault::Unacknowledged,
        Fault::Expired,
        Fault::Nameless,
        Fault::Hour,
    ];

    fn name(self) -> &'static str {
        match self {
            Fault::Killed => "killed",
            Fault::Slow => "slow",
            Fault::Absent => "not there",
            Fault::Busy => "refuses",
            Fault::HalfOpen => "half-open",
            Fault::Cut => "stops in mid-answer",
            Fault::Error => "error in a 200",
            Fault::Nonsense => "a 200 of somebody else",
            Fault::EndlessHead => "endless head",
            Fault::EndlessBody => "endless body",
            Fault::Unacknowledged => "never acknowledges",
            Fault::Expired => "certificate expired",
            Fault::Nameless => "name gone",
            Fault::Hour => "away for an hour",
        }
    }

    /// What it does, as the page says it.
    fn what(self) -> &'static str {
        match self {
            Fault::Killed => "dies with records it has read and not answered, comes back later",
            Fault::Slow => "reads 4 KiB a millisecond",
            Fault::Absent => "nobody listens (no folder, no socket), then somebody does",
            Fault::Busy => "503, then 429 (a file: the disk is full), then well",
            Fault::HalfOpen => "accepts and neither reads nor answers, twice",
            Fault::Cut => "has the records and sends the head and one byte of its answer, twice",
            Fault::Error => "has nothing, and its 200 says so, twice",
            Fault::Nonsense => "a page to log in answers 200, twice",
            Fault::EndlessHead => "has the records, and its answer's head never ends, twice",
            Fault::EndlessBody => {
                "has the records, and its answer never ends, twice; of syslog: talks without end, once"
            }
            Fault::Unacknowledged => "has the records, and indexers never say so, twice",
            Fault::Expired => "its certificate is out of date, then renewed",
            Fault::Nameless => "its name has no address, then one",
            Fault::Hour => "nobody listens for an hour (of a clock that the test winds)",
        }
    }

    /// Whether it is a request that meets it.
    fn is_of_requests(self) -> bool {
        use Fault::{Busy, Cut, EndlessBody, EndlessHead, Error, Nonsense, Unacknowledged};
        matches!(self, Busy | Cut | Error | Nonsense | EndlessHead | EndlessBody | Unacknowledged)
    }
}

/// What has to come of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Every record comes, in order; so many come once more.
    Whole(usize),
    /// What comes is in order, and nothing is missing but what this says.
    Lossy(&'static str),
    /// The cell cannot be, or is shown elsewhere.
    Not(&'static str),
}

const NO_OTHER_SIDE: &str = "a file has no other side that could do this";
const NO_ANSWER: &str = "syslog has no answer that could be wrong";
const NO_PIPE: &str = "a pipe has no answer, and is there from the start";
const NO_NETWORK: &str = "does not go over the network";
const NO_TLS: &str = "no certificate is asked for";
const OWN: &str =
    "tests of its own show it (`tests/sinks_grpc.rs`, `tests/kafka.rs`, `tests/kafka_cluster.rs`)";
const OFF: &str = "nothing is acknowledged";
const ANY_2XX: &str =
    "any 2xx takes the batch: that is all the protocol says, so what stands in the answer cannot be judged";
const PIPE: &str = "a closed pipe ends the sink (a test of its own shows it); its cursor stays";
const DATAGRAMS: &str = "a datagram that nobody reads is lost, and nobody can tell";
const QUEUE: &str = "what was in the queue of the socket dies with it";

/// The table.
fn expected(way: Way, fault: Fault) -> Expected {
    use Expected::{Lossy, Not, Whole};
    const FIRST: usize = play::FIRST;
    match (way, fault) {
        (Way::File, Fault::Absent | Fault::Busy) => Whole(0),
        (Way::File, _) => Not(NO_OTHER_SIDE),
        (Way::Stdout, Fault::Slow | Fault::HalfOpen) => Whole(0),
        (Way::Stdout, Fault::Killed) => Not(PIPE),
        (Way::Stdout, _) => Not(NO_PIPE),
        (way, Fault::Unacknowledged) if way.is_relayed() => Not(OFF),
        (way, fault) if way.is_relayed() && fault.is_of_requests() => Not(OWN),
        (way, Fault::Killed) if way.is_relayed() => Whole(FIRST),
        (Way::Tls | Way::Grpc | Way::Kafka, Fault::Expired) => Whole(0),
        (way, Fault::Expired) if !way.answers() => Not(NO_TLS),
        (Way::Acknowledged, Fault::Unacknowledged) => Whole(2 * FIRST),
        (_, Fault::Unacknowledged) => Not(OFF),
        (Way::Udp, Fault::HalfOpen) => Not(DATAGRAMS),
        (Way::Udp, Fault::Killed | Fault::Slow | Fault::Absent | Fault::Nameless | Fault::Hour) => {
            Lossy(DATAGRAMS)
        }
        (Way::Local, Fault::Nameless) => Not(NO_NETWORK),
        (Way::Local, Fault::Killed) => Lossy(QUEUE),
        (Way::Tcp | Way::Tls, Fault::EndlessBody) => Whole(play::SENT),
        (Way::Tcp | Way::Tls, Fault::Killed) => Whole(receive::READ),
        (
            _,
            Fault::Slow | Fault::Absent | Fault::HalfOpen | Fault::Nameless | Fault::Hour | Fault::Expired,
        ) => Whole(0),
        (way, _) if !way.answers() => Not(NO_ANSWER),
        (_, Fault::Killed) => Whole(FIRST),
        (_, Fault::Busy) => Whole(0),
        (Way::Webhook, Fault::Error | Fault::Nonsense) => Not(ANY_2XX),
        // The 2xx is all that matters to it.
        (Way::Webhook, Fault::EndlessBody) => Whole(0),
        (_, Fault::Error | Fault::Nonsense) => Whole(0),
        (_, Fault::Cut | Fault::EndlessHead | Fault::EndlessBody) => Whole(2 * FIRST),
    }
}

/// Plays a fault against every way that can have it, all at once.
async fn all(fault: Fault) {
    // A store belongs to one thread.
    let here = LocalSet::new();
    let playing = Way::ALL.map(|way| match expected(way, fault) {
        Expected::Not(_) => None,
        expected => Some((way, expected, here.spawn_local(play::play(way, fault)))),
    });
    here.await;
    for (way, expected, playing) in playing.into_iter().flatten() {
        let seen = playing.await.unwrap_or_else(|_| panic!("{way:?}, {fault:?}: see above"));
        seen.judge(way, fault, expected);
    }
}

macro_rules! faults {
    ($($name:ident: $fault:ident),* $(,)?) => {$(
        #[tokio::test]
        async fn $name() {
            all(Fault::$fault).await;
        }
    )*};
}

faults! {
    killed: Killed,
    slow: Slow,
    not_there: Absent,
    refusing: Busy,
    half_open: HalfOpen,
    stopping_in_mid_answer: Cut,
    an_error_in_a_success: Error,
    a_success_of_somebody_else: Nonsense,
    an_endless_head: EndlessHead,
    an_endless_body: EndlessBody,
    never_acknowledging: Unacknowledged,
    an_expired_certificate: Expired,
}

/// An hour passes as fast as nothing happens in it.
#[tokio::test(start_paused = true)]
async fn away_for_an_hour() {
    all(Fault::Hour).await;
}

/// Set in the process that has hosts of its own.
const HOSTS: &str = "SPOOR_TEST_HOSTS";

/// Run by the test below where /etc/hosts is a file of its own.
#[tokio::test]
async fn child_with_hosts_of_its_own() {
    if std::env::var_os(HOSTS).is_some() {
        all(Fault::Nameless).await;
    }
}

#[test]
fn a_name_that_is_gone_and_comes_back() {
    use std::process::Command;
    let dir = TempDir::new().unwrap();
    for (name, text) in [("hosts", ""), ("nsswitch.conf", "hosts: files\n"), ("resolv.conf", "")] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let apart: &[&str] = if nix::unistd::geteuid().is_root() {
        &["--mount"]
    } else {
        &["--user", "--map-current-user", "--keep-caps", "--mount"]
    };
    let may = Command::new("unshare").args(apart).arg("true").status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("SKIP: this kernel or user permits no namespaces, in which names come and go");
        return;
    }
    let script = "for f in hosts nsswitch.conf resolv.conf; do \
        if [ -e /etc/$f ]; then mount --bind \"$0/$f\" /etc/$f || exit 9; fi; done; shift; exec \"$@\"";
    let child = "forward::tests::table::child_with_hosts_of_its_own";
    let output = Command::new("unshare")
        .args(apart)
        .args(["sh", "-c", script])
        .arg(dir.path())
        .arg("--")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", child, "--nocapture"])
        .env(HOSTS, dir.path().join("hosts"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
