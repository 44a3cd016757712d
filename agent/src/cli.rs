//! The command line: what may be said, and what it means.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::app::{self, EXIT_CODES, Failure, RunOptions, style};
use crate::config::{self, Config, ConfigError, Level};
use crate::credential::Catalogue;
use crate::kernel::probes::Tier;
use crate::report::{self, Format};
use crate::store::{self, ChainsFilter, Reader};

/// Where the config lies if nobody says otherwise.
const CONFIG_PATH: &str = "/etc/spoor/spoor.toml";

/// Which service account used which credential, and what it then did: behavioural provenance for this host.
///
/// Kernel probes watch credential files, program execution and outbound connections; spoor ties them to the service
/// accounts that acted and keeps chains: one record of each run of a job, as evidence on this host and for your SIEM.
/// It only observes. It never keeps, prints or forwards what makes a credential secret, and it redacts arguments.
#[derive(Debug, Parser)]
#[command(name = "spoor", version, after_long_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Watch this host until told to stop (SIGTERM or Ctrl-C)
    ///
    /// With no config, built-in defaults hold: the whole host, the built-in catalogue of credentials, the store in
    /// /var/lib/spoor. On a terminal, chains are shown as they grow.
    Run(RunArgs),
    /// Tell what this kernel and host allow, and how to close what is missing
    ///
    /// Loads the probes for a moment and sends the canary through each. Nothing but the canary is watched.
    Doctor(DoctorArgs),
    /// Tell every mistake in a config at once, with line and column
    Check {
        /// The config
        file: PathBuf,
    },
    /// List chains, newest first
    Chains(ChainsArgs),
    /// Show one chain as a tree and a timeline
    Show(ShowArgs),
    /// List the actors that were seen: their credentials, programs and destinations
    ///
    /// Service accounts come before people, whoever acted last first. A remark says what an auditor would ask about.
    Actors(InventoryArgs),
    /// List the credentials that were seen: their users, programs and destinations
    ///
    /// What was seen, that is: a credential that nobody used is not listed. Destinations are of connections that came after
    /// the credential was opened, by whoever held it.
    Credentials(InventoryArgs),
    /// Prove that the evidence is what was written
    ///
    /// Each record carries a hash over itself and the one before. What was changed, deleted, reordered or put in between
    /// is found, and named; that the newest records were cut off is not.
    Verify {
        #[command(flatten)]
        place: Place,
    },
    /// Print generated documentation
    #[command(hide = true)]
    Docs {
        /// Which page
        page: Page,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    /// Field by field, what records hold
    Records,
    /// Key by key, what the config may say
    Config,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The config [default: /etc/spoor/spoor.toml where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Make this file when every probe that will attach has attached and the canary has answered
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Show chains as they grow [default: with no config, on a terminal]
    #[arg(long)]
    live: bool,
    /// Play a service account's job in a scope of its own, show its chain, and clean up
    #[arg(long, conflicts_with_all = ["config", "ready_file", "live", "tiers"])]
    demo: bool,
    #[command(flatten)]
    tiers: Tiers,
}

#[derive(Debug, Args)]
struct Tiers {
    /// Use only these tiers where there is a choice (lsm, fentry, kprobe, tracepoint)
    #[arg(long, value_name = "TIER,…", value_delimiter = ',', value_parser = tier)]
    tiers: Vec<Tier>,
}

fn tier(name: &str) -> Result<Tier, String> {
    Tier::from_name(name).ok_or_else(|| "one of lsm, fentry, kprobe, tracepoint".into())
}

#[derive(Debug, Args)]
struct DoctorArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    tiers: Tiers,
}

/// Which store is read.
#[derive(Debug, Args)]
struct Place {
    /// The store's directory [default: what the config says]
    #[arg(long, value_name = "DIRECTORY")]
    store: Option<PathBuf>,
    /// The config that names it [default: /etc/spoor/spoor.toml where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ChainsArgs {
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
    /// At most so many; 0: all
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// As JSON: the newest record of each chain, one a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct InventoryArgs {
    #[command(flatten)]
    place: Place,
    /// Only of what was done within this time, e.g. 90m, 12h, 7d
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<i64>,
    /// As JSON, one a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// The chain's id, or as much of its beginning as is unique
    chain: String,
    #[command(flatten)]
    place: Place,
    /// For people or for programs
    #[arg(long, default_value = "text")]
    format: ShowFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ShowFormat {
    /// Tree and timeline
    Text,
    /// The records as they are, one a line
    Json,
}

/// A time ago, as nanoseconds since 1970.
fn since(text: &str) -> Result<i64, String> {
    let (digits, unit) =
        text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()));
    let seconds: i64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err("a number with s, m, h, d or w".into()),
    };
    let count: i64 = digits.parse().map_err(|_| "a number with s, m, h, d or w".to_owned())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    let now = i64::try_from(now.as_nanos()).unwrap_or(i64::MAX);
    Ok(now.saturating_sub(count.saturating_mul(seconds).saturating_mul(1_000_000_000)))
}

/// Does what was asked. Gives the exit code.
#[must_use]
pub fn run(cli: Cli) -> u8 {
    let outcome = match cli.verb {
        Verb::Run(args) => watch(args),
        Verb::Doctor(args) => doctor(&args),
        Verb::Check { file } => return check(&file),
        Verb::Chains(args) => chains(args),
        Verb::Show(args) => show(&args),
        Verb::Actors(args) => inventory(&args, report::Of::Actors),
        Verb::Credentials(args) => inventory(&args, report::Of::Credentials),
        Verb::Verify { place } => verify(&place),
        Verb::Docs { page } => {
            print(&match page {
                Page::Records => crate::record::reference(),
                Page::Config => config::reference(),
            });
            Ok(0)
        }
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("spoor: {failure}");
        failure.code()
    })
}

/// Prints to standard output; that nobody reads it any more is no failure.
fn print(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// The config that is named, else the one in its place, else the defaults.
fn load(named: Option<&Path>) -> Result<(Config, bool), ConfigError> {
    match named {
        Some(path) => Ok((config::load(path)?, true)),
        None if Path::new(CONFIG_PATH).exists() => Ok((config::load(Path::new(CONFIG_PATH))?, true)),
        None => Ok((Config::default(), false)),
    }
}

fn watch(args: RunArgs) -> Result<u8, Failure> {
    if args.demo {
        log(Level::Warn);
        app::demo::run()?;
        return Ok(0);
    }
    let (config, configured) = load(args.config.as_deref())?;
    log(config.log.level);
    let live = args.live || (!configured && io::stdout().is_terminal());
    app::run(&RunOptions { config, ready_file: args.ready_file, live, tiers: args.tiers.tiers })?;
    Ok(0)
}

/// The log goes to standard error, which systemd carries into the journal. The loader's own chatter is not ours.
fn log(level: Level) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::new(format!("{},aya=warn,aya_obj=warn", level.as_str()));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .init();
}

fn doctor(args: &DoctorArgs) -> Result<u8, Failure> {
    log(Level::Warn);
    let findings = app::doctor::examine(&args.tiers.tiers)?;
    print(&if args.json { format!("{:#}\n", findings.json()) } else { findings.text() });
    Ok(u8::from(!findings.whole()))
}

fn check(file: &Path) -> u8 {
    let checked = config::load(file).map_err(Failure::from);
    // What the config points at is part of it.
    match checked.and_then(|config| Ok(Catalogue::new(&config.credentials)?)) {
        Ok(_) => {
            print(&format!("{}: no mistakes\n", file.display()));
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

fn directory(place: &Place) -> Result<PathBuf, Failure> {
    let directory = match &place.store {
        Some(directory) => directory.clone(),
        None => load(place.config.as_deref())?.0.store.path,
    };
    // A misspelt path must not look like a quiet host.
    if directory.join(store::STATE_FILE).is_file() { Ok(directory) } else { Err(Failure::NoStore(directory)) }
}

fn chains(args: ChainsArgs) -> Result<u8, Failure> {
    let reader = Reader::open(&directory(&args.place)?)?;
    let ChainsArgs { actor, credential, since, limit, json, .. } = args;
    let filter = ChainsFilter { actor, credential, since_ns: since, limit };
    if !json {
        print(&report::chains(&reader, &filter, &style())?);
        return Ok(0);
    }
    for chain in reader.chains(&filter)? {
        let Some(newest) = chain.records.iter().rev().find(|view| view.kind() == "chain") else { continue };
        print(&format!("{}\n", newest.value()));
    }
    Ok(0)
}

fn inventory(args: &InventoryArgs, of: report::Of) -> Result<u8, Failure> {
    let reader = Reader::open(&directory(&args.place)?)?;
    print(&if args.json {
        report::inventory_json(&reader, of, args.since)?
    } else {
        report::inventory(&reader, of, args.since, &style())?
    });
    Ok(0)
}

fn show(args: &ShowArgs) -> Result<u8, Failure> {
    let reader = Reader::open(&directory(&args.place)?)?;
    let format = match args.format {
        ShowFormat::Text => Format::Text,
        ShowFormat::Json => Format::Json,
    };
    print(&report::show(&reader, &args.chain, format, &style())?);
    Ok(0)
}

fn verify(place: &Place) -> Result<u8, Failure> {
    let directory = directory(place)?;
    let found = store::verify(&directory)?;
    let missing = if found.missing == 0 {
        String::new()
    } else {
        format!(", {} numbers without a record", found.missing)
    };
    print(&format!(
        "{} records, {} to {}{missing}: as they were written\n",
        found.records, found.first, found.last
    ));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_ago() {
        assert!(since("2h").unwrap() < since("1h").unwrap());
        assert!(since("2").is_err() && since("h").is_err() && since("2y").is_err() && since("").is_err());
    }
}
