//! `spoor show`.

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, ValueEnum};

use super::{Cli, Place, directory, print};
use crate::app::{Failure, style};
use crate::config;
use crate::report::{self, Day, Format};
use crate::store::Reader;

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The chain's id, or as much of its beginning as is unique
    #[arg(required_unless_present = "day", conflicts_with = "day")]
    chain: Option<String>,
    /// All chains of a day of UTC, e.g. 2026-01-02, as one page for a browser
    #[arg(long, value_name = "DAY", value_parser = day)]
    day: Option<Day>,
    #[command(flatten)]
    place: Place,
    /// For people or for programs [default: text; of a day: html]
    #[arg(long)]
    format: Option<ShowFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ShowFormat {
    /// Tree and timeline
    Text,
    /// One self-contained page: gaps, findings, graph, timeline, evidence
    Html,
    /// The graph, as an image
    Svg,
    /// The graph, for Graphviz
    Dot,
    /// The records as they are, one a line
    Json,
    /// The records in OCSF, one a line
    Ocsf,
    /// The records in ECS, one a line
    Ecs,
    /// The chain as W3C PROV, in its JSON
    Prov,
}

impl ShowFormat {
    fn of_chain(self) -> Format {
        match self {
            ShowFormat::Text => Format::Text,
            ShowFormat::Html => Format::Html(report::Place::File),
            ShowFormat::Svg => Format::Svg,
            ShowFormat::Dot => Format::Dot,
            ShowFormat::Json => Format::Json,
            ShowFormat::Ocsf => Format::Schema(config::Format::Ocsf(config::OcsfVersion::default())),
            ShowFormat::Ecs => Format::Schema(config::Format::Ecs),
            ShowFormat::Prov => Format::Prov,
        }
    }
}

impl ShowArgs {
    pub(super) fn run(&self) -> Result<u8, Failure> {
        if self.day.is_some() && self.format.is_some_and(|format| format != ShowFormat::Html) {
            let why = "a day is shown as --format html only; `spoor chains` lists chains, `spoor show CHAIN` has each in every format";
            Cli::command().error(ErrorKind::ArgumentConflict, why).exit();
        }
        let reader = Reader::open(&directory(&self.place)?)?;
        print(&match (self.day, &self.chain) {
            (Some(day), _) => report::day(&reader, day, report::Place::File)?,
            (None, chain) => {
                let format = self.format.unwrap_or(ShowFormat::Text).of_chain();
                report::show(&reader, chain.as_deref().unwrap_or_default(), format, &style())?
            }
        });
        Ok(0)
    }
}

fn day(text: &str) -> Result<Day, String> {
    Day::read(text).ok_or_else(|| "a day of UTC, as in 2026-01-02".to_owned())
}
