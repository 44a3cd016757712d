//! `spoor watch`

use clap::Args;

use super::{Place, directory};
use crate::app::{self, Failure};

#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    #[command(flatten)]
    place: Place,
}

impl WatchArgs {
    pub(super) fn run(&self) -> Result<u8, Failure> {
        app::watch(&directory(&self.place)?)?;
        Ok(0)
    }
}
