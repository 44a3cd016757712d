//! The verdict.

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;

use super::act::{Act, Towards, Using};
use super::pattern::{Fit, show_destination};
use super::{Purpose, Purposes};
use crate::credential::Credential;
use crate::credential::redact::printable;

/// What purposes say of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// One purpose allows it, whole.
    Within,
    /// Purposes claim the actor, and none allows it.
    Outside,
    /// No purpose claims the actor, or what a purpose asks for is not known of the action.
    Undeclared,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Verdict; 3] = [Verdict::Within, Verdict::Outside, Verdict::Undeclared];

    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Within => "within",
            Verdict::Outside => "outside",
            Verdict::Undeclared => "undeclared",
        }
    }

    /// Back from the name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.name() == name)
    }
}

/// A part of a purpose that an action does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Misfit {
    /// The purpose has expired.
    Expires,
    /// Not at this time.
    Time,
    /// Not by this program.
    Program,
    /// Not with this credential.
    Credential,
    /// Not to there.
    Destination,
}

impl Misfit {
    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Misfit::Expires => "expires",
            Misfit::Time => "time",
            Misfit::Program => "program",
            Misfit::Credential => "credential",
            Misfit::Destination => "destination",
        }
    }
}

/// A verdict, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// Of `within` the purpose that allows it, else the one that comes nearest to it; `None` where none claims the actor.
    pub purpose: Option<Arc<str>>,
    /// What does not fit the nearest purpose; empty but for `outside`.
    pub misfits: Vec<Misfit>,
    /// The same in words; `None` of `within`, whose reason is the purpose.
    pub reason: Option<String>,
}

/// How an act fits a purpose.
#[derive(Clone, Debug, Default)]
struct Fitting {
    misfits: Vec<Misfit>,
    digest_unknown: bool,
}

impl Purposes {
    /// The verdict on an act. `None` where nobody has declared anything.
    ///
    /// Precedence: one purpose that allows the act whole is enough, whoever declared it, and no purpose forbids what
    /// another allows. Of several that allow it, the one is named that claims the actor by its whole id, then the first by
    /// name. Where none does, the nearest is named, which is the one with the fewest misfits, in the same order.
    #[must_use]
    pub fn judge(&self, act: &Act<'_>) -> Option<Judged> {
        if self.is_empty() {
            return None;
        }
        let mut nearest: Option<(&Purpose, Fitting)> = None;
        let mut unknown: Option<&Purpose> = None;
        for purpose in self.claiming(act.actor) {
            let fitting = purpose.fitting(act);
            if fitting.misfits.is_empty() && !fitting.digest_unknown {
                let name = Some(Arc::clone(&purpose.name));
                return Some(Judged {
                    verdict: Verdict::Within,
                    purpose: name,
                    misfits: Vec::new(),
                    reason: None,
                });
            }
            if fitting.misfits.is_empty() {
                unknown = unknown.or(Some(purpose));
            }
            let nearer = |(_, known): &(&Purpose, Fitting)| fitting.misfits.len() < known.misfits.len();
            if nearest.as_ref().is_none_or(nearer) {
                nearest = Some((purpose, fitting));
            }
        }
        Some(match (unknown, nearest) {
            (Some(purpose), _) => Judged {
                verdict: Verdict::Undeclared,
                purpose: Some(Arc::clone(&purpose.name)),
                misfits: Vec::new(),
                reason: Some(format!("the digest of {} is not known", program(act))),
            },
            (None, Some((purpose, fitting))) => Judged {
                verdict: Verdict::Outside,
                purpose: Some(Arc::clone(&purpose.name)),
                reason: Some(purpose.reason(act, &fitting.misfits)),
                misfits: fitting.misfits,
            },
            (None, None) => Judged {
                verdict: Verdict::Undeclared,
                purpose: None,
                misfits: Vec::new(),
                reason: Some("no purpose claims this actor".to_owned()),
            },
        })
    }
}

impl Purpose {
    fn fitting(&self, act: &Act<'_>) -> Fitting {
        let mut fitting = Fitting::default();
        let mut demand = |fits: bool, misfit| {
            if !fits {
                fitting.misfits.push(misfit);
            }
        };
        let now = Timestamp::from_nanosecond(i128::from(act.wall_ns)).unwrap_or(Timestamp::MAX);
        demand(self.expires.is_none_or(|expires| now < expires), Misfit::Expires);
        demand(self.times.is_empty() || self.times.iter().any(|window| window.holds(now)), Misfit::Time);
        let program = self.programs.iter().map(|pattern| pattern.fit(&act.program)).max().unwrap_or(Fit::No);
        demand(program != Fit::No, Misfit::Program);
        let allowed =
            |credential: &Arc<Credential>| self.credentials.iter().any(|one| one.matches(credential));
        demand(
            match act.using {
                Using::Nothing => true,
                Using::Each(all) => all.iter().all(allowed),
                Using::Any(some) => some.is_empty() || some.iter().any(allowed),
            },
            Misfit::Credential,
        );
        let nowhere = matches!(act.towards, Towards::Nowhere);
        let there = nowhere || self.destinations.iter().any(|one| one.matches(act.towards));
        demand(there, Misfit::Destination);
        fitting.digest_unknown = program == Fit::DigestUnknown;
        fitting
    }

    /// Why not, for a person. What is shown of the host's own words is made printable.
    fn reason(&self, act: &Act<'_>, misfits: &[Misfit]) -> String {
        let mut text = String::new();
        for misfit in misfits {
            if !text.is_empty() {
                text.push_str("; ");
            }
            // Writing to a String cannot fail.
            let _ = match misfit {
                Misfit::Expires => {
                    let at = self.expires.map(|at| at.to_string()).unwrap_or_default();
                    write!(text, "the purpose expired at {at}")
                }
                Misfit::Time => {
                    let at = Timestamp::from_nanosecond(i128::from(act.wall_ns)).unwrap_or_default();
                    let at = at.strftime("%a %H:%M UTC");
                    write!(text, "{at} is not among its times")
                }
                Misfit::Program => write!(text, "program {} is not among its programs", program(act)),
                Misfit::Credential => self.credential_reason(act, &mut text),
                Misfit::Destination => self.destination_reason(act, &mut text),
            };
        }
        text
    }

    fn credential_reason(&self, act: &Act<'_>, text: &mut String) -> std::fmt::Result {
        let allowed =
            |credential: &&Arc<Credential>| self.credentials.iter().any(|one| one.matches(credential));
        let (first, more) = match act.using {
            Using::Nothing => (None, 0),
            Using::Each(all) => {
                let mut bad = all.iter().filter(|credential| !allowed(credential));
                (bad.next(), bad.count())
            }
            Using::Any(some) => (some.first(), some.len().saturating_sub(1)),
        };
        let id = first.map(|credential| shown(credential.id.as_bytes())).unwrap_or_default();
        match (act.using, more) {
            (_, 0) => write!(text, "credential {id} is not among its credentials"),
            (Using::Any(_), _) => {
                write!(
                    text,
                    "none of the {} credentials held, {id} among them, is among its credentials",
                    more + 1
                )
            }
            _ => write!(text, "credential {id} and {more} more are not among its credentials"),
        }
    }

    fn destination_reason(&self, act: &Act<'_>, text: &mut String) -> std::fmt::Result {
        write!(text, "destination {} is not among its destinations", show_destination(act.towards))?;
        let Towards::Inet { said: Some(said), heard, ip, port } = act.towards else {
            return Ok(());
        };
        // Would it be, if the client were to be believed?
        let name = Arc::from(said);
        let believed = Towards::Inet { ip, port, heard: std::slice::from_ref(&name), said: Some(said) };
        if !heard.contains(&name) && self.destinations.iter().any(|one| one.matches(believed)) {
            write!(
                text,
                " (the client says it is {}, and no name server gave that name this address)",
                shown(said.as_bytes())
            )?;
        }
        Ok(())
    }
}

fn program(act: &Act<'_>) -> String {
    if act.program.exe.is_empty() {
        return "that is not known".to_owned();
    }
    match act.program.path() {
        Some(path) => shown(path),
        None => format!("{} (its path is not sure)", shown(act.program.exe)),
    }
}

/// Longest text of the host in a reason, in bytes.
const SHOWN_MAX: usize = 256;

/// Bytes of the host as a text without anything that a terminal obeys.
pub(super) fn shown(bytes: &[u8]) -> String {
    match bytes.get(..SHOWN_MAX) {
        Some(cut) if cut.len() < bytes.len() => printable(cut) + "…",
        _ => printable(bytes),
    }
}
