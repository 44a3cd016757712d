//! Decides, per signal and by trying, which tier is used: load, attach, let the canary act, demand to see it. What does
//! not load or does not show is refused with its reason; what no tier shows is not covered, and said so.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use super::canary::{CANARY_RULE, Canary};
use super::control::Control;
use super::loader::Kernel;
use super::probes::{NEEDS, Need, Signal, Tier, Way};
use super::ring::Feed;
use crate::event::{Deed, Event, ExitStatus, SampleId, Seen, What};

/// How long the canary's deeds are waited for.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Most events of others kept while the canary is out; the rest is dropped, and counted by the caller.
const KEPT_MAX: usize = 200_000;

/// A tier that was tried and not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which.
    pub tier: Tier,
    /// Why.
    pub why: String,
}

/// How one signal is covered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalCoverage {
    /// Which.
    pub signal: Signal,
    /// The tier in use; `None` where the signal is not covered.
    pub tier: Option<Tier>,
    /// Its attach points.
    pub attach: Vec<String>,
    /// What the tier cannot see.
    pub blind: Vec<&'static str>,
    /// Better tiers that were tried.
    pub refused: Vec<Refusal>,
}

/// What was established.
#[derive(Debug)]
pub struct Covered {
    /// Every signal.
    pub signals: Vec<SignalCoverage>,
    /// Events of others that came meanwhile, in order.
    pub kept: Vec<Event>,
    /// How many more there were.
    pub not_kept: u64,
    /// Events of the canary.
    pub canary_events: u64,
}

impl Covered {
    /// Signals no tier shows.
    #[must_use]
    pub fn uncovered(&self) -> Vec<Signal> {
        self.signals.iter().filter(|signal| signal.tier.is_none()).map(|signal| signal.signal).collect()
    }
}

/// A need while it is being settled.
struct Trial {
    need: &'static Need,
    /// Index of the way in use.
    way: Option<usize>,
    refused: Vec<Refusal>,
}

impl Trial {
    fn current(&self) -> Option<&'static Way> {
        self.need.ways.get(self.way?)
    }

    /// Attaches the next way that loads, starting at `from`.
    fn advance(&mut self, kernel: &mut Kernel, from: usize, allowed: &[Tier]) {
        self.way = None;
        for (index, way) in self.need.ways.iter().enumerate().skip(from) {
            if !allowed.contains(&way.tier) && self.need.ways.len() > 1 {
                self.refused.push(Refusal { tier: way.tier, why: "not allowed by the options".into() });
                continue;
            }
            match kernel.attach(way) {
                Ok(()) => {
                    self.way = Some(index);
                    return;
                }
                Err(error) => {
                    tracing::info!("{error}");
                    self.refused.push(Refusal { tier: way.tier, why: error.brief() });
                }
            }
        }
    }
}

/// Settles every signal. `allowed` limits the tiers of signals that have several, best first (all of them, normally).
///
/// # Errors
/// Where the canary cannot be sent out at all.
pub fn establish(
    kernel: &mut Kernel,
    control: &mut Control,
    feed: &Feed,
    allowed: &[Tier],
) -> std::io::Result<Covered> {
    let mut trials: Vec<Trial> =
        NEEDS.iter().map(|need| Trial { need, way: None, refused: Vec::new() }).collect();
    for trial in &mut trials {
        trial.advance(kernel, 0, allowed);
    }
    let mut found = Covered { signals: Vec::new(), kept: Vec::new(), not_kept: 0, canary_events: 0 };
    loop {
        let wanted: BTreeSet<Signal> = trials
            .iter()
            .filter(|trial| trial.way.is_some())
            .flat_map(|trial| trial.need.signals.iter().copied())
            .collect();
        let shown = fly(control, feed, &wanted, &mut found)?;
        let mut again = false;
        for trial in &mut trials {
            let Some(index) = trial.way else { continue };
            let missing: Vec<&str> = trial
                .need
                .signals
                .iter()
                .filter(|signal| !shown.contains(signal))
                .map(|signal| signal.name())
                .collect();
            if missing.is_empty() {
                continue;
            }
            let Some(way) = trial.current() else { continue };
            let why = format!("attached, but the canary's {} did not show", missing.join(" and "));
            trial.refused.push(Refusal { tier: way.tier, why });
            kernel.detach(way);
            trial.advance(kernel, index + 1, allowed);
            again |= trial.way.is_some();
        }
        if !again {
            break;
        }
    }
    found.signals = trials.iter().flat_map(report).collect();
    Ok(found)
}

fn report(trial: &Trial) -> impl Iterator<Item = SignalCoverage> + '_ {
    let way = trial.current();
    trial.need.signals.iter().map(move |signal| SignalCoverage {
        signal: *signal,
        tier: way.map(|way| way.tier),
        attach: way.map_or_else(Vec::new, |way| way.programs.iter().map(|p| p.attach.describe()).collect()),
        blind: way.map_or_else(Vec::new, |way| way.blind.to_vec()),
        refused: trial.refused.clone(),
    })
}

/// Sends a canary out and gives the signals it showed.
fn fly(
    control: &mut Control,
    feed: &Feed,
    wanted: &BTreeSet<Signal>,
    found: &mut Covered,
) -> std::io::Result<BTreeSet<Signal>> {
    let mut canary = Canary::fly(control)?;
    let mut evidence = Evidence::new(canary.tgid, canary.open_port, canary.closed_port);
    let deadline = Instant::now() + PATIENCE;
    let mut failed = None;
    while !wanted.is_subset(&evidence.shown) && Instant::now() < deadline {
        let Ok(batch) = feed.recv_timeout(Duration::from_millis(50)) else {
            if let Ok(Some(status)) = canary.child.try_wait()
                && !status.success()
            {
                failed = Some(status);
            }
            continue;
        };
        for event in batch {
            if evidence.take(&event) {
                found.canary_events += 1;
            } else if found.kept.len() < KEPT_MAX {
                found.kept.push(event);
            } else {
                found.not_kept += 1;
            }
        }
    }
    if let Some(status) = failed {
        tracing::warn!("the canary could not do what it should ({status}): is the loopback device up?");
    }
    canary.land(control);
    Ok(evidence.shown)
}

/// What a canary has shown so far.
#[derive(Debug)]
pub struct Evidence {
    tgid: u32,
    open_port: u16,
    closed_port: u16,
    asked: Vec<(SampleId, u16)>,
    ended: BTreeSet<u16>,
    /// Signals proven.
    pub shown: BTreeSet<Signal>,
}

impl Evidence {
    /// Of the canary with that number, which connects to those ports.
    #[must_use]
    pub fn new(tgid: u32, open_port: u16, closed_port: u16) -> Self {
        Evidence {
            tgid,
            open_port,
            closed_port,
            asked: Vec::new(),
            ended: BTreeSet::new(),
            shown: BTreeSet::new(),
        }
    }

    /// Takes an event into account. True where it is the canary's.
    pub fn take(&mut self, event: &Event) -> bool {
        let What::Seen(seen) = &event.what else {
            return false;
        };
        if let Deed::Fork { child, marks, .. } = &seen.deed {
            if child.tgid == self.tgid && marks.canary() {
                self.shown.insert(Signal::Fork);
            }
            return marks.canary();
        }
        if seen.process.key.tgid == self.tgid {
            self.deed(seen);
        }
        // The end of a connection carries no marks: it may be seen in an interrupt.
        seen.marks.canary() || seen.process.key.tgid == self.tgid
    }

    fn deed(&mut self, seen: &Seen) {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        match &seen.deed {
            Deed::Exec { .. } => drop(self.shown.insert(Signal::Exec)),
            Deed::Exit(status) if *status == ExitStatus::Code(0) => drop(self.shown.insert(Signal::Exit)),
            Deed::Open(file) if file.rule == CANARY_RULE => drop(self.shown.insert(Signal::Open)),
            Deed::Connect { to, port }
                if *to == here && [self.open_port, self.closed_port].contains(port) =>
            {
                self.asked.push((seen.id, *port));
                self.shown.insert(Signal::Connect);
            }
            Deed::ConnectEnd { of, outcome, .. } => {
                let port = self.asked.iter().find(|(id, _)| id == of).map(|(_, port)| *port);
                let true_to_life = port.is_some_and(|port| outcome.is_ok() == (port == self.open_port));
                if true_to_life && let Some(port) = port {
                    self.ended.insert(port);
                }
                if self.ended.len() == 2 {
                    self.shown.insert(Signal::Outcome);
                }
            }
            Deed::Exit(_) | Deed::Open(_) | Deed::Connect { .. } | Deed::Fork { .. } => {}
        }
    }
}
