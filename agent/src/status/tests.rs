//! Both doors, asked by others than our own client where it matters, by those who ask wrongly, and by too many.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::oneshot;

use super::testing::full;
use super::*;
use crate::config::Listen;
use crate::telemetry::Ledger;

/// How long a test waits for what must come.
const LONG: Duration = Duration::from_secs(30);

/// Doors that are served by a thread of their own until this goes.
struct Served {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
    ledger: Arc<Ledger>,
    /// Where HTTP is answered.
    http: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// Serves a status in a directory, and over HTTP.
fn serve(dir: &Path, listen: Listen, status: Status) -> Served {
    let (ledger, status) = (Arc::new(Ledger::default()), Arc::new(status));
    let (stop, stopped) = oneshot::channel();
    let (ready, is_ready) = channel();
    let (counts, dir) = (Arc::clone(&ledger), dir.to_owned());
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let ask: Ask = Arc::new(move || Arc::clone(&status));
            let http = http::Door::open(&listen).unwrap();
            let socket = socket::Door::open(&dir).unwrap();
            ready.send(http.address()).unwrap();
            tokio::select! {
                () = http.serve(Arc::clone(&ask), Arc::clone(&counts)) => {}
                () = socket.serve(ask, tokio::sync::mpsc::channel(1).0, counts) => {}
                _ = stopped => {}
            }
        });
    });
    let http = is_ready.recv().unwrap();
    Served { stop: Some(stop), thread: Some(thread), ledger, http }
}

fn any_port() -> Listen {
    Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// What is said to a question over HTTP.
fn get(at: &str, question: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(question.as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

/// Waits until something holds.
fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LONG, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[test]
fn the_socket_says_the_status_to_its_owner() {
    // Longer than an address of a socket may be.
    let outer = TempDir::new().unwrap();
    let dir = outer.path().join("d".repeat(150));
    std::fs::create_dir(&dir).unwrap();
    assert!(matches!(socket::status(&dir), Err(socket::AskError::NotRunning(_))), "nobody is there yet");
    let served = serve(&dir, any_port(), full());
    assert_eq!(socket::status(&dir).unwrap(), full());
    let mode = std::fs::metadata(dir.join(socket::FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(served);
    assert!(!dir.join(socket::FILE).exists(), "it goes with the agent");
    assert!(matches!(socket::status(&dir), Err(socket::AskError::NotRunning(_))));
}

#[test]
fn what_a_killed_agent_left_is_taken_over_and_a_file_is_not() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join(socket::FILE);
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(matches!(socket::status(dir.path()), Err(socket::AskError::NotRunning(_))), "left behind");
    drop(serve(dir.path(), any_port(), full()));
    std::fs::write(&path, "mine").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    assert!(socket::Door::open(dir.path()).unwrap_err().to_string().contains("no socket"));
    assert!(http::Door::open(&Listen::Unix(path.clone())).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn a_socket_somebody_answers_at_is_not_taken_away() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("metrics.sock");
    let served = serve(dir.path(), Listen::Unix(path.clone()), full());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let error = http::Door::open(&Listen::Unix(path.clone())).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with("\r\n\r\nalive\n"), "{said}");
    drop(served);
    assert!(!path.exists());
}

#[test]
fn questions_that_are_none_are_refused_and_counted() {
    let dir = TempDir::new().unwrap();
    let served = serve(dir.path(), any_port(), full());
    let ask = |question: &[u8]| {
        let mut stream = UnixStream::connect(dir.path().join(socket::FILE)).unwrap();
        // Cut off in the middle of a long one is meant.
        let _ = stream.write_all(question);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        String::from_utf8(said).unwrap()
    };
    assert_eq!(ask(b"secrets\n"), "{\"error\":\"there are three questions: status, relief, spare\"}\n");
    assert_eq!(ask(b"status"), "", "half a line");
    assert_eq!(ask(&[b'a'; 10_000]), "");
    until("two counted", || served.ledger.askers_refused.get() == 2);
    for (question, code) in [
        ("POST /metrics HTTP/1.1\r\n\r\n", 405),
        ("nonsense\r\n\r\n", 400),
        ("GET /\u{e4} HTTP/9\r\n\r\n", 400),
    ] {
        assert!(get(&served.http, question).starts_with(&format!("HTTP/1.1 {code} ")), "{question}");
    }
    until("five counted", || served.ledger.askers_refused.get() == 5);
    assert!(get(&served.http, "GET /etc/passwd HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    let head = get(&served.http, "HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    assert_eq!(socket::status(dir.path()).unwrap().v, VERSION, "still there");
}

/// Who connects and says or reads nothing takes one of a few places, and nobody waits for them.
#[test]
fn those_who_dawdle_hold_up_nobody_for_long() {
    let dir = TempDir::new().unwrap();
    let served = serve(dir.path(), any_port(), full());
    let start = Instant::now();
    let idle: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(&served.http).unwrap()).collect();
    until("the crowd is turned away", || served.ledger.askers_refused.get() >= 32);
    // The other door has places of its own.
    assert_eq!(socket::status(dir.path()).unwrap().v, VERSION);
    until("the places are free again", || served.ledger.askers_refused.get() == 40);
    assert!(start.elapsed() >= PATIENCE && start.elapsed() < PATIENCE * 3, "{:?}", start.elapsed());
    assert!(get(&served.http, "GET /healthz HTTP/1.1\r\n\r\n").ends_with("alive\n"));
    drop(idle);
}

#[test]
fn who_is_not_ready_says_why() {
    let dir = TempDir::new().unwrap();
    let ready = "GET /readyz?verbose HTTP/1.1\r\n\r\n";
    assert!(get(&serve(dir.path(), any_port(), full()).http, ready).ends_with("ready\n"));
    let stuck = Status { not_ready: vec!["it stands still".to_owned()], ..full() };
    let served = serve(dir.path(), any_port(), stuck);
    let said = get(&served.http, ready);
    assert!(said.starts_with("HTTP/1.1 503 ") && said.ends_with("it stands still\n"), "{said}");
    assert!(get(&served.http, "GET /healthz HTTP/1.1\r\n\r\n").ends_with("alive\n"));
    assert!(get(&served.http, "GET /metrics HTTP/1.1\r\n\r\n").contains("\nspoor_ready 0\n"));
}

/// Names of all metrics there can be.
fn names(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect()
}

#[test]
fn metrics_say_what_the_status_says() {
    let text = metrics(&full()).unwrap();
    for line in [
        "# HELP spoor_samples_total Samples of the probes that were read and decoded, by kind.",
        "# TYPE spoor_samples_total counter",
        "spoor_samples_total{kind=\"fork\"} 60",
        "spoor_samples_total{kind=\"exit\"} 0",
        "spoor_samples_dropped_total{kind=\"exec\"} 3",
        "spoor_samples_read_total 104",
        "spoor_findings_total 1",
        "spoor_probe_faults_total{fault=\"path-cut\",source=\"lsm/file_open\"} 2",
        "spoor_signal_proven{signal=\"send\",tier=\"none\"} 0",
        "spoor_sink_lag_seconds{sink=\"siem\"} 61",
        "spoor_sink_failing{sink=\"local\"} 0",
        "spoor_store_size_bytes 12582912",
        "spoor_degraded 1",
        "spoor_config_keys_waiting 1",
        "process_cpu_seconds_total 4.5",
        "process_start_time_seconds 1767323045",
    ] {
        let sorted = |line: &str| {
            // The order of labels says nothing.
            let mut parts: Vec<String> = line.split(['{', '}', ',']).map(str::to_owned).collect();
            parts.sort();
            parts
        };
        assert!(text.lines().any(|found| sorted(found) == sorted(line)), "{line} is not in\n{text}");
    }
    assert_eq!(text.matches("# TYPE spoor_samples_dropped_total").count(), 1);
    // Each counter of the heartbeats is there, or told by label.
    let names = names(&text);
    for name in full().counters.keys() {
        assert!(names.contains(format!("spoor_{name}_total").as_str()), "{name} is in no metric");
    }
}

/// Prometheus' own tool, where the tests are told of it.
fn promtool() -> Option<PathBuf> {
    let named = std::env::var_os("SPOOR_RECEIVERS").map(PathBuf::from);
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/receivers");
    let (must, root) = (named.is_some(), named.unwrap_or(usual));
    let promtool = root.join("usr/bin/promtool");
    if promtool.is_file() {
        return Some(promtool);
    }
    assert!(!must, "SPOOR_RECEIVERS names {}, and no promtool is there", root.display());
    eprintln!("SKIP: no promtool here; `cargo xtask test` brings it");
    None
}

#[test]
fn prometheus_takes_the_metrics() {
    let Some(promtool) = promtool() else { return };
    let mut lint = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    lint.stdin.take().unwrap().write_all(metrics(&full()).unwrap().as_bytes()).unwrap();
    let output = lint.wait_with_output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
}

/// A host, an attacker and a week add no series: what is in a label is a word of ours, or a name from the config.
#[test]
fn labels_are_of_a_closed_list() {
    let text = metrics(&full()).unwrap();
    let labels: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('{')?.1.split_once('}'))
        .flat_map(|(labels, _)| labels.split("\",").filter_map(|label| label.split_once('=')))
        .map(|(name, _)| name)
        .collect();
    let all = ["fault", "kernel", "kind", "signal", "sink", "source", "tier", "version"];
    assert_eq!(labels, BTreeSet::from(all));
}

fn board() -> serde_json::Value {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/grafana/spoor.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Prometheus reads each query of the board, with what Grafana puts in for its variables.
#[test]
fn prometheus_reads_the_boards_queries() {
    let Some(promtool) = promtool() else { return };
    let board = board();
    let mut asked = Vec::new();
    queries(&board, &mut asked);
    let rules = |queries: &[&str]| {
        let rules = queries.iter().map(|query| {
            let query = query.replace("$__rate_interval", "5m").replace("$__range", "1h");
            serde_json::json!({"record": "board:query", "labels": {"query": query}, "expr": query})
        });
        let rules: Vec<_> = rules.collect();
        let dir = tempfile::tempdir().unwrap();
        // JSON is YAML.
        let file = dir.path().join("rules.yml");
        let groups = serde_json::json!({"groups": [{"name": "board", "rules": rules}]});
        std::fs::write(&file, groups.to_string()).unwrap();
        Command::new(&promtool).args(["check", "rules"]).arg(file).output().unwrap()
    };
    let output = rules(&asked);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!rules(&["sum by (kind (rate(spoor_events_total[5m]))"]).status.success(), "it reads anything");
}

/// The board that ships asks for metrics that there are, and by labels that they have.
#[test]
fn the_board_asks_for_what_there_is() {
    let board = board();
    let text = metrics(&full()).unwrap();
    let names = names(&text);
    let mut asked = Vec::new();
    queries(&board, &mut asked);
    assert!(asked.len() >= 12, "a board of {} queries", asked.len());
    for query in asked {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let words: Vec<&str> = query.split(|c| !is_word(c)).filter(|word| !word.is_empty()).collect();
        let metrics: Vec<&&str> =
            words.iter().filter(|word| word.starts_with("spoor_") || word.starts_with("process_")).collect();
        assert!(!metrics.is_empty(), "no metric in {query}");
        for metric in metrics {
            assert!(names.contains(*metric), "{query}: there is no {metric}");
        }
        for (at, _) in query.match_indices("by (") {
            let labels = query[at + 4..].split(')').next().unwrap();
            for label in labels.split(',').map(str::trim).filter(|label| *label != "instance") {
                assert!(text.contains(&format!("{label}=\"")), "{query}: no metric has a label {label}");
            }
        }
    }
    let ids: Vec<&serde_json::Value> =
        board["panels"].as_array().unwrap().iter().map(|panel| &panel["id"]).collect();
    let distinct: BTreeSet<String> = ids.iter().map(ToString::to_string).collect();
    assert_eq!(ids.len(), distinct.len(), "panels share an id");
    for key in ["uid", "title", "schemaVersion"] {
        assert!(!board[key].is_null(), "a board has a {key}");
    }
}

/// All queries of a board.
fn queries<'a>(value: &'a serde_json::Value, found: &mut Vec<&'a str>) {
    found.extend(value.get("expr").and_then(serde_json::Value::as_str));
    if let Some(fields) = value.as_object() {
        fields.values().for_each(|value| queries(value, found));
    }
    value.as_array().into_iter().flatten().for_each(|value| queries(value, found));
}
