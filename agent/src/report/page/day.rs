//! A day: what may be missing, what was found, and all chains of which something was told, by actor.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use maud::{Markup, PreEscaped, html};

use super::{
    HOLE_NS, Place, Shell, Shown, chain as whole, minute, section, sections, steps, table, way_to, ways,
};
use crate::record::View;
use crate::report::chain::Chain;
use crate::report::show::views;
use crate::report::{ReportError, findings, list, words};
use crate::store::{Reader, StoreError};

/// Most chains that are told one by one, most records that are read for that, and most bytes of what is told. Those in which
/// something was found come first.
const CHAINS_MAX: usize = 300;
const READ_MAX: usize = 200_000;
const BYTES_MAX: usize = 8 << 20;
/// Most chains that are counted, and most records of findings that are read.
const COUNTED_MAX: usize = 100_000;
const FOUND_MAX: usize = 20_000;
/// Most rows of the timeline of one chain.
const STEPS_MAX: usize = 60;
/// Most gaps and findings told.
const TOLD_MAX: usize = 500;
/// Most heartbeats of a day: one a minute, and some starts.
const BEATS_MAX: usize = 4_096;

/// A day of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    date: Date,
    span: (i64, i64),
}

impl Day {
    /// Out of `2026-01-02`; [`None`] where it is none, or farther from now than records can be.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let date: Date = text.parse().ok()?;
        let start = |date: Date| {
            let start = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
            i64::try_from(start.as_nanosecond()).ok()
        };
        let span = (start(date)?, start(date.tomorrow().ok()?)?);
        // One spelling only.
        (date.to_string() == text).then_some(Day { date, span })
    }
}

/// What of a chain goes into the page.
struct Told {
    actor: String,
    since_ns: i64,
    block: Markup,
}

/// The page of a day.
///
/// # Errors
/// [`ReportError::NoDay`] where nothing of it is kept; [`ReportError::Store`] where the store cannot be read.
pub fn day(reader: &Reader, day: Day, place: Place) -> Result<String, ReportError> {
    let ids = reader.chains_between(day.span, COUNTED_MAX)?;
    let (found, more) = noticed(reader, day)?;
    let beats = heard(reader, day)?;
    let gaps: Vec<View> = views(&reader.between("gap", day.span, TOLD_MAX + 1)?);
    if ids.is_empty() && found.is_empty() && beats.is_empty() && gaps.is_empty() {
        return Err(ReportError::NoDay { day: day.date.to_string(), kept: reader.days()? });
    }
    let (told, left) = chains(reader, &ids, &found, place)?;
    let newest = reader.newest()?.and_then(|newest| View::parse(&newest.body).ok());
    let over = newest.as_ref().is_some_and(|view| view.time_ns() >= day.span.1);
    let host = newest.as_ref().and_then(|view| view.text("host.name")).unwrap_or("?").to_owned();
    let date = day.date.to_string();
    let actors: BTreeSet<&str> = told.iter().map(|told| told.actor.as_str()).collect();
    let shell = Shell {
        title: html! { (date) " on " (Shown(&host)) },
        first: ("gaps", "day"),
        header: html! {
            header {
                h1 { (date) " on " (Shown(&host)) }
                ul.tiles {
                    li { b { (ids.len()) @if ids.len() == COUNTED_MAX { "+" } } " chains" }
                    li { b { (actors.len()) } " actors" }
                    li { b { (found.len()) } " findings" }
                    li { b { (gaps.len().min(TOLD_MAX)) @if gaps.len() > TOLD_MAX { "+" } } " records of gaps" }
                }
                (sections(&[("gaps", "Gaps"), ("findings", "Findings"), ("chains", "Chains by actor")]))
                (ways(place, None))
            }
        },
        main: html! {
            (missing(&gaps, &holes(&beats, day, over)))
            (section("findings", "Findings", &html! {
                @if more { p { strong { "There are more records of findings than the first " (FOUND_MAX) ", which were read." } } }
                (findings_of(&found, place))
            }))
            (section("chains", "Chains by actor", &by_actor(&told, left)))
        },
    };
    Ok(shell.of_chains())
}

/// Findings that were noticed that day, each as it was told last on it, newest first; and whether there were too many to read.
fn noticed(reader: &Reader, day: Day) -> Result<(Vec<View>, bool), StoreError> {
    let mut last = BTreeMap::new();
    let records = reader.between("finding", day.span, FOUND_MAX)?;
    for view in views(&records) {
        last.insert(view.text("finding_id").unwrap_or_default().to_owned(), view);
    }
    let mut found: Vec<View> = last.into_values().collect();
    found.sort_by_key(|view| std::cmp::Reverse(view.seq()));
    Ok((found, records.len() == FOUND_MAX))
}

/// When the agent was heard of: its heartbeats, starts and heads.
fn heard(reader: &Reader, day: Day) -> Result<Vec<i64>, StoreError> {
    let mut times = Vec::new();
    for kind in ["heartbeat", "coverage", "head"] {
        times.extend(views(&reader.between(kind, day.span, BEATS_MAX)?).iter().map(View::time_ns));
    }
    times.sort_unstable();
    Ok(times)
}

/// Times without a word of the agent, in words. Whether the day is over is known by records of a later one.
fn holes(beats: &[i64], day: Day, over: bool) -> Vec<String> {
    let (from, until) = day.span;
    let times: Vec<i64> = [from].into_iter().chain(beats.iter().copied()).chain([until]).collect();
    let pairs = times.windows(2).filter_map(|pair| match pair {
        [one, other] if other - one > HOLE_NS && *other == until && !over => Some(format!(
            "no word of the agent since {} UTC: it stopped, or the day is not over",
            minute(*one)
        )),
        [one, other] if other - one > HOLE_NS => Some(format!(
            "no word of the agent from {} to {} UTC: nobody watched",
            minute(*one),
            minute(*other)
        )),
        _ => None,
    });
    pairs.collect()
}

fn missing(gaps: &[View], holes: &[String]) -> Markup {
    let inner = html! {
        @if gaps.is_empty() && holes.is_empty() {
            p { "Nothing that the agent knows of." }
        } @else {
            ul {
                @for hole in holes.iter().take(TOLD_MAX) { li.doubt { (hole) } }
                @for gap in gaps.iter().take(TOLD_MAX) {
                    li.doubt {
                        (minute(gap.time_ns())) " UTC: " (Shown(&words::gap(gap)))
                        @if !gap.list("chains").is_empty() { span.faint { " (in " (gap.list("chains").len()) " chains)" } }
                    }
                }
            }
            @if gaps.len() > TOLD_MAX { p { strong { "There are more records of gaps than the " (TOLD_MAX) " told here." } } }
        }
    };
    html! {
        section.gaps #gaps aria-labelledby="gaps-title" { h2 #gaps-title { "What may be missing" } (inner) }
    }
}

/// Findings as a table.
pub(super) fn findings_of(found: &[View], place: Place) -> Markup {
    let heads = &["Last, UTC", "What", "Actor", "Chain"];
    let rows = html! {
        @for view in found.iter().take(TOLD_MAX) {
            tr {
                td.time { (minute(view.time_ns())) }
                td.path {
                    (findings::line(view).shorter(super::CELL_MAX))
                    @if let Some(advice) = findings::advice(view) { div.faint { (advice) } }
                }
                td.who { (Shown(view.text("actor.id").unwrap_or("?"))) }
                td.chain { (way_to(place, view.chain().unwrap_or("?"))) }
            }
        }
    };
    html! {
        @if found.is_empty() { p { "None." } } @else {
            (table("findings-table", "Each as it was told last, newest first", heads, &rows))
            @if found.len() > TOLD_MAX { p { strong { "Of " (found.len()) ", the newest " (TOLD_MAX) " are told here." } " spoor findings has all." } }
        }
    }
}

/// What is told of each chain, those in which something was found first, as long as there is room; and how many are left.
fn chains(
    reader: &Reader,
    ids: &[String],
    found: &[View],
    place: Place,
) -> Result<(Vec<Told>, usize), StoreError> {
    let found: BTreeSet<&str> = found.iter().filter_map(View::chain).collect();
    let (mut first, rest): (Vec<&String>, Vec<&String>) =
        ids.iter().partition(|id| found.contains(id.as_str()));
    first.extend(rest);
    let (mut told, mut bytes, mut read) = (Vec::new(), 0, 0);
    for id in &first {
        if told.len() == CHAINS_MAX || bytes > BYTES_MAX || read > READ_MAX {
            break;
        }
        let chain = Chain::new((*id).clone(), views(&reader.chain(id)?));
        let block = block(&chain, told.len() + 1, found.contains(id.as_str()), place);
        bytes += block.0.len();
        read += chain.records.len();
        let actor = chain.any().and_then(|view| view.text("actor.id")).unwrap_or("?").to_owned();
        told.push(Told { actor, since_ns: chain.since_ns, block });
    }
    let left = ids.len() - told.len();
    told.sort_by(|one, other| (&one.actor, one.since_ns).cmp(&(&other.actor, other.since_ns)));
    Ok((told, left))
}

fn by_actor(told: &[Told], left: usize) -> Markup {
    html! {
        @if told.is_empty() { p { "None." } }
        @if left > 0 {
            p { strong { (left) " chains more are not told here, for the size of the page." } " spoor chains lists them, spoor show has each." }
        }
        @for chains in told.chunk_by(|one, other| one.actor == other.actor) {
            @if let Some(first) = chains.first() {
                h3 { (Shown(&first.actor)) " " span.faint { "(" (chains.len()) ")" } }
            }
            @for told in chains { (PreEscaped(&told.block.0)) }
        }
    }
}

/// A chain, folded.
fn block(chain: &Chain, number: usize, open: bool, place: Place) -> Markup {
    let time = crate::record::rfc3339(chain.since_ns);
    let lasted = chain.closed().map(|closed| words::distance(closed.time_ns() - chain.since_ns));
    let (paint, status) = list::status(chain);
    let status = crate::report::style::Line::new().put(paint, &status);
    let rows = list::rows(chain);
    html! {
        details.one open[open] {
            summary {
                (words::moment(&time)) " "
                @if let Some(lasted) = lasted { "for " (lasted) " " }
                (status)
                @for (paint, text) in rows { span.faint { " · " } (crate::report::style::Line::new().put(paint, &text)) }
            }
            (whole::facts(chain, place))
            @let doubts = chain.doubts();
            @if !doubts.is_empty() {
                div.gaps {
                    strong { "What may be missing" }
                    ul { @for doubt in doubts.iter().take(TOLD_MAX) { li.doubt { (Shown(doubt)) } } }
                }
            }
            @if !chain.findings().is_empty() { h4 { "Findings" } (whole::found(chain)) }
            h4 { "Graph" }
            (whole::graph(chain, &chain.id))
            h4 { "Timeline" }
            (steps::timeline(chain, &format!("timeline-{number}"), STEPS_MAX))
        }
    }
}
