//! What stands in the cells of the page's tables.

use maud::{Markup, html};

use super::{Audit, Entry};
use crate::report::inventory::row::{Row, Some64};
use crate::report::inventory::{DAY_NS, Remark, day, minute};
use crate::report::page::Shown;

/// Most of anything in a cell.
const CELL_MAX: usize = 8;

pub(super) fn what(entry: &Entry<'_>) -> Markup {
    let row = entry.row;
    html! {
        th scope="row" {
            (Shown(entry.id))
            div.faint {
                (Shown(&row.kind))
                @if !row.issuer.is_empty() { ", issuer " (Shown(&row.issuer)) }
                @if !row.lifetime.is_empty() { ", " (Shown(&row.lifetime)) }
            }
        }
    }
}

pub(super) fn remarked(remarks: &[Remark]) -> Markup {
    html! {
        ul.plain {
            @for remark in remarks {
                li {
                    (Shown(&remark.text))
                    @for number in [remark.owasp, remark.csf].into_iter().flatten() { " " span.tag { (number) } }
                }
            }
        }
    }
}

pub(super) fn times(row: &Row) -> Markup {
    html! {
        @match row.times.span {
            Some((first, last)) if minute(first) == minute(last) => { div.time { (minute(last)) } }
            Some((first, last)) => { div.time { (minute(first)) } div.time { (minute(last)) } }
            None => { "never" }
        }
        @if row.runs() != 0 { div.faint { (row.runs()) @if row.runs() == 1 { " run" } @else { " runs" } } }
    }
}

pub(super) fn places(row: &Row) -> Markup {
    html! {
        ul.plain {
            @for path in row.ways.names().take(CELL_MAX) {
                li.path {
                    (Shown(path))
                    @if let Some(place) = row.files.get(path) {
                        " " span.faint { (format!("{:04o}", place.mode & 0o7777)) " owner " (place.owner) }
                    }
                }
            }
            (more(row.ways.len(), row.ways.refused))
        }
    }
}

pub(super) fn age(audit: &Audit<'_>, row: &Row) -> Markup {
    html! {
        @if let Some(written) = row.written_ns {
            (audit.seen.as_of_ns.saturating_sub(written) / DAY_NS) " days"
            div.time.faint { "written " (day(written)) }
        }
        @if row.versions() > 1 { div.time.faint { (row.versions()) " versions seen" } }
        @if let Some(expires) = row.expires_ns { div.time.faint { "expires " (day(expires)) } }
    }
}

pub(super) fn destinations(row: &Row) -> Markup {
    html! {
        ul.plain {
            @for (to, tries) in row.destinations.values.iter().take(CELL_MAX) {
                li.path { (Shown(to)) " " span.faint { (tries.established) " of " (tries.all) } }
            }
            (more(row.destinations.len(), row.destinations.refused))
        }
    }
}

pub(super) fn list<T>(some: &Some64<T>) -> Markup {
    html! {
        ul.plain {
            @for name in some.values.keys().take(CELL_MAX) { li.path { (Shown(name)) } }
            (more(some.values.len(), some.refused))
        }
    }
}

/// A few names in a line.
pub(super) fn some<T>(some: &Some64<T>) -> Markup {
    html! {
        @for (number, name) in some.values.keys().take(CELL_MAX).enumerate() {
            @if number != 0 { ", " }
            (Shown(name))
        }
        @if some.values.len() > CELL_MAX || some.refused != 0 { ", …" }
    }
}

/// What is not shown is said.
pub(super) fn more(known: usize, refused: u64) -> Markup {
    let hidden = known.saturating_sub(CELL_MAX);
    html! {
        @if refused != 0 { li.faint { "and more than " (hidden) " more" } }
        @else if hidden != 0 { li.faint { "and " (hidden) " more" } }
    }
}
