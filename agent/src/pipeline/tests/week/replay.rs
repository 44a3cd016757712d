//! The same weeks, and a story of everything there is, captured and replayed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::super::super::replay::{Account, Replay, Replayed};
use super::super::super::scenario::{self, ALICE, BACKUP, MS, POD_LATE, REFUSED, SECOND, Scenario};
use super::super::super::{Desk, Outside, TakeDigests};
use super::host::{self, Evil, OFFSET_NS, QUIET_NS, Week};
use crate::actor::{Fake, Host as _};
use crate::capture::{Asked, CaptureError, End, Header, Input, Scales, Tail, Tape, TapeError, Taped, plain};
use crate::chain::GapKind;
use crate::credential::{Credential, Describe, redact};
use crate::event::{
    Deed, Event, KernelKey, KeyWay, Kind, Loss, MemoryWay, ProcessKey, Source, Text, What, Whose,
};
use crate::finding::Settings;
use crate::hex;
use crate::inventory::{Found, Place, Scanned, Unlisted};
use crate::lineage::Process;
use crate::purpose::Digest;
use crate::record::{Coverage, Hash, Host, NONE, Own, OwnSink, Redaction, Signed, next_hash, stamp};
use crate::telemetry::Ledger;

pub(in crate::pipeline::tests) const REDACTION: Redaction =
    Redaction { argv: redact::argv, printable: redact::printable };
const HOUR: u64 = 3_600 * SECOND;

pub(in crate::pipeline::tests) fn header() -> Header {
    let text = |text: &str| text.to_owned();
    Header {
        agent_version: text("0.1.0"),
        kernel: text("6.1.0"),
        boot_id: [7; 16],
        host: Host { id: text("6f1d2c9e"), name: text("db7"), boot_id: text("2899dae4") },
        wall_offset_ns: OFFSET_NS,
        first_seq: 1,
        before: NONE,
        scales: Scales {
            quiet_ns: QUIET_NS,
            pending_ns: 3 * SECOND,
            max_actions: 10_000,
            max_open: 1_000,
            max_pending: 1_000,
            processes_max: 10_000,
            inventory_first_ns: 180 * SECOND,
            inventory_every_ns: 24 * HOUR,
        },
        findings: Settings { learn_ns: 20 * 3_600_000_000_000, off: Vec::new() },
        watched_since: OFFSET_NS,
    }
}

/// Knows the digest of every program with a short name.
#[derive(Debug)]
struct ByName(Asked);

impl TakeDigests for ByName {
    fn of(&mut self, process: &Process) -> Option<Digest> {
        let question = (crate::lineage::Slot::from(process.key), process.program.exe.bytes.clone());
        let asked = self.0.clone();
        asked.ask(crate::capture::Of::Digest, &question, || {
            (process.program.exe.bytes.len() < 16)
                .then_some([u8::try_from(process.program.exe.bytes.len()).unwrap(); 32])
        })
    }
}

/// The loop of the worker, without a kernel and a store.
struct Live<D: Describe> {
    desk: Desk<Taped<D>, Taped<Fake>>,
    tape: Option<Tape>,
    hash: Hash,
    seq: u64,
    lines: Vec<Vec<u8>>,
}

impl<D: Describe> Live<D> {
    fn new(describer: D, fake: Fake, file: Option<(&Path, u64)>) -> Self {
        let asked = if file.is_some() { Asked::on_tape() } else { Asked::default() };
        let outside = Outside {
            describer: Taped::new(describer, asked.clone()),
            host: Taped::new(fake, asked.clone()),
            digests: ByName(asked.clone()),
        };
        let desk = Desk::of(&header(), outside, REDACTION, Arc::new(Ledger::default()));
        let tape = file.map(|(path, max)| Tape::create(path, max, &header(), asked, None).unwrap());
        Live { desk, tape, hash: NONE, seq: 0, lines: Vec::new() }
    }

    fn enter(&mut self, input: &Input<'_>) {
        let mut records = Vec::new();
        self.tape.iter().for_each(Tape::begin);
        self.desk.take(input, &mut Vec::new(), &mut records);
        self.tape.iter_mut().for_each(|tape| tape.put(input));
        for record in records {
            let line = stamp(&record.body, &self.hash);
            self.hash = next_hash(&self.hash, &line);
            self.seq = record.seq;
            self.lines.push(line);
        }
    }

    fn event(&mut self, event: &Event) {
        let event = if self.tape.is_some() { plain(event) } else { Cow::Borrowed(event) };
        self.enter(&Input::Event { event, listed: true });
    }

    /// As the worker signs.
    fn sign(&mut self, time_ns: u64) {
        let head = Signed { key: "k".into(), seq: self.seq, hash: hex::encode(&self.hash), note: "n".into() };
        self.enter(&Input::Head { time_ns, head });
    }

    fn close(mut self, time_ns: u64) -> Vec<Vec<u8>> {
        self.enter(&Input::Closed { time_ns });
        let counters = vec![("samples_read".to_owned(), 7)];
        self.enter(&Input::Beat { time_ns, stopped: true, counters });
        self.sign(time_ns);
        self.tape.iter_mut().for_each(|tape| tape.end(End::Stopped));
        self.lines
    }
}

#[derive(Debug)]
enum Failed {
    Capture(CaptureError),
}

impl From<CaptureError> for Failed {
    fn from(error: CaptureError) -> Self {
        Failed::Capture(error)
    }
}

/// The records of a capture, up to where it breaks.
fn replayed(bytes: &[u8]) -> (Vec<Vec<u8>>, Result<Account, CaptureError>) {
    let mut lines = Vec::new();
    let outcome = Replay::open(bytes, REDACTION).and_then(|mut replay| {
        let each = |records: &[Replayed]| {
            lines.extend(records.iter().map(|record| record.stamped.clone()));
            Ok(())
        };
        replay.play(each).map_err(|Failed::Capture(error)| error)
    });
    (lines, outcome)
}

fn text(lines: &[Vec<u8>]) -> String {
    let line = |line: &Vec<u8>| String::from_utf8(line.clone()).unwrap() + "\n";
    lines.iter().map(line).collect()
}

/// Plays two days, the first of which tells what is usual; signs every twenty ticks.
fn days(file: Option<(&Path, u64)>) -> Vec<Vec<u8>> {
    let week = Week::of(2, &[(1, Evil::Implant), (1, Evil::Curious), (1, Evil::Cron)]);
    let mut live = Live::new(host::Catalogue, host::fake(), file);
    let mut ticks = 0;
    for event in &week.story.events {
        live.event(event);
        ticks += usize::from(event.what == What::Tick);
        if event.what == What::Tick && ticks % 10 == 0 {
            let counters = vec![("samples_read".to_owned(), u64::try_from(ticks).unwrap())];
            live.enter(&Input::Beat { time_ns: event.time_ns, stopped: false, counters });
            live.sign(event.time_ns);
        }
    }
    live.close(week.story.now_ns)
}

#[test]
fn days_replay_to_the_same_records_byte_by_byte() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("days.spoor");
    let live = days(Some((&path, u64::MAX)));
    let bytes = fs::read(&path).unwrap();
    let (once, account) = replayed(&bytes);
    let account = account.unwrap();
    println!("{} bytes, {account:?}", bytes.len());
    assert!(live.len() > 2_000, "{}", live.len());
    assert!(once == live, "the replay differs from the run");
    assert_eq!(account.tail, Some(Tail::End(End::Stopped)));
    assert_eq!((account.heads, account.differs_before), (account.heads_agree, None));
    assert!(account.heads > 3 && account.unanswered == 0, "{account:?}");
    assert!(replayed(&bytes).0 == once, "and a second one from the first");
    // Whoever does not capture gets the same.
    assert!(days(None) == live, "to capture changes what is recorded");
}

/// One that is full ends, and the agent goes on.
#[test]
fn what_has_no_room_is_left_out_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("full.spoor");
    let live = days(Some((&path, 200_000)));
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.len() <= 200_000 && bytes.len() > 190_000, "{}", bytes.len());
    let (lines, account) = replayed(&bytes);
    let account = account.unwrap();
    assert_eq!(account.tail, Some(Tail::End(End::Full)));
    // What it holds is as it was; then chains are closed, for there is no more.
    let same = lines.iter().zip(&live).take_while(|(one, other)| one == other).count();
    assert!(same > 100, "{same}");
    let rest = text(&lines[same..]);
    assert!(
        rest.lines()
            .next()
            .is_some_and(|line| line.contains("agent-stopped") || line.contains("\"pending\""))
    );
    let header = Tape::create(&dir.path().join("none"), 20, &header(), Asked::default(), None);
    assert!(matches!(header, Err(TapeError::NoRoom(20))));
}

/// A packet that names a host, with something in it that is nobody's business.
fn answer() -> Vec<u8> {
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus/dns/a");
    fs::read(seed).unwrap()
}

/// Everything that can happen, once.
fn everything(file: Option<(&Path, u64)>) -> Vec<Vec<u8>> {
    let (mut story, shell) = Scenario::begin();
    let cron = story.seed(400, 600 * SECOND, Some(shell), "/usr/sbin/cron", &["/home/backup/.pgpass"]);
    let job = story.fork(cron, 500);
    story.become_user(job, BACKUP);
    story.exec_with(job, "/usr/bin/mysqldump", &["mysqldump", "-phunter2", "--token", "$TOKEN", "orders"]);
    story.open(job, "/home/backup/.aws/credentials");
    story.push(What::Answer(answer()));
    let key = KernelKey {
        serial: 7,
        owner: BACKUP,
        rule: 1,
        kind: scenario::text("user"),
        description: scenario::text("ticket"),
    };
    story.deed(job, Source::LsmOpen, Deed::Key { key: Box::new(key), way: KeyWay::Read });
    let to = story.connect(job, "10.0.0.9", 5432);
    story.end(to, REFUSED);
    let again = story.connect(job, "10.0.0.9", 5432);
    let hello =
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus/tls/openssl-tls13"));
    story.deed(job, Source::LsmOpen, Deed::Hello { of: again, bytes: hello.unwrap() });
    story.end(again, Ok(()));
    let filename = Text { bytes: b"/nowhere".to_vec(), truncated: false };
    story.deed(job, Source::TpExec, Deed::ExecFailed { filename, errno: 2 });
    story.deed(job, Source::LsmOpen, Deed::Memory { target: shell, how: MemoryWay::Environ });
    let pod = story.fork(shell, 900);
    story.move_to(pod, 77, &format!("/kubepods/besteffort/pod{POD_LATE}/{}", "ab".repeat(32)));
    story.exec(pod, "/app");
    story.open(pod, "/run/token");
    let since_ns = story.now_ns - SECOND;
    let loss = Loss { since_ns, counts: vec![(Kind::Open, 700)], cpus: vec![(1, 700)] };
    story.push(What::Repeated { loss, whose: Some(vec![Whose::Process(pod)]) });
    let login = story.fork(shell, 600);
    story.become_user(login, ALICE);
    story.login(login, ALICE, 3);
    story.exec(login, "/usr/bin/psql");
    story.open(login, "/home/alice/.pgpass");
    story.lost();
    story.wait(40 * SECOND);
    story.open(pod, "/run/token");
    let silent = What::Silent { since_ns: story.now_ns - SECOND };
    story.push(silent);
    let counts = vec![(Kind::Exit, 1), (Kind::Read, 3)];
    story.push(What::Missed(Loss { since_ns: story.now_ns - SECOND, counts, cpus: Vec::new() }));
    story.push(What::Present(vec![shell, job, login, ProcessKey { tgid: 900, start_ns: 1 }]));
    for _ in 0..5 {
        story.wait(60 * SECOND);
        story.tick();
    }
    story.exit(job, 1);
    story.exit(login, 0);
    let mut live = Live::new(scenario::Catalogue, scenario::fake(), file);
    before(&mut live);
    for event in &story.events {
        live.event(event);
    }
    let time_ns = story.now_ns;
    live.enter(&Input::Gap { time_ns, since_ns: time_ns - MS, kind: GapKind::StateFull });
    live.close(time_ns)
}

/// What comes before the first event, and out of a scan.
fn before<D: Describe>(live: &mut Live<D>) {
    live.enter(&Input::RecalledAll);
    let file = ("a.toml".to_owned(), PURPOSE.to_owned());
    let set = crate::purpose::read(&[(&file.0, &file.1)]).unwrap().purposes;
    live.enter(&Input::Purposes { texts: [file].into(), set: Arc::new(set) });
    live.enter(&Input::Findings(Settings { learn_ns: 0, off: Vec::new() }));
    let sinks = vec![OwnSink { name: "siem".into(), kind: "syslog".into(), to: vec!["10.0.0.9:514".into()] }];
    let own = Own { pid: 640, start_ns: Some(9), store: b"/var/lib/spoor".to_vec(), sinks, ..Own::default() };
    let coverage = Coverage {
        kernel: "6.1.0".into(),
        scope: vec!["/a".into()],
        own: Some(Box::new(own)),
        ..Coverage::default()
    };
    live.enter(&Input::Coverage { time_ns: SECOND, coverage: Cow::Owned(coverage) });
    let credential = Arc::new(Credential {
        id: "ssh:/root/.ssh/id".into(),
        kind: "ssh".into(),
        path: b"/root/.ssh/id".to_vec(),
        ..Credential::default()
    });
    let place = Place { owner: 0, mode: 0o100_600, written: Some(5) };
    let path = credential.path.clone();
    for scanned in [
        Scanned::Left(Unlisted { files: 1, directories: 2 }),
        Scanned::Found(Found { credential: Arc::clone(&credential), path: path.clone(), place }),
        Scanned::Gone { id: "ssh:/root/.ssh/id".into(), path },
    ] {
        live.enter(&Input::Scan { time_ns: 2 * SECOND, scanned });
    }
}

/// One allows something of what it claims; one has expired, and still claims.
const PURPOSE: &str = r#"
[[purpose]]
name = "dump"
actor = "cron:*:/usr/bin/*"
owner = "dba"
programs = ["/usr/bin/mysqldump"]
credentials = ["kind:aws", "kind:pgpass"]
destinations = ["10.0.0.9:5432"]

[[purpose]]
name = "migration"
actor = "session:alice:*"
owner = "dba"
programs = ["any"]
credentials = ["any"]
destinations = ["any"]
expires = 2023-11-01
"#;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/replay/everything.spoor")
}

/// The stored capture is what this version writes: another format needs another number. `BLESS=1` writes it anew, and
/// `tests/replay.rs` what comes of it.
#[test]
fn the_format_is_the_one_that_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("everything.spoor");
    let live = everything(Some((&path, u64::MAX)));
    let bytes = fs::read(&path).unwrap();
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(golden().parent().unwrap()).unwrap();
        fs::write(golden(), &bytes).unwrap();
    }
    assert!(fs::read(golden()).unwrap() == bytes, "a capture is written differently: give it a new FORMAT");
    let (lines, account) = replayed(&bytes);
    assert_eq!(text(&lines), text(&live));
    assert_eq!(account.unwrap().differs_before, None);
    assert_eq!(text(&everything(None)), text(&live), "to capture changes what is recorded");
    verdicts(&live);
    assert!(matches!(
        Tape::create(&path, u64::MAX, &header(), Asked::default(), None),
        Err(TapeError::There(_))
    ));
}

/// All verdicts there are stand in what is stored, and what is outside is found: once, as expired where it is.
fn verdicts(lines: &[Vec<u8>]) {
    let records: Vec<Value> = lines.iter().map(|line| serde_json::from_slice(line).unwrap()).collect();
    let told = |kind: &str, id: &str| -> Vec<(&str, &str)> {
        let of =
            records.iter().filter(|r| r["type"] == "action" && r["action"] == kind && r["actor"]["id"] == id);
        of.filter_map(|r| {
            Some((r["purpose"]["verdict"].as_str()?, r["purpose"]["name"].as_str().unwrap_or("")))
        })
        .collect()
    };
    let job = "cron:backup:/usr/bin/mysqldump";
    assert_eq!(told("secret.open", job), [("within", "dump")]);
    assert_eq!(told("secret.read", job), [("outside", "dump")]);
    assert_eq!(told("connect", job), [("within", "dump"); 2]);
    assert_eq!(told("secret.open", "session:alice:3"), [("outside", "migration")]);
    assert_eq!(told("secret.open", "kubernetes:shop:till"), [("undeclared", "")]);
    let found = records.iter().filter(|r| r["kind"] == "outside-purpose" && r["told"] == "first");
    let found: Vec<(&str, &str)> = found
        .map(|r| (r["actor"]["id"].as_str().unwrap(), r["facts"]["expired"].as_str().unwrap()))
        .collect();
    assert_eq!(found, [(job, "no"), ("session:alice:3", "yes")]);
}

#[test]
fn no_secret_and_no_packet_is_in_it() {
    let bytes = fs::read(golden()).unwrap();
    let holds = |text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
    assert!(!holds(b"hunter2"));
    assert!(holds(b"-p[redacted:password]"), "and yet the arguments are there");
    let hello =
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus/tls/openssl-tls13"))
            .unwrap();
    // The random bytes of a hello are in no record.
    assert!(!holds(&hello[11..43]));
}

#[test]
fn any_cut_is_told_and_what_is_before_it_is_replayed() {
    let bytes = fs::read(golden()).unwrap();
    let (whole, _) = replayed(&bytes);
    for length in (0..bytes.len()).rev().step_by(7) {
        let (lines, outcome) = replayed(&bytes[..length]);
        match outcome {
            Err(CaptureError::Foreign | CaptureError::Headless) => assert!(lines.is_empty()),
            Err(error) => panic!("{length}: {error}"),
            Ok(account) => {
                assert!(matches!(account.tail, Some(Tail::Cut(_))), "{length}: {account:?}");
                let same = lines.iter().zip(&whole).take_while(|(one, other)| one == other).count();
                let rest = text(&lines[same..]);
                let ends = |line: &str| line.contains("agent-stopped") || line.contains("\"pending\"");
                assert!(rest.lines().next().is_none_or(ends), "{length}: {rest}");
            }
        }
    }
}

#[test]
fn any_flipped_bit_is_noticed() {
    let bytes = fs::read(golden()).unwrap();
    let (whole, _) = replayed(&bytes);
    for at in 0..bytes.len() {
        let mut spoilt = bytes.clone();
        spoilt[at] ^= 1 << (at % 8);
        let (lines, outcome) = replayed(&spoilt);
        // A length that grew swallows what is behind it: that looks like a file that was cut.
        let cut = matches!(&outcome, Ok(Account { tail: Some(Tail::Cut(_)), .. }));
        assert!(cut || outcome.is_err(), "{at}: {outcome:?}");
        if let Err(error) = outcome {
            assert!(!error.to_string().is_empty());
            assert!(lines.iter().zip(&whole).all(|(one, other)| one == other), "{at}");
        }
    }
}

#[test]
fn another_format_is_refused_by_name() {
    let mut bytes = fs::read(golden()).unwrap();
    bytes[14] = 9;
    let error = replayed(&bytes).1.unwrap_err();
    assert!(matches!(error, CaptureError::Format { found: 9 }), "{error}");
    assert_eq!(error.to_string(), "it has format 9, and this spoor reads 3 to 4; take the one that made it");
    let mut behind = fs::read(golden()).unwrap();
    behind.push(0);
    assert!(matches!(replayed(&behind).1, Err(CaptureError::Frame { .. })), "something behind the end");
}

/// An answer is written once, and again when it is another; while one input is digested it stays.
#[test]
fn answers_are_written_when_they_change() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("answers.spoor");
    let asked = Asked::on_tape();
    let mut fake = Taped::new(Fake { users: HashMap::new(), ..scenario::fake() }, asked.clone());
    let mut tape = Tape::create(&path, u64::MAX, &header(), asked, None).unwrap();
    let tick = |time_ns| Event { time_ns, what: What::Tick };
    let mut sizes = Vec::new();
    for round in 0..3 {
        tape.begin();
        assert_eq!(fake.user_name(5), None);
        assert_eq!(fake.user_name(5), None);
        tape.put(&Input::Event { event: Cow::Owned(tick(round)), listed: false });
        sizes.push(fs::metadata(&path).unwrap().len());
    }
    assert_eq!(sizes[2] - sizes[1], 8 + 7, "a frame with a tick, and no answer");
    drop(tape);
}

/// The frames of a capture.
fn frames(bytes: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (first, mut rest) = bytes.split_at(15);
    let mut frames = Vec::new();
    while let Some((head, behind)) = rest.split_at_checked(8) {
        let length = usize::try_from(u32::from_le_bytes(head[..4].try_into().unwrap())).unwrap();
        let (body, after) = behind.split_at(length);
        frames.push(body.to_vec());
        rest = after;
    }
    (first.to_vec(), frames)
}

proptest::proptest! {
    /// Whoever can make a checksum can write anything: it is refused by its frame, or replayed.
    #[test]
    fn frames_that_were_changed_are_refused_or_replayed(
        changes in proptest::collection::vec((0..60_usize, 0..400_usize, proptest::prelude::any::<u8>()), 1..6),
    ) {
        let (mut spoilt, mut frames) = frames(&fs::read(golden()).unwrap());
        for (frame, at, value) in changes {
            let frame = frame % frames.len();
            let at = at % frames[frame].len();
            frames[frame][at] = value;
        }
        for body in frames {
            spoilt.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
            spoilt.extend(crate::capture::checksum(&body).to_le_bytes());
            spoilt.extend(body);
        }
        if let Err(error) = replayed(&spoilt).1 {
            proptest::prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn any_bytes_behind_the_first_line(rest in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let bytes = [&b"spoor capture\n\x01"[..], &rest].concat();
        let outcome = replayed(&bytes).1;
        proptest::prop_assert!(outcome.is_err(), "{:?}", outcome);
    }
}
