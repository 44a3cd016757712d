//! The lists: chains, actors, credentials, whoever was active last first.

use std::sync::Arc;

use super::filter::Filter;
use super::ring::Ring;
use super::rows::{ChainRow, EntryRow};
use crate::record::{View, nanoseconds, rfc3339};
use crate::report::style::{Line, Paint, head, tail};
use crate::report::words;

/// Most rows of each list.
pub(super) const ROWS_MAX: usize = 2_000;
/// Columns of the time, with the blanks behind it.
const WHEN: usize = 10;
/// Columns of the status.
const STATUS: usize = 11;

/// Which list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tab {
    #[default]
    Chains,
    Actors,
    Credentials,
}

impl Tab {
    pub(super) const ALL: [Tab; 3] = [Tab::Chains, Tab::Actors, Tab::Credentials];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Tab::Chains => "Chains",
            Tab::Actors => "Actors",
            Tab::Credentials => "Credentials",
        }
    }

    pub(super) const fn next(self, back: bool) -> Tab {
        match (self, back) {
            (Tab::Chains, false) | (Tab::Credentials, true) => Tab::Actors,
            (Tab::Actors, false) | (Tab::Chains, true) => Tab::Credentials,
            (Tab::Credentials, false) | (Tab::Actors, true) => Tab::Chains,
        }
    }
}

/// The row that is pointed at, by its id: it stays the same while rows move. [`None`]: whichever is first.
#[derive(Clone, Debug, Default)]
pub(super) struct Cursor {
    pub(super) on: Option<Arc<str>>,
    pub(super) top: usize,
}

/// Whose chains are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whose<'a> {
    All,
    Actor(&'a str),
    Credential(&'a str),
}

/// What is known of all of them.
#[derive(Debug)]
pub(super) struct Lists {
    pub(super) chains: Ring<ChainRow>,
    pub(super) actors: Ring<EntryRow>,
    pub(super) credentials: Ring<EntryRow>,
}

impl Default for Lists {
    fn default() -> Self {
        Lists { chains: Ring::new(ROWS_MAX), actors: Ring::new(ROWS_MAX), credentials: Ring::new(ROWS_MAX) }
    }
}

impl Lists {
    pub(super) fn take(&mut self, view: &View) {
        match view.kind() {
            "inventory" => return self.told(view),
            "gap" => return self.doubted(view),
            _ => {}
        }
        let time_ns = view.time_ns();
        if let Some(row) = view.chain().and_then(|id| self.chains.active(id, time_ns)) {
            row.take(view);
        }
        if let Some(row) = view.text("actor.id").and_then(|id| self.actors.active(id, time_ns)) {
            row.of_actor(view);
        }
        // What a chain held is told again at its end: that is no use of it.
        for credential in view.list("credential") {
            let id = words::text(credential, "id");
            if let Some(row) = id.and_then(|id| self.credentials.active(id, time_ns)) {
                row.of_credential(credential, view);
            }
        }
    }

    /// A gap concerns chains, and who acts in them.
    fn doubted(&mut self, view: &View) {
        for id in view.list("chains").iter().filter_map(serde_json::Value::as_str) {
            let Some(row) = self.chains.get_mut(id) else { continue };
            row.marks.take(view);
            if let Some(actor) = self.actors.get_mut(&row.actor) {
                actor.marks.take(view);
            }
        }
    }

    /// What the agent told of its inventory: also of credentials that nobody used.
    fn told(&mut self, view: &View) {
        // What was never active comes behind all that was.
        let last_ns = view.text("last").and_then(nanoseconds).unwrap_or(0);
        match view.text("of") {
            Some("actor") => {
                if let Some(row) = view.text("actor.id").and_then(|id| self.actors.active(id, last_ns)) {
                    row.of_actor(view);
                }
            }
            Some("credential") => {
                for credential in view.list("credential") {
                    let id = words::text(credential, "id");
                    if let Some(row) = id.and_then(|id| self.credentials.active(id, last_ns)) {
                        row.of_credential(credential, view);
                    }
                }
            }
            _ => {}
        }
    }

    /// Rows of a list that a filter lets through: ids, in their order.
    pub(super) fn shown(&self, tab: Tab, whose: Whose<'_>, filter: &Filter) -> Vec<Arc<str>> {
        let ids = |ids: &mut dyn Iterator<Item = &Arc<str>>| ids.map(Arc::clone).collect();
        let all = filter.is_empty();
        let of = |row: &ChainRow| match whose {
            Whose::All => true,
            Whose::Actor(id) => row.actor == id,
            Whose::Credential(id) => row.holds_id(id),
        };
        match tab {
            Tab::Chains => {
                let rows = self.chains.newest_first();
                ids(&mut rows
                    .filter(|(id, _, row)| of(row) && (all || filter.lets(&row.names(id))))
                    .map(|(id, _, _)| id))
            }
            Tab::Actors | Tab::Credentials => {
                let is_actor = tab == Tab::Actors;
                let rows = self.entries(tab).newest_first();
                ids(&mut rows
                    .filter(|(id, _, row)| all || filter.lets(&row.names(id, is_actor)))
                    .map(|(id, _, _)| id))
            }
        }
    }

    fn entries(&self, tab: Tab) -> &Ring<EntryRow> {
        if tab == Tab::Credentials { &self.credentials } else { &self.actors }
    }

    pub(super) fn counts(&self, tab: Tab) -> (usize, u64) {
        match tab {
            Tab::Chains => (self.chains.len(), self.chains.let_go()),
            Tab::Actors | Tab::Credentials => (self.entries(tab).len(), self.entries(tab).let_go()),
        }
    }

    /// What stands above the columns.
    pub(super) fn title(tab: Tab, width: usize) -> Line {
        let strong = |line: Line, text: &str| line.put(Paint::Strong, text);
        let line = strong(Line::new(), "LAST, UTC").to(WHEN);
        match tab {
            Tab::Chains => {
                let line = strong(strong(line, "STATUS").to(WHEN + STATUS), "ACTOR").to(columns(tab, width));
                strong(line, "WHAT")
            }
            Tab::Actors => strong(strong(line, "ACTOR").to(columns(tab, width)), "WHAT"),
            Tab::Credentials => strong(strong(line, "CREDENTIAL").to(columns(tab, width)), "WHAT"),
        }
    }

    /// A row as a line.
    pub(super) fn line(&self, tab: Tab, id: &str, time_ns: i64, width: usize) -> Line {
        let line = Line::new().faint(&when(time_ns, self.newest_ns())).to(WHEN);
        let what = columns(tab, width);
        match tab {
            Tab::Chains => {
                let Some(row) = self.chains.get(id) else { return line };
                let (paint, status) = row.status();
                let line = line.put(paint, &head(&status, STATUS - 1)).to(WHEN + STATUS);
                let name = if row.actor.is_empty() { "?" } else { &row.actor };
                line.put(Paint::Strong, &tail(name, what - WHEN - STATUS - 1)).to(what).then(row.did())
            }
            Tab::Actors | Tab::Credentials => {
                let Some(row) = self.entries(tab).get(id) else { return line };
                let is_actor = tab == Tab::Actors;
                let name = if is_actor || row.label.is_empty() { id } else { &row.label };
                let name = if is_actor { tail(name, what - WHEN - 1) } else { head(name, what - WHEN - 1) };
                let whose = if is_actor { Whose::Actor(id) } else { Whose::Credential(id) };
                line.put(Paint::Strong, &name).to(what).then(row.did(is_actor, self.chains_of(whose)))
            }
        }
    }

    /// How many chains of these are listed, and how many of them are open.
    fn chains_of(&self, whose: Whose<'_>) -> (usize, usize) {
        let mut counts = (0, 0);
        for (_, _, row) in self.chains.newest_first() {
            let own = match whose {
                Whose::All => true,
                Whose::Actor(id) => row.actor == id,
                Whose::Credential(id) => row.holds_id(id),
            };
            counts.0 += usize::from(own);
            counts.1 += usize::from(own && row.is_open());
        }
        counts
    }

    /// When a row was active last.
    pub(super) fn time(&self, tab: Tab, id: &str) -> i64 {
        match tab {
            Tab::Chains => self.chains.time(id),
            Tab::Actors | Tab::Credentials => self.entries(tab).time(id),
        }
        .unwrap_or(0)
    }

    /// The last activity of all.
    fn newest_ns(&self) -> i64 {
        self.chains.newest_first().next().map_or(0, |(_, time_ns, _)| time_ns)
    }
}

/// The time of the day; of another day than the newest one, the day. Of what was never active, neither.
fn when(time_ns: i64, newest_ns: i64) -> String {
    let moment = |ns| words::moment(&rfc3339(ns));
    let (own, newest) = (moment(time_ns), moment(newest_ns));
    match time_ns {
        0 => "-".to_owned(),
        _ if own.get(..10) == newest.get(..10) => own.get(11..).unwrap_or_default().to_owned(),
        _ => own.get(5..10).unwrap_or_default().to_owned(),
    }
}

/// Where it is told what a row did.
fn columns(tab: Tab, width: usize) -> usize {
    match tab {
        Tab::Chains => WHEN + STATUS + (width.saturating_sub(WHEN + STATUS) * 9 / 20).clamp(12, 48),
        Tab::Actors | Tab::Credentials => WHEN + (width.saturating_sub(WHEN) * 2 / 5).clamp(12, 60),
    }
}
