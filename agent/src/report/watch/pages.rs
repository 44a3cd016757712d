//! Pages that lie over the lists: one chain, one process.

use std::collections::VecDeque;

use crate::record::View;
use crate::report::chain::Chain;
use crate::report::deeds::deed;
use crate::report::show;
use crate::report::style::{Line, Paint, Sheet, Style, head};
use crate::report::{findings, timeline, words};

/// Most records of a chain, and of a process, that a page holds.
pub(super) const RECORDS_MAX: usize = 1_000;
/// How far to the right a page can be moved.
const SHIFT_MAX: usize = 1_000;
/// Columns that a step to the side takes.
const SIDE: usize = 8;

/// Where the cursor is, and what of the lines is seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) cursor: usize,
    pub(super) top: usize,
    pub(super) shift: usize,
    /// It stays on the last line, also when more come.
    pub(super) at_end: bool,
}

impl Place {
    /// Moves by so many lines, of so many.
    pub(super) fn step(&mut self, by: isize, lines: usize) {
        let last = lines.saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(by).min(last);
        self.at_end = by > 0 && self.cursor == last;
    }

    pub(super) fn side(&mut self, right: bool) {
        self.shift = if right { (self.shift + SIDE).min(SHIFT_MAX) } else { self.shift.saturating_sub(SIDE) };
    }

    /// Puts the cursor among so many lines, and what is seen around the cursor.
    pub(super) fn fit(&mut self, lines: usize, height: usize) {
        let last = lines.saturating_sub(1);
        self.cursor = if self.at_end { last } else { self.cursor.min(last) };
        self.top = self.top.min(self.cursor).max((self.cursor + 1).saturating_sub(height));
        self.top = self.top.min(lines.saturating_sub(height));
    }
}

/// Lines of a page.
#[derive(Debug, Default)]
struct Lines(Vec<Line>);

impl Sheet for Lines {
    fn add(&mut self, line: Line, _: &Style) {
        self.0.push(line);
    }
}

/// A page.
#[derive(Debug)]
pub(super) enum Page {
    /// Chains of one actor or one credential.
    Of {
        actor: bool,
        id: String,
        list: super::lists::Cursor,
    },
    Chain(Box<ChainPage>),
    Process(Box<ProcessPage>),
}

/// One chain, growing.
#[derive(Debug)]
pub(super) struct ChainPage {
    pub(super) chain: Chain,
    /// Its records were asked for and are not there yet.
    waits: bool,
    left_out: u64,
    pub(super) place: Place,
    lines: Vec<Line>,
    /// Width for which the lines were made; [`None`] where they are old.
    made_for: Option<usize>,
    /// Where the timeline begins.
    timeline: usize,
}

impl ChainPage {
    pub(super) fn new(id: &str) -> Self {
        ChainPage {
            chain: Chain::new(id.to_owned(), Vec::new()),
            waits: true,
            left_out: 0,
            place: Place::default(),
            lines: Vec::new(),
            made_for: None,
            timeline: 0,
        }
    }

    /// What the store has of it.
    pub(super) fn read(&mut self, mut records: Vec<View>) {
        let over = records.len().saturating_sub(RECORDS_MAX);
        if over > 0 {
            // The first one is how it began.
            records.drain(1..=over);
        }
        self.left_out = u64::try_from(over).unwrap_or(u64::MAX);
        self.chain = Chain::new(std::mem::take(&mut self.chain.id), records);
        (self.waits, self.made_for) = (false, None);
    }

    /// A record as it comes: whether it is of this chain.
    pub(super) fn take(&mut self, view: &View) -> bool {
        let id = self.chain.id.as_str();
        let own =
            view.chain() == Some(id) || view.list("chains").iter().any(|chain| chain.as_str() == Some(id));
        let known = self.chain.records.last().is_some_and(|last| last.seq() >= view.seq());
        if !own || known || self.waits {
            return false;
        }
        self.push(view.clone());
        self.made_for = None;
        true
    }

    fn push(&mut self, view: View) {
        if self.chain.records.len() >= RECORDS_MAX {
            self.chain.records.remove(1);
            self.left_out += 1;
        }
        if self.chain.records.is_empty() {
            self.chain.since_ns = view.time_ns();
        }
        self.chain.records.push(view);
    }

    /// The lines, for a width.
    pub(super) fn lines(&mut self, width: usize) -> &[Line] {
        if self.made_for != Some(width) {
            let mut made = Lines::default();
            let style = Style { width, colour: false };
            if self.waits {
                Line::new().faint("reading…").end(&style, &mut made);
            } else if self.chain.records.is_empty() {
                let text = format!("nothing is kept of chain {}", self.chain.id);
                Line::new().put(Paint::Doubt, &text).end(&style, &mut made);
            } else {
                if self.left_out > 0 {
                    let text =
                        format!("! {} records in between are not shown; spoor show has them", self.left_out);
                    Line::new().put(Paint::Doubt, &text).end(&style, &mut made);
                }
                made = show::all(&self.chain, &style, made);
            }
            // Who reads the timeline goes on reading the same line of it.
            let heading = made.0.iter().position(|line| line.is(timeline::TITLE)).unwrap_or(0);
            if self.place.cursor > self.timeline && self.timeline > 0 {
                let moved = heading.saturating_sub(self.timeline);
                self.place.cursor += moved;
                self.place.top += moved;
            }
            (self.lines, self.timeline, self.made_for) = (made.0, heading, Some(width));
        }
        &self.lines
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The process of the line with the cursor: of that line, or of the nearest above it, else the chain's first.
    pub(super) fn process(&self) -> Option<&str> {
        let above = self.lines.get(..=self.place.cursor).unwrap_or(&self.lines);
        let first =
            || self.chain.records.iter().find_map(|view| view.text("root.id").or(view.text("process.id")));
        above.iter().rev().find_map(Line::told_of).filter(|id| !id.is_empty()).or_else(first)
    }
}

/// One process, across chains.
#[derive(Debug)]
pub(super) struct ProcessPage {
    pub(super) id: String,
    waits: bool,
    title: Option<Line>,
    lines: VecDeque<Line>,
    left_out: u64,
    last_seq: u64,
    pub(super) place: Place,
}

impl ProcessPage {
    pub(super) fn new(id: &str) -> Self {
        ProcessPage {
            id: id.to_owned(),
            waits: true,
            title: None,
            lines: VecDeque::new(),
            left_out: 0,
            last_seq: 0,
            place: Place { at_end: true, ..Place::default() },
        }
    }

    /// What the newest records of the store have of it.
    pub(super) fn read(&mut self, records: &[View]) {
        self.waits = false;
        for view in records {
            self.take(view);
        }
    }

    /// A record as it comes: whether it is of this process, or puts in doubt what is.
    pub(super) fn take(&mut self, view: &View) -> bool {
        let is = |path: &str| view.text(path) == Some(&self.id);
        let own = ["process.id", "target.id", "root.id"].into_iter().any(is) || view.kind() == "gap";
        if !own || self.waits || view.seq() <= self.last_seq {
            return false;
        }
        self.last_seq = view.seq();
        if let Some(process) =
            view.at("process").or_else(|| view.at("root")).filter(|_| is("process.id") || is("root.id"))
        {
            let line =
                Line::new().put(Paint::Strong, "Process ").put(Paint::Strong, &words::process(process));
            let line = line.faint(&format!("  {}", words::command(process)));
            self.title = Some(line);
        }
        if self.lines.len() >= RECORDS_MAX {
            self.lines.pop_front();
            self.left_out += 1;
            if !self.place.at_end {
                // What was there goes up by one, and who reads it with it.
                self.place.cursor = self.place.cursor.saturating_sub(1);
                self.place.top = self.place.top.saturating_sub(1);
            }
        }
        self.lines.push_back(line(view));
        true
    }

    pub(super) fn title(&self) -> Line {
        let line =
            self.title.clone().unwrap_or_else(|| Line::new().put(Paint::Strong, "Process ").plain(&self.id));
        match self.left_out {
            0 => line,
            more => {
                Line::new().put(Paint::Doubt, &format!("! {more} records before these let go  ")).then(line)
            }
        }
    }

    pub(super) fn line(&self, index: usize) -> Option<&Line> {
        self.lines.get(index)
    }

    /// What stands there while there are no lines.
    pub(super) fn empty(&self) -> Line {
        let why = if self.waits { "reading…" } else { "the newest records have nothing that it did" };
        Line::new().plain("  ").faint(why)
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// The chain of the line with the cursor.
    pub(super) fn chain(&self) -> Option<&str> {
        self.lines.get(self.place.cursor)?.told_of()
    }
}

/// A record of a process: when, in which chain, what.
fn line(view: &View) -> Line {
    let time = view.text("time").and_then(|time| time.get(11..23)).unwrap_or_default();
    let line = Line::new().faint(time).to(14);
    let line = match view.chain() {
        Some(chain) => line.of(chain).faint(&head(chain, 10)).to(26),
        None => line.to(26),
    };
    match view.kind() {
        "action" => line.then(deed(view, false)),
        "gap" => line.put(Paint::Doubt, &format!("! {}", words::gap(view))),
        "finding" => {
            let (paint, text) = findings::name(view);
            line.put(paint, &text)
        }
        "chain" => match view.at("exit").map(words::exit) {
            Some((paint, text)) => line.plain("chain ends  ").put(paint, &text),
            None => {
                let (status, reason) =
                    (view.text("status").unwrap_or("?"), view.text("reason").unwrap_or_default());
                line.plain(&format!("chain {status} {reason}"))
            }
        },
        other => line.faint(other),
    }
}
