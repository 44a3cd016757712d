//! Events that passed a probe by. The kernel runs a tracing program once on a CPU at a time: one that is preempted at work is
//! not run for other tasks there meanwhile, and none is for what an interrupt brings. Tracepoints are concerned above all from
//! Linux 7 on, LSM programs never. Programs have twins for that (`again.rs` of the probes), those on functions where it is to
//! be expected. The kernel counts what passes by and does not say whose it was, so each count that grew is a gap; after a process
//! that was made, ran or ended unseen `/proc` is read again, after an end of a connection nobody is said to be served.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::RawFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::counters::LossWatch;
use super::probes::TWIN;
use crate::event::{Kind, Loss, tells_of_ends, tells_who_is_there};

/// How often those are looked at that tell who is there and who is served, ns; where nothing is seen, with the others: what
/// passes by is of moment for what is seen after it, and a probe that is at work for nobody is passed by seldom.
const VITAL_EVERY_NS: u64 = 1_000_000_000;
/// How often all are, ns: there are dozens.
const ALL_EVERY_NS: u64 = 10_000_000_000;

/// Programs by name, with what the kernel says of each; good for as long as the [`Kernel`](super::Kernel) is.
#[derive(Debug, Default)]
pub struct Passed {
    programs: Vec<Program>,
}

#[derive(Debug)]
struct Program {
    name: String,
    kind: Option<Kind>,
    info: File,
    /// As last read: of a program that is detached, nothing can be.
    count: AtomicU64,
}

impl Program {
    fn count(&self) -> u64 {
        let now = misses(&self.info).unwrap_or(0);
        now.max(self.count.fetch_max(now, Ordering::Relaxed))
    }
}

impl Passed {
    /// Of programs by name and descriptor. Of one about which nothing can be read, nothing is told.
    pub(super) fn of(programs: impl Iterator<Item = (String, RawFd)>) -> Self {
        let opened = programs.filter_map(|(name, fd)| {
            let info = File::open(format!("/proc/self/fdinfo/{fd}")).ok()?;
            Some(Program { kind: kind_of(&name), name, info, count: AtomicU64::new(0) })
        });
        let mut passed = Passed { programs: opened.collect() };
        passed.leave_out_firsts();
        passed
    }

    /// What passes the first of twins by, the second sees: it is counted, and is no loss.
    fn leave_out_firsts(&mut self) {
        let seconds = self.programs.iter().filter_map(|program| program.name.strip_suffix(TWIN));
        let firsts: Vec<String> = seconds.map(str::to_owned).collect();
        for program in self.programs.iter_mut().filter(|program| firsts.contains(&program.name)) {
            program.kind = None;
        }
    }

    /// Asks a last time, before the programs are detached: afterwards, what is known by then is what is told.
    pub fn remember(&self) {
        for program in &self.programs {
            let _ = program.count();
        }
    }

    /// How many events passed each program by, without those that none did.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, u64)> {
        let counts = self.programs.iter().map(|program| (program.name.clone(), program.count()));
        counts.filter(|(_, count)| *count != 0).collect()
    }

    /// The same by kind, of programs whose kind is wanted.
    fn by_kind(&self, wanted: impl Fn(Kind) -> bool) -> Vec<(Kind, u64)> {
        let mut counts = BTreeMap::new();
        for program in &self.programs {
            if let Some(kind) = program.kind.filter(|kind| wanted(*kind)) {
                let (_, count) = counts.entry(kind as u8).or_insert((kind, 0));
                *count += program.count();
            }
        }
        counts.into_values().collect()
    }
}

/// What the kernel counts from 5.12 on.
fn misses(info: &File) -> Option<u64> {
    let mut text = [0; 1_024];
    let read = info.read_at(&mut text, 0).ok()?;
    parse(text.get(..read)?)
}

fn parse(info: &[u8]) -> Option<u64> {
    let mut lines = info.split(|byte| *byte == b'\n');
    let count = lines.find_map(|line| line.strip_prefix(b"recursion_misses:"))?;
    std::str::from_utf8(count).ok()?.trim().parse().ok()
}

/// What a program tells that nothing else does, by its name: a tier, and what is done there.
fn kind_of(program: &str) -> Option<Kind> {
    let (tier, what) = program.split_once('_')?;
    let after = matches!(tier, "fexit" | "kretprobe");
    let what = what.trim_end_matches(TWIN).trim_end_matches("32").trim_end_matches('6');
    Some(match what {
        "fork" => Kind::Fork,
        "exec" => Kind::Exec,
        "exit" => Kind::Exit,
        "open" | "rename" => Kind::Open,
        "connect" if after => Kind::ConnectEnd,
        "state" => Kind::ConnectEnd,
        "connect" => Kind::Connect,
        "receive" => Kind::Receive,
        "read" | "map" => Kind::Read,
        "unix" => Kind::Unix,
        "ptrace" => Kind::Memory,
        "execve" | "execveat" | "exec_failed" => Kind::ExecFailed,
        "creds" | "namespaces" | "end_namespaces" => Kind::Identity,
        "send" | "ping" | "raw" => Kind::Send,
        "accept" => Kind::Accept,
        "key" | "add_key" | "request_key" | "keyctl" => Kind::Key,
        _ => return None,
    })
}

/// Whether what is told later would be wrong without it.
const fn is_vital(kind: Kind) -> bool {
    tells_who_is_there(kind) || tells_of_ends(kind)
}

/// Looks at the counts from time to time, and says what is new.
#[derive(Debug)]
pub struct MissWatch {
    passed: Arc<Passed>,
    vital: (LossWatch, u64),
    others: (LossWatch, u64),
    /// Something was seen since the vital ones were looked at last.
    busy: bool,
}

impl MissWatch {
    /// What passed by until `now_ns` is not told: nothing was expected of the probes yet.
    #[must_use]
    pub fn new(passed: Arc<Passed>, now_ns: u64) -> Self {
        let (vital, others) = Default::default();
        let mut watch = MissWatch { passed, vital, others, busy: false };
        let _ = watch.look_at_all(now_ns);
        watch
    }

    /// Something was seen: what passed by may matter for it.
    pub fn seen(&mut self) {
        self.busy = true;
    }

    /// The counts by program.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, u64)> {
        self.passed.counts()
    }

    /// What passed by since the last look, where it is time for one.
    pub fn look(&mut self, now_ns: u64) -> Vec<Loss> {
        if now_ns >= self.others.1 {
            return self.look_at_all(now_ns);
        }
        if !self.busy || now_ns < self.vital.1 {
            return Vec::new();
        }
        self.look_at_vital(now_ns).into_iter().collect()
    }

    /// What passed by since the last look, whether it is time for one or not: before it is said how much did.
    pub fn look_at_all(&mut self, now_ns: u64) -> Vec<Loss> {
        let vital = self.look_at_vital(now_ns);
        let (watch, next_ns) = &mut self.others;
        *next_ns = now_ns.saturating_add(ALL_EVERY_NS);
        // The kernel counts these by program, not by CPU.
        let others = watch.look(&self.passed.by_kind(|kind| !is_vital(kind)), Vec::new, now_ns);
        vital.into_iter().chain(others).collect()
    }

    fn look_at_vital(&mut self, now_ns: u64) -> Option<Loss> {
        self.busy = false;
        let (watch, next_ns) = &mut self.vital;
        *next_ns = now_ns.saturating_add(VITAL_EVERY_NS);
        watch.look(&self.passed.by_kind(is_vital), Vec::new, now_ns)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::super::probes;
    use super::*;

    #[test]
    fn every_program_of_the_table_has_a_kind() {
        let ways = probes::needs().flat_map(|need| need.ways);
        for program in ways.flat_map(|way| way.programs) {
            // The kernel does not guard these that way.
            let other = program.name.starts_with("skb_");
            assert_eq!(kind_of(program.name).is_none(), other, "{}", program.name);
            assert_eq!(kind_of(&program.twin()), kind_of(program.name), "{}", program.name);
        }
    }

    #[test]
    fn what_the_kernel_says_is_read() {
        let info = b"pos:\t0\nflags:\t02000002\nprog_type:\t26\nrun_cnt:\t0\nrecursion_misses:\t7\nverified_insns:\t2947\n";
        assert_eq!(parse(info), Some(7));
        for other in [
            &b"recursion_misses:"[..],
            b"recursion_misses:\t-1\n",
            b"recursion_misses:\t\xff\n",
            b"",
            b"run_cnt:\t3",
        ] {
            assert_eq!(parse(other), None);
        }
    }

    fn said(name: &str, file: &File) -> Program {
        let (name, kind) = (name.to_owned(), kind_of(name));
        Program { name, kind, info: file.try_clone().unwrap(), count: AtomicU64::new(0) }
    }

    fn say(mut file: &File, count: u64) {
        file.set_len(0).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        write!(file, "pos:\t0\nrecursion_misses:\t{count}\n").unwrap();
    }

    #[test]
    fn what_passes_by_is_told_once_and_in_its_time() {
        const SECOND: u64 = 1_000_000_000;
        let (exit, read, map) =
            (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        for file in [&exit, &read, &map] {
            say(file, 5);
        }
        let seen = tempfile::tempfile().unwrap();
        say(&seen, 5);
        let programs = vec![
            said("tp_exit", &seen),
            said("tp_exit_again", &exit),
            said("fentry_read", &read),
            said("fentry_map", &map),
        ];
        let mut passed = Passed { programs };
        passed.leave_out_firsts();
        let mut watch = MissWatch::new(Arc::new(passed), SECOND);
        watch.seen();
        assert_eq!(watch.look(3 * SECOND), [], "what was before is of no interest");
        watch.seen();
        for file in [&exit, &read, &map] {
            say(file, 6);
        }
        say(&seen, 60);
        assert_eq!(watch.look(3 * SECOND + 1), [], "it is not time yet");
        let exits = Loss { since_ns: 3 * SECOND, counts: vec![(Kind::Exit, 1)], cpus: Vec::new() };
        assert_eq!(watch.look(4 * SECOND), [exits]);
        say(&exit, 8);
        assert_eq!(watch.look(6 * SECOND), [], "nothing was seen since");
        let exits = Loss { since_ns: 4 * SECOND, counts: vec![(Kind::Exit, 2)], cpus: Vec::new() };
        let reads = Loss { since_ns: SECOND, counts: vec![(Kind::Read, 2)], cpus: Vec::new() };
        assert_eq!(watch.look(11 * SECOND), [exits, reads], "two programs, one kind");
        assert_eq!(watch.look(40 * SECOND), []);
        let mut all = watch.counts();
        all.sort();
        assert_eq!(all.len(), 4);
        assert_eq!(all[0], ("fentry_map".to_owned(), 6));
        say(&map, 9);
        watch.passed.remember();
        map.set_len(0).unwrap();
        assert_eq!(watch.counts().len(), 4, "what was counted stays, also when its program is gone");
        assert_eq!(watch.look(40 * SECOND + 1), [], "it is not time yet");
        let last = Loss { since_ns: 40 * SECOND, counts: vec![(Kind::Read, 3)], cpus: Vec::new() };
        assert_eq!(watch.look_at_all(40 * SECOND + 1), [last], "and is told at the end");
    }
}
