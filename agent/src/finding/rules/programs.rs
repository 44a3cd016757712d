//! Programs that nobody vouches for, and what stands among their arguments.

use std::sync::Arc;

use crate::action::ActionDeed;
use crate::actor::ActorKind;
use crate::credential::{Credential, redact};
use crate::finding::case::{Case, Draft, anybodys, named, shown};
use crate::finding::{Kind, Severity};

/// Where images of programs (`AppImage`) are mounted, so that only who started them may read.
const MOUNTED: &[u8] = b"/tmp/.mount_";

/// A credential came into the hands of a program that lies where everybody may write, or whose file had no name when it
/// was started.
///
/// That the file is gone *now* says nothing: each package upgrade replaces the files of running daemons. Left out: a
/// program that starts itself anew after that, under the name by which it always used this credential.
pub(super) fn untrusted(case: &Case<'_>, credential: &Arc<Credential>) -> Option<Draft> {
    let process = case.process();
    let holding = case.holding(credential);
    let anybodys = anybodys(process);
    let replaced = !anybodys && holding.is_some_and(|holding| holding.programs.get(case.program()).is_some());
    let (severity, how) = if process.program.nameless && !replaced {
        let memory = process.program.exe.bytes.starts_with(b"/memfd:")
            || process.program.exe.bytes.starts_with(b"memfd:");
        (Severity::High, if memory { "that lies in memory only" } else { "whose file had been deleted" })
    } else if anybodys {
        let own =
            case.actor().kind == ActorKind::HumanSession && process.program.exe.bytes.starts_with(MOUNTED);
        if own {
            return None;
        }
        (Severity::Medium, "that lies where everybody may write")
    } else {
        return None;
    };
    let program = shown(case.program());
    let reason = format!("{} opened {} by a program {how}: {program}", case.actor().id, named(credential));
    let draft = Draft::new(Kind::UntrustedProgram, severity, reason).of(credential).about(program.as_str());
    Some(draft.fact("program", program).fact("how", how))
}

/// A service account started a program with a secret among its arguments, where every user of the host can read it.
pub(super) fn secret_in_arguments(case: &Case<'_>) -> Option<Draft> {
    if !matches!(case.acted.action.deed, ActionDeed::Exec { .. }) || !case.is_service() {
        return None;
    }
    let what = redact::secret_in(&case.process().program.argv)?;
    let program = shown(case.program());
    let reason = format!("{} started {program} with a secret among its arguments ({what})", case.actor().id);
    let draft = Draft::new(Kind::SecretInArguments, Severity::Low, reason).about(program.as_str());
    Some(draft.fact("program", program).fact("what", what))
}
