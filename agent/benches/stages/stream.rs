//! Events as a host makes them: processes that a supervisor makes, and what they do.

use spoor::event::{
    Deed, Endpoint, Event, ExitStatus, Facts, Marks, Matched, OpenedFile, ProcessKey, SampleId, Seen, Source,
    Text, What,
};

pub(super) const MS: u64 = 1_000_000;

fn text(bytes: &str) -> Text {
    Text { bytes: bytes.as_bytes().to_vec(), truncated: false }
}

fn key(number: u32) -> ProcessKey {
    ProcessKey { tgid: 1_000 + number, start_ns: u64::from(number) * 20 * MS + 1 }
}

/// One of fifty services, containers among them, as a host of some size has them.
fn cgroup(number: u32) -> String {
    match number % 50 {
        unit @ 0..40 => format!("/system.slice/worker-{unit}.service"),
        container => format!("/system.slice/docker-{container:064x}.scope"),
    }
}

fn facts(number: u32, parent: Option<ProcessKey>) -> Facts {
    let key = key(number);
    Facts {
        key,
        tid: key.tgid,
        parent,
        uid: 990,
        euid: 990,
        gid: 990,
        login_uid: None,
        session: None,
        cgroup_id: u64::from(number % 50) + 10,
        ns_tgid: key.tgid,
        pid_ns: 4_026_531_836,
        mnt_ns: 4_026_531_840,
        kthread: false,
        comm: b"worker"[..].into(),
    }
}

/// Events one after another, numbered.
pub(super) struct Stream {
    pub(super) events: Vec<Event>,
    seq: u64,
    now_ns: u64,
}

impl Stream {
    pub(super) fn new() -> Self {
        Stream { events: Vec::new(), seq: 0, now_ns: MS }
    }

    fn push(&mut self, process: Facts, source: Source, deed: Deed) {
        self.now_ns += 1_000;
        self.seq += 1;
        let id = SampleId { cpu: 0, seq: self.seq };
        let seen = Seen { id, source, marks: Marks::default(), process, deed };
        self.events.push(Event { time_ns: self.now_ns, what: What::Seen(Box::new(seen)) });
    }
}

/// So many processes are made by a supervisor, and each takes its program.
pub(super) fn births(stream: &mut Stream, many: u32) {
    (1..=many).for_each(|number| born(stream, number));
}

fn born(stream: &mut Stream, number: u32) {
    let supervisor = facts(0, None);
    let child = key(number);
    let deed = Deed::Fork {
        child,
        parent: supervisor.key,
        cgroup_id: supervisor.cgroup_id,
        ns_tgid: child.tgid,
        pid_ns: supervisor.pid_ns,
        marks: Marks::default(),
    };
    stream.push(supervisor, Source::TpFork, deed);
    let deed = Deed::Exec {
        exe: text("/usr/bin/worker"),
        filename: text("/usr/bin/worker"),
        dev: 1,
        ino: 1,
        argv: vec![b"worker".to_vec(), b"--queue".to_vec(), b"orders".to_vec()],
        argv_truncated: false,
        cgroup: text(&cgroup(number)),
        nameless: false,
    };
    stream.push(facts(number, Some(supervisor.key)), Source::TpExec, deed);
}

/// One in ten opens a credential and connects.
pub(super) fn at_work(stream: &mut Stream, many: u32) {
    (1..=many).step_by(10).for_each(|number| works(stream, number));
}

/// So many deeds, of six events each: one of the many opens a credential and connects, and another process is made, takes its
/// program and ends.
pub(super) fn deeds(stream: &mut Stream, many: u32, count: u32) {
    for deed in 0..count {
        works(stream, deed.wrapping_mul(7_919) % many + 1);
        let number = many + 1 + deed;
        born(stream, number);
        stream.push(facts(number, Some(key(0))), Source::TpExit, Deed::Exit(ExitStatus::Code(0)));
    }
}

fn works(stream: &mut Stream, number: u32) {
    let who = facts(number, Some(key(0)));
    let file = OpenedFile {
        path: text("/etc/worker/token"),
        dev: 1,
        ino: 2,
        generation: 3,
        rule: 4,
        matched: Matched::Name,
        flags: 0,
        mode: 0o100_600,
        owner: 990,
        links: 1,
        backing: false,
    };
    stream.push(who, Source::LsmOpen, Deed::Open(file));
    let of = SampleId { cpu: 0, seq: stream.seq + 1 };
    let to = Endpoint::tcp([10, 0, 0, 9].into(), 443);
    stream.push(who, Source::LsmConnect, Deed::Connect { to });
    stream.push(who, Source::TpState, Deed::ConnectEnd { of, outcome: Ok(()), from: None });
}
