//! What happened, one thing a line.

use super::deeds::deed;
use super::show::Chain;
use super::style::{Line, Paint, Style, head};
use super::words;
use crate::record::View;

/// Column of the process: behind the time.
const WHO: usize = 11;
/// Column of what was done: behind the time and the process.
const DEED: usize = 27;

/// The timeline of a chain.
pub(super) fn timeline(chain: &Chain, style: &Style, into: &mut String) {
    for view in &chain.records {
        let since = words::distance(view.time_ns() - chain.since_ns);
        let line = Line::new().put(Paint::Plain, &format!("{:>9}  ", format!("+{since}")));
        match view.kind() {
            "action" => {
                let who = view.at("process").map(words::process).unwrap_or_default();
                let line =
                    line.put(Paint::Plain, &head(&who, DEED - WHO - 1)).to(DEED).then(deed(view, false));
                remark(chain, view, line, style, into);
            }
            "gap" => line.put(Paint::Doubt, &format!("! {}", words::gap(view))).end(style, into),
            "chain" => {}
            other => line.faint(other).end(style, into),
        }
    }
}

/// The link of an action: behind it where there is room, else below it.
fn remark(chain: &Chain, view: &View, line: Line, style: &Style, into: &mut String) {
    let Some(text) = link(chain, view) else {
        line.end(style, into);
        return;
    };
    if style.width == 0 || line.width() + 2 + text.chars().count() <= style.width {
        line.faint(&format!("  {text}")).end(style, into);
    } else {
        line.end(style, into);
        Line::new().to(WHO).faint(&format!("↳ {text}")).end(style, into);
    }
}

/// `after AKIA… +1 (inherited, +12 ms)`. `None` for openings, executions and ends: that they come after is seen.
fn link(chain: &Chain, view: &View) -> Option<String> {
    if let Some(seq) = view.number("completes") {
        let pending = chain.records.iter().find(|other| other.seq() == seq)?;
        let since = words::distance(pending.time_ns() - chain.since_ns);
        return Some(match pending.text("outcome") {
            Some("pending") => format!("pending since +{since}"),
            _ => format!("the name of the one at +{since}"),
        });
    }
    if view.text("action") != Some("connect") {
        return None;
    }
    let of = view.list("link.of");
    let newest = of.first().and_then(serde_json::Value::as_u64);
    let opening = newest.and_then(|seq| chain.records.iter().find(|other| other.seq() == seq));
    let name = match opening.and_then(|opening| opening.list("credential").first()) {
        Some(credential) => words::short(credential),
        None => view.list("credential").first().map(words::short)?,
    };
    let more = match of.len() + usize::try_from(view.number("link.of_unknown").unwrap_or(0)).unwrap_or(0) {
        0 | 1 => String::new(),
        count => format!(" +{}", count - 1),
    };
    let basis = view.text("link.basis")?;
    let delay = opening.map_or_else(String::new, |opening| {
        format!(", +{}", words::distance(view.time_ns() - opening.time_ns()))
    });
    let named = view.list("link.facts").iter().any(|fact| fact.as_str() == Some("destination-named"));
    let named = if named { "names it, " } else { "" };
    Some(format!("after {name}{more} ({named}{basis}{delay})"))
}
