//! What happened in a chain, a row each.

use maud::{Markup, html};

use super::{CELL_MAX, Shown, table};
use crate::record::View;
use crate::report::chain::Chain;
use crate::report::deeds::deed;
use crate::report::style::Line;
use crate::report::{findings, timeline, words};

/// The timeline of a chain. Of a longer one, the beginning and the end, and how much lies between.
pub(super) fn timeline(chain: &Chain, id: &str, most: usize) -> Markup {
    let told: Vec<&View> = chain.records.iter().filter(|view| view.kind() != "chain").collect();
    let first = if told.len() > most { most - most / 4 } else { told.len() };
    let last = told.len() - if told.len() > most { most / 4 } else { 0 };
    let heads = &["After", "UTC", "Process", "What", "Why it is linked"];
    let rows = html! {
        @for view in told.iter().take(first) { (row(chain, view)) }
        @if first < last {
            tr { td colspan="5" { strong { (last - first) " more between, not told here." } " spoor show --format json has all." } }
        }
        @for view in told.iter().skip(last) { (row(chain, view)) }
    };
    html! {
        @if told.is_empty() { p { "No action is kept." } } @else {
            (table(id, "Times after the beginning of the chain", heads, &rows))
        }
    }
}

fn row(chain: &Chain, view: &View) -> Markup {
    let time = view.text("time").and_then(|time| time.get(11..23)).unwrap_or("?");
    let who = view.at("process").map(words::process).unwrap_or_default();
    let what = match view.kind() {
        "action" => deed(view, false),
        "gap" => Line::new().put(crate::report::style::Paint::Doubt, &format!("! {}", words::gap(view))),
        "finding" => findings::line_of_name(view),
        other => Line::new().faint(other),
    };
    let outside = view.text("purpose.verdict") == Some("outside");
    let get = |path| view.text(path).unwrap_or("?");
    html! {
        tr {
            td.at { "+" (words::distance(view.time_ns() - chain.since_ns)) }
            td.time { (Shown(time)) }
            td.who { (Shown(&who)) }
            td.path {
                (what.shorter(CELL_MAX))
                @if outside { div.bad { "✗ outside " (Shown(get("purpose.name"))) ": " (Shown(get("purpose.reason"))) } }
            }
            td.text { @if let Some(link) = timeline::link(chain, view) { (Shown(&link)) } }
        }
    }
}
