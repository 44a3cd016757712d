//! The lines above everything: how the agent is, and what may be missing from what is shown.

use std::collections::BTreeSet;

use super::Answer;
use crate::finding::Severity;
use crate::record::{View, rfc3339};
use crate::report::style::{Line, Paint};
use crate::report::{findings, words};

/// Heartbeats come once a minute: after so long without any record, none comes.
const QUIET_NS: i64 = 3 * 60 * 1_000_000_000;
/// Most signals that are named.
const SIGNALS_MAX: usize = 64;

/// What the agent answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Agent {
    #[default]
    NotAsked,
    /// Nobody is there; whether somebody was before.
    Gone(bool),
    /// Somebody is there, and this is what is wrong with the answer.
    Silent(String),
    Running {
        version: String,
        host: String,
        lost: u64,
        degraded: Vec<String>,
    },
}

/// What the head knows.
#[derive(Debug, Default)]
pub(super) struct Head {
    agent: Agent,
    host: String,
    /// Signals that nothing sees, of the last coverage record.
    unseen: BTreeSet<String>,
    /// What newer was refused, of the same.
    refused: Vec<&'static str>,
    gaps: u64,
    found: u64,
    gravest: Option<Severity>,
    /// What nobody may overlook, the latest: when and what.
    latest: Option<(i64, Paint, String)>,
    pub(super) first_ns: Option<i64>,
    last: Option<(u64, i64)>,
    now_ns: i64,
    /// Records of the store that were not read yet.
    pub(super) behind: u64,
    /// Records that were never read, for there were too many.
    pub(super) skipped: u64,
    /// Numbers between two records that no record has.
    missing: u64,
    /// Bytes that are no record.
    pub(super) unreadable: u64,
    /// Why the store could not be read just now.
    pub(super) failure: Option<String>,
}

impl Head {
    pub(super) fn take(&mut self, view: &View) {
        if let Some((last, _)) = self.last {
            self.missing += view.seq().saturating_sub(last.saturating_add(1));
        }
        self.first_ns.get_or_insert(view.time_ns());
        self.last = Some((view.seq(), view.time_ns()));
        if let Some(host) = view.text("host.name") {
            host.clone_into(&mut self.host);
        }
        match view.kind() {
            "gap" => {
                self.gaps += 1;
                self.latest = Some((view.time_ns(), Paint::Doubt, format!("gap: {}", words::gap(view))));
            }
            // A chain that begins with one has no record for it.
            "chain" if view.text("status") == Some("opened") => {
                if let Some(kind) = view.list("gaps").iter().find_map(|kind| kind.as_str()) {
                    self.gaps += 1;
                    let actor = view.text("actor.id").unwrap_or("?");
                    let text = format!("gap, {actor}: {}", words::kind_of_gap(kind));
                    self.latest = Some((view.time_ns(), Paint::Doubt, text));
                }
            }
            "finding" => {
                let (paint, text) = findings::live(view);
                let severity = view.text("severity").and_then(Severity::from_name);
                self.found += u64::from(view.text("told") != Some("again"));
                self.gravest = self.gravest.max(severity);
                self.latest = Some((view.time_ns(), paint, format!("finding: {text}")));
            }
            "coverage" => self.covers(view),
            _ => {}
        }
    }

    /// What is seen, and what not; also of a record that lies before the first that is followed.
    pub(super) fn covers(&mut self, view: &View) {
        let signals = view.list("signals").iter();
        let unseen: BTreeSet<String> = signals
            .filter(|signal| signal.get("tier").is_none())
            .filter_map(|signal| words::text(signal, "signal"))
            .take(SIGNALS_MAX)
            .map(str::to_owned)
            .collect();
        let refused =
            [("purposes.refused", "new purposes refused"), ("config.refused", "new config refused")];
        self.refused = refused
            .into_iter()
            .filter_map(|(path, text)| (!view.list(path).is_empty()).then_some(text))
            .collect();
        if let Some(news) = unseen.difference(&self.unseen).next() {
            self.latest = Some((view.time_ns(), Paint::Bad, format!("coverage: {news} is not seen")));
        }
        self.unseen = unseen;
    }

    /// Skipped records are no hole in the numbers.
    pub(super) fn skip_to(&mut self, seq: u64) {
        if let Some((last, time_ns)) = self.last
            && seq > last
        {
            self.skipped += seq - last - 1;
            self.last = Some((seq - 1, time_ns));
        }
    }

    /// What the agent answered; whether that is other than before.
    pub(super) fn answered(&mut self, answer: Answer<'_>) -> bool {
        let agent = match answer {
            Answer::Status(status) => Agent::Running {
                version: status.agent.version.clone(),
                host: status.agent.host.clone(),
                lost: status.samples.iter().map(|sample| sample.dropped).fold(0, u64::saturating_add),
                degraded: status.degraded.clone(),
            },
            Answer::NotRunning => Agent::Gone(!matches!(self.agent, Agent::NotAsked | Agent::Gone(false))),
            Answer::Silent(why) => Agent::Silent(why.to_owned()),
        };
        let changed = agent != self.agent;
        self.agent = agent;
        changed
    }

    /// What time it is; whether that changes what is shown.
    pub(super) fn now(&mut self, now_ns: i64) -> bool {
        let before = self.quiet();
        self.now_ns = now_ns;
        self.quiet() != before
    }

    /// Whole minutes without a record, where an agent runs that should have written some.
    fn quiet(&self) -> Option<i64> {
        let (_, last_ns) = self.last?;
        let since = self.now_ns.saturating_sub(last_ns);
        (matches!(self.agent, Agent::Running { .. }) && since > QUIET_NS).then_some(since / 60_000_000_000)
    }

    /// Which agent, on which host, and whether it is well.
    pub(super) fn agent(&self) -> Line {
        let line = Line::new().put(Paint::Strong, "spoor watch  ");
        let told = |before: &str, host: &str| {
            if host.is_empty() { String::new() } else { format!("{before}{host}") }
        };
        let host = |host: &str| told(" on ", host);
        match &self.agent {
            Agent::NotAsked => line.faint(&format!("asking the agent{}", host(&self.host))),
            Agent::Gone(false) => {
                line.put(Paint::Doubt, "no agent runs here").plain(&told("; records of ", &self.host))
            }
            Agent::Gone(true) => line
                .put(Paint::Bad, "THE AGENT STOPPED")
                .plain(&format!("{}: nothing is watched", host(&self.host))),
            Agent::Silent(why) => line.put(Paint::Bad, "NO ANSWER: ").put(Paint::Bad, why),
            Agent::Running { version, host: name, degraded, .. } => match degraded.as_slice() {
                [] => {
                    line.put(Paint::Good, "running").plain(&host(name)).faint(&format!("  spoor {version}"))
                }
                [first, rest @ ..] => {
                    let more = if rest.is_empty() { String::new() } else { format!(" (+{})", rest.len()) };
                    line.put(Paint::Bad, &format!("DEGRADED{}{more}: {first}", host(name)))
                }
            },
        }
    }

    /// What may be missing, then how far the reading is.
    pub(super) fn doubts(&self, paused: bool) -> Line {
        let mut line = self.held_back(paused);
        let mut say = |count: u64, paint, one: &str, many: &str| {
            if count > 0 {
                let text = if count == 1 { format!("! 1 {one}  ") } else { format!("! {count} {many}  ") };
                line = std::mem::take(&mut line).put(paint, &text);
            }
        };
        if let Agent::Running { lost, .. } = &self.agent {
            say(*lost, Paint::Bad, "event lost", "events lost");
        }
        say(self.gaps, Paint::Doubt, "gap", "gaps");
        say(self.missing, Paint::Bad, "record missing in the store", "records missing in the store");
        say(self.unreadable, Paint::Bad, "record unreadable", "records unreadable");
        say(self.skipped, Paint::Doubt, "record passed over", "records passed over");
        for signal in &self.unseen {
            line = line.put(Paint::Bad, &format!("! {signal} not seen  "));
        }
        for refused in &self.refused {
            line = line.put(Paint::Bad, &format!("! {refused}  "));
        }
        if let Some(why) = &self.failure {
            line = line.put(Paint::Bad, &format!("! {why}  "));
        }
        if let Some(minutes) = self.quiet() {
            line = line.put(Paint::Bad, &format!("! no record for {minutes} min  "));
        }
        if self.found > 0 {
            let grave = self.gravest.is_some_and(|severity| severity >= Severity::High);
            let gravest = self.gravest.map(|severity| format!(", {}", severity.name())).unwrap_or_default();
            let many = if self.found == 1 { "finding" } else { "findings" };
            let paint = if grave { Paint::Bad } else { Paint::Doubt };
            line = line.put(paint, &format!("{} {many}{gravest}  ", self.found));
        }
        line.then(self.position())
    }

    /// In front: what is shown is not what is.
    fn held_back(&self, paused: bool) -> Line {
        match (paused, self.behind) {
            (true, 1) => Line::new().put(Paint::Strong, "PAUSED, 1 record came meanwhile  "),
            (true, came) => {
                Line::new().put(Paint::Strong, &format!("PAUSED, {came} records came meanwhile  "))
            }
            (false, 0) => Line::new(),
            (false, behind) => Line::new().put(Paint::Doubt, &format!("{behind} records behind  ")),
        }
    }

    fn position(&self) -> Line {
        match self.last {
            Some((seq, time_ns)) => {
                Line::new().faint(&format!("record {seq}, {} UTC", words::moment(&rfc3339(time_ns))))
            }
            None => Line::new().faint("no records yet"),
        }
    }

    /// The latest that nobody may overlook.
    pub(super) fn latest(&self) -> Line {
        match &self.latest {
            Some((time_ns, paint, text)) => {
                let time = words::moment(&rfc3339(*time_ns));
                Line::new().faint(time.get(5..).unwrap_or_default()).plain("  ").put(*paint, text)
            }
            None => Line::new().faint("no gap and no finding so far"),
        }
    }
}
