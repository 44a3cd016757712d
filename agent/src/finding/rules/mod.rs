//! The rules, one a kind. Each looks at one action and at what was known before it.

mod habit;
mod memory;
mod people;
mod programs;
mod purpose;
mod reach;
mod secrets;

use super::case::{Case, Draft, Unjudged};
use crate::inventory::Holding;
pub(super) use purpose::{Word, verdict};
use reach::Windows;
use secrets::{Prints, Versions};

/// What rules remember beside the inventory.
#[derive(Debug, Default)]
pub(super) struct Memory {
    windows: Windows,
    versions: Versions,
    prints: Prints,
}

impl Memory {
    pub(super) fn recall(&mut self, holding: &Holding) {
        self.versions.recall(holding);
        self.prints.learn(&holding.credential);
    }

    pub(super) fn tick(&mut self, now_ns: i64) {
        self.windows.tick(now_ns);
    }

    pub(super) fn len(&self) -> usize {
        self.windows.len() + self.versions.len() + self.prints.len()
    }

    pub(super) fn evicted(&self) -> u64 {
        self.windows.evicted + self.versions.evicted + self.prints.evicted
    }
}

/// Every rule. What an owner allows is no deviation, as far as purposes speak of it.
pub(super) fn judge(
    case: &Case<'_>,
    word: Option<Word<'_>>,
    memory: &mut Memory,
    drafts: &mut Vec<Draft>,
    unjudged: &mut Vec<Unjudged>,
) {
    let mut take = |verdict: Result<Option<Draft>, Unjudged>| match verdict {
        Ok(draft) => drafts.extend(draft),
        Err(why) => unjudged.push(why),
    };
    take(Ok(purpose::outside(case, word)));
    take(Ok(programs::secret_in_arguments(case)));
    take(Ok(memory::theft(case)));
    take(reach::fan_out(case, &mut memory.windows));
    take(Ok(secrets::used_expired(case)));
    if let Some(credential) = case.came_by() {
        take(Ok(people::human_use(case, credential)));
        take(habit::new_actor(case, credential));
        take(Ok(programs::untrusted(case, credential)));
        take(Ok(secrets::opened_expired(case, credential)));
        take(Ok(secrets::retired(case, credential, &mut memory.versions)));
        take(secrets::shared(case, credential, &mut memory.prints));
    }
    if word == Some(Word::Within) {
        drafts.retain(|draft| !purpose::covers(draft.kind));
    }
}
