//! Construction and shutdown order: the only module that knows every other.

pub mod bundle;
mod daemon;
pub mod demo;
pub mod doctor;
mod failure;
mod handover;
mod identity;
mod inventory;
mod live;
mod own;
pub mod purposes;
pub mod record;
mod reload;
pub mod replay;
mod root;
pub mod serve;
mod spared;
mod status;
mod terminal;
mod trim;
mod watch;
mod wiring;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use failure::{EXIT_CODES, Failure};
pub use identity::host_id;
pub use live::style;
pub use record::Capture;
pub use root::enter;
pub use watch::watch;

use handover::{Post, Predecessor};

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
    /// Where the config was read; `None` where there is none.
    pub config_path: Option<PathBuf>,
    /// Made when everything is attached and proven.
    pub ready_file: Option<PathBuf>,
    /// Show chains as they grow on standard output.
    pub live: bool,
    /// Tiers that may be used; empty for all.
    pub tiers: Vec<Tier>,
    /// Take over from the agent that runs on the same store, if there is one.
    pub take_over: bool,
    /// Keep what enters the pipeline in a file.
    pub capture: Option<Capture>,
}

/// Runs the daemon until a signal tells it to stop.
///
/// # Errors
/// [`Failure`] says why it could not start or go on.
pub fn run(options: &RunOptions) -> Result<(), Failure> {
    let (_never, stop) = tokio::sync::watch::channel(false);
    run_until(options, stop)
}

/// Runs the daemon until a signal or `stop` tells it to stop.
fn run_until(options: &RunOptions, stop: tokio::sync::watch::Receiver<bool>) -> Result<(), Failure> {
    let mut host = inspect()?;
    let config = &options.config;
    let catalogue = Arc::new(Catalogue::new(&config.credentials)?);
    let before = if options.take_over { Predecessor::find(&config.store.path)? } else { None };
    let post = match before {
        Some(before) => Post::Taken(before),
        None => Post::Free(Box::new(Store::open(&config.store.path, retention(config))?)),
    };
    trim::share_heaps();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::system("start the runtime"))?;
    let outcome = runtime.block_on(daemon::run(options, &mut host, &catalogue, post, stop));
    // A write that hangs in a pipe keeps its thread; it is not waited for.
    runtime.shutdown_timeout(Duration::from_millis(200));
    outcome
}

fn retention(config: &Config) -> Retention {
    Retention { keep: config.store.keep, max_bytes: config.store.max_bytes }
}
