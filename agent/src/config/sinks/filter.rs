//! What of the records a sink gets.

use super::keys::SEVERITIES;
use super::read::known_word;
use super::{Filter, Severity};
use crate::config::diagnostic::{Code, Report};
use crate::config::raw::{At, Table};
use crate::config::validate::list;

/// Most entries of a list.
const FILTER_MAX: usize = 256;

pub(super) fn filter(table: &Table, report: &mut Report) -> Filter {
    let any = |_: &str| None;
    let actor = |text: &str| {
        let good = globset::Glob::new(text).is_ok();
        (!good).then_some((Code::BadGlob, "is not a pattern: look at its brackets"))
    };
    let severity = known_word(table, "min_severity", SEVERITIES, report);
    Filter {
        types: words(table.list("types"), any, report),
        actions: words(table.list("actions"), any, report),
        actors: words(table.list("actors"), actor, report),
        min_severity: severity.and_then(Severity::from_name).unwrap_or_default(),
    }
}

fn words(
    items: &[At<String>],
    check: impl Fn(&str) -> Option<(Code, &'static str)>,
    report: &mut Report,
) -> Vec<String> {
    if let Some(first) = items.get(FILTER_MAX) {
        report.add(Code::TooMany, first.span.clone(), format!("at most {FILTER_MAX} may stand here"));
    }
    list(items, check, report)
}
