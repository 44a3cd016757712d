//! What other declarations would have said of what was recorded, and what declarations would say of it that nobody has
//! made yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::style::{Line, Paint, Style};
use super::words;
use crate::credential::Credential;
use crate::purpose::{Learner, Purposes, SightedAt, Sighting, Verdict};
use crate::record::{View, rfc3339};
use crate::store::{Reader, StoreError};

/// Records read at a time.
const BATCH: usize = 1_024;
/// Most connections whose name, or verdict, is remembered for a record that completes them: of more, the latest.
const REMEMBERED_MAX: usize = 65_536;
/// Most kinds of differences, and of actions outside, that are kept apart.
const KINDS_MAX: usize = 1_000;
/// Most of them that are shown.
const SHOWN_MAX: usize = 50;

/// Which part of a store.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window<'a> {
    /// From then on, ns since 1970.
    pub since_ns: Option<i64>,
    /// Of this actor only.
    pub actor: Option<&'a str>,
}

/// Proposes purposes for what was recorded, as a file of them.
///
/// # Errors
/// [`StoreError`] where the store cannot be read.
pub fn learn(reader: &Reader, window: Window<'_>) -> Result<String, StoreError> {
    let mut learner = Learner::default();
    walk(reader, window, |_, sighting| learner.see(&sighting))?;
    Ok(learner.propose())
}

/// Says what these purposes would have said; as JSON one object a line.
///
/// # Errors
/// [`StoreError`] where the store cannot be read.
pub fn rejudge(
    reader: &Reader,
    window: Window<'_>,
    purposes: &Purposes,
    style: Option<&Style>,
) -> Result<String, StoreError> {
    let mut said = Said::default();
    walk(reader, window, |view, sighting| said.judge(view, &sighting, purposes))?;
    Ok(style.map_or_else(|| said.json(), |style| said.text(style)))
}

/// Every action of a window that is judged, in its order.
fn walk(reader: &Reader, window: Window<'_>, mut see: impl FnMut(&View, Sighting)) -> Result<(), StoreError> {
    let mut heard = Heard::default();
    let mut last = 0;
    loop {
        let records = reader.after(last, BATCH)?;
        for record in &records {
            last = last.max(record.seq);
            let Ok(view) = View::parse(&record.body) else {
                continue;
            };
            let Some(sighting) = sighting(&view, &mut heard) else {
                continue;
            };
            let there = window.since_ns.is_none_or(|since| sighting.wall_ns >= since);
            if there && window.actor.is_none_or(|actor| actor == sighting.actor) {
                see(&view, sighting);
            }
        }
        if records.len() < BATCH {
            return Ok(());
        }
    }
}

/// Names that name servers gave, by the number of the connection that has them.
#[derive(Default)]
struct Heard(BTreeMap<u64, Arc<str>>);

fn remember<T>(map: &mut BTreeMap<u64, T>, seq: u64, value: T) {
    if map.len() >= REMEMBERED_MAX {
        map.pop_first();
    }
    map.insert(seq, value);
}

/// What purposes judge of a record; `None` where there is nothing.
fn sighting(view: &View, heard: &mut Heard) -> Option<Sighting> {
    if view.kind() != "action" {
        return None;
    }
    let action = view.text("action")?;
    let credentials: Vec<Arc<Credential>> =
        view.list("credential").iter().map(credential).map(Arc::new).collect();
    let to = view.at("destination");
    let (own, to) = match action {
        "exit" => return None,
        "secret.open" | "secret.write" | "secret.receive" | "secret.read" | "memory.access" => {
            (true, SightedAt::Nowhere)
        }
        "connect" | "send" => {
            // What stands for a credential, or hands one out, comes first and is what the act is about.
            let endpoint = to.map(words::address);
            let handed = credentials.first().is_some_and(|first| {
                first.path.is_empty()
                    && first.identifiers.iter().any(|(_, value)| Some(value) == endpoint.as_ref())
            });
            (handed || view.at("file").is_some(), destination(view, heard)?)
        }
        _ => (false, SightedAt::Nowhere),
    };
    // Of an act that is about one credential, the others are only held.
    let about = if own && action != "memory.access" { 1 } else { credentials.len() };
    let text = |path: &str| view.text(path).map(str::to_owned);
    Some(Sighting {
        actor: text("actor.id")?,
        exe: text("process.exe").unwrap_or_default(),
        script: text("process.script"),
        unsure: view.at("process.exe_nameless").is_some(),
        credentials: credentials.into_iter().take(about).collect(),
        own,
        to,
        wall_ns: view.time_ns(),
        times: view.times(),
        chain: text("chain").unwrap_or_default(),
    })
}

fn credential(value: &Value) -> Credential {
    let text = |name| words::text(value, name).unwrap_or_default().to_owned();
    let identifiers = value.get("identifiers").and_then(Value::as_object).into_iter().flatten();
    Credential {
        id: text("id"),
        kind: text("kind"),
        path: text("path").into_bytes(),
        identifiers: identifiers
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect(),
        ..Credential::default()
    }
}

fn destination(view: &View, heard: &mut Heard) -> Option<SightedAt> {
    let number = |path| view.number(path);
    if let Some(path) = view.text("destination.path") {
        return Some(SightedAt::Unix(path.to_owned()));
    }
    if let Some(cid) = number("destination.cid") {
        let part = |number: u64| u32::try_from(number).ok();
        return Some(SightedAt::Vsock { cid: part(cid)?, port: part(number("destination.port")?)? });
    }
    let ip = view.text("destination.ip")?.parse().ok()?;
    let port = u16::try_from(number("destination.port").unwrap_or(0)).ok()?;
    let name = view.text("destination.name");
    let (told, said) = match view.text("destination.name_source") {
        Some("dns") => (name.map(Arc::from), None),
        // What was heard is with the record that this one completes.
        Some(_) => (number("completes").and_then(|seq| heard.0.get(&seq).cloned()), name.map(str::to_owned)),
        None => (None, None),
    };
    if let Some(told) = &told {
        remember(&mut heard.0, view.seq(), Arc::clone(told));
    }
    Some(SightedAt::Inet { ip, port, heard: told.into_iter().collect(), said })
}

/// A kind of verdict on a kind of action.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    actor: String,
    /// What was recorded; `None` where that was before there were purposes.
    before: Option<Verdict>,
    now: Verdict,
    purpose: String,
    what: String,
    reason: String,
}

/// How often, and where it was last.
#[derive(Clone, Debug, Default)]
struct Times {
    count: u64,
    last_ns: i64,
    last_chain: String,
}

/// What the purposes would have said.
#[derive(Default)]
struct Said {
    actors: BTreeMap<String, [u64; 3]>,
    kinds: BTreeMap<Kind, Times>,
    refused: u64,
    differ: u64,
    /// By the number of the record.
    verdicts: BTreeMap<u64, Verdict>,
}

impl Said {
    fn judge(&mut self, view: &View, sighting: &Sighting, purposes: &Purposes) {
        let Some(judged) = purposes.judge(&sighting.act()) else {
            return;
        };
        let counts = self.actors.entry(sighting.actor.clone()).or_default();
        // What another record completes counts once, with its last verdict; of several that are told together each may be.
        let before = view.number("completes").and_then(|seq| self.verdicts.get(&seq));
        if let Some(count) = before.and_then(|before| counts.get_mut(number(*before))) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = counts.get_mut(number(judged.verdict)) {
            *count = count.saturating_add(view.times());
        }
        if view.text("action") == Some("connect") {
            remember(&mut self.verdicts, view.seq(), judged.verdict);
        }
        let recorded = view.text("purpose.verdict").and_then(Verdict::from_name);
        let differs = recorded != Some(judged.verdict);
        self.differ += u64::from(differs && recorded.is_some());
        // What is as it should be, or declared by nobody, is told only where something else was recorded.
        let dull = judged.verdict != Verdict::Outside
            && (judged.verdict == Verdict::Within || judged.purpose.is_none());
        if dull && (recorded.is_none() || !differs) {
            return;
        }
        let kind = Kind {
            actor: sighting.actor.clone(),
            before: recorded,
            now: judged.verdict,
            purpose: judged.purpose.as_deref().unwrap_or_default().to_owned(),
            what: what(view),
            reason: judged.reason.unwrap_or_default(),
        };
        if !self.kinds.contains_key(&kind) && self.kinds.len() >= KINDS_MAX {
            self.refused += 1;
            return;
        }
        let times = self.kinds.entry(kind).or_default();
        times.count = times.count.saturating_add(view.times());
        times.last_ns = view.time_ns();
        times.last_chain.clone_from(&sighting.chain);
    }

    /// What differs first, then what is outside.
    fn sorted(&self) -> Vec<(&Kind, &Times)> {
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by_key(|(kind, _)| {
            (kind.before.is_none_or(|before| before == kind.now), kind.now == Verdict::Undeclared)
        });
        kinds
    }

    fn text(&self, style: &Style) -> String {
        let mut out = String::new();
        if self.actors.is_empty() {
            return "no actions there, or no purposes\n".to_owned();
        }
        let widest = self.actors.keys().map(|actor| actor.chars().count()).max().unwrap_or(0).min(60) + 2;
        let title = Line::new().put(Paint::Strong, "ACTOR").to(widest);
        title.put(Paint::Strong, "    WITHIN   OUTSIDE  UNDECLARED").end(style, &mut out);
        for (actor, [within, outside, undeclared]) in &self.actors {
            let line = Line::new().plain(&super::style::tail(actor, widest - 2)).to(widest);
            let line = line.put(Paint::Good, &format!("{within:>10}"));
            let line = line.put(Paint::Bad, &format!("{outside:>10}"));
            line.put(Paint::Doubt, &format!("{undeclared:>12}")).end(style, &mut out);
        }
        let differ = format!("\n{} of these differ from what was recorded", self.differ);
        Line::new().plain(differ.trim_start()).end(style, &mut out);
        for (kind, times) in self.sorted().into_iter().take(SHOWN_MAX) {
            out.push('\n');
            let before = kind.before.map_or("not judged", Verdict::name);
            let change = if kind.before == Some(kind.now) {
                before.to_owned()
            } else {
                format!("{before} > {}", kind.now.name())
            };
            let paint = if kind.now == Verdict::Within { Paint::Good } else { Paint::Bad };
            let line = Line::new().put(Paint::Strong, &kind.actor).plain("  ").put(paint, &change);
            line.plain(&format!("  ×{}", times.count)).end(style, &mut out);
            Line::new().plain("  ").plain(&kind.what).end(style, &mut out);
            if !kind.reason.is_empty() {
                let purpose =
                    if kind.purpose.is_empty() { String::new() } else { format!("{}: ", kind.purpose) };
                Line::new().plain("  ").plain(&format!("{purpose}{}", kind.reason)).end(style, &mut out);
            }
            let last = words::moment(&rfc3339(times.last_ns));
            Line::new().faint(&format!("  last {last} UTC in {}", times.last_chain)).end(style, &mut out);
        }
        let left =
            u64::try_from(self.kinds.len().saturating_sub(SHOWN_MAX)).unwrap_or(u64::MAX) + self.refused;
        if left > 0 {
            Line::new().faint(&format!("and {left} more; --json has them")).end(style, &mut out);
        }
        out
    }

    fn json(&self) -> String {
        let actors = self.actors.iter().map(|(actor, [within, outside, undeclared])| {
            json!({"actor": actor, "within": within, "outside": outside, "undeclared": undeclared})
        });
        let kinds = self.sorted().into_iter().map(|(kind, times)| {
            json!({
                "actor": kind.actor, "recorded": kind.before.map(Verdict::name), "verdict": kind.now.name(),
                "purpose": kind.purpose, "what": kind.what, "reason": kind.reason, "count": times.count,
                "last": rfc3339(times.last_ns), "chain": times.last_chain,
            })
        });
        let left = (self.refused > 0).then(|| json!({"not_told": self.refused}));
        actors.chain(kinds).chain(left).map(|line| format!("{line}\n")).collect()
    }
}

fn number(verdict: Verdict) -> usize {
    Verdict::ALL.iter().position(|other| *other == verdict).unwrap_or(0)
}

/// The action, by what purposes look at.
fn what(view: &View) -> String {
    let action = view.text("action").unwrap_or("?");
    let program = view.text("process.script").or_else(|| view.text("process.exe")).unwrap_or("?");
    let object = match (view.at("destination"), view.text("file.path")) {
        (_, Some(path)) => path.to_owned(),
        (Some(to), None) => words::address(to),
        (None, None) => String::new(),
    };
    format!("{action} {object} by {program}").replace("  ", " ")
}
