//! An action as purposes see it: borrowed from the chain machine, or from a record.

use std::net::IpAddr;
use std::sync::Arc;

use super::Digest;
use crate::action::{Action, ActionDeed};
use crate::credential::Credential;
use crate::event::Endpoint;
use crate::lineage::Process;
use crate::names::{NameSource, Named};

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// Id of the actor.
    pub actor: &'a str,
    /// By which program.
    pub program: Program<'a>,
    /// With which credentials.
    pub using: Using<'a>,
    /// Where to.
    pub towards: Towards<'a>,
    /// When, ns since 1970.
    pub wall_ns: i64,
}

/// The program that acts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Program<'a> {
    /// Its path; empty where it is not known.
    pub exe: &'a [u8],
    /// Of a script, the script as it was named.
    pub script: Option<&'a [u8]>,
    /// What is known of its path is not all of it, or its file has no name: then only `any` allows it.
    pub unsure: bool,
    /// SHA-256 of its file, where that is known.
    pub digest: Option<Digest>,
}

impl<'a> Program<'a> {
    /// What a process runs.
    #[must_use]
    pub fn of(process: &'a Process, digest: Option<Digest>) -> Self {
        let script = process.program.script.as_ref();
        let cut = process.program.exe.truncated || script.is_some_and(|script| script.truncated);
        Program {
            exe: &process.program.exe.bytes,
            script: script.map(|script| script.bytes.as_slice()),
            unsure: cut || process.program.nameless,
            digest,
        }
    }

    /// The path that stands for it: of a script that was named by its whole path the script, else the executable. `None`
    /// where there is none to go by.
    #[must_use]
    pub fn path(&self) -> Option<&'a [u8]> {
        let script = self.script.filter(|script| script.starts_with(b"/"));
        let path = script.unwrap_or(self.exe);
        (!self.unsure && path.starts_with(b"/")).then_some(path)
    }

    /// Whether that path is a script's, whose digest nobody takes.
    pub(super) fn is_script(&self) -> bool {
        self.script.is_some_and(|script| script.starts_with(b"/"))
    }
}

/// Credentials of an act.
#[derive(Clone, Copy, Debug)]
pub enum Using<'a> {
    /// None.
    Nothing,
    /// The act is about these: each must be allowed.
    Each(&'a [Arc<Credential>]),
    /// The process holds these, and which of them went along nobody saw: one that is allowed explains the act.
    Any(&'a [Arc<Credential>]),
}

/// Where an act goes.
#[derive(Clone, Copy, Debug)]
pub enum Towards<'a> {
    /// Nowhere: purposes' destinations do not concern it.
    Nowhere,
    /// To an address.
    Inet {
        /// The address.
        ip: IpAddr,
        /// The port; 0 where there is none.
        port: u16,
        /// Names that the host was told for this address.
        heard: &'a [Arc<str>],
        /// The name that the client asked for; its own word.
        said: Option<&'a str>,
    },
    /// To a virtual machine or its host.
    Vsock {
        /// Context id.
        cid: u32,
        /// Port.
        port: u32,
    },
    /// To a unix socket.
    Unix(&'a [u8]),
}

impl<'a> Towards<'a> {
    /// The names of the destination that count. What the client says may only choose among those that a name server gave
    /// for this address: anybody can say anything to a server that goes along with it.
    pub fn names(self) -> impl Iterator<Item = &'a str> {
        let (heard, said) = match self {
            Towards::Inet { heard, said, .. } => (heard, said),
            Towards::Nowhere | Towards::Vsock { .. } | Towards::Unix(_) => (&[][..], None),
        };
        let heard = heard.iter().map(|name| &**name);
        heard.filter(move |name| said.is_none_or(|said| said == *name))
    }

    fn of(to: Endpoint, name: Option<&'a Named>, heard: &'a [Arc<str>]) -> Self {
        match to {
            Endpoint::Inet { ip, port, .. } => {
                let said = name.filter(|name| name.source == NameSource::Tls);
                Towards::Inet { ip, port, heard, said: said.map(|name| name.name.as_str()) }
            }
            Endpoint::Vsock { cid, port } => Towards::Vsock { cid, port },
        }
    }
}

impl<'a> Act<'a> {
    /// An action as it is judged; `None` of one that uses nothing, which is the end of a process. `own` are the credentials
    /// it is about, `held` those that its process may have, `heard` names of its destination.
    #[must_use]
    pub fn of(
        action: &'a Action,
        (own, held): (&'a [Arc<Credential>], &'a [Arc<Credential>]),
        heard: &'a [Arc<str>],
        digest: Option<Digest>,
        wall_ns: i64,
    ) -> Option<Self> {
        let (towards, own) = match &action.deed {
            ActionDeed::Exit(_) => return None,
            ActionDeed::SecretSocket { file, credential, .. } => {
                (Towards::Unix(&file.path.bytes), std::slice::from_ref(credential))
            }
            ActionDeed::SecretOpen { credential, .. }
            | ActionDeed::SecretWrite { credential, .. }
            | ActionDeed::SecretReceive { credential, .. }
            | ActionDeed::SecretKey { credential, .. }
            | ActionDeed::SecretRead { credential, .. } => {
                (Towards::Nowhere, std::slice::from_ref(credential))
            }
            ActionDeed::Connect { to, name, .. } | ActionDeed::Send { to, name, .. } => {
                (Towards::of(*to, name.as_ref(), heard), own)
            }
            ActionDeed::MemoryAccess { .. }
            | ActionDeed::ExecFailed { .. }
            | ActionDeed::CredChange(_)
            | ActionDeed::Accept { .. } => (Towards::Nowhere, own),
            ActionDeed::Exec { environment } => (Towards::Nowhere, environment.as_slice()),
        };
        let using = match (own, held) {
            ([], []) => Using::Nothing,
            ([], held) => Using::Any(held),
            (own, _) => Using::Each(own),
        };
        Some(Act {
            actor: &action.actor.id,
            program: Program::of(&action.process, digest),
            using,
            towards,
            wall_ns,
        })
    }
}
