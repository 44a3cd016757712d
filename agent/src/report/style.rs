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

/// A line in the making: pieces, and how wide they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pieces: Vec<(Paint, String)>,
    width: usize,
}

impl Line {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// One more piece. What a terminal would obey is written as it is spelt.
    pub(super) fn put(mut self, paint: Paint, text: &str) -> Self {
        let mut safe = String::with_capacity(text.len());
        for letter in text.chars() {
            if letter.is_control() || is_direction(letter) {
                safe.extend(letter.escape_default());
            } else {
                safe.push(letter);
            }
        }
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

    /// Ends the line, cut where it is too long.
    pub(super) fn end(self, style: &Style, into: &mut String) {
        into.push_str(&self.text(style));
        into.push('\n');
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

/// Letters that turn the direction of what follows them: a path must not read other than it is.
fn is_direction(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
