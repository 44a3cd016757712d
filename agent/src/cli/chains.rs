//! `spoor chains`

use clap::Args;

use super::{Failure, Place, directory, print, since, style};
use crate::report;
use crate::store::{ChainsFilter, Reader};

#[derive(Debug, Args)]
pub(super) struct ChainsArgs {
    #[command(flatten)]
    place: Place,
    /// Only of this actor (its id) or user
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Only with this credential: its id, its path, or an identifier such as a key id
    #[arg(long, value_name = "CREDENTIAL")]
    credential: Option<String>,
    /// Only those open within this time, e.g. 90m, 12h, 7d
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<i64>,
    /// Only those with an action outside what the actor is for
    #[arg(long)]
    outside: bool,
    /// Only those in which something was found
    #[arg(long)]
    findings: bool,
    /// At most so many; 0: all
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// As JSON: the newest record of each chain, one a line
    #[arg(long)]
    json: bool,
}

impl ChainsArgs {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let reader = Reader::open(&directory(&self.place)?)?;
        let ChainsArgs { actor, credential, since, outside, findings, limit, json, .. } = self;
        let filter = ChainsFilter { actor, credential, since_ns: since, outside, findings, limit };
        if !json {
            print(&report::chains(&reader, &filter, &style())?);
            return Ok(0);
        }
        for chain in reader.chains(&filter)? {
            let Some(newest) = chain.records.iter().rev().find(|view| view.kind() == "chain") else {
                continue;
            };
            print(&format!("{}\n", newest.value()));
        }
        Ok(0)
    }
}
