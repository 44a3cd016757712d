//! The table itself.

mod bounds;
mod cgroups;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use self::cgroups::Cgroups;
use super::program::script;
use super::{Ancestry, KnownBy, Process, Slot, cpid};
use crate::event::{Deed, Event, ExitStatus, Facts, ProcessKey, Seeded, Seen, Text, What};

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
/// then live ones that have no children in it (the one that acted least lately, roughly).
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
    /// Processes that ended, so that a late row of `/proc` cannot bring them back.
    tombstones: HashSet<Slot>,
    tombstone_order: VecDeque<Slot>,
    cgroups: Cgroups,
    serial: u64,
}

#[derive(Debug)]
struct Entry {
    process: Arc<Process>,
    parent: Option<Slot>,
    ended: Option<Option<ExitStatus>>,
    serial: u64,
    touched: bool,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(limits: Limits, boot_id: [u8; 16]) -> Self {
        Self {
            limits: Limits {
                processes_max: limits.processes_max.max(2),
            },
            boot_id,
            entries: HashMap::new(),
            children: HashMap::new(),
            holders: HashMap::new(),
            dead: VecDeque::new(),
            live: VecDeque::new(),
            tombstones: HashSet::new(),
            tombstone_order: VecDeque::new(),
            cgroups: Cgroups::default(),
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
        let mut at = self.entries.get(&key.into()).and_then(|entry| entry.parent);
        while let Some(entry) = at.and_then(|slot| self.entries.get(&slot)) {
            if found.len() == ANCESTORS_MAX {
                break;
            }
            found.push(Arc::clone(&entry.process));
            at = entry.parent;
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
            What::Lost(_) | What::Tick => {}
        }
        applied
    }

    fn seen(&mut self, seen: &Seen, applied: &mut Applied) {
        if let Deed::ConnectEnd { .. } = seen.deed {
            // Seen in an interrupt: only the key is told.
            applied.process = self.get(seen.process.key).cloned();
            return;
        }
        let slot = Slot::from(seen.process.key);
        if self.has_ended(slot) {
            // Its exit was seen already. It is told of once more, and not brought back.
            applied.late = true;
            let known = self.get(seen.process.key).cloned();
            applied.process =
                Some(known.unwrap_or_else(|| Arc::new(self.stranger(&seen.process, KnownBy::Act))));
            return;
        }
        self.present(&seen.process, applied);
        match &seen.deed {
            Deed::Fork { .. } => self.forked(seen, applied),
            Deed::Exec { .. } => self.executed(slot, &seen.deed),
            Deed::Exit(status) => {
                applied.process = self.get(seen.process.key).cloned();
                self.ended(slot, Some(*status), applied);
                return;
            }
            Deed::Open(_) | Deed::Connect { .. } | Deed::ConnectEnd { .. } => {}
        }
        applied.process = self.get(seen.process.key).cloned();
    }

    /// Makes sure that an acting process is in the table, exact key and present cgroup included.
    fn present(&mut self, facts: &Facts, applied: &mut Applied) {
        let slot = Slot::from(facts.key);
        if !self.entries.contains_key(&slot) {
            let process = self.stranger(facts, KnownBy::Act);
            self.insert(process, facts.parent, applied);
            return;
        }
        let Some(entry) = self.entries.get_mut(&slot) else {
            return;
        };
        entry.touched = true;
        let known = &entry.process;
        let moved = known.cgroup_id != facts.cgroup_id;
        if moved || known.key != facts.key {
            let mut process = Process::clone(known);
            process.key = facts.key;
            if moved {
                process.cgroup_id = facts.cgroup_id;
                process.cgroup = self.cgroups.path(facts.cgroup_id);
            }
            entry.process = Arc::new(process);
        }
    }

    fn has_ended(&self, slot: Slot) -> bool {
        self.tombstones.contains(&slot) || self.entries.get(&slot).is_some_and(|entry| entry.ended.is_some())
    }

    fn stranger(&self, facts: &Facts, known_by: KnownBy) -> Process {
        Process {
            key: facts.key,
            cpid: cpid(self.boot_id, facts.pid_ns, facts.key.start_ns, facts.ns_tgid),
            ns_tgid: facts.ns_tgid,
            pid_ns: facts.pid_ns,
            exe: Text::default(),
            script: None,
            argv: Vec::new(),
            argv_truncated: false,
            comm: facts.comm.clone(),
            cgroup: self.cgroups.path(facts.cgroup_id),
            cgroup_id: facts.cgroup_id,
            parent: facts.parent,
            known_by,
        }
    }

    fn forked(&mut self, seen: &Seen, applied: &mut Applied) {
        let Deed::Fork {
            child,
            parent,
            cgroup_id,
            ns_tgid,
            pid_ns,
            ..
        } = seen.deed
        else {
            return;
        };
        let slot = Slot::from(child);
        let Some(maker) = self.entries.get(&Slot::from(seen.process.key)) else {
            return;
        };
        if self.has_ended(slot) || child.tgid == seen.process.key.tgid {
            return;
        }
        let mut process = Process::clone(&maker.process);
        process.key = child;
        process.cpid = cpid(self.boot_id, pid_ns, child.start_ns, ns_tgid);
        process.ns_tgid = ns_tgid;
        process.pid_ns = pid_ns;
        process.comm.clone_from(&seen.process.comm);
        process.parent = Some(parent);
        process.known_by = KnownBy::Fork;
        if process.cgroup_id != cgroup_id {
            process.cgroup_id = cgroup_id;
            process.cgroup = self.cgroups.path(cgroup_id);
        }
        if let Some(early) = self.entries.get_mut(&slot) {
            let rounded = early
                .process
                .key
                .start_ns
                .is_multiple_of(ProcessKey::PROC_TICK_NS);
            if early.process.key == child || rounded {
                // `/proc` showed it, or it acted, before its making was told. What it runs is known better from there.
                let mut known = Process::clone(&early.process);
                known.key = child;
                known.known_by = KnownBy::Fork;
                known.parent = known.parent.or(Some(parent));
                if known.exe.bytes.is_empty() {
                    known.exe = process.exe;
                    known.argv = process.argv;
                }
                early.process = Arc::new(known);
                applied.child = Some(Arc::clone(&early.process));
                return;
            }
            self.remove(slot, applied);
        }
        self.insert(process, Some(parent), applied);
        applied.child = self.get(child).cloned();
    }

    fn executed(&mut self, slot: Slot, deed: &Deed) {
        let Deed::Exec {
            exe,
            filename,
            argv,
            argv_truncated,
            cgroup,
            ..
        } = deed
        else {
            return;
        };
        let Some(entry) = self.entries.get_mut(&slot) else {
            return;
        };
        let known = &entry.process;
        if !cgroup.bytes.is_empty() && !cgroup.truncated {
            self.cgroups.learn(known.cgroup_id, cgroup);
        }
        let cgroup = if cgroup.bytes.is_empty() {
            &known.cgroup
        } else {
            cgroup
        };
        let comm = crate::lineage::program::basename(&filename.bytes);
        entry.process = Arc::new(Process {
            key: known.key,
            cpid: known.cpid.clone(),
            ns_tgid: known.ns_tgid,
            pid_ns: known.pid_ns,
            exe: exe.clone(),
            script: script(exe, filename, argv),
            argv: argv.clone(),
            argv_truncated: *argv_truncated,
            // The kernel names a program so on exec, until it names itself.
            comm: comm.iter().copied().take(15).collect(),
            cgroup: cgroup.clone(),
            cgroup_id: known.cgroup_id,
            parent: known.parent,
            known_by: known.known_by,
        });
    }

    fn seeded(&mut self, seeded: &Seeded, applied: &mut Applied) {
        let key = seeded.process.key;
        let slot = Slot::from(key);
        if self.has_ended(slot) {
            return;
        }
        if let Some(entry) = self.entries.get_mut(&slot) {
            if entry.process.exe.bytes.is_empty() {
                let mut process = Process::clone(&entry.process);
                process.exe = seeded.exe.clone();
                process.argv.clone_from(&seeded.argv);
                if process.cgroup.bytes.is_empty() {
                    process.cgroup = seeded.cgroup.clone();
                }
                entry.process = Arc::new(process);
            }
            applied.process = Some(Arc::clone(&entry.process));
            return;
        }
        // A row read before an exit and a new holder of the number that both have been seen since.
        if self
            .holders
            .get(&key.tgid)
            .is_some_and(|holder| holder.tick > slot.tick)
        {
            return;
        }
        let mut process = self.stranger(&seeded.process, KnownBy::Proc);
        process.exe = seeded.exe.clone();
        process.argv.clone_from(&seeded.argv);
        process.cgroup = seeded.cgroup.clone();
        if !process.cgroup.bytes.is_empty() {
            self.cgroups.learn(process.cgroup_id, &process.cgroup);
        }
        self.insert(process, seeded.process.parent, applied);
        applied.process = self.get(key).cloned();
    }

    fn insert(&mut self, process: Process, parent: Option<ProcessKey>, applied: &mut Applied) {
        let slot = Slot::from(process.key);
        if let Some(old) = self.holders.get(&slot.tgid).copied().filter(|old| *old != slot)
            && let Some(entry) = self.entries.get(&old)
        {
            // A number has one live holder: the exit of the old one was lost.
            applied.replaced.push(entry.process.key);
            self.ended(old, None, applied);
        }
        while self.entries.len() >= self.limits.processes_max {
            if !self.evict(parent.map(Slot::from), applied) {
                break;
            }
        }
        let parent = parent
            .map(Slot::from)
            .filter(|parent| self.may_be_parent(*parent, slot));
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
                parent,
                ended: None,
                serial: self.serial,
                touched: false,
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
            at = self.entries.get(&slot).and_then(|entry| entry.parent);
        }
        true
    }

    fn ended(&mut self, slot: Slot, status: Option<ExitStatus>, applied: &mut Applied) {
        if self.tombstones.insert(slot) {
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
        if let Some(entry) = self.entries.get_mut(&slot) {
            entry.ended = Some(status);
            self.dead.push_back((slot, entry.serial));
        }
        self.prune(slot, applied);
    }
}
