//! Streams of events, written as a story: who is made by whom, opens, connects, ends. Each step takes a millisecond.

mod host;
mod played;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

pub(crate) use self::host::{fake, stages};
pub(crate) use self::played::Played;
use super::Stages;
use crate::chain::Limits;
use crate::credential::{Credential, Describe, Destination, Handed};
use crate::event::{
    ConnectFailure, Deed, Endpoint, Event, ExitStatus, Facts, KernelKey, Loss, Marks, Matched, OpenedFile,
    ProcessKey, SampleId, Seeded, Seen, Source, Text, What,
};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1000 * MS;
pub(crate) const BACKUP: u32 = 34;
pub(crate) const ALICE: u32 = 1000;
pub(crate) const JENKINS: u32 = 998;
/// A pod that is known, one that is known only later, one without a service account.
pub(crate) const POD: &str = "63b3ebfc-2890-11e9-8154-16bf8ef8d9dc";
/// Known five seconds after the start of a story.
pub(crate) const POD_SOON: &str = "7a1c2e04-2890-11e9-8154-16bf8ef8d9dd";
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
        if let Some(version) = name.strip_prefix("rotated.") {
            let (id, kind) = ("rotated".to_owned(), "rotated".to_owned());
            let version = (!version.is_empty()).then(|| version.to_owned());
            return Some(Arc::new(Credential { id, kind, version, ..Credential::default() }));
        }
        let (kind, expects) = match name {
            "credentials" => ("aws", Vec::new()),
            ".pgpass" => ("pgpass", vec![("10.0.0.9".to_owned(), Some(5432))]),
            "token" => ("token", Vec::new()),
            "kubeconfig" => ("kubeconfig", vec![("kube.example".to_owned(), Some(6443))]),
            _ => return None,
        };
        Some(Arc::new(Credential {
            id: format!("{kind}:{path}"),
            kind: kind.to_owned(),
            path: path.into_bytes(),
            identifiers: Vec::new(),
            expects,
            // Tokens are used at one place.
            destinations: Destination::all(if kind == "token" { &["*.backup.example:443"] } else { &[] }),
            ..Credential::default()
        }))
    }

    fn socket(&mut self, file: &OpenedFile, by: ProcessKey) -> Option<Arc<Credential>> {
        let kind = match file.path.bytes.as_slice() {
            b"/run/docker.sock" => "docker-socket",
            b"/run/podman.sock" => "podman-socket",
            b"/run/containerd.sock" => "containerd-socket",
            _ => return self.describe(file, by),
        };
        let (id, kind) = (kind.to_owned(), kind.to_owned());
        Some(Arc::new(Credential { id, kind, ..Credential::default() }))
    }

    fn key(&mut self, key: &KernelKey) -> Option<Arc<Credential>> {
        let id = format!("key:{}", String::from_utf8_lossy(&key.description.bytes));
        let known = key.kind.bytes == b"user";
        known.then(|| Arc::new(Credential { id, kind: "key".to_owned(), ..Credential::default() }))
    }

    /// Of processes with a number from 900 to 909 a token; 910 is gone.
    fn environment(&mut self, of: ProcessKey, _program: &[u8]) -> Option<Handed> {
        let token =
            || Credential { id: "vault:env:VAULT_TOKEN".into(), kind: "vault".into(), ..Default::default() };
        match of.tgid {
            900..=909 => Some(Handed { credentials: vec![Arc::new(token())], cut: false }),
            910 => None,
            _ => Some(Handed::default()),
        }
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
                ..Credential::default()
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
            comm: b"x"[..].into(),
        };
        self.facts.insert(key, facts);
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

    /// The same in a cgroup, under a number in a pid namespace.
    pub(crate) fn seed_in(
        &mut self,
        (tgid, start_ns, parent): (u32, u64, ProcessKey),
        exe: &str,
        (cgroup_id, path): (u64, &str),
        (ns_tgid, pid_ns): (u32, u32),
    ) -> ProcessKey {
        let key = self.seed(tgid, start_ns, Some(parent), exe, &[]);
        self.move_to(key, cgroup_id, path);
        let facts = self.facts.get_mut(&key).unwrap();
        (facts.ns_tgid, facts.pid_ns) = (ns_tgid, pid_ns);
        if let Some(Event { what: What::Seeded(seeded), .. }) = self.events.last_mut() {
            seeded.process = *facts;
            seeded.cgroup = text(path);
        }
        key
    }

    /// Makes a process under a number.
    pub(crate) fn fork(&mut self, maker: ProcessKey, tgid: u32) -> ProcessKey {
        self.fork_for(maker, maker, tgid)
    }

    /// Makes the first process of a pid namespace.
    pub(crate) fn fork_first(&mut self, maker: ProcessKey, tgid: u32) -> ProcessKey {
        self.made(maker, maker, tgid, Some((1, tgid)))
    }

    /// Makes a process whose parent is not its maker.
    pub(crate) fn fork_for(&mut self, maker: ProcessKey, parent: ProcessKey, tgid: u32) -> ProcessKey {
        self.made(maker, parent, tgid, None)
    }

    fn made(
        &mut self,
        maker: ProcessKey,
        parent: ProcessKey,
        tgid: u32,
        in_ns: Option<(u32, u32)>,
    ) -> ProcessKey {
        let child = ProcessKey { tgid, start_ns: self.now_ns + 17 };
        let mut facts = self.facts[&maker];
        facts.key = child;
        facts.tid = tgid;
        facts.parent = Some(parent);
        facts.ns_tgid = tgid;
        if let Some((ns_tgid, pid_ns)) = in_ns {
            (facts.ns_tgid, facts.pid_ns) = (ns_tgid, pid_ns);
        }
        let deed = Deed::Fork {
            child,
            parent,
            cgroup_id: facts.cgroup_id,
            ns_tgid: facts.ns_tgid,
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
        self.exec_script(key, exe, exe, argv);
    }

    /// The file that was named is not the one that runs.
    pub(crate) fn exec_script(&mut self, key: ProcessKey, exe: &str, named: &str, argv: &[&str]) {
        let deed = Deed::Exec {
            exe: text(exe),
            filename: text(named),
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

    /// Opens a file only to write it.
    pub(crate) fn write(&mut self, key: ProcessKey, path: &str) {
        let flags = nix::libc::O_WRONLY | nix::libc::O_CREAT | nix::libc::O_TRUNC;
        let file = OpenedFile { flags: flags.cast_unsigned(), ..file(path) };
        self.deed(key, Source::LsmOpen, Deed::Open(file));
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
        // Whose they are is of no interest; and always the same ones.
        let (_, facts) = self.facts.iter().min_by_key(|(key, _)| **key).unwrap();
        let mut facts = *facts;
        facts.key = nobody;
        self.facts.insert(nobody, facts);
        self.deed(nobody, Source::TpState, deed);
    }

    pub(crate) fn exit(&mut self, key: ProcessKey, code: u8) {
        self.deed(key, Source::TpExit, Deed::Exit(ExitStatus::Code(code)));
    }

    /// Nothing more is told of a process: for stories of very many.
    pub(crate) fn never_again(&mut self, key: ProcessKey) {
        self.facts.remove(&key);
        self.cgroups.remove(&key);
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
            process: self.facts[&key],
            deed,
        };
        self.push(What::Seen(Box::new(seen)));
        id
    }

    pub(crate) fn push(&mut self, what: What) {
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
