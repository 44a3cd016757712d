//! `spoor bundle`

use std::path::PathBuf;

use clap::Args;

use super::{Failure, Place, load, print};
use crate::app::bundle::{self, Options};
use crate::config::Config;
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct BundleArgs {
    /// The file to make, a .tar.gz; one that is there already is left alone
    #[arg(long, value_name = "FILE", default_value = "spoor-bundle.tar.gz")]
    out: PathBuf,
    /// Replace names, paths and addresses by pseudonyms, the same for the same within the file
    #[arg(long)]
    mask: bool,
    /// Leave out what `spoor doctor` says: no probes are loaded then
    #[arg(long)]
    no_doctor: bool,
    #[command(flatten)]
    place: Place,
}

impl BundleArgs {
    pub(super) fn run(self) -> Result<u8, Failure> {
        telemetry::log::start("error");
        // A config with mistakes is what support may have to look at.
        let (mut config, config_path) = match load(self.place.config.as_deref()) {
            Ok(loaded) => loaded,
            Err(error) => {
                eprintln!("spoor: {error}");
                let usual = || PathBuf::from(super::CONFIG_PATH);
                (Config::default(), Some(self.place.config.clone().unwrap_or_else(usual)))
            }
        };
        if let Some(store) = self.place.store {
            config.store.path = store;
        }
        let out = self.out.clone();
        let (mask, doctor) = (self.mask, !self.no_doctor);
        print(&bundle::run(&Options { out: self.out, config, config_path, mask, doctor })?);
        eprintln!("{}: look through it before you send it", out.display());
        Ok(0)
    }
}
