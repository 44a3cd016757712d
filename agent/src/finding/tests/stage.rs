//! Actors, credentials and what they do, to put rules to the test. Time is counted in hours since 1970.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::action::{Action, ActionDeed, ActionId, ConnectOutcome};
use crate::actor::{Actor, ActorKind};
use crate::chain::{Acted, Basis, CloseReason, Closed, Link, Note, Relation, Summary, Ulid};
use crate::credential::{Credential, Human};
use crate::event::{Comm, Endpoint, Facts, Matched, MemoryWay, OpenedFile, ProcessKey, Source, Text};
use crate::finding::{Finding, Findings, Settings};
use crate::inventory::{Inventory, Limits};
use crate::lineage::{Cpid, KnownBy, Process, Program};

pub(in crate::finding) const HOUR: u64 = 3_600_000_000_000;
pub(in crate::finding) const DAY: u64 = 24 * HOUR;

pub(in crate::finding) fn text(text: &str) -> Text {
    Text { bytes: text.as_bytes().to_vec(), truncated: false }
}

/// Somebody, and the program by which that one acts.
#[derive(Clone, Debug)]
pub(in crate::finding) struct By {
    pub(in crate::finding) actor: Actor,
    pub(in crate::finding) process: Process,
    pub(in crate::finding) facts: Facts,
}

/// `systemd:…`, `container:…`, `kubernetes:…`, `session:…`, or `user:…@PERSON` for whoever a person became.
pub(in crate::finding) fn by(id: &str, exe: &str) -> By {
    let (id, origin) = match id.split_once('@') {
        Some((id, person)) if id.starts_with("user:") => (id, format!("human:{person}")),
        _ => (id, "init".to_owned()),
    };
    let kind = match id.split(':').next() {
        Some("container") => ActorKind::Container,
        Some("kubernetes") => ActorKind::KubernetesServiceAccount,
        Some("session") => ActorKind::HumanSession,
        Some("user") => ActorKind::SystemUser,
        _ => ActorKind::SystemdService,
    };
    let key = ProcessKey { tgid: 812, start_ns: 1 };
    let person = kind == ActorKind::HumanSession;
    By {
        actor: Actor {
            id: id.to_owned(),
            kind,
            origin,
            user: "svc".to_owned(),
            user_source: None,
            human: None,
            human_unknown: None,
            pod: None,
            spiffe_id: None,
        },
        process: Process {
            key,
            cpid: Cpid::default(),
            ns_tgid: 812,
            pid_ns: 1,
            program: Arc::new(Program {
                exe: text(exe),
                argv: vec![exe.as_bytes().to_vec()],
                ..Program::default()
            }),
            ids: (0, 0, 0),
            comm: Comm::default(),
            cgroup: Arc::new(text(&format!("/of/{id}"))),
            cgroup_id: 1,
            parent: None,
            known_by: KnownBy::Fork,
        },
        facts: Facts {
            key,
            tid: 812,
            parent: None,
            uid: 0,
            euid: 0,
            gid: 0,
            login_uid: person.then_some(1000),
            session: None,
            cgroup_id: 1,
            ns_tgid: 812,
            pid_ns: 1,
            mnt_ns: 1,
            kthread: false,
            comm: Comm::default(),
        },
    }
}

pub(in crate::finding) fn credential(id: &str) -> Credential {
    Credential {
        id: format!("token:{id}"),
        kind: "token".to_owned(),
        path: format!("/etc/{id}").into_bytes(),
        version: Some("cv1:a".to_owned()),
        ..Credential::default()
    }
}

/// A service's own, which people have no business with.
pub(in crate::finding) fn services_own(id: &str) -> Credential {
    Credential { human: Human::Finding, ..credential(id) }
}

fn file(credential: &Credential) -> Box<OpenedFile> {
    Box::new(OpenedFile {
        path: Text { bytes: credential.path.clone(), truncated: false },
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
    })
}

/// An act of somebody who holds a credential, whose link has this worth.
pub(in crate::finding) fn acts(
    (at_ns, number): (u64, u64),
    by: &By,
    held: Option<(&Credential, u8)>,
    deed: ActionDeed,
) -> Acted {
    let link = held.filter(|(_, worth)| *worth > 0).map(|(credential, worth)| Link {
        relation: Relation::ObservedAfter,
        of: vec![ActionId(number.saturating_sub(1))],
        basis: Basis::SameProcess,
        delay_ns: 1,
        hops: 0,
        facts: Vec::new(),
        confidence: worth,
        each: vec![(credential.id.clone(), worth)],
    });
    Acted {
        chain: Ulid(u128::from(at_ns / HOUR)),
        run: Ulid(1),
        action: Action {
            id: ActionId(number),
            time_ns: at_ns,
            actor: Arc::new(by.actor.clone()),
            process: Arc::new(by.process.clone()),
            facts: by.facts,
            deed,
            seen_by: Source::LsmOpen,
        },
        credentials: held.iter().map(|(credential, _)| Arc::new(Credential::clone(credential))).collect(),
        link,
        attempt: None,
        judged: None,
        request: None,
        together: None,
    }
}

pub(in crate::finding) fn opening(credential: &Credential) -> ActionDeed {
    ActionDeed::SecretOpen { file: file(credential), credential: Arc::new(credential.clone()) }
}

pub(in crate::finding) fn writing(credential: &Credential) -> ActionDeed {
    let file = OpenedFile { flags: nix::libc::O_WRONLY.cast_unsigned(), ..*file(credential) };
    let (version, fingerprints) = (None, Vec::new());
    let credential = Arc::new(Credential { version, fingerprints, ..credential.clone() });
    ActionDeed::SecretWrite { file: Box::new(file), credential }
}

pub(in crate::finding) fn connect(last: u8) -> ActionDeed {
    ActionDeed::Connect {
        to: Endpoint::tcp(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), 443),
        name: None,
        from: None,
        outcome: ConnectOutcome::Established,
        took_ns: None,
        completes: None,
    }
}

/// The rule of purposes is asked with this: a connection after a token.
pub(in crate::finding) fn connect_after_token(worth: u8) -> (Inventory, Acted) {
    let backup = by("systemd:backup.service", "/usr/bin/restic");
    let acted = acts((DAY, 7), &backup, Some((&credential("a"), worth)), connect(9));
    (Inventory::new(Limits::default(), 0, 0), acted)
}

/// A host over time.
#[derive(Debug)]
pub(in crate::finding) struct Stage {
    pub(in crate::finding) inventory: Inventory,
    pub(in crate::finding) findings: Findings,
    pub(in crate::finding) now_ns: u64,
    pub(in crate::finding) out: Vec<Finding>,
    pub(in crate::finding) number: u64,
}

impl Stage {
    pub(in crate::finding) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(in crate::finding) fn with(settings: Settings) -> Self {
        Stage {
            inventory: Inventory::new(Limits::default(), 0, 0),
            findings: Findings::new(settings, 0),
            now_ns: DAY,
            out: Vec::new(),
            number: 0,
        }
    }

    pub(in crate::finding) fn wait(&mut self, ns: u64) {
        self.now_ns += ns;
        self.findings.tick(self.now_ns, &mut self.out);
    }

    pub(in crate::finding) fn note(&mut self, note: &Note) {
        self.findings.note(note, &self.inventory, &mut self.out);
        self.inventory.note(note, &mut Vec::new());
    }

    pub(in crate::finding) fn acts(&mut self, by: &By, held: Option<(&Credential, u8)>, deed: ActionDeed) {
        self.now_ns += 1_000_000;
        self.number += 1;
        let acted = acts((self.now_ns, self.number), by, held, deed);
        self.note(&Note::Acted(Arc::new(acted)));
    }

    pub(in crate::finding) fn opens(&mut self, by: &By, credential: &Credential) {
        self.acts(by, Some((credential, 0)), opening(credential));
    }

    pub(in crate::finding) fn connects(&mut self, by: &By, credential: &Credential, last: u8) {
        self.acts(by, Some((credential, 60)), connect(last));
    }

    pub(in crate::finding) fn looks_into(
        &mut self,
        by: &By,
        (target, held): (&By, &Credential),
        how: MemoryWay,
    ) {
        let target = Process { key: ProcessKey { tgid: 99, start_ns: 5 }, ..target.process.clone() };
        let deed = ActionDeed::MemoryAccess { target: Some(Arc::new(target)), how };
        self.acts(by, Some((held, 0)), deed);
    }

    pub(in crate::finding) fn executes(&mut self, by: &By, argv: &[&str]) {
        let mut by = by.clone();
        Arc::make_mut(&mut by.process.program).argv =
            argv.iter().map(|argument| argument.as_bytes().to_vec()).collect();
        self.acts(&by, None, ActionDeed::Exec { environment: Vec::new() });
    }

    /// The chain of this hour ends.
    pub(in crate::finding) fn ends(&mut self, by: &By) {
        let closed = Closed {
            chain: Ulid(u128::from(self.now_ns / HOUR)),
            run: Ulid(1),
            time_ns: self.now_ns,
            since_ns: self.now_ns,
            actor: Arc::new(by.actor.clone()),
            root: Arc::new(by.process.clone()),
            reason: CloseReason::RunEnded,
            root_exit: None,
            attempt: None,
            summary: Summary::default(),
        };
        self.note(&Note::Closed(Box::new(closed)));
    }

    /// A service opens a credential once a day, for ten days.
    pub(in crate::finding) fn habit(&mut self, by: &By, credential: &Credential) {
        for _ in 0..10 {
            self.opens(by, credential);
            self.wait(DAY);
        }
    }

    /// What was found since this was asked last: kind and severity.
    pub(in crate::finding) fn found(&mut self) -> Vec<(&'static str, &'static str)> {
        self.out.drain(..).map(|finding| (finding.kind.name(), finding.severity.name())).collect()
    }
}
