//! `spoor status`

use clap::Args;

use super::{Failure, Place, print, style};
use crate::report;
use crate::status::socket;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    place: Place,
    /// As JSON, one object
    #[arg(long)]
    json: bool,
}

impl StatusArgs {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let directory = self.place.store()?;
        let status = socket::status(&directory)?;
        if self.json {
            let text = serde_json::to_string(&status).map_err(std::io::Error::other);
            print(&format!("{}\n", text.map_err(Failure::system("write the status"))?));
        } else {
            print(&report::status(&status, &style()));
        }
        Ok(u8::from(!status.degraded.is_empty()))
    }
}
