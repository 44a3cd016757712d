//! Who opens a credential, and who never did.

use std::sync::Arc;

use crate::credential::Credential;
use crate::finding::case::{Case, Draft, Unjudged, named, shown};
use crate::finding::family::Family;
use crate::finding::{Kind, Severity};
use crate::inventory::Holding;

/// Most programs that an entry of the inventory names: one more may have found no room.
const PROGRAMS_MAX: usize = 16;

/// A service account came by a credential that is in use for as long as habits take to learn, and that it never had.
///
/// Left out: another container or made-up unit of the same program; another instance of a template whose instances
/// share it; an account that opens whatever it finds; a credential of the same name that holds another secret than any
/// that was seen (a file of that name in another container).
pub(super) fn new_actor(case: &Case<'_>, credential: &Arc<Credential>) -> Result<Option<Draft>, Unjudged> {
    let actor = case.actor();
    let (true, Some(holding)) = (case.is_service(), case.holding(credential)) else {
        return Ok(None);
    };
    let Some(used) = holding.used.filter(|_| holding.actors.get(actor.id.as_str()).is_none()) else {
        return Ok(None);
    };
    if !case.mature(used.first_ns) {
        return Err(Unjudged::Learning);
    }
    if holding.actors.len() >= case.known.each() || holding.actors.refused() > 0 {
        return Err(Unjudged::Full);
    }
    if is_alike(case, holding) || is_another(credential, holding) {
        return Ok(None);
    }
    if case.is_bulk(case.account()) {
        return Err(Unjudged::Bulk);
    }
    let program = shown(case.program());
    let users = holding.actors.iter().filter_map(|(id, _)| case.known.actor(id));
    let same_user = users.map(|known| known.actor.user.as_str()).any(|user| user == actor.user);
    let severity = if same_user { Severity::Low } else { Severity::Medium };
    let reason = format!("{} opened {} for the first time, by {program}", actor.id, named(credential));
    let known = match (holding.actors.iter().next(), holding.actors.len()) {
        (None, _) => "people only".to_owned(),
        (Some((id, _)), 1) => id.to_string(),
        (Some((id, _)), more) => format!("{id} and {} more", more - 1),
    };
    let draft = Draft::new(Kind::NewActor, severity, reason).of(credential);
    let draft = draft.fact("program", program).fact("used_by", known);
    let account = if case.account().is_some() { "known" } else { "new on this host" };
    Ok(Some(draft.fact("account", account).fact("same_user", if same_user { "yes" } else { "no" })))
}

/// Whether it is what always opens it, under another name.
fn is_alike(case: &Case<'_>, holding: &Holding) -> bool {
    let family = Family::of(&case.actor().id);
    let least = match family {
        Family::Alone => return false,
        Family::Ephemeral(_) => 1,
        Family::Template(_) => 2,
    };
    let alike = holding.actors.iter().filter(|(id, _)| Family::of(id) == family).count();
    let usual = holding.programs.len() >= PROGRAMS_MAX || holding.programs.get(case.program()).is_some();
    alike >= least && usual
}

/// Whether it holds something that was never seen under this name.
fn is_another(credential: &Credential, holding: &Holding) -> bool {
    let known = |version: &String| holding.versions.latest().any(|known| known == version);
    holding.versions.count() != 0 && credential.version.as_ref().is_some_and(|version| !known(version))
}
