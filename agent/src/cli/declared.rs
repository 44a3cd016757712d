//! What is declared: configs and purposes checked, purposes proposed.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Place, directory, print, since};
use crate::app::{self, Failure, style};
use crate::config::{self, ConfigError, PurposesConfig};
use crate::credential::Catalogue;
use crate::store::Reader;
use crate::{purpose, report};

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The config, a file of purposes, or a directory of such files
    path: PathBuf,
    /// Judge what was recorded within this time, e.g. 7d, by these purposes
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<i64>,
    /// Of --since, only of this actor (its id)
    #[arg(long, value_name = "ACTOR", requires = "since")]
    actor: Option<String>,
    /// Of --since, as JSON, one a line
    #[arg(long, requires = "since")]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
pub(super) struct LearnArgs {
    #[command(flatten)]
    place: Place,
    /// Only from what was done within this time, e.g. 12h, 14d
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<i64>,
    /// Only of this actor (its id)
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
}

/// Tells every mistake; gives the exit code.
pub(super) fn check(args: &CheckArgs) -> u8 {
    let path = &args.path;
    let checked =
        if is_purposes(path) || args.since.is_some() { purposes(args) } else { configuration(path) };
    match checked {
        Ok(text) => {
            print(&text);
            0
        }
        Err(failure) => {
            eprintln!("spoor: {failure}");
            if matches!(failure, Failure::Config(ConfigError::Unreadable { .. })) {
                failure.code()
            } else {
                1
            }
        }
    }
}

/// A directory has purposes in it; a file says itself what it is.
fn is_purposes(path: &Path) -> bool {
    if path.is_dir() {
        return true;
    }
    let mut text = String::new();
    let file = File::open(path).map(|file| file.take(config::TEXT_MAX));
    file.and_then(|mut file| file.read_to_string(&mut text)).is_ok_and(|_| purpose::is_purposes(&text))
}

/// What the config points at is part of it.
fn configuration(file: &Path) -> Result<String, Failure> {
    let config = config::load(file)?;
    Catalogue::new(&config.credentials)?;
    let loaded = app::purposes::load(&config.purposes.path)?;
    let missing = loaded.files.is_none() && config.purposes != PurposesConfig::default();
    let missing = if missing {
        format!("warning: there is no {}: nothing is declared\n", config.purposes.path.display())
    } else {
        String::new()
    };
    Ok(format!("{missing}{}{}: no mistakes\n", warnings(&loaded), file.display()))
}

fn purposes(args: &CheckArgs) -> Result<String, Failure> {
    let path = &args.path;
    let loaded = app::purposes::load(path)?;
    let Some(files) = loaded.files else {
        let io = io::Error::from(io::ErrorKind::NotFound);
        return Err(ConfigError::Unreadable { path: path.clone(), io }.into());
    };
    let Some(since) = args.since else {
        let count = loaded.purposes.len();
        let warnings = warnings(&loaded);
        return Ok(format!(
            "{warnings}{}: no mistakes (purposes: {count}, files: {files})\n",
            path.display()
        ));
    };
    let reader = Reader::open(&directory(&args.place)?)?;
    let window = report::Window { since_ns: Some(since), actor: args.actor.as_deref() };
    let style = (!args.json).then(style);
    Ok(report::rejudge(&reader, window, &loaded.purposes, style.as_ref())?)
}

fn warnings(loaded: &app::purposes::Loaded) -> String {
    loaded.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect()
}

/// Prints a proposal.
pub(super) fn learn(args: &LearnArgs) -> Result<u8, Failure> {
    let reader = Reader::open(&directory(&args.place)?)?;
    let window = report::Window { since_ns: args.since, actor: args.actor.as_deref() };
    print(&report::learn(&reader, window)?);
    Ok(0)
}
