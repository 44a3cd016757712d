//! Two ordinary weeks of a healthy host: services, cron, backups, an upgrade of packages, log rotation, monitoring that
//! reads `/proc`, an administrator, rotations, failures that pass, containers deployed anew. Nothing is to be found.

mod host;
pub(super) mod replay;

use super::super::scenario::SECOND;
use crate::chain::Note;
use crate::event::What;
use crate::finding::{Finding, Findings, Settings};
use crate::inventory::{Inventory, Limits, Told};
use crate::record::{Builder, Record, View, recall, recall_finding};
use host::{OFFSET_NS, Week, builder, stages};

const DAY: u64 = 86_400 * SECOND;

/// What came of a story.
#[derive(Debug, Default)]
struct Came {
    events: usize,
    chains: usize,
    found: Vec<Finding>,
    /// Records and bytes of each type.
    stored: std::collections::BTreeMap<&'static str, (u64, u64)>,
    learning: u64,
}

/// The loop of the worker, without a kernel and a store.
struct Loop {
    inventory: Inventory,
    findings: Findings,
    builder: Builder,
    settings: Settings,
    /// What another life would read of the store.
    kept: Vec<Record>,
    came: Came,
}

impl Loop {
    fn new(settings: Settings) -> Self {
        Loop {
            inventory: Inventory::new(Limits::default(), OFFSET_NS, OFFSET_NS),
            findings: Findings::new(settings.clone(), OFFSET_NS),
            builder: builder(),
            settings,
            kept: Vec::new(),
            came: Came::default(),
        }
    }

    fn store(&mut self, record: Record) {
        let (records, bytes) = self.came.stored.entry(record.kind.name()).or_default();
        *records += 1;
        *bytes += u64::try_from(record.body.len()).unwrap();
        if matches!(record.kind.name(), "inventory" | "finding") {
            self.kept.push(record);
        }
    }

    fn note(&mut self, note: &Note) {
        self.came.chains += usize::from(matches!(note, Note::Opened(_)));
        let (mut found, mut told) = (Vec::new(), Vec::new());
        let record = self.builder.note(note);
        self.store(record);
        self.findings.note(note, &self.inventory, &mut found);
        self.inventory.note(note, &mut told);
        self.tell(&told, found);
    }

    fn tell(&mut self, told: &[Told], found: Vec<Finding>) {
        let mut records: Vec<Record> = found.iter().map(|finding| self.builder.finding(finding)).collect();
        records.extend(told.iter().map(|told| self.builder.inventory(told)));
        records.into_iter().for_each(|record| self.store(record));
        self.came.found.extend(found);
    }

    fn tick(&mut self, time_ns: u64) {
        let (mut found, mut told) = (Vec::new(), Vec::new());
        self.inventory.tick(time_ns, &mut told);
        self.findings.tick(time_ns, &mut found);
        self.tell(&told, found);
    }

    /// The agent starts anew, and knows what it had stored.
    fn restart(&mut self) {
        self.inventory = Inventory::new(Limits::default(), OFFSET_NS, self.inventory.since_ns());
        self.came.learning += self.findings.counts().learning;
        self.findings = Findings::new(self.settings.clone(), OFFSET_NS);
        for record in self.kept.iter().rev() {
            let view = View::parse(&record.body).unwrap();
            if let Some(what) = recall(&view) {
                self.findings.recall(&what);
                self.inventory.recall(what);
            }
            recall_finding(&view).into_iter().for_each(|told| self.findings.recall_finding(told));
        }
        self.inventory.recalled();
    }
}

/// Plays a story; the agent starts anew each time so much time has passed.
fn play(week: &Week, learn_ns: u64, restart_ns: u64) -> Came {
    let settings = Settings { learn_ns: i64::try_from(learn_ns).unwrap(), ..Settings::default() };
    let (mut stages, mut around) = (stages(), Loop::new(settings));
    let (mut notes, mut wishes, mut restarted_ns) = (Vec::new(), Vec::new(), 0);
    for event in &week.story.events {
        stages.step(event, &mut notes, &mut wishes);
        notes.drain(..).for_each(|note| around.note(&note));
        if event.what == What::Tick {
            around.tick(event.time_ns);
        }
        if event.time_ns - restarted_ns > restart_ns {
            restarted_ns = event.time_ns;
            around.restart();
        }
    }
    stages.stop(week.story.now_ns, &mut notes);
    notes.drain(..).for_each(|note| around.note(&note));
    around.came.events = week.story.events.len();
    around.came.learning += around.findings.counts().learning;
    around.came
}

fn told(came: &Came) -> Vec<String> {
    came.found
        .iter()
        .map(|found| format!("{} {}: {}", found.severity.name(), found.kind.name(), found.reason))
        .collect()
}

#[test]
fn a_quiet_fortnight_brings_no_findings() {
    let week = Week::of(14, &[]);
    let came = play(&week, 7 * DAY, u64::MAX);
    let bytes: u64 = came.stored.values().map(|(_, bytes)| bytes).sum();
    let records: u64 = came.stored.values().map(|(records, _)| records).sum();
    println!("{} events, {} chains, {records} records, {bytes} bytes", came.events, came.chains);
    println!("{:?}, {} actions not judged while learning", came.stored, came.learning);
    assert_eq!(told(&came), [""; 0]);
    assert!(came.events > 40_000 && came.chains > 2_500, "{} events, {} chains", came.events, came.chains);
    assert!(came.learning > 0 && bytes < 56_000_000, "{bytes}");
}

/// Judged from the third day on, and by an agent that is started anew every other day.
#[test]
fn a_short_memory_and_many_lives_bring_none_either() {
    let week = Week::of(14, &[]);
    let came = play(&week, 2 * DAY, 2 * DAY + DAY / 3);
    assert_eq!(told(&came), [""; 0]);
}

/// The same fortnight with a few things that should not be: each is found, once, and nothing else.
#[test]
fn what_should_not_be_is_found_in_the_midst_of_it() {
    let week = Week::of(14, &[(10, host::Evil::Implant), (12, host::Evil::Curious), (13, host::Evil::Cron)]);
    let came = play(&week, 7 * DAY, 5 * DAY + DAY / 3);
    let mut kinds: Vec<(&str, &str)> = came
        .found
        .iter()
        .filter(|found| !found.again)
        .map(|found| (found.kind.name(), found.severity.name()))
        .collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            ("human-use", "medium"),
            ("memory-theft", "critical"),
            ("new-actor", "medium"),
            ("new-actor", "medium"),
            ("secret-in-arguments", "low"),
            ("untrusted-program", "medium"),
        ],
        "{:#?}",
        told(&came)
    );
}
