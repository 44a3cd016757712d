//! One chain.

use std::time::Duration;

use serde_json::Value;

use super::chain::{Chain, VERDICTS};
use super::graph::Graph;
use super::page::{self, Place};
use super::style::{Line, Paint, Sheet, Style};
use super::{findings, timeline, tree, words};
use crate::record::{Room, View};
use crate::store::{Reader, StoreError, Stored};

/// In what form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For a person: head, tree, timeline.
    Text,
    /// For a program: the records as they are, one a line.
    Json,
    /// The records in another schema, one a line.
    Schema(crate::config::Format),
    /// The chain as W3C PROV, in its JSON.
    Prov,
    /// For a browser, or for paper: one page.
    Html(Place),
    /// Its graph, in the language of Graphviz.
    Dot,
    /// Its graph, as an image.
    Svg,
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
    /// No such actor or credential.
    #[error("`{id}` is not among the {of}; `spoor {of}` lists those there are")]
    NoEntry {
        /// Of what.
        of: &'static str,
        /// What was asked for.
        id: String,
    },
    /// Nothing of a day.
    #[error("no record of {day} is kept; {}", kept_days(kept))]
    NoDay {
        /// Which.
        day: String,
        /// Days of which there are some, oldest first.
        kept: Vec<String>,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn kept_days(kept: &[String]) -> String {
    match (kept.first(), kept.last()) {
        (Some(first), Some(last)) => format!("the store has {first} to {last}, UTC"),
        _ => "the store is empty".to_owned(),
    }
}

/// Most chains named where several are meant.
const CANDIDATES_MAX: usize = 10;

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
        Format::Schema(schema) => {
            let mut room = Room::new();
            let line = |record: &Stored| {
                let view = View::borrow(&record.body, &mut room).ok()?;
                let bytes = crate::schema::encode(schema, &view, &record.body);
                Some(format!("{}\n", String::from_utf8_lossy(&bytes)))
            };
            Ok(stored.iter().filter_map(line).collect())
        }
        Format::Prov => Ok(format!("{:#}\n", crate::schema::prov(&views(&stored)))),
        Format::Text => Ok(all(&Chain::new(id, views(&stored)), style, String::new())),
        Format::Html(place) => Ok(page::chain(&Chain::new(id, views(&stored)), &stored, place)),
        Format::Dot | Format::Svg => {
            let chain = Chain::new(id, views(&stored));
            let title = format!("chain {}", chain.id);
            let graph = Graph::of(&chain);
            Ok(if format == Format::Dot { graph.dot(&title) } else { graph.svg(&title) })
        }
    }
}

/// Records, read.
pub(super) fn views(stored: &[Stored]) -> Vec<View> {
    stored.iter().filter_map(|record| View::parse(&record.body).ok()).collect()
}

/// All of a chain: head, tree, timeline.
pub(super) fn all<S: Sheet>(chain: &Chain, style: &Style, mut out: S) -> S {
    Line::new().put(Paint::Strong, "Chain ").put(Paint::Strong, &chain.id).end(style, &mut out);
    doubts(chain, style, &mut out);
    found(chain, style, &mut out);
    top(chain, style, &mut out);
    held(chain, style, &mut out);
    Line::new().end(style, &mut out);
    Line::new().put(Paint::Strong, "Processes").end(style, &mut out);
    tree::tree(chain).into_iter().for_each(|line| line.end(style, &mut out));
    Line::new().end(style, &mut out);
    Line::new().put(Paint::Strong, timeline::TITLE).end(style, &mut out);
    timeline::timeline(chain, style, &mut out);
    out
}

/// Whose it is, when it was, how it ended.
fn top(chain: &Chain, style: &Style, out: &mut impl Sheet) {
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
    purposes(chain, style, out);
    row("started by").plain(get("actor.origin")).end(style, out);
    if let Some(user) = view.text("actor.human.user") {
        let session = view.text("actor.human.session").map(|session| format!("  in session {session}"));
        let from = view.text("actor.human.from").map(|from| format!("  from {from}"));
        let client = view.text("actor.human.basis") == Some("client");
        let basis = if client { "  by a client's words" } else { "" };
        let more = session.unwrap_or_default() + &from.unwrap_or_default() + basis;
        row("person").plain(user).faint(&more).end(style, out);
    }
    if let Some(why) = view.text("actor.human_unknown") {
        row("person").plain("not named").faint(&format!("  {}", words::unnamed(why))).end(style, out);
    }
    attempt(view, style, out);
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

/// Which attempt of the same job it is, where earlier ones failed.
fn attempt(view: &View, style: &Style, out: &mut impl Sheet) {
    let Some(number) = view.number("attempt.number") else {
        return;
    };
    let (_, failed) = view.at("attempt.failed").map_or((Paint::Plain, String::new()), words::exit);
    let delay = view.at("attempt.delay_ms").and_then(Value::as_f64).unwrap_or(0.0);
    let delay = Duration::try_from_secs_f64(delay / 1e3).unwrap_or_default();
    let ago = words::distance(i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX));
    let line = row("attempt").put(Paint::Doubt, &format!("{number}"));
    line.plain(&format!(" of the same job, {ago} after {failed}")).end(style, out);
    for (name, path) in [("the first", "attempt.of"), ("the one before", "attempt.after")] {
        if number > 2 || path == "attempt.after" {
            let chain = view.text(path).unwrap_or("?");
            row("").faint(&format!("{name}: {chain}")).end(style, out);
        }
    }
}

/// What it was for, and how much of it was that.
fn purposes(chain: &Chain, style: &Style, out: &mut impl Sheet) {
    let Some((counts, names)) = chain.verdicts() else {
        return;
    };
    let named = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let mut line = row("purpose").plain(&named);
    for (count, verdict) in counts.into_iter().zip(VERDICTS).filter(|(count, _)| *count > 0) {
        let paint = match verdict {
            "within" => Paint::Good,
            "outside" => Paint::Bad,
            _ => Paint::Doubt,
        };
        line = line.put(paint, &format!("  {count} {verdict}"));
    }
    line.end(style, out);
}

/// What may be missing.
fn doubts(chain: &Chain, style: &Style, out: &mut impl Sheet) {
    for text in chain.doubts() {
        let line = Line::new().put(Paint::Doubt, "! gap").to(COLUMN);
        line.flow(Paint::Doubt, &text, COLUMN, style, out);
    }
}

/// What was found in it, each as it was told last.
fn found(chain: &Chain, style: &Style, out: &mut impl Sheet) {
    for view in chain.findings() {
        let (paint, text) = findings::brief(view, 0);
        Line::new().put(paint, "! finding").to(COLUMN).flow(paint, &text, COLUMN, style, out);
    }
}

/// What it held and what it reached.
fn held(chain: &Chain, style: &Style, out: &mut impl Sheet) {
    for (index, used) in chain.credentials().into_iter().enumerate() {
        let line = if index == 0 { row("opened") } else { row("") };
        let kind = words::text(used.credential, "kind").unwrap_or_default();
        let line = line.plain(kind).plain(" ").put(Paint::Strong, &words::credential(used.credential));
        let line = match used.rotated() {
            Some(rotated) => line.put(Paint::Doubt, &format!("  {rotated}")),
            None => line,
        };
        let mut paths = used.paths.iter();
        line.faint(&format!("  {}", paths.next().unwrap_or(&""))).end(style, out);
        for path in paths.by_ref().take(PLACES_MAX) {
            row("").faint(&format!("  also {path}")).end(style, out);
        }
        if paths.len() > 0 {
            row("").faint(&format!("  and {} places more", paths.len())).end(style, out);
        }
    }
    for (index, written) in chain.written().into_iter().enumerate() {
        let line = if index == 0 { row("wrote") } else { row("") };
        let kind = words::text(written, "kind").unwrap_or_default();
        let line = line.plain(kind).plain(" ").put(Paint::Strong, &words::credential(written));
        let path = words::text(written, "path").unwrap_or_default();
        line.faint(&format!("  {path}")).end(style, out);
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
    fan_out(chain, style, out);
}

/// Credentials after which more than one system was tried: which, in what order, and what came of the last try.
fn fan_out(chain: &Chain, style: &Style, out: &mut impl Sheet) {
    let Some(closed) = chain.closed() else {
        return;
    };
    let all = closed.list("summary.destinations");
    let mut name = "fan-out";
    for one in closed.list("summary.fan_out") {
        let places = one.get("destinations").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if places.len() < 2 {
            continue;
        }
        let id = words::text(one, "credential").unwrap_or("?");
        let mut credentials = closed.list("summary.credentials").iter();
        let known = credentials.find(|known| words::text(known, "id") == Some(id));
        let shown = known.map_or_else(|| id.to_owned(), words::short);
        let count = format!("  {} systems", places.len());
        row(name).plain(&shown).put(Paint::Strong, &count).end(style, out);
        name = "";
        let reached = places.iter().map(|place| all.get(usize::try_from(place.as_u64()?).ok()?));
        let reached: Vec<(String, &str)> = reached
            .map(|to| {
                (
                    to.map_or_else(|| "?".to_owned(), words::address),
                    to.and_then(|to| words::text(to, "outcome")),
                )
            })
            .map(|(address, outcome)| (address, outcome.unwrap_or("?")))
            .collect();
        let (number, widest) = (
            places.len().to_string().len(),
            reached.iter().map(|(address, _)| address.chars().count()).max().unwrap_or(0),
        );
        for (index, (address, outcome)) in reached.iter().enumerate() {
            let line = row("").faint(&format!("{:>number$}  ", index + 1)).plain(address);
            let line = line.to(COLUMN + number + widest + 4);
            line.put(words::paint_of(outcome), outcome).end(style, out);
        }
    }
}

/// Most places of one credential beside the first.
const PLACES_MAX: usize = 4;
/// Column of what is told.
const COLUMN: usize = 14;

fn row(name: &str) -> Line {
    Line::new().plain("  ").faint(name).to(COLUMN)
}
