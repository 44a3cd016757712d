//! What it costs to know who acts: `cargo xtask bench` runs it last, as a table. Asserts nothing about time.
//!
//! A thousand processes of a host like others (services, containers, sessions, jobs) are made, and each then acts. The cost
//! is that of the process table and of the resolver together, for they always come together.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use spoor::actor::{Files, Resolver};
use spoor::event::{Deed, Event, Facts, Marks, ProcessKey, SampleId, Seen, Source, Text, What};
use spoor::lineage::{Limits, Table};

const PROCESSES: u32 = 1000;
const ROUNDS: u32 = 50;

/// Cgroup, login, user and program of each kind of actor.
const KINDS: [(&str, Option<u32>, u32, &str); 6] = [
    ("/system.slice/web.service", None, 33, "/usr/sbin/nginx"),
    ("/system.slice/docker-ID.scope", None, 999, "/usr/bin/node"),
    ("/user.slice/user-1000.slice/session-3.scope", Some(1000), 1000, "/usr/bin/bash"),
    ("/user.slice/user-1000.slice/session-3.scope", Some(1000), 1000, "/home/alice/.local/bin/claude"),
    ("/system.slice/actions.runner.acme-shop.n7.service", None, 1001, "/opt/runner/bin/Runner.Worker"),
    ("/", None, 34, "/usr/local/bin/job"),
];

const INIT: ProcessKey = ProcessKey { tgid: 1, start_ns: 0 };

struct Host {
    table: Table,
    resolver: Resolver<Files>,
    now_ns: u64,
}

fn text(bytes: &str) -> Text {
    Text { bytes: bytes.as_bytes().to_vec(), truncated: false }
}

fn facts(key: ProcessKey, kind: usize) -> Facts {
    let (_, login_uid, uid, _) = KINDS[kind];
    Facts {
        key,
        tid: key.tgid,
        parent: Some(INIT),
        uid,
        euid: uid,
        gid: uid,
        login_uid,
        session: login_uid.map(|_| 3),
        cgroup_id: 100 + kind as u64,
        ns_tgid: key.tgid,
        pid_ns: 1,
        mnt_ns: 1,
        kthread: false,
        comm: b"x"[..].into(),
    }
}

impl Host {
    fn see(&mut self, facts: &Facts, deed: Deed) {
        self.now_ns += 1_000;
        let seen = Seen {
            id: SampleId { cpu: 0, seq: self.now_ns },
            source: Source::TpFork,
            marks: Marks::default(),
            process: *facts,
            deed,
        };
        let event = Event { time_ns: self.now_ns, what: What::Seen(Box::new(seen)) };
        let applied = self.table.apply(&event);
        let Some(process) = applied.process else { return };
        black_box(self.resolver.resolve(&self.table, &process, facts, self.now_ns));
        if let Some(child) = applied.child {
            black_box(self.resolver.forked(&self.table, facts, &child, self.now_ns));
        }
        for gone in applied.gone {
            self.resolver.forget(gone);
        }
    }
}

fn exec(kind: usize, number: u32) -> Deed {
    let (cgroup, _, _, exe) = KINDS[kind];
    let id = format!("{:064x}", number % 20);
    Deed::Exec {
        exe: text(exe),
        filename: text(exe),
        dev: 1,
        ino: 1,
        argv: vec![exe.as_bytes().to_vec(), b"--config=/etc/x.conf".to_vec()],
        argv_truncated: false,
        nameless: false,
        cgroup: text(&cgroup.replace("ID", &id)),
    }
}

fn fork(child: ProcessKey, kind: usize) -> Deed {
    Deed::Fork {
        child,
        parent: INIT,
        cgroup_id: 100 + kind as u64,
        ns_tgid: child.tgid,
        pid_ns: 1,
        marks: Marks::default(),
    }
}

fn row(what: &str, value: &str) {
    println!("{what:<36} {:<8} {value:>14}", "");
}

fn each(took: Duration, times: u32) -> String {
    format!("{:.2} us", took.as_secs_f64() * 1e6 / f64::from(times))
}

fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

fn main() {
    let empty = resident();
    let mut host = Host {
        table: Table::new(Limits { processes_max: 65_536 }, [7; 16]),
        resolver: Resolver::new(Files::new(Path::new("/"))),
        now_ns: 1_000_000_000,
    };
    let init = Facts { parent: None, login_uid: None, session: None, ..facts(INIT, 0) };
    let kinds = KINDS.len();
    let mut live: Vec<(Facts, usize)> = Vec::new();
    // Many, so that what one takes stands out of what the allocator does.
    for number in 0..32 * PROCESSES {
        let kind = number as usize % kinds;
        let key = ProcessKey { tgid: 2 + number, start_ns: host.now_ns };
        let facts = facts(key, kind);
        host.see(&init, fork(key, kind));
        host.see(&facts, exec(kind, number));
        live.push((facts, kind));
    }
    let each_process = resident().saturating_sub(empty) / u64::from(32 * PROCESSES);
    row(
        "memory, a thousand processes",
        &format!("{:.1} MiB", each_process as f64 * 1000.0 / f64::from(1 << 20)),
    );
    let measure = |what: &str, host: &mut Host, deed: &dyn Fn(&Facts, usize, u32) -> Deed| {
        let begun = Instant::now();
        for round in 0..ROUNDS {
            for (facts, kind) in live.iter().take(PROCESSES as usize) {
                host.see(facts, deed(facts, *kind, round));
            }
        }
        row(what, &each(begun.elapsed(), ROUNDS * PROCESSES));
    };
    measure("who acts, known process", &mut host, &|facts, _, _| Deed::Memory {
        target: facts.key,
        how: spoor::event::MemoryWay::Attach,
    });
    measure("who acts, a new program", &mut host, &|_, kind, round| exec(kind, round));
    measure("who acts, a fork", &mut host, &|facts, kind, round| {
        fork(
            ProcessKey { tgid: 100_000 + facts.key.tgid, start_ns: 10_000_000_000 * u64::from(round + 2) },
            kind,
        )
    });
}
