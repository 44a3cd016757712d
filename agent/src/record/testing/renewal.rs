//! A night in which credentials are written.

use std::sync::Arc;

use super::night::{Night, connect, credential, file, link, process};
use super::{MS, T0};
use crate::action::{ActionDeed, ConnectOutcome};
use crate::actor::{Actor, ActorKind};
use crate::chain::{Basis, CloseReason, Link, LinkFact, Note, Reached, Relation, Summary};
use crate::credential::Credential;
use crate::event::{Endpoint, ExitStatus, OpenedFile};

/// What a writing tells of a credential: its kind and place.
fn placed(kind: &str, path: &str) -> Arc<Credential> {
    let known = Credential::clone(&credential(kind, path, &[]));
    Arc::new(Credential { fingerprints: Vec::new(), version: None, written: None, ..known })
}

fn written(path: &str, ino: u64, credential: &Arc<Credential>) -> ActionDeed {
    // `O_WRONLY | O_CREAT | O_TRUNC`
    let file = OpenedFile { flags: 0o101_101, ..*file(path, ino) };
    ActionDeed::SecretWrite { file: Box::new(file), credential: Arc::clone(credential) }
}

/// A service reads a token, asks for a new one, writes it twice, and lets a child write one more; a neighbour that holds
/// nothing makes a key, beside its place, and renames it.
pub(crate) fn renewal() -> Vec<Note> {
    let actor = Actor {
        id: "systemd:renew.service".to_owned(),
        kind: ActorKind::SystemdService,
        origin: "timer:renew.timer".to_owned(),
        user: "renew".to_owned(),
        user_source: None,
        human: None,
        human_unknown: None,
        pod: None,
        spiffe_id: None,
    };
    let mut night = Night::new(0x51c_2b90_11de_5b18, actor);
    let init = Arc::new(process(1, 0, "/usr/lib/systemd/systemd", &["/sbin/init"], None));
    let renew = Arc::new(process(951, T0 - 3 * MS, "/usr/bin/renew", &["renew"], Some(&init)));
    let child = Arc::new(process(952, T0 + 20 * MS, "/usr/bin/tee", &["tee", "/srv/.pgpass"], Some(&renew)));
    let keygen = Arc::new(process(953, T0 + 30 * MS, "/usr/bin/ssh-keygen", &["ssh-keygen"], Some(&init)));
    let old = credential("declared", "/srv/renew/token", &[]);
    let new = placed("declared", "/srv/shop/token");
    let pgpass = placed("pgpass", "/srv/.pgpass");
    night.opened(&renew, &[&init]);
    let deed = ActionDeed::SecretOpen { file: file("/srv/renew/token", 7), credential: Arc::clone(&old) };
    let opened = night.act(0, &renew, deed, &[&old], None);
    let facts = [LinkFact::FirstConnection, LinkFact::OnlyCredential, LinkFact::SameThread];
    let after = link(&[opened], Basis::SameProcess, 2_000, 0, &facts);
    night.act(2, &renew, connect(9, 443, ConnectOutcome::Established, Some(700)), &[&old], Some(after));
    let after = |basis, delay_us, hops, facts: &[LinkFact], confidence| {
        let each = vec![(old.id.clone(), confidence)];
        let link = link(&[opened], basis, delay_us, hops, facts);
        Some(Link { relation: Relation::WrittenAfter, confidence, each, ..link })
    };
    for ms in [9, 10] {
        let link =
            after(Basis::SameProcess, ms * 1_000, 0, &[LinkFact::OnlyCredential, LinkFact::SameThread], 70);
        night.act(ms, &renew, written("/srv/shop/token", 8, &new), &[&old], link);
    }
    let link = after(Basis::Inherited, 21_000, 1, &[LinkFact::OnlyCredential], 62);
    night.act(21, &child, written("/srv/.pgpass", 9, &pgpass), &[&old], link);
    // What was renamed to its place is known.
    let key = credential("ssh-private-key", "/srv/id_ed25519", &[]);
    let file = OpenedFile { flags: OpenedFile::RENAMED, ..*file("/srv/id_ed25519", 10) };
    let deed = ActionDeed::SecretWrite { file: Box::new(file), credential: Arc::clone(&key) };
    night.act(31, &keygen, deed, &[], None);
    night.act(40, &renew, ActionDeed::Exit(ExitStatus::Code(0)), &[], None);
    let summary = Summary {
        actions: 7,
        credentials: vec![old],
        written: vec![new, pgpass, key],
        destinations: vec![Reached {
            to: Endpoint::tcp([10, 0, 0, 9].into(), 443),
            name: None,
            attempts: 1,
            established: 1,
            outcome: Some(ConnectOutcome::Established),
        }],
        processes: 3,
        ..Summary::default()
    };
    night.closed(40, &renew, CloseReason::RunEnded, Some(ExitStatus::Code(0)), summary);
    night.notes
}
