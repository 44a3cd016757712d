//! The parts of records that more than one kind of record has.

use std::sync::Arc;

use super::build::Builder;
use super::build::Host;
use super::identifiers::Identifiers;
use super::kept::{Part, Weighs};
use super::shape::{
    ActorShape, AttemptShape, CredentialPart, CredentialShape, DestinationShape, EachShape, ExecutedShape,
    ExitShape, FanOutShape, FileShape, HostShape, HumanShape, IdsShape, LinkShape, OwnShape, OwnSinkShape,
    ParentShape, PodShape, ProcessShape, PurposeShape, ReachedShape, RunAttemptShape, SummaryShape,
    VerdictsShape,
};
use crate::action::{ActionId, ConnectOutcome};
use crate::actor::{Actor, HumanUnknown};
use crate::chain::{Attempt, FanOut, GapKind, Link, Reached, RunAttempt, Summary, Verdicts};
use crate::credential::{Credential, Destination, Human, Lifetime};
use crate::event::{Endpoint, ExitStatus, Facts, Ids, Matched, OpenedFile, ProcessKey, Text};
use crate::lineage::{Cpid, Process, Program};
use crate::names::Named;
use crate::purpose::Judged;
use crate::record::time::rfc3339;
use crate::record::{Own, OwnSink};

/// What else of an act the part of its process depends on; the thread is no part of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Told {
    facts: Option<Facts>,
    parent: Option<Cpid>,
}

/// A program, in the parts that it has in a process.
#[derive(Clone, Debug)]
pub(super) struct ProgramParts {
    exe: Option<Part>,
    argv: Option<Part>,
    script: Option<Part>,
}

impl Weighs for ProgramParts {
    fn bytes(&self) -> usize {
        [&self.exe, &self.argv, &self.script].into_iter().flatten().map(Weighs::bytes).sum()
    }
}

impl Builder {
    pub(super) fn text(&self, text: &Text) -> Option<String> {
        (!text.bytes.is_empty()).then(|| (self.redaction.printable)(&text.bytes))
    }

    pub(super) fn remember(&mut self, process: &Arc<Process>) {
        self.cpids.insert(tick(process.key), process.cpid);
    }

    pub(super) fn process(&self, process: &Arc<Process>, facts: Option<&Facts>) -> Part {
        // At the moment of the act the kernel knows better than the table: a process may have been handed to init, or
        // moved to another cgroup.
        let parent = facts.and_then(|facts| facts.parent).or(process.parent);
        let told = Told {
            facts: facts.map(|facts| Facts { tid: 0, ..*facts }),
            parent: parent.and_then(|key| self.cpids.get(&tick(key)).copied()),
        };
        self.processes.told(process, told, || {
            let parent =
                parent.map(|key| ParentShape { id: told.parent, pid: key.tgid, start_ns: key.start_ns });
            Part::of(&self.process_shape(process, facts, parent))
        })
    }

    fn process_shape(
        &self,
        process: &Process,
        facts: Option<&Facts>,
        parent: Option<ParentShape>,
    ) -> ProcessShape {
        let program = &process.program;
        let parts = self.programs.told(program, (), || self.program_parts(program));
        ProcessShape {
            id: process.cpid,
            pid: process.key.tgid,
            ns_pid: (process.ns_tgid != 0 && process.ns_tgid != process.key.tgid).then_some(process.ns_tgid),
            start_ns: process.key.start_ns,
            exe: parts.exe,
            argv: parts.argv,
            argv_truncated: program.argv_truncated,
            exe_nameless: program.nameless,
            script: parts.script,
            comm: Some(facts.map_or(&*process.comm, |facts| &*facts.comm))
                .filter(|comm| !comm.is_empty())
                .map(|comm| (self.redaction.printable)(comm)),
            uid: facts.map(|facts| facts.uid),
            euid: facts.map(|facts| facts.euid),
            auid: facts.map(|facts| facts.login_uid),
            session: facts.and_then(|facts| facts.session),
            cgroup: self.text(&process.cgroup),
            parent,
        }
    }

    fn program_parts(&self, program: &Program) -> ProgramParts {
        let text = |text: &Text| self.text(text).map(|text| Part::of(&text));
        let argv = (self.redaction.argv)(&program.argv);
        ProgramParts {
            exe: text(&program.exe),
            argv: (!argv.is_empty()).then(|| Part::of(&argv)),
            script: program.script.as_ref().and_then(text),
        }
    }

    pub(super) fn actor(&self, actor: &Arc<Actor>) -> Part {
        self.actors.told(actor, (), || Part::of(&actor_shape(actor)))
    }

    pub(super) fn credential_part<'a>(&self, credential: &'a Arc<Credential>) -> CredentialPart<'a> {
        let part = self.credentials.told(credential, (), || Part::of(&self.credential(credential)));
        CredentialPart { id: &credential.id, part }
    }

    pub(super) fn credential_parts<'a>(&self, credentials: &'a [Arc<Credential>]) -> Vec<CredentialPart<'a>> {
        credentials.iter().map(|credential| self.credential_part(credential)).collect()
    }

    pub(super) fn declared<'a>(&self, own: &'a Own) -> OwnShape<'a> {
        let printable = |text: &[u8]| (self.redaction.printable)(text);
        let sink = |sink: &'a OwnSink| OwnSinkShape {
            name: &sink.name,
            r#type: &sink.kind,
            to: sink.to.iter().map(|to| printable(to.as_bytes())).collect(),
        };
        OwnShape {
            pid: own.pid,
            start_ns: own.start_ns,
            exe: printable(&own.exe),
            store: printable(&own.store),
            status: printable(&own.status),
            listen: own.listen.as_ref().map(|at| printable(at.as_bytes())),
            pods: own.pods.as_ref().map(|at| printable(at.as_bytes())),
            sinks: own.sinks.iter().map(sink).collect(),
        }
    }

    pub(super) fn credential<'a>(&self, credential: &'a Credential) -> CredentialShape<'a> {
        CredentialShape {
            id: &credential.id,
            kind: &credential.kind,
            path: (self.redaction.printable)(&credential.path),
            identifiers: Identifiers(&credential.identifiers),
            fingerprints: &credential.fingerprints,
            version: credential.version.as_deref(),
            written: credential.written.map(at_second),
            expires: credential.expires.map(at_second),
            issuer: &credential.issuer,
            destinations: credential.destinations.iter().map(Destination::as_str).collect(),
            lifetime: credential.lifetime.map(Lifetime::name),
            max_age_s: credential.max_age.map(|age| age.as_secs()),
            human_use: (credential.human == Human::Finding).then(|| credential.human.name()),
        }
    }

    pub(super) fn file(&self, file: &OpenedFile) -> FileShape {
        FileShape {
            path: (self.redaction.printable)(&file.path.bytes),
            path_truncated: file.path.truncated,
            // The kernel's own `dev_t`: twenty bits of minor.
            dev: format!("{}:{}", file.dev >> 20, file.dev & 0xf_ffff),
            ino: file.ino,
            generation: file.generation,
            access: match file.flags & OpenedFile::ACCESS {
                _ if file.renamed() => "rename",
                0 => "read",
                1 => "write",
                2 => "read-write",
                _ => "none",
            },
            owner: file.owner,
            mode: mode(file.mode),
            matched: match file.matched {
                Matched::Inode => "inode",
                Matched::Entry => "entry",
                Matched::Directory => "directory",
                Matched::Name => "name",
            },
            links: file.links,
        }
    }

    pub(super) fn link<'a>(&self, link: &'a Link) -> LinkShape<'a> {
        let of: Vec<u64> = link.of.iter().filter_map(|id| self.seqs.get(id).copied()).collect();
        LinkShape {
            relation: link.relation.name(),
            of_unknown: link.of.len() - of.len(),
            of,
            basis: link.basis.name(),
            delay_ms: milliseconds(link.delay_ns),
            hops: link.hops,
            facts: link.facts.iter().map(|fact| fact.name()).collect(),
            confidence: link.confidence,
            each: link
                .each
                .iter()
                .filter(|_| link.each.len() > 1)
                .map(|(credential, confidence)| EachShape { credential, confidence: *confidence })
                .collect(),
        }
    }

    pub(super) fn attempt(&self, attempt: &Attempt) -> AttemptShape {
        let seq = |action: Option<ActionId>| self.seqs.get(&action?).copied();
        AttemptShape { number: attempt.number, of: seq(attempt.of), after: seq(attempt.after) }
    }

    pub(super) fn summary<'a>(&self, summary: &'a Summary) -> SummaryShape<'a> {
        SummaryShape {
            actions: summary.actions,
            folded: summary.folded,
            programs: summary.programs,
            processes: summary.processes,
            credentials: self.credential_parts(&summary.credentials),
            written: self.credential_parts(&summary.written),
            destinations: summary.destinations.iter().map(reached).collect(),
            fan_out: summary
                .fan_out
                .iter()
                .map(|FanOut { credential, destinations }| FanOutShape { credential, destinations })
                .collect(),
            executed: summary
                .executed
                .iter()
                .map(|executed| ExecutedShape {
                    exe: (self.redaction.printable)(&executed.exe.bytes),
                    count: executed.count,
                })
                .collect(),
            retries: summary.retries,
            gaps: summary.gaps.iter().map(|gap: &GapKind| gap.name()).collect(),
            purpose: summary.verdicts.as_deref().map(verdicts),
        }
    }
}

/// Permissions, as `chmod` takes them.
pub(super) fn mode(mode: u32) -> String {
    format!("{:04o}", mode & 0o7777)
}

/// A time of a file system or of a token.
pub(super) fn at_second(seconds: i64) -> String {
    rfc3339(seconds.saturating_mul(1_000_000_000))
}

/// A verdict, and why.
pub(super) fn judged(judged: &Judged) -> PurposeShape<'_> {
    PurposeShape {
        name: judged.purpose.as_deref(),
        verdict: judged.verdict.name(),
        misfits: judged.misfits.iter().map(|misfit| misfit.name()).collect(),
        reason: judged.reason.as_deref(),
    }
}

fn verdicts(verdicts: &Verdicts) -> VerdictsShape<'_> {
    VerdictsShape {
        within: verdicts.within,
        outside: verdicts.outside,
        undeclared: verdicts.undeclared,
        names: verdicts.purposes.iter().map(|name| &**name).collect(),
    }
}

/// Where a connection goes, or what is sent.
pub(super) fn destination(to: Endpoint, name: Option<&Named>) -> DestinationShape<'_> {
    let named = DestinationShape {
        name: name.map(|named| named.name.as_str()),
        name_source: name.map(|named| named.source.name()),
        ..DestinationShape::default()
    };
    match to {
        Endpoint::Inet { ip, port, transport } => {
            DestinationShape { ip: Some(ip), port: Some(port.into()), transport: transport.name(), ..named }
        }
        Endpoint::Vsock { cid, port } => {
            DestinationShape { cid: Some(cid), port: Some(port), transport: "vsock".into(), ..named }
        }
    }
}

fn reached(reached: &Reached) -> ReachedShape<'_> {
    let there = destination(reached.to, reached.name.as_ref());
    ReachedShape {
        ip: there.ip,
        cid: there.cid,
        port: there.port.unwrap_or_default(),
        transport: there.transport,
        name: there.name,
        attempts: reached.attempts,
        established: reached.established,
        outcome: reached.outcome.map(ConnectOutcome::name),
    }
}

pub(super) fn run_attempt(attempt: &RunAttempt) -> RunAttemptShape {
    RunAttemptShape {
        number: attempt.number,
        of: attempt.of.to_string(),
        after: attempt.after.to_string(),
        failed: exit_shape(attempt.failed),
        delay_ms: milliseconds(attempt.delay_ns),
    }
}

/// Capabilities as the kernel writes them in `/proc/PID/status`.
pub(super) fn ids(ids: &Ids) -> IdsShape {
    let capabilities = |bits: u64| format!("{bits:016x}");
    IdsShape {
        uid: ids.uid,
        euid: ids.euid,
        suid: ids.suid,
        gid: ids.gid,
        egid: ids.egid,
        cap_effective: ids.effective.map(capabilities),
        cap_permitted: ids.permitted.map(capabilities),
        user_ns: ids.user_ns,
        mnt_ns: ids.mnt_ns,
        net_ns: ids.net_ns,
        pid_ns: ids.pid_ns,
    }
}

/// Milliseconds with three places: what is finer than a microsecond is not the network's.
pub(super) fn milliseconds(ns: u64) -> f64 {
    (ns / 1_000) as f64 / 1_000.0
}

pub(super) fn tick(key: ProcessKey) -> (u32, u64) {
    (key.tgid, key.start_ns / ProcessKey::PROC_TICK_NS)
}

pub(super) fn host_shape(host: &Host) -> HostShape<'_> {
    HostShape { id: &host.id, name: &host.name, boot_id: &host.boot_id }
}

pub(super) fn actor_shape(actor: &Actor) -> ActorShape<'_> {
    let pod = actor.pod.as_deref().map(|pod| PodShape {
        uid: &pod.uid,
        namespace: pod.namespace.as_deref(),
        name: pod.name.as_deref(),
        workload: pod.workload.as_deref(),
        node: pod.node.as_deref(),
        container: pod.container.as_deref(),
    });
    let human = actor.human.as_deref().map(|human| HumanShape {
        user: &human.user,
        session: human.session.as_deref(),
        from: human.from.as_deref(),
        basis: human.basis.name(),
        client: human.client.as_deref(),
    });
    ActorShape {
        id: &actor.id,
        kind: actor.kind.name(),
        origin: &actor.origin,
        user: &actor.user,
        user_source: actor.user_source.as_deref(),
        human,
        human_unknown: actor.human_unknown.map(HumanUnknown::name),
        pod,
        spiffe_id: actor.spiffe_id.as_deref(),
    }
}

pub(super) fn exit_shape(status: ExitStatus) -> ExitShape {
    match status {
        ExitStatus::Code(code) => ExitShape { code: Some(code), signal: None, core: None },
        ExitStatus::Signal { signal, core } => {
            ExitShape { code: None, signal: Some(signal), core: Some(core) }
        }
    }
}
