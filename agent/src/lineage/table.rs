//! The table itself.

mod bounds;
mod cgroups;
mod told;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use self::cgroups::Cgroups;
use super::program::Programs;
use super::{Ancestry, KnownBy, Process, Slot};
use crate::event::{Deed, Event, ExitStatus, ProcessKey, Seen, What};

/// Bounds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most processes kept, dead forebears of living ones included.
    pub processes_max: usize,
}

/// What an event did to the table.
#[derive(Debug, Default)]
pub struct Applied {
    /// Who acted, as it is after the event.
    pub process: Option<Arc<Process>>,
    /// Whom it made.
    pub child: Option<Arc<Process>>,
    /// Processes that ended without an exit having been seen: their number has a new holder.
    pub replaced: Vec<ProcessKey>,
    /// Live processes given up because the table was full.
    pub evicted: Vec<ProcessKey>,
    /// All that left the table: nobody will be told of them again as somebody's forebear.
    pub gone: Vec<ProcessKey>,
    /// The process acted after its exit had been seen, a second exit included; to be ignored.
    pub late: bool,
}

/// The process table.
///
/// A dead process stays while a descendant of it lives. When the table is full, dead ones go first (the longest dead),
/// then live ones that have no children in it (the one that acted least lately, roughly), and last of all those that hold
/// a credential: a sleeping daemon is not pushed out by whoever forks. A quarter of the table is for those that came by one
/// themselves, and a quarter for those that inherited one, so that a holder that forks pushes out its own children only.
#[derive(Debug)]
pub struct Table {
    limits: Limits,
    boot_id: [u8; 16],
    entries: HashMap<Slot, Entry>,
    /// By parent, also where the parent itself is not known.
    children: HashMap<Slot, BTreeSet<Slot>>,
    /// The live holder of a number.
    holders: HashMap<u32, Slot>,
    /// In the order in which to give them up; may name entries that are gone or changed.
    dead: VecDeque<(Slot, u64)>,
    live: VecDeque<(Slot, u64)>,
    /// Those that hold a credential by inheritance, and those that came by one themselves, in the order of their coming. They
    /// are not in `live`, or leave it when their turn comes.
    kept: [BTreeMap<u64, Slot>; 2],
    /// Processes that ended, with their start as it was told, so that a late row of `/proc` cannot bring them back.
    tombstones: HashMap<Slot, u64>,
    tombstone_order: VecDeque<Slot>,
    /// Live processes that were given up, as many as there may be in the table: if one acts, that is said.
    given_up: HashSet<Slot>,
    given_up_order: VecDeque<Slot>,
    cgroups: Cgroups,
    programs: Programs,
    serial: u64,
}

#[derive(Debug)]
struct Entry {
    process: Arc<Process>,
    /// Whether it is its parent's child here. The number of that one may have another holder by now.
    descends: bool,
    ended: Option<Option<ExitStatus>>,
    serial: u64,
    touched: bool,
    /// How it holds a credential, where that keeps it.
    kept: Option<Held>,
}

impl Entry {
    /// Whose child it is here.
    fn parent(&self) -> Option<Slot> {
        self.process.parent.filter(|_| self.descends).map(Slot::from)
    }
}

/// How a process holds a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// A forebear came by it.
    Inherited,
    /// It came by it itself.
    Own,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(limits: Limits, boot_id: [u8; 16]) -> Self {
        Self {
            limits: Limits { processes_max: limits.processes_max.max(2) },
            boot_id,
            entries: HashMap::default(),
            children: HashMap::default(),
            holders: HashMap::default(),
            dead: VecDeque::new(),
            live: VecDeque::new(),
            kept: Default::default(),
            tombstones: HashMap::default(),
            tombstone_order: VecDeque::new(),
            given_up: HashSet::default(),
            given_up_order: VecDeque::new(),
            cgroups: Cgroups::default(),
            programs: Programs::default(),
            serial: 0,
        }
    }

    /// Number of processes in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A process, dead or alive.
    #[must_use]
    pub fn get(&self, key: ProcessKey) -> Option<&Arc<Process>> {
        self.entries.get(&key.into()).map(|entry| &entry.process)
    }

    /// The same, by its place.
    #[must_use]
    pub fn at(&self, slot: Slot) -> Option<&Arc<Process>> {
        self.entries.get(&slot).map(|entry| &entry.process)
    }

    /// How a process ended that is still in the table.
    #[must_use]
    pub fn exit_of(&self, key: ProcessKey) -> Option<ExitStatus> {
        self.entries.get(&key.into())?.ended?
    }

    /// Ancestors, nearest first, at most [`Ancestry`]'s bound of 64.
    #[must_use]
    pub fn ancestry(&self, key: ProcessKey) -> Ancestry {
        const ANCESTORS_MAX: usize = 64;
        let mut found = Ancestry::new();
        let mut at = self.entries.get(&key.into()).and_then(Entry::parent);
        while let Some(entry) = at.and_then(|slot| self.entries.get(&slot)) {
            if found.len() == ANCESTORS_MAX {
                break;
            }
            found.push(Arc::clone(&entry.process));
            at = entry.parent();
        }
        found
    }

    /// Children in the table, in the order of their numbers.
    #[must_use]
    pub fn children(&self, key: ProcessKey) -> Vec<Arc<Process>> {
        let slots = self.children.get(&key.into()).into_iter().flatten();
        let entries = slots.filter_map(|slot| self.entries.get(slot));
        entries.map(|entry| Arc::clone(&entry.process)).collect()
    }

    /// Takes in what an event says of processes.
    pub fn apply(&mut self, event: &Event) -> Applied {
        let mut applied = Applied::default();
        match &event.what {
            What::Seen(seen) => self.seen(seen, &mut applied),
            What::Seeded(seeded) => self.seeded(seeded, &mut applied),
            What::Present(present) => self.absent(present, event.time_ns, &mut applied),
            What::Lost(_)
            | What::Refused { .. }
            | What::Repeated { .. }
            | What::Missed(_)
            | What::Silent { .. }
            | What::Answer(_)
            | What::Tick => {}
        }
        applied
    }

    fn seen(&mut self, seen: &Seen, applied: &mut Applied) {
        if let Deed::ConnectEnd { .. } | Deed::AcceptEnd { .. } | Deed::Hello { .. } = seen.deed {
            // Seen in an interrupt: only the key is told.
            applied.process = self.get(seen.process.key).cloned();
            return;
        }
        let slot = Slot::from(seen.process.key);
        if self.acts_as_known(&seen.process) {
            return self.did(seen, slot, applied);
        }
        if self.has_ended(seen.process.key) {
            // Its exit was seen already. It is told of once more, and not brought back.
            applied.late = true;
            let known = self.get(seen.process.key).cloned();
            applied.process =
                Some(known.unwrap_or_else(|| Arc::new(self.stranger(&seen.process, KnownBy::Act))));
            return;
        }
        self.used_again(seen.process.key, applied);
        self.present(&seen.process, applied);
        self.did(seen, slot, applied);
    }

    /// What a process did that is in the table.
    fn did(&mut self, seen: &Seen, slot: Slot, applied: &mut Applied) {
        match &seen.deed {
            Deed::Fork { .. } => self.forked(seen, applied),
            Deed::Exec { .. } => self.executed(slot, &seen.deed),
            Deed::Exit(status) => {
                applied.process = self.get(seen.process.key).cloned();
                self.ended(slot, Some(*status), applied);
                return;
            }
            Deed::Open(_)
            | Deed::Receive(_)
            | Deed::Read { .. }
            | Deed::Unix { .. }
            | Deed::Key { .. }
            | Deed::Memory { .. }
            | Deed::ExecFailed { .. }
            | Deed::Identity(_)
            | Deed::Connect { .. }
            | Deed::ConnectEnd { .. }
            | Deed::Send { .. }
            | Deed::Accept { .. }
            | Deed::AcceptEnd { .. }
            | Deed::Hello { .. } => {}
        }
        applied.process = self.get(seen.process.key).cloned();
    }

    /// Processes that are not among those of `/proc` have ended, and their exits were lost. One that started after the
    /// reading began may be too young to be in it.
    fn absent(&mut self, present: &[ProcessKey], began_ns: u64, applied: &mut Applied) {
        // Nobody is gone for not being in a list without anybody.
        if present.is_empty() {
            return;
        }
        // Whoever was made before the reading of `/proc` began and lives is in it; who came later need not be.
        let began = began_ns / ProcessKey::PROC_TICK_NS;
        let there: HashSet<Slot> = present.iter().map(|key| Slot::from(*key)).collect();
        let holders = self.holders.values().copied();
        let mut gone: Vec<Slot> = holders.filter(|slot| slot.tick < began && !there.contains(slot)).collect();
        gone.sort_unstable();
        for slot in gone {
            if let Some(entry) = self.entries.get(&slot) {
                applied.replaced.push(entry.process.key);
                self.ended(slot, None, applied);
            }
        }
    }

    /// Whether it is known to have ended. Who has its number within the same tick is another.
    fn has_ended(&self, key: ProcessKey) -> bool {
        let slot = Slot::from(key);
        let known = self.entries.get(&slot);
        if let Some(holder) = known.filter(|entry| entry.ended.is_none()) {
            return is_before(key.start_ns, holder.process.key.start_ns);
        }
        let ended = known.map(|entry| entry.process.key.start_ns);
        let ended = ended.max(self.tombstones.get(&slot).copied());
        ended.is_some_and(|start_ns| !is_before(start_ns, key.start_ns))
    }

    /// A number may have a new holder within one tick of its former one's start: that one goes, and whom it made is not the
    /// new one's.
    fn used_again(&mut self, key: ProcessKey, applied: &mut Applied) {
        let slot = Slot::from(key);
        let Some(former) =
            self.entries.get(&slot).filter(|entry| is_before(entry.process.key.start_ns, key.start_ns))
        else {
            return;
        };
        if former.ended.is_none() {
            applied.replaced.push(former.process.key);
            self.ended(slot, None, applied);
        }
        for child in self.children.remove(&slot).into_iter().flatten() {
            if let Some(entry) = self.entries.get_mut(&child) {
                entry.descends = false;
            }
        }
        self.remove(slot, applied);
    }

    fn insert(&mut self, process: Process, applied: &mut Applied) {
        let slot = Slot::from(process.key);
        let parent = process.parent.map(Slot::from);
        if let Some(old) = self.holders.get(&slot.tgid).copied().filter(|old| *old != slot)
            && let Some(entry) = self.entries.get(&old)
        {
            // A number has one live holder: the exit of the old one was lost.
            applied.replaced.push(entry.process.key);
            self.ended(old, None, applied);
        }
        while self.entries.len() >= self.limits.processes_max {
            if !self.evict(parent, applied) {
                break;
            }
        }
        let parent = parent.filter(|parent| self.may_be_parent(*parent, slot));
        if let Some(parent) = parent {
            self.children.entry(parent).or_default().insert(slot);
        }
        self.serial += 1;
        self.holders.insert(slot.tgid, slot);
        self.live.push_back((slot, self.serial));
        self.entries.insert(
            slot,
            Entry {
                process: Arc::new(process),
                descends: parent.is_some(),
                ended: None,
                serial: self.serial,
                touched: false,
                kept: None,
            },
        );
        self.tidy();
    }

    /// A parent is older than its child. Within one tick that cannot be told, so there the way up is walked: the table
    /// never holds a loop.
    fn may_be_parent(&self, parent: Slot, child: Slot) -> bool {
        if parent.tick != child.tick {
            return parent.tick < child.tick;
        }
        let mut at = Some(parent);
        while let Some(slot) = at.filter(|slot| slot.tick == child.tick) {
            if slot == child {
                return false;
            }
            at = self.entries.get(&slot).and_then(Entry::parent);
        }
        true
    }

    fn ended(&mut self, slot: Slot, status: Option<ExitStatus>, applied: &mut Applied) {
        let start_ns = self
            .entries
            .get(&slot)
            .map_or(slot.tick * ProcessKey::PROC_TICK_NS, |entry| entry.process.key.start_ns);
        if self.tombstones.insert(slot, start_ns).is_none() {
            self.tombstone_order.push_back(slot);
        }
        if self.tombstone_order.len() > self.limits.processes_max
            && let Some(oldest) = self.tombstone_order.pop_front()
        {
            self.tombstones.remove(&oldest);
        }
        if self.holders.get(&slot.tgid) == Some(&slot) {
            self.holders.remove(&slot.tgid);
        }
        self.release(slot);
        if let Some(entry) = self.entries.get_mut(&slot) {
            entry.ended = Some(status);
            self.dead.push_back((slot, entry.serial));
        }
        self.prune(slot, applied);
        self.tidy();
    }
}

/// Whether of two that had one number the former started first. Where a start is told in ticks, nobody can say.
fn is_before(former_ns: u64, start_ns: u64) -> bool {
    let exact = |start_ns: u64| !start_ns.is_multiple_of(ProcessKey::PROC_TICK_NS);
    exact(former_ns) && exact(start_ns) && former_ns < start_ns
}
