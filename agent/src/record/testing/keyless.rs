//! A night in which every credential comes without a file.

use std::sync::Arc;

use super::night::{Night, connect, link, process, text};
use super::{MS, T0};
use crate::action::{ActionDeed, ConnectOutcome};
use crate::actor::{Actor, ActorKind};
use crate::chain::{Basis, CloseReason, LinkFact, Note, Reached, Summary};
use crate::credential::Credential;
use crate::event::{Endpoint, ExitStatus, KernelKey, KeyWay};

fn nameless(kind: &str, id: &str, identifiers: &[(&str, &str)]) -> Arc<Credential> {
    let identifiers = identifiers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Arc::new(Credential {
        id: format!("{kind}:{id}"),
        kind: kind.to_owned(),
        identifiers: identifiers.collect(),
        ..Credential::default()
    })
}

/// A service is started with a token in its environment, puts a key into a key ring, finds and reads it, and connects.
pub(crate) fn keyless() -> Vec<Note> {
    let actor = Actor {
        id: "systemd:sync.service".to_owned(),
        kind: ActorKind::SystemdService,
        origin: "init".to_owned(),
        user: "sync".to_owned(),
        user_source: None,
        human: None,
        human_unknown: None,
        pod: None,
        spiffe_id: None,
    };
    let mut night = Night::new(0x51c_2b90_11de_4a07, actor);
    let init = Arc::new(process(1, 0, "/usr/lib/systemd/systemd", &["/sbin/init"], None));
    let sync = Arc::new(process(933, T0 - 3 * MS, "/usr/bin/sync-orders", &["sync-orders"], Some(&init)));
    let token = nameless("vault-token", "env:VAULT_TOKEN", &[("variable", "VAULT_TOKEN")]);
    let named = [("type", "user"), ("description", "orders:db")];
    let key = nameless("kernel-key", "user:orders:db", &named);
    night.opened(&sync, &[&init]);
    let deed = ActionDeed::Exec { environment: vec![Arc::clone(&token)] };
    let started = night.act(0, &sync, deed, &[&token], None);
    let used = |way, description: &str, cut| {
        let mut description = text(description);
        description.truncated = cut;
        let own =
            Box::new(KernelKey { serial: 467_051_954, owner: 990, rule: 0, kind: text("user"), description });
        ActionDeed::SecretKey { key: own, credential: Arc::clone(&key), way }
    };
    let mut last = started;
    for (ms, way) in [(3, KeyWay::Add), (4, KeyWay::Find), (9, KeyWay::Update)] {
        last = night.act(ms, &sync, used(way, "orders:db", false), &[&key], None);
    }
    let facts = &[LinkFact::OnlyCredential];
    let after = link(&[last], Basis::SameProcess, 1_200, 0, facts);
    night.act(10, &sync, used(KeyWay::Read, "orders:db hunter2", true), &[&key], Some(after));
    let after = link(&[last, started], Basis::SameProcess, 3_000, 0, &[LinkFact::FirstConnection]);
    let deed = connect(9, 8200, ConnectOutcome::Established, Some(700));
    night.act(12, &sync, deed, &[&key, &token], Some(after));
    let to = Endpoint::tcp([10, 0, 0, 9].into(), 8200);
    let summary = Summary {
        actions: 6,
        credentials: vec![token, key],
        destinations: vec![Reached { to, name: None, attempts: 1, established: 1, outcome: None }],
        programs: 1,
        processes: 1,
        ..Summary::default()
    };
    night.closed(20, &sync, CloseReason::RunEnded, Some(ExitStatus::Code(0)), summary);
    night.notes
}
