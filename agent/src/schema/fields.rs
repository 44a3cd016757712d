//! The fields of a record that encoders ask for, each with a number, which is known when the agent is compiled.

use std::cmp::Ordering;
use std::ops::Range;

use crate::record::{Member, Tree, View, first_bytes};

/// In order, and each behind what it is in.
const PATHS: &[&str] = &[
    "action",
    "actor",
    "actor.id",
    "actor.kind",
    "actor.origin",
    "actor.pod",
    "actor.pod.container",
    "actor.pod.name",
    "actor.pod.namespace",
    "actor.pod.node",
    "actor.pod.uid",
    "actor.user",
    "agent_version",
    "chain",
    "count",
    "credential",
    "destination",
    "destination.cid",
    "destination.ip",
    "destination.name",
    "destination.path",
    "destination.port",
    "destination.transport",
    "errno",
    "exit",
    "exit.code",
    "file",
    "file.dev",
    "file.ino",
    "file.mode",
    "file.owner",
    "file.path",
    "finding_id",
    "host",
    "host.boot_id",
    "host.id",
    "host.name",
    "kernel",
    "kind",
    "outcome",
    "process",
    "process.argv",
    "process.cgroup",
    "process.comm",
    "process.euid",
    "process.exe",
    "process.id",
    "process.ns_pid",
    "process.parent",
    "process.parent.id",
    "process.parent.pid",
    "process.pid",
    "process.session",
    "process.uid",
    "program",
    "reason",
    "seq",
    "severity",
    "signals",
    "since",
    "source",
    "source.ip",
    "source.port",
    "state",
    "status",
    "target",
    "target.exe",
    "target.id",
    "target.pid",
    "time",
    "told",
    "took_ms",
    "type",
    "v",
];

/// How many there are.
pub(super) const COUNT: usize = PATHS.len();

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field(usize);

impl Field {
    /// The field at a path; the compiler stops where there is none.
    pub(super) const fn of(path: &str) -> Self {
        Self(position(PATHS, path))
    }

    #[cfg(test)]
    pub(super) fn numbered(number: usize) -> Self {
        Self(number)
    }

    pub(super) fn number(self) -> usize {
        self.0
    }

    pub(super) fn path(self) -> &'static str {
        PATHS.get(self.0).copied().unwrap_or_default()
    }
}

/// The field at a path.
macro_rules! field {
    ($path:expr) => {
        const { $crate::schema::fields::Field::of($path) }
    };
}
pub(super) use field;

/// Where a path stands in a list, when the agent is compiled.
#[expect(clippy::panic, reason = "asked by constants only: the compiler stops at it")]
pub(super) const fn position(list: &[&str], path: &str) -> usize {
    let mut at = 0;
    while at < list.len() {
        if matches!(compare(list[at], path), Ordering::Equal) {
            return at;
        }
        at += 1;
    }
    panic!("no such path")
}

/// How two texts stand to each other, for constants.
pub(super) const fn compare(one: &str, other: &str) -> Ordering {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() {
        if one[at] != other[at] {
            return if one[at] < other[at] { Ordering::Less } else { Ordering::Greater };
        }
        at += 1;
    }
    if one.len() < other.len() {
        Ordering::Less
    } else if one.len() == other.len() {
        Ordering::Equal
    } else {
        Ordering::Greater
    }
}

/// A path's length without its last name and the dot before it, for constants.
pub(super) const fn parent_len(path: &str) -> usize {
    let mut at = path.len();
    while at > 0 {
        at -= 1;
        if path.as_bytes()[at] == b'.' {
            return at;
        }
    }
    0
}

/// The last name of a path, for constants.
pub(super) const fn last_name(path: &'static str) -> &'static str {
    let parent = parent_len(path);
    path.split_at(if parent == 0 { 0 } else { parent + 1 }).1
}

/// A field as a walk over a record meets it.
pub(super) struct Known {
    name: &'static str,
    start: u64,
    /// The number behind the last field that is in it.
    pub(super) end: usize,
}

pub(super) static KNOWN: [Known; COUNT] = known();

const fn known() -> [Known; COUNT] {
    let mut all = [const { Known { name: "", start: 0, end: 0 } }; COUNT];
    let mut at = 0;
    while at < COUNT {
        let path = PATHS[at];
        let mut end = at + 1;
        while end < COUNT && is_in(PATHS[end], path) {
            end += 1;
        }
        let name = last_name(path);
        all[at] = Known { name, start: first_bytes(name), end };
        assert!(at == 0 || matches!(compare(PATHS[at - 1], path), Ordering::Less), "not in order");
        at += 1;
    }
    all
}

/// Whether a path leads into another.
const fn is_in(path: &str, of: &str) -> bool {
    path.len() > of.len()
        && path.as_bytes()[of.len()] == b'.'
        && matches!(compare(path.split_at(of.len()).0, of), Ordering::Equal)
}

/// Members of an object that are in order, each with its field, among those of a range, where it has one.
pub(super) fn matched<'n, 'a>(
    members: &'n [Member<'a>],
    mut fields: Range<usize>,
) -> impl Iterator<Item = (&'n Member<'a>, Option<(usize, &'static Known)>)> {
    members.iter().map(move |member| {
        while let Some(known) = KNOWN.get(fields.start).filter(|_| !fields.is_empty()) {
            match member.0.compare(known.start, known.name).reverse() {
                Ordering::Less => fields.start = known.end,
                Ordering::Equal => {
                    let number = fields.start;
                    fields.start = known.end;
                    return (member, Some((number, known)));
                }
                Ordering::Greater => break,
            }
        }
        (member, None)
    })
}

/// Whoever can say what is at a field.
pub(crate) trait Fields {
    type Value: Tree;

    fn at(&self, field: Field) -> Option<&Self::Value>;
    fn seq(&self) -> u64;

    fn text_at(&self, field: Field) -> Option<&str> {
        self.at(field)?.text()
    }

    fn number_at(&self, field: Field) -> Option<u64> {
        self.at(field)?.whole()
    }
}

impl<T: Tree> Fields for View<T> {
    type Value = T;

    fn at(&self, field: Field) -> Option<&T> {
        View::at(self, field.path())
    }

    fn seq(&self) -> u64 {
        View::seq(self)
    }
}
