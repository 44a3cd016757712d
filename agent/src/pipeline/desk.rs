//! What becomes of an input: the stages, and the records of what they tell. Nothing here is of the machine it runs on, so that
//! a captured stream gives the same records again: a live run and a replay both are this.

use std::sync::Arc;

use super::{Stages, TakeDigests};
use crate::actor::{Host, Resolver};
use crate::capture::{Header, Input};
use crate::chain::{self, Gap, GapKind, Machine, MarkWish, Note};
use crate::credential::Describe;
use crate::event::{Event, What};
use crate::finding::{Finding, Findings};
use crate::inventory::{self, Inventory, Told};
use crate::lineage::{self, Table};
use crate::record::{Builder, ClockOffset, Record, Redaction, View, recall, recall_finding};
use crate::telemetry::Ledger;

/// Whom the stages ask: the host, or what it said once.
#[derive(Debug)]
pub struct Outside<D, H, T> {
    /// Tells of credentials.
    pub describer: D,
    /// Tells of users, units, sessions and pods.
    pub host: H,
    /// Tells the digests of programs.
    pub digests: T,
}

/// The stages, and what records are made with.
#[derive(Debug)]
pub struct Desk<D, H> {
    /// The stages.
    pub(super) stages: Stages<D, H>,
    /// Makes records.
    pub(super) builder: Builder,
    /// What is told of accounts and credentials.
    pub(super) inventory: Inventory,
    /// Looks for deviations.
    pub(super) findings: Findings,
}

impl<D: Describe, H: Host> Desk<D, H> {
    /// Has seen nothing yet.
    #[must_use]
    pub fn of<T: TakeDigests + 'static>(
        header: &Header,
        outside: Outside<D, H, T>,
        redaction: Redaction,
        ledger: Arc<Ledger>,
    ) -> Self {
        let (scales, offset) = (header.scales, header.wall_offset_ns);
        let limits = chain::Limits {
            quiet_ns: scales.quiet_ns,
            pending_ns: scales.pending_ns,
            max_actions: scales.max_actions,
            max_open: scales.max_open,
            max_pending: scales.max_pending,
            ..chain::Limits::default()
        };
        let stages = Stages::new(
            Table::new(lineage::Limits { processes_max: scales.processes_max }, header.boot_id),
            Resolver::new(outside.host),
            outside.describer,
            Machine::new(limits, header.boot_id, offset),
            ledger,
        );
        let (first_ns, every_ns) = (scales.inventory_first_ns, scales.inventory_every_ns);
        let limits = inventory::Limits { first_ns, every_ns, ..inventory::Limits::default() };
        Desk {
            stages: stages.with_digests(outside.digests),
            builder: Builder::new(header.host.clone(), ClockOffset(offset), header.first_seq, redaction),
            inventory: Inventory::new(limits, offset, header.watched_since),
            findings: Findings::new(header.findings.clone(), offset),
        }
    }

    /// Takes one input to its end.
    pub fn take(&mut self, input: &Input<'_>, wishes: &mut Vec<MarkWish>, records: &mut Vec<Record>) {
        match input {
            Input::RecalledFinding(body) => {
                let view = View::parse(body).ok();
                let told = view.as_ref().and_then(recall_finding);
                told.into_iter().for_each(|finding| self.findings.recall_finding(finding));
            }
            Input::Recalled(body) => {
                if let Some(what) = View::parse(body).ok().as_ref().and_then(recall) {
                    self.findings.recall(&what);
                    self.inventory.recall(what);
                }
            }
            Input::RecalledAll => self.inventory.recalled(),
            Input::Event { event, listed } => self.event(event, *listed, wishes, records),
            Input::Scan { time_ns, scanned } => {
                let mut told = Vec::new();
                self.inventory.scanned(scanned, *time_ns, &mut told);
                self.tell(&told, records);
            }
            Input::Purposes { set, .. } => self.stages.purposes(set.clone()),
            Input::Findings(settings) => self.findings.go_by(settings.clone()),
            Input::Coverage { time_ns, coverage } => {
                let unseen = coverage.signals.iter().filter(|signal| signal.tier.is_none() || !signal.proven);
                let gaps = unseen.filter_map(|signal| GapKind::not_covered(&signal.signal));
                self.stages.uncovered(gaps.collect());
                records.push(self.builder.coverage(*time_ns, coverage));
            }
            Input::Gap { time_ns, since_ns, kind } => {
                let (counts, cpus, chains) = (Vec::new(), Vec::new(), Vec::new());
                let gap = Gap { time_ns: *time_ns, since_ns: *since_ns, kind: *kind, counts, cpus, chains };
                records.push(self.builder.note(&Note::Gap(gap)));
            }
            Input::Beat { time_ns, stopped: false, counters } => {
                let learning = self.findings.learning_until(&self.inventory, *time_ns);
                self.builder.learning(learning);
                records.push(self.builder.heartbeat(*time_ns, counters));
            }
            Input::Beat { time_ns, stopped: true, counters } => {
                records.push(self.builder.stopped(*time_ns, counters));
            }
            Input::Head { time_ns, head } => records.push(self.builder.signed(*time_ns, head)),
            Input::Closed { time_ns } => {
                let mut notes = Vec::new();
                self.stages.stop(*time_ns, &mut notes);
                self.record(&mut notes, records);
            }
        }
    }

    fn event(&mut self, event: &Event, listed: bool, wishes: &mut Vec<MarkWish>, records: &mut Vec<Record>) {
        let mut notes = Vec::new();
        self.stages.step(event, &mut notes, wishes);
        self.record(&mut notes, records);
        if event.what == What::Tick && listed {
            self.tick(event.time_ns, records);
        }
    }

    /// What chains tell, what of it deviates from what the inventory knew, and what of it is news of that.
    fn record(&mut self, notes: &mut Vec<Note>, records: &mut Vec<Record>) {
        let (mut told, mut found) = (Vec::new(), Vec::new());
        for note in notes.drain(..) {
            records.push(self.builder.note(&note));
            self.findings.note(&note, &self.inventory, &mut found);
            self.find(&found, records);
            found.clear();
            self.inventory.note(&note, &mut told);
        }
        self.tell(&told, records);
    }

    fn find(&mut self, found: &[Finding], records: &mut Vec<Record>) {
        records.extend(found.iter().map(|finding| self.builder.finding(finding)));
    }

    fn tell(&mut self, told: &[Told], records: &mut Vec<Record>) {
        records.extend(told.iter().map(|told| self.builder.inventory(told)));
    }

    /// Time has passed.
    fn tick(&mut self, time_ns: u64, records: &mut Vec<Record>) {
        let (mut told, mut found) = (Vec::new(), Vec::new());
        self.inventory.tick(time_ns, &mut told);
        self.findings.tick(time_ns, &mut found);
        self.tell(&told, records);
        self.find(&found, records);
    }
}
