//! `tests/routes.toml`: what is expected of each route, and where it is otherwise.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::Place;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    #[serde(rename = "route")]
    pub(super) routes: Vec<Row>,
}

/// A row of the table in docs/ROUTES.md.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) group: String,
    /// What a reader of the table reads.
    what: String,
    /// The signal whose tier counts, where it is not the group's.
    pub(super) by: Option<String>,
    #[serde(default)]
    except: Vec<Except>,
}

/// Where a route is not simply seen. What is not named fits everywhere; the first that fits counts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Except {
    #[serde(default)]
    tiers: Vec<String>,
    #[serde(default)]
    kernels: Vec<String>,
    #[serde(default)]
    cells: Vec<String>,
    verdict: Word,
    why: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Seen,
    Partial,
    NotSeen,
    NotThere,
}

impl Word {
    fn text(self) -> &'static str {
        match self {
            Word::Seen => "seen",
            Word::Partial => "partial",
            Word::NotSeen => "not-seen",
            Word::NotThere => "not-there",
        }
    }
}

/// Where a verdict was found.
pub(super) struct Here<'a> {
    tier: &'a str,
    /// The running kernel's release.
    release: String,
    cell: Option<&'a str>,
}

impl<'a> Here<'a> {
    pub(super) fn of(place: &'a Place, tier: &'a str) -> Self {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Here { tier, release, cell: place.cell.as_deref() }
    }
}

impl Except {
    fn fits(&self, here: &Here<'_>) -> bool {
        let is = |kernel: &String| {
            let rest = here.release.strip_prefix(kernel.as_str());
            rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
        };
        (self.tiers.is_empty() || self.tiers.iter().any(|tier| tier == here.tier))
            && (self.kernels.is_empty() || self.kernels.iter().any(is))
            && (self.cells.is_empty() || self.cells.iter().any(|cell| Some(cell.as_str()) == here.cell))
    }
}

impl Row {
    /// The verdict that is declared here, and why it is not the best.
    pub(super) fn declared(&self, here: &Here<'_>) -> (&'static str, &str) {
        let found = self.except.iter().find(|except| except.fits(here));
        found.map_or(("seen", ""), |except| (except.verdict.text(), &except.why))
    }
}

impl Table {
    /// The one of the repository. It goes with the binary, since a guest has no files of ours.
    pub(super) fn read() -> Result<Self> {
        Self::parse(include_str!("../../../routes.toml")).context("tests/routes.toml")
    }

    fn parse(text: &str) -> Result<Self> {
        let table: Self = toml::from_str(text)?;
        for row in &table.routes {
            let of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            ensure!(!row.id.is_empty() && row.id.chars().all(of_name), "{:?} is no name of a route", row.id);
            ensure!(!row.what.trim().is_empty(), "{} says nothing", row.id);
            let untold = row
                .except
                .iter()
                .find(|except| except.why.trim().is_empty() && !matches!(except.verdict, Word::Seen));
            ensure!(untold.is_none(), "{} has an exception without a reason", row.id);
            ensure!(row.except.iter().all(|except| !except.why.contains('\n')), "{}: one line each", row.id);
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "[[route]]\nid='a'\ngroup='files'\nwhat='b'\n";

    fn here(tier: &'static str, release: &str, cell: Option<&'static str>) -> Here<'static> {
        Here { tier, release: release.to_owned(), cell }
    }

    #[test]
    fn the_first_exception_that_fits_counts() {
        let text = format!(
            "{ROW}[[route.except]]\nkernels=['5.1']\nverdict='not-there'\nwhy='c'\n\
             [[route.except]]\ntiers=['tracepoint']\nverdict='not-seen'\nwhy='d'\n\
             [[route.except]]\ncells=['6.1-lsm']\nverdict='partial'\nwhy='e'\n"
        );
        let table = Table::parse(&text).unwrap();
        let declared = |here: Here<'_>| table.routes[0].declared(&here).0;
        assert_eq!(declared(here("lsm", "5.10.0-46\n", Some("5.10-lsm"))), "seen", "5.10 is not 5.1");
        assert_eq!(declared(here("tracepoint", "5.1.0", None)), "not-there");
        assert_eq!(declared(here("tracepoint", "6.1.0", Some("6.1-lsm"))), "not-seen");
        assert_eq!(declared(here("lsm", "6.1.0", Some("6.1-lsm"))), "partial");
        assert_eq!(declared(here("lsm", "6.1.0", None)), "seen");
    }

    #[test]
    fn mistakes_are_refused() {
        assert!(Table::parse(ROW).is_ok());
        assert!(Table::parse(&ROW.replace("'a'", "'A b'")).is_err(), "no name");
        assert!(Table::parse(&ROW.replace("'b'", "' '")).is_err(), "says nothing");
        assert!(Table::parse(&format!("{ROW}tier='lsm'\n")).is_err(), "unknown key");
        let without = format!("{ROW}[[route.except]]\nverdict='not-seen'\nwhy=''\n");
        assert!(Table::parse(&without).is_err(), "no reason");
    }
}
