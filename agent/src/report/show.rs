//! One chain.

use serde_json::Value;

use super::style::{Line, Paint, Style};
use super::{timeline, tree, words};
use crate::record::{View, nanoseconds};
use crate::store::{Reader, StoreError};

/// In what form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For a person: head, tree, timeline.
    Text,
    /// For a program: the records as they are, one a line.
    Json,
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// No such chain.
    #[error("no chain begins with `{prefix}`; `spoor chains` lists those there are")]
    Unknown {
        /// What was asked for.
        prefix: String,
    },
    /// More than one.
    #[error("`{prefix}` is the beginning of several chains; which one?\n  {}", candidates.join("\n  "))]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// Some of those it may be.
        candidates: Vec<String>,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Most chains named where several are meant.
const CANDIDATES_MAX: usize = 10;

/// A chain's records, read.
pub(super) struct Chain {
    pub(super) id: String,
    pub(super) records: Vec<View>,
    pub(super) since_ns: i64,
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
        let late = self.closed().or_else(|| self.status("completed"));
        late.or_else(|| self.records.iter().find(|view| view.at("actor").is_some()))
    }

    /// Credentials in the order of first use, each once.
    pub(super) fn credentials(&self) -> Vec<&Value> {
        let summary = self.closed().map_or(&[][..], |closed| closed.list("summary.credentials"));
        let acted = self.records.iter().filter(|view| view.kind() == "action");
        let mut found: Vec<&Value> = Vec::new();
        for credential in summary.iter().chain(acted.flat_map(|view| view.list("credential"))) {
            if !found.iter().any(|other| other.get("id") == credential.get("id")) {
                found.push(credential);
            }
        }
        found
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
            let attempt = u64::from(view.at("completes").is_none());
            let established = u64::from(view.text("outcome") == Some("established"));
            match found.iter_mut().find(|(address, _, _)| *address == to) {
                Some((_, attempts, successes)) => {
                    *attempts += attempt;
                    *successes += established;
                }
                None => found.push((to, attempt, established)),
            }
        }
        found
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
}

/// One chain, named by its id or the beginning of it.
///
/// # Errors
/// [`ReportError::Unknown`] and [`ReportError::Ambiguous`] say what to do instead.
pub fn show(reader: &Reader, id: &str, format: Format, style: &Style) -> Result<String, ReportError> {
    let prefix = id.trim().to_owned();
    let mut candidates = reader.matching(&prefix, CANDIDATES_MAX)?;
    let id = match (candidates.pop(), candidates.is_empty()) {
        (Some(id), true) if !prefix.is_empty() => id,
        (Some(id), _) => {
            candidates.push(id);
            return Err(ReportError::Ambiguous { prefix, candidates });
        }
        (None, _) => return Err(ReportError::Unknown { prefix }),
    };
    let stored = reader.chain(&id)?;
    match format {
        Format::Json => {
            Ok(stored.iter().map(|record| format!("{}\n", String::from_utf8_lossy(&record.body))).collect())
        }
        Format::Text => {
            let records = stored.iter().filter_map(|record| View::parse(&record.body).ok()).collect();
            Ok(text(&Chain::new(id, records), style))
        }
    }
}

fn text(chain: &Chain, style: &Style) -> String {
    let mut out = String::new();
    Line::new().put(Paint::Strong, "Chain ").put(Paint::Strong, &chain.id).end(style, &mut out);
    doubts(chain, style, &mut out);
    top(chain, style, &mut out);
    held(chain, style, &mut out);
    out.push('\n');
    Line::new().put(Paint::Strong, "Processes").end(style, &mut out);
    tree::tree(chain, style, &mut out);
    out.push('\n');
    Line::new().put(Paint::Strong, "Timeline").end(style, &mut out);
    timeline::timeline(chain, style, &mut out);
    out
}

/// Whose it is, when it was, how it ended.
fn top(chain: &Chain, style: &Style, out: &mut String) {
    let Some(view) = chain.any() else {
        return;
    };
    let get = |path| view.text(path).unwrap_or("?");
    let line = row("actor").put(Paint::Strong, get("actor.id"));
    line.faint(&format!("  user {}", get("actor.user"))).end(style, out);
    if let Some(uid) = view.text("actor.pod.uid") {
        let place =
            [view.text("actor.pod.namespace"), view.text("actor.pod.name"), view.text("actor.pod.container")];
        let place: Vec<&str> = place.into_iter().flatten().collect();
        let known =
            if place.is_empty() { format!("{uid}, of which no more is known") } else { place.join("/") };
        let node = view.text("actor.pod.node").map(|node| format!("  on {node}")).unwrap_or_default();
        row("pod").plain(&known).faint(&node).end(style, out);
    }
    row("started by").plain(get("actor.origin")).end(style, out);
    let since = words::moment(&crate::record::rfc3339(chain.since_ns));
    let when = row("when").plain(&since).plain(" UTC");
    let when = match chain.closed() {
        Some(closed) => when.plain(&format!(", for {}", words::distance(closed.time_ns() - chain.since_ns))),
        None => when,
    };
    when.faint(&format!("  on {}", get("host.name"))).end(style, out);
    let Some(closed) = chain.closed() else {
        row("status").put(Paint::Strong, "still open").end(style, out);
        return;
    };
    let reason = closed.text("reason").unwrap_or("?");
    match closed.at("exit").map(words::exit) {
        Some((paint, text)) => row("ended").put(paint, &text).faint(&format!("  {reason}")).end(style, out),
        None => row("ended").plain(reason).end(style, out),
    }
}

/// What may be missing.
fn doubts(chain: &Chain, style: &Style, out: &mut String) {
    let doubt = |text: &str, out: &mut String| {
        let line = Line::new().put(Paint::Doubt, "! gap").to(COLUMN);
        line.put(Paint::Doubt, text).end(style, out);
    };
    if chain.opened().is_none() {
        doubt("the beginning of the chain is no longer kept", out);
    }
    for gap in chain.gap_records() {
        let from = gap.text("since").and_then(nanoseconds).unwrap_or(gap.time_ns());
        let at = |time_ns| words::distance(time_ns - chain.since_ns);
        let text = format!("+{} to +{}: {}", at(from), at(gap.time_ns()), words::gap(gap));
        doubt(&text, out);
    }
    for kind in chain.gaps() {
        doubt(words::kind_of_gap(kind), out);
    }
    match chain.closed().and_then(|closed| closed.number("summary.folded")) {
        Some(folded) if folded > 0 => doubt(&format!("{folded} actions more, counted only"), out),
        _ => {}
    }
}

/// What it held and what it reached.
fn held(chain: &Chain, style: &Style, out: &mut String) {
    for (index, credential) in chain.credentials().into_iter().enumerate() {
        let line = if index == 0 { row("opened") } else { row("") };
        let get = |name| words::text(credential, name).unwrap_or_default();
        let name = words::credential(credential);
        let line = line.plain(get("kind")).plain(" ").put(Paint::Strong, &name);
        line.faint(&format!("  {}", get("path"))).end(style, out);
    }
    let destinations = chain.destinations();
    let widest = destinations.iter().map(|(to, _, _)| to.chars().count()).max().unwrap_or(0);
    for (index, (to, attempts, established)) in destinations.iter().enumerate() {
        let line = if index == 0 { row("tried") } else { row("") };
        let line = line.put(Paint::Strong, to).to(COLUMN + widest + 2);
        let tries = if *attempts == 1 { "try" } else { "tries" };
        let line = line.plain(&format!("{attempts} {tries}, "));
        let paint = if *established == 0 { Paint::Bad } else { Paint::Good };
        line.put(paint, &format!("{established} established")).end(style, out);
    }
}

/// Column of what is told.
const COLUMN: usize = 14;

fn row(name: &str) -> Line {
    Line::new().plain("  ").faint(name).to(COLUMN)
}
