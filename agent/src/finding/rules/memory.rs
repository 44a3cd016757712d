//! Who looks into the memory of whoever holds a credential.

use crate::action::ActionDeed;
use crate::actor::ActorKind;
use crate::event::MemoryWay;
use crate::finding::case::{Case, Draft, anybodys, named, program, shown};
use crate::finding::{Kind, Severity};
use crate::lineage::Process;

/// A process got at the memory of another that holds a credential, and that is neither of the same unit, container or
/// session, nor its own child.
///
/// Left out: a person in what is that person's own; whoever has done so for as long as habits take to learn (a profiler,
/// a scanner). Environments are read by monitoring, by crash handlers and after upgrades of packages, and what lies in
/// files is not in them: of these, only what a program does that anybody could have put there.
pub(super) fn theft(case: &Case<'_>) -> Option<Draft> {
    let ActionDeed::MemoryAccess { target: Some(target), how } = &case.acted.action.deed else {
        return None;
    };
    let credential = case.acted.credentials.first()?;
    let (actor, process) = (case.actor(), case.process());
    let is_person = actor.kind == ActorKind::HumanSession;
    let (environ, untrusted) = (*how == MemoryWay::Environ, process.program.nameless || anybodys(process));
    if is_own(process, target) || (is_person && is_persons(case, target)) || (environ && !untrusted) {
        return None;
    }
    let before = case.holding(credential).and_then(|holding| holding.actors.get(actor.id.as_str()));
    if !untrusted && before.is_some_and(|span| case.mature(span.first_ns)) {
        return None;
    }
    let severity = match (untrusted, is_person) {
        (true, _) if !environ => Severity::Critical,
        (true, _) | (false, false) => Severity::High,
        (false, true) => Severity::Medium,
    };
    let whose = shown(program(target));
    let what = if environ { "the environment" } else { "the memory" };
    let reason = format!(
        "{} looked into {what} of {whose} {}, which holds {}",
        actor.id,
        target.key.tgid,
        named(credential)
    );
    let draft = Draft::new(Kind::MemoryTheft, severity, reason).of(credential).about(whose.as_str());
    let held = case.acted.credentials.len().to_string();
    let draft = draft.fact("program", shown(case.program())).fact("way", how.name());
    Some(draft.fact("target", whose).fact("target_pid", target.key.tgid.to_string()).fact("held", held))
}

/// Whether one process is the other's own: of its cgroup, or made by it, as a debugger starts what it debugs.
fn is_own(process: &Process, target: &Process) -> bool {
    let of = |one: &Process, other: &Process| other.parent.is_some_and(|parent| parent.same(one.key));
    if of(process, target) || of(target, process) {
        return true;
    }
    // Where there are no cgroups to tell services apart, the same program under the same user is one.
    if matches!(target.cgroup.bytes.as_slice(), b"" | b"/") {
        return process.ids.0 == target.ids.0 && process.program.exe == target.program.exe;
    }
    target.cgroup == process.cgroup
}

/// Whether a process is of the person who acts: of whatever session, or of that user's own services.
fn is_persons(case: &Case<'_>, target: &Process) -> bool {
    let Some(login) = case.acted.action.facts.login_uid else {
        return false;
    };
    let slice = format!("/user-{login}.slice/");
    target.cgroup.bytes.windows(slice.len()).any(|part| part == slice.as_bytes())
}
