//! What the desk makes of a stream, stored as the worker stores it: a batch of events is one transaction.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::super::{Desk, Outside, TakeDigests};
use super::week::replay::{REDACTION, header};
use super::{AWS, BACKUP, SECOND, Scenario, backup_story};
use crate::actor::Fake;
use crate::capture::Input;
use crate::event::Event;
use crate::lineage::Process;
use crate::pipeline::scenario::{Catalogue, fake};
use crate::purpose::Digest;
use crate::record::{Coverage, SignalCoverage, View};
use crate::store::{Reader, Retention, Store};
use crate::telemetry::Ledger;

#[derive(Debug)]
struct NoDigests;

impl TakeDigests for NoDigests {
    fn of(&mut self, _: &Process) -> Option<Digest> {
        None
    }
}

fn desk() -> Desk<Catalogue, Fake> {
    let outside = Outside { describer: Catalogue, host: fake(), digests: NoDigests };
    Desk::of(&header(), outside, REDACTION, Arc::new(Ledger::default()))
}

/// The lines of a store into which a stream went in batches of that size, each with its predecessor's hash.
fn stored(events: &[Event], size: usize) -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let retention = Retention { keep: Duration::from_hours(1), max_bytes: 1 << 30 };
    let mut store = Store::open(dir.path(), retention).unwrap();
    let mut desk = desk();
    for batch in events.chunks(size) {
        let mut records = Vec::new();
        for event in batch {
            let event = Input::Event { event: Cow::Borrowed(event), listed: true };
            desk.take(&event, &mut Vec::new(), &mut records);
        }
        store.append(&records).unwrap();
    }
    let mut records = Vec::new();
    let end = events.last().map_or(0, |event| event.time_ns + SECOND);
    desk.take(&Input::Closed { time_ns: end }, &mut Vec::new(), &mut records);
    store.append(&records).unwrap();
    store.seal().unwrap();
    let lines = Reader::open(dir.path()).unwrap().after(0, 100_000).unwrap();
    lines.into_iter().map(|line| line.body).collect()
}

#[test]
fn a_stream_gives_the_same_lines_and_hashes_in_any_batch_size() {
    let mut story = backup_story();
    let shell = crate::event::ProcessKey { tgid: 100, start_ns: 500 * SECOND };
    // More than the largest batch, and quiet times, ticks and losses among it.
    for round in 0..1_500 {
        let job = story.run(shell, 1_000 + round, BACKUP, "/usr/bin/job");
        if round.is_multiple_of(10) {
            story.open(job, AWS);
            story.write(job, "/srv/new/token");
            let asked = story.connect(job, "10.0.0.1", 443);
            story.end(asked, Ok(()));
            story.tick();
        }
        if round.is_multiple_of(200) {
            story.lost();
            story.wait(301 * SECOND);
        }
        story.exit(job, 0);
    }
    assert!(story.events.len() > 4_096);
    let one = stored(&story.events, 1);
    assert!(one.len() > 600, "{}", one.len());
    let hash = |line: &Vec<u8>| View::parse(line).unwrap().text("prev").unwrap_or_default().len();
    assert!(one.iter().all(|line| hash(line) == 64), "each carries its predecessor's hash");
    for size in [7, 4_096] {
        let other = stored(&story.events, size);
        assert_eq!(other.len(), one.len());
        let differs = one.iter().zip(&other).position(|(one, other)| one != other);
        assert_eq!(differs, None, "in batches of {size}");
    }
}

fn signal(signal: &str, tier: Option<&str>, proven: bool) -> SignalCoverage {
    let (signal, tier) = (signal.to_owned(), tier.map(str::to_owned));
    SignalCoverage { signal, tier, proven, ..SignalCoverage::default() }
}

/// Gaps of chains as they open and close, under a coverage and then another.
fn gaps(first: Vec<SignalCoverage>, then: &[SignalCoverage]) -> Vec<(String, String)> {
    let (mut story, shell) = Scenario::begin();
    let job = story.run(shell, 200, BACKUP, "/usr/bin/job");
    story.open(job, AWS);
    let middle = story.events.len();
    let later = story.run(shell, 201, BACKUP, "/usr/bin/later");
    story.open(later, AWS);
    story.exit(later, 0);
    story.exit(job, 0);
    let (mut desk, mut records) = (desk(), Vec::new());
    let cover = |desk: &mut Desk<_, _>, signals, records: &mut Vec<_>| {
        let coverage = Cow::Owned(Coverage { signals, ..Coverage::default() });
        desk.take(&Input::Coverage { time_ns: SECOND, coverage }, &mut Vec::new(), records);
    };
    cover(&mut desk, first, &mut records);
    for (at, event) in story.events.iter().enumerate() {
        if at == middle {
            cover(&mut desk, then.to_vec(), &mut records);
        }
        let event = Input::Event { event: Cow::Borrowed(event), listed: true };
        desk.take(&event, &mut Vec::new(), &mut records);
    }
    let told = records.iter().filter(|record| record.kind.name() == "chain").map(|record| {
        let view = View::parse(&record.body).unwrap();
        let list = |key: &str| serde_json::Value::from(view.list(key).to_vec()).to_string();
        let closed = view.text("status") == Some("closed");
        let key = if closed { "summary.gaps" } else { "gaps" };
        (view.text("status").unwrap_or_default().to_owned(), list(key))
    });
    told.collect()
}

#[test]
fn a_chain_says_what_nothing_showed_while_it_was_open() {
    let all = || ["fork", "exec", "exit", "connect"].map(|name| signal(name, Some("lsm"), true)).to_vec();
    let told = |opened: &str, later: &str, closed: &str, last: &str| {
        [("opened", opened), ("opened", later), ("closed", closed), ("closed", last)]
            .map(|(phase, gaps)| (phase.to_owned(), gaps.to_owned()))
            .to_vec()
    };
    assert_eq!(gaps(all(), &all()), told("[]", "[]", "[]", "[]"));
    let exit = || [all(), vec![signal("exit", None, false)]].concat();
    let gap = r#"["exit-not-covered"]"#;
    assert_eq!(gaps(exit(), &all()), told(gap, "[]", "[]", gap), "as long as it is so");
    // It falls silent: chains that are open, and those that open then.
    let silent = || [all(), vec![signal("connect.outcome", Some("tracepoint"), false)]].concat();
    let gap = r#"["outcome-not-covered"]"#;
    assert_eq!(gaps(all(), &silent()), told("[]", gap, gap, gap));
    // What most chains do without is no gap of each.
    let names = || [all(), vec![signal("names", None, false), signal("send", None, false)]].concat();
    assert_eq!(gaps(names(), &names()), told("[]", "[]", "[]", "[]"));
}
