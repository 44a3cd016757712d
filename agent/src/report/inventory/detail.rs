//! One actor or credential, in full: also when each of its partners had to do with it.

use super::page::Block;
use super::remarks::Same;
use super::row::{Some64, Times};
use super::{Entry, Of, Seen, minute};
use crate::report::style::{Line, Paint, Style, tail};

/// Columns of the times behind a partner.
const TIMES: usize = 35;

pub(super) fn detail(seen: &Seen, entry: &Entry<'_>, of: Of, same: &Same<'_>, style: &Style) -> String {
    let mut out = String::new();
    let since = seen.watched_since_ns.map(minute).unwrap_or_default();
    Block { style, shown: usize::MAX, out: &mut out }.entry(seen, entry, of, same);
    let others = match of {
        Of::Actors => "Credentials it held",
        Of::Credentials => "Actors that held it",
    };
    partners(others, &entry.row.others, style, &mut out);
    partners("People", &entry.row.people, style, &mut out);
    let watched = format!("watched since {since}, as of {} UTC", minute(seen.as_of_ns));
    out.push('\n');
    Line::new().faint(&watched).end(style, &mut out);
    out
}

fn partners(title: &str, known: &Some64<Times>, style: &Style, out: &mut String) {
    if known.len() == 0 {
        return;
    }
    out.push('\n');
    let wide = if style.width == 0 { 160 } else { style.width.max(60) };
    // As wide as the longest name: what is piped has no width.
    let longest = known.names().map(|name| name.chars().count()).max().unwrap_or(0);
    let name = longest.max(title.len()).min(wide - TIMES - 8);
    let head = Line::new().put(Paint::Strong, title).to(name + 2).faint("first");
    head.to(name + 20).faint("last").to(name + 38).faint("acts").end(style, out);
    for (id, times) in &known.values {
        let (first, last) = times.span.map(|(first, last)| (minute(first), minute(last))).unwrap_or_default();
        let line = Line::new().plain(&tail(id, name)).to(name + 2).plain(&first).to(name + 20).plain(&last);
        // Acts of a time of which no records are kept any more were not counted.
        let acts = if times.actions == 0 { "-".to_owned() } else { times.actions.to_string() };
        line.to(name + 38).plain(&acts).end(style, out);
    }
    if known.refused != 0 {
        Line::new()
            .put(Paint::Doubt, &format!("! and more, which found no room {} times", known.refused))
            .end(style, out);
    }
}
