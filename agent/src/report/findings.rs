//! Findings, newest first, for whoever is on call.

use std::collections::BTreeSet;

use serde_json::Value;

use super::style::{Line, Paint, Style, head, tail, wrapped};
use super::words;
use crate::finding::{Kind, Severity};
use crate::record::View;
use crate::store::{Reader, StoreError};

/// Which findings. What is [`None`] selects nothing away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingsFilter {
    /// Those that were noticed at this time or later, ns since 1970.
    pub since_ns: Option<i64>,
    /// At least so grave.
    pub severity: Option<Severity>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// At most so many; 0: all.
    pub limit: usize,
}

/// Records read at a time.
const BATCH: usize = 1_024;
/// Behind every record: numbers of the database have a sign.
const NEWEST: u64 = u64::MAX >> 1;
/// Column of what is told.
const COLUMN: usize = 14;

/// The findings that a filter lets through, as people read them.
///
/// # Errors
/// [`StoreError`] where the store cannot be read.
pub fn findings(reader: &Reader, filter: &FindingsFilter, style: &Style) -> Result<String, StoreError> {
    let found = read(reader, filter)?;
    let mut out = String::new();
    if let Some(until) = learning(reader)? {
        let text = format!("Habits are still being learnt: until {until} UTC nothing is judged by them.");
        paragraph(&text, Paint::Doubt, "", style, &mut out);
        out.push('\n');
    }
    if found.is_empty() {
        out.push_str("no findings\n");
        return Ok(out);
    }
    Line::new().put(Paint::Strong, &total(&found)).end(style, &mut out);
    for view in &found {
        out.push('\n');
        block(view, style, &mut out);
    }
    Ok(out)
}

/// The same as JSON: the latest record of each, one a line.
///
/// # Errors
/// [`StoreError`] where the store cannot be read.
pub fn findings_json(reader: &Reader, filter: &FindingsFilter) -> Result<String, StoreError> {
    Ok(read(reader, filter)?.iter().map(|view| format!("{}\n", view.value())).collect())
}

/// The latest record of each finding, newest first.
pub(super) fn read(reader: &Reader, filter: &FindingsFilter) -> Result<Vec<View>, StoreError> {
    let (mut found, mut known, mut before) = (Vec::new(), BTreeSet::new(), NEWEST);
    loop {
        let records = reader.before("finding", before, BATCH)?;
        for record in &records {
            before = record.seq;
            let Ok(view) = View::parse(&record.body) else { continue };
            let id = view.text("finding_id").unwrap_or_default().to_owned();
            if !known.insert(id) || !filter.lets(&view) {
                continue;
            }
            found.push(view);
            if found.len() == filter.limit {
                return Ok(found);
            }
        }
        if records.len() < BATCH {
            return Ok(found);
        }
    }
}

impl FindingsFilter {
    fn lets(&self, view: &View) -> bool {
        let severity = view.text("severity").and_then(Severity::from_name);
        self.since_ns.is_none_or(|since| view.time_ns() >= since)
            // One that a later version found graver than we know is let through.
            && self.severity.is_none_or(|least| severity.is_none_or(|severity| severity >= least))
            && self.kind.is_none_or(|kind| view.text("kind") == Some(kind.name()))
    }
}

/// Until when nothing is judged by habit, as the agent said last.
pub(super) fn learning(reader: &Reader) -> Result<Option<String>, StoreError> {
    let last = reader.last("heartbeat")?.and_then(|stored| View::parse(&stored.body).ok());
    let until = last.as_ref().and_then(|view| view.text("learning_until"));
    Ok(until.map(|until| words::moment(until).get(..16).unwrap_or_default().to_owned()))
}

/// `3 findings: 1 high, 2 low`
fn total(found: &[View]) -> String {
    let counts = Severity::ALL.into_iter().rev().filter_map(|severity| {
        let count = found.iter().filter(|view| view.text("severity") == Some(severity.name())).count();
        (count != 0).then(|| format!("{count} {}", severity.name()))
    });
    let counts: Vec<String> = counts.collect();
    let findings = if found.len() == 1 { "finding" } else { "findings" };
    format!("{} {findings}: {}", found.len(), counts.join(", "))
}

/// The colour of a severity.
fn paint(view: &View) -> Paint {
    match view.text("severity").and_then(Severity::from_name) {
        Some(Severity::Critical | Severity::High) => Paint::Bad,
        Some(Severity::Medium) => Paint::Doubt,
        Some(Severity::Low | Severity::Informational) | None => Paint::Plain,
    }
}

fn block(view: &View, style: &Style, out: &mut String) {
    let get = |path| view.text(path).unwrap_or("?");
    let minute = |path| words::moment(get(path)).get(..19).unwrap_or("?").to_owned();
    let title = Line::new().put(paint(view), &get("severity").to_uppercase()).to(COLUMN);
    title.put(Paint::Strong, get("kind")).end(style, out);
    paragraph(get("reason"), Paint::Plain, "what", style, out);
    row("who", out, style, |line| {
        line.put(Paint::Strong, get("actor.id")).faint(&format!("  user {}", get("actor.user")))
    });
    if let Some(credential) = view.list("credential").first() {
        let kind = words::text(credential, "kind").unwrap_or_default();
        let path = words::text(credential, "path").unwrap_or_default();
        let name = words::credential(credential);
        row("credential", out, style, |line| {
            line.plain(kind).plain(" ").put(Paint::Strong, &name).faint(&format!("  {path}"))
        });
    }
    let count = view.number("count").unwrap_or(1);
    let often = match count {
        1 => "once".to_owned(),
        count => format!("{count} times, last {}", minute("last")),
    };
    row("since", out, style, |line| line.plain(&format!("{} UTC, {often}", minute("first"))));
    if let Some(folded) = view.number("folded") {
        row("", out, style, |line| {
            line.put(Paint::Doubt, &format!("and {folded} more of this kind by it, counted only"))
        });
    }
    let chain: String = get("chain").to_owned();
    row("chain", out, style, |line| line.faint("spoor show ").plain(&chain));
    if let Some(kind) = Kind::from_name(get("kind")) {
        paragraph(kind.advice(), Paint::Plain, "to do", style, out);
    }
    paragraph(&tags(view), Paint::Faint, "tags", style, out);
}

fn tags(view: &View) -> String {
    let of = |path: &str, before: &str| -> Vec<String> {
        let ids = view.list(path).iter().filter_map(Value::as_str);
        ids.map(|id| format!("{before}{id}")).collect()
    };
    let csf = of("tags.nist_csf", "CSF ");
    [of("tags.owasp_nhi", ""), of("tags.attack", ""), csf, of("tags.sp_800_207", "800-207 tenet ")]
        .concat()
        .join(", ")
}

fn row(name: &str, out: &mut String, style: &Style, tell: impl FnOnce(Line) -> Line) {
    tell(Line::new().plain("  ").faint(name).to(COLUMN)).end(style, out);
}

/// A text over as many lines as it needs.
fn paragraph(text: &str, paint: Paint, name: &str, style: &Style, out: &mut String) {
    let indent = if name.is_empty() { 0 } else { COLUMN };
    let width = if style.width == 0 { usize::MAX } else { style.width.saturating_sub(indent).max(20) };
    for (index, part) in wrapped(text, width).iter().enumerate() {
        let line = match (indent, index) {
            (0, _) => Line::new(),
            (_, 0) => Line::new().plain("  ").faint(name).to(indent),
            (..) => Line::new().to(indent),
        };
        line.put(paint, part).end(style, out);
    }
}

/// A finding in one line, for a chain's head.
pub(super) fn brief(view: &View, width: usize) -> (Paint, String) {
    let get = |path| view.text(path).unwrap_or("?");
    let text = format!("{} {}: {}", get("severity"), get("kind"), get("reason"));
    (paint(view), if width == 0 { text } else { head(&text, width) })
}

/// A finding as it comes. What was told before is not told in full again.
pub(super) fn live(view: &View) -> (Paint, String) {
    if view.text("told") != Some("again") {
        return brief(view, 0);
    }
    let get = |path| view.text(path).unwrap_or("?");
    let count = view.number("count").map_or_else(|| "?".to_owned(), |count| count.to_string());
    (paint(view), format!("{} {} again: {count} in all", get("severity"), get("kind")))
}

/// What a finding is called, for a timeline.
pub(super) fn name(view: &View) -> (Paint, String) {
    let again = if view.text("told") == Some("again") { " again" } else { "" };
    let get = |path| view.text(path).unwrap_or("?");
    (paint(view), format!("! finding{again}: {} ({})", tail(get("kind"), 32), get("severity")))
}

/// A finding as a line for a page.
pub(super) fn line(view: &View) -> Line {
    let (paint, text) = brief(view, 0);
    Line::new().put(paint, &text)
}

/// What it is called, as such a line.
pub(super) fn line_of_name(view: &View) -> Line {
    let (paint, text) = name(view);
    Line::new().put(paint, &text)
}

/// What to do about it, where we know its kind.
pub(super) fn advice(view: &View) -> Option<&'static str> {
    Some(Kind::from_name(view.text("kind")?)?.advice())
}
