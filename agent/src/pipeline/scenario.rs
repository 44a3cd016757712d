//! Streams of events, written as a story: who is made by whom, opens, connects, ends. Each step takes a millisecond.

mod played;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

pub(crate) use self::played::Played;
use super::Stages;
use crate::actor::{Fake, PodIdentity, Resolver};
use crate::chain::{Limits, Machine};
use crate::credential::{Credential, Describe};
use crate::event::{
    ConnectFailure, Deed, Endpoint, Event, ExitStatus, Facts, Loss, Marks, Matched, OpenedFile, ProcessKey,
    SampleId, Seeded, Seen, Source, Text, What,
};
use crate::lineage::{self, Table};
use crate::telemetry::Ledger;

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1000 * MS;
pub(crate) const BACKUP: u32 = 34;
pub(crate) const ALICE: u32 = 1000;
/// A pod that is known, one that is known only later, one without a service account.
pub(crate) const POD: &str = "63b3ebfc-2890-11e9-8154-16bf8ef8d9dc";
pub(crate) const POD_LATE: &str = "7a1c2e04-2890-11e9-8154-16bf8ef8d9dc";
pub(crate) const POD_STATIC: &str = "bd12dd3393227d950605a2444b13c27a";
pub(crate) const REFUSED: Result<(), ConnectFailure> = Err(ConnectFailure::Errno(111));

/// Files under these names are credentials; all others are not.
#[derive(Debug)]
pub(crate) struct Catalogue;

impl Describe for Catalogue {
    fn describe(&mut self, file: &OpenedFile, _by: ProcessKey) -> Option<Arc<Credential>> {
        let path = String::from_utf8_lossy(&file.path.bytes).into_owned();
        let name = path.rsplit('/').next()?;
        let (kind, expects) = match name {
            "credentials" => ("aws", Vec::new()),
            ".pgpass" => ("pgpass", vec![("10.0.0.9".to_owned(), Some(5432))]),
            "token" => ("token", Vec::new()),
            _ => return None,
        };
        Some(Arc::new(Credential {
            id: format!("{kind}:{path}"),
            kind: kind.to_owned(),
            path: path.into_bytes(),
            identifiers: Vec::new(),
            expects,
        }))
    }

    fn endpoint(&self, ip: IpAddr, port: u16) -> Option<Arc<Credential>> {
        let metadata = ip == IpAddr::from([169, 254, 169, 254]) && port == 80;
        metadata.then(|| {
            Arc::new(Credential {
                id: "metadata".to_owned(),
                kind: "metadata".to_owned(),
                path: Vec::new(),
                identifiers: Vec::new(),
                expects: Vec::new(),
            })
        })
    }
}

/// A story under way.
#[derive(Debug, Default)]
pub(crate) struct Scenario {
    pub(crate) events: Vec<Event>,
    pub(crate) now_ns: u64,
    seq: u64,
    facts: HashMap<ProcessKey, Facts>,
    cgroups: HashMap<ProcessKey, String>,
    marks: HashMap<ProcessKey, Marks>,
}

pub(crate) fn text(bytes: &str) -> Text {
    Text { bytes: bytes.as_bytes().to_vec(), truncated: false }
}

pub(crate) fn file(path: &str) -> OpenedFile {
    OpenedFile {
        path: text(path),
        dev: 1,
        ino: 2,
        generation: 3,
        rule: 4,
        matched: Matched::Name,
        flags: 0,
        mode: 0o100_600,
        owner: 0,
        links: 1,
        backing: false,
    }
}

impl Scenario {
    /// A host whose init and root shell are known from `/proc`. Tells the shell.
    pub(crate) fn begin() -> (Self, ProcessKey) {
        let mut story = Self { now_ns: 1000 * SECOND, ..Self::default() };
        let init = story.seed(1, 10 * SECOND, None, "/usr/lib/systemd/systemd", &[]);
        let shell = story.seed(100, 500 * SECOND, Some(init), "/usr/bin/bash", &[]);
        (story, shell)
    }

    pub(crate) fn wait(&mut self, ns: u64) {
        self.now_ns += ns;
    }

    pub(crate) fn seed(
        &mut self,
        tgid: u32,
        start_ns: u64,
        parent: Option<ProcessKey>,
        exe: &str,
        holds: &[&str],
    ) -> ProcessKey {
        let key = ProcessKey { tgid, start_ns };
        let facts = Facts {
            key,
            tid: tgid,
            parent,
            uid: 0,
            euid: 0,
            gid: 0,
            login_uid: None,
            session: None,
            cgroup_id: 1,
            ns_tgid: tgid,
            pid_ns: 4_026_531_836,
            mnt_ns: 4_026_531_840,
            kthread: false,
            comm: b"x".to_vec(),
        };
        self.facts.insert(key, facts.clone());
        self.cgroups.insert(key, "/".to_owned());
        self.push(What::Seeded(Box::new(Seeded {
            again: false,
            process: facts,
            exe: text(exe),
            argv: vec![exe.as_bytes().to_vec()],
            cgroup: text("/"),
            open: holds.iter().map(|path| file(path)).collect(),
        })));
        key
    }

    /// Makes a process under a number.
    pub(crate) fn fork(&mut self, maker: ProcessKey, tgid: u32) -> ProcessKey {
        self.fork_for(maker, maker, tgid)
    }

    /// Makes a process whose parent is not its maker.
    pub(crate) fn fork_for(&mut self, maker: ProcessKey, parent: ProcessKey, tgid: u32) -> ProcessKey {
        let child = ProcessKey { tgid, start_ns: self.now_ns + 17 };
        let mut facts = self.facts[&maker].clone();
        facts.key = child;
        facts.tid = tgid;
        facts.parent = Some(parent);
        facts.ns_tgid = tgid;
        let deed = Deed::Fork {
            child,
            parent,
            cgroup_id: facts.cgroup_id,
            ns_tgid: tgid,
            pid_ns: facts.pid_ns,
            marks: self.marks.get(&maker).copied().unwrap_or_default(),
        };
        self.facts.insert(child, facts);
        let cgroup = self.cgroups[&maker].clone();
        self.cgroups.insert(child, cgroup);
        self.deed(maker, Source::TpFork, deed);
        child
    }

    /// Makes a process that runs a program as a user.
    pub(crate) fn run(&mut self, maker: ProcessKey, tgid: u32, uid: u32, exe: &str) -> ProcessKey {
        let child = self.fork(maker, tgid);
        self.become_user(child, uid);
        self.exec(child, exe);
        child
    }

    pub(crate) fn become_user(&mut self, key: ProcessKey, uid: u32) {
        let facts = self.facts.get_mut(&key).unwrap();
        (facts.uid, facts.euid) = (uid, uid);
    }

    pub(crate) fn become_root_effectively(&mut self, key: ProcessKey) {
        self.facts.get_mut(&key).unwrap().euid = 0;
    }

    pub(crate) fn login(&mut self, key: ProcessKey, uid: u32, session: u32) {
        let facts = self.facts.get_mut(&key).unwrap();
        (facts.login_uid, facts.session) = (Some(uid), Some(session));
    }

    pub(crate) fn move_to(&mut self, key: ProcessKey, cgroup_id: u64, path: &str) {
        self.facts.get_mut(&key).unwrap().cgroup_id = cgroup_id;
        self.cgroups.insert(key, path.to_owned());
    }

    pub(crate) fn exec(&mut self, key: ProcessKey, exe: &str) {
        self.exec_with(key, exe, &[exe]);
    }

    pub(crate) fn exec_with(&mut self, key: ProcessKey, exe: &str, argv: &[&str]) {
        let deed = Deed::Exec {
            exe: text(exe),
            filename: text(exe),
            dev: 1,
            ino: 1,
            argv: argv.iter().map(|argument| argument.as_bytes().to_vec()).collect(),
            argv_truncated: false,
            nameless: false,
            cgroup: text(&self.cgroups[&key]),
        };
        self.deed(key, Source::TpExec, deed);
    }

    pub(crate) fn open(&mut self, key: ProcessKey, path: &str) {
        self.deed(key, Source::LsmOpen, Deed::Open(file(path)));
    }

    /// Opens or connects in another thread.
    pub(crate) fn in_thread(&mut self, key: ProcessKey, tid: u32) {
        self.facts.get_mut(&key).unwrap().tid = tid;
    }

    pub(crate) fn connect(&mut self, key: ProcessKey, to: &str, port: u16) -> SampleId {
        let to = Endpoint::tcp(to.parse().unwrap(), port);
        self.deed(key, Source::LsmConnect, Deed::Connect { to })
    }

    pub(crate) fn end(&mut self, of: SampleId, outcome: Result<(), ConnectFailure>) {
        let deed = Deed::ConnectEnd { of, outcome, from: None };
        let nobody = ProcessKey { tgid: 0, start_ns: 0 };
        let mut facts = self.facts.values().next().unwrap().clone();
        facts.key = nobody;
        self.facts.insert(nobody, facts);
        self.deed(nobody, Source::TpState, deed);
    }

    pub(crate) fn exit(&mut self, key: ProcessKey, code: u8) {
        self.deed(key, Source::TpExit, Deed::Exit(ExitStatus::Code(code)));
    }

    pub(crate) fn mark(&mut self, key: ProcessKey, marks: u32) {
        self.marks.insert(key, Marks(marks));
    }

    pub(crate) fn lost(&mut self) {
        let since_ns = self.now_ns - MS;
        self.push(What::Lost(Loss {
            since_ns,
            counts: vec![(crate::event::Kind::Fork, 3)],
            cpus: vec![(0, 3)],
        }));
    }

    pub(crate) fn tick(&mut self) {
        self.push(What::Tick);
    }

    pub(crate) fn deed(&mut self, key: ProcessKey, source: Source, deed: Deed) -> SampleId {
        self.seq += 1;
        let id = SampleId { cpu: 0, seq: self.seq };
        let seen = Seen {
            id,
            source,
            marks: self.marks.get(&key).copied().unwrap_or_default(),
            process: self.facts[&key].clone(),
            deed,
        };
        self.push(What::Seen(Box::new(seen)));
        id
    }

    fn push(&mut self, what: What) {
        self.now_ns += MS;
        self.events.push(Event { time_ns: self.now_ns, what });
    }

    /// Plays the story to its end.
    pub(crate) fn play(&self) -> Played {
        self.play_with(Limits::default(), 10_000)
    }

    pub(crate) fn play_with(&self, limits: Limits, processes_max: usize) -> Played {
        let mut stages = stages(limits, processes_max);
        let mut notes = Vec::new();
        let mut wishes = Vec::new();
        for event in &self.events {
            stages.step(event, &mut notes, &mut wishes);
        }
        Played { stages, notes, wishes }
    }
}

/// A pod of the namespace `shop`, and from when on it is known.
fn pod(uid: &str, since_ns: u64, account: Option<&str>) -> (String, (u64, Arc<PodIdentity>)) {
    let pod = PodIdentity {
        namespace: "shop".to_owned(),
        name: format!("{}-0", account.unwrap_or("static")),
        service_account: account.map(str::to_owned),
        owner: account.map(|account| format!("Deployment/{account}")),
        ..PodIdentity::default()
    };
    (uid.to_owned(), (since_ns, Arc::new(pod)))
}

pub(crate) fn stages(limits: Limits, processes_max: usize) -> Stages<Catalogue, Fake> {
    let host = Fake {
        users: [(0, "root"), (BACKUP, "backup"), (ALICE, "alice")]
            .map(|(uid, name)| (uid, name.to_owned()))
            .into(),
        timers: [("dump.service".to_owned(), "dump.timer".to_owned())].into(),
        pods: [
            pod(POD, 0, Some("cart")),
            pod(POD_LATE, 1030 * SECOND, Some("till")),
            pod(POD_STATIC, 0, None),
        ]
        .into(),
        now_ns: 0,
    };
    let boot_id = [7; 16];
    Stages::new(
        Table::new(lineage::Limits { processes_max }, boot_id),
        Resolver::new(host),
        Catalogue,
        Machine::new(limits, boot_id, 1_700_000_000_000_000_000),
        Arc::new(Ledger::default()),
    )
}
