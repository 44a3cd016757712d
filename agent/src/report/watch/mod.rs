//! `spoor watch`: chains, actors and credentials as they grow, for a screen that is left open.
//!
//! [`Watch`] is a state machine without I/O and without a clock: it takes records, keys, what the agent answers and what time
//! it is, says what is to be read ([`Wish`]), and gives the lines of a screen. `draw` puts them on a terminal. Everything it
//! keeps is bounded, and what it lets go is counted on the screen.

mod draw;
mod filter;
mod head;
mod keys;
mod lists;
mod pages;
mod ring;
mod rows;
mod screen;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use draw::draw;

use crate::record::View;
use crate::status::Status;
use filter::Filter;
use head::Head;
use lists::{Cursor, Lists, Tab, Whose};
use pages::Page;

/// Most pages that lie over the lists; one more takes the place of the uppermost.
const PAGES_MAX: usize = 6;

/// A key, whatever the terminal calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A letter, with shift where it takes that.
    Letter(char),
    /// Return.
    Enter,
    /// Escape.
    Escape,
    /// The tabulator; back with shift.
    Tab {
        /// With shift.
        back: bool,
    },
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// To the left.
    Left,
    /// To the right.
    Right,
    /// One screen up.
    PageUp,
    /// One screen down.
    PageDown,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// Takes the last letter away.
    Erase,
}

/// What is wanted of whoever has the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// All records of this chain.
    Chain(String),
    /// The newest records, as far as one looks back, that name this process.
    Process(String),
    /// To end.
    Quit,
}

/// What the agent said when it was asked.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// It runs.
    Status(&'a Status),
    /// No agent runs on that store.
    NotRunning,
    /// There is no answer, for this reason.
    Silent(&'a str),
}

/// All that is shown.
#[derive(Debug, Default)]
pub struct Watch {
    head: Head,
    lists: Lists,
    tab: Tab,
    cursors: [Cursor; 3],
    pages: Vec<Page>,
    filter: Filter,
    /// The line as it was before it was edited; [`None`] where it is not edited.
    editing: Option<String>,
    paused: bool,
    help: Option<pages::Place>,
    /// What the last key had to say.
    note: Option<String>,
    /// Rows for the body when it was last drawn.
    height: usize,
    changed: bool,
}

impl Watch {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Watch { changed: true, ..Watch::default() }
    }

    /// A record as it is stored. One that is none is counted.
    pub fn record(&mut self, body: &[u8]) {
        self.changed = true;
        let Ok(view) = View::parse(body) else {
            self.head.unreadable += 1;
            return;
        };
        self.head.take(&view);
        self.lists.take(&view);
        for page in &mut self.pages {
            match page {
                Page::Chain(page) => {
                    page.take(&view);
                }
                Page::Process(page) => {
                    page.take(&view);
                }
                Page::Of { .. } => {}
            }
        }
    }

    /// The coverage as it was before the first record that comes.
    pub fn coverage(&mut self, body: &[u8]) {
        if let Ok(view) = View::parse(body) {
            self.head.covers(&view);
            self.changed = true;
        }
    }

    /// The records of a chain that was wished for.
    pub fn chain<'a>(&mut self, id: &str, bodies: impl Iterator<Item = &'a [u8]>) {
        let records: Vec<View> = bodies.filter_map(|body| View::parse(body).ok()).collect();
        for page in &mut self.pages {
            if let Page::Chain(page) = page
                && page.chain.id == id
            {
                page.read(records.clone());
            }
        }
        self.changed = true;
    }

    /// The records that name a process that was wished for, oldest first.
    pub fn process<'a>(&mut self, id: &str, bodies: impl Iterator<Item = &'a [u8]>) {
        let records: Vec<View> = bodies.filter_map(|body| View::parse(body).ok()).collect();
        for page in &mut self.pages {
            if let Page::Process(page) = page
                && page.id == id
            {
                page.read(&records);
            }
        }
        self.changed = true;
    }

    /// What the agent answered.
    pub fn agent(&mut self, answer: Answer<'_>) {
        self.changed |= self.head.answered(answer);
    }

    /// So many records of the store were not given yet.
    pub fn behind(&mut self, records: u64) {
        self.changed |= self.head.behind != records;
        self.head.behind = records;
    }

    /// The next record is this one: those before it were too many and are passed over.
    pub fn skip_to(&mut self, seq: u64) {
        self.head.skip_to(seq);
        self.changed = true;
    }

    /// Why the store cannot be read just now; [`None`] where it can.
    pub fn failing(&mut self, why: Option<String>) {
        self.changed |= self.head.failure != why;
        self.head.failure = why;
    }

    /// What time it is, ns since 1970.
    pub fn now(&mut self, now_ns: i64) {
        self.changed |= self.head.now(now_ns);
    }

    /// Whether records are to be held back.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Whether the screen shows something else than when it was drawn.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.changed
    }

    /// It is to be drawn anew.
    pub fn redraw(&mut self) {
        self.changed = true;
    }

    /// The list on top: which, of whom, and the place in it. [`None`] where a page without a list is on top.
    fn list(&self) -> Option<(Tab, Whose<'_>, &Cursor)> {
        let index = Tab::ALL.iter().position(|tab| *tab == self.tab)?;
        match self.pages.last() {
            None => Some((self.tab, Whose::All, self.cursors.get(index)?)),
            Some(Page::Of { actor: true, id, list }) => Some((Tab::Chains, Whose::Actor(id), list)),
            Some(Page::Of { actor: false, id, list }) => Some((Tab::Chains, Whose::Credential(id), list)),
            Some(Page::Chain(_) | Page::Process(_)) => None,
        }
    }

    fn cursor(&mut self) -> Option<&mut Cursor> {
        let index = Tab::ALL.iter().position(|tab| *tab == self.tab)?;
        match self.pages.last_mut() {
            None => self.cursors.get_mut(index),
            Some(Page::Of { list, .. }) => Some(list),
            Some(Page::Chain(_) | Page::Process(_)) => None,
        }
    }

    /// The rows that are shown, and which of them is pointed at.
    fn rows(&self) -> Option<(Tab, Vec<Arc<str>>, usize)> {
        let (tab, whose, cursor) = self.list()?;
        let ids = self.lists.shown(tab, whose, &self.filter);
        let on = cursor.on.as_ref();
        let at = on.and_then(|on| ids.iter().position(|id| id == on)).unwrap_or(0);
        Some((tab, ids, at))
    }

    fn open(&mut self, page: Page) {
        if self.pages.len() >= PAGES_MAX {
            self.pages.pop();
        }
        self.pages.push(page);
    }
}
