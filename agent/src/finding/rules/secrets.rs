//! What a credential holds: the same as another, what it held before, or what has ended.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::action::{ActionDeed, ConnectOutcome};
use crate::chain::FAIR;
use crate::credential::{Credential, Lifetime};
use crate::finding::case::{Case, Draft, Unjudged, named};
use crate::finding::family::Family;
use crate::finding::{HOUR_NS, Kind, Severity};
use crate::inventory::Holding;

/// Clocks differ, and what is refused is renewed: so long after its end a credential counts as used, seconds.
const GRACE_S: i64 = 3_600;

/// Since when a credential has ended, seconds since 1970; of a kind that is not renewed by whoever opens it.
fn ended(case: &Case<'_>, credential: &Credential) -> Option<i64> {
    let expires = credential.expires.filter(|_| credential.lifetime != Some(Lifetime::ShortLived))?;
    (case.now_ns / 1_000_000_000 >= expires.saturating_add(GRACE_S)).then_some(expires)
}

/// A service account opened a credential that has ended by its own word.
///
/// Left out: kinds of short life, whose tools open the old one in order to renew it; accounts that open whatever they find.
pub(super) fn opened_expired(case: &Case<'_>, credential: &Arc<Credential>) -> Option<Draft> {
    let expires = ended(case, credential)?;
    if !case.is_service() || case.is_bulk(case.account()) {
        return None;
    }
    let reason = format!("{} opened {} after its end", case.actor().id, named(credential));
    let draft = Draft::new(Kind::ExpiredCredential, Severity::Low, reason).of(credential);
    Some(draft.fact("ended", since(case, expires)))
}

/// A service account connected after such a credential, which fits best what it did: it may still be accepted.
pub(super) fn used_expired(case: &Case<'_>) -> Option<Draft> {
    if !matches!(case.acted.action.deed, ActionDeed::Connect { outcome: ConnectOutcome::Established, .. }) {
        return None;
    }
    let (id, _) = case.acted.link.as_ref()?.each.first().filter(|(_, worth)| *worth >= FAIR)?;
    let credential = case.acted.credentials.iter().find(|known| known.id == *id)?;
    let expires = ended(case, credential)?;
    if !case.is_service() {
        return None;
    }
    let reason =
        format!("{} connected after it had opened {} past its end", case.actor().id, named(credential));
    let draft = Draft::new(Kind::ExpiredCredential, Severity::Medium, reason).of(credential);
    Some(draft.fact("ended", since(case, expires)))
}

/// How long ago something was.
fn since(case: &Case<'_>, at_s: i64) -> String {
    let hours = (case.now_ns / 1_000_000_000).saturating_sub(at_s) / 3_600;
    if hours < 48 { format!("{hours} hours before") } else { format!("{} days before", hours / 24) }
}

/// Most files of which versions are remembered, and most versions of one.
const FILES_MAX: usize = 8_192;
const VERSIONS_MAX: usize = 8;

/// A version, when it was first and last seen, ns since 1970.
#[derive(Debug)]
struct Version {
    name: String,
    first_ns: i64,
    last_ns: i64,
}

/// What lay in a file, oldest first. A path in a container is a place of its own in each.
#[derive(Debug, Default)]
pub(super) struct Versions {
    files: BTreeMap<(String, Vec<u8>, String), VecDeque<Version>>,
    /// What an earlier life knew of a credential, whoever opened it.
    before: BTreeMap<String, VecDeque<Version>>,
    pub(super) evicted: u64,
}

impl Versions {
    pub(super) fn len(&self) -> usize {
        self.files.len() + self.before.len()
    }

    /// The newest comes first.
    pub(super) fn recall(&mut self, holding: &Holding) {
        let (Some(version), true) = (&holding.credential.version, self.before.len() < FILES_MAX) else {
            return;
        };
        // One that several files or actors share may hold several things at once.
        let alone = holding.files.len() <= 1 && holding.actors.len() <= 1;
        let known = self.before.entry(holding.credential.id.clone()).or_default();
        if alone && known.len() < VERSIONS_MAX && !known.iter().any(|known| known.name == *version) {
            let used = holding.used.map_or(holding.known_ns, |used| used.last_ns);
            known.push_front(Version { name: version.clone(), first_ns: used, last_ns: used });
        }
    }

    fn make_room(&mut self) {
        if self.files.len() < FILES_MAX {
            return;
        }
        let last = |known: &VecDeque<Version>| known.back().map_or(0, |version| version.last_ns);
        let mut by_age: Vec<_> = self.files.iter().map(|(key, known)| (last(known), key.clone())).collect();
        by_age.sort_unstable();
        for (_, key) in by_age.into_iter().take(FILES_MAX / 16) {
            self.files.remove(&key);
            self.evicted += 1;
        }
    }
}

/// A service account opened a credential that holds again what had been replaced at that place, after what replaced it
/// had been in use for an hour. What stays put back for as long as habits take to learn is the newest again.
pub(super) fn retired(
    case: &Case<'_>,
    credential: &Arc<Credential>,
    versions: &mut Versions,
) -> Option<Draft> {
    let version = credential.version.as_ref()?;
    if !case.is_service() || credential.lifetime == Some(Lifetime::ShortLived) {
        return None;
    }
    let actor = case.actor();
    let place = actor.pod.as_ref().map_or(&actor.id, |pod| &pod.uid);
    let key = (credential.id.clone(), case.place().to_vec(), place.clone());
    if !versions.files.contains_key(&key) {
        versions.make_room();
        let before = versions.before.remove(&credential.id).unwrap_or_default();
        versions.files.insert(key.clone(), before);
    }
    let known = versions.files.get_mut(&key)?;
    let now_ns = case.now_ns;
    let newest = known.back().map(|newest| (newest.name.clone(), newest.first_ns, newest.last_ns));
    let at = known.iter().position(|known| known.name == *version);
    let (Some((name, first_ns, last_ns)), Some(at)) = (newest, at) else {
        if known.len() >= VERSIONS_MAX {
            known.pop_front();
        }
        known.push_back(Version { name: version.clone(), first_ns: now_ns, last_ns: now_ns });
        return None;
    };
    let seen = known.get_mut(at)?;
    let retired_ns = std::mem::replace(&mut seen.last_ns, now_ns);
    if name == *version {
        return None;
    }
    if case.mature(last_ns)
        && let Some(back) = known.remove(at)
    {
        known.push_back(back);
        return None;
    }
    if now_ns - first_ns < HOUR_NS {
        return None;
    }
    let reason =
        format!("{} opened {}, which holds again what had been replaced", case.actor().id, named(credential));
    let draft = Draft::new(Kind::RetiredVersion, Severity::Medium, reason).of(credential);
    let draft = draft.fact("version", version.as_str()).fact("newer", name);
    Some(draft.fact("last_seen", since(case, retired_ns / 1_000_000_000)))
}

/// Most fingerprints remembered, and most credentials of one.
const PRINTS_MAX: usize = 16_384;
const SAME_MAX: usize = 8;

/// Which credentials hold a secret.
#[derive(Debug, Default)]
pub(super) struct Prints {
    /// The latest last.
    of: BTreeMap<String, VecDeque<String>>,
    pub(super) evicted: u64,
}

impl Prints {
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    pub(super) fn learn(&mut self, credential: &Credential) {
        for print in &credential.fingerprints {
            if !self.of.contains_key(print) && self.of.len() >= PRINTS_MAX {
                self.of.pop_first();
                self.evicted += 1;
            }
            let same = self.of.entry(print.clone()).or_default();
            if same.contains(&credential.id) {
                continue;
            }
            if same.len() >= SAME_MAX {
                same.pop_front();
            }
            same.push_back(credential.id.clone());
        }
    }
}

/// A service account opened, for the first time, a credential with a secret that lies in another one as well, which other
/// service accounts use for as long as habits take to learn. Two namespaces of Kubernetes are two environments.
///
/// Left out: whoever has the secret already; accounts that open whatever they find, on either side.
pub(super) fn shared(
    case: &Case<'_>,
    credential: &Arc<Credential>,
    prints: &mut Prints,
) -> Result<Option<Draft>, Unjudged> {
    let verdict = judge_shared(case, credential, prints);
    prints.learn(credential);
    verdict
}

fn judge_shared(
    case: &Case<'_>,
    credential: &Credential,
    prints: &Prints,
) -> Result<Option<Draft>, Unjudged> {
    let own = case.holding(credential);
    // Who has the secret already, under whatever name, has no new one: each pod of an account has files of its own.
    let has = |id: &str| {
        let known = case.known.holding(id);
        known.is_some_and(|known| known.actors.get(case.actor().id.as_str()).is_some())
    };
    let news = credential.fingerprints.iter().filter_map(|print| prints.of.get(print));
    let news = news.filter(|ids| !ids.iter().any(|id| has(id)));
    let others = news.flatten().filter(|id| **id != credential.id);
    let mut learning = false;
    for other in others.filter_map(|id| case.known.holding(id)) {
        // Of one who uses this one as well it is no copy: that another opens it is for the rule of new actors.
        let uses_both = |id: &str| own.is_some_and(|own| own.actors.get(id).is_some());
        let Some(holder) = holder(case, other).filter(|id| !uses_both(id)) else {
            continue;
        };
        if !other.used.is_some_and(|used| case.mature(used.first_ns)) {
            learning = true;
            continue;
        }
        if case.is_bulk(case.account()) {
            return Err(Unjudged::Bulk);
        }
        return Ok(Some(found_shared(case, credential, &other.credential, holder)));
    }
    if learning { Err(Unjudged::Learning) } else { Ok(None) }
}

/// A service account that uses the other credential and is not the one that acts. `None` where it uses that, too.
fn holder<'a>(case: &Case<'a>, other: &'a Holding) -> Option<&'a str> {
    let actor = case.actor();
    if !case.is_service() || other.actors.get(actor.id.as_str()).is_some() {
        return None;
    }
    let family = Family::of(&actor.id);
    let mut users = other.actors.iter().map(|(id, _)| &**id);
    users.find(|id| {
        let alike = family != Family::Alone && Family::of(id) == family;
        !alike && !case.is_bulk(case.known.actor(id))
    })
}

fn found_shared(case: &Case<'_>, credential: &Credential, other: &Arc<Credential>, holder: &str) -> Draft {
    let actor = case.actor();
    let namespace =
        |id: &str| id.strip_prefix("kubernetes:").and_then(|rest| rest.split(':').next().map(str::to_owned));
    let (here, there) = (namespace(&actor.id), namespace(holder));
    let environments = here.is_some() && there.is_some() && here != there;
    let severity = if environments { Severity::Medium } else { Severity::Low };
    let reason = format!(
        "{} opened {}, which holds the same secret as {} of {holder}",
        actor.id,
        named(credential),
        named(other)
    );
    let draft = Draft::new(Kind::SharedSecret, severity, reason).of(&Arc::new(credential.clone()));
    let draft = draft.about(other.id.as_str()).fact("other", other.id.as_str()).fact("other_actor", holder);
    draft.fact("environments", if environments { "two" } else { "one" })
}
