//! The only crossing from the wire: [`RawEvent`] to [`Event`]. Nothing after this knows that the wire exists.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use spoor_wire::body::{
    ERRNO_NONE, MATCH_DIR, MATCH_ENTRY, MATCH_INODE, MATCH_NAME, SPAN_TRUNCATED, SPAN_UNREADABLE,
};
use spoor_wire::header::TASK_KTHREAD;
use spoor_wire::{Connect, ConnectEnd, Exit, Open, RawBody, RawEvent, Span, Task};

use super::{
    ConnectFailure, Deed, Event, ExitStatus, Facts, Marks, Matched, OpenedFile, ProcessKey, SampleId, Seen,
    Text, What,
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
}

/// Makes an owned event of a checked sample.
///
/// # Errors
/// [`ConvertError`] where a number stands for nothing we know; the caller counts it.
pub fn convert(raw: &RawEvent<'_>) -> Result<Event, ConvertError> {
    let header = &raw.header;
    let deed = match &raw.body {
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
        },
        RawBody::Exit(exit) => Deed::Exit(exit_status(*exit)),
        RawBody::Open { fixed, path } => Deed::Open(opened(fixed, path)?),
        RawBody::Connect(connect) => connect_deed(connect)?,
        RawBody::ConnectEnd(end) => connect_end(end),
    };
    Ok(Event {
        time_ns: header.time_ns,
        what: What::Seen(Box::new(Seen {
            // A connection is named by its own number, which its end repeats.
            id: match &raw.body {
                RawBody::Connect(connect) => connection(connect.conn_id),
                RawBody::Fork(_)
                | RawBody::Exec { .. }
                | RawBody::Exit(_)
                | RawBody::Open { .. }
                | RawBody::ConnectEnd(_) => SampleId { cpu: header.cpu, seq: header.seq },
            },
            source: raw.source,
            marks: Marks(header.marks),
            process: facts(&header.task),
            deed,
        })),
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
        comm: task.comm.iter().copied().take_while(|byte| *byte != 0).collect(),
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

fn connect_deed(connect: &Connect) -> Result<Deed, ConvertError> {
    Ok(Deed::Connect { to: address(connect.daddr, connect.family)?, port: connect.dport })
}

fn connect_end(end: &ConnectEnd) -> Deed {
    let outcome = match end.errno {
        0 => Ok(()),
        ERRNO_NONE => Err(ConnectFailure::Abandoned),
        errno => Err(ConnectFailure::Errno(i32::try_from(errno).unwrap_or(i32::MAX))),
    };
    // A source address of zeros means that the kernel had chosen none.
    let from = address(end.saddr, end.family).ok().filter(|from| !from.is_unspecified());
    Deed::ConnectEnd { of: connection(end.conn_id), outcome, from: from.map(|from| (from, end.sport)) }
}
