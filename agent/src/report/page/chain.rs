//! One chain: what may be missing, what was found, the graph, what happened, and how to prove it.

use maud::{Markup, html};

use super::{Place, Shell, Shown, evidence, section, sections, steps, table, way_to, ways};
use crate::record::rfc3339;
use crate::report::chain::{Chain, VERDICTS};
use crate::report::graph::Graph;
use crate::report::{findings, tree, words};
use crate::store::Stored;

/// Most lines of the tree.
const TREE_MAX: usize = 400;
/// Most of what is told in a list, gaps but for.
const LIST_MAX: usize = 200;

/// The page of a chain, and of the records that it was read from.
pub(in crate::report) fn chain(chain: &Chain, stored: &[Stored], place: Place) -> String {
    let actor = chain.any().and_then(|view| view.text("actor.id")).unwrap_or("?");
    let shell = Shell {
        title: html! { (Shown(actor)) ", chain " (Shown(&chain.id)) },
        first: ("gaps", "chain"),
        header: html! {
            header {
                h1 { (Shown(actor)) }
                (facts(chain, place))
                (sections(&[
                    ("gaps", "Gaps"), ("findings", "Findings"), ("graph", "Graph"), ("reached", "Credentials and destinations"),
                    ("processes", "Processes"), ("timeline", "Timeline"), ("evidence", "Evidence"),
                ]))
                (ways(place, day(chain).as_deref()))
            }
        },
        main: html! {
            (gaps(chain))
            (section("findings", "Findings", &found(chain)))
            (section("graph", "Graph", &graph(chain, "")))
            (section("reached", "Credentials and destinations", &html! { (credentials(chain)) (written(chain)) (destinations(chain)) }))
            (section("processes", "Processes", &processes(chain)))
            (section("timeline", "Timeline", &steps::timeline(chain, "timeline-table", super::ROWS_MAX)))
            (section("evidence", "Evidence", &evidence::evidence(chain, stored)))
        },
    };
    shell.of_chains()
}

/// The day on which it began.
fn day(chain: &Chain) -> Option<String> {
    (!chain.records.is_empty()).then(|| rfc3339(chain.since_ns).get(..10).unwrap_or_default().to_owned())
}

/// Whose it is, when it was, how it ended.
pub(super) fn facts(chain: &Chain, place: Place) -> Markup {
    let view = chain.any();
    let get = |path: &str| view.and_then(|view| view.text(path));
    let known = |path: &str| get(path).unwrap_or("?").to_owned();
    let pod: Vec<&str> = ["actor.pod.namespace", "actor.pod.name", "actor.pod.container", "actor.pod.node"]
        .into_iter()
        .filter_map(get)
        .collect();
    let attempt = view.and_then(|view| view.number("attempt.number"));
    html! {
        dl.facts {
            dt { "Chain" } dd { (way_to(place, &chain.id)) " " span.faint { "of run " (Shown(&known("run"))) } }
            dt { "Actor" } dd { (Shown(&known("actor.id"))) " " span.faint { (Shown(&known("actor.kind"))) ", user " (Shown(&known("actor.user"))) } }
            @if !pod.is_empty() { dt { "Pod" } dd { (Shown(&pod.join("/"))) } }
            dt { "Started by" } dd { (Shown(&known("actor.origin"))) }
            @if let Some(person) = get("actor.human.user") {
                dt { "Person" }
                dd {
                    (Shown(person))
                    @if let Some(session) = get("actor.human.session") { " in session " (Shown(session)) }
                    @if let Some(from) = get("actor.human.from") { " from " (Shown(from)) }
                    @if get("actor.human.basis") == Some("client") {
                        span.faint { ", by a client's words" }
                    }
                }
            }
            @if let Some(why) = get("actor.human_unknown") {
                dt { "Person" }
                dd { "not named: " (Shown(words::unnamed(why))) }
            }
            @if let Some(number) = attempt {
                dt { "Attempt" }
                dd {
                    (number) " of the same job"
                    @if let Some(before) = get("attempt.after") { ", after " (way_to(place, before)) }
                }
            }
            dt { "When" } dd { (when(chain)) span.faint { " on " (Shown(&known("host.name"))) } }
            dt { "Ended" } dd { (ended(chain)) }
            dt { "Purposes" } dd { (purposes(chain)) }
        }
    }
}

fn when(chain: &Chain) -> Markup {
    html! {
        (words::moment(&rfc3339(chain.since_ns))) " UTC"
        @if let Some(closed) = chain.closed() { ", for " (words::distance(closed.time_ns() - chain.since_ns)) }
    }
}

fn ended(chain: &Chain) -> Markup {
    let Some(closed) = chain.closed() else {
        return html! { strong { "still open" } ", as far as it is stored" };
    };
    let reason = closed.text("reason").unwrap_or("?");
    html! {
        @match closed.at("exit").map(words::exit) {
            Some((paint, text)) => { (crate::report::style::Line::new().put(paint, &text)) span.faint { "  " (Shown(reason)) } }
            None => (Shown(reason)),
        }
    }
}

/// What it was for, and how much of it was that.
fn purposes(chain: &Chain) -> Markup {
    let Some((counts, names)) = chain.verdicts() else {
        return html! { "none was declared" };
    };
    html! {
        @if names.is_empty() { "none" } @else { (Shown(&names.join(", "))) }
        ": "
        @for (index, (count, verdict)) in counts.into_iter().zip(VERDICTS).filter(|(count, _)| *count > 0).enumerate() {
            @if index != 0 { ", " }
            span class=(match verdict { "within" => "good", "outside" => "bad", _ => "doubt" }) { (count) " " (verdict) }
        }
    }
}

/// What may be missing, before anything that it puts in doubt.
pub(super) fn gaps(chain: &Chain) -> Markup {
    let doubts = chain.doubts();
    let inner = html! {
        @if doubts.is_empty() {
            p { "Nothing that the agent knows of." }
        } @else {
            ul { @for doubt in doubts.iter().take(LIST_MAX) { li.doubt { (Shown(doubt)) } } }
            (cut(doubts.len(), LIST_MAX))
        }
    };
    html! {
        section.gaps #gaps aria-labelledby="gaps-title" { h2 #gaps-title { "What may be missing" } (inner) }
    }
}

/// What was found in it.
pub(super) fn found(chain: &Chain) -> Markup {
    let found = chain.findings();
    html! {
        @if found.is_empty() { p { "None." } } @else {
            ul {
                @for view in found.iter().take(LIST_MAX) {
                    li {
                        (findings::line(view))
                        @if let Some(advice) = findings::advice(view) { div.faint { (advice) } }
                    }
                }
            }
            (cut(found.len(), LIST_MAX))
        }
    }
}

/// The graph, and the same as a list. Ids on a page are told apart by `of`.
pub(super) fn graph(chain: &Chain, of: &str) -> Markup {
    let graph = Graph::of(chain);
    let told: Vec<String> = graph.told().take(LIST_MAX * 5).collect();
    html! {
        div.wide role="region" tabindex="0" aria-label={ "Graph " (Shown(of)) } { (graph.inline("Actor, programs, credentials and destinations of the chain; the list below says the same")) }
        p.faint {
            "A solid line is what was seen. A broken line from a credential to a destination says that the connection came after the credential was opened, not that the credential went there; one from a credential to another, that this one was written after it. A thick line is outside of what the actor is for."
        }
        details {
            summary { "The graph as a list (" (told.len()) " lines)" }
            ul { @for line in &told { li { (Shown(line)) } } }
        }
    }
}

pub(super) fn credentials(chain: &Chain) -> Markup {
    let all = chain.credentials();
    let rows = html! {
        @for one in all.iter().take(LIST_MAX) {
            tr {
                th scope="row" {
                    (Shown(&words::credential(one.credential)))
                    @if let Some(rotated) = one.rotated() { " (" (rotated) ")" }
                }
                td { (Shown(words::text(one.credential, "kind").unwrap_or_default())) }
                td.path {
                    @for (index, path) in one.paths.iter().take(LIST_MAX).enumerate() {
                        @if index > 0 { br; }
                        (Shown(path))
                    }
                }
                td { (Shown(words::text(one.credential, "expires").map(words::moment).unwrap_or_default().as_str())) }
            }
        }
    };
    html! {
        @if all.is_empty() { p { "No credential." } } @else {
            (table("credentials", "Credentials it opened, received or held", &["Credential", "Kind", "Where it lies", "Expires, UTC"], &rows))
            (cut(all.len(), LIST_MAX))
        }
    }
}

/// Credentials that it wrote, where there are any.
pub(super) fn written(chain: &Chain) -> Markup {
    let all = chain.written();
    let rows = html! {
        @for one in all.iter().take(LIST_MAX) {
            tr {
                th scope="row" { (Shown(&words::credential(one))) }
                td { (Shown(words::text(one, "kind").unwrap_or_default())) }
                td.path { (Shown(words::text(one, "path").unwrap_or_default())) }
            }
        }
    };
    html! {
        @if !all.is_empty() {
            (table("written", "Credentials it opened to write", &["Credential", "Kind", "Where it lies"], &rows))
            (cut(all.len(), LIST_MAX))
        }
    }
}

pub(super) fn destinations(chain: &Chain) -> Markup {
    let all = chain.destinations();
    let rows = html! {
        @for (to, attempts, established) in all.iter().take(LIST_MAX) {
            tr {
                th scope="row" { (Shown(to)) }
                td { (attempts) }
                td { span class=(if *established == 0 { "bad" } else { "good" }) { (established) } }
            }
        }
    };
    html! {
        @if all.is_empty() { p { "No destination was tried." } } @else {
            (table("destinations", "Destinations it tried", &["Destination", "Tries", "Established"], &rows))
            (cut(all.len(), LIST_MAX))
        }
    }
}

fn processes(chain: &Chain) -> Markup {
    let lines = tree::tree(chain);
    let all = lines.len();
    html! {
        div.wide role="region" tabindex="0" aria-label="Tree of processes" {
            pre.tree { @for line in lines.into_iter().take(TREE_MAX) { (line.shorter(super::CELL_MAX)) "\n" } }
        }
        (cut(all, TREE_MAX))
    }
}

/// That not all is told.
pub(super) fn cut(all: usize, most: usize) -> Markup {
    html! {
        @if all > most { p { strong { "Of " (all) ", the first " (most) " are told here." } " spoor show --format json has all." } }
    }
}
