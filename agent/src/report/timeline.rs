//! What happened, one thing a line.

use super::chain::Chain;
use super::deeds::deed;
use super::style::{Line, Paint, Sheet, Style, head};
use super::{findings, words};
use crate::record::View;

/// What stands above it.
pub(super) const TITLE: &str = "Timeline";
/// Column of the process: behind the time.
const WHO: usize = 11;
/// Column of what was done: behind the time and the process.
const DEED: usize = 27;

/// The timeline of a chain.
pub(super) fn timeline(chain: &Chain, style: &Style, into: &mut impl Sheet) {
    for view in &chain.records {
        let since = words::distance(view.time_ns() - chain.since_ns);
        let line = Line::new().put(Paint::Plain, &format!("{:>9}  ", format!("+{since}")));
        match view.kind() {
            "action" => {
                let who = view.at("process").map(words::process).unwrap_or_default();
                let line =
                    line.put(Paint::Plain, &head(&who, DEED - WHO - 1)).to(DEED).then(deed(view, false));
                let line = line.of(view.text("process.id").unwrap_or_default());
                remark(chain, view, line, style, into);
                outside(view, style, into);
            }
            "gap" => line.put(Paint::Doubt, &format!("! {}", words::gap(view))).end(style, into),
            "finding" => {
                let (paint, text) = findings::name(view);
                line.put(paint, &text).end(style, into);
            }
            "chain" => {}
            other => line.faint(other).end(style, into),
        }
    }
}

/// The link of an action: behind it where there is room, else below it.
fn remark(chain: &Chain, view: &View, line: Line, style: &Style, into: &mut impl Sheet) {
    let Some(text) = link(chain, view) else {
        line.end(style, into);
        return;
    };
    if style.width == 0 || line.width() + 2 + text.chars().count() <= style.width {
        line.faint(&format!("  {text}")).end(style, into);
    } else {
        line.end(style, into);
        Line::new().to(WHO).flow(Paint::Faint, &format!("↳ {text}"), WHO + 2, style, into);
    }
}

/// Why an action is outside, below it.
fn outside(view: &View, style: &Style, into: &mut impl Sheet) {
    if view.text("purpose.verdict") != Some("outside") {
        return;
    }
    let get = |name| view.text(name).unwrap_or("?");
    let text = format!("✗ {}: {}", get("purpose.name"), get("purpose.reason"));
    Line::new().to(WHO).flow(Paint::Bad, &text, WHO + 2, style, into);
}

/// `after AKIA… +1 (inherited, +12 ms)`. `None` for openings, executions and ends: that they come after is seen.
pub(super) fn link(chain: &Chain, view: &View) -> Option<String> {
    if let Some(seq) = view.number("completes") {
        let pending = chain.records.iter().find(|other| other.seq() == seq)?;
        let since = words::distance(pending.time_ns() - chain.since_ns);
        return Some(match pending.text("outcome") {
            Some("pending") => format!("pending since +{since}"),
            _ => format!("the name of the one at +{since}"),
        });
    }
    if view.text("link.relation") == Some("opened_while_connected") {
        let of = view.list("link.of").first().and_then(serde_json::Value::as_u64)?;
        let connection = chain.records.iter().find(|other| other.seq() == of)?;
        let to = connection.at("destination").map(words::address).unwrap_or_default();
        return Some(format!(
            "while connected to {to} ({}{})",
            words::worth(view.number("link.confidence")),
            fit(view)
        ));
    }
    if !matches!(view.text("action"), Some("connect" | "secret.write")) {
        return None;
    }
    let of = view.list("link.of");
    let newest = of.first().and_then(serde_json::Value::as_u64);
    let opening = newest.and_then(|seq| chain.records.iter().find(|other| other.seq() == seq));
    let name = match opening.and_then(|opening| opening.list("credential").first()) {
        Some(credential) => words::short(credential),
        None => words::linked(view).map(words::short)?,
    };
    let more = match of.len() + usize::try_from(view.number("link.of_unknown").unwrap_or(0)).unwrap_or(0) {
        0 | 1 => String::new(),
        count => format!(" +{}", count - 1),
    };
    let basis = view.text("link.basis")?;
    let delay = opening.map_or_else(String::new, |opening| {
        format!(", +{}", words::distance(view.time_ns() - opening.time_ns()))
    });
    let fit = match fit(view) {
        "" => String::new(),
        fit => format!("{fit}, "),
    };
    let worth = words::worth(view.number("link.confidence"));
    Some(format!("after {name}{more} ({worth}{fit}{basis}{delay})"))
}

/// What the credential says of the destination.
fn fit(view: &View) -> &'static str {
    let fact = |wanted: &str| view.list("link.facts").iter().any(|fact| fact.as_str() == Some(wanted));
    let fits = [
        ("destination-named", "names it"),
        ("destination-expected", "expected there"),
        ("destination-differs", "names others"),
    ];
    fits.into_iter().find_map(|(known, word)| fact(known).then_some(word)).unwrap_or_default()
}
