//! Files of purposes: read, held against what they may say, and put together. All mistakes of all files are told at once.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::keys::{KEYS, SECTIONS};
use super::overlap::overlaps;
use super::pattern::{
    ActorPattern, CredentialPattern, DestinationPattern, ProgramPattern, Window, claims_nobody, expiry,
};
use super::{Fault, Purpose, Purposes};
use crate::config::raw::{self, Table};
use crate::config::{Code, Diagnostics, Report, TEXT_MAX, is_name};

/// Most items of a list.
const ITEMS_MAX: usize = 1_024;
/// Most items of all lists of all files, and most of them with wildcards, each of which costs memory.
const ALL_ITEMS_MAX: usize = 100_000;
const WILD_MAX: usize = 4_096;
/// Most purposes that are told because they claim nobody.
const IDLE_MAX: usize = 100;
/// Longest owner and ticket, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// A set that was read, and what its owners should look at though it is no mistake.
#[derive(Clone, Debug)]
pub struct Read {
    /// The set.
    pub purposes: Purposes,
    /// Purposes that claim nobody, and those of several owners that overlap.
    pub warnings: Vec<String>,
}

/// What is wrong, file by file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub Vec<Diagnostics>);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, file) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f, "\n")?;
            }
            write!(f, "{file}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// Whether a text says that it is a file of purposes, right or wrong.
#[must_use]
pub fn is_purposes(text: &str) -> bool {
    if text.len() as u64 > TEXT_MAX {
        return false;
    }
    let (tree, _) = toml::de::DeTable::parse_recoverable(text);
    tree.get_ref().iter().any(|(name, _)| name.get_ref() == "purpose")
}

/// Reads files, each its name and its text, as one set.
///
/// # Errors
/// Where any has any mistake; all mistakes of all files are told.
pub fn read(files: &[(&str, &str)]) -> Result<Read, Invalid> {
    let mut reader = Reader::default();
    let mut invalid = Vec::new();
    let mut hasher = blake3::Hasher::new();
    for (name, text) in files {
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        hasher.update(&length.to_le_bytes()).update(text.as_bytes());
        let mut report = Report::default();
        reader.file(name, text, &mut report);
        if !report.is_empty() {
            invalid.push(report.finish(name, text));
        }
    }
    if !invalid.is_empty() {
        return Err(Invalid(invalid));
    }
    let hash = hasher.finalize().to_hex();
    let id = format!("ps1:{}", hash.get(..16).unwrap_or_default());
    let purposes = Purposes::new(reader.purposes, id);
    let mut warnings = idle(&purposes);
    warnings.extend(overlaps(&purposes));
    Ok(Read { purposes, warnings })
}

/// One line for each purpose that claims no actor there can be.
fn idle(purposes: &Purposes) -> Vec<String> {
    let told = |purpose: &Purpose| {
        let why = claims_nobody(&purpose.actor)?;
        let (name, place) = (&purpose.name, &purpose.place);
        Some(format!("`{name}` ({}, {place}) judges nobody: `{}` {why}", purpose.owner, purpose.actor.text()))
    };
    let mut all = purposes.list.iter().filter_map(told);
    let mut idle: Vec<String> = all.by_ref().take(IDLE_MAX).collect();
    let more = all.count();
    if more > 0 {
        idle.push(format!("and {more} more purposes that judge nobody"));
    }
    idle
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    purposes: Vec<Purpose>,
    /// Names, and where they were.
    names: HashMap<String, String>,
    count: usize,
    items: usize,
    wild: usize,
}

impl Reader {
    fn file(&mut self, name: &str, text: &str, report: &mut Report) {
        if text.len() as u64 > TEXT_MAX {
            report.add(Code::TooLong, 0..0, "the file is longer than 1 MiB");
            return;
        }
        for table in raw::read(text, SECTIONS, KEYS, report) {
            self.count += 1;
            if self.count > Purposes::MAX {
                let message = format!("there are more than {} purposes", Purposes::MAX);
                report.add(Code::TooMany, table.span.clone(), message);
                return;
            }
            if !self.has_room(&table, report) {
                return;
            }
            let before = text.get(..table.span.start).unwrap_or_default();
            let place = format!("{name}:{}", before.matches('\n').count() + 1);
            self.purpose(&table, &place, report);
        }
    }

    fn has_room(&mut self, table: &Table, report: &mut Report) -> bool {
        let lists = ["programs", "credentials", "destinations", "times"].map(|key| table.list(key));
        let items = || lists.iter().flat_map(|list| list.iter());
        self.items += items().count();
        self.wild += items()
            .filter(|item| item.value.contains('/') && item.value.contains(['*', '?', '[', '{']))
            .count();
        for (count, most, what) in
            [(self.items, ALL_ITEMS_MAX, "items"), (self.wild, WILD_MAX, "paths with wildcards")]
        {
            if count > most {
                let message = format!("there are more than {most} {what} in all files up to here");
                report.add(Code::TooMany, table.span.clone(), message);
                return false;
            }
        }
        true
    }

    fn purpose(&mut self, table: &Table, place: &str, report: &mut Report) {
        let name = self.name(table, place, report);
        let owner = words(table, "owner", report);
        let ticket = words(table, "ticket", report);
        let actor = one(table, "actor", Code::BadActor, ActorPattern::parse, report);
        let expires = one(table, "expires", Code::BadDate, expiry, report);
        let programs = list(table, "programs", Code::BadProgram, ProgramPattern::parse, report);
        let credentials = list(table, "credentials", Code::BadCredential, CredentialPattern::parse, report);
        let destinations =
            list(table, "destinations", Code::BadDestination, DestinationPattern::parse, report);
        let times = list(table, "times", Code::BadTime, Window::parse, report);
        if let Some(at) = table.mentions("times").filter(|_| table.list("times").is_empty()) {
            report.add(Code::OutOfRange, at, "`times` lists none: leave it away for any time");
        }
        for key in ["name", "actor", "owner", "programs"] {
            missing(table, key, report);
        }
        if let (Some(name), Some(owner), Some(actor)) = (name, owner, actor) {
            let name = Arc::from(name.as_str());
            let place = place.to_owned();
            self.purposes.push(Purpose {
                name,
                owner,
                ticket,
                actor,
                credentials,
                programs,
                destinations,
                times,
                expires,
                place,
            });
        }
    }

    fn name(&mut self, table: &Table, place: &str, report: &mut Report) -> Option<String> {
        let (name, span) = table.text("name")?;
        if !is_name(name) {
            let message = format!("`{name}` is not a name for a purpose");
            report.add_help(Code::BadName, span, message, "1 to 64 of a-z, 0-9 and -");
            return None;
        }
        if let Some(other) = self.names.insert(name.to_owned(), place.to_owned()) {
            let message = format!("another purpose is called `{name}` already: {other}");
            report.add(Code::DuplicatePurpose, span, message);
        }
        Some(name.to_owned())
    }
}

fn missing(table: &Table, key: &str, report: &mut Report) {
    // After a syntax error the key may only have been lost on the way.
    let Some(at) = table.mentions(key) else {
        if !report.has(Code::Syntax) {
            report.add(Code::MissingKey, table.span.clone(), format!("this purpose has no `{key}`"));
        }
        return;
    };
    if key == "programs" && table.list(key).is_empty() && !report.has(Code::WrongType) {
        report.add_help(
            Code::OutOfRange,
            at,
            "without a program nothing is allowed",
            "`programs = [\"any\"]` is every program",
        );
    }
}

/// Words for a person, on one line.
fn words(table: &Table, key: &str, report: &mut Report) -> Option<String> {
    let (text, span) = table.text(key)?;
    let text = text.trim();
    if text.is_empty() || text.len() > TEXT_BYTES_MAX || text.contains(char::is_control) {
        report.add(Code::OutOfRange, span, format!("`{key}` is 1 to {TEXT_BYTES_MAX} bytes on one line"));
        return None;
    }
    Some(text.to_owned())
}

fn one<T>(
    table: &Table,
    key: &str,
    code: Code,
    parse: impl Fn(&str) -> Result<T, Fault>,
    report: &mut Report,
) -> Option<T> {
    let (text, span) = table.text(key)?;
    told(text, span, code, &parse, report)
}

fn list<T>(
    table: &Table,
    key: &str,
    code: Code,
    parse: impl Fn(&str) -> Result<T, Fault>,
    report: &mut Report,
) -> Vec<T> {
    let items = table.list(key);
    if let Some(first) = items.get(ITEMS_MAX) {
        report.add(Code::TooMany, first.span.clone(), format!("`{key}` lists more than {ITEMS_MAX}"));
    }
    let mut good = Vec::new();
    let mut seen = BTreeSet::new();
    for item in items.iter().take(ITEMS_MAX) {
        if seen.insert(&item.value) {
            good.extend(told(&item.value, item.span.clone(), code, &parse, report));
        } else {
            report.add(Code::DuplicateItem, item.span.clone(), format!("`{}` is listed twice", item.value));
        }
    }
    good
}

fn told<T>(
    text: &str,
    span: Range<usize>,
    code: Code,
    parse: impl Fn(&str) -> Result<T, Fault>,
    report: &mut Report,
) -> Option<T> {
    parse(text).map_err(|fault| report.add(code, span, format!("`{text}` {fault}"))).ok()
}
