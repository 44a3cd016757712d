//! Findings that are open: the same again is counted, not told anew.

use std::collections::{BTreeMap, BTreeSet};

use super::case::Draft;
use super::family::who;
use super::{DAY_NS, Finding, HOUR_NS, Kind};
use crate::action::ActionId;
use crate::chain::{ChainId, Ulid};

/// Most open findings.
const OPEN_MAX: usize = 4_096;
/// Most findings of one kind by one actor in a day, beside those that are graver than all of these.
const EACH_MAX: usize = 8;
/// How often at most one is told again because a chain ends. Beyond it, once an hour.
const ENDS_MAX: u32 = 16;

/// What tells findings apart: kind, who, credential, and what else.
pub(super) type Key = (Kind, String, String, String);

#[derive(Debug)]
struct Open {
    finding: Finding,
    /// When it was told last, ns since 1970.
    told_ns: i64,
    /// How often it was told at a chain's end.
    ends: u32,
}

/// Open findings.
#[derive(Debug, Default)]
pub(super) struct Table {
    open: BTreeMap<Key, Open>,
    /// Those that say more than was told.
    untold: BTreeSet<Key>,
    pub(super) evicted: u64,
    pub(super) folded: u64,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Takes in what a rule found. What is to be told of it goes to `out`.
    pub(super) fn found(&mut self, draft: Draft, finding: Finding, out: &mut Vec<Finding>) {
        let key = key(&finding);
        let now_ns = finding.last_ns;
        if self.open.get(&key).is_some_and(|open| over(open, now_ns)) {
            self.let_go(&key, finding.time_ns, out);
        }
        if let Some(open) = self.open.get_mut(&key) {
            let graver = draft.severity > open.finding.severity;
            open.finding.goes_on(&finding);
            if graver {
                open.finding.severity = draft.severity;
                open.finding.reason = draft.reason;
                open.finding.facts = draft.facts;
                self.untold.insert(key.clone());
                self.tell(&key, finding.time_ns, out);
            } else {
                self.untold.insert(key);
            }
            return;
        }
        if self.folds(&key, &finding) {
            return;
        }
        if self.open.len() >= OPEN_MAX {
            self.make_room(finding.time_ns, out);
        }
        out.push(finding.clone());
        self.open.insert(key, Open { finding, told_ns: now_ns, ends: 0 });
    }

    /// One that was told in an earlier life.
    pub(super) fn recall(&mut self, finding: Finding) {
        if self.open.len() < OPEN_MAX {
            let told_ns = finding.last_ns;
            self.open.entry(key(&finding)).or_insert(Open { finding, told_ns, ends: 0 });
        }
    }

    /// Whether there are so many of this kind and actor already that this one is only counted.
    fn folds(&mut self, key: &Key, finding: &Finding) -> bool {
        let from = (key.0, key.1.clone(), String::new(), String::new());
        let alike = || {
            self.open.range(from.clone()..).take_while(|(other, _)| (other.0, &other.1) == (key.0, &key.1))
        };
        if alike().filter(|(_, open)| !over(open, finding.last_ns)).count() < EACH_MAX {
            return false;
        }
        let into = alike().find(|(_, open)| open.finding.severity >= finding.severity);
        let Some(into) = into.map(|(key, _)| key.clone()) else {
            return false;
        };
        if let Some(open) = self.open.get_mut(&into) {
            open.finding.folded += 1;
            self.folded += 1;
        }
        self.untold.insert(into);
        true
    }

    /// A chain ended: what went on in it is told.
    pub(super) fn ended(&mut self, chain: ChainId, time_ns: u64, out: &mut Vec<Finding>) {
        let concerns = |key: &&Key| {
            let open = self.open.get(*key);
            open.is_some_and(|open| open.finding.chain == chain && open.ends < ENDS_MAX)
        };
        let keys: Vec<Key> = self.untold.iter().filter(concerns).cloned().collect();
        for key in keys {
            if let Some(open) = self.open.get_mut(&key) {
                open.ends += 1;
            }
            self.tell(&key, time_ns, out);
        }
    }

    /// Time has passed: what goes on is told once an hour.
    pub(super) fn tick(&mut self, time_ns: u64, now_ns: i64, out: &mut Vec<Finding>) {
        let due = |key: &&Key| self.open.get(*key).is_some_and(|open| now_ns - open.told_ns >= HOUR_NS);
        let keys: Vec<Key> = self.untold.iter().filter(due).cloned().collect();
        keys.iter().for_each(|key| self.tell(key, time_ns, out));
        let gone: Vec<Key> =
            self.open.iter().filter(|(_, open)| over(open, now_ns)).map(|(key, _)| key.clone()).collect();
        gone.iter().for_each(|key| self.let_go(key, time_ns, out));
    }

    /// Tells what was not told yet.
    fn tell(&mut self, key: &Key, time_ns: u64, out: &mut Vec<Finding>) {
        if !self.untold.remove(key) {
            return;
        }
        if let Some(open) = self.open.get_mut(key) {
            open.told_ns = open.finding.last_ns;
            out.push(Finding { again: true, time_ns, ..open.finding.clone() });
        }
    }

    fn let_go(&mut self, key: &Key, time_ns: u64, out: &mut Vec<Finding>) {
        self.tell(key, time_ns, out);
        self.open.remove(key);
    }

    /// Lets go of those that went on longest ago.
    fn make_room(&mut self, time_ns: u64, out: &mut Vec<Finding>) {
        let mut by_age: Vec<(i64, Key)> =
            self.open.iter().map(|(key, open)| (open.finding.last_ns, key.clone())).collect();
        by_age.sort_unstable();
        for (_, key) in by_age.into_iter().take(OPEN_MAX / 16) {
            self.let_go(&key, time_ns, out);
            self.evicted += 1;
        }
    }
}

impl Finding {
    /// The same was noticed again.
    fn goes_on(&mut self, now: &Finding) {
        self.count = self.count.saturating_add(now.count);
        self.time_ns = now.time_ns;
        self.last_ns = self.last_ns.max(now.last_ns);
        (self.chain, self.run) = (now.chain, now.run);
        self.actor = now.actor.clone();
        self.program.clone_from(&now.program);
        for action in &now.actions {
            if self.actions.len() >= Finding::ACTIONS_MAX {
                self.actions.remove(0);
            }
            if !self.actions.contains(action) {
                self.actions.push(*action);
            }
        }
    }
}

/// Whether the same again would be another finding.
fn over(open: &Open, now_ns: i64) -> bool {
    let days = if open.finding.kind.stands() { 7 } else { 1 };
    now_ns.saturating_sub(open.finding.first_ns) >= days * DAY_NS
}

fn key(finding: &Finding) -> Key {
    let credential = finding.credential.as_ref().filter(|_| !finding.kind.is_of_subject());
    let credential = credential.map(|credential| credential.id.clone());
    (finding.kind, who(&finding.actor), credential.unwrap_or_default(), finding.subject.clone())
}

/// An id that is the same whenever the same is found: 48 bits of milliseconds, 80 of a hash.
pub(super) fn id(finding: &Finding) -> Ulid {
    let (kind, who, credential, subject) = key(finding);
    let mut hasher = blake3::Hasher::new();
    let chain = finding.chain.0.to_le_bytes();
    let action = finding.actions.first().unwrap_or(&ActionId(0)).0.to_le_bytes();
    let parts = [
        kind.name().as_bytes(),
        who.as_bytes(),
        credential.as_bytes(),
        subject.as_bytes(),
        chain.as_slice(),
        action.as_slice(),
    ];
    for part in parts {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    let mut random = [0_u8; 16];
    hasher.finalize_xof().fill(&mut random);
    let wall_ms = u128::try_from(finding.first_ns / 1_000_000).unwrap_or(0) & ((1 << 48) - 1);
    Ulid(wall_ms << 80 | u128::from_be_bytes(random) & ((1 << 80) - 1))
}
