//! Construction and shutdown order: the only module that knows every other.

mod daemon;
pub mod demo;
pub mod doctor;
mod failure;
mod identity;
mod live;
mod terminal;
mod wiring;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use failure::{EXIT_CODES, Failure};
pub use live::style;

use crate::config::Config;
use crate::credential::Catalogue;
use crate::kernel::inspect;
use crate::kernel::probes::Tier;
use crate::store::{Retention, Store};

/// How to run.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// The config, validated.
    pub config: Config,
    /// Made when everything is attached and proven.
    pub ready_file: Option<PathBuf>,
    /// Show chains as they grow on standard output.
    pub live: bool,
    /// Tiers that may be used; empty for all.
    pub tiers: Vec<Tier>,
}

/// Runs the daemon until a signal tells it to stop.
///
/// # Errors
/// [`Failure`] says why it could not start or go on.
pub fn run(options: &RunOptions) -> Result<(), Failure> {
    let (_never, stop) = watch::channel(false);
    run_until(options, stop)
}

/// Runs the daemon until a signal or `stop` tells it to stop.
fn run_until(options: &RunOptions, stop: watch::Receiver<bool>) -> Result<(), Failure> {
    let mut host = inspect()?;
    let config = &options.config;
    let catalogue = Arc::new(Catalogue::new(&config.credentials)?);
    let retention = Retention { keep: config.store.keep, max_bytes: config.store.max_bytes };
    let store = Store::open(&config.store.path, retention)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::system("start the runtime"))?;
    let outcome = runtime.block_on(daemon::run(options, &mut host, &catalogue, store, stop));
    // A write that hangs in a pipe keeps its thread; it is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}
