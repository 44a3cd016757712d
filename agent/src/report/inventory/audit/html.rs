//! The report as one page.

use maud::{Markup, html};

use super::cells::{age, destinations, list, places, remarked, some, times, what};
use super::parts::{self, LIMITS, STANDARDS};
use super::{Audit, Entry};
use crate::report::inventory::minute;
use crate::report::page::{ROWS_MAX, Shell, Shown, sections, signals, table};
use crate::report::words;

pub(super) fn page(audit: &Audit<'_>) -> String {
    let shell = Shell {
        title: html! { "Non-human identities of " (Shown(&audit.watch.host)) },
        first: ("summary", "summary"),
        header: header(audit),
        main: html! {
            (summary(audit))
            (identities(audit))
            (credentials(audit))
            (unused(audit))
            (people(audit))
            (watched(audit))
            (limits(audit))
            (standards())
        },
    };
    shell.page(&[])
}

fn header(audit: &Audit<'_>) -> Markup {
    let watch = audit.watch;
    let (since, until) = parts::period(audit);
    let watched = audit.seen.watched_since_ns.map(minute).unwrap_or_default();
    html! {
        header {
            h1 { "Non-human identities and credentials of " (Shown(&watch.host)) }
            dl.facts {
                dt { "Told of" } dd { (since) " to " (until) " UTC" }
                dt { "Watched since" } dd { (watched) " UTC" }
                dt { "Host" } dd { (Shown(&watch.host)) " " span.faint { "id " (Shown(&watch.host_id)) } }
                dt { "Kernel" } dd { (Shown(&watch.kernel)) }
                dt { "Made by" } dd {
                    "spoor " (Shown(&watch.agent)) " from " (watch.records) " records"
                    @if let Some((first, last)) = watch.seqs { ", numbers " (first) " to " (last) }
                }
                dt { "Scope" } dd {
                    @if watch.scope.is_empty() { "the whole host" }
                    @for scope in &watch.scope { (Shown(scope)) " " }
                }
            }
            (sections(&[
                ("summary", "Summary"), ("identities", "Identities"), ("credentials", "Credentials"),
                ("unused", "Not used"), ("people", "People"), ("watched", "Coverage and gaps"),
                ("limits", "Limits"), ("standards", "Standards"),
            ]))
        }
    }
}

fn summary(audit: &Audit<'_>) -> Markup {
    let counted = audit.counted();
    let people: std::collections::BTreeSet<&str> = audit.people().iter().map(|used| used.person).collect();
    html! {
        section #summary aria-labelledby="summary-title" {
            h2 #summary-title { "Summary" }
            ul.tiles {
                li { b { (audit.identities.len()) } " identities" }
                li { b { (audit.used.len()) } " credentials used" }
                li { b { (audit.unused.len()) } " not used" }
                li { b { (audit.with_remark()) } " with a remark" }
                li { b { (people.len()) } " people" }
                li { b { (audit.watch.gaps.values().sum::<u64>()) } " records of gaps" }
            }
            @if counted.is_empty() {
                p { "Nothing to ask about was found." }
            } @else {
                (table("remarks", "What to ask about", &["Remark", "How many", "OWASP NHI", "NIST CSF 2.0", "Why"], &html! {
                    @for one in &counted {
                        tr {
                            th scope="row" { (one.name) }
                            td.number { (one.count) }
                            td { (one.owasp.unwrap_or("")) }
                            td { (one.csf.unwrap_or("")) }
                            td.text { (parts::question(one.name)) }
                        }
                    }
                }))
            }
        }
    }
}

fn identities(audit: &Audit<'_>) -> Markup {
    let heads =
        &["Identity", "Remarks", "First and last seen", "Last program", "Credentials", "Destinations"];
    section(
        "identities",
        "Identities",
        "Service accounts that acted: units, jobs, containers, pods, system users.",
        audit.identities.len(),
        &table(
            "identities-table",
            "Service accounts: those with a remark, then the latest first",
            heads,
            &html! {
                @for Entry { id, row, remarks } in audit.identities.iter().take(ROWS_MAX) {
                    tr {
                        th scope="row" {
                            (Shown(id))
                            div.faint { (Shown(&row.kind)) ", user " (some(&row.users)) }
                            div.faint { "by " (some(&row.ways)) }
                        }
                        td { (remarked(remarks)) }
                        td { (times(row)) }
                        td.path { (Shown(&row.last_program)) }
                        td { (list(&row.others)) }
                        td { (destinations(row)) }
                    }
                }
            },
        ),
    )
}

fn credentials(audit: &Audit<'_>) -> Markup {
    let heads = &[
        "Credential",
        "Remarks",
        "Where it lies",
        "Age",
        "First and last used",
        "Used by",
        "Destinations after",
    ];
    section(
        "credentials",
        "Credentials that were used",
        "Held by somebody who acted in that time.",
        audit.used.len(),
        &table(
            "credentials-table",
            "Credentials: those with a remark, then the latest used first",
            heads,
            &html! {
                @for entry in audit.used.iter().take(ROWS_MAX) {
                    tr {
                        (what(entry))
                        td { (remarked(&entry.remarks)) }
                        td { (places(entry.row)) }
                        td { (age(audit, entry.row)) }
                        td { (times(entry.row)) div.path.faint { "by " (Shown(&entry.row.last_program)) } }
                        td {
                            (list(&entry.row.others))
                            @if entry.row.people.len() != 0 { div.faint { "people: " (some(&entry.row.people)) } }
                        }
                        td { (destinations(entry.row)) }
                    }
                }
            },
        ),
    )
}

fn unused(audit: &Audit<'_>) -> Markup {
    let heads = &["Credential", "Remarks", "Where it lies", "Age", "Known since"];
    section(
        "unused",
        "Credentials that were not used",
        "They lie here, and nobody was seen to use them in that time.",
        audit.unused.len(),
        &table(
            "unused-table",
            "Credentials that were not used",
            heads,
            &html! {
                @for entry in audit.unused.iter().take(ROWS_MAX) {
                    tr {
                        (what(entry))
                        td { (remarked(&entry.remarks)) }
                        td { (places(entry.row)) }
                        td { (age(audit, entry.row)) }
                        td { (entry.row.known_ns.map(minute).unwrap_or_default()) }
                    }
                }
            },
        ),
    )
}

fn people(audit: &Audit<'_>) -> Markup {
    let uses = audit.people();
    let heads = &["Person", "What", "First", "Last", "To ask about"];
    let about = "A person's own keys are told, and not remarked on.";
    section(
        "people",
        "What people used",
        about,
        uses.len(),
        &table(
            "people-table",
            "People's use",
            heads,
            &html! {
                @for used in uses.iter().take(ROWS_MAX) {
                    tr {
                        th scope="row" { (Shown(used.person)) }
                        td.path { (Shown(&parts::used(used.of, used))) }
                        td { (used.span.map(|(first, _)| minute(first)).unwrap_or_default()) }
                        td { (used.span.map(|(_, last)| minute(last)).unwrap_or_default()) }
                        td { @if used.remarked { span.tag { "NHI10:2025" } " " span.tag { "DE.CM-03" } } }
                    }
                }
            },
        ),
    )
}

fn watched(audit: &Audit<'_>) -> Markup {
    let watch = audit.watch;
    html! {
        section #watched aria-labelledby="watched-title" {
            h2 #watched-title { "Coverage and gaps" }
            h3 { "Gaps" }
            @if watch.gaps.is_empty() && watch.holes.is_empty() {
                p { "None that the agent knows of." }
            } @else {
                ul {
                    @for (kind, count) in &watch.gaps { li { (count) " times: " (Shown(words::kind_of_gap(kind))) } }
                    @for (from, to) in &watch.holes { li { "No word of the agent from " (minute(*from)) " to " (minute(*to)) " UTC" } }
                    @if watch.holes_more != 0 { li { "and " (watch.holes_more) " more such times" } }
                }
            }
            @if watch.signals.is_empty() {
                p { "What could be seen is not told by any record that is kept." }
            } @else {
                (signals(&watch.signals))
            }
        }
    }
}

fn limits(audit: &Audit<'_>) -> Markup {
    html! {
        section #limits aria-labelledby="limits-title" {
            h2 #limits-title { "Limits of what was seen" }
            ul {
                @for (count, text) in parts::left_out(audit) { li { strong { (count) } " " (text) } }
                @for limit in LIMITS { li { (limit) } }
            }
        }
    }
}

fn standards() -> Markup {
    html! {
        section #standards aria-labelledby="standards-title" {
            h2 #standards-title { "What this report is evidence for" }
            p { "Remarks carry numbers of the OWASP Non-Human Identities Top 10 (2025)." }
            (table("standards-table", "Controls", &["Control", "Evidence"], &html! {
                @for (number, text) in STANDARDS { tr { th scope="row" { (number) } td.text { (text) } } }
            }))
        }
    }
}

/// A section with a table, or with a word that there is nothing.
fn section(id: &str, title: &str, about: &str, count: usize, table: &Markup) -> Markup {
    html! {
        section id=(id) aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (title) " " span.faint { "(" (count) ")" } }
            p { (about) }
            @if count == 0 { p { "None." } } @else { (table) }
            @if count > ROWS_MAX {
                p { strong { "Of " (count) ", the first " (ROWS_MAX) " are shown." } " spoor actors and spoor credentials have all." }
            }
        }
    }
}
