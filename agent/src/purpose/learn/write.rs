//! The proposal as a file of purposes, with the evidence beside each line.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::{Evidence, Learner, Learnt, Seen};
use crate::purpose::judge::shown;
use crate::purpose::pattern::ActorPattern;

/// On so many days something must have happened before its hours are called regular.
const DAYS_MIN: usize = 7;
/// ... and within so many hours of the day.
const HOURS_MAX: usize = 4;

impl Learner {
    /// The proposal, TOML. What it allows and was not seen, stands beside it.
    #[must_use]
    pub fn propose(&self) -> String {
        let mut out = String::from(
            "# Proposed by `spoor learn` from what was seen, and reviewed by nobody. That something was seen does not make it right:\n\
             # read each line, strike out what is not what the account is for, name an owner, then put the file into place.\n\
             # docs/PURPOSES.md tells how.\n",
        );
        if self.actors.is_empty() {
            out.push_str("#\n# Nothing was seen.\n");
        }
        let mut names = BTreeSet::new();
        for (actor, learnt) in &self.actors {
            out.push('\n');
            learnt.write(actor, &mut names, &mut out);
        }
        if self.refused > 0 {
            let _ = writeln!(
                out,
                "\n# {} actions of more actors were seen, for whom there was no room.",
                self.refused
            );
        }
        out
    }
}

impl Learnt {
    fn write(&self, actor: &str, names: &mut BTreeSet<String>, out: &mut String) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "# {}: {}", shown(actor.as_bytes()), told(&self.all));
        if ActorPattern::parse(actor).is_err() || self.programs.is_empty() {
            let _ = writeln!(
                out,
                "# Nothing can be declared for it: its id, or the path of its program, is not sure."
            );
            return;
        }
        if let Some(remark) = passing(actor) {
            let _ = writeln!(out, "# {remark}");
        }
        let _ = writeln!(out, "[[purpose]]\nname = {}", quoted(&name(actor, names)));
        let _ = writeln!(out, "actor = {}", quoted(actor));
        out.push_str("owner = \"unreviewed\" # who answers for this?\n");
        if self.nameless > 0 {
            let count = self.nameless;
            let _ = writeln!(
                out,
                "# {count} actions of programs whose path is not sure were seen: only `any` would allow them."
            );
        }
        list("programs", &self.programs, out);
        list("credentials", &self.credentials, out);
        self.destinations(out);
        self.times(out);
        if self.left_out > 0 {
            let _ = writeln!(
                out,
                "# {} times there was no room for what was seen: it is not allowed by this.",
                self.left_out
            );
        }
    }

    fn destinations(&self, out: &mut String) {
        let lines = self.destinations.lines();
        if lines.is_empty() {
            out.push_str("# It was not seen to reach anything.\n");
            return;
        }
        let all = self.credentials.len() * self.programs.len() * lines.len();
        let seen = self.together.len();
        if all > seen && seen > 0 {
            let _ = writeln!(
                out,
                "# Each credential is allowed with each program toward each destination: {all} ways, of which {seen} were \
                 seen. If that\n# is too wide, make several purposes of it.",
            );
        }
        out.push_str("destinations = [\n");
        for line in lines {
            let wider = line.wider.map(|wider| format!(". WIDER than seen: {wider}")).unwrap_or_default();
            let _ = writeln!(out, "    {}, # {}{wider}", quoted(&line.text), told(&line.evidence));
        }
        out.push_str("]\n");
    }

    /// Only where the hours are the same day after day.
    fn times(&self, out: &mut String) {
        let Some((from, to)) = self.window() else {
            return;
        };
        let days = self.days.len();
        let _ = writeln!(
            out,
            "times = [\"{from:02}:00-{to:02}:00 UTC\"] # on {days} days, never at another hour. WIDER than seen: whole hours",
        );
    }

    /// The shortest run of hours of the day that holds all that was seen: first hour, and the one after the last.
    fn window(&self) -> Option<(usize, usize)> {
        if self.days.len() < DAYS_MIN {
            return None;
        }
        let seen = |hour: usize| self.hours.get(hour % 24).copied().unwrap_or(false);
        // It begins at an hour that was seen after one that was not, and ends before the long pause.
        let (length, from) = (0..24)
            .filter(|hour| seen(*hour) && !seen(hour + 23))
            .filter_map(|from| {
                (1..=24).rev().find(|length| seen(from + length - 1)).map(|length| (length, from))
            })
            .min()?;
        (length <= HOURS_MAX).then_some((from, (from + length) % 24))
    }
}

fn list(key: &str, seen: &Seen, out: &mut String) {
    if seen.is_empty() {
        let _ = writeln!(out, "# No {key} were seen.");
        return;
    }
    let _ = writeln!(out, "{key} = [");
    for (text, evidence) in seen {
        let _ = writeln!(out, "    {}, # {}", quoted(text), told(evidence));
    }
    out.push_str("]\n");
}

fn told(evidence: &Evidence) -> String {
    let moment = |ns: i64| {
        let at = Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default();
        at.strftime("%Y-%m-%d %H:%M").to_string()
    };
    let plural = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let chains = u64::try_from(evidence.chains.len()).unwrap_or(u64::MAX);
    let last = evidence.last_chain.as_deref().unwrap_or("?");
    format!(
        "{} in {}, {} to {} UTC, last in {}",
        plural(evidence.count, "action"),
        plural(chains, "chain"),
        moment(evidence.first_ns),
        moment(evidence.last_ns),
        shown(last.as_bytes()),
    )
}

/// Of an actor whose id does not come again.
fn passing(actor: &str) -> Option<&'static str> {
    if actor.contains('*') {
        return Some("Its id has a `*` in it, which claims others too. WIDER than seen.");
    }
    match actor.split_once(':').map(|(kind, _)| kind) {
        Some("container") => {
            Some("The next container of this image has another id: this purpose ends with this one.")
        }
        Some("session") => Some("The next session has another number: this purpose ends with this one."),
        _ => None,
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A name out of an actor's id, which no other proposal has.
fn name(actor: &str, names: &mut BTreeSet<String>) -> String {
    /// Of the 64 letters of a name, so many are left for a number.
    const LETTERS: usize = 56;
    let mut name = String::from("learned");
    for word in actor.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        name.push('-');
        name.push_str(&word.to_ascii_lowercase());
    }
    name.truncate(LETTERS);
    let first = name.clone();
    let mut number = 1_u64;
    while !names.insert(name.clone()) {
        number += 1;
        name = format!("{first}-{number}");
    }
    name
}
