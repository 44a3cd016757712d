//! Samples as probes make them, from structs: the other half of the decoder, for tests only.

use core::mem::{offset_of, size_of};

use proptest::prelude::*;
use proptest::sample::select;
use spoor_wire::header::WIRE_VERSION;
use spoor_wire::{
    Accept, AcceptEnd, Connect, ConnectEnd, Exec, ExecFailed, Exit, Fork, Header, Identity, Ids, Key, Kind,
    Memory, Open, Payload, RawBody, RawEvent, Send, Source, Span, Task,
};

/// Bytes as they lie in a sample.
pub(crate) trait Wire {
    /// Every field at its place.
    fn wire(&self) -> Vec<u8>;
}

macro_rules! integers {
    ($($type:ty),+) => { $(impl Wire for $type { fn wire(&self) -> Vec<u8> { self.to_ne_bytes().to_vec() } })+ };
}
integers!(u8, u16, u32, u64);

impl Wire for [u8; 16] {
    fn wire(&self) -> Vec<u8> {
        self.to_vec()
    }
}

/// Names every field, so that a new one does not compile until it is here.
macro_rules! wire {
    ($($type:ident { $($field:ident),+ $(,)? })+) => { $(impl Wire for $type {
        fn wire(&self) -> Vec<u8> {
            let Self { $($field),+ } = self;
            let mut out = vec![0; size_of::<Self>()];
            $({
                let bytes = $field.wire();
                let at = offset_of!(Self, $field);
                out[at..at + bytes.len()].copy_from_slice(&bytes);
            })+
            out
        }
    })+ };
}
wire! {
    Span { offset, len, flags }
    Task {
        start_ns, parent_start_ns, cgroup_id, tgid, tid, ppid, uid, euid, gid, login_uid, session_id, ns_tgid, pid_ns,
        mnt_ns, flags, comm,
    }
    Header { time_ns, seq, len, cpu, version, kind, lane, source, marks, task }
    Fork {
        child_start_ns, parent_start_ns, child_cgroup_id, child_tgid, child_ns_tgid, child_pid_ns, parent_tgid,
        child_marks, pad,
    }
    Exec { ino, dev, old_tid, links, pad, path, filename, argv, cgroup }
    Exit { status, pad }
    Open { ino, dev, generation, rule, matched, flags, mode, owner, links, how, pad, path }
    Connect { conn_id, daddr, family, dport, protocol }
    ConnectEnd { conn_id, errno, sport, family, saddr }
    Memory { target_start_ns, target_tgid, how }
    ExecFailed { errno, pad, filename }
    Ids { effective, permitted, uid, euid, suid, gid, egid, user_ns, mnt_ns, net_ns, pid_ns, told }
    Identity { from, to }
    Send { daddr, family, dport, protocol, errno, pad }
    Accept { raddr, laddr, rport, lport, family, pad, protocol, pad2, conn_id }
    AcceptEnd { conn_id }
    Payload { conn_id, data }
    Key { serial, owner, rule, how, kind, description }
}

/// The body of a sample.
#[derive(Clone, Debug)]
pub(crate) enum Fixed {
    /// [`Kind::Fork`]
    Fork(Fork),
    /// [`Kind::Exec`]
    Exec(Exec),
    /// [`Kind::Exit`]
    Exit(Exit),
    /// One of the four kinds that tell of a file
    Open(Kind, Open),
    /// [`Kind::Connect`]
    Connect(Connect),
    /// [`Kind::ConnectEnd`]
    ConnectEnd(ConnectEnd),
    /// [`Kind::Memory`]
    Memory(Memory),
    /// [`Kind::ExecFailed`]
    ExecFailed(ExecFailed),
    /// [`Kind::Identity`]
    Identity(Identity),
    /// [`Kind::Send`]
    Send(Send),
    /// [`Kind::Accept`]
    Accept(Accept),
    /// [`Kind::AcceptEnd`]
    AcceptEnd(AcceptEnd),
    /// [`Kind::Answer`] or [`Kind::Hello`]
    Payload(Kind, Payload),
    /// [`Kind::Key`]
    Key(Key),
}

/// A sample before it becomes bytes.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Its header; [`Sample::new`] fills in what follows from the rest.
    pub header: Header,
    /// Its body.
    pub fixed: Fixed,
    /// What its spans point to: of an exec four texts (path, filename, argv, cgroup), of an open one.
    pub texts: Vec<Vec<u8>>,
}

impl Sample {
    /// Puts the texts behind the body, one after the other, and says so in spans and header.
    pub(crate) fn new(header: Header, fixed: Fixed, texts: Vec<Vec<u8>>) -> Self {
        let mut sample = Sample { header, fixed, texts };
        let (kind, size) = sample.kind_and_size();
        let mut at = size_of::<Header>() + size;
        let Sample { header, fixed, texts } = &mut sample;
        let spans: Vec<&mut Span> = match fixed {
            Fixed::Exec(exec) => {
                vec![&mut exec.path, &mut exec.filename, &mut exec.argv, &mut exec.cgroup]
            }
            Fixed::Open(_, open) => vec![&mut open.path],
            Fixed::ExecFailed(failed) => vec![&mut failed.filename],
            Fixed::Payload(_, payload) => vec![&mut payload.data],
            Fixed::Key(key) => vec![&mut key.kind, &mut key.description],
            Fixed::Fork(_)
            | Fixed::Exit(_)
            | Fixed::Connect(_)
            | Fixed::ConnectEnd(_)
            | Fixed::Memory(_)
            | Fixed::Identity(_)
            | Fixed::Send(_)
            | Fixed::Accept(_)
            | Fixed::AcceptEnd(_) => Vec::new(),
        };
        assert_eq!(spans.len(), texts.len(), "a text for every span of {kind:?}");
        for (span, text) in spans.into_iter().zip(texts.iter()) {
            span.offset = u32::try_from(at).unwrap_or(u32::MAX);
            span.len = u16::try_from(text.len()).unwrap_or(u16::MAX);
            at += text.len();
        }
        header.len = u32::try_from(at).unwrap_or(u32::MAX);
        header.version = WIRE_VERSION;
        header.kind = kind as u8;
        header.lane = kind.lane() as u8;
        sample
    }

    fn kind_and_size(&self) -> (Kind, usize) {
        match self.fixed {
            Fixed::Fork(_) => (Kind::Fork, size_of::<Fork>()),
            Fixed::Exec(_) => (Kind::Exec, size_of::<Exec>()),
            Fixed::Exit(_) => (Kind::Exit, size_of::<Exit>()),
            Fixed::Open(kind, _) => (kind, size_of::<Open>()),
            Fixed::Connect(_) => (Kind::Connect, size_of::<Connect>()),
            Fixed::ConnectEnd(_) => (Kind::ConnectEnd, size_of::<ConnectEnd>()),
            Fixed::Memory(_) => (Kind::Memory, size_of::<Memory>()),
            Fixed::ExecFailed(_) => (Kind::ExecFailed, size_of::<ExecFailed>()),
            Fixed::Identity(_) => (Kind::Identity, size_of::<Identity>()),
            Fixed::Send(_) => (Kind::Send, size_of::<Send>()),
            Fixed::Accept(_) => (Kind::Accept, size_of::<Accept>()),
            Fixed::AcceptEnd(_) => (Kind::AcceptEnd, size_of::<AcceptEnd>()),
            Fixed::Payload(kind, _) => (kind, size_of::<Payload>()),
            Fixed::Key(_) => (Kind::Key, size_of::<Key>()),
        }
    }

    /// The bytes a probe would have sent.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = self.header.wire();
        out.extend(match &self.fixed {
            Fixed::Fork(body) => body.wire(),
            Fixed::Exec(body) => body.wire(),
            Fixed::Exit(body) => body.wire(),
            Fixed::Open(_, body) => body.wire(),
            Fixed::Connect(body) => body.wire(),
            Fixed::ConnectEnd(body) => body.wire(),
            Fixed::Memory(body) => body.wire(),
            Fixed::ExecFailed(body) => body.wire(),
            Fixed::Identity(body) => body.wire(),
            Fixed::Send(body) => body.wire(),
            Fixed::Accept(body) => body.wire(),
            Fixed::AcceptEnd(body) => body.wire(),
            Fixed::Payload(_, body) => body.wire(),
            Fixed::Key(body) => body.wire(),
        });
        self.texts.iter().for_each(|text| out.extend(text));
        out
    }

    /// What the decoder must make of the bytes.
    pub(crate) fn raw(&self) -> RawEvent<'_> {
        let kind = self.kind_and_size().0;
        let text = |at: usize| self.texts[at].as_slice();
        RawEvent {
            header: self.header,
            kind,
            lane: kind.lane(),
            source: Source::ALL[usize::from(self.header.source) - 1],
            body: match &self.fixed {
                Fixed::Fork(body) => RawBody::Fork(*body),
                Fixed::Exec(body) => RawBody::Exec {
                    fixed: *body,
                    path: text(0),
                    filename: text(1),
                    argv: text(2),
                    cgroup: text(3),
                },
                Fixed::Exit(body) => RawBody::Exit(*body),
                Fixed::Open(_, body) => RawBody::Open { fixed: *body, path: text(0) },
                Fixed::Connect(body) => RawBody::Connect(*body),
                Fixed::ConnectEnd(body) => RawBody::ConnectEnd(*body),
                Fixed::Memory(body) => RawBody::Memory(*body),
                Fixed::ExecFailed(body) => RawBody::ExecFailed { fixed: *body, filename: text(0) },
                Fixed::Identity(body) => RawBody::Identity(*body),
                Fixed::Send(body) => RawBody::Send(*body),
                Fixed::Accept(body) => RawBody::Accept(*body),
                Fixed::AcceptEnd(body) => RawBody::AcceptEnd(*body),
                Fixed::Payload(_, body) => RawBody::Payload { fixed: *body, data: text(0) },
                Fixed::Key(body) => RawBody::Key { fixed: *body, kind: text(0), description: text(1) },
            },
        }
    }
}

/// Any sample a probe could send, of every kind.
pub(crate) fn sample() -> impl Strategy<Value = Sample> {
    (header(), fixed()).prop_map(|(header, (fixed, texts))| Sample::new(header, fixed, texts))
}

fn header() -> impl Strategy<Value = Header> {
    (any::<[u64; 2]>(), any::<[u32; 2]>(), select(&Source::ALL[..]), task()).prop_map(
        |([time_ns, seq], [cpu, marks], source, task)| Header {
            time_ns,
            seq,
            cpu,
            source: source as u8,
            marks,
            task,
            ..Header::default()
        },
    )
}

fn task() -> impl Strategy<Value = Task> {
    (any::<[u64; 3]>(), any::<[u32; 12]>(), any::<[u8; 16]>()).prop_map(|(long, word, comm)| {
        let [start_ns, parent_start_ns, cgroup_id] = long;
        let [tgid, tid, ppid, uid, euid, gid, login_uid, session_id, ns_tgid, pid_ns, mnt_ns, flags] = word;
        Task {
            start_ns,
            parent_start_ns,
            cgroup_id,
            tgid,
            tid,
            ppid,
            uid,
            euid,
            gid,
            login_uid,
            session_id,
            ns_tgid,
            pid_ns,
            mnt_ns,
            flags,
            comm,
        }
    })
}

fn text() -> impl Strategy<Value = (Span, Vec<u8>)> {
    // Many NULs and few letters, so that names are short and lists have several.
    let byte = prop_oneof![3 => Just(0u8), 4 => select(&b"ab/"[..]), 1 => any::<u8>()];
    (0u16..4, prop::collection::vec(byte, 0..40))
        .prop_map(|(flags, text)| (Span { flags, ..Span::default() }, text))
}

fn fixed() -> impl Strategy<Value = (Fixed, Vec<Vec<u8>>)> {
    let none = |fixed| (fixed, Vec::new());
    prop_oneof![
        fork().prop_map(Fixed::Fork).prop_map(none),
        exec(),
        any::<u32>().prop_map(move |status| none(Fixed::Exit(Exit { status, pad: 0 }))),
        open(),
        connect().prop_map(Fixed::Connect).prop_map(none),
        connect_end().prop_map(Fixed::ConnectEnd).prop_map(none),
        (any::<u64>(), any::<[u32; 2]>()).prop_map(move |(target_start_ns, [target_tgid, how])| {
            none(Fixed::Memory(Memory { target_start_ns, target_tgid, how }))
        }),
        (any::<u32>(), text()).prop_map(|(errno, (filename, text))| {
            (Fixed::ExecFailed(ExecFailed { errno, pad: 0, filename }), vec![text])
        }),
        (ids(), ids()).prop_map(move |(from, to)| none(Fixed::Identity(Identity { from, to }))),
        send().prop_map(Fixed::Send).prop_map(none),
        accept().prop_map(Fixed::Accept).prop_map(none),
        any::<u64>().prop_map(move |conn_id| none(Fixed::AcceptEnd(AcceptEnd { conn_id }))),
        (select(&[Kind::Answer, Kind::Hello][..]), any::<u64>(), text()).prop_map(
            |(kind, conn_id, (data, text))| (Fixed::Payload(kind, Payload { conn_id, data }), vec![text])
        ),
        (any::<[u32; 3]>(), 0u32..6, text(), text()).prop_map(
            |([serial, owner, rule], how, (kind, first), (description, second))| {
                (Fixed::Key(Key { serial, owner, rule, how, kind, description }), vec![first, second])
            }
        ),
    ]
}

fn ids() -> impl Strategy<Value = Ids> {
    (any::<[u64; 2]>(), any::<[u32; 10]>()).prop_map(|([effective, permitted], word)| {
        let [uid, euid, suid, gid, egid, user_ns, mnt_ns, net_ns, pid_ns, told] = word;
        Ids { effective, permitted, uid, euid, suid, gid, egid, user_ns, mnt_ns, net_ns, pid_ns, told }
    })
}

fn send() -> impl Strategy<Value = Send> {
    (any::<[u8; 16]>(), family(), any::<u16>(), any::<[u32; 2]>()).prop_map(
        |(daddr, family, dport, [protocol, errno])| Send { daddr, family, dport, protocol, errno, pad: 0 },
    )
}

fn accept() -> impl Strategy<Value = Accept> {
    (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<[u16; 2]>(), family(), any::<u32>(), any::<u64>()).prop_map(
        |(raddr, laddr, [rport, lport], family, protocol, conn_id)| Accept {
            raddr,
            laddr,
            rport,
            lport,
            family,
            pad: 0,
            protocol,
            pad2: 0,
            conn_id,
        },
    )
}

fn fork() -> impl Strategy<Value = Fork> {
    (any::<[u64; 3]>(), any::<[u32; 5]>()).prop_map(|(long, word)| {
        let [child_start_ns, parent_start_ns, child_cgroup_id] = long;
        let [child_tgid, child_ns_tgid, child_pid_ns, parent_tgid, child_marks] = word;
        Fork {
            child_start_ns,
            parent_start_ns,
            child_cgroup_id,
            child_tgid,
            child_ns_tgid,
            child_pid_ns,
            parent_tgid,
            child_marks,
            pad: 0,
        }
    })
}

fn exec() -> impl Strategy<Value = (Fixed, Vec<Vec<u8>>)> {
    (any::<u64>(), any::<[u32; 3]>(), [text(), text(), text(), text()]).prop_map(|(ino, word, texts)| {
        let [dev, old_tid, links] = word;
        let [path, filename, argv, cgroup] = [&texts[0].0, &texts[1].0, &texts[2].0, &texts[3].0].map(|s| *s);
        let fixed = Exec { ino, dev, old_tid, links, pad: 0, path, filename, argv, cgroup };
        (Fixed::Exec(fixed), texts.map(|(_, text)| text).to_vec())
    })
}

fn open() -> impl Strategy<Value = (Fixed, Vec<Vec<u8>>)> {
    let kind = select(&[Kind::Open, Kind::Receive, Kind::Read, Kind::Unix][..]);
    (kind, any::<u64>(), any::<[u32; 7]>(), 0u32..6, 0u32..4, text()).prop_map(
        |(kind, ino, word, matched, how, (path, text))| {
            let [dev, generation, rule, flags, mode, owner, links] = word;
            let fixed =
                Open { ino, dev, generation, rule, matched, flags, mode, owner, links, how, pad: 0, path };
            (Fixed::Open(kind, fixed), vec![text])
        },
    )
}

fn family() -> impl Strategy<Value = u16> {
    prop_oneof![Just(2u16), Just(10), Just(40), any::<u16>()]
}

fn connect() -> impl Strategy<Value = Connect> {
    (any::<u64>(), any::<[u8; 16]>(), family(), any::<u16>(), any::<u32>()).prop_map(
        |(conn_id, daddr, family, dport, protocol)| Connect { conn_id, daddr, family, dport, protocol },
    )
}

fn connect_end() -> impl Strategy<Value = ConnectEnd> {
    (any::<u64>(), any::<u32>(), any::<u16>(), family(), any::<[u8; 16]>()).prop_map(
        |(conn_id, errno, sport, family, saddr)| ConnectEnd { conn_id, errno, sport, family, saddr },
    )
}
