//! What events tell of a process: that it was made, what it runs, that it was there.

use std::sync::Arc;

use super::{Applied, Table};
use crate::event::{Deed, Facts, Seeded, Seen, Text};
use crate::lineage::program::{basename, script};
use crate::lineage::{KnownBy, Process, Slot, cpid};

impl Table {
    pub(super) fn stranger(&self, facts: &Facts, known_by: KnownBy) -> Process {
        Process {
            key: facts.key,
            cpid: cpid(self.boot_id, facts.pid_ns, facts.key.start_ns, facts.ns_tgid),
            ns_tgid: facts.ns_tgid,
            pid_ns: facts.pid_ns,
            exe: Text::default(),
            script: None,
            argv: Vec::new(),
            argv_truncated: false,
            ids: (facts.uid, facts.euid, facts.gid),
            nameless: false,
            comm: facts.comm.clone(),
            cgroup: self.cgroups.path(facts.cgroup_id),
            cgroup_id: facts.cgroup_id,
            parent: facts.parent,
            known_by,
        }
    }

    pub(super) fn forked(&mut self, seen: &Seen, applied: &mut Applied) {
        let Deed::Fork { child, parent, cgroup_id, ns_tgid, pid_ns, .. } = seen.deed else {
            return;
        };
        let slot = Slot::from(child);
        let Some(maker) = self.entries.get(&Slot::from(seen.process.key)) else {
            return;
        };
        if self.has_ended(child) || child.tgid == seen.process.key.tgid {
            return;
        }
        let mut process = Process::clone(&maker.process);
        self.used_again(child, applied);
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
        self.insert(process, Some(parent), applied);
        applied.child = self.get(child).cloned();
    }

    pub(super) fn executed(&mut self, slot: Slot, deed: &Deed) {
        let Deed::Exec { exe, filename, argv, argv_truncated, cgroup, nameless, .. } = deed else {
            return;
        };
        let Some(entry) = self.entries.get_mut(&slot) else {
            return;
        };
        let known = &entry.process;
        if !cgroup.bytes.is_empty() && !cgroup.truncated {
            self.cgroups.learn(known.cgroup_id, cgroup);
        }
        let cgroup = if cgroup.bytes.is_empty() { &known.cgroup } else { cgroup };
        let comm = basename(&filename.bytes);
        entry.process = Arc::new(Process {
            key: known.key,
            cpid: known.cpid.clone(),
            ns_tgid: known.ns_tgid,
            pid_ns: known.pid_ns,
            exe: exe.clone(),
            script: script(exe, filename, argv),
            argv: argv.clone(),
            argv_truncated: *argv_truncated,
            ids: known.ids,
            nameless: *nameless,
            // The kernel names a program so on exec, until it names itself.
            comm: comm.iter().copied().take(15).collect(),
            cgroup: cgroup.clone(),
            cgroup_id: known.cgroup_id,
            parent: known.parent,
            known_by: known.known_by,
        });
    }

    pub(super) fn seeded(&mut self, seeded: &Seeded, applied: &mut Applied) {
        let key = seeded.process.key;
        let slot = Slot::from(key);
        if self.has_ended(key) {
            return;
        }
        if let Some(entry) = self.entries.get_mut(&slot) {
            // What was lost may have been an execution: `/proc` knows better, if its row is the later one.
            let other = seeded.again && !seeded.exe.bytes.is_empty() && entry.process.exe != seeded.exe;
            if entry.process.exe.bytes.is_empty() || other {
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
        if self.holders.get(&key.tgid).is_some_and(|holder| holder.tick > slot.tick) {
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
}
