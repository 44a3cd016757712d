//! What several pages have.

use maud::{Markup, html};
use serde_json::Value;

use super::{Shown, table};
use crate::record::View;
use crate::report::words;

/// Most signals of a coverage record, and most blind spots of one.
const SIGNALS_MAX: usize = 64;

/// An agent says that it is there each minute: between records that are farther apart, it was not.
pub(in crate::report) const HOLE_NS: i64 = 180_000_000_000;

/// A signal, as a coverage record tells of it.
#[derive(Debug)]
pub(in crate::report) struct Signal {
    pub(in crate::report) name: String,
    pub(in crate::report) tier: Option<String>,
    pub(in crate::report) proven: bool,
    pub(in crate::report) blind: Vec<String>,
}

impl Signal {
    /// Those of a record.
    pub(in crate::report) fn all(view: &View) -> Vec<Self> {
        let signal = |signal: &Value| Signal {
            name: words::text(signal, "signal").unwrap_or("?").to_owned(),
            tier: words::text(signal, "tier").map(str::to_owned),
            proven: signal.get("proven").and_then(Value::as_bool).unwrap_or(false),
            blind: signal.get("blind").and_then(Value::as_array).map(|list| texts(list)).unwrap_or_default(),
        };
        view.list("signals").iter().take(SIGNALS_MAX).map(signal).collect()
    }
}

/// The texts of a list, as many as a page has.
pub(in crate::report) fn texts(list: &[Value]) -> Vec<String> {
    list.iter().filter_map(Value::as_str).take(SIGNALS_MAX).map(str::to_owned).collect()
}

/// What could be seen, as a table.
pub(in crate::report) fn signals(signals: &[Signal]) -> Markup {
    let heads = &["Signal", "Seen by", "Not seen"];
    table(
        "signals",
        "What could be seen, as of the last start",
        heads,
        &html! {
            @for signal in signals {
                tr {
                    th scope="row" { (Shown(&signal.name)) }
                    td {
                        @match &signal.tier { Some(tier) => (Shown(tier)), None => strong { "not covered" } }
                        @if signal.tier.is_some() && !signal.proven { strong { ", silent now" } }
                    }
                    td.text { ul.plain { @for blind in &signal.blind { li { (Shown(blind)) } } } }
                }
            }
        },
    )
}
