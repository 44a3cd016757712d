//! How the host was watched: what could be seen, what was lost, and when nobody looked.

use std::collections::BTreeMap;

use crate::record::View;
use crate::report::page::{HOLE_NS, Signal, texts};

/// Most such times that are told.
const HOLES_MAX: usize = 64;
/// How the host was watched.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) host: String,
    pub(super) host_id: String,
    pub(super) kernel: String,
    pub(super) agent: String,
    pub(super) scope: Vec<String>,
    pub(super) signals: Vec<Signal>,
    /// Gaps by kind.
    pub(super) gaps: BTreeMap<String, u64>,
    /// Times without a word of the agent.
    pub(super) holes: Vec<(i64, i64)>,
    pub(super) holes_more: u64,
    pub(super) records: u64,
    /// First and last number.
    pub(super) seqs: Option<(u64, u64)>,
    last_ns: Option<i64>,
}

impl Watch {
    pub(super) fn see(&mut self, view: &View, since_ns: Option<i64>) {
        let time = view.time_ns();
        let since = since_ns.unwrap_or(i64::MIN);
        if let Some(last) = self.last_ns
            && time.saturating_sub(last) > HOLE_NS
            && time >= since
        {
            if self.holes.len() < HOLES_MAX {
                self.holes.push((last.max(since), time));
            } else {
                self.holes_more += 1;
            }
        }
        self.last_ns = self.last_ns.max(Some(time));
        for (path, field) in [("host.name", &mut self.host), ("host.id", &mut self.host_id)] {
            view.text(path).into_iter().for_each(|text| text.clone_into(field));
        }
        // What could be seen is told by the newest word, also where that is older than the time asked for.
        if view.kind() == "coverage" {
            self.covered(view);
        }
        if time < since {
            return;
        }
        self.records += 1;
        let first = self.seqs.map_or(view.seq(), |(first, _)| first);
        self.seqs = Some((first, view.seq()));
        if view.kind() == "gap" {
            *self.gaps.entry(view.text("kind").unwrap_or("?").to_owned()).or_default() += 1;
        }
    }

    fn covered(&mut self, view: &View) {
        for (path, field) in [("kernel", &mut self.kernel), ("agent_version", &mut self.agent)] {
            view.text(path).unwrap_or_default().clone_into(field);
        }
        self.scope = texts(view.list("scope"));
        self.signals = Signal::all(view);
    }
}
