//! The inventory as text: a block for each actor or credential.

use super::{Inventory, Of, Row, Some64};
use crate::report::style::{Line, Paint, Style, head, tail};
use crate::report::words;

/// Most of anything shown in a block; `--json` has more.
const SHOWN: usize = 6;
/// Where what is said begins.
const INDENT: usize = 2;
const LABEL: usize = 13;

pub(super) fn page(seen: &Inventory, of: Of, style: &Style) -> String {
    let rows = seen.sorted(of);
    let what = match of {
        Of::Actors => "actors",
        Of::Credentials => "credentials",
    };
    let mut out = String::new();
    if rows.is_empty() {
        return format!("no {what}: nothing is stored of that time\n");
    }
    let people = rows.iter().filter(|(_, row)| row.kind == super::HUMAN).count();
    let summary = match of {
        Of::Actors => format!("service accounts: {}, sessions of people: {people}", rows.len() - people),
        Of::Credentials => {
            let remarked = rows.iter().filter(|(_, row)| !row.remarks(of).is_empty()).count();
            format!("credentials: {}, with a remark: {remarked}", rows.len())
        }
    };
    Line::new().put(Paint::Strong, &summary).end(style, &mut out);
    for (id, row) in &rows {
        out.push('\n');
        block(id, row, of, style, &mut out);
    }
    for (count, text) in [
        (seen.rows_refused, "actions of further actors or credentials, which found no room"),
        (seen.accesses_forgotten, "accesses so long ago that connections after them are not told"),
        (seen.unreadable, "records that cannot be read"),
    ] {
        if count != 0 {
            Line::new().put(Paint::Doubt, &format!("! {count} {text}")).end(style, &mut out);
        }
    }
    out
}

fn block(id: &str, row: &Row, of: Of, style: &Style, out: &mut String) {
    let wide = if style.width == 0 { 160 } else { style.width.max(60) };
    let room = wide - INDENT - LABEL;
    let told = |label: &str, paint: Paint, text: &str, out: &mut String| {
        let line = Line::new().to(INDENT).faint(label).to(INDENT + LABEL);
        line.put(paint, &head(text, room)).end(style, out);
    };
    Line::new().put(Paint::Strong, &tail(id, wide)).end(style, out);
    for remark in row.remarks(of) {
        told("remark", Paint::Doubt, remark, out);
    }
    let minute = |ns| words::moment(&crate::record::rfc3339(ns)).get(..16).unwrap_or_default().to_owned();
    told("kind", Paint::Plain, &row.kind, out);
    let seen = format!("since {}, last {} UTC", minute(row.since_ns), minute(row.last_ns));
    told("seen", Paint::Plain, &seen, out);
    told("last by", Paint::Plain, &tail(&row.last_program, room), out);
    let (ways, others) = match of {
        Of::Actors => ("origin", "credentials"),
        Of::Credentials => ("lies at", "actors"),
    };
    let users = if of == Of::Actors { "user" } else { "as user" };
    for (label, values) in
        [(ways, &row.ways), (users, &row.users), (others, &row.others), ("programs", &row.programs)]
    {
        list(label, values, &told, out);
    }
    if of == Of::Credentials {
        for (name, value) in row.identifiers.iter().take(SHOWN) {
            told(name, Paint::Plain, value, out);
        }
    }
    for (index, (to, tries)) in row.destinations.iter().take(SHOWN).enumerate() {
        let label = if index == 0 { "destinations" } else { "" };
        let (paint, text) = match tries.established {
            0 => (Paint::Bad, format!("→ {to} (0 of {})", tries.all)),
            some => (Paint::Good, format!("→ {to} ({some} of {})", tries.all)),
        };
        told(label, paint, &text, out);
    }
    more(row.destinations.len(), row.destinations_refused, &told, out);
}

fn list(label: &str, values: &Some64, told: &impl Fn(&str, Paint, &str, &mut String), out: &mut String) {
    for (index, value) in values.values.iter().take(SHOWN).enumerate() {
        told(if index == 0 { label } else { "" }, Paint::Plain, value, out);
    }
    more(values.values.len(), values.refused, told, out);
}

/// What is not shown is said.
fn more(known: usize, refused: u64, told: &impl Fn(&str, Paint, &str, &mut String), out: &mut String) {
    let hidden = known.saturating_sub(SHOWN);
    if refused != 0 {
        told("", Paint::Faint, &format!("and more than {hidden} more"), out);
    } else if hidden != 0 {
        told("", Paint::Faint, &format!("and {hidden} more"), out);
    }
}
