//! Purposes of several owners that say different things of one credential in one actor's hands. No mistake, for each
//! allows what it allows; but the owners should know of each other.

use std::collections::BTreeSet;

use super::{Purpose, Purposes};

/// Most overlaps told.
const TOLD_MAX: usize = 100;
/// Most pairs looked at.
const PAIRS_MAX: usize = 1_000_000;

/// One line for each two purposes of different owners that claim one actor and one credential, toward different
/// destinations.
pub(super) fn overlaps(purposes: &Purposes) -> Vec<String> {
    let mut told = Vec::new();
    let mut looked = 0;
    for (number, one) in purposes.list.iter().enumerate() {
        for other in purposes.list.iter().skip(number + 1) {
            looked += 1;
            if looked > PAIRS_MAX {
                told.push(format!("overlaps were looked for among {PAIRS_MAX} pairs of purposes only"));
                return told;
            }
            let Some(text) = overlap(one, other) else {
                continue;
            };
            if told.len() == TOLD_MAX {
                told.push("and more overlaps".to_owned());
                return told;
            }
            told.push(text);
        }
    }
    told
}

fn overlap(one: &Purpose, other: &Purpose) -> Option<String> {
    if one.owner == other.owner || !one.actor.meets(&other.actor) {
        return None;
    }
    let credentials = |purpose: &Purpose| -> BTreeSet<String> {
        purpose.credentials.iter().map(super::pattern::CredentialPattern::text).collect()
    };
    let destinations = |purpose: &Purpose| -> BTreeSet<String> {
        purpose.destinations.iter().map(|to| to.text().to_owned()).collect()
    };
    if destinations(one) == destinations(other) {
        return None;
    }
    let shared: Vec<String> = credentials(one).intersection(&credentials(other)).cloned().collect();
    let first = shared.first()?;
    let more = match shared.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let who = |purpose: &Purpose| format!("`{}` ({}, {})", purpose.name, purpose.owner, purpose.place);
    Some(format!(
        "{} and {} both claim {} with {first}{more}, toward different destinations: what either allows is within",
        who(one),
        who(other),
        other.actor.text(),
    ))
}
