//! The nights as they are told where owners have declared what they are for.

use std::sync::Arc;

use super::{CLOCK, T0, builder};
use crate::action::ActionDeed;
use crate::chain::{Note, Verdicts};
use crate::names::NameSource;
use crate::purpose::{Act, Purposes, read};
use crate::record::{ConfigInForce, Coverage, PurposesInForce, Record};

/// Of the night job all but the credential of the database; of the other, an opening and a name.
const DECLARED: &str = r#"
[[purpose]]
name = "nightly-backup"
actor = "systemd:backup.service"
owner = "storage team"
programs = ["/usr/local/bin/nightly-backup", "/usr/bin/restic"]
credentials = ["kind:aws-access-key"]
destinations = ["10.0.0.0/24:443"]
times = ["daily 01:00-05:00 UTC"]

[[purpose]]
name = "tokens"
actor = "systemd:*.service"
owner = "platform team"
programs = ["any"]
credentials = ["/srv/token", "kind:docker-socket"]
destinations = ["a.example.com:443", "unix:/run/docker.sock"]
"#;

pub(crate) fn declared() -> Purposes {
    read(&[("/etc/spoor/purposes.d/all.toml", DECLARED)]).unwrap().purposes
}

/// Notes, judged.
pub(crate) fn judged(mut notes: Vec<Note>) -> Vec<Note> {
    let purposes = declared();
    let mut verdicts = Verdicts::default();
    for note in &mut notes {
        match note {
            Note::Acted(acted) => {
                let acted = Arc::make_mut(acted);
                let memory = matches!(acted.action.deed, ActionDeed::MemoryAccess { .. });
                let (own, held) =
                    acted.credentials.split_at(if memory { acted.credentials.len() } else { 0 });
                let mut heard: Vec<Arc<str>> = Vec::new();
                if let ActionDeed::Connect { name: Some(name), .. } = &acted.action.deed
                    && name.source == NameSource::Dns
                {
                    heard.push(Arc::from(name.name.as_str()));
                }
                let wall_ns = i64::try_from(acted.action.time_ns).unwrap() + CLOCK.0;
                let act = Act::of(&acted.action, (own, held), &heard, None, wall_ns);
                acted.judged = act.and_then(|act| purposes.judge(&act));
                if let Some(judged) = &acted.judged {
                    *verdicts.count(judged.verdict) += 1;
                    let new = judged.purpose.as_ref().filter(|name| !verdicts.purposes.contains(name));
                    verdicts.purposes.extend(new.cloned());
                }
            }
            Note::Closed(closed) => {
                closed.summary.verdicts = Some(Box::new(std::mem::take(&mut verdicts)));
            }
            Note::Opened(_) | Note::Completed(_) | Note::Gap(_) => {}
        }
    }
    notes
}

/// What the agent says of the purposes it has, and of those it refused.
pub(super) fn in_force() -> Vec<Record> {
    let mut builder = builder(1);
    let mut coverage = Coverage { agent_version: "0.1.0".to_owned(), ..Coverage::default() };
    let refused = "/etc/spoor/purposes.d/db.toml:7:9: P004 `10.1.2.3/16` has bits set behind its prefix";
    let told = [
        PurposesInForce { count: 2, set: Some(declared().id().to_owned()), refused: Vec::new() },
        PurposesInForce { count: 0, set: None, refused: vec![refused.to_owned()] },
    ];
    let mut records: Vec<Record> = told
        .into_iter()
        .map(|purposes| {
            coverage.purposes = Some(purposes);
            builder.coverage(T0, &coverage)
        })
        .collect();
    coverage.config = Some(ConfigInForce {
        changed: vec!["log.level".to_owned(), "sink.siem.types".to_owned()],
        waiting: vec!["scope.cgroups".to_owned()],
        refused: vec!["/etc/spoor/spoor.toml:4:1: C003 unknown key `paht` in [store]".to_owned()],
    });
    records.push(builder.coverage(T0, &coverage));
    records
}
