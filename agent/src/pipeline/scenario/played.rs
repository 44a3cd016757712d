//! What came of a story, in words.

use super::{Catalogue, Stages};
use crate::action::ActionDeed;
use crate::actor::Fake;
use crate::chain::{Acted, ChainId, LinkFact, MarkWish, Note, Summary};
use crate::event::Endpoint;
use crate::names::Named;

/// What came of a story.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) stages: Stages<Catalogue, Fake>,
    pub(crate) notes: Vec<Note>,
    pub(crate) wishes: Vec<MarkWish>,
}

impl Played {
    /// The notes as lines; chains are called A, B, … in the order of opening.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut names: Vec<ChainId> = Vec::new();
        let name = |names: &[ChainId], chain: ChainId| {
            let index =
                names.iter().position(|known| *known == chain).expect("a chain opens before all else");
            char::from(b'A' + u8::try_from(index % 26).unwrap())
        };
        let line = |note: &Note| match note {
            Note::Opened(opened) => {
                names.push(opened.chain);
                let gaps: Vec<&str> = opened.gaps.iter().map(|gap| gap.name()).collect();
                let after =
                    opened.after.map(|chain| format!(" after {}", name(&names, chain))).unwrap_or_default();
                let gaps = if gaps.is_empty() { String::new() } else { format!(" gaps {gaps:?}") };
                let actor = &opened.actor;
                format!(
                    "{} opened {} {} {}{after}{gaps}",
                    name(&names, opened.chain),
                    actor.id,
                    actor.origin,
                    actor.user
                )
            }
            Note::Acted(acted) => {
                let together = acted.together.as_ref().map(|_| format!(" x{}", acted.count()));
                format!("{} {}{}", name(&names, acted.chain), told(acted), together.unwrap_or_default())
            }
            Note::Completed(completed) => {
                let actor = &completed.actor;
                format!("{} completed {} {}", name(&names, completed.chain), actor.id, actor.origin)
            }
            Note::Closed(closed) => {
                let Summary { actions, folded, .. } = closed.summary;
                let gaps: Vec<&str> = closed.summary.gaps.iter().map(|gap| gap.name()).collect();
                let gaps = if gaps.is_empty() { String::new() } else { format!(" gaps {gaps:?}") };
                let reason = closed.reason.name();
                format!("{} closed {reason} {actions}+{folded}{gaps}", name(&names, closed.chain))
            }
            Note::Gap(gap) => {
                let chains: String = gap.chains.iter().map(|chain| name(&names, *chain)).collect();
                format!("gap {} [{chains}]", gap.kind.name())
            }
        };
        self.notes.iter().map(line).collect()
    }

    pub(crate) fn counter(&self, name: &str) -> u64 {
        let found = self.stages.ledger.snapshot().into_iter().find(|(known, _)| *known == name);
        found.expect("a counter of that name").1
    }
}

fn told(acted: &Acted) -> String {
    let pid = acted.action.process.key.tgid;
    let deed = match &acted.action.deed {
        ActionDeed::SecretOpen { credential, .. } => format!("open {}", credential.id),
        ActionDeed::SecretWrite { credential, .. } => format!("write {}", credential.id),
        ActionDeed::Exec { environment } => {
            let handed: String =
                environment.iter().map(|credential| format!(" with {}", credential.id)).collect();
            format!("exec {}{handed}", String::from_utf8_lossy(&acted.action.process.program.exe.bytes))
        }
        ActionDeed::SecretKey { credential, way, .. } => format!("key {} {}", credential.id, way.name()),
        ActionDeed::Exit(status) => format!("exit {status:?}"),
        ActionDeed::Connect { to, name, outcome, completes, .. } => {
            let completes = completes.map(|_| " at last").unwrap_or_default();
            format!("connect {}{} {}{completes}", endpoint(*to), named(name.as_ref()), outcome.name())
        }
        ActionDeed::SecretReceive { credential, .. } => format!("receive {}", credential.id),
        ActionDeed::SecretRead { credential, mapped, .. } => {
            format!("{} {}", if *mapped { "map" } else { "read" }, credential.id)
        }
        ActionDeed::SecretSocket { credential, outcome, .. } => {
            format!("socket {} {}", credential.id, outcome.name())
        }
        ActionDeed::MemoryAccess { target, how } => {
            format!("memory of {:?} by {}", target.as_ref().map(|target| target.key.tgid), how.name())
        }
        ActionDeed::ExecFailed { program, errno } => {
            format!("exec failed {} {errno}", String::from_utf8_lossy(&program.bytes))
        }
        ActionDeed::CredChange(change) => format!("change {:?} > {:?}", change.from.euid, change.to.euid),
        ActionDeed::Send { to, name, outcome } => {
            format!("send {}{} {outcome:?}", endpoint(*to), named(name.as_ref()))
        }
        ActionDeed::Accept { from, at, .. } => format!("accept {}:{} at {}:{}", from.0, from.1, at.0, at.1),
    };
    let Some(link) = &acted.link else {
        return format!("{pid} {deed}");
    };
    let credentials: Vec<&str> =
        acted.credentials.iter().map(|credential| credential.kind.as_str()).collect();
    // Most actions are of a process's only thread.
    let quiet = [LinkFact::SameThread, LinkFact::SameRequest];
    let facts = link.facts.iter().filter(|fact| !quiet.contains(fact));
    let facts: Vec<&str> = facts.map(|fact| fact.name()).collect();
    let facts = if facts.is_empty() { String::new() } else { format!(" {}", facts.join(",")) };
    let of: Vec<String> = link.of.iter().map(|action| action.0.to_string()).collect();
    format!(
        "{pid} {deed} < {} of {} {}/{}{facts}",
        credentials.join("+"),
        of.join(","),
        link.basis.name(),
        link.hops
    )
}

fn endpoint(to: Endpoint) -> String {
    match to {
        Endpoint::Inet { ip, port, .. } => format!("{ip}:{port}"),
        Endpoint::Vsock { cid, port } => format!("vsock {cid}:{port}"),
    }
}

fn named(name: Option<&Named>) -> String {
    name.map(|named| format!(" {} by {}", named.name, named.source.name())).unwrap_or_default()
}
