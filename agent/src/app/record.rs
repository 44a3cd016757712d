//! `spoor record`: captures the stream of this host into a file, with probes of its own and a store that is thrown away.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use tokio::sync::watch;

use super::{Failure, RunOptions, run_until};
use crate::capture::{Asked, Header, Tape, TapeError};
use crate::config::{Config, TelemetryConfig};
use crate::kernel::probes::Tier;

/// Where to keep what enters the pipeline.
#[derive(Clone, Debug)]
pub struct Capture {
    /// The file, which must not be there yet.
    pub path: PathBuf,
    /// Most bytes of it.
    pub max_bytes: u64,
    /// Is told when it ends before the agent does.
    pub ended: Option<Sender<()>>,
}

/// Begins the capture that was asked for.
pub(super) fn begin(options: &RunOptions, header: &Header, asked: Asked) -> Result<Option<Tape>, TapeError> {
    let Some(capture) = &options.capture else { return Ok(None) };
    match capture.begin(header, asked) {
        // Whoever takes over has the arguments of the one before, whose capture that is.
        Err(error @ TapeError::There(_)) if options.take_over => {
            tracing::warn!("nothing is captured: {error}");
            Ok(None)
        }
        begun => begun.map(Some),
    }
}

impl Capture {
    fn begin(&self, header: &Header, asked: Asked) -> Result<Tape, TapeError> {
        tracing::warn!("what enters the pipeline is captured in {}", self.path.display());
        Tape::create(&self.path, self.max_bytes, header, asked, self.ended.clone())
    }
}

/// What to record.
#[derive(Clone, Debug)]
pub struct Options {
    /// As the daemon would run; its store, sinks and doors are left alone.
    pub config: Config,
    /// The file.
    pub path: PathBuf,
    /// For how long; else until a signal.
    pub time: Option<Duration>,
    /// Most bytes of the file.
    pub max_bytes: u64,
    /// Made when everything is attached and proven.
    pub ready_file: Option<PathBuf>,
    /// Tiers that may be used; empty for all.
    pub tiers: Vec<Tier>,
}

/// A store that nobody keeps.
struct Scratch(PathBuf);

impl Scratch {
    fn make() -> Result<Self, Failure> {
        let template = std::env::temp_dir().join("spoor-record-XXXXXX");
        let made = nix::unistd::mkdtemp(&template).map_err(std::io::Error::from);
        made.map(Scratch).map_err(Failure::system("make a directory for a store"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!("{} is left behind: {error}", self.0.display());
        }
    }
}

/// Records until the time is over, the file is full, or a signal comes. Tells how long the file is.
///
/// # Errors
/// [`Failure`]
pub fn run(options: Options) -> Result<u64, Failure> {
    // Before probes are loaded for nothing.
    if fs::symlink_metadata(&options.path).is_ok() {
        return Err(TapeError::There(options.path).into());
    }
    let scratch = Scratch::make()?;
    let (ended, over) = channel();
    let Options { config, path, time, max_bytes, ready_file, tiers } = options;
    let capture = Some(Capture { path: path.clone(), max_bytes, ended: Some(ended) });
    let config = aside(config, &scratch.0);
    let options = RunOptions { config, ready_file, tiers, capture, ..RunOptions::default() };
    let (stop, stopped) = watch::channel(false);
    std::thread::Builder::new()
        .name("spoor-timer".into())
        .spawn(move || {
            // Full, or the agent is gone: either way there is nothing to wait for.
            let _ = match time {
                Some(time) => over.recv_timeout(time).ok(),
                None => over.recv().ok(),
            };
            let _ = stop.send(true);
        })
        .map_err(Failure::system("start a thread"))?;
    run_until(&options, stopped)?;
    let length = fs::metadata(&path).map(|file| file.len());
    length.map_err(Failure::system(format!("look at {}", path.display())))
}

/// The same, and nothing that another agent here may have in use.
fn aside(config: Config, store: &Path) -> Config {
    let mut config = Config { sinks: Vec::new(), ..config };
    config.store.path = store.to_owned();
    config.telemetry = TelemetryConfig::default();
    // Fingerprints of a capture are comparable with nothing else: the key goes with the store.
    config.credentials.fingerprint_key = None;
    config
}
