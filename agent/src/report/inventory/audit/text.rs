//! The report for a terminal.

use super::parts::{self, LIMITS, STANDARDS};
use super::{Audit, Entry, Of};
use crate::report::inventory::minute;
use crate::report::inventory::page::Block;
use crate::report::style::{Line, Paint, Style, tail};
use crate::report::words;

/// Most of anything of an entry.
const SHOWN: usize = 6;

pub(super) fn page(audit: &Audit<'_>, style: &Style) -> String {
    let mut out = String::new();
    let (since, until) = parts::period(audit);
    let title = format!("Non-human identities and credentials of {}", audit.watch.host);
    Line::new().put(Paint::Strong, &title).end(style, &mut out);
    Line::new().plain(&format!("from {since} to {until} UTC")).end(style, &mut out);
    let counts = format!(
        "identities {}, credentials used {}, not used {}, with a remark {}",
        audit.identities.len(),
        audit.used.len(),
        audit.unused.len(),
        audit.with_remark()
    );
    Line::new().plain(&counts).end(style, &mut out);
    for counted in audit.counted() {
        let numbers: Vec<&str> = [counted.owasp, counted.csf].into_iter().flatten().collect();
        let line = Line::new().to(2).put(Paint::Doubt, counted.name).to(21).plain(&counted.count.to_string());
        line.to(28).faint(&numbers.join(", ")).end(style, &mut out);
    }
    section("Identities", Of::Actors, &audit.identities, audit, style, &mut out);
    section("Credentials that were used", Of::Credentials, &audit.used, audit, style, &mut out);
    section("Credentials that were not used", Of::Credentials, &audit.unused, audit, style, &mut out);
    people(audit, style, &mut out);
    watched(audit, style, &mut out);
    title_of("What this report is evidence for", style, &mut out);
    for (number, text) in STANDARDS {
        Line::new().to(2).plain(number).end(style, &mut out);
        prose(4, text, style, &mut out);
    }
    out
}

fn title_of(title: &str, style: &Style, out: &mut String) {
    out.push('\n');
    Line::new().put(Paint::Strong, &format!("== {title}")).end(style, out);
}

fn section(title: &str, of: Of, entries: &[Entry<'_>], audit: &Audit<'_>, style: &Style, out: &mut String) {
    title_of(title, style, out);
    if entries.is_empty() {
        out.push_str("none\n");
    }
    for entry in entries {
        out.push('\n');
        Block { style, shown: SHOWN, out }.entry(audit.seen, entry, of, audit.same);
    }
}

fn people(audit: &Audit<'_>, style: &Style, out: &mut String) {
    title_of("What people used", style, out);
    let uses = audit.people();
    if uses.is_empty() {
        out.push_str("nothing was seen\n");
    }
    for used in uses {
        let paint = if used.remarked { Paint::Doubt } else { Paint::Plain };
        let last = used.span.map(|(_, last)| minute(last)).unwrap_or_default();
        let what = tail(&parts::used(used.of, &used), 44);
        let line = Line::new().plain(&tail(used.person, 15)).to(17).put(paint, &what);
        line.to(63).faint(&last).end(style, out);
    }
}

fn watched(audit: &Audit<'_>, style: &Style, out: &mut String) {
    let watch = audit.watch;
    title_of("How far it can be relied on", style, out);
    for signal in &watch.signals {
        let tier = signal.tier.as_deref().unwrap_or("not covered");
        let paint = if signal.proven { Paint::Good } else { Paint::Bad };
        Line::new().to(2).plain(&signal.name).to(20).put(paint, tier).end(style, out);
        signal.blind.iter().for_each(|blind| prose(4, &format!("not seen: {blind}"), style, out));
    }
    for (kind, count) in &watch.gaps {
        prose(2, &format!("! {count} gaps: {}", words::kind_of_gap(kind)), style, out);
    }
    for (from, to) in &watch.holes {
        prose(2, &format!("! no word of the agent from {} to {}", minute(*from), minute(*to)), style, out);
    }
    for (count, text) in parts::left_out(audit) {
        prose(2, &format!("! {count} {text}"), style, out);
    }
    LIMITS.iter().for_each(|limit| prose(2, &format!("- {limit}"), style, out));
}

/// Over as many lines as it takes; what follows a dash stands behind it.
fn prose(indent: usize, text: &str, style: &Style, out: &mut String) {
    let room = if style.width == 0 { usize::MAX } else { style.width.max(40) } - indent - 2;
    let mut line = String::new();
    let mut at = indent;
    let behind = if text.starts_with("- ") || text.starts_with("! ") { 2 } else { 0 };
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            Line::new().plain(&" ".repeat(at)).plain(&line).end(style, out);
            line.clear();
            at = indent + behind;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    Line::new().plain(&" ".repeat(at)).plain(&line).end(style, out);
}
