//! The inventory: which actors and credentials this host has, and what each had to do with which.
//!
//! Made anew from the store each time it is asked for: from the actions it keeps, and from what the agent told of its
//! inventory, which reaches back behind them and knows of credentials that nobody used.

mod audit;
mod detail;
mod json;
mod page;
mod remarks;
mod row;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::ReportError;
use super::style::Style;
use super::words;
use crate::chain::FAIR;
use crate::record::{View, nanoseconds};
use crate::store::{Reader, StoreError};
#[cfg(test)]
pub(super) use audit::audit_of;
pub use audit::{AuditFormat, audit};
pub use remarks::remark;
use remarks::{Remark, Same, remarks};
use row::{EACH_MAX, Row};

/// Most actors, and most credentials.
const ROWS_MAX: usize = 10_000;
/// Most accesses that later connections are tied to: of more, the latest.
const ACCESSES_MAX: usize = 65_536;
/// Records read at a time.
const BATCH: usize = 1_024;
const DAY_NS: i64 = 24 * 60 * 60 * 1_000_000_000;
/// The kind of actor that is a person.
const HUMAN: &str = "human-session";

/// Which half of the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Who acted.
    Actors,
    /// What was used, or lies here.
    Credentials,
}

impl Of {
    const fn name(self) -> &'static str {
        match self {
            Of::Actors => "actors",
            Of::Credentials => "credentials",
        }
    }
}

/// Which of them. What is [`None`] selects nothing away.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which half.
    pub of: Of,
    /// What was done at this time or later, ns since 1970.
    pub since_ns: Option<i64>,
    /// With this remark: its name, or its OWASP number.
    pub remark: Option<String>,
    /// Only what was not used in that time.
    pub unused: bool,
    /// The one of exactly this id, in full.
    pub id: Option<String>,
}

impl Query {
    /// All of one half.
    #[must_use]
    pub const fn all(of: Of) -> Self {
        Query { of, since_ns: None, remark: None, unused: false, id: None }
    }
}

/// What the store tells.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The time that is asked for begins here.
    since_ns: Option<i64>,
    actors: BTreeMap<String, Row>,
    credentials: BTreeMap<String, Row>,
    /// Credentials of the action of that number.
    accesses: BTreeMap<u64, Vec<String>>,
    /// The first record, and what the inventory says of the time before.
    watched_since_ns: Option<i64>,
    /// The newest record: "now", for a store may be read long after the host was watched.
    as_of_ns: i64,
    /// Whole sets of the inventory so far.
    sets: u64,
    /// What the newest of them left out.
    left_out: BTreeMap<String, u64>,
    accesses_forgotten: u64,
    rows_refused: u64,
    unreadable: u64,
}

/// An entry that was asked for.
pub(super) struct Entry<'a> {
    id: &'a str,
    row: &'a Row,
    remarks: Vec<Remark>,
}

/// The inventory of a store as people read it.
///
/// # Errors
/// [`ReportError`] where the store cannot be read, or has no entry of that id.
pub fn inventory(reader: &Reader, query: &Query, style: &Style) -> Result<String, ReportError> {
    text(&read(reader, query.since_ns)?, query, style)
}

fn text(seen: &Seen, query: &Query, style: &Style) -> Result<String, ReportError> {
    let same = Same::of(&seen.credentials);
    let entries = seen.entries(query, &same)?;
    Ok(match (&query.id, entries.as_slice()) {
        (Some(_), [entry]) => detail::detail(seen, entry, query.of, &same, style),
        _ => page::page(seen, &entries, query, &same, style),
    })
}

/// The same as JSON, one object a line.
///
/// # Errors
/// As of [`inventory`].
pub fn inventory_json(reader: &Reader, query: &Query) -> Result<String, ReportError> {
    json_of(&read(reader, query.since_ns)?, query)
}

/// Of records that lie in no store.
#[cfg(test)]
pub(super) fn told_of(views: impl Iterator<Item = View>, query: &Query) -> String {
    let mut seen = Seen { since_ns: query.since_ns, ..Seen::default() };
    views.for_each(|view| seen.add(&view));
    json_of(&seen, query).unwrap()
}

/// The same as people read it.
#[cfg(test)]
pub(super) fn text_of(views: impl Iterator<Item = View>, query: &Query, style: &Style) -> String {
    let mut seen = Seen { since_ns: query.since_ns, ..Seen::default() };
    views.for_each(|view| seen.add(&view));
    text(&seen, query, style).unwrap()
}

fn json_of(seen: &Seen, query: &Query) -> Result<String, ReportError> {
    let same = Same::of(&seen.credentials);
    let entries = seen.entries(query, &same)?;
    Ok(entries.iter().map(|entry| format!("{}\n", json::entry(seen, entry, query.of, &same))).collect())
}

fn read(reader: &Reader, since_ns: Option<i64>) -> Result<Seen, StoreError> {
    read_with(reader, since_ns, |_| {})
}

/// The same, and shows each record.
fn read_with(
    reader: &Reader,
    since_ns: Option<i64>,
    mut show: impl FnMut(&View),
) -> Result<Seen, StoreError> {
    let (mut seen, mut last) = (Seen { since_ns, ..Seen::default() }, 0);
    loop {
        let records = reader.after(last, BATCH)?;
        for record in &records {
            last = last.max(record.seq);
            match View::parse(&record.body) {
                Ok(view) => {
                    seen.add(&view);
                    show(&view);
                }
                Err(_) => seen.unreadable += 1,
            }
        }
        if records.len() < BATCH {
            return Ok(seen);
        }
    }
}

impl Seen {
    fn add(&mut self, view: &View) {
        let since = view.text("watched_since").and_then(nanoseconds).unwrap_or(view.time_ns());
        self.watched_since_ns = Some(self.watched_since_ns.map_or(since, |known| known.min(since)));
        self.as_of_ns = self.as_of_ns.max(view.time_ns());
        match view.kind() {
            "action" => self.action(view),
            "inventory" => self.told(view),
            _ => {}
        }
    }

    fn action(&mut self, view: &View) {
        let Some(actor) = view.text("actor.id") else { return };
        let own: Vec<&Value> = view.list("credential").iter().collect();
        let ids: Vec<String> =
            own.iter().filter_map(|one| words::text(one, "id")).take(EACH_MAX).map(str::to_owned).collect();
        let linked = self.linked(view);
        if !ids.is_empty() {
            self.remember(view.seq(), &ids);
        }
        // What was opened before is what later connections are tied to. That it was used is known, and not told.
        if self.since_ns.is_some_and(|since| view.time_ns() < since) {
            for id in &ids {
                if let Some(row) = row(&mut self.credentials, &mut self.rows_refused, id) {
                    row.times.saw(view.time_ns(), view.time_ns());
                }
            }
            return;
        }
        if let Some(row) = row(&mut self.actors, &mut self.rows_refused, actor) {
            view.text("actor.kind").unwrap_or_default().clone_into(&mut row.kind);
            row.saw(view);
            view.text("actor.origin").into_iter().for_each(|origin| row.ways.add(origin));
            for id in &ids {
                if let Some(times) = row.others.at(id) {
                    times.actions += 1;
                    times.saw(view.time_ns(), view.time_ns());
                }
            }
            row.reached(view);
        }
        for (id, credential) in ids.iter().zip(own) {
            if let Some(row) = row(&mut self.credentials, &mut self.rows_refused, id) {
                row.is(credential);
                row.used(view, actor);
            }
        }
        for id in linked.into_iter().filter(|id| !is_weak(view, id)) {
            if let Some(row) = self.credentials.get_mut(&id) {
                row.reached(view);
            }
        }
    }

    /// What the agent told of its inventory.
    fn told(&mut self, view: &View) {
        let told = Some(self.sets);
        match view.text("of") {
            Some("actor") => {
                let Some(id) = view.text("actor.id") else { return };
                let Some(row) = row(&mut self.actors, &mut self.rows_refused, id) else { return };
                view.text("actor.kind").unwrap_or_default().clone_into(&mut row.kind);
                view.text("actor.user").into_iter().for_each(|user| row.users.add(user));
                view.text("actor.origin").into_iter().for_each(|origin| row.ways.add(origin));
                row.told(view);
                row.told = told;
            }
            Some("credential") => {
                let Some(credential) = view.list("credential").first() else { return };
                let Some(id) = words::text(credential, "id") else { return };
                let Some(row) = row(&mut self.credentials, &mut self.rows_refused, id) else { return };
                row.is(credential);
                row.told(view);
                row.told = told;
                // A file that is gone, of a credential that nobody used, leaves nothing.
                if row.files.is_empty() && row.last_ns().is_none() {
                    self.credentials.remove(id);
                }
            }
            Some("host") => self.whole(view),
            _ => {}
        }
    }

    /// A whole set was told: what was never used and is not in it, is not there any more.
    fn whole(&mut self, view: &View) {
        let sets = self.sets;
        self.credentials.retain(|_, row| row.last_ns().is_some() || row.told == Some(sets));
        self.sets += 1;
        let counts = view.at("left_out").and_then(Value::as_object).into_iter().flatten();
        self.left_out =
            counts.filter_map(|(name, count)| Some((name.clone(), count.as_u64()?))).take(EACH_MAX).collect();
    }

    /// Credentials that were opened or received before, where an action says that it came after.
    fn linked(&self, view: &View) -> BTreeSet<String> {
        let of = view.list("link.of").iter().filter_map(Value::as_u64);
        of.filter_map(|seq| self.accesses.get(&seq)).flatten().cloned().collect()
    }

    fn remember(&mut self, seq: u64, ids: &[String]) {
        if self.accesses.len() >= ACCESSES_MAX {
            self.accesses.pop_first();
            self.accesses_forgotten += 1;
        }
        self.accesses.insert(seq, ids.to_vec());
    }

    fn rows(&self, of: Of) -> &BTreeMap<String, Row> {
        match of {
            Of::Actors => &self.actors,
            Of::Credentials => &self.credentials,
        }
    }

    /// Whether it acted or was used in the time that is asked for: by what is kept of that time, or by the inventory.
    fn is_used(&self, row: &Row) -> bool {
        row.times.actions != 0
            || row.last_ns().is_some_and(|last| self.since_ns.is_none_or(|since| last >= since))
    }

    /// Service accounts before people; whoever acted last comes first, what was never used last.
    fn entries<'a>(&'a self, query: &Query, same: &Same<'_>) -> Result<Vec<Entry<'a>>, ReportError> {
        let rows = self.rows(query.of);
        if let Some(id) = &query.id {
            let Some((id, row)) = rows.get_key_value(id) else {
                return Err(ReportError::NoEntry { of: query.of.name(), id: id.clone() });
            };
            return Ok(vec![Entry { id, row, remarks: remarks(self, query.of, id, row, same) }]);
        }
        let asked = |row: &Row| {
            let used = self.is_used(row);
            if query.unused { !used } else { used || query.since_ns.is_none() }
        };
        let mut entries: Vec<Entry<'_>> = rows
            .iter()
            .filter(|(_, row)| asked(row))
            .map(|(id, row)| Entry { id, row, remarks: remarks(self, query.of, id, row, same) })
            .collect();
        if let Some(wanted) = &query.remark {
            entries.retain(|entry| entry.remarks.iter().any(|remark| remark.answers(wanted)));
        }
        entries.sort_by_key(|entry| (entry.row.kind == HUMAN, std::cmp::Reverse(entry.row.last_ns())));
        Ok(entries)
    }
}

/// An agent is run by a person as a rule: that is its nature, and no misuse of a credential.
const AGENT: &str = "ai-agent";

/// The row of an id, made where there is room.
fn row<'a>(rows: &'a mut BTreeMap<String, Row>, refused: &mut u64, id: &str) -> Option<&'a mut Row> {
    if !rows.contains_key(id) && rows.len() >= ROWS_MAX {
        *refused += 1;
        return None;
    }
    Some(rows.entry(id.to_owned()).or_default())
}

/// Whether a link says next to nothing of where a credential is used. Records of before have no number.
fn is_weak(view: &View, id: &str) -> bool {
    let mut each = view.list("link.each").iter();
    let own = each.find(|each| words::text(each, "credential") == Some(id));
    let worth =
        own.and_then(|own| own.get("confidence")?.as_u64()).or_else(|| view.number("link.confidence"));
    worth.is_some_and(|worth| worth < u64::from(FAIR))
}

/// The person on whose behalf an action was done, where there is one.
fn person(view: &View) -> Option<&str> {
    if view.text("actor.kind") == Some(AGENT) {
        return None;
    }
    let named = view.text("actor.human.user");
    let origin = || view.text("actor.origin")?.strip_prefix("human:");
    // `session:<user>:<session>`
    let session = || {
        let session = view.text("actor.kind") == Some(HUMAN);
        view.text("actor.id").filter(|_| session)?.split(':').nth(1)
    };
    named.or_else(origin).or_else(session)
}

/// The day of a time.
fn day(ns: i64) -> String {
    crate::record::rfc3339(ns).get(..10).unwrap_or_default().to_owned()
}

/// Day and minute of a time.
fn minute(ns: i64) -> String {
    words::moment(&crate::record::rfc3339(ns)).get(..16).unwrap_or_default().to_owned()
}
