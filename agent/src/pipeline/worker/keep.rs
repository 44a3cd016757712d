//! Records into the store, and out of it again when they are too old or too many.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Surroundings, Worker};
use crate::actor::Host;
use crate::capture::Input;
use crate::chain::GapKind;
use crate::credential::Describe;
use crate::kernel::boot_ns;
use crate::record::Record;
use crate::store::{Damage, StoreError};

/// Pause before a store without room is tried again. Meanwhile nothing is read: the rings fill, and what they refuse is
/// counted, and becomes a gap.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How often a store without room is tried again when the agent is to stop.
const STORE_LAST_TRIES: u32 = 3;

impl<D: Describe, H: Host> Worker<D, H> {
    pub(super) fn retain(&mut self, now: u64, records: &mut Vec<Record>) -> Result<(), StoreError> {
        let wall = i64::try_from(now).unwrap_or(i64::MAX).saturating_add(self.around.wall_offset_ns);
        for dropped in self.around.store.retain(wall)? {
            tracing::info!("dropped {} with records {} to {}", dropped.file, dropped.first, dropped.last);
            self.lost(now, dropped.since_ns, GapKind::Dropped, records);
        }
        Ok(())
    }

    /// What damage has cost, found when the store was opened.
    pub(super) fn damaged(&mut self, now: u64) -> Vec<Record> {
        let damages = self.around.store.damages().to_vec();
        let mut records = Vec::new();
        for Damage { file, kept, saved, last, seen, since_ns } in damages {
            let behind = if seen > last { format!(" to {seen}") } else { String::new() };
            tracing::error!(
                "{file} was damaged: {saved} of its records were saved, those from {}{behind} on are lost; the damaged file is \
                 kept as {}",
                last + 1,
                kept.display()
            );
            self.lost(now, since_ns, GapKind::Damaged, &mut records);
        }
        records
    }

    /// Records are gone that were stored since then.
    fn lost(&mut self, now: u64, since_ns: i64, kind: GapKind, records: &mut Vec<Record>) {
        // Of an earlier boot there is no boot time: then the gap reaches back to this one's beginning.
        let since = since_ns.saturating_sub(self.around.wall_offset_ns);
        let since_ns = u64::try_from(since).unwrap_or(0);
        self.enter(&Input::Gap { time_ns: now, since_ns, kind }, records);
    }

    /// Stores what was made, where it has waited long enough for more.
    pub(super) fn store_what_is_due(&mut self) -> Result<(), StoreError> {
        let records = self.gather.due(boot_ns());
        self.store_or_wait(&records)
    }

    /// Stores; while there is no room, waits for it.
    pub(super) fn store_or_wait(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let mut failed = 0;
        loop {
            match self.store(records) {
                Err(error @ StoreError::Full { .. }) => {
                    failed += 1;
                    if failed >= STORE_LAST_TRIES && self.around.stopping.load(Ordering::Relaxed) {
                        return Err(error);
                    }
                    if failed == 1 {
                        tracing::error!(
                            "{error}: make room, or lower `store.max_bytes`; until then the kernel's rings hold what \
                             happens, and what they cannot hold is counted"
                        );
                    }
                    self.around.ledger.store_retries.one();
                    std::thread::sleep(STORE_PAUSE);
                }
                other => return other,
            }
        }
    }

    /// Old records into packs. What cannot be packed stays as it is, and is as good.
    pub(super) fn pack(&mut self, idle: bool) {
        match self.around.store.pack_aside(idle) {
            // Said when records find no room, too.
            Ok(()) | Err(StoreError::Full { .. }) => {}
            Err(error) => tracing::error!("records stay unpacked: {error}"),
        }
        if !idle {
            return;
        }
        match self.around.store.condense() {
            Ok(()) | Err(StoreError::Full { .. }) => {}
            Err(error) => tracing::error!("records take more room than they need: {error}"),
        }
    }

    pub(super) fn store(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let Some(last) = records.last() else { return Ok(()) };
        let Surroundings { store, signing, stored, ledger, show, .. } = &mut self.around;
        store.append(records)?;
        signing.stored(records.len());
        ledger.records_stored.add(u64::try_from(records.len()).unwrap_or(u64::MAX));
        // Without sinks nobody listens.
        let _ = stored.send(last.seq);
        if let Some(show) = show {
            records.iter().for_each(show);
        }
        Ok(())
    }
}
