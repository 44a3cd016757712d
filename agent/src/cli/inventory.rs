//! The verbs that tell of all actors and credentials.

use clap::{Args, ValueEnum};

use super::{Place, directory, print, since};
use crate::app::{Failure, style};
use crate::report::{self, AuditFormat, Of, Query};
use crate::store::Reader;

#[derive(Debug, Args)]
pub(super) struct InventoryArgs {
    /// The one of exactly this id, in full
    id: Option<String>,
    #[command(flatten)]
    place: Place,
    /// Only of what was done within this time, e.g. 90m, 12h, 7d
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<i64>,
    /// Only with this remark: an OWASP number such as NHI7, or a name such as readable
    #[arg(long, value_name = "REMARK", value_parser = report::remark)]
    remark: Option<String>,
    /// As JSON, one a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CredentialsArgs {
    #[command(flatten)]
    inventory: InventoryArgs,
    /// Only those that were not used within that time; without --since, those that were never seen to be used
    #[arg(long)]
    unused: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    place: Place,
    /// Only of what was done within this time, e.g. 30d
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<i64>,
    /// A page for a browser, or text
    #[arg(long, default_value = "html")]
    format: ReportFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ReportFormat {
    /// One self-contained page
    Html,
    /// For a terminal
    Text,
}

impl InventoryArgs {
    pub(super) fn run(self, of: Of, unused: bool) -> Result<u8, Failure> {
        let reader = Reader::open(&directory(&self.place)?)?;
        let query = Query { of, since_ns: self.since, remark: self.remark, unused, id: self.id };
        print(&if self.json {
            report::inventory_json(&reader, &query)?
        } else {
            report::inventory(&reader, &query, &style())?
        });
        Ok(0)
    }
}

impl CredentialsArgs {
    pub(super) fn run(self) -> Result<u8, Failure> {
        self.inventory.run(Of::Credentials, self.unused)
    }
}

impl ReportArgs {
    pub(super) fn run(&self) -> Result<u8, Failure> {
        let reader = Reader::open(&directory(&self.place)?)?;
        let format = match self.format {
            ReportFormat::Html => AuditFormat::Html,
            ReportFormat::Text => AuditFormat::Text,
        };
        print(&report::audit(&reader, self.since, format, &style())?);
        Ok(0)
    }
}
