//! Chains, one a line, newest first.

use super::chain::Chain;
use super::style::{Line, Paint, Style, head, tail};
use super::words;
use crate::record::View;
use crate::store::{ChainsFilter, Reader, StoreError};

/// Least letters of an id shown: below that, chains of the same minute are all alike.
const ID_MIN: usize = 10;

/// Columns of the status.
const STATUS: usize = 10;
/// Most credentials, and destinations, told of a chain.
const EACH_MAX: usize = 4;

/// The chains that a filter lets through, as a table.
///
/// # Errors
/// [`StoreError`] where the store cannot be read.
pub fn chains(reader: &Reader, filter: &ChainsFilter, style: &Style) -> Result<String, StoreError> {
    let heads = reader.chains(filter)?;
    if heads.is_empty() {
        return Ok("no chains\n".to_owned());
    }
    let chains: Vec<Chain> = heads.into_iter().map(|head| Chain::new(head.id, head.records)).collect();
    let short = unique(&chains);
    let wide = if style.width == 0 { 160 } else { style.width.max(60) };
    // What is left after id, time, status and blanks goes to the actor and to what it did.
    let left = wide.saturating_sub(short + 2 + 13 + STATUS);
    let (when, actor) = (short + 2, short + 2 + 13);
    let (did, end) = (actor + left * 2 / 5, wide - STATUS);
    let mut out = String::new();
    let title = Line::new().put(Paint::Strong, "CHAIN").to(when).put(Paint::Strong, "WHEN, UTC").to(actor);
    let title = title.put(Paint::Strong, "ACTOR").to(did).put(Paint::Strong, "OPENED, RAN, TRIED");
    title.to(end).put(Paint::Strong, "STATUS").end(style, &mut out);
    for chain in &chains {
        let id: String = chain.id.chars().take(short).collect();
        let time = words::moment(&crate::record::rfc3339(chain.since_ns));
        let line = Line::new().plain(&id).to(when).plain(time.get(5..16).unwrap_or_default()).to(actor);
        let name = chain.any().and_then(|view| view.text("actor.id")).unwrap_or("?");
        let line = line.put(Paint::Strong, &tail(name, did - actor - 1)).to(did);
        let mut rows = rows(chain).into_iter();
        let room = end - did - 1;
        let (paint, text) = rows.next().unwrap_or((Paint::Faint, "-".to_owned()));
        let line = line.put(paint, &head(&text, room)).to(end);
        let (paint, text) = status(chain);
        line.put(paint, &text).end(style, &mut out);
        for (paint, text) in rows {
            let line = Line::new().to(did).put(paint, &head(&text, wide - did));
            line.end(style, &mut out);
        }
    }
    Ok(out)
}

/// How many letters tell these chains apart.
fn unique(chains: &[Chain]) -> usize {
    let mut ids: Vec<&str> = chains.iter().map(|chain| chain.id.as_str()).collect();
    ids.sort_unstable();
    let shared = ids.windows(2).filter_map(|pair| match pair {
        [one, other] => Some(one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count() + 1),
        _ => None,
    });
    shared.max().unwrap_or(0).max(ID_MIN)
}

/// What a chain held: credentials, programs, destinations; gaps where there are any.
pub(super) fn rows(chain: &Chain) -> Vec<(Paint, String)> {
    let more = |count: usize, what: &str| {
        (count > EACH_MAX).then(|| (Paint::Faint, format!("  and {} more {what}", count - EACH_MAX)))
    };
    let mut rows = Vec::new();
    let credentials = chain.credentials();
    let opened = credentials.iter().take(EACH_MAX).map(|used| words::short(used.credential));
    rows.extend(opened.map(|name| (Paint::Plain, format!("open {name}"))));
    rows.extend(more(credentials.len(), "credentials"));
    let written = chain.written();
    let names = written.iter().take(EACH_MAX).map(|one| words::short(one));
    rows.extend(names.map(|name| (Paint::Plain, format!("write {name}"))));
    rows.extend(more(written.len(), "written"));
    let programs = programs(chain);
    if !programs.is_empty() {
        rows.push((Paint::Faint, format!("exec {}", programs.join(", "))));
    }
    let destinations = chain.destinations();
    for (to, attempts, established) in destinations.iter().take(EACH_MAX) {
        rows.push(match *established {
            0 => (Paint::Bad, format!("→ {to} failed")),
            all if all == *attempts => (Paint::Good, format!("→ {to}")),
            some => (Paint::Plain, format!("→ {to} ({some} of {attempts})")),
        });
    }
    rows.extend(more(destinations.len(), "destinations"));
    let outside = chain.verdicts().map_or(0, |([_, outside, _], _)| outside);
    if outside > 0 {
        rows.push((Paint::Bad, format!("✗ {outside} outside what it is for")));
    }
    for view in chain.records.iter().filter(|view| view.text("told") == Some("first")).take(EACH_MAX) {
        rows.push(super::findings::name(view));
    }
    if chain.gapped() {
        rows.push((Paint::Doubt, "! something may be missing".to_owned()));
    }
    rows
}

fn programs(chain: &Chain) -> Vec<String> {
    let executed = chain.records.iter().filter(|view| view.text("action") == Some("exec"));
    let mut names: Vec<String> = Vec::new();
    for name in executed.filter_map(|view| view.text("process.exe")).map(words::base) {
        if !names.iter().any(|other| other == name) {
            names.push(name.to_owned());
        }
    }
    names
}

pub(super) fn status(chain: &Chain) -> (Paint, String) {
    let Some(closed) = chain.closed() else {
        return (Paint::Strong, "open".to_owned());
    };
    let number = |path| closed.number(path).map(|number| number.to_string());
    match (number("exit.code"), number("exit.signal")) {
        (Some(code), _) if code == "0" => (Paint::Good, "ok".to_owned()),
        (Some(code), _) => (Paint::Bad, format!("code {code}")),
        (None, Some(signal)) => (Paint::Bad, format!("signal {signal}")),
        (None, None) => (Paint::Plain, closed.text("reason").unwrap_or("closed").to_owned()),
    }
}

impl Chain {
    pub(super) fn gapped(&self) -> bool {
        let gaps = |view: &View| {
            view.kind() == "gap" || !view.list("gaps").is_empty() || !view.list("summary.gaps").is_empty()
        };
        self.opened().is_none() || self.records.iter().any(gaps)
    }
}
