//! What is kept of a chain, an actor or a credential for its line in a list.

use serde_json::Value;

use super::super::chain::Chain;
use super::super::style::{Line, Paint};
use super::super::{deeds, findings, list, words};
use crate::finding::Severity;
use crate::record::View;

/// Most credentials, programs and destinations kept of one row.
const EACH_MAX: usize = 32;

/// Different things, the first so many of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Few(Vec<String>, bool);

impl Few {
    pub(super) fn add(&mut self, text: &str) {
        if self.0.iter().any(|known| known == text) {
            return;
        }
        if self.0.len() < EACH_MAX { self.0.push(text.to_owned()) } else { self.1 = true }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// How many, `32+` where there was no room for more.
    pub(super) fn count(&self, one: &str, many: &str) -> String {
        let more = if self.1 { "+" } else { "" };
        format!("{}{more} {}", self.0.len(), if self.0.len() == 1 { one } else { many })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a row is found by.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    pub(super) actors: Vec<&'a str>,
    pub(super) credentials: Vec<&'a str>,
    pub(super) rest: Vec<&'a str>,
    pub(super) outside: bool,
    pub(super) found: bool,
}

/// What nobody may overlook.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    pub(super) outside: u64,
    pub(super) findings: u64,
    pub(super) gaps: u64,
    /// The gravest finding, of those the latest.
    worst: Option<(Option<Severity>, Paint, String)>,
}

impl Marks {
    pub(super) fn take(&mut self, view: &View) {
        match view.kind() {
            "finding" => {
                self.findings += u64::from(view.text("told") != Some("again"));
                let severity = view.text("severity").and_then(Severity::from_name);
                if self.worst.as_ref().is_none_or(|(known, _, _)| severity >= *known) {
                    let text = |name| view.text(name).unwrap_or("?");
                    let (paint, _) = findings::name(view);
                    self.worst = Some((severity, paint, format!("{} {}", text("severity"), text("kind"))));
                }
            }
            "gap" => self.gaps += 1,
            // What completes an action is judged with it.
            "action" if view.text("purpose.verdict") == Some("outside") => {
                self.outside += u64::from(view.at("completes").is_none() || self.outside == 0);
            }
            _ => {}
        }
    }

    fn line(&self, mut line: Line) -> Line {
        if let Some((_, paint, text)) = &self.worst {
            let more = if self.findings > 1 { format!(" +{}", self.findings - 1) } else { String::new() };
            line = line.put(*paint, &format!("! {text}{more}  "));
        }
        if self.outside > 0 {
            line = line.put(Paint::Bad, &format!("✗ {} outside  ", self.outside));
        }
        if self.gaps > 0 {
            line = line.put(Paint::Doubt, "! gap  ");
        }
        line
    }
}

/// A credential in a chain.
#[derive(Clone, Debug)]
struct Held {
    id: String,
    short: String,
    names: Vec<String>,
}

impl Held {
    fn new(value: &Value) -> Option<Self> {
        let id = words::text(value, "id")?.to_owned();
        let identifiers = value.get("identifiers").and_then(Value::as_object).into_iter().flatten();
        let identifiers = identifiers.filter_map(|(_, value)| value.as_str());
        let names = words::text(value, "path").into_iter().chain(identifiers).take(EACH_MAX);
        Some(Held { short: words::short(value), names: names.map(str::to_owned).collect(), id })
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.id.as_str()).chain(self.names.iter().map(String::as_str))
    }
}

/// A chain.
#[derive(Clone, Debug, Default)]
pub(super) struct ChainRow {
    pub(super) actor: String,
    user: String,
    /// Its first process.
    pub(super) root: String,
    /// How it ended; [`None`] while it is open.
    ended: Option<(Paint, String)>,
    credentials: Vec<Held>,
    programs: Few,
    /// To where, attempts, established.
    destinations: Vec<(String, u64, u64)>,
    pub(super) marks: Marks,
}

impl ChainRow {
    /// One of its records.
    pub(super) fn take(&mut self, view: &View) {
        for (path, field) in
            [("actor.id", &mut self.actor), ("actor.user", &mut self.user), ("root.id", &mut self.root)]
        {
            // What the chain says of itself holds for all of it; an action or a finding may be of another.
            if (view.kind() == "chain" || field.is_empty())
                && let Some(text) = view.text(path)
            {
                text.clone_into(field);
            }
        }
        self.marks.take(view);
        match view.kind() {
            "action" => self.acted(view),
            "chain" if view.text("status") == Some("opened") => {
                self.marks.gaps += u64::from(!view.list("gaps").is_empty());
            }
            "chain" if view.text("status") == Some("closed") => self.closed(view),
            _ => {}
        }
    }

    fn acted(&mut self, view: &View) {
        if self.root.is_empty() {
            view.text("process.id").unwrap_or_default().clone_into(&mut self.root);
        }
        view.list("credential").iter().for_each(|credential| self.holds(credential));
        match view.text("action") {
            Some("exec") => {
                if let Some(exe) = view.text("process.exe") {
                    self.programs.add(words::base(exe));
                }
            }
            Some("connect" | "send") => {
                let to = view.at("destination").map(words::address).unwrap_or_default();
                let tried = view.attempts();
                let there = matches!(view.text("outcome"), Some("established" | "sent"));
                let established = if there { view.times() } else { 0 };
                let room = self.destinations.len() < EACH_MAX;
                match self.destinations.iter_mut().find(|(known, _, _)| *known == to) {
                    Some((_, tries, successes)) => {
                        *tries = tries.saturating_add(tried);
                        *successes = successes.saturating_add(established);
                    }
                    None if room => {
                        self.destinations.push((to, tried, established));
                    }
                    None => {}
                }
            }
            _ => {}
        }
    }

    fn holds(&mut self, credential: &Value) {
        let known = |id: &str| self.credentials.iter().any(|held| held.id == id);
        if let Some(held) = Held::new(credential)
            && !known(&held.id)
            && self.credentials.len() < EACH_MAX
        {
            self.credentials.push(held);
        }
    }

    /// Its end tells the whole.
    fn closed(&mut self, view: &View) {
        let chain = Chain::new(String::new(), vec![view.clone()]);
        self.ended = Some(list::status(&chain));
        for name in ["summary.credentials", "summary.written"] {
            view.list(name).iter().for_each(|credential| self.holds(credential));
        }
        self.destinations = chain.destinations().into_iter().take(EACH_MAX).collect();
        if let Some(([_, outside, _], _)) = chain.verdicts() {
            self.marks.outside = outside;
        }
        self.marks.gaps = self.marks.gaps.max(u64::from(!view.list("summary.gaps").is_empty()));
    }

    pub(super) fn is_open(&self) -> bool {
        self.ended.is_none()
    }

    pub(super) fn status(&self) -> (Paint, String) {
        self.ended.clone().unwrap_or((Paint::Strong, "open".to_owned()))
    }

    pub(super) fn holds_id(&self, id: &str) -> bool {
        self.credentials.iter().any(|held| held.id == id)
    }

    pub(super) fn names<'a>(&'a self, id: &'a str) -> Names<'a> {
        Names {
            actors: vec![&self.actor, &self.user],
            credentials: self.credentials.iter().flat_map(Held::all).collect(),
            rest: std::iter::once(id)
                .chain(self.programs.all())
                .chain(self.destinations.iter().map(|(to, _, _)| to.as_str()))
                .collect(),
            outside: self.marks.outside > 0,
            found: self.marks.worst.is_some(),
        }
    }

    /// What it did, the gravest first: a line is cut at its end.
    pub(super) fn did(&self) -> Line {
        let mut line = self.marks.line(Line::new());
        for held in &self.credentials {
            line = line.plain(&held.short).plain("  ");
        }
        for (to, tries, established) in &self.destinations {
            let (paint, text) = match *established {
                0 => (Paint::Bad, format!("→ {to} failed  ")),
                all if all == *tries => (Paint::Good, format!("→ {to}  ")),
                some => (Paint::Plain, format!("→ {to} ({some} of {tries})  ")),
            };
            line = line.put(paint, &text);
        }
        let programs: Vec<&str> = self.programs.all().collect();
        line.faint(&programs.join(" "))
    }
}

/// An actor, or a credential, as far as it was seen here.
#[derive(Clone, Debug, Default)]
pub(super) struct EntryRow {
    /// Of an actor its user; of a credential its kind and name.
    pub(super) label: String,
    /// What a credential is called beside its id.
    names: Vec<String>,
    /// Of an actor its credentials, of a credential its actors.
    others: Few,
    destinations: Few,
    pub(super) marks: Marks,
    /// What was done last.
    last: Option<Line>,
}

impl EntryRow {
    /// A record that is of this actor.
    pub(super) fn of_actor(&mut self, view: &View) {
        view.text("actor.user").unwrap_or_default().clone_into(&mut self.label);
        let credentials = view.list("credential").iter().chain(view.list("summary.credentials"));
        let credentials = credentials.chain(view.list("credentials"));
        credentials.filter_map(|one| words::text(one, "id")).for_each(|id| self.others.add(id));
        self.saw(view);
    }

    /// A record that is of this credential.
    pub(super) fn of_credential(&mut self, credential: &Value, view: &View) {
        if let Some(held) = Held::new(credential) {
            (self.label, self.names) = (held.short, held.names);
        }
        let told = view.list("actors").iter().filter_map(|one| words::text(one, "id"));
        view.text("actor.id").into_iter().chain(told).for_each(|actor| self.others.add(actor));
        self.saw(view);
    }

    fn saw(&mut self, view: &View) {
        self.marks.take(view);
        if view.kind() == "action" {
            if let Some(to) = view.at("destination").filter(|_| view.text("action") != Some("accept")) {
                self.destinations.add(&words::address(to));
            }
            self.last = Some(deeds::deed(view, true));
        }
    }

    pub(super) fn names<'a>(&'a self, id: &'a str, is_actor: bool) -> Names<'a> {
        let own = std::iter::once(id).chain(self.names.iter().map(String::as_str));
        let own = own.chain([self.label.as_str()]).collect();
        let others = self.others.all().collect();
        let (actors, credentials) = if is_actor { (own, others) } else { (others, own) };
        Names {
            actors,
            credentials,
            rest: self.destinations.all().collect(),
            outside: self.marks.outside > 0,
            found: self.marks.worst.is_some(),
        }
    }

    /// What it had to do with, the gravest first. `chains`: those of it that are listed, and how many of them are open.
    pub(super) fn did(&self, is_actor: bool, (chains, open): (usize, usize)) -> Line {
        let line = self.marks.line(Line::new());
        let line = match (chains, open) {
            (0, _) => line,
            (1, 0) => line.plain("1 chain  "),
            (1, _) => line.plain("1 chain, ").put(Paint::Strong, "open  "),
            (_, 0) => line.plain(&format!("{chains} chains  ")),
            _ => line.plain(&format!("{chains} chains, ")).put(Paint::Strong, &format!("{open} open  ")),
        };
        let line = match (is_actor, self.others.is_empty()) {
            (_, true) => line,
            (true, _) => line.plain(&self.others.count("credential", "credentials")).plain("  "),
            (false, _) => line.plain(&self.others.count("actor", "actors")).plain("  "),
        };
        let line = match self.destinations.is_empty() {
            true => line,
            false => line.plain(&self.destinations.count("destination", "destinations")).plain("  "),
        };
        match &self.last {
            Some(last) => line.faint("last ").then(last.clone()),
            None if self.others.is_empty() => line.faint("never seen to be used"),
            None => line,
        }
    }
}
