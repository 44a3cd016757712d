//! The records behind a chain, and how to prove them.

use maud::{Markup, html};

use super::{ROWS_MAX, Shown, table};
use crate::hex;
use crate::record::stamped;
use crate::report::chain::Chain;
use crate::store::Stored;

/// Most bytes of records that a page carries in full; behind that, rows only.
const BYTES_MAX: usize = 2 << 20;

/// Records by number, each with the hash before it.
pub(super) fn evidence(chain: &Chain, stored: &[Stored]) -> Markup {
    let key = chain.records.first().and_then(|view| view.text("host.id")).unwrap_or("?");
    html! {
        p {
            "Each record carries in " code { "prev" } " the hash of the record before it in the store, of whatever chain, and through it of all before. "
            "Every few minutes a record of type " code { "head" } " signs where that stands, and goes to every sink."
        }
        p { "To prove on host " (Shown(key)) " that these records are what was written, and then to compare:" }
        pre { "spoor verify\nspoor show " (Shown(&chain.id)) " --format json" }
        p { "What a receiver has is proven without the host, by " code { "spoor verify --received FILE" } ". This page itself is signed by nobody: the records are the evidence." }
        (records(stored))
    }
}

fn records(stored: &[Stored]) -> Markup {
    let heads = &["Record", "Hash of the one before", "In full"];
    let mut left = BYTES_MAX;
    let mut rows = Vec::new();
    for record in stored.iter().take(ROWS_MAX) {
        let whole = record.body.len() <= left;
        left = if whole { left - record.body.len() } else { left };
        rows.push((record, whole));
    }
    let without = rows.iter().filter(|(_, whole)| !whole).count();
    let rows = html! {
        @for (record, whole) in rows {
            tr {
                th scope="row" { (record.seq) }
                td.hash { @match stamped(&record.body) { Some(hash) => (hex::encode(&hash)), None => "it carries none" } }
                td.path { @if whole { details { summary { "Record " (record.seq) } pre { (Shown(&String::from_utf8_lossy(&record.body))) } } } }
            }
        }
    };
    html! {
        (table("records", "Records of this chain, gaps that concern it among them", heads, &rows))
        @if without > 0 { p { strong { (without) " records are not here in full, for their size." } } }
        (super::chain::cut(stored.len(), ROWS_MAX))
    }
}
