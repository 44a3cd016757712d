//! Lines of a known width, with or without colour.

/// How to write for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns; lines are cut to them. 0: as long as they are.
    pub width: usize,
    /// With colour.
    pub colour: bool,
}

/// What a piece of a line is to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Strong,
    Faint,
    Good,
    Bad,
    Doubt,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Paint::Plain => "",
            Paint::Strong => "\x1b[1m",
            Paint::Faint => "\x1b[2m",
            Paint::Good => "\x1b[32m",
            Paint::Bad => "\x1b[31m",
            Paint::Doubt => "\x1b[33m",
        }
    }
}

/// Fewest columns that a text goes on in.
const FLOW_MIN: usize = 20;

/// A line in the making: pieces, and how wide they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pieces: Vec<(Paint, String)>,
    width: usize,
    of: Option<String>,
}

/// Where lines go: into a text, or onto a screen.
pub(super) trait Sheet {
    /// One more line.
    fn add(&mut self, line: Line, style: &Style);
}

impl Sheet for String {
    fn add(&mut self, line: Line, style: &Style) {
        self.push_str(&line.text(style));
        self.push('\n');
    }
}

impl Line {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// One more piece. What a terminal would obey is written as it is spelt.
    pub(super) fn put(mut self, paint: Paint, text: &str) -> Self {
        let safe = safe(text);
        self.width += safe.chars().count();
        self.pieces.push((paint, safe));
        self
    }

    pub(super) fn plain(self, text: &str) -> Self {
        self.put(Paint::Plain, text)
    }

    pub(super) fn faint(self, text: &str) -> Self {
        self.put(Paint::Faint, text)
    }

    /// Blanks up to a column; at least one, unless the line is empty.
    pub(super) fn to(self, column: usize) -> Self {
        let least = usize::from(self.width > 0);
        let blanks = column.saturating_sub(self.width).max(least);
        self.plain(&" ".repeat(blanks))
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn then(mut self, other: Line) -> Self {
        self.width += other.width;
        self.pieces.extend(other.pieces);
        self
    }

    /// Its pieces, and what each is to the reader.
    pub(super) fn pieces(&self) -> &[(Paint, String)] {
        &self.pieces
    }

    /// At most so much of it.
    pub(super) fn shorter(mut self, width: usize) -> Self {
        if self.width <= width {
            return self;
        }
        let mut left = width.saturating_sub(1);
        for (_, text) in &mut self.pieces {
            *text = text.chars().take(left).collect();
            left -= text.chars().count();
        }
        self.pieces.retain(|(_, text)| !text.is_empty());
        self.pieces.push((Paint::Plain, "…".to_owned()));
        self.width = width;
        self
    }

    /// The id of what it tells of, for who points at it.
    pub(super) fn of(mut self, id: &str) -> Self {
        self.of = Some(id.to_owned());
        self
    }

    pub(super) fn told_of(&self) -> Option<&str> {
        self.of.as_deref()
    }

    /// What is behind so many columns of it.
    pub(super) fn after(mut self, columns: usize) -> Self {
        let mut skip = columns;
        for (_, text) in &mut self.pieces {
            let count = text.chars().count();
            *text = text.chars().skip(skip).collect();
            skip = skip.saturating_sub(count);
        }
        self.width = self.width.saturating_sub(columns);
        self
    }

    /// Whether it is this text, however painted.
    pub(super) fn is(&self, text: &str) -> bool {
        matches!(self.pieces.as_slice(), [(_, only)] if only == text)
    }

    /// Ends the line, cut where it is too long.
    pub(super) fn end(self, style: &Style, into: &mut impl Sheet) {
        into.add(self, style);
    }

    /// Ends the line behind a text that goes on below, from a column on, where it is too long: of a reason the end says
    /// why. Where too few columns are left for that, it is cut.
    pub(super) fn flow(self, paint: Paint, text: &str, column: usize, style: &Style, into: &mut impl Sheet) {
        let room = style.width.saturating_sub(column.max(self.width));
        let parts = if room < FLOW_MIN { vec![text.to_owned()] } else { wrapped(&safe(text), room) };
        let mut line = self;
        for part in parts {
            std::mem::replace(&mut line, Line::new().to(column)).put(paint, &part).end(style, into);
        }
    }

    /// The line without its end.
    pub(super) fn text(self, style: &Style) -> String {
        let cut = style.width != 0 && self.width > style.width;
        let mut left = if cut { style.width - 1 } else { self.width };
        let mut out = String::new();
        for (paint, text) in self.pieces {
            let part: String = text.chars().take(left).collect();
            left -= part.chars().count();
            let coloured = style.colour && paint != Paint::Plain && !part.trim().is_empty();
            if coloured {
                out.push_str(paint.code());
            }
            out.push_str(&part);
            if coloured {
                out.push_str("\x1b[0m");
            }
        }
        if cut {
            out.push('…');
        }
        out.truncate(out.trim_end_matches(' ').len());
        out
    }
}

/// A text in which nothing moves a cursor, turns the direction of what is read, or is there unseen: such letters are spelt.
pub(super) fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() || is_direction(letter) || is_unseen(letter) {
            safe.extend(letter.escape_default());
        } else {
            safe.push(letter);
        }
    }
    safe
}

/// Letters that turn the direction of what follows them: a path must not read other than it is.
fn is_direction(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Letters that take no room, or end a line: two names must not look the same.
fn is_unseen(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2064}' | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// The end of a text of at most `width`: of a path, the end tells more.
pub(super) fn tail(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let rest: String = text.chars().skip(count - width.saturating_sub(1)).collect();
    format!("…{rest}")
}

/// The beginning of a text of at most `width`.
pub(super) fn head(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let rest: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{rest}…")
}

/// A text cut at blanks into lines of at most `width`; a word that is longer is cut where it must be.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let (mut lines, mut line) = (Vec::new(), String::new());
    let length = |text: &str| text.chars().count();
    for word in text.split(' ') {
        let mut word = word.to_owned();
        if !line.is_empty() && length(&line) + 1 + length(&word) > width {
            lines.push(std::mem::take(&mut line));
        }
        while length(&word) > width {
            lines.push(word.chars().take(width).collect());
            word = word.chars().skip(width).collect();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.push(line);
    lines
}
