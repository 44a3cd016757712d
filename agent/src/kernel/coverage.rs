//! Decides, per signal and by trying, which tier is used: load, attach, let the canary act, demand to see it. What does
//! not load or does not show is refused with its reason; what no tier shows is not covered, and said so.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use super::canary::{CANARY_RULE, Canary, NOWHERE};
use super::control::Control;
use super::loader::Kernel;
use super::probes::{Need, Signal, Tier, Way, needs};
use super::ring::Feed;
use crate::event::{Deed, Event, KeyWay, SampleId, Seen, Source, What};

/// How long the canary's deeds are waited for; no longer than it lives. On a slow machine with other things to do, that is seconds.
const PATIENCE: Duration = Duration::from_secs(5);
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

impl Refusal {
    /// Several ways may be of one tier: what is refused for one reason is said once.
    pub(crate) fn say(self, refused: &mut Vec<Refusal>) {
        if refused.last() != Some(&self) {
            refused.push(self);
        }
    }
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
    /// What was shown, of what, and by which attach point: what later canaries must show, too.
    pub proofs: BTreeSet<Proof>,
    /// Events of others that came meanwhile, in order.
    pub kept: Vec<Event>,
    /// How many more there were.
    pub not_kept: u64,
    /// Events of the canary.
    pub canary_events: u64,
    /// What the canary could not do, so that it could not be seen.
    pub canary_failure: Option<String>,
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

    fn is_allowed(&self, way: &Way, allowed: &[Tier]) -> bool {
        allowed.contains(&way.tier) || self.need.ways.len() == 1
    }

    /// The first way that will be tried.
    fn first(&self, kernel: &Kernel, allowed: &[Tier]) -> Option<&'static Way> {
        self.need.ways.iter().find(|way| self.is_allowed(way, allowed) && !kernel.lacks(way))
    }

    /// Attaches the next way that loads, starting at `from`.
    fn advance(&mut self, kernel: &mut Kernel, from: usize, allowed: &[Tier]) {
        self.way = None;
        for (index, way) in self.need.ways.iter().enumerate().skip(from) {
            if !self.is_allowed(way, allowed) {
                Refusal { tier: way.tier, why: "not allowed by the options".into() }.say(&mut self.refused);
                continue;
            }
            match kernel.attach(way) {
                Ok(()) => {
                    self.way = Some(index);
                    return;
                }
                Err(error) => {
                    tracing::debug!("{error}");
                    Refusal { tier: way.tier, why: error.brief() }.say(&mut self.refused);
                }
            }
        }
    }

    /// Gives up a way that the canary did not prove, for the next. True where there is one to be proven.
    fn judge(&mut self, kernel: &mut Kernel, shown: &BTreeSet<Proof>, allowed: &[Tier]) -> bool {
        let (Some(index), Some(way)) = (self.way, self.current()) else { return false };
        let silent = way.proof.iter().filter(|proof| !shown.contains(proof));
        let silent: Vec<String> =
            silent.map(|(signal, source)| format!("{} by {}", signal.name(), source.name())).collect();
        if silent.is_empty() {
            return false;
        }
        let why = format!("attached, but the canary did not show: {}", silent.join(", "));
        Refusal { tier: way.tier, why }.say(&mut self.refused);
        kernel.detach(way);
        self.advance(kernel, index + 1, allowed);
        self.way.is_some()
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
    let mut trials: Vec<Trial> = needs().map(|need| Trial { need, way: None, refused: Vec::new() }).collect();
    begin(&mut trials, kernel, allowed);
    let mut found = Covered {
        signals: Vec::new(),
        proofs: BTreeSet::new(),
        kept: Vec::new(),
        not_kept: 0,
        canary_events: 0,
        canary_failure: None,
    };
    loop {
        let ways = trials.iter().filter_map(Trial::current);
        let wanted: BTreeSet<Proof> = ways.flat_map(|way| way.proof.iter().copied()).collect();
        let shown = fly(control, feed, &wanted, &mut found)?;
        let mut again = false;
        for trial in &mut trials {
            again |= trial.judge(kernel, &shown, allowed);
        }
        if !again {
            break;
        }
    }
    found.signals = trials.iter().flat_map(report).collect();
    let ways = trials.iter().filter_map(Trial::current);
    found.proofs = ways.flat_map(|way| way.proof.iter().copied()).collect();
    Ok(found)
}

/// Attaches the first way that loads, of each.
fn begin(trials: &mut [Trial], kernel: &mut Kernel, allowed: &[Tier]) {
    // Up to the first on a function by themselves: where the kernel lets none be there, the others need not be verified.
    let on_function = |way: &Way| way.programs.iter().any(|program| program.attach.is_function());
    let first = trials.iter().position(|trial| trial.first(kernel, allowed).is_some_and(on_function));
    let (before, rest) = trials.split_at_mut(first.map_or(0, |first| first + 1));
    for trials in [before, rest] {
        let ways: Vec<&Way> = trials.iter().filter_map(|trial| trial.first(kernel, allowed)).collect();
        kernel.load_ahead(ways.into_iter());
        for trial in trials {
            trial.advance(kernel, 0, allowed);
        }
    }
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

/// Sends a canary out and gives what it showed.
fn fly(
    control: &mut Control,
    feed: &Feed,
    wanted: &BTreeSet<Proof>,
    found: &mut Covered,
) -> std::io::Result<BTreeSet<Proof>> {
    let canary = Canary::fly(control)?;
    let mut evidence = Evidence::new(canary.tgid, canary.open_port, canary.closed_port);
    let deadline = Instant::now() + PATIENCE;
    // Events come in the order of the acts: once its end is seen, what has not shown will not.
    while !wanted.is_subset(&evidence.shown) && !evidence.exited && Instant::now() < deadline {
        let Ok(batch) = feed.recv_timeout(Duration::from_millis(50)) else { continue };
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
    found.canary_failure = canary.land(control);
    Ok(evidence.shown)
}

/// A signal, and the attach point it showed by.
pub type Proof = (Signal, Source);

/// What a canary has shown so far.
#[derive(Debug)]
pub struct Evidence {
    tgid: u32,
    open_port: u16,
    closed_port: u16,
    asked: Vec<(SampleId, IpAddr, u16)>,
    ended: BTreeSet<u16>,
    keys: BTreeSet<KeyWay>,
    pub(super) exited: bool,
    /// What is proven.
    pub shown: BTreeSet<Proof>,
}

impl Evidence {
    /// Of the canary with that number, which connects to those ports.
    #[must_use]
    pub fn new(tgid: u32, open_port: u16, closed_port: u16) -> Self {
        let (asked, ended, shown) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let keys = BTreeSet::new();
        Evidence { tgid, open_port, closed_port, asked, ended, keys, exited: false, shown }
    }

    /// Takes an event into account. True where it is the canary's.
    pub fn take(&mut self, event: &Event) -> bool {
        let What::Seen(seen) = &event.what else { return false };
        if let Deed::Fork { child, marks, .. } = &seen.deed {
            if child.tgid == self.tgid && marks.canary() {
                self.shown.insert((Signal::Fork, seen.source));
            }
            return marks.canary();
        }
        // The end of a connection, and what is said on it, carry no marks: they may be seen in an interrupt.
        let hello =
            matches!(seen.deed, Deed::Hello { of, .. } if self.asked.iter().any(|(id, ..)| *id == of));
        let own = hello || seen.marks.canary() || seen.process.key.tgid == self.tgid;
        if own && let Some(signal) = self.deed(seen) {
            self.shown.insert((signal, seen.source));
        }
        own
    }

    /// The signal that a deed proves.
    fn deed(&mut self, seen: &Seen) -> Option<Signal> {
        match &seen.deed {
            Deed::Exec { .. } => Some(Signal::Exec),
            // However it ended, its end was seen.
            Deed::Exit(_) => {
                // The canary has one of its own, which ends before it.
                self.exited |= seen.process.key.tgid == self.tgid;
                Some(Signal::Exit)
            }
            Deed::Open(file) => (file.rule == CANARY_RULE).then_some(Signal::Open),
            Deed::Connect { to } => {
                let (to, port) = to.inet()?;
                self.asked.push((seen.id, to, port));
                let here = to == IpAddr::V4(Ipv4Addr::LOCALHOST);
                (here && [self.open_port, self.closed_port].contains(&port)).then_some(Signal::Connect)
            }
            Deed::Receive(file) => (file.rule == CANARY_RULE).then_some(Signal::Receive),
            Deed::Read { file, .. } => (file.rule == CANARY_RULE).then_some(Signal::Read),
            Deed::Unix { file, .. } => (file.rule == CANARY_RULE).then_some(Signal::Unix),
            // Three calls, each with a program of its own.
            Deed::Key { way, .. } => {
                self.keys.insert(*way);
                (self.keys.len() == 3).then_some(Signal::Key)
            }
            Deed::Memory { target, .. } => (target.tgid == self.tgid).then_some(Signal::Memory),
            Deed::ExecFailed { .. } => Some(Signal::ExecFailed),
            Deed::Identity(_) => Some(Signal::Identity),
            Deed::Send { .. } => Some(Signal::Send),
            // Whether it ends with the state tracepoint, outcomes prove.
            Deed::Accept { .. } => Some(Signal::Accept),
            Deed::Hello { .. } => Some(Signal::Names),
            Deed::ConnectEnd { of, outcome, .. } => self.end(*of, outcome.is_ok()),
            Deed::Fork { .. } | Deed::AcceptEnd { .. } => None,
        }
    }

    /// An outcome proves something when it is the true one. Answers come by one road, and one is not enough to tell it
    /// from a guess; a call that fails before it asks anybody comes by another.
    fn end(&mut self, of: SampleId, established: bool) -> Option<Signal> {
        let (_, to, port) = *self.asked.iter().find(|(id, ..)| *id == of)?;
        if to == IpAddr::V4(NOWHERE) {
            return (!established).then_some(Signal::Outcome);
        }
        if established == (port == self.open_port) {
            self.ended.insert(port);
        }
        (self.ended.len() == 2).then_some(Signal::Outcome)
    }
}
