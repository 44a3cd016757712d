//! A chain's records, and what they say together.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::words;
use crate::record::{View, nanoseconds};

/// Verdicts, as they are told.
pub(super) const VERDICTS: [&str; 3] = ["within", "outside", "undeclared"];

/// A chain's records, read.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) id: String,
    pub(super) records: Vec<View>,
    pub(super) since_ns: i64,
}

/// A credential as a chain has it.
#[derive(Debug)]
pub(super) struct Used<'a> {
    /// As it was told first.
    pub(super) credential: &'a Value,
    /// Where it lay.
    pub(super) paths: Vec<&'a str>,
    /// What it held, one after the other.
    pub(super) versions: Vec<&'a str>,
}

impl Used<'_> {
    /// How often it was replaced meanwhile, where it was.
    pub(super) fn rotated(&self) -> Option<String> {
        (self.versions.len() > 1).then(|| format!("{} versions", self.versions.len()))
    }
}

impl Chain {
    pub(super) fn new(id: String, records: Vec<View>) -> Self {
        let closed = records.iter().find(|view| view.text("status") == Some("closed"));
        // Where retention has taken its beginning, its end still tells when that was.
        let since = closed.and_then(|view| nanoseconds(view.text("since")?));
        let first = records.first().map(View::time_ns);
        let since_ns = since.into_iter().chain(first).min().unwrap_or(0);
        Self { id, records, since_ns }
    }

    /// The last record of that status.
    fn status(&self, status: &str) -> Option<&View> {
        self.records.iter().rfind(|view| view.kind() == "chain" && view.text("status") == Some(status))
    }

    pub(super) fn opened(&self) -> Option<&View> {
        self.status("opened")
    }

    pub(super) fn closed(&self) -> Option<&View> {
        self.status("closed")
    }

    /// The record that tells the actor best: what became known late holds for the whole chain.
    pub(super) fn any(&self) -> Option<&View> {
        let tells = |view: &&View| matches!(view.text("status"), Some("closed" | "completed"));
        let late = self.records.iter().rfind(|view| view.kind() == "chain" && tells(view));
        late.or_else(|| self.records.iter().find(|view| view.at("actor").is_some()))
    }

    /// Credentials in the order of first use, each once, wherever it lay and however often it was rotated meanwhile.
    pub(super) fn credentials(&self) -> Vec<Used<'_>> {
        let summary = self.closed().map_or(&[][..], |closed| closed.list("summary.credentials"));
        let acted = self.records.iter().filter(|view| view.kind() == "action");
        let mut found: Vec<Used<'_>> = Vec::new();
        let mut known: HashMap<&str, usize> = HashMap::new();
        for credential in summary.iter().chain(acted.flat_map(View::held)) {
            let index =
                *known.entry(words::text(credential, "id").unwrap_or_default()).or_insert(found.len());
            if index == found.len() {
                found.push(Used { credential, paths: Vec::new(), versions: Vec::new() });
            }
            let Some(used) = found.get_mut(index) else {
                continue;
            };
            for (name, told) in [("path", &mut used.paths), ("version", &mut used.versions)] {
                if let Some(value) = words::text(credential, name).filter(|value| !told.contains(value)) {
                    told.push(value);
                }
            }
        }
        found
    }

    /// Credentials that were opened only to be written, in the order of the first time, each once.
    pub(super) fn written(&self) -> Vec<&Value> {
        let summary = self.closed().map_or(&[][..], |closed| closed.list("summary.written"));
        let acted = self.records.iter().filter(|view| view.text("action") == Some("secret.write"));
        let mut known = std::collections::HashSet::new();
        let all = summary.iter().chain(acted.filter_map(|view| view.list("credential").first()));
        all.filter(|one| known.insert(words::text(one, "id").unwrap_or_default())).collect()
    }

    /// Destinations in the order of first attempt: address, attempts, established.
    pub(super) fn destinations(&self) -> Vec<(String, u64, u64)> {
        if let Some(closed) = self.closed() {
            let number = |value: &Value, name| value.get(name).and_then(Value::as_u64).unwrap_or(0);
            let reached = closed.list("summary.destinations").iter();
            return reached
                .map(|to| (words::address(to), number(to, "attempts"), number(to, "established")))
                .collect();
        }
        let mut found: Vec<(String, u64, u64)> = Vec::new();
        for view in self.records.iter().filter(|view| view.text("action") == Some("connect")) {
            let to = view.at("destination").map(words::address).unwrap_or_default();
            let attempts = view.attempts();
            let established = if view.text("outcome") == Some("established") { view.times() } else { 0 };
            match found.iter_mut().find(|(address, _, _)| *address == to) {
                Some((_, all, successes)) => {
                    *all = all.saturating_add(attempts);
                    *successes = successes.saturating_add(established);
                }
                None => found.push((to, attempts, established)),
            }
        }
        found
    }

    /// Actions by verdict, and the purposes that were named; `None` where none was judged. Of a chain that is open, as it
    /// is so far.
    pub(super) fn verdicts(&self) -> Option<([u64; 3], Vec<String>)> {
        if let Some(sums) = self.closed().and_then(|closed| closed.at("summary.purpose")) {
            let count = |name| sums.get(name).and_then(Value::as_u64).unwrap_or(0);
            let names = sums.get("names").and_then(Value::as_array).into_iter().flatten();
            let names = names.filter_map(Value::as_str).map(str::to_owned).collect();
            return Some((VERDICTS.map(count), names));
        }
        // An action that another completes counts once; of several that are told together, the others stay.
        let mut last: BTreeMap<u64, (&str, u64)> = BTreeMap::new();
        let mut names: Vec<String> = Vec::new();
        for view in &self.records {
            let Some(verdict) = view.text("purpose.verdict") else {
                continue;
            };
            let completed = view.number("completes");
            match completed.and_then(|seq| last.get_mut(&seq)) {
                Some((_, times)) if *times > 1 => {
                    *times -= 1;
                    last.insert(view.seq(), (verdict, 1));
                }
                _ => drop(last.insert(completed.unwrap_or(view.seq()), (verdict, view.times()))),
            }
            if let Some(name) = view.text("purpose.name")
                && !names.iter().any(|known| known == name)
            {
                names.push(name.to_owned());
            }
        }
        let count = |verdict: &str| {
            let of = last.values().filter(|(other, _)| *other == verdict);
            of.fold(0_u64, |sum, (_, times)| sum.saturating_add(*times))
        };
        (!last.is_empty()).then(|| (VERDICTS.map(count), names))
    }

    /// Kinds of gaps it is known to have.
    fn gaps(&self) -> Vec<&str> {
        let opened = self.opened().map_or(&[][..], |opened| opened.list("gaps"));
        let closed = self.closed().map_or(&[][..], |closed| closed.list("summary.gaps"));
        let mut kinds: Vec<&str> = opened.iter().chain(closed).filter_map(Value::as_str).collect();
        let recorded: Vec<&str> = self.gap_records().filter_map(|gap| gap.text("kind")).collect();
        let mut known = std::collections::HashSet::new();
        // Those with a record of their own are told with their numbers.
        kinds.retain(|kind| known.insert(*kind) && !recorded.contains(kind));
        kinds
    }

    fn gap_records(&self) -> impl Iterator<Item = &View> {
        self.records.iter().filter(|view| view.kind() == "gap")
    }

    /// What may be missing, each in a line.
    pub(super) fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.opened().is_none() {
            doubts.push("the beginning of the chain is no longer kept".to_owned());
        }
        for gap in self.gap_records() {
            let from = gap.text("since").and_then(nanoseconds).unwrap_or(gap.time_ns());
            let at = |time_ns| words::distance(time_ns - self.since_ns);
            doubts.push(format!("+{} to +{}: {}", at(from), at(gap.time_ns()), words::gap(gap)));
        }
        doubts.extend(self.gaps().into_iter().map(|kind| words::kind_of_gap(kind).to_owned()));
        match self.closed().and_then(|closed| closed.number("summary.folded")) {
            Some(folded) if folded > 0 => doubts.push(format!("{folded} actions more, counted only")),
            _ => {}
        }
        doubts
    }

    /// What was found in it, each as it was told last.
    pub(super) fn findings(&self) -> Vec<&View> {
        let all: Vec<&View> = self.records.iter().filter(|view| view.kind() == "finding").collect();
        let told_later = |index: usize, id: Option<&str>| {
            all.iter().skip(index + 1).any(|later| later.text("finding_id") == id)
        };
        let last =
            all.iter().enumerate().filter(|(index, view)| !told_later(*index, view.text("finding_id")));
        last.map(|(_, view)| *view).collect()
    }
}
