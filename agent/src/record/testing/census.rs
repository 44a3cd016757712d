//! What the inventory tells of the nights.

use std::sync::Arc;

use super::night::credential;
use super::{CLOCK, MS, T0, backup, builder, edges, roads};
use crate::actor::{Actor, ActorKind};
use crate::chain::Note;
use crate::credential::Credential;
use crate::inventory::{Found, Inventory, Limits, Place, Scanned, Unlisted};
use crate::record::Record;

/// A credential at rest that nobody uses, in a file that everybody may read.
pub(crate) fn forgotten() -> Found {
    let credential = credential("ssh-private-key", "/home/old/.ssh/id_rsa", &[("fingerprint", "SHA256:abc")]);
    let written = Some(1_600_000_000);
    Found {
        credential: Arc::new(Credential { written, ..Credential::clone(&credential) }),
        path: b"/home/old/.ssh/id_rsa".to_vec(),
        place: Place { owner: 1001, mode: 0o100_644, written },
    }
}

/// The first openings of the backup, once more, on alice's behalf; and by alice herself.
fn by_alice() -> Vec<Note> {
    let mut notes: Vec<Note> = backup().into_iter().skip(1).take(2).collect();
    for (number, note) in notes.iter_mut().enumerate() {
        let Note::Acted(acted) = note else { continue };
        let acted = Arc::make_mut(acted);
        acted.action.time_ns += 3_600_000 * MS;
        let mut actor = Actor::clone(&acted.action.actor);
        if number == 0 {
            "human:alice".clone_into(&mut actor.origin);
        } else {
            actor = Actor { id: "session:alice:3".to_owned(), kind: ActorKind::HumanSession, ..actor };
        }
        acted.action.actor = Arc::new(actor);
    }
    notes
}

/// The bounds these nights are told under: few enough that some of them show.
pub(crate) const NARROW: Limits =
    Limits { first_ns: 60_000 * MS, each: 3, entries: 64, every_ns: 86_400_000 * MS, at_once: 128 };

/// The nights' records, with what the inventory tells between them; then a whole set, and the end of a file.
pub(crate) fn census(records_too: bool) -> Vec<Record> {
    let mut inventory = Inventory::new(NARROW, CLOCK.0, CLOCK.0 + 3_500_000_000_000);
    let (mut told, mut records, mut builder) = (Vec::new(), Vec::new(), builder(1840));
    let left = Scanned::Left(Unlisted { directories: 2, files: 0 });
    inventory.scanned(&left, 0, &mut Vec::new());
    inventory.tick(T0, &mut told);
    inventory.found(&forgotten(), T0, &mut told);
    for note in [backup(), edges(), roads(), by_alice()].concat() {
        if records_too {
            records.push(builder.note(&note));
        }
        inventory.note(&note, &mut told);
        records.extend(told.drain(..).map(|told| builder.inventory(&told)));
    }
    inventory.tick(T0 + 3_700_000 * MS, &mut told);
    let again = Found { credential: credential("pgpass", "/home/old/.pgpass", &[]), ..forgotten() };
    inventory.found(&again, T0 + 3_701_000 * MS, &mut told);
    inventory.gone("pgpass:/home/old/.pgpass", &again.path, T0 + 3_702_000 * MS, &mut told);
    records.extend(told.iter().map(|told| builder.inventory(told)));
    records
}
