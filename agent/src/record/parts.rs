//! The parts of records that more than one kind of record has.

use std::sync::Arc;

use super::build::Builder;
use super::build::Host;
use super::shape::{
    ActorShape, CredentialShape, DestinationShape, ExitShape, FileShape, HostShape, IdsShape, LinkShape,
    Pairs, ParentShape, PodShape, ProcessShape, ReachedShape, SummaryShape,
};
use crate::actor::Actor;
use crate::chain::{GapKind, Link, Reached, Summary};
use crate::credential::Credential;
use crate::event::{Endpoint, ExitStatus, Facts, Ids, Matched, OpenedFile, ProcessKey, Text};
use crate::lineage::Process;
use crate::names::Named;

impl Builder {
    pub(super) fn text(&self, text: &Text) -> Option<String> {
        (!text.bytes.is_empty()).then(|| (self.redaction.printable)(&text.bytes))
    }

    pub(super) fn remember(&mut self, process: &Arc<Process>) {
        self.cpids.insert(tick(process.key), process.cpid.clone());
    }

    pub(super) fn process<'a>(&self, process: &'a Process, facts: Option<&Facts>) -> ProcessShape<'a> {
        // At the moment of the act the kernel knows better than the table: a process may have been handed to init, or
        // moved to another cgroup.
        let parent = facts.and_then(|facts| facts.parent).or(process.parent);
        ProcessShape {
            id: &process.cpid,
            pid: process.key.tgid,
            ns_pid: (process.ns_tgid != 0 && process.ns_tgid != process.key.tgid).then_some(process.ns_tgid),
            start_ns: process.key.start_ns,
            exe: self.text(&process.exe),
            argv: (self.redaction.argv)(&process.argv),
            argv_truncated: process.argv_truncated,
            exe_nameless: process.nameless,
            script: process.script.as_ref().and_then(|script| self.text(script)),
            comm: Some(facts.map_or(process.comm.as_slice(), |facts| facts.comm.as_slice()))
                .filter(|comm| !comm.is_empty())
                .map(|comm| (self.redaction.printable)(comm)),
            uid: facts.map(|facts| facts.uid),
            euid: facts.map(|facts| facts.euid),
            auid: facts.map(|facts| facts.login_uid),
            session: facts.and_then(|facts| facts.session),
            cgroup: self.text(&process.cgroup),
            parent: parent.map(|key| ParentShape {
                id: self.cpids.get(&tick(key)).cloned(),
                pid: key.tgid,
                start_ns: key.start_ns,
            }),
        }
    }

    pub(super) fn credential<'a>(&self, credential: &'a Credential) -> CredentialShape<'a> {
        let identifiers = credential.identifiers.iter();
        CredentialShape {
            id: &credential.id,
            kind: &credential.kind,
            path: (self.redaction.printable)(&credential.path),
            identifiers: Pairs(identifiers.map(|(name, value)| (name.as_str(), value.as_str())).collect()),
        }
    }

    pub(super) fn credentials<'a>(&self, credentials: &'a [Arc<Credential>]) -> Vec<CredentialShape<'a>> {
        credentials.iter().map(|credential| self.credential(credential)).collect()
    }

    pub(super) fn file(&self, file: &OpenedFile) -> FileShape {
        const ACCESS_MODE: u32 = 3;
        FileShape {
            path: (self.redaction.printable)(&file.path.bytes),
            path_truncated: file.path.truncated,
            // The kernel's own `dev_t`: twenty bits of minor.
            dev: format!("{}:{}", file.dev >> 20, file.dev & 0xf_ffff),
            ino: file.ino,
            generation: file.generation,
            access: match file.flags & ACCESS_MODE {
                0 => "read",
                1 => "write",
                2 => "read-write",
                _ => "none",
            },
            owner: file.owner,
            mode: format!("{:04o}", file.mode & 0o7777),
            matched: match file.matched {
                Matched::Inode => "inode",
                Matched::Entry => "entry",
                Matched::Directory => "directory",
                Matched::Name => "name",
            },
            links: file.links,
        }
    }

    pub(super) fn link(&self, link: &Link) -> LinkShape {
        let of: Vec<u64> = link.of.iter().filter_map(|id| self.seqs.get(id).copied()).collect();
        LinkShape {
            relation: "observed_after",
            of_unknown: link.of.len() - of.len(),
            of,
            basis: link.basis.name(),
            delay_ms: milliseconds(link.delay_ns),
            hops: link.hops,
            facts: link.facts.iter().map(|fact| fact.name()).collect(),
        }
    }

    pub(super) fn summary<'a>(&self, summary: &'a Summary) -> SummaryShape<'a> {
        SummaryShape {
            actions: summary.actions,
            folded: summary.folded,
            programs: summary.programs,
            processes: summary.processes,
            credentials: self.credentials(&summary.credentials),
            destinations: summary.destinations.iter().map(reached).collect(),
            gaps: summary.gaps.iter().map(|gap: &GapKind| gap.name()).collect(),
        }
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
    ActorShape { id: &actor.id, kind: actor.kind.name(), origin: &actor.origin, user: &actor.user, pod }
}

pub(super) fn exit_shape(status: ExitStatus) -> ExitShape {
    match status {
        ExitStatus::Code(code) => ExitShape { code: Some(code), signal: None, core: None },
        ExitStatus::Signal { signal, core } => {
            ExitShape { code: None, signal: Some(signal), core: Some(core) }
        }
    }
}
