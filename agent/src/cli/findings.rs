//! `spoor findings`.

use clap::Args;

use super::{Place, directory, print, since};
use crate::app::{Failure, style};
use crate::finding::{Kind, Severity};
use crate::report::{self, FindingsFilter};
use crate::store::Reader;

#[derive(Debug, Args)]
pub(super) struct FindingsArgs {
    #[command(flatten)]
    place: Place,
    /// Only what was noticed within this time, e.g. 90m, 12h, 7d
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<i64>,
    /// Only what is at least so grave: informational, low, medium, high, critical
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    severity: Option<Severity>,
    /// Only of this kind, e.g. new-actor
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<Kind>,
    /// At most so many; 0: all
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// As JSON: the newest record of each finding, one a line
    #[arg(long)]
    json: bool,
}

impl FindingsArgs {
    pub(super) fn run(&self) -> Result<u8, Failure> {
        let reader = Reader::open(&directory(&self.place)?)?;
        let &FindingsArgs { since, severity, kind, limit, json, .. } = self;
        let filter = FindingsFilter { since_ns: since, severity, kind, limit };
        print(&if json {
            report::findings_json(&reader, &filter)?
        } else {
            report::findings(&reader, &filter, &style())?
        });
        Ok(0)
    }
}

fn severity(name: &str) -> Result<Severity, String> {
    let names = Severity::ALL.map(Severity::name).join(", ");
    Severity::from_name(name).ok_or_else(|| format!("one of {names}"))
}

fn kind(name: &str) -> Result<Kind, String> {
    let names = Kind::ALL.map(Kind::name).join(", ");
    Kind::from_name(name).ok_or_else(|| format!("one of {names}"))
}
