//! Credentials: opened, written, received, read, asked over a socket, handed over in an environment, taken out of another process.

use std::sync::Arc;

use super::{Machine, Observed, Subject};
use crate::action::{ActionDeed, ConnectOutcome};
use crate::chain::Note;
use crate::chain::holds::Use;
use crate::credential::Credential;
use crate::event::{Deed, KeyWay, MemoryWay, OpenedFile, ProcessKey, Seen, Source};
use crate::lineage::Process;

impl Machine {
    /// A deed with a file or a key that holds a credential, or a socket that stands for one.
    pub(super) fn secret(
        &mut self,
        run: u64,
        seen: &Seen,
        input: &Observed<'_>,
        by: &Subject,
        out: &mut Vec<Note>,
    ) {
        let Some(credential) = input.credentials.first() else {
            return;
        };
        let key = by.process.key;
        let time_ns = input.event.time_ns;
        self.acted(key);
        self.open_chain(run, by, input.table, (time_ns, seen.id), out);
        let Some((deed, received)) = of_file(&seen.deed, credential) else {
            return;
        };
        let reading = matches!(deed, ActionDeed::SecretRead { .. });
        if reading && !self.has(key, credential) {
            // It came by it in a way that was not seen: before the agent, or in a loss.
            self.held_before(key, time_ns, std::slice::from_ref(credential));
        }
        // To read a key it takes no more than its number.
        let known =
            matches!(&deed, ActionDeed::SecretKey { way: KeyWay::Read, .. }) && self.has(key, credential);
        // Who writes has what it writes, and where that came from is the question; the file is not where it has it from.
        let written = matches!(deed, ActionDeed::SecretWrite { .. });
        let refused = matches!(&deed, ActionDeed::SecretSocket { outcome, .. } if *outcome != ConnectOutcome::Established);
        let action = self.act(run, by, (time_ns, seen.source), deed, out);
        if !reading && !written && !refused && !known {
            self.came_by(run, (&by.process, by.facts.tid), action, (credential, received), time_ns);
        }
    }

    /// A program was started. What its environment holds and the process did not have before, it has from now on.
    pub(super) fn executed(
        &mut self,
        run: u64,
        seen: &Seen,
        input: &Observed<'_>,
        by: &Subject,
        out: &mut Vec<Note>,
    ) {
        let (key, time_ns) = (by.process.key, input.event.time_ns);
        let handed = input.credentials.iter().filter(|credential| !self.has(key, credential));
        let handed: Vec<Arc<Credential>> = handed.cloned().collect();
        if !handed.is_empty() {
            self.open_chain(run, by, input.table, (time_ns, seen.id), out);
        }
        let deed = ActionDeed::Exec { environment: handed.clone() };
        let action = self.act(run, by, (time_ns, seen.source), deed, out);
        for credential in &handed {
            self.came_by(run, (&by.process, by.facts.tid), action, (credential, false), time_ns);
        }
        self.took(by, action);
    }

    /// A process got at the memory of another: whatever that one held, it may have now.
    pub(super) fn memory(
        &mut self,
        run: u64,
        by: &Subject,
        ((target, process), how): ((ProcessKey, Option<Arc<Process>>), MemoryWay),
        (time_ns, seen_by): (u64, Source),
        out: &mut Vec<Note>,
    ) {
        let held = self.members.get(&target.into()).map(|member| member.more().holds.credentials());
        let deed = ActionDeed::MemoryAccess { target: process, how };
        let held = held.unwrap_or_default();
        let action = self.act_with(run, by, (time_ns, seen_by), deed, &held, out);
        for credential in &held {
            self.came_by(run, (&by.process, by.facts.tid), action, (credential, true), time_ns);
        }
    }

    fn has(&self, key: ProcessKey, credential: &Credential) -> bool {
        self.members.get(&key.into()).is_some_and(|member| member.more().holds.has(credential))
    }

    /// Notes that a process may have a credential from now on.
    pub(super) fn came_by(
        &mut self,
        number: u64,
        (process, tid): (&Process, u32),
        action: Option<crate::action::ActionId>,
        (credential, received): (&Arc<Credential>, bool),
        time_ns: u64,
    ) {
        let unit = self.unit(process.key, tid).map(|unit| unit.connection);
        let Some(run) = self.runs.get_mut(&number) else {
            return;
        };
        let Some(chain) = run.chain.as_ref().map(|chain| chain.id) else {
            return;
        };
        let held = Use {
            action,
            credential: Arc::clone(credential),
            time_ns,
            hops: 0,
            received,
            tid: Some(tid),
            unit,
            beside: false,
            place: Some((number, chain)),
            connections: run.connections,
        };
        run.came_by(process, held.clone());
        if let Some(member) = self.members.get_mut(&process.key.into()) {
            member.more_mut().holds.add(held);
        }
    }
}

/// The action of a deed with a file or a key, and whether the credential was handed over.
fn of_file(deed: &Deed, credential: &Arc<Credential>) -> Option<(ActionDeed, bool)> {
    let credential = Arc::clone(credential);
    let boxed = |file: &OpenedFile| Box::new(file.clone());
    if let Deed::Receive(file) = deed {
        return Some((ActionDeed::SecretReceive { file: boxed(file), credential }, true));
    }
    let action = if let Deed::Open(file) = deed
        && (file.only_written() || file.renamed())
    {
        ActionDeed::SecretWrite { file: boxed(file), credential }
    } else if let Deed::Open(file) = deed {
        ActionDeed::SecretOpen { file: boxed(file), credential }
    } else if let Deed::Read { file, mapped } = deed {
        ActionDeed::SecretRead { file: boxed(file), credential, mapped: *mapped }
    } else if let Deed::Unix { file, refused } = deed {
        let outcome = refused.map_or(ConnectOutcome::Established, ConnectOutcome::from_errno);
        ActionDeed::SecretSocket { file: boxed(file), credential, outcome }
    } else if let Deed::Key { key, way } = deed {
        ActionDeed::SecretKey { key: key.clone(), credential, way: *way }
    } else {
        return None;
    };
    Some((action, false))
}
