//! What an auditor would ask about, and under which numbers.
//!
//! Numbers are of the OWASP list of non-human identities of 2025, and of NIST CSF 2.0 where a remark is evidence for a
//! subcategory. A remark without a number is worth a question all the same.

use std::collections::{BTreeMap, BTreeSet};

use super::row::Row;
use super::{DAY_NS, HUMAN, Of, Seen, day};

/// A secret that was not rotated for so long is worth a word, where its kind says nothing: the age most rules for keys
/// allow.
const OLD_NS: i64 = 90 * DAY_NS;
/// The longest a certificate is given today; what is valid for longer lives long.
const VALID_NS: i64 = 398 * DAY_NS;
/// What ends within this time ends soon.
const SOON_NS: i64 = 14 * DAY_NS;

/// Something to ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remark {
    /// Its name, by which remarks are selected.
    pub(super) name: &'static str,
    pub(super) text: String,
    pub(super) owasp: Option<&'static str>,
    pub(super) csf: Option<&'static str>,
}

/// Names of all remarks, their OWASP number, their CSF subcategory.
const KNOWN: &[(&str, Option<&str>, Option<&str>)] = &[
    ("reuse", Some("NHI9:2025"), None),
    ("same-secret", Some("NHI9:2025"), None),
    ("long-lived", Some("NHI7:2025"), None),
    ("expired", None, None),
    ("expires-soon", None, None),
    ("human-use", Some("NHI10:2025"), Some("DE.CM-03")),
    ("readable", Some("NHI2:2025"), Some("PR.AA-05")),
    ("readable-by-group", None, Some("PR.AA-05")),
    ("unused", None, None),
];

/// Every remark there may be: name, OWASP number, CSF subcategory.
pub(super) fn known()
-> impl Iterator<Item = &'static (&'static str, Option<&'static str>, Option<&'static str>)> {
    KNOWN.iter()
}

/// What `--remark` may say: a name, or an OWASP number with or without its year.
///
/// # Errors
/// Says what there is.
pub fn remark(text: &str) -> Result<String, String> {
    let wanted = text.to_ascii_lowercase();
    if KNOWN.iter().any(|(name, owasp, _)| *name == wanted || owasp.is_some_and(|owasp| is(owasp, &wanted))) {
        return Ok(wanted);
    }
    let names: Vec<&str> = KNOWN.iter().map(|(name, ..)| *name).collect();
    Err(format!("one of {}, or an OWASP number such as NHI7", names.join(", ")))
}

fn is(owasp: &str, wanted: &str) -> bool {
    let owasp = owasp.to_ascii_lowercase();
    owasp == wanted || owasp.split_once(':').is_some_and(|(number, _)| number == wanted)
}

impl Remark {
    fn new(name: &'static str, text: String) -> Self {
        let known = KNOWN.iter().find(|(known, ..)| *known == name);
        let (owasp, csf) = known.map_or((None, None), |(_, owasp, csf)| (*owasp, *csf));
        Remark { name, text, owasp, csf }
    }

    pub(super) fn answers(&self, wanted: &str) -> bool {
        self.name == wanted || self.owasp.is_some_and(|owasp| is(owasp, wanted))
    }

    /// With its number.
    pub(super) fn line(&self) -> String {
        match self.owasp {
            Some(owasp) => format!("{} ({owasp})", self.text),
            None => self.text.clone(),
        }
    }
}

/// Which credentials hold one secret.
#[derive(Debug)]
pub(super) struct Same<'a>(BTreeMap<&'a str, Vec<&'a str>>);

impl<'a> Same<'a> {
    pub(super) fn of(credentials: &'a BTreeMap<String, Row>) -> Self {
        let mut same: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (id, row) in credentials {
            for print in row.fingerprints.names() {
                same.entry(print).or_default().push(id);
            }
        }
        same.retain(|_, ids| ids.len() > 1);
        Same(same)
    }

    /// The other credentials that hold a secret of this one, or held it.
    pub(super) fn secret_as(&self, id: &str, row: &Row) -> BTreeSet<&'a str> {
        let others = row.fingerprints.names().filter_map(|print| self.0.get(print)).flatten();
        others.copied().filter(|other| *other != id).collect()
    }
}

/// All remarks on an entry.
pub(super) fn remarks(seen: &Seen, of: Of, id: &str, row: &Row, same: &Same<'_>) -> Vec<Remark> {
    let mut remarks = Vec::new();
    if of == Of::Credentials {
        shared(seen, id, row, same, &mut remarks);
        aged(seen, row, &mut remarks);
    }
    used_by_people(of, row, &mut remarks);
    if of == Of::Credentials {
        readable(row, &mut remarks);
    }
    remarks.extend(unused(seen, row));
    remarks
}

fn shared(seen: &Seen, id: &str, row: &Row, same: &Same<'_>, remarks: &mut Vec<Remark>) {
    let actors = services(row).count();
    // By the name of a variable alone, two secrets are one: that two accounts have the name is no reuse.
    let told_apart = !row.identifiers.contains_key("variable");
    if actors > 1 && told_apart {
        remarks.push(Remark::new("reuse", format!("used by {actors} service accounts")));
    }
    let others = same.secret_as(id, row);
    if let Some(first) = others.first() {
        let more = others.len() - 1;
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        let rows = others.iter().filter_map(|other| seen.credentials.get(*other)).chain([row]);
        let actors: BTreeSet<&str> = rows.flat_map(services).collect();
        let mut remark = Remark::new("same-secret", format!("holds the same secret as {first}{more}"));
        // Two copies that one actor uses are no reuse.
        remark.owasp = remark.owasp.filter(|_| actors.len() > 1);
        remarks.push(remark);
    }
}

/// Service accounts that used it. A person's sessions are one person.
fn services(row: &Row) -> impl Iterator<Item = &str> {
    row.others.names().filter(|id| !id.starts_with("session:"))
}

fn aged(seen: &Seen, row: &Row, remarks: &mut Vec<Remark>) {
    let now = seen.as_of_ns;
    let age = row.written_ns.map(|written| now.saturating_sub(written));
    let most = row.max_age_ns.unwrap_or(OLD_NS);
    if let Some(age) = age.filter(|age| *age > most) {
        let text = format!("not rotated for {} days (at most {})", age / DAY_NS, most / DAY_NS);
        remarks.push(Remark::new("long-lived", text));
    }
    let Some(expires) = row.expires_ns else { return };
    if let Some(valid) =
        row.written_ns.map(|written| expires.saturating_sub(written)).filter(|v| *v > VALID_NS)
    {
        remarks.push(Remark::new("long-lived", format!("valid for {} days", valid / DAY_NS)));
    }
    if expires <= now {
        let used = row.last_ns().filter(|last| *last > expires);
        let used = used.map(|last| format!(", and used on {}", day(last))).unwrap_or_default();
        remarks.push(Remark::new("expired", format!("expired on {}{used}", day(expires))));
    } else if expires.saturating_sub(now) <= SOON_NS {
        remarks.push(Remark::new("expires-soon", format!("expires on {}", day(expires))));
    }
}

/// A person's own key, opened by that person, is no finding. A credential is a service's where its kind says so, where a
/// service account uses it, or where only accounts of the system own its files.
fn used_by_people(of: Of, row: &Row, remarks: &mut Vec<Remark>) {
    let service = match of {
        Of::Actors => row.kind != HUMAN,
        Of::Credentials => row.services_only || row.of_service || row.is_of_system_user(),
    };
    if !service || row.people.len() == 0 {
        return;
    }
    let names: Vec<&str> = row.people.names().take(3).collect();
    let more = if row.people.len() > names.len() { " and others" } else { "" };
    let verb = if of == Of::Actors { "started by a person" } else { "used by a person" };
    remarks.push(Remark::new("human-use", format!("{verb}: {}{more}", names.join(", "))));
}

fn readable(row: &Row, remarks: &mut Vec<Remark>) {
    let by = |bit: u32| row.files.iter().find(|(_, place)| place.mode & bit != 0);
    if let Some((path, place)) = by(0o004) {
        let mode = place.mode & 0o7777;
        remarks.push(Remark::new("readable", format!("everybody may read {path} ({mode:04o})")));
    } else if let Some((path, place)) = by(0o040) {
        let mode = place.mode & 0o7777;
        remarks.push(Remark::new("readable-by-group", format!("its group may read {path} ({mode:04o})")));
    }
}

fn unused(seen: &Seen, row: &Row) -> Option<Remark> {
    if seen.is_used(row) {
        return None;
    }
    let text = match row.last_ns() {
        None => format!("never used since {}", day(seen.watched_since_ns?)),
        // It was used before the time that is asked for.
        Some(last) => format!("not used since {}", day(last)),
    };
    Some(Remark::new("unused", text))
}
