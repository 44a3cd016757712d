//! What stands in a capture, field by field. Anything that changes here makes another [`super::FORMAT`]; the captures in
//! tests/golden/replay hold that.

use std::borrow::Cow;

use super::code::{Broken, Bytes, Coded, fields, variants};
use super::{Header, Input, Scales};
use crate::actor::{Login, PodIdentity};
use crate::chain::GapKind;
use crate::credential::{Credential, Destination, Handed, Human, Lifetime};
use crate::event::{
    ConnectFailure, Deed, Endpoint, Event, ExitStatus, Facts, IdentityChange, Ids, KernelKey, KeyWay, Kind,
    Loss, Marks, Matched, MemoryWay, OpenedFile, ProcessKey, SampleId, Seeded, Seen, SendOutcome, Source,
    Text, Transport, What, Whose,
};
use crate::finding;
use crate::inventory::{Found, Place, Scanned, Unlisted};
use crate::lineage::Slot;
use crate::record::{ConfigInForce, Coverage, Host, Own, OwnSink, PurposesInForce, SignalCoverage, Signed};

/// Numbers that the wire gives.
macro_rules! wire_numbers {
    ($($type:ident),*) => {$(
        impl Coded for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.push(*self as u8);
            }

            fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
                let number = from.byte()?;
                $type::from_u8(number).ok_or(Broken::Number(number.into()))
            }
        }
    )*};
}
wire_numbers!(Kind, Source);

/// Structs of one field without a name.
macro_rules! wrapped {
    ($($type:ident),*) => {$(
        impl Coded for $type {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }

            fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
                Coded::take(from).map($type)
            }
        }
    )*};
}
wrapped!(Marks, Transport);

fields! {
    ProcessKey { tgid, start_ns }
    Facts {
        key, tid, parent, uid, euid, gid, login_uid, session, cgroup_id, ns_tgid, pid_ns, mnt_ns, kthread, comm,
    }
    Event { time_ns, what }
    Seen { id, source, marks, process, deed }
    SampleId { cpu, seq }
    Text { bytes, truncated }
    OpenedFile { path, dev, ino, generation, rule, matched, flags, mode, owner, links, backing }
    Seeded { process, exe, argv, cgroup, open, again }
    Loss { since_ns, counts, cpus }
    IdentityChange { from, to }
    Ids { uid, euid, suid, gid, egid, effective, permitted, user_ns, mnt_ns, net_ns, pid_ns }
    KernelKey { serial, owner, rule, kind, description }
    Slot { tgid, tick }
}

variants! {
    What {
        1 => Seen(seen),
        2 => Seeded(seeded),
        3 => Lost(loss),
        4 => Silent { since_ns },
        5 => Present(keys),
        6 => Answer(bytes),
        7 => Tick,
        8 => Missed(loss),
        9 => Refused { loss, whose },
        10 => Repeated { loss, whose },
    }
    Deed {
        1 => Fork { child, parent, cgroup_id, ns_tgid, pid_ns, marks },
        2 => Exec { exe, filename, dev, ino, argv, argv_truncated, cgroup, nameless },
        3 => ExecFailed { filename, errno },
        4 => Exit(status),
        5 => Open(file),
        6 => Receive(file),
        7 => Read { file, mapped },
        8 => Unix { file, refused },
        9 => Key { key, way },
        10 => Memory { target, how },
        11 => Identity(change),
        12 => Connect { to },
        13 => Send { to, outcome },
        14 => Accept { from, at, transport },
        15 => AcceptEnd { of },
        16 => Hello { of, bytes },
        17 => ConnectEnd { of, outcome, from },
    }
    Whose { 1 => Process(key), 2 => Cgroup(id) }
    MemoryWay { 1 => Attach, 2 => Environ, 3 => File, 4 => Descriptor }
    ExitStatus { 1 => Code(code), 2 => Signal { signal, core } }
    ConnectFailure { 1 => Errno(errno), 2 => Abandoned }
    Matched { 1 => Inode, 2 => Entry, 3 => Directory, 4 => Name }
    KeyWay { 1 => Read, 2 => Find, 3 => Add, 4 => Update }
    Endpoint { 1 => Inet { ip, port, transport }, 2 => Vsock { cid, port } }
    SendOutcome { 1 => Sent, 2 => Failed(errno), 3 => Unknown }
    Human { 1 => Expected, 2 => Finding }
    Lifetime { 1 => LongLived, 2 => ShortLived, 3 => Rotated }
    GapKind {
        1 => Lost,
        2 => OlderThanAgent,
        3 => UnknownParent,
        4 => Truncated,
        5 => StateFull,
        6 => AgentStopped,
        7 => Dropped,
        8 => Damaged,
        9 => ProbeSilent,
        10 => ForkNotCovered,
        11 => ExecNotCovered,
        12 => ExitNotCovered,
        13 => OpenNotCovered,
        14 => ConnectNotCovered,
        15 => OutcomeNotCovered,
        16 => Missed,
        17 => Repeated,
    }
    Scanned { 1 => Left(left), 2 => Found(found), 3 => Gone { id, path } }
}

fields! {
    Credential {
        id, kind, path, identifiers, expects, fingerprints, version, written, expires, issuer, destinations, lifetime,
        max_age, human,
    }
    Handed { credentials, cut }
    Login { uid, is_background, from }
    PodIdentity { namespace, name, service_account, owner, node, containers, spiffe_id }
    Found { credential, path, place }
    Place { owner, mode, written }
    Unlisted { directories, files }
    Coverage { agent_version, kernel, signals, scope, config, purposes, own }
    Own { pid, start_ns, exe, store, status, listen, pods, sinks }
    OwnSink { name, kind, to }
    SignalCoverage { signal, tier, attach, proven, blind, refused }
    ConfigInForce { changed, waiting, refused }
    PurposesInForce { count, set, refused }
    Host { id, name, boot_id }
    Signed { key, seq, hash, note }
    Scales {
        quiet_ns, pending_ns, max_actions, max_open, max_pending, processes_max, inventory_first_ns, inventory_every_ns,
    }
    Header { agent_version, kernel, boot_id, host, wall_offset_ns, first_seq, before, scales, findings, watched_since }
}

impl Coded for Destination {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_str().to_owned().put(out);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        Destination::parse(&String::take(from)?).map_err(|_| Broken::Text)
    }
}

impl Coded for finding::Settings {
    fn put(&self, out: &mut Vec<u8>) {
        self.learn_ns.put(out);
        let off: Vec<String> = self.off.iter().map(|kind| kind.name().to_owned()).collect();
        off.put(out);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        let learn_ns = i64::take(from)?;
        let off = Vec::<String>::take(from)?;
        let off = off.iter().map(|name| finding::Kind::from_name(name).ok_or(Broken::Text));
        Ok(finding::Settings { learn_ns, off: off.collect::<Result<_, _>>()? })
    }
}

impl Coded for Input<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Input::RecalledFinding(body) => (1_u8, body.clone()).put(out),
            Input::Recalled(body) => (2_u8, body.clone()).put(out),
            Input::RecalledAll => out.push(3),
            Input::Event { event, listed } => {
                out.push(4);
                event.as_ref().put(out);
                listed.put(out);
            }
            Input::Scan { time_ns, scanned } => {
                out.push(5);
                time_ns.put(out);
                scanned.put(out);
            }
            Input::Purposes { texts, .. } => {
                out.push(6);
                texts.put(out);
            }
            Input::Findings(settings) => {
                out.push(7);
                settings.put(out);
            }
            Input::Coverage { time_ns, coverage } => {
                out.push(8);
                time_ns.put(out);
                coverage.as_ref().put(out);
            }
            Input::Gap { time_ns, since_ns, kind } => {
                out.push(9);
                (*time_ns, *since_ns).put(out);
                kind.put(out);
            }
            Input::Beat { time_ns, stopped, counters } => {
                out.push(10);
                (*time_ns, *stopped).put(out);
                counters.put(out);
            }
            Input::Head { time_ns, head } => {
                out.push(11);
                time_ns.put(out);
                head.put(out);
            }
            Input::Closed { time_ns } => (12_u8, *time_ns).put(out),
        }
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        Ok(match from.byte()? {
            1 => Input::RecalledFinding(Coded::take(from)?),
            2 => Input::Recalled(Coded::take(from)?),
            3 => Input::RecalledAll,
            4 => Input::Event { event: Cow::Owned(Coded::take(from)?), listed: Coded::take(from)? },
            5 => Input::Scan { time_ns: Coded::take(from)?, scanned: Coded::take(from)? },
            6 => {
                let texts: Vec<(String, String)> = Coded::take(from)?;
                let borrowed: Vec<(&str, &str)> =
                    texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
                let set = crate::purpose::read(&borrowed).map_err(|_| Broken::Text)?;
                Input::Purposes { set: set.purposes.into(), texts: texts.into() }
            }
            7 => Input::Findings(Coded::take(from)?),
            8 => Input::Coverage { time_ns: Coded::take(from)?, coverage: Cow::Owned(Coded::take(from)?) },
            9 => Input::Gap {
                time_ns: Coded::take(from)?,
                since_ns: Coded::take(from)?,
                kind: Coded::take(from)?,
            },
            10 => Input::Beat {
                time_ns: Coded::take(from)?,
                stopped: Coded::take(from)?,
                counters: Coded::take(from)?,
            },
            11 => Input::Head { time_ns: Coded::take(from)?, head: Coded::take(from)? },
            12 => Input::Closed { time_ns: Coded::take(from)? },
            other => return Err(Broken::Number(other.into())),
        })
    }
}
