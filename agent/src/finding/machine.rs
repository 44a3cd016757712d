//! Notes of chains in, findings out.

use std::sync::Arc;

use super::case::{Case, Unjudged, program};
use super::open::{self, Table};
use super::rules::{self, Memory};
use super::{Finding, Settings};
use crate::chain::{Acted, Note, Ulid};
use crate::inventory::{Inventory, What};

/// What became of what was looked at. Numbers only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Findings.
    pub found: u64,
    /// Times that an open one was noticed again.
    pub again: u64,
    /// Those that are only counted in another.
    pub folded: u64,
    /// Actions that were not judged because what is usual was not known for long enough.
    pub learning: u64,
    /// Actions that were not judged because there was no room for all that is usual.
    pub unjudged: u64,
    /// Actions that were not judged because the account opens whatever it finds.
    pub bulk: u64,
    /// Open findings, and what is remembered for rules, given up for want of room.
    pub evicted: u64,
}

impl Counts {
    /// By the names of heartbeats.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 7] {
        [
            ("findings", self.found),
            ("findings_again", self.again),
            ("findings_folded", self.folded),
            ("findings_learning", self.learning),
            ("findings_unjudged", self.unjudged),
            ("findings_bulk", self.bulk),
            ("findings_evicted", self.evicted),
        ]
    }
}

/// Looks for deviations.
#[derive(Debug)]
pub struct Findings {
    settings: Settings,
    wall_offset_ns: i64,
    table: Table,
    memory: Memory,
    counts: Counts,
    /// When it was last looked for what is due, ns of `CLOCK_BOOTTIME`.
    ticked_ns: u64,
}

impl Findings {
    /// How often is looked for what is due, ns.
    const TICK_NS: u64 = 60_000_000_000;

    /// Nothing was found yet; `wall_offset_ns` makes ns since 1970 of boot time.
    #[must_use]
    pub fn new(settings: Settings, wall_offset_ns: i64) -> Self {
        Self {
            settings,
            wall_offset_ns,
            table: Table::default(),
            memory: Memory::default(),
            counts: Counts::default(),
            ticked_ns: 0,
        }
    }

    /// What the inventory was told in an earlier life, the newest first.
    pub fn recall(&mut self, what: &What) {
        if let What::Credential(holding) = what {
            self.memory.recall(holding);
        }
    }

    /// A finding that was told in an earlier life, the newest first.
    pub fn recall_finding(&mut self, finding: Finding) {
        self.table.recall(finding);
    }

    /// What became of what was looked at.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let evicted = self.table.evicted + self.memory.evicted();
        Counts { folded: self.table.folded, evicted, ..self.counts }
    }

    /// Open findings, and what is remembered for rules.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        (self.table.len(), self.memory.len())
    }

    /// Goes by other settings from now on. What was found stays found.
    pub fn go_by(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Until when nothing is judged by habit, ns since 1970; `None` once that is over.
    #[must_use]
    pub fn learning_until(&self, known: &Inventory, time_ns: u64) -> Option<i64> {
        let until = known.since_ns().saturating_add(self.settings.learn_ns);
        (self.wall(time_ns) < until).then_some(until)
    }

    /// What a chain tells, before the inventory learns of it.
    pub fn note(&mut self, note: &Note, known: &Inventory, out: &mut Vec<Finding>) {
        match note {
            Note::Acted(acted) => self.acted(acted, known, out),
            Note::Closed(closed) => self.table.ended(closed.chain, closed.time_ns, out),
            Note::Opened(_) | Note::Completed(_) | Note::Gap(_) => {}
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, time_ns: u64, out: &mut Vec<Finding>) {
        if time_ns.saturating_sub(self.ticked_ns) < Self::TICK_NS {
            return;
        }
        self.ticked_ns = time_ns;
        let now_ns = self.wall(time_ns);
        self.table.tick(time_ns, now_ns, out);
        self.memory.tick(now_ns);
    }

    fn wall(&self, boot_ns: u64) -> i64 {
        i64::try_from(boot_ns).unwrap_or(i64::MAX).saturating_add(self.wall_offset_ns)
    }

    fn acted(&mut self, acted: &Acted, known: &Inventory, out: &mut Vec<Finding>) {
        let now_ns = self.wall(acted.action.time_ns);
        let case = Case { acted, known, settings: &self.settings, now_ns };
        let (mut drafts, mut unjudged) = (Vec::new(), Vec::new());
        rules::judge(&case, rules::verdict(&case), &mut self.memory, &mut drafts, &mut unjudged);
        for why in unjudged {
            match why {
                Unjudged::Learning => self.counts.learning += 1,
                Unjudged::Full => self.counts.unjudged += 1,
                Unjudged::Bulk => self.counts.bulk += 1,
            }
        }
        for draft in drafts {
            if self.settings.off.contains(&draft.kind) {
                continue;
            }
            let mut actions = vec![acted.action.id];
            let before = acted.link.iter().flat_map(|link| &link.of);
            actions.extend(before.take(Finding::ACTIONS_MAX - 1));
            let mut finding = Finding {
                id: Ulid(0),
                again: false,
                kind: draft.kind,
                severity: draft.severity,
                time_ns: acted.action.time_ns,
                chain: acted.chain,
                run: acted.run,
                actor: Arc::clone(&acted.action.actor),
                program: program(&acted.action.process).to_vec(),
                credential: draft.credential.clone(),
                subject: draft.subject.clone(),
                actions,
                reason: draft.reason.clone(),
                facts: draft.facts.clone(),
                first_ns: now_ns,
                last_ns: now_ns,
                count: acted.count(),
                folded: 0,
            };
            finding.id = open::id(&finding);
            let (before, told) = (self.table.folded, out.len());
            self.table.found(draft, finding, out);
            if out.get(told..).unwrap_or_default().iter().any(|told| !told.again) {
                self.counts.found += 1;
            } else if self.table.folded == before {
                self.counts.again += 1;
            }
        }
    }
}
