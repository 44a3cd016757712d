//! What is wrong in a file, where, and how it is shown.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

/// Kind of mistake, with a number that stays: people search for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// Not TOML.
    Syntax,
    /// The same key or table twice.
    DuplicateKey,
    /// A key nobody knows.
    UnknownKey,
    /// A key that has another name now.
    RetiredKey,
    /// A number where a text belongs, and the like.
    WrongType,
    /// A key that must be there.
    MissingKey,
    /// Not a duration.
    BadDuration,
    /// Not a size.
    BadSize,
    /// A value that is too small or too large.
    OutOfRange,
    /// Not an absolute path.
    BadPath,
    /// Not the path of a cgroup.
    BadCgroup,
    /// More list items than there may be.
    TooMany,
    /// Not one of the words that may stand there.
    BadWord,
    /// Not a name for a sink.
    BadName,
    /// Two sinks of one name, or writing one file.
    DuplicateSink,
    /// A key that says nothing for this type of sink.
    NotForThisType,
    /// Not a path pattern that can be watched.
    BadGlob,
    /// The same list item twice.
    DuplicateItem,
    /// The file is not UTF-8.
    NotUtf8,
    /// The file is too long.
    TooLong,
    /// Not a host or an address, with a port.
    BadAddress,
    /// Not an actor's id.
    BadActor,
    /// Not a credential.
    BadCredential,
    /// Not a program.
    BadProgram,
    /// Not a destination.
    BadDestination,
    /// Not a time of the week.
    BadTime,
    /// Not a date.
    BadDate,
    /// Two purposes of one name.
    DuplicatePurpose,
}

impl Code {
    /// All of them, in the order of their numbers: `C` of every file, `P` of files with purposes. Numbers are never reused.
    pub const ALL: [(Code, &'static str); 28] = [
        (Code::Syntax, "C001"),
        (Code::DuplicateKey, "C002"),
        (Code::UnknownKey, "C003"),
        (Code::RetiredKey, "C004"),
        (Code::WrongType, "C005"),
        (Code::MissingKey, "C006"),
        (Code::BadDuration, "C007"),
        (Code::BadSize, "C008"),
        (Code::OutOfRange, "C009"),
        (Code::BadPath, "C010"),
        (Code::BadCgroup, "C011"),
        (Code::TooMany, "C012"),
        (Code::BadWord, "C013"),
        (Code::BadName, "C014"),
        (Code::DuplicateSink, "C015"),
        (Code::NotForThisType, "C016"),
        (Code::BadGlob, "C017"),
        (Code::DuplicateItem, "C018"),
        (Code::NotUtf8, "C019"),
        (Code::TooLong, "C020"),
        (Code::BadAddress, "C021"),
        (Code::BadActor, "P001"),
        (Code::BadCredential, "P002"),
        (Code::BadProgram, "P003"),
        (Code::BadDestination, "P004"),
        (Code::BadTime, "P005"),
        (Code::BadDate, "P006"),
        (Code::DuplicatePurpose, "P007"),
    ];

    /// `C001` and so on.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(code, _)| *code == self).map_or("C000", |(_, number)| number)
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Kind.
    pub code: Code,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The line, without what a terminal would obey.
    pub source: String,
    /// Number of characters that are meant, at least 1.
    pub width: usize,
}

/// All mistakes of a file, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    /// The file.
    pub name: String,
    /// The first 200; never empty.
    pub list: Vec<Diagnostic>,
    /// How many there are.
    pub count: usize,
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.list {
            let gutter = " ".repeat(mistake.line.to_string().len());
            writeln!(f, "error[{}]: {}", mistake.code.as_str(), mistake.message)?;
            writeln!(f, "{gutter}--> {}:{}:{}", self.name, mistake.line, mistake.column)?;
            writeln!(f, "{gutter} |")?;
            writeln!(f, "{} | {}", mistake.line, mistake.source)?;
            let indent = " ".repeat(mistake.column.saturating_sub(1));
            writeln!(f, "{gutter} | {indent}{}", "^".repeat(mistake.width))?;
            if let Some(help) = &mistake.help {
                writeln!(f, "{gutter} = {help}")?;
            }
            writeln!(f)?;
        }
        let count = self.count;
        if count > self.list.len() {
            writeln!(f, "… and {} more\n", count - self.list.len())?;
        }
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{}: {count} mistake{plural}", self.name)
    }
}

impl std::error::Error for Diagnostics {}

/// Collects mistakes while a file is read.
#[derive(Debug, Default)]
pub(crate) struct Report {
    found: Vec<(Range<usize>, Code, String, Option<String>)>,
}

impl Report {
    pub(crate) fn add(&mut self, code: Code, span: Range<usize>, message: impl Into<String>) {
        self.found.push((span, code, message.into(), None));
    }

    pub(crate) fn add_help(
        &mut self,
        code: Code,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.found.push((span, code, message.into(), Some(help.into())));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(crate) fn has(&self, code: Code) -> bool {
        self.found.iter().any(|(_, found, ..)| *found == code)
    }

    pub(crate) fn finish(mut self, name: &str, text: &str) -> Diagnostics {
        self.found.sort_by_key(|(span, code, ..)| (span.start, *code));
        let breaks = text.match_indices('\n').map(|(at, _)| at).collect::<Vec<_>>();
        let line = |span: &Range<usize>| breaks.partition_point(|at| *at < span.start);
        let broken = self.found.iter().filter(|(_, code, ..)| *code == Code::Syntax);
        let broken = broken.map(|(span, ..)| line(span)).collect::<BTreeSet<_>>();
        // What the parser made of a broken line is a guess, and complaints about a guess are noise.
        self.found.retain(|(span, code, ..)| *code == Code::Syntax || !broken.contains(&line(span)));
        let count = self.found.len();
        let list = self.found.into_iter().take(LIST_MAX).map(|(span, code, message, help)| {
            let (line, column, source, width) = locate(text, span);
            Diagnostic {
                code,
                line,
                column,
                message: visible(&message),
                help: help.map(|help| visible(&help)),
                source,
                width,
            }
        });
        Diagnostics { name: visible(name), list: list.collect(), count }
    }
}

/// Most mistakes that are shown.
const LIST_MAX: usize = 200;
/// Longest part of a line that is shown.
const SHOWN: usize = 200;

/// Line, column, the line itself, and how much of it is meant.
fn locate(text: &str, span: Range<usize>) -> (usize, usize, String, usize) {
    let start = floor(text, span.start);
    let end = floor(text, span.end).max(start);
    let before = text.get(..start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() + 1;
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    let source = text.get(line_start..).unwrap_or_default();
    let source = source.split('\n').next().unwrap_or_default().trim_end_matches('\r');
    let meant = text.get(start..end).unwrap_or_default();
    let meant = meant.split('\n').next().unwrap_or_default().trim_end();
    let width = meant.chars().count().clamp(1, SHOWN);
    let shown = source.chars().take(SHOWN.max(column + width)).collect::<String>();
    (line, column, visible(&shown), width)
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// One character for one character, so that columns stay, but none that a terminal obeys.
fn visible(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}
