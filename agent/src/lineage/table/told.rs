//! What events tell of a process: that it was made, what it runs, that it was there.

use std::sync::Arc;

use super::{Applied, Table};
use crate::event::{Deed, Facts, Seeded, Seen, Text};
use crate::lineage::program::{Executed, basename};
use crate::lineage::{Cpid, KnownBy, Process, Program, Slot};

impl Table {
    /// Whether a live process acts of which nothing has changed, as most do: then it has not ended, its number has no new holder,
    /// and there is nothing to take in but that it acted.
    pub(super) fn acts_as_known(&mut self, facts: &Facts) -> bool {
        let Some(entry) = self.entries.get_mut(&facts.key.into()) else {
            return false;
        };
        let known = &entry.process;
        let same = known.key == facts.key && known.cgroup_id == facts.cgroup_id && known.ids == facts.ids();
        let acts = entry.ended.is_none() && same;
        entry.touched |= acts;
        acts
    }

    /// Makes sure that an acting process is in the table, exact key and present cgroup included.
    pub(super) fn present(&mut self, facts: &Facts, applied: &mut Applied) {
        let slot = Slot::from(facts.key);
        if !self.entries.contains_key(&slot) {
            let again = self.given_up.contains(&slot);
            let process = self.stranger(facts, if again { KnownBy::Again } else { KnownBy::Act });
            self.insert(process, applied);
            return;
        }
        let Some(entry) = self.entries.get_mut(&slot) else {
            return;
        };
        entry.touched = true;
        let known = &entry.process;
        let moved = known.cgroup_id != facts.cgroup_id;
        let ids = facts.ids();
        if moved || known.key != facts.key || known.ids != ids {
            let mut process = Process::clone(known);
            process.key = facts.key;
            process.ids = ids;
            if moved {
                process.cgroup_id = facts.cgroup_id;
                process.cgroup = self.cgroups.path(facts.cgroup_id);
            }
            entry.process = Arc::new(process);
        }
    }

    pub(super) fn stranger(&self, facts: &Facts, known_by: KnownBy) -> Process {
        Process {
            key: facts.key,
            cpid: Cpid::of(self.boot_id, facts.pid_ns, facts.key.start_ns, facts.ns_tgid),
            ns_tgid: facts.ns_tgid,
            pid_ns: facts.pid_ns,
            program: Arc::clone(&self.programs.unknown),
            ids: facts.ids(),
            comm: facts.comm,
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
        process.cpid = Cpid::of(self.boot_id, pid_ns, child.start_ns, ns_tgid);
        process.ns_tgid = ns_tgid;
        process.pid_ns = pid_ns;
        process.comm = seen.process.comm;
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
            if known.program.exe.bytes.is_empty() {
                known.program = process.program;
            }
            early.process = Arc::new(known);
            applied.child = Some(Arc::clone(&early.process));
            return;
        }
        self.insert(process, applied);
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
        let cgroup = match cgroup {
            none if none.bytes.is_empty() => Arc::clone(&known.cgroup),
            cut if cut.truncated => Arc::new(cut.clone()),
            whole => self.cgroups.learn(known.cgroup_id, whole),
        };
        let (argv_truncated, nameless) = (*argv_truncated, *nameless);
        let program = self.programs.of(&Executed { exe, filename, argv, argv_truncated, nameless });
        // The kernel names a program so on exec, until it names itself.
        let comm = basename(&filename.bytes).into();
        entry.process = Arc::new(Process { program, comm, cgroup, ..Process::clone(known) });
    }

    pub(super) fn seeded(&mut self, seeded: &Seeded, applied: &mut Applied) {
        let key = seeded.process.key;
        let slot = Slot::from(key);
        if self.has_ended(key) {
            return;
        }
        if let Some(entry) = self.entries.get_mut(&slot) {
            // What was lost may have been an execution: `/proc` knows better, if its row is the later one.
            let known = &entry.process.program.exe;
            let other = seeded.again && !seeded.exe.bytes.is_empty() && *known != seeded.exe;
            if known.bytes.is_empty() || other {
                let mut process = Process::clone(&entry.process);
                let (exe, argv) = (seeded.exe.clone(), seeded.argv.clone());
                process.program = Arc::new(Program { exe, argv, ..Program::clone(&process.program) });
                if process.cgroup.bytes.is_empty() {
                    process.cgroup = Arc::new(seeded.cgroup.clone());
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
        process.program = self.programs.of(&Executed {
            exe: &seeded.exe,
            filename: &Text::default(),
            argv: &seeded.argv,
            argv_truncated: false,
            nameless: false,
        });
        if !seeded.cgroup.bytes.is_empty() {
            process.cgroup = self.cgroups.learn(process.cgroup_id, &seeded.cgroup);
        }
        self.insert(process, applied);
        applied.process = self.get(key).cloned();
    }
}
