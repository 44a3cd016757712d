//! Outside the purpose that an owner declared.

use crate::action::ActionDeed;
use crate::chain::STRONG;
use crate::finding::case::{Case, Draft};
use crate::finding::{Kind, Severity};
use crate::purpose::{Misfit, Verdict};

/// What purposes say of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::finding) enum Word<'a> {
    /// One allows it: its owner knows of it.
    Within,
    /// They claim the actor, and none allows it.
    Outside(Outside<'a>),
}

/// That purposes claim an actor, and none allows what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::finding) struct Outside<'a> {
    /// The purpose that comes nearest.
    pub(in crate::finding) purpose: &'a str,
    /// Why it does not allow it, in words.
    pub(in crate::finding) reason: &'a str,
    /// It has expired: the account should be gone.
    pub(in crate::finding) expired: bool,
}

/// What purposes say of an action; `None` where none claims the actor.
pub(in crate::finding) fn verdict<'a>(case: &Case<'a>) -> Option<Word<'a>> {
    let judged = case.acted.judged.as_ref()?;
    match judged.verdict {
        Verdict::Within => Some(Word::Within),
        Verdict::Undeclared => None,
        Verdict::Outside => Some(Word::Outside(Outside {
            purpose: judged.purpose.as_deref().unwrap_or_default(),
            reason: judged.reason.as_deref().unwrap_or_default(),
            expired: judged.misfits.contains(&Misfit::Expires),
        })),
    }
}

/// Whether an owner who allows an action has said with it that this is meant to be. That a credential has ended, was
/// replaced, or stands among arguments is not.
pub(super) fn covers(kind: Kind) -> bool {
    match kind {
        Kind::NewActor
        | Kind::SharedSecret
        | Kind::HumanUse
        | Kind::UntrustedProgram
        | Kind::FanOut
        | Kind::MemoryTheft => true,
        Kind::OutsidePurpose | Kind::ExpiredCredential | Kind::SecretInArguments | Kind::RetiredVersion => {
            false
        }
    }
}

/// One finding a day for each actor and purpose. It is high where a credential was used with a strong link.
pub(super) fn outside(case: &Case<'_>, word: Option<Word<'_>>) -> Option<Draft> {
    let Word::Outside(Outside { purpose, reason, expired }) = word? else {
        return None;
    };
    let strong = case.acted.link.as_ref().is_some_and(|link| link.confidence >= STRONG);
    let grave = strong && matches!(case.acted.action.deed, ActionDeed::Connect { .. });
    let severity = if grave { Severity::High } else { Severity::Medium };
    let sentence = format!("{} did what its purpose {purpose} does not allow: {reason}", case.actor().id);
    let draft = Draft::new(Kind::OutsidePurpose, severity, sentence).about(purpose).fact("purpose", purpose);
    let draft = draft.fact("misfit", reason).fact("expired", if expired { "yes" } else { "no" });
    Some(match case.acted.credentials.first() {
        Some(credential) => draft.fact("credential", credential.id.as_str()),
        None => draft,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Settings;
    use crate::finding::tests::stage;
    use crate::purpose::Judged;

    #[test]
    fn outside_is_found_and_what_nobody_judged_is_not() {
        let (known, mut acted) = stage::connect_after_token(80);
        let settings = Settings::default();
        let unjudged = Case { acted: &acted, known: &known, settings: &settings, now_ns: 0 };
        assert!(outside(&unjudged, verdict(&unjudged)).is_none());
        let judged = |verdict| Judged {
            verdict,
            purpose: Some("nightly".into()),
            misfits: vec![Misfit::Destination],
            reason: Some("not to 10.0.0.9:22".to_owned()),
        };
        for verdict in [Verdict::Within, Verdict::Undeclared] {
            acted.judged = Some(judged(verdict));
            let case = Case { acted: &acted, known: &known, settings: &settings, now_ns: 0 };
            assert!(outside(&case, super::verdict(&case)).is_none(), "{verdict:?}");
        }
        acted.judged = Some(judged(Verdict::Outside));
        let case = Case { acted: &acted, known: &known, settings: &settings, now_ns: 0 };
        let found = outside(&case, verdict(&case)).unwrap();
        assert_eq!((found.severity, found.subject.as_str()), (Severity::High, "nightly"));
        assert!(found.reason.ends_with("its purpose nightly does not allow: not to 10.0.0.9:22"));
        let (known, mut acted) = stage::connect_after_token(40);
        acted.judged = Some(judged(Verdict::Outside));
        let case = Case { acted: &acted, known: &known, settings: &settings, now_ns: 0 };
        assert_eq!(outside(&case, verdict(&case)).unwrap().severity, Severity::Medium);
    }
}
