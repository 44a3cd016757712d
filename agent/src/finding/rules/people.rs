//! A person with a service's credential.

use std::sync::Arc;

use crate::actor::ActorKind;
use crate::credential::{Credential, Human};
use crate::finding::case::{Case, Draft, anybodys, named, shown};
use crate::finding::{Kind, Severity};
use crate::inventory::{Holding, person};

/// A person came by a credential whose kind people have no business with.
///
/// Left out: what a set-user-id program opens before it becomes who it was asked to be (`sudo`, `login`: its file's owner
/// acts, not the person); the very program that the service uses it with, and nobody else uses (`nginx -t` before a
/// reload); units and containers that a person started; a person who has done so for as long as habits take to learn
/// (configuration management that comes in by ssh).
pub(super) fn human_use(case: &Case<'_>, credential: &Arc<Credential>) -> Option<Draft> {
    let actor = case.actor();
    let person = person(actor)?;
    let by_hand = matches!(
        actor.kind,
        ActorKind::HumanSession | ActorKind::SystemUser | ActorKind::KubernetesServiceAccount
    );
    let facts = &case.acted.action.facts;
    if credential.human != Human::Finding || !by_hand || facts.uid != facts.euid {
        return None;
    }
    let is_usual = |holding: &Holding| {
        let before = holding.people.get(person);
        before.is_some_and(|span| case.mature(span.first_ns)) || is_its_program(case, holding)
    };
    if case.holding(credential).is_some_and(is_usual) {
        return None;
    }
    let program = shown(case.program());
    let words = if case.is_by_client() { ", by a client's words," } else { "" };
    let reason = format!("{person}{words} used {}, a service's credential, by {program}", named(credential));
    let draft = Draft::new(Kind::HumanUse, Severity::Medium, reason).of(credential).about(person);
    Some(draft.fact("person", person).fact("program", program).fact("as_user", actor.user.as_str()))
}

/// Whether the program is the one by which services use the credential, and no account without it runs it.
fn is_its_program(case: &Case<'_>, holding: &Holding) -> bool {
    let program = case.program();
    if case.process().program.nameless || anybodys(case.process()) || holding.programs.get(program).is_none()
    {
        return false;
    }
    let mut runs = case.known.accounts().filter(|account| account.programs.get(program).is_some()).peekable();
    runs.peek().is_some() && runs.all(|account| holding.actors.get(account.actor.id.as_str()).is_some())
}
