//! What was done, as the parts of a record that tell it.

use std::sync::Arc;

use super::build::Builder;
use super::parts::{destination, exit_shape, ids, milliseconds};
use super::shape::{ActionShape, DestinationShape, KeyShape, SourceShape};
use crate::action::{Action, ActionDeed, ConnectOutcome};
use crate::credential::Credential;
use crate::event::{Endpoint, KernelKey, KeyWay, OpenedFile, SendOutcome};

impl Builder {
    pub(super) fn deed<'a>(&'a self, action: &'a Action, shape: &mut ActionShape<'a>) {
        match &action.deed {
            ActionDeed::SecretOpen { file, credential } => {
                self.secret("secret.open", (file, credential), shape);
            }
            ActionDeed::SecretWrite { file, credential } => {
                self.secret("secret.write", (file, credential), shape);
            }
            ActionDeed::SecretReceive { file, credential } => {
                self.secret("secret.receive", (file, credential), shape);
            }
            ActionDeed::SecretRead { file, credential, mapped } => {
                self.secret("secret.read", (file, credential), shape);
                shape.how = Some(if *mapped { "map" } else { "copy" });
            }
            ActionDeed::SecretSocket { file, credential, outcome } => {
                self.secret("connect", (file, credential), shape);
                shape.outcome(*outcome);
                shape.destination = Some(DestinationShape {
                    path: Some((self.redaction.printable)(&file.path.bytes)),
                    transport: "unix".into(),
                    ..DestinationShape::default()
                });
            }
            ActionDeed::SecretKey { key, credential, way } => {
                shape.action = if *way == KeyWay::Read { "secret.read" } else { "secret.open" };
                shape.how = Some(way.name());
                shape.key = Some(self.key(key));
                self.own(credential, shape);
            }
            ActionDeed::MemoryAccess { target, how } => {
                shape.action = "memory.access";
                shape.how = Some(how.name());
                shape.target = target.as_ref().map(|target| self.process(target, None));
            }
            ActionDeed::Exec { environment } => {
                shape.action = "exec";
                shape.environment = environment.iter().filter_map(|handed| handed.variable()).collect();
            }
            ActionDeed::ExecFailed { program, errno } => {
                (shape.action, shape.errno) = ("exec.failed", Some(*errno));
                shape.program = self.text(program);
            }
            ActionDeed::Exit(status) => {
                shape.action = "exit";
                shape.exit = Some(exit_shape(*status));
            }
            ActionDeed::CredChange(change) => {
                shape.action = "cred.change";
                (shape.from, shape.to) = (Some(ids(&change.from)), Some(ids(&change.to)));
            }
            ActionDeed::Connect { to, name, from, outcome, took_ns, completes } => {
                shape.action = "connect";
                shape.outcome(*outcome);
                shape.took_ms = took_ns.map(milliseconds);
                shape.completes = completes.and_then(|id| self.seqs.get(&id).copied());
                shape.destination = Some(destination(*to, name.as_ref()));
                shape.source = from.map(|(ip, port)| SourceShape { ip, port, ports: &[] });
            }
            ActionDeed::Send { to, name, outcome } => {
                shape.action = "send";
                shape.sent(*outcome);
                shape.destination = Some(destination(*to, name.as_ref()));
            }
            ActionDeed::Accept { from, at, transport } => {
                shape.action = "accept";
                let own = Endpoint::Inet { ip: at.0, port: at.1, transport: *transport };
                shape.destination = Some(destination(own, None));
                shape.source = Some(SourceShape { ip: from.0, port: from.1, ports: &[] });
            }
        }
    }

    /// A deed with a credential's file.
    fn secret<'a>(
        &'a self,
        action: &'static str,
        (file, credential): (&OpenedFile, &'a Arc<Credential>),
        shape: &mut ActionShape<'a>,
    ) {
        shape.action = action;
        shape.file = Some(self.file(file));
        self.own(credential, shape);
    }

    /// A key, as text that is safe to print; of its description without what looks like a secret.
    fn key(&self, key: &KernelKey) -> KeyShape {
        let KernelKey { serial, owner, rule: _, kind, description } = key;
        KeyShape {
            r#type: (self.redaction.printable)(&kind.bytes),
            description: (self.redaction.argv)(std::slice::from_ref(&description.bytes)).concat(),
            description_truncated: description.truncated,
            serial: *serial,
            owner: *owner,
        }
    }

    fn own<'a>(&'a self, credential: &'a Arc<Credential>, shape: &mut ActionShape<'a>) {
        // The file's own credential comes first, also where the chain names others beside it.
        shape.credential.retain(|other| other.id != credential.id);
        shape.credential.insert(0, self.credential_part(credential));
    }
}

impl ActionShape<'_> {
    fn sent(&mut self, outcome: SendOutcome) {
        match outcome {
            SendOutcome::Sent => self.outcome = Some("sent"),
            SendOutcome::Failed(errno) => self.outcome(ConnectOutcome::from_errno(errno)),
            SendOutcome::Unknown => {}
        }
    }

    fn outcome(&mut self, outcome: ConnectOutcome) {
        self.outcome = Some(outcome.name());
        if let ConnectOutcome::Error(errno) = outcome {
            self.errno = Some(errno);
        }
    }
}

/// Whether later records may name this one: as what they came after, what they complete, do again, or serve.
pub(super) fn is_named_later(deed: &ActionDeed) -> bool {
    match deed {
        ActionDeed::SecretOpen { .. }
        | ActionDeed::SecretReceive { .. }
        | ActionDeed::SecretSocket { .. }
        | ActionDeed::SecretKey { .. }
        | ActionDeed::MemoryAccess { .. }
        | ActionDeed::Exec { .. }
        | ActionDeed::Accept { .. }
        | ActionDeed::Connect { .. } => true,
        ActionDeed::SecretWrite { .. }
        | ActionDeed::SecretRead { .. }
        | ActionDeed::ExecFailed { .. }
        | ActionDeed::Exit(_)
        | ActionDeed::CredChange(_)
        | ActionDeed::Send { .. } => false,
    }
}
