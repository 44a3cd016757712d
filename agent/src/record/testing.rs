//! Notes of hand-made nights, from which the goldens of `record` and of `report` are made.

mod agent;
mod alarm;
mod busy;
mod census;
mod keyless;
mod night;
mod nights;
mod purposes;
mod renewal;

pub(crate) use alarm::alarm;
pub(crate) use busy::busy;
pub(crate) use census::{NARROW, census, forgotten};
pub(crate) use keyless::keyless;
pub(crate) use nights::{backup, edges, roads};
pub(crate) use purposes::{declared, judged};
pub(crate) use renewal::renewal;

use super::{Builder, ClockOffset, Host, Record, Redaction};
use crate::chain::Note;

/// 2026-01-02T03:00:00Z less an hour of uptime.
pub(crate) const CLOCK: ClockOffset = ClockOffset(1_767_319_200_000_000_000);
/// An hour after boot, when the night's job begins.
pub(crate) const T0: u64 = 3_600_000_000_000;
const MS: u64 = 1_000_000;

pub(crate) fn host() -> Host {
    Host {
        id: "6f1d2c9e0b7a4f3f9d4c2a1b0e9f8d7c".to_owned(),
        name: "db7".to_owned(),
        boot_id: "2899dae4-4fa4-4eef-95b6-6bc95325f61a".to_owned(),
    }
}

/// Stands for the real redaction: hides one word, and says that it was asked.
pub(crate) fn redaction() -> Redaction {
    Redaction {
        argv: |argv| {
            argv.iter().map(|arg| String::from_utf8_lossy(arg).replace("hunter2", "[redacted]")).collect()
        },
        printable: |bytes| String::from_utf8_lossy(bytes).replace('\u{1b}', "\\x1b"),
    }
}

pub(crate) fn builder(first_seq: u64) -> Builder {
    Builder::new(host(), CLOCK, first_seq, redaction())
}

pub(crate) fn records(notes: &[Note]) -> Vec<Record> {
    let mut builder = builder(1840);
    notes.iter().map(|note| builder.note(note)).collect()
}

/// Every golden: its name and records.
pub(crate) fn goldens() -> Vec<(&'static str, Vec<Record>)> {
    let made = vec![
        ("backup", records(&backup())),
        ("edges", records(&edges())),
        ("roads", records(&roads())),
        ("inventory", census(false)),
        ("findings", alarm(false)),
        ("keyless", records(&keyless())),
        ("renewal", records(&renewal())),
        ("busy", records(&busy())),
        ("agent", agent::agent()),
        (
            "purposes",
            [records(&judged([backup(), edges(), roads()].concat())), purposes::in_force()].concat(),
        ),
    ];
    made.into_iter().map(|(name, records)| (name, stamped(records))).collect()
}

/// As the store would keep them, were they its first.
fn stamped(mut records: Vec<Record>) -> Vec<Record> {
    let mut before = super::NONE;
    for record in &mut records {
        record.body = super::stamp(&record.body, &before);
        before = super::next_hash(&before, &record.body);
    }
    records
}

/// Holds what was made against the files of a golden folder. `BLESS=1` rewrites them; a file without its case is an
/// error as is a case without its file.
pub(crate) fn golden(folder: &std::path::Path, made: &std::collections::BTreeMap<String, Vec<u8>>) {
    let bless = std::env::var_os("BLESS").is_some_and(|value| value == "1");
    if bless {
        std::fs::create_dir_all(folder).unwrap();
        for (name, bytes) in made {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }
    let there: std::collections::BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        there.iter().collect::<Vec<_>>(),
        made.keys().collect::<Vec<_>>(),
        "files and cases of {} differ",
        folder.display()
    );
    for (name, bytes) in made {
        let golden = std::fs::read_to_string(folder.join(name)).unwrap();
        let made = String::from_utf8(bytes.clone()).unwrap();
        for (line, (golden, made)) in golden.lines().zip(made.lines()).enumerate() {
            assert_eq!(golden, made, "{name}, line {}; BLESS=1 if it is meant", line + 1);
        }
        assert_eq!(golden, made, "{name}: lengths differ; BLESS=1 if it is meant");
    }
}
