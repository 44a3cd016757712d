//! The report for an auditor: identities, credentials and people's use, and how far it can be relied on.

mod cells;
mod html;
mod parts;
mod text;
mod watch;

use super::remarks::{Same, known};
use super::{Entry, HUMAN, Of, Query, Seen, read_with};
#[cfg(test)]
use crate::record::View;
use crate::report::ReportError;
use crate::report::style::Style;
use crate::store::Reader;
use watch::Watch;

/// For whom the report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditFormat {
    /// One page for a browser, or for paper. Needs nothing beside itself.
    Html,
    /// For a terminal.
    Text,
}

/// All that a report tells.
struct Audit<'a> {
    seen: &'a Seen,
    watch: &'a Watch,
    same: &'a Same<'a>,
    /// Service accounts; people are told with what they used.
    identities: Vec<Entry<'a>>,
    /// Credentials that were used in that time.
    used: Vec<Entry<'a>>,
    /// Those that were not.
    unused: Vec<Entry<'a>>,
}

/// A kind of remark, and how often it was made.
struct Counted {
    name: &'static str,
    owasp: Option<&'static str>,
    csf: Option<&'static str>,
    count: usize,
}

/// A person's use of something.
struct HumanUse<'a> {
    person: &'a str,
    of: Of,
    id: &'a str,
    span: Option<(i64, i64)>,
    remarked: bool,
}

/// The report on a store; of what was done at `since_ns` or later, ns since 1970.
///
/// # Errors
/// [`ReportError`] where the store cannot be read.
pub fn audit(
    reader: &Reader,
    since_ns: Option<i64>,
    format: AuditFormat,
    style: &Style,
) -> Result<String, ReportError> {
    let mut watch = Watch::default();
    let seen = read_with(reader, since_ns, |view| watch.see(view, since_ns))?;
    made(&seen, &watch, format, style)
}

/// Of records that lie in no store.
#[cfg(test)]
pub(in crate::report) fn audit_of(
    views: impl Iterator<Item = View>,
    since_ns: Option<i64>,
    format: AuditFormat,
    style: &Style,
) -> String {
    let (mut seen, mut watch) = (Seen { since_ns, ..Seen::default() }, Watch::default());
    views.for_each(|view| {
        seen.add(&view);
        watch.see(&view, since_ns);
    });
    made(&seen, &watch, format, style).unwrap()
}

fn made(seen: &Seen, watch: &Watch, format: AuditFormat, style: &Style) -> Result<String, ReportError> {
    let same = Same::of(&seen.credentials);
    let all = |of, unused| Query { since_ns: seen.since_ns, unused, ..Query::all(of) };
    let mut identities = seen.entries(&all(Of::Actors, false), &same)?;
    identities.retain(|entry| entry.row.kind != HUMAN);
    let mut used = seen.entries(&all(Of::Credentials, false), &same)?;
    used.retain(|entry| seen.is_used(entry.row));
    let mut unused = seen.entries(&all(Of::Credentials, true), &same)?;
    // What is to be asked about comes first. That it is unused is what the third list is about.
    let asked = |entry: &Entry<'_>| !entry.remarks.iter().any(|remark| remark.name != "unused");
    [&mut identities, &mut used, &mut unused].into_iter().for_each(|list| list.sort_by_key(asked));
    let audit = Audit { seen, watch, same: &same, identities, used, unused };
    Ok(match format {
        AuditFormat::Html => html::page(&audit),
        AuditFormat::Text => text::page(&audit, style),
    })
}

impl<'a> Audit<'a> {
    fn entries(&self) -> impl Iterator<Item = (Of, &Entry<'a>)> {
        let credentials = self.used.iter().chain(&self.unused).map(|entry| (Of::Credentials, entry));
        self.identities.iter().map(|entry| (Of::Actors, entry)).chain(credentials)
    }

    /// Remarks that were made, by kind.
    fn counted(&self) -> Vec<Counted> {
        let count = |wanted: &str| {
            let remarks = self.entries().flat_map(|(_, entry)| &entry.remarks);
            remarks.filter(|remark| remark.name == wanted).count()
        };
        let counted = |(name, owasp, csf): &(&'static str, _, _)| Counted {
            name,
            owasp: *owasp,
            csf: *csf,
            count: count(name),
        };
        known().map(counted).filter(|counted| counted.count != 0).collect()
    }

    /// Who used what.
    fn people(&self) -> Vec<HumanUse<'a>> {
        let mut uses: Vec<HumanUse<'a>> = Vec::new();
        for (of, entry) in self.entries() {
            let (id, row) = (entry.id, entry.row);
            let remarked = entry.remarks.iter().any(|remark| remark.name == "human-use");
            uses.extend(row.people.values.iter().map(|(person, times)| HumanUse {
                person,
                of,
                id,
                span: times.span,
                remarked,
            }));
        }
        uses.sort_by_key(|used| (used.person, !remarked(used), used.id));
        uses
    }

    fn with_remark(&self) -> usize {
        self.used.iter().chain(&self.unused).filter(|entry| !entry.remarks.is_empty()).count()
    }
}

fn remarked(used: &HumanUse<'_>) -> bool {
    used.remarked
}
