//! The screen as lines.

use super::lists::{Lists, Tab};
use super::pages::Page;
use super::{Watch, Whose};
use crate::record::rfc3339;
use crate::report::style::{Line, Paint, tail};
use crate::report::words;

/// From so many rows on there is room for what can be done without.
const ROOMY: usize = 16;

/// A row of the screen.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) line: Line,
    /// It is pointed at.
    pub(super) lit: bool,
}

impl From<Line> for Row {
    fn from(line: Line) -> Self {
        Row { line, lit: false }
    }
}

/// What the keys do, for whoever asks.
pub(super) const HELP: [&str; 25] = [
    "Tab          chains, actors, credentials",
    "Up, Down     move; also k, j, PageUp, PageDown, Home (g), End (G)",
    "Enter        of an actor or credential: its chains; of a chain: what is in it",
    "p            follow a process, across chains",
    "Left, Right  move what is wider than the screen",
    "Esc          back; in a list, drops the filter",
    "/            filter: words, all of which must be there",
    "               actor=NAME       a part of the actor's id or user",
    "               credential=NAME  a part of its id, path or identifier",
    "               NAME             a part of anything that is listed",
    "o            only what has an action outside its purposes",
    "f            only what has a finding",
    "Space        hold the records back, and go on",
    "q            quit",
    "",
    "Whoever was active last comes first. A row that you point at stays the same",
    "while others move. In a chain, End stays at the end as it grows.",
    "",
    "! gap        something may be missing from what is shown",
    "! finding    a deviation; spoor findings tells what to do",
    "✗ outside    not what the actor is for",
    "",
    "Lists hold the 2,000 rows that were active last; what is let go is counted above",
    "them. spoor chains, actors and credentials read all that is stored.",
    "Any other key closes this page.",
];

impl Watch {
    /// All rows for a screen of that size: as many as there is room for, or fewer.
    pub(super) fn screen(&mut self, width: usize, height: usize) -> Vec<Row> {
        self.changed = false;
        let mut rows: Vec<Row> = vec![self.head.agent().into(), self.head.doubts(self.paused).into()];
        rows.push(self.head.latest().into());
        rows.push(self.above().into());
        let roomy = height >= ROOMY;
        if roomy
            && self.help.is_none()
            && let Some((tab, ..)) = self.list()
        {
            rows.push(Line::new().plain("  ").then(Lists::title(tab, width.saturating_sub(2))).into());
        }
        self.height = height.saturating_sub(rows.len() + 1);
        rows.truncate(height.saturating_sub(1));
        let body = self.body(width);
        rows.extend(body.into_iter().take(self.height));
        rows.resize(height.saturating_sub(1), Row::default());
        rows.push(self.below().into());
        rows.truncate(height);
        rows
    }

    /// Which list or page it is, and how much of all that is.
    fn above(&self) -> Line {
        if self.help.is_some() {
            return Line::new().put(Paint::Strong, "Help");
        }
        match self.pages.last() {
            None => self.tabs(),
            Some(Page::Of { actor, id, .. }) => {
                let of = if *actor { "Chains of actor " } else { "Chains of credential " };
                self.filtered(Line::new().put(Paint::Strong, of).put(Paint::Strong, id).plain("  "))
            }
            Some(Page::Chain(page)) => {
                let actor = page.chain.any().and_then(|view| view.text("actor.id")).unwrap_or("?");
                let line = Line::new().put(Paint::Strong, "Chain of ").put(Paint::Strong, actor);
                let open = page.chain.closed().is_none();
                line.faint(if open && page.place.at_end { "  at its end, as it grows" } else { "" })
            }
            Some(Page::Process(page)) => page.title(),
        }
    }

    fn tabs(&self) -> Line {
        let mut line = Line::new();
        let mut let_go = 0;
        for tab in Tab::ALL {
            let (count, gone) = self.lists.counts(tab);
            let text = format!("{} {count}", tab.name());
            let text = if tab == self.tab { format!("[{text}] ") } else { format!(" {text}  ") };
            let paint = if tab == self.tab { Paint::Strong } else { Paint::Plain };
            line = line.put(paint, &text);
            let_go = if tab == self.tab { gone } else { let_go };
        }
        let line = self.filtered(line);
        let line =
            if let_go > 0 { line.put(Paint::Doubt, &format!("! {let_go} more let go  ")) } else { line };
        match self.head.first_ns {
            Some(first) => {
                let first = words::moment(&rfc3339(first));
                line.faint(&format!("since {}", first.get(5..16).unwrap_or_default()))
            }
            None => line,
        }
    }

    fn filtered(&self, line: Line) -> Line {
        if self.filter.is_empty() {
            return line;
        }
        let shown = self.rows().map_or(0, |(_, ids, _)| ids.len());
        line.put(Paint::Doubt, &format!("only {}: {shown}  ", self.filter.told()))
    }

    fn body(&mut self, width: usize) -> Vec<Row> {
        let height = self.height;
        if let Some(place) = &self.help {
            return HELP.iter().skip(place.top).map(|text| Line::new().plain(text).into()).collect();
        }
        if self.rows().is_some() {
            return self.list_body(width);
        }
        match self.pages.last_mut() {
            Some(Page::Chain(page)) => {
                // First, for it may move the place.
                page.lines(width.saturating_sub(2));
                let mut place = page.place;
                place.fit(page.len(), height);
                page.place = place;
                let lines = page.lines(width.saturating_sub(2)).iter().enumerate();
                lines.skip(place.top).take(height).map(|(at, line)| row(line, at, &place)).collect()
            }
            Some(Page::Process(page)) => {
                let mut place = page.place;
                place.fit(page.len(), height);
                page.place = place;
                if page.len() == 0 {
                    return vec![page.empty().into()];
                }
                let lines = (place.top..place.top + height).filter_map(|at| Some((at, page.line(at)?)));
                lines.map(|(at, line)| row(line, at, &place)).collect()
            }
            Some(Page::Of { .. }) | None => Vec::new(),
        }
    }

    fn list_body(&mut self, width: usize) -> Vec<Row> {
        let height = self.height;
        let Some((tab, ids, at)) = self.rows() else { return Vec::new() };
        let Some(cursor) = self.cursor() else { return Vec::new() };
        let top =
            cursor.top.min(at).max((at + 1).saturating_sub(height)).min(ids.len().saturating_sub(height));
        cursor.top = top;
        if ids.is_empty() {
            let why = match (self.filter.is_empty(), self.list()) {
                (false, _) => "nothing that the filter lets through; Esc drops it",
                (true, Some((_, Whose::All, _))) => "nothing yet",
                (true, _) => "none of its chains is listed any more; spoor chains reads all that is stored",
            };
            return vec![Line::new().plain("  ").faint(why).into()];
        }
        let rows = ids.iter().enumerate().skip(top).take(height);
        rows.map(|(index, id)| {
            let line = self.lists.line(tab, id, self.lists.time(tab, id), width.saturating_sub(2));
            let mark = if index == at { "> " } else { "  " };
            Row { line: Line::new().plain(mark).then(line), lit: index == at }
        })
        .collect()
    }

    /// The filter while it is edited, what a key had to say, or what keys there are.
    fn below(&self) -> Line {
        if self.editing.is_some() {
            let line = Line::new()
                .put(Paint::Strong, "/")
                .plain(&tail(&self.filter.line, 60))
                .put(Paint::Strong, "_");
            return line.faint("  actor=, credential=, or any text; Enter keeps it, Esc does not");
        }
        if let Some(note) = &self.note {
            return Line::new().put(Paint::Doubt, note);
        }
        let hold = if self.paused { "space goes on" } else { "space holds" };
        let keys = match self.pages.last() {
            _ if self.help.is_some() => "any key closes".to_owned(),
            None if self.paused => format!("{hold}  ? help  tab next  enter opens  / filter  q quit"),
            None => "? help  tab next  enter opens  / filter  o outside  f findings  q quit".to_owned(),
            Some(Page::Of { .. }) => format!("? help  esc back  enter opens  / filter  p process  {hold}"),
            Some(Page::Chain(_)) => format!("? help  esc back  p process  end grows  {hold}"),
            Some(Page::Process(_)) => format!("? help  esc back  enter its chain  {hold}"),
        };
        Line::new().faint(&keys)
    }
}

fn row(line: &Line, at: usize, place: &super::pages::Place) -> Row {
    let lit = at == place.cursor;
    // The mark stays where it is when the rest is moved.
    let line = line.clone().after(place.shift);
    Row { line: Line::new().plain(if lit { "> " } else { "  " }).then(line), lit }
}
