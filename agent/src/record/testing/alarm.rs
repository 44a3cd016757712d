//! A night on which somebody broke in, and what was found of it.

use std::sync::Arc;

use super::night::{Night, connect, credential, file, link, process, text};
use super::nights::backup_actor;
use super::{CLOCK, MS, T0, backup, builder, edges};
use crate::action::{ActionDeed, ConnectOutcome};
use crate::actor::Actor;
use crate::chain::{Basis, CloseReason, Note, Summary};
use crate::event::MemoryWay;
use crate::finding::{Findings, Settings};
use crate::inventory::{Inventory, Limits, What};
use crate::record::Record;

const DAY_NS: i64 = 86_400_000_000_000;

/// A web service runs a program out of memory's file system, which opens the keys of the backup, looks into the memory
/// of the program that holds them, and goes elsewhere.
fn broken_into() -> Vec<Note> {
    let actor = Actor {
        id: "systemd:web.service".to_owned(),
        origin: "init".to_owned(),
        user: "www-data".to_owned(),
        ..backup_actor()
    };
    let mut night = Night::new(0x3f2_81c4_77aa_9b77, actor);
    let init = Arc::new(process(1, 0, "/usr/lib/systemd/systemd", &["/sbin/init"], None));
    let mut implant = process(977, T0 + 400 * MS, "/dev/shm/.x", &["[kworker/0:1]"], Some(&init));
    implant.cgroup = Arc::new(text("/system.slice/web.service"));
    let implant = Arc::new(implant);
    let restic = Arc::new(process(815, T0 + 11 * MS, "/usr/bin/restic", &["restic", "backup"], Some(&init)));
    let aws =
        credential("aws-access-key", "/home/backup/.aws/credentials", &[("key_id", "AKIAIOSFODNN7EXAMPLE")]);
    night.opened(&implant, &[&init]);
    let deed = ActionDeed::SecretOpen {
        file: file("/home/backup/.aws/credentials", 131_077),
        credential: aws.clone(),
    };
    let opened = night.act(500, &implant, deed.clone(), &[&aws], None);
    let theft = ActionDeed::MemoryAccess { target: Some(restic), how: MemoryWay::File };
    night.act(700, &implant, theft, &[&aws], None);
    let after = link(&[opened], Basis::SameProcess, 300_000, 0, &[]);
    let away = connect(66, 443, ConnectOutcome::Established, Some(31_000));
    night.act(800, &implant, away, &[&aws], Some(after));
    night.act(900, &implant, deed, &[&aws], None);
    let summary = Summary { actions: 4, credentials: vec![aws], processes: 1, ..Summary::default() };
    night.closed(1_000, &implant, CloseReason::RunEnded, None, summary);
    night.notes
}

/// The records of that night; those of its findings only, or all.
pub(crate) fn alarm(all: bool) -> Vec<Record> {
    // What had been so for ten days.
    let mut before = Inventory::new(Limits::default(), CLOCK.0 - 10 * DAY_NS, CLOCK.0 - 10 * DAY_NS);
    backup().iter().for_each(|note| before.note(note, &mut Vec::new()));
    let mut inventory = Inventory::new(Limits::default(), CLOCK.0, before.since_ns());
    before.accounts().for_each(|known| inventory.recall(What::Actor(Box::new(known.clone()))));
    before.holdings().for_each(|known| inventory.recall(What::Credential(Box::new(known.clone()))));
    let mut findings = Findings::new(Settings::default(), CLOCK.0);
    let (mut found, mut records, mut builder) = (Vec::new(), Vec::new(), builder(1840));
    for note in [edges(), backup(), broken_into()].concat() {
        let record = builder.note(&note);
        records.extend(all.then_some(record));
        findings.note(&note, &inventory, &mut found);
        for mut finding in found.drain(..) {
            // It had been busy elsewhere, too.
            finding.folded = if finding.again { 2 } else { 0 };
            records.push(builder.finding(&finding));
        }
        inventory.note(&note, &mut Vec::new());
    }
    records
}
