//! The inventory as text: a block for each actor or credential.

use super::remarks::Same;
use super::row::{Row, Some64};
use super::{DAY_NS, Entry, HUMAN, Of, Query, Seen, day, minute};
use crate::report::style::{Line, Paint, Style, head, tail};

/// Most of anything shown in a block; one entry by its id, and `--json`, have more.
const SHOWN: usize = 6;
/// Where what is said begins.
const INDENT: usize = 2;
const LABEL: usize = 13;

pub(super) fn page(
    seen: &Seen,
    entries: &[Entry<'_>],
    query: &Query,
    same: &Same<'_>,
    style: &Style,
) -> String {
    let mut out = String::new();
    let asked = query.remark.is_some() || query.unused || query.since_ns.is_some();
    if entries.is_empty() {
        let what = query.of.name();
        return if asked && !seen.rows(query.of).is_empty() {
            format!("no {what} of those that are known are as asked for\n")
        } else {
            format!("no {what}: nothing is stored of that time\n")
        };
    }
    Line::new().put(Paint::Strong, &summary(entries, query.of)).end(style, &mut out);
    let since = seen.watched_since_ns.map(minute).unwrap_or_default();
    let watched = format!("watched since {since}, as of {} UTC", minute(seen.as_of_ns));
    Line::new().faint(&watched).end(style, &mut out);
    for entry in entries {
        out.push('\n');
        Block { style, shown: SHOWN, out: &mut out }.entry(seen, entry, query.of, same);
    }
    cut_off(seen, query.of, style, &mut out);
    out
}

fn summary(entries: &[Entry<'_>], of: Of) -> String {
    let count = |is: &dyn Fn(&Entry<'_>) -> bool| entries.iter().filter(|entry| is(entry)).count();
    let remarked = count(&|entry| !entry.remarks.is_empty());
    match of {
        Of::Actors => {
            let people = count(&|entry| entry.row.kind == HUMAN);
            let services = entries.len() - people;
            format!("service accounts: {services}, sessions of people: {people}, with a remark: {remarked}")
        }
        Of::Credentials => {
            let unused = count(&|entry| entry.row.last_ns().is_none());
            format!("credentials: {}, never used: {unused}, with a remark: {remarked}", entries.len())
        }
    }
}

/// What is not in it.
fn cut_off(seen: &Seen, of: Of, style: &Style, out: &mut String) {
    let left_out = |name: &str| seen.left_out.get(name).copied().unwrap_or(0);
    let mut counts = vec![
        (seen.rows_refused, "actions of further actors or credentials, which found no room"),
        (seen.accesses_forgotten, "accesses so long ago that connections after them are not told"),
        (seen.unreadable, "records that cannot be read"),
    ];
    match of {
        Of::Actors => counts.push((left_out("actors_forgotten"), "actors forgotten for want of room")),
        Of::Credentials => counts.extend([
            (left_out("credentials_forgotten"), "credentials forgotten for want of room"),
            (left_out("files_refused") + left_out("files_unlisted"), "files with credentials are too many"),
            (left_out("directories_unlisted"), "directories of credentials were not looked into"),
        ]),
    }
    for (count, text) in counts {
        if count != 0 {
            Line::new().put(Paint::Doubt, &format!("! {count} {text}")).end(style, out);
        }
    }
}

/// What is being written of one entry.
pub(super) struct Block<'a> {
    pub(super) style: &'a Style,
    /// Most of anything.
    pub(super) shown: usize,
    pub(super) out: &'a mut String,
}

impl Block<'_> {
    fn wide(&self) -> usize {
        if self.style.width == 0 { 160 } else { self.style.width.max(60) }
    }

    fn room(&self) -> usize {
        self.wide() - INDENT - LABEL
    }

    pub(super) fn told(&mut self, label: &str, paint: Paint, text: &str) {
        let line = Line::new().to(INDENT).faint(label).to(INDENT + LABEL);
        line.put(paint, &head(text, self.room())).end(self.style, self.out);
    }

    /// Over as many lines as it takes: a remark that is cut tells half.
    fn wrapped(&mut self, label: &str, paint: Paint, text: &str) {
        let room = self.room();
        let (mut line, mut label) = (String::new(), label);
        for word in text.split(' ') {
            let fits = line.is_empty() || line.chars().count() + 1 + word.chars().count() <= room;
            if !fits {
                self.told(label, paint, &line);
                label = "";
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&tail(word, room));
        }
        self.told(label, paint, &line);
    }

    pub(super) fn entry(&mut self, seen: &Seen, entry: &Entry<'_>, of: Of, same: &Same<'_>) {
        let Entry { id, row, remarks } = entry;
        let name = tail(id, self.wide());
        Line::new().put(Paint::Strong, &name).end(self.style, self.out);
        for (number, remark) in remarks.iter().enumerate() {
            self.wrapped(if number == 0 { "remarks" } else { "" }, Paint::Doubt, &remark.line());
        }
        self.told("kind", Paint::Plain, &kind(row));
        self.used(seen, row, of);
        if of == Of::Credentials {
            self.lies(seen, row);
        }
        if !row.last_program.is_empty() {
            let program = tail(&row.last_program, self.room());
            self.told("last by", Paint::Plain, &program);
        }
        match of {
            Of::Actors => {
                self.list("origin", &row.ways);
                self.list("user", &row.users);
                self.list("credentials", &row.others);
            }
            Of::Credentials => {
                self.list("as user", &row.users);
                self.list("actors", &row.others);
            }
        }
        self.list("people", &row.people);
        // One program is told already: it was the last.
        if row.programs.len() > 1 {
            self.list("programs", &row.programs);
        }
        for (name, value) in row.identifiers.iter().take(self.shown) {
            self.told(name, Paint::Plain, value);
        }
        // Of two, the remark names the other.
        let others = same.secret_as(id, row);
        let several = of == Of::Credentials && others.len() > 1;
        for (number, other) in others.iter().take(self.shown).enumerate().filter(|_| several) {
            self.told(if number == 0 { "same secret" } else { "" }, Paint::Plain, other);
        }
        self.destinations(row);
    }

    fn used(&mut self, seen: &Seen, row: &Row, of: Of) {
        let text = match row.times.span {
            Some((first, last)) if minute(first) == minute(last) => format!("{} UTC", minute(last)),
            Some((first, last)) => format!("first {}, last {} UTC", minute(first), minute(last)),
            None => {
                let known = row.known_ns.map(|known| format!("; known since {} UTC", minute(known)));
                let since = seen.watched_since_ns.map(day).unwrap_or_default();
                format!("never since {since}{}", known.unwrap_or_default())
            }
        };
        let runs = match row.runs() {
            0 => String::new(),
            1 => ", 1 run".to_owned(),
            more => format!(", {more} runs"),
        };
        let label = if of == Of::Actors { "acted" } else { "used" };
        self.told(label, Paint::Plain, &format!("{text}{runs}"));
    }

    fn lies(&mut self, seen: &Seen, row: &Row) {
        let room = self.room();
        let paths = row.ways.names().take(self.shown);
        for (number, path) in paths.enumerate() {
            let place = row.files.get(path);
            let place = place.map(|place| format!("  {:04o} owner {}", place.mode & 0o7777, place.owner));
            let place = place.unwrap_or_default();
            let path = tail(path, room.saturating_sub(place.chars().count()));
            self.told(if number == 0 { "lies at" } else { "" }, Paint::Plain, &format!("{path}{place}"));
        }
        self.more(row.ways.len(), row.ways.refused);
        if let Some(written) = row.written_ns {
            let days = seen.as_of_ns.saturating_sub(written) / DAY_NS;
            let rotated = match row.versions() {
                0 | 1 => String::new(),
                versions => format!(", {versions} versions seen"),
            };
            self.told("written", Paint::Plain, &format!("{}, {days} days old{rotated}", minute(written)));
        }
        if let Some(expires) = row.expires_ns {
            self.told("expires", Paint::Plain, &format!("{} UTC", minute(expires)));
        }
    }

    fn destinations(&mut self, row: &Row) {
        for (number, (to, tries)) in row.destinations.values.iter().take(self.shown).enumerate() {
            let label = if number == 0 { "destinations" } else { "" };
            let (paint, text) = match tries.established {
                0 => (Paint::Bad, format!("→ {to} (0 of {})", tries.all)),
                some => (Paint::Good, format!("→ {to} ({some} of {})", tries.all)),
            };
            self.told(label, paint, &text);
        }
        self.more(row.destinations.len(), row.destinations.refused);
    }

    fn list<T>(&mut self, label: &str, values: &Some64<T>) {
        let room = self.room();
        for (number, value) in values.values.keys().take(self.shown).enumerate() {
            self.told(if number == 0 { label } else { "" }, Paint::Plain, &tail(value, room));
        }
        self.more(values.values.len(), values.refused);
    }

    /// What is not shown is said.
    pub(super) fn more(&mut self, known: usize, refused: u64) {
        let hidden = known.saturating_sub(self.shown);
        if refused != 0 {
            self.told("", Paint::Faint, &format!("and more than {hidden} more"));
        } else if hidden != 0 {
            self.told("", Paint::Faint, &format!("and {hidden} more"));
        }
    }
}

fn kind(row: &Row) -> String {
    let mut text = row.kind.clone();
    if !matches!(row.issuer.as_str(), "" | "any" | "self") {
        text.push_str(&format!(", issued by {}", row.issuer));
    }
    match row.lifetime.as_str() {
        "" => {}
        "long-lived" => text.push_str(", lives until it is replaced"),
        other => text.push_str(&format!(", {other}")),
    }
    text
}
