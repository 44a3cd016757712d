//! The first page of `spoor serve`: the newest chains, what was found, what may be missing, what can be seen.

use maud::{Markup, html};

use super::day::findings_of;
use super::{HOLE_NS, Place, Shell, Shown, Signal, minute, section, sections, signals, table, way_to};
use crate::record::View;
use crate::report::chain::Chain;
use crate::report::show::views;
use crate::report::style::Line;
use crate::report::{FindingsFilter, ReportError, findings, list, words};
use crate::store::{ChainsFilter, Reader};

/// Chains told, and how many records are read for them where a filter lets few through.
const CHAINS_MAX: usize = 50;
const READ_MAX: usize = 200_000;
/// Findings and gaps told.
const NEWEST_MAX: usize = 20;
/// Days linked.
const DAYS_MAX: usize = 60;
/// Behind every record: numbers of the database have a sign.
const NEWEST: u64 = u64::MAX >> 1;

/// What may be asked for, as the form of the page names it.
pub const SINCE: &[(&str, &str, i64)] = &[
    ("", "whenever", 0),
    ("1h", "the last hour", 3_600_000_000_000),
    ("1d", "the last day", 86_400_000_000_000),
    ("1w", "the last week", 604_800_000_000_000),
];

/// What somebody asked the page for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Id of the actor, or its user.
    pub actor: String,
    /// A credential's id, path, or one of its identifiers.
    pub credential: String,
    /// One of [`SINCE`].
    pub since: String,
    /// Only with something outside.
    pub outside: bool,
    /// Only with a finding.
    pub findings: bool,
}

impl Asked {
    fn filter(&self, now_ns: i64) -> ChainsFilter {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let since = SINCE.iter().find(|(name, _, ns)| *name == self.since && *ns > 0);
        ChainsFilter {
            actor: some(&self.actor),
            credential: some(&self.credential),
            since_ns: since.map(|(_, _, ns)| now_ns.saturating_sub(*ns)),
            outside: self.outside,
            findings: self.findings,
            limit: CHAINS_MAX,
        }
    }
}

/// The page, at a time in ns since 1970.
///
/// # Errors
/// [`ReportError::Store`] where the store cannot be read.
pub fn index(reader: &Reader, asked: &Asked, now_ns: i64) -> Result<String, ReportError> {
    let newest = reader.newest()?.and_then(|newest| View::parse(&newest.body).ok());
    let host = newest.as_ref().and_then(|view| view.text("host.name")).unwrap_or("?").to_owned();
    let coverage = reader.last("coverage")?.and_then(|stored| View::parse(&stored.body).ok());
    let found = findings::read(reader, &FindingsFilter { limit: NEWEST_MAX, ..FindingsFilter::default() })?;
    let shell = Shell {
        title: html! { "spoor on " (Shown(&host)) },
        first: ("chains", "chains"),
        header: html! {
            header {
                h1 { "spoor on " (Shown(&host)) }
                (facts(newest.as_ref(), coverage.as_ref()))
                (sections(&[("gaps", "Gaps"), ("findings", "Findings"), ("chains", "Chains"), ("days", "Days"), ("watched", "Coverage")]))
            }
        },
        main: html! {
            (gaps(reader, newest.as_ref(), now_ns)?)
            (section("findings", "Newest findings", &html! {
                @if let Some(until) = findings::learning(reader)? { p.doubt { "Habits are still being learnt: until " (Shown(&until)) " UTC nothing is judged by them." } }
                (findings_of(&found, Place::Served))
            }))
            (section("chains", "Chains", &html! { (form(asked)) (chains(reader, asked, now_ns)?) }))
            (section("days", "Days", &days(reader)?))
            (section("watched", "Coverage", &watched(coverage.as_ref())))
        },
    };
    Ok(shell.of_chains())
}

fn facts(newest: Option<&View>, coverage: Option<&View>) -> Markup {
    let get = |path| coverage.and_then(|view| view.text(path)).unwrap_or("?");
    html! {
        dl.facts {
            dt { "Newest record" }
            dd {
                @match newest {
                    Some(view) => { (view.seq()) ", of " (minute(view.time_ns())) " UTC" }
                    None => "there is none",
                }
            }
            @if coverage.is_some() {
                dt { "Agent" } dd { "spoor " (Shown(get("agent_version"))) ", kernel " (Shown(get("kernel"))) }
            }
        }
    }
}

fn gaps(reader: &Reader, newest: Option<&View>, now_ns: i64) -> Result<Markup, ReportError> {
    let gaps = views(&reader.before("gap", NEWEST, NEWEST_MAX)?);
    // While it runs, it says so each minute.
    let silent = newest.map(View::time_ns).filter(|last| now_ns.saturating_sub(*last) > HOLE_NS);
    Ok(html! {
        section.gaps #gaps aria-labelledby="gaps-title" {
            h2 #gaps-title { "What may be missing" }
            @if gaps.is_empty() && silent.is_none() { p { "Nothing that the agent knows of." } } @else {
                ul {
                    @if let Some(silent) = silent { li.doubt { "no word of the agent since " (minute(silent)) " UTC: ask " code { "spoor status" } } }
                    @for gap in &gaps { li.doubt { (minute(gap.time_ns())) " UTC: " (Shown(&words::gap(gap))) } } }
                p.faint { "The newest " (NEWEST_MAX) " records of gaps at most; the page of a day has its own." }
            }
        }
    })
}

fn form(asked: &Asked) -> Markup {
    html! {
        form method="get" action="/" {
            label { "Actor or user" input type="text" name="actor" value=(Shown(&asked.actor)); }
            label { "Credential: id, path or identifier" input type="text" name="credential" value=(Shown(&asked.credential)); }
            label { "Open within" select name="since" {
                @for (value, text, _) in SINCE { option value=(value) selected[asked.since == *value] { (text) } }
            } }
            label.tick { input type="checkbox" name="findings" value="1" checked[asked.findings]; "with a finding" }
            label.tick { input type="checkbox" name="outside" value="1" checked[asked.outside]; "with something outside its purpose" }
            button type="submit" { "Filter" }
        }
    }
}

fn chains(reader: &Reader, asked: &Asked, now_ns: i64) -> Result<Markup, ReportError> {
    let filter = asked.filter(now_ns);
    let (heads, left) = reader.chains_among(&filter, READ_MAX)?;
    let chains: Vec<Chain> = heads.into_iter().map(|head| Chain::new(head.id, head.records)).collect();
    let rows = html! {
        @for chain in &chains {
            @let (paint, status) = list::status(chain);
            tr {
                td.time { (words::moment(&crate::record::rfc3339(chain.since_ns))) }
                th scope="row" {
                    (Shown(chain.any().and_then(|view| view.text("actor.id")).unwrap_or("?")))
                    div { (way_to(Place::Served, &chain.id)) }
                }
                td.path { ul.plain { @for (paint, text) in list::rows(chain) { li { (Line::new().put(paint, &text).shorter(super::CELL_MAX)) } } } }
                td { (Line::new().put(paint, &status)) }
            }
        }
    };
    let heads = &["Since, UTC", "Actor and chain", "Opened, ran, tried", "Status"];
    Ok(html! {
        @if chains.is_empty() { p { "No chain among those that were looked at." } } @else {
            (table("chains-table", "Newest first", heads, &rows))
        }
        @if left > 0 {
            p {
                strong { (left) " older ones were not looked at." }
                " The pages of days, and spoor chains, have them."
            }
        }
    })
}

fn days(reader: &Reader) -> Result<Markup, ReportError> {
    let days = reader.days()?;
    Ok(html! {
        ul { @for day in days.iter().rev().take(DAYS_MAX) { li { a href={ "/day/" (day) } { (day) } } } }
        @if days.len() > DAYS_MAX { p { strong { (days.len() - DAYS_MAX) " older days are not linked; " } "their pages are there all the same: /day/2026-01-02." } }
    })
}

fn watched(coverage: Option<&View>) -> Markup {
    let all = coverage.map(Signal::all).unwrap_or_default();
    html! {
        @if all.is_empty() { p { "What could be seen is not told by any record that is kept." } } @else { (signals(&all)) }
    }
}
