//! Who was brought into a container that runs: `docker exec`, `podman exec`, `kubectl exec`, an exec probe.
//!
//! A container's own processes come of its first one. Who is in its cgroup and does not was put there from outside: a
//! runtime made it beside the first. (`nsenter` alone changes namespaces, not the cgroup: that stays whose it was.)

use std::sync::Arc;

use foldhash::HashMap;

use super::{INIT, Resolver};
use crate::actor::Host;
use crate::actor::cgroup::Container;
use crate::event::ProcessKey;
use crate::lineage::{KnownBy, Process, Slot, basename};

/// First processes of containers.
#[derive(Debug, Default)]
pub(super) struct Firsts(HashMap<String, ProcessKey>);

impl Firsts {
    const MAX: usize = 4096;

    fn insert(&mut self, container: &str, first: ProcessKey, lives: impl Fn(Slot) -> bool) {
        if self.0.len() >= Self::MAX && !self.0.contains_key(container) {
            self.0.retain(|_, first| lives((*first).into()));
            if self.0.len() >= Self::MAX {
                self.0.clear();
            }
        }
        self.0.insert(container.to_owned(), first);
    }
}

/// Where in a container a process is.
pub(super) struct Inside {
    /// The topmost of its line there.
    pub(super) root: ProcessKey,
    /// It was brought in.
    pub(super) entered: bool,
}

impl<H: Host> Resolver<H> {
    /// Whether another container than this one runs whose name begins so.
    pub(super) fn runs_another(&self, beginning: &str, name: &str) -> bool {
        let mut firsts = self.firsts.0.iter();
        firsts.any(|(other, first)| {
            other != name && other.starts_with(beginning) && self.states.contains_key(&Slot::from(*first))
        })
    }

    pub(super) fn inside(
        &mut self,
        process: &Process,
        container: &Container,
        name: &str,
        up: &[Arc<Process>],
    ) -> Inside {
        let mut line = vec![process];
        let mut outside = None;
        for ancestor in up {
            if self.place(&ancestor.cgroup.bytes).container.as_ref() != Some(container) {
                outside = Some(ancestor.as_ref());
                break;
            }
            line.push(ancestor);
        }
        // The runtime's own stages on the way in are not of the container.
        while line.len() > 1
            && let Some(stage) = line.pop_if(|top| !is_init(top) && is_runtime(top))
        {
            outside = Some(stage);
        }
        let top = line.last().copied().unwrap_or(process);
        let entered = has_first(container.runtime) && self.is_entered(top, outside, name);
        Inside { root: top.key, entered }
    }

    fn is_entered(&mut self, top: &Process, outside: Option<&Process>, name: &str) -> bool {
        let first = self.firsts.0.get(name).copied();
        let first = first.filter(|first| self.states.contains_key(&Slot::from(*first)));
        let is_init = is_init(top);
        let slot = Slot::from(top.key);
        let is_first = |first| Slot::from(first) == slot || slot.tick < Slot::from(first).tick;
        let is_first = is_init || first.is_none_or(is_first);
        if is_first {
            // What the runtime runs there before the container's program ends, or becomes it.
            if is_init || !is_runtime(top) {
                let states = &self.states;
                self.firsts.insert(name, top.key, |slot| states.contains_key(&slot));
            }
            return false;
        }
        // Whose beginning is not known may be anybody's; and orphans of a container that shares the host's pids are
        // handed out of it, as `/proc` shows them.
        let Some(outside) = outside.filter(|_| !matches!(top.known_by, KnownBy::Act | KnownBy::Again)) else {
            return false;
        };
        top.known_by == KnownBy::Fork || top.pid_ns != outside.pid_ns
    }
}

/// Whether all of a container comes of one process. A machine's helpers are put beside it by who manages it, and a task of
/// Nomad may be several.
fn has_first(runtime: &str) -> bool {
    !matches!(runtime, "machine" | "nomad" | "buildkit")
}

/// Whether it is the first process of a pid namespace of its own.
fn is_init(process: &Process) -> bool {
    process.ns_tgid == INIT && process.key.tgid != INIT
}

/// Whether it is the runtime itself, on its way into a container.
pub(super) fn is_runtime(process: &Process) -> bool {
    const NAMES: [&[u8]; 6] = [b"runc", b"crun", b"youki", b"runsc", b"conmon", b"containerd-shim-runc-v2"];
    let name = basename(&process.program.exe.bytes);
    // runc executes a copy of itself that has no name.
    NAMES.contains(&name)
        || process.program.nameless && process.program.argv.get(1).is_some_and(|argument| argument == b"init")
}
