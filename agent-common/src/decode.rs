//! The one interpreter of samples: bytes to a checked, borrowed view. No input makes it panic.

mod error;

use core::mem::{offset_of, size_of};

pub use error::DecodeError;

use crate::body::{
    Accept, AcceptEnd, Connect, ConnectEnd, Exec, ExecFailed, Exit, Fork, Identity, Ids, Key, Memory, Open,
    Payload, Send, Span,
};
use crate::header::{Header, Kind, Lane, Task, WIRE_VERSION};
use crate::source::Source;

/// A checked sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawEvent<'a> {
    /// The header, as it stands.
    pub header: Header,
    /// [`Header::kind`], checked.
    pub kind: Kind,
    /// [`Header::lane`], checked.
    pub lane: Lane,
    /// [`Header::source`], checked.
    pub source: Source,
    /// What follows.
    pub body: RawBody<'a>,
}

/// The body of a checked sample. Names follow [`crate::body`]; spans have become slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are those of the bodies they borrow from")]
pub enum RawBody<'a> {
    /// [`Fork`]
    Fork(Fork),
    /// [`Exec`]
    Exec { fixed: Exec, path: &'a [u8], filename: &'a [u8], argv: &'a [u8], cgroup: &'a [u8] },
    /// [`Exit`]
    Exit(Exit),
    /// [`Open`], of the four kinds that tell of a file
    Open { fixed: Open, path: &'a [u8] },
    /// [`Connect`]
    Connect(Connect),
    /// [`ConnectEnd`]
    ConnectEnd(ConnectEnd),
    /// [`Memory`]
    Memory(Memory),
    /// [`ExecFailed`]
    ExecFailed { fixed: ExecFailed, filename: &'a [u8] },
    /// [`Identity`]
    Identity(Identity),
    /// [`Send`]
    Send(Send),
    /// [`Accept`]
    Accept(Accept),
    /// [`AcceptEnd`]
    AcceptEnd(AcceptEnd),
    /// [`Payload`], of both kinds that carry bytes of the network
    Payload { fixed: Payload, data: &'a [u8] },
    /// [`Key`]
    Key { fixed: Key, kind: &'a [u8], description: &'a [u8] },
}

/// A struct, each field from its place.
macro_rules! fixed {
    ($bytes:expr, $at:expr, $type:ident { $($field:ident: $read:ident),+ $(,)? }) => {
        $type { $($field: $bytes.$read($at + offset_of!($type, $field))),+ }
    };
}

/// Bytes that are long enough for every fixed field asked of them; a read beyond gives zero, which [`Bytes::need`]
/// makes unreachable.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn need(self, needs: usize) -> Result<(), DecodeError> {
        let len = self.0.len();
        if len < needs { Err(DecodeError::Short { len, needs }) } else { Ok(()) }
    }

    fn array<const N: usize>(self, at: usize) -> [u8; N] {
        self.0.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
    }

    fn u16(self, at: usize) -> u16 {
        u16::from_ne_bytes(self.array(at))
    }

    fn u32(self, at: usize) -> u32 {
        u32::from_ne_bytes(self.array(at))
    }

    fn u64(self, at: usize) -> u64 {
        u64::from_ne_bytes(self.array(at))
    }

    fn bytes16(self, at: usize) -> [u8; 16] {
        self.array(at)
    }

    fn u8(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    fn task(self, at: usize) -> Task {
        fixed!(
            self,
            at,
            Task {
                start_ns: u64,
                parent_start_ns: u64,
                cgroup_id: u64,
                tgid: u32,
                tid: u32,
                ppid: u32,
                uid: u32,
                euid: u32,
                gid: u32,
                login_uid: u32,
                session_id: u32,
                ns_tgid: u32,
                pid_ns: u32,
                mnt_ns: u32,
                flags: u32,
                comm: bytes16,
            }
        )
    }

    fn span(self, at: usize) -> Span {
        Span {
            offset: self.u32(at + offset_of!(Span, offset)),
            len: self.u16(at + offset_of!(Span, len)),
            flags: self.u16(at + offset_of!(Span, flags)),
        }
    }

    /// The bytes of a span, which must lie in the tail that starts at `tail`. An empty span may point anywhere.
    fn slice(self, span: Span, tail: usize) -> Result<&'a [u8], DecodeError> {
        if span.len == 0 {
            return Ok(&[]);
        }
        let start = span.offset as usize;
        let end = start.saturating_add(span.len as usize);
        if start < tail {
            return Err(DecodeError::Span(span));
        }
        self.0.get(start..end).ok_or(DecodeError::Span(span))
    }
}

const BODY: usize = size_of::<Header>();

impl<'a> RawEvent<'a> {
    /// Checks a sample and gives its view. The sample may be longer than [`Header::len`]: probes reserve room for the
    /// longest path before they know the path.
    ///
    /// # Errors
    /// [`DecodeError`] names what does not fit.
    pub fn decode(sample: &'a [u8]) -> Result<Self, DecodeError> {
        let bytes = Bytes(sample);
        bytes.need(BODY)?;
        let header = header(bytes);
        if header.version != WIRE_VERSION {
            return Err(DecodeError::Version(header.version));
        }
        let says = header.len as usize;
        if says > sample.len() {
            return Err(DecodeError::Length { len: sample.len(), says: header.len });
        }
        let bytes = Bytes(sample.get(..says).unwrap_or(sample));
        let kind = Kind::from_u8(header.kind).ok_or(DecodeError::Kind(header.kind))?;
        let source = Source::from_u8(header.source).ok_or(DecodeError::Source(header.source))?;
        let lane = Lane::from_u8(header.lane)
            .filter(|lane| *lane == kind.lane())
            .ok_or(DecodeError::Lane(header.lane))?;
        Ok(RawEvent { header, kind, lane, source, body: body(bytes, kind)? })
    }
}

fn header(bytes: Bytes<'_>) -> Header {
    fixed!(
        bytes,
        0,
        Header {
            time_ns: u64,
            seq: u64,
            len: u32,
            cpu: u32,
            version: u8,
            kind: u8,
            lane: u8,
            source: u8,
            marks: u32,
            task: task,
        }
    )
}

fn body(bytes: Bytes<'_>, kind: Kind) -> Result<RawBody<'_>, DecodeError> {
    let tail = BODY + size_of_body(kind);
    bytes.need(tail)?;
    Ok(match kind {
        Kind::Fork => RawBody::Fork(fixed!(
            bytes,
            BODY,
            Fork {
                child_start_ns: u64,
                parent_start_ns: u64,
                child_cgroup_id: u64,
                child_tgid: u32,
                child_ns_tgid: u32,
                child_pid_ns: u32,
                parent_tgid: u32,
                child_marks: u32,
                pad: u32,
            }
        )),
        Kind::Exec => return exec(bytes, tail),
        Kind::Exit => RawBody::Exit(fixed!(bytes, BODY, Exit { status: u32, pad: u32 })),
        Kind::Open | Kind::Receive | Kind::Read | Kind::Unix => return open(bytes, tail),
        Kind::Memory => {
            RawBody::Memory(fixed!(bytes, BODY, Memory { target_start_ns: u64, target_tgid: u32, how: u32 }))
        }
        Kind::ExecFailed => {
            let fixed = fixed!(bytes, BODY, ExecFailed { errno: u32, pad: u32, filename: span });
            RawBody::ExecFailed { filename: bytes.slice(fixed.filename, tail)?, fixed }
        }
        Kind::Identity => RawBody::Identity(Identity {
            from: ids(bytes, BODY + offset_of!(Identity, from)),
            to: ids(bytes, BODY + offset_of!(Identity, to)),
        }),
        Kind::Connect => RawBody::Connect(connect(bytes)),
        Kind::ConnectEnd => RawBody::ConnectEnd(connect_end(bytes)),
        Kind::Send => RawBody::Send(send(bytes)),
        Kind::Accept => RawBody::Accept(accept(bytes)),
        Kind::AcceptEnd => RawBody::AcceptEnd(fixed!(bytes, BODY, AcceptEnd { conn_id: u64 })),
        Kind::Answer | Kind::Hello => {
            let fixed = fixed!(bytes, BODY, Payload { conn_id: u64, data: span });
            RawBody::Payload { data: bytes.slice(fixed.data, tail)?, fixed }
        }
        Kind::Key => return key(bytes, tail),
    })
}

const fn size_of_body(kind: Kind) -> usize {
    match kind {
        Kind::Fork => size_of::<Fork>(),
        Kind::Exec => size_of::<Exec>(),
        Kind::Exit => size_of::<Exit>(),
        Kind::Open | Kind::Receive | Kind::Read | Kind::Unix => size_of::<Open>(),
        Kind::Memory => size_of::<Memory>(),
        Kind::ExecFailed => size_of::<ExecFailed>(),
        Kind::Identity => size_of::<Identity>(),
        Kind::Connect => size_of::<Connect>(),
        Kind::ConnectEnd => size_of::<ConnectEnd>(),
        Kind::Send => size_of::<Send>(),
        Kind::Accept => size_of::<Accept>(),
        Kind::AcceptEnd => size_of::<AcceptEnd>(),
        Kind::Answer | Kind::Hello => size_of::<Payload>(),
        Kind::Key => size_of::<Key>(),
    }
}

fn ids(bytes: Bytes<'_>, at: usize) -> Ids {
    fixed!(
        bytes,
        at,
        Ids {
            effective: u64,
            permitted: u64,
            uid: u32,
            euid: u32,
            suid: u32,
            gid: u32,
            egid: u32,
            user_ns: u32,
            mnt_ns: u32,
            net_ns: u32,
            pid_ns: u32,
            told: u32,
        }
    )
}

fn connect(bytes: Bytes<'_>) -> Connect {
    fixed!(bytes, BODY, Connect { conn_id: u64, daddr: bytes16, family: u16, dport: u16, protocol: u32 })
}

fn connect_end(bytes: Bytes<'_>) -> ConnectEnd {
    fixed!(bytes, BODY, ConnectEnd { conn_id: u64, errno: u32, sport: u16, family: u16, saddr: bytes16 })
}

fn send(bytes: Bytes<'_>) -> Send {
    fixed!(bytes, BODY, Send { daddr: bytes16, family: u16, dport: u16, protocol: u32, errno: u32, pad: u32 })
}

fn accept(bytes: Bytes<'_>) -> Accept {
    fixed!(
        bytes,
        BODY,
        Accept {
            raddr: bytes16,
            laddr: bytes16,
            rport: u16,
            lport: u16,
            family: u16,
            pad: u16,
            protocol: u32,
            pad2: u32,
            conn_id: u64,
        }
    )
}

fn exec(bytes: Bytes<'_>, tail: usize) -> Result<RawBody<'_>, DecodeError> {
    let fixed = fixed!(
        bytes,
        BODY,
        Exec {
            ino: u64,
            dev: u32,
            old_tid: u32,
            links: u32,
            pad: u32,
            path: span,
            filename: span,
            argv: span,
            cgroup: span
        }
    );
    Ok(RawBody::Exec {
        path: bytes.slice(fixed.path, tail)?,
        filename: bytes.slice(fixed.filename, tail)?,
        argv: bytes.slice(fixed.argv, tail)?,
        cgroup: bytes.slice(fixed.cgroup, tail)?,
        fixed,
    })
}

fn open(bytes: Bytes<'_>, tail: usize) -> Result<RawBody<'_>, DecodeError> {
    let fixed = fixed!(
        bytes,
        BODY,
        Open {
            ino: u64,
            dev: u32,
            generation: u32,
            rule: u32,
            matched: u32,
            flags: u32,
            mode: u32,
            owner: u32,
            links: u32,
            how: u32,
            pad: u32,
            path: span,
        }
    );
    Ok(RawBody::Open { path: bytes.slice(fixed.path, tail)?, fixed })
}

fn key(bytes: Bytes<'_>, tail: usize) -> Result<RawBody<'_>, DecodeError> {
    let fixed = fixed!(
        bytes,
        BODY,
        Key { serial: u32, owner: u32, rule: u32, how: u32, kind: span, description: span }
    );
    Ok(RawBody::Key {
        kind: bytes.slice(fixed.kind, tail)?,
        description: bytes.slice(fixed.description, tail)?,
        fixed,
    })
}
