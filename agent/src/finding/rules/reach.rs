//! How many hosts are reached for after a credential.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::chain::{Basis, FAIR, Link, LinkFact};
use crate::credential::Credential;
use crate::finding::case::{Case, Draft, Unjudged, named};
use crate::finding::{DAY_NS, Kind, Severity};
use crate::inventory::host_of;

/// Most actors with a credential of which hosts are counted, and most hosts of one.
const WINDOWS_MAX: usize = 4_096;
const HOSTS_MAX: usize = 256;
/// So many new hosts in a day are none too many for anybody.
const LEAST: usize = 8;
/// Beyond it, so many times what was known before.
const TIMES: usize = 2;

/// Hosts that an actor reached for within a day after a credential, and that neither of them was known to reach.
#[derive(Debug)]
struct Window {
    since_ns: i64,
    hosts: BTreeSet<String>,
    /// How many hosts were known when the day began.
    habit: usize,
}

/// New hosts by actor and credential.
#[derive(Debug, Default)]
pub(super) struct Windows {
    open: BTreeMap<(String, String), Window>,
    pub(super) evicted: u64,
}

impl Windows {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn tick(&mut self, now_ns: i64) {
        self.open.retain(|_, window| now_ns - window.since_ns < DAY_NS);
    }

    fn make_room(&mut self) {
        if self.open.len() < WINDOWS_MAX {
            return;
        }
        let oldest = self.open.iter().min_by_key(|(_, window)| window.since_ns).map(|(key, _)| key.clone());
        if oldest.is_some_and(|key| self.open.remove(&key).is_some()) {
            self.evicted += 1;
        }
    }
}

/// Whether nothing else is held. That is no more than a weak link with one host; many new ones at once are told all the
/// same, since an intruder uses what a daemon read at its start, long ago.
fn is_only(link: &Link) -> bool {
    let has = |fact| link.facts.contains(&fact);
    link.basis != Basis::Beside && has(LinkFact::OnlyCredential) && !has(LinkFact::DestinationDiffers)
}

/// After a credential, by a link that is at least fair or the only one that is held, an actor reached within a day for more new hosts than eight and
/// than twice as many as were known. Retries of one host are one, and so are the addresses behind one name.
pub(super) fn fan_out(case: &Case<'_>, windows: &mut Windows) -> Result<Option<Draft>, Unjudged> {
    let (Some(host), Some(link)) = (host_of(&case.acted.action.deed), &case.acted.link) else {
        return Ok(None);
    };
    let best = link.each.first().filter(|(_, worth)| *worth >= FAIR || is_only(link));
    let credential = best.and_then(|(id, _)| case.acted.credentials.iter().find(|known| known.id == *id));
    let (Some(credential), true) = (credential, case.actor().kind.is_service()) else {
        return Ok(None);
    };
    let (Some(holding), Some(account)) = (case.holding(credential), case.account()) else {
        return Ok(None);
    };
    let known = holding.destinations.get(host.name.as_str()).is_some()
        || account.destinations.get(host.name.as_str()).is_some();
    if known && windows.open.is_empty() {
        return Ok(None);
    }
    let key = (account.actor.id.clone(), credential.id.clone());
    let window = windows.open.get_mut(&key);
    let counted = window.as_ref().is_some_and(|window| window.hosts.contains(&host.name));
    if host.again
        && host.name != host.address
        && let Some(window) = window
    {
        window.hosts.remove(&host.address);
    }
    if known || counted {
        return Ok(None);
    }
    let used = holding.used.map_or(holding.known_ns, |used| used.first_ns);
    if !case.mature(used) || !case.mature(account.span.first_ns) {
        return Err(Unjudged::Learning);
    }
    if holding.destinations.len() >= case.known.each() || account.destinations.len() >= case.known.each() {
        // Of a window that is open, the habit was known before the table was full.
        if !windows.open.contains_key(&key) {
            return Err(Unjudged::Full);
        }
    }
    let habit = holding.destinations.len();
    if windows.open.get(&key).is_none_or(|window| case.now_ns - window.since_ns >= DAY_NS) {
        windows.make_room();
        let window = Window { since_ns: case.now_ns, hosts: BTreeSet::new(), habit };
        windows.open.insert(key.clone(), window);
    }
    let Some(window) = windows.open.get_mut(&key) else {
        return Ok(None);
    };
    if window.hosts.len() >= HOSTS_MAX || !window.hosts.insert(host.name) {
        return Ok(None);
    }
    let (new, habit) = (window.hosts.len(), window.habit);
    Ok((new > LEAST.max(TIMES * habit)).then(|| found(case, credential, new, habit)))
}

fn found(case: &Case<'_>, credential: &Arc<Credential>, new: usize, habit: usize) -> Draft {
    let grave = new >= 32 || case.process().program.nameless;
    let severity = if grave { Severity::High } else { Severity::Medium };
    let usual = if habit == 1 { "1 host was".to_owned() } else { format!("{habit} hosts were") };
    let reason = format!(
        "{} tried more than {} new hosts within a day after {}; {usual} known before",
        case.actor().id,
        LEAST.max(TIMES * habit),
        named(credential)
    );
    let draft = Draft::new(Kind::FanOut, severity, reason).of(credential);
    draft.fact("new_hosts", new.to_string()).fact("known_hosts", habit.to_string())
}
