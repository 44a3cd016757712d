//! The person behind: who logged in, and where from.

use std::sync::Arc;

use super::rules::Case;
use super::{Identity, Resolver};
use crate::actor::{ActorKind, Host, Human, HumanBasis};
use crate::event::ProcessKey;
use crate::lineage::{Slot, basename};

impl<H: Host> Resolver<H> {
    /// The person whose login a process has. A login that a daemon made for a job, as cron does and a user's systemd,
    /// is nobody's presence.
    pub(super) fn human(&mut self, case: &Case<'_>, kind: ActorKind) -> Option<Arc<Human>> {
        if matches!(kind, ActorKind::Cron | ActorKind::CiJob | ActorKind::UserService) {
            return None;
        }
        let Identity { login_uid, session, .. } = case.identity;
        let login_uid = login_uid?;
        // systemd takes over the number of the audit session.
        let name = session.map(|session| session.to_string()).or_else(|| case.place.session.clone());
        let login = name.as_deref().and_then(|name| self.host.login(name));
        let login = login.filter(|login| login.uid.is_none_or(|uid| uid == login_uid));
        if login.as_ref().is_some_and(|login| login.is_background) {
            return None;
        }
        let accepted = self.peer(Slot::from(case.process.key), case.identity);
        let from =
            accepted.as_deref().map(str::to_owned).or_else(|| login.and_then(|login| login.from.clone()));
        Some(Arc::new(Human {
            user: self.name(login_uid),
            session: name,
            from,
            basis: HumanBasis::Login,
            client: None,
        }))
    }

    /// Where it was let in from, as long as it is in the session that this began.
    pub(super) fn peer(&self, slot: Slot, identity: Identity) -> Option<Arc<str>> {
        let before = &self.states.get(&slot)?.kin;
        let entered = before.identity.session.is_none() || before.identity.session == identity.session;
        before.peer.clone().filter(|_| entered)
    }

    /// A process accepted a connection. Of a daemon that lets people in, whom it then makes came by that.
    pub fn accepted(&mut self, key: ProcessKey, from: std::net::IpAddr) {
        let Some(state) = self.states.get_mut(&key.into()) else {
            return;
        };
        let name = basename(&state.process.program.exe.bytes);
        let lets_in = [&b"sshd"[..], b"sshd-session", b"dropbear"].contains(&name);
        if lets_in && state.kin.identity.euid == 0 && state.kin.identity.login_uid.is_none() {
            Arc::make_mut(&mut state.kin).peer = Some(from.to_canonical().to_string().into());
        }
    }
}
