//! What a process does again and again within a moment is told together: the first few by themselves, the others in one record
//! that says how many there were. Only what no word of the record would tell apart waits, and it waits for no longer than a
//! moment, or until something else of its process is told.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{Acted, FAIR, Link, STRONG, Together};
use crate::action::{ActionDeed, ActionId, ConnectOutcome};
use crate::credential::Credential;
use crate::event::{Facts, SendOutcome};
use crate::lineage::Slot;

/// How long a moment is, ns.
pub(super) const MOMENT_NS: u64 = 1_000_000_000;
/// How many of a kind are told by themselves in each moment.
pub(super) const ALONE: u32 = 4;
/// Most told in one record.
const TOGETHER_MAX: usize = 1_024;
/// Most kinds of one process, of all, and most processes, that are looked after at a time: beyond, each action is told by itself.
const KINDS_MAX: usize = 32;
const KINDS_ALL_MAX: usize = 8_192;
pub(super) const MOMENTS_MAX: usize = 8_192;

/// A process of a run.
type Who = (u64, Slot);

/// What was done within the moment, by process.
#[derive(Debug)]
pub(super) struct Moments {
    /// How many of a kind are told by themselves in each.
    alone: u32,
    open: BTreeMap<Who, Moment>,
    /// Those in which something waits.
    waiting: BTreeSet<Who>,
    /// When they end, the first to end first. Of a process whose moment was over before the number differs, or there is none.
    ends: VecDeque<(u64, u64, Who)>,
    begun: u64,
    kinds: usize,
}

#[derive(Debug)]
struct Moment {
    number: u64,
    /// Most processes do one thing within a moment, and do it once.
    kinds: SmallVec<[Kind; 2]>,
}

/// Actions that nothing tells apart.
#[derive(Debug)]
struct Kind {
    /// One of them, which was told by itself.
    like: Arc<Acted>,
    alone: u32,
    waits: Option<Box<Waits>>,
}

/// Those that wait to be told.
#[derive(Debug)]
struct Waits {
    before: Option<Arc<Acted>>,
    last: Arc<Acted>,
    told: Together,
}

/// What became of an action that was offered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// It is to be told by itself.
    Alone,
    /// It waits.
    Waits,
    /// It waits, and as many wait with it as one record may tell.
    Full,
}

impl Moments {
    pub(super) fn new(alone: u32) -> Self {
        Self {
            alone,
            open: BTreeMap::new(),
            waiting: BTreeSet::new(),
            ends: VecDeque::new(),
            begun: 0,
            kinds: 0,
        }
    }

    /// An action that [`may_wait`]; `now_ns` only grows.
    pub(super) fn offer(&mut self, run: u64, acted: &Arc<Acted>, now_ns: u64) -> Offered {
        let who = (run, Slot::from(acted.action.process.key));
        let alone = self.alone;
        let moment = match self.open.entry(who) {
            Entry::Occupied(there) => there.into_mut(),
            // Those that are over are in it, too, until they would end.
            Entry::Vacant(_) if self.ends.len() >= MOMENTS_MAX => return Offered::Alone,
            Entry::Vacant(room) => {
                self.begun += 1;
                self.ends.push_back((now_ns.saturating_add(MOMENT_NS), self.begun, who));
                room.insert(Moment { number: self.begun, kinds: SmallVec::new() })
            }
        };
        let Some(kind) = moment.kinds.iter_mut().find(|kind| alike(&kind.like, acted)) else {
            if moment.kinds.len() < KINDS_MAX && self.kinds < KINDS_ALL_MAX {
                self.kinds += 1;
                moment.kinds.push(Kind { like: Arc::clone(acted), alone: 1, waits: None });
            }
            return Offered::Alone;
        };
        if kind.alone < alone {
            kind.alone += 1;
            return Offered::Alone;
        }
        self.waiting.insert(who);
        let waits = match &mut kind.waits {
            Some(waits) => {
                waits.before = Some(std::mem::replace(&mut waits.last, Arc::clone(acted)));
                waits
            }
            None => kind.waits.insert(Box::new(Waits {
                before: None,
                last: Arc::clone(acted),
                told: Together { since_ns: acted.action.time_ns, ..Together::default() },
            })),
        };
        waits.told.add(acted);
        if waits.told.ids.len() < TOGETHER_MAX { Offered::Waits } else { Offered::Full }
    }

    /// How many there are, those that are over with them.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.ends.len().max(self.open.len())
    }

    /// Takes what waits of a process, in the order of what was done last.
    pub(super) fn take(&mut self, who: Who) -> Vec<Acted> {
        self.take_but(who, None)
    }

    /// Takes what waits of all processes of a run. `named` is told by itself where it is the last of those it waits with: something
    /// else hangs on it.
    pub(super) fn take_of(&mut self, run: u64, named: Option<ActionId>) -> Vec<Acted> {
        let all: Vec<Who> = self.waiting.range(of_run(run)).copied().collect();
        all.into_iter().flat_map(|who| self.take_but(who, named)).collect()
    }

    fn take_but(&mut self, who: Who, named: Option<ActionId>) -> Vec<Acted> {
        if !self.waiting.remove(&who) {
            return Vec::new();
        }
        self.open.get_mut(&who).map(|moment| moment.take(named)).unwrap_or_default()
    }

    /// Takes what waits of a run, whose chain is over: what comes then is of another.
    pub(super) fn end_of(&mut self, run: u64) -> Vec<Acted> {
        let waited = self.take_of(run, None);
        let all: Vec<Who> = self.open.range(of_run(run)).map(|(who, _)| *who).collect();
        for who in all {
            self.over(who);
        }
        waited
    }

    /// Takes what waits of a process that does nothing any more.
    pub(super) fn end(&mut self, who: Who) -> Vec<Acted> {
        let waited = self.take(who);
        self.over(who);
        waited
    }

    fn over(&mut self, who: Who) {
        if let Some(moment) = self.open.remove(&who) {
            self.kinds -= moment.kinds.len();
        }
    }

    /// When the first moment ends, which may be over already.
    pub(super) fn first_end_ns(&self) -> Option<u64> {
        self.ends.front().map(|(at, _, _)| *at)
    }

    /// Ends the moment that ends first: its run, and what waited.
    pub(super) fn end_first(&mut self) -> Option<(u64, Vec<Acted>)> {
        let (_, number, who) = self.ends.pop_front()?;
        if self.open.get(&who).is_none_or(|moment| moment.number != number) {
            return None;
        }
        Some((who.0, self.end(who)))
    }
}

fn of_run(run: u64) -> std::ops::RangeInclusive<Who> {
    (run, Slot { tgid: 0, tick: 0 })..=(run, Slot { tgid: u32::MAX, tick: u64::MAX })
}

impl Moment {
    fn take(&mut self, named: Option<ActionId>) -> Vec<Acted> {
        let waited = self.kinds.iter_mut().filter_map(|kind| kind.waits.take());
        let mut waited: Vec<Acted> = waited.flat_map(|waits| waits.told(named)).collect();
        waited.sort_unstable_by_key(|acted| acted.action.id);
        waited
    }
}

impl Waits {
    /// The last of them, which stands for all; or for itself, where it is named, and the one before it for the others. One alone
    /// is told as if it had not waited.
    fn told(mut self, named: Option<ActionId>) -> impl Iterator<Item = Acted> {
        let mut others = None;
        if named == Some(self.last.action.id)
            && let Some(before) = self.before.take()
        {
            let mut told = std::mem::take(&mut self.told);
            told.ids.pop();
            if port_of(&self.last).is_some() {
                told.ports.pop();
            }
            others = Some(told.in_one(before));
        }
        others.into_iter().chain([self.told.in_one(self.last)])
    }
}

impl Together {
    fn add(&mut self, acted: &Acted) {
        self.ids.push(acted.action.id);
        self.ports.extend(port_of(acted));
    }

    fn in_one(self, last: Arc<Acted>) -> Acted {
        let mut acted = Arc::unwrap_or_clone(last);
        acted.together = (self.ids.len() > 1).then(|| Box::new(self));
        acted
    }
}

/// The client's port, where there is a client and it is known.
fn port_of(acted: &Acted) -> Option<u16> {
    if let ActionDeed::Connect { from, .. } = &acted.action.deed {
        from.map(|(_, port)| port)
    } else if let ActionDeed::Accept { from, .. } = &acted.action.deed {
        Some(from.1)
    } else {
        None
    }
}

/// Whether an action is of those that a busy service does by the thousand, and brings nothing that something else hangs on: what
/// is of credentials, programs and identities is told at once, and so is what failed or is tried again.
pub(super) fn may_wait(acted: &Acted) -> bool {
    let deed = &acted.action.deed;
    let waits = if let ActionDeed::Connect { outcome, completes, .. } = deed {
        *outcome == ConnectOutcome::Established && completes.is_none()
    } else if let ActionDeed::Send { outcome, .. } = deed {
        *outcome == SendOutcome::Sent
    } else {
        matches!(deed, ActionDeed::Accept { .. })
    };
    waits && acted.attempt.is_none()
}

/// Whether nothing tells two actions apart but when they were, which thread did them, the port of the one who connected, and
/// how long ago a credential was come by.
fn alike(one: &Acted, other: &Acted) -> bool {
    let (a, b) = (&one.action, &other.action);
    one.chain == other.chain
        && deeds_alike(&a.deed, &b.deed)
        && same(&a.process, &b.process)
        && same(&a.actor, &b.actor)
        && Facts { tid: b.facts.tid, ..a.facts } == b.facts
        && a.seen_by == b.seen_by
        && one.request == other.request
        && one.judged == other.judged
        && credentials_alike(&one.credentials, &other.credentials)
        && match (&one.link, &other.link) {
            (Some(one), Some(other)) => links_alike(one, other),
            (None, None) => true,
            _ => false,
        }
}

/// Most are shared: then nobody looks into them.
fn same<T: PartialEq>(one: &Arc<T>, other: &Arc<T>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

fn credentials_alike(one: &[Arc<Credential>], other: &[Arc<Credential>]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
}

fn deeds_alike(one: &ActionDeed, other: &ActionDeed) -> bool {
    let ip = |from: &Option<(IpAddr, u16)>| from.map(|(ip, _)| ip);
    match (one, other) {
        (
            ActionDeed::Connect { to, name, from, outcome, .. },
            ActionDeed::Connect { to: to2, name: name2, from: from2, outcome: outcome2, .. },
        ) => to == to2 && name == name2 && ip(from) == ip(from2) && outcome == outcome2,
        (
            ActionDeed::Send { to, name, outcome },
            ActionDeed::Send { to: to2, name: name2, outcome: outcome2 },
        ) => to == to2 && name == name2 && outcome == outcome2,
        (
            ActionDeed::Accept { from, at, transport },
            ActionDeed::Accept { from: from2, at: at2, transport: transport2 },
        ) => from.0 == from2.0 && at == at2 && transport == transport2,
        _ => false,
    }
}

/// The same openings on the same basis, and worth about as much: time alone makes a link worth less, and where it makes it weak
/// that is told.
fn links_alike(one: &Link, other: &Link) -> bool {
    let class = |worth: u8| u8::from(worth >= FAIR) + u8::from(worth >= STRONG);
    let each = one.each.len() == other.each.len()
        && one
            .each
            .iter()
            .zip(&other.each)
            .all(|((a, worth), (b, other))| a == b && class(*worth) == class(*other));
    each && one.relation == other.relation
        && one.of == other.of
        && one.basis == other.basis
        && one.hops == other.hops
        && one.facts == other.facts
        && class(one.confidence) == class(other.confidence)
}
