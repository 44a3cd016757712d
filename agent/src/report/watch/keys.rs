//! What keys do.

use std::sync::Arc;

use super::lists::{Cursor, Tab};
use super::pages::{ChainPage, Page, Place, ProcessPage};
use super::{Key, Watch, Wish, screen};

impl Watch {
    /// A key. What is wished for is answered by [`Watch::chain`] and [`Watch::process`].
    pub fn key(&mut self, key: Key) -> Option<Wish> {
        self.changed = true;
        self.note = None;
        if self.editing.is_some() {
            self.edit(key);
            return None;
        }
        if self.help.is_some() {
            return self.in_help(key);
        }
        match key {
            Key::Letter('q') => return Some(Wish::Quit),
            Key::Letter('?') => self.help = Some(Place::default()),
            Key::Letter(' ') => self.paused = !self.paused,
            Key::Letter('/') => self.editing = Some(self.filter.line.clone()),
            Key::Letter('o') => self.filter.outside = !self.filter.outside,
            Key::Letter('f') => self.filter.findings = !self.filter.findings,
            Key::Letter('p') => return self.follow(),
            Key::Tab { back } => {
                self.tab = if self.pages.is_empty() { self.tab.next(back) } else { self.tab };
                self.pages.clear();
            }
            Key::Enter => return self.enter(),
            Key::Escape => {
                if self.pages.pop().is_none() {
                    self.filter.clear();
                }
            }
            Key::Left | Key::Right => {
                if let Some(place) = self.place() {
                    place.side(key == Key::Right);
                }
            }
            Key::Letter(_)
            | Key::Up
            | Key::Down
            | Key::PageUp
            | Key::PageDown
            | Key::Home
            | Key::End
            | Key::Erase => {
                self.step(key);
            }
        }
        None
    }

    /// A key while the filter's line is edited. The list follows each letter.
    fn edit(&mut self, key: Key) {
        match key {
            Key::Letter(letter) => {
                let line = format!("{}{letter}", self.filter.line);
                self.filter.set(&line);
            }
            Key::Erase => {
                let mut line = self.filter.line.clone();
                line.pop();
                self.filter.set(&line);
            }
            Key::Enter => self.editing = None,
            Key::Escape => {
                if let Some(before) = self.editing.take() {
                    self.filter.set(&before);
                }
            }
            Key::Tab { .. }
            | Key::Up
            | Key::Down
            | Key::Left
            | Key::Right
            | Key::PageUp
            | Key::PageDown
            | Key::Home
            | Key::End => {}
        }
    }

    fn in_help(&mut self, key: Key) -> Option<Wish> {
        let (by, lines) = (self.by(key), screen::HELP.len());
        match (key, by, &mut self.help) {
            (Key::Letter('q'), ..) => return Some(Wish::Quit),
            // The cursor is not shown there: what moves is what is seen.
            (_, Some(by), Some(place)) => {
                let furthest = lines.saturating_sub(self.height);
                place.top = place.top.saturating_add_signed(by).min(furthest);
            }
            _ => self.help = None,
        }
        None
    }

    /// How many lines a key moves.
    fn by(&self, key: Key) -> Option<isize> {
        let screen = isize::try_from(self.height.max(2) - 1).unwrap_or(isize::MAX);
        Some(match key {
            Key::Up | Key::Letter('k') => -1,
            Key::Down | Key::Letter('j') => 1,
            Key::PageUp => -screen,
            Key::PageDown => screen,
            Key::Home | Key::Letter('g') => isize::MIN,
            Key::End | Key::Letter('G') => isize::MAX,
            Key::Letter(_)
            | Key::Enter
            | Key::Escape
            | Key::Tab { .. }
            | Key::Left
            | Key::Right
            | Key::Erase => {
                return None;
            }
        })
    }

    fn step(&mut self, key: Key) {
        let Some(by) = self.by(key) else { return };
        if let Some((_, ids, at)) = self.rows() {
            let to = at.saturating_add_signed(by).min(ids.len().saturating_sub(1));
            let on = ids.get(to).filter(|_| to > 0).map(Arc::clone);
            if let Some(cursor) = self.cursor() {
                cursor.on = on;
            }
            return;
        }
        let lines = match self.pages.last() {
            Some(Page::Chain(page)) => page.len(),
            Some(Page::Process(page)) => page.len(),
            Some(Page::Of { .. }) | None => 0,
        };
        if let Some(place) = self.place() {
            place.step(by, lines);
        }
    }

    /// The place in the page on top.
    fn place(&mut self) -> Option<&mut Place> {
        match self.pages.last_mut() {
            Some(Page::Chain(page)) => Some(&mut page.place),
            Some(Page::Process(page)) => Some(&mut page.place),
            Some(Page::Of { .. }) | None => None,
        }
    }

    /// The id that is pointed at in a list.
    fn pointed_at(&self) -> Option<(Tab, Arc<str>)> {
        let (tab, ids, at) = self.rows()?;
        Some((tab, Arc::clone(ids.get(at)?)))
    }

    /// Goes into what is pointed at.
    fn enter(&mut self) -> Option<Wish> {
        if let Some((tab, id)) = self.pointed_at() {
            let id = id.to_string();
            return match tab {
                Tab::Chains => self.open_chain(&id),
                Tab::Actors | Tab::Credentials => {
                    self.open(Page::Of { actor: tab == Tab::Actors, id, list: Cursor::default() });
                    None
                }
            };
        }
        let chain = match self.pages.last() {
            Some(Page::Process(page)) => page.chain().map(str::to_owned),
            Some(Page::Chain(_)) => return self.follow(),
            Some(Page::Of { .. }) | None => None,
        };
        self.open_chain(&chain?)
    }

    fn open_chain(&mut self, id: &str) -> Option<Wish> {
        self.open(Page::Chain(Box::new(ChainPage::new(id))));
        Some(Wish::Chain(id.to_owned()))
    }

    /// Follows the process that is pointed at: of a chain in a list, its first.
    fn follow(&mut self) -> Option<Wish> {
        let process = match (self.pointed_at(), self.pages.last()) {
            (Some((Tab::Chains, id)), _) => self.lists.chains.get(&id).map(|row| row.root.clone()),
            (_, Some(Page::Chain(page))) => page.process().map(str::to_owned),
            _ => None,
        };
        let Some(process) = process.filter(|id| !id.is_empty()) else {
            self.note = Some("no process here: point at a chain, or at a line of one".to_owned());
            return None;
        };
        self.open(Page::Process(Box::new(ProcessPage::new(&process))));
        Some(Wish::Process(process))
    }
}
