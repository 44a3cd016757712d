//! The only crossing from the wire: [`RawEvent`] to [`Event`]. Nothing after this knows that the wire exists.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use spoor_wire::body::{
    ERRNO_NONE, HOW_BACKING, MATCH_DIR, MATCH_ENTRY, MATCH_INODE, MATCH_NAME, MEMORY_ATTACH,
    MEMORY_DESCRIPTOR, MEMORY_ENVIRON, MEMORY_FILE, READ_MAP, SPAN_TRUNCATED, SPAN_UNREADABLE,
};
use spoor_wire::header::TASK_KTHREAD;
use spoor_wire::{
    Accept, Connect, ConnectEnd, Exit, Kind, Memory, Open, RawBody, RawEvent, Send, Span, Task,
};

use super::{
    ConnectFailure, Deed, Endpoint, Event, ExitStatus, Facts, IdentityChange, KernelKey, KeyWay, Marks,
    Matched, MemoryWay, OpenedFile, ProcessKey, SampleId, Seen, SendOutcome, Text, Transport, What,
};

/// A checked sample that still makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// No such address family.
    #[error("connection of unknown address family {0}")]
    Family(u16),
    /// No such way to match.
    #[error("file matched in an unknown way {0}")]
    Matched(u32),
    /// No such way to another's memory.
    #[error("memory got at in an unknown way {0}")]
    Memory(u32),
    /// No such thing to do with a key.
    #[error("key used in an unknown way {0}")]
    Key(u32),
}

/// Makes an owned event of a checked sample.
///
/// # Errors
/// [`ConvertError`] where a number stands for nothing we know; the caller counts it.
pub fn convert(raw: &RawEvent<'_>) -> Result<Event, ConvertError> {
    let header = &raw.header;
    if let (Kind::Answer, RawBody::Payload { data, .. }) = (raw.kind, &raw.body) {
        return Ok(Event { time_ns: header.time_ns, what: What::Answer(data.to_vec()) });
    }
    Ok(Event {
        time_ns: header.time_ns,
        what: What::Seen(Box::new(Seen {
            // A connection is named by its own number, which its end repeats.
            id: if let RawBody::Connect(Connect { conn_id, .. }) | RawBody::Accept(Accept { conn_id, .. }) =
                &raw.body
            {
                connection(*conn_id)
            } else {
                SampleId { cpu: header.cpu, seq: header.seq }
            },
            source: raw.source,
            marks: Marks(header.marks),
            process: facts(&header.task),
            deed: deed(raw)?,
        })),
    })
}

fn deed(raw: &RawEvent<'_>) -> Result<Deed, ConvertError> {
    Ok(match &raw.body {
        RawBody::Fork(fork) => Deed::Fork {
            child: ProcessKey { tgid: fork.child_tgid, start_ns: fork.child_start_ns },
            parent: ProcessKey { tgid: fork.parent_tgid, start_ns: fork.parent_start_ns },
            cgroup_id: fork.child_cgroup_id,
            ns_tgid: fork.child_ns_tgid,
            pid_ns: fork.child_pid_ns,
            marks: Marks(fork.child_marks),
        },
        RawBody::Exec { fixed, path, filename, argv, cgroup } => Deed::Exec {
            exe: path_text(path, fixed.path),
            filename: text(filename, fixed.filename),
            dev: fixed.dev,
            ino: fixed.ino,
            argv: arguments(argv),
            argv_truncated: cut(fixed.argv),
            cgroup: path_text(cgroup, fixed.cgroup),
            nameless: fixed.links == 0,
        },
        RawBody::ExecFailed { fixed, filename } => {
            Deed::ExecFailed { filename: text(filename, fixed.filename), errno: errno(fixed.errno) }
        }
        RawBody::Exit(exit) => Deed::Exit(exit_status(*exit)),
        RawBody::Open { fixed, path } => file_deed(raw.kind, fixed, opened(fixed, path)?),
        RawBody::Key { fixed, kind, description } => Deed::Key {
            key: Box::new(KernelKey::of(fixed, text(kind, fixed.kind), text(description, fixed.description))),
            way: KeyWay::of(fixed.how).ok_or(ConvertError::Key(fixed.how))?,
        },
        RawBody::Memory(memory) => memory_deed(memory)?,
        RawBody::Identity(identity) => Deed::Identity(Box::new(IdentityChange::of(identity))),
        RawBody::Connect(connect) => {
            Deed::Connect { to: endpoint(connect.daddr, connect.family, connect.dport, connect.protocol)? }
        }
        RawBody::ConnectEnd(end) => connect_end(end),
        RawBody::Send(send) => send_deed(send)?,
        RawBody::Accept(accept) => accept_deed(accept)?,
        RawBody::AcceptEnd(end) => Deed::AcceptEnd { of: connection(end.conn_id) },
        RawBody::Payload { fixed, data } => {
            Deed::Hello { of: connection(fixed.conn_id), bytes: data.to_vec() }
        }
    })
}

fn connection(id: u64) -> SampleId {
    SampleId { cpu: 0, seq: id }
}

fn facts(task: &Task) -> Facts {
    let known = |value: u32| (value != u32::MAX).then_some(value);
    Facts {
        key: ProcessKey { tgid: task.tgid, start_ns: task.start_ns },
        tid: task.tid,
        parent: (task.ppid != 0).then_some(ProcessKey { tgid: task.ppid, start_ns: task.parent_start_ns }),
        uid: task.uid,
        euid: task.euid,
        gid: task.gid,
        login_uid: known(task.login_uid),
        session: known(task.session_id),
        cgroup_id: task.cgroup_id,
        ns_tgid: task.ns_tgid,
        pid_ns: task.pid_ns,
        mnt_ns: task.mnt_ns,
        kthread: task.flags & TASK_KTHREAD != 0,
        comm: task.comm.split(|byte| *byte == 0).next().unwrap_or_default().into(),
    }
}

fn cut(span: Span) -> bool {
    span.flags & (SPAN_TRUNCATED | SPAN_UNREADABLE) != 0
}

fn text(bytes: &[u8], span: Span) -> Text {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    Text { bytes: bytes.get(..end).unwrap_or_default().to_vec(), truncated: cut(span) }
}

/// Leaf-first, NUL-ended names to a root-first path. A walk cut short starts with `…` in place of what is missing.
fn path_text(names: &[u8], span: Span) -> Text {
    let truncated = cut(span);
    if names.is_empty() && !truncated {
        return Text { bytes: if span.len == 0 { Vec::new() } else { b"/".to_vec() }, truncated };
    }
    let mut bytes = Vec::with_capacity(names.len() + 4);
    if truncated {
        bytes.extend_from_slice("…".as_bytes());
    }
    for name in names.split(|byte| *byte == 0).rev().filter(|name| !name.is_empty()) {
        bytes.push(b'/');
        bytes.extend_from_slice(name);
    }
    Text { bytes, truncated }
}

fn arguments(bytes: &[u8]) -> Vec<Vec<u8>> {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

fn exit_status(exit: Exit) -> ExitStatus {
    let low = |value: u32| u8::try_from(value & 0xff).unwrap_or(u8::MAX);
    match exit.status & 0x7f {
        0 => ExitStatus::Code(low(exit.status >> 8)),
        signal => ExitStatus::Signal { signal: low(signal), core: exit.status & 0x80 != 0 },
    }
}

fn opened(fixed: &Open, path: &[u8]) -> Result<OpenedFile, ConvertError> {
    Ok(OpenedFile {
        path: path_text(path, fixed.path),
        dev: fixed.dev,
        ino: fixed.ino,
        generation: fixed.generation,
        rule: fixed.rule,
        matched: match fixed.matched {
            MATCH_INODE => Matched::Inode,
            MATCH_ENTRY => Matched::Entry,
            MATCH_DIR => Matched::Directory,
            MATCH_NAME => Matched::Name,
            other => return Err(ConvertError::Matched(other)),
        },
        flags: fixed.flags,
        mode: fixed.mode,
        owner: fixed.owner,
        links: fixed.links,
        backing: false,
    })
}

fn address(bytes: [u8; 16], family: u16) -> Result<IpAddr, ConvertError> {
    const AF_INET: u16 = 2;
    const AF_INET6: u16 = 10;
    match family {
        AF_INET => {
            let [a, b, c, d, ..] = bytes;
            Ok(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        // A v4-mapped address is a v4 destination: a person searches for it as such.
        AF_INET6 => Ok(Ipv6Addr::from(bytes).to_canonical()),
        other => Err(ConvertError::Family(other)),
    }
}

/// Of a destination as probes tell it.
fn endpoint(daddr: [u8; 16], family: u16, port: u16, protocol: u32) -> Result<Endpoint, ConvertError> {
    const AF_VSOCK: u16 = 40;
    if family == AF_VSOCK {
        let [a, b, c, d, e, f, g, h, ..] = daddr;
        let (cid, port) = (u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h]));
        return Ok(Endpoint::Vsock { cid, port });
    }
    Ok(Endpoint::Inet { ip: address(daddr, family)?, port, transport: Transport(protocol) })
}

fn errno(wire: u32) -> i32 {
    i32::try_from(wire).unwrap_or(i32::MAX)
}

/// Of the kinds that have a file's body; the decoder gives it to no other.
fn file_deed(kind: Kind, fixed: &Open, file: OpenedFile) -> Deed {
    let backing = fixed.how & HOW_BACKING != 0;
    if kind == Kind::Receive {
        Deed::Receive(file)
    } else if kind == Kind::Read {
        let mapped = fixed.how & !HOW_BACKING == READ_MAP;
        Deed::Read { file: OpenedFile { backing, ..file }, mapped }
    } else if kind == Kind::Unix {
        Deed::Unix { file, refused: (fixed.how != 0).then(|| errno(fixed.how)) }
    } else {
        Deed::Open(OpenedFile { backing, ..file })
    }
}

fn memory_deed(memory: &Memory) -> Result<Deed, ConvertError> {
    let target = ProcessKey { tgid: memory.target_tgid, start_ns: memory.target_start_ns };
    let how = match memory.how {
        MEMORY_ATTACH => MemoryWay::Attach,
        MEMORY_ENVIRON => MemoryWay::Environ,
        MEMORY_FILE => MemoryWay::File,
        MEMORY_DESCRIPTOR => MemoryWay::Descriptor,
        other => return Err(ConvertError::Memory(other)),
    };
    Ok(Deed::Memory { target, how })
}

fn send_deed(send: &Send) -> Result<Deed, ConvertError> {
    let outcome = match send.errno {
        0 => SendOutcome::Sent,
        ERRNO_NONE => SendOutcome::Unknown,
        other => SendOutcome::Failed(errno(other)),
    };
    Ok(Deed::Send { to: endpoint(send.daddr, send.family, send.dport, send.protocol)?, outcome })
}

fn accept_deed(accept: &Accept) -> Result<Deed, ConvertError> {
    Ok(Deed::Accept {
        from: (address(accept.raddr, accept.family)?, accept.rport),
        at: (address(accept.laddr, accept.family)?, accept.lport),
        transport: Transport(accept.protocol),
    })
}

fn connect_end(end: &ConnectEnd) -> Deed {
    let outcome = match end.errno {
        0 => Ok(()),
        ERRNO_NONE => Err(ConnectFailure::Abandoned),
        other => Err(ConnectFailure::Errno(errno(other))),
    };
    // A source address of zeros means that the kernel had chosen none.
    let from = address(end.saddr, end.family).ok().filter(|from| !from.is_unspecified());
    Deed::ConnectEnd { of: connection(end.conn_id), outcome, from: from.map(|from| (from, end.sport)) }
}
