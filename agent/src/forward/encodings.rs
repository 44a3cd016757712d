//! Records as sinks send them. A record is encoded once for each schema in use, as long as the sinks that use it keep
//! pace with each other; one that lags far behind encodes for itself.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use globset::GlobSet;
use tokio::sync::watch;

use super::facts::Facts;
use crate::config::{Filter, Format};
use crate::record::{RecordType, Room, View, ViewError};
use crate::schema;
use crate::store::Stored;

/// Most bytes that are kept for other sinks.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// A record, ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) seq: u64,
    /// In the sink's schema, without a newline.
    pub(super) bytes: Vec<u8>,
    pub(super) facts: Facts,
}

/// Which records a sink gets, ready to be asked.
#[derive(Debug)]
pub(super) struct Passing {
    filter: Filter,
    actors: GlobSet,
    /// The sink's name, and where a newer filter of it comes from.
    newer: Option<(String, watch::Receiver<Filters>)>,
}

/// Filters of all sinks, by name: those that hold from now on.
pub type Filters = HashMap<String, Filter>;

impl Passing {
    /// A pattern that is none lets nothing pass; the config has looked at all of them.
    pub(super) fn new(filter: Filter) -> Self {
        let mut set = globset::GlobSetBuilder::new();
        for pattern in &filter.actors {
            if let Ok(glob) = globset::Glob::new(pattern) {
                set.add(glob);
            }
        }
        let actors = set.build().unwrap_or_else(|_| GlobSet::empty());
        Self { filter, actors, newer: None }
    }

    /// One that is replaced when there is a newer one for the sink.
    pub(super) fn following(self, sink: &str, filters: watch::Receiver<Filters>) -> Self {
        Self { newer: Some((sink.to_owned(), filters)), ..self }
    }

    /// Takes a newer one over. For the records that are read from now on.
    pub(super) fn refresh(&mut self) {
        let Some((sink, filters)) = &mut self.newer else { return };
        if !filters.has_changed().unwrap_or(false) {
            return;
        }
        let newer = filters.borrow_and_update().get(sink).cloned();
        if let Some(newer) = newer.filter(|newer| *newer != self.filter) {
            *self = Self { newer: self.newer.take(), ..Self::new(newer) };
        }
    }

    pub(super) fn lets(&self, facts: &Facts) -> bool {
        let Filter { types, actions, actors, min_severity } = &self.filter;
        let among = |list: &[String], word: &str| list.is_empty() || list.iter().any(|one| one == word);
        // Whoever has any record has what proves it.
        if facts.kind == RecordType::Head.name() {
            return true;
        }
        among(types, &facts.kind)
            && facts.action.as_ref().is_none_or(|action| among(actions, action))
            && facts.actor.as_ref().is_none_or(|actor| actors.is_empty() || self.actors.is_match(actor))
            && facts.severity >= *min_severity
    }
}

/// What was encoded lately, shared by all sinks.
#[derive(Debug, Default)]
pub struct Encodings {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    items: HashMap<(Format, u64), Arc<Item>>,
    order: VecDeque<(Format, u64)>,
    bytes: usize,
    /// Where records are read; as many as are encoded at the same time.
    rooms: Vec<Room>,
    /// For tests: how often a record was encoded.
    encoded: u64,
}

impl Encodings {
    /// A record in a schema; nothing where a sink's filter does not let it pass.
    pub(super) fn item(
        &self,
        format: Format,
        stored: Stored,
        passing: &Passing,
    ) -> Result<Option<Arc<Item>>, ViewError> {
        let Stored { seq, body } = stored;
        // As it is stored it is sent, and not kept: to read it again costs less.
        if format == Format::Native
            && let Some(facts) = Facts::at_a_glance(&body)
        {
            return Ok(passing.lets(&facts).then(|| Arc::new(Item { seq, bytes: body, facts })));
        }
        let key = (format, seq);
        if let Some(item) = self.lock().items.get(&key) {
            return Ok(passing.lets(&item.facts).then(|| Arc::clone(item)));
        }
        let mut room = self.lock().rooms.pop().unwrap_or_default();
        let view = View::borrow(&body, &mut room)?;
        let facts = Facts::of(&view);
        if !passing.lets(&facts) {
            self.lock().rooms.push(room);
            return Ok(None);
        }
        let bytes = schema::encode(format, &view, &body);
        let item = Arc::new(Item { seq, bytes, facts });
        let mut kept = self.lock();
        kept.rooms.push(room);
        if format != Format::Native {
            kept.keep(key, Arc::clone(&item));
        }
        Ok(Some(item))
    }

    /// How many were encoded, for tests.
    #[cfg(test)]
    pub(super) fn encoded(&self) -> u64 {
        self.lock().encoded
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        // Whoever panicked in between left a map that is whole: entries are put in and taken out one at a time.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn keep(&mut self, key: (Format, u64), item: Arc<Item>) {
        self.encoded += 1;
        self.bytes += item.bytes.len();
        if let Some(before) = self.items.insert(key, item) {
            self.bytes -= before.bytes.len();
        } else {
            self.order.push_back(key);
        }
        while self.bytes > KEPT_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(gone) = self.items.remove(&oldest) {
                self.bytes -= gone.bytes.len();
            }
        }
    }
}
