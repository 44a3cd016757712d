//! An ordinary day of a Debian that `spoor record` captured: its own programs upgrade packages, rotate logs, look after
//! services, back up, and do what cron, at, timers and an administrator want of them. Twice, for the first day teaches what is
//! usual. `cargo xtask vm --day` records it anew (tests/src/suite/day.rs); the numbers here are those of one recording.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Cursor, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flate2::read::GzDecoder;
use serde_json::Value;

use super::super::replay::{Account, Replay, Replayed};
use super::super::{Desk, Outside};
use super::week::replay::REDACTION;
use crate::capture::{CaptureError, End, Frames, Header, Input, Tail};
use crate::event::{Deed, Event, What};
use crate::record::{Record, nanoseconds};
use crate::store::{Retention, Store};
use crate::telemetry::Ledger;

/// What nobody in the guest may read in a file of this repository.
const PLANTED: [&[u8]; 2] = [b"wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY", b"PRIVATE KEY"];
/// A program that says that the first day is over, and one that says so of the second.
const DUSK: &[u8] = b"/srv/day/dusk";
const MIDNIGHT: &[u8] = b"/srv/day/midnight";
const SECOND: u64 = 1_000_000_000;

/// What the two days came to.
const EVENTS: usize = 10_739;
const ACTIONS: usize = 4_120;
const CHAINS: usize = 110;

/// Actor (`*` is the number of a session), kind and path of a credential, and the port that its chain reached; 0 where the use
/// is no connection.
const USES: [(&str, &str, &str, u64); 17] = [
    ("systemd:backup.service", "backup-key", "/etc/restic/password", 22),
    ("systemd:backup.service", "ssh-private-key", "/root/.ssh/id_ed25519", 22),
    ("systemd:backup.service", "tls-private-key", "/etc/ssl/private/shop.key", 22),
    ("systemd:shop.service", "systemd-credential", "/run/credentials/shop.service/pgpass", 5432),
    ("systemd:monitor.service", "pgpass", "/var/lib/monitor/.pgpass", 5432),
    ("systemd:scrape.service", "netrc", "/var/lib/scrape/.netrc", 443),
    ("systemd:nginx.service", "tls-private-key", "/etc/ssl/private/shop.key", 0),
    ("systemd:nginx.service", "web-login", "/etc/nginx/htpasswd", 9100),
    ("systemd:ssh.service", "ssh-host-key", "/etc/ssh/ssh_host_ed25519_key", 0),
    ("cron:postgres:pg_dump", "pgpass", "/var/lib/postgresql/.pgpass", 5432),
    ("cron:reporter:/usr/bin/dash", "netrc", "/home/reporter/.netrc", 443),
    ("session:alice:*", "pgpass", "/home/alice/.pgpass", 5432),
    ("session:alice:*", "shadow", "/etc/shadow", 0),
    ("session:alice:*", "shadow", "/etc/gshadow", 0),
    ("session:alice:*", "tls-private-key", "/etc/ssl/private/shop.key", 0),
    ("session:vault:*", "ssh-host-key", "/etc/ssh/ssh_host_ed25519_key", 0),
    ("user:postgres:/usr/lib/postgresql/15/bin/psql", "pgpass", "/var/lib/postgresql/.pgpass", 0),
];
/// All who have a chain.
const ACTORS: [&str; 19] = [
    "cron:postgres:pg_dump",
    "cron:reporter:/usr/bin/dash",
    "session:alice",
    "session:reporter",
    "session:vault",
    "systemd:atd.service",
    "systemd:backup.service",
    "systemd:cron.service",
    "systemd:monitor.service",
    "systemd:nginx.service",
    "systemd:postgresql@15-main.service",
    "systemd:prometheus-node-exporter.service",
    "systemd:renew.service",
    "systemd:scrape.service",
    "systemd:shop.service",
    "systemd:ssh.service",
    "systemd:suite.service",
    "user:postgres:/usr/lib/postgresql/15/bin/psql",
    "user:root:/usr/lib/systemd/systemd",
];
/// Which gaps whose chains have.
const GAPS: [(&str, &str); 8] = [
    ("older-than-agent", "systemd:atd.service"),
    ("older-than-agent", "systemd:cron.service"),
    ("older-than-agent", "systemd:nginx.service"),
    ("older-than-agent", "systemd:postgresql@15-main.service"),
    ("older-than-agent", "systemd:prometheus-node-exporter.service"),
    ("older-than-agent", "systemd:shop.service"),
    ("older-than-agent", "systemd:ssh.service"),
    ("older-than-agent", "systemd:suite.service"),
];
/// What the deed behind them brings. The last is right and an accident: one password is that of all accounts in this house.
const FOUND: [[&str; 3]; 3] = [
    ["new-actor", "low", "systemd:cache-update.service"],
    ["untrusted-program", "medium", "systemd:cache-update.service"],
    ["shared-secret", "low", "systemd:cache-update.service"],
];

fn capture() -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/captures/day.spoor.gz");
    let mut bytes = Vec::new();
    GzDecoder::new(fs::File::open(file).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn opened(bytes: &[u8]) -> (Header, Frames<Cursor<Vec<u8>>>) {
    Frames::open(Cursor::new(bytes.to_vec())).unwrap()
}

/// When a program was first started.
fn started(bytes: &[u8], program: &[u8]) -> u64 {
    let (_, mut frames) = opened(bytes);
    while let Some(input) = frames.next_input().unwrap() {
        if let Input::Event { event, .. } = &input
            && runs(event, program)
        {
            return event.time_ns;
        }
    }
    panic!("{} was not started", String::from_utf8_lossy(program))
}

fn runs(event: &Event, program: &[u8]) -> bool {
    let What::Seen(seen) = &event.what else { return false };
    matches!(&seen.deed, Deed::Exec { exe, .. } if exe.bytes == program)
}

/// When the first event was.
fn first(bytes: &[u8]) -> u64 {
    let (_, mut frames) = opened(bytes);
    loop {
        if let Input::Event { event, .. } = frames.next_input().unwrap().unwrap() {
            return event.time_ns;
        }
    }
}

/// The time of learning that fits between a station of the first day and the same one of the second.
fn between_days(bytes: &[u8]) -> u64 {
    started(bytes, DUSK) - first(bytes) + 10 * SECOND
}

/// What came of a capture.
struct Came {
    events: usize,
    records: Vec<Record>,
    lines: Vec<Value>,
    unanswered: u64,
    /// Actions that were not judged, for what is usual was not known for long enough.
    learning: u64,
}

/// Replays it up to a time, with this time of learning.
fn replayed(bytes: &[u8], until_ns: u64, learn_ns: u64) -> Came {
    let (mut header, mut frames) = opened(bytes);
    header.findings.learn_ns = i64::try_from(learn_ns).unwrap();
    let told = frames.told();
    let outside = Outside { describer: told.clone(), host: told.clone(), digests: told };
    let mut desk = Desk::of(&header, outside, REDACTION, Arc::new(Ledger::default()));
    let (mut records, mut events, mut last_ns) = (Vec::new(), 0, 0);
    while let Some(input) = frames.next_input().unwrap() {
        if let Input::Event { event, .. } = &input {
            if event.time_ns >= until_ns {
                break;
            }
            events += 1;
            last_ns = event.time_ns;
        }
        desk.take(&input, &mut Vec::new(), &mut records);
    }
    if until_ns != u64::MAX {
        desk.take(&Input::Closed { time_ns: last_ns }, &mut Vec::new(), &mut records);
    }
    let lines = records.iter().map(|record| serde_json::from_slice(&record.body).unwrap()).collect();
    let learning = desk.findings.counts().learning;
    Came { events, records, lines, unanswered: frames.told().missing(), learning }
}

/// The two ordinary days.
fn ordinary(bytes: &[u8]) -> Came {
    replayed(bytes, started(bytes, MIDNIGHT), between_days(bytes))
}

impl Came {
    fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.lines.iter().filter(move |line| line["type"] == kind)
    }

    fn chains(&self) -> impl Iterator<Item = &Value> {
        self.of("chain").filter(|chain| chain["status"] == "closed")
    }

    /// Kind, severity and actor of each finding, the first time that it is told.
    fn found(&self) -> Vec<[&str; 3]> {
        let first = self.of("finding").filter(|finding| finding["told"] == "first");
        first
            .map(|one| {
                [&one["kind"], &one["severity"], &one["actor"]["id"]].map(|field| field.as_str().unwrap())
            })
            .collect()
    }

    /// Bytes of the files of a store that holds it.
    fn stored(&self) -> u64 {
        let home = tempfile::tempdir().unwrap();
        let keep = Retention { keep: Duration::MAX, max_bytes: u64::MAX };
        let mut store = Store::open(home.path(), keep).unwrap();
        self.records.chunks(256).for_each(|batch| store.append(batch).unwrap());
        store.seal().unwrap();
        drop(store);
        fs::read_dir(home.path()).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
    }
}

#[test]
fn what_was_recorded_is_whole_and_holds_no_secret() {
    let bytes = capture();
    let mut replay = Replay::open(&bytes[..], REDACTION).unwrap();
    let account: Account = replay.play(|_: &[Replayed]| Ok::<(), CaptureError>(())).unwrap();
    assert_eq!(account.tail, Some(Tail::End(End::Stopped)));
    assert_eq!(account.unanswered, 0, "{account:?}");
    // That its heads agree was asked in the guest, of the agent that signed them: records of a later one may say more.
    assert!(account.heads > 0, "{account:?}");
    for secret in PLANTED {
        assert_eq!(memchr::memmem::find(&bytes, secret), None, "{}", String::from_utf8_lossy(secret));
    }
    for public in [&b"/etc/restic/password"[..], b"vault.test", DUSK, MIDNIGHT] {
        assert!(memchr::memmem::find(&bytes, public).is_some(), "{}", String::from_utf8_lossy(public));
    }
}

/// The numbers of docs/FINDINGS.md.
#[test]
fn an_ordinary_day_brings_chains_and_no_findings() {
    let bytes = capture();
    let came = ordinary(&bytes);
    let actions = came.of("action").count();
    let stored = came.stored();
    let json: usize = came.records.iter().map(|record| record.body.len()).sum();
    println!(
        "{} events, {actions} actions, {} chains, {} records, {json} bytes of JSON, {stored} stored, {} not judged",
        came.events,
        came.chains().count(),
        came.records.len(),
        came.learning,
    );
    assert_eq!(came.found(), [[""; 3]; 0]);
    assert_eq!((came.events, actions, came.chains().count()), (EVENTS, ACTIONS, CHAINS));
    assert_eq!(came.unanswered, 0, "the findings ask nothing that the agent did not");
    // It is not for want of looking: of the second day more is judged than by one who still learns, and one who learns for a
    // moment only finds what the first day taught.
    let known = replayed(&bytes, started(&bytes, MIDNIGHT), u64::from(u32::MAX) * SECOND);
    println!(
        "{} of {} actions are not judged, for what is usual was not known",
        came.learning, known.learning
    );
    assert!(came.learning < known.learning, "{} of {}", came.learning, known.learning);
    let hasty = replayed(&bytes, started(&bytes, MIDNIGHT), 5 * SECOND);
    assert!(hasty.found().iter().any(|[kind, ..]| *kind == "new-actor"), "{:?}", hasty.found());
    let events = u64::try_from(came.events).unwrap();
    let chains = u64::try_from(came.chains().count()).unwrap();
    assert!(stored / events < 1_200 && stored / chains < 125_000, "{stored} bytes stored");
}

/// What was there before the agent is all that may be missing.
#[test]
fn its_gaps_are_named() {
    let came = ordinary(&capture());
    assert_eq!(came.of("gap").count(), 0);
    let mut gaps = BTreeSet::new();
    for chain in came.of("chain") {
        for gap in chain["gaps"].as_array().into_iter().chain(chain["summary"]["gaps"].as_array()).flatten() {
            gaps.insert((gap.as_str().unwrap(), chain["actor"]["id"].as_str().unwrap()));
        }
    }
    let (stopped, named): (Vec<_>, Vec<_>) = gaps.into_iter().partition(|(gap, _)| *gap == "agent-stopped");
    assert_eq!(named, GAPS);
    // Who was at work then is said to have been cut off.
    assert!(!stopped.is_empty());
}

/// Each of them on both days, and with every use by itself what the actor does.
#[test]
fn each_actor_is_named_with_its_credential_and_where_it_connected() {
    let bytes = capture();
    let came = ordinary(&bytes);
    let dusk = i64::try_from(started(&bytes, DUSK)).unwrap() + opened(&bytes).0.wall_offset_ns;
    let mut wrong = Vec::new();
    for (actor, kind, path, port) in USES {
        let is_it = |chain: &&Value| {
            let id = chain["actor"]["id"].as_str().unwrap();
            let number = actor.strip_suffix('*').and_then(|begins| id.strip_prefix(begins));
            let named = id == actor || number.is_some_and(|number| number.parse::<u32>().is_ok());
            let held = chain["summary"]["credentials"].as_array().unwrap();
            let to = chain["summary"]["destinations"].as_array().unwrap();
            named
                && held.iter().any(|one| one["kind"] == kind && one["path"] == path)
                && (port == 0 || to.iter().any(|one| one["port"] == port && one["established"] != 0))
        };
        let is_early = |chain: &&Value| nanoseconds(chain["since"].as_str().unwrap()).unwrap() < dusk;
        let (before, after): (Vec<&Value>, Vec<&Value>) = came.chains().filter(is_it).partition(is_early);
        if before.is_empty() || after.is_empty() {
            wrong.push(format!("{actor} {path} {port}: {} and {}", before.len(), after.len()));
        }
    }
    assert_eq!(wrong, [""; 0]);
    // Nobody else: who acted is told by unit, job, session, or another user's program that a person started.
    let actors: BTreeSet<&str> = came
        .chains()
        .map(|chain| chain["actor"]["id"].as_str().unwrap())
        .map(|id| id.rsplit_once(':').filter(|_| id.starts_with("session:")).map_or(id, |(who, _)| who))
        .collect();
    assert_eq!(actors.into_iter().collect::<Vec<_>>(), ACTORS);
}

/// The same, and what is recorded behind it: a program in /tmp sends the password of the backups away.
#[test]
fn a_deed_that_is_not_ordinary_is_found_and_nothing_else() {
    let bytes = capture();
    let came = replayed(&bytes, u64::MAX, between_days(&bytes));
    assert_eq!(came.found(), FOUND);
    let mut chains: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in came.of("finding") {
        assert_eq!(finding["credential"][0]["path"], "/etc/restic/password", "{finding}");
        assert_eq!(finding["last_program"], "/tmp/.cache/update", "{finding}");
        *chains.entry(finding["chain"].as_str().unwrap()).or_default() += 1;
    }
    let [(chain, _)] = chains.into_iter().collect::<Vec<_>>()[..] else { panic!("of more than one chain") };
    let closed = came.chains().find(|one| one["chain"] == chain).unwrap();
    let to = &closed["summary"]["destinations"][0];
    assert_eq!((&to["port"], &to["established"]), (&8080.into(), &1.into()), "{closed}");
}
