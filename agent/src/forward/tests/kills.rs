//! An agent that is killed at any moment: a process of its own stores and forwards until it is, a hundred times.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::SystemTime;

use super::servers::{Server, http};
use super::*;
use crate::config::{Auth, Http, TlsFiles};
use crate::record::testing::{CLOCK, edges, host, redaction};
use crate::store::{Stored, sinks, verify};

const KILLS: u64 = 100;
/// Most time from the first stored batch, or from the start, to the kill.
const MOMENT_US: u64 = 100_000;
/// How far the writer may be ahead of its sinks: the load does not depend on the machine.
const AHEAD: u64 = 600;

const DIR: &str = "SPOOR_TEST_KILLED_DIR";
const PORT: &str = "SPOOR_TEST_KILLED_PORT";
const ROUND: &str = "SPOOR_TEST_KILLED_ROUND";
/// Of the last round, which ends in good order.
const LAST: &str = "last";
const SEED: &str = "SPOOR_TEST_SEED";

/// Run by the test below in a process of its own: stores under load and forwards, telling what it has stored.
#[tokio::test]
async fn child_that_forwards_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else {
        return;
    };
    let (port, round) = (std::env::var(PORT).unwrap(), std::env::var(ROUND).unwrap());
    let mut store = Store::open(&dir.join("store"), KEEP).unwrap();
    let (stored, stop) = (watch::channel(store.last_seq()).0, watch::channel(None).0);
    let filters = watch::channel(Filters::default()).0;
    let around = Around {
        stored: stored.subscribe(),
        stop: stop.subscribe(),
        ledger: Arc::default(),
        encodings: Arc::default(),
        filters: filters.subscribe(),
    };
    let url = format!("http://127.0.0.1:{port}");
    let http = Http { url, tls: TlsFiles::default(), auth: Auth::Bearer, secret: None, gzip: false };
    let file = SinkKind::File { path: dir.join("records.jsonl"), rotate: None };
    let start = |name: &str, kind| {
        let reader = Reader::open(&dir.join("store")).unwrap();
        let config = SinkConfig::plain(name, kind);
        tokio::spawn(Sink::new(config, &store, reader, around.clone()).unwrap().run())
    };
    let running = [start("file", file), start("webhook", SinkKind::Webhook(http))];
    // No two rounds make the same record of a number.
    let host = crate::record::Host { boot_id: format!("round {round}"), ..host() };
    let mut builder = Builder::new(host, CLOCK, store.next_seq().unwrap(), redaction());
    for night in 0_usize.. {
        let notes = if night % 2 == 0 { backup() } else { edges() };
        let batch: Vec<_> = (0..=night % 7).flat_map(|_| &notes).map(|note| builder.note(note)).collect();
        store.append(&batch).unwrap();
        stored.send_replace(store.last_seq());
        eprintln!("stored {}", store.last_seq());
        let least = || ["file", "webhook"].map(|name| store.cursor(name).unwrap()).into_iter().min().unwrap();
        until("the sinks", || least() + AHEAD > store.last_seq()).await;
        if round == LAST && night > 3 {
            break;
        }
    }
    stop.send_replace(Some(Stop::drained(Duration::from_secs(60))));
    for sink in running {
        assert_eq!(sink.await.unwrap(), SinkEnd::Drained);
    }
}

/// Numbers that look like chance, and come again with the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What came over the network, as it came.
type Arrived = Arc<Mutex<Vec<(u64, Vec<u8>)>>>;

fn number(line: &[u8]) -> Option<u64> {
    serde_json::from_slice::<serde_json::Value>(line).ok()?.get("seq")?.as_u64()
}

fn receiver(arrived: &Arrived) -> Server {
    let theirs = Arc::clone(arrived);
    http(None, move |request| {
        let lines = request.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let records: Vec<_> = lines.map(|line| (number(line).expect("a record"), line.to_vec())).collect();
        theirs.lock().unwrap().extend(records);
        (200, "", String::new())
    })
}

fn spawn(dir: &Path, port: u16, round: &str) -> Child {
    let child = "forward::tests::kills::child_that_forwards_until_it_is_killed";
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", child, "--nocapture"])
        .envs([(PORT, port.to_string()), (ROUND, round.to_owned())])
        .env(DIR, dir)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Runs a child to its kill. The highest number that it said was stored, if it came to that.
fn killed(mut child: Child, chance: &mut Chance) -> Option<u64> {
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    // One in four dies while it starts.
    if chance.below(4) != 0 {
        said.read_line(&mut text).unwrap();
    }
    std::thread::park_timeout(Duration::from_micros(chance.below(MOMENT_US)));
    child.kill().unwrap();
    let status: ExitStatus = child.wait().unwrap();
    said.read_to_string(&mut text).unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "it ended by itself: {text}");
    text.lines().filter_map(|line| line.strip_prefix("stored ")?.parse().ok()).next_back()
}

/// First occurrences in order, and how many came again.
fn once(seqs: impl Iterator<Item = u64>) -> (Vec<u64>, usize) {
    let mut known = std::collections::HashSet::new();
    let (first, again): (Vec<u64>, Vec<u64>) = seqs.partition(|seq| known.insert(*seq));
    (first, again.len())
}

#[test]
fn killed_a_hundred_times_it_loses_nothing_and_invents_nothing() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed =
        std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or(u64::from(now.subsec_nanos()));
    eprintln!("{SEED}={seed}");
    let mut chance = Chance(seed | 1);
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("store");
    let arrived = Arrived::default();
    let server = receiver(&arrived);
    let mut told = 0;
    let mut busy = 0;
    for round in 1..=KILLS {
        let child = spawn(dir.path(), server.port, &round.to_string());
        if let Some(seq) = killed(child, &mut chance) {
            told = seq;
            busy += 1;
        }
        let store = Store::open(&path, KEEP).unwrap();
        let last = store.last_seq();
        assert!(last >= told, "round {round}: {told} were said to be stored, {last} are");
        for sink in sinks(&path).unwrap() {
            assert!(sink.cursor <= last, "round {round}: {sink:?} is beyond the last record, {last}");
        }
        if round % 20 == 0 {
            assert_eq!(verify(&path, &[]).unwrap().records, last, "round {round}");
        }
    }
    assert!(busy >= KILLS / 2, "only {busy} of {KILLS} came to store anything");
    let end = spawn(dir.path(), server.port, LAST).wait_with_output().unwrap();
    assert!(end.status.success(), "{}", String::from_utf8_lossy(&end.stderr));

    let verified = verify(&path, &[]).unwrap();
    let all = Reader::open(&path).unwrap().after(0, usize::MAX).unwrap();
    assert_eq!((verified.records, verified.missing), (all.len() as u64, 0));
    assert!(all.is_sorted_by(|one, next| one.seq < next.seq));
    let file = fs::read(dir.path().join("records.jsonl")).unwrap();
    let arrived = arrived.lock().unwrap();
    let twice = (judge_file(&file, &all), judge_arrived(&arrived, &all));
    eprintln!(
        "{} records, of which {} and {} came twice to the file and the webhook",
        all.len(),
        twice.0,
        twice.1
    );
}

fn judge_arrived(arrived: &[(u64, Vec<u8>)], all: &[Stored]) -> usize {
    let bodies: BTreeMap<u64, &[u8]> =
        all.iter().map(|stored| (stored.seq, stored.body.as_slice())).collect();
    for (seq, line) in arrived {
        assert_eq!(bodies.get(seq), Some(&line.as_slice()), "{seq} is not what is stored");
    }
    let (first, again) = once(arrived.iter().map(|(seq, _)| *seq));
    assert_eq!(first, all.iter().map(|stored| stored.seq).collect::<Vec<_>>(), "the webhook");
    // At each kill, one batch at most was handed over and not written down.
    assert!(again as u64 <= KILLS * 256, "{again}");
    again
}

/// A line is a record as it is stored, or what a kill left of one.
fn judge_file(file: &[u8], all: &[Stored]) -> usize {
    let mut torn = 0;
    let mut whole = Vec::new();
    assert!(file.ends_with(b"\n"));
    for line in file.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match number(line) {
            Some(seq) => whole.push((seq, line.to_vec())),
            None => {
                assert!(all.iter().any(|stored| stored.body.starts_with(line)), "nobody's line");
                torn += 1;
            }
        }
    }
    assert!(torn <= KILLS, "{torn} torn lines");
    judge_arrived(&whole, all)
}
