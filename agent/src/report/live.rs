//! Records as they come, one a line.

use super::deeds::deed;
use super::style::{Line, Paint, Style, head};
use super::{findings, words};
use crate::record::View;

/// A record as one line of the live view. `None` for those that tell a person nothing at that moment, or that are none.
#[must_use]
pub fn live_line(body: &[u8], style: &Style) -> Option<String> {
    let view = View::parse(body).ok()?;
    let time = view.text("time")?.get(11..23).unwrap_or_default().to_owned();
    let line = Line::new().faint(&time).to(14);
    let actor = || head(view.text("actor.id").unwrap_or_default(), 30);
    let line = match view.kind() {
        "action" => {
            let who = view.at("process").map(words::process).unwrap_or_default();
            let line = line.put(Paint::Strong, &head(&who, 16)).to(31).then(deed(&view, true));
            let told = matches!(view.text("action"), Some("connect" | "secret.write"));
            let basis = view.text("link.basis").filter(|_| told);
            match (basis, words::linked(&view)) {
                (Some(basis), Some(credential)) => {
                    let worth = words::worth(view.number("link.confidence"));
                    line.faint(&format!("  after {} ({worth}{basis})", words::short(credential)))
                }
                _ => line,
            }
        }
        "chain" if view.text("status") == Some("opened") => {
            let line = line.put(Paint::Strong, "chain").to(31).put(Paint::Strong, &actor());
            line.faint(&format!("  begins  {}", head(view.chain()?, 12)))
        }
        "chain" if view.text("status") == Some("completed") => {
            let line = line.put(Paint::Strong, "chain").to(31).put(Paint::Strong, &actor());
            line.faint(&format!("  is who acts in {}", head(view.chain()?, 12)))
        }
        "chain" => {
            let line = line.put(Paint::Strong, "chain").to(31).put(Paint::Strong, &actor()).faint("  ends  ");
            match view.at("exit").map(words::exit) {
                Some((paint, text)) => line.put(paint, &text),
                None => line.plain(view.text("reason").unwrap_or_default()),
            }
        }
        "gap" => line.put(Paint::Doubt, "! gap").to(31).put(Paint::Doubt, &words::gap(&view)),
        "finding" => {
            let (paint, text) = findings::live(&view);
            line.put(paint, "! finding").to(31).put(paint, &text)
        }
        "coverage" => coverage(&view, line),
        _ => return None,
    };
    Some(line.text(style))
}

fn coverage(view: &View, line: Line) -> Line {
    let mut line = line.put(Paint::Strong, "watching").to(31);
    let (seen, unseen): (Vec<_>, Vec<_>) =
        view.list("signals").iter().partition(|signal| signal.get("tier").is_some());
    let name = |signal| words::text(signal, "signal").unwrap_or("?");
    // First what nobody may overlook.
    if !view.list("purposes.refused").is_empty() {
        line = line.put(Paint::Bad, "new purposes refused").plain("  ");
    }
    if !view.list("config.refused").is_empty() {
        line = line.put(Paint::Bad, "new config refused").plain("  ");
    }
    for signal in unseen {
        line = line.put(Paint::Bad, &format!("{} not seen  ", name(signal)));
    }
    for signal in seen {
        let tier = words::text(signal, "tier").unwrap_or_default();
        line = line.plain(&format!("{} ", name(signal))).faint(&format!("{tier}  "));
    }
    line
}
