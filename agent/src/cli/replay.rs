//! `spoor record` and `spoor replay`

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{Failure, Tiers, load, print};
use crate::app::{Capture, record, replay};
use crate::config;
use crate::telemetry;

fn time(text: &str) -> Result<Duration, String> {
    config::duration(text).ok_or_else(|| "a number with s, m, h, d or w".into())
}

fn size(text: &str) -> Result<u64, String> {
    config::size(text).ok_or_else(|| "a number with B, KiB, MiB, GiB or TiB".into())
}

/// What `spoor run` captures.
#[derive(Debug, Args)]
pub(super) struct CaptureArgs {
    /// Capture what enters the pipeline into this file, for `spoor replay`
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// The capture ends when it is that long; the agent goes on
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size, requires = "capture")]
    capture_bytes: u64,
}

impl CaptureArgs {
    pub(super) fn capture(self) -> Option<Capture> {
        let max_bytes = self.capture_bytes;
        self.capture.map(|path| Capture { path, max_bytes, ended: None })
    }
}

#[derive(Debug, Args)]
pub(super) struct RecordArgs {
    /// The file to make; one that is there already is left alone
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// For how long, e.g. 30s, 10m, 2h [default: until told to stop (SIGTERM or Ctrl-C)]
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    time: Option<Duration>,
    /// Stop when the file is that long
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size)]
    max_bytes: u64,
    /// The config, whose scope, credentials and purposes hold [default: /etc/spoor/spoor.toml where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Make this file when every probe that will attach has attached and the canary has answered
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    #[command(flatten)]
    tiers: Tiers,
}

impl RecordArgs {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let (config, _) = load(self.config.as_deref())?;
        telemetry::log::start(config.log.level.as_str());
        let path = self.out.clone();
        let bytes = record::run(record::Options {
            config,
            path: self.out,
            time: self.time,
            max_bytes: self.max_bytes,
            ready_file: self.ready_file,
            tiers: self.tiers.tiers,
        })?;
        eprintln!("{}: {bytes} bytes; `spoor replay` shows what is in it", path.display());
        Ok(0)
    }
}

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// What `spoor record` made
    file: PathBuf,
    /// Store the records in this new directory, for `chains`, `show` and the others with --store
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "format")]
    store: Option<PathBuf>,
    /// What is printed
    #[arg(long, default_value = "text")]
    format: ReplayFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReplayFormat {
    /// What the capture is of, and what came of it
    Text,
    /// The records, one a line
    Json,
}

impl ReplayArgs {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let to = match (self.store, self.format) {
            (Some(directory), _) => replay::To::Store(directory),
            (None, ReplayFormat::Json) => replay::To::Lines(Box::new(io::stdout())),
            (None, ReplayFormat::Text) => replay::To::Lines(Box::new(io::sink())),
        };
        let outcome = replay::run(&self.file, to)?;
        let text = outcome.text();
        // The records have standard output for themselves.
        if self.format == ReplayFormat::Json {
            eprint!("{text}");
        } else {
            print(&text);
        }
        Ok(u8::from(!outcome.whole()))
    }
}
