//! One chain in the making: what a night is told with.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::{MS, T0, redaction};
use crate::action::{Action, ActionDeed, ActionId, ConnectOutcome};
use crate::actor::Actor;
use crate::chain::{
    Acted, Basis, ChainId, CloseReason, Closed, Completed, Link, LinkFact, Note, Opened, Relation,
    RunAttempt, Summary, Ulid,
};
use crate::credential::{Credential, Destination, Human, Lifetime};
use crate::event::{Endpoint, ExitStatus, Facts, Matched, OpenedFile, ProcessKey, Source, Text};
use crate::lineage::{Cpid, KnownBy, Process, Program};

pub(super) fn text(text: &str) -> Text {
    Text { bytes: text.as_bytes().to_vec(), truncated: false }
}

pub(super) fn process(pid: u32, at_ns: u64, exe: &str, argv: &[&str], parent: Option<&Process>) -> Process {
    let cgroup = if pid == 1 { "/init.scope" } else { "/system.slice/backup.service" };
    Process {
        key: ProcessKey { tgid: pid, start_ns: at_ns },
        cpid: Cpid((0xb770_a0ed_8463_822c_b5f6_u128 << 48 | u128::from(pid)).to_be_bytes()),
        ns_tgid: pid,
        pid_ns: 4_026_531_836,
        program: Arc::new(Program {
            exe: text(exe),
            argv: argv.iter().map(|arg| arg.as_bytes().to_vec()).collect(),
            ..Program::default()
        }),
        ids: (990, 990, 990),
        comm: exe.rsplit('/').next().unwrap().as_bytes().into(),
        cgroup: Arc::new(text(cgroup)),
        cgroup_id: 42,
        parent: parent.map(|parent| parent.key),
        known_by: KnownBy::Fork,
    }
}

fn facts(process: &Process, parent: Option<ProcessKey>) -> Facts {
    Facts {
        key: process.key,
        tid: process.key.tgid,
        parent: parent.or(process.parent),
        uid: 990,
        euid: 990,
        gid: 990,
        login_uid: None,
        session: None,
        cgroup_id: 42,
        ns_tgid: process.ns_tgid,
        pid_ns: process.pid_ns,
        mnt_ns: 4_026_531_841,
        kthread: false,
        comm: process.comm,
    }
}

pub(super) fn file(path: &str, ino: u64) -> Box<OpenedFile> {
    Box::new(OpenedFile {
        path: text(path),
        dev: (8 << 20) | 1,
        ino,
        generation: 7,
        rule: 3,
        matched: Matched::Name,
        flags: 0o100_000,
        mode: 0o100_600,
        owner: 990,
        links: 1,
        backing: false,
    })
}

pub(super) fn credential(kind: &str, path: &str, identifiers: &[(&str, &str)]) -> Arc<Credential> {
    let first = identifiers.first().map_or(path, |(_, value)| value);
    // Of one kind all is known.
    let usual = match kind {
        "kubernetes-token" => Credential {
            expires: Some(1_767_326_400),
            issuer: "kubernetes".to_owned(),
            destinations: Destination::all(&["kubernetes.default.svc:443", "*:6443"]),
            lifetime: Some(Lifetime::Rotated),
            max_age: Some(Duration::from_secs(86_400)),
            human: Human::Finding,
            ..Credential::default()
        },
        _ => Credential::default(),
    };
    Arc::new(Credential {
        id: format!("{kind}:{}", (redaction().printable)(first.as_bytes())),
        kind: kind.to_owned(),
        path: path.as_bytes().to_vec(),
        identifiers: identifiers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        expects: Vec::new(),
        // Files of one home hold one secret.
        fingerprints: vec![format!("cfp1:{:032x}", path.split('/').nth(2).map_or(0, str::len))],
        version: Some(format!("cv1:{:016x}", path.len())),
        // In June, half a year before; else some days before.
        written: Some(if kind == "pgpass" { 1_750_000_000 } else { 1_767_000_000 }),
        ..usual
    })
}

/// One chain in the making.
pub(super) struct Night {
    pub(super) chain: ChainId,
    run: Ulid,
    actor: Arc<Actor>,
    next: u64,
    pub(super) attempt: Option<RunAttempt>,
    pub(super) notes: Vec<Note>,
}

impl Night {
    pub(super) fn new(chain: u128, actor: Actor) -> Self {
        // The first 48 bits of a ULID are milliseconds since 1970.
        let ulid = |low| Ulid(((1_767_322_800_000 + low % 100_000) << 80) | low);
        Self {
            chain: ulid(chain),
            run: ulid(chain - 1),
            actor: Arc::new(actor),
            next: 1,
            attempt: None,
            notes: Vec::new(),
        }
    }

    pub(super) fn opened(&mut self, root: &Arc<Process>, lineage: &[&Arc<Process>]) {
        self.notes.push(Note::Opened(Box::new(Opened {
            chain: self.chain,
            run: self.run,
            run_since_ns: root.key.start_ns,
            time_ns: T0,
            actor: Arc::clone(&self.actor),
            root: Arc::clone(root),
            lineage: lineage.iter().map(|process| Arc::clone(process)).collect(),
            after: None,
            attempt: self.attempt,
            gaps: Vec::new(),
        })));
    }

    pub(super) fn act(
        &mut self,
        after_ms: u64,
        process: &Arc<Process>,
        deed: ActionDeed,
        credentials: &[&Arc<Credential>],
        link: Option<Link>,
    ) -> ActionId {
        let id = ActionId(self.next);
        self.next += 1;
        let seen_by = match deed {
            ActionDeed::SecretWrite { ref file, .. } if file.renamed() => Source::FentryRename,
            ActionDeed::SecretOpen { .. } | ActionDeed::SecretWrite { .. } => Source::LsmOpen,
            ActionDeed::Exec { .. } => Source::TpExec,
            ActionDeed::SecretKey { .. } => Source::FexitKey,
            ActionDeed::Exit(_) => Source::TpExit,
            ActionDeed::SecretReceive { .. } => Source::LsmReceive,
            ActionDeed::SecretRead { .. } => Source::LsmRead,
            ActionDeed::SecretSocket { .. } => Source::LsmUnix,
            ActionDeed::MemoryAccess { .. } => Source::LsmPtrace,
            ActionDeed::ExecFailed { .. } => Source::FexitExec,
            ActionDeed::CredChange(_) => Source::FentryCreds,
            ActionDeed::Connect { .. } => Source::LsmConnect,
            ActionDeed::Send { .. } => Source::FexitSend,
            ActionDeed::Accept { .. } => Source::LsmAccept,
        };
        self.notes.push(Note::Acted(Arc::new(Acted {
            chain: self.chain,
            run: self.run,
            action: Action {
                id,
                time_ns: T0 + after_ms * MS,
                actor: Arc::clone(&self.actor),
                process: Arc::clone(process),
                facts: facts(process, None),
                deed,
                seen_by,
            },
            credentials: credentials.iter().map(|credential| Arc::clone(credential)).collect(),
            link,
            attempt: None,
            judged: None,
            request: None,
            together: None,
        })));
        id
    }

    pub(super) fn last(&mut self) -> &mut Acted {
        match self.notes.last_mut() {
            Some(Note::Acted(acted)) => Arc::make_mut(acted),
            other => panic!("no action: {other:?}"),
        }
    }

    /// More is known of the actor from here on.
    pub(super) fn completed(&mut self, after_ms: u64, root: &Arc<Process>, actor: Actor) {
        self.actor = Arc::new(actor);
        self.notes.push(Note::Completed(Box::new(Completed {
            chain: self.chain,
            run: self.run,
            time_ns: T0 + after_ms * MS,
            actor: Arc::clone(&self.actor),
            root: Arc::clone(root),
        })));
    }

    pub(super) fn closed(
        &mut self,
        after_ms: u64,
        root: &Arc<Process>,
        reason: CloseReason,
        root_exit: Option<ExitStatus>,
        summary: Summary,
    ) {
        self.notes.push(Note::Closed(Box::new(Closed {
            chain: self.chain,
            run: self.run,
            time_ns: T0 + after_ms * MS,
            since_ns: T0,
            actor: Arc::clone(&self.actor),
            root: Arc::clone(root),
            reason,
            root_exit,
            attempt: self.attempt,
            summary,
        })));
    }
}

pub(super) fn link(of: &[ActionId], basis: Basis, delay_us: u64, hops: u32, facts: &[LinkFact]) -> Link {
    let (facts, confidence) = (facts.to_vec(), 60);
    let relation = Relation::ObservedAfter;
    Link {
        relation,
        of: of.to_vec(),
        basis,
        delay_ns: delay_us * 1_000,
        hops,
        facts,
        confidence,
        each: Vec::new(),
    }
}

pub(super) fn connect(last: u8, port: u16, outcome: ConnectOutcome, took_us: Option<u64>) -> ActionDeed {
    ActionDeed::Connect {
        to: Endpoint::tcp(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), port),
        name: None,
        from: matches!(outcome, ConnectOutcome::Established)
            .then_some((IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7)), 40_112)),
        outcome,
        took_ns: took_us.map(|us| us * 1_000),
        completes: None,
    }
}
