//! The one interpreter of samples: bytes to a checked, borrowed view. No input makes it panic.

use core::mem::{offset_of, size_of};

use crate::body::{Connect, ConnectEnd, Exec, Exit, Fork, Open, Span};
use crate::header::{COMM_LEN, Header, Kind, Lane, Source, Task, WIRE_VERSION};

/// Why a sample was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Shorter than what its kind needs.
    Short {
        /// Bytes it has.
        len: usize,
        /// Bytes it needs.
        needs: usize,
    },
    /// It says another length than it has.
    Length {
        /// Bytes it has.
        len: usize,
        /// Bytes it says.
        says: u32,
    },
    /// Made by other probes than ours.
    Version(u8),
    /// No such kind.
    Kind(u8),
    /// No such source.
    Source(u8),
    /// A lane that does not belong to the kind.
    Lane(u8),
    /// A span reaches beyond the sample or into its fixed part.
    Span(Span),
}

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            DecodeError::Short { len, needs } => write!(f, "sample of {len} bytes where {needs} are needed"),
            DecodeError::Length { len, says } => write!(f, "sample of {len} bytes says it has {says}"),
            DecodeError::Version(version) => {
                write!(f, "sample of wire version {version}, not {WIRE_VERSION}")
            }
            DecodeError::Kind(kind) => write!(f, "sample of unknown kind {kind}"),
            DecodeError::Source(source) => write!(f, "sample of unknown source {source}"),
            DecodeError::Lane(lane) => write!(f, "sample of lane {lane}, which is not its kind's"),
            DecodeError::Span(span) => {
                write!(f, "span of {} bytes at {} lies outside the sample's tail", span.len, span.offset)
            }
        }
    }
}

impl core::error::Error for DecodeError {}

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
    /// [`Open`]
    Open { fixed: Open, path: &'a [u8] },
    /// [`Connect`]
    Connect(Connect),
    /// [`ConnectEnd`]
    ConnectEnd(ConnectEnd),
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

    fn u8(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
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
    Header {
        time_ns: bytes.u64(offset_of!(Header, time_ns)),
        seq: bytes.u64(offset_of!(Header, seq)),
        len: bytes.u32(offset_of!(Header, len)),
        cpu: bytes.u32(offset_of!(Header, cpu)),
        version: bytes.u8(offset_of!(Header, version)),
        kind: bytes.u8(offset_of!(Header, kind)),
        lane: bytes.u8(offset_of!(Header, lane)),
        source: bytes.u8(offset_of!(Header, source)),
        marks: bytes.u32(offset_of!(Header, marks)),
        task: task(bytes, offset_of!(Header, task)),
    }
}

fn task(bytes: Bytes<'_>, at: usize) -> Task {
    Task {
        start_ns: bytes.u64(at + offset_of!(Task, start_ns)),
        parent_start_ns: bytes.u64(at + offset_of!(Task, parent_start_ns)),
        cgroup_id: bytes.u64(at + offset_of!(Task, cgroup_id)),
        tgid: bytes.u32(at + offset_of!(Task, tgid)),
        tid: bytes.u32(at + offset_of!(Task, tid)),
        ppid: bytes.u32(at + offset_of!(Task, ppid)),
        uid: bytes.u32(at + offset_of!(Task, uid)),
        euid: bytes.u32(at + offset_of!(Task, euid)),
        gid: bytes.u32(at + offset_of!(Task, gid)),
        login_uid: bytes.u32(at + offset_of!(Task, login_uid)),
        session_id: bytes.u32(at + offset_of!(Task, session_id)),
        ns_tgid: bytes.u32(at + offset_of!(Task, ns_tgid)),
        pid_ns: bytes.u32(at + offset_of!(Task, pid_ns)),
        mnt_ns: bytes.u32(at + offset_of!(Task, mnt_ns)),
        flags: bytes.u32(at + offset_of!(Task, flags)),
        comm: bytes.array::<COMM_LEN>(at + offset_of!(Task, comm)),
    }
}

fn body(bytes: Bytes<'_>, kind: Kind) -> Result<RawBody<'_>, DecodeError> {
    match kind {
        Kind::Fork => {
            bytes.need(BODY + size_of::<Fork>())?;
            Ok(RawBody::Fork(Fork {
                child_start_ns: bytes.u64(BODY + offset_of!(Fork, child_start_ns)),
                parent_start_ns: bytes.u64(BODY + offset_of!(Fork, parent_start_ns)),
                child_cgroup_id: bytes.u64(BODY + offset_of!(Fork, child_cgroup_id)),
                child_tgid: bytes.u32(BODY + offset_of!(Fork, child_tgid)),
                child_ns_tgid: bytes.u32(BODY + offset_of!(Fork, child_ns_tgid)),
                child_pid_ns: bytes.u32(BODY + offset_of!(Fork, child_pid_ns)),
                parent_tgid: bytes.u32(BODY + offset_of!(Fork, parent_tgid)),
                child_marks: bytes.u32(BODY + offset_of!(Fork, child_marks)),
                pad: 0,
            }))
        }
        Kind::Exec => exec(bytes),
        Kind::Exit => {
            bytes.need(BODY + size_of::<Exit>())?;
            Ok(RawBody::Exit(Exit { status: bytes.u32(BODY + offset_of!(Exit, status)), pad: 0 }))
        }
        Kind::Open => open(bytes),
        Kind::Connect => {
            bytes.need(BODY + size_of::<Connect>())?;
            Ok(RawBody::Connect(Connect {
                conn_id: bytes.u64(BODY + offset_of!(Connect, conn_id)),
                daddr: bytes.array(BODY + offset_of!(Connect, daddr)),
                family: bytes.u16(BODY + offset_of!(Connect, family)),
                dport: bytes.u16(BODY + offset_of!(Connect, dport)),
                protocol: bytes.u32(BODY + offset_of!(Connect, protocol)),
            }))
        }
        Kind::ConnectEnd => {
            bytes.need(BODY + size_of::<ConnectEnd>())?;
            Ok(RawBody::ConnectEnd(ConnectEnd {
                conn_id: bytes.u64(BODY + offset_of!(ConnectEnd, conn_id)),
                errno: bytes.u32(BODY + offset_of!(ConnectEnd, errno)),
                saddr: bytes.array(BODY + offset_of!(ConnectEnd, saddr)),
                sport: bytes.u16(BODY + offset_of!(ConnectEnd, sport)),
                family: bytes.u16(BODY + offset_of!(ConnectEnd, family)),
            }))
        }
    }
}

fn exec(bytes: Bytes<'_>) -> Result<RawBody<'_>, DecodeError> {
    let tail = BODY + size_of::<Exec>();
    bytes.need(tail)?;
    let fixed = Exec {
        ino: bytes.u64(BODY + offset_of!(Exec, ino)),
        dev: bytes.u32(BODY + offset_of!(Exec, dev)),
        old_tid: bytes.u32(BODY + offset_of!(Exec, old_tid)),
        path: bytes.span(BODY + offset_of!(Exec, path)),
        filename: bytes.span(BODY + offset_of!(Exec, filename)),
        argv: bytes.span(BODY + offset_of!(Exec, argv)),
        cgroup: bytes.span(BODY + offset_of!(Exec, cgroup)),
    };
    Ok(RawBody::Exec {
        path: bytes.slice(fixed.path, tail)?,
        filename: bytes.slice(fixed.filename, tail)?,
        argv: bytes.slice(fixed.argv, tail)?,
        cgroup: bytes.slice(fixed.cgroup, tail)?,
        fixed,
    })
}

fn open(bytes: Bytes<'_>) -> Result<RawBody<'_>, DecodeError> {
    let tail = BODY + size_of::<Open>();
    bytes.need(tail)?;
    let fixed = Open {
        ino: bytes.u64(BODY + offset_of!(Open, ino)),
        dev: bytes.u32(BODY + offset_of!(Open, dev)),
        generation: bytes.u32(BODY + offset_of!(Open, generation)),
        rule: bytes.u32(BODY + offset_of!(Open, rule)),
        matched: bytes.u32(BODY + offset_of!(Open, matched)),
        flags: bytes.u32(BODY + offset_of!(Open, flags)),
        mode: bytes.u32(BODY + offset_of!(Open, mode)),
        owner: bytes.u32(BODY + offset_of!(Open, owner)),
        links: bytes.u32(BODY + offset_of!(Open, links)),
        path: bytes.span(BODY + offset_of!(Open, path)),
    };
    Ok(RawBody::Open { path: bytes.slice(fixed.path, tail)?, fixed })
}
