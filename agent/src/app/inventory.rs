//! What an earlier life of the agent told of the inventory, so that this one goes on from there (docs/adr/0011).

use crate::capture::Input;
use crate::config::{Config, FindingsConfig};
use crate::credential::DECLARED;
use crate::finding::{Kind, Settings};
use crate::inventory::What;
use crate::kernel::boot_ns;
use crate::record::{View, nanoseconds, recall as told};
use crate::store::{Reader, StoreError};

/// Records read at a time.
const BATCH: usize = 1_024;
/// Most records looked at: two whole sets of the largest inventory, and the changes of a busy day.
const LOOKED_MAX: usize = 32_768;
/// Behind every record: numbers of the database have a sign.
const NEWEST: u64 = u64::MAX >> 1;

/// Most records of findings looked at: what is older than the longest time for which one stays open is over.
const FINDINGS_MAX: usize = 8_192;

/// Since when the host is watched, ns since 1970: what an earlier record says reaches back behind what retention has dropped.
pub(super) fn watched_since(reader: &Reader, wall_offset_ns: i64) -> Result<i64, StoreError> {
    let first = reader.after(0, 1)?.first().and_then(|first| View::parse(&first.body).ok());
    let now = i64::try_from(boot_ns()).unwrap_or(i64::MAX).saturating_add(wall_offset_ns);
    let newest = reader.before("inventory", NEWEST, 1)?;
    let newest = newest.first().and_then(|last| View::parse(&last.body).ok());
    let watched = newest.as_ref().and_then(|view| view.text("watched_since").and_then(nanoseconds));
    Ok(watched.or(first.map(|view| view.time_ns())).unwrap_or(now))
}

/// Gives what the newest records of a store say of the inventory, and of findings. Nothing is read of the store after this.
pub(super) fn recall(
    reader: &Reader,
    config: &Config,
    mut each: impl FnMut(Input<'static>),
) -> Result<(), StoreError> {
    for record in reader.before("finding", NEWEST, FINDINGS_MAX)? {
        each(Input::RecalledFinding(record.body));
    }
    let read = recall_into(reader, !config.scope.cgroups.is_empty(), &mut each)?;
    each(Input::RecalledAll);
    tracing::debug!("inventory: {read} records of an earlier life");
    Ok(())
}

pub(super) fn settings(config: &FindingsConfig) -> Settings {
    Settings {
        learn_ns: i64::try_from(config.learn.as_nanos()).unwrap_or(i64::MAX),
        off: config.off.iter().filter_map(|name| Kind::from_name(name)).collect(),
    }
}

/// Newest first, until a whole set has gone by. With a scope, nothing that was not used, but what the config names.
fn recall_into(
    reader: &Reader,
    scoped: bool,
    each: &mut impl FnMut(Input<'static>),
) -> Result<usize, StoreError> {
    // As the worker does with what a scan finds.
    let outside = |what: &What| match what {
        What::Credential(known) => scoped && known.used.is_none() && known.credential.kind != DECLARED,
        What::Actor(_) | What::Host(_) => false,
    };
    let (mut before, mut ends, mut read) = (NEWEST, 0, 0);
    while ends < 2 && read < LOOKED_MAX {
        let records = reader.before("inventory", before, BATCH)?;
        let last = records.len() < BATCH;
        for record in records {
            before = record.seq;
            read += 1;
            let Ok(view) = View::parse(&record.body) else { continue };
            ends += u32::from(view.text("of") == Some("host"));
            if ends == 2 {
                break;
            }
            if told(&view).is_some_and(|what| !outside(&what)) {
                each(Input::Recalled(record.body));
            }
        }
        if last {
            break;
        }
    }
    Ok(read)
}
