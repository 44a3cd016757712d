//! The inventory: which actors and credentials this host has shown, and what each had to do with which.
//!
//! Made anew from the stored actions each time it is asked for. It tells what was *seen*: a credential that nobody used
//! is not in it, and its age is not known, only since when it was seen.

mod page;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::style::Style;
use super::words;
use crate::record::View;
use crate::store::{Reader, StoreError};

/// Most actors, and most credentials.
const ROWS_MAX: usize = 10_000;
/// Most of anything told of one of them.
const EACH_MAX: usize = 64;
/// Most accesses that later connections are tied to: of more, the latest.
const ACCESSES_MAX: usize = 65_536;
/// Records read at a time.
const BATCH: usize = 1_024;

/// Which half of the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Who acted.
    Actors,
    /// What was used.
    Credentials,
}

/// Values seen with something, up to a bound, and how many times one more was refused.
#[derive(Debug, Default)]
struct Some64 {
    values: BTreeSet<String>,
    refused: u64,
}

impl Some64 {
    fn add(&mut self, value: &str) {
        if self.values.contains(value) {
            return;
        }
        if self.values.len() < EACH_MAX {
            self.values.insert(value.to_owned());
        } else {
            self.refused += 1;
        }
    }
}

/// An actor or a credential, and what it had to do with.
#[derive(Debug)]
struct Row {
    kind: String,
    since_ns: i64,
    last_ns: i64,
    last_program: String,
    actions: u64,
    runs: Some64,
    /// Of an actor its origins, of a credential its paths.
    ways: Some64,
    users: Some64,
    programs: Some64,
    /// Of an actor its credentials, of a credential its actors.
    others: Some64,
    destinations: BTreeMap<String, Tries>,
    destinations_refused: u64,
    identifiers: BTreeMap<String, String>,
    human: bool,
    /// A file that others than its owner may read.
    readable: bool,
}

/// Attempts to reach a destination.
#[derive(Clone, Copy, Debug, Default)]
struct Tries {
    all: u64,
    established: u64,
}

/// What was seen, so far.
#[derive(Debug, Default)]
struct Inventory {
    actors: BTreeMap<String, Row>,
    credentials: BTreeMap<String, Row>,
    /// Credentials of the action of that number.
    accesses: BTreeMap<u64, Vec<String>>,
    accesses_forgotten: u64,
    rows_refused: u64,
    unreadable: u64,
}

/// The inventory of a store as people read it; of actions at `since_ns` or later, ns since 1970.
///
/// # Errors
/// [`StoreError`] where the store cannot be read.
pub fn inventory(
    reader: &Reader,
    of: Of,
    since_ns: Option<i64>,
    style: &Style,
) -> Result<String, StoreError> {
    Ok(page::page(&read(reader, since_ns)?, of, style))
}

/// The same as JSON, one object a line.
///
/// # Errors
/// [`StoreError`] where the store cannot be read.
pub fn inventory_json(reader: &Reader, of: Of, since_ns: Option<i64>) -> Result<String, StoreError> {
    Ok(read(reader, since_ns)?.lines(of))
}

/// Of records that lie in no store.
#[cfg(test)]
pub(super) fn told_of(views: impl Iterator<Item = View>, of: Of) -> String {
    let mut seen = Inventory::default();
    views.for_each(|view| seen.add(&view, i64::MIN));
    seen.lines(of)
}

fn read(reader: &Reader, since_ns: Option<i64>) -> Result<Inventory, StoreError> {
    let (mut seen, mut last) = (Inventory::default(), 0);
    loop {
        let records = reader.after(last, BATCH)?;
        for record in &records {
            last = last.max(record.seq);
            match View::parse(&record.body) {
                Ok(view) => seen.add(&view, since_ns.unwrap_or(i64::MIN)),
                Err(_) => seen.unreadable += 1,
            }
        }
        if records.len() < BATCH {
            return Ok(seen);
        }
    }
}

impl Inventory {
    fn add(&mut self, view: &View, since_ns: i64) {
        if view.kind() != "action" {
            return;
        }
        let Some(actor) = view.text("actor.id") else { return };
        let own: Vec<&Value> = view.list("credential").iter().collect();
        let ids: Vec<String> =
            own.iter().filter_map(|one| words::text(one, "id")).take(EACH_MAX).map(str::to_owned).collect();
        let linked = self.linked(view);
        if !ids.is_empty() {
            self.remember(view.seq(), &ids);
        }
        // What was opened before is what later connections are tied to; it is not told itself.
        if view.time_ns() < since_ns {
            return;
        }
        if let Some(row) = row(&mut self.actors, &mut self.rows_refused, actor, view) {
            row.kind = view.text("actor.kind").unwrap_or_default().to_owned();
            row.saw(view);
            view.text("actor.origin").into_iter().for_each(|origin| row.ways.add(origin));
            ids.iter().for_each(|id| row.others.add(id));
            row.reached(view);
        }
        for (id, credential) in ids.iter().zip(own) {
            if let Some(row) = row(&mut self.credentials, &mut self.rows_refused, id, view) {
                row.is(credential);
                row.used(view, actor);
            }
        }
        for id in linked {
            if let Some(row) = self.credentials.get_mut(&id) {
                row.reached(view);
            }
        }
    }

    /// Credentials that were opened or received before, where an action says that it came after.
    fn linked(&self, view: &View) -> BTreeSet<String> {
        let of = view.list("link.of").iter().filter_map(Value::as_u64);
        of.filter_map(|seq| self.accesses.get(&seq)).flatten().cloned().collect()
    }

    fn remember(&mut self, seq: u64, ids: &[String]) {
        if self.accesses.len() >= ACCESSES_MAX {
            self.accesses.pop_first();
            self.accesses_forgotten += 1;
        }
        self.accesses.insert(seq, ids.to_vec());
    }

    fn lines(&self, of: Of) -> String {
        self.sorted(of).iter().map(|(id, row)| format!("{}\n", row.json(id, of))).collect()
    }

    /// Service accounts before people; whoever acted last comes first.
    fn sorted(&self, of: Of) -> Vec<(&String, &Row)> {
        let rows = match of {
            Of::Actors => &self.actors,
            Of::Credentials => &self.credentials,
        };
        let mut rows: Vec<_> = rows.iter().collect();
        rows.sort_by_key(|(_, row)| (row.kind == HUMAN, std::cmp::Reverse(row.last_ns)));
        rows
    }
}

/// The kind of actor that is a person.
const HUMAN: &str = "human-session";

/// The row of an id, made where there is room.
fn row<'a>(
    rows: &'a mut BTreeMap<String, Row>,
    refused: &mut u64,
    id: &str,
    view: &View,
) -> Option<&'a mut Row> {
    if !rows.contains_key(id) && rows.len() >= ROWS_MAX {
        *refused += 1;
        return None;
    }
    Some(rows.entry(id.to_owned()).or_insert_with(|| Row::new(view.time_ns())))
}

impl Row {
    fn new(since_ns: i64) -> Self {
        Row {
            kind: String::new(),
            since_ns,
            last_ns: since_ns,
            last_program: String::new(),
            actions: 0,
            runs: Some64::default(),
            ways: Some64::default(),
            users: Some64::default(),
            programs: Some64::default(),
            others: Some64::default(),
            destinations: BTreeMap::new(),
            destinations_refused: 0,
            identifiers: BTreeMap::new(),
            human: false,
            readable: false,
        }
    }

    /// Who acted, when, by which program.
    fn saw(&mut self, view: &View) {
        self.actions += 1;
        self.last_ns = self.last_ns.max(view.time_ns());
        let program = view.text("process.script").or_else(|| view.text("process.exe")).unwrap_or("?");
        self.programs.add(program);
        program.clone_into(&mut self.last_program);
        view.text("run").into_iter().for_each(|run| self.runs.add(run));
        view.text("actor.user").into_iter().for_each(|user| self.users.add(user));
        self.human |= view.text("actor.kind") == Some(HUMAN)
            || view.text("actor.origin").is_some_and(|origin| origin.starts_with("human:"));
    }

    /// A credential, and where it lies.
    fn is(&mut self, credential: &Value) {
        words::text(credential, "kind").unwrap_or_default().clone_into(&mut self.kind);
        words::text(credential, "path").into_iter().for_each(|path| self.ways.add(path));
        let identifiers = credential.get("identifiers").and_then(Value::as_object);
        for (name, value) in identifiers.into_iter().flatten() {
            if self.identifiers.len() < EACH_MAX {
                self.identifiers.insert(name.clone(), value.as_str().unwrap_or_default().to_owned());
            }
        }
    }

    fn used(&mut self, view: &View, actor: &str) {
        self.saw(view);
        self.others.add(actor);
        let mode = view.text("file.mode").and_then(|mode| u32::from_str_radix(mode, 8).ok());
        // A socket's mode says who may ask, which is what sockets are for.
        let file = view.text("destination.path").is_none();
        self.readable |= file && mode.is_some_and(|mode| mode & 0o044 != 0);
    }

    fn reached(&mut self, view: &View) {
        let Some(destination) = view.at("destination") else { return };
        if view.text("action") == Some("accept") {
            return;
        }
        let to = words::address(destination);
        if !self.destinations.contains_key(&to) && self.destinations.len() >= EACH_MAX {
            self.destinations_refused += 1;
            return;
        }
        let tries = self.destinations.entry(to).or_default();
        tries.all += 1;
        tries.established += u64::from(matches!(view.text("outcome"), Some("established" | "sent")));
    }

    /// What an auditor would ask about, by the number of the OWASP list of 2025 where it has one.
    fn remarks(&self, of: Of) -> Vec<&'static str> {
        let mut remarks = Vec::new();
        if of == Of::Credentials && self.others.values.len() > 1 {
            remarks.push("used by several actors (NHI9:2025)");
        }
        if self.human && self.kind != HUMAN {
            remarks.push("used by a person (NHI10:2025)");
        }
        if self.readable {
            remarks.push("readable by others than its owner");
        }
        remarks
    }

    fn json(&self, id: &str, of: Of) -> Value {
        let (ways, others) = match of {
            Of::Actors => ("origins", "credentials"),
            Of::Credentials => ("paths", "actors"),
        };
        let destinations: Vec<Value> = self
            .destinations
            .iter()
            .map(|(to, tries)| json!({"to": to, "tried": tries.all, "established": tries.established}))
            .collect();
        let not_told = self.programs.refused + self.others.refused + self.ways.refused + self.users.refused;
        json!({
            "id": id, "kind": self.kind,
            "seen_since": crate::record::rfc3339(self.since_ns), "last": crate::record::rfc3339(self.last_ns),
            "last_program": self.last_program, "actions": self.actions, "runs": self.runs.values.len(),
            ways: self.ways.values, "users": self.users.values, "programs": self.programs.values,
            others: self.others.values, "identifiers": self.identifiers, "destinations": destinations,
            "human": self.human, "remarks": self.remarks(of),
            "not_told": not_told + self.destinations_refused + self.runs.refused,
        })
    }
}
